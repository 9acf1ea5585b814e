"""From seeds to a model folder: collect, fit, let the pilot drive, correct it, fit again, release.

Everything below --work is kept, so that a run that was stopped goes on where it was. Figures on
held-out roads go into the manifest and the model card.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_driving import paths
from vla_driving.contract.settings import SettingsError
from vla_driving.learning.collect import collect
from vla_driving.learning.dataset import DatasetError, read_all, read_size
from vla_driving.learning.drive import Driver, StackDriver, TeacherDriver, measure
from vla_driving.learning.driving import ModelPolicy, Setting, load_setting
from vla_driving.learning.fit import FitSettings, fit, split
from vla_driving.learning.quantise import write as write_precisions
from vla_driving.learning.release import (
    Provenance,
    closed_loop_scores,
    open_loop_scores,
    release,
)
from vla_driving.learning.scenes import SELECT_SEEDS
from vla_driving.learning.tensors import VIRTUAL_CAMERA
from vla_driving.simulation.metadrive import SimulatorError

TEACHER_SEEDS = range(5_000)
PILOT_SEEDS = range(5_000, 10_000)
SEEDS_A_ROUND = 1_000
ROUND_LEARNING_RATE = 8e-4


@dataclass(frozen=True)
class Recipe:
    """How much of everything: frames the teacher drives, frames of each round the pilot drives.

    `epochs` from scratch on the teacher's frames, `round_epochs` more after each round, from there.
    """

    teacher_frames: int = 17_000
    pilot_frames: int = 12_000
    rounds: int = 3
    epochs: int = 36
    round_epochs: int = 12
    batch: int = 256
    routes: int = 40


def train(recipe: Recipe, work: Path, folder: Path, version: str) -> None:
    """Run the whole recipe. Raises SettingsError, SimulatorError, DatasetError."""
    setting = load_setting()
    data = work / "data"
    print(f"teacher drives until there are {recipe.teacher_frames} frames", flush=True)
    collect(data / "teacher", TEACHER_SEEDS, setting, None, recipe.teacher_frames)
    settings = FitSettings(epochs=recipe.epochs, batch=recipe.batch)
    weights = _fit(settings, data, work / "round_0", None)
    settings = FitSettings(
        epochs=recipe.round_epochs, batch=recipe.batch, learning_rate=ROUND_LEARNING_RATE
    )
    for number in range(1, recipe.rounds + 1):
        draft = work / f"round_{number - 1}" / "pilot"
        release(weights, draft, VIRTUAL_CAMERA, provenance(data, weights, version, ()))
        first = PILOT_SEEDS[0] + SEEDS_A_ROUND * (number - 1)
        seeds = range(first, first + SEEDS_A_ROUND)
        print(f"round {number}: the pilot drives and is corrected", flush=True)
        target = data / f"pilot_{number}"
        collect(target, seeds, setting, ModelPolicy(draft), recipe.pilot_frames)
        weights = _fit(settings, data, work / f"round_{number}", weights)
    scores = score(setting, data, weights, work, recipe.routes, version)
    release(weights, folder, VIRTUAL_CAMERA, provenance(data, weights, version, scores))
    manifest = write_precisions(folder, ("int8",), data, version).manifest
    print(f"{folder}: {manifest.title}, sha256 {manifest.network.sha256}")


def _fit(settings: FitSettings, data: Path, run: Path, start: Path | None) -> Path:
    weights = run / "weights.pt"
    if not weights.is_file():
        train_paths, held_paths = split(list(data.rglob("*.npz")))
        fit(read_all(train_paths), read_all(held_paths), settings, run, start=start)
    return weights


def score(
    setting: Setting, data: Path, weights: Path, work: Path, routes: int, version: str
) -> list[tuple[str, dict[str, float]]]:
    """Figures of the model, the blinded model and the teacher on select seeds, in closed loop."""
    candidate = work / "candidate"
    release(weights, candidate, VIRTUAL_CAMERA, provenance(data, weights, version, ()))
    seeds = SELECT_SEEDS[:routes]
    drivers: dict[str, Driver] = {
        "model": StackDriver(candidate, setting),
        "blind": StackDriver(candidate, setting, blind=True),
        "teacher": TeacherDriver(setting),
    }
    found = []
    report: dict[str, Any] = {}
    for name, driver in drivers.items():
        figures, single = measure(setting, driver, seeds, name)
        report[name] = {**figures, "by_route": [dataclasses.asdict(r) for r in single]}
        found.append((name, figures))
    (work / "drive.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return found


def provenance(
    data: Path, weights: Path, version: str, driven: Sequence[tuple[str, dict[str, float]]]
) -> Provenance:
    """What the manifest says of data, method and figures."""
    history = weights.parent / "history.json"
    by_round = {d.name: _frames(d) for d in sorted(data.iterdir()) if d.is_dir()}
    parts = ", ".join(f"{n} frames of {name}" for name, n in by_round.items())
    scores = open_loop_scores(history)
    for name, figures in driven:
        scores += closed_loop_scores(name, figures)
    return Provenance(
        version=version,
        data="MetaDrive roads drawn by this package's renderer, seeds below 10000: " + parts,
        samples=sum(by_round.values()),
        method="imitation of a privileged planner from disturbed drives, then DAgger: the pilot"
        " drives, the planner corrects it; relaxed winner-takes-all over three trajectories",
        scores=scores,
    )


def _frames(folder: Path) -> int:
    return sum(read_size(path) for path in folder.rglob("*.npz"))


def main(arguments: list[str] | None = None) -> int:
    """Command line: train the pilot."""
    recipe = Recipe()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("out/learning"))
    parser.add_argument("--folder", type=Path, help="model folder to write; models/pilot")
    parser.add_argument("--version", default="0.2.0", help="of the model")
    for field in dataclasses.fields(Recipe):
        option = "--" + field.name.replace("_", "-")
        parser.add_argument(option, type=int, default=getattr(recipe, field.name))
    options = parser.parse_args(arguments)
    chosen = Recipe(**{f.name: getattr(options, f.name) for f in dataclasses.fields(Recipe)})
    try:
        train(chosen, options.work, options.folder or paths.model("pilot"), options.version)
    except (SettingsError, SimulatorError, DatasetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
