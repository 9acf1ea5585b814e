"""One drive from its start to its goal or failure, and everything that is judged of it."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field
from typing import Any

from vla_driving.score.blame import Collision, judged
from vla_driving.score.comfort import comfort
from vla_driving.score.drivers import POLICIES, Driver, Models
from vla_driving.score.film import LAST_S, Film
from vla_driving.score.interventions import Watch
from vla_driving.score.loop import Loop
from vla_driving.score.reasons import Examiner, Reason, judge_motion
from vla_driving.score.rig import Rig
from vla_driving.score.track import Track
from vla_driving.simulation.metadrive import DECISION_STEPS, SimulatorError
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.truth import Truth
from vla_driving.simulation.world import World

ALLOWED_S, ALLOWED_SHARE = 30.0, 1.0 / 3.0
"""A route times out after ALLOWED_S and what it takes at this share of the speed limit."""
STUCK_S = 30.0
STANDING = 0.1
"""m/s; a car that does not even move this fast for STUCK_S has timed out."""
AFTERMATH_S = 4.0
"""A film goes on so long after the car first left the road."""
BEFORE_WORDS_S = 2.0
"""A film of an instruction begins so long before it."""
SEEDS_TRIED = 20
LOST_M = 4.0
"""m from the centre of any lane of the route: the car has left it."""

ARRIVED, COLLISION, LOST, OFF_ROAD = "arrived", "collision", "left the route", "off the road"
STUCK, TIME_OUT, OVER = "stood still", "out of time", "over"


@dataclass(frozen=True)
class Task:
    """One drive to be done. `words`: what is said to the car and when, s and text.

    `for_s`: how long it lasts at most, and standing still is no failure then; 0 for a route.
    `film`: whether a failure is filmed. `turn`: the scene is of the first seed from the scenario's
    on whose next junction has this way, which the route does not take.
    """

    policy: str
    kind: str
    scenario: Scenario
    words: tuple[tuple[float, str], ...] = ()
    for_s: float = 0.0
    case: str = ""
    film: bool = False
    turn: str = ""

    @property
    def name(self) -> str:
        """Of the drive's files, with its folder."""
        return f"{self.policy}/{self.scenario.name}" + (f"_{self.case}" if self.case else "")

    @property
    def video(self) -> str:
        """Where a film of it lies, below the scoreboard's folder."""
        return f"videos/{self.name.replace('/', '_')}.mp4"

    @property
    def film_s(self) -> float:
        """What a film of it shows: the last seconds, or from the last words on."""
        return self.for_s - self.words[-1][0] + BEFORE_WORDS_S if self.words else LAST_S


@dataclass(frozen=True)
class Saying:
    """An answer of the car's, with the name of its status."""

    time_s: float
    instruction: int
    status: str
    text: str


@dataclass
class Drive:
    """How it went. `blame` is the reason in one line where `success` is False."""

    policy: str
    kind: str
    seed: int
    map: str
    ended: str = TIME_OUT
    success: bool = False
    blame: str = ""
    completion: float = 0.0
    distance_m: float = 0.0
    duration_s: float = 0.0
    collisions: list[Collision] = field(default_factory=list)
    off_road: int = 0
    spans: int = 0
    comfortable: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)
    answers: list[Saying] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    track: Track = field(default_factory=Track)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        row = dataclasses.asdict(self)
        row["watch"] = {k: v for k, v in row["watch"].items() if not k.startswith("_")}
        return row


def drive(task: Task, rig: Rig, models: Models, film: Film | None = None) -> Drive:
    """Do it; a film sees what the camera sees. Raises SimulatorError, ModelError."""
    began = time.monotonic()
    policy = POLICIES[task.policy]
    scenario = fitting(task, rig) if task.turn else task.scenario
    with rig.open(scenario, policy.sees or film is not None) as world:
        driver = policy.make(rig, world, models)
        run = _Run(task, world, driver, film)
        run.to_the_end()
    run.result.seconds = round(time.monotonic() - began, 2)
    return run.result


def fitting(task: Task, rig: Rig) -> Scenario:
    """The scenario with the first seed that has the task's turn. Raises SimulatorError."""
    for seed in range(task.scenario.seed, task.scenario.seed + SEEDS_TRIED):
        scenario = task.scenario.replace(seed=seed)
        with rig.open(scenario, sees=False) as world:
            junction = world.progress.route.crossroads[0]
            exits = {turn.name for turn in junction.exits}
            if task.turn in exits and junction.taken.name != task.turn:
                return scenario
    raise SimulatorError(
        f"{task.name}: no junction with a way {task.turn} in {SEEDS_TRIED} seeds from "
        f"{task.scenario.seed} on"
    )


class _Run:
    """The drive under way."""

    def __init__(self, task: Task, world: World, driver: Driver, film: Film | None) -> None:
        self._task, self._world, self._driver, self._film = task, world, driver, film
        scenario = task.scenario
        self.result = Drive(task.policy, task.kind, scenario.seed, scenario.map)
        self._longest_s = task.for_s or ALLOWED_S + world.progress.to_goal / (
            ALLOWED_SHARE * scenario.speed_limit
        )
        self._touched: frozenset[str] = frozenset()
        self._off = False
        self._moved_s = 0.0
        self._failed_s = math.inf
        self._words = list(task.words)
        self._examiner = Examiner()

    def to_the_end(self) -> None:
        """Drive, then judge."""
        world, result = self._world, self.result
        truth = world.truth()
        tick = 0
        while world.time_s < self._longest_s - 1e-6:
            self._speak()
            speed = world.ego.motion.speed
            self._driver.step()
            tick += 1
            self._see_contacts(speed)
            if tick % DECISION_STEPS:
                continue
            truth = world.truth()
            self._sample(truth)
            if ended := self._ended(truth):
                result.ended = ended
                break
        else:
            result.ended = OVER if self._task.for_s else TIME_OUT
        self._conclude(truth)

    def _speak(self) -> None:
        while self._words and self._world.time_s >= self._words[0][0] - 1e-6:
            _, text = self._words.pop(0)
            if isinstance(self._driver, Loop):
                self._driver.say(text)

    def _see_contacts(self, speed: float) -> None:
        world = self._world
        touching = world.touching
        new = touching - self._touched
        self._touched = touching
        if not new:
            return
        truth = world.truth()
        for body in world.bodies():
            if body.key in new:
                item = body.seen_from(world.ego.motion)
                self.result.collisions.append(judged(truth, item, world.vehicle, speed))

    def _sample(self, truth: Truth) -> None:
        result = self.result
        result.track.add(self._world, truth)
        result.off_road += truth.off_road and not self._off
        self._off = truth.off_road
        if self._off and math.isinf(self._failed_s):
            self._failed_s = truth.time_s
        if truth.speed > STANDING:
            self._moved_s = truth.time_s
        if isinstance(self._driver, Loop):
            self._hear(self._driver, truth)
        if self._film is not None and truth.time_s < self._failed_s + AFTERMATH_S:
            self._film.take(self._world, self._driver)

    def _hear(self, loop: Loop, truth: Truth) -> None:
        seen, result = loop.seen, self.result
        if seen.safety is not None:
            result.watch.see(seen.safety, truth.time_s)
        self._examiner.hear(self._world, truth, seen.plan, seen.safety)
        result.answers += [
            Saying(truth.time_s, a.instruction_id, a.status.name, a.text)
            for a in loop.take_answers()
        ]

    def _ended(self, truth: Truth) -> str:
        if any(c.at_fault for c in self.result.collisions):
            return COLLISION
        if abs(truth.lane_offset) > LOST_M:
            return LOST
        if truth.arrived:
            return ARRIVED
        stands = truth.time_s - self._moved_s > STUCK_S
        return STUCK if stands and not self._task.for_s else ""

    def _conclude(self, truth: Truth) -> None:
        result, track = self.result, self.result.track
        result.completion = round(truth.route_completion, 4)
        result.distance_m = round(truth.distance, 2)
        result.duration_s = round(truth.time_s, 2)
        found = comfort(track.heading, track.acceleration, track.lateral)
        result.spans, result.comfortable, result.broken = (
            found.spans, found.comfortable, found.broken
        )
        result.reasons = self._examiner.reasons
        judge_motion(result.reasons, track)
        result.success = result.ended == ARRIVED and not result.off_road
        result.blame = "" if result.success else self._blame()

    def _blame(self) -> str:
        result = self.result
        if result.ended == COLLISION:
            hit = next(c for c in result.collisions if c.at_fault)
            return f"{hit.contact} ({hit.with_what}) at {hit.speed:.1f} m/s, {hit.time_s:.1f} s"
        if result.ended == ARRIVED:
            return f"{OFF_ROAD} {result.off_road} times on the way"
        words = f"{result.ended} after {result.duration_s:.0f} s"
        if result.off_road:
            words += f", {OFF_ROAD} {result.off_road} times"
        last = result.watch.interventions[-1:]
        return words + "".join(f"; safety monitor: {i.reaction}, {i.why}" for i in last)
