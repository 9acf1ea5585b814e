"""Was a drive calm? Judged afterwards by what everybody really did; no check has a say in it.

Two surrogates of traffic safety research, each at its common threshold for what is critical:

- The time to collision. Had the car gone on at its speed along the way that it then took, and had
  all others done what they did, when would outlines have touched? Less than CRITICAL_S makes a
  serious conflict (Hayward 1972; van der Horst 1990).
- The post-encroachment time, for those who cross: between the one's leaving a place and the other's
  coming there (Allen, Shin and Cooper 1978). Less than ENCROACHED_S makes a serious conflict
  (Várhelyi 1998; Peesapati et al. 2018 say 1.5 s).

Others who crash into each other near the car are no calm traffic either.

Nothing is predicted: others are looked up where they were. How hard the car braked says nothing:
a stop that a plan may ask for (ISO 15622: 3.5 m/s²) is no emergency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.scene import SceneObject
from vla_driving.contract.vehicle import VehicleParameters

FloatArray = npt.NDArray[np.float64]

CRITICAL_S = 1.5
"""s to collision, under which a situation counts as a serious conflict."""
ENCROACHED_S = 1.0
"""s between one and another at the same place, under which those who cross come too near."""
_CROSSES = math.radians(30.0)
"""Nearer to the same or to the opposite direction they follow or meet, as in FHWA's SSAM."""
SAMPLE_S = 0.1
NEAR_M = 25.0
"""m around the car, within which an accident of others is its concern: the way to stop from 10 m/s
after a second at 2.5 m/s²."""
_STANDS = 0.3
"""m/s. Who stands causes no conflict."""


@dataclass(frozen=True, eq=False)
class Moment:
    """One instant, SAMPLE_S after the one before: base_link in the map in m and rad, speed in m/s.

    `others` is (N, 5): centre x, y, heading, half length and half width, in the map.
    """

    time_s: float
    x: float
    y: float
    heading: float
    speed: float
    others: FloatArray


@dataclass(frozen=True)
class Conflict:
    """At `time_s`, contact was `contact_s` away."""

    time_s: float
    contact_s: float


@dataclass(frozen=True)
class Encroachment:
    """Where the car was at `time_s`, somebody who crosses was `apart_s` before or after it."""

    time_s: float
    apart_s: float


def moment(
    time_s: float, pose: tuple[float, float, float], speed: float, objects: Sequence[SceneObject]
) -> Moment:
    """An instant from a pose in the map and objects in base_link."""
    x, y, heading = pose
    seen = np.array(
        [(o.x, o.y, o.heading, 0.5 * o.length, 0.5 * o.width) for o in objects], np.float64
    ).reshape(-1, 5)
    cos, sin = math.cos(heading), math.sin(heading)
    others = seen.copy()
    others[:, 0] = x + cos * seen[:, 0] - sin * seen[:, 1]
    others[:, 1] = y + sin * seen[:, 0] + cos * seen[:, 1]
    others[:, 2] += heading
    return Moment(time_s, x, y, heading, speed, others)


def conflicts(moments: Sequence[Moment], vehicle: VehicleParameters) -> list[Conflict]:
    """Serious conflicts, by time; the shortest time to collision of each instant that has one."""
    way = _Way(moments)
    steps = round(CRITICAL_S / SAMPLE_S)
    found = []
    for k, now in enumerate(moments):
        if now.speed < _STANDS:
            continue
        for step, later in enumerate(moments[k : k + steps]):
            own = _outline(*way.at(way.s[k] + now.speed * step * SAMPLE_S), vehicle)
            if touches(own, later.others):
                found.append(Conflict(now.time_s, step * SAMPLE_S))
                break
    return found


def encroachments(moments: Sequence[Moment], vehicle: VehicleParameters) -> list[Encroachment]:
    """Where somebody crossed less than ENCROACHED_S before or after the car, by time."""
    most = round(ENCROACHED_S / SAMPLE_S)
    found = []
    for k, now in enumerate(moments):
        if now.speed < _STANDS:
            continue
        own = _outline(now.x, now.y, now.heading, vehicle)
        for step in range(1, most):
            around = [moments[i] for i in (k - step, k + step) if 0 <= i < len(moments)]
            if any(touches(own, _crossing(now.heading, m.others)) for m in around):
                found.append(Encroachment(now.time_s, step * SAMPLE_S))
                break
    return found


def accidents(moments: Sequence[Moment]) -> list[float]:
    """Times at which two others begin to touch each other near the car, s."""
    found, before = [], 0
    for now in moments:
        distance = np.hypot(now.others[:, 0] - now.x, now.others[:, 1] - now.y)
        near = now.others[distance < NEAR_M]
        count = sum(touches(one, near[k + 1:]) for k, one in enumerate(near))
        if count > before:
            found.append(now.time_s)
        before = count
    return found


def _crossing(heading: float, others: FloatArray) -> FloatArray:
    """Those of (N, 5) that stand or go across a heading."""
    return others[np.abs(np.sin(others[:, 2] - heading)) > math.sin(_CROSSES)]


class _Way:
    """The way that the car took, by its length; straight on behind its end."""

    def __init__(self, moments: Sequence[Moment]) -> None:
        self._x = np.array([m.x for m in moments])
        self._y = np.array([m.y for m in moments])
        self._heading = np.unwrap([m.heading for m in moments])
        steps = np.hypot(np.diff(self._x), np.diff(self._y))
        self.s = np.concatenate([[0.0], np.cumsum(steps)])

    def at(self, s: float) -> tuple[float, float, float]:
        """x, y in m and heading in rad."""
        over = max(0.0, s - float(self.s[-1]))
        heading = float(np.interp(s, self.s, self._heading))
        x = float(np.interp(s, self.s, self._x)) + over * math.cos(heading)
        return x, float(np.interp(s, self.s, self._y)) + over * math.sin(heading), heading


def _outline(x: float, y: float, heading: float, vehicle: VehicleParameters) -> FloatArray:
    """(5,): the car as one of `Moment.others`."""
    ahead = vehicle.centre_offset
    return np.array([
        x + ahead * math.cos(heading), y + ahead * math.sin(heading), heading,
        0.5 * vehicle.length, 0.5 * vehicle.width,
    ])


def touches(own: FloatArray, others: FloatArray) -> bool:
    """Whether a rectangle (5,) overlaps one of (N, 5): no axis of either parts them."""
    if not len(others):
        return False
    dx, dy = others[:, 0] - own[0], others[:, 1] - own[1]
    turn = others[:, 2] - own[2]
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    apart = np.zeros(len(others), bool)
    for heading, along, across, other_along, other_across in (
        (np.full(len(others), own[2]), own[3], own[4], others[:, 3], others[:, 4]),
        (others[:, 2], others[:, 3], others[:, 4], own[3], own[4]),
    ):
        c, s = np.cos(heading), np.sin(heading)
        apart |= np.abs(c * dx + s * dy) > along + other_along * cos + other_across * sin
        apart |= np.abs(c * dy - s * dx) > across + other_along * sin + other_across * cos
    return bool((~apart).any())
