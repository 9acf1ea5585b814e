"""Where the files beside the code lie: config/, launch/, models/ and message definitions.

One rule serves the checkout, an editable install, a wheel and a colcon workspace, without any
environment variable: a package's files lie in the `share/<package>` nearest above its code, since
both are installed under one prefix; those of vla_driving in a checkout lie at its top.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path


class MissingFilesError(ValueError):
    """An installation lacks the files that belong to a package."""


def share(package: str = "vla_driving") -> Path:
    """The folder of a package's files: holds package.xml, and config/, models/, msg/ and so on.

    Raises MissingFilesError where the package is not installed or came without its files.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingFilesError(f"package '{package}' is not installed: run make or colcon build")
    # resolve() follows colcon's --symlink-install to the checkout.
    code = Path(spec.submodule_search_locations[0]).resolve()
    for folder in (code.parent, *(parent / "share" / package for parent in code.parents)):
        if (folder / "package.xml").is_file():
            return folder
    raise MissingFilesError(
        f"no share/{package}/package.xml in any folder above {code}: install {package} again"
    )


def config(name: str) -> Path:
    """A file or folder below config/, as `config("stack.yaml")`; it may not exist."""
    return share() / "config" / name


def launch_file(name: str) -> Path:
    """A file below launch/; it may not exist."""
    return share() / "launch" / name


def model(name: str) -> Path:
    """The folder of a shipped model; it may not exist."""
    return share() / "models" / name


def message_folder(package: str = "vla_driving_msgs") -> Path:
    """The folder of an installed interface package's .msg files."""
    return share(package) / "msg"
