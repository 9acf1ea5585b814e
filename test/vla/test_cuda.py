from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from vla_driving.vla.runtimes.cuda import Cuda, CudaError, open_cuda


@pytest.fixture
def cuda() -> Iterator[Cuda]:
    try:
        opened = open_cuda()
    except CudaError as error:
        pytest.skip(f"needs cuda-python and an NVIDIA GPU: {error}")
    yield opened
    opened.close(())


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_tensor_survives_the_way_to_the_device_and_back(cuda: Cuda, dtype: str) -> None:
    buffer = cuda.buffer((1, 2, 128, 256, 3), dtype)
    expected = np.random.default_rng(0).integers(0, 255, buffer.host.shape).astype(dtype)
    buffer.host[...] = expected
    cuda.to_device(buffer)
    cuda.synchronise()
    buffer.host[...] = 0
    cuda.to_host(buffer)
    cuda.synchronise()
    np.testing.assert_array_equal(buffer.host, expected)


def test_the_device_is_described(cuda: Cuda) -> None:
    device = cuda.properties()
    assert device.name
    assert float(device.compute_capability) > 5.0
    assert device.driver >= 12000
    assert device.runtime >= 12000


def test_captured_copies_run_when_the_graph_is_launched(cuda: Cuda) -> None:
    there, back = cuda.buffer((64,), "float32"), cuda.buffer((64,), "float32")
    back = dataclasses.replace(back, device=there.device)

    def copies() -> None:
        cuda.to_device(there)
        cuda.to_host(back)

    copies()
    cuda.synchronise()
    graph = cuda.capture(copies)
    there.host[...] = 7.0
    assert not (back.host == 7.0).any()
    cuda.launch(graph)
    cuda.synchronise()
    assert (back.host == 7.0).all()


def test_a_failing_call_names_itself(cuda: Cuda) -> None:
    with pytest.raises(CudaError, match=r"cudaMalloc(Host)?: "):
        cuda.buffer((2**50,), "uint8")
