"""camera_ingest: images of any camera in, frames at the model's size out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import cv2

from vla_driving.camera.images import CameraImage, CompressedImage, RawImage
from vla_driving.camera.ingest import CameraCounters, CameraIngest, CameraInputs
from vla_driving.camera.playback import Playback
from vla_driving.camera.settings import CameraIngestSettings
from vla_driving.camera.sources import TOPICS, assumed_camera, open_source
from vla_driving.contract.cameras import Camera, load_camera
from vla_driving.contract.checksum import signed
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.frames import camera_health
from vla_driving.contract.messages import stamp_of
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.topics import camera_topic
from vla_driving.contract.vehicle import VehicleState
from vla_driving.nodes.cameras import ASSUMED
from vla_driving.nodes.parameters import named_file
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode
from vla_driving.vla.manifest import load_manifest

MOVING_SPEED = 0.5
"""m/s. A car that creeps may well see the same picture twice."""
STEP_RATE_HZ = 50.0
"""Steps between images: how soon a lost camera is told and a file's next picture is shown."""


class CameraIngestNode(StackNode):
    """Steps when an image comes, and in between so that a camera's silence is noticed."""

    NAME: ClassVar[str] = "camera_ingest"
    SETTINGS: ClassVar[type] = CameraIngestSettings
    NICENESS: ClassVar[int] = -5
    BEATS: ClassVar[bool] = True

    def configure(self) -> None:
        """Open cameras and files. Raises SettingsError, ModelError with one line."""
        manifest = load_manifest(self.model_folder() / "manifest.yaml")
        self._playbacks: list[Playback] = []
        self._counters = CameraCounters()
        self._moving = True
        files, sources = self.stack.cameras, self.settings.sources
        if len(files) != len(sources):
            raise SettingsError(
                f"camera_ingest.sources: {len(sources)} entries for {len(files)} cameras"
            )
        self.speak("vla/frames")
        self.speak("vla/camera_health")
        self.listen("vehicle/state", VehicleState, self._take_state)
        cameras = [self._open(f, s) for f, s in zip(files, sources, strict=True)]
        self._core = CameraIngest(
            self.settings, cameras, manifest.inputs.cameras, manifest.title,
            self.stack.rates.frames,
        )
        self.every(STEP_RATE_HZ, self._tick)

    def diagnose(self) -> dict[str, str]:
        """Counters of images and sets."""
        counters = self._counters
        return {
            "images": str(counters.images),
            "frame_sets": str(counters.sets),
            "images_dropped": str(counters.dropped),
            "images_skipped": str(counters.skipped),
        }

    def _open(self, file: str, source: str) -> Camera:
        if source in TOPICS:
            if file == ASSUMED:
                raise SettingsError(
                    f"cameras: {ASSUMED!r} needs a file in camera_ingest.sources, not {source!r}"
                )
            camera = load_camera(named_file(file, "cameras"))
            self._listen_to(camera.name, source)
            return camera
        opened = open_source(Path(source), self.stack.rates.camera)
        if file == ASSUMED:
            camera, warning = assumed_camera(
                self.settings.reference, opened.width, opened.height,
                self.settings.assumed_horizontal_fov,
            )
            self.get_logger().warning(warning)
        else:
            camera = load_camera(named_file(file, "cameras"))
        self._playbacks.append(Playback(camera.name, source, opened.images(self.settings.loop)))
        return camera

    def _listen_to(self, camera: str, source: str) -> None:
        compressed = source == "compressed_topic"
        row = "camera/{camera}/image" + ("/compressed" if compressed else "")
        take = self._take_compressed if compressed else self._take_raw
        self.listen(row, None, self.timed(partial(take, camera)), camera_topic(row, camera))

    def _take_raw(self, camera: str, message: Any) -> None:
        payload = RawImage(
            message.height, message.width, message.encoding, message.step, message.data
        )
        self._step(CameraImage(camera, stamp_of(message.header.stamp), payload))

    def _take_compressed(self, camera: str, message: Any) -> None:
        payload = CompressedImage(message.data)
        self._step(CameraImage(camera, stamp_of(message.header.stamp), payload))

    def _take_state(self, state: VehicleState) -> None:
        self._moving = abs(state.speed) > MOVING_SPEED

    def _tick(self) -> None:
        now_ns = self.now_ns()
        images = []
        for playback in self._playbacks:
            image = playback.step(now_ns)
            if image is not None:
                images.append(image)
            if fault := playback.take_fault():
                self.tell(
                    DriveEvent(
                        now_ns, Severity.ERROR, self.NAME, "camera_source_ended",
                        playback.camera, 0.0, 0.0, "", fault,
                    )
                )
        self._step(*images)

    def _step(self, *images: CameraImage) -> None:
        outputs = self._core.step(CameraInputs(images, self._moving), self.now_ns())
        self._counters = outputs.counters
        if outputs.frames is not None:
            self.send("vla/camera_health", signed(camera_health(outputs.frames)))
            self.send("vla/frames", outputs.frames)
        for event in outputs.events:
            self.tell(event)


NODE_CLASS = CameraIngestNode


def main(_args: Any = None) -> None:
    """Run the node."""
    # OpenCV's own threads would take the cores of the nodes that wait for these frames.
    cv2.setNumThreads(1)
    run(CameraIngestNode)


if __name__ == "__main__":
    main()
