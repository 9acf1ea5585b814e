"""Low-polygon models of MetaDrive's cars, people and obstacles for the software renderer.

MetaDrive ships glTF models of up to 100 000 vertices with large textures; a CPU cannot draw a
street of them at 10 Hz. `python -m vla_driving.simulation.assets` bakes each of them once into a
few thousand coloured vertices without textures (20 s), stored as .npz below
`<sys.prefix>/share/vla_driving_assets`.

Baked models stand on the ground at the origin and look along +x (REP-103), in metres.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

ASSET_DIRECTORY = Path(sys.prefix) / "share" / "vla_driving_assets"
FORMAT = 5
"""Part of each file's name: a change of the baking below makes old files unused."""

NEAR_VERTICES = 3500
FAR_VERTICES = 500

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Mesh:
    """(V, 3) positions in m and unit normals, (V, 3) sRGB colours, (T, 3) vertex indices."""

    positions: FloatArray
    normals: FloatArray
    colours: npt.NDArray[np.uint8]
    triangles: npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Model:
    """One thing, drawn with `near` or, from further away, with `far`."""

    near: Mesh
    far: Mesh


@dataclass(frozen=True)
class Part:
    """One glTF file of a model: scaled (x, y, z), turned by `heading_deg`, placed at `offset` m.

    Triangles further than `reach` m from the file's own origin are stray and left out.
    """

    file: str
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    heading_deg: float = 0.0
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    reach: float = 10.0


@dataclass(frozen=True)
class Recipe:
    """Parts of one model in MetaDrive's frame (y forward) and how to treat them.

    `cell` m: size of a cluster; `pose`: phase of the animation, 0 to 1; what stands `on_wheels` has
    its height given by its tyres, all else is put down on the ground.
    """

    parts: tuple[Part, ...]
    cell: float
    y_forward: bool = True
    pose: float | None = None
    on_wheels: bool = False


class AssetError(RuntimeError):
    """A model cannot be read, baked or written."""


def _car(
    folder: str, radius: float, front: float, rear: float, lateral: float, body: Part
) -> Recipe:
    # Tyre radius, axle distances from the chassis origin and half track as in MetaDrive 0.3.0.1,
    # metadrive/component/vehicle/vehicle_type.py; cars rest with their tyres on the ground.
    tyres = tuple(
        Part(
            f"vehicle/{folder}/right_tire_{name}.gltf", (s, s, s), 0.0,
            (side * lateral, y, radius), 0.6,
        )
        for name, y in (("front", front), ("back", -rear))
        for side, s in ((1.0, 1.0), (-1.0, -1.0))
    )
    if folder == "truck":
        tyres = tuple(
            replace(t, scale=(-t.scale[0], -t.scale[1], -t.scale[2])) for t in tyres
        )
    return Recipe((body, *tyres), cell=0.09, on_wheels=True)


RECIPES: dict[str, Recipe] = {
    "sedan": _car("ferra", 0.313, 1.05234, 1.4166, 0.815, Part("vehicle/ferra/vehicle.gltf")),
    "s": _car(
        "beetle", 0.376, 1.4126, 1.07, 0.7,
        Part("vehicle/beetle/vehicle.gltf", offset=(0.0, -0.2, 0.03)),
    ),
    "m": _car(
        "130", 0.39, 1.285, 1.203, 0.803,
        Part("vehicle/130/vehicle.gltf", offset=(0.0, -0.05, 0.07)),
    ),
    "l": _car(
        "lada", 0.39, 1.391, 1.10751, 0.75,
        Part("vehicle/lada/vehicle.gltf", offset=(0.0, -0.25, 0.07)),
    ),
    "xl": _car(
        "truck", 0.37, 1.726, 1.075, 0.931,
        Part("vehicle/truck/vehicle.gltf", offset=(0.0, 0.3, 0.04)),
    ),
    "cone": Recipe((Part("traffic_cone/scene.gltf", (0.02,) * 3),), 0.06, y_forward=False),
    "barrier": Recipe((Part("barrier/scene.gltf", heading_deg=-90.0),), 0.06, y_forward=False),
    **{
        f"pedestrian_{i}": Recipe(
            (Part("pedestrian/scene.gltf", (0.01,) * 3, 90.0),), 0.05, y_forward=False, pose=phase
        )
        for i, phase in enumerate((0.0, 0.25, 0.5, 0.75))
    },
}
"""What is baked, by name. `pedestrian_0` to `_3` are phases of one walking step."""


def asset_path(name: str, directory: Path = ASSET_DIRECTORY) -> Path:
    """File that holds the baked model `name`."""
    return directory / f"{name}.v{FORMAT}.npz"


def load_model(name: str, directory: Path = ASSET_DIRECTORY) -> Model | None:
    """Baked model, or None where it has not been baked. Raises AssetError for a broken file."""
    path = asset_path(name, directory)
    if not path.is_file():
        return None
    try:
        with np.load(path) as data:
            near, far = (Mesh(*(data[f"{level}_{part}"] for part in _PARTS)) for level in _LEVELS)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise AssetError(
            f"{path}: not a baked model ({error}); delete it and run "
            "python -m vla_driving.simulation.assets"
        ) from None
    return Model(near, far)


_LEVELS = ("near", "far")
_PARTS = ("positions", "normals", "colours", "triangles")


def bake_all(directory: Path = ASSET_DIRECTORY, again: bool = False) -> dict[str, Model]:
    """Bake what is missing below `directory`; returns the models that were baked now.

    Raises AssetError.
    """
    missing = [n for n in RECIPES if again or not asset_path(n, directory).is_file()]
    baked: dict[str, Model] = {}
    if not missing:
        return baked
    source = _model_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in missing:
            baked[name] = bake(RECIPES[name], source)
            _write(asset_path(name, directory), baked[name])
    except OSError as error:
        raise AssetError(f"{directory}: cannot be written: {error}") from None
    return baked


def _write(path: Path, model: Model) -> None:
    arrays = {
        f"{level}_{part}": getattr(mesh, part)
        for level, mesh in zip(_LEVELS, (model.near, model.far), strict=True) for part in _PARTS
    }
    temporary = path.with_suffix(".part.npz")
    np.savez_compressed(temporary, **arrays)
    temporary.replace(path)


def bake(recipe: Recipe, source: Path) -> Model:
    """Merge the parts of a model into one mesh and thin it out for near and far."""
    soup = _merged([_load_part(source, part, recipe.pose) for part in recipe.parts])
    near, far = (
        _finished(thinned(soup, recipe.cell, count), recipe)
        for count in (NEAR_VERTICES, FAR_VERTICES)
    )
    return Model(near, far)


def thinned(mesh: Mesh, cell: float, vertices: int) -> Mesh:
    """The mesh clustered into cells of `cell` m, or as much larger as `vertices` asks for."""
    thin = cluster(mesh, cell)
    while len(thin.positions) > vertices:
        cell *= 1.15
        thin = cluster(mesh, cell)
    if not len(thin.triangles):
        raise AssetError("a model is smaller than one cluster: choose a smaller cell")
    return thin


def cluster(mesh: Mesh, cell: float) -> Mesh:
    """Vertex clustering (Rossignac and Borrel 1993): one mean vertex for each grid cell.

    Vertices whose normals look along different axes, or whose brightness differs clearly, stay
    apart, so that edges and paintwork survive.
    """
    facing = np.abs(mesh.normals).argmax(1)
    side = np.take_along_axis(mesh.normals, facing[:, None], 1)[:, 0] < 0.0
    brightness = mesh.colours.mean(1).astype(np.int64) // _BRIGHTNESS_STEP
    key = (2 * facing + side) * 3 + brightness
    for column in np.floor(mesh.positions / cell).astype(np.int64).T:
        key = key * _MOST_CELLS + (column + _MOST_CELLS // 2)
    _, inverse, count = np.unique(key, return_inverse=True, return_counts=True)

    def mean(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        total = [np.bincount(inverse, column, len(count)) for column in values.T]
        return np.stack(total, 1) / count[:, None]

    triangles = inverse[mesh.triangles]
    a, b, c = triangles.T
    triangles = triangles[(a != b) & (b != c) & (a != c)]
    low, middle, high = np.sort(triangles, 1).T
    _, first = np.unique((low * len(count) + middle) * len(count) + high, return_index=True)
    normals = mean(mesh.normals)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return Mesh(
        mean(mesh.positions).astype(np.float32), normals.astype(np.float32),
        mean(mesh.colours).round().astype(np.uint8), triangles[np.sort(first)].astype(np.uint32),
    )


_BRIGHTNESS_STEP = 100
_MOST_CELLS = 4096
"""Along each axis: three of them and the rest fit in 63 bits."""


def _merged(pieces: list[Mesh]) -> Mesh:
    pieces = [p for p in pieces if len(p.triangles)]
    offsets = np.cumsum([0] + [len(p.positions) for p in pieces[:-1]])
    return Mesh(
        np.concatenate([p.positions for p in pieces]), np.concatenate([p.normals for p in pieces]),
        np.concatenate([p.colours for p in pieces]),
        np.concatenate([p.triangles + np.uint32(o) for p, o in zip(pieces, offsets, strict=True)]),
    )


def _finished(mesh: Mesh, recipe: Recipe) -> Mesh:
    """Turned to look along +x, put on the ground, every triangle's front outwards."""
    positions, normals = mesh.positions, mesh.normals
    if recipe.y_forward:
        positions = np.stack([positions[:, 1], -positions[:, 0], positions[:, 2]], 1)
        normals = np.stack([normals[:, 1], -normals[:, 0], normals[:, 2]], 1)
    if not recipe.on_wheels:
        positions = positions - np.array([0.0, 0.0, positions[:, 2].min()], np.float32)
    a, b, c = (positions[mesh.triangles[:, k]] for k in range(3))
    front = np.einsum("ij,ij->i", np.cross(b - a, c - a), normals[mesh.triangles].sum(1))
    triangles = np.where(front[:, None] >= 0.0, mesh.triangles, mesh.triangles[:, ::-1])
    return Mesh(positions, normals, mesh.colours, triangles)


def _model_directory() -> Path:
    spec = importlib.util.find_spec("metadrive")
    if spec is None or spec.origin is None:
        raise AssetError("metadrive-simulator is not installed: pip install it to bake its models")
    return Path(spec.origin).parent / "assets" / "models"


def _load_part(source: Path, part: Part, pose: float | None) -> Mesh:
    from panda3d.core import GeomNode, LMatrix4f, NodePath, TransformState

    path = source / part.file
    if not path.is_file():
        raise AssetError(
            f"{path}: MetaDrive's model is missing; reinstall metadrive-simulator 0.3.0.1"
        )
    root = NodePath(_load_gltf(path) if pose is None else _posed(path, pose))
    placed = TransformState.makePosHprScale(part.offset, (part.heading_deg, 0, 0), part.scale)
    pieces = []
    for node in root.findAllMatches("**/+GeomNode"):
        to_model = LMatrix4f(node.getNetTransform().compose(TransformState.makeIdentity()).getMat())
        matrix = np.array(to_model * placed.getMat(), np.float64).reshape(4, 4)
        geometry: GeomNode = node.node()
        for i in range(geometry.getNumGeoms()):
            state = node.getNetState().compose(geometry.getGeomState(i))
            pieces.append(_soup(geometry.getGeom(i), state, matrix, part))
    return _merged(pieces)


def _load_gltf(path: Path) -> Any:
    import gltf
    from panda3d.core import Loader

    return gltf.load_model(Loader.getGlobalPtr(), str(path))


def _posed(path: Path, phase: float) -> Any:
    """Skinned model, frozen at `phase` (0 to 1) of its first animation."""
    from direct.actor.Actor import Actor
    from panda3d.core import NodePath

    actor = Actor(NodePath(_load_gltf(path)))
    name = actor.getAnimNames()[0]
    actor.pose(name, int(phase * actor.getNumFrames(name)))
    actor.update(force=True)
    return actor.node()


def _soup(geom: Any, state: Any, matrix: npt.NDArray[np.float64], part: Part) -> Mesh:
    geom = geom.decompose()
    data = geom.getVertexData().animateVertices(True, _current_thread())
    positions = _column(data, "vertex")[:, :3] @ matrix[:3, :3] + matrix[3, :3]
    normals = _column(data, "normal")[:, :3] @ np.linalg.inv(matrix[:3, :3]).T
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    triangles = [
        np.asarray(_indices(geom.getPrimitive(k)), np.uint32).reshape(-1, 3)
        for k in range(geom.getNumPrimitives())
        if type(geom.getPrimitive(k)).__name__ == "GeomTriangles"
    ]
    corners = np.concatenate(triangles) if triangles else np.empty((0, 3), np.uint32)
    near = np.linalg.norm(positions - np.array(part.offset), axis=1) < part.reach
    return Mesh(
        positions.astype(np.float32), normals.astype(np.float32), _colours(data, state),
        corners[near[corners].all(1)],
    )


def _current_thread() -> Any:
    from panda3d.core import Thread

    return Thread.getCurrentThread()


def _column(data: Any, name: str) -> npt.NDArray[np.float64]:
    """(V, k) values of a 32-bit float vertex column."""
    layout = data.getFormat()
    array = layout.getArrayWith(name)
    column = layout.getArray(array).getColumn(name)
    raw = np.frombuffer(bytes(data.getArray(array).getHandle().getData()), np.uint8)
    rows = raw.reshape(-1, layout.getArray(array).getStride())
    start, count = column.getStart(), column.getNumComponents()
    return rows[:, start:start + 4 * count].copy().view(np.float32).astype(np.float64)


def _indices(primitive: Any) -> npt.NDArray[np.integer[Any]]:
    if not primitive.isIndexed():
        first = primitive.getFirstVertex()
        return np.arange(first, first + primitive.getNumVertices())
    width = primitive.getIndexStride()
    raw = bytes(primitive.getVertices().getHandle().getData())
    return np.frombuffer(raw, {1: np.uint8, 2: np.uint16, 4: np.uint32}[width])


_GLASS = np.array([0.10, 0.12, 0.14])


def _colours(data: Any, state: Any) -> npt.NDArray[np.uint8]:
    """(V, 3) sRGB: base colour times texture at each vertex; what is see-through is dark glass."""
    from panda3d.core import MaterialAttrib, TextureAttrib, TransparencyAttrib

    count = data.getNumRows()
    linear = np.ones((count, 3))
    alpha = np.ones(count)
    material = state.getAttrib(MaterialAttrib)
    if material is not None and material.getMaterial() is not None:
        base = material.getMaterial().getBaseColor()
        linear = linear * np.array([base[0], base[1], base[2]])
        alpha = alpha * base[3]
    textures = state.getAttrib(TextureAttrib)
    stage = textures.getOnStage(0) if textures is not None and textures.getNumOnStages() else None
    if stage is not None and data.hasColumn(stage.getTexcoordName()):
        texel = _sample(
            textures.getOnTexture(stage), _column(data, stage.getTexcoordName().getName())[:, :2]
        )
        if texel is not None:
            linear = linear * texel[:, :3] ** 2.2
            alpha = alpha * texel[:, 3]
    srgb = np.clip(linear, 0.0, 1.0) ** (1.0 / 2.2)
    if state.getAttrib(TransparencyAttrib) is not None:
        srgb[alpha < 0.95] = _GLASS
    return (srgb * 255.0).round().astype(np.uint8)


def _sample(texture: Any, uv: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """(V, 4) texels, 0 to 1, at texture coordinates that wrap around."""
    if not texture.hasRamImage() and not texture.reload():
        return None
    width, height = texture.getXSize(), texture.getYSize()
    image = np.frombuffer(bytes(texture.getRamImage()), np.uint8).reshape(height, width, -1)
    column = np.floor((uv[:, 0] % 1.0) * width).astype(int).clip(0, width - 1)
    row = np.floor((uv[:, 1] % 1.0) * height).astype(int).clip(0, height - 1)
    texel = image[row, column].astype(np.float64) / 255.0
    # panda3d stores blue, green, red, alpha; or grey, alpha.
    grey = texel.shape[1] < 3
    colour = np.repeat(texel[:, :1], 3, 1) if grey else texel[:, 2::-1]
    alpha = texel[:, -1:] if texel.shape[1] in (2, 4) else np.ones((len(texel), 1))
    return np.concatenate([colour, alpha], 1)


def main(arguments: list[str] | None = None) -> int:
    """Command line: bake what is missing and say what was done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--directory", type=Path, default=ASSET_DIRECTORY)
    parser.add_argument("--again", action="store_true", help="bake even what is there already")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        baked = bake_all(options.directory, options.again)
    except AssetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, model in baked.items():
        print(f"{name}: {len(model.near.positions)} vertices, far {len(model.far.positions)}")
    print(f"{len(baked)} models baked in {time.monotonic() - start:.1f} s, "
          f"{len(RECIPES) - len(baked)} were there, in {options.directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
