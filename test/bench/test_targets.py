"""Figures are held against their targets, and what was not measured is not judged."""

from hypothesis import given
from hypothesis import strategies as st

from vla_driving.bench.targets import TARGETS, judged, table, value_of, with_gain


def test_a_dotted_key_finds_a_nested_figure() -> None:
    figures = {"frame_to_command_ms": {"p99": 12.5}, "name": "text"}
    assert value_of(figures, "frame_to_command_ms.p99") == 12.5
    assert value_of(figures, "frame_to_command_ms.p50") is None
    assert value_of(figures, "name") is None and value_of(figures, "absent.p99") is None


@given(st.floats(0.0, 100.0))
def test_a_figure_is_judged_by_its_limit(value: float) -> None:
    (verdict,) = judged({"overhead_ms_p99": value})
    assert verdict["reached"] == (value <= 8.0)
    (line,) = table({"overhead_ms_p99": value})
    assert line.startswith("reached" if value <= 8.0 else "MISSED")


def test_figures_without_a_limit_are_shown_and_not_judged() -> None:
    assert judged({"forward_ms_p50": 3.0}) == []
    (line,) = table({"forward_ms_p50": 3.0})
    assert "3.00 ms" in line and "reached" not in line and "MISSED" not in line


def test_the_plain_way_stands_beside() -> None:
    figures = with_gain({"jpeg_1080p_ms": 5.0, "jpeg_1080p_plain_ms": 30.0})
    assert figures["jpeg_1080p_gain"] == 6.0
    assert any("the plain way: 30.00 ms" in line for line in table(figures))
    assert "jpeg_1080p_gain" not in with_gain({"jpeg_1080p_ms": 5.0})


def test_every_target_has_a_key_of_its_own() -> None:
    keys = [target.key for target in TARGETS]
    assert len(set(keys)) == len(keys)
