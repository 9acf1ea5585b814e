"""A person's real drive is left alone, with the limits as shipped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drive import SETTINGS
from real_drive import NAME, PATH, Log, replayed

pytestmark = [
    pytest.mark.requirement("SR-25"),
    pytest.mark.skipif(
        PATH is None, reason=f"needs {NAME}, a log of comma2k19 that is not part of the project"
    ),
]


@pytest.fixture(scope="module")
def log() -> Log:
    assert PATH is not None
    return Log(PATH)


def test_no_check_fails_on_a_persons_drive(log: Log) -> None:
    found = replayed(log)
    assert found.failed == {}
    assert found.reports > 200
    values = found.values
    assert max(values["speed_limit"]) > 15.0
    assert 0.05 < max(values["speed_sources"]) < 0.6
    assert 0.3 < max(values["longitudinal_motion"]) < 3.5
    assert 0.0 < max(values["path_deviation"]) < 0.2
    assert max(values["vehicle_state_jump"]) == 0.0


def test_limits_that_are_too_tight_would_show(log: Log) -> None:
    following = replace(SETTINGS.following, max_path_deviation=0.2, max_speed_excess=0.5)
    tight = replace(
        SETTINGS, following=replace(following, excess_factor=1.0),
        plan=replace(SETTINGS.plan, max_start_speed=0.02),
    )
    found = replayed(log, tight)
    assert found.failed
