from __future__ import annotations

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
    words = cuda.description().split()
    assert words[-2] == "driver"
    assert float(words[-3]) > 5.0


def test_a_failing_call_names_itself(cuda: Cuda) -> None:
    with pytest.raises(CudaError, match=r"cudaMalloc(Host)?: "):
        cuda.buffer((2**50,), "uint8")
