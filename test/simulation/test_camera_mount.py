"""The mount of the simulated camera, measured from what it films."""

import dataclasses
import math

import pytest

from vla_driving.camera.mounting import MountEstimator
from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.clock import nanoseconds
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.renderer import Renderer

from .sim_setup import needs_metadrive, world

ANGLE, HEIGHT = math.radians(0.2), 0.04
"""Tolerances: 0.2 degrees, 4 % of the height."""
BETWEEN_S = 0.1


@needs_metadrive
@pytest.mark.parametrize(
    ("pitch", "yaw", "height"), [(0.07 + math.radians(2), math.radians(-2), 1.5),
                                 (0.07 - math.radians(2), math.radians(2), 1.2)],
)
def test_a_camera_that_was_mounted_askew_is_found(
    pitch: float, yaw: float, height: float
) -> None:
    stated = Camera(
        name="front", width=640, height=360, fx=495.0, fy=495.0, cx=319.5, cy=179.5,
        mount=Mount(1.75, 0.0, 1.35, 0.0, 0.07, 0.0), distortion_model="none", distortion=(),
    )
    askew = dataclasses.replace(stated.mount, pitch=pitch, yaw=yaw, z=height)
    try:
        renderer = Renderer(dataclasses.replace(stated, mount=askew), supersampling=1)
    except SimulatorError as error:
        pytest.skip(str(error))
    estimator = MountEstimator(stated)
    with world(renderer, map="SSS", start_speed=12.0) as driven:
        while estimator.progress.stretches < 3 and driven.time_s < 9.0:
            speed = driven.vehicle_state(0).speed
            estimator.add(nanoseconds(driven.time_s), driven.render(), speed)
            driven.drive(0.0, 0.0, BETWEEN_S)
    renderer.close()
    found = estimator.estimate()
    assert found.pitch.value == pytest.approx(pitch, abs=ANGLE)
    assert found.yaw.value == pytest.approx(yaw, abs=ANGLE)
    assert found.height is not None, found.why_no_height
    assert found.height.value == pytest.approx(height, rel=HEIGHT)
