"""Cars that act on cue: what the scenario asks of them really happens."""

import itertools
import math

import pytest
from sim_setup import needs_metadrive, world

from vla_driving.simulation.scenario import PlacedObject

pytestmark = needs_metadrive


def car(**values):
    return PlacedObject("car", **({"distance": 25.0, "acts_after": 1.0} | values))


def driven(made, seconds, speed=8.0):
    """Truths while our car holds a speed."""
    for _ in range(round(seconds / 0.1)):
        made.drive(0.0, speed - made.ego.motion.speed, 0.1)
        yield made.truth()


def test_one_ahead_brakes_as_hard_as_it_was_told_to_and_drives_on():
    thing = car(behaviour="brakes", deceleration=6.0, rests=1.0)
    with world(map="SSS", start_speed=8.0, objects=(thing,), traffic_speed=7.0) as made:
        speeds = [t.objects[0].velocity_x for t in driven(made, 6.0, speed=3.0)]
        assert speeds[3] == pytest.approx(8.0, abs=1.5)
        strongest = max(a - b for a, b in itertools.pairwise(speeds)) / 0.1
        assert strongest == pytest.approx(6.0, abs=0.2)
        assert min(speeds) < 0.1
        assert speeds[-1] > 2.0


def test_until_then_it_keeps_its_distance():
    thing = car(behaviour="brakes", acts_after=9.0)
    with world(map="SSSS", start_speed=8.0, objects=(thing,)) as made:
        *_, last = driven(made, 6.0, speed=8.0)
        assert last.objects[0].x == pytest.approx(25.0, abs=2.0)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_one_beside_cuts_in(side):
    thing = car(behaviour="cuts_in", lateral=3.5 * side, manoeuvre_time=2.0, final_speed=5.0)
    with world(map="SSS", start_speed=8.0, objects=(thing,)) as made:
        beside = [t.objects[0].y for t in driven(made, 4.0)]
        assert beside[5] == pytest.approx(3.5 * side, abs=0.1)
        assert beside[-1] == pytest.approx(0.0, abs=0.1)
        steps = [abs(a - b) for a, b in itertools.pairwise(beside)]
        assert max(steps) < 0.4  # 3.5 m in 2 s along a quintic: 3.3 m/s at most
        thing_now = made.truth().objects[0]
        assert math.hypot(thing_now.velocity_x, thing_now.velocity_y) == pytest.approx(5.0, abs=0.1)


def test_a_distance_can_be_counted_from_the_end_of_a_bend():
    thing = PlacedObject("barrier", 10.0, measured_from="bend")
    with world(map="SC", seed=3, objects=(thing,)) as made:
        path, here = made.progress.path, made.progress.along
        body = made.bodies()[0]
        s, left = path.locate(body.x, body.y, here + 100.0, 400.0)
        bends = path.s[abs(path.curvature) > 0.005]
        assert s == pytest.approx(bends.max() + 10.0, abs=3.0)
        assert left == pytest.approx(0.0, abs=0.1)


def test_at_the_end_of_the_road_it_is_gone():
    thing = car(behaviour="brakes", distance=100.0, acts_after=99.0)
    with world(map="S", objects=(thing,), start_speed=10.0) as made:
        truths = list(driven(made, 10.0, speed=10.0))
        assert truths[0].object_keys == ("placed 0",)
        assert truths[-1].object_keys == ()
