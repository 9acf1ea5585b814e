"""A tiny model of the published classes: loaded from a folder, asked, and spoilt in every way."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")
pytest.importorskip(
    "transformers", reason="transformers is not installed: requirements/large_models.txt"
)

import torch
from safetensors.torch import load_file, save_file
from tiny_large_model import CAMERAS, GENERATION, images, write_model

from vla_driving.vla.large.adapter import LargeModelAdapter, warm_up
from vla_driving.vla.large.manifest import load_large_model
from vla_driving.vla.large.samples import candidates
from vla_driving.vla.large.thought import Request, ThoughtError
from vla_driving.vla.manifest import ModelError

Spoil = Callable[[Path], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model with one camera."""
    return write_model(tmp_path_factory.mktemp("one") / "model", ("front",))


@pytest.fixture(scope="module")
def adapter(folder: Path) -> LargeModelAdapter:
    return LargeModelAdapter(load_large_model(folder), GENERATION)


def request(seed: int = 0, cameras: int = 1, navigation: str = "Turn left in 40m") -> Request:
    poses = np.zeros((16, 3))
    poses[:, 0] = np.arange(-15, 1) * 0.8
    return Request(0, 1, images(seed, cameras), poses, 8.0, navigation)


def test_four_cameras_become_candidates(tmp_path: Path) -> None:
    model = load_large_model(write_model(tmp_path / "model"))
    adapter = LargeModelAdapter(model, GENERATION)
    answer = adapter.think(request(cameras=len(CAMERAS)))
    assert answer.acceleration.shape == answer.curvature.shape == (3, 64)
    found, spread = candidates(answer, 8.0)
    assert sum(c.probability for c in found) == pytest.approx(1.0) and spread > 0.0


def test_what_it_sees_where_it_was_and_where_to_go_all_matter(adapter: LargeModelAdapter) -> None:
    def actions(asked: Request) -> np.ndarray:
        torch.manual_seed(3)
        return adapter.think(asked).acceleration

    first = actions(request())
    assert np.array_equal(first, actions(request())), "the same seed, the same answer"
    assert not np.allclose(first, actions(request(seed=1)))
    assert not np.allclose(first, actions(request(navigation="")))
    elsewhere = request()
    elsewhere.poses[:, 0] *= 2.0
    assert not np.allclose(first, actions(elsewhere))


def test_what_it_remembers_is_what_one_pass_over_everything_sees(
    adapter: LargeModelAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    generate, act = adapter._network.generate, adapter._network.act

    def keep_inputs(inputs: Any, *rest: Any) -> Any:
        told = generate(inputs, *rest)
        seen.update(inputs=inputs, ids=told.sequences)
        return told

    def keep_memory(memory: Any, *rest: Any) -> Any:
        seen["keys"] = [layer.keys.clone() for layer in memory.layers]
        return act(memory, *rest)

    monkeypatch.setattr(adapter._network, "generate", keep_inputs)
    monkeypatch.setattr(adapter._network, "act", keep_memory)
    adapter.think(request())
    end = adapter._layout.token_ids["future_start"]
    ids = seen["ids"]
    if int(ids[0, -1]) != end:
        ids = torch.cat([ids, torch.full((1, 1), end)], 1)
    whole = {**seen["inputs"], "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.inference_mode():
        cache = adapter._network.modules["vlm"](**whole, use_cache=True).past_key_values
    for kept, anew in zip(seen["keys"], cache.layers, strict=True):
        assert kept.shape == anew.keys.shape
        assert torch.allclose(kept, anew.keys, atol=1e-4)


def test_it_warms_up(adapter: LargeModelAdapter) -> None:
    assert warm_up(adapter.think, 1).curvature.shape == (3, 64)
    assert adapter.parameters > 10_000 and adapter.name == "transformers/cpu float32"


def test_it_runs_in_bfloat16_and_draws_its_words(folder: Path) -> None:
    drawn = dataclasses.replace(GENERATION, precision="bfloat16", temperature=0.6, max_tokens=2)
    adapter = LargeModelAdapter(load_large_model(folder), drawn)
    answer = adapter.think(request(navigation="straight on " * 100))
    assert answer.curvature.shape == (3, 64) and answer.text == "", "two words end no thought"


def test_images_of_another_shape_are_named(adapter: LargeModelAdapter) -> None:
    with pytest.raises(ThoughtError, match=r"images have shape \(2, 4, 320, 576, 3\), expected"):
        adapter.think(request(cameras=2))


def test_out_of_memory_is_one_line(
    adapter: LargeModelAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise RuntimeError("CUDA out of memory.\nTried to allocate 2 GiB")

    monkeypatch.setattr(adapter._network, "act", full)
    with pytest.raises(ThoughtError, match=r"^transformers/cpu float32: CUDA out of memory. Tried"):
        adapter.think(request())


def weights(folder: Path) -> Path:
    return folder / "weights" / "model.safetensors"


def without_a_weight(folder: Path) -> None:
    kept = load_file(weights(folder))
    del kept["action_out_proj.bias"]
    save_file(kept, weights(folder))


def with_a_strange_weight(folder: Path) -> None:
    save_file({**load_file(weights(folder)), "surplus": torch.zeros(1)}, weights(folder))


def with_a_misshapen_weight(folder: Path) -> None:
    save_file({**load_file(weights(folder)), "action_out_proj.bias": torch.zeros(3)},
              weights(folder))


def truncated(folder: Path) -> None:
    weights(folder).write_bytes(weights(folder).read_bytes()[:-100])


def changed(name: str, **values: Any) -> Spoil:
    def change(folder: Path) -> None:
        path = folder / name
        read = yaml.safe_load if name.endswith(".yaml") else json.loads
        path.write_text(json.dumps({**read(path.read_text()), **values}))

    return change


def gone(name: str) -> Spoil:
    def remove(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (gone("manifest.yaml"), "manifest.yaml: no such file"),
        (gone("weights"), "weights: no such folder, named in"),
        (gone("weights/config.json"), "config.json: cannot be read: No such file"),
        (gone("weights/model.safetensors"), "no \\*.safetensors in it"),
        (gone("backbone/tokenizer.json"), "backbone: "),
        (gone("backbone/preprocessor_config.json"), "backbone: "),
        (truncated, "model.safetensors: "),
        (without_a_weight, "weight 'action_out_proj.bias' and 0 more are missing"),
        (with_a_strange_weight, "weight 'surplus' belongs to nothing"),
        (with_a_misshapen_weight, r"weight 'action_out_proj.bias': expected \[2\], found \[3\]"),
        (changed("manifest.yaml", kind="onnx"), "kind: 'onnx' is not one of huggingface"),
        (changed("manifest.yaml", extra=1), "unknown key 'extra'"),
        (changed("manifest.yaml", contract_version=2), "contract_version: expected 1, found 2"),
        (changed("manifest.yaml", files=[
            {"path": "weights/config.json", "sha256": "0" * 64, "role": "document"},
        ]), "sha256 expected 0000"),
        (changed("weights/config.json", model_type="gpt2"), "model_type: expected alpamayo1_5"),
        (changed("weights/config.json", traj_token_start_idx=5), "token <i0> expected at 5"),
        (changed("weights/config.json", expert_cfg={"num_hidden_layers": 9}),
         "expert_cfg.num_hidden_layers: expected 2, found 9"),
        (changed("backbone/config.json", model_type="llava"),
         "model_type: expected qwen3_vl, found llava"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_with_one_line(
    folder: Path, tmp_path: Path, spoil: Spoil, message: str
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    spoil(copy)
    with pytest.raises(ModelError, match=message) as refusal:
        LargeModelAdapter(load_large_model(copy), GENERATION)
    assert "\n" not in str(refusal.value)


def test_cameras_out_of_order_or_of_another_size_are_named(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    content = yaml.safe_load((copy / "manifest.yaml").read_text())
    (camera,) = content["inputs"]["cameras"]

    def refusal(*cameras: dict[str, Any]) -> str:
        content["inputs"]["cameras"] = list(cameras)
        (copy / "manifest.yaml").write_text(yaml.safe_dump(content))
        with pytest.raises(ModelError) as refused:
            load_large_model(copy)
        return str(refused.value)

    assert "expected ['front', 'rear'], found ['rear', 'front']" in refusal(
        {**camera, "name": "rear"}, camera
    )
    assert "front: expected 320 x 576, found 144 x 576" in refusal({**camera, "height": 144})
