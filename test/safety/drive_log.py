"""Scripted drives, and in plain lines all that the monitor says and approves on them.

`python test/safety/drive_log.py` writes test/safety/logs/ anew, one file a drive: read the
difference before you commit it. The test holds the monitor against these files line by line.
"""

from __future__ import annotations

import copy
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from drive import SETTINGS, START, World, car, constant, signed_plan, signed_state

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import SECOND, nanoseconds
from vla_driving.contract.frames import CameraHealth, FrameStatus
from vla_driving.contract.navigation import EngagementRequest, EngagementWish, Route, Turn
from vla_driving.contract.plan import ApprovedPlan, LateralAction, Plan
from vla_driving.contract.scene import (
    LaneLine,
    LaneLineKind,
    SceneObject,
    SignalState,
    TrafficControl,
    TrafficControlKind,
)
from vla_driving.contract.supervision import Heartbeat, SafetyState, Verdict
from vla_driving.contract.trajectory import POINTS
from vla_driving.contract.vehicle import DriverState, Gear, VehicleState
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import MonitorOutputs

LOGS = Path(__file__).with_name("logs")
_APPROVED_EVERY = 5
"""Steps; where flags or source change an approved plan is told at once."""


def lines(world: World, steps: Iterator[None], passing: bool) -> Iterator[str]:
    """What the monitor says in each step of a drive that `steps` move on.

    Of checks those that change; with `passing` also each that passes when it is first told.
    """
    flags: tuple[object, ...] = ()
    state: SafetyState | None = None
    for count, _ in enumerate(steps):
        out: MonitorOutputs = world.outputs[-1]
        at = _seconds(world.now_ns)
        yield from _events(out)
        if out.safety_state is not None:
            yield from _state(out.safety_state, state, passing)
            state = out.safety_state
        if out.approved is not None:
            now = _flags(out.approved)
            if now != flags or count % _APPROVED_EVERY == 0:
                yield f"{at} approved {_approved(out.approved, world)}"
            flags = now


def _seconds(stamp_ns: int) -> str:
    return f"{(stamp_ns - START) / SECOND:.2f}"


def _events(out: MonitorOutputs) -> Iterator[str]:
    for event in out.events:
        yield (
            f"{_seconds(event.stamp_ns)} event {event.severity.name} {event.source} {event.name} "
            f"about {event.subject}: {_short(event.value)} of {_short(event.limit)} {event.unit} "
            f"| {event.text}"
        )


def _state(state: SafetyState, before: SafetyState | None, passing: bool) -> Iterator[str]:
    at = _seconds(state.stamp_ns)
    told = (
        state.level, state.engagement, state.manoeuvre, state.ready, state.alert,
        state.alert_text,
    )
    if before is None or told != (
        before.level, before.engagement, before.manoeuvre, before.ready, before.alert,
        before.alert_text,
    ):
        yield (
            f"{at} state {state.sequence} {state.level.name} {state.engagement.name} "
            f"{state.manoeuvre.name}{' ready' if state.ready else ''} {state.alert.name} | "
            f"{state.alert_text}"
        )
    known = {} if before is None else {c.name: c for c in before.checks}
    for check in state.checks:
        old = known.get(check.name)
        news = passing or check.verdict != Verdict.PASS
        if (old is None and news) or (old is not None and old.verdict != check.verdict):
            yield (
                f"{at} check {check.name} {check.verdict.name} {_short(check.value)} of "
                f"{_short(check.limit)} {check.unit} {check.reaction.name} | {check.detail}"
            )


def _short(value: float) -> str:
    """Three digits, and none of what is smaller than a thousandth."""
    return f"{round(value, 3) + 0.0 if math.isfinite(value) else value:.3g}"


def _flags(plan: ApprovedPlan) -> tuple[object, ...]:
    return plan.source, plan.engaged, plan.hold, plan.hazard_lights


def _approved(plan: ApprovedPlan, world: World) -> str:
    def ago(stamp_ns: int) -> str:
        return f"{(stamp_ns - world.now_ns) / SECOND:.2f}" if stamp_ns else "never"

    path = plan.trajectory
    flags = [name for name in ("engaged", "hold", "hazard_lights") if getattr(plan, name)]
    arrays = (path.x, path.y, path.speed, path.acceleration)
    points = " ".join(
        "(" + " ".join(f"{round(float(array[k]), 2) + 0.0:.2f}" for array in arrays) + ")"
        for k in (0, 10, 30, 63)
    )
    return (
        f"{plan.sequence} of plan {plan.plan_sequence} {plan.source.name} {' '.join(flags)} "
        f"from {ago(plan.stamp_ns)} until {ago(plan.valid_until_ns)} "
        f"picture {ago(plan.frame_stamp_ns)} cap {plan.speed_cap:.2f} {points}"
    )


# -- drives ------------------------------------------------------------------------------------

EDGE = LaneLine(
    LaneLineKind.ROAD_EDGE_RIGHT, 0.9, np.linspace(-10.0, 120.0, 60, dtype=np.float32),
    np.full(60, -4.0, np.float32),
)
Script = Callable[[World], Iterator[None]]


def run(world: World, duration_s: float, **driver: bool) -> Iterator[None]:
    """Drive on, a step at a time."""
    world.driver = driver
    for _ in range(round(duration_s / 0.02)):
        world.run_step()
        yield
    world.driver = {}


@cache
def _engaged(how: tuple[tuple[str, Any], ...]) -> World:
    """Driving: the inputs have come in, the button was pressed."""
    world = World(**dict(how))
    world.run(0.5).run(0.04, engage_button=True).run(0.3)
    return world


def a_drive_that_begins(world: World) -> Iterator[None]:
    """The button before the checks pass, and once they do."""
    yield from run(world, 0.1, engage_button=True)
    yield from run(world, 0.6)


def a_camera_that_was_never_there(world: World) -> Iterator[None]:
    """The set is not this car's: no engaging."""
    yield from run(world, 0.3, engage_button=True)


def a_driver_who_takes_over(world: World) -> Iterator[None]:
    """Steers, accelerates, brakes, cancels, and asks by the cockpit."""
    world.on_state = lambda state, world: state if state.sequence % 2 else None
    yield from run(world, 0.2, steering_override=True)
    world.on_state = lambda state, world: state
    yield from run(world, 0.7)
    yield from run(world, 0.2, accelerator_override=True)
    yield from run(world, 0.7)
    yield from run(world, 0.1, brake_override=True)
    yield from run(world, 0.2)

    def wish(request: EngagementWish) -> Callable[[MonitorInputs, World], MonitorInputs]:
        return lambda inputs, world: replace(inputs, requests=(
            signed(EngagementRequest(world.now_ns, request, "cockpit")),
        ))

    world.on_inputs = wish(EngagementWish.ENGAGE)
    yield from run(world, 0.02)
    world.on_inputs = lambda inputs, world: inputs
    yield from run(world, 0.2)
    world.on_inputs = wish(EngagementWish.DISENGAGE)
    yield from run(world, 0.02)


def plans_that_are_lost(world: World) -> Iterator[None]:
    """A stop in the lane, hold, and on again."""
    world.on_plan = lambda plan, world: None
    yield from run(world, 3.2)
    world.on_plan = lambda plan, world: plan
    yield from run(world, 0.3)
    yield from run(world, 0.04, engage_button=True)
    yield from run(world, 0.4)
    yield from run(world, 0.1, accelerator_override=True)


def a_state_that_is_lost_while_stopping(world: World) -> Iterator[None]:
    """The stop goes on blind and ends by time."""
    world.on_state = lambda state, world: None
    yield from run(world, 3.8)


def something_that_appears_late(world: World) -> Iterator[None]:
    """Full braking, in the lane although the edge is free, then hold."""
    world.on_plan = lambda plan, world: signed_plan(plan, lane_lines=(EDGE,))
    yield from run(world, 0.2)
    x = world.x + 14.0
    world.objects = lambda world: (world.ahead(x, world.y),)
    yield from run(world, 3.0)


def something_that_comes_into_a_planned_stop(world: World) -> Iterator[None]:
    """A stop in the lane gets harder."""
    world.on_plan = lambda plan, world: None
    yield from run(world, 1.0)
    x = world.x + 11.0
    world.objects = lambda world: (world.ahead(x, world.y),)
    yield from run(world, 1.5)


def something_in_the_way_at_rest(world: World) -> Iterator[None]:
    """The car stands and waits until the way is free; once it moves, the same is a stop."""
    world.on_plan = lambda plan, world: signed_plan(
        plan, candidates=(constant(world.speed, 1.5),), objects=world.objects(world)
    )
    world.objects = lambda world: (car(8.0),)
    yield from run(world, 0.9)
    world.on_plan = lambda plan, world: signed_plan(
        plan, candidates=(constant(world.speed, 1.5),), objects=world.objects(world),
        uncertainty=3.0,
    )
    yield from run(world, 0.3)
    world.objects = lambda world: ()
    yield from run(world, 0.3)
    world.speed = 0.0
    world.objects = lambda world: (car(8.0),)
    yield from run(world, 0.7)
    world.camera = FrameStatus.COVERED
    yield from run(world, 0.3)


def slow_traffic(world: World) -> Iterator[None]:
    """One ahead that is too near: caps, and then none."""

    def ahead(gap: float) -> Callable[[World], tuple[SceneObject, ...]]:
        return lambda world: (car(gap, 0.0, world.speed),)

    def told(plan: Plan, world: World) -> Plan:
        return signed_plan(plan, objects=world.objects(world))

    world.on_plan = told
    world.objects = ahead(8.0)
    yield from run(world, 0.6)
    world.objects = ahead(60.0)
    yield from run(world, 1.6)


def what_only_one_sees(world: World) -> Iterator[None]:
    """The sensor alone, then the model alone: a slow crawl."""
    world.objects = lambda world: (car(18.0, 0.0, 7.0),)
    yield from run(world, 1.2)
    world.objects = lambda world: ()
    world.on_plan = lambda plan, world: signed_plan(plan, objects=(car(18.0, 0.0, 7.0),))
    yield from run(world, 1.2)


def plans_that_are_refused(world: World) -> Iterator[None]:
    """Each for its own reason, and each healed by the next."""
    edge = LaneLine(
        LaneLineKind.ROAD_EDGE_LEFT, 0.9, np.linspace(0.0, 80.0, 40, dtype=np.float32),
        np.full(40, 0.2, np.float32),
    )
    light = TrafficControl(TrafficControlKind.TRAFFIC_LIGHT, SignalState.RED, 0.9, 25.0)
    sign = TrafficControl(TrafficControlKind.SPEED_LIMIT, SignalState.UNKNOWN, 0.9, -1.0, 6.0)
    tight = constant(8.0, 0.0, 0.3)
    changes: tuple[Callable[[Plan], Plan], ...] = (
        lambda plan: signed_plan(plan, candidates=(tight,)),
        lambda plan: signed_plan(plan, candidates=(tight, *plan.candidates)),
        lambda plan: signed_plan(plan, candidates=(
            replace(plan.candidates[0], y=np.full(POINTS, np.inf, np.float32)),
        )),
        lambda plan: signed_plan(plan, objects=(car(30.0), replace(car(40.0), x=np.nan))),
        lambda plan: signed_plan(plan, candidates=()),
        lambda plan: replace(plan, checksum=1),
        lambda plan: signed_plan(plan, sequence=0),
        lambda plan: signed_plan(plan, stamp_ns=plan.stamp_ns + nanoseconds(1.0)),
        lambda plan: signed_plan(plan, lane_lines=(edge,)),
        lambda plan: signed_plan(plan, lane_lines=(replace(edge, kind=LaneLineKind.LANE_LEFT),)),
        lambda plan: signed_plan(
            plan, lane_lines=(replace(edge, kind=LaneLineKind.LANE_LEFT),),
            lateral_action=LateralAction.CHANGE_LEFT,
        ),
        lambda plan: signed_plan(plan, traffic_controls=(light,)),
        lambda plan: signed_plan(plan, traffic_controls=(sign,)),
        lambda plan: signed_plan(plan, uncertainty=0.9),
        lambda plan: signed_plan(plan, speed_cap=5.0),
        lambda plan: signed_plan(plan, valid_until_ns=plan.stamp_ns + nanoseconds(0.1)),
        lambda plan: signed_plan(plan, candidates=(
            replace(plan.candidates[0], y=plan.candidates[0].y + np.float32(0.3)),
        )),
    )
    for change in changes:
        world.on_plan = lambda plan, world, change=change: change(plan)
        yield from run(world, 0.1)
        world.on_plan = lambda plan, world: plan
        yield from run(world, 0.2)


def a_clock_that_jumps(world: World) -> Iterator[None]:
    """Ahead, and back while stopping."""
    world.now_ns += nanoseconds(0.4)
    yield from run(world, 0.6)
    world.now_ns -= nanoseconds(0.5)
    yield from run(world, 1.5)


def a_vehicle_that_is_wrong(world: World) -> Iterator[None]:
    """Each fault for a moment, then a stop for its gear, then none."""
    changes: tuple[dict[str, Any], ...] = (
        {"wheel_speed": 11.0}, {"speed": float("nan")}, {"stamp_ns": 0}, {"sequence": 1},
        {"faults": ("brake_pressure", "steering")}, {"gear": 17}, {"gear": Gear.REVERSE},
    )
    for change in changes:
        world.on_state = lambda state, world, change=change: signed_state(
            state, **change
        )
        yield from run(world, 0.06)
        world.on_state = lambda state, world: state
        yield from run(world, 0.1)


def inputs_that_are_wrong(world: World) -> Iterator[None]:
    """Malformed ones of each topic, a second publisher, a route, signs of life that end."""

    def wrong(inputs: MonitorInputs, world: World) -> MonitorInputs:
        return replace(
            inputs,
            malformed=(("plans", "too long"), ("objects", "x" * 200), ("nobody", "nothing")),
            objects=tuple(replace(o, checksum=1) for o in inputs.objects),
            driver_states=tuple(replace(d, checksum=1) for d in inputs.driver_states),
            frames=tuple(replace(f, checksum=1) for f in inputs.frames),
            heartbeats=(Heartbeat(world.now_ns, "camera_ingest"),),
        )

    world.on_inputs = wrong
    yield from run(world, 0.2)
    route = signed(Route(
        world.now_ns, np.array([0.0, 100.0], np.float32), np.array([0.0, 0.0], np.float32),
        Turn.STRAIGHT, 100.0, 40.0, 6.0, 1,
    ))
    world.on_inputs = lambda inputs, world: replace(inputs, routes=(route,))
    yield from run(world, 0.5)
    two = (("plan", 2), ("approved_plan", 3))
    world.on_inputs = lambda inputs, world: replace(inputs, publishers=two)
    yield from run(world, 0.4)


def a_camera_that_is_covered(world: World) -> Iterator[None]:
    """It is named, and the car stops beside the edge that was seen last."""
    world.on_plan = lambda plan, world: signed_plan(plan, lane_lines=(EDGE,))
    yield from run(world, 0.3)
    world.camera = FrameStatus.COVERED
    yield from run(world, 4.4)


def cameras_that_vanish(world: World) -> Iterator[None]:
    """Camera health stops coming."""

    def none(inputs: MonitorInputs, world: World) -> MonitorInputs:
        frames: tuple[CameraHealth, ...] = ()
        return replace(inputs, frames=frames)

    world.on_inputs = none
    yield from run(world, 0.8)


def a_driver_who_looks_away(world: World) -> Iterator[None]:
    """Told twice, then the car is handed over and stops."""
    began = world.now_ns

    def away(inputs: MonitorInputs, world: World) -> MonitorInputs:
        seconds = 5.0 * (world.now_ns - began) / SECOND + 2.0
        return replace(inputs, driver_states=tuple(
            signed(DriverState(
                d.stamp_ns, True, False, True, seconds, 0.0, d.sequence
            )) for d in inputs.driver_states
        ))

    world.on_inputs = away
    yield from run(world, 3.0)
    world.on_inputs = lambda inputs, world: inputs
    yield from run(world, 0.1, steering_override=True)


def a_car_that_does_not_follow(world: World) -> Iterator[None]:
    """It turns where a straight way is approved, and drives faster."""

    def turning(state: VehicleState, world: World) -> VehicleState:
        return signed_state(
            state, yaw_rate=0.35, speed=state.speed + 0.2, wheel_speed=state.speed + 0.2,
        )

    world.on_state = turning
    yield from run(world, 2.0)


def a_car_that_is_too_fast(world: World) -> Iterator[None]:
    """It gains speed that nobody approved."""
    began = world.now_ns

    def faster(state: VehicleState, world: World) -> VehicleState:
        speed = state.speed + 2.5 * (world.now_ns - began) / SECOND
        return signed_state(state, speed=speed, wheel_speed=speed)

    world.on_state = faster
    yield from run(world, 1.4)


def a_car_that_ignores_its_cap(world: World) -> Iterator[None]:
    """A plan asks for less speed, and nothing comes of it."""
    def as_before(state: VehicleState, world: World) -> VehicleState:
        world.speed = 8.0
        return signed_state(state, speed=8.0, wheel_speed=8.0, acceleration=0.0)

    world.on_plan = lambda plan, world: signed_plan(plan, speed_cap=3.0)
    world.on_state = as_before
    yield from run(world, 3.6)


def a_monitor_that_breaks(world: World) -> Iterator[None]:
    """Something that nothing can be done with at all, three times."""
    broken: Any = None
    for _ in range(3):
        world.on_inputs = lambda inputs, world: broken
        yield from run(world, 0.04)
        world.on_inputs = lambda inputs, world: inputs
        yield from run(world, 0.3)


DRIVES: dict[str, tuple[Script, dict[str, Any]]] = {
    script.__name__: (script, {"speed": 8.0, "target_speed": 8.0, **how})
    for script, how in (
        (a_drive_that_begins, {"begins": True}),
        (a_camera_that_was_never_there, {"begins": True, "cameras": ("front", "left")}),
        (a_driver_who_takes_over, {"target_speed": 10.0}),
        (plans_that_are_lost, {"curvature": 0.02, "speed": 4.5, "target_speed": 4.5}),
        (a_state_that_is_lost_while_stopping, {"speed": 4.0, "target_speed": 4.0}),
        (something_that_appears_late, {}),
        (something_that_comes_into_a_planned_stop, {}),
        (something_in_the_way_at_rest, {"speed": 0.0, "target_speed": 0.0}),
        (slow_traffic, {}),
        (what_only_one_sees, {}),
        (plans_that_are_refused, {}),
        (a_clock_that_jumps, {}),
        (a_vehicle_that_is_wrong, {}),
        (inputs_that_are_wrong, {}),
        (a_camera_that_is_covered, {"speed": 6.5, "target_speed": 6.5}),
        (cameras_that_vanish, {}),
        (a_driver_who_looks_away, {"settings": replace(
            SETTINGS, driver=replace(SETTINGS.driver, requirement="L2"),
        )}),
        (a_car_that_does_not_follow, {}),
        (a_car_that_is_too_fast, {}),
        (a_car_that_ignores_its_cap, {}),
        (a_monitor_that_breaks, {}),
    )
}


def log_of(name: str) -> Iterator[str]:
    """The lines of a drive, as it goes on."""
    script, how = DRIVES[name]
    if how.get("begins"):
        world = World(**{name: value for name, value in how.items() if name != "begins"})
    else:
        world = copy.deepcopy(_engaged(tuple(how.items())))
    return lines(world, script(world), passing=name == "a_drive_that_begins")


def main() -> int:
    """Write all logs."""
    LOGS.mkdir(exist_ok=True)
    for name in DRIVES:
        text = list(itertools.chain([f"# {DRIVES[name][0].__doc__}"], log_of(name)))
        (LOGS / f"{name}.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
        print(f"{name}: {len(text)} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
