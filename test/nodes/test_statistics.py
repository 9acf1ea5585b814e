"""What a node counts about its inputs and steps."""

from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import nanoseconds
from vla_driving.nodes.statistics import InputStatistics, StepStatistics, quantile


def test_gaps_in_the_sequence_are_drops() -> None:
    statistics = InputStatistics(None)
    for arrival, sequence in enumerate([4, 5, 8, 9]):
        statistics.arrived(nanoseconds(arrival * 0.1), sequence)
    assert statistics.dropped == 2 and statistics.received == 4


def test_a_restarted_sequence_is_no_drop() -> None:
    statistics = InputStatistics(None)
    for sequence in (900, 0, 1):
        statistics.arrived(0, sequence)
    assert statistics.dropped == 0


def test_a_gap_beyond_the_deadline_is_counted_once() -> None:
    statistics = InputStatistics(deadline_s=0.2)
    for arrival_s in (0.0, 0.1, 0.29, 0.5, 0.6):
        statistics.arrived(nanoseconds(arrival_s), None)
    assert statistics.missed_deadlines == 1


def test_rate_is_of_the_last_period_only() -> None:
    statistics = InputStatistics(None)
    for _ in range(10):
        statistics.arrived(0, None)
    assert statistics.rate_hz(2.0) == 5.0
    assert statistics.rate_hz(2.0) == 0.0


def test_silence_is_measured_from_the_last_arrival() -> None:
    statistics = InputStatistics(None)
    assert statistics.silent_s(nanoseconds(1.0)) is None
    statistics.arrived(nanoseconds(1.0), None)
    assert statistics.silent_s(nanoseconds(1.5)) == 0.5


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=2000))
def test_quantiles_lie_among_the_values(values: list[float]) -> None:
    assert quantile(values, 0.0) == min(values)
    assert quantile(values, 1.0) == max(values)
    assert quantile(values, 0.5) in values


def test_steps_are_counted_by_duration_and_period() -> None:
    steps = StepStatistics()
    assert steps.figures() == {}
    for k in range(600):
        steps.took(0.01 * k, 0.01 * k + 0.002)
    assert len(steps.duration.kept_ms) == 512
    assert steps.figures() == {
        "step_duration_ms_p50": "2.00", "step_duration_ms_p99": "2.00",
        "step_period_ms_p50": "10.00", "step_period_ms_p99": "10.00",
    }
