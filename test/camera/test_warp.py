from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vla_driving.camera.decoding import decode
from vla_driving.camera.images import CompressedImage
from vla_driving.camera.reduction import REDUCTIONS, reduced, reduced_size
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


def through(warp: Warp, image: np.ndarray) -> np.ndarray:
    """The whole way of an image of full size."""
    return warp(reduced(image, warp.reduction))


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
    warped = through(Warp(physical, virtual), spot(seen))[:, :, 0].astype(float)
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
    warped = through(Warp(physical, dataclasses.replace(camera(), fx=40.0, fy=40.0)), image)
    assert warped.std() < 20.0
    assert abs(float(warped.mean()) - 100.0) < 5.0


@settings(max_examples=30, deadline=None)
@given(
    SMALL, SMALL, SMALL, MODELS, st.floats(100.0, 900.0),
    st.tuples(st.integers(200, 640), st.integers(150, 400)),
)
def test_a_reduced_image_still_has_a_pixel_for_each_of_the_models(
    roll: float, pitch: float, yaw: float, model: tuple[str, tuple[float, ...]], focal: float,
    size: tuple[int, int],
) -> None:
    width, height = size
    physical = camera(
        width=width, height=height, fx=focal, fy=focal, cx=width / 2, cy=height / 2,
        mount=tilted(roll, pitch, yaw), distortion_model=model[0], distortion=model[1],
    )
    virtual = camera(fx=120.0, fy=120.0)
    try:
        warp = Warp(physical, virtual)
    except SettingsError:
        assume(False)
    assert warp.size == tuple(reduced_size(s, warp.reduction) for s in (height, width))
    # Neighbouring pixels of the model in eight directions, against the reduced image's pixels.
    pixels = project_directions(physical, view_directions(virtual)).reshape(48, 64, 2)
    inside = np.all((pixels > -0.5) & (pixels < np.array([width, height]) - 0.5), axis=2)
    seen = np.where(inside[..., None], pixels, np.nan) / warp.reduction
    for ahead, behind, length in (
        (seen[:, 2:], seen[:, :-2], 2.0), (seen[2:], seen[:-2], 2.0),
        (seen[2:, 2:], seen[:-2, :-2], 8**0.5), (seen[2:, :-2], seen[:-2, 2:], 8**0.5),
    ):
        steps = np.linalg.norm(ahead - behind, axis=-1) / length
        if warp.reduction > 1 and np.isfinite(steps).any():
            assert np.nanmin(steps) > 0.97
    doubled = 2 * warp.reduction
    assert doubled not in REDUCTIONS or warp.density[0] < doubled


@pytest.mark.parametrize("model", [("none", ()), ("plumb_bob", (-0.3, 0.1, 0.0, 0.0, 0.0)),
                                   ("equidistant", (0.01, -0.004, 0.001, 0.0))])
@pytest.mark.parametrize("focal", [100.0, 150.0, 200.0, 250.0, 350.0])
@pytest.mark.parametrize("way", ["raw", "jpeg"])
def test_the_picture_is_as_good_as_a_supersampled_one(
    model: tuple[str, tuple[float, ...]], focal: float, way: str
) -> None:
    """Found: 33.9 to 45 dB, at least 6 dB above picking pixels of the full image."""
    physical = camera(
        width=480, height=270, fx=focal, fy=focal, cx=239.5, cy=134.5,
        mount=tilted(0.01, 0.04, 0.02), distortion_model=model[0], distortion=model[1],
    )
    image = scenery(480, 270)
    warp = Warp(physical, camera())
    expected = np.zeros((48, 64, 3))
    for i, j in np.ndindex(8, 8):
        shifted = camera(cx=31.5 - (j + 0.5) / 8 + 0.5, cy=23.5 - (i + 0.5) / 8 + 0.5)
        pixels = project_directions(physical, view_directions(shifted)).reshape(48, 64, 2)
        at = np.clip(pixels, -1.0, [480, 270]).astype(np.float32)
        expected += cv2.remap(image, at, None, cv2.INTER_LINEAR) / 64.0
    if way == "jpeg":
        _, file = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        warped = warp(decode(CompressedImage(file), warp.reduction))
    else:
        warped = through(warp, image)
    seen = cv2.erode((expected.min(axis=2) > 5).astype(np.uint8), np.ones((5, 5))) > 0
    pixels = project_directions(physical, view_directions(camera())).reshape(48, 64, 2)
    picked = cv2.remap(image, pixels.astype(np.float32), None, cv2.INTER_LINEAR)
    found, simple = (
        10.0 * np.log10(255.0**2 / np.mean((result - expected)[seen] ** 2))
        for result in (warped, picked)
    )
    assert found > max(33.0, simple + 6.0)


def scenery(width: int, height: int) -> np.ndarray:
    """Detail of every size, as outdoors: amplitude falls with the spatial frequency."""
    random = np.random.default_rng(3)
    noise = random.normal(size=(height, width, 1)) + 0.2 * random.normal(size=(height, width, 3))
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]) + 1.0 / width
    field = np.fft.ifft2(np.fft.fft2(noise, axes=(0, 1)) / f[..., None], axes=(0, 1)).real
    return np.clip(128.0 + 40.0 * field / field.std(), 10, 255).astype(np.uint8)


@given(st.integers(16, 70), st.integers(16, 70), st.sampled_from(REDUCTIONS))
def test_reducing_takes_the_mean_of_blocks(width: int, height: int, reduction: int) -> None:
    image = picture(width, width, height)
    small = reduced(image, reduction)
    assert small.shape == (reduced_size(height, reduction), reduced_size(width, reduction), 3)
    rows, columns = height // reduction, width // reduction
    blocks = image[: rows * reduction, : columns * reduction].reshape(
        rows, reduction, columns, reduction, 3
    )
    np.testing.assert_allclose(small[:rows, :columns], blocks.mean((1, 3)), atol=1.5)


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
