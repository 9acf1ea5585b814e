"""Writes a model's graph in float16 and int8 beside the one in float32, and says what it costs.

float16: every tensor but inputs and outputs. int8: explicit Q/DQ around the convolutions, which do
nearly all of the work, everything else in float16; symmetric, weights per channel, ranges from
frames of training seeds. Both are typed throughout, as TensorRT 11 wants it; OpenVINO and ONNX
Runtime run the same files. How far the answers move is measured on frames of select seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from vla_driving import paths
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.trajectory import integrate
from vla_driving.learning.collect import collect, run_episode
from vla_driving.learning.dataset import DatasetError, read_episode
from vla_driving.learning.driving import load_setting
from vla_driving.learning.graph import halve_weights, save, tidy
from vla_driving.learning.scenes import SELECT_SEEDS, TRAIN_SEEDS, scene
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.vla.manifest import Model, ModelFile, Score, load_model, save_manifest
from vla_driving.vla.runtimes.base import Runtime
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime

Tensors = dict[str, npt.NDArray[Any]]

CALIBRATION_FRAMES = 256
HELD_OUT_SEEDS = SELECT_SEEDS[300:]
"""Behind the select seeds that closed-loop scores are taken from."""
TYPED_OPSET = 21
"""From 19 on QuantizeLinear takes float16; 21 is the newest that TensorRT 10.0 parses."""
TWO_SECONDS = 19
"""Index of the point at 2 s."""


class _Reader(CalibrationDataReader):
    def __init__(self, frames: Sequence[Tensors]) -> None:
        self._left: Iterator[Tensors] = iter(frames)

    def get_next(self) -> Tensors | None:
        """The next frame's tensors."""
        return next(self._left, None)


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, as `tidy` leaves it, typed in half precision between its inputs and outputs."""
    half = convert_float_to_float16(model, keep_io_types=True, op_block_list=[])
    OnnxModel.graph_topological_sort(half.graph)
    return half


def to_int8(model: onnx.ModelProto, frames: Sequence[Tensors]) -> onnx.ModelProto:
    """`model`, as `tidy` leaves it, with Q/DQ at the inputs of its convolutions, else float16."""
    convolutions = [n for n in model.graph.node if n.op_type == "Conv"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model, path, _Reader(frames), quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"], per_channel=True,
            activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "OpTypesToExcludeOutputQuantization": ["Conv"],
                "TensorQuantOverrides": _seven_bits(convolutions[0].input[1]),
            },
        )
        quantised = onnx.load(path)
    return to_float16(_standard_domain(onnx.version_converter.convert_version(
        quantised, TYPED_OPSET
    )))


def _seven_bits(weight: str) -> dict[str, list[dict[str, Any]]]:
    """The first layer's weights in 7 bits.

    Its input alone is signed (the others follow a ReLU), and CPUs without VNNI add two products of
    8 by 8 bits in 16: 2 * 255 * 127 would saturate, 2 * 255 * 64 fits.
    """
    return {weight: [{"quant_type": QuantType.QInt8, "axis": 0, "symmetric": True,
                      "reduce_range": True}]}


def _standard_domain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the operator sets that ONNX Runtime names and the graph does not use."""
    used = {node.domain for node in model.graph.node}
    kept = [o for o in model.opset_import if o.domain in used or not o.domain]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.ir_version = 10
    return model


def calibration_frames(data: Path, count: int) -> list[Tensors]:
    """Frames of training seeds, spread over all episodes below `data`; none there: some are driven.

    Raises DatasetError, SimulatorError.
    """
    if not any(data.rglob("*.npz")):
        print(f"{data}: no episodes; the teacher drives {count} frames", flush=True)
        collect(data / "teacher", TRAIN_SEEDS, load_setting(), None, count)
    chance = np.random.default_rng(0)
    episodes = sorted(data.rglob("*.npz"))
    chance.shuffle(episodes)
    frames: list[Tensors] = []
    for path in episodes:
        episode = read_episode(path)
        for k in chance.choice(len(episode), min(3, len(episode)), replace=False):
            labels = episode.labels
            frames.append(_tensors(episode.images[k], labels["speed"][k], labels["navigation"][k]))
        if len(frames) >= count:
            break
    return frames[:count]


def held_out_frames(count: int) -> list[Tensors]:
    """Frames of the teacher's drives on select seeds. Raises SimulatorError, SettingsError."""
    setting = load_setting()
    frames: list[Tensors] = []
    for seed in HELD_OUT_SEEDS:
        with setting.open(scene(seed)) as world:
            samples = run_episode(world, seed, None).samples
        frames += [_tensors(s.image, s.speed, s.navigation) for s in samples]
        print(f"select seed {seed}: {len(frames)} of {count} frames", flush=True)
        if len(frames) >= count:
            break
    return frames[:count]


def _tensors(image: npt.NDArray[np.uint8], speed: Any, navigation: Any) -> Tensors:
    return {
        "images": image[None, None],
        "ego": np.reshape(np.asarray(speed, np.float32), (1, 1)),
        "navigation": np.asarray(navigation, np.float32).reshape(1, -1),
    }


def shift(reference: Runtime, other: Runtime, frames: Sequence[Tensors]) -> dict[str, float]:
    """How far the answers of `other` lie from those of `reference`: m, and the share that agree."""
    distances, same = [], 0
    for tensors in frames:
        paths_, chosen = [], []
        for runtime in (reference, other):
            answer = runtime.infer(tensors)
            best = int(answer["probability"][0].argmax())
            bend, push = answer["curvature"][0, best], answer["acceleration"][0, best]
            chosen.append(best)
            paths_.append(integrate(float(tensors["ego"][0, 0]), push, bend, 1.0))
        same += chosen[0] == chosen[1]
        distances.append(np.hypot(paths_[0].x - paths_[1].x, paths_[0].y - paths_[1].y))
    at_two = np.array(distances)[:, TWO_SECONDS]
    return {
        "frames": len(frames),
        "same_candidate": same / len(frames),
        "mean_2s": float(at_two.mean()),
        "p95_2s": float(np.quantile(at_two, 0.95)),
        "mean_6.4s": float(np.mean(distances)),
    }


def write(folder: Path, precisions: Sequence[str], data: Path, version: str | None) -> Model:
    """Graphs in `precisions` into a model's folder and its manifest; the float32 one is tidied.

    Raises ModelError, DatasetError, SimulatorError.
    """
    model = load_model(folder)
    graph = tidy(onnx.load(model.network_path))
    name = model.network_path.name
    save(halve_weights(_copy(graph)), str(folder / name))
    files = [f for f in model.manifest.files if (f.precision or "float32") == "float32"]
    for precision in precisions:
        began = time.monotonic()
        if precision == "int8":
            made = to_int8(_copy(graph), calibration_frames(data, CALIBRATION_FRAMES))
        else:
            made = to_float16(_copy(graph))
        file = f"{Path(name).stem}.{precision}.onnx"
        save(made, str(folder / file))
        files.append(ModelFile(path=file, sha256="", role="network", precision=precision))
        size = (folder / file).stat().st_size / 1e6
        print(f"{folder / file}: {size:.1f} MB in {time.monotonic() - began:.0f} s", flush=True)
    manifest = dataclasses.replace(
        model.manifest, files=tuple(files), version=version or model.manifest.version,
    )
    save_manifest(manifest, folder)
    return load_model(folder)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def measure(model: Model, precisions: Sequence[str], count: int) -> dict[str, dict[str, float]]:
    """`shift` of each precision against float32 on held-out frames, OpenVINO on the CPU."""
    frames = held_out_frames(count)
    runtimes = {p: OpenVinoRuntime("CPU", 1) for p in ("float32", *precisions)}
    for precision, runtime in runtimes.items():
        runtime.load(model.at(precision))
    found = {p: shift(runtimes["float32"], runtimes[p], frames) for p in precisions}
    for runtime in runtimes.values():
        runtime.close()
    return found


def with_scores(model: Model, found: dict[str, dict[str, float]]) -> Model:
    """The same folder with what `measure` found among its manifest's scores."""
    names = {f"{p}_{what}" for p in found for what in ("shift_2s", "same_candidate")}
    scores = [s for s in model.manifest.scores if s.name not in names]
    for precision, figures in found.items():
        data = f"{precision} against float32, {figures['frames']} frames of select seeds from" \
               f" {HELD_OUT_SEEDS[0]} on, OpenVINO"
        scores.append(Score(f"{precision}_shift_2s", round(figures["mean_2s"], 4), "m", data))
        share = round(figures["same_candidate"], 3)
        scores.append(Score(f"{precision}_same_candidate", share, "1", data))
    save_manifest(dataclasses.replace(model.manifest, scores=tuple(scores)), model.folder)
    return load_model(model.folder)


def main(arguments: list[str] | None = None) -> int:
    """Command line: write and measure the graphs of a model's folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, help="folder, changed in place; models/pilot")
    parser.add_argument("--precisions", default="int8", help="int8, float16 or int8,float16")
    parser.add_argument("--data", type=Path, default=Path("out/learning/data"))
    parser.add_argument("--frames", type=int, default=400, help="held-out frames to compare on")
    parser.add_argument("--version", help="new version of the model")
    parser.add_argument("--out", type=Path, default=Path("out/learning/quantise.json"))
    options = parser.parse_args(arguments)
    precisions = tuple(options.precisions.split(","))
    if unknown := set(precisions) - {"int8", "float16"}:
        parser.error(f"--precisions: {', '.join(sorted(unknown))} is neither int8 nor float16")
    folder = options.model or paths.model("pilot")
    try:
        model = write(folder, precisions, options.data, options.version)
        found = measure(model, precisions, options.frames)
        with_scores(model, found)
    except (SettingsError, SimulatorError, DatasetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for precision, figures in found.items():
        print(precision, json.dumps({k: round(v, 4) for k, v in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
