"""Reasons of surviving mutants belong to lines that are still there.

Here and not beside the list: this reads sources, and must not be what finds a mutant.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from vla_driving.assurance.equivalent import reasons

ROOT = Path(__file__).parents[2]
REASONS = sorted(reasons(ROOT))


def lines_of(function: str) -> set[str]:
    """Lines of a function or method, named as `safety/file.py:Class.method`."""
    file, _, name = function.partition(":")
    text = (ROOT / "vla_driving" / file).read_text(encoding="utf-8")
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        found = [n for n in ast.iter_child_nodes(node) if getattr(n, "name", "") == part]
        assert found, f"{function} is gone: its reason goes as well"
        node = found[0]
    return {line.strip() for line in (ast.get_source_segment(text, node) or "").splitlines()}


@pytest.mark.parametrize(("function", "diff"), REASONS, ids=[name for name, _ in REASONS])
def test_what_a_reason_is_about_is_still_there(function: str, diff: str) -> None:
    removed = {line[1:].strip() for line in diff.splitlines() if line.startswith("-")}
    assert removed and removed <= lines_of(function)
