from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from vla_driving.vla.manifest import ModelError, Outputs, StateTensor
from vla_driving.vla.runtimes.base import InferenceError, RuntimeUnavailableError, zeros
from vla_driving.vla.runtimes.choose import open_runtime
from vla_driving.vla.settings import RuntimeSettings

from .tiny_model import HEIGHT, WIDTH, ModelFactory

REAL = ("openvino/CPU", "onnxruntime/CPU")


def settings(*order: str) -> RuntimeSettings:
    return RuntimeSettings(order=order, threads=1, warm_up_passes=1, engine_cache="unused")


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
    assert chosen.name == name
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
    assert chosen.name == "onnxruntime/CPU (instead of onnxruntime/CUDA)"
    assert len(chosen.passed_over) == 1
    assert absent in chosen.passed_over[0]


def test_absent_runtimes_are_refused_by_name(make_model: ModelFactory) -> None:
    if importlib.util.find_spec("tensorrt"):
        pytest.skip("TensorRT is installed here; its absence cannot be tested")
    with pytest.raises(RuntimeUnavailableError, match="tensorrt/GPU: the Python package tensorrt"):
        open_runtime(make_model(), settings("tensorrt/GPU"))


def test_tensorrt_runs_a_network(make_model: ModelFactory, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt", reason="needs TensorRT and an NVIDIA GPU")
    model = make_model()
    chosen_settings = dataclasses.replace(
        settings("tensorrt/GPU"), engine_cache=str(tmp_path / "engines")
    )
    runtime = open_runtime(model, chosen_settings).runtime
    expected = open_runtime(model, settings("onnxruntime/CPU")).runtime.infer(zeros(model))
    answer = runtime.infer(zeros(model))
    runtime.close()
    for name in expected:
        np.testing.assert_allclose(answer[name], expected[name], rtol=1e-2, atol=1e-3)
    assert len(list((tmp_path / "engines").glob("*.engine"))) == 1
