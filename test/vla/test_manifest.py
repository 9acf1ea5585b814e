from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from vla_driving.vla.manifest import (
    MANIFEST,
    ModelError,
    ModelFile,
    TensorSpec,
    load_manifest,
    load_model,
    save_manifest,
    sha256_of,
)

from .tiny_model import ModelFactory, camera, manifest


def written(folder: Path, **changes: Any) -> Path:
    """A manifest on disk with top-level keys replaced."""
    (folder / "tiny.onnx").write_bytes(b"network")
    path = save_manifest(manifest(), folder)
    content = yaml.safe_load(path.read_text())
    content.update(changes)
    path.write_text(yaml.safe_dump(content))
    return path


def section(name: str, folder: Path, **changes: Any) -> Path:
    """A manifest on disk with keys of one section replaced."""
    path = written(folder)
    content = yaml.safe_load(path.read_text())
    content[name].update(changes)
    path.write_text(yaml.safe_dump(content))
    return path


def test_survives_writing_and_reading(tmp_path: Path) -> None:
    path = written(tmp_path)
    expected = dataclasses.replace(
        manifest(),
        files=(ModelFile("tiny.onnx", sha256_of(tmp_path / "tiny.onnx"), "network"),),
    )
    assert load_manifest(path) == expected
    assert load_model(tmp_path).network_path == tmp_path / "tiny.onnx"


def test_names_its_tensors() -> None:
    assert manifest().input_tensors()[0] == TensorSpec("images", "uint8", (1, 1, 16, 32, 3))
    assert [t.name for t in manifest().input_tensors()] == [
        "images", "ego", "navigation", "state_count"
    ]
    assert TensorSpec("next_state_count", "float32", (1, 1)) in manifest().output_tensors()
    assert manifest().title == "tiny/0.1.0"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"contract_version": 2}, "contract_version: expected 1, found 2"),
        ({"name": "../up"}, "name: expected lower-case letters, digits, - and _, found '../up'"),
        ({"version": "one"}, "version: expected three numbers as in 1.0.0, found 'one'"),
        ({"version": 1.0}, "version: expected str, got 1.0"),
        ({"horizon_s": 5.0}, "horizon_s: expected 6.4, found 5.0"),
        ({"rate_hz": 0.0}, "rate_hz: 0.0 is outside 0.1 to 100.0 Hz"),
        ({"files": []}, "files: expected one network in float32, found none"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_bad_fields_name_field_and_values(
    tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        load_manifest(path)
    assert str(caught.value).startswith(str(path))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"cameras": []}, "inputs.cameras: expected at least one, found none"),
        ({"history": 4}, "history: 4 is outside 1 to 1 frames"),
        ({"ego": ["speed", "speed"]}, "inputs.ego: expected each name once"),
        ({"ego": ["mood"]}, "'mood' is not one of speed"),
        ({"navigation": ["weather"]}, "'weather' is not one of turn_none"),
        ({"states": [{"name": "s", "shape": [0]}]}, "inputs.states: s: shape: expected whole"),
        ({"text_encoder": "words"}, "inputs.text_encoder: expected none where inputs.text is 0"),
        ({"text": 8}, "inputs.text_encoder: expected the encoder's name, found None"),
        ({"text": -1}, "inputs.text: expected 0 to 1024, found -1"),
        ({"command": ["mood"]}, "'mood' is not one of time_gap"),
        ({"command": ["time_gap", "time_gap"]}, "inputs.command: expected each name once"),
        ({"motion": ["dx", "dy"]}, "inputs.motion: expected none or ['dx', 'dy', 'dyaw', 'dt']"),
        ({"route_m": [20.0, 10.0]}, "inputs.route_m: expected increasing from above 0"),
        ({"route_m": [0.0, 10.0]}, "inputs.route_m: expected increasing from above 0"),
    ],
)
def test_bad_inputs_name_field_and_values(
    tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(ModelError) as caught:
        load_manifest(section("inputs", tmp_path, **changes))
    assert line in str(caught.value)


def test_cameras_of_two_sizes_are_refused(tmp_path: Path) -> None:
    other = dataclasses.replace(camera("left"), width=64)
    inputs = dataclasses.replace(manifest().inputs, cameras=(camera(), other))
    (tmp_path / "tiny.onnx").write_bytes(b"network")
    path = save_manifest(manifest(inputs=inputs), tmp_path)
    line = r"inputs.cameras: left: size: expected \(32, 16\) as front, found \(64, 16\)"
    with pytest.raises(ModelError, match=line):
        load_manifest(path)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"acceleration": [1, 3, 64]}, "acceleration: expected [1, 2, 64], found [1, 3, 64]"),
        ({"curvature": [1, 2, 50]}, "outputs.curvature: expected [1, 2, 64], found [1, 2, 50]"),
        ({"probability": [1, 9]}, "outputs.probability: expected [1, 1 to 8], found [1, 9]"),
        ({"probability": []}, "outputs.probability: expected [1, 1 to 8], found []"),
        ({"lane_lines": [1, 4, 9]}, "outputs.lane_lines: expected [1, 4, 5], found [1, 4, 9]"),
        ({"lane_stations_m": [9.0, 5.0, 1.0, 2.0]}, "outputs.lane_stations_m: expected increasing"),
        ({"objects": [1, 3, 7]}, "outputs.objects: expected [1, 1 to 64, 8], found [1, 3, 7]"),
        ({"uncertainty": [1, 1]}, "outputs.uncertainty: expected [1], found [1, 1]"),
        ({"cause": [1, 3]}, "outputs.cause: expected [1, 12], found [1, 3]"),
        ({"cause": [1, 12], "cause_object": [1, 3]},
         "outputs.cause_object: expected [1, 4], found [1, 3]"),
        ({"cause_distance": [1]}, "outputs.cause_distance: expected none without outputs.cause"),
        ({"traffic_controls": [1, 9, 4]},
         "outputs.traffic_controls: expected [1, 1 to 8, 4], found [1, 9, 4]"),
    ],
)
def test_bad_outputs_name_field_and_values(
    tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(ModelError) as caught:
        load_manifest(section("outputs", tmp_path, **changes))
    assert line in str(caught.value)


@pytest.mark.parametrize("outside", ["../secret", "/etc/hostname", "a/../../b", ""])
def test_paths_outside_the_folder_are_refused(tmp_path: Path, outside: str) -> None:
    file = {"path": outside, "sha256": "0" * 64, "role": "network"}
    with pytest.raises(ModelError, match="expected a path inside the model's folder"):
        load_model(written(tmp_path, files=[file]).parent)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link.onnx").symlink_to(tmp_path / "secret")
    digest = sha256_of(tmp_path / "secret")
    written(folder, files=[{"path": "link.onnx", "sha256": digest, "role": "network"}])
    with pytest.raises(ModelError, match=r"'link\.onnx' lies outside the folder"):
        load_model(folder)


def test_changed_file_names_file_expected_and_found(make_model: ModelFactory) -> None:
    model = make_model()
    expected = model.manifest.network.sha256
    with model.network_path.open("ab") as file:
        file.write(b"x")
    found = sha256_of(model.network_path)
    with pytest.raises(ModelError, match=rf"tiny\.onnx: sha256 expected {expected}, found {found}"):
        load_model(model.folder)


def test_absent_files_are_named(make_model: ModelFactory, tmp_path: Path) -> None:
    model = make_model()
    model.network_path.unlink()
    with pytest.raises(ModelError, match=r"tiny\.onnx: no such file"):
        load_model(model.folder)
    with pytest.raises(ModelError, match=rf"nowhere/{MANIFEST}: no such file"):
        load_model(tmp_path / "nowhere")


def test_every_new_input_is_a_tensor_of_its_own() -> None:
    inputs = dataclasses.replace(
        manifest().inputs, text=8, text_encoder="words", command=("time_gap",),
        route_m=(10.0, 20.0), motion=("dx", "dy", "dyaw", "dt"),
    )
    shapes = {t.name: t.shape for t in manifest(inputs=inputs).input_tensors()}
    assert shapes == {
        "images": (1, 1, 16, 32, 3), "ego": (1, 1), "navigation": (1, 8), "route": (1, 6),
        "text": (1, 8), "command": (1, 1), "motion": (1, 4), "state_count": (1, 1),
    }
    assert {t.name for t in manifest().input_tensors()} == {
        "images", "ego", "navigation", "state_count",
    }
