"""The camera of the simulated car: a small scene graph drawn by Mesa's software renderer.

MetaDrive's own pictures need a GPU and paint lane lines faintly. Here the same roads are drawn as
flat ribbons in painter's order (so lines never flicker or fade), cars and people as coloured
low-polygon meshes, at a multiple of the frame's size and averaged down, which keeps a 0.2 m line
visible at 40 m in 256x144 pixels.

Needs EGL and a software rasteriser (Debian: libegl1 libgl1-mesa-dri), no X server and no GPU.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.contract.cameras import Camera, Mount
from vla_driving.simulation.assets import ASSET_DIRECTORY, Mesh, Model, load_model
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.road import Ribbon, Surfaces
from vla_driving.simulation.scenario import Look
from vla_driving.simulation.weather import Weather

FloatArray = npt.NDArray[np.float64]

SUPERSAMPLING = 2
_FAR = 400.0
_LOD_DISTANCE = 25.0
_FARTHEST = 200.0
"""m; a car is two pixels wide there."""

_SHORTEST_VEHICLE = 3.0
"""m; what is shorter has no lamps."""

_ZENITH = (0.32, 0.52, 0.80)
_HAZE = (0.80, 0.86, 0.91)
_GRASS = (0.36, 0.43, 0.22)
_ASPHALT = (0.27, 0.28, 0.29)
_PAVEMENT = (0.62, 0.60, 0.57)
_WHITE = (0.97, 0.97, 0.95)
_YELLOW = (0.98, 0.78, 0.12)
_SUN = np.array([0.35, -0.25, 0.90]) / math.sqrt(0.35**2 + 0.25**2 + 0.90**2)


@dataclass(frozen=True)
class Actor:
    """Something that stands on the ground: key of the thing, name of its model, pose in the map.

    x, y in m, heading in rad; length, width, height in m (drawn as a box where there is no model).
    """

    key: str
    model: str
    x: float
    y: float
    heading: float
    length: float
    width: float
    height: float


class Renderer:
    """Draws frames of one camera. One instance may serve many worlds, one after the other.

    All frames must be drawn by the same thread, to which OpenGL ties its context; others run on
    meanwhile, as drawing releases Python's lock. Raises SimulatorError where no software renderer
    can be opened.
    """

    def __init__(
        self, camera: Camera, supersampling: int = SUPERSAMPLING, assets: Path = ASSET_DIRECTORY
    ) -> None:
        # Mesa reads these when its library is loaded. One thread: frames are then the same on every
        # run, and the other processes of the car keep their cores.
        os.environ.setdefault("LP_NUM_THREADS", "0")
        os.environ.setdefault("LIBGL_ALWAYS_SOFTWARE", "1")
        import panda3d.core as panda

        self.camera = camera
        self._look = Look()
        self._seated = camera
        self._weather: Weather | None = None
        self._panda = panda
        self._scale = supersampling
        self._assets = assets
        self._thread = 0
        self._models: dict[object, Any] = {}
        self._actors: dict[str, tuple[str, Any]] = {}
        panda.loadPrcFileData("", _PANDA_SETTINGS)
        self._engine, self._buffer, self._texture = _open_buffer(
            panda, camera.width * supersampling, camera.height * supersampling
        )
        self._root = panda.NodePath("scene")
        self._road = self._root.attachNewNode("road")
        self._things = self._root.attachNewNode("things")
        self._sky = self._make_sky()
        self._eye = self._make_eye()

    def close(self) -> None:
        """Free the buffer; the renderer is of no use afterwards."""
        self._engine.removeAllWindows()
        self._root.removeNode()

    def dress(self, look: Look, seed: int, heading: float) -> None:
        """Take on a look, before `load_road`; see Weather for `seed` and `heading`."""
        self._look = look
        self._seated = dataclasses.replace(self.camera, mount=_knocked(self.camera.mount, look))
        self._weather = Weather(look, seed, self._seated, heading)

    def load_road(self, surfaces: Surfaces) -> None:
        """Replace the ground by another road network."""
        white, yellow = (_worn(colour, self._look.paint) for colour in (_WHITE, _YELLOW))
        self._road.removeNode()
        self._road = self._root.attachNewNode("road")
        for thing in self._actors.values():
            thing[1].removeNode()
        self._actors.clear()
        layers: tuple[tuple[list[Ribbon], Sequence[float], float], ...] = (
            (surfaces.asphalt, _ASPHALT, 0.06), (surfaces.yellow, yellow, 0.02),
            (surfaces.white, white, 0.02),
        )
        self._flat(_grass_mesh(surfaces), 1)
        for order, (ribbons, colour, grain) in enumerate(layers, start=2):
            for part in _chunks(ribbons):
                self._flat(_ribbon_mesh(part, colour, grain), order)
        for part in _chunks(surfaces.pavement):
            self._road.attachNewNode(self._node(_kerb_mesh(part))).setTwoSided(True)

    def render(
        self, base: FloatArray, actors: Sequence[Actor], time_s: float = 0.0
    ) -> npt.NDArray[np.uint8]:
        """(H, W, 3) rgb8, seen from the car whose base_link stands at `base`, (4, 4) in the map.

        The drops of a rain change with `time_s`.
        """
        self._thread = self._thread or threading.get_ident()
        if self._thread != threading.get_ident():
            raise SimulatorError("a Renderer draws in one thread only: that of its first frame")
        self._place_eye(base)
        self._place_actors(actors)
        self._engine.renderFrame()
        if not self._texture.hasRamImage():
            raise SimulatorError("the software renderer gave no image: is libgl1-mesa-dri there?")
        image = self._averaged()
        if self._weather is None:
            return image
        return self._weather.apply(image, base, _lamps(actors, base), time_s)

    def _averaged(self) -> npt.NDArray[np.uint8]:
        k, w, h = self._scale, self.camera.width, self.camera.height
        raw = np.frombuffer(self._texture.getRamImage(), np.uint8).reshape(h * k, w * k, -1)
        wide = raw[::-1, :, 2::-1]
        if k == 1:
            return np.ascontiguousarray(wide)
        mean = np.zeros((h, w, 3), np.uint16)
        for i in range(k):
            for j in range(k):
                mean += wide[i::k, j::k]
        return ((mean + k * k // 2) // (k * k)).astype(np.uint8)

    def _make_eye(self) -> Any:
        panda, camera = self._panda, self.camera
        lens = panda.PerspectiveLens()
        # In film units of pixels of fx; pixel centres lie at whole numbers, as in CameraInfo.
        height = camera.height * camera.fx / camera.fy
        lens.setFilmSize(camera.width, height)
        lens.setFocalLength(camera.fx)
        lens.setFilmOffset(
            (camera.width - 1) / 2.0 - camera.cx,
            (camera.cy - (camera.height - 1) / 2.0) * camera.fx / camera.fy,
        )
        lens.setNearFar(0.3, _FAR)
        eye = self._root.attachNewNode(panda.Camera("eye", lens))
        region = self._buffer.makeDisplayRegion()
        region.setCamera(eye)
        return eye

    def _place_eye(self, base: FloatArray) -> None:
        camera = self._seated
        optical_from_base = camera.rotation()
        # panda3d's camera looks along y with x right and z up.
        panda_from_optical = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
        rotation = base[:3, :3] @ (panda_from_optical @ optical_from_base).T
        mount = np.array([camera.mount.x, camera.mount.y, camera.mount.z])
        position = base[:3, :3] @ mount + base[:3, 3]
        matrix = np.eye(4)
        matrix[:3, :3] = rotation.T
        matrix[3, :3] = position
        self._eye.setMat(self._panda.LMatrix4f(*matrix.ravel().tolist()))
        self._sky.setPos(*position.tolist())

    def _place_actors(self, actors: Sequence[Actor]) -> None:
        seen = set()
        for actor in actors:
            seen.add(actor.key)
            held = self._actors.get(actor.key)
            if held is None or held[0] != actor.model:
                if held is not None:
                    held[1].removeNode()
                node = self._things.attachNewNode(actor.key)
                self._model(actor).instanceTo(node)
                self._shadow(actor).reparentTo(node)
                held = self._actors[actor.key] = (actor.model, node)
            held[1].setPosHpr(actor.x, actor.y, 0.0, math.degrees(actor.heading), 0.0, 0.0)
        for key in [k for k in self._actors if k not in seen]:
            self._actors.pop(key)[1].removeNode()

    def _model(self, actor: Actor) -> Any:
        """Node of a model that is drawn simpler from far away, shared by all actors of its kind."""
        size = (actor.length, actor.width, actor.height)
        for key in (actor.model, (actor.model, size)):
            if key in self._models:
                return self._models[key]
        model = load_model(actor.model, self._assets)
        if model is not None:
            return self._keep(actor.model, model)
        box = _box_mesh(*size)
        return self._keep((actor.model, size), Model(box, box))

    def _keep(self, key: object, model: Model) -> Any:
        node = self._panda.LODNode("model")
        path = self._panda.NodePath(node)
        node.addSwitch(_LOD_DISTANCE, 0.0)
        path.attachNewNode(self._node(_lit(model.near)))
        node.addSwitch(_FARTHEST, _LOD_DISTANCE)
        path.attachNewNode(self._node(_lit(model.far)))
        self._models[key] = path
        return path

    def _shadow(self, actor: Actor) -> Any:
        path = self._panda.NodePath(self._node(_shadow_mesh(actor.length, actor.width)))
        path.setTransparency(self._panda.TransparencyAttrib.MAlpha)
        path.setBin("background", 6)
        path.setDepthTest(False)
        path.setDepthWrite(False)
        return path

    def _flat(self, mesh: Mesh, order: int) -> None:
        path = self._road.attachNewNode(self._node(mesh))
        path.setBin("background", order)
        path.setDepthTest(False)
        path.setDepthWrite(False)
        path.setTwoSided(True)

    def _make_sky(self) -> Any:
        path = self._root.attachNewNode(self._node(_sky_mesh()))
        path.setBin("background", 0)
        path.setDepthTest(False)
        path.setDepthWrite(False)
        path.setTwoSided(True)
        path.node().setBounds(self._panda.OmniBoundingVolume())
        path.node().setFinal(True)
        return path

    def _node(self, mesh: Mesh) -> Any:
        panda = self._panda
        layout = panda.GeomVertexFormat.getV3c4()
        data = panda.GeomVertexData("mesh", layout, panda.Geom.UHStatic)
        data.uncleanSetNumRows(len(mesh.positions))
        rows = np.zeros(len(mesh.positions), [("xyz", "<f4", 3), ("rgba", "u1", 4)])
        rows["xyz"] = mesh.positions
        colours = mesh.colours
        if colours.shape[1] == 3:
            colours = np.column_stack([colours, np.full(len(colours), 255, np.uint8)])
        rows["rgba"] = colours
        data.modifyArrayHandle(0).copyDataFrom(rows.tobytes())
        triangles = panda.GeomTriangles(panda.Geom.UHStatic)
        triangles.setIndexType(panda.Geom.NTUint32)
        index = triangles.modifyVertices()
        index.uncleanSetNumRows(mesh.triangles.size)
        index.modifyHandle().copyDataFrom(np.ascontiguousarray(mesh.triangles, np.uint32).tobytes())
        geom = panda.Geom(data)
        geom.addPrimitive(triangles)
        node = panda.GeomNode("mesh")
        node.addGeom(geom)
        return node


_PANDA_SETTINGS = """
notify-level-display error
notify-level-device fatal
audio-library-name null
textures-power-2 none
sync-video 0
"""


@functools.cache
def _pipe() -> Any:
    """One for the process: closing a second one would take the display from the first."""
    import panda3d.core as panda

    return panda.GraphicsPipeSelection.getGlobalPtr().makeModulePipe("p3headlessgl")


def _open_buffer(panda: Any, width: int, height: int) -> tuple[Any, Any, Any]:
    pipe = _pipe()
    if pipe is None or not pipe.isValid():
        raise SimulatorError("EGL cannot be opened: apt-get install libegl1 libgl1-mesa-dri")
    engine = panda.GraphicsEngine()
    wanted = panda.FrameBufferProperties()
    wanted.setRgbaBits(8, 8, 8, 8)
    wanted.setDepthBits(24)
    flags = panda.GraphicsPipe.BFRefuseWindow | panda.GraphicsPipe.BFFbPropsOptional
    buffer = engine.makeOutput(
        pipe, "camera", 0, wanted, panda.WindowProperties.size(width, height), flags
    )
    if buffer is None:
        raise SimulatorError("no OpenGL context on EGL: apt-get install libgl1-mesa-dri")
    texture = panda.Texture()
    buffer.addRenderTexture(texture, panda.GraphicsOutput.RTMCopyRam)
    return engine, buffer, texture


def _knocked(mount: Mount, look: Look) -> Mount:
    """Where a camera sits that was pushed off its mount."""
    return dataclasses.replace(
        mount, roll=mount.roll + math.radians(look.camera_roll),
        pitch=mount.pitch + math.radians(look.camera_pitch),
        yaw=mount.yaw + math.radians(look.camera_yaw),
    )


def _worn(colour: Sequence[float], paint: float) -> tuple[float, ...]:
    """Colour of a line of which a share `paint` is left."""
    return tuple(a + paint * (c - a) for c, a in zip(colour, _ASPHALT, strict=True))


def _lamps(actors: Sequence[Actor], base: FloatArray) -> list[tuple[FloatArray, bool]]:
    """Lamps of vehicles that show towards us: where in the map, and whether they are white."""
    found = []
    for actor in actors:
        if actor.length < _SHORTEST_VEHICLE:
            continue
        along = np.array([math.cos(actor.heading), math.sin(actor.heading)])
        aside = np.array([-along[1], along[0]])
        centre = np.array([actor.x, actor.y])
        white = bool((base[:2, 3] - centre) @ along > 0.0)
        end = centre + (0.5 if white else -0.5) * actor.length * along
        found += [(end + 0.38 * side * actor.width * aside, white) for side in (-1.0, 1.0)]
    return found


def _srgb(colour: Sequence[float], shade: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    values = np.asarray(shade, float).reshape(-1, 1) * np.asarray(colour) * 255.0
    return np.clip(values.round(), 0, 255).astype(np.uint8)


def _lit(mesh: Mesh) -> Mesh:
    """Sun and sky painted onto a model's colours."""
    light = 0.55 + 0.15 * mesh.normals[:, 2] + 0.35 * np.clip(mesh.normals @ _SUN, 0.0, 1.0)
    colours = np.clip(mesh.colours * light[:, None], 0, 255).astype(np.uint8)
    return Mesh(mesh.positions, mesh.normals, colours, mesh.triangles)


def _mesh(positions: npt.ArrayLike, colours: npt.ArrayLike, triangles: npt.ArrayLike) -> Mesh:
    xyz = np.asarray(positions, np.float32).reshape(-1, 3)
    return Mesh(
        xyz, np.zeros_like(xyz), np.asarray(colours, np.uint8),
        np.asarray(triangles, np.uint32).reshape(-1, 3),
    )


def _chunks(ribbons: list[Ribbon], size: int = 24) -> list[list[Ribbon]]:
    """Neighbours together, so that what is out of sight can be left out."""
    return [ribbons[i:i + size] for i in range(0, len(ribbons), size)]


def _strip_triangles(counts: Sequence[int]) -> npt.NDArray[np.uint32]:
    parts = []
    first = 0
    for n in counts:
        k = first + 2 * np.arange(n - 1)
        parts.append(np.stack([k, k + 1, k + 2, k + 1, k + 3, k + 2], 1).reshape(-1, 3))
        first += 2 * n
    return np.concatenate(parts).astype(np.uint32)


def _interleaved(ribbon: Ribbon) -> FloatArray:
    return np.stack([ribbon.left, ribbon.right], 1).reshape(-1, 2)


def _ribbon_mesh(ribbons: list[Ribbon], colour: Sequence[float], grain: float) -> Mesh:
    xy = np.concatenate([_interleaved(r) for r in ribbons])
    # Shade by place, not by chance: the same road looks the same on every run.
    shade = 1.0 + grain * np.sin(0.9 * xy[:, 0] + 1.7 * xy[:, 1])
    xyz = np.column_stack([xy, np.zeros(len(xy))])
    return _mesh(xyz, _srgb(colour, shade), _strip_triangles([len(r.left) for r in ribbons]))


_KERB = 0.12


def _kerb_mesh(ribbons: list[Ribbon]) -> Mesh:
    """Pavements: a top and a kerb towards the road."""
    xyz, colours, counts = [], [], []
    for ribbon in ribbons:
        n = len(ribbon.left)
        top = np.column_stack([_interleaved(ribbon), np.full(2 * n, _KERB)])
        xyz.append(top)
        colours.append(_srgb(_PAVEMENT, np.ones(2 * n)))
        counts.append(n)
        for border in (ribbon.left, ribbon.right):
            side = np.repeat(border, 2, 0)
            xyz.append(np.column_stack([side, np.tile([0.0, _KERB], n)]))
            colours.append(_srgb(_PAVEMENT, np.full(2 * n, 0.75)))
            counts.append(n)
    return _mesh(np.concatenate(xyz), np.concatenate(colours), _strip_triangles(counts))


def _grass_mesh(surfaces: Surfaces) -> Mesh:
    """A meadow of 8 m tiles in slightly different greens, a kilometre beyond the road."""
    points = np.concatenate([r.left for r in surfaces.asphalt])
    low, high = points.min(0) - 60.0, points.max(0) + 60.0
    x, y = (np.arange(a, b + 8.0, 8.0) for a, b in zip(low, high, strict=True))
    gx, gy = np.meshgrid(x, y, indexing="ij")
    shade = 1.0 + 0.10 * np.sin(12.9898 * gx + 78.233 * gy)
    grid = np.arange(gx.size).reshape(gx.shape)
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    far = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 3000.0 + (low + high) / 2.0
    xyz = np.column_stack([
        np.append(gx, far[:, 0]), np.append(gy, far[:, 1]), np.zeros(gx.size + 4),
    ])
    outer = gx.size + np.array([[0, 1, 2], [0, 2, 3]])
    colours = _srgb(_GRASS, np.append(shade, np.ones(4)))
    return _mesh(xyz, colours, np.concatenate([outer, triangles]))


def _sky_mesh(segments: int = 24) -> Mesh:
    """A dome around the camera: haze at the horizon, blue above, and a line of far hills."""
    around = np.linspace(0.0, 2.0 * math.pi, segments * 4 + 1)
    radius = 0.8 * _FAR
    rings = [(-0.20, _HAZE), (0.0, _HAZE), (0.35, _ZENITH), (1.4, _ZENITH)]
    xyz, colours, counts = [], [], []
    for (low, c0), (high, c1) in itertools.pairwise(rings):
        ring = []
        for elevation in (low, high):
            ring.append(np.column_stack([
                radius * np.cos(around) * math.cos(elevation),
                radius * np.sin(around) * math.cos(elevation),
                np.full(len(around), radius * math.sin(elevation)),
            ]))
        xyz.append(np.stack(ring, 1).reshape(-1, 3))
        colours.append(np.tile(np.concatenate([_srgb(c0, 1.0), _srgb(c1, 1.0)]), (len(around), 1)))
        counts.append(len(around))
    top = radius * (0.03 + 0.012 * np.sin(3 * around) + 0.008 * np.sin(7 * around + 1.0))
    hills = np.stack([
        np.column_stack([0.98 * radius * np.cos(around), 0.98 * radius * np.sin(around), z])
        for z in (np.full(len(around), -0.05 * radius), top)
    ], 1).reshape(-1, 3)
    xyz.append(hills)
    colours.append(_srgb((0.45, 0.53, 0.52), np.ones(len(hills))))
    counts.append(len(around))
    return _mesh(np.concatenate(xyz), np.concatenate(colours), _strip_triangles(counts))


def _box_mesh(length: float, width: float, height: float) -> Mesh:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (0, 1)], float)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    normals = [(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)]
    xyz = np.concatenate([corners[list(f)] for f in faces]) * [length / 2, width / 2, height]
    triangles = np.concatenate([np.array([[0, 1, 2], [0, 2, 3]]) + 4 * i for i in range(6)])
    return Mesh(
        xyz.astype(np.float32), np.repeat(np.array(normals, np.float32), 4, 0),
        np.full((24, 3), 200, np.uint8), triangles.astype(np.uint32),
    )


def _shadow_mesh(length: float, width: float) -> Mesh:
    """A dark patch under the body: where a thing touches the ground tells how far it is."""
    inner = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    rings = [inner * [length / 2 * f + m, width / 2 * f + m] for f, m in ((0.85, 0.0), (1.0, 0.15))]
    xyz = np.column_stack([np.concatenate(rings), np.zeros(8)])
    alpha = np.repeat([150, 0], 4).astype(np.uint8)
    colours = np.column_stack([np.full((8, 3), 15, np.uint8), alpha])
    triangles = [[0, 1, 2], [0, 2, 3]]
    for i in range(4):
        j = (i + 1) % 4
        triangles += [[i, 4 + i, 4 + j], [i, 4 + j, j]]
    return _mesh(xyz, colours, triangles)
