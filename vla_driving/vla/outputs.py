"""From the tensors of the network to trajectories and scene; nothing that is not finite passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectClass, SceneObject
from vla_driving.contract.trajectory import Trajectory, integrate
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


@dataclass(frozen=True, eq=False)
class Decoded:
    """One answer in the vocabulary of the contract; candidates best first, `uncertainty` in m."""

    candidates: tuple[Trajectory, ...]
    objects: tuple[SceneObject, ...]
    lane_lines: tuple[LaneLine, ...]
    uncertainty: float
    recurrent: dict[str, npt.NDArray[np.float32]]


def decode(
    answer: Answer, manifest: Manifest, speed: float, min_object: float, min_lane: float
) -> Decoded:
    """Trajectories from `speed` m/s on, and what is at least as probable as asked for.

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
        candidates=_candidates(answer, speed),
        objects=_objects(answer, min_object),
        lane_lines=_lane_lines(answer, manifest.outputs.lane_stations_m, min_lane),
        uncertainty=_uncertainty(answer),
        recurrent={s.name: answer[f"next_state_{s.name}"] for s in manifest.inputs.states},
    )


def _candidates(answer: Answer, speed: float) -> tuple[Trajectory, ...]:
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
    return candidates


def _objects(answer: Answer, least: float) -> tuple[SceneObject, ...]:
    if "objects" not in answer:
        return ()
    rows = answer["objects"][0]
    probability = _probabilities("objects", rows[:, 0])
    found = [
        _object(float(p), row) for p, row in zip(probability, rows, strict=True) if p >= least
    ]
    return tuple(sorted(found, key=lambda o: math.hypot(o.x, o.y)))


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
