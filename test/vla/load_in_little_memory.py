"""Loads the model of folder argv[2] on runtime argv[3] with little memory left; see main."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil
from tiny_model import runtime_settings

from vla_driving.vla.manifest import load_model
from vla_driving.vla.runtimes.choose import open_runtime

ROOM = 24 * 2**20


def main(small: str, large: str, runtime: str) -> None:
    """Whatever takes memory without being the network of `large` is done first, on `small`."""
    open_runtime(load_model(Path(small)), runtime_settings(runtime)).runtime.close()
    model = load_model(Path(large))
    held = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (held + ROOM, held + ROOM))
    try:
        open_runtime(model, runtime_settings(runtime))
    except ValueError as error:
        print(f"{type(error).__name__}: {error}")
    else:
        print("loaded")


if __name__ == "__main__":
    main(*sys.argv[1:])
