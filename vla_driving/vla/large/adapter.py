"""A large model loaded from its folder: one request in, one answer out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.contract.trajectory import POINTS
from vla_driving.vla.large import alpamayo
from vla_driving.vla.large.manifest import LargeModel
from vla_driving.vla.large.network import Network, libraries, read_config
from vla_driving.vla.large.settings import GenerationSettings
from vla_driving.vla.large.thought import Answer, Request, ThoughtError
from vla_driving.vla.manifest import ModelError
from vla_driving.vla.runtimes.base import lacks_memory, one_line


class LargeModelAdapter:
    """Alpamayo 1.5's layout around its network."""

    def __init__(self, model: LargeModel, settings: GenerationSettings) -> None:
        """Load everything. Raises ModelError with one line."""
        self._settings = settings
        self._cameras = tuple(c.name for c in model.manifest.inputs.cameras)
        self._torch, transformers = libraries()
        if settings.device == "cuda" and not self._torch.cuda.is_available():
            raise ModelError(f"{model.folder}: device cuda: torch finds no CUDA device here")
        where = model.weights / "config.json"
        config = read_config(where)
        self._layout = alpamayo.read_layout(config, str(where))
        backbone = read_config(model.backbone / "config.json")
        try:
            self._words = transformers.AutoTokenizer.from_pretrained(
                model.backbone, local_files_only=True, trust_remote_code=False
            )
            self._pixels = transformers.Qwen2VLImageProcessor.from_pretrained(
                model.backbone, local_files_only=True
            )
        except Exception as error:  # transformers raises everything from OSError to KeyError
            raise ModelError(f"{model.backbone}: {one_line(error)}") from None
        self._add_tokens(str(where))
        try:
            self._network = Network(config, backbone, settings.precision)
            self._network.load(model.weights)
            self._network.to(settings.device)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"{model.folder}: cannot be loaded: {one_line(error)}") from None

    @property
    def name(self) -> str:
        """Library, device and precision."""
        return f"transformers/{self._settings.device} {self._settings.precision}"

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self._network.parameters

    def think(self, request: Request) -> Answer:
        """Reason and act. Raises ThoughtError with one line."""
        try:
            with self._torch.inference_mode():
                return self._think(request)
        except ThoughtError:
            raise
        except Exception as error:
            if lacks_memory(error) and self._settings.device == "cuda":
                self._torch.cuda.empty_cache()
            raise ThoughtError(f"{self.name}: {one_line(error)}") from None

    def close(self) -> None:
        """Give the memory back."""
        del self._network

    def _think(self, request: Request) -> Answer:
        torch, layout = self._torch, self._layout
        wanted = (len(self._cameras), alpamayo.FRAMES, alpamayo.HEIGHT, alpamayo.WIDTH, 3)
        if request.images.shape != wanted:
            raise ThoughtError(f"images have shape {request.images.shape}, expected {wanted}")
        inputs, tokens_an_image = self._images(request.images)
        text = alpamayo.prompt(self._cameras, tokens_an_image, layout, request.navigation)
        ids = self._words(text, add_special_tokens=False, return_tensors="np")["input_ids"]
        ids = self._with_past(ids, request)
        inputs["input_ids"] = torch.from_numpy(ids).to(self._settings.device)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        end = layout.token_ids["future_start"]
        bins = range(layout.bins_start, layout.bins_start + layout.bins)
        told = self._network.generate(inputs, end, bins, self._options())
        memory = told.past_key_values
        # The last token's keys and values are not there yet; a thought cut short is ended here.
        last = told.sequences[:, -1:]
        self._network.remember(last, memory)
        if int(last) != end:
            self._network.remember(torch.full_like(last, end), memory)
        samples = self._network.act(memory, self._settings.samples, self._steps())
        acceleration, curvature = alpamayo.actions(samples.float().cpu().numpy(), layout)
        said = self._words.decode(told.sequences[0, ids.shape[1]:], skip_special_tokens=False)
        return Answer(acceleration, curvature, alpamayo.reasoning(said))

    def _steps(self) -> int:
        return self._settings.steps or self._layout.steps

    def _options(self) -> dict[str, Any]:
        drawn = self._settings.temperature > 0.0
        options: dict[str, Any] = {
            "max_new_tokens": self._settings.max_tokens, "do_sample": drawn,
        }
        if drawn:
            options |= {"temperature": self._settings.temperature, "top_p": 0.98, "top_k": 0}
        return options

    def _images(self, images: npt.NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
        """The backbone's patches of all images, and how many tokens each image becomes."""
        pictures = list(images.reshape(-1, *images.shape[2:]))
        size = images.shape[2] * images.shape[3]
        made = self._pixels(
            images=pictures, return_tensors="np", input_data_format="channels_last",
            size={"shortest_edge": size, "longest_edge": size},
        )
        grid = made["image_grid_thw"]
        tensors = {
            name: self._torch.from_numpy(np.asarray(made[name])).to(self._settings.device)
            for name in ("pixel_values", "image_grid_thw")
        }
        return tensors, int(grid[0].prod()) // self._pixels.merge_size**2

    def _with_past(self, ids: npt.NDArray[np.int64], request: Request) -> npt.NDArray[np.int64]:
        past = alpamayo.history_tokens(request.poses, self._layout)
        places = ids == self._layout.token_ids["history"]
        if np.count_nonzero(places) != len(past):
            raise ThoughtError(f"{np.count_nonzero(places)} places for {len(past)} past tokens")
        ids = ids.copy()
        ids[places] = past
        return ids

    def _add_tokens(self, where: str) -> None:
        """Trajectory bins and special words, where the weights expect them. Raises ModelError."""
        layout, words = self._layout, self._words
        words.add_tokens([f"<i{k}>" for k in range(layout.bins)])
        words.add_tokens(list(alpamayo.SPECIAL_TOKENS), special_tokens=True)
        found = {"<i0>": words.convert_tokens_to_ids("<i0>")}
        wanted = {"<i0>": layout.bins_start}
        for name, token in alpamayo.TRAJECTORY_TOKENS.items():
            wanted[token] = layout.token_ids[name]
            found[token] = words.convert_tokens_to_ids(token)
        for token, number in wanted.items():
            if found[token] != number:
                raise ModelError(
                    f"{where}: token {token} expected at {number}, the backbone's tokenizer has it"
                    f" at {found[token]}: it is not the one the weights were trained with"
                )
        if len(words) > layout.vocabulary:
            raise ModelError(
                f"{where}: vocab_size: expected at least {len(words)}, found {layout.vocabulary}"
            )


def warm_up(think: Callable[[Request], Answer], cameras: int) -> Answer:
    """One thought about nothing. Raises ThoughtError."""
    shape = (cameras, alpamayo.FRAMES, alpamayo.HEIGHT, alpamayo.WIDTH, 3)
    poses = np.zeros((alpamayo.POSES, 3))
    answer = think(Request(0, 0, np.zeros(shape, np.uint8), poses, 0.0, ""))
    if answer.acceleration.shape[1:] != (POINTS,):
        raise ThoughtError(f"{answer.acceleration.shape[1:]} points, expected {POINTS}")
    return answer
