"""Which trajectory is approved: of a new plan's candidates, and whether the last still holds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.plan import LateralAction, Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.supervision import Level
from vla_driving.contract.trajectory import HORIZON_S, PERIOD_S, POINTS, Trajectory
from vla_driving.safety.candidates import Batch, batch
from vla_driving.safety.checks import CANDIDATE_CHECKS
from vla_driving.safety.checks.table import CandidateCheck, Candidates, Group, Limits
from vla_driving.safety.judge import CandidateJudge, Judgement, Outcome
from vla_driving.safety.lanes import departures
from vla_driving.safety.obstacles import (
    Approach,
    Objects,
    Surroundings,
    missing,
    moved,
    no_objects,
    objects,
    with_measured_velocity,
)
from vla_driving.safety.paths import Paths
from vla_driving.safety.report import worst
from vla_driving.safety.shift import jump

_ALWAYS = tuple(check for check in CANDIDATE_CHECKS if check.always)
_ON_THE_LINE = 0.1
"""m. Further beyond a lane line the outline leaves the lane, announced or not."""
CAP_HEALS = frozenset(("headway", "lead_braking", "cut_in", "plan_limit", "speed_limit"))
"""Checks that the speed limit and `safe_speed` heal as a cap; the others ask for a slow crawl."""
_LEAVES_LANE = (LateralAction.CHANGE_LEFT, LateralAction.CHANGE_RIGHT, LateralAction.PULL_OVER)
_SAME_OBJECT = 2.0
"""m. Two sources that place an object no further apart than this, and its size, mean the same."""


@dataclass(frozen=True, eq=False)
class Approved:
    """The plan approved last: its chosen candidate, until when, and whether only with caps."""

    plan: Plan
    trajectory: Trajectory
    batch: Batch
    paths: Paths
    until_ns: Nanoseconds
    level: Level
    sideways: npt.NDArray[np.bool_]
    failing: frozenset[str]


@dataclass(frozen=True, eq=False)
class _Option:
    """The best candidate; what its checks ask for, all of them and those made at approval alone."""

    level: Level
    level_at_approval: Level
    index: int
    path: Paths
    near: Approach
    sideways: npt.NDArray[np.bool_]
    judgement: Judgement


class _Told(NamedTuple):
    """One candidate's part of a judgement, and what of it fails; the rest is made when asked."""

    judgement: Judgement
    candidate: int
    failures: tuple[Outcome, ...]

    def outcomes(self) -> tuple[Outcome, ...]:
        """All of them, in the order of the table."""
        return self.judgement.outcomes(self.candidate)


class World:
    """The objects known now: the model's scene and the independent sensor's list."""

    def __init__(self, limits: Limits, motion: EgoMotion) -> None:
        self._limits = limits
        self._motion = motion
        world = limits.settings.world
        self._to_the_horizon = Surroundings(limits.vehicle, world)
        self._to_the_end = Surroundings(
            limits.vehicle, replace(world, collision_horizon=HORIZON_S)
        )
        self.scene = no_objects(0)
        self.sensor = no_objects(0)
        self._measured: Objects | None = None
        self._framed: dict[int, tuple[Objects, Nanoseconds, Objects]] = {}

    def see_plan(self, plan: Plan) -> None:
        """Take over the scene of a plan."""
        likely = self._limits.settings.world.min_probability
        self.scene, self._measured = objects(plan.stamp_ns, plan.object_table, likely), None

    def see_objects(self, listed: ObjectList) -> None:
        """Take over a list of the sensor."""
        likely = self._limits.settings.world.min_probability
        self.sensor, self._measured = objects(listed.stamp_ns, listed.table, likely), None

    def clear(self) -> None:
        """Forget all, after a jump of the clock."""
        self.scene, self.sensor, self._measured = no_objects(0), no_objects(0), None

    def approach(
        self,
        paths: Paths,
        stamp_ns: Nanoseconds,
        now_ns: Nanoseconds,
        speed: float,
        sideways: npt.NDArray[np.bool_],
        whole: bool = False,
    ) -> Approach:
        """Scene's and sensor's objects against paths in base_link at `stamp_ns`.

        `whole` looks to the end of the paths instead of to the horizon.
        """
        surroundings = self._to_the_end if whole else self._to_the_horizon
        return surroundings.approach(
            paths, *self._both(stamp_ns), stamp_ns, now_ns, speed, sideways
        )

    def disagreement(
        self, paths: Paths, stamp_ns: Nanoseconds
    ) -> tuple[float | None, float | None]:
        """Distance to the nearest object on a path that only one of the two sources holds, m.

        First the sensor's that the scene lacks, then the scene's that the sensor lacks.
        """
        scene, sensor = self._both(stamp_ns)
        return self._missing(sensor, scene, paths), self._missing(scene, sensor, paths)

    def _missing(self, known: Objects, other: Objects, paths: Paths) -> float | None:
        at = missing(known, other, paths, self._limits.vehicle.width, _SAME_OBJECT)
        return at if math.isfinite(at) else None

    def _both(self, stamp_ns: Nanoseconds) -> tuple[Objects, Objects]:
        if self._measured is None:
            # Once for each pair of lists, as seen from where the pictures were taken.
            sensor = self._in_frame(1, self.sensor, self.scene.stamp_ns)
            self._measured = with_measured_velocity(self.scene, sensor, _SAME_OBJECT)
        return self._in_frame(0, self._measured, stamp_ns), self._in_frame(1, self.sensor, stamp_ns)

    def _in_frame(self, slot: int, items: Objects, stamp_ns: Nanoseconds) -> Objects:
        """Objects in base_link at an instant; the last answer is kept for each of the two lists."""
        if items.stamp_ns == stamp_ns or not len(items):
            return items
        known = self._framed.get(slot)
        if known is not None and known[0] is items and known[1] == stamp_ns:
            return known[2]
        change = self._motion.change(items.stamp_ns, stamp_ns)
        # Without a history both frames are taken as one: better a rough place than none.
        framed = items if change is None else moved(items, change)
        self._framed[slot] = (items, stamp_ns, framed)
        return framed


class Approval:
    """Judges plans and remembers the approved one."""

    def __init__(self, limits: Limits, motion: EgoMotion) -> None:
        self._limits = limits
        self._motion = motion
        self._judge = CandidateJudge(CANDIDATE_CHECKS, limits)
        self._recheck = CandidateJudge(_ALWAYS, limits)
        self._before: Batch | None = None
        self._unsafe_ns: Nanoseconds | None = None
        self.world = World(limits, motion)
        self.approved: Approved | None = None
        self.refused = False
        self._way_is_blocked = False
        self._speed_limit = math.inf
        self._newest: _Told | None = None
        self._live: _Told | None = None
        self._now: tuple[Nanoseconds, _Option] | None = None
        self.safe_speed = 0.0
        self.unseen_m: float | None = None
        self.unlisted_m: float | None = None

    def clear(self) -> None:
        """Forget all, after a jump of the clock."""
        self.world.clear()
        self.approved = self._before = None
        self.refused = self._way_is_blocked = False
        self._newest = self._live = self._now = None
        self._unsafe_ns = self.unseen_m = self.unlisted_m = None

    def consider(
        self, plan: Plan, speed: float, speed_limit: float, now_ns: Nanoseconds
    ) -> None:
        """Judge all candidates of a plan at once and approve the best.

        A candidate without a failure comes before one that may be driven with caps; among equals
        the plan's own order holds.
        """
        self.world.see_plan(plan)
        self._speed_limit = speed_limit
        proposed = batch(plan.stamp_ns, plan.candidates)
        chosen = self._best(plan, proposed, speed, now_ns)
        self.refused = chosen.level > Level.DEGRADED
        failures = chosen.judgement.failures(chosen.index)
        self._way_is_blocked = _is_blocked(failures)
        self._newest = _Told(chosen.judgement, chosen.index, failures)
        if self.refused and chosen.index:
            # Of candidates that all fail, the first is what the model wanted.
            self._newest = _Told(chosen.judgement, 0, chosen.judgement.failures(0))
        self._before = proposed
        if not self.refused:
            self._approve(plan, proposed, chosen, failures, now_ns)

    def _best(self, plan: Plan, proposed: Batch, speed: float, now_ns: Nanoseconds) -> _Option:
        paths = Paths(proposed)
        candidates = self._candidates(plan, proposed, paths, speed, now_ns)
        judgement = self._judge.judge(candidates)
        index = judgement.best()
        return _Option(
            judgement.reaction(index), judgement.reaction_at_approval(index), index,
            paths.only(index), candidates.near.only(index),
            candidates.sideways[index : index + 1], judgement,
        )

    def _approve(
        self, plan: Plan, proposed: Batch, chosen: _Option, failures: tuple[Outcome, ...],
        now_ns: Nanoseconds,
    ) -> None:
        longest_ns = plan.stamp_ns + nanoseconds(self._limits.settings.inputs.plan_max_age)
        self.approved = Approved(
            plan, plan.candidates[chosen.index], proposed.part(chosen.index, chosen.index + 1),
            chosen.path, min(plan.valid_until_ns, longest_ns), chosen.level_at_approval,
            chosen.sideways,
            frozenset(o.check.name for o in failures if not _is_live(o)),
        )
        self.unseen_m, self.unlisted_m = self.world.disagreement(chosen.path, plan.stamp_ns)
        self._now = (now_ns, chosen)
        self._unsafe_ns = None

    def follow(self, speed: float, now_ns: Nanoseconds) -> Level:
        """What the approved plan asks for now: NOMINAL or DEGRADED while it may be followed.

        A foreseen collision counts once it has lasted `collision_confirm`, or at once where it asks
        for an emergency stop. Until then it asks for nothing, as every check that is not confirmed.
        """
        approved = self.approved
        min_left = self._limits.settings.plan.min_left
        if approved is None or age_s(now_ns, approved.until_ns) < min_left:
            self._live = None
            return Level.MINIMAL_RISK
        if self._now is not None and self._now[0] == now_ns:
            chosen = self._now[1]
            return self._followed(
                chosen.judgement, chosen.index, chosen.near, approved, now_ns
            )
        near = self.world.approach(
            approved.paths, approved.batch.stamp_ns, now_ns, speed, approved.sideways
        )
        empty = np.zeros(1)
        judgement = self._recheck.judge(
            Candidates(
                self._limits, approved.batch, approved.plan,
                age_s(approved.batch.stamp_ns, now_ns), speed, empty, near, empty, empty,
                speed, approved.sideways,
            )
        )
        return self._followed(judgement, 0, near, approved, now_ns)

    def _followed(
        self, judgement: Judgement, index: int, near: Approach, approved: Approved,
        now_ns: Nanoseconds,
    ) -> Level:
        failures = tuple(o for o in judgement.failures(index) if _is_live(o))
        self._live = _Told(judgement, index, failures)
        self.safe_speed = _safe_speed(near, failures)
        reaction = max((o.reaction for o in failures), default=Level.NOMINAL)
        return self._confirmed(reaction, approved.level, now_ns)

    def _confirmed(self, reaction: Level, level: Level, now_ns: Nanoseconds) -> Level:
        if reaction <= Level.DEGRADED:
            self._unsafe_ns = None
            return max(reaction, level)
        if self._unsafe_ns is None:
            self._unsafe_ns = now_ns
        confirm_s = self._limits.settings.world.collision_confirm
        if reaction < Level.EMERGENCY and age_s(self._unsafe_ns, now_ns) < confirm_s:
            return level
        return reaction

    def way_is_blocked(self) -> bool:
        """Whether nothing is wrong with the newest plan but what is in its way."""
        return self._way_is_blocked or (not self.refused and _is_blocked(self._live_failures()))

    def failing(self) -> frozenset[str]:
        """Checks that the plan which is followed fails: when it was approved, and now."""
        now = frozenset(o.check.name for o in self._live_failures())
        return now if self.approved is None else now | self.approved.failing

    def shown(self) -> tuple[Outcome, ...]:
        """Outcomes of the candidate checks for the newest plan, those of every step as of now."""
        if self._newest is None:
            return ()
        outcomes, live = self._newest.outcomes(), {}
        if self._live is not None:
            live = {o.check.name: o for o in self._live.outcomes() if _is_live(o)}
        return tuple(live.get(o.check.name, o) for o in outcomes)

    def failures(self) -> tuple[Outcome, ...]:
        """Those of them that fail; first the ones as of now."""
        of_newest = () if self._newest is None else self._newest.failures
        if self._live is None:
            return of_newest
        return (*self._live.failures, *(o for o in of_newest if not _is_live(o)))

    def _live_failures(self) -> tuple[Outcome, ...]:
        return () if self._live is None else self._live.failures

    def cause(self, counting: list[Outcome]) -> Outcome | None:
        """The worst of the state's failing checks and of those on the plan.

        A plan that ran out because newer ones were refused is told by what they were refused for.
        """
        others = [o for o in counting if o.check.name != "plan_validity"]
        of_newest = () if self._newest is None else self._newest.failures
        found = worst([*self._live_failures(), *others])
        if found is not None and found.reaction >= Level.MINIMAL_RISK:
            return found
        if len(others) < len(counting):
            refused = worst(of_newest) if self.refused else None
            return refused or next(o for o in counting if o.check.name == "plan_validity")
        return found or (None if self.refused else worst(of_newest))

    def contact_s(
        self,
        trajectory: Trajectory,
        stamp_ns: Nanoseconds,
        now_ns: Nanoseconds,
        whole: bool,
    ) -> float:
        """Time to the first contact of a trajectory of the monitor within the horizon, s.

        NEVER_S where there is none. `whole` looks to the end of the trajectory, which leaves its
        lane.
        """
        own = batch(stamp_ns, (trajectory,))
        near = self.world.approach(
            Paths(own), stamp_ns, now_ns, float(trajectory.speed[0]), np.array([whole]),
            whole,
        )
        return min(float(near.scene_s[0]), float(near.sensor_s[0]))

    def _candidates(
        self, plan: Plan, proposed: Batch, paths: Paths, speed: float, now_ns: Nanoseconds
    ) -> Candidates:
        now_s = age_s(plan.stamp_ns, now_ns)
        lane, edge = departures(
            proposed, plan.lane_lines, now_s, self._limits.vehicle, self._limits.settings.world
        )
        sideways = (lane > _ON_THE_LINE) | (plan.lateral_action in _LEAVES_LANE)
        near = self.world.approach(paths, plan.stamp_ns, now_ns, speed, sideways)
        start = self._motion.speed(plan.stamp_ns)
        return Candidates(
            self._limits, proposed, plan, now_s, math.nan if start is None else start,
            self._shift(proposed, now_s, now_ns), near, lane, edge, speed, sideways,
            self._speed_limit,
        )

    def _shift(
        self, proposed: Batch, now_s: float, now_ns: Nanoseconds
    ) -> npt.NDArray[np.float64]:
        """Smaller of the jumps against the approved plan and against the plan before, (C,) in m.

        So one plan that jumps is refused, and a change of mind is believed when the next plan
        confirms it. 0 where there is nothing to compare with.
        """
        approved = self.approved
        if approved is None or now_ns > approved.until_ns:
            return np.zeros(len(proposed))
        shift = self._jump(proposed, approved.batch, now_s)
        if shift is None:
            return np.zeros(len(proposed))
        if self._before is not None and (shift > self._limits.settings.plan.max_shift).any():
            other = self._jump(proposed, self._before, now_s)
            shift = shift if other is None else np.minimum(shift, other)
        return shift

    def _jump(
        self, proposed: Batch, reference: Batch, now_s: float
    ) -> npt.NDArray[np.float64] | None:
        change = self._motion.change(reference.stamp_ns, proposed.stamp_ns)
        if change is None:
            return None
        first = min(max(round(now_s / PERIOD_S), 0), POINTS - 1)
        horizon = max(round(self._limits.settings.plan.shift_horizon / PERIOD_S), 1)
        known, shift = jump(
            proposed.values, reference.values, change.dx, change.dy, change.dyaw, first,
            min(first + horizon, POINTS),
        )
        return shift if known else None


def _is_blocked(outcomes: Iterable[Outcome]) -> bool:
    """Whether something may not be followed, for reasons of the world around alone."""
    groups = {o.check.group for o in outcomes if o.reaction > Level.DEGRADED}
    return groups == {Group.WORLD}


def _is_live(outcome: Outcome) -> bool:
    """Whether its check is made in every step."""
    return isinstance(outcome.check, CandidateCheck) and outcome.check.always


def _safe_speed(near: Approach, failures: Iterable[Outcome]) -> float:
    """Speed at which the distances to others are enough or become so, m/s."""
    speed = float(near.safe_speed[0])
    close = any(o.check.name == "headway" for o in failures)
    return min(speed, float(near.lead_speed[0])) if close else speed
