"""The scoreboard: which drives are done, and what becomes of them: score.json and the page."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_driving.contract.settings import SettingsError
from vla_driving.score import actor_time, compliance, reasons, routes
from vla_driving.score.drive import Task
from vla_driving.score.drivers import POLICIES, Models
from vla_driving.score.figures import by_map, figures
from vla_driving.score.keep import Kept
from vla_driving.score.loop import LATENCY_S
from vla_driving.score.page import page
from vla_driving.score.work import Say, drive_all
from vla_driving.vla.language.wordings import wordings

PUBLIC = ("stack", "idm", "expert", "baseline", "stack_fp32", "unchecked", "teacher")
CONTROLS = ("blacked_out", "frozen")
FILMED_CONTROLS = 2
"""Films of each control: all fail, and alike."""
SCORE, PAGE = "score.json", "index.html"


@dataclass(frozen=True)
class Order:
    """What is asked for; see `vla-driving score --help`."""

    routes: int
    seeds: tuple[int, int] | None
    maps: tuple[str, ...]
    traffic: float
    policies: tuple[str, ...]
    models: Models
    controls: int
    wordings: int
    workers: int

    def __post_init__(self) -> None:
        for name in self.policies:
            if name not in PUBLIC:
                raise SettingsError(f"--policy {name}: unknown, choose from {', '.join(PUBLIC)}")
        for kind in self.maps:
            if kind not in routes.MAPS:
                raise SettingsError(f"--maps {kind}: unknown, choose from {', '.join(routes.MAPS)}")
        if self.routes < 1 or self.workers < 1 or self.controls < 0 or self.wordings < 0:
            raise SettingsError("--routes and --workers are at least 1, the others at least 0")
        if not 0.0 <= self.traffic <= 0.4:
            raise SettingsError(f"--traffic {self.traffic:g}: outside 0 to 0.4 cars per 10 m")

    def scenes(self) -> list[tuple[int, str]]:
        """Seed and kind of map of each route."""
        kinds = self.maps or tuple(routes.MAPS)
        first, beyond = self.seeds or (routes.FIRST_SEED, None)
        numbers = itertools.islice(routes.seeds(first, beyond), self.routes)
        return [(seed, routes.kind_of(seed, kinds)) for seed in numbers]


def score(order: Order, out: Path, say: Say) -> int:
    """Do it all; 0 where every drive could be done. Goes on where it was cut off.

    Raises SettingsError for what cannot be driven.
    """
    order = _without_missing(order, say)
    kept = Kept(out, order.models, frozenset(n for n, p in POLICIES.items() if p.sees))
    tries = attempts(order)
    driven = plan(order)
    tasks = [*driven, *compliance.tasks(tries)]
    say(f"{len(tasks)} drives, {order.workers} at a time, sources {kept.sources}; results in {out}")
    found: dict[str, dict[str, Any]] = {}
    try:
        found = drive_all(tasks, kept, order.models, order.workers, say)
        if again := compliance.films(tries, found):
            say(f"{len(again)} instructions were not followed: once more, for their films")
            tasks += again
            found |= drive_all(again, kept, order.models, order.workers, say)
    except KeyboardInterrupt:
        say("cut off: the same command goes on from here")
        found = {t.name: row for t in tasks if (row := kept.read(t)) is not None}
    content = result(order, driven, found)
    content["sources"] = kept.sources
    if tries:
        content["instructions"] = told = compliance.judged(tries, found)
        content["controls"]["shuffled"] = told.pop("shuffled")
    if "stack" in order.policies:
        content |= actor_time.measure(order.models.stack, say)
    out.mkdir(parents=True, exist_ok=True)
    (out / SCORE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (out / PAGE).write_text(page(content), encoding="utf-8")
    for line in summary(content):
        say(line)
    say(f"wrote {out / SCORE} and {out / PAGE}")
    return 0 if len(found) == len(tasks) else 1


def _without_missing(order: Order, say: Say) -> Order:
    """Without the baseline where its model is not there."""
    if not (order.models.stack / "manifest.yaml").is_file():
        raise SettingsError(f"--model {order.models.stack}: no manifest.yaml there")
    if "baseline" in order.policies and not (order.models.baseline / "manifest.yaml").is_file():
        say(f"baseline is left out: no model in {order.models.baseline}")
        rest = tuple(p for p in order.policies if p != "baseline")
        return Order(**{**vars(order), "policies": rest})
    return order


def attempts(order: Order) -> list[compliance.Attempt]:
    """What is said to the stack: on seeds behind those of the routes."""
    if "stack" not in order.policies:
        return []
    first = (order.seeds or (routes.FIRST_SEED, 0))[0] + routes.INSTRUCTIONS_BEHIND
    return compliance.attempts(wordings, order.wordings, first)


def plan(order: Order) -> list[Task]:
    """All drives, route by route."""
    tasks = []
    policies = dict.fromkeys((*order.policies, "teacher"))
    controls = CONTROLS if "stack" in order.policies else ()
    for number, (seed, kind) in enumerate(order.scenes()):
        scenario = routes.route(seed, kind, order.traffic)
        tasks += [Task(p, kind, scenario, film=p not in ("teacher", "stack_fp32"))
                  for p in policies]
        if number < order.controls:
            tasks += [Task(p, kind, scenario, film=number < FILMED_CONTROLS) for p in controls]
    return tasks


def result(
    order: Order, tasks: Sequence[Task], found: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of score.json."""
    rows = {p: [(t, found[t.name]) for t in tasks if t.policy == p and t.name in found]
            for p in POLICIES}
    teacher = {row["seed"]: row for _, row in rows["teacher"]}
    content: dict[str, Any] = {"policies": {}}
    for name in (*order.policies, *(("teacher",) if "teacher" not in order.policies else ())):
        drives = [row for _, row in rows[name]]
        content["policies"][name] = {
            **figures(drives, teacher), "by_map": by_map(drives, teacher),
            "title": POLICIES[name].title,
        }
    content["controls"] = {
        name: {**figures([row for _, row in rows[name]], teacher), "title": POLICIES[name].title}
        for name in CONTROLS if rows[name]
    }
    if rows["stack"]:
        content["reasoning"] = reasons.figures([row for _, row in rows["stack"]])
    if "stack_fp32" in order.policies:
        content["success_fp32"] = content["policies"].pop("stack_fp32")["success"]
    content["failures"] = [
        _failure(task, row) for name in POLICIES for task, row in rows[name]
        if not row["success"] and name not in ("teacher", "stack_fp32")
    ]
    content["settings"] = {
        "seeds": [seed for seed, _ in order.scenes()],
        "left_out": list(routes.LOOKED_AT) if order.seeds is None else [],
        "traffic": order.traffic, "latency_s": LATENCY_S,
        "models": {"stack": order.models.stack.name, "baseline": order.models.baseline.name},
    }
    return content


def _failure(task: Task, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "policy": task.policy, "seed": row["seed"], "map": task.kind, "reason": row["blame"],
        "video": task.video if row["film"] else None,
    }


def summary(content: Mapping[str, Any]) -> list[str]:
    """A table for the terminal."""
    lines = [f"{'policy':12} routes  success        95 % interval   done  at fault  off road"
             "  comfort  interventions/100 km"]
    driven = {**content["policies"], **content["controls"]}
    for name, f in driven.items():
        if "routes" not in f:
            continue
        low, high = f["success_ci95"]
        lines.append(
            f"{name:12} {f['routes']:6d}  {_percent(f['success'])}  {_percent(low)} to"
            f" {_percent(high)}  {_percent(f['route_completion'])}  {f['at_fault_collisions']:8d}"
            f"  {f['off_road']:8d}  {_percent(f['comfort'])}  {f['interventions_per_100km']}"
        )
    told = content.get("instructions", {})
    for name, tried in told.get("tried", {}).items():
        lines.append(f"{name.replace('_', ' '):20} {_percent(told[name])} of {tried}")
    if reasoning := content.get("reasoning"):
        lines.append(
            f"reasons: {reasoning['reasons']}, true {_percent(reasoning['true'])},"
            f" consistent {_percent(reasoning['consistent'])}"
        )
    return lines


def _percent(share: float | None) -> str:
    return "      –" if share is None else f"{100 * share:5.1f} %"
