"""What is made only when asked for is what would have been made at once."""

from __future__ import annotations

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.supervision import Level, Verdict
from vla_driving.safety.candidates import batch
from vla_driving.safety.checks import CANDIDATE_CHECKS, CHECKS
from vla_driving.safety.checks.table import Limits
from vla_driving.safety.compiled import compiled
from vla_driving.safety.judge import Judgement, Outcome, _judged
from vla_driving.safety.obstacles import FloatArray
from vla_driving.safety.paths import Paths, nearest_chords, place, place_on
from vla_driving.safety.report import Events

pytestmark = pytest.mark.requirement("SR-24", "SR-26")

LIMITS = Limits(SETTINGS, VEHICLE)
ROWS = CHECKS[:4]
verdicts = st.lists(st.sampled_from(list(Verdict)), min_size=len(ROWS), max_size=len(ROWS))


def outcomes(said: list[Verdict]) -> list[Outcome]:
    return [Outcome(row, verdict, 1.0, 0.0) for row, verdict in zip(ROWS, said, strict=True)]


@given(st.lists(verdicts, max_size=6))
def test_there_is_news_exactly_where_events_follow(steps: list[list[Verdict]]) -> None:
    events = Events()
    for k, said in enumerate(steps):
        found = outcomes(said)
        news = events.has_news([o for o in found if o.verdict != Verdict.PASS])
        assert news == bool(events.of_checks(found, False, k))


@given(st.integers(0, 2**32 - 1))
def test_a_judgement_of_numbers(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.choice([-1.0, 0.0, 1.0, np.nan, np.inf], (len(CANDIDATE_CHECKS), 3))
    signs = np.array([-1.0 if check.at_least else 1.0 for check in CANDIDATE_CHECKS])
    reactions = np.array([int(check.reaction) for check in CANDIDATE_CHECKS])
    once = np.array([not check.always for check in CANDIDATE_CHECKS])
    failed, asked = _judged(values, signs, np.zeros(len(signs)), reactions, once)
    found = Judgement(CANDIDATE_CHECKS, (0.0,) * len(signs), values, failed, asked, {})
    levels = []
    for c in range(3):
        bad = [
            not (value >= 0.0 if check.at_least else value <= 0.0)
            for check, value in zip(CANDIDATE_CHECKS, values[:, c], strict=True)
        ]
        rows = [check for check, fails in zip(CANDIDATE_CHECKS, bad, strict=True) if fails]
        assert [o.counts for o in found.outcomes(c)] == bad
        assert [o.check for o in found.failures(c)] == rows
        assert found.failures(c) == tuple(o for o in found.outcomes(c) if o.counts) or any(
            np.isnan(values[:, c])
        )
        levels.append(max((check.reaction for check in rows), default=Level.NOMINAL))
        assert found.reaction(c) == levels[-1]
        assert found.reaction_at_approval(c) == max(
            (check.reaction for check in rows if not check.always), default=Level.NOMINAL
        )
    assert found.best() == levels.index(min(levels))


def test_where_every_check_fails_every_failure_is_told() -> None:
    values, asked = np.array([[9.0]]), np.array([[3], [3]])
    found = Judgement(CANDIDATE_CHECKS[:1], (1.0,), values, values > 1.0, asked, {})
    assert [o.value for o in found.failures(0)] == [9.0]


@compiled(np.zeros((1, 6)), np.zeros(1), np.zeros(1))
def _both(
    chords: FloatArray, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    one_by_one, at_once = np.empty((len(x), 4)), np.empty((len(x), 4))
    nearest = nearest_chords(chords, x, y)
    for n in range(len(x)):
        s, d, tx, ty = place(chords, x[n], y[n])
        one_by_one[n, 0], one_by_one[n, 1], one_by_one[n, 2], one_by_one[n, 3] = s, d, tx, ty
        s, d, tx, ty = place_on(chords[nearest[n]], x[n], y[n])
        at_once[n, 0], at_once[n, 1], at_once[n, 2], at_once[n, 3] = s, d, tx, ty
    return one_by_one, at_once


@pytest.mark.parametrize("curvature", [-0.05, 0.0, 0.002, 0.1])
@pytest.mark.parametrize("speed", [0.0, 3.0, 20.0])
def test_points_are_placed_at_once_as_one_by_one(curvature: float, speed: float) -> None:
    random = np.random.default_rng(1)
    paths = Paths(batch(START, (constant(speed, 0.0, curvature),)))
    x, y = random.uniform(-80.0, 160.0, 200), random.uniform(-60.0, 60.0, 200)
    x[0] = np.nan
    one_by_one, at_once = _both(paths.chords[0], x, y)
    np.testing.assert_array_equal(one_by_one, at_once)
    assert np.isfinite(one_by_one[1:]).all()
