"""Checks of the drive itself: the car, the driver, and whether the car does as approved."""

from __future__ import annotations

import math

from vla_driving.contract.events import Severity
from vla_driving.contract.navigation import Turn
from vla_driving.contract.supervision import Level, Verdict
from vla_driving.contract.vehicle import DriverState, Gear
from vla_driving.safety.checks.table import (
    Group,
    Limits,
    Measured,
    Situation,
    StateCheck,
    noted,
)


def _no_state() -> Measured:
    return Measured(0.0, Verdict.NOT_INITIALISED, says="vehicle state has never come")


def _operating_speed(situation: Situation) -> Measured:
    return _no_state() if situation.state is None else Measured(abs(situation.state.speed))


def _gear(situation: Situation) -> Measured:
    if situation.state is None:
        return _no_state()
    gear = situation.state.gear
    says = f"gear is {_name(gear)}"
    return Measured(float(gear), Verdict.PASS if gear == Gear.DRIVE else Verdict.FAIL, says=says)


def _name(gear: int) -> str:
    return Gear(gear).name if gear in Gear.__members__.values() else str(gear)


def _faults(situation: Situation) -> Measured:
    if situation.state is None:
        return _no_state()
    faults = situation.state.faults
    says = f"the vehicle reports {', '.join(faults[:3])[:120]}" if faults else None
    return Measured(float(len(faults)), says=says)


def _gear_and_faults(situation: Situation) -> object:
    state = situation.state
    return None if state is None else (state.gear, state.faults)


def _driver(situation: Situation) -> DriverState | None:
    return situation.intake.driver_state.newest


def _of_driver(situation: Situation) -> object:
    return situation.intake.driver_state.version


def _not_asked(situation: Situation) -> Measured | None:
    """Verdict where nothing can be said of the driver, or None where it can."""
    if situation.settings.driver.requirement == "L4":
        return Measured(0.0, Verdict.PASS, says="no driver is needed")
    if _driver(situation) is None:
        return Measured(0.0, Verdict.NOT_INITIALISED, says="driver state has never come")
    return None


def _driver_present(situation: Situation) -> Measured:
    driver = _driver(situation)
    unknown = _not_asked(situation)
    if unknown is not None or driver is None:
        return unknown or Measured(1.0)
    return Measured(1.0 if driver.present else 0.0)


def _attention(situation: Situation, off_s: float, info: float, limit: float) -> Measured:
    unknown = _not_asked(situation)
    if unknown is not None:
        return unknown
    return Measured(off_s, Verdict.WARN if info < off_s <= limit else None)


def _eyes(situation: Situation) -> Measured:
    driver, asked = _driver(situation), situation.settings.driver
    off = 0.0 if driver is None or driver.eyes_on_road else driver.eyes_off_duration_s
    return _attention(situation, off, asked.eyes_off_info, asked.eyes_off_limit)


def _hands(situation: Situation) -> Measured:
    driver, asked = _driver(situation), situation.settings.driver
    off = 0.0 if driver is None or driver.hands_on_wheel else driver.hands_off_duration_s
    return _attention(situation, off, asked.hands_off_info, asked.hands_off_limit)


def _lock_out(situation: Situation) -> Measured:
    return Measured(float(situation.hand_overs))


def _route_deviation(situation: Situation) -> Measured:
    if situation.intake.route.fresh(situation.now_ns) is None:
        return Measured(0.0, Verdict.PASS, says="no route to be off")
    return Measured(situation.route_deviation)


def _route_end(situation: Situation) -> Measured:
    route = situation.intake.route.fresh(situation.now_ns)
    if route is None or route.next_turn != Turn.ARRIVE:
        return Measured(math.inf, Verdict.PASS, says="the route goes on")
    return Measured(route.distance_to_goal)


def _above_cap(situation: Situation) -> Measured:
    return Measured(situation.above_cap)


def _path_deviation(situation: Situation) -> Measured:
    return Measured(situation.path_deviation)


def _speed_excess(situation: Situation) -> Measured:
    return Measured(situation.speed_excess)


def _lateral_motion(situation: Situation) -> Measured:
    state = situation.state
    if state is None:
        return _no_state()
    # Accelerometer, and speed times yaw rate: the smaller one is not a sensor fault.
    return Measured(min(abs(state.lateral_acceleration), abs(state.speed * state.yaw_rate)))


def _longitudinal_motion(situation: Situation) -> Measured:
    state, vehicle = situation.state, situation.limits.vehicle
    if state is None:
        return _no_state()
    forward = state.acceleration >= 0.0
    own = vehicle.max_acceleration if forward else vehicle.max_deceleration
    return Measured(abs(state.acceleration), limit=situation.settings.following.excess_factor * own)


def _confirm(limits: Limits) -> float:
    return limits.settings.following.confirm


def _slow(limits: Limits) -> float:
    return limits.settings.operation.confirm


def _excess_duration(limits: Limits) -> float:
    return limits.settings.following.excess_duration


_STATE = "vehicle/state"
_DRIVER = "vla/driver_state"
_MOTION = "vla/approved_plan, vehicle/state"

CHECKS: tuple[StateCheck, ...] = (
    StateCheck(
        "operating_speed", Group.OPERATION, _STATE,
        lambda k: k.vehicle.max_speed + k.settings.world.speed_tolerance, "m/s", Severity.WARNING,
        Level.DEGRADED, "driving at {value}", "max_speed of the car",
        measure=_operating_speed, hand_over=True, confirm=_confirm,
    ),
    StateCheck(
        "route_deviation", Group.OPERATION, "vla/route",
        lambda k: k.settings.operation.max_route_deviation, "m", Severity.WARNING, Level.DEGRADED,
        "car is {value} off the route", "navigation accuracy",
        measure=_route_deviation, hand_over=True, confirm=_slow,
    ),
    StateCheck(
        "route_end", Group.OPERATION, "vla/route", lambda k: k.settings.operation.route_end, "m",
        Severity.WARNING, Level.DEGRADED, "the route ends in {value}", "no drive without a goal",
        measure=_route_end, at_least=True, hand_over=True,
    ),
    StateCheck(
        "gear", Group.OPERATION, _STATE, lambda _: float(Gear.DRIVE), "", Severity.ERROR,
        Level.MINIMAL_RISK, "gear is {value}", "the stack drives forward only",
        measure=_gear, reads=_gear_and_faults, confirm=_confirm,
    ),
    StateCheck(
        "vehicle_faults", Group.OPERATION, _STATE, lambda _: 0.0, "faults", Severity.ERROR,
        Level.MINIMAL_RISK, "the vehicle reports {value}", "faults of the vehicle",
        measure=_faults, reads=_gear_and_faults, confirm=_confirm,
    ),
    StateCheck(
        "driver_present", Group.OPERATION, _DRIVER, lambda _: 1.0, "", Severity.ERROR,
        Level.MINIMAL_RISK, "driver is not in the seat", "L2 needs a driver",
        measure=_driver_present, reads=_of_driver, at_least=True, confirm=_confirm,
    ),
    StateCheck(
        "driver_eyes", Group.OPERATION, _DRIVER, lambda k: k.settings.driver.eyes_off_limit, "s",
        Severity.ERROR, Level.DEGRADED, "eyes off the road for {value}", "openpilot: 3, 5, 11 s",
        measure=_eyes, reads=_of_driver, hand_over=True,
    ),
    StateCheck(
        "driver_hands", Group.OPERATION, _DRIVER, lambda k: k.settings.driver.hands_off_limit, "s",
        Severity.ERROR, Level.DEGRADED, "hands off the wheel for {value}",
        "openpilot: 15, 24, 30 s", measure=_hands, reads=_of_driver, hand_over=True,
    ),
    StateCheck(
        "driver_lock_out", Group.OPERATION, _DRIVER,
        lambda k: k.settings.driver.max_hand_overs - 1.0, "hand-overs", Severity.WARNING,
        Level.DEGRADED, "{value} for want of attention: locked out until restarted",
        "openpilot: 3 terminal alerts", measure=_lock_out, reads=noted, hand_over=True,
    ),
    StateCheck(
        "path_deviation", Group.OPERATION, _MOTION,
        lambda k: k.settings.following.max_path_deviation, "m", Severity.ERROR, Level.MINIMAL_RISK,
        "car is {value} beside the approved path", "Autoware control_validator: 1 m",
        measure=_path_deviation, confirm=_confirm,
    ),
    StateCheck(
        "speed_excess", Group.OPERATION, _MOTION, lambda k: k.settings.following.max_speed_excess,
        "m/s", Severity.ERROR, Level.MINIMAL_RISK, "car is {value} faster than approved",
        "approved plan against measured motion", measure=_speed_excess, confirm=_confirm,
    ),
    StateCheck(
        "speed_cap", Group.OPERATION, _MOTION, lambda k: k.settings.following.max_speed_excess,
        "m/s", Severity.ERROR, Level.MINIMAL_RISK, "car is {value} above the cap that it was given",
        "speed_cap of the approved plan against measured motion",
        measure=_above_cap, confirm=_slow,
    ),
    StateCheck(
        "lateral_motion", Group.OPERATION, _STATE,
        lambda k: k.settings.following.excess_factor * k.vehicle.max_lateral_acceleration, "m/s^2",
        Severity.CRITICAL, Level.MINIMAL_RISK, "car corners at {value}",
        "openpilot: twice the limits for 0.25 s", measure=_lateral_motion,
        confirm=_excess_duration,
    ),
    StateCheck(
        "longitudinal_motion", Group.OPERATION, _STATE,
        lambda k: k.settings.following.excess_factor * k.vehicle.max_deceleration, "m/s^2",
        Severity.CRITICAL, Level.MINIMAL_RISK, "car accelerates or brakes at {value}",
        "openpilot: twice the limits for 0.25 s", measure=_longitudinal_motion,
        confirm=_excess_duration,
    ),
)
