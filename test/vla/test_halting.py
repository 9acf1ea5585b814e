"""A plan that halts comes to rest."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.trajectory import PERIOD_S, POINTS, Trajectory, integrate
from vla_driving.vla.halting import LEAST, REST, SLOW, halting

STRAIGHT = np.zeros(POINTS)


def ever_slower(speed: float) -> Trajectory:
    """As the network plans it: gentler the slower the car is, and at rest after 1.5 s."""
    wanted = np.where(np.arange(POINTS) < 14, -0.5 * speed, -2.0)
    return integrate(speed, wanted, STRAIGHT)


def test_asked_anew_at_every_step_the_car_creeps_and_then_it_does_not() -> None:
    crept = stopped = 1.0
    for _ in range(30):
        crept = float(ever_slower(crept).speed[0])
        stopped = float(halting(ever_slower(stopped), stopped).speed[0])
    assert crept > 0.2 and stopped == 0.0


def test_what_does_not_halt_or_is_fast_is_left_alone() -> None:
    starts = integrate(0.5, np.full(POINTS, 1.0), STRAIGHT)
    crawls = integrate(0.5, STRAIGHT, STRAIGHT)
    fast = ever_slower(SLOW + 0.1)
    stands = integrate(0.0, STRAIGHT, STRAIGHT)
    for path, speed in ((starts, 0.5), (crawls, 0.5), (fast, SLOW + 0.1), (stands, 0.0)):
        assert halting(path, speed) is path


def test_one_that_goes_on_after_a_halt_goes_on() -> None:
    wanted = np.where(np.arange(POINTS) < 20, -0.5, 0.5)
    path = integrate(0.6, wanted, STRAIGHT)
    assert halting(path, 0.6) is path


@given(
    st.floats(0.01, SLOW), st.floats(-3.0, 0.0),
    st.lists(st.floats(-0.2, 0.2), min_size=POINTS, max_size=POINTS),
)
def test_it_halts_no_later_and_bends_as_before(
    speed: float, braking: float, bends: list[float]
) -> None:
    path = integrate(speed, np.full(POINTS, braking), np.array(bends))
    halted = halting(path, speed)
    if path.speed[-1] <= REST:
        assert halted.speed[int(np.ceil(speed / LEAST / PERIOD_S))] <= 1e-6
    assert (halted.speed <= path.speed + 1e-6).all()
    assert np.array_equal(halted.curvature, path.curvature)
    assert halted.probability == path.probability
