"""Thinning out meshes, and files of baked models."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.simulation.assets import (
    RECIPES,
    AssetError,
    Mesh,
    asset_path,
    cluster,
    load_model,
    thinned,
)


def sheet(count: int = 30) -> Mesh:
    """A square of 1 m in the plane z = 0 with count × count squares, its normals up."""
    line = np.linspace(0.0, 1.0, count + 1)
    x, y = np.meshgrid(line, line, indexing="ij")
    grid = np.arange(x.size).reshape(x.shape)
    a, b, c, d = (grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:])
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    positions = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)]).astype(np.float32)
    normals = np.tile(np.array([[0.0, 0.0, 1.0]], np.float32), (x.size, 1))
    colours = np.full((x.size, 3), 120, np.uint8)
    return Mesh(positions, normals, colours, triangles.astype(np.uint32))


def area(mesh: Mesh) -> float:
    a, b, c = (mesh.positions[mesh.triangles[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2.0)


@given(st.floats(0.02, 0.4))
def test_clusters_are_fewer_within_the_old_bounds_and_cover_the_same(cell: float) -> None:
    full = sheet()
    thin = cluster(full, cell)
    assert len(thin.positions) <= min(len(full.positions), (1.0 / cell + 2.0) ** 2)
    assert thin.positions.min() >= 0.0 and thin.positions.max() <= 1.0
    assert thin.triangles.max() < len(thin.positions)
    assert (1.0 - 2.0 * cell) ** 2 - 1e-3 <= area(thin) <= 1.0 + 1e-3
    assert (thin.colours == 120).all()


def test_different_paint_stays_apart() -> None:
    full = sheet(4)
    colours = full.colours.copy()
    colours[::2] = 255
    striped = Mesh(full.positions, full.normals, colours, full.triangles)
    assert set(np.unique(cluster(striped, 5.0).colours)) == {120, 255}


def test_thinning_reaches_the_wanted_size() -> None:
    assert len(thinned(sheet(), 0.01, 100).positions) <= 100


def test_what_is_not_baked_is_none(tmp_path: Path) -> None:
    assert load_model("sedan", tmp_path) is None


def test_a_broken_file_says_what_to_do(tmp_path: Path) -> None:
    asset_path("sedan", tmp_path).write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(AssetError, match=r"sedan.*delete it and run"):
        load_model("sedan", tmp_path)


@pytest.mark.parametrize("name", RECIPES)
def test_baked_models_are_small_whole_and_stand_on_the_ground(name: str) -> None:
    model = load_model(name)
    if model is None:
        pytest.skip("not baked: run python -m vla_driving.simulation.assets")
    assert len(model.far.positions) <= 500 and len(model.near.positions) <= 3500
    for mesh, lift in ((model.near, 0.12), (model.far, 0.35)):
        assert mesh.triangles.max() < len(mesh.positions)
        low, high = mesh.positions.min(0), mesh.positions.max(0)
        assert abs(low[2]) < lift, "stands on the ground"
        assert (np.abs([low[:2], high[:2]]) < 3.5).all() and 0.4 < high[2] < 3.0
