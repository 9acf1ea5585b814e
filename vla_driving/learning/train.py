"""From seeds to a model folder: collect, fit, let the pilot drive, correct it, fit again, select.

Everything below --work is kept, so that a run that was killed goes on where it was: a clip, a
checkpoint, a route or a figure that is there is not made again. Figures on held-out clips and on
select seeds go into the manifest and the model card.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch

from vla_driving import paths
from vla_driving.contract.settings import SettingsError
from vla_driving.learning import baseline
from vla_driving.learning.ablations import ablate, table
from vla_driving.learning.clips import Clip, clip_paths, read_header
from vla_driving.learning.collect_clips import collect_clips, collect_in_processes, failures
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.drive import Route, measure, summary
from vla_driving.learning.driving import Setting, load_setting
from vla_driving.learning.fit import FitSettings, device, fit, split
from vla_driving.learning.lesson_drive import Pilot
from vla_driving.learning.lessons import FOLLOW, lesson
from vla_driving.learning.pilot_driver import PilotDriver
from vla_driving.learning.quantise import write as write_precisions
from vla_driving.learning.release import (
    Provenance,
    closed_loop_scores,
    open_loop_scores,
    release,
)
from vla_driving.learning.scenes import SELECT_SEEDS
from vla_driving.learning.singles import read_singles
from vla_driving.learning.tensors import VIRTUAL_CAMERA
from vla_driving.learning.windows import Clips, read_clips
from vla_driving.learning.words import Words, trained_words
from vla_driving.score.rig import Rig
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.vla.manifest import load_model

TEACHER_SEEDS = range(5_000)
PILOT_SEEDS = range(5_000, 10_000)
SEEDS_A_ROUND = 1_000
LEARNING_RATE, ROUND_LEARNING_RATE, HEADS_LEARNING_RATE = 1e-3, 3e-4, 1e-3
TEACHER_FRAMES_AN_HOUR, PILOT_FRAMES_AN_HOUR = 40_000, 25_000
CPU_FRAMES_A_SECOND, GPU_FRAMES_A_SECOND = 45, 3000
"""What --hours assumes of two cores and of a GPU; progress tells what this machine really does.

For smaller encoders at 256x128 two cores were measured at 117 frames/s (ResNet-10 of width 24) and
71 (width 32), for larger ones at 44 (ResNet-18 of width 32) and 14 (width 64); this is a ResNet-18
of widths 32 to 160.
"""


@dataclass(frozen=True)
class Recipe:
    """How much of everything.

    Frames the teacher drives, frames of each round the pilot drives, and `follow_frames` more of
    the last one in which it follows somebody and is asked for a distance; `heads_steps` with the
    encoder as it was started from (none without a start), then `steps` on all of it; behind each
    round `round_heads_steps` and `round_steps` more, likewise; `views` of each frame where the
    encoder stays; routes of select seeds that each candidate drives. With no steps on all of it the
    encoder stays that of the start, whose features are worked out once: what two CPU cores can do
    in some hours.
    """

    teacher_frames: int = 60_000
    pilot_frames: int = 15_000
    follow_frames: int = 8_000
    rounds: int = 2
    heads_steps: int = 4_000
    steps: int = 3_000
    round_heads_steps: int = 0
    round_steps: int = 1_500
    ablation_steps: int = 1_500
    baseline_steps: int = 3_000
    batch: int = 240
    views: int = 3
    routes: int = 40

    def within(self, hours: float, gpu: bool) -> Recipe:
        """As much as fits into so many hours: 40 % to collect, 45 % to fit, the rest to select."""
        rate = GPU_FRAMES_A_SECOND if gpu else CPU_FRAMES_A_SECOND
        steps = max(20, round(0.45 * hours * 3600 * rate / self.batch))
        rounds = self.rounds if hours >= 2.0 else 1
        most = 60_000 if gpu else 6_000
        return dataclasses.replace(
            self,
            teacher_frames=round(0.25 * hours * TEACHER_FRAMES_AN_HOUR),
            pilot_frames=round(0.12 * hours * PILOT_FRAMES_AN_HOUR / rounds),
            follow_frames=round(0.03 * hours * PILOT_FRAMES_AN_HOUR),
            rounds=rounds,
            steps=min(most, round(0.5 * steps)),
            round_steps=min(most // 2, round(0.5 * steps / rounds)),
            heads_steps=min(self.heads_steps, 4 * steps),
            ablation_steps=min(self.ablation_steps, 2 * steps),
            baseline_steps=min(self.baseline_steps, steps),
            routes=self.routes if hours >= 4.0 else max(2, round(10 * hours)),
        )


@dataclass(frozen=True)
class Workshop:
    """What all stages share: where things are kept, the simulator, the words, how much of what."""

    recipe: Recipe
    work: Path
    setting: Setting
    words: Words
    version: str
    started_from: str = ""
    singles: tuple[Clip, ...] = ()
    workers: int = 1

    @property
    def data(self) -> Path:
        """Clips by who drove."""
        return self.work / "clips"


def train(
    recipe: Recipe, work: Path, folder: Path, version: str, start: Path | None = None,
    baseline_folder: Path | None = None, singles: tuple[Clip, ...] = (), started_from: str = "",
    workers: int = 1,
) -> None:
    """Run the whole recipe. Raises SettingsError, SimulatorError, DatasetError."""
    words = trained_words(work / "words.npz")
    shop = Workshop(recipe, work, load_setting(), words, version, started_from, singles, workers)
    _say(f"teacher drives until there are {recipe.teacher_frames} frames")
    _collect(shop, "teacher", TEACHER_SEEDS, None, recipe.teacher_frames)
    weights = _first(shop, start)
    candidates = [weights]
    for number in range(1, recipe.rounds + 1):
        _correct(shop, number, candidates[-1])
        candidates.append(
            _taught(
                shop, number, candidates[-1], recipe.round_heads_steps, ROUND_LEARNING_RATE,
                recipe.round_steps,
            )
        )
    best, driven = select(shop, candidates)
    train_clips, held = _clips(shop, best.parent)
    found = ablate(
        train_clips, held, shop.words, best, work / "ablations", recipe.ablation_steps
    )
    told = provenance(shop, best, driven, start, table(found, recipe.ablation_steps))
    folder = _place(shop, folder, driven["model"])
    release(best, folder, VIRTUAL_CAMERA, told)
    manifest = write_precisions(folder, ("int8",), shop.data, version).manifest
    _say(f"{folder}: {manifest.title}, sha256 {manifest.network.sha256}")
    if baseline_folder is not None:
        baseline.train(train_clips, held, recipe.baseline_steps, work / "baseline", baseline_folder)


def _first(shop: Workshop, start: Path | None) -> Path:
    """Weights from the teacher's clips: from scratch, or from those of an earlier pilot."""
    recipe = shop.recipe
    if start is None:
        settings = FitSettings(
            steps=recipe.steps, frames=recipe.batch, learning_rate=LEARNING_RATE
        )
        return _fit(shop, "round_0", settings, None)
    return _taught(shop, 0, start, recipe.heads_steps, HEADS_LEARNING_RATE, recipe.steps)


def _taught(
    shop: Workshop, number: int, start: Path, heads_steps: int, heads_rate: float, steps: int
) -> Path:
    """Weights of a round: first what is behind the encoder, then all of it, where there are steps.

    Raises SettingsError where there are none at all.
    """
    if not heads_steps and not steps:
        raise SettingsError(f"round {number} has no steps: give heads steps, steps, or both")
    frames, weights = shop.recipe.batch, start
    if heads_steps:
        name = f"heads_{number}" if steps else f"round_{number}"
        settings = FitSettings(
            steps=heads_steps, frames=frames, learning_rate=heads_rate, frozen=True,
            views=shop.recipe.views,
        )
        weights = _fit(shop, name, settings, weights)
    if steps:
        settings = FitSettings(
            steps=steps, frames=frames, learning_rate=ROUND_LEARNING_RATE, steady=True
        )
        weights = _fit(shop, f"round_{number}", settings, weights)
    return weights


def _correct(shop: Workshop, number: int, weights: Path) -> None:
    """The pilot drives, the teacher says at each frame what it should have done (DAgger).

    First once more the lessons that it failed in the round before, then new ones.
    """
    draft = shop.work / "drafts" / str(number)
    if not (draft / "manifest.yaml").is_file():
        release(weights, draft, VIRTUAL_CAMERA, provenance(shop, weights, {}, None, ""))
    first = PILOT_SEEDS[0] + SEEDS_A_ROUND * (number - 1)
    failed = failures(shop.data / f"pilot_{number - 1}") if number > 1 else []
    _say(f"round {number}: the pilot drives and is corrected; {len(failed)} lessons once more")
    fresh = range(first, first + SEEDS_A_ROUND)
    driver = partial(PilotDriver, draft, shop.words, number)
    _collect(shop, f"pilot_{number}", [*failed, *fresh], driver, shop.recipe.pilot_frames)
    if number == shop.recipe.rounds:
        # From the other end, so that few are driven twice.
        followed = [seed for seed in reversed(fresh) if lesson(seed).kind == FOLLOW]
        _collect(shop, f"follow_{number}", followed, driver, shop.recipe.follow_frames)


def _collect(
    shop: Workshop, name: str, seeds: Sequence[int], driver: Callable[[], Pilot] | None,
    frames: int,
) -> None:
    """Clips of `name` until there are so many frames, where these are not there yet."""
    folder = shop.data / name
    if _frames(folder) >= frames:
        return
    if shop.workers > 1:
        collect_in_processes(folder, seeds, shop.workers, driver, frames)
    else:
        pilot = None if driver is None else driver()
        collect_clips(folder, seeds, shop.setting, pilot, frames, _say)


def _fit(shop: Workshop, name: str, settings: FitSettings, start: Path | None) -> Path:
    """Weights of a run, trained where they are not there yet."""
    run = shop.work / name
    weights = run / "weights.pt"
    if not weights.is_file():
        _say(f"{name}: {settings.steps} steps of about {settings.frames} frames")
        train_clips, held = _clips(shop, run)
        fit(train_clips, held, shop.words, settings, run, start=start)
    return weights


def _clips(shop: Workshop, run: Path) -> tuple[Clips, Clips]:
    """Clips a run is trained and measured on: those that there were when it first began."""
    listed = run / "clips.json"
    if not listed.is_file():
        run.mkdir(parents=True, exist_ok=True)
        names = [str(p.relative_to(shop.data)) for p in clip_paths(shop.data)]
        temporary = listed.with_suffix(".part")
        temporary.write_text(json.dumps(names) + "\n", encoding="utf-8")
        temporary.replace(listed)
    names = json.loads(listed.read_text(encoding="utf-8"))
    taught, held = split([shop.data / n for n in names])
    return read_clips(taught, device(), shop.singles), read_clips(held, device())


def select(shop: Workshop, candidates: list[Path]) -> tuple[Path, dict[str, dict[str, float]]]:
    """The candidate that does best on select seeds in closed loop, in int8, and its figures.

    The best one also drives with black images, which shows what it does by habit.
    """
    found: dict[Path, dict[str, float]] = {}
    for weights in candidates:
        found[weights] = _driven(shop, weights, blind=False)
    best = candidates[0]
    for weights in candidates[1:]:
        if not better(found[best], found[weights]):
            best = weights
    _say(f"selected: {best.parent.name}, success {found[best]['success']:.3f}")
    return best, {"model": found[best], "blind": _driven(shop, best, blind=True)}


def _place(shop: Workshop, folder: Path, mine: dict[str, float]) -> Path:
    """`folder`, or one below the workshop where the model in `folder` drives better than `mine`."""
    if not (folder / "manifest.yaml").is_file():
        return folder
    theirs = _figures(shop, folder, load_model(folder).manifest.title.replace("/", "_"), False)
    if not better(theirs, mine):
        return folder
    other = shop.work / "model"
    _say(
        f"{folder} stays: success {theirs['success']:.3f} against {mine['success']:.3f} of this"
        f" one on {shop.recipe.routes} select routes; this one is written to {other}"
    )
    return other


def better(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether the first drives better: more routes done, or as many and further on the others."""
    def rank(figures: dict[str, float]) -> tuple[float, float]:
        return figures["success"], figures["route_completion"]

    return rank(one) > rank(other)


def _driven(shop: Workshop, weights: Path, blind: bool) -> dict[str, float]:
    """Figures of a candidate over the select seeds."""
    name = weights.parent.name
    candidate = shop.work / "candidates" / name
    if not (candidate / "pilot.int8.onnx").is_file():
        release(weights, candidate, VIRTUAL_CAMERA, provenance(shop, weights, {}, None, ""))
        write_precisions(candidate, ("int8",), shop.data, shop.version)
    return _figures(shop, candidate, f"{name}_blinded" if blind else name, blind)


def _figures(shop: Workshop, model: Path, name: str, blind: bool) -> dict[str, float]:
    """Figures of a model in int8 over the select seeds; each route that was driven is kept."""
    seeds = SELECT_SEEDS[:shop.recipe.routes]
    folder = shop.work / "drives" / name
    folder.mkdir(parents=True, exist_ok=True)
    routes: list[Route] = []
    for seed in seeds:
        path = folder / f"{seed}.json"
        if not path.is_file():
            policy = "blind" if blind else "model"
            (route,) = measure(_rig(), model, policy, [seed], name, say=_say)[1]
            temporary = path.with_suffix(".part")
            temporary.write_text(json.dumps(dataclasses.asdict(route)) + "\n", encoding="utf-8")
            temporary.replace(path)
        routes.append(Route(**json.loads(path.read_text(encoding="utf-8"))))
    return summary(routes)


@cache
def _rig() -> Rig:
    return Rig("int8")


def provenance(
    shop: Workshop, weights: Path, driven: dict[str, dict[str, float]], start: Path | None,
    ablations: str,
) -> Provenance:
    """What the manifest says of data, method and figures."""
    by_round = {d.name: _frames(d) for d in sorted(shop.data.iterdir()) if d.is_dir()}
    parts = ", ".join(f"{n} frames of {name}" for name, n in by_round.items())
    alone = sum(map(len, shop.singles))
    if alone:
        parts += f"; {alone} single frames of pilot 0.2's data"
    scores = open_loop_scores(weights.parent / "history.json")
    for name, figures in driven.items():
        scores += closed_loop_scores(name, figures)
    begun = "from scratch"
    if start is not None:
        whole = shop.recipe.steps or shop.recipe.round_steps
        then = "then all of it" if whole else "which stayed as it was"
        begun = (
            f"the encoder, the trunk and the heads they share from {start.name}"
            f" ({shop.started_from}), everything new taught behind that encoder, {then}"
        )
    return Provenance(
        version=shop.version,
        data="MetaDrive roads drawn by this package's renderer, seeds below 10000: " + parts,
        samples=sum(by_round.values()) + alone,
        method="imitation of a privileged planner that obeys instructions, from disturbed drives,"
        " then DAgger: the pilot drives, the planner corrects it; relaxed winner-takes-all over"
        f" three trajectories; {begun}; of all rounds the one that does best on select seeds"
        f" ({weights.parent.name})",
        scores=scores,
        ablations=ablations,
    )


def _frames(folder: Path) -> int:
    return sum(read_header(path).frames for path in clip_paths(folder))


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Command line: train the pilot and the baseline it is held against."""
    recipe = Recipe()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("out/learning"))
    parser.add_argument("--folder", type=Path, help="model folder to write; models/pilot")
    parser.add_argument("--baseline", type=Path, help="folder of the baseline; none if left out")
    parser.add_argument("--version", default="0.4.0", help="of the model")
    parser.add_argument("--start", type=Path, help="weights.pt of an earlier pilot to start from")
    parser.add_argument(
        "--started-from", default="an earlier pilot", help="what --start is, for the model card"
    )
    parser.add_argument("--singles", type=Path, help="data of pilot 0.2 to teach as well")
    parser.add_argument("--singles-frames", type=int, default=20_000)
    parser.add_argument("--hours", type=float, help="as much of everything as takes so long")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--workers", type=int, default=1, help="processes that collect")
    for field in dataclasses.fields(Recipe):
        option = "--" + field.name.replace("_", "-")
        parser.add_argument(option, type=int, help=f"{getattr(recipe, field.name)} if left out")
    options = parser.parse_args(arguments)
    if options.hours is not None:
        recipe = recipe.within(options.hours, device().type == "cuda")
    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(Recipe)}
    recipe = dataclasses.replace(recipe, **{k: v for k, v in given.items() if v is not None})
    torch.set_num_threads(options.threads)
    _say(f"on {device().type} with {options.threads} threads: {recipe}")
    try:
        singles: list[Clip] = []
        if options.singles is not None:
            singles = read_singles(options.singles, options.singles_frames)
        train(
            recipe, options.work, options.folder or paths.model("pilot"), options.version,
            options.start, options.baseline, tuple(singles), options.started_from,
            options.workers,
        )
    except (SettingsError, SimulatorError, DatasetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
