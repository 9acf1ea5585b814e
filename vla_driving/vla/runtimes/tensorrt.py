"""TensorRT 10 and 11: NVIDIA GPUs in the car. Engines are built once and kept in a cache.

The network is built strongly typed, so its precision is that of the ONNX file (TensorRT 11 knows
nothing else). An engine fits one TensorRT version and one GPU, and the cache key holds both.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.vla.manifest import Model, ModelError, TensorSpec
from vla_driving.vla.runtimes.base import (
    InferenceError,
    RuntimeUnavailableError,
    Tensors,
    check_tensors,
    zeros,
)
from vla_driving.vla.runtimes.cuda import Cuda, CudaBuffer, CudaError, open_cuda

_TYPES = {"FLOAT": "float32", "UINT8": "uint8", "HALF": "float16"}


class TensorRtRuntime:
    """Runs an engine on one stream with pinned host buffers."""

    name = "tensorrt/GPU"

    def __init__(self, engine_cache: str) -> None:
        self._cache = Path(engine_cache).expanduser()
        self._buffers: dict[str, CudaBuffer] = {}
        self._cuda: Cuda | None = None
        self._context: Any = None

    def load(self, model: Model) -> None:
        """See Runtime.load."""
        library = _library()
        try:
            self._cuda = open_cuda()
        except CudaError as error:
            raise RuntimeUnavailableError(f"{self.name}: {error}") from None
        engine = self._engine(library, model)
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        specs = {n: _spec(engine, n) for n in names}
        inputs = [n for n in names if engine.get_tensor_mode(n) == library.TensorIOMode.INPUT]
        self._outputs = [n for n in names if n not in inputs]
        check_tensors(model, [specs[n] for n in inputs], [specs[n] for n in self._outputs])
        self._engine_kept, self._context = engine, engine.create_execution_context()
        if self._context is None:
            raise ModelError(f"{model.network_path}: {self.name}: no GPU memory to run it")
        self._model = model
        try:
            for name, spec in specs.items():
                self._buffers[name] = self._cuda.buffer(spec.shape, spec.dtype)
                self._context.set_tensor_address(name, self._buffers[name].device)
        except CudaError as error:
            raise ModelError(f"{model.network_path}: {self.name}: {error}") from None

    def warm_up(self, passes: int) -> None:
        """See Runtime.warm_up."""
        for _ in range(passes):
            self.infer(zeros(self._model))

    def infer(self, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        """See Runtime.infer."""
        if self._cuda is None:
            raise InferenceError(f"{self.name}: closed")
        try:
            for name, value in tensors.items():
                self._buffers[name].host[...] = value
                self._cuda.to_device(self._buffers[name])
            if not self._context.execute_async_v3(self._cuda.stream):
                raise InferenceError(f"{self.name}: the pass could not be queued")
            for name in self._outputs:
                self._cuda.to_host(self._buffers[name])
            self._cuda.synchronise()
        except (CudaError, KeyError, ValueError) as error:
            raise InferenceError(f"{self.name}: {error}") from None
        return {name: self._buffers[name].host.copy() for name in self._outputs}

    def close(self) -> None:
        """See Runtime.close."""
        self._context = self._engine_kept = None
        if self._cuda is not None:
            self._cuda.close(self._buffers.values())
        self._buffers, self._cuda = {}, None

    def _engine(self, library: Any, model: Model) -> Any:
        assert self._cuda is not None
        logger = library.Logger(library.Logger.ERROR)
        key = "\n".join(
            (model.manifest.network.sha256, library.__version__, self._cuda.description())
        )
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        path = self._cache / f"{model.manifest.name}-{digest}.engine"
        if not path.is_file():
            _store(path, _build(library, logger, model))
        engine = library.Runtime(logger).deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise ModelError(f"{path}: TensorRT cannot read this engine; delete it to rebuild it")
        return engine


def _store(path: Path, engine: bytes) -> None:
    """Write in full or not at all. Raises ModelError."""
    unfinished = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(engine)
        unfinished.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: engine cannot be stored: {error.strerror}") from None


def _library() -> Any:
    try:
        return importlib.import_module("tensorrt")
    except ImportError as error:
        raise RuntimeUnavailableError(
            f"{TensorRtRuntime.name}: the Python package tensorrt cannot be imported ({error});"
            " it comes with JetPack, DriveOS or NVIDIA's packages"
        ) from None


def _build(library: Any, logger: Any, model: Model) -> bytes:
    """Serialised engine of the ONNX file; takes minutes. Raises ModelError."""
    builder = library.Builder(logger)
    # Version 11 types every network strongly and ignores the flag.
    flag = getattr(library.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = library.OnnxParser(network, logger)
    if not parser.parse_from_file(str(model.network_path)):
        reasons = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise ModelError(f"{model.network_path}: TensorRT cannot read this network: {reasons}")
    serialised = builder.build_serialized_network(network, builder.create_builder_config())
    if serialised is None:
        raise ModelError(f"{model.network_path}: TensorRT could not build an engine")
    return bytes(serialised)


def _spec(engine: Any, name: str) -> TensorSpec:
    dtype = engine.get_tensor_dtype(name).name
    return TensorSpec(name, _TYPES.get(dtype, dtype), tuple(engine.get_tensor_shape(name)))
