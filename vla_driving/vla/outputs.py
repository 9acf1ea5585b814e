"""From the tensors of the network to trajectories and scene; nothing that is not finite passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vla_driving.contract.language import Cause
from vla_driving.contract.scene import (
    LaneLine,
    LaneLineKind,
    ObjectClass,
    SceneObject,
    SignalState,
    TrafficControl,
    TrafficControlKind,
)
from vla_driving.contract.trajectory import Trajectory, integrate
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.vla.feasible import feasible
from vla_driving.vla.halting import halting
from vla_driving.vla.manifest import Manifest

_TOLERANCE = 1e-3
"""How far rounding may carry a probability out of 0 to 1."""
_MOVING = 0.5
"""m/s, above which an object's velocity tells its heading."""

Answer = Mapping[str, npt.NDArray[np.float32]]


class OutputError(ValueError):
    """One line: the output, what it holds and what it may."""

    def __init__(self, tensor: str, detail: str) -> None:
        super().__init__(f"{tensor}: {detail}")
        self.tensor = tensor
        self.detail = detail


@dataclass(frozen=True)
class ReportedCause:
    """What the network says it acts for: the `thing` among its objects and m to it, if any."""

    cause: Cause
    probability: float
    thing: SceneObject | None
    distance: float | None


@dataclass(frozen=True, eq=False)
class Decoded:
    """One answer in the vocabulary of the contract; candidates best first, `uncertainty` in m.

    `cause` is None where the model does not report one.
    """

    candidates: tuple[Trajectory, ...]
    objects: tuple[SceneObject, ...]
    lane_lines: tuple[LaneLine, ...]
    uncertainty: float
    recurrent: dict[str, npt.NDArray[np.float32]]
    traffic_controls: tuple[TrafficControl, ...] = ()
    cause: ReportedCause | None = None

    def with_objects(self, objects: tuple[SceneObject, ...]) -> Decoded:
        """The same with others in the place of its objects, one for one, the cause's as well."""
        cause = self.cause
        if cause is not None and cause.thing in self.objects:
            cause = replace(cause, thing=objects[self.objects.index(cause.thing)])
        return replace(self, objects=objects, cause=cause)


def decode(
    answer: Answer, manifest: Manifest, speed: float, vehicle: VehicleParameters,
    min_object: float, min_lane: float,
) -> Decoded:
    """Trajectories of the vehicle from `speed` m/s on, and what is as probable as asked for.

    Raises OutputError.
    """
    for spec in manifest.output_tensors():
        value = answer[spec.name]
        if value.shape != spec.shape:
            raise OutputError(spec.name, f"shape {value.shape} instead of {spec.shape}")
        if not np.isfinite(value).all():
            count = int(np.count_nonzero(~np.isfinite(value)))
            raise OutputError(spec.name, f"{count} of {value.size} values are not finite")
    return Decoded(
        candidates=_candidates(answer, speed, vehicle),
        objects=_objects(answer, min_object),
        lane_lines=_lane_lines(answer, manifest.outputs.lane_stations_m, min_lane),
        uncertainty=_uncertainty(answer),
        recurrent={s.name: answer[f"next_state_{s.name}"] for s in manifest.inputs.states},
        traffic_controls=_traffic_controls(answer, min_object),
        cause=_cause(answer, min_object),
    )


def _candidates(
    answer: Answer, speed: float, vehicle: VehicleParameters
) -> tuple[Trajectory, ...]:
    probability = _probabilities("probability", answer["probability"][0])
    order = np.argsort(-probability, kind="stable")
    acceleration, curvature = answer["acceleration"][0], answer["curvature"][0]
    # A huge but finite output overflows on the way through the unicycle model.
    with np.errstate(over="ignore", invalid="ignore"):
        candidates = tuple(
            integrate(speed, acceleration[k], curvature[k], float(probability[k])) for k in order
        )
    for trajectory in candidates:
        if not all(np.isfinite(a).all() for a in trajectory.arrays()):
            raise OutputError("acceleration, curvature", "the trajectory is not finite")
    return tuple(feasible(halting(c, speed), speed, vehicle) for c in candidates)


def _objects(answer: Answer, least: float) -> tuple[SceneObject, ...]:
    if "objects" not in answer:
        return ()
    rows = answer["objects"][0]
    probability = _probabilities("objects", rows[:, 0])
    found = [
        _object(float(p), row) for p, row in zip(probability, rows, strict=True) if p >= least
    ]
    return tuple(sorted(found, key=lambda o: math.hypot(o.x, o.y)))


def _traffic_controls(answer: Answer, least: float) -> tuple[TrafficControl, ...]:
    if "traffic_controls" not in answer:
        return ()
    rows = answer["traffic_controls"][0]
    probability = _probabilities("traffic_controls", rows[:, 0])
    found = []
    for p, (_, kind, state, distance) in zip(probability, rows, strict=True):
        known = 0 <= round(float(kind)) < len(TrafficControlKind)
        if p < least or not known:
            continue
        index = round(float(state))
        signal = SignalState(index) if 0 <= index < len(SignalState) else SignalState.UNKNOWN
        control = TrafficControlKind(round(float(kind)))
        found.append(TrafficControl(control, signal, float(p), max(0.0, float(distance))))
    return tuple(found)


def _cause(answer: Answer, least: float) -> ReportedCause | None:
    """The most probable cause, with the object it is only where that object is reported too."""
    if "cause" not in answer:
        return None
    probability = _probabilities("cause", answer["cause"][0])
    best = int(probability.argmax())
    thing = None
    if "cause_object" in answer:
        slot = int(_probabilities("cause_object", answer["cause_object"][0]).argmax()) - 1
        if slot >= 0 and answer["objects"][0, slot, 0] >= least:
            row = answer["objects"][0, slot]
            thing = _object(float(np.clip(row[0], 0.0, 1.0)), row)
    distance = None
    if "cause_distance" in answer and Cause(best) != Cause.FREE:
        distance = max(0.0, float(answer["cause_distance"][0]))
    return ReportedCause(Cause(best), float(probability[best]), thing, distance)


def _object(probability: float, row: npt.NDArray[np.float32]) -> SceneObject:
    x, y, velocity_x, velocity_y, length, width, kind = map(float, row[1:])
    index = round(kind)
    known = 0 <= index < len(ObjectClass)
    moving = math.hypot(velocity_x, velocity_y) > _MOVING
    return SceneObject(
        classification=ObjectClass(index) if known else ObjectClass.UNKNOWN,
        probability=probability, x=x, y=y,
        heading=math.atan2(velocity_y, velocity_x) if moving else 0.0,
        velocity_x=velocity_x, velocity_y=velocity_y,
        length=max(0.0, length), width=max(0.0, width),
    )


def _lane_lines(
    answer: Answer, stations: tuple[float, ...], least: float
) -> tuple[LaneLine, ...]:
    if "lane_lines" not in answer:
        return ()
    rows = answer["lane_lines"][0]
    probability = _probabilities("lane_lines", rows[:, 0])
    x = np.array(stations, np.float32)
    return tuple(
        LaneLine(kind, float(probability[kind]), x, rows[kind, 1:].copy())
        for kind in LaneLineKind
        if probability[kind] >= least
    )


def _uncertainty(answer: Answer) -> float:
    value = float(answer["uncertainty"][0])
    if value < 0.0:
        raise OutputError("uncertainty", f"{value:g} m is below 0")
    return value


def _probabilities(tensor: str, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    low, high = float(values.min()), float(values.max())
    if low < -_TOLERANCE or high > 1.0 + _TOLERANCE:
        raise OutputError(tensor, f"probabilities from {low:g} to {high:g} instead of 0 to 1")
    return np.clip(values, 0.0, 1.0)
