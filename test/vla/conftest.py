from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_driving.vla.manifest import Model, load_model, save_manifest

from .tiny_model import ModelFactory, manifest, write_network


@pytest.fixture
def make_model(tmp_path: Path) -> ModelFactory:
    """make_model(constants=None, **manifest changes) -> Model with a correct manifest."""

    def make(constants: Mapping[str, np.ndarray] | None = None, **changes: Any) -> Model:
        write_network(tmp_path / "tiny.onnx", constants)
        save_manifest(manifest(**changes), tmp_path)
        return load_model(tmp_path)

    return make
