"""Writes a model's graph in float16 and int8 beside the one in float32, and says what it costs.

float16: every tensor but inputs and outputs. int8: explicit Q/DQ around the convolutions, which do
nearly all of the work, everything else in float16; symmetric, weights per channel, ranges from
frames of training clips. Both are typed throughout, as TensorRT 11 wants it; OpenVINO and ONNX
Runtime run the same files. How far the answers move is measured on clips that were not taught, each
precision with a memory of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
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
from vla_driving.learning.clips import Clip, clip_paths, read_clip
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.fit import split
from vla_driving.learning.graph import halve_weights, save, tidy
from vla_driving.learning.tensors import ROUTE_M, SHAPES
from vla_driving.vla.inputs import route_vector
from vla_driving.vla.manifest import Model, ModelFile, Score, load_model, save_manifest
from vla_driving.vla.runtimes.base import Runtime
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime

Tensors = dict[str, npt.NDArray[Any]]

CALIBRATION_FRAMES = 256
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


def calibration_frames(data: Path, count: int, names: Sequence[str]) -> list[Tensors]:
    """Frames of training clips, spread over all below `data`, as tensors of these `names`.

    Raises DatasetError.
    """
    chance = np.random.default_rng(0)
    paths = split(clip_paths(data))[0]
    if not paths:
        raise DatasetError(f"{data}: no clips to calibrate on; collect some first (make train)")
    chance.shuffle(paths)
    frames: list[Tensors] = []
    for path in paths:
        clip = read_clip(path)
        for k in chance.choice(len(clip), min(3, len(clip)), replace=False):
            frames.append(frame_tensors(clip, int(k), names))
        if len(frames) >= count:
            break
    return frames[:count]


def frame_tensors(clip: Clip, k: int, names: Sequence[str]) -> Tensors:
    """What a model with inputs of these `names` is given at a frame; nothing said or remembered.

    `motion` is that since the frame before, zeros at the first and where the memory starts anew.
    """
    label = {n: v[k] for n, v in clip.labels.items()}
    way = label["route_points"]
    known: dict[str, npt.NDArray[Any]] = {
        "images": clip.image(k)[None, None],
        "ego": label["speed"].reshape(1, 1),
        "navigation": label["navigation"][None],
        "route": route_vector(way[:, 0], way[:, 1], ROUTE_M)[None],
        "command": label["time_gap"].reshape(1, 1),
        "motion": _motion(clip, k)[None],
    }
    return {
        n: known[n] if n in known else np.zeros((1, *SHAPES[n]), np.float32) for n in names
    }


def _motion(clip: Clip, k: int) -> npt.NDArray[np.float32]:
    if k == 0 or clip.labels["fresh"][k]:
        return np.zeros(4, np.float32)
    then, now = clip.labels["pose"][k - 1:k + 1].astype(np.float64)
    c, s = np.cos(then[2]), np.sin(then[2])
    dx, dy = now[0] - then[0], now[1] - then[1]
    turned = np.arctan2(np.sin(now[2] - then[2]), np.cos(now[2] - then[2]))
    passed = clip.labels["time"][k] - clip.labels["time"][k - 1]
    return np.array([c * dx + s * dy, c * dy - s * dx, turned, passed], np.float32)


def shift(
    reference: Runtime, other: Runtime, clips: Iterable[Clip], names: Sequence[str], most: int
) -> dict[str, float]:
    """How far the answers of `other` lie from those of `reference`: m, and the share that agree."""
    distances, same, frames = [], 0, 0
    for clip in clips:
        remembered: list[Tensors] = [{}, {}]
        for k in range(len(clip)):
            tensors = frame_tensors(clip, k, names)
            if clip.labels["fresh"][k]:
                remembered = [{}, {}]
            ways, chosen = [], []
            for i, runtime in enumerate((reference, other)):
                answer = runtime.infer({**tensors, **remembered[i]})
                remembered[i] = {
                    n.removeprefix("next_"): v for n, v in answer.items() if n.startswith("next_")
                }
                best = int(answer["probability"][0].argmax())
                bend, push = answer["curvature"][0, best], answer["acceleration"][0, best]
                chosen.append(best)
                ways.append(integrate(float(tensors["ego"][0, 0]), push, bend, 1.0))
            same += chosen[0] == chosen[1]
            frames += 1
            distances.append(np.hypot(ways[0].x - ways[1].x, ways[0].y - ways[1].y))
            if frames >= most:
                return _shifted(np.array(distances), same)
    return _shifted(np.array(distances), same)


def _shifted(distances: npt.NDArray[np.floating[Any]], same: int) -> dict[str, float]:
    at_two = distances[:, TWO_SECONDS]
    return {
        "frames": len(distances),
        "same_candidate": same / len(distances),
        "mean_2s": float(at_two.mean()),
        "p95_2s": float(np.quantile(at_two, 0.95)),
        "mean_6.4s": float(np.mean(distances)),
    }


def write(folder: Path, precisions: Sequence[str], data: Path, version: str | None) -> Model:
    """Graphs in `precisions` into a model's folder and its manifest; the float32 one is tidied.

    Raises ModelError, DatasetError.
    """
    model = load_model(folder)
    graph = tidy(onnx.load(model.network_path))
    name = model.network_path.name
    save(halve_weights(_copy(graph)), str(folder / name))
    files = [f for f in model.manifest.files if (f.precision or "float32") == "float32"]
    for precision in precisions:
        began = time.monotonic()
        if precision == "int8":
            frames = calibration_frames(data, CALIBRATION_FRAMES, inputs_of(model))
            made = to_int8(_copy(graph), frames)
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


def inputs_of(model: Model) -> list[str]:
    """Names of a model's input tensors."""
    return [t.name for t in model.manifest.input_tensors()]


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def measure(
    model: Model, precisions: Sequence[str], data: Path, count: int
) -> dict[str, dict[str, float]]:
    """`shift` of each precision against float32 on held-out clips below `data`, OpenVINO, CPU.

    Raises DatasetError.
    """
    clips = [read_clip(p) for p in split(clip_paths(data))[1]]
    if not any(map(len, clips)):
        raise DatasetError(f"{data}: no held-out clips to measure on")
    runtimes = {p: OpenVinoRuntime("CPU", 1) for p in ("float32", *precisions)}
    for precision, runtime in runtimes.items():
        runtime.load(model.at(precision))
    reference = runtimes["float32"]
    names = inputs_of(model)
    found = {p: shift(reference, runtimes[p], clips, names, count) for p in precisions}
    for runtime in runtimes.values():
        runtime.close()
    return found


def with_scores(model: Model, found: dict[str, dict[str, float]]) -> Model:
    """The same folder with what `measure` found among its manifest's scores."""
    names = {f"{p}_{what}" for p in found for what in ("shift_2s", "same_candidate")}
    scores = [s for s in model.manifest.scores if s.name not in names]
    for precision, figures in found.items():
        data = f"{precision} against float32, {figures['frames']} frames of held-out clips," \
               " OpenVINO"
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
    parser.add_argument("--data", type=Path, default=Path("out/learning/clips"))
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
        found = measure(model, precisions, options.data, options.frames)
        with_scores(model, found)
    except (SettingsError, DatasetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for precision, figures in found.items():
        print(precision, json.dumps({k: round(v, 4) for k, v in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
