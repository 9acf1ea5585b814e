"""Inputs and outputs of Alpamayo 1.5 as its publisher's inference code states them.

Cameras, prompt, tokens of the past and the scale of the actions; source: the public repository
NVlabs/alpamayo1.5 (its helper, base model and unicycle action space). Nothing here needs torch.
The model's frame is the car's at the newest frame, x forward, y left, as base_link; where on the
car its origin lies is that of the training data's rig, taken here to be the rear axle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import age_s
from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.trajectory import POINTS
from vla_driving.vla.large.thought import FloatArray, ThoughtError
from vla_driving.vla.manifest import ModelError

CAMERAS: dict[str, str] = {
    "front_left": "Front left camera", "front": "Front camera",
    "front_right": "Front right camera", "rear_left": "Rear left camera", "rear": "Rear camera",
    "rear_right": "Rear right camera", "front_tele": "Front telephoto camera",
}
"""Our name of each camera the model knows, in its order, and what its prompt calls it.

It was published with front_left, front, front_right (120 degrees wide) and front_tele (30).
"""
FRAMES, POSES = 4, 16
HEIGHT, WIDTH = 320, 576
MAX_NAVIGATION = 200
"""Characters of navigation text; a longer one is cut."""
MAX_TEXT = 1000
"""Characters of reasoning that are kept."""

TRAJECTORY_TOKENS = {
    name: f"<|traj_{name}|>"
    for name in ("history", "future", "history_start", "future_start", "history_end", "future_end")
}
_WORDS = (
    "prompt_start", "prompt_end", "image_start", "_padding_0", "image_end", "traj_history_start",
    "_padding_1", "traj_history_end", "cot_start", "cot_end", "_padding_2", "_padding_3",
    "traj_future_start", "_padding_4", "traj_future_end", "traj_history", "traj_future",
    "image_pad", "_padding_5", "_padding_6", "_padding_7", "_padding_8", "route_start",
    "route_pad", "route_end", "question_start", "question_end", "answer_start", "answer_end",
)
SPECIAL_TOKENS = tuple(f"<|{word}|>" for word in _WORDS)
"""Added to the backbone's vocabulary in this order, behind the trajectory's bins."""

_SYSTEM = "You are a driving assistant that generates safe and accurate actions."
_TASK = (
    "output the chain-of-thought reasoning of the driving process, then output the future "
    "trajectory."
)


@dataclass(frozen=True)
class Layout:
    """What config.json says of tokens and actions; units m, m/s², 1/m."""

    vocabulary: int
    bins_start: int
    bins: int
    token_ids: Mapping[str, int]
    history_start: int
    history_bins: int
    history_tokens: int
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    acceleration: tuple[float, float]
    curvature: tuple[float, float]
    steps: int


def read_layout(config: Mapping[str, Any], where: str) -> Layout:
    """From the content of config.json; `where` leads the text of a ModelError."""
    actions, history = _part(config, "action_space_cfg", where), _part(
        config, "hist_traj_tokenizer_cfg", where
    )
    future = config.get("traj_tokenizer_cfg") or {}
    try:
        layout = Layout(
            vocabulary=int(config["vocab_size"]),
            bins_start=int(config["traj_token_start_idx"]),
            bins=int(config["traj_vocab_size"]),
            token_ids={str(k): int(v) for k, v in dict(config["traj_token_ids"]).items()},
            history_start=int(config["traj_token_start_idx"]) + int(future.get("num_bins", 0)),
            history_bins=int(history.get("num_bins", 1000)),
            history_tokens=int(config["tokens_per_history_traj"]),
            low=_three(history.get("ego_xyz_min", (-4, -4, -10))),
            high=_three(history.get("ego_xyz_max", (4, 4, 10))),
            acceleration=(
                float(actions.get("accel_mean", 0.0)), float(actions.get("accel_std", 1.0))
            ),
            curvature=(
                float(actions.get("curvature_mean", 0.0)),
                float(actions.get("curvature_std", 1.0)),
            ),
            steps=int(_part(config, "diffusion_cfg", where).get("num_inference_steps", 10)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: {type(error).__name__}: {error}") from None
    _check(layout, config, actions, where)
    return layout


def prompt(cameras: Sequence[str], tokens_an_image: int, layout: Layout, navigation: str) -> str:
    """The whole text before the model's own first word."""
    image = f"<|vision_start|>{'<|image_pad|>' * tokens_an_image}<|vision_end|>"
    pictures = "".join(
        f"{CAMERAS[name]}: " + "".join(f"frame {k} {image}" for k in range(FRAMES))
        for name in cameras
    )
    past = (
        TRAJECTORY_TOKENS["history_start"]
        + TRAJECTORY_TOKENS["history"] * layout.history_tokens
        + TRAJECTORY_TOKENS["history_end"]
    )
    route = f"<|route_start|>{navigation}<|route_end|>" if navigation else ""
    return (
        f"<|im_start|>system\n{_SYSTEM}<|im_end|>\n"
        f"<|im_start|>user\n{pictures}{past}{route}{_TASK}<|im_end|>\n"
        "<|im_start|>assistant\n<|cot_start|>"
    )


def history_tokens(poses: FloatArray, layout: Layout) -> npt.NDArray[np.int64]:
    """(history_tokens,) ids: each step of the car in x, y, z, binned; the first from the origin."""
    positions = np.column_stack([poses[:, :2], np.zeros(len(poses))])
    steps = np.diff(positions, axis=0, prepend=np.zeros((1, 3)))
    low, high = np.array(layout.low), np.array(layout.high)
    share = (steps - low) / (high - low) * (layout.history_bins - 1)
    bins = np.clip(np.rint(share), 0, layout.history_bins - 1).astype(np.int64)
    return layout.history_start + bins.reshape(-1)


def actions(
    samples: npt.ArrayLike, layout: Layout
) -> tuple[FloatArray, FloatArray]:
    """(K, 64) acceleration and curvature of (K, 64, 2) normalised samples. Raises ThoughtError."""
    values = np.asarray(samples, np.float64)
    if values.ndim != 3 or values.shape[1:] != (POINTS, 2):
        raise ThoughtError(f"samples have shape {values.shape}, expected (K, {POINTS}, 2)")
    if not np.isfinite(values).all():
        wrong = np.count_nonzero(~np.isfinite(values))
        raise ThoughtError(f"samples: {wrong} of {values.size} values are not finite")
    (a_mean, a_scale), (k_mean, k_scale) = layout.acceleration, layout.curvature
    return values[..., 0] * a_scale + a_mean, values[..., 1] * k_scale + k_mean


def reasoning(answer: str) -> str:
    """The chain of thought in one line; empty where the model did not end it."""
    thought, end, _ = answer.partition("<|cot_end|>")
    words = " ".join(thought.rpartition("<|cot_start|>")[2].split()) if end else ""
    return words if len(words) <= MAX_TEXT else words[: MAX_TEXT - 3] + "..."


def navigation_text(route: Route | None, stamp_ns: int, speed: float) -> str:
    """A route's next turn in the model's words, for instance "Turn left in 40m"; or nothing."""
    if route is None or not math.isfinite(route.distance_to_turn):
        return ""
    words = _TURNS.get(route.next_turn)
    if words is None:
        return ""
    left_m = max(0.0, route.distance_to_turn - speed * max(0.0, age_s(route.stamp_ns, stamp_ns)))
    return f"{words} in {left_m:.0f}m"[:MAX_NAVIGATION]


_TURNS = {
    Turn.LEFT: "Turn left", Turn.RIGHT: "Turn right", Turn.STRAIGHT: "Continue straight",
    Turn.ROUNDABOUT: "Enter the roundabout", Turn.ARRIVE: "Arrive at the destination",
}


def _check(
    layout: Layout, config: Mapping[str, Any], actions_cfg: Mapping[str, Any], where: str
) -> None:
    expected = (
        ("action_space_cfg.n_waypoints", POINTS, int(actions_cfg.get("n_waypoints", POINTS))),
        ("action_space_cfg.dt", 0.1, float(actions_cfg.get("dt", 0.1))),
        ("tokens_per_history_traj", 3 * POSES, layout.history_tokens),
        ("model_type", "alpamayo1_5", config.get("model_type", "alpamayo1_5")),
        ("traj_token_ids", sorted(TRAJECTORY_TOKENS), sorted(layout.token_ids)),
    )
    for field, wanted, found in expected:
        if wanted != found:
            raise ModelError(f"{where}: {field}: expected {wanted}, found {found}")


def _part(config: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    part = config.get(name)
    if not isinstance(part, Mapping):
        raise ModelError(f"{where}: {name}: expected a mapping, found {part!r}")
    return part


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z
