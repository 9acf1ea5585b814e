"""The published layout: tokens of the past, prompt, actions, words."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.navigation import Route, Turn
from vla_driving.vla.large.alpamayo import (
    MAX_TEXT,
    TRAJECTORY_TOKENS,
    actions,
    history_tokens,
    navigation_text,
    prompt,
    read_layout,
    reasoning,
)
from vla_driving.vla.large.thought import ThoughtError
from vla_driving.vla.manifest import ModelError

CONFIG: dict[str, Any] = {
    "model_type": "alpamayo1_5", "vocab_size": 155697, "traj_token_start_idx": 151669,
    "traj_vocab_size": 4000, "tokens_per_history_traj": 48,
    "traj_token_ids": {name: 155670 + k for k, name in enumerate(TRAJECTORY_TOKENS)},
    "hist_traj_tokenizer_cfg": {"num_bins": 1000}, "traj_tokenizer_cfg": {"num_bins": 3000},
    "action_space_cfg": {
        "n_waypoints": 64, "dt": 0.1, "accel_mean": 0.03, "accel_std": 0.68,
        "curvature_mean": 0.0003, "curvature_std": 0.026,
    },
    "diffusion_cfg": {"num_inference_steps": 10},
}
LAYOUT = read_layout(CONFIG, "config.json")


def test_the_past_of_a_car_at_constant_speed_is_the_same_step_over_and_over() -> None:
    poses = np.zeros((16, 3))
    poses[:, 0] = np.arange(-15, 1) * 0.8
    tokens = history_tokens(poses, LAYOUT).reshape(16, 3) - (151669 + 3000)
    # 0.8 m of -4 to 4 in 1000 bins; y of none in the middle; z of -10 to 10 as well.
    assert tokens[1:, 0].tolist() == [round((0.8 + 4) / 8 * 999)] * 15
    assert set(tokens[:, 1].tolist()) == set(tokens[:, 2].tolist()) == {500}
    assert tokens[0, 0] == 0, "the first step is that from the origin, and beyond the range"


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_no_past_leaves_its_tokens(x: float, y: float) -> None:
    tokens = history_tokens(np.tile([x, y, 0.0], (16, 1)), LAYOUT)
    assert tokens.shape == (48,)
    assert (tokens >= LAYOUT.history_start).all() and (tokens < LAYOUT.history_start + 1000).all()


def test_the_prompt_holds_each_picture_under_its_cameras_name() -> None:
    text = prompt(("front", "front_tele"), 180, LAYOUT, "Turn left in 40m")
    assert text.count("<|image_pad|>") == 2 * 4 * 180
    assert text.count("<|traj_history|>") == 48
    assert text.index("Front camera: frame 0 ") < text.index("Front telephoto camera: frame 0 ")
    assert "<|route_start|>Turn left in 40m<|route_end|>" in text
    assert text.endswith("<|im_start|>assistant\n<|cot_start|>")
    assert "<|route_start|>" not in prompt(("front",), 180, LAYOUT, "")


def test_actions_get_their_units_back() -> None:
    samples = np.stack([np.zeros((64, 2)), np.ones((64, 2))])
    acceleration, curvature = actions(samples, LAYOUT)
    assert acceleration[:, 0] == pytest.approx([0.03, 0.71])
    assert curvature[:, 0] == pytest.approx([0.0003, 0.0263])


def test_samples_of_a_wrong_shape_or_not_finite_are_named() -> None:
    with pytest.raises(ThoughtError, match=r"shape \(1, 63, 2\), expected \(K, 64, 2\)"):
        actions(np.zeros((1, 63, 2)), LAYOUT)
    samples = np.zeros((2, 64, 2))
    samples[1, 5] = np.nan
    with pytest.raises(ThoughtError, match="2 of 256 values are not finite"):
        actions(samples, LAYOUT)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Slow for\n the car<|cot_end|><|traj_future_start|>", "Slow for the car"),
        ("<|cot_start|>Keep lane<|cot_end|>", "Keep lane"),
        ("cut before its end", ""), ("", ""), ("  <|cot_end|>", ""),
    ],
)
def test_words_are_what_stands_before_the_end_of_the_thought(said: str, words: str) -> None:
    assert reasoning(said) == words


def test_a_thought_that_runs_on_is_cut() -> None:
    words = reasoning("on and on " * 1000 + "<|cot_end|>")
    assert len(words) == MAX_TEXT and words.endswith("...")


def test_a_turn_in_words_comes_nearer_as_the_car_drives() -> None:
    route = Route(
        0, np.zeros(2, np.float32), np.zeros(2, np.float32), Turn.LEFT, 50.0, 900.0, 14.0
    )
    assert navigation_text(route, 1_000_000_000, 10.0) == "Turn left in 40m"
    assert navigation_text(route, 60_000_000_000, 10.0) == "Turn left in 0m"
    assert navigation_text(dataclasses.replace(route, next_turn=Turn.NONE), 0, 10.0) == ""
    assert navigation_text(dataclasses.replace(route, distance_to_turn=math.nan), 0, 10.0) == ""
    assert navigation_text(None, 0, 10.0) == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "model_type: expected alpamayo1_5, found llama"),
        ({"action_space_cfg": {"n_waypoints": 32}}, "n_waypoints: expected 64, found 32"),
        ({"action_space_cfg": None}, "action_space_cfg: expected a mapping, found None"),
        ({"tokens_per_history_traj": 16}, "tokens_per_history_traj: expected 48, found 16"),
        ({"vocab_size": "many"}, "invalid literal"),
        ({"traj_token_ids": {"history": 1}}, "traj_token_ids: expected"),
    ],
)
def test_a_configuration_of_something_else_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_layout({**CONFIG, **changes}, "config.json")
