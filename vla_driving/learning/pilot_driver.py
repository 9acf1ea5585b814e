"""A model folder at the wheel while data is collected: the vehicle's runtime, with a memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vla_driving.contract.frames import Image
from vla_driving.contract.language import Command, Intent
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.navigation import Route
from vla_driving.learning.driving import PREVIEW
from vla_driving.learning.words import MANOEUVRES, Words
from vla_driving.simulation.truth import Truth, to_base
from vla_driving.vla.inputs import (
    Navigation,
    command_vector,
    navigation_vector,
    obeyed,
    route_vector,
)
from vla_driving.vla.manifest import load_model
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime


class PilotDriver:
    """Drives by what a car knows; of the truth it takes speed, odometry and navigation alone.

    Where a command comes without a token, it draws a wording of its intent. Raises ModelError.
    """

    def __init__(self, folder: Path, words: Words | None = None, seed: int = 0) -> None:
        self._runtime = OpenVinoRuntime("CPU", 1)
        self._model = load_model(folder)
        self._runtime.load(self._model)
        self._names = [t.name for t in self._model.manifest.input_tensors()]
        self._words, self._seed = words, seed
        self.start()

    def start(self) -> None:
        """Forget what was seen."""
        self._states = {
            f"state_{s.name}": np.zeros(s.shape, np.float32)
            for s in self._model.manifest.inputs.states
        }
        self._before: Truth | None = None
        self._heard: tuple[int, Intent, npt.NDArray[np.float32]] | None = None

    def act(
        self, image: Image, truth: Truth, command: Command | None, route: Route
    ) -> tuple[float, float]:
        """Curvature in 1/m and acceleration in m/s² for the coming control step."""
        tensors = self._tensors(image, truth, command, route)
        answer = self._runtime.infer({n: tensors[n] for n in self._names})
        self._states = {
            n.removeprefix("next_"): v for n, v in answer.items() if n.startswith("next_")
        }
        self._before = truth
        best = int(answer["probability"][0].argmax())
        curvature = answer["curvature"][0, best, PREVIEW].mean()
        return float(curvature), float(answer["acceleration"][0, best, PREVIEW].mean())

    def _tensors(
        self, image: Image, truth: Truth, command: Command | None, route: Route
    ) -> dict[str, npt.NDArray[Any]]:
        inputs = self._model.manifest.inputs
        navigation = obeyed(
            Navigation(truth.next_turn, truth.distance_to_turn, truth.speed_limit), command
        )
        moved, elapsed = _motion(self._before, truth)
        return {
            "images": image[None, None],
            "ego": np.array([[truth.speed]], np.float32),
            "navigation": navigation_vector(navigation)[None],
            "route": route_vector(route.x, route.y, inputs.route_m)[None],
            "text": self._token(command)[None],
            "command": command_vector(inputs.command, command)[None],
            "motion": np.array([[moved.dx, moved.dy, moved.dyaw, elapsed]], np.float32),
            **self._states,
        }

    def _token(self, command: Command | None) -> npt.NDArray[np.float32]:
        silence = np.zeros(self._model.manifest.inputs.text, np.float32)
        if command is None or command.token.size:
            return silence if command is None else command.token
        if self._words is None or command.intent not in MANOEUVRES:
            return silence
        key = (command.instruction_id, command.intent)
        if self._heard is None or self._heard[:2] != key:
            chance = torch.Generator().manual_seed(self._seed * 1000 + command.instruction_id)
            wanted = torch.tensor([float(command.intent)])
            self._heard = (*key, self._words.draw(wanted, 0.0, chance)[0].numpy())
        return self._heard[2]


def _motion(before: Truth | None, now: Truth) -> tuple[PoseChange, float]:
    if before is None:
        return PoseChange(0.0, 0.0, 0.0), 0.0
    x, y = to_base(np.array([now.x]), np.array([now.y]), (before.x, before.y, before.heading))
    turned = now.heading - before.heading
    turned = float(np.arctan2(np.sin(turned), np.cos(turned)))
    return PoseChange(float(x[0]), float(y[0]), turned), now.time_s - before.time_s
