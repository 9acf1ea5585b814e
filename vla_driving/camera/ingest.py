"""The core of camera_ingest: images of all cameras in, one FrameSet for the model out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vla_driving.camera.channel import BadImage, Channel
from vla_driving.camera.faults import NODE, REACTIONS
from vla_driving.camera.health import Finding
from vla_driving.camera.images import CameraImage, VideoPacket
from vla_driving.camera.info import CameraInfo
from vla_driving.camera.settings import CameraIngestSettings
from vla_driving.camera.synchronisation import Paired, Synchroniser
from vla_driving.contract.cameras import Camera
from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.events import DriveEvent
from vla_driving.contract.faults import Fault, FaultLog
from vla_driving.contract.frames import CameraFrame, CameraReport, FrameSet, FrameStatus, Image
from vla_driving.contract.settings import SettingsError

EARLY = 0.3
"""Share of a period by which an image may come before it is due."""


@dataclass(frozen=True, eq=False)
class CameraInputs:
    """Images that came since the step before, and what drivers said of their cameras.

    `moving` is True unless the car is known to be so slow that images may stay the same.
    """

    images: tuple[CameraImage, ...]
    moving: bool
    infos: tuple[CameraInfo, ...] = ()


@dataclass(frozen=True)
class CameraCounters:
    """Since the start; `dropped` images were late, repeated or broken, `skipped` came early."""

    images: int = 0
    sets: int = 0
    dropped: int = 0
    skipped: int = 0


@dataclass(frozen=True, eq=False)
class CameraOutputs:
    """A set where one is due, and its health; `events` are those of the faults that are new."""

    frames: FrameSet | None
    health: tuple[CameraReport, ...]
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
        camera_hz: Mapping[str, float],
    ) -> None:
        """`virtual` are the model's cameras in its order, `model` its "name/version".

        `rate_hz` is that of the sets, `camera_hz` that at which each camera is to send. Raises
        SettingsError where a camera that the model needs is not there or looks elsewhere.
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
        self._channels = {
            v.name: Channel(
                by_name[v.name], v, settings.health, camera_hz[v.name],
                follows_info=settings.intrinsics == "camera_info",
            )
            for v in virtual
        }
        self._pairs = Synchroniser(names, settings.reference, settings.synchronisation)
        self._log = FaultLog(NODE, REACTIONS)
        self._counters = CameraCounters()
        self._unused = frozenset(by_name) - frozenset(names)
        self._input_faults: dict[str, Fault] = {}
        self._frame_faults: tuple[Fault, ...] = ()
        self._reports: tuple[CameraReport, ...] = ()
        self._started_ns: Nanoseconds | None = None
        self._good_ns: dict[str, Nanoseconds] = {}
        self._heard_ns: Nanoseconds = 0
        reference_s = 1.0 / camera_hz[settings.reference]
        self._patience_s = settings.health.max_silence * reference_s
        self._tell_every_ns = max(self._period_ns, nanoseconds(reference_s))
        self._due_ns: Nanoseconds | None = None
        self._told_ns: Nanoseconds = 0
        self._set_ns: Nanoseconds = 0

    def step(self, inputs: CameraInputs, now_ns: Nanoseconds) -> CameraOutputs:
        """Take images in; a set where one is due, or where the reference's loss must be told."""
        if self._started_ns is None or now_ns < self._told_ns:
            self._started_ns = self._told_ns = self._heard_ns = now_ns
            self._due_ns, self._set_ns = None, 0
            self._good_ns = dict.fromkeys(self._names, now_ns)
        for info in inputs.infos:
            if info.camera in self._channels:
                self._channels[info.camera].take_info(info)
        for image in inputs.images:
            self._take(image, now_ns)
        frames = None
        if paired := self._pairs.take(now_ns):
            if paired.stamp_ns > self._set_ns and self._is_due(paired.stamp_ns):
                frames = self._set_of(paired, inputs.moving, now_ns)
            else:
                self._count(skipped=1)
        elif self._is_silent(now_ns):
            lost = self._pairs.without_reference(self._lost_stamp(now_ns))
            frames = self._set_of(lost, inputs.moving, now_ns)
        faults = [f for channel in self._channels.values() for f in channel.faults()]
        faults += (*self._input_faults.values(), *self._frame_faults)
        return CameraOutputs(
            frames, self._reports if frames else (), tuple(faults),
            self._log.update(faults, now_ns), self._counters,
        )

    def _take(self, image: CameraImage, now_ns: Nanoseconds) -> None:
        if image.camera in self._unused:
            return
        self._count(images=1)
        # A fault of the input stays until that camera sends a good image.
        self._input_faults.pop(image.camera, None)
        channel = self._channels.get(image.camera)
        try:
            pictures = channel.pictures(image) if channel else [image]
        except BadImage as bad:
            self._reject(bad.fault)
            return
        reference = image.camera == self._settings.reference
        newest = self._pairs.newest.get(image.camera)
        for picture in pictures:
            if fault := self._pairs.add(picture, now_ns):
                self._reject(fault)
            elif channel:
                channel.arrived(picture)
                if jump := self._pairs.jump(image.camera):
                    self._input_faults[jump.subject] = jump
                if reference:
                    self._heard_ns = now_ns
                    if newest is not None and picture.stamp_ns <= newest:
                        self._set_ns = 0  # its clock was set back, and the sets follow it

    def _reject(self, fault: Fault) -> None:
        self._count(dropped=1)
        self._input_faults[fault.subject] = fault

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
        """Whether the reference is overdue so long that it must be told, once a period."""
        quiet = age_s(self._heard_ns, now_ns) > self._patience_s
        return quiet and now_ns - self._told_ns >= self._tell_every_ns

    def _lost_stamp(self, now_ns: Nanoseconds) -> Nanoseconds:
        """Of a set without its reference: later than the set before, earlier than what may come."""
        newest = self._pairs.newest[self._settings.reference]
        if newest is None:
            newest = now_ns - nanoseconds(self._settings.health.max_age)
        return max(newest, self._set_ns + 1)

    def _set_of(self, paired: Paired, moving: bool, now_ns: Nanoseconds) -> FrameSet:
        faults: list[Fault] = []
        frames = tuple(self._frame(n, paired, moving, now_ns, faults) for n in self._names)
        self._frame_faults = tuple(faults)
        self._reports = tuple(self._channels[f.name].report(f) for f in frames)
        self._told_ns, self._set_ns = now_ns, paired.stamp_ns
        self._count(sets=1)
        return FrameSet(paired.stamp_ns, self._counters.sets, self._model, frames)

    def _frame(
        self, name: str, paired: Paired, moving: bool, now_ns: Nanoseconds, faults: list[Fault]
    ) -> CameraFrame:
        image = paired.images[name]
        if image is None:
            stamp = paired.newest[name]
            finding = self._absent(name, stamp, paired, now_ns)
            return _marked(name, stamp or 0, finding, None, faults)
        assert not isinstance(image.payload, VideoPacket)
        try:
            view, finding = self._channels[name].show(image.payload, moving)
        except BadImage as bad:
            faults.append(bad.fault)
            self._count(dropped=1)
            return _marked(name, image.stamp_ns, self._missing(name, now_ns), None, faults)
        self._good_ns[name] = now_ns
        age, oldest = age_s(image.stamp_ns, now_ns), self._settings.health.max_age
        if age > oldest:
            finding = Finding(FrameStatus.STALE, age, oldest)
        self._check_skew(image, paired, faults)
        return _marked(name, image.stamp_ns, finding, view, faults)

    def _check_skew(self, image: CameraImage, paired: Paired, faults: list[Fault]) -> None:
        reference, warning = self._settings.reference, self._settings.synchronisation.warning
        skew = abs(age_s(image.stamp_ns, paired.stamp_ns))
        if paired.images[reference] is not None and skew > warning:
            detail = f"exposed apart from {reference}"
            faults.append(Fault("camera_skew", image.camera, detail, skew, warning, "s"))

    def _absent(
        self, name: str, newest: Nanoseconds | None, paired: Paired, now_ns: Nanoseconds
    ) -> Finding:
        reference = self._settings.reference
        if newest is None:
            return self._missing(name, now_ns)
        if paired.images[reference] is not None:
            apart = abs(age_s(newest, paired.stamp_ns))
            return Finding(FrameStatus.STALE, apart, self._settings.synchronisation.tolerance)
        if name == reference:
            silence = age_s(self._heard_ns, now_ns)
            return Finding(FrameStatus.STALE, silence, self._patience_s)
        age = abs(age_s(newest, now_ns))
        return Finding(FrameStatus.STALE, age, self._settings.health.max_age)

    def _missing(self, name: str, now_ns: Nanoseconds) -> Finding:
        """No image that can be shown, for so long."""
        return Finding(
            FrameStatus.MISSING, age_s(self._good_ns[name], now_ns), self._patience_s
        )

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
