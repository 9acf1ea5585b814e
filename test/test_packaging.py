"""A wheel, built and installed for real, carries the code, its entry points and its files."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import vla_driving

ROOT = Path(__file__).parents[1]
SOURCES = (
    "LICENSE", "README.md", "config", "launch", "models", "package.xml", "pyproject.toml",
    "resource", "setup.cfg", "setup.py", "vla_driving",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, from a copy, since setuptools leaves a build folder beside its sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, source / name)
    run("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index",
        "-w", str(folder), str(source))
    (built,) = folder.glob("*.whl")
    return built


def run(*arguments: str, cwd: Path | None = None) -> str:
    """Standard output of this Python with the arguments; its errors end the test."""
    result = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_file_of_config_launch_and_models_is_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packed = {name.split("/share/vla_driving/")[-1] for name in names if "/share/" in name}
    for shared in ("config", "launch", "models"):
        for path in (ROOT / shared).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                assert str(path.relative_to(ROOT)) in packed


def test_every_entry_point_leads_to_a_module_in_the_wheel(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith("entry_points.txt"))
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(archive.read(name).decode())
    scripts = dict(parser["console_scripts"])
    assert "vla-driving" in scripts
    for target in scripts.values():
        module = target.split(":")[0].replace(".", "/") + ".py"
        assert module in archive.namelist()


def test_installed_wheel_finds_its_files(wheel: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    run("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--prefix", str(prefix),
        "--ignore-installed", "--no-warn-script-location", str(wheel))
    (site,) = prefix.glob("**/vla_driving/__init__.py")
    program = (
        f"import sys; sys.path.insert(0, {str(site.parents[1])!r});"
        "from vla_driving import paths; print(paths.config('stack.yaml'))"
    )
    found = Path(run("-c", program, cwd=tmp_path).strip())
    assert found.is_relative_to(prefix)
    assert found.is_file()


@pytest.mark.parametrize("manifest", ["package.xml", "msg/package.xml"])
def test_one_version_everywhere(manifest: str) -> None:
    assert ElementTree.parse(ROOT / manifest).findtext("version") == vla_driving.__version__
