"""Proof: whatever is asked for, in whatever order, the actuator envelope is kept.

By induction over steps: every output lies within the bounds if the one before it did, for any car
that VehicleParameters allows, any demand, speed, clock and period; the first output is zero. The
functions that run are those of `control.envelope` themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import z3
from hypothesis import given
from hypothesis import strategies as st
from symbolic import (
    Functions,
    Refuted,
    broken,
    implies,
    largest,
    numbers_of,
    paths,
    prove,
    real,
    term,
    truth,
    unknowns,
)

from vla_driving.contract.rates import Rates
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.control import envelope

STOPPING = truth("stopping")


@dataclass(frozen=True)
class Setup:
    """Any car, any output before, and what is known of them."""

    car: VehicleParameters
    before: Any
    period: Any
    known: list[Any]


def setup(module: ModuleType) -> Setup:
    car, known = unknowns(VehicleParameters)
    # load_vehicle refuses other cars.
    known.append(car.emergency_deceleration.z >= car.max_deceleration.z)
    before = module.Actuation(*map(real, ("angle", "rate", "acceleration", "jerk")))
    low, high = Rates.__dataclass_fields__["command"].metadata["range"]
    period = real("period")
    known += [period.z * term(low) <= 1, period.z * term(high) >= 1]
    known += [claim.z for claim in bounds(car, before)]
    return Setup(car, before, period, known)


def bounds(car: VehicleParameters, out: Any) -> list[Any]:
    """What holds of every output."""
    return [
        abs(out.steering_angle) <= car.max_steering_angle,
        out.acceleration <= car.max_acceleration,
        out.acceleration >= -car.emergency_deceleration,
    ]


def gate(module: ModuleType, at: Setup, first: bool = False) -> Any:
    made = module.Envelope(at.car, at.period)
    made.last = at.before
    if not first:
        made._stamp_ns = real("stamp_before")
    return made


def step(module: ModuleType, first: bool) -> None:
    """One step of the envelope, for all inputs."""
    at = setup(module)
    car, before = at.car, at.before

    def run() -> tuple[Any, Functions]:
        functions = Functions()
        with numbers_of(functions, module):
            out = gate(module, at, first).step(
                real("wanted"), real("demand"), real("speed"), real("stamp"), STOPPING
            )
        return out, functions

    found = paths(run, at.known)
    assert len(found) >= 8
    for conditions, (out, functions) in found:
        known = [*at.known, *conditions, *functions.facts()]
        for claim in bounds(car, out):
            prove(claim, known)
        prove(abs(out.steering_rate) <= car.max_steering_rate, known)
        prove(implies(STOPPING, abs(out.jerk) <= car.emergency_jerk), known)
        prove(implies(z3.Not(STOPPING.z), abs(out.jerk) <= car.max_jerk), known)
        calm = z3.And(
            z3.Not(STOPPING.z), term(before.acceleration) >= -term(car.max_deceleration)
        )
        prove(implies(calm, out.acceleration >= -car.max_deceleration), known)


def lateral(module: ModuleType) -> None:
    """Lateral acceleration and jerk at the speed that the step is told."""
    at = setup(module)
    car, before = at.car, at.before
    speed, elapsed = real("fast"), real("elapsed")
    known = [*at.known, speed.z >= 0, speed.z <= term(module._MAX_SPEED), elapsed.z >= 0]

    def run() -> tuple[Any, Any, Functions]:
        functions = Functions()
        with numbers_of(functions, module):
            bend_before = functions.tan(before.steering_angle)
            angle = gate(module, at)._angle(real("wanted"), speed, elapsed)
            return bend_before, functions.tan(angle), functions

    for conditions, (was, now, functions) in paths(run, known):
        # Curvature is the tangent over the wheelbase.
        given_ = [*known, *conditions, *functions.facts()]
        highest = car.max_lateral_acceleration * car.wheelbase
        prove(
            abs(now) * speed * speed <= largest(highest, abs(was) * speed * speed), given_
        )
        prove(
            abs(now - was) * speed * speed <= car.max_lateral_jerk * car.wheelbase * elapsed,
            given_,
        )


def takeover(module: ModuleType) -> None:
    """What is taken over from the driver lies within the bounds, too."""
    at = setup(module)

    def run() -> Any:
        with numbers_of(Functions(), module):
            return gate(module, at).follow(real("angle_now"), real("push_now"), real("stamp"))

    for conditions, out in paths(run, at.known):
        for claim in bounds(at.car, out):
            prove(claim, [*at.known, *conditions])


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.requirement("SR-01")
@pytest.mark.proof("envelope: angle, rate, acceleration and jerk of every step")
def test_every_step_keeps_the_envelope(first: bool) -> None:
    step(envelope, first)


@pytest.mark.requirement("SR-01")
@pytest.mark.proof("envelope: lateral acceleration and jerk of every step")
def test_every_step_keeps_lateral_acceleration_and_jerk() -> None:
    lateral(envelope)


@pytest.mark.requirement("SR-01")
@pytest.mark.proof("envelope: what is taken over from the driver")
def test_what_is_taken_over_from_the_driver_is_within_the_envelope() -> None:
    takeover(envelope)


@pytest.mark.requirement("SR-01")
@pytest.mark.proof("envelope: the first output")
def test_the_first_output_is_within_the_envelope() -> None:
    car, known = unknowns(VehicleParameters)
    for claim in bounds(car, envelope.Envelope(car, 0.01).last):
        prove(claim, known)


CLAMP = "return _clamp(_clamp(wanted, -bound, bound), last - step, last + step)"
CONTROLS = [
    (step, CLAMP, "return _clamp(_clamp(wanted, -bound, bound), last - step, last + 1.1 * step)"),
    (step, CLAMP, "return _clamp(wanted, last - step, last + step)"),
    (step, "step = car.max_steering_rate * dt", "step = 1.001 * car.max_steering_rate * dt"),
    (step, "min(max(now_ns - before, 0),", "min(now_ns - before,"),
    (step, "low = -(car.emergency_deceleration if stopping else car.max_deceleration)",
     "low = -car.emergency_deceleration"),
    (step, "step = (car.emergency_jerk if stopping else car.max_jerk) * dt",
     "step = car.emergency_jerk * dt"),
    (step, "high = car.max_acceleration if speed < car.max_speed else 0.0",
     "high = 1.01 * car.max_acceleration"),
    (lateral, "turn = car.max_lateral_jerk / squared * dt",
     "turn = car.max_lateral_jerk / speed * dt"),
    (lateral, "car.wheelbase * car.max_lateral_acceleration / squared",
     "car.max_lateral_acceleration / squared"),
    (lateral, "step = max(step, 0.0)", "step = car.max_steering_rate * dt"),
    (takeover, "_clamp(angle, -car.max_steering_angle, car.max_steering_angle)", "angle"),
]


@pytest.mark.parametrize(("proof", "right", "wrong"), CONTROLS)
@pytest.mark.requirement("SR-01")
@pytest.mark.proof("envelope: the proofs fail on broken code")
def test_the_proof_fails_where_the_code_is_broken(proof: Any, right: str, wrong: str) -> None:
    with broken(envelope, right, wrong) as spoilt, pytest.raises(Refuted):
        proof(spoilt, False) if proof is step else proof(spoilt)


ANY = st.floats(allow_nan=True, allow_infinity=True)
CAR = st.builds(
    lambda **values: VehicleParameters(name="any", **values),
    **{
        item.name: st.floats(*item.metadata["range"])
        for item in VehicleParameters.__dataclass_fields__.values() if "range" in item.metadata
    },
).filter(lambda car: car.emergency_deceleration >= car.max_deceleration)


@given(
    CAR, st.floats(0.005, 0.05),
    st.lists(st.tuples(ANY, ANY, ANY, st.integers(-(2**62), 2**62), st.booleans()), max_size=20),
)
@pytest.mark.requirement("SR-01")
def test_floats_stay_within_a_hair_of_what_is_proved(
    car: VehicleParameters, period_s: float, demands: list[tuple[float, float, float, int, bool]]
) -> None:
    made, stamp = envelope.Envelope(car, period_s), 0
    for angle, push, speed, elapsed, stopping in demands:
        stamp += elapsed
        out = made.step(angle, push, speed, stamp, stopping)
        assert abs(out.steering_angle) <= car.max_steering_angle + 1e-12
        assert -car.emergency_deceleration - 1e-12 <= out.acceleration
        assert out.acceleration <= car.max_acceleration + 1e-12
        # A difference of two floats over a step of a nanosecond or more.
        assert abs(out.steering_rate) <= car.max_steering_rate + 1e-6
        assert abs(out.jerk) <= (car.emergency_jerk if stopping else car.max_jerk) + 1e-5
        assert all(map(math.isfinite, (out.steering_rate, out.jerk)))
