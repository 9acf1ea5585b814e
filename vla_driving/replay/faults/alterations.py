"""How messages are spoilt on their way: pure functions of the good one, each makes a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.frames import Image
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import ObjectClass, ObjectList, SceneObject
from vla_driving.contract.trajectory import Trajectory
from vla_driving.contract.vehicle import ControlCommand, VehicleState
from vla_driving.simulation.disturbances import CameraDisturbances
from vla_driving.simulation.scenario import Disturbance

STALE_S = 1.0
SIDEWAYS_M = 2.0
TELEPORT_M = 3.0
WRONG_SPEED = 4.0
"""m/s."""
AHEAD_M = 12.0
"""Where a thing stands in the way of a plan that collides."""
NUMBERS_BACK = 100
OVERSIZE = 500
UNKNOWN_ACTION = 200


def _plan_of(plan: Plan, bend: Callable[[Trajectory], Trajectory]) -> Plan:
    return signed(replace(plan, candidates=tuple(map(bend, plan.candidates))))


def _not_finite(plan: Plan) -> Plan:
    return _plan_of(plan, lambda t: replace(t, x=np.full_like(t.x, np.nan)))


def _shifted_in_time(plan: Plan, by_s: float) -> Plan:
    by_ns = nanoseconds(by_s)
    changed = replace(
        plan, stamp_ns=plan.stamp_ns + by_ns, valid_until_ns=plan.valid_until_ns + by_ns
    )
    return signed(changed)


def _sideways(plan: Plan) -> Plan:
    """It begins at the car and swerves by SIDEWAYS_M within the first second."""
    ease = np.clip(np.arange(1, 65) / 10.0, 0.0, 1.0)
    aside = (SIDEWAYS_M * ease * ease * (3.0 - 2.0 * ease)).astype(np.float32)
    return _plan_of(plan, lambda t: replace(t, y=t.y + aside))


def _teleport(plan: Plan) -> Plan:
    return _plan_of(plan, lambda t: replace(t, y=t.y + np.float32(TELEPORT_M)))


def _collision(plan: Plan) -> Plan:
    """A thing stands where the plan leads through."""
    best = plan.candidates[0]
    k = int(np.searchsorted(best.x, AHEAD_M))
    k = min(k, len(best.x) - 1)
    thing = SceneObject(
        ObjectClass.OBSTACLE, 0.99, float(best.x[k]), float(best.y[k]), 0.0, 0.0, 0.0,
        1.0, 2.0, 1.5,
    )
    return signed(replace(plan, objects=(thing, *plan.objects[:-1])))


def _wrong_checksum(value: Any) -> Any:
    return replace(value, checksum=value.checksum ^ 1)


PLANS: Mapping[str, Callable[[Plan], Plan]] = {
    "not_finite": _not_finite,
    "stale": lambda plan: _shifted_in_time(plan, -STALE_S),
    "future": lambda plan: _shifted_in_time(plan, STALE_S),
    "sideways": _sideways,
    "teleport": _teleport,
    "checksum": _wrong_checksum,
    "collision": _collision,
    "numbers_back": lambda plan: signed(replace(plan, sequence=_turned_back(plan.sequence))),
    "empty": lambda plan: signed(replace(plan, candidates=())),
    "oversize": lambda plan: signed(replace(plan, candidates=plan.candidates[:1] * OVERSIZE)),
    "unknown_action": signed,
}
"""Every plan is spoilt on its own, so that whichever comes first is as bad."""


def _unknown_action(message: Any) -> None:
    message.lateral_action = UNKNOWN_ACTION


PLAN_MESSAGES: Mapping[str, Callable[[Any], None]] = {"unknown_action": _unknown_action}
"""What only a message can hold, and no plan of the contract: done to it last."""


def _turned_back(sequence: int) -> int:
    """Numbers that run forth and back."""
    return sequence if sequence % 2 else max(sequence - NUMBERS_BACK, 0)


APPROVED_PLANS: Mapping[str, Callable[[ApprovedPlan], ApprovedPlan]] = {"checksum": _wrong_checksum}
OBJECT_LISTS: Mapping[str, Callable[[ObjectList], ObjectList]] = {"checksum": _wrong_checksum}
COMMANDS: Mapping[str, Callable[[ControlCommand], ControlCommand]] = {"checksum": _wrong_checksum}


class StateAlteration:
    """Spoils vehicle states; keeps the first one where the car's sensors are to freeze."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._frozen: VehicleState | None = None

    def __call__(self, state: VehicleState) -> VehicleState | None:
        """The spoilt state, None where it is lost."""
        match self._kind:
            case "lost":
                return None
            case "not_finite":
                return signed(replace(state, speed=float("nan")))
            case "checksum":
                return replace(state, checksum=state.checksum ^ 1)
            case "speed_wrong":
                return signed(replace(state, speed=state.speed + WRONG_SPEED))
            case "stands":
                return signed(
                    replace(state, speed=0.0, wheel_speed=0.0, standstill=True, acceleration=0.0)
                )
            case "frozen":
                if self._frozen is None:
                    self._frozen = state
                fresh = replace(
                    self._frozen, stamp_ns=state.stamp_ns, sequence=state.sequence
                )
                return signed(fresh)
            case _:
                raise ValueError(f"no way to spoil a vehicle state is called {self._kind!r}")


class CameraAlteration:
    """Spoils images, (H, W, 3) rgb8."""

    def __init__(self, kind: str, last: Image | None) -> None:
        """`last` is the newest good image: what a frozen camera goes on sending."""
        self._black = kind == "black"
        shown = "dark" if self._black else kind
        self._frozen = last if kind == "frozen" else None
        self._disturbances = CameraDisturbances([Disturbance(shown, 0.0, 3600.0)])

    def __call__(self, image: Image) -> npt.NDArray[np.uint8] | None:
        """The spoilt image, None where it is lost."""
        if self._black:
            return np.zeros_like(image)
        if self._frozen is not None:
            return self._frozen
        return self._disturbances.apply(image, 0.0)
