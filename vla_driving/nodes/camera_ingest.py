"""camera_ingest: images of any camera in, frames at the model's size out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import cv2

from vla_driving.camera.feeds import feed, is_live
from vla_driving.camera.images import CameraImage
from vla_driving.camera.info import CameraInfo
from vla_driving.camera.ingest import CameraCounters, CameraIngest, CameraInputs
from vla_driving.camera.live import LiveCamera
from vla_driving.camera.playback import Playback, Prefetch
from vla_driving.camera.settings import CameraIngestSettings
from vla_driving.camera.sources import assumed_camera, open_source
from vla_driving.contract.cameras import Camera, load_camera
from vla_driving.contract.checksum import signed
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.frames import CameraHealth
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.topics import camera_topic
from vla_driving.contract.vehicle import VehicleState
from vla_driving.nodes.camera_topics import Kind, info_of, kind_of
from vla_driving.nodes.cameras import ASSUMED
from vla_driving.nodes.parameters import NO_MODEL, named_file, named_model
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode
from vla_driving.vla.large.manifest import load_large_manifest
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
        self._playbacks: list[Playback] = []
        self._prefetches: list[Prefetch] = []
        self._live: list[LiveCamera] = []
        self._woken = False
        self._infos: tuple[CameraInfo, ...] = ()
        self._camera_hz: dict[str, float] = {}
        self._counters = CameraCounters()
        self._moving = True
        manifest = load_manifest(self.model_folder() / "manifest.yaml")
        files, sources = self.stack.cameras, self.settings.sources
        if len(files) != len(sources):
            raise SettingsError(
                f"camera_ingest.sources: {len(sources)} entries for {len(files)} cameras"
            )
        self.speak("vla/frames")
        self.speak("vla/large_frames")
        self.speak("vla/camera_health")
        self.listen("vehicle/state", VehicleState, self._take_state)
        cameras = [self._open(f, s) for f, s in zip(files, sources, strict=True)]
        self._core = CameraIngest(
            self.settings, cameras, manifest.inputs.cameras, manifest.title,
            self.stack.rates.frames, self._camera_hz,
        )
        self._large = self._for_large_model(cameras)
        self.every(STEP_RATE_HZ, self._tick)

    def release(self) -> None:
        """Close devices, streams and files."""
        for live in self._live:
            live.close()
        for ahead in self._prefetches:
            ahead.close()
        self._live, self._prefetches, self._playbacks = [], [], []

    def diagnose(self) -> dict[str, str]:
        """Counters of images and sets."""
        counters = self._counters
        return {
            "images": str(counters.images),
            "frame_sets": str(counters.sets),
            "images_dropped": str(counters.dropped),
            "images_skipped": str(counters.skipped),
            **{f"{live.camera} images_not_taken": str(live.dropped) for live in self._live},
        }

    def _for_large_model(self, cameras: list[Camera]) -> CameraIngest | None:
        """The same images once more, as a second model beside the first wants to see them."""
        if self.stack.large_model == NO_MODEL:
            return None
        manifest = load_large_manifest(named_model(self.stack.large_model))
        return CameraIngest(
            self.settings, cameras, manifest.inputs.cameras, manifest.title,
            self.stack.rates.frames, self._camera_hz,
        )

    def _open(self, file: str, source: str) -> Camera:
        rate_hz = self.stack.rates.camera
        kind = kind_of(source)
        if kind is None and not is_live(source):
            return self._open_file(file, source)
        if file == ASSUMED:
            raise SettingsError(
                f"cameras: {ASSUMED!r} needs a file in camera_ingest.sources, not {source!r}"
            )
        camera = load_camera(named_file(file, "cameras"))
        self._camera_hz[camera.name] = rate_hz
        if kind is None:
            connect = feed(source, camera.width, camera.height, rate_hz, self.settings.live)
            self._live.append(LiveCamera(camera.name, connect, self.settings.live, self._wake))
        else:
            self._listen_to(camera.name, kind)
        return camera

    def _open_file(self, file: str, source: str) -> Camera:
        opened = open_source(Path(source), self.stack.rates.camera)
        if file == ASSUMED:
            camera, warning = assumed_camera(
                self.settings.reference, opened.width, opened.height,
                self.settings.assumed_horizontal_fov,
            )
            self.get_logger().warning(warning)
        else:
            camera = load_camera(named_file(file, "cameras"))
        ahead = Prefetch(opened.images(self.settings.loop))
        self._prefetches.append(ahead)
        self._playbacks.append(Playback(camera.name, source, ahead))
        self._camera_hz[camera.name] = opened.rate_hz
        return camera

    def _listen_to(self, camera: str, kind: Kind) -> None:
        def take(message: Any) -> None:
            self._step(kind.image(camera, message))

        def take_info(message: Any) -> None:
            others = tuple(i for i in self._infos if i.camera != camera)
            self._infos = (*others, info_of(camera, message))

        self.listen(kind.row, None, self.timed(take), camera_topic(kind.row, camera))
        row = "camera/{camera}/camera_info"
        self.listen(row, None, take_info, camera_topic(row, camera))

    def _wake(self) -> None:
        """From a thread that reads: step at once, rather than at the next tick."""
        if self.executor is not None and self.active and not self._woken:
            self._woken = True
            self.executor.create_task(self._step_live)

    def _step_live(self) -> None:
        self._woken = False
        if self.active:
            self.timed(self._step)(*self._live_images())

    def _live_images(self) -> list[CameraImage]:
        now_ns = self.now_ns()
        images = [live.take(now_ns) for live in self._live]
        for live in self._live:
            for well, what in live.take_news():
                self._tell_source(live.camera, well, f"{live.camera}: {what}")
        return [image for image in images if image is not None]

    def _tell_source(self, camera: str, well: bool, text: str) -> None:
        severity = Severity.INFO if well else Severity.ERROR
        name = "camera_source_back" if well else "camera_source_lost"
        self.tell(
            DriveEvent(self.now_ns(), severity, self.NAME, name, camera, 0.0, 0.0, "", text)
        )

    def _take_state(self, state: VehicleState) -> None:
        self._moving = abs(state.speed) > MOVING_SPEED

    def _tick(self) -> None:
        now_ns = self.now_ns()
        images = self._live_images()
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
        infos, self._infos = self._infos, ()
        inputs = CameraInputs(images, self._moving, infos)
        outputs = self._core.step(inputs, self.now_ns())
        self._counters = outputs.counters
        if (frames := outputs.frames) is not None:
            # First what the model waits for; its plan comes long after the health of its frames.
            self.send("vla/frames", frames)
            health = CameraHealth(frames.stamp_ns, frames.sequence, frames.model, outputs.health)
            self.send("vla/camera_health", signed(health))
        for event in outputs.events:
            self.tell(event)
        if self._large is not None:  # what is wrong with these images was told above
            large = self._large.step(inputs, self.now_ns())
            if large.frames is not None:
                self.send("vla/large_frames", large.frames)


NODE_CLASS = CameraIngestNode


def main(_args: Any = None) -> None:
    """Run the node."""
    # OpenCV's own threads would take the cores of the nodes that wait for these frames.
    cv2.setNumThreads(1)
    run(CameraIngestNode)


if __name__ == "__main__":
    main()
