"""The core of camera_ingest: images of all cameras in, one FrameSet for the model out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from vla_driving.camera.decoding import decode, size_of
from vla_driving.camera.faults import NODE, REACTIONS
from vla_driving.camera.health import CameraHealth, Finding
from vla_driving.camera.images import CameraImage, DecodeError, VideoPacket
from vla_driving.camera.settings import CameraIngestSettings
from vla_driving.camera.synchronisation import Paired, Synchroniser
from vla_driving.camera.warp import Warp, offset
from vla_driving.contract.cameras import Camera
from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.events import DriveEvent
from vla_driving.contract.faults import Fault, FaultLog
from vla_driving.contract.frames import CameraFrame, FrameSet, FrameStatus, Image
from vla_driving.contract.settings import SettingsError

EARLY = 0.3
"""Share of a period by which an image may come before it is due."""
NOTHING = Finding(FrameStatus.MISSING, 0.0, 0.0)
MAX_OFFSET = 0.5
"""m between a camera and the place the model expects it at, above which it is reported."""


@dataclass(frozen=True, eq=False)
class CameraInputs:
    """Images that came since the step before.

    `moving` is True unless the car is known to be so slow that images may stay the same.
    """

    images: tuple[CameraImage, ...]
    moving: bool


@dataclass(frozen=True)
class CameraCounters:
    """Since the start; `dropped` images were late, repeated or broken, `skipped` came early."""

    images: int = 0
    sets: int = 0
    dropped: int = 0
    skipped: int = 0


@dataclass(frozen=True, eq=False)
class CameraOutputs:
    """A set where one is due; `events` are those of the faults that are new."""

    frames: FrameSet | None
    faults: tuple[Fault, ...]
    events: tuple[DriveEvent, ...]
    counters: CameraCounters


class CameraIngest:
    """Pairs, decodes, judges and warps images; never raises in a step."""

    def __init__(
        self,
        settings: CameraIngestSettings,
        cameras: Sequence[Camera],
        virtual: Sequence[Camera],
        model: str,
        rate_hz: float,
    ) -> None:
        """`virtual` are the model's cameras in its order, `model` its "name/version".

        Raises SettingsError where a camera that the model needs is not there or looks elsewhere.
        """
        by_name = _by_name(cameras)
        for view in virtual:
            if view.name not in by_name:
                raise SettingsError(
                    f"cameras: {model} needs a camera {view.name!r};"
                    f" there are: {', '.join(by_name)}"
                )
        names = [view.name for view in virtual]
        if settings.reference not in names:
            raise SettingsError(
                f"camera_ingest.reference: {settings.reference!r} is none of {model}'s cameras:"
                f" {', '.join(names)}"
            )
        self._settings = settings
        self._model = model
        self._period_ns = nanoseconds(1.0 / rate_hz)
        self._names = names
        self._warps = {v.name: Warp(by_name[v.name], v) for v in virtual}
        self._health = {name: CameraHealth(settings.health) for name in names}
        self._pairs = Synchroniser(names, settings.reference, settings.synchronisation)
        self._log = FaultLog(NODE, REACTIONS)
        self._lasting = tuple(_view_faults(self._warps[v.name], v) for v in virtual)
        self._counters = CameraCounters()
        self._unused = frozenset(by_name) - frozenset(names)
        self._input_faults: dict[str, Fault] = {}
        self._frame_faults: tuple[Fault, ...] = ()
        self._started_ns: Nanoseconds | None = None
        self._due_ns: Nanoseconds | None = None
        self._told_ns: Nanoseconds = 0

    def step(self, inputs: CameraInputs, now_ns: Nanoseconds) -> CameraOutputs:
        """Take images in; a set where one is due, or where the reference's loss must be told."""
        if self._started_ns is None or now_ns < self._told_ns:
            self._started_ns = self._told_ns = now_ns
            self._due_ns = None
        faults = [f for lasting in self._lasting for f in lasting]
        self._take_images(inputs.images, now_ns)
        frames = None
        if paired := self._pairs.take(now_ns):
            if self._is_due(paired.stamp_ns):
                frames = self._set_of(paired, inputs.moving, now_ns)
            else:
                self._count(skipped=1)
        elif self._is_silent(now_ns):
            lost = self._pairs.without_reference(now_ns)
            frames = self._set_of(lost, inputs.moving, now_ns)
        faults += (*self._input_faults.values(), *self._frame_faults)
        return CameraOutputs(
            frames, tuple(faults), self._log.update(faults, now_ns), self._counters
        )

    def _take_images(self, images: tuple[CameraImage, ...], now_ns: Nanoseconds) -> None:
        for image in images:
            if image.camera in self._unused:
                continue
            self._count(images=1)
            # A fault of the stamps stays until that camera sends a good one.
            self._input_faults.pop(image.camera, None)
            if fault := self._pairs.add(image, now_ns):
                self._count(dropped=1)
                self._input_faults[image.camera] = fault

    def _is_due(self, stamp_ns: Nanoseconds) -> bool:
        """Whether an exposure is the next one at the rate of sets; keeps the mean rate."""
        period = self._period_ns
        ahead = 0 if self._due_ns is None else self._due_ns - stamp_ns
        if EARLY * period < ahead <= 1.5 * period:
            return False
        if self._due_ns is None or abs(ahead) > period:  # the start, a gap or a clock set back
            self._due_ns = stamp_ns
        self._due_ns += period
        return True

    def _is_silent(self, now_ns: Nanoseconds) -> bool:
        """Whether the reference is overdue so long that its loss must be told, once a period."""
        patience = max(nanoseconds(self._settings.health.max_age), self._period_ns)
        newest = self._pairs.newest[self._settings.reference]
        last = self._started_ns if newest is None or newest > now_ns else newest
        quiet = last is None or now_ns - last > patience
        return quiet and now_ns - self._told_ns >= self._period_ns

    def _set_of(self, paired: Paired, moving: bool, now_ns: Nanoseconds) -> FrameSet:
        faults: list[Fault] = []
        frames = tuple(self._frame(n, paired, moving, now_ns, faults) for n in self._names)
        self._frame_faults = tuple(faults)
        self._told_ns = now_ns
        self._count(sets=1)
        return FrameSet(paired.stamp_ns, self._counters.sets, self._model, frames)

    def _frame(
        self, name: str, paired: Paired, moving: bool, now_ns: Nanoseconds, faults: list[Fault]
    ) -> CameraFrame:
        image = paired.images[name]
        if image is None:
            stamp = paired.newest[name]
            finding = self._absent(stamp, paired)
            return _marked(name, stamp or 0, finding, None, faults)
        picture = self._picture(image, faults)
        if picture is None:
            return _marked(name, image.stamp_ns, NOTHING, None, faults)
        finding = self._health[name].look(picture, moving)
        age, oldest = age_s(image.stamp_ns, now_ns), self._settings.health.max_age
        if age > oldest:
            finding = Finding(FrameStatus.STALE, age, oldest)
        self._check_skew(image, paired, faults)
        return _marked(name, image.stamp_ns, finding, self._warps[name](picture), faults)

    def _check_skew(self, image: CameraImage, paired: Paired, faults: list[Fault]) -> None:
        reference, warning = self._settings.reference, self._settings.synchronisation.warning
        skew = abs(age_s(image.stamp_ns, paired.stamp_ns))
        if paired.images[reference] is not None and skew > warning:
            detail = f"exposed apart from {reference}"
            faults.append(Fault("camera_skew", image.camera, detail, skew, warning, "s"))

    def _absent(self, newest: Nanoseconds | None, paired: Paired) -> Finding:
        if newest is None:
            return NOTHING
        apart = abs(age_s(newest, paired.stamp_ns))
        lost = paired.images[self._settings.reference] is None
        limit = self._settings.health.max_age if lost else self._settings.synchronisation.tolerance
        return Finding(FrameStatus.STALE, apart, limit)

    def _picture(self, image: CameraImage, faults: list[Fault]) -> Image | None:
        warp = self._warps[image.camera]
        assert not isinstance(image.payload, VideoPacket)
        expected = warp.physical.width, warp.physical.height
        try:
            found = size_of(image.payload)
            if found == expected:
                return decode(image.payload, warp.reduction)
        except DecodeError as error:
            faults.append(Fault("image_undecodable", image.camera, str(error)))
        else:
            detail = "image {}x{} instead of {}x{} of its camera file".format(*found, *expected)
            faults.append(Fault("image_wrong_size", image.camera, detail))
        self._count(dropped=1)
        return None

    def _count(self, **more: int) -> None:
        old = dataclasses.asdict(self._counters)
        self._counters = CameraCounters(**{k: v + more.get(k, 0) for k, v in old.items()})


def _by_name(cameras: Sequence[Camera]) -> dict[str, Camera]:
    found: dict[str, Camera] = {}
    for camera in cameras:
        if camera.name in found:
            raise SettingsError(f"cameras: two files name a camera {camera.name!r}")
        found[camera.name] = camera
    return found


def _marked(
    name: str, stamp_ns: Nanoseconds, finding: Finding, image: Image | None, faults: list[Fault]
) -> CameraFrame:
    if finding.status != FrameStatus.OK:
        word = finding.status.name.lower()
        detail = f"image is {word}, value {finding.value:.4g}, limit {finding.limit:.4g}"
        faults.append(Fault(f"camera_{word}", name, detail, finding.value, finding.limit))
    return CameraFrame(name, stamp_ns, finding.status, finding.value, finding.limit, image)


def _view_faults(warp: Warp, view: Camera) -> tuple[Fault, ...]:
    faults = []
    if warp.coverage < 1.0:
        detail = f"it sees {warp.coverage:.1%} of the model's view"
        faults.append(Fault("view_incomplete", view.name, detail, warp.coverage, 1.0))
    distance = offset(warp.physical, view)
    if distance > MAX_OFFSET:
        detail = "away from where the model expects it"
        faults.append(Fault("lens_misplaced", view.name, detail, distance, MAX_OFFSET, "m"))
    return tuple(faults)
