"""Settings refuse what is unknown, missing, mistyped or out of range, in one line that says so."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from vla_driving.contract.settings import (
    SettingsError,
    choice,
    described,
    from_mapping,
    load,
    quantity,
)


@dataclass(frozen=True)
class Inner:
    length: float = quantity("m", 0.0, 10.0, "how long")


@dataclass(frozen=True)
class Outer:
    inner: Inner
    count: int = quantity("", 1, 8)
    colour: str = choice("red", "green")
    names: tuple[str, ...] = described("names")
    on: bool = described("switch")


GOOD = {"inner": {"length": 2}, "count": 3, "colour": "red", "names": ["a"], "on": True}


def test_good_values_are_taken_and_whole_numbers_serve_as_floats() -> None:
    settings = from_mapping(Outer, GOOD, "here")
    assert settings == Outer(Inner(2.0), 3, "red", ("a",), True)
    assert isinstance(settings.inner.length, float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inner": {"length": 11.0}}, ["inner: length", "11.0", "0.0 to 10.0 m"]),
        ({"inner": {"length": float("nan")}}, ["length", "finite", "nan"]),
        ({"inner": {}}, ["length", "missing"]),
        ({"inner": 4}, ["inner", "expected keys", "4"]),
        ({"count": 2.5}, ["count", "whole number", "2.5"]),
        ({"count": True}, ["count", "whole number", "True"]),
        ({"colour": "blue"}, ["colour", "'blue'", "red, green"]),
        ({"names": "a"}, ["names", "list", "'a'"]),
        ({"names": [1]}, ["names[0]", "expected str", "1"]),
        ({"on": "yes"}, ["on", "expected bool", "'yes'"]),
        ({"extra": 1}, ["unknown key 'extra'", "allowed: inner, count"]),
    ],
)
def test_bad_values_are_named(change: dict[str, object], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        from_mapping(Outer, {**GOOD, **change}, "here")
    line = str(caught.value)
    assert "\n" not in line and line.startswith("here")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "expected a mapping"),
        ("", "expected a mapping"),
        ("length: 1.0\nlength: 2.0", "'length' stands twice"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=words) as caught:
        load(Inner, path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.yaml: no such file"):
        load(Inner, tmp_path / "nothing.yaml")
