from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_driving.vla.manifest import (
    ModelError,
    ModelFile,
    Outputs,
    StateTensor,
    load_model,
    save_manifest,
)
from vla_driving.vla.runtimes.base import (
    InferenceError,
    RuntimeUnavailableError,
    lacks_memory,
    zeros,
)
from vla_driving.vla.runtimes.choose import open_runtime
from vla_driving.vla.runtimes.cuda import CudaError, open_cuda
from vla_driving.vla.settings import RuntimeSettings

from .tiny_model import (
    HEIGHT,
    WIDTH,
    ModelFactory,
    runtime_settings,
    torch_inputs,
    torch_network,
    write_network,
)

REAL = ("openvino/CPU", "onnxruntime/CPU")


def settings(*order: str, **changes: Any) -> RuntimeSettings:
    return dataclasses.replace(runtime_settings(*order), **changes)


@pytest.mark.parametrize("name", REAL)
def test_runs_a_network(name: str, make_model: ModelFactory) -> None:
    model = make_model()
    chosen = open_runtime(model, settings(name))
    tensors = zeros(model)
    tensors["images"][:, :, :, : WIDTH // 2] = 200
    tensors["ego"][0, 0] = 4.0
    tensors["state_count"][0, 0] = 6.0
    answer = chosen.runtime.infer(tensors)
    chosen.runtime.close()
    assert chosen.name == f"{name} float32"
    assert chosen.passed_over == ()
    assert set(answer) == {t.name for t in model.manifest.output_tensors()}
    np.testing.assert_allclose(answer["curvature"], 1.0, rtol=1e-5)
    np.testing.assert_allclose(answer["acceleration"], 1.2, rtol=1e-5)
    assert answer["next_state_count"] == pytest.approx(7.0)


def test_runtimes_agree(make_model: ModelFactory) -> None:
    model = make_model()
    tensors = zeros(model)
    rng = np.random.default_rng(1)
    tensors["images"] = rng.integers(0, 256, (1, 1, HEIGHT, WIDTH, 3), np.uint8)
    answers = [open_runtime(model, settings(n)).runtime.infer(tensors) for n in REAL]
    for name in answers[0]:
        np.testing.assert_allclose(answers[0][name], answers[1][name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", REAL)
def test_answers_are_the_callers(name: str, make_model: ModelFactory) -> None:
    model = make_model()
    runtime = open_runtime(model, settings(name)).runtime
    first = runtime.infer({**zeros(model), "ego": np.full((1, 1), 10.0, np.float32)})
    runtime.infer({**zeros(model), "ego": np.full((1, 1), 0.0, np.float32)})
    np.testing.assert_allclose(first["acceleration"], 0.0, atol=1e-6)


@pytest.mark.parametrize("name", REAL)
def test_shape_mismatch_names_tensor_expected_and_found(
    name: str, make_model: ModelFactory
) -> None:
    model = make_model()
    inputs = dataclasses.replace(model.manifest.inputs, states=(StateTensor("count", (1, 9)),))
    wrong = dataclasses.replace(
        model, manifest=dataclasses.replace(model.manifest, inputs=inputs)
    )
    with pytest.raises(ModelError) as caught:
        open_runtime(wrong, settings(name))
    assert str(caught.value) == (
        f"{model.network_path}: input 'state_count': manifest says float32 [1, 9], file has"
        " float32 [1, 1]"
    )


@pytest.mark.parametrize("name", REAL)
def test_missing_and_extra_outputs_are_named(name: str, make_model: ModelFactory) -> None:
    model = make_model()
    outputs: Outputs = dataclasses.replace(model.manifest.outputs, objects=None)
    less = dataclasses.replace(model, manifest=dataclasses.replace(model.manifest, outputs=outputs))
    with pytest.raises(ModelError, match="output 'objects' is not in the manifest"):
        open_runtime(less, settings(name))
    inputs = dataclasses.replace(
        model.manifest.inputs, states=(*model.manifest.inputs.states, StateTensor("more", (1, 2)))
    )
    more = dataclasses.replace(model, manifest=dataclasses.replace(model.manifest, inputs=inputs))
    with pytest.raises(ModelError, match=r"input 'state_more' \(float32 \[1, 2\]\) is missing"):
        open_runtime(more, settings(name))


@pytest.mark.parametrize("name", REAL)
def test_broken_file_is_one_line_with_its_name(name: str, make_model: ModelFactory) -> None:
    model = make_model()
    model.network_path.write_bytes(b"this is no network")
    with pytest.raises(ModelError, match=rf"^\S*tiny\.onnx: {name}: ") as caught:
        open_runtime(model, settings(name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", REAL)
def test_wrong_input_is_an_inference_error(name: str, make_model: ModelFactory) -> None:
    model = make_model()
    runtime = open_runtime(model, settings(name)).runtime
    with pytest.raises(InferenceError, match=name):
        runtime.infer({**zeros(model), "ego": np.zeros((1, 3), np.float32)})


def test_a_fall_back_is_loud(make_model: ModelFactory) -> None:
    absent = "onnxruntime/CUDA"
    chosen = open_runtime(make_model(), settings(absent, "onnxruntime/CPU"))
    assert chosen.name == "onnxruntime/CPU float32 (instead of onnxruntime/CUDA)"
    assert [wanted for wanted, _ in chosen.passed_over] == [absent]
    assert absent in chosen.passed_over[0][1]


def test_auto_finds_what_is_here_and_says_what_is_not(make_model: ModelFactory) -> None:
    if importlib.util.find_spec("tensorrt"):
        pytest.skip("TensorRT is installed here; its absence cannot be tested")
    chosen = open_runtime(make_model(), settings("auto"))
    assert chosen.name == "openvino/CPU float32"
    assert chosen.passed_over == ()
    assert [line.partition(":")[0] for line in chosen.absent] == [
        "tensorrt/GPU", "onnxruntime/TensorRT", "onnxruntime/CUDA",
    ]


def test_a_precision_that_the_model_lacks_is_a_loud_fall_back(make_model: ModelFactory) -> None:
    model = make_model()
    chosen = open_runtime(model, settings("onnxruntime/CPU", precision="int8"))
    assert chosen.name == "onnxruntime/CPU float32 (instead of int8)"
    assert chosen.passed_over == (
        ("int8", f"{model.folder / 'manifest.yaml'}: no network in int8; it has float32"),
    )


@pytest.mark.parametrize("name", REAL)
def test_the_file_of_the_precision_is_the_one_that_runs(
    name: str, make_model: ModelFactory
) -> None:
    model = make_model()
    write_network(model.folder / "tiny.int8.onnx", {"uncertainty": np.array([0.7], np.float32)})
    file = ModelFile("tiny.int8.onnx", "", "network", "int8")
    files = (*model.manifest.files, file)
    save_manifest(dataclasses.replace(model.manifest, files=files), model.folder)
    chosen = open_runtime(load_model(model.folder), settings(name, precision="int8"))
    assert chosen.name == f"{name} int8"
    answer = chosen.runtime.infer(zeros(model))
    assert answer["uncertainty"] == pytest.approx(0.7)


def test_absent_runtimes_are_refused_by_name(make_model: ModelFactory) -> None:
    if importlib.util.find_spec("tensorrt"):
        pytest.skip("TensorRT is installed here; its absence cannot be tested")
    with pytest.raises(RuntimeUnavailableError, match="tensorrt/GPU: the Python package tensorrt"):
        open_runtime(make_model(), settings("tensorrt/GPU"))


@pytest.mark.parametrize("name", REAL)
def test_a_closed_runtime_answers_with_one_line(name: str, make_model: ModelFactory) -> None:
    model = make_model()
    runtime = open_runtime(model, settings(name)).runtime
    runtime.close()
    with pytest.raises(InferenceError, match=f"{name}: closed"):
        runtime.infer(zeros(model))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(), RuntimeError("std::bad_alloc"), RuntimeError("Failed to allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        CudaError("cudaMalloc: cudaErrorMemoryAllocation"),
    ],
)
def test_want_of_memory_is_told_from_other_failures(error: Exception) -> None:
    assert lacks_memory(error)
    assert not lacks_memory(RuntimeError("Shape mismatch"))


@pytest.mark.parametrize("name", REAL)
def test_too_little_memory_is_one_line_and_no_crash(
    name: str, make_model: ModelFactory, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a process of its own that may not take as much memory as the network's weights need."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is needed to make test networks")
    small = make_model()
    large = tmp_path_factory.mktemp("large")
    network = onnx.load(small.network_path)
    ballast = onnx.numpy_helper.from_array(np.zeros(2**24, np.float32), "ballast")
    network.graph.initializer.append(ballast)
    onnx.save(network, large / small.network_path.name)
    save_manifest(small.manifest, large)
    script = Path(__file__).with_name("load_in_little_memory.py")
    done = subprocess.run(
        [sys.executable, script, small.folder, large, name],
        capture_output=True, text=True, timeout=250, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("RuntimeUnavailableError: ")
    assert name in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_torch_runs_an_exported_program(make_model: ModelFactory) -> None:
    torch = pytest.importorskip("torch", reason="needs torch, which only learning installs")
    model = make_model()
    path = model.folder / "tiny.pt2"
    program = torch.export.export(torch_network(torch), (), torch_inputs(torch, model))
    torch.export.save(program, path)
    files = (*model.manifest.files, ModelFile("tiny.pt2", "", "program"))
    save_manifest(dataclasses.replace(model.manifest, files=files), model.folder)
    model = load_model(model.folder)
    tensors = zeros(model)
    tensors["ego"][0, 0] = 4.0
    tensors["state_count"][0, 0] = 6.0
    expected = open_runtime(model, settings("onnxruntime/CPU")).runtime.infer(tensors)
    chosen = open_runtime(model, settings("torch/CPU"))
    answer = chosen.runtime.infer(tensors)
    chosen.runtime.close()
    assert chosen.name == "torch/CPU float32"
    for name in expected:
        np.testing.assert_allclose(answer[name], expected[name], rtol=1e-4, atol=1e-6)


def test_torch_without_a_program_says_so(make_model: ModelFactory) -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"no torch\.export program in float32"):
        open_runtime(make_model(), settings("torch/CPU"))


@pytest.mark.parametrize("library", ["tensorrt", "tensorrt_rtx"])
def test_tensorrt_runs_a_network(
    library: str, make_model: ModelFactory, tmp_path: Path
) -> None:
    pytest.importorskip(library, reason=f"needs {library} and an NVIDIA GPU")
    try:
        open_cuda().close(())
    except CudaError as error:
        pytest.skip(f"needs cuda-python and an NVIDIA GPU: {error}")
    model = make_model()
    chosen_settings = runtime_settings(f"{library}/GPU", cache=tmp_path / "engines")
    chosen = open_runtime(model, chosen_settings)
    expected = open_runtime(model, settings("onnxruntime/CPU")).runtime.infer(zeros(model))
    answer = chosen.runtime.infer(zeros(model))
    chosen.runtime.close()
    assert not [note for note in chosen.notes if "without a CUDA graph" in note]
    for name in expected:
        np.testing.assert_allclose(answer[name], expected[name], rtol=1e-2, atol=1e-3)
    assert len(list((tmp_path / "engines").glob("*.engine"))) == 1
