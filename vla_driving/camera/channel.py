"""One camera of the set: what was said of it, its decoder, its health and its warp."""

from __future__ import annotations

import dataclasses
import math

from vla_driving.camera.decoding import decode, size_of
from vla_driving.camera.health import CameraHealth, Finding
from vla_driving.camera.images import CameraImage, DecodeError, Picture, VideoPacket
from vla_driving.camera.info import CameraInfo, adopted, contradiction
from vla_driving.camera.rate import RateMeter
from vla_driving.camera.settings import HealthSettings
from vla_driving.camera.video import VideoDecoder, WaitsForKeyframe
from vla_driving.camera.warp import Warp, offset
from vla_driving.contract.cameras import Camera
from vla_driving.contract.faults import Fault
from vla_driving.contract.frames import CameraFrame, CameraReport, Image
from vla_driving.contract.settings import SettingsError

MAX_OFFSET = 0.5
"""m between a camera and the place the model expects it at, above which it is reported."""


class BadImage(Exception):
    """Carries the fault of an image that cannot be shown."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


class Channel:
    """Everything of one camera that outlives an image."""

    def __init__(
        self, physical: Camera, virtual: Camera, settings: HealthSettings, camera_hz: float,
        follows_info: bool = False,
    ) -> None:
        """`camera_hz`: the rate that is expected. Raises SettingsError where little is seen.

        `follows_info`: show nothing until the driver has stated the intrinsics, then take those.
        """
        self.name = virtual.name
        self.camera_hz = camera_hz
        self._settings = settings
        self._virtual = virtual
        self._awaits_info = follows_info
        self._warp = Warp(physical, virtual)
        self._health = CameraHealth(settings, self._warp.seen)
        self._rate = RateMeter(camera_hz)
        self._decoder = VideoDecoder()
        self._lasting = _view_faults(self._warp, virtual)
        self._info: CameraInfo | None = None
        self._info_fault: Fault | None = None

    def take_info(self, info: CameraInfo) -> None:
        """Take what the driver says, or hold it against what is known; where it is new."""
        if info == self._info:
            return
        self._info = info
        if self._awaits_info:
            self._info_fault = self._adopt(info)
        else:
            self._info_fault = contradiction(self._warp.physical, info)

    def _adopt(self, info: CameraInfo) -> Fault | None:
        stated = adopted(self._warp.physical, info)
        if isinstance(stated, Fault):
            return stated
        try:
            self._warp = Warp(stated, self._virtual)
        except SettingsError as error:
            return Fault("camera_info_contradicts", self.name, str(error))
        self._health = CameraHealth(self._settings, self._warp.seen)
        self._lasting = _view_faults(self._warp, self._virtual)
        self._awaits_info = False
        return None

    def pictures(self, image: CameraImage) -> list[CameraImage]:
        """What an image holds that stands for itself: itself, or the images of a video packet.

        Raises BadImage.
        """
        if not isinstance(image.payload, VideoPacket):
            return [image]
        try:
            frames = self._decoder.decode(image.payload, image.stamp_ns)
        except WaitsForKeyframe as error:
            raise BadImage(Fault("video_waits", self.name, str(error))) from None
        except DecodeError as error:
            raise BadImage(Fault("image_undecodable", self.name, str(error))) from None
        return [CameraImage(self.name, frame.pts or 0, frame) for frame in frames]

    def arrived(self, image: CameraImage) -> None:
        """Count an image whose stamp is good."""
        self._rate.add(image.stamp_ns)

    def show(self, picture: Picture, moving: bool) -> tuple[Image, Finding]:
        """The model's view and what is wrong with it. Raises BadImage."""
        physical = self._warp.physical
        if self._awaits_info:
            raise BadImage(
                Fault("camera_info_awaited", self.name, "no camera_info that can be taken came yet")
            )
        try:
            found, expected = size_of(picture), (physical.width, physical.height)
            if found != expected:
                detail = "image {}x{} instead of {}x{} of its camera file"
                raise BadImage(
                    Fault("image_wrong_size", self.name, detail.format(*found, *expected))
                )
            image = self._warp(decode(picture, self._warp.reduction))
        except DecodeError as error:
            raise BadImage(Fault("image_undecodable", self.name, str(error))) from None
        return image, self._health.look(image, moving)

    def faults(self) -> list[Fault]:
        """Those that do not belong to one image."""
        found = list(self._lasting)
        if self._info_fault is not None:
            found.append(self._info_fault)
        rate, nominal = self._rate.rate_hz, self.camera_hz
        most = nominal * (1.0 + self._settings.rate_tolerance)
        least = nominal * (1.0 - self._settings.rate_tolerance)
        if not math.isnan(rate) and not least <= rate <= most:
            detail = f"images come at another rate than {nominal:g} Hz"
            limit = least if rate < least else most
            found.append(Fault("camera_rate_off", self.name, detail, rate, limit, "Hz"))
        return found

    def report(self, frame: CameraFrame) -> CameraReport:
        """Health beside the frame that it belongs to."""
        measures = {} if frame.image is None else dataclasses.asdict(self._health.measures)
        return CameraReport(
            name=frame.name, stamp_ns=frame.stamp_ns, status=frame.status,
            status_value=frame.status_value, status_limit=frame.status_limit,
            **{"rate": self._rate.rate_hz, **_UNMEASURED, **measures},
        )


_UNMEASURED = dict.fromkeys(("brightness", "saturated", "contrast", "sharpness"), math.nan)


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
