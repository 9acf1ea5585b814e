"""The simulated car's body in MetaDrive: where it is, how it moves, and its raw actuators."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.simulation.metadrive import PHYSICS_STEP_S

FloatArray = npt.NDArray[np.float64]

REAR_AXLE = 1.4166
"""m behind the middle of MetaDrive's default car (metadrive/component/vehicle/vehicle_type.py)."""
_MEASUREMENT_LAG_S = 0.04


@dataclass(frozen=True)
class Motion:
    """Rear axle on the ground, in the map: m, rad, m/s, rad/s, m/s²."""

    x: float
    y: float
    heading: float
    speed: float
    wheel_speed: float
    yaw_rate: float
    acceleration: float
    lateral_acceleration: float


class Ego:
    """Wraps MetaDrive's BaseVehicle. Call `measure` once after each physics step."""

    def __init__(self, vehicle: Any) -> None:
        self._vehicle = vehicle
        self._largest_deg = float(vehicle.max_steering)
        self._rest = np.eye(4)
        self._held = False
        self._velocity = np.zeros(2)
        self._acceleration = np.zeros(2)
        self.motion = Motion(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    @property
    def vehicle(self) -> Any:
        """MetaDrive's own object."""
        return self._vehicle

    @property
    def largest_angle(self) -> float:
        """Road-wheel angle at full steering input, rad."""
        return math.radians(self._largest_deg)

    def actuate(self, steering: float, throttle: float) -> None:
        """Set MetaDrive's inputs, both -1 to 1: steering (left positive), throttle or brake."""
        self._vehicle._set_action((steering, throttle))

    def hold(self, on: bool) -> None:
        """Parking brake: keep place and heading from the next physics step on; springs stay free.

        MetaDrive's own brake pushes a standing car to and fro.
        """
        if on == self._held:
            return
        from panda3d.core import Vec3

        body = self._vehicle.body
        self._held = on
        along = 0.0 if on else 1.0
        body.setLinearFactor(Vec3(along, along, 1.0))
        body.setAngularFactor(Vec3(1.0, 1.0, along))
        if on:
            body.setLinearVelocity(Vec3(0.0, 0.0, body.getLinearVelocity()[2]))
            body.setAngularVelocity(Vec3(0.0, 0.0, 0.0))

    def settled(self) -> None:
        """Take the present attitude of the body for its rest on level ground."""
        self._rest = np.linalg.inv(_flat_pose(self._axle_pose())) @ self._body_pose()
        self._velocity = self._rear_velocity()
        self._acceleration = np.zeros(2)
        self.measure()

    def camera_base(self) -> FloatArray:
        """(4, 4) base_link as fixed to the body, in the map: with the springs' pitch and roll."""
        pose: FloatArray = self._body_pose() @ np.linalg.inv(self._rest)
        return pose

    def measure(self) -> Motion:
        """Read the state after a physics step."""
        pose = self._axle_pose()
        heading = math.atan2(pose[1, 0], pose[0, 0])
        forward = np.array([math.cos(heading), math.sin(heading)])
        velocity = self._rear_velocity()
        raw = (velocity - self._velocity) / PHYSICS_STEP_S
        share = PHYSICS_STEP_S / (PHYSICS_STEP_S + _MEASUREMENT_LAG_S)
        self._acceleration = self._acceleration + share * (raw - self._acceleration)
        self._velocity = velocity
        self.motion = Motion(
            x=float(pose[0, 3]), y=float(pose[1, 3]), heading=heading,
            speed=float(velocity @ forward), wheel_speed=self._wheel_speed(),
            yaw_rate=float(self._vehicle.body.getAngularVelocity()[2]),
            acceleration=float(self._acceleration @ forward),
            lateral_acceleration=float(self._acceleration @ [-forward[1], forward[0]]),
        )
        return self.motion

    def place(self, x: float, y: float, heading: float, speed: float) -> None:
        """Put the rear axle somewhere, at rest on its springs, going straight on at `speed` m/s."""
        self.hold(False)
        pose = np.eye(4)
        c, s = math.cos(heading), math.sin(heading)
        pose[:2, :2] = [[c, -s], [s, c]]
        pose[:2, 3] = x, y
        body = pose @ self._rest
        from panda3d.core import LMatrix4f, Vec3

        self._vehicle.origin.setMat(LMatrix4f(*(body @ _X_FROM_Y).T.ravel().tolist()))
        self._vehicle.body.clearForces()
        self._vehicle.body.setLinearVelocity(Vec3(speed * c, speed * s, 0.0))
        self._vehicle.body.setAngularVelocity(Vec3(0.0, 0.0, 0.0))
        self._velocity = np.array([speed * c, speed * s])
        self._acceleration = np.zeros(2)
        self.measure()

    def _body_pose(self) -> FloatArray:
        """(4, 4) middle of the body in the map, x forward."""
        return np.array(self._vehicle.origin.getMat(), np.float64).reshape(4, 4).T @ _Y_FROM_X

    def _axle_pose(self) -> FloatArray:
        offset = np.eye(4)
        offset[0, 3] = -REAR_AXLE
        pose: FloatArray = self._body_pose() @ offset
        return pose

    def _rear_velocity(self) -> FloatArray:
        linear = np.array(self._vehicle.body.getLinearVelocity())
        angular = np.array(self._vehicle.body.getAngularVelocity())
        arm = -REAR_AXLE * self._body_pose()[:3, 0]
        velocity: FloatArray = (linear + np.cross(angular, arm))[:2]
        return velocity

    def _wheel_speed(self) -> float:
        # Asked anew each time: the wheels that MetaDrive keeps point into memory that Bullet has
        # moved since. Bullet damps each turn by 1 %.
        system = self._vehicle.system
        wheels = [system.getWheel(i) for i in range(system.getNumWheels())]
        turns = [float(w.getDeltaRotation()) * float(w.getWheelRadius()) for w in wheels]
        return sum(turns) / len(turns) / PHYSICS_STEP_S / 0.99


# MetaDrive's bodies look along y.
_Y_FROM_X = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float64)
_X_FROM_Y = _Y_FROM_X.T


def _flat_pose(pose: FloatArray) -> FloatArray:
    """The same place and heading on level ground."""
    heading = math.atan2(pose[1, 0], pose[0, 0])
    c, s = math.cos(heading), math.sin(heading)
    flat = np.eye(4)
    flat[:2, :2] = [[c, -s], [s, c]]
    flat[:2, 3] = pose[:2, 3]
    return flat
