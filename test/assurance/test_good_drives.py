"""Good drives: the loop drives, a needless reaction is found and counted, a needed one is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vla_driving.simulation import metadrive

if not metadrive.installed():
    pytest.skip(
        "MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True
    )

import vla_driving.assurance.good_drives as module
from vla_driving.assurance.good_drives import (
    Drive,
    Intervention,
    Settings,
    drive,
    in_time,
    measure,
    shipped_settings,
)
from vla_driving.learning.driving import Setting, load_setting
from vla_driving.learning.scenes import scene

SEED = 20_102


@pytest.fixture(scope="module")
def setting() -> Setting:
    return load_setting(sees=False)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return shipped_settings()


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_S", 8.0)


@pytest.mark.usefixtures("_short")
@pytest.mark.requirement("SR-25")
def test_the_stack_drives_a_good_drive_without_a_word(setting, settings) -> None:
    result = drive(setting, settings, SEED, watched=True)
    assert result.good
    assert result.interventions == []
    assert 5.0 < result.driven_s < 8.0
    assert result.distance_m > 10.0


@pytest.mark.usefixtures("_short")
def test_a_limit_that_is_too_tight_is_found(setting, settings) -> None:
    tight = replace(settings.monitor.plan, max_uncertainty=0.1)
    strict = replace(settings, monitor=replace(settings.monitor, plan=tight))
    said: list[str] = []
    result = measure(setting, strict, [SEED], 1.0, said.append)
    assert len(result.interventions) == 1
    found = result.interventions[0]
    assert (found.check, found.reaction, found.seed) == ("plan_uncertainty", "DEGRADED", SEED)
    assert found.value > found.limit == pytest.approx(0.1)
    report = result.report(1.0)
    assert report["false_interventions"] == 1
    assert report["good_minutes"] == pytest.approx(result.good[0].driven_s / 60.0, abs=0.01)
    assert "plan is uncertain" in said[0]


def test_a_reaction_counts_only_where_the_teacher_alone_does_well(
    monkeypatch: pytest.MonkeyPatch, setting, settings
) -> None:
    stop = Intervention(0, 3.0, "MINIMAL_RISK", "collision_scene", 1.0, 2.5, "s", "stopping")
    ends = {(1, True): "stuck", (1, False): "collision", (2, True): "collision",
            (2, False): "arrived", (3, True): "arrived"}
    asked = []

    def driven(_: Setting, __: Settings, seed: int, watched: bool) -> Drive:
        asked.append((seed, watched))
        found = [replace(stop, seed=seed)] if watched and seed != 3 else []
        return Drive(seed, "S", ends[seed, watched], 60.0, interventions=found)

    monkeypatch.setattr(module, "drive", driven)
    result = measure(setting, settings, [1, 2, 3], 99.0, lambda _: None)
    assert [d.seed for d, _ in result.set_aside] == [1]
    assert [i.seed for i in result.interventions] == [2]
    assert result.good_minutes == pytest.approx(2.0)
    assert (3, False) not in asked


def test_people_step_out_in_time_for_a_calm_stop() -> None:
    late = next(
        s for s in map(scene, range(20_100, 20_200))
        if s.objects and s.objects[0].crossing_speed and s.objects[0].trigger_distance < 25.0
    )
    early = in_time(late)
    assert early.objects[0].trigger_distance >= late.speed_limit**2 / 4.0
    assert replace(early.objects[0], trigger_distance=0.0) == replace(
        late.objects[0], trigger_distance=0.0
    )
