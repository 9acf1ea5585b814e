"""Where the car is along the path it is to follow, measured or reckoned."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.control.compensation import Pose, SteeringInFlight
from vla_driving.control.envelope import Actuation
from vla_driving.control.path import Path, PathPoint

_NOWHERE = PathPoint(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Position:
    """The car against its path: `here` now, `ahead` when a command given now moves the wheels.

    Speed in m/s. `measured` is False where the ego motion since the plan is not known: then the
    errors are zero and only the distance is reckoned; `blind` is True where speed is reckoned too.
    """

    here: PathPoint
    ahead: PathPoint
    speed: float
    standing: bool
    measured: bool
    blind: bool


class PositionEstimate:
    """Follows the car along the newest path, by ego motion or, failing that, by dead reckoning."""

    def __init__(self, vehicle: VehicleParameters, standstill_speed: float) -> None:
        self._delay_s = vehicle.steering_delay
        self._standstill_speed = standstill_speed
        self._in_flight = SteeringInFlight(vehicle)
        self._arc_length = 0.0
        self._speed = 0.0
        self._acceleration = 0.0

    def new_path(self) -> None:
        """A path begins where the car was at its plan's stamp."""
        self._arc_length = 0.0

    def commanded(self, actuation: Actuation, now_ns: Nanoseconds) -> None:
        """Note what has just left for the actuators."""
        self._in_flight.commanded(actuation.steering_angle, now_ns)
        self._acceleration = actuation.acceleration

    def update(
        self,
        path: Path | None,
        moved: PoseChange | None,
        speed: float | None,
        elapsed_s: float,
        now_ns: Nanoseconds,
    ) -> Position:
        """Position now: `moved` since the plan's stamp, speed in m/s, each None where not known."""
        blind = speed is None
        before = self._speed
        self._speed = (
            max(0.0, before + self._acceleration * elapsed_s) if speed is None else speed
        )
        standing = abs(self._speed) < self._standstill_speed
        if path is None:
            return Position(_NOWHERE, _NOWHERE, self._speed, standing, False, blind)
        if moved is None or blind:
            self._arc_length += 0.5 * (before + self._speed) * elapsed_s
            here, ahead = (
                PathPoint(s, 0.0, 0.0, path.curvature_at(s))
                for s in (self._arc_length, self._arc_length + self._speed * self._delay_s)
            )
            return Position(here, ahead, self._speed, standing, False, blind)
        pose = Pose(moved.dx, moved.dy, moved.dyaw)
        here = path.locate(pose.x, pose.y, pose.heading)
        later = self._in_flight.predict(pose, self._speed, now_ns)
        ahead = path.locate(later.x, later.y, later.heading)
        self._arc_length = here.arc_length
        return Position(here, ahead, self._speed, standing, True, blind)
