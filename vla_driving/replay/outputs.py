"""What a recorded drive becomes: summary.json, drive.mp4 and report.html in one folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vla_driving.contract.cameras import Camera
from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.frames import Image
from vla_driving.contract.rates import Rates
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.recording.bag_reader import BagError
from vla_driving.replay.drive import Drive, Window, load_drive
from vla_driving.replay.failures import failures
from vla_driving.replay.moments import Moment, moments, picture_topic
from vla_driving.replay.report import Still, report_page
from vla_driving.replay.summary import ModelInfo, Summary, drive_window, summarise
from vla_driving.replay.video import Painter, write_video

SUMMARY, VIDEO, REPORT = "summary.json", "drive.mp4", "report.html"
KEY_FRAMES = 6
MIN_FREE_BYTES = 64 << 20

Progress = Callable[[str, float], None]
"""Told what is being done, and how much of all is done, 0 to 1."""


@dataclass(frozen=True)
class Source:
    """What a bag does not say about its drive.

    `camera` is the one whose pictures are shown, as mounted; `virtual_camera` the model's own of
    the same name, for bags that hold frame sets alone. `dead_nodes` are those that the supervisor
    saw die; `end_ns` is the end of the drive where the recording goes on after it.
    """

    model: ModelInfo
    camera: Camera
    virtual_camera: Camera
    vehicle: VehicleParameters
    rates: Rates
    dead_nodes: tuple[str, ...] = ()
    end_ns: Nanoseconds | None = None


@dataclass(frozen=True)
class Outputs:
    """What was written, and one line for each thing that failed."""

    summary: Summary
    failures: list[str]
    files: tuple[Path, ...]


def demo_outputs(
    bag: Path, out: Path, source: Source, progress: Progress | None = None
) -> Outputs:
    """Write summary, video and report of `bag` into the folder `out`.

    `source.end_ns` ends the drive before the stack is shut down. A bag that cannot be read or is
    empty gives no files and says so in `failures`. Raises OSError where `out` cannot be written.
    """
    tell = progress or (lambda words, share: None)
    try:
        drive = load_drive(bag, lambda share: tell("reading the bag", 0.2 * share))
    except BagError as error:
        return Outputs({}, [str(error)], ())
    window = drive_window(drive, source.end_ns)
    failed = failures(drive, window, source.dead_nodes)
    if window is None:
        return Outputs({}, failed, ())
    out.mkdir(parents=True, exist_ok=True)
    _check_room(bag, out)
    summary = {**summarise(drive, window, source.model, source.rates), "failures": failed}
    (out / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    stills = _KeyFrames(window, [f["first_s"] for f in summary["faults"]])
    pictures = _video(bag, out / VIDEO, drive, window, source, stills, tell)
    tell("writing the report", 0.98)
    page = report_page(
        drive, window, summary, failed, source.rates, stills.chosen(), VIDEO if pictures else None
    )
    (out / REPORT).write_text(page, encoding="utf-8")
    tell("done", 1.0)
    names = (SUMMARY, *((VIDEO,) if pictures else ()), REPORT)
    return Outputs(summary, failed, tuple(out / name for name in names))


def _check_room(bag: Path, out: Path) -> None:
    """The encoder does not survive a full disk, so look before. Raises OSError with one line."""
    free = shutil.disk_usage(out).free
    if free < MIN_FREE_BYTES:
        raise OSError(
            f"{out}: {free >> 20} MiB free, video and report want {MIN_FREE_BYTES >> 20}: "
            f"free some space, then `vla-driving report {bag}`; "
            "the bag is complete as far as it was recorded"
        )


def _video(
    bag: Path, path: Path, drive: Drive, window: Window, source: Source,
    stills: _KeyFrames, tell: Progress,
) -> int:
    topic = picture_topic(drive, source.camera.name)
    if topic is None:
        return 0
    camera = source.virtual_camera if topic == "vla/frames" else source.camera

    def seen(moment: Moment, image: Image) -> None:
        stills.offer(moment, image)
        tell("drawing the video", 0.2 + 0.77 * min(1.0, moment.elapsed_s / window.duration_s))

    shown = moments(bag, drive, window, camera.name, topic)
    return write_video(path, shown, Painter(camera, source.vehicle), seen)


@dataclass
class _KeyFrames:
    """Keeps the pictures at evenly spaced instants, and those at the first faults."""

    window: Window
    fault_times: Sequence[float]
    _kept: list[Still] = field(default_factory=list)
    _waiting: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        step = self.window.duration_s / KEY_FRAMES
        times = [((k + 0.5) * step, "") for k in range(KEY_FRAMES)]
        inside = [t for t in self.fault_times if 0.0 <= t <= self.window.duration_s]
        self._waiting = sorted(times + [(t, "fault, ") for t in inside[:3]])

    def offer(self, moment: Moment, image: Image) -> None:
        """Look at the next picture of the drive."""
        due = []
        while self._waiting and self._waiting[0][0] <= moment.elapsed_s:
            due.append(self._waiting.pop(0)[1])
        if due:
            label = max(due, key=len)
            reason = moment.plan.reasoning if moment.plan else "no plan"
            self._kept.append(Still(image, f"{label}{moment.elapsed_s:.1f} s: {reason}"))

    def chosen(self) -> list[Still]:
        """The pictures kept, in order."""
        return self._kept
