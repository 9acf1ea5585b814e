"""What each part of the pilot is worth: the same training without it, measured the same way.

The encoder is that of the trained pilot and stays as it is; everything behind it is trained anew
for each variant, on the same frames in the same order.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from vla_driving.learning.fit import FitSettings, fit
from vla_driving.learning.network import PilotSettings
from vla_driving.learning.windows import Clips
from vla_driving.learning.words import Words

VARIANTS: dict[str, tuple[PilotSettings, bool]] = {
    "all parts": (PilotSettings(), True),
    "without memory": (PilotSettings(memory=False), True),
    "without text": (PilotSettings(text=False), True),
    "without route points": (PilotSettings(route=False), True),
    "without scene loss": (PilotSettings(), False),
}
"""Network, and whether lane lines and objects are taught."""
COLUMNS = {
    "ade": "mean error, m", "position_2s": "at 2 s, m", "wished_2s": "at 2 s under a wish, m",
    "velocity": "velocity of the nearest ahead, m/s", "cause_right": "cause right",
}


def ablate(
    train: Clips, held_out: Clips, words: Words, start: Path, folder: Path, steps: int
) -> dict[str, dict[str, float]]:
    """Held-out figures of each variant; what was measured before is read from `folder`.

    Features are those kept beside it.
    """
    settings = FitSettings(
        steps=steps, frozen=True, views=2, encoder_alone=True, measure_every=steps,
        measured=4000,
    )
    found = {}
    for name, (size, scene) in VARIANTS.items():
        done = folder / name.replace(" ", "_")
        path = done / "figures.json"
        if not path.is_file():
            print(f"ablation: {name}", flush=True)
            chosen = dataclasses.replace(settings, scene=scene)
            last = fit(
                train, held_out, words, chosen, done, size, start, folder.parent / "features"
            )
            figures = {c: last[f"held_out_{c}"] for c in (*COLUMNS, "frames")}
            path.write_text(json.dumps(figures) + "\n", encoding="utf-8")
        found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def table(found: Mapping[str, Mapping[str, float]], steps: int) -> str:
    """The figures in Markdown."""
    frames = next(iter(found.values()))["frames"]
    rows = [
        f"| {name} | " + " | ".join(f"{figures[c]:.3f}" for c in COLUMNS) + " |"
        for name, figures in found.items()
    ]
    return (
        f"Each variant trained anew behind the same encoder for {steps} steps, open loop on"
        f" {frames:.0f} frames of held-out clips.\n\n"
        f"| variant | {' | '.join(COLUMNS.values())} |\n"
        f"|---|{'---|' * len(COLUMNS)}\n" + "\n".join(rows) + "\n"
    )
