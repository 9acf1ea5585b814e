"""Four 1080p jpeg cameras at 10 Hz into the real camera_ingest process, and its share of a core.

`python -m vla_driving.bench.four_cameras FOLDER` prints the figures as one JSON object. The share
counts all of the process: DDS, decoding, health, warp and the frames it sends to the model.
"""

from __future__ import annotations

import argparse
import array
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import rclpy
import yaml
from sensor_msgs.msg import CompressedImage
from vla_driving_msgs.msg import FrameSet as FrameSetMessage

from vla_driving import paths
from vla_driving.bench.pictures import CAMERA, jpeg, road_pictures
from vla_driving.bringup.child import StartOptions
from vla_driving.bringup.processes import PROCESSES
from vla_driving.bringup.supervisor import Supervisor
from vla_driving.contract.messages import set_stamp
from vla_driving.contract.settings import read_yaml
from vla_driving.contract.topics import BY_NAME, camera_topic
from vla_driving.nodes.parameters import named_model
from vla_driving.nodes.qos import profile

NAMES = ("front", "left", "right", "rear")
RATE_HZ = 10.0
ROUND_S = 5.0
SETTLING_S = 2.0
_PICTURES = 3
_ROW = "camera/{camera}/image/compressed"


class Incomplete(RuntimeError):
    """Too few sets came out for the share to mean anything."""


def measure(folder: Path, rounds: int) -> dict[str, float]:
    """Share of a core, median over rounds; and the share of sets in which every image was good."""
    options = StartOptions(
        params_files=(paths.config("stack.yaml"),), log_folder=folder / "log",
        overrides={"camera_ingest": {
            "model": str(_model(folder)), "cameras": _cameras(folder),
            "sources": ["compressed_topic"] * len(NAMES), "reference": NAMES[0],
        }},
    )
    rows = tuple(p for p in PROCESSES if p.name == "camera_ingest")
    with Supervisor(rows, options, stop_car_first=False, show=_show) as supervisor:
        supervisor.start()
        process = next(
            p for p in psutil.Process().children(recursive=True)
            if "vla_driving.nodes.camera_ingest" in p.cmdline()
        )
        return _drive(process, rounds)


def _drive(process: psutil.Process, rounds: int) -> dict[str, float]:
    node = rclpy.create_node("four_cameras")
    row = BY_NAME[_ROW]
    publishers = [
        node.create_publisher(CompressedImage, camera_topic(_ROW, name), profile(row.delivery))
        for name in NAMES
    ]
    good: list[bool] = []
    frames = BY_NAME["vla/frames"]
    node.create_subscription(
        FrameSetMessage, frames.name, lambda m: good.append(all(f.status == 0 for f in m.frames)),
        profile(frames.delivery),
    )
    messages = [
        CompressedImage(format="jpeg", data=array.array("B", jpeg(picture)))
        for picture in road_pictures(_PICTURES)
    ]

    def send(count: int) -> None:
        message = messages[count % len(messages)]
        set_stamp(message.header.stamp, node.get_clock().now().nanoseconds)
        for publisher in publishers:
            publisher.publish(message)

    _pace(node, SETTLING_S, send)
    good.clear()
    shares = []
    for number in range(rounds):
        before, begin = process.cpu_times(), time.monotonic()
        _pace(node, ROUND_S, send)
        after, took_s = process.cpu_times(), time.monotonic() - begin
        used_s = after.user + after.system - before.user - before.system
        shares.append(used_s / took_s)
        _show(f"round {number + 1} of {rounds}: {shares[-1]:.1%} of a core")
    expected = rounds * ROUND_S * RATE_HZ
    if sum(good) < 0.9 * expected:
        raise Incomplete(
            f"{sum(good)} good sets of {expected:.0f}, the share would mean nothing: is the machine"
            " busy?"
        )
    return {
        "four_cameras_core_share": statistics.median(shares),
        "four_cameras_good_sets": sum(good) / expected,
    }


def _pace(node: Any, duration_s: float, send: Callable[[int], None]) -> None:
    due = time.monotonic()
    for count in range(round(duration_s * RATE_HZ)):
        send(count)
        # A camera that was late does not send two images at once to make up for it.
        due = max(due + 1.0 / RATE_HZ, time.monotonic())
        while (left := due - time.monotonic()) > 0.0:
            rclpy.spin_once(node, timeout_sec=left)


def _model(folder: Path) -> Path:
    """The shipped model's manifest with four cameras; camera_ingest reads nothing else of it."""
    stack = read_yaml(paths.config("stack.yaml"))["/**"]["ros__parameters"]
    manifest = read_yaml(named_model(stack["model"]) / "manifest.yaml")
    front = manifest["inputs"]["cameras"][0]
    manifest["inputs"]["cameras"] = [{**front, "name": name} for name in NAMES]
    path = folder / "four" / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return path.parent


def _cameras(folder: Path) -> list[str]:
    files = []
    for name in NAMES:
        content = dataclasses.asdict(dataclasses.replace(CAMERA, name=name))
        content["distortion"] = list(content["distortion"])
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        files.append(str(path))
    return files


def _show(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rclpy.init(args=[])
    try:
        figures = measure(options.folder, options.rounds)
    finally:
        rclpy.try_shutdown()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
