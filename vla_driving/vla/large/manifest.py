"""What models/<name>/manifest.yaml states of a large model in the layout of Hugging Face.

Two folders beside it: `weights` (config.json and *.safetensors of the driving model) and `backbone`
(config.json, tokenizer and image processor of the vision-language model that it was built on).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vla_driving.contract.cameras import Camera
from vla_driving.contract.settings import SettingsError, choice, described, load, quantity
from vla_driving.vla.large.alpamayo import CAMERAS, FRAMES, HEIGHT, POSES, WIDTH
from vla_driving.vla.manifest import CONTRACT_VERSION, MANIFEST, ModelError, ModelFile, check_file

KIND = "huggingface"


@dataclass(frozen=True)
class LargeInputs:
    """What the model looks at; frames and poses are 0.1 s apart, the last of each is now."""

    cameras: tuple[Camera, ...] = described("virtual cameras, named and ordered as in CAMERAS")
    frames: int = quantity("frames", 1, 16, "of each camera")
    poses: int = quantity("poses", 2, 64, "of the car")


@dataclass(frozen=True)
class LargeManifest:
    """The whole of manifest.yaml."""

    contract_version: int
    kind: str = choice(KIND)
    architecture: str = choice("alpamayo1_5", doc="layout of inputs, outputs and weights")
    name: str = described("as messages name it")
    version: str = described("as messages name it")
    licence: str = described("of the weights")
    description: str = described("in words")
    inputs: LargeInputs = described("what the model looks at")
    weights: str = described("folder of config.json and *.safetensors, below this one")
    backbone: str = described("folder of the backbone's configuration and tokenizer")
    files: tuple[ModelFile, ...] = described("hashes of all that must not change; may be []")

    @property
    def title(self) -> str:
        """The model as messages name it: "name/version"."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class LargeModel:
    """A large model's folder whose manifest and files have been found to fit."""

    folder: Path
    manifest: LargeManifest

    @property
    def weights(self) -> Path:
        """Folder of the driving model."""
        return self.folder / self.manifest.weights

    @property
    def backbone(self) -> Path:
        """Folder of the backbone's configuration and tokenizer."""
        return self.folder / self.manifest.backbone


def load_large_manifest(folder: Path) -> LargeManifest:
    """Read and check manifest.yaml alone. Raises ModelError."""
    path = folder / MANIFEST
    try:
        manifest = load(LargeManifest, path)
    except SettingsError as error:
        raise ModelError(str(error)) from None
    names = tuple(camera.name for camera in manifest.inputs.cameras)
    expected = (
        ("contract_version", CONTRACT_VERSION, manifest.contract_version),
        ("inputs.cameras", list(_ordered(names)), list(names)),
        ("inputs.frames", FRAMES, manifest.inputs.frames),
        ("inputs.poses", POSES, manifest.inputs.poses),
        *(
            (f"inputs.cameras: {c.name}", f"{HEIGHT} x {WIDTH}", f"{c.height} x {c.width}")
            for c in manifest.inputs.cameras
        ),
    )
    for field, wanted, found in expected:
        if wanted != found:
            raise ModelError(f"{path}: {field}: expected {wanted}, found {found}")
    return manifest


def load_large_model(folder: Path) -> LargeModel:
    """Read the manifest, check folders and hashes. Raises ModelError."""
    model = LargeModel(folder, load_large_manifest(folder))
    for part in (model.weights, model.backbone):
        if not part.is_dir():
            raise ModelError(f"{part}: no such folder, named in {folder / MANIFEST}")
    for file in model.manifest.files:
        check_file(folder, file)
    return model


def _ordered(names: tuple[str, ...]) -> tuple[str, ...]:
    """The cameras that the model knows in its order, each once; at least its front camera."""
    wanted = {name for name in names if name in CAMERAS} | {"front"}
    return tuple(name for name in CAMERAS if name in wanted)
