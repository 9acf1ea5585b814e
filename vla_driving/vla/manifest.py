"""The model contract: what models/<name>/manifest.yaml states and what must fit before it is run.

Tensors of contract version 1 (all float32 unless said; one item a batch):

===============  =========================  ====================================================
input            shape                      meaning
===============  =========================  ====================================================
images           (1, cameras, H, W, 3)      uint8 rgb, cameras in the manifest's order; the graph
                                            normalises them itself
ego              (1, E)                     `inputs.ego`, SI units; absent where E is 0
navigation       (1, N)                     `inputs.navigation`; absent where N is 0
route            (1, 3 R)                   points of the way `inputs.route_m` m ahead: x and y in
                                            m / 50, 1 where known; absent where R is 0
text             (1, T)                     token of the instruction in force, zeros for none;
                                            absent where T is 0
command          (1, C)                     `inputs.command`, SI units; absent where C is 0
motion           (1, 4)                     `inputs.motion`: pose of base_link now as seen from the
                                            frame answered before, and s since; zeros at the start;
                                            absent where nothing is named
state_<name>     as stated                  recurrent state, zeros at the start
===============  =========================  ====================================================

===================  =====================  ====================================================
output               shape                  meaning
===================  =====================  ====================================================
acceleration         (1, K, 64)             m/s² in each step of 0.1 s, K candidates
curvature            (1, K, 64)             1/m, left positive
probability          (1, K)                 of each candidate, 0 to 1
uncertainty          (1,)                   standard deviation of the best position at 2 s, m
lane_lines           (1, 4, 1 + S)          probability and y in m at `lane_stations_m`, in the
                                            order of LaneLineKind; optional
objects              (1, M, 8)              probability, x, y, velocity_x, velocity_y, length,
                                            width, class index of ObjectClass; optional
traffic_controls     (1, S, 4)              probability, index of TrafficControlKind, index of
                                            SignalState, distance in m; optional
cause                (1, 12)                probability of each Cause of what the first candidate
                                            does; optional
cause_object         (1, 1 + M)             probability that the cause is none of the objects, or
                                            each of them; optional, with cause and objects
cause_distance       (1,)                   m to the cause; optional, with cause
next_state_<name>    as the state           recurrent state for the next frame
===================  =====================  ====================================================

Everything is in base_link at the exposure of the frames, SI units.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import yaml

from vla_driving.contract.cameras import Camera
from vla_driving.contract.language import MAX_TOKEN_LENGTH, Cause
from vla_driving.contract.plan import MAX_CANDIDATES
from vla_driving.contract.scene import MAX_OBJECTS, MAX_TRAFFIC_CONTROLS, LaneLineKind
from vla_driving.contract.settings import SettingsError, choice, described, load, quantity
from vla_driving.contract.trajectory import HORIZON_S, POINTS

CONTRACT_VERSION = 1
MANIFEST = "manifest.yaml"
OBJECT_COLUMNS = 8
TRAFFIC_CONTROL_COLUMNS = 4
PRECISIONS = ("float32", "float16", "int8")
REFERENCE = "float32"
"""Precision that every model comes in and that the others are measured against."""

Conflict: TypeAlias = tuple[str, object, object]
"""Field, what was expected, what was found."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

EGO_SIGNALS = (
    "speed", "wheel_speed", "acceleration", "lateral_acceleration", "yaw_rate",
    "steering_angle", "steering_rate",
)
"""Fields of VehicleState that a model may ask for, SI units, unscaled."""

NAVIGATION_FIELDS = (
    "turn_none", "turn_left", "turn_right", "turn_straight", "turn_roundabout", "turn_arrive",
    "distance_to_turn", "speed_limit",
)
"""Navigation a model may ask for: one-hot of Turn, min(m, 100) / 100 and m/s / 30.

Without a turn ahead (or without a route) distance_to_turn is 1; an unknown speed limit is 0.
"""

COMMAND_FIELDS = ("time_gap",)
"""Wishes in numbers a model may ask for, s; 0 where nothing is wished for.

A wish for a speed needs no field: the speed limit of the navigation is never above it.
"""

MOTION_FIELDS = ("dx", "dy", "dyaw", "dt")
"""The car's own motion a model may ask for, all or none: m, m, rad, s."""


class ModelError(SettingsError):
    """One line that names the model's file, the field or tensor, what was expected and found."""


@dataclass(frozen=True)
class TensorSpec:
    """Name, numpy dtype name and shape of one tensor of the network."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


@dataclass(frozen=True)
class StateTensor:
    """Recurrent state: input `state_<name>`, output `next_state_<name>`, float32."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Inputs:
    """What the network looks at.

    `text` is the length of the instruction's token, which `text_encoder` makes; `route_m` how far
    ahead the points of the route lie, in m along it.
    """

    cameras: tuple[Camera, ...] = described("virtual cameras, all of one size")
    history: int = quantity("frames", 1, 1, "frames a camera; memory is carried in states")
    ego: tuple[str, ...] = choice(*EGO_SIGNALS, doc="vehicle signals, in order")
    navigation: tuple[str, ...] = choice(*NAVIGATION_FIELDS, doc="navigation values, in order")
    states: tuple[StateTensor, ...] = ()
    text_encoder: str | None = None
    text: int = 0
    command: tuple[str, ...] = dataclasses.field(
        default=(), metadata={"choices": COMMAND_FIELDS, "doc": "wishes in numbers, in order"}
    )
    route_m: tuple[float, ...] = ()
    motion: tuple[str, ...] = dataclasses.field(
        default=(), metadata={"choices": MOTION_FIELDS, "doc": "the car's own motion, in order"}
    )


@dataclass(frozen=True)
class Outputs:
    """Shapes of what the network answers; a field is a tensor's name."""

    acceleration: tuple[int, ...]
    curvature: tuple[int, ...]
    probability: tuple[int, ...]
    uncertainty: tuple[int, ...]
    lane_stations_m: tuple[float, ...] = ()
    lane_lines: tuple[int, ...] | None = None
    objects: tuple[int, ...] | None = None
    traffic_controls: tuple[int, ...] | None = None
    cause: tuple[int, ...] | None = None
    cause_object: tuple[int, ...] | None = None
    cause_distance: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ModelFile:
    """One file of the model's folder.

    A `network` is an ONNX graph and a `program` the same as torch.export writes it, each in one
    precision (float32 where none is stated) and at most once in each.
    """

    path: str
    sha256: str
    role: str = choice("network", "program", "weights", "document")
    precision: str | None = dataclasses.field(default=None, metadata={"choices": PRECISIONS})


@dataclass(frozen=True)
class Training:
    """Where the weights come from."""

    data: str = described("what it was trained on, in words")
    samples: int = quantity("frames", 0, 10**12)
    method: str = described("how it was trained")
    licence_of_data: str = described("licence of the training data")


@dataclass(frozen=True)
class Score:
    """One measured figure: what, how much, in which unit, on which data."""

    name: str
    value: float
    unit: str
    data: str


@dataclass(frozen=True)
class Manifest:
    """The whole of manifest.yaml."""

    contract_version: int
    name: str
    version: str
    licence: str
    description: str
    inputs: Inputs
    outputs: Outputs
    files: tuple[ModelFile, ...]
    training: Training
    scores: tuple[Score, ...]
    rate_hz: float = quantity("Hz", 0.1, 100.0, "rate it was trained for")
    horizon_s: float = quantity("s", 0.1, 60.0, "length of its trajectories")

    @property
    def title(self) -> str:
        """The model as messages name it: "name/version"."""
        return f"{self.name}/{self.version}"

    @property
    def network(self) -> ModelFile:
        """The graph in single precision, the reference for the others."""
        return self.files_by_precision("network")[REFERENCE]

    def files_by_precision(self, role: str) -> dict[str, ModelFile]:
        """Files of a role by their precision, in the manifest's order."""
        return {f.precision or REFERENCE: f for f in self.files if f.role == role}

    @property
    def candidates(self) -> int:
        """Number of trajectories K."""
        return self.outputs.probability[1]

    def input_tensors(self) -> tuple[TensorSpec, ...]:
        """What the network must take."""
        first = self.inputs.cameras[0]
        specs = [
            TensorSpec(
                "images", "uint8", (1, len(self.inputs.cameras), first.height, first.width, 3)
            )
        ]
        sizes = {
            "ego": len(self.inputs.ego),
            "navigation": len(self.inputs.navigation),
            "route": 3 * len(self.inputs.route_m),
            "text": self.inputs.text,
            "command": len(self.inputs.command),
            "motion": len(self.inputs.motion),
        }
        specs += [TensorSpec(n, "float32", (1, size)) for n, size in sizes.items() if size]
        specs += [TensorSpec(f"state_{s.name}", "float32", s.shape) for s in self.inputs.states]
        return tuple(specs)

    def output_tensors(self) -> tuple[TensorSpec, ...]:
        """What the network must answer."""
        shapes = {
            f.name: getattr(self.outputs, f.name)
            for f in dataclasses.fields(self.outputs)
            if f.name != "lane_stations_m"
        }
        specs = [TensorSpec(n, "float32", s) for n, s in shapes.items() if s is not None]
        specs += [
            TensorSpec(f"next_state_{s.name}", "float32", s.shape) for s in self.inputs.states
        ]
        return tuple(specs)


@dataclass(frozen=True)
class Model:
    """A model's folder whose manifest and files have been found to fit, to run in `precision`."""

    folder: Path
    manifest: Manifest
    precision: str = REFERENCE

    @property
    def network(self) -> ModelFile:
        """The ONNX graph in this precision."""
        return self.manifest.files_by_precision("network")[self.precision]

    @property
    def network_path(self) -> Path:
        """The ONNX file."""
        return self.folder / self.network.path

    @property
    def program_path(self) -> Path | None:
        """The torch.export program in this precision, where the model comes with one."""
        program = self.manifest.files_by_precision("program").get(self.precision)
        return self.folder / program.path if program else None

    def at(self, precision: str) -> Model:
        """The same model in another precision. Raises ModelError where it has no such graph."""
        available = self.manifest.files_by_precision("network")
        if precision not in available:
            raise ModelError(
                f"{self.folder / MANIFEST}: no network in {precision}; it has"
                f" {', '.join(available)}"
            )
        return dataclasses.replace(self, precision=precision)


def load_model(folder: Path) -> Model:
    """Read a model's folder, check the manifest and the hash of each file. Raises ModelError."""
    manifest = load_manifest(folder / MANIFEST)
    for file in manifest.files:
        check_file(folder, file)
    return Model(folder, manifest)


def load_manifest(path: Path) -> Manifest:
    """Read and check manifest.yaml alone. Raises ModelError."""
    try:
        manifest = load(Manifest, path)
    except ModelError:
        raise
    except SettingsError as error:
        raise ModelError(str(error)) from None
    for field, expected, found in _conflicts(manifest):
        raise ModelError(f"{path}: {field}: expected {expected}, found {found}")
    return manifest


def save_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write manifest.yaml with the hashes of the files as they lie in `folder` now."""
    hashed = tuple(
        dataclasses.replace(f, sha256=sha256_of(folder / f.path)) for f in manifest.files
    )
    content = _plain(dataclasses.replace(manifest, files=hashed))
    path = folder / MANIFEST
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex. Raises ModelError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def check_file(folder: Path, file: ModelFile) -> None:
    """Whether a file lies in the folder and has its hash. Raises ModelError."""
    path = folder / file.path
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{folder / MANIFEST}: files: {file.path!r} lies outside the folder")
    if not path.is_file():
        raise ModelError(f"{path}: no such file, named in {folder / MANIFEST}")
    found = sha256_of(path)
    if found != file.sha256.lower():
        raise ModelError(
            f"{path}: sha256 expected {file.sha256}, found {found}: the file was changed or is"
            " incomplete; restore it or correct the manifest"
        )


def _plain(value: object) -> object:
    """Mappings, lists and scalars for YAML; None is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {name: _plain(v) for name, v in items.items() if v is not None}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


def _conflicts(manifest: Manifest) -> Iterator[Conflict]:
    if manifest.contract_version != CONTRACT_VERSION:
        yield "contract_version", CONTRACT_VERSION, manifest.contract_version
    if not _NAME.fullmatch(manifest.name):
        yield "name", "lower-case letters, digits, - and _", repr(manifest.name)
    if not _VERSION.fullmatch(manifest.version):
        yield "version", "three numbers as in 1.0.0", repr(manifest.version)
    if abs(manifest.horizon_s - HORIZON_S) > 1e-6:
        yield "horizon_s", HORIZON_S, manifest.horizon_s
    yield from _file_conflicts(manifest.files)
    yield from _input_conflicts(manifest.inputs)
    yield from _output_conflicts(manifest.outputs)


def _file_conflicts(files: tuple[ModelFile, ...]) -> Iterator[Conflict]:
    for role in ("network", "program"):
        found = [f.precision or REFERENCE for f in files if f.role == role]
        if len(set(found)) != len(found):
            yield "files", f"one {role} a precision", found
        if role == "network" and REFERENCE not in found:
            yield "files", f"one network in {REFERENCE}", found or "none"
    for file in files:
        path = PurePosixPath(file.path)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            yield "files", "a path inside the model's folder", repr(file.path)
        if not _SHA256.fullmatch(file.sha256):
            yield f"files: {file.path}: sha256", "64 hex digits", repr(file.sha256)


def _input_conflicts(inputs: Inputs) -> Iterator[Conflict]:
    if not inputs.cameras:
        yield "inputs.cameras", "at least one", "none"
        return
    first = inputs.cameras[0]
    for camera in inputs.cameras:
        size, expected = (camera.width, camera.height), (first.width, first.height)
        if size != expected:
            yield f"inputs.cameras: {camera.name}: size", f"{expected} as {first.name}", size
        distortion = camera.distortion_model
        if distortion != "none":
            yield f"inputs.cameras: {camera.name}: distortion_model", "none", distortion
    for field, names in (
        ("cameras", [c.name for c in inputs.cameras]),
        ("ego", inputs.ego),
        ("navigation", inputs.navigation),
        ("command", inputs.command),
        ("states", [s.name for s in inputs.states]),
    ):
        if len(set(names)) != len(names):
            yield f"inputs.{field}", "each name once", list(names)
    for state in inputs.states:
        if not state.shape or min(state.shape) < 1:
            yield f"inputs.states: {state.name}: shape", "whole numbers above 0", list(state.shape)
    if not 0 <= inputs.text <= MAX_TOKEN_LENGTH:
        yield "inputs.text", f"0 to {MAX_TOKEN_LENGTH}", inputs.text
    if (inputs.text_encoder is None) != (inputs.text == 0):
        wanted = "the encoder's name" if inputs.text else "none where inputs.text is 0"
        yield "inputs.text_encoder", wanted, repr(inputs.text_encoder)
    if inputs.motion not in ((), MOTION_FIELDS):
        yield "inputs.motion", f"none or {list(MOTION_FIELDS)}", list(inputs.motion)
    ways = inputs.route_m
    if list(ways) != sorted(set(ways)) or (ways and ways[0] <= 0.0):
        yield "inputs.route_m", "increasing from above 0", list(ways)


def _output_conflicts(outputs: Outputs) -> Iterator[Conflict]:
    k = outputs.probability[1] if len(outputs.probability) == 2 else 0
    if outputs.probability != (1, k) or not 1 <= k <= MAX_CANDIDATES:
        yield "outputs.probability", f"[1, 1 to {MAX_CANDIDATES}]", list(outputs.probability)
    expected: dict[str, tuple[int, ...]] = {
        "acceleration": (1, k, POINTS), "curvature": (1, k, POINTS), "uncertainty": (1,),
    }
    if outputs.lane_lines is not None:
        expected["lane_lines"] = (1, len(LaneLineKind), 1 + len(outputs.lane_stations_m))
    for name, shape in expected.items():
        if getattr(outputs, name) != shape:
            yield f"outputs.{name}", list(shape), list(getattr(outputs, name))
    stations = outputs.lane_stations_m
    if list(stations) != sorted(set(stations)):
        yield "outputs.lane_stations_m", "increasing", list(stations)
    if outputs.lane_lines is not None and len(stations) < 2:
        yield "outputs.lane_stations_m", "at least 2 for lane_lines", list(stations)
    if outputs.objects is not None:
        objects = outputs.objects
        m = objects[1] if len(objects) == 3 else 0
        if objects != (1, m, OBJECT_COLUMNS) or not 1 <= m <= MAX_OBJECTS:
            yield "outputs.objects", f"[1, 1 to {MAX_OBJECTS}, {OBJECT_COLUMNS}]", list(objects)
    yield from _reason_conflicts(outputs)


def _reason_conflicts(outputs: Outputs) -> Iterator[Conflict]:
    controls = outputs.traffic_controls
    if controls is not None:
        s = controls[1] if len(controls) == 3 else 0
        columns = TRAFFIC_CONTROL_COLUMNS
        if controls != (1, s, columns) or not 1 <= s <= MAX_TRAFFIC_CONTROLS:
            wanted = f"[1, 1 to {MAX_TRAFFIC_CONTROLS}, {columns}]"
            yield "outputs.traffic_controls", wanted, list(controls)
    slots = outputs.objects[1] if outputs.objects is not None else 0
    allowed: dict[str, tuple[int, ...]] = {
        "cause": (1, len(Cause)), "cause_object": (1, 1 + slots), "cause_distance": (1,),
    }
    for name, shape in allowed.items():
        found = getattr(outputs, name)
        if found is not None and found != shape:
            yield f"outputs.{name}", list(shape), list(found)
        if found is not None and outputs.cause is None:
            yield f"outputs.{name}", "none without outputs.cause", list(found)
