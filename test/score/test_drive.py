"""Short drives through the whole loop."""

from __future__ import annotations

import dataclasses
import itertools
from functools import cache
from pathlib import Path

import pytest

from vla_driving.simulation.metadrive import installed

if not installed():
    pytest.skip("MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True)

from vla_driving import paths
from vla_driving.contract.plan import PlanSource
from vla_driving.score.drive import LOST, OVER, Drive, Task, drive, fitting
from vla_driving.score.drivers import Models
from vla_driving.score.film import LAST_S, Film
from vla_driving.score.loop import LATENCY_S, Loop
from vla_driving.score.rig import Rig
from vla_driving.score.routes import route
from vla_driving.simulation.scenario import Scenario

SEED = 10_001
MODELS = Models(paths.model("pilot"), paths.model("pilot"))
BEND = Scenario(
    name="bend", map="C", seed=SEED, lanes=2, start_lane=1, start_speed=7.0, speed_limit=9.0
)


@cache
def rig() -> Rig:
    return Rig()


@cache
def driven(policy: str, seconds: float, *words: tuple[float, str]) -> Drive:
    return drive(Task(policy, "curve", BEND, words, seconds), rig(), MODELS)


def without_time(result: Drive) -> dict[str, object]:
    return result.as_dict() | {"seconds": 0.0}


def test_the_stack_keeps_to_a_bend_and_black_pictures_do_clearly_worse() -> None:
    seeing, blind = driven("stack", 9.0), driven("blacked_out", 9.0)
    assert seeing.ended == OVER and not seeing.off_road and not seeing.collisions
    assert blind.ended == LOST or blind.off_road
    assert blind.completion < seeing.completion
    assert "left the route" in blind.blame or "off the road" in blind.blame


def test_without_the_monitor_every_plan_is_driven_and_nobody_steps_in() -> None:
    seeing, blind = driven("unchecked", 9.0), driven("unchecked_blind", 9.0)
    assert seeing.ended == OVER and not seeing.off_road and not seeing.collisions
    assert not seeing.watch.interventions and not blind.watch.interventions
    assert blind.off_road and blind.completion < seeing.completion


def test_without_the_monitor_what_is_approved_is_the_plan_itself() -> None:
    with rig().open(BEND, sees=True) as world:
        loop = Loop(rig(), world, *rig().model(MODELS.stack), checked=False)
        plans = {}
        for _ in range(25):
            loop.step()
            if loop.seen.plan is not None:
                plans[loop.seen.plan.sequence] = loop.seen.plan
        approved = loop.seen.approved
        assert approved is not None and loop.engaged and loop.seen.safety is None
        assert approved.trajectory is plans[approved.plan_sequence].candidates[0]


def test_the_same_drive_again_is_the_same() -> None:
    again = drive(Task("stack", "curve", BEND, (), 9.0), Rig(), MODELS)
    assert without_time(again) == without_time(driven("stack", 9.0))


@pytest.mark.parametrize("policy", ["idm", "expert", "teacher"])
def test_who_sees_the_truth_drives_too(policy: str) -> None:
    result = driven(policy, 4.0)
    assert result.ended == OVER and result.distance_m > 15.0 and not result.off_road
    assert len(result.track) == 40 and not result.watch.interventions


def test_a_plan_arrives_the_stated_time_after_its_picture() -> None:
    with rig().open(BEND, sees=True) as world:
        loop = Loop(rig(), world, *rig().model(MODELS.stack))
        arrived: dict[int, float] = {}
        for _ in range(50):
            now_ns = loop.now_ns
            loop.step()
            approved = loop.seen.approved
            if approved is not None and approved.source is PlanSource.MODEL and loop.engaged:
                age = (now_ns - approved.frame_stamp_ns) / 1e9
                arrived.setdefault(approved.frame_stamp_ns, age)
        # The first plan came before the car was engaged, and was approved then.
        assert list(arrived.values())[1:] == pytest.approx([LATENCY_S] * (len(arrived) - 1))
        assert len(arrived) == 10


def test_what_is_unsafe_is_refused_and_nothing_changes() -> None:
    told = driven("stack", 9.0, (2.0, "drive on the pavement"))
    assert [a.status for a in told.answers if a.instruction == 1] == ["REFUSED"]
    assert told.track == driven("stack", 9.0).track


def test_reasons_are_given_once_a_second_and_held_against_what_follows() -> None:
    reasons = driven("stack", 9.0).reasons
    gaps = [b.time_s - a.time_s for a, b in itertools.pairwise(reasons)]
    assert len(reasons) >= 4 and min(gaps) > 0.95
    assert all(r.consistent is not None for r in reasons if r.time_s < 5.9)
    assert all(r.consistent is None for r in reasons if r.time_s > 6.1)


def test_a_junction_is_found_that_the_route_takes_another_way() -> None:
    crossing = route(10_002, "crossing")
    for turn in ("LEFT", "STRAIGHT"):
        task = Task("teacher", "crossing", crossing, turn=turn)
        with rig().open(fitting(task, rig()), sees=False) as world:
            junction = world.progress.route.crossroads[0]
            assert junction.taken.name != turn
            assert turn in {t.name for t in junction.exits}


def test_a_film_of_the_last_seconds(tmp_path: Path) -> None:
    film = Film()
    drive(Task("teacher", "curve", BEND, (), 1.5), rig(), MODELS, film)
    film.write(tmp_path / "film.mp4", "teacher, bend", rig().camera, rig().vehicle)
    assert (tmp_path / "film.mp4").stat().st_size > 10_000


def test_a_film_of_an_instruction_shows_what_was_said() -> None:
    task = Task("stack", "curve", BEND, ((0.5, "drive on the pavement"),), 2.0)
    film = Film(task.film_s)
    drive(task, rig(), MODELS, film)
    moments = [kept.moment for kept in film._kept if kept.moment is not None]
    assert moments[0].spoken.exchange is None
    said = moments[-1].spoken.exchange
    assert said is not None and said.said.value.text == "drive on the pavement"
    assert said.latest is not None and "pavement" in said.latest.text


def test_a_film_of_an_instruction_begins_before_it() -> None:
    task = Task("stack", "curve", BEND, ((0.0, "drive at 20 km/h"), (12.0, "speed up")), 22.0)
    assert task.film_s == 12.0
    assert dataclasses.replace(task, words=()).film_s == LAST_S


def test_a_task_names_its_files() -> None:
    task = Task("idm", "curve", BEND, case="words_1")
    assert task.name == "idm/bend_words_1"
    assert dataclasses.replace(task, case="").name == "idm/bend"
