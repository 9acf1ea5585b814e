"""A large model of the published classes and shapes, made tiny and filled with random weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from vla_driving.vla.large.alpamayo import SPECIAL_TOKENS, TRAJECTORY_TOKENS
from vla_driving.vla.large.network import Network
from vla_driving.vla.large.settings import GenerationSettings

BINS = 32
CAMERAS = ("front_left", "front", "front_right", "front_tele")
GENERATION = GenerationSettings(
    device="cpu", precision="float32", samples=3, steps=2, max_tokens=8, temperature=0.0
)


def write_model(folder: Path, cameras: tuple[str, ...] = CAMERAS) -> Path:
    """The whole folder: manifest, weights, backbone; returns it."""
    backbone, weights = folder / "backbone", folder / "weights"
    backbone.mkdir(parents=True)
    weights.mkdir()
    words = _tokenizer()
    words.save_pretrained(backbone)
    config = _driving_config(words)
    structure = _backbone_config(words)
    _write(backbone / "config.json", structure)
    _write(backbone / "preprocessor_config.json", {
        "image_processor_type": "Qwen2VLImageProcessor", "patch_size": 16, "merge_size": 2,
        "temporal_patch_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    })
    _write(weights / "config.json", config)
    torch.manual_seed(1)
    network = Network(config, structure, "float32")
    save_file(network.modules.state_dict(), weights / "model.safetensors")
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest(cameras)))
    return folder


def manifest(cameras: tuple[str, ...] = CAMERAS) -> dict[str, Any]:
    """Content of the manifest."""
    return {
        "contract_version": 1, "kind": "huggingface", "architecture": "alpamayo1_5",
        "name": "tiny_large", "version": "0.1.0", "licence": "none", "description": "random",
        "inputs": {"cameras": [_camera(name) for name in cameras], "frames": 4, "poses": 16},
        "weights": "weights", "backbone": "backbone", "files": [],
    }


def images(seed: int = 0, cameras: int = 4) -> np.ndarray:
    """Noise of the size that the model takes."""
    return np.random.default_rng(seed).integers(0, 255, (cameras, 4, 320, 576, 3), np.uint8)


def _camera(name: str) -> dict[str, Any]:
    return {
        "name": name, "width": 576, "height": 320, "fx": 446.0, "fy": 446.0, "cx": 287.5,
        "cy": 159.5, "distortion_model": "none", "distortion": [],
        "mount": {"x": 1.75, "y": 0.0, "z": 1.35, "roll": 0.0, "pitch": 0.07, "yaw": 0.0},
    }


def _tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE(vocab={c: k for k, c in enumerate(alphabet)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    words = PreTrainedTokenizerFast(tokenizer_object=bytes_only)
    words.add_tokens([f"<|{w}|>" for w in (
        "im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad",
    )], special_tokens=True)
    return words


def _driving_config(words: PreTrainedTokenizerFast) -> dict[str, Any]:
    every = PreTrainedTokenizerFast(tokenizer_object=words.backend_tokenizer)
    start = len(every)
    ids = {f"<i{k}>": start + k for k in range(BINS)}
    after = start + BINS
    # The image's own token is in the backbone already and gets no second number.
    new = [t for t in SPECIAL_TOKENS if words.convert_tokens_to_ids(t) is None]
    ids |= {token: after + k for k, token in enumerate(new)}
    return {
        "model_type": "alpamayo1_5", "vocab_size": after + len(new) + 3,
        "traj_token_start_idx": start, "traj_vocab_size": BINS,
        "traj_token_ids": {name: ids[token] for name, token in TRAJECTORY_TOKENS.items()},
        "tokens_per_history_traj": 48, "tokens_per_future_traj": 64,
        "hist_traj_tokenizer_cfg": {"num_bins": 12}, "traj_tokenizer_cfg": {"num_bins": 20},
        "action_space_cfg": {
            "n_waypoints": 64, "dt": 0.1, "accel_mean": 0.05, "accel_std": 0.7,
            "curvature_mean": 0.0, "curvature_std": 0.02,
        },
        "diffusion_cfg": {"num_inference_steps": 2},
        "action_in_proj_cfg": {
            "hidden_size": 24, "num_enc_layers": 2, "max_freq": 100.0, "num_fourier_feats": 8
        },
        "expert_cfg": {"hidden_size": 24, "intermediate_size": 32, "num_attention_heads": 2},
        "expert_non_causal_attention": True,
    }


def _backbone_config(words: PreTrainedTokenizerFast) -> dict[str, Any]:
    number = words.convert_tokens_to_ids
    return {
        "model_type": "qwen3_vl", "tie_word_embeddings": False,
        "image_token_id": number("<|image_pad|>"), "video_token_id": number("<|video_pad|>"),
        "vision_start_token_id": number("<|vision_start|>"),
        "vision_end_token_id": number("<|vision_end|>"),
        "text_config": {
            "model_type": "qwen3_vl_text", "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
            "head_dim": 16, "vocab_size": len(words), "max_position_embeddings": 8192,
            "rope_theta": 5000000.0,
            "rope_scaling": {
                "rope_type": "default", "mrope_interleaved": True, "mrope_section": [4, 2, 2],
            },
        },
        "vision_config": {
            "model_type": "qwen3_vl", "depth": 1, "hidden_size": 16, "intermediate_size": 24,
            "num_heads": 2, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
            "out_hidden_size": 32, "num_position_embeddings": 64, "in_channels": 3,
            "deepstack_visual_indexes": [0],
        },
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))
