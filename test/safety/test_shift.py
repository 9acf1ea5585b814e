"""The sideways distance as machine code against numpy's own formula."""

from __future__ import annotations

import numpy as np
import pytest

from vla_driving.contract.trajectory import POINTS
from vla_driving.safety.shift import FloatArray, sideways

pytestmark = pytest.mark.requirement("SR-03")


def expected(values: FloatArray, x: FloatArray, y: FloatArray, first: int, last: int) -> FloatArray:
    new_x, new_y = values[1, :, first:last], values[2, :, first:last]
    old_y = np.interp(new_x.ravel(), x, y).reshape(new_x.shape)
    inside = (new_x >= x[0]) & (new_x <= x[-1])
    off = np.where(inside, np.abs(new_y - old_y), 0.0).max(axis=1, initial=0.0)
    return np.where(np.isnan(new_y).any(axis=1), np.nan, off)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_what_numpy_interpolates(seed: int) -> None:
    random = np.random.default_rng(seed)
    x = np.cumsum(np.maximum(random.normal(0.3, 0.5, POINTS), 0.0))
    y = random.normal(0.0, 2.0, POINTS)
    values = random.normal(0.0, 5.0, (7, 4, POINTS))
    values[1] = np.cumsum(np.abs(values[1]), axis=1) * 0.1 - 1.0
    values[1, 1] = x  # exactly on the points, some of them twice
    if seed % 4 == 1:
        values[2, 2, 5] = np.nan
        y[40] = np.inf
    if seed % 4 == 2:
        values[1, 3, 7], y[30:34] = np.nan, np.inf
        x[-3:] = np.inf
    first = int(random.integers(0, POINTS))
    last = int(random.integers(first + 1, POINTS + 1))
    found = sideways(values, x, y, first, last)
    with np.errstate(all="ignore"):
        assert np.array_equal(found, expected(values, x, y, first, last), equal_nan=True)


def test_from_an_infinite_point_the_line_is_measured_from_its_other_end() -> None:
    x, y = np.array([0.0, 2.0]), np.array([np.inf, 1.0])
    values = np.zeros((7, 1, POINTS))
    values[1] = 1.0
    found = sideways(values, x, y, 0, 1)
    assert found == pytest.approx(expected(values, x, y, 0, 1)) == np.inf
