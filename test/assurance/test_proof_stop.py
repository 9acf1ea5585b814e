"""Proof: the stops reach standstill within the time, distance and deceleration that they state.

By a bound that falls with every step: what `Braking.longest_s` and `longest_m` say is left. The car
is one that does what it is asked; the step is any up to 0.1 s. Proved are `Braking.at`, the stop of
the monitor, and `OwnStop` behind the actuator envelope, the stop of the bridge. `speed_profile`
works on arrays: it is tested to be the very recursion that is proved.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import z3
from hypothesis import given
from hypothesis import strategies as st
from symbolic import (
    Functions,
    Real,
    Refuted,
    broken,
    implies,
    largest,
    numbers_of,
    paths,
    prove,
    real,
    smallest,
    term,
    truth,
    unknowns,
)

from vla_driving.contract.clock import SECOND, nanoseconds
from vla_driving.contract.trajectory import POINTS, TIMES_S
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.control import envelope, tracking
from vla_driving.control import stop as bridge_stop
from vla_driving.control.settings import LongitudinalSettings
from vla_driving.safety import braking
from vla_driving.safety.speed_profile import SUBSTEPS, speed_profile

KINDS = ["comfortable", "emergency"]
PLANNED_LIMIT = 4.0
"""m/s². UN R157 §5.5: a planned minimum-risk manoeuvre asks for no more."""


def begun(module: ModuleType, kind: str) -> tuple[Any, Any, list[Any]]:
    """A car, a stop of it that began at time 0 under any acceleration, and what is known."""
    car, known = unknowns(VehicleParameters)
    functions = Functions()
    with numbers_of(functions, module):
        braking = getattr(module, kind)(car, real("measured"), 0)
    return car, braking, known


def monitor_stop(module: ModuleType, kind: str) -> None:
    """Deceleration, time and distance of the monitor's own stop."""
    _, braking, known = begun(module, kind)
    passed, step, speed = real("passed"), real("step"), real("speed")
    known += [passed.z >= 0, step.z > 0, step.z <= z3.Q(1, 10), speed.z > 0, speed.z <= 100]

    def run() -> tuple[Any, ...]:
        with numbers_of(Functions(), module):
            push = braking.at((passed + 0.5 * step) * SECOND)
            after = largest(speed + push * step, 0)
            return (
                push, after, braking.longest_s(speed), braking.longest_s(after),
                braking.longest_m(speed), braking.longest_m(after),
                braking.deceleration / braking.jerk,
            )

    for conditions, (push, after, time, time_after, way, way_after, build_up) in paths(run, known):
        given_ = [*known, *conditions]
        hardest = largest(braking.deceleration, -braking.acceleration)
        prove(push <= 0, given_)
        prove(push >= -hardest, given_)
        # Of the build-up in longest_s and longest_m, what has passed is not to come any more.
        gone, gone_after = smallest(passed, build_up), smallest(passed + step, build_up)
        left = time - gone
        moving = after > 0
        prove(implies(moving, time_after - gone_after <= left - step), given_)
        driven = 0.5 * (speed + after) * step
        bound, bound_after = way - speed * gone, way_after - after * gone_after
        prove(implies(moving, bound_after <= bound - driven), given_)
        # Both start at what is stated, and while the car moves something is left of them.
        prove(implies(moving, time_after - gone_after > 0), given_)
        prove(bound > 0, given_)
        # In the last step the car comes to rest within half of what it was fast.
        prove(implies(after <= 0, driven <= 0.5 * hardest * step * step), given_)


def planned_deceleration(module: ModuleType) -> None:
    """The comfortable stop asks for no more than UN R157 allows, unless the car already did."""
    _, braking, known = begun(module, "comfortable")

    def run() -> Any:
        with numbers_of(Functions(), module):
            return braking.at(real("stamp"))

    for conditions, push in paths(run, known):
        calm = Real(term(braking.acceleration)) >= -PLANNED_LIMIT
        prove(implies(calm, push >= -PLANNED_LIMIT), [*known, *conditions])


def bridge_asks(module: ModuleType) -> None:
    """The bridge's own stop always asks for braking, and for its comfort once above landing."""
    car, known = unknowns(VehicleParameters)
    settings, within = unknowns(LongitudinalSettings)
    known += within
    blind = truth("blind")
    functions: list[Functions] = []

    def run() -> tuple[Any, bool]:
        functions.append(Functions())
        with numbers_of(functions[-1], module, tracking):
            made = module.OwnStop(settings, car, real("entry"), 0)
            demand, hold = made.acceleration(
                real("planned"), real("speed"), truth("standing"), blind
            )
            return demand, bool(hold)

    speed = real("speed")
    for (conditions, (demand, hold)), used in zip(paths(run, known), functions, strict=True):
        given_ = [*known, *conditions, *used.facts()]
        gentlest = smallest(
            car.comfort_deceleration, settings.landing_deceleration, settings.hold_deceleration,
            car.max_deceleration,
        )
        prove(demand <= -gentlest, given_)
        fast = z3.And(term(speed) >= term(settings.landing_speed), z3.Not(blind.z))
        if not hold:
            prove(implies(fast, demand <= -car.comfort_deceleration), given_)


def bridge_stands(module: ModuleType) -> None:
    """Behind the envelope, a demand of at least some braking reaches standstill in bounded time.

    With u = max(a + c, 0), what is missing of the braking c, the bound is v/c + u²/(2 j c).
    """
    car, known = unknowns(VehicleParameters)
    last, speed, step, braking = real("last"), real("speed"), real("elapsed"), real("braking")
    known += [
        term(last) >= -term(car.emergency_deceleration), term(last) <= term(car.max_acceleration),
        speed.z > 0, speed.z <= 100, step.z > 0, step.z <= z3.Q(15, 100), braking.z > 0,
        braking.z <= term(car.emergency_deceleration),
    ]
    demand = real("demand")
    known.append(demand.z <= -braking.z)

    def run() -> Any:
        made = module.Envelope(car, 0.01)
        made.last = module.Actuation(0.0, 0.0, last, 0.0)
        with numbers_of(Functions(), module):
            return made._acceleration(demand, speed, step, True)

    for conditions, push in paths(run, known):
        given_ = [*known, *conditions]
        missing, still = largest(last + braking, 0), largest(push + braking, 0)
        after = speed + push * step
        # Both sides times 2 j c, which is positive.
        jerk2 = 2 * term(car.emergency_jerk)
        bound = jerk2 * speed.z + missing.z * missing.z
        bound_after = jerk2 * after.z + still.z * still.z
        prove(still <= largest(missing - car.emergency_jerk * step, 0), given_)
        prove(bound_after <= bound - jerk2 * braking.z * step.z, given_)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.requirement("SR-16")
@pytest.mark.proof("monitor's stop: deceleration, time and distance to standstill")
def test_the_monitors_stop_keeps_what_it_states(kind: str) -> None:
    monitor_stop(braking, kind)


@pytest.mark.requirement("SR-16")
@pytest.mark.proof("monitor's stop: at most 4.0 m/s^2 where planned")
def test_a_planned_stop_is_within_the_regulation() -> None:
    planned_deceleration(braking)


@pytest.mark.requirement("SR-17")
@pytest.mark.proof("bridge's stop: always brakes")
def test_the_bridges_own_stop_always_brakes() -> None:
    bridge_asks(bridge_stop)


@pytest.mark.requirement("SR-17")
@pytest.mark.proof("bridge's stop: reaches standstill behind the envelope")
def test_the_bridges_own_stop_reaches_standstill() -> None:
    bridge_stands(envelope)


CONTROLS = [
    (monitor_stop, braking, "return max(self.acceleration - change, -self.deceleration)",
     "return max(self.acceleration - change, -0.99 * self.deceleration)"),
    (monitor_stop, braking, "return max(self.acceleration - change, -self.deceleration)",
     "return max(self.acceleration - change, -1.01 * self.deceleration)"),
    (monitor_stop, braking, "change = self.jerk * max(age_s(self.since_ns, stamp_ns), 0.0)",
     "change = 0.9 * self.jerk * max(age_s(self.since_ns, stamp_ns), 0.0)"),
    (monitor_stop, braking,
     "return max(speed, 0.0) / self.deceleration + self.deceleration / self.jerk",
     "return 0.9 * max(speed, 0.0) / self.deceleration + self.deceleration / self.jerk"),
    (monitor_stop, braking, "(0.5 * max(speed, 0.0) / self.deceleration + build_up_s)",
     "(0.45 * max(speed, 0.0) / self.deceleration + build_up_s)"),
    (planned_deceleration, braking, "start, vehicle.comfort_deceleration,",
     "start, vehicle.max_deceleration,"),
    (bridge_asks, bridge_stop, "min(-self._vehicle.comfort_deceleration, self._entry, planned)",
     "max(-self._vehicle.comfort_deceleration, planned)"),
    (bridge_asks, bridge_stop, "return -self._vehicle.max_deceleration, standing",
     "return 0.0, standing"),
    (bridge_stands, envelope, "low = -(car.emergency_deceleration if stopping",
     "low = -(0.5 * car.emergency_deceleration if stopping"),
    (bridge_stands, envelope, "step = (car.emergency_jerk if stopping",
     "step = (0.5 * car.emergency_jerk if stopping"),
]


@pytest.mark.parametrize(("proof", "module", "right", "wrong"), CONTROLS)
@pytest.mark.requirement("SR-16", "SR-17")
@pytest.mark.proof("stops: the proofs fail on broken code")
def test_the_proof_fails_where_the_code_is_broken(
    proof: Any, module: ModuleType, right: str, wrong: str
) -> None:
    with broken(module, right, wrong) as spoilt, pytest.raises(Refuted):
        proof(spoilt, "comfortable") if proof is monitor_stop else proof(spoilt)


@given(
    st.floats(0.0, 40.0), st.floats(-8.0, 0.0), st.floats(0.3, 10.0), st.floats(0.5, 60.0),
    st.floats(0.0, 5.0),
)
@pytest.mark.requirement("SR-16")
def test_the_profile_is_the_recursion_that_is_proved(
    speed: float, start: float, deceleration: float, jerk: float, passed_s: float
) -> None:
    stop = braking.Braking(0, start, deceleration, jerk)
    begin_ns = nanoseconds(passed_s)
    distance, speeds = speed_profile(passed_s, speed, start, deceleration, jerk)
    period = float(TIMES_S[0]) / SUBSTEPS
    v, way = speed, 0.0
    for k in range(POINTS):
        for part in range(SUBSTEPS):
            middle_s = begin_ns / SECOND + (k * SUBSTEPS + part + 0.5) * period
            after = max(v + stop.at(nanoseconds(middle_s)) * period, 0.0) if v > 0.0 else 0.0
            way, v = way + 0.5 * (v + after) * period, after
        assert speeds[k] == pytest.approx(v, abs=1e-5)
        assert distance[k] == pytest.approx(way, abs=1e-4)
    if stop.longest_s(speed) + period < TIMES_S[-1]:
        assert speeds[-1] == 0.0
    last_step = 0.5 * max(deceleration, -start) * period**2
    assert distance[-1] <= stop.longest_m(speed) + last_step + 1e-6
    # Where it stands it stays.
    assert not np.diff(distance[speeds <= 0.0]).any()
