"""Quantiles and medians of the bench."""

import pytest

from vla_driving.bench.figures import median_of_rounds, milliseconds, quantile


def test_quantiles_are_of_the_values_themselves() -> None:
    values = [float(v) for v in range(100, 0, -1)]
    assert quantile(values, 0.5) == 51.0 and quantile(values, 0.99) == 100.0
    with pytest.raises(ValueError, match="no measurement"):
        quantile([], 0.5)


def test_every_pass_is_timed() -> None:
    calls: list[int] = []
    assert len(milliseconds(lambda: calls.append(1), 7)) == len(calls) == 7


def test_one_slow_round_does_not_make_the_median() -> None:
    rounds = iter([1.0, 50.0, 2.0])
    assert median_of_rounds(lambda: next(rounds), 3) == 2.0
