"""What may arrive instead of a good message: one small function a kind, for plans and states.

Each takes a generator and a sound message and returns another one, signed anew unless the kind is
about the checksum; so most of what arrives looks as if it came from whom it should.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.plan import Plan
from vla_driving.contract.scene import (
    LaneLine,
    LaneLineKind,
    ObjectClass,
    SceneObject,
    SignalState,
    TrafficControl,
    TrafficControlKind,
)
from vla_driving.contract.trajectory import POINTS, TIMES_S, Trajectory, integrate
from vla_driving.contract.vehicle import VehicleState

Rng = np.random.Generator

_NAMES = ("time", "x", "y", "heading", "speed", "acceleration", "curvature")
_ODD = (
    np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-40, 1e-30, 1e30, -1e30, 3.4e38, -3.4e38,
    1e300, 1.0, -1.0, 99.9, 100.1,
)
STAMPS_S = (0.0, -0.02, -0.1, -0.3, -0.61, -1.0, -5.0, -1e6, 0.01, 0.049, 0.051, 0.2, 1.0, 1e6)
NUMBERS = (0, 1, 2, 5, 255, 2**31, 2**32, 2**63 - 1, 2**64 - 1)
SEQUENCES = (-(2**20), -50, -1, 0, 1, 2, 5, 50, 1000, 2**40)


def some(rng: Rng) -> float:
    """An odd number, or one of any size and sign."""
    if rng.random() < 0.4:
        return float(_ODD[rng.integers(len(_ODD))])
    return float(rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-3.0, 3.0))


def pick(rng: Rng, values: Any) -> Any:
    """One of them."""
    return values[int(rng.integers(len(values)))]


def _arrays(trajectory: Trajectory) -> dict[str, Any]:
    return {name: np.array(getattr(trajectory, name), np.float32) for name in _NAMES}


# -- trajectories ------------------------------------------------------------------------------

def not_finite(rng: Rng, old: Trajectory) -> Trajectory:
    """Odd numbers at some places."""
    arrays = _arrays(old)
    with np.errstate(all="ignore"):
        for _ in range(int(rng.integers(1, 4))):
            arrays[pick(rng, _NAMES)][rng.integers(POINTS)] = pick(rng, _ODD)
    return replace(old, **arrays)


def shifted(rng: Rng, old: Trajectory) -> Trajectory:
    """All of it beside or ahead of itself."""
    arrays = _arrays(old)
    arrays[pick(rng, ("x", "y", "heading", "speed", "time"))] += np.float32(_small(rng))
    return replace(old, **arrays)


def teleporting(rng: Rng, old: Trajectory) -> Trajectory:
    """A jump at one point."""
    arrays = _arrays(old)
    arrays[pick(rng, _NAMES)][rng.integers(POINTS):] += np.float32(_small(rng))
    return replace(old, **arrays)


def _small(rng: Rng) -> float:
    return float(rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-2.0, 2.0))


def mirrored(rng: Rng, old: Trajectory) -> Trajectory:
    """Left is right, or forward is back."""
    if rng.random() < 0.5:
        return replace(old, y=-old.y, heading=-old.heading, curvature=-old.curvature)
    return replace(old, x=-old.x, speed=-old.speed)


def scaled(rng: Rng, old: Trajectory) -> Trajectory:
    """One quantity larger or smaller than the others say."""
    name = pick(rng, _NAMES)
    factor = np.float32(10.0 ** rng.uniform(-1.5, 1.5) * rng.choice((-1.0, 1.0, 1.0)))
    changed: dict[str, Any] = {name: getattr(old, name) * factor}
    return replace(old, **changed)


def resized(rng: Rng, old: Trajectory) -> Trajectory:
    """Arrays too short, too long, or of another shape."""
    changed: dict[str, Any] = {}
    for name in _NAMES if rng.random() < 0.5 else (pick(rng, _NAMES),):
        size = int(pick(rng, (0, 1, 5, 63, 65, 128, 5000)))
        changed[name] = np.resize(getattr(old, name), size).astype(np.float32)
    if rng.random() < 0.1:
        changed["x"] = np.zeros((8, 8), np.float32)
    return replace(old, **changed)


def flipped(rng: Rng, old: Trajectory) -> Trajectory:
    """Bits that turned over."""
    arrays = _arrays(old)
    for _ in range(int(rng.integers(1, 4))):
        bits = arrays[pick(rng, _NAMES)].view(np.uint32)
        bits[rng.integers(POINTS)] ^= np.uint32(1 << int(rng.integers(32)))
    return replace(old, **arrays)


def drivable(rng: Rng, old: Trajectory) -> Trajectory:
    """Sound as a motion, but anywhere about the limits of a car and beyond."""
    speed = max(0.0, float(old.speed[0]) + rng.normal(0.0, 0.5))
    grid = np.linspace(0.0, 1.0, 5)
    when = np.linspace(0.0, 1.0, POINTS)
    pull = np.interp(when, grid, rng.normal(0.0, float(pick(rng, (0.5, 2.0, 5.0))), 5))
    bend = np.interp(when, grid, rng.normal(0.0, float(pick(rng, (0.01, 0.05, 0.3))), 5))
    if rng.random() < 0.3:
        pull[rng.integers(POINTS):] = rng.choice((-6.0, -3.6, -3.4, 2.0, 2.2))
    return integrate(speed, pull, bend)


def at_the_limit(rng: Rng, old: Trajectory) -> Trajectory:
    """A bend taken with a lateral acceleration close to the limit."""
    speed = max(float(old.speed[0]), 0.5)
    lateral = 3.0 * (1.0 + rng.normal(0.0, 0.05))
    ramp = np.clip(np.arange(POINTS) / rng.uniform(1.0, 20.0), 0.0, 1.0)
    return integrate(speed, np.zeros(POINTS), ramp * lateral / speed**2 * rng.choice((-1.0, 1.0)))


def wild(rng: Rng, old: Trajectory) -> Trajectory:
    """Nothing but numbers."""
    with np.errstate(all="ignore"):
        arrays = {name: np.full(POINTS, some(rng)).astype(np.float32) for name in _NAMES}
        if rng.random() < 0.5:
            arrays["time"] = TIMES_S
    return Trajectory(some(rng), **arrays)


TRAJECTORIES: tuple[Callable[[Rng, Trajectory], Trajectory], ...] = (
    not_finite, shifted, teleporting, mirrored, scaled, resized, flipped, drivable, at_the_limit,
    wild,
)

# -- plans -------------------------------------------------------------------------------------


def _of_trajectories(change: Callable[[Rng, Trajectory], Trajectory]) -> Callable[..., Plan]:
    def changed(rng: Rng, old: Plan, stranger: Plan) -> Plan:
        made = tuple(change(rng, old.candidates[0]) for _ in range(int(pick(rng, (1, 1, 2, 6)))))
        if rng.random() < 0.2:
            made = (*made, old.candidates[0])
        return signed(replace(old, candidates=made))

    return changed


def count_of_candidates(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """None, or far too many."""
    return signed(replace(old, candidates=old.candidates * int(pick(rng, (0, 9, 60)))))


def spliced(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """Arrays of one plan in another, made at another time or place."""
    if not stranger.candidates:
        return old
    name = pick(rng, _NAMES)
    taken: dict[str, Any] = {name: getattr(stranger.candidates[0], name)}
    mixed = replace(old.candidates[0], **taken)
    chosen = mixed if rng.random() < 0.5 else stranger.candidates[0]
    return signed(replace(old, candidates=(chosen,)))


def stamped(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """From the past, the future, or the same instant again."""
    stamp_ns = old.stamp_ns + nanoseconds(pick(rng, STAMPS_S))
    until_ns = stamp_ns + (old.valid_until_ns - old.stamp_ns)
    return signed(replace(old, stamp_ns=stamp_ns, valid_until_ns=until_ns))


def valid_for(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """Valid for longer or shorter than any plan may be."""
    horizon = int(pick(rng, (
        -(2**62), -(10**9), -1, 0, 1, 10**7, 59 * 10**6, 61 * 10**6, 10**9, 10**10, 2**62,
    )))
    return signed(replace(old, valid_until_ns=old.stamp_ns + horizon))


def numbered(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """A number that jumps."""
    sequence = max(0, old.sequence + int(pick(rng, SEQUENCES)))
    return signed(replace(old, sequence=sequence))


def unsigned(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """Changed, under the checksum of before; or any checksum."""
    changed = replace(old, candidates=(pick(rng, TRAJECTORIES)(rng, old.candidates[0]),))
    return replace(changed, checksum=int(pick(rng, (old.checksum, *NUMBERS))))


def acting(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """Actions that contradict the motion, or that nobody knows."""
    lateral: Any = int(pick(rng, (0, 1, 2, 3, 4, 5, 6, 255)))
    longitudinal: Any = int(pick(rng, (0, 1, 2, 3, 4, 5, 99, 255)))
    return signed(replace(old, lateral_action=lateral, longitudinal_action=longitudinal))


def hedged(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """Odd uncertainty and cap."""
    return signed(replace(old, uncertainty=some(rng), speed_cap=some(rng)))


def crowd(rng: Rng, path: Trajectory) -> tuple[SceneObject, ...]:
    """Objects on and beside a path, odd ones, and far too many."""
    items = []
    for _ in range(int(pick(rng, (1, 1, 2, 8, 64, 70)))):
        k = int(rng.integers(POINTS))
        odd = rng.random() < 0.1
        items.append(SceneObject(
            ObjectClass.CAR, some(rng) if odd else float(rng.uniform(0.3, 1.0)),
            float(path.x[k]) + (some(rng) if odd else rng.normal(0.0, 0.5)),
            float(path.y[k]) + rng.normal(0.0, float(pick(rng, (0.0, 1.0, 4.0)))),
            float(rng.uniform(-3.2, 3.2)),
            some(rng) if odd else float(pick(rng, (0.0, 0.0, 8.0))), 0.0,
            some(rng) if odd else 4.0, some(rng) if odd else 1.8, 1.5,
        ))
    return tuple(items) * int(pick(rng, (1, 1, 1, 1, 10)))


def crowded(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """A scene full of objects."""
    return signed(replace(old, objects=crowd(rng, old.candidates[0])))


def furnished(rng: Rng, old: Plan, stranger: Plan) -> Plan:
    """Odd lines and signals."""
    with np.errstate(all="ignore"):
        x = np.linspace(0.0, some(rng), int(pick(rng, (0, 1, 2, 20, 500)))).astype(np.float32)
        y = np.full(len(x), some(rng)).astype(np.float32)
    line = LaneLine(LaneLineKind(int(rng.integers(4))), some(rng), x, y[: int(rng.integers(600))])
    control = TrafficControl(
        TrafficControlKind(int(rng.integers(4))), SignalState(int(rng.integers(4))),
        float(rng.uniform(0.0, 1.0)), some(rng), some(rng),
    )
    return signed(replace(
        old, lane_lines=(line,) * int(pick(rng, (1, 4, 30))),
        traffic_controls=(control,) * int(pick(rng, (1, 30))),
    ))


def no_plan(rng: Rng, old: Plan, stranger: Plan) -> Any:
    """Something that is no plan at all, or one with a hole in it."""
    if rng.random() < 0.5:
        return pick(rng, (None, 7, "plan", (), object(), float("nan")))
    hole: dict[str, Any] = {pick(rng, ("stamp_ns", "sequence", "candidates", "checksum")): None}
    return replace(old, **hole)


PLANS: dict[str, Callable[[Rng, Plan, Plan], Any]] = {
    **{change.__name__: _of_trajectories(change) for change in TRAJECTORIES},
    **{
        change.__name__: change for change in (
            count_of_candidates, spliced, stamped, valid_for, numbered, unsigned, acting, hedged,
            crowded, furnished, no_plan,
        )
    },
}

# -- vehicle states ----------------------------------------------------------------------------

_FLOATS = (
    "speed", "wheel_speed", "acceleration", "lateral_acceleration", "yaw_rate", "steering_angle",
    "steering_rate",
)
_FLAGS = (
    "standstill", "steering_override", "brake_override", "accelerator_override", "engage_button",
    "cancel_button", "hazard_lights",
)


def _with(old: VehicleState, **changes: Any) -> VehicleState:
    return signed(replace(old, **changes))


def state_not_finite(rng: Rng, old: VehicleState) -> VehicleState:
    """An odd number."""
    return _with(old, **{pick(rng, _FLOATS): float(pick(rng, _ODD))})


def state_lying(rng: Rng, old: VehicleState) -> VehicleState:
    """A quantity that is not so, by a little or much."""
    name = pick(rng, _FLOATS)
    return _with(old, **{name: getattr(old, name) + _small(rng)})


def state_lying_in_step(rng: Rng, old: VehicleState) -> VehicleState:
    """Both speeds wrong by the same, so that they agree."""
    speed = float(pick(rng, (0.0, 0.5 * old.speed, old.speed + 1.0, 2.0 * old.speed, 24.0, -5.0)))
    return signed(replace(
        old, speed=speed, wheel_speed=speed, standstill=bool(abs(speed) < 0.01),
    ))


def state_stamped(rng: Rng, old: VehicleState) -> VehicleState:
    """From another time."""
    return signed(replace(old, stamp_ns=old.stamp_ns + nanoseconds(pick(rng, STAMPS_S))))


def state_numbered(rng: Rng, old: VehicleState) -> VehicleState:
    """A number that jumps."""
    return signed(replace(old, sequence=max(0, old.sequence + int(pick(rng, SEQUENCES)))))


def state_unsigned(rng: Rng, old: VehicleState) -> VehicleState:
    """Changed, under another checksum."""
    return replace(old, speed=some(rng), checksum=int(pick(rng, (old.checksum, *NUMBERS))))


def state_flags(rng: Rng, old: VehicleState) -> VehicleState:
    """Pedals, wheel and buttons."""
    flags = {name: bool(rng.random() < 0.3) for name in _FLAGS}
    return _with(old, **flags)


def state_gear(rng: Rng, old: VehicleState) -> VehicleState:
    """Another gear, or one that nobody knows."""
    gear = int(pick(rng, (0, 1, 2, 3, 4, 5, 17, 255)))
    return _with(old, gear=gear)


def state_faults(rng: Rng, old: VehicleState) -> VehicleState:
    """The vehicle says that it is broken, shortly or at length."""
    return signed(replace(old, faults=(pick(rng, ("brakes", "x" * 4000, "")),) * 20))


def state_wild(rng: Rng, old: VehicleState) -> VehicleState:
    """Nothing but numbers."""
    return _with(old, **{name: some(rng) for name in _FLOATS})


def no_state(rng: Rng, old: VehicleState) -> Any:
    """Something that is no state at all."""
    return pick(rng, (None, 7, "state", (), object()))


STATES: dict[str, Callable[[Rng, VehicleState], Any]] = {
    change.__name__: change for change in (
        state_not_finite, state_lying, state_lying_in_step, state_stamped, state_numbered,
        state_unsigned, state_flags, state_gear, state_faults, state_wild, no_state,
    )
}
