"""Whatever arrives: no exception, bounded outputs, nothing approved outside the limits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import (
    RATES,
    SETTINGS,
    START,
    STATE,
    VEHICLE,
    car,
    constant,
    plan_of,
    signed_plan,
    signed_state,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vla_driving.contract.checksum import approved_plan_checksum, signed
from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.navigation import EngagementRequest, EngagementWish, Route, Turn
from vla_driving.contract.plan import PlanSource
from vla_driving.contract.scene import (
    LaneLine,
    LaneLineKind,
    ObjectList,
    SignalState,
    TrafficControl,
    TrafficControlKind,
)
from vla_driving.contract.supervision import Engagement, Level
from vla_driving.contract.trajectory import POINTS, TIMES_S, Trajectory
from vla_driving.contract.vehicle import DriverState, Gear
from vla_driving.safety.checks import CHECKS
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import MonitorOutputs, SafetyMonitor

pytestmark = pytest.mark.requirement("SR-24")

WILD = st.one_of(
    st.floats(-50.0, 50.0),
    st.floats(width=32),
    st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e30, -1e30, 1e-30]),
)
TIME_STEPS = st.one_of(
    st.just(0.02), st.sampled_from([0.0, 0.1, 0.6, 3.0, -0.01, -2.0]), st.floats(-5.0, 5.0)
)
FLAG = st.sampled_from([False, False, False, True])


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    length = draw(st.sampled_from([POINTS, POINTS, POINTS, 0, 1, 63, 500]))
    start, slope = draw(WILD), draw(WILD)
    with np.errstate(all="ignore"):
        values = (start + slope * np.linspace(0, 1, length)).astype(np.float32)
    if length and draw(FLAG):
        values[draw(st.integers(0, length - 1))] = draw(WILD)
    return values


@st.composite
def trajectories(draw: st.DrawFn) -> Trajectory:
    if draw(st.booleans()):
        sound = constant(
            draw(st.floats(0, 20)), draw(st.floats(-4, 3)), draw(st.floats(-0.1, 0.1))
        )
        if not draw(FLAG):
            return sound
        name = draw(st.sampled_from(["time", "x", "y", "heading", "speed", "curvature"]))
        return replace(sound, **{name: draw(arrays())})
    return Trajectory(draw(WILD), TIMES_S, *(draw(arrays()) for _ in range(6)))


@st.composite
def objects(draw: st.DrawFn) -> tuple[Any, ...]:
    item = replace(
        car(draw(WILD), draw(WILD), 1.0), velocity_x=draw(WILD), velocity_y=draw(WILD),
        heading=draw(WILD), length=draw(WILD), width=draw(WILD), probability=draw(WILD),
    )
    return (item,) * draw(st.sampled_from([0, 1, 3, 70, 300]))


@st.composite
def lines(draw: st.DrawFn) -> LaneLine:
    return LaneLine(
        draw(st.sampled_from(list(LaneLineKind))), draw(WILD), draw(arrays()), draw(arrays())
    )


@st.composite
def inputs(draw: st.DrawFn, now: int, sequence: int) -> MonitorInputs:
    """One step's inputs: good, wrong, late, early or none, of every kind."""
    stamp = now - nanoseconds(draw(st.sampled_from([0.0, 0.0, 0.05, 1.0, -1.0])))
    speed = draw(st.one_of(st.floats(0, 20), WILD))
    state = signed_state(
        STATE, stamp_ns=stamp, sequence=draw(st.sampled_from([sequence, sequence, 0, 2**63])),
        speed=speed, wheel_speed=draw(st.sampled_from([speed, speed, 3.0])),
        acceleration=draw(WILD), yaw_rate=draw(st.one_of(st.floats(-0.5, 0.5), WILD)),
        lateral_acceleration=draw(WILD), steering_angle=draw(WILD),
        gear=draw(st.sampled_from([Gear.DRIVE, Gear.DRIVE, Gear.PARK, 99])),
        standstill=draw(FLAG), engage_button=draw(st.booleans()), cancel_button=draw(FLAG),
        brake_override=draw(FLAG), steering_override=draw(FLAG), accelerator_override=draw(FLAG),
        faults=draw(st.sampled_from([(), (), ("x" * 500,) * 50])),
    )
    plan = signed_plan(
        plan_of(tuple(draw(st.lists(trajectories(), max_size=10))), stamp, sequence),
        valid_until_ns=stamp + draw(st.integers(-(10**9), 10**18)),
        objects=draw(objects()), lane_lines=tuple(draw(st.lists(lines(), max_size=10))),
        traffic_controls=(
            TrafficControl(
                draw(st.sampled_from(list(TrafficControlKind))),
                draw(st.sampled_from(list(SignalState))), draw(WILD), draw(WILD), draw(WILD),
            ),
        ),
        uncertainty=draw(WILD), speed_cap=draw(WILD),
        lateral_action=draw(st.sampled_from([0, 1, 3, 200])),
        longitudinal_action=draw(st.sampled_from([0, 1, 2, 3, 4, 200])),
    )
    chosen = draw(st.integers(0, 255))
    points = draw(arrays())
    junk: tuple[Any, ...] = (None, "text", 7)
    frame = CameraReport("front", stamp, draw(st.sampled_from([*FrameStatus])), 1.0, 2.0)
    return MonitorInputs(
        vehicle_states=(state,) if chosen & 1 else (),
        plans=(plan,) if chosen & 2 else junk[: chosen & 1],
        objects=(
            (signed(ObjectList(stamp, sequence, "radar", draw(objects()))),) if chosen & 4 else ()
        ),
        routes=(
            (signed(Route(
                stamp, points, points, draw(st.sampled_from(list(Turn))), draw(WILD), draw(WILD),
                draw(WILD), sequence,
            )),)
            if chosen & 8 else ()
        ),
        driver_states=(
            (signed(DriverState(
                stamp, draw(st.booleans()), draw(st.booleans()), True, draw(WILD), 0.0, sequence
            )),)
            if chosen & 16 else ()
        ),
        frames=(signed(CameraHealth(stamp, sequence, "m/1", (frame,))),) if chosen & 32 else (),
        requests=(
            (signed(
                EngagementRequest(stamp, draw(st.sampled_from(list(EngagementWish))), "cockpit")
            ), *junk[: draw(st.integers(0, 3))])
            if chosen & 64 else ()
        ),
        publishers=(("vla/plan", draw(st.sampled_from([0, 1, 2, 2**40]))),),
        malformed=(("plans", "unknown enum"), ("?", "?")) if chosen & 128 else (),
    )


def sound(out: MonitorOutputs, now: int) -> None:
    """What must hold of every output."""
    assert len(out.events) <= 16
    if out.safety_state is not None:
        assert len(out.safety_state.alert_text) < 1000
        assert len(out.safety_state.checks) <= len(CHECKS)
        stopping = out.safety_state.engagement in (Engagement.MINIMAL_RISK, Engagement.STOPPED)
        assert stopping or out.safety_state.level <= Level.DEGRADED or out.approved is None
    approved = out.approved
    if approved is None:
        return
    assert approved.checksum == approved_plan_checksum(approved)
    assert 0 <= approved.valid_until_ns - approved.stamp_ns <= nanoseconds(6.4)
    assert 0.0 <= approved.speed_cap <= VEHICLE.max_speed
    trajectory = approved.trajectory
    for values in trajectory.arrays():
        assert values.shape == (POINTS,)
        assert np.isfinite(values).all()
    assert (trajectory.speed >= -SETTINGS.plan.max_reverse_speed).all()
    if approved.source == PlanSource.MODEL:
        slack = 1.0 + SETTINGS.plan.limit_tolerance + 1e-5
        lateral = np.abs(trajectory.speed.astype(float) ** 2 * trajectory.curvature)
        assert lateral.max() <= VEHICLE.max_lateral_acceleration * slack
        assert trajectory.acceleration.max() <= VEHICLE.max_acceleration * slack
        assert trajectory.acceleration.min() >= -VEHICLE.max_deceleration * slack
        assert trajectory.speed.max() <= VEHICLE.max_speed + SETTINGS.world.speed_tolerance + 1e-3
    else:
        assert trajectory.acceleration.max() <= 1e-4
        assert trajectory.acceleration.min() >= -VEHICLE.emergency_deceleration - 1e-3


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_nothing_that_arrives_gets_through_or_raises(data: st.DataObject) -> None:
    monitor = SafetyMonitor(SETTINGS, VEHICLE, RATES)
    now, before = START, Engagement.DISABLED
    for sequence in range(1, data.draw(st.integers(2, 12))):
        now += nanoseconds(data.draw(TIME_STEPS))
        arrived = data.draw(inputs(now, sequence))
        out = monitor.step(arrived, now)
        sound(out, now)
        if out.safety_state is not None:
            after = out.safety_state.engagement
            assert "monitor itself failed" not in out.safety_state.alert_text, (
                out.safety_state.alert_text
            )
            if before == Engagement.MINIMAL_RISK:
                assert after in (
                    Engagement.MINIMAL_RISK, Engagement.STOPPED, Engagement.DISABLED
                )
            before = after


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(trajectories(), min_size=1, max_size=6), st.floats(0.0, 20.0), objects(),
    st.lists(lines(), max_size=3), WILD,
)
def test_a_plan_on_good_inputs_is_approved_within_the_limits_or_not_at_all(
    candidates: list[Trajectory], speed: float, scene: tuple[Any, ...], marks: list[LaneLine],
    uncertainty: float,
) -> None:
    monitor = SafetyMonitor(SETTINGS, VEHICLE, RATES)
    for k in range(3):
        now = START + k * nanoseconds(0.02)
        state = signed_state(
            STATE, stamp_ns=now, sequence=k, speed=speed, wheel_speed=speed, standstill=False
        )
        plan = signed_plan(
            plan_of(tuple(candidates), now, k), objects=scene, lane_lines=tuple(marks),
            uncertainty=uncertainty,
        )
        out = monitor.step(MonitorInputs(vehicle_states=(state,), plans=(plan,)), now)
        assert out.approved is not None
        sound(out, now)
