"""The model's forward pass against what this CPU's int8 units can do at most, on one thread.

The peak is measured in the same run: a convolution large enough to keep the units busy, in int8,
through the same library. The ratio is the network's multiply-accumulates a second over the peak's.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
from openvino import opset15

from vla_driving import paths
from vla_driving.bench.figures import Figures, Show, milliseconds, quantile
from vla_driving.vla.engines.verify import samples
from vla_driving.vla.manifest import Model, load_model
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime

Inputs = Mapping[str, npt.NDArray[Any]]

PRECISIONS = ("int8", "float32")
PASSES = 200
"""Of the model in a round."""
PEAK_PASSES = 20
PEAK_CHANNELS = 256
PEAK_SIZE = 56
"""A 3x3 convolution over so many channels and PEAK_SIZE squared points: 1.85e9 MACs."""
SLOWEST = 5
"""Layers that are named."""
_OPTIONS = {
    "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False,
    "INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": True,
}


def measure(rounds: int, show: Show) -> Figures:
    """forward_ms_p50 and forward_peak_ratio of the shipped int8 model, float32 beside it.

    Raises ModelError, RuntimeError.
    """
    model = load_model(paths.model("pilot"))
    runtimes = {precision: _loaded(model, precision) for precision in PRECISIONS}
    inputs, peak_work = samples(model, 1)[0], PeakConvolution()
    peaks: list[float] = []
    times: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for number in range(rounds):
        peaks.append(peak_work.macs_a_second(PEAK_PASSES))
        for precision, runtime in runtimes.items():
            times[precision].append(_p50(runtime, inputs))
        show(f"model, round {number + 1}/{rounds}: int8 {times['int8'][-1]:.2f} ms, float32"
             f" {times['float32'][-1]:.2f} ms, int8 peak {2e-9 * peaks[-1]:.0f} Gop/s")
    for runtime in runtimes.values():
        runtime.close()
    macs, peak = multiply_accumulates(model), statistics.median(peaks)
    p50 = {precision: statistics.median(values) for precision, values in times.items()}
    ratio = {precision: macs / (1e-3 * ms) / peak for precision, ms in p50.items()}
    layers = layer_times(model.at("int8"), inputs)
    return {
        "forward_ms_p50": p50["int8"],
        "forward_float32_ms_p50": p50["float32"],
        "forward_peak_ratio": ratio["int8"],
        "forward_float32_peak_ratio": ratio["float32"],
        "forward_mmacs": 1e-6 * macs,
        "int8_peak_gops": 2e-9 * peak,
        "forward_layer_ms": layers,
        "forward_limit": limit(layers, ratio["int8"]),
    }


def _loaded(model: Model, precision: str) -> OpenVinoRuntime:
    runtime = OpenVinoRuntime("CPU", 1)
    runtime.load(model.at(precision))
    runtime.warm_up(10)
    return runtime


def _p50(runtime: OpenVinoRuntime, inputs: Inputs) -> float:
    def forward() -> None:
        runtime.infer(inputs)

    return quantile(milliseconds(forward, PASSES), 0.5)


class PeakConvolution:
    """One large int8 convolution behind a ReLU, quantised as the model's are, on one thread."""

    def __init__(self, channels: int = PEAK_CHANNELS, size: int = PEAK_SIZE) -> None:
        chance = np.random.default_rng(0)
        shape = (1, channels, size, size)
        given = opset15.parameter(shape, np.float32)
        low, high = (opset15.constant(np.float32(v)) for v in (0.0, 2.55))
        quantised = opset15.fake_quantize(opset15.relu(given), low, high, low, high, 256)
        integers = chance.integers(-64, 65, (channels, channels, 3, 3)).astype(np.int8)
        weights = opset15.multiply(
            opset15.convert(opset15.constant(integers), np.float32),
            opset15.constant(np.full((channels, 1, 1, 1), 1e-3, np.float32)),
        )
        answer = opset15.convolution(quantised, weights, [1, 1], [1, 1], [1, 1], [1, 1])
        network = openvino.Model([answer], [given], "peak")
        self._request = _profiled(network)
        self._input = chance.uniform(0.0, 2.5, shape).astype(np.float32)
        self._macs = channels**2 * 9 * size**2

    def macs_a_second(self, passes: int) -> float:
        """Of the fastest pass. Raises RuntimeError where the convolution did not run in int8."""
        fastest = float("inf")
        for _ in range(passes):
            self._request.infer([self._input], share_inputs=True)
            for layer in _layers(self._request):
                if layer.node_type == "Convolution":
                    if not layer.exec_type.endswith("I8"):
                        raise RuntimeError(f"the peak ran as {layer.exec_type}, not in int8")
                    fastest = min(fastest, layer.real_time.total_seconds())
        return self._macs / fastest


def _profiled(network: Any) -> Any:
    return openvino.Core().compile_model(network, "CPU", _OPTIONS).create_infer_request()


def _layers(request: Any) -> list[Any]:
    return [layer for layer in request.get_profiling_info() if layer.real_time.total_seconds() > 0]


def multiply_accumulates(model: Model) -> int:
    """MACs of one pass: convolutions and matrix products; all else is nothing beside them."""
    network = openvino.Core().read_model(model.at("float32").network_path)
    return sum(operation_macs(network))


def operation_macs(network: Any) -> list[int]:
    """MACs of each operation of an OpenVINO graph that multiplies."""
    return [_macs(o) for o in network.get_ops() if o.get_type_name() in ("Convolution", "MatMul")]


def _macs(operation: Any) -> int:
    points = int(np.prod(operation.output(0).get_shape()))
    shape = list(operation.input(1).get_shape())
    if operation.get_type_name() == "Convolution":
        return points * int(np.prod(shape[1:]))
    return points * int(shape[-1 if operation.get_attributes()["transpose_b"] else -2])


def layer_times(model: Model, inputs: Inputs) -> dict[str, float]:
    """ms of each layer that runs, median over passes, slowest first; named with its kernel."""
    request = _profiled(openvino.Core().read_model(model.network_path))
    runs: dict[str, list[float]] = {}
    for _ in range(PASSES // 4):
        request.infer(dict(inputs), share_inputs=True)
        for layer in _layers(request):
            name = f"{layer.node_name} ({layer.exec_type})"
            runs.setdefault(name, []).append(1e3 * layer.real_time.total_seconds())
    medians = {name: statistics.median(values) for name, values in runs.items()}
    return dict(sorted(medians.items(), key=lambda item: -item[1]))


def limit(layers: Mapping[str, float], ratio: float) -> str:
    """What holds the forward pass back, in words."""
    total = sum(layers.values())
    int8 = sum(ms for name, ms in layers.items() if name.endswith("I8)"))
    slowest = "; ".join(f"{name} {ms:.2f} ms" for name, ms in list(layers.items())[:SLOWEST])
    return (
        f"{100 * ratio:.0f} % of the int8 peak; {total:.2f} ms in layers, {int8:.2f} of them in"
        f" int8, {total - int8:.2f} in float32 and moves; slowest: {slowest}"
    )
