"""The compiled loops say what their source says as plain Python."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.scene import (
    LaneLine,
    LaneLineKind,
    ObjectClass,
    SceneObject,
    table_of,
)
from vla_driving.contract.trajectory import POINTS, Trajectory
from vla_driving.safety.candidates import batch
from vla_driving.safety.checks import plan
from vla_driving.safety.compiled import _cache_folder, _notice, compiled
from vla_driving.safety.lanes import departures
from vla_driving.safety.obstacles import (
    Objects,
    Surroundings,
    missing,
    objects,
    with_measured_velocity,
)
from vla_driving.safety.paths import Paths

ROUNDS = 25


def _listed(random: np.random.Generator, stamp_ns: int) -> Objects:
    def value(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    listed = tuple(
        SceneObject(
            ObjectClass.CAR, 0.9, value(-20, 90), value(-6, 6), value(-3.2, 3.2), value(-5, 20),
            value(-4, 4), value(0, 8), value(0, 3),
        )
        for _ in range(int(random.integers(0, 8)))
    )
    return objects(stamp_ns, table_of(listed), 0.5)


def _rough(random: np.random.Generator, speed: float) -> Trajectory:
    sound = constant(speed, float(random.uniform(-3, 2)), float(random.uniform(-0.05, 0.05)))
    noise = float(random.choice((0.0, 0.0, 0.3)))
    return Trajectory(
        0.9, *(np.asarray(a + noise * random.normal(0, 1, a.shape)) for a in sound.arrays())
    )


def _said(seed: int) -> np.ndarray:
    """Everything that is compiled, on random plans among random objects and lines."""
    random = np.random.default_rng(seed)
    speed = float(random.uniform(0, 25))
    made = batch(START, tuple(_rough(random, speed) for _ in range(3)))
    now_s = float(random.uniform(0, 0.5))
    scene, sensor = (_listed(random, START - nanoseconds(age)) for age in (0.0, 0.1))
    scene, paths = with_measured_velocity(scene, sensor, 2.0), Paths(made)
    near = Surroundings(VEHICLE, SETTINGS.world).approach(
        paths, scene, sensor, START, START + nanoseconds(now_s), speed,
        random.random(3) < 0.5,
    )
    line_x = np.linspace(0, 60, 20, dtype=np.float32)
    lines = tuple(
        LaneLine(kind, 0.9, line_x, (y + random.normal(0, 0.2, 20)).astype(np.float32))
        for kind, y in zip(LaneLineKind, (1.8, -1.8, 5.4, -5.4), strict=True)
    )
    parts = (
        *vars(near).values(), *departures(made, lines, now_s, VEHICLE, SETTINGS.world),
        plan._measure(np.ascontiguousarray(made.values), VEHICLE.wheelbase),
        [missing(scene, sensor, paths, 2.0, 2.0), missing(sensor, scene, paths, 2.0, 2.0)],
    )
    return np.concatenate([np.ravel(values) for values in parts])


def test_compiled_and_plain_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "plain.npy"
    subprocess.run(
        [sys.executable, __file__, str(file)], check=True, timeout=300,
        env=os.environ | {
            "NUMBA_DISABLE_JIT": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
    )
    plain = np.load(file)
    compiled = np.stack([_said(seed) for seed in range(ROUNDS)])
    assert (plain[:, :3] < 99.0).any() and (plain[:, 18:21] > 0.0).any()
    np.testing.assert_allclose(compiled, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="NUMBA_DISABLE_JIT is set")
def test_nothing_is_compiled_once_it_is_imported() -> None:
    with pytest.raises(TypeError, match="No matching definition"):
        plan._measure(np.zeros((7, 1, POINTS), np.float32), 3.0)


@pytest.mark.parametrize("plain", [0, 1])
def test_a_function_is_compiled_unless_plain_python_is_asked_for(
    plain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", plain)

    def twice(value: float) -> float:
        return 2.0 * value

    made = compiled(0.0)(twice)
    assert made(1.5) == 3.0
    assert (made is twice) == bool(plain)


def test_where_no_folder_can_be_written_none_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _cache_folder().startswith(str(tmp_path / "vla_driving" / "compiled"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert _cache_folder() == ""


def test_what_is_compiled_anew_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    assert "compiling its checks, once on this machine" in _notice(str(tmp_path))
    assert "at every start" in _notice("")
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "loop.py311.nbi").touch()
    assert _notice(str(tmp_path)) == ""


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        np.save(sys.argv[1], np.stack([_said(seed) for seed in range(ROUNDS)]))


def test_who_starts_it_first_is_told_and_once_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    module = str(sys.modules[compiled.__module__].__file__)
    runpy.run_path(module)
    assert "compiling its checks, once on this machine" in capsys.readouterr().err
    (Path(numba.config.CACHE_DIR) / "made.nbi").touch()
    runpy.run_path(module)
    assert capsys.readouterr().err == ""
