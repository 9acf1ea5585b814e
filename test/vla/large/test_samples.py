"""Sampled actions as candidates."""

import numpy as np
import pytest

from vla_driving.contract.plan import MAX_CANDIDATES
from vla_driving.contract.trajectory import POINTS
from vla_driving.vla.large.samples import candidates
from vla_driving.vla.large.thought import Answer, ThoughtError


def answer(curvatures: list[float]) -> Answer:
    """One sample for each constant curvature."""
    k = np.array(curvatures)[:, None] * np.ones(POINTS)
    return Answer(np.zeros_like(k), k, "because")


def test_samples_that_agree_are_one_candidate_as_probable_as_they_are_many() -> None:
    found, spread = candidates(answer([0.02, 0.0201, 0.0202, -0.02]), 10.0)
    assert [c.probability for c in found] == [0.75, 0.25]
    assert found[0].curvature[0] == pytest.approx(0.0201), "the middle one, as it was drawn"
    assert spread > 1.0


def test_samples_that_are_all_the_same_are_certain() -> None:
    found, spread = candidates(answer([0.01] * 6), 10.0)
    assert [c.probability for c in found] == [1.0] and spread == pytest.approx(0.0, abs=1e-6)


def test_no_more_candidates_than_a_plan_holds() -> None:
    found, _ = candidates(answer(list(np.linspace(-0.1, 0.1, 20))), 15.0)
    assert len(found) == MAX_CANDIDATES
    assert list(found) == sorted(found, key=lambda c: -c.probability)


def test_what_is_not_finite_or_not_there_is_refused() -> None:
    with pytest.raises(ThoughtError, match="not finite"):
        candidates(answer([1e300]), 10.0)
    with pytest.raises(ThoughtError, match="no samples"):
        candidates(answer([]), 10.0)
