"""OpenVINO: CPUs, Intel GPUs."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.vla.engines.layers import LayerType, of_openvino
from vla_driving.vla.engines.store import EngineError, EngineKey, EngineStore, engine_key
from vla_driving.vla.manifest import Model, ModelError, TensorSpec
from vla_driving.vla.runtimes.base import (
    InferenceError,
    OutOfMemoryError,
    RuntimeAbsentError,
    RuntimeUnavailableError,
    Tensors,
    check_tensors,
    lacks_memory,
    one_line,
    zeros,
)
from vla_driving.vla.settings import EngineSettings


class OpenVinoRuntime:
    """Runs an ONNX network with one request in flight, in the precision of its graph.

    What a graph leaves in float16 is computed in float32: that is what CPUs have.
    """

    def __init__(self, device: str, threads: int, settings: EngineSettings | None = None) -> None:
        """Without `settings` no cached engine is looked for."""
        self._device = device
        self._threads = threads
        folder = Path(settings.cache).expanduser() if settings else None
        self._store = EngineStore(folder) if folder else None
        self._request: Any = None
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        """Library and device."""
        return f"openvino/{self._device}"

    def load(self, model: Model) -> None:
        """See Runtime.load; takes the cached engine where there is a sound one."""
        core = self._core()
        compiled = self._cached(core, model) or self._compile(core, model)
        check_tensors(
            model,
            [_spec(t, model.manifest.input_tensors()) for t in compiled.inputs],
            [_spec(t, model.manifest.output_tensors()) for t in compiled.outputs],
        )
        self._model, self._compiled = model, compiled
        self._request = compiled.create_infer_request()
        self._outputs = [t.name for t in model.manifest.output_tensors()]

    def build(self, model: Model) -> Path:
        """Compile and keep an engine, which later loads several times faster. Raises ModelError."""
        if self._store is None:
            raise EngineError(f"{self.name}: no folder for engines is set")
        core, began = self._core(), time.monotonic()
        compiled = self._compile(core, model)
        content = compiled.export_model().getvalue()
        layers = of_openvino(compiled.get_runtime_model())
        return self._store.save(
            self.key(model, core), content, time.monotonic() - began, layers
        )

    def key(self, model: Model, core: Any = None) -> EngineKey:
        """What the engine of a model depends on here. Raises RuntimeUnavailableError."""
        import openvino

        core = core or self._core()
        name = str(core.get_property(self._device, "FULL_DEVICE_NAME"))
        able = core.get_property(self._device, "OPTIMIZATION_CAPABILITIES")
        return engine_key(
            model, self.name, f"openvino {openvino.get_version()}", name.strip(),
            " ".join(sorted(able)), f"{platform.machine()} {_instruction_sets()}",
            {"threads": self._threads},
        )

    def layers(self) -> tuple[LayerType, ...]:
        """Types in which the loaded network's layers run."""
        return of_openvino(self._compiled.get_runtime_model())

    def warm_up(self, passes: int) -> None:
        """See Runtime.warm_up."""
        for _ in range(passes):
            self.infer(zeros(self._model))

    def infer(self, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        """See Runtime.infer."""
        if self._request is None:
            raise InferenceError(f"{self.name}: closed")
        try:
            self._request.infer(dict(tensors), share_inputs=True)
            return {name: self._request.get_tensor(name).data.copy() for name in self._outputs}
        except (RuntimeError, ValueError, MemoryError) as error:
            kind = OutOfMemoryError if lacks_memory(error) else InferenceError
            raise kind(f"{self.name}: {one_line(error)}") from None

    def close(self) -> None:
        """See Runtime.close."""
        self._request = self._compiled = None

    def _cached(self, core: Any, model: Model) -> Any:
        """The cached engine; None where there is none, or none that can be used."""
        if self._store is None:
            return None
        try:
            content = self._store.load(self.key(model, core))
            return content and core.import_model(content, self._device, self._options())
        except EngineError as error:
            self.notes.append(str(error))
        except (RuntimeError, MemoryError) as error:
            self.notes.append(f"{self.name}: cached engine refused: {one_line(error)}")
        return None

    def _compile(self, core: Any, model: Model) -> Any:
        try:
            network = core.read_model(model.network_path)
            return core.compile_model(network, self._device, self._options())
        except (RuntimeError, MemoryError) as error:
            kind = RuntimeUnavailableError if lacks_memory(error) else ModelError
            raise kind(f"{model.network_path}: {self.name}: {one_line(error)}") from None

    def _core(self) -> Any:
        try:
            import openvino
        except ImportError as error:
            raise RuntimeAbsentError(
                f"{self.name}: the Python package openvino cannot be imported"
                f" ({one_line(error)}); install it or name another runtime in"
                " vla_inference.runtime.order"
            ) from None
        core = openvino.Core()
        if self._device not in {d.split(".")[0] for d in core.available_devices}:
            raise RuntimeAbsentError(
                f"{self.name}: no such device; OpenVINO sees {', '.join(core.available_devices)}"
            )
        return core

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32",
        }
        if self._device == "CPU":
            # Pinning would bind every process of the stack to the same first core.
            options |= {"INFERENCE_NUM_THREADS": self._threads, "ENABLE_CPU_PINNING": False}
        return options


def _instruction_sets() -> str:
    """What of the CPU decides which kernels OpenVINO compiles."""
    wanted = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp")
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    return " ".join(word for word in wanted if word in text.split())


def _spec(port: Any, wanted: tuple[TensorSpec, ...]) -> TensorSpec:
    """What a port holds, under the contract's name: OpenVINO may know a tensor by several."""
    names = port.get_names()
    name = next((t.name for t in wanted if t.name in names), port.get_any_name())
    shape = tuple(d.get_length() if d.is_static else -1 for d in port.get_partial_shape())
    return TensorSpec(name, np.dtype(port.get_element_type().to_dtype()).name, shape)
