"""`vla-driving calibrate`: pitch, yaw and height of a camera, measured while the car drives."""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import yaml

from vla_driving.camera.decoding import decode
from vla_driving.camera.images import DecodeError
from vla_driving.camera.mounting import (
    STRETCH_S,
    CalibrationRefused,
    Measured,
    MountEstimate,
    MountEstimator,
    mounted,
)
from vla_driving.commands.drive_images import Seen, from_bag, from_topics, from_video
from vla_driving.contract.cameras import Camera, load_camera
from vla_driving.nodes.parameters import named_file

SHOW_EVERY_S = 5.0


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser(
        "calibrate", help="measure a camera's pitch, yaw and height from driving straight on"
    )
    parser.add_argument(
        "camera", help="its file: a name in config/cameras, or a path; lens and roll are taken"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bag", type=Path, help="a recorded drive")
    source.add_argument("--video", type=Path, help="a video file or a folder of pictures")
    source.add_argument("--live", action="store_true", help="the topics of the running car")
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--speed", type=float, help="with --video: m/s, the same all the time")
    speed.add_argument(
        "--speeds", type=Path, metavar="FILE", help="with --video: lines of seconds,m/s"
    )
    parser.add_argument("--namespace", default="/", help="with --live: of the car's topics")
    parser.add_argument(
        "--duration", type=float, default=600.0, metavar="S", help="with --live: end after so long"
    )
    parser.add_argument(
        "--stretches", type=int, default=30,
        help=f"end after so many straight stretches of {STRETCH_S:g} s (30)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the new camera file here")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, say how sure it is, write. Raises CalibrationRefused with one line."""
    if arguments.video is None and (arguments.speed is not None or arguments.speeds is not None):
        raise CalibrationRefused("--speed and --speeds go with --video: a car states its own")
    cv2.setNumThreads(1)  # the stack may be driving on the other cores
    camera = load_camera(named_file(arguments.camera, "cameras"))
    estimate = measure(camera, _images(arguments, camera.name), arguments.stretches)
    for line in lines(camera, estimate):
        print(line)
    text = snippet(camera, estimate)
    if arguments.out is None:
        print(f"\nconfig/cameras/<name>.yaml:\n\n{text}", end="")
    else:
        arguments.out.write_text(text, encoding="utf-8")
        print(f"wrote {arguments.out}")
    return 0


def measure(camera: Camera, images: Iterator[Seen], stretches: int) -> MountEstimate:
    """Until there are so many stretches, the images end or Ctrl-C. Raises CalibrationRefused."""
    estimator = MountEstimator(camera)
    shown = time.monotonic()
    try:
        for seen in images:
            try:
                picture = decode(seen.picture, estimator.reduction)
            except DecodeError:
                continue  # the gap that it leaves ends the stretch
            estimator.add(seen.stamp_ns, picture, seen.speed)
            if time.monotonic() - shown > SHOW_EVERY_S:
                shown = time.monotonic()
                now = estimator.progress
                why = f"; {now.held_up_by}" if now.held_up_by else ""
                print(
                    f"{now.images} images, {now.stretches} of {stretches} stretches{why}",
                    flush=True,
                )
            if estimator.progress.stretches >= stretches:
                break
    except KeyboardInterrupt:
        print("interrupted: what was seen so far counts")
    return estimator.estimate()


def lines(camera: Camera, estimate: MountEstimate) -> list[str]:
    """What was found and how sure it is."""
    found = [
        _angle("pitch", estimate.pitch, camera.mount.pitch, "down"),
        _angle("yaw", estimate.yaw, camera.mount.yaw, "left"),
    ]
    height = estimate.height
    if height is None:
        found.append(
            f"height not measured, {camera.mount.z:.2f} m of the file stays:"
            f" {estimate.why_no_height}"
        )
    else:
        found.append(
            f"height {height.value:.3f} m, standard deviation {height.deviation:.3f}"
            f" ({height.spread:.3f} between stretches); the file has {camera.mount.z:.3f}"
        )
    found.append(
        f"from {estimate.stretches} straight stretches of {STRETCH_S:g} s,"
        f" {estimate.pairs} pairs of images"
    )
    return found


def snippet(camera: Camera, estimate: MountEstimate) -> str:
    """The camera file with what was measured."""
    content = dataclasses.asdict(mounted(camera, estimate))
    content["distortion"] = list(content["distortion"])
    content["mount"] = {name: round(value, 5) for name, value in content["mount"].items()}
    height = "as before" if estimate.height is None else f"+-{estimate.height.deviation:.3f} m"
    return (
        f"# pitch +-{math.degrees(estimate.pitch.deviation):.2f},"
        f" yaw +-{math.degrees(estimate.yaw.deviation):.2f} degrees, z {height}:"
        f" measured by vla-driving calibrate\n# on {estimate.stretches} straight stretches of"
        f" {STRETCH_S:g} s.\n" + yaml.safe_dump(content, sort_keys=False)
    )


def _images(arguments: argparse.Namespace, camera: str) -> Iterator[Seen]:
    if arguments.bag is not None:
        return from_bag(arguments.bag, camera)
    if arguments.video is not None:
        return from_video(arguments.video, arguments.speed, arguments.speeds)
    return from_topics(arguments.namespace, camera, arguments.duration)


def _angle(name: str, found: Measured, before: float, positive: str) -> str:
    value, deviation, spread, old = (
        math.degrees(a) for a in (found.value, found.deviation, found.spread, before)
    )
    return (
        f"{name} {value:+.2f} degrees ({positive} is positive), standard deviation"
        f" {deviation:.2f} ({spread:.2f} between stretches); the file has {old:+.2f}"
    )
