from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vla_driving.camera.warp import Warp, offset, project_directions, view_directions
from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.settings import SettingsError

from .scenes import camera, picture

SMALL = st.floats(-0.08, 0.08)
MODELS = st.sampled_from(
    [
        ("none", ()),
        ("plumb_bob", (-0.25, 0.06, 0.001, -0.0005, 0.0)),
        ("rational", (0.3, 0.05, 0.0, 0.0, 0.01, 0.6, 0.1, 0.02)),
        ("equidistant", (0.01, -0.004, 0.001, 0.0)),
    ]
)


def tilted(roll: float, pitch: float, yaw: float) -> Mount:
    return Mount(x=1.5, y=0.0, z=1.3, roll=roll, pitch=pitch, yaw=yaw)


def large(mount: Mount, model: str = "none", coefficients: tuple[float, ...] = ()) -> Camera:
    return camera(
        width=320, height=240, fx=170.0, fy=165.0, cx=161.0, cy=118.0, mount=mount,
        distortion_model=model, distortion=coefficients,
    )


def spot(pixel: np.ndarray) -> np.ndarray:
    """A picture of 320x240 with a soft bright spot at a pixel."""
    v, u = np.mgrid[0:240, 0:320]
    light = 255.0 * np.exp(-((u - pixel[0]) ** 2 + (v - pixel[1]) ** 2) / (2 * 3.0**2))
    return np.repeat(light.astype(np.uint8)[..., None], 3, axis=2)


@settings(max_examples=40, deadline=None)
@given(SMALL, SMALL, SMALL, MODELS, st.floats(-0.3, 0.3), st.floats(-0.2, 0.2))
def test_a_far_point_appears_where_the_virtual_camera_projects_it(
    roll: float, pitch: float, yaw: float, model: tuple[str, tuple[float, ...]],
    left: float, up: float,
) -> None:
    physical, virtual = large(tilted(roll, pitch, yaw), *model), camera()
    direction = np.array([[1.0, left, up]])
    seen = project_directions(physical, direction)[0]
    assume(bool(np.all((seen > 12) & (seen < [308, 228]))))
    far = direction * 1e6 + [virtual.mount.x, virtual.mount.y, virtual.mount.z]
    expected, ahead = virtual.project(far)
    assume(bool(ahead[0]) and bool(np.all((expected > 4) & (expected < [59, 43]))))
    warped = Warp(physical, virtual)(spot(seen))[:, :, 0].astype(float)
    v, u = np.mgrid[0:48, 0:64]
    found = np.array([(u * warped).sum(), (v * warped).sum()]) / warped.sum()
    np.testing.assert_allclose(found, expected[0], atol=0.3)


@given(SMALL, SMALL, SMALL)
def test_directions_of_pixels_project_back_onto_them(
    roll: float, pitch: float, yaw: float
) -> None:
    view = camera(mount=tilted(roll, pitch, yaw))
    pixels = project_directions(view, view_directions(view)).reshape(48, 64, 2)
    u, v = np.meshgrid(np.arange(64), np.arange(48))
    np.testing.assert_allclose(pixels, np.stack([u, v], -1), atol=1e-9)


def test_the_same_camera_changes_nothing() -> None:
    image = picture()
    warped = Warp(camera(), camera())(image)
    np.testing.assert_array_equal(warped, image)


def test_a_cut_out_is_exact() -> None:
    view = camera(width=40, height=20, cx=31.5 - 12, cy=23.5 - 10)
    image = picture()
    np.testing.assert_array_equal(Warp(camera(), view)(image), image[10:30, 12:52])


def test_a_larger_image_is_averaged() -> None:
    checks = np.indices((240, 320)).sum(axis=0) % 2 * 200
    image = np.repeat(checks.astype(np.uint8)[..., None], 3, axis=2)
    physical = large(camera().mount)
    warped = Warp(physical, dataclasses.replace(camera(), fx=40.0, fy=40.0))(image)
    assert warped.std() < 20.0
    assert abs(float(warped.mean()) - 100.0) < 5.0


def test_what_the_camera_does_not_see_is_black_and_told() -> None:
    physical = camera(mount=tilted(0.0, 0.0, 0.2))
    warp = Warp(physical, camera())
    warped = warp(np.full((48, 64, 3), 255, np.uint8))
    assert 0.5 < warp.coverage < 0.9
    assert warped[:, -2:].max() == 0
    assert warped[10:38, :40].min() == 255
    assert abs(float((warped > 127).mean()) - warp.coverage) < 0.03


def test_a_distortion_that_turns_back_shows_nothing_twice() -> None:
    barrel = camera(distortion_model="plumb_bob", distortion=(-0.6, 0.0, 0.0, 0.0))
    wide = project_directions(barrel, np.array([[1.0, 3.0, 0.0], [1.0, 0.1, 0.0]]))
    assert np.isinf(wide[0]).all()
    assert np.isfinite(wide[1]).all()


def test_distortion_agrees_with_opencv() -> None:
    physical = large(camera().mount, "plumb_bob", (-0.25, 0.06, 0.001, -0.0005, 0.0))
    pixels = project_directions(physical, np.array([[1.0, -0.3, -0.2]]))
    back = cv2.undistortPoints(
        pixels.reshape(1, 1, 2), physical.matrix(), np.array(physical.distortion)
    )
    np.testing.assert_allclose(back[0, 0], [0.3, 0.2], atol=1e-5)


def test_a_camera_that_looks_elsewhere_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"camera 'front' sees 0% of the model's view 'front'"):
        Warp(camera(mount=tilted(0.0, 0.0, 3.0)), camera())


def test_wrong_number_of_coefficients_is_refused() -> None:
    with pytest.raises(SettingsError, match="plumb_bob takes 4 or 5 coefficients, got 3"):
        Warp(camera(distortion_model="plumb_bob", distortion=(0.1, 0.0, 0.0)), camera())


def test_offset_of_the_lenses() -> None:
    moved = dataclasses.replace(camera().mount, z=1.7, y=0.3)
    assert offset(camera(mount=moved), camera()) == pytest.approx(0.5)
