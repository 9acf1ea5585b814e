"""Candidates as arrays: those that are sound, in their order, and parts of them."""

from dataclasses import replace

import numpy as np
import pytest
from drive import START, constant

from vla_driving.contract.plan import MAX_CANDIDATES
from vla_driving.contract.trajectory import POINTS, Trajectories
from vla_driving.safety.candidates import Batch, batch

SPEEDS = (1.0, 2.0, 3.0, 4.0)
NAMES = ("time", "x", "y", "heading", "speed", "acceleration", "curvature")


@pytest.fixture
def four() -> Batch:
    return batch(START, tuple(constant(speed, 0.1, 0.01) for speed in SPEEDS))


def test_every_channel_is_where_it_belongs(four: Batch) -> None:
    assert len(four) == 4
    assert four.stamp_ns == START
    for k, speed in enumerate(SPEEDS):
        trajectory = constant(speed, 0.1, 0.01)
        for name in NAMES:
            np.testing.assert_array_equal(getattr(four, name)[k], getattr(trajectory, name))
    assert four.x.dtype == np.float64


def test_as_they_travelled_they_are_the_same(four: Batch) -> None:
    paths = [constant(speed, 0.1, 0.01) for speed in SPEEDS]
    rows = [np.concatenate([[p.probability], *p.arrays()]) for p in paths]
    travelled = batch(START, Trajectories(np.stack(rows).astype(np.float32)))
    np.testing.assert_array_equal(travelled.values, four.values)


def test_a_part_is_from_the_first_to_before_the_last(four: Batch) -> None:
    part = four.part(1, 3)
    assert part.stamp_ns == START
    for name in NAMES:
        np.testing.assert_array_equal(getattr(part, name), getattr(four, name)[1:3])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(0,), (POINTS - 1,), (POINTS + 1,), (1, POINTS), ()])
def test_one_array_of_another_shape_spoils_its_candidate_alone(
    name: str, shape: tuple[int, ...]
) -> None:
    odd = replace(constant(2.0), **{name: np.zeros(shape, np.float32)})
    both = batch(START, (odd, constant(3.0)))
    for channel in NAMES:
        assert np.isnan(getattr(both, channel)[0]).all()
        assert np.isfinite(getattr(both, channel)[1]).all()


def test_no_more_than_may_come_are_looked_at() -> None:
    assert len(batch(START, (constant(1.0),) * (MAX_CANDIDATES + 3))) == MAX_CANDIDATES
    assert batch(START, ()).x.shape == (0, POINTS)
