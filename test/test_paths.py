"""Finding the files beside the code in every way of installing."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_driving import paths


def install(package: str, code: Path, files: Path) -> None:
    """A package `package` with its code below `code` and its files in `files`."""
    (code / package).mkdir(parents=True)
    (code / package / "__init__.py").write_text("")
    files.mkdir(parents=True, exist_ok=True)
    (files / "package.xml").write_text("<package/>")


def test_the_checkout_or_installation_under_test_has_its_files() -> None:
    assert paths.config("stack.yaml").is_file()


@pytest.mark.parametrize("package", ["vla_driving_msgs", "std_msgs"])
def test_message_definitions_of_an_installed_interface_package(package: str) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    assert list(paths.message_folder(package).glob("*.msg"))


@pytest.mark.parametrize(
    "code",
    ["lib/python3.12/site-packages", "local/lib/python3.12/dist-packages", "."],
    ids=["prefix", "Debian's local scheme", "pip --target"],
)
def test_installed_under_a_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    package = "paths_prefix_" + str(abs(hash(code)))
    install(package, tmp_path / code, tmp_path / "share" / package)
    monkeypatch.syspath_prepend(tmp_path / code)
    assert paths.share(package) == tmp_path / "share" / package


def test_the_nearest_prefix_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment inside a colcon workspace's prefix finds its own files."""
    package = "paths_nearest"
    install(package, tmp_path / "outer/inner/lib", tmp_path / "outer/share" / package)
    inner = tmp_path / "outer/inner/share" / package
    inner.mkdir(parents=True)
    (inner / "package.xml").write_text("<package/>")
    monkeypatch.syspath_prepend(tmp_path / "outer/inner/lib")
    assert paths.share(package) == inner


def test_symlinked_installation_leads_to_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = "paths_symlinked"
    install(package, tmp_path / "checkout", tmp_path / "checkout")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / package).symlink_to(tmp_path / "checkout" / package)
    monkeypatch.syspath_prepend(tmp_path / "build")
    assert paths.share(package) == tmp_path / "checkout"


def test_missing_package_and_missing_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(paths.MissingFilesError, match=r"no_such_package.*not installed"):
        paths.share("no_such_package")
    (tmp_path / "paths_bare").mkdir()
    (tmp_path / "paths_bare" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(paths.MissingFilesError, match=r"share/paths_bare/package\.xml"):
        paths.share("paths_bare")
