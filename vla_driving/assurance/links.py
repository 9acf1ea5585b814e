"""Which test shows which requirement, and what is missing between the tables."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vla_driving.assurance import hazards, requirements
from vla_driving.safety.checks import CHECKS

MARKER = "requirement"


@dataclass(frozen=True)
class Link:
    """A test, or with `name` empty all tests of a file, that is marked with requirements."""

    path: str
    name: str
    identities: tuple[str, ...]


def links(tests: Path) -> tuple[Link, ...]:
    """All marks below a folder of tests, read without importing anything."""
    found: list[Link] = []
    for path in sorted(tests.rglob("test_*.py")):
        where = path.relative_to(tests.parent).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        found += (Link(where, *mark) for mark in _marks(tree))
    return tuple(found)


def _marks(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if identities := _identities(decorator):
                    yield node.name, identities
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            for call in ast.walk(node.value):
                if identities := _identities(call):
                    yield "" if name == "pytestmark" else name, identities


def _identities(node: ast.AST) -> tuple[str, ...]:
    """Of `pytest.mark.requirement("SR-01", ...)`; nothing else."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return ()
    if node.func.attr != MARKER:
        return ()
    return tuple(str(a.value) for a in node.args if isinstance(a, ast.Constant))


def problems(found: Iterable[Link]) -> list[str]:
    """One line for each thing that is missing between hazards, requirements, checks and tests."""
    found = tuple(found)
    known = requirements.BY_ID
    lines = [
        f"{link.path}: {link.name or 'pytestmark'}: unknown requirement {identity}"
        for link in found for identity in link.identities if identity not in known
    ]
    shown = {identity for link in found for identity in link.identities}
    lines += [f"{i}: no test is marked with it" for i in known if i not in shown]
    lines += _between_the_tables()
    return lines


def _between_the_tables() -> Iterator[str]:
    table = requirements.REQUIREMENTS
    for check in CHECKS:
        if not any(row.covers(check.name) for row in table):
            yield f"check {check.name}: belongs to no requirement of assurance/requirements.py"
    names = [check.name for check in CHECKS]
    for row in table:
        for pattern in row.checks:
            alone = requirements.Requirement(row.identity, "", (), (pattern,))
            if not any(map(alone.covers, names)):
                yield f"{row.identity}: there is no check {pattern}"
        for identity in row.hazards:
            if identity not in hazards.BY_ID:
                yield f"{row.identity}: unknown hazard {identity}"
    answered = {identity for row in table for identity in row.hazards}
    for identity in hazards.BY_ID:
        if identity not in answered:
            yield f"{identity}: no requirement answers it"
