"""What the radar sees, and what it does not."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.simulation.radar import POSITION_ERROR, REACH, VELOCITY_ERROR, Radar

FRONT = 3.7


def car(x: float, y: float, heading: float = 0.0) -> SceneObject:
    return SceneObject(ObjectClass.CAR, 1.0, x, y, heading, 5.0, 0.5, 4.5, 1.8, 1.4)


def test_what_hides_behind_another_is_not_seen() -> None:
    near, behind, beside = car(20.0, 0.0), car(40.0, 0.0), car(40.0, 8.0)
    seen = Radar(1).measure([behind, beside, near], FRONT)
    assert [round(o.x / 20.0) for o in seen] == [1, 2]
    assert abs(seen[1].y - 8.0) < 1.0


def test_only_ahead_and_within_reach() -> None:
    away = [car(-20.0, 0.0), car(REACH + FRONT + 5.0, 0.0), car(FRONT, 30.0), car(0.0, 0.0)]
    assert Radar(1).measure(away, FRONT) == ()


def test_errors_are_small_and_follow_from_the_seed() -> None:
    truth = car(30.0, 1.0)
    first, second = (Radar(5) for _ in range(2))
    one = [first.measure([truth], FRONT)[0] for _ in range(400)]
    two = [second.measure([truth], FRONT)[0] for _ in range(400)]
    assert one == two
    assert [o.x for o in one] != [Radar(6).measure([truth], FRONT)[0].x] * 400
    errors = {"x": POSITION_ERROR, "y": POSITION_ERROR, "velocity_x": VELOCITY_ERROR}
    for name, error in errors.items():
        off = np.array([getattr(o, name) for o in one]) - getattr(truth, name)
        assert abs(off.mean()) < 4 * error / math.sqrt(400)
        assert 0.8 * error < off.std() < 1.2 * error


@given(st.lists(st.tuples(
    st.floats(-100, 100), st.floats(-100, 100), st.floats(-math.pi, math.pi)
), max_size=12))
def test_any_surroundings_give_at_most_what_is_there(places: list[tuple[float, ...]]) -> None:
    objects = [car(*place) for place in places]
    seen = Radar(1).measure(objects, FRONT)
    assert len(seen) <= len(objects)
    near = [math.hypot(o.x - FRONT, o.y) for o in objects if math.hypot(o.x - FRONT, o.y) <= REACH]
    assert len(seen) <= len(near)
