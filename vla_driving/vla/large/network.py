"""Alpamayo 1.5's network, put together from the classes of transformers that it is made of.

A Qwen3-VL model reads the prompt and writes its reasoning; a second, smaller text model of the same
family, the action expert, sees the first one's keys and values and turns noise into actions in a
few Euler steps of flow matching (Lipman et al. 2022, arXiv:2210.02747). Modules carry the names of
the published weights. torch and transformers are imported when a model is loaded and not before;
nothing is ever fetched from a network.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vla_driving.contract.trajectory import POINTS
from vla_driving.vla.manifest import ModelError
from vla_driving.vla.runtimes.base import one_line


def libraries() -> tuple[Any, Any]:
    """torch and transformers, offline. Raises ModelError where one is not installed."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    try:
        return importlib.import_module("torch"), importlib.import_module("transformers")
    except ImportError as error:
        raise ModelError(
            f"large models need torch and transformers: {one_line(error)}; install "
            "requirements/learning.txt and requirements/large_models.txt"
        ) from None


def read_config(path: Path) -> dict[str, Any]:
    """Content of a config.json. Raises ModelError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: expected a mapping, found {type(content).__name__}")
    return content


class Network:
    """Backbone, action expert and the projections between actions and the expert's tokens."""

    def __init__(
        self, config: Mapping[str, Any], backbone: Mapping[str, Any], dtype: str
    ) -> None:
        """Untrained, on the CPU. Raises ModelError where the configurations do not fit."""
        torch, transformers = libraries()
        if backbone.get("model_type") != "qwen3_vl":
            found = backbone.get("model_type")
            raise ModelError(f"backbone: model_type: expected qwen3_vl, found {found}")
        self._torch = torch
        vlm = transformers.Qwen3VLConfig.from_dict(copy.deepcopy(dict(backbone)))
        vlm.text_config.vocab_size = int(config["vocab_size"])
        expert = copy.deepcopy(vlm.text_config)
        for name, value in (config.get("expert_cfg") or {}).items():
            setattr(expert, name, value)
        shape = ("num_hidden_layers", "num_key_value_heads", "head_dim")
        for name in shape:  # the expert reads the backbone's keys and values, layer by layer
            ours, theirs = getattr(expert, name), getattr(vlm.text_config, name)
            if ours != theirs:
                raise ModelError(f"expert_cfg.{name}: expected {theirs}, found {ours}")
        vlm._attn_implementation = expert._attn_implementation = "sdpa"
        projection = dict(config.get("action_in_proj_cfg") or {})
        self._features = int(projection.get("num_fourier_feats", 20))
        self._highest = float(projection.get("max_freq", 100.0))
        self._causal = not config.get("expert_non_causal_attention", True)
        kind = getattr(torch, dtype)
        action_model = transformers.Qwen3VLTextModel._from_config(expert, dtype=kind)
        del action_model.embed_tokens  # it is fed with actions, never with words
        width = expert.hidden_size
        self._modules = torch.nn.ModuleDict({
            "vlm": transformers.Qwen3VLForConditionalGeneration._from_config(vlm, dtype=kind),
            "expert": action_model,
            "action_in_proj": torch.nn.ModuleDict({
                "encoder": torch.nn.ModuleDict({"trunk": self._encoder(projection, width)}),
                "norm": torch.nn.LayerNorm(width),
            }).to(kind),
            "action_out_proj": torch.nn.Linear(width, 2).to(kind),
        }).eval().requires_grad_(False)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self._modules.parameters())

    @property
    def modules(self) -> Any:
        """The torch modules, named as the published weights are."""
        return self._modules

    def load(self, folder: Path) -> None:
        """Read the weights, *.safetensors. Raises ModelError for one missing, left over, misfit."""
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise ModelError(f"{folder}: no *.safetensors in it")
        read = importlib.import_module("safetensors.torch").load_file
        own = self._modules.state_dict()
        left = set(own)
        for path in files:
            try:
                part = read(path)
            except Exception as error:  # safetensors has errors of its own
                raise ModelError(f"{path}: {one_line(error)}") from None
            for name, value in part.items():
                if name not in own:
                    raise ModelError(f"{path}: weight {name!r} belongs to nothing in this model")
                if own[name].shape != value.shape:
                    raise ModelError(
                        f"{path}: weight {name!r}: expected {list(own[name].shape)}, found"
                        f" {list(value.shape)}"
                    )
                own[name].copy_(value)
                left.discard(name)
        if left:
            raise ModelError(f"{folder}: weight {min(left)!r} and {len(left) - 1} more are missing")

    def to(self, device: str) -> None:
        """Move to a device, "cpu" or "cuda"."""
        self._modules.to(device)
        self._device = device

    def rope_offset(self) -> Any:
        """How far positions of the text lag behind the number of tokens, for images take fewer."""
        return self._modules["vlm"].model.rope_deltas

    def generate(self, inputs: Mapping[str, Any], end: int, banned: range, options: Any) -> Any:
        """Ids of the prompt and the reasoning, and the keys and values of all but the last."""
        suppressed = list(banned)
        return self._modules["vlm"].generate(
            **inputs, eos_token_id=end, pad_token_id=end, suppress_tokens=suppressed,
            return_dict_in_generate=True, use_cache=True, **options,
        )

    def remember(self, token: Any, memory: Any) -> None:
        """Add the keys and values of one more token, (1, 1) ids."""
        seen = memory.get_seq_length()
        place = self._torch.arange(seen, seen + 1, device=token.device)
        position = (place + self.rope_offset()).view(1, 1, 1).expand(3, 1, 1)
        self._modules["vlm"](
            input_ids=token, past_key_values=memory, position_ids=position, cache_position=place,
            use_cache=True,
        )

    def act(self, memory: Any, samples: int, steps: int) -> Any:
        """(K, 64, 2) normalised actions, drawn from noise after everything in `memory`."""
        torch = self._torch
        seen = memory.get_seq_length()
        memory.batch_repeat_interleave(samples)
        place = torch.arange(POINTS, device=self._device) + seen + self.rope_offset().max()
        position = place.view(1, 1, -1).expand(3, samples, -1)
        dtype = next(self._modules["expert"].parameters()).dtype
        mask = torch.zeros(samples, 1, POINTS, seen + POINTS, dtype=dtype, device=self._device)
        if self._causal:
            later = torch.ones(POINTS, POINTS, device=self._device).triu(1).bool()
            mask[..., seen:].masked_fill_(later, torch.finfo(dtype).min)
        x = torch.randn(samples, POINTS, 2, device=self._device)
        for step in range(steps):
            tokens = self._embed(x, step / steps).to(dtype)
            out = self._modules["expert"](
                inputs_embeds=tokens, position_ids=position, past_key_values=memory,
                attention_mask=mask, use_cache=True, is_causal=False,
            ).last_hidden_state
            memory.crop(seen)
            x = x + self._modules["action_out_proj"](out).float() / steps
        return x

    def _embed(self, x: Any, time: float) -> Any:
        """(K, 64, width) tokens of (K, 64, 2) noisy actions at a time from 0 to 1."""
        torch = self._torch
        times = torch.full_like(x[..., 0], time)
        parts = [self._waves(v) for v in (x[..., 0], x[..., 1], times)]
        projection = self._modules["action_in_proj"]
        weight = projection["norm"].weight
        tokens = projection["encoder"]["trunk"](torch.cat(parts, -1).to(weight.dtype))
        return projection["norm"](tokens)

    def _waves(self, values: Any) -> Any:
        """Fourier features, frequencies from 1 to `max_freq` in equal ratios."""
        torch = self._torch
        top = math.log10(self._highest)
        frequencies = torch.logspace(0.0, top, self._features // 2, device=values.device)
        phase = values[..., None] * frequencies * math.tau
        return torch.cat([phase.sin(), phase.cos()], -1) * math.sqrt(2.0)

    def _encoder(self, projection: Mapping[str, Any], width: int) -> Any:
        nn = self._torch.nn
        hidden = int(projection.get("hidden_size", 1024))
        layers = [nn.Linear(3 * 2 * (self._features // 2), hidden), nn.SiLU()]
        for _ in range(int(projection.get("num_enc_layers", 4)) - 1):
            layers += [nn.RMSNorm(hidden, eps=1e-5), nn.Linear(hidden, hidden), nn.SiLU()]
        layers += [nn.RMSNorm(hidden, eps=1e-5), nn.Linear(hidden, width)]
        return nn.Sequential(*layers)
