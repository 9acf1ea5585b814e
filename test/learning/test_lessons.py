"""Each kind of rare scene: what it is named after really happens while the teacher drives."""

import itertools
import math

import numpy as np
import pytest

from vla_driving.simulation import metadrive

if not metadrive.installed():
    pytest.skip(
        "MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True
    )

from sim_worlds import blind_setting, drive

from vla_driving.learning.guide import Guide
from vla_driving.learning.lessons import EVERYDAY, KINDS, Talk, lesson, lesson_of
from vla_driving.learning.scenes import SELECT_SEEDS, scene

SEED = SELECT_SEEDS[5]


def seen(kind, seconds, seed=SEED):
    """(key, object, truth) at each step of a drive, one list a step."""
    task = lesson_of(kind, seed)
    with blind_setting().open(task.scenario) as world:
        guide = Guide(world)
        return task.scenario, [c.truth for c in drive(world, guide, seconds)]


def one(truth):
    return truth.objects[truth.object_keys.index("placed 0")]


def test_a_lesson_follows_from_its_seed():
    assert lesson(17) == lesson(17)
    assert lesson(17) != lesson(18)
    for kind in KINDS:
        assert lesson_of(kind, 4) == lesson_of(kind, 4)


def test_all_kinds_and_all_that_can_be_said_come_up():
    lessons = [lesson(s) for s in range(1500)]
    counts = {k: sum(x.kind == k for x in lessons) for k in (EVERYDAY, *KINDS)}
    assert min(counts.values()) > 40
    assert 0.35 < counts[EVERYDAY] / 1500 < 0.5
    assert 0.4 < np.mean([bool(x.talk) for x in lessons]) < 0.6
    assert {t for x in lessons for t in x.talk} == set(Talk)
    assert all(x.scenario == scene(x.seed).replace(name=x.scenario.name)
               for x in lessons if x.kind == EVERYDAY)


def test_whom_one_follows_drives_on_at_a_steady_speed():
    made = lesson_of("follow", 5)
    assert made.talk == (Talk.GAP, Talk.GAP)
    _, truths = seen("follow", 8.0, 5)
    speeds = [one(t).velocity_x for t in truths[-20:]]
    assert one(truths[-1]).x > 5.0 and max(speeds) - min(speeds) < 0.5
    assert np.mean(speeds) == pytest.approx(made.scenario.objects[0].final_speed, abs=0.7)


def test_cut_in():
    _, truths = seen("cut_in", scenario_time("cut_in") + 4.0)
    beside = [abs(one(t).y) for t in truths[:10]]
    assert min(beside) > 2.5
    last = truths[-1]
    assert one(last).x > 5.0
    assert abs(float(np.interp(one(last).x, last.path_x, last.path_y)) - one(last).y) < 0.5


def scenario_time(kind):
    return lesson_of(kind, SEED).scenario.objects[0].acts_after


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_hard_brake_is_at_least_four_metres_a_second_squared(seed):
    when = lesson_of("hard_brake", seed).scenario.objects[0].acts_after
    _, truths = seen("hard_brake", when + 1.2, seed)
    speeds = [math.hypot(one(t).velocity_x, one(t).velocity_y) for t in truths]
    strongest = max((a - b) / 0.1 for a, b in itertools.pairwise(speeds))
    assert strongest >= 4.0
    assert truths[-1].collisions == 0


def test_stopped_car():
    _, truths = seen("stopped_car", 6.0)
    ahead = [one(t) for t in truths]
    assert all(math.hypot(o.velocity_x, o.velocity_y) == 0.0 for o in ahead)
    first = ahead[0]
    lane = float(np.interp(first.x, truths[0].path_x, truths[0].path_y))
    assert abs(first.y - lane) < 1.2


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_pedestrian_steps_out(seed):
    scenario, truths = seen("pedestrian_steps_out", 14.0, seed)
    beside = [lane_distance(t) for t in truths if one(t).x > 2.0]
    assert beside[0] < -0.5 * scenario.lane_width
    assert max(beside) > -0.5 * scenario.lane_width  # came into the lane before the car was there
    assert truths[-1].collisions == 0


def lane_distance(truth):
    person = one(truth)
    k = int(np.argmin(np.hypot(truth.path_x - person.x, truth.path_y - person.y)))
    heading = truth.path_heading[k]
    dx, dy = person.x - truth.path_x[k], person.y - truth.path_y[k]
    return -math.sin(heading) * dx + math.cos(heading) * dy


def test_obstacle_past_bend_cannot_be_seen_from_before_it():
    task = lesson_of("obstacle_past_bend", SEED)
    with blind_setting().open(task.scenario) as world:
        path = world.progress.path
        thing = world.truth().objects[0]
        bends = path.s[np.abs(path.curvature) > 0.005]
        body = world.bodies()[0]
        s, left = path.locate(body.x, body.y, float(bends.max()), 60.0)
        assert s > bends.max() - 2.0 and abs(left) < 1.5
        assert math.hypot(thing.x, thing.y) > 40.0


def test_dense_merge_is_dense_and_merges():
    for seed in (SEED, SEED + 1):
        scenario = lesson_of("dense_merge", seed).scenario
        with blind_setting().open(scenario) as world:
            roads = world.progress.route.lanes
            assert len(world.truth().objects) >= 5
            assert len({len(lanes) for lanes in roads}) > 1  # a lane ends or joins


def test_roundabout():
    task = lesson_of("roundabout", SEED)
    with blind_setting().open(task.scenario) as world:
        kinds = [j.turn.name for j in world.progress.route.junctions]
    assert "ROUNDABOUT" in kinds


@pytest.mark.parametrize(("kind", "holds"), [
    ("faint_markings", lambda look: look.paint <= 0.4),
    ("glare", lambda look: look.light == "glare"),
    ("night", lambda look: look.light == "night"),
    ("rain_on_lens", lambda look: look.rain >= 0.35),
    ("knocked_camera", lambda look: sorted(
        map(abs, (look.camera_roll, look.camera_pitch, look.camera_yaw))
    ) == [0.0, 0.0, 2.0]),
])
def test_looks(kind, holds):
    for seed in range(20):
        assert holds(lesson_of(kind, seed).scenario.look)
