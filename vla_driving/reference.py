"""The reference pages made from the tables in the code: `python -m vla_driving.reference`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from vla_driving.assurance.case import case_page
from vla_driving.assurance.links import links, problems
from vla_driving.bringup.processes import PROCESSES, SLOW_MODEL
from vla_driving.contract.rates import Rates
from vla_driving.contract.settings import from_mapping
from vla_driving.contract.topics import TOPICS
from vla_driving.nodes.parameters import Leaf, StackSettings, leaves
from vla_driving.replay.faults.reference import faults_page
from vla_driving.safety.reference import safety_page, shipped_limits
from vla_driving.score.reference import score_page

NODES = tuple(node for p in (*reversed(PROCESSES), SLOW_MODEL) for node in p.nodes)
"""In the order of the data's flow."""


def topics_page(rates: Rates) -> str:
    """docs/topics.md."""
    lines = [
        "# Topics",
        "",
        "Made from `vla_driving/contract/topics.py` by `make docs`. Names are relative: remap them",
        "or push them into a namespace. Rates are those of `config/stack.yaml`; a deadline is the",
        "longest gap that does not count as missed, measured by the listener. event_recorder",
        "listens to those in its `topics`.",
        "",
        "Delivery: *latest* is best effort, depth 1; *stream* best effort, depth 30; *state*",
        "reliable, depth 1; *latched* reliable and transient local, depth 1; *event* reliable,",
        "depth 100.",
        "",
        "| topic | type | from | to | delivery | rate | deadline | meaning |",
        "|---|---|---|---|---|---|---|---|",
    ]
    table = rates.as_dict()
    for topic in TOPICS:
        rate, deadline = topic.rate_hz(table), topic.deadline_s(table)
        lines.append(
            f"| `{topic.name}` | `{topic.type}` | {topic.publisher} "
            f"| {', '.join(topic.subscribers)} | {topic.delivery.value} "
            f"| {f'{rate:g} Hz' if rate else 'on change'} "
            f"| {f'{deadline * 1e3:.0f} ms' if deadline else ''} | {topic.meaning} |"
        )
    return "\n".join(lines) + "\n"


def parameters_page(stack: dict[str, dict[str, dict[str, object]]]) -> str:
    """docs/parameters.md, with the values that config/stack.yaml ships."""
    lines = [
        "# Parameters",
        "",
        "Made from the settings classes and `config/stack.yaml` by `make docs`. A missing, unknown",
        "or out-of-range parameter ends the node at start with one line that names it. All are",
        "read-only while a node runs.",
    ]
    shared = stack["/**"]["ros__parameters"]
    lines += ["", "## All nodes", "", *_table(StackSettings, shared)]
    for name in NODES:
        cls = importlib.import_module(f"vla_driving.nodes.{name}").NODE_CLASS.SETTINGS
        lines += ["", f"## {name}", "", *_table(cls, stack[name]["ros__parameters"])]
    return "\n".join(lines) + "\n"


def _table(cls: type, values: dict[str, object]) -> Iterator[str]:
    yield "| parameter | shipped value | allowed | unit | meaning |"
    yield "|---|---|---|---|---|"
    for leaf in leaves(cls):
        value: object = values
        for part in leaf.name.split("."):
            assert isinstance(value, dict)
            value = value[part]
        yield (
            f"| `{leaf.name}` | {value} | {_allowed(leaf)} | {leaf.metadata.get('unit', '')} "
            f"| {leaf.metadata.get('doc', '')} |"
        )


def _allowed(leaf: Leaf) -> str:
    if choices := leaf.metadata.get("choices"):
        return ", ".join(choices)
    if bounds := leaf.metadata.get("range"):
        return f"{bounds[0]:g} to {bounds[1]:g}"
    return {bool: "true, false", str: "text"}.get(leaf.type, "list of text")


def pages(root: Path) -> dict[Path, str]:
    """Every generated page under the source tree `root`, by path."""
    stack = yaml.safe_load((root / "config/stack.yaml").read_text())
    shared = stack["/**"]["ros__parameters"]
    rates = from_mapping(Rates, shared["rates"], "config/stack.yaml: rates")
    return {
        root / "docs/topics.md": topics_page(rates),
        root / "docs/parameters.md": parameters_page(stack),
        root / "docs/faults.md": faults_page(),
        root / "docs/safety.md": safety_page(shipped_limits(root)),
        root / "docs/safety_case.md": case_page(root),
        root / "docs/score.md": score_page(),
    }


def main() -> None:
    """Write the pages; with --check only tell which are out of date."""
    root = Path(__file__).parents[1]
    stale = [p for p, text in pages(root).items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(root)} is out of date: run make docs")
        gaps = problems(links(root / "test"))
        for line in gaps:
            print(f"safety case: {line}")
        raise SystemExit(bool(stale or gaps))
    for path, text in pages(root).items():
        path.write_text(text)


if __name__ == "__main__":
    main()
