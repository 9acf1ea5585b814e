"""TensorRT 10 and 11, and TensorRT for RTX: NVIDIA GPUs. Engines are built once and cached."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.vla.engines import tensorrt as building
from vla_driving.vla.engines.progress import Say
from vla_driving.vla.engines.store import EngineError, EngineKey, EngineStore, engine_key
from vla_driving.vla.manifest import Model, TensorSpec
from vla_driving.vla.runtimes.base import (
    InferenceError,
    OutOfMemoryError,
    RuntimeAbsentError,
    RuntimeUnavailableError,
    Tensors,
    check_tensors,
    lacks_memory,
    zeros,
)
from vla_driving.vla.runtimes.cuda import Cuda, CudaBuffer, CudaError, CudaGraph, open_cuda
from vla_driving.vla.settings import EngineSettings

_LOG = logging.getLogger(__name__)
"""For the progress of a build at start, which takes minutes: the node is silent until it ends."""

_TYPES = {
    "FLOAT": "float32", "UINT8": "uint8", "HALF": "float16", "INT8": "int8", "INT32": "int32",
    "INT64": "int64", "BOOL": "bool",
}


class TensorRtRuntime:
    """Runs an engine on one stream with pinned host buffers, replayed as one CUDA graph."""

    def __init__(self, library: str, settings: EngineSettings, cuda_graphs: bool) -> None:
        """`library` is "tensorrt" or "tensorrt_rtx"."""
        self._library_name = library
        self._settings = settings
        self._cuda_graphs = cuda_graphs
        self._store = EngineStore(Path(settings.cache).expanduser())
        self._buffers: dict[str, CudaBuffer] = {}
        self._allocators: dict[str, Any] = {}
        self._cuda: Cuda | None = None
        self._graph: CudaGraph | None = None
        self._deserialiser: Any = None
        self._engine: Any = None
        self._context: Any = None
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        """Library and device."""
        return f"{self._library_name}/GPU"

    def load(self, model: Model) -> None:
        """See Runtime.load; without a cached engine it builds one, which takes minutes."""
        library, cuda = self.open()
        try:
            content = self._store.load(self.key(model, library, cuda))
            if content is not None:
                self._take(library, cuda, model, content)
                return
        except EngineError as error:
            self.notes.append(str(error))
        try:
            content = self.build(model, library, cuda, _LOG.warning, must_keep=False)
            self._take(library, cuda, model, content)
        except EngineError as error:
            raise RuntimeUnavailableError(str(error)) from None

    def open(self) -> tuple[Any, Cuda]:
        """Library and device. Raises RuntimeAbsentError."""
        library = building.open_library(self._library_name)
        if self._cuda is None:
            try:
                self._cuda = open_cuda()
            except CudaError as error:
                raise RuntimeAbsentError(f"{self.name}: {error}") from None
        return library, self._cuda

    def key(self, model: Model, library: Any, cuda: Cuda) -> EngineKey:
        """What the engine of a model depends on here."""
        device = cuda.properties()
        return engine_key(
            model, self.name, f"{self._library_name} {library.__version__}", device.name,
            device.compute_capability, f"driver {device.driver}, runtime {device.runtime}",
            building.options(self._settings),
        )

    def build(
        self, model: Model, library: Any, cuda: Cuda, say: Say, allowed: Sequence[str] = (),
        must_keep: bool = True,
    ) -> bytes:
        """Build and keep an engine. Raises ModelError, EngineError.

        Where it need not be kept, a cache that cannot be written is a note.
        """
        built = building.build(library, model, self._settings, say, allowed=allowed)
        key = self.key(model, library, cuda)
        path = self._store.path(key)
        _, engine = building.deserialise(library, built.content, str(path))
        layers = building.engine_layers(library, engine)
        building.refuse_float32(layers, model, allowed)
        self.notes.append(f"{path}: built in {built.seconds:.0f} s")
        try:
            self._store.save(key, built.content, built.seconds, layers)
        except EngineError as error:
            if must_keep:
                raise
            self.notes.append(str(error))
        return built.content

    def refit(self, model: Model, library: Any, cuda: Cuda) -> bytes:
        """Keep an engine made of a cached one and this model's weights. Raises EngineError."""
        key, began = self.key(model, library, cuda), time.monotonic()
        for content in self._store.refittable(key):
            refitted = building.refit(library, content, model)
            if refitted is None:
                continue
            _, engine = building.deserialise(library, refitted, str(self._store.path(key)))
            layers = building.engine_layers(library, engine)
            seconds = time.monotonic() - began
            path = self._store.save(key, refitted, seconds, layers)
            self.notes.append(f"{path}: refitted in {seconds:.1f} s")
            return refitted
        raise EngineError(
            f"{self.name}: no cached engine takes the weights of {model.network_path}: build one"
            " with vla_inference.runtime.engine.refittable"
        )

    def warm_up(self, passes: int) -> None:
        """See Runtime.warm_up; ends with the capture of the CUDA graph."""
        for _ in range(passes):
            self.infer(zeros(self._model))
        if not self._cuda_graphs or self._allocators or self._cuda is None:
            return
        try:
            self._graph = self._cuda.capture(self._enqueue)
        except (CudaError, InferenceError) as error:
            self.notes.append(f"{self.name}: runs without a CUDA graph: {error}")
            return
        self.infer(zeros(self._model))

    def infer(self, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        """See Runtime.infer."""
        if self._cuda is None or self._context is None:
            raise InferenceError(f"{self.name}: closed")
        try:
            for name in self._inputs:
                host, value = self._buffers[name].host, tensors[name]
                if value.shape != host.shape:
                    raise ValueError(f"{name}: shape {value.shape} instead of {host.shape}")
                host[...] = value
            if self._graph is not None:
                self._cuda.launch(self._graph)
            else:
                self._enqueue()
            self._cuda.synchronise()
            return {name: self._answer(name) for name in self._outputs}
        except (CudaError, KeyError, ValueError) as error:
            kind = OutOfMemoryError if lacks_memory(error) else InferenceError
            raise kind(f"{self.name}: {error}") from None

    def close(self) -> None:
        """See Runtime.close."""
        self._context = self._engine = self._deserialiser = None
        if self._cuda is not None:
            buffers = [*self._buffers.values()]
            buffers += [a.buffer for a in self._allocators.values() if a.buffer is not None]
            self._cuda.close(buffers, self._graph)
        self._buffers, self._allocators, self._graph, self._cuda = {}, {}, None, None

    def _take(self, library: Any, cuda: Cuda, model: Model, content: bytes) -> None:
        """Make an engine ready to run. Raises ModelError, RuntimeUnavailableError."""
        where = str(model.network_path)
        # An engine must not outlive the runtime that read it.
        self._deserialiser, self._engine = building.deserialise(library, content, where)
        engine = self._engine
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        specs = {n: _spec(engine, n) for n in names}
        mode = library.TensorIOMode.INPUT
        self._inputs = [n for n in names if engine.get_tensor_mode(n) == mode]
        self._outputs = [n for n in names if n not in self._inputs]
        check_tensors(model, [specs[n] for n in self._inputs], [specs[n] for n in self._outputs])
        self._context = engine.create_execution_context()
        if self._context is None:
            raise RuntimeUnavailableError(f"{where}: {self.name}: no GPU memory to run it")
        self._model = model
        try:
            for name in names:
                self._place(library, cuda, specs[name])
        except CudaError as error:
            raise RuntimeUnavailableError(f"{where}: {self.name}: {error}") from None

    def _place(self, library: Any, cuda: Cuda, spec: TensorSpec) -> None:
        """Memory for one tensor: fixed, or taken as it comes where the engine leaves its size open.
        """
        if -1 in spec.shape:
            allocator = output_allocator(library, cuda, spec)
            self._context.set_output_allocator(spec.name, allocator)
            self._allocators[spec.name] = allocator
            return
        buffer = self._buffers[spec.name] = cuda.buffer(spec.shape, spec.dtype)
        self._context.set_tensor_address(spec.name, buffer.device)

    def _enqueue(self) -> None:
        """Queue copies and pass; the same work in the same places each time, so it can be captured.
        """
        assert self._cuda is not None
        for name in self._inputs:
            self._cuda.to_device(self._buffers[name])
        if not self._context.execute_async_v3(self._cuda.stream):
            raise InferenceError(f"{self.name}: the pass could not be queued")
        for name in self._outputs:
            if name in self._buffers:
                self._cuda.to_host(self._buffers[name])

    def _answer(self, name: str) -> npt.NDArray[np.float32]:
        if name in self._buffers:
            return self._buffers[name].host.copy()
        array: npt.NDArray[np.float32] = self._allocators[name].read()
        return array


def output_allocator(library: Any, cuda: Cuda, spec: TensorSpec) -> Any:
    """An IOutputAllocator for an output whose size is known only when the pass has run."""

    class Allocator(library.IOutputAllocator):
        def __init__(self) -> None:
            library.IOutputAllocator.__init__(self)
            self.buffer: CudaBuffer | None = None
            self.shape: tuple[int, ...] = ()

        def reallocate_output_async(
            self, tensor_name: str, memory: int, size: int, alignment: int, stream: int
        ) -> int:
            return self._room(size)

        def reallocate_output(
            self, tensor_name: str, memory: int, size: int, alignment: int
        ) -> int:
            return self._room(size)

        def notify_shape(self, tensor_name: str, shape: Any) -> None:
            self.shape = tuple(shape)

        def read(self) -> npt.NDArray[np.float32]:
            """What the pass that has ended put out. Raises CudaError."""
            if self.buffer is None:
                raise CudaError(f"{spec.name}: no memory was asked for")
            cuda.to_host(self.buffer)
            cuda.synchronise()
            count = int(np.prod(self.shape)) * np.dtype(spec.dtype).itemsize
            return self.buffer.host[:count].view(spec.dtype).reshape(self.shape).copy()

        def _room(self, size: int) -> int:
            """Address of at least `size` bytes; 0 tells TensorRT that there is no memory."""
            if self.buffer is not None and self.buffer.host.nbytes >= size:
                return self.buffer.device
            try:
                larger = cuda.buffer((max(size, 1),), "uint8")
            except CudaError:
                return 0
            if self.buffer is not None:
                cuda.free(self.buffer)
            self.buffer = larger
            return larger.device

    return Allocator()


def _spec(engine: Any, name: str) -> TensorSpec:
    dtype = engine.get_tensor_dtype(name).name
    return TensorSpec(name, _TYPES.get(dtype, dtype), tuple(engine.get_tensor_shape(name)))
