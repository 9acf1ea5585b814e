"""False interventions: the safety monitor watches good drives and should have nothing to say.

The privileged teacher plans from the simulator's truth ten times a second, as good a doer as there
is. Its plans go through the vehicle's own monitor and controller in lock step, with radar, route,
driver and camera health beside them as the vehicle sends them; nothing is drawn. Whatever the
monitor does then, it does without need. As a model does, the teacher offers a choice: what it would
do, and behind it to give way, a stop on the same way for the case that the monitor refuses the
first. How often and how long that was driven is counted.

What makes a drive good, no check has a say in. Wherever something happened, the same seed is driven
again by the teacher alone, every plan approved as it is. The drive is good where that one, by the
simulator's truth,

- comes to its end, or to something that stands in the way, without contact and on the road, and
- is calm around the time of the first thing that the monitor did: no contact less than 1.5 s away
  on the way that was really driven, with all others where they really were, and nobody who crosses
  it less than 1 s before or after (`hindsight`). Where such a thing happens even to the teacher, a
  reaction is not false, nor where others crash into each other close by.

All else that the monitor did is false: any cap, hand-over or stop while the car moves. A car that
stands and is held until its way is free has not been intervened in: it drives on by itself, and how
often and how long it was held is counted beside it.

A drive that fails under the monitor and that the teacher alone would have brought to its end was
made worse. Each of them is told by itself, be its first reaction false or not.

What was driven is kept beside the result, a line a drive: stopped, the command goes on where it
was, and begins anew where any source has changed that has a say in a drive.

Seeds are the safety monitor's own (`learning.scenes.SAFETY_SEEDS`): none that teaches or scores.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from vla_driving.assurance.drive_results import Diary, Drive, Judged, Result
from vla_driving.assurance.hindsight import Moment, accidents, conflicts, encroachments, moment
from vla_driving.assurance.sources import source_hash
from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.navigation import EngagementRequest, EngagementWish
from vla_driving.contract.plan import ApprovedPlan, Plan, PlanSource
from vla_driving.contract.rates import Rates
from vla_driving.contract.scene import LaneLineKind, ObjectList
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.supervision import Engagement, Heartbeat, Level, SafetyState
from vla_driving.contract.trajectory import PERIOD_S, Trajectory, integrate
from vla_driving.contract.vehicle import DriverState, VehicleParameters, VehicleState
from vla_driving.control.bridge import ControllerBridge, Inputs
from vla_driving.control.settings import ControllerBridgeSettings
from vla_driving.learning.driving import Setting, load_setting, reference, steering
from vla_driving.learning.scenes import SAFETY_SEEDS, scene
from vla_driving.learning.teacher import Manner, plan
from vla_driving.safety import heartbeats
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import SafetyMonitor
from vla_driving.safety.settings import SafetyMonitorSettings
from vla_driving.score.drive import LOST_M
from vla_driving.score.interventions import intervention, reaction_begun
from vla_driving.score.rig import node_settings
from vla_driving.simulation.metadrive import PHYSICS_STEP_S, SimulatorError
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.truth import Truth
from vla_driving.simulation.world import World
from vla_driving.vla.inputs import Navigation
from vla_driving.vla.reasoning import lateral_action, longitudinal_action
from vla_driving.vla.settings import VlaInferenceSettings

LONGEST_S = 90.0
STUCK_S = 6.0
"""A drive ends where the car stands this long: waiting makes minutes, but no evidence."""
LATENCY_S = 0.08
"""From the exposure of a frame to its plan's arrival: what the shipped model needs."""
ENGAGE_AGAIN_S = 1.0
_STEP_NS = nanoseconds(PHYSICS_STEP_S)
_PLAN_EVERY = 5
_ROUTE_EVERY = 25
_CAMERA = "front"
_CALM = Manner(strongest_braking=3.4, lateral_acceleration=1.4, curvature_rate=0.15)
_CALMER = tuple(
    dataclasses.replace(_CALM, lateral_acceleration=pull, strongest_curvature=bend)
    for pull, bend in ((1.4, 0.18), (1.0, 0.18), (0.6, 0.18), (0.6, 0.24))
)
_IN_SIGHT = slice(0, 30)
"""Points within which a good driver's wheels stay on the road."""
_EDGES = (LaneLineKind.ROAD_EDGE_LEFT, LaneLineKind.ROAD_EDGE_RIGHT)
_GIVING_WAY = ((0.15, 2.0), (0.05, _CALM.strongest_braking))
"""Probability and braking in m/s² of the choices behind the first."""
_STILL = 0.1
"""m/s. Slower, the car stands."""
_HALF_SECOND = 5
"""Periods over which lateral jerk is a mean (UN R79 5.6.2.1.3)."""
_DRIVEN_BY = (
    "simulation", "learning/driving.py", "learning/scenes.py", "learning/teacher.py",
    "score/interventions.py", "assurance/good_drives.py", "assurance/drive_results.py",
    "assurance/hindsight.py",
)
"""What has a say in a drive besides the sources that evidence belongs to."""


class Doer:
    """The teacher in the model's place: plans that arrive LATENCY_S after their stamp."""

    def __init__(self, vehicle: VehicleParameters, validity_s: float) -> None:
        self._vehicle = vehicle
        self._validity_ns = nanoseconds(validity_s)
        self._pending: deque[Plan] = deque()
        self._sequence = 0

    def look(self, truth: Truth, now_ns: Nanoseconds) -> None:
        """Make a plan of this instant."""
        path = self._path(truth)
        navigation = Navigation(truth.next_turn, truth.distance_to_turn, truth.speed_limit)
        self._sequence += 1
        made = Plan(
            stamp_ns=now_ns, sequence=self._sequence, frame_sequence=self._sequence,
            valid_until_ns=now_ns + self._validity_ns, model_name="teacher", model_version="1",
            runtime="none", candidates=_choice(path, truth.speed), objects=truth.objects,
            lane_lines=truth.lane_lines, traffic_controls=(),
            lateral_action=lateral_action(path, truth.lane_lines, navigation),
            longitudinal_action=longitudinal_action(path, truth.speed), reasoning="",
            evidence=(), uncertainty=0.2, instruction_id=0, stages=(),
        )
        self._pending.append(signed(made))

    def _path(self, truth: Truth) -> Trajectory:
        """The teacher's plan, in the first manner that keeps to ISO 11270 and on the road.

        The teacher takes its speed for bends from the lane's curvature, and may need more than that
        on its way back to the lane or into a tight bend; a good driver then goes slower.
        """
        for manner in _CALMER:
            controls = plan(truth.speed, reference(truth), truth.objects, self._vehicle, manner)
            path = integrate(truth.speed, *controls)
            lateral = path.speed**2 * path.curvature
            change = np.abs(lateral[_HALF_SECOND:] - lateral[:-_HALF_SECOND]).max()
            if (
                np.abs(lateral).max() <= self._vehicle.max_lateral_acceleration
                and change <= self._vehicle.max_lateral_jerk * _HALF_SECOND * PERIOD_S
                and self._stays_on_the_road(path, truth)
            ):
                break
        return path

    def _stays_on_the_road(self, path: Trajectory, truth: Truth) -> bool:
        """Whether the front wheels do, which swing out farthest, by the true edges."""
        front, half = self._vehicle.wheelbase, 0.5 * self._vehicle.width
        x, y, heading = path.x[_IN_SIGHT], path.y[_IN_SIGHT], path.heading[_IN_SIGHT]
        cos, sin = np.cos(heading), np.sin(heading)
        for line in truth.lane_lines:
            if line.kind not in _EDGES:
                continue
            side = half if line.kind == LaneLineKind.ROAD_EDGE_LEFT else -half
            wheel_x, wheel_y = x + front * cos - side * sin, y + front * sin + side * cos
            across = wheel_y - np.interp(wheel_x, line.x, line.y, left=np.nan, right=np.nan)
            if np.nanmax(np.sign(side) * across, initial=-np.inf) > 0.0:
                return False
        return True

    def due(self, now_ns: Nanoseconds) -> tuple[Plan, ...]:
        """Plans that arrive now."""
        found = []
        while self._pending and now_ns - self._pending[0].stamp_ns >= LATENCY_S * SECOND:
            found.append(self._pending.popleft())
        return tuple(found)


def _choice(path: Trajectory, speed: float) -> tuple[Trajectory, ...]:
    """A path and, for a car that moves, stops on the same way, the gentler one first."""
    if speed < _STILL:
        return (path,)
    stops = tuple(_stop(path, speed, *way) for way in _GIVING_WAY)
    left = 1.0 - sum(stop.probability for stop in stops)
    return (dataclasses.replace(path, probability=left), *stops)


def _stop(path: Trajectory, speed: float, probability: float, braking: float) -> Trajectory:
    """Braking in m/s² from `speed` in m/s along a path."""
    pull = np.full(len(path.time), -braking)
    straight = integrate(speed, pull, np.zeros(len(pull)))
    along = np.cumsum(np.hypot(np.diff(path.x, prepend=0.0), np.diff(path.y, prepend=0.0)))
    bend = np.interp(straight.x, along, path.curvature)
    return integrate(speed, pull, bend, probability)


class Stack:
    """Monitor and bridge of the vehicle for one drive; unwatched, every plan is approved."""

    def __init__(self, settings: Settings, vehicle: VehicleParameters, watched: bool) -> None:
        self._vehicle = vehicle
        self._monitor = (
            SafetyMonitor(settings.monitor, vehicle, settings.rates, (_CAMERA,))
            if watched else None
        )
        self._bridge = ControllerBridge(settings.bridge, vehicle, settings.rates)
        self.approved: ApprovedPlan | None = None
        self.safety: SafetyState | None = None

    def step(self, inputs: MonitorInputs, now_ns: Nanoseconds) -> tuple[DriveEvent, ...]:
        """One step of the monitor; what it says is kept in `approved` and `safety`."""
        if self._monitor is None:
            for made in inputs.plans:
                self.approved = self._as_it_is(made)
            return ()
        out = self._monitor.step(inputs, now_ns)
        self.approved = out.approved or self.approved
        self.safety = out.safety_state or self.safety
        return out.events

    def drive(self, world: World, state: VehicleState, now_ns: Nanoseconds) -> None:
        """Two steps of the bridge, and one of physics under the newer command."""
        for at_ns in (now_ns, now_ns + _STEP_NS // 2):
            outcome = self._bridge.step(Inputs(self.approved, state), at_ns)
        world.step(outcome.command, PHYSICS_STEP_S)

    def stand_by(self, state: VehicleState, now_ns: Nanoseconds) -> None:
        """Let the bridge see what goes on while somebody else drives."""
        self._bridge.step(Inputs(self.approved, state), now_ns)

    @property
    def drives(self) -> bool:
        """Whether the car is the stack's."""
        if self._monitor is None:
            return self.approved is not None
        return self.approved is not None and self.approved.engaged

    @property
    def waits(self) -> bool:
        """Whether the monitor holds a car that stands until its way is free."""
        engaged = self.safety is not None and self.safety.engagement == Engagement.ENABLED
        return engaged and self.approved is not None and self.approved.hold

    @property
    def gives_way(self) -> bool:
        """Whether the monitor has taken another choice than the first."""
        approved = self.approved
        if self._monitor is None or approved is None or approved.source != PlanSource.MODEL:
            return False
        return approved.trajectory.probability in [probability for probability, _ in _GIVING_WAY]

    def _as_it_is(self, made: Plan) -> ApprovedPlan:
        approved = ApprovedPlan(
            stamp_ns=made.stamp_ns, sequence=made.sequence, plan_sequence=made.sequence,
            frame_stamp_ns=made.stamp_ns, valid_until_ns=made.valid_until_ns,
            source=PlanSource.MODEL, engaged=True, hold=False, hazard_lights=False,
            speed_cap=self._vehicle.max_speed, trajectory=made.candidates[0],
        )
        return signed(approved)


@dataclass(frozen=True)
class Settings:
    """Of the nodes that take part, as shipped."""

    monitor: SafetyMonitorSettings
    bridge: ControllerBridgeSettings
    rates: Rates
    plan_validity_s: float


def shipped_settings() -> Settings:
    """From config/stack.yaml. Raises SettingsError."""
    return Settings(
        node_settings(SafetyMonitorSettings, "safety_monitor"),
        node_settings(ControllerBridgeSettings, "controller_bridge"),
        node_settings(Rates, "/**", "rates"),
        node_settings(VlaInferenceSettings, "vla_inference").plan_validity,
    )


def drive(setting: Setting, settings: Settings, seed: int, watched: bool) -> Drive:
    """One scene from start to goal, failure or LONGEST_S. Raises SimulatorError."""
    scenario = in_time(scene(seed))
    with setting.open(scenario) as world:
        return _Run(world, settings, Drive(seed, scenario.map), watched).to_the_end()


def in_time(scenario: Scenario) -> Scenario:
    """The scene with people who step out while a good driver can still stop for them calmly.

    One who steps out later makes an emergency, in which an intervention is not false.
    """
    speed = scenario.speed_limit
    calm_m = speed * _CALM.time_gap_s + speed**2 / (2.0 * _CALM.deceleration) + _CALM.standstill_gap
    things = (
        dataclasses.replace(thing, trigger_distance=max(thing.trigger_distance, calm_m))
        for thing in scenario.objects
    )
    return scenario.replace(objects=tuple(things))


class _Run:
    """The loop of one drive: sensors, doer, monitor, bridge, car."""

    def __init__(self, world: World, settings: Settings, result: Drive, watched: bool) -> None:
        self._world = world
        self._result = result
        self._doer = Doer(world.vehicle, settings.plan_validity_s)
        self._stack = Stack(settings, world.vehicle, watched)
        self._watched = watched
        self._now_ns: Nanoseconds = 1000 * SECOND
        self._tick = 0
        self._truth = world.truth()
        self._still_s = 0.0
        self._waits = self._gives_way = False
        self._moments: list[Moment] = []
        self._before = (Engagement.DISABLED, Level.NOMINAL)
        self._asked_ns: Nanoseconds = 0

    def to_the_end(self) -> Drive:
        """Drive until it ends."""
        while self._world.time_s < LONGEST_S:
            self._advance()
            ended = self._ended()
            if ended:
                self._result.ended = ended
                break
        self._result.distance_m = self._truth.distance
        self._result.end_speed = self._truth.speed
        if not self._watched:
            self._result.conflicts = conflicts(self._moments, self._world.vehicle)
            self._result.encroachments = encroachments(self._moments, self._world.vehicle)
            self._result.accidents = accidents(self._moments)
        return self._result

    def _advance(self) -> None:
        world, now_ns = self._world, self._now_ns
        state = world.vehicle_state(now_ns)
        events = self._stack.step(self._inputs(state), now_ns)
        self._note(events)
        if self._stack.drives:
            self._stack.drive(world, state, now_ns)
            self._result.driven_s += PHYSICS_STEP_S
        else:
            self._by_hand(state)
        self._tick += 1
        self._now_ns += _STEP_NS

    def _inputs(self, state: VehicleState) -> MonitorInputs:
        world, now_ns, tick = self._world, self._now_ns, self._tick
        count = tick // _PLAN_EVERY
        inputs = MonitorInputs(
            vehicle_states=(state,), plans=self._doer.due(now_ns), requests=self._requests(),
            heartbeats=tuple(Heartbeat(now_ns, node) for node in heartbeats.NODES),
        )
        if tick % _ROUTE_EVERY == 0:
            route = dataclasses.replace(world.route(now_ns), sequence=tick // _ROUTE_EVERY)
            inputs = dataclasses.replace(inputs, routes=(signed(route),))
        if tick % _PLAN_EVERY == 2:
            radar = ObjectList(now_ns, count, "radar", world.radar())
            inputs = dataclasses.replace(inputs, objects=(signed(radar),))
        if tick % _PLAN_EVERY == 0:
            self._truth = truth = world.truth()
            if not self._watched:
                place = (truth.x, truth.y, truth.heading)
                self._moments.append(moment(world.time_s, place, truth.speed, truth.objects))
            self._doer.look(self._truth, now_ns)
            camera = CameraReport(_CAMERA, now_ns, FrameStatus.OK, 0.0, 0.0)
            driver = DriverState(now_ns, True, True, True, 0.0, 0.0, sequence=count)
            inputs = dataclasses.replace(
                inputs, driver_states=(signed(driver),),
                frames=(signed(CameraHealth(now_ns, count, "teacher/1", (camera,))),),
            )
        return inputs

    def _requests(self) -> tuple[EngagementRequest, ...]:
        """The driver engages as soon as that is possible, and again after a stop."""
        safety = self._stack.safety
        waits = (Engagement.DISABLED, Engagement.STOPPED)
        if safety is None or safety.engagement not in waits or not safety.ready:
            return ()
        if self._now_ns - self._asked_ns < ENGAGE_AGAIN_S * SECOND:
            return ()
        self._asked_ns = self._now_ns
        return (signed(EngagementRequest(self._now_ns, EngagementWish.ENGAGE, "cockpit")),)

    def _by_hand(self, state: VehicleState) -> None:
        """Until the stack has the car, the teacher drives it as a person would."""
        bend, demand = plan(
            self._truth.speed, reference(self._truth), self._truth.objects, self._world.vehicle,
            _CALM,
        )[::-1]
        angle = steering(float(bend[1]), self._world.vehicle)
        self._stack.stand_by(state, self._now_ns)
        self._world.drive(angle, float(demand[1]), PHYSICS_STEP_S)

    def _ended(self) -> str:
        truth = self._truth
        self._result.off_road |= truth.off_road
        self._still_s = self._still_s + PHYSICS_STEP_S if truth.speed < _STILL else 0.0
        if truth.arrived:
            return "arrived"
        if truth.collisions:
            return "collision"
        if abs(truth.lane_offset) > LOST_M:
            return "lost"
        return "stuck" if self._still_s > STUCK_S else ""

    # What the monitor does.

    def _note(self, events: Iterable[DriveEvent]) -> None:
        safety = self._stack.safety
        if safety is None:
            return
        before, self._before = self._before, (safety.engagement, safety.level)
        drove = before[0] not in (Engagement.DISABLED, Engagement.PRE_ENABLED)
        if drove:
            remarks = self._result.remarks
            for event in events:
                if event.severity >= Severity.WARNING and event.name not in _CHANGES:
                    remarks[event.name] = remarks.get(event.name, 0) + 1
        waited, self._waits = self._waits, self._stack.waits
        self._result.waits += self._waits and not waited
        self._result.waited_s += PHYSICS_STEP_S * self._waits
        gave_way = self._gives_way
        self._gives_way = self._stack.drives and self._stack.gives_way
        self._result.gave_way += self._gives_way and not gave_way
        self._result.gave_way_s += PHYSICS_STEP_S * self._gives_way
        reaction = reaction_begun(before, self._before)
        if reaction and not (self._waits and reaction == Level.DEGRADED.name):
            found = intervention(self._world.time_s, reaction, safety)
            self._result.interventions.append(found)


_CHANGES = ("engagement", "level")


def judged(setting: Setting, settings: Settings, seed: int) -> Judged:
    """A watched drive, and why it is no good one. Raises SimulatorError.

    The teacher alone is asked only where something happened: whatever else it would have done, a
    monitor that kept quiet has not intervened.
    """
    began = time.monotonic()
    watched = drive(setting, settings, seed, watched=True)
    if watched.arrived and not watched.interventions:
        return Judged(watched, seconds=time.monotonic() - began)
    first_s = watched.interventions[0].time_s if watched.interventions else math.inf
    alone = drive(setting, settings, seed, watched=False)
    return Judged(watched, alone.fault(first_s), alone, time.monotonic() - began)


class _Worker:
    """The simulated car of one process: MetaDrive keeps one engine a process."""

    setting: Setting
    settings: Settings

    @classmethod
    def start(cls) -> None:
        """Load what all drives share."""
        cls.setting, cls.settings = load_setting(sees=False), shipped_settings()

    @classmethod
    def judged(cls, seed: int) -> Judged:
        """See `judged`."""
        return judged(cls.setting, cls.settings, seed)


def in_processes(seeds: Iterable[int], workers: int) -> Generator[Judged, None, None]:
    """Drives in the order of their seeds, some ahead in other processes. Raises SimulatorError."""
    waiting: deque[Future[Judged]] = deque()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _Worker.start)
    try:
        for seed in seeds:
            waiting.append(pool.submit(_Worker.judged, seed))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def measure(
    drives: Iterable[Judged], minutes: float, say: Callable[[str], None] = print,
    keep: Callable[[Result], None] = lambda result: None, known: Iterable[Judged] = (),
) -> Result:
    """Take drives until there are so many good minutes; `keep` is handed the result after each.

    `known` are those that were driven before.
    """
    result, began = Result(list(known)), time.monotonic()
    before = result.good_minutes
    if result.drives:
        say(f"{len(result.drives)} drives of before: {before:.1f} minutes good,"
            f" {len(result.interventions)} false interventions")
    for judged in drives if before < minutes else ():
        result.drives.append(judged)
        watched, fault = judged.watched, judged.fault
        for found in watched.interventions:
            kind = f"set aside ({fault})" if fault else "false"
            say(f"  {kind}: {found.time_s:.1f} s {found.reaction}: {found.why}")
        if judged.made_worse:
            say(f"  made worse: {watched.ended} at {watched.end_speed:.1f} m/s, which the teacher"
                " alone would not have had")
        done = result.good_minutes - before
        pace = 60.0 * done / max(time.monotonic() - began, 1e-9)
        left_min = max(0.0, minutes - result.good_minutes) / max(pace, 1e-2)
        say(f"seed {watched.seed} ({watched.map}): {watched.ended} after {watched.driven_s:.0f} s;"
            f" {result.good_minutes:.1f} of {minutes:g} minutes good,"
            f" {len(result.interventions)} false interventions, {pace:.1f} times real time,"
            f" about {left_min:.0f} min left")
        keep(result)
        if result.good_minutes >= minutes:
            break
    return result


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 where the monitor kept quiet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="good minutes to drive")
    parser.add_argument("--first", type=int, default=SAFETY_SEEDS[0], help="first seed")
    parser.add_argument("--drives", type=int, help="at most so many seeds")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=Path("out/safety/good_drives.json"))
    parser.add_argument("--again", action="store_true", help="forget what was driven before")
    options = parser.parse_args(arguments)
    last = options.first + options.drives if options.drives else SAFETY_SEEDS[-1] + 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    # Of what the processes are about to load, should somebody change it while they drive.
    source, key = source_hash(), source_hash(more=_DRIVEN_BY)
    seeds = range(options.first, last)
    diary = Diary(options.out.with_suffix(".jsonl"), key)
    known = diary.begin(seeds[:0] if options.again else seeds)

    def write(result: Result) -> None:
        report = result.report(source)
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

    def keep(result: Result) -> None:
        diary.add(result.drives[-1])
        write(result)

    try:
        with closing(in_processes(seeds[len(known):], options.workers)) as drives:
            result = measure(drives, options.minutes, keep=keep, known=known)
    except (SettingsError, SimulatorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    write(result)
    report = result.report(source)
    print(f"{report['good_minutes']} good minutes, {report['false_interventions']} false"
          f" interventions {report['by_check'] or ''}, {report['made_worse']} drives made worse"
          f" and {report['made_better']} better,"
          f" {report['waits']} waits of {report['waited_s']} s; wrote {options.out}")
    enough = options.drives is not None or result.good_minutes >= options.minutes
    return 0 if enough and not result.interventions else 1


if __name__ == "__main__":
    sys.exit(main())
