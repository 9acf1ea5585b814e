"""The stop that the monitor drives by itself: which path, which braking, from when on."""

from __future__ import annotations

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.plan import Plan
from vla_driving.contract.trajectory import Trajectory
from vla_driving.contract.vehicle import VehicleParameters, VehicleState
from vla_driving.safety import manoeuvres
from vla_driving.safety.braking import Braking, comfortable, emergency


class Fallback:
    """Keeps the path from the moment a stop begins, and lets its braking only ever get harder."""

    def __init__(self, vehicle: VehicleParameters, motion: EgoMotion) -> None:
        self._vehicle = vehicle
        self._motion = motion
        self._path: manoeuvres.StopPath | None = None
        self._braking: Braking | None = None

    @property
    def braking(self) -> Braking | None:
        """The stop under way, or None."""
        return self._braking

    @property
    def path(self) -> manoeuvres.StopPath | None:
        """The path to stop along, in base_link at `stamp_ns`, or None before `follow`."""
        return self._path

    def turn_to(self, path: manoeuvres.StopPath) -> None:
        """Stop along another path from here on; in the frame of the one before."""
        self._path = path

    @property
    def stamp_ns(self) -> Nanoseconds:
        """The instant whose base_link the trajectories are in."""
        return 0 if self._path is None else self._path.stamp_ns

    def release(self) -> None:
        """No stop is under way any more."""
        self._path = self._braking = None

    def rebase(self, now_ns: Nanoseconds) -> None:
        """The clock ran back: the stop goes on from here, where the wheels point."""
        if self._braking is not None:
            reached = self._braking.at(self.stamp_ns)
            self._braking = Braking(
                now_ns, reached, self._braking.deceleration, self._braking.jerk
            )
        self._path = None

    def follow(
        self, plan: Plan | None, trajectory: Trajectory | None, state: VehicleState
    ) -> None:
        """Bring the path to the newest vehicle state; it begins as that of the approved plan."""
        if self._path is None and plan is not None and trajectory is not None:
            self._path = manoeuvres.path_of(trajectory, plan.stamp_ns)
        if self._path is None or self._path.stamp_ns == state.stamp_ns:
            self._path = self._path or manoeuvres.path_of_wheels(state, self._vehicle)
            return
        change = self._motion.change(self._path.stamp_ns, state.stamp_ns)
        if change is None:
            self._path = manoeuvres.path_of_wheels(state, self._vehicle)
        else:
            self._path = self._path.moved(change, state.stamp_ns)

    def brake(self, state: VehicleState, now_ns: Nanoseconds) -> Braking:
        """The braking under way; where there is none, that of a planned stop begins."""
        if self._braking is None:
            self._braking = comfortable(self._vehicle, state.acceleration, now_ns)
        return self._braking

    def brake_fully(self, state: VehicleState, now_ns: Nanoseconds) -> Braking:
        """Full braking; where a softer one is under way, it goes on from what that has reached."""
        vehicle = self._vehicle
        if self._braking is None:
            self._braking = emergency(vehicle, state.acceleration, now_ns)
        elif self._braking.deceleration < vehicle.emergency_deceleration:
            self._braking = emergency(vehicle, self._braking.at(now_ns), now_ns)
        return self._braking

    def trajectory(self, braking: Braking, speed: float) -> Trajectory:
        """Braking along the path from `speed` in m/s; call `follow` before."""
        if self._path is None:
            raise RuntimeError("no path to stop along")
        return manoeuvres.stop(self._path, braking, speed)
