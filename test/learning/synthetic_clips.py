"""Made-up clips: a lane whose offset can be seen, and a car ahead that comes closer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vla_driving.contract.language import Cause, Intent
from vla_driving.contract.trajectory import POINTS
from vla_driving.learning.clips import FRAME_S, Header, Moment, clip_path, write_clip
from vla_driving.learning.tensors import HEIGHT, SHAPES, SLOTS, WIDTH


def moment(k: int, side: float, intent: Intent, fresh: bool) -> Moment:
    """Frame k of a drive at 5 m/s round a bend that a white line's column tells."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    column = int(WIDTH / 2 * (1.0 - 0.8 * side))
    image[HEIGHT // 2:, column - 3:column + 3] = 230
    lines = np.zeros(SHAPES["lane_lines"], np.float32)
    lines[0, 0], lines[0, 1:] = 1.0, 1.5 + side
    objects = np.zeros((SLOTS, 8), np.float32)
    objects[0] = (1.0, 30.0 - 0.4 * k, 0.0, 3.0, 0.0, 4.5, 1.8, 1.0)
    time, turn = FRAME_S * k, 0.05 * side * 5.0
    heading = turn * time
    radius = 5.0 / turn
    stops = intent == Intent.STOP
    return Moment(image, {
        "time": time,
        "pose": (radius * np.sin(heading), radius * (1.0 - np.cos(heading)), heading),
        "speed": 5.0, "yaw_rate": turn, "measured_acceleration": 0.0, "fresh": float(fresh),
        "navigation": np.eye(SHAPES["navigation"][0])[0],
        "route_points": np.stack([10.0 * np.arange(1, 17), np.zeros(16)], 1),
        "intent": float(intent), "command_speed": 0.0, "time_gap": 0.0, "intent_state": 0.0,
        "acceleration": np.full(POINTS, -2.0 if stops else 0.0),
        "curvature": np.full(POINTS, 0.05 * side),
        "lane_lines": lines, "objects": objects,
        "cause": float(Cause.INSTRUCTION if stops else Cause.LEAD),
        "cause_distance": -1.0 if stops else 30.0 - 0.4 * k,
        "cause_object": -1.0 if stops else 0.0, "lateral": 0.0,
    })


def write_clips(folder: Path, count: int = 4, frames: int = 12) -> None:
    """Clips of seeds 16 and on (19 is held out), every other one with an instruction to stop."""
    chance = np.random.default_rng(3)
    for seed in range(16, 16 + count):
        side = float(chance.uniform(0.2, 1.0)) * float(chance.choice([-1.0, 1.0]))
        asked = Intent.STOP if seed % 2 else Intent.NONE
        moments = [moment(k, side, asked if k > 3 else Intent.NONE, k in (0, 6))
                   for k in range(frames)]
        header = Header(seed, "everyday", "teacher", "arrived", True, frames)
        write_clip(clip_path(folder, seed), header, moments)
