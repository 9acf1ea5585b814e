"""Images of several cameras paired by the start of their exposure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from vla_driving.camera.images import CameraImage
from vla_driving.camera.settings import SynchronisationSettings
from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.faults import Fault

KEPT = 8
"""Images of a camera that wait to be paired; older ones drop."""
MAX_AHEAD_S = 0.05
"""By which a stamp may lie in the future: clocks that are kept together agree far better."""
MAX_JUMP_S = 0.5
"""Difference between the time that passed by the stamps and by the arrivals of two images."""
GIVES_IN = 5
"""Images in a row from the past before a camera's clock is taken to have been set back."""


@dataclass(frozen=True, eq=False)
class Arrival:
    """An image and when it came."""

    image: CameraImage
    arrived_ns: Nanoseconds


@dataclass(frozen=True, eq=False)
class Paired:
    """One image a camera that belongs to `stamp_ns`, the reference's exposure, or None.

    `newest` is the stamp of the last image that came from each camera, whether it belongs or not.
    """

    stamp_ns: Nanoseconds
    images: dict[str, CameraImage | None]
    newest: dict[str, Nanoseconds | None]


class Synchroniser:
    """Keeps what waits to be paired; the newest complete set wins."""

    def __init__(
        self, cameras: Sequence[str], reference: str, settings: SynchronisationSettings
    ) -> None:
        self._reference = reference
        self._tolerance_ns = nanoseconds(settings.tolerance)
        self._wait_ns = nanoseconds(settings.wait)
        self._waiting: dict[str, deque[Arrival]] = {c: deque(maxlen=KEPT) for c in cameras}
        self._newest: dict[str, Nanoseconds | None] = dict.fromkeys(cameras)
        self._from_past = dict.fromkeys(cameras, 0)
        self._last: dict[str, Arrival] = {}
        self._jumps: dict[str, Fault] = {}

    @property
    def newest(self) -> dict[str, Nanoseconds | None]:
        """Stamp of the last image that came from each camera."""
        return dict(self._newest)

    def jump(self, camera: str) -> Fault | None:
        """What is odd about the stamp of the camera's last image, which was taken all the same."""
        return self._jumps.get(camera)

    def add(self, image: CameraImage, now_ns: Nanoseconds) -> Fault | None:
        """Take an image in, or say why not."""
        name = image.camera
        if name not in self._waiting:
            return Fault("camera_unknown", name, f"known: {', '.join(self._waiting)}")
        ahead_s = age_s(now_ns, image.stamp_ns)
        if ahead_s > MAX_AHEAD_S:
            detail = "image is exposed later than now: set its clock"
            return Fault("stamp_in_future", name, detail, ahead_s, MAX_AHEAD_S, "s")
        newest = self._newest[name]
        if newest is not None and image.stamp_ns <= newest:
            self._from_past[name] += 1
            if self._from_past[name] < GIVES_IN:
                return _not_newer(name, age_s(image.stamp_ns, newest))
            self._waiting[name].clear()
        self._from_past[name] = 0
        self._newest[name] = image.stamp_ns
        arrival = Arrival(image, now_ns)
        self._note_jump(arrival)
        self._waiting[name].append(arrival)
        return None

    def take(self, now_ns: Nanoseconds) -> Paired | None:
        """The newest set that is complete, or else the newest that has waited long enough."""
        references = list(reversed(self._waiting[self._reference]))
        chosen = next((r for r in references if self._settled(r)), None) or next(
            (r for r in references if now_ns - r.arrived_ns >= self._wait_ns), None
        )
        if chosen is None:
            return None
        stamp_ns = chosen.image.stamp_ns
        images = {name: self._belonging(name, stamp_ns) for name in self._waiting}
        self._forget(stamp_ns)
        return Paired(stamp_ns, images, self.newest)

    def without_reference(self, stamp_ns: Nanoseconds) -> Paired:
        """The last that waits of each other camera, where the reference is lost."""
        images: dict[str, CameraImage | None] = {
            name: waiting[-1].image if waiting and name != self._reference else None
            for name, waiting in self._waiting.items()
        }
        return Paired(stamp_ns, images, self.newest)

    def _note_jump(self, arrival: Arrival) -> None:
        name, last = arrival.image.camera, self._last.get(arrival.image.camera)
        self._last[name] = arrival
        self._jumps.pop(name, None)
        if last is None:
            return
        stamped_s = age_s(last.image.stamp_ns, arrival.image.stamp_ns)
        jump_s = stamped_s - age_s(last.arrived_ns, arrival.arrived_ns)
        if abs(jump_s) > MAX_JUMP_S:
            detail = "stamps went on by another time than passed between the arrivals"
            self._jumps[name] = Fault("stamp_jumped", name, detail, jump_s, MAX_JUMP_S, "s")

    def _settled(self, reference: Arrival) -> bool:
        """Whether nothing better can come from any camera."""
        stamp_ns = reference.image.stamp_ns
        return all(
            self._belonging(name, stamp_ns) is not None
            or (newest is not None and newest > stamp_ns + self._tolerance_ns)
            for name, newest in self._newest.items()
        )

    def _belonging(self, name: str, stamp_ns: Nanoseconds) -> CameraImage | None:
        near = [a.image for a in self._waiting[name]]
        best = min(near, key=lambda i: abs(i.stamp_ns - stamp_ns), default=None)
        if best is None or abs(best.stamp_ns - stamp_ns) > self._tolerance_ns:
            return None
        return best

    def _forget(self, stamp_ns: Nanoseconds) -> None:
        for name, waiting in self._waiting.items():
            reach = 0 if name == self._reference else self._tolerance_ns
            while waiting and waiting[0].image.stamp_ns <= stamp_ns - reach:
                waiting.popleft()


def _not_newer(name: str, behind_s: float) -> Fault:
    if behind_s == 0.0:
        return Fault("stamp_repeated", name, "image has the stamp of the one before")
    return Fault("stamp_went_back", name, "image is older than the one before", behind_s, 0.0, "s")
