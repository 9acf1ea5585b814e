"""The camera: whether what it shows lies where its intrinsics and extrinsics say; how clearly."""

import math
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from sim_setup import CAMERA, needs_metadrive, open_renderer, world

from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.frames import Image
from vla_driving.contract.scene import LaneLineKind
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.renderer import Actor, Renderer
from vla_driving.simulation.road import Ribbon, Surfaces
from vla_driving.simulation.visibility import line_contrast, luminance_at
from vla_driving.simulation.world import World

LEVEL = np.eye(4)
ODD = Camera(  # off-centre, stretched, turned in every way
    name="odd", width=320, height=200, fx=260.0, fy=230.0, cx=140.0, cy=110.0,
    mount=Mount(0.5, -0.3, 1.6, 0.06, 0.15, -0.2), distortion_model="none", distortion=(),
)


def plane(*lines: Ribbon) -> Surfaces:
    return Surfaces([stripe(0.0, 80.0)], list(lines), [], [])


def stripe(y: float, width: float = 0.3) -> Ribbon:
    return Ribbon(
        np.array([[-20.0, y + width / 2], [120.0, y + width / 2]]),
        np.array([[-20.0, y - width / 2], [120.0, y - width / 2]]),
    )


def centroid(changed: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(changed)
    return float(columns.mean()), float(rows.mean())


@pytest.fixture(scope="module", params=["shipped", "odd"])
def eye(request: pytest.FixtureRequest) -> Iterator[Renderer]:
    first = open_renderer()
    if request.param == "shipped":
        yield first
    else:
        first.close()
        first = Renderer(ODD)
        yield first
    first.close()


@pytest.mark.parametrize("y", [-3.0, 0.4, 1.5])
@pytest.mark.parametrize("distance", [8.0, 15.0, 25.0])
def test_a_line_is_seen_where_the_camera_model_projects_it(
    eye: Renderer, y: float, distance: float
) -> None:
    eye.load_road(plane(stripe(y, 0.3)))
    image = eye.render(LEVEL, [])
    pixels, _ = eye.camera.project([[distance, y + side, 0.0] for side in (-0.15, 0.0, 0.15)])
    column, row = pixels[1]
    if not (5 < column < eye.camera.width - 5 and 5 < row < eye.camera.height - 5):
        pytest.skip("out of this camera's sight")
    profile = image[round(row)].mean(1)
    window = np.arange(max(0, round(column) - 12), min(eye.camera.width, round(column) + 13))
    bright = np.clip(profile[window] - np.median(profile[window]), 0.0, None)
    # The picture's row is a rounded one: where the line crosses it, by the line's own slant.
    slant = (eye.camera.project([[distance + 0.5, y, 0.0]])[0][0] - pixels[1])
    expected = column + (round(row) - row) * slant[0] / slant[1]
    assert bright.max() > 60.0
    assert (bright * window).sum() / bright.sum() == pytest.approx(expected, abs=0.6)


@pytest.mark.parametrize("place", [(12.0, 1.5), (25.0, -4.0), (40.0, 0.0)])
def test_a_thing_is_seen_where_the_camera_model_projects_it(
    eye: Renderer, place: tuple[float, float]
) -> None:
    eye.load_road(plane())
    box = Actor("box", "no such model", *place, 0.0, 0.4, 0.4, 1.0)
    # Brighter than the road behind it: so without its shadow.
    changed = (eye.render(LEVEL, [box]).astype(int) - eye.render(LEVEL, [])).min(2) > 15
    (u, v), (_, top), (_, bottom) = eye.camera.project(
        [[*place, 0.5], [*place, 1.0], [*place, 0.0]]
    )[0]
    if not (5 < u < eye.camera.width - 5 and top > 5 and bottom < eye.camera.height - 5):
        pytest.skip("out of this camera's sight")
    column, row = centroid(changed)
    assert column == pytest.approx(u, abs=1.0)
    assert row == pytest.approx(v, abs=1.5)


def test_heading_and_place_of_the_car_move_the_picture() -> None:
    eye = open_renderer()
    eye.load_road(plane(stripe(0.0)))
    c, s = math.cos(0.1), math.sin(0.1)
    turned = np.array([[c, -s, 0, 10.0], [s, c, 0, -1.0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    image = eye.render(turned, [])
    # The line y = 0 of the map, seen from base_link.
    x = np.linspace(8.0, 20.0, 30)
    y = (1.0 - x * s) / c
    paint = luminance_at(image, CAMERA, x, y)
    beside = luminance_at(image, CAMERA, x, y + 1.0)
    assert np.nanmin(paint) > np.nanmax(beside) + 80.0
    eye.close()


def test_frames_have_size_type_and_colours_in_order() -> None:
    eye = open_renderer()
    eye.load_road(plane())
    image = eye.render(LEVEL, [])
    assert image.shape == (CAMERA.height, CAMERA.width, 3) and image.dtype == np.uint8
    sky = image[:10].mean((0, 1))
    assert sky[2] > sky[1] > sky[0], "the sky is blue: rgb, not bgr"
    eye.close()


class Drive:
    """A world and the frame from 30 m down its first road."""

    def __init__(self, made: World) -> None:
        self.world = made
        made.place(ahead=30.0, speed=0.0)
        self.image: Image = made.render()
        self.lines = {line.kind: line for line in made.truth().lane_lines}


@pytest.fixture(scope="module")
def drive() -> Iterator[Drive]:
    eye = open_renderer()
    with world(eye, map="SS") as made:
        yield Drive(made)
    eye.close()


@needs_metadrive
class TestRealRoad:
    @pytest.mark.parametrize("kind", [LaneLineKind.LANE_LEFT, LaneLineKind.LANE_RIGHT])
    @pytest.mark.parametrize("distance", [10.0, 20.0, 30.0])
    def test_lane_lines_stand_out(
        self, drive: Drive, kind: LaneLineKind, distance: float
    ) -> None:
        seen = line_contrast(drive.image, CAMERA, drive.lines[kind], distance)
        assert seen.line - seen.asphalt > 80.0
        assert seen.michelson > 0.4

    def test_the_lines_of_the_truth_are_those_of_the_picture(self, drive: Drive) -> None:
        line = drive.lines[LaneLineKind.ROAD_EDGE_RIGHT]
        x = np.linspace(8.0, 20.0, 40)
        y = np.interp(x, line.x, line.y)
        paint = luminance_at(drive.image, CAMERA, x, y)
        for shift in (-0.8, 0.5):
            beside = luminance_at(drive.image, CAMERA, x, y + shift)
            assert np.nanmedian(paint) > np.nanmedian(beside) + 40.0


def test_supersampling_only_smooths() -> None:
    open_renderer().close()
    images = []
    for factor in (1, 3):
        eye = Renderer(CAMERA, supersampling=factor)
        eye.load_road(plane(stripe(1.0)))
        images.append(eye.render(LEVEL, []).astype(float))
        eye.close()
    assert np.abs(images[0] - images[1]).mean() < 4.0


def test_another_thread_is_refused_instead_of_given_an_old_picture() -> None:
    eye = open_renderer()
    eye.load_road(plane())
    eye.render(LEVEL, [])
    errors: list[str] = []

    def draw() -> None:
        try:
            eye.render(LEVEL, [])
        except SimulatorError as error:
            errors.append(str(error))

    other = threading.Thread(target=draw)
    other.start()
    other.join()
    assert errors and "one thread" in errors[0]
    eye.close()


def test_a_camera_of_another_size_works() -> None:
    open_renderer().close()
    eye = Renderer(replace(CAMERA, width=64, height=32, fx=50.0, fy=50.0, cx=31.5, cy=15.5))
    eye.load_road(plane())
    assert eye.render(LEVEL, []).shape == (32, 64, 3)
    eye.close()
