"""A camera's image on its way to the model: this project's way and the plain way, side by side.

Model-ready is what the shipped model takes: (H, W, 3) uint8 rgb in the virtual camera, since its
graph normalises by itself (vla/manifest.py). The plain way ends as such pipelines do, with floats
of 0 to 1 in (3, H, W). Everything on one core; the ways take turns, so that none has the quieter
machine.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving import paths
from vla_driving.bench.domain import own_domain
from vla_driving.bench.figures import Figures, Show, milliseconds, quantile
from vla_driving.bench.pictures import CAMERA, encoded, jpeg, road_pictures
from vla_driving.bringup import environment
from vla_driving.camera.decoding import decode
from vla_driving.camera.images import CompressedImage, Picture
from vla_driving.camera.warp import Warp
from vla_driving.contract.cameras import Camera
from vla_driving.contract.frames import Image
from vla_driving.contract.settings import read_yaml
from vla_driving.nodes.parameters import named_model
from vla_driving.vla.manifest import load_manifest

PASSES = 60
_PICTURES = 6
_DENSE_QUALITY = 95
_ENCODINGS = ("rgb8", "bgr8", "yuv422_yuy2", "nv12", "bayer_rggb8")
_TIMEOUT_S = 60.0
"""For the start and each round of the four cameras."""


class CameraBenchError(RuntimeError):
    """One line: what went wrong with the four cameras' process."""


def measure(rounds: int, show: Show, passes: int = PASSES) -> Figures:
    """Medians over rounds of what docs/bench.md lists under camera, four cameras apart."""
    with one_core():
        return _images(rounds, show, passes)


def four_cameras(rounds: int, show: Show) -> Figures:
    """A whole camera_ingest process under four cameras. Raises CameraBenchError."""
    try:
        return _four_cameras(rounds, show)
    except CameraBenchError as error:
        show(f"{error}; once more")
    return _four_cameras(rounds, show)


@contextmanager
def one_core() -> Iterator[None]:
    """This thread on one of its cores, and OpenCV without threads of its own."""
    allowed, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, {max(allowed)})
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        cv2.setNumThreads(threads)


def plain_way(file: bytes, view: Camera) -> npt.NDArray[np.float32]:
    """Full decoding, undistortion, scaling, colour, floats, channels first."""
    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    picture = cv2.undistort(picture, CAMERA.matrix(), np.array(CAMERA.distortion))
    picture = cv2.resize(picture, (view.width, view.height))
    picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray((picture.astype(np.float32) / 255.0).transpose(2, 0, 1))


def _images(rounds: int, show: Show, passes: int) -> Figures:
    view = _view()
    large = dataclasses.replace(
        view, width=640, height=384, fx=495.0, fy=495.0, cx=319.5, cy=167.5
    )
    pictures = road_pictures(_PICTURES)
    files = [jpeg(picture) for picture in pictures]
    small_warp, large_warp = Warp(CAMERA, view), Warp(CAMERA, large)
    dense = [jpeg(picture, _DENSE_QUALITY) for picture in pictures]
    ways: dict[str, Callable[[int], object]] = {
        "jpeg_1080p": lambda k: ready(CompressedImage(files[k]), small_warp),
        "jpeg_1080p_plain": lambda k: plain_way(files[k], view),
        "jpeg_1080p_dense": lambda k: ready(CompressedImage(dense[k]), small_warp),
        "jpeg_1080p_to_640x384": lambda k: ready(CompressedImage(files[k]), large_warp),
        **{encoding: _raw_way(pictures, encoding, small_warp) for encoding in _ENCODINGS},
    }
    times = _in_turns(ways, rounds, passes, show)
    by_encoding = {encoding: times.pop(encoding)[0] for encoding in _ENCODINGS}
    figures: Figures = {}
    for way, (middle, high) in times.items():
        figures[f"{way}_ms"], figures[f"{way}_ms_p99"] = middle, high
    return figures | {
        "jpeg_1080p_kilobytes": statistics.mean(len(file) for file in files) / 1e3,
        "jpeg_1080p_dense_kilobytes": statistics.mean(len(file) for file in dense) / 1e3,
        "raw_1080p_ms": by_encoding["bgr8"],
        "raw_1080p_by_encoding_ms": by_encoding,
        "model_ready": f"{view.width}x{view.height}x3 uint8 rgb",
    }


def ready(picture: Picture, warp: Warp) -> Image:
    """The whole way of one image."""
    return warp(decode(picture, warp.reduction))


def _raw_way(pictures: list[Image], encoding: str, warp: Warp) -> Callable[[int], object]:
    raw = [encoded(picture, encoding) for picture in pictures]
    return lambda k: ready(raw[k], warp)


def _in_turns(
    ways: dict[str, Callable[[int], object]], rounds: int, passes: int, show: Show
) -> dict[str, tuple[float, float]]:
    """50 % and 99 % quantiles in ms of each way, medians over rounds."""
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, work in ways.items():
            turns = itertools.cycle(range(_PICTURES))
            work(0)
            durations = milliseconds(partial(_next, work, turns), passes)
            found[way].append((statistics.median(durations), quantile(durations, 0.99)))
            show(
                f"camera, round {number + 1} of {rounds}: {way} {found[way][-1][0]:.2f} ms p50,"
                f" {found[way][-1][1]:.2f} p99"
            )
    return {
        way: (statistics.median(m for m, _ in all_), statistics.median(h for _, h in all_))
        for way, all_ in found.items()
    }


def _next(work: Callable[[int], object], turns: Iterator[int]) -> None:
    work(next(turns))


def _view() -> Camera:
    stack = read_yaml(paths.config("stack.yaml"))["/**"]["ros__parameters"]
    manifest = load_manifest(named_model(stack["model"]) / "manifest.yaml")
    return manifest.inputs.cameras[0]


def _four_cameras(rounds: int, show: Show) -> Figures:
    show(f"four jpeg cameras into one camera_ingest process, {rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        surroundings = environment.child_environment(own_domain(os.environ), Path(folder))
        command = [
            sys.executable, "-m", "vla_driving.bench.four_cameras", folder, "--rounds", str(rounds)
        ]
        try:
            done = subprocess.run(
                command, env=surroundings, capture_output=True, text=True,
                timeout=_TIMEOUT_S * (rounds + 1),
            )
        except subprocess.TimeoutExpired:
            raise CameraBenchError("four cameras: no answer in time") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CameraBenchError(f"four cameras: {last}")
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    show(f"four cameras take {figures['four_cameras_core_share']:.0%} of a core")
    return figures
