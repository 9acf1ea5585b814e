"""Good drives: the loop drives, a needless reaction is found and counted, a needed one is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_driving.score.interventions import Intervention
from vla_driving.simulation import metadrive

if not metadrive.installed():
    pytest.skip(
        "MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True
    )

import vla_driving.assurance.good_drives as module
from vla_driving.assurance.drive_results import Diary, Drive, Judged
from vla_driving.assurance.good_drives import (
    Settings,
    _choice,
    _Run,
    drive,
    in_time,
    judged,
    measure,
    shipped_settings,
)
from vla_driving.assurance.hindsight import Conflict, Encroachment
from vla_driving.contract.plan import ApprovedPlan, PlanSource
from vla_driving.contract.supervision import Alert, Engagement, Level, Manoeuvre, SafetyState
from vla_driving.contract.trajectory import POINTS, integrate, standing
from vla_driving.learning.driving import Setting, load_setting
from vla_driving.learning.scenes import SAFETY_SEEDS, scene

SEED = SAFETY_SEEDS[2]


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
    assert result.arrived
    assert result.interventions == []
    assert 5.0 < result.driven_s < 8.0
    assert result.distance_m > 10.0


@pytest.mark.usefixtures("_short")
def test_a_limit_that_is_too_tight_is_found(setting, settings) -> None:
    tight = replace(settings.monitor.plan, max_uncertainty=0.1)
    strict = replace(settings, monitor=replace(settings.monitor, plan=tight))
    said: list[str] = []
    result = measure([judged(setting, strict, SEED)], 1.0, said.append)
    assert len(result.interventions) == 1
    found = result.interventions[0]
    assert (found.check, found.reaction) == ("plan_uncertainty", "DEGRADED")
    assert found.value > found.limit == pytest.approx(0.1)
    report = result.report("abc")
    assert report["false_interventions"] == 1
    assert report["good_minutes"] == pytest.approx(result.good[0].driven_s / 60.0, abs=0.01)
    assert "plan is uncertain" in said[0]


CLOSE, EARLY, LATE = Conflict(4.0, 0.8), Conflict(1.9, 0.3), Conflict(6.1, 0.3)
CROSSED, BEFORE, AFTER = Encroachment(4.0, 0.4), Encroachment(1.9, 0.4), Encroachment(6.1, 0.4)
STOP = Intervention(3.0, "MINIMAL_RISK", "collision_scene", 1.0, 2.5, "s", "stopping")


@pytest.mark.parametrize(
    ("watched", "alone", "fault"),
    [
        (Drive(1, "S", "stuck", interventions=[STOP]), Drive(1, "S", "collision"), "collision"),
        (Drive(1, "S", "arrived", interventions=[STOP]), Drive(1, "S", "time"), ""),
        (Drive(1, "S", "arrived", interventions=[STOP]), Drive(1, "S", "arrived", off_road=True),
         "off road"),
        (Drive(1, "S", "arrived", interventions=[STOP]),
         Drive(1, "S", "arrived", conflicts=[CLOSE]),
         "conflict: 0.8 s to contact at 4.0 s"),
        (Drive(1, "S", "arrived", interventions=[STOP]),
         Drive(1, "S", "arrived", conflicts=[LATE, EARLY], encroachments=[BEFORE, AFTER]), ""),
        (Drive(1, "S", "arrived", interventions=[STOP]),
         Drive(1, "S", "arrived", encroachments=[BEFORE, CROSSED]),
         "encroachment: crossed 0.4 s apart at 4.0 s"),
        (Drive(1, "S", "arrived", interventions=[STOP]),
         Drive(1, "S", "arrived", accidents=[1.9, 4.0]), "accident of others at 4.0 s"),
        (Drive(1, "S", "arrived", interventions=[STOP]),
         Drive(1, "S", "arrived", accidents=[1.9, 6.1]), ""),
        (Drive(1, "S", "arrived", interventions=[STOP], conflicts=[CLOSE]),
         Drive(1, "S", "arrived"), ""),
        (Drive(1, "S", "collision"), Drive(1, "S", "arrived"), ""),
        (Drive(1, "S", "collision"), Drive(1, "S", "lost"), "lost"),
        (Drive(1, "S", "arrived", conflicts=[CLOSE]), None, ""),
        (Drive(1, "S", "arrived"), None, ""),
    ],
)
def test_only_the_teacher_alone_makes_a_drive_good(
    monkeypatch: pytest.MonkeyPatch, setting, settings, watched: Drive, alone: Drive | None,
    fault: str,
) -> None:
    drives = {True: watched, False: alone}
    monkeypatch.setattr(module, "drive", lambda *_, watched: drives[watched])
    found = judged(setting, settings, 1)
    assert (found.watched, found.fault, found.alone) == (watched, fault, alone)


def test_a_drive_that_fails_with_the_monitor_alone_was_made_worse() -> None:
    crash, good = Drive(1, "T", "collision", 9.0, interventions=[STOP]), Drive(1, "T", "arrived")
    close = "conflict: 0.8 s to contact at 4.0 s"
    drives = [
        Judged(crash, close, good), Judged(crash, "collision", replace(good, ended="collision")),
        Judged(good), Judged(crash, "", good), Judged(good, "collision", crash),
    ]
    said: list[str] = []
    result = measure(drives, 60.0, said.append)
    assert [d.made_worse for d in drives] == [True, False, False, True, False]
    report = result.report("abc")
    assert [d.made_better for d in drives] == [False, False, False, False, True]
    assert (report["made_worse"], report["made_better"]) == (2, 1)
    assert [d["teacher_alone"] for d in report["made_worse_drives"]] == [close, "good"]
    assert report["set_aside"][0]["made_worse"]
    assert sum("made worse: collision" in line for line in said) == 2
    assert report["driven_twice"] == 4


def test_a_stopped_command_goes_on_where_it_was(tmp_path: Path) -> None:
    stopped = Drive(
        2, "S", "stuck", 60.0, interventions=[STOP], conflicts=[CLOSE], encroachments=[CROSSED],
        accidents=[4.0], remarks={"headway": 2},
    )
    drives = [Judged(Drive(1, "S", "arrived", 60.0), seconds=2.0), Judged(stopped, "", stopped)]
    path = tmp_path / "drives.jsonl"
    diary = Diary(path, "abc")
    assert diary.begin(range(1, 5)) == []
    for one in drives:
        diary.add(one)
    with path.open("a") as lines:
        lines.write('{"key": "abc", "watc')
    assert Diary(path, "abc").begin(range(1, 5)) == drives
    kept: list[int] = []
    more = [Judged(Drive(seed, "S", "arrived", 60.0)) for seed in (3, 4)]
    result = measure(more, 3.0, lambda _: None, lambda r: kept.append(len(r.drives)), drives)
    assert [d.watched.seed for d in result.drives] == [1, 2, 3]
    assert kept == [3]
    assert measure(more, 2.0, lambda _: None, known=drives).drives == drives
    diary.add(Judged(Drive(4, "S", "arrived", 60.0)))
    assert Diary(path, "abc").begin(range(1, 5)) == drives, "what lies behind a gap is driven again"
    assert Diary(path, "other sources").begin(range(1, 5)) == []
    assert path.read_text() == ""


def test_what_is_set_aside_does_not_count_and_minutes_end_it() -> None:
    drives = [
        Judged(Drive(1, "S", "stuck", 60.0, interventions=[STOP]), "collision"),
        Judged(Drive(2, "S", "arrived", 60.0, interventions=[STOP], waits=2, waited_s=1.5)),
        Judged(Drive(3, "S", "arrived", 60.0), seconds=30.0),
        Judged(Drive(4, "S", "arrived", 60.0)),
    ]
    kept: list[int] = []
    result = measure(drives, 2.0, lambda _: None, lambda r: kept.append(len(r.good)))
    assert [d.seed for d in result.good] == [2, 3]
    assert kept == [0, 1, 2]
    report = result.report("abc")
    assert (report["false_interventions"], report["good_minutes"]) == (1, 2.0)
    assert (report["waits"], report["waited_s"]) == (2, 1.5)
    assert [(d["seed"], d["teacher_alone"]) for d in report["set_aside"]] == [(1, "collision")]
    assert report["source_hash"] == "abc"
    assert report["worker_seconds_per_good_minute"] == 15.0


@pytest.mark.usefixtures("_short")
def test_a_car_that_stands_is_held_until_its_way_is_free(setting, settings) -> None:
    """A wait, and no intervention; less speed for a car that moves is one."""
    run = _Run(setting.open(scene(SEED)), settings, Drive(SEED, "S"), True)
    with run._world:
        hold = ApprovedPlan(
            0, 1, 1, 0, 10**18, PlanSource.FALLBACK, True, True, False, 5.0, standing()
        )
        safety = SafetyState(
            0, 1, Level.DEGRADED, Engagement.ENABLED, Manoeuvre.NONE, False, Alert.WARNING, "", ()
        )
        run._stack.safety = replace(safety, level=Level.NOMINAL)
        run._note(())
        run._stack.approved, run._stack.safety = hold, safety
        for _ in range(10):
            run._note(())
        run._stack.approved = replace(hold, hold=False)
        run._note(())
        assert run._result.interventions == []
        assert run._result.waits == 1
        assert run._result.waited_s == pytest.approx(0.2)
        run._stack.safety = replace(safety, level=Level.NOMINAL)
        run._note(())
        run._stack.safety = safety
        run._note(())
        assert [i.reaction for i in run._result.interventions] == ["DEGRADED"]


def test_people_step_out_in_time_for_a_calm_stop() -> None:
    late = next(
        s for s in map(scene, SAFETY_SEEDS)
        if s.objects and s.objects[0].crossing_speed and s.objects[0].trigger_distance < 25.0
    )
    early = in_time(late)
    assert early.objects[0].trigger_distance >= late.speed_limit**2 / 4.0
    assert replace(early.objects[0], trigger_distance=0.0) == replace(
        late.objects[0], trigger_distance=0.0
    )


@pytest.mark.parametrize("bend", [0.0, 0.05])
def test_behind_its_first_choice_the_teacher_gives_way_on_the_same_way(bend: float) -> None:
    path = integrate(8.0, np.full(POINTS, 0.5), np.full(POINTS, bend))
    first, *stops = _choice(path, 8.0)
    for kept, array in zip(first.arrays(), path.arrays(), strict=True):
        assert kept is array
    assert sum(t.probability for t in (first, *stops)) == pytest.approx(1.0)
    assert first.probability > stops[0].probability > stops[1].probability
    for stop, braking in zip(stops, (2.0, 3.4), strict=True):
        assert stop.speed[9] == pytest.approx(8.0 - braking, abs=1e-4)
        assert stop.speed[-1] == 0.0
        off = np.hypot(stop.x[:, None] - path.x, stop.y[:, None] - path.y).min(axis=1)
        assert off.max() < 0.5, "between two points of the path"
        assert np.abs(stop.curvature - bend).max() < 1e-3
    assert _choice(path, 0.05)[0] is path
    assert len(_choice(path, 0.05)) == 1


@pytest.mark.usefixtures("_short")
def test_what_the_first_choice_may_not_the_second_is_driven_and_counted(
    monkeypatch: pytest.MonkeyPatch, setting, settings
) -> None:
    def swerves(path, speed):
        first, *stops = _choice(path, speed)
        if 3.0 < world.time_s < 3.5:
            first = integrate(speed, np.zeros(POINTS), np.full(POINTS, 0.3), 0.8)
        return first, *stops

    monkeypatch.setattr(module, "_choice", swerves)
    with setting.open(in_time(scene(SEED))) as world:
        result = _Run(world, settings, Drive(SEED, "S"), True).to_the_end()
    assert result.interventions == []
    assert result.gave_way == 1
    assert 0.3 < result.gave_way_s < 0.8
