"""The cache of engines: one file an engine, and beside it what the engine depends on.

An engine is used only where every part of its key and its hash fit: one of another GPU, another
version or a changed file is named and never handed to the library that would run it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_driving.vla.engines.layers import LayerType
from vla_driving.vla.manifest import Model, ModelError, TensorSpec


class EngineError(ModelError):
    """One line: which engine, what is wrong with it and what to do."""


@dataclass(frozen=True)
class EngineKey:
    """Everything an engine depends on; two engines are the same exactly if these are."""

    model: str
    network_sha256: str
    precision: str
    inputs: str
    runtime: str
    library: str
    device: str
    compute_capability: str
    driver: str
    options: str

    @property
    def digest(self) -> str:
        """Short name of the key."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def differences(self, other: EngineKey) -> dict[str, tuple[str, str]]:
        """Fields in which two keys differ, with both values."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return {n: (mine[n], theirs[n]) for n in mine if mine[n] != theirs[n]}


def engine_key(
    model: Model, runtime: str, library: str, device: str, compute_capability: str,
    driver: str, options: Mapping[str, Any],
) -> EngineKey:
    """The key of a model's engine on one device."""
    return EngineKey(
        model=model.manifest.title, network_sha256=model.network.sha256.lower(),
        precision=model.precision, inputs=_shapes(model.manifest.input_tensors()),
        runtime=runtime, library=library, device=device,
        compute_capability=compute_capability, driver=driver,
        options=", ".join(f"{name} {value}" for name, value in sorted(options.items())),
    )


def _shapes(tensors: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{t.name} {t}" for t in tensors)


@dataclass(frozen=True)
class Record:
    """What stands beside an engine: its key, its hash, how it was built and its layers' types."""

    key: EngineKey
    sha256: str
    build_seconds: float
    layers: tuple[LayerType, ...]


class EngineStore:
    """Engines in one folder, each written in full or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: EngineKey) -> Path:
        """Where the engine of a key lies, whether it is there or not."""
        name = key.model.replace("/", "-")
        runtime = key.runtime.replace("/", "-")
        return self._folder / f"{name}-{key.precision}-{runtime}-{key.digest}.engine"

    def load(self, key: EngineKey) -> bytes | None:
        """The engine of a key; None where there is none. Raises EngineError where it is unfit."""
        path = self.path(key)
        if not path.is_file() and not _beside(path).is_file():
            return None
        content, record = read(path)
        if differing := record.key.differences(key):
            raise EngineError(f"{path}: built for {_listed(differing)}; build it anew")
        return content

    def save(
        self, key: EngineKey, content: bytes, seconds: float, layers: tuple[LayerType, ...]
    ) -> Path:
        """Keep an engine. Raises EngineError where it cannot be written."""
        path = self.path(key)
        record = Record(key, hashlib.sha256(content).hexdigest(), round(seconds, 1), layers)
        text = json.dumps(dataclasses.asdict(record), indent=1) + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for target, data in ((path, content), (_beside(path), text.encode())):
                unfinished = target.with_suffix(target.suffix + ".part")
                unfinished.write_bytes(data)
                unfinished.replace(target)
        except OSError as error:
            raise EngineError(f"{path}: cannot be written: {error.strerror}") from None
        return path

    def paths(self) -> list[Path]:
        """All engines of the folder."""
        return sorted(self._folder.glob("*.engine"))

    def refittable(self, key: EngineKey) -> Iterator[bytes]:
        """Sound engines that differ from what is wanted in the network's weights (or graph) alone.

        They take another model's weights where the graph is the same.
        """
        for path in self.paths():
            try:
                content, record = read(path)
            except EngineError:
                continue
            if set(record.key.differences(key)) <= {"network_sha256", "model"}:
                yield content


def read(path: Path) -> tuple[bytes, Record]:
    """An engine and its record, found to belong together. Raises EngineError."""
    record = read_record(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != record.sha256:
        raise EngineError(
            f"{path}: sha256 expected {record.sha256}, found {found}: the file was changed or is"
            " incomplete; build it anew"
        )
    return content, record


def read_record(path: Path) -> Record:
    """What stands beside an engine. Raises EngineError."""
    beside = _beside(path)
    try:
        plain = json.loads(beside.read_text(encoding="utf-8"))
        return Record(
            key=EngineKey(**plain["key"]), sha256=str(plain["sha256"]),
            build_seconds=float(plain["build_seconds"]),
            layers=tuple(
                LayerType(d["name"], d["kind"], tuple(d["types"])) for d in plain["layers"]
            ),
        )
    except OSError as error:
        raise EngineError(f"{beside}: cannot be read: {error.strerror}; build it anew") from None
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{beside}: not an engine's record ({' '.join(str(error).split())}); build it anew"
        ) from None


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _listed(differing: Mapping[str, tuple[str, str]]) -> str:
    return "; ".join(f"{n} {built!r}, not {here!r}" for n, (built, here) in differing.items())
