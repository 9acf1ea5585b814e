"""MetaDrive 0.3.0.1 as this package imports it: on today's NumPy, quietly, and one at a time.

Only the physics, road networks and traffic are used; what MetaDrive draws is left out entirely
(see `renderer`), which keeps 50 Hz of physics below 1 % of a core.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import sys
import warnings
from types import ModuleType
from typing import Any, cast

import numpy as np

PHYSICS_STEP_S = 0.02
DECISION_STEPS = 5
"""Traffic decides once in this many physics steps (10 Hz), as MetaDrive's own environments do."""

_OLD_NUMPY_NAMES = {
    "bool": bool, "int": int, "float": float, "object": object, "bool8": np.bool_,
    "float_": np.float64,
}


_WAYMO_READER = "metadrive.utils.waymo_utils.protos"


class SimulatorError(RuntimeError):
    """The simulator cannot start or run."""


def installed() -> bool:
    """Whether MetaDrive and panda3d can be imported here."""
    return all(importlib.util.find_spec(name) for name in ("metadrive", "panda3d"))


def prepare() -> None:
    """Make `import metadrive` work and keep its banners off the terminal. Raises SimulatorError."""
    if not installed():
        raise SimulatorError(
            "MetaDrive is not installed: pip install --no-deps metadrive-simulator==0.3.0.1 "
            "(and panda3d, gym, pygame; see requirements/)"
        )
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    for name, value in _OLD_NUMPY_NAMES.items():
        if name not in np.__dict__:
            setattr(np, name, value)
    # Its reader of Waymo data, unused here, takes an older protobuf than other packages: MetaDrive
    # does without where it cannot be imported.
    sys.modules.setdefault(_WAYMO_READER, cast(ModuleType, None))
    logging.getLogger("metadrive").setLevel(logging.ERROR)
    quiet = io.StringIO()
    with (
        contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        import panda3d.core as panda

        # No joystick or audio search, no warnings about missing /dev/input.
        panda.loadPrcFileData("", "notify-level-device fatal\nnotify-level-task error\n"
                                  "audio-library-name null\nwindow-type none")
        import metadrive  # noqa: F401


def make_environment(config: dict[str, Any]) -> Any:
    """MetaDriveEnv with our defaults under `config`, not yet reset. Raises SimulatorError."""
    prepare()
    from metadrive.engine.engine_utils import engine_initialized
    from metadrive.envs.metadrive_env import MetaDriveEnv

    if engine_initialized():
        raise SimulatorError("MetaDrive runs one world a process: close the other World first")
    base: dict[str, Any] = {
        "environment_num": 1,
        "physics_world_step_size": PHYSICS_STEP_S,
        "decision_repeat": DECISION_STEPS,
        "force_destroy": True,
        "random_spawn_lane_index": False,
    }
    return MetaDriveEnv({**base, **config})


def close_environment(environment: Any) -> None:
    """Close it, with the lanes that MetaDrive itself would leave in memory (5 MB a map)."""
    road_map = environment.engine.current_map if environment.engine is not None else None
    for block in road_map.blocks if road_map is not None else ():
        for ends in block.block_network.graph.values():
            for lanes in ends.values():
                for lane in lanes:
                    lane.destroy()
                    lane._node_path_list.clear()
    environment.close()
