"""The command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_driving.cli import parser
from vla_driving.commands import score


@pytest.mark.parametrize("text", ["10000", "a:b", "10:10", "20:10", ":5"])
def test_a_span_of_seeds_that_is_none(text: str) -> None:
    arguments = parser().parse_args(["score", "--seeds", text])
    with pytest.raises(ValueError, match="--seeds") as found:
        score.run(arguments)
    assert "10000:10100" in str(found.value)


@pytest.mark.parametrize(
    ("option", "value"), [("--policy", "idm,walker"), ("--maps", "moon"), ("--traffic", "3")]
)
def test_what_is_unknown_is_named(option: str, value: str, tmp_path: Path) -> None:
    arguments = parser().parse_args(["score", option, value, "--out", str(tmp_path)])
    with pytest.raises(ValueError, match=option):
        score.run(arguments)
    assert not list(tmp_path.iterdir())
