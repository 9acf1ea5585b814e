"""Path: where a pose lies along a trajectory."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.trajectory import POINTS, integrate, standing
from vla_driving.control.path import Path


def straight(speed: float = 10.0) -> Path:
    return Path(integrate(speed, np.zeros(POINTS), np.zeros(POINTS)))


def arc(speed: float, curvature: float) -> Path:
    return Path(integrate(speed, np.zeros(POINTS), np.full(POINTS, curvature)))


def test_pose_beside_a_straight_path() -> None:
    point = straight().locate(12.3, 0.4, 0.05)
    assert point.arc_length == pytest.approx(12.3, abs=1e-4)
    assert point.lateral_error == pytest.approx(0.4, abs=1e-5)
    assert point.heading_error == pytest.approx(0.05, abs=1e-6)
    assert point.curvature == 0.0


@given(
    st.floats(2.0, 30.0), st.floats(-0.05, 0.05), st.floats(0.1, 0.9), st.floats(-1.0, 1.0),
    st.floats(-0.5, 0.5),
)
def test_pose_beside_an_arc(
    speed: float, curvature: float, share: float, offset: float, turned: float
) -> None:
    path = arc(speed, curvature)
    s = share * path.length
    heading = curvature * s
    if abs(heading) > 2.5 or abs(curvature) * path.length > 5.0:
        return  # where the circle closes on itself, nearest is ambiguous
    if abs(curvature) < 1e-9:
        x, y = s, 0.0
    else:
        x, y = math.sin(heading) / curvature, (1.0 - math.cos(heading)) / curvature
    x, y = x - offset * math.sin(heading), y + offset * math.cos(heading)
    point = path.locate(x, y, heading + turned)
    chord = speed * 0.1
    sagitta = abs(curvature) * chord**2 / 8.0
    assert point.lateral_error == pytest.approx(offset, abs=2.0 * sagitta + 1e-3)
    assert point.arc_length == pytest.approx(s, abs=0.5 * chord * abs(curvature) + 0.05)
    assert point.heading_error == pytest.approx(turned, abs=chord * abs(curvature) + 1e-3)
    assert point.curvature == pytest.approx(curvature, abs=1e-6)


def test_errors_are_zero_beyond_the_end_and_curvature_is_kept() -> None:
    path = arc(10.0, 0.01)
    point = path.locate(200.0, 50.0, 0.3)
    assert (point.lateral_error, point.heading_error) == (0.0, 0.0)
    assert point.curvature == pytest.approx(0.01)


def test_a_standing_path_has_no_direction() -> None:
    point = Path(standing()).locate(0.3, 0.2, 0.5)
    assert (point.arc_length, point.lateral_error, point.heading_error) == (0.0, 0.0, 0.0)


def test_a_path_that_comes_to_rest_keeps_its_errors_finite() -> None:
    path = Path(integrate(5.0, np.full(POINTS, -2.0), np.full(POINTS, 0.02)))
    point = path.locate(4.0, 0.5, 0.1)
    assert point.lateral_error == pytest.approx(0.5 - 0.16, abs=0.02)


def test_values_over_time() -> None:
    path = Path(integrate(2.0, np.full(POINTS, 1.0), np.zeros(POINTS)))
    assert path.speed_at(0.0) == pytest.approx(2.0)
    assert path.speed_at(1.05) == pytest.approx(3.05, abs=1e-5)
    assert path.acceleration_at(0.0) == pytest.approx(1.0, abs=1e-5)
    assert path.acceleration_at(6.5) == 0.0
    assert path.fastest_between(0.0, 1.0) == pytest.approx(3.0, abs=1e-5)
