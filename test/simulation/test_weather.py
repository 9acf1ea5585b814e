"""What light, rain, worn paint and a knocked camera do to the picture."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_setup import CAMERA, needs_metadrive, open_renderer, world

from vla_driving.contract.scene import LaneLineKind
from vla_driving.simulation.scenario import Look, PlacedObject
from vla_driving.simulation.visibility import line_contrast
from vla_driving.simulation.weather import Weather

GREY = np.full((CAMERA.height, CAMERA.width, 3), 120, np.uint8)
HERE = np.eye(4)


def facing(heading):
    base = np.eye(4)
    c, s = math.cos(heading), math.sin(heading)
    base[:2, :2] = [[c, -s], [s, c]]
    return base


def painted(look, base=HERE, lamps=(), seed=1, time_s=0.0, image=GREY):
    return Weather(look, seed, CAMERA, 0.0).apply(image, base, lamps, time_s)


def test_by_day_the_picture_is_left_alone():
    assert painted(Look()) is GREY


@given(st.integers(0, 10_000), st.floats(0.0, 100.0), st.sampled_from(["day", "glare", "night"]))
@settings(max_examples=15, deadline=None)
def test_the_same_seed_and_time_give_the_same_picture(seed, time_s, light):
    look = Look(light, rain=0.5)
    first, second = (painted(look, seed=seed, time_s=time_s) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_low_sun_blinds_only_who_drives_towards_it():
    towards, away = painted(Look("glare")), painted(Look("glare"), facing(math.pi))
    assert towards.max() > 250 and towards.mean() > GREY.mean()
    np.testing.assert_array_equal(away, GREY)


def test_at_night_the_headlights_reach_the_near_road_alone():
    night = painted(Look("night")).mean(2)
    near = night[-20:, CAMERA.width // 2 - 20:CAMERA.width // 2 + 20].mean()
    assert near > 60.0
    assert night[:20].mean() < 30.0
    assert near > 1.2 * night[-20:, :10].mean()


def test_lamps_shine_where_they_are():
    lamp = np.array([30.0, 2.0])
    lit = painted(Look("night"), lamps=[(lamp, False)]).astype(int)
    change = lit - painted(Look("night"))
    (u, v), = CAMERA.project([[30.0, 2.0, 0.75]])[0]
    row, column = np.unravel_index(change[..., 0].argmax(), change.shape[:2])
    assert (column, row) == (pytest.approx(u, abs=1.0), pytest.approx(v, abs=1.0))
    assert change[..., 0].max() > 100 > change[..., 2].max()


def test_drops_cover_more_the_more_it_rains_and_change_with_time():
    picture = np.random.default_rng(1).integers(0, 255, GREY.shape, dtype=np.uint8)
    small, large = (
        np.abs(painted(Look(rain=r), image=picture).astype(int) - picture).mean()
        for r in (0.2, 1.0)
    )
    assert 0.0 < small < large
    now, later = (painted(Look(rain=1.0), image=picture, time_s=t) for t in (0.5, 2.5))
    assert (now != later).any()
    np.testing.assert_array_equal(now, painted(Look(rain=1.0), image=picture, time_s=1.0))


@needs_metadrive
def test_worn_paint_is_faint():
    eye = open_renderer()
    found = []
    for paint in (1.0, 0.2):
        with world(eye, map="SS", look=Look(paint=paint)) as made:
            made.drive(0.0, 0.0, 0.1)
            line = next(
                x for x in made.truth().lane_lines if x.kind == LaneLineKind.LANE_LEFT
            )
            found.append(line_contrast(made.render(), CAMERA, line, 10.0).michelson)
    eye.close()
    new, worn = found
    assert new > 0.4 and 0.05 < worn < 0.4 * new


@needs_metadrive
@pytest.mark.parametrize(("look", "expected"), [
    (Look(camera_yaw=2.0), (1.0, 0.0)), (Look(camera_pitch=2.0), (0.0, -1.0)),
])
def test_a_camera_knocked_off_by_two_degrees_sees_things_elsewhere(look, expected):
    eye = open_renderer()
    thing = (PlacedObject("car", 30.0),)
    places = []
    for seen in (Look(), look):
        with world(eye, map="SS", objects=thing, look=seen) as made:
            base, actors = made.view()
            change = np.abs(eye.render(base, actors).astype(int) - eye.render(base, []))
            rows, columns = np.nonzero(change.max(2) > 40)
            places.append((columns.mean(), rows.mean()))
    eye.close()
    moved = np.subtract(places[1], places[0])
    pixels = CAMERA.fx * math.radians(2.0)
    np.testing.assert_allclose(moved, np.multiply(expected, pixels), atol=1.5)
