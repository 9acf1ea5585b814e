"""Mutants of a source file: each function with one small change, as mutmut makes them.

mutmut's operators say what is changed; its runner is not used. A mutant is installed by giving the
function that is loaded the changed code, so nothing is written and every reference to it holds.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import libcst as cst
from mutmut.mutation.file_mutation import Mutation, MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

_HEADER = "from __future__ import annotations\n"
_DECORATORS = ("property", "cached_property", "staticmethod", "classmethod", "part", "compiled")
"""Functions under any other decorator are left alone. The last two compile a function's loops; with
NUMBA_DISABLE_JIT set they leave it as it is."""


@dataclass(frozen=True)
class Mutant:
    """One changed function: `source` is its whole text, `diff` the lines that differ."""

    path: str
    function: str
    number: int
    source: str
    diff: str

    @property
    def module(self) -> str:
        """Dotted name."""
        return self.path.removesuffix(".py").replace("/", ".")

    @property
    def name(self) -> str:
        """Where it is, for people: `safety/arbiter.py:step#3`."""
        return f"{self.path.removeprefix('vla_driving/')}:{self.function}#{self.number}"

    @property
    def key(self) -> str:
        """The same for the same change of the same function."""
        text = f"{self.path}\0{self.function}\0{self.source}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Visitor(MutationVisitor):
    """mutmut's, which leaves every decorated function alone, for properties too."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Decorator):
            return True
        if isinstance(node, cst.FunctionDef) and len(node.decorators) == 1:
            decorator = node.decorators[0].decorator
            name = decorator.func if isinstance(decorator, cst.Call) else decorator
            return not (isinstance(name, cst.Name) and name.value in _DECORATORS)
        skip: bool = super()._skip_node_and_children(node)
        return skip


def mutants_of(root: Path, path: str) -> list[Mutant]:
    """All mutants of the functions and methods of a file, `path` relative to `root`.

    Tables and other statements of the module itself are left as they are. A change that compiles to
    the very same code, or not at all, is no mutant.
    """
    wrapper = cst.MetadataWrapper(cst.parse_module((root / path).read_text(encoding="utf-8")))
    visitor = _Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    names = dict(_functions(wrapper.module))
    found: list[Mutant] = []
    seen: dict[str, set[tuple[object, ...]]] = {}
    for mutation in visitor.mutations:
        function = mutation.contained_by_top_level_function
        if not isinstance(function, cst.FunctionDef):
            continue
        name = names[function]
        before, after = _texts(wrapper.module, function, mutation)
        code = _compiled(name, after)
        known = seen.setdefault(name, {_shape(_compiled(name, before))})
        if code is None or _shape(code) in known:
            continue
        known.add(_shape(code))
        found.append(Mutant(path, name, len(known) - 1, after, _diff(before, after)))
    return found


def _functions(module: cst.Module) -> Iterator[tuple[cst.FunctionDef, str]]:
    for statement in module.body:
        if isinstance(statement, cst.FunctionDef):
            yield statement, statement.name.value
        elif isinstance(statement, cst.ClassDef):
            for item in statement.body.body:
                if isinstance(item, cst.FunctionDef):
                    yield item, f"{statement.name.value}.{item.name.value}"


def _texts(
    module: cst.Module, function: cst.FunctionDef, mutation: Mutation
) -> tuple[str, str]:
    bare = function.with_changes(leading_lines=())
    changed = bare.deep_replace(mutation.original_node, mutation.mutated_node)
    return module.code_for_node(bare), module.code_for_node(changed)


def _compiled(name: str, source: str) -> CodeType | None:
    try:
        return compile(_standing_alone(name, source), name, "exec")
    except SyntaxError:
        return None


def _standing_alone(name: str, source: str) -> str:
    """The function's text, in a class of its name where it is a method."""
    if "." not in name:
        return _HEADER + source
    body = "\n".join(f"    {line}" if line.strip() else line for line in source.splitlines())
    return f"{_HEADER}class {name.split('.')[0]}:\n{body}\n"


def _shape(code: CodeType | None) -> tuple[object, ...]:
    """What of a code object decides about what it does."""
    if code is None:
        return ()
    constants = tuple(
        _shape(c) if isinstance(c, CodeType) else (type(c), repr(c)) for c in code.co_consts
    )
    return (
        code.co_code, constants, code.co_names, code.co_varnames, code.co_exceptiontable,
    )


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return "\n".join(
        f"{line[0]} {line[1:].strip()}" for line in list(lines)[2:] if line[0] in "+-"
    )


def loaded(module: str, function: str) -> FunctionType:
    """The function behind a name, without property, staticmethod or classmethod around it."""
    owner: Any = importlib.import_module(module)
    *outer, last = function.split(".")
    for name in outer:
        owner = getattr(owner, name)
    behind: FunctionType = _bare(vars(owner)[last])
    return behind


def _bare(found: Any) -> Any:
    for attribute in ("fget", "func", "__func__"):
        found = getattr(found, attribute, found)
    return found


def install(mutant: Mutant) -> None:
    """Give the loaded function the mutant's code, in this process, for good."""
    target = loaded(mutant.module, mutant.function)
    scratch = dict(vars(importlib.import_module(mutant.module)))
    exec(compile(_standing_alone(mutant.function, mutant.source), mutant.path, "exec"), scratch)
    *outer, last = mutant.function.split(".")
    made = _bare(vars(scratch[outer[0]])[last] if outer else scratch[last])
    target.__code__ = made.__code__
    target.__defaults__ = made.__defaults__
    target.__kwdefaults__ = made.__kwdefaults__


def import_with(mutant: Mutant, root: Path) -> None:
    """Let the mutant's module be the changed one when it is imported next, in this process.

    For what does its work while the module is imported: whoever has it already keeps the original.
    """
    text = (root / mutant.path).read_text(encoding="utf-8")
    sys.meta_path.insert(0, _Finder(mutant.module, str(root / mutant.path), _with(text, mutant)))


def original(mutant: Mutant, root: Path) -> Mutant:
    """The same function without any change: no test may find that."""
    text = (root / mutant.path).read_text(encoding="utf-8")
    source = textwrap.dedent("\n".join(text.splitlines()[_lines(text, mutant.function)]))
    return Mutant(mutant.path, mutant.function, 0, source, "")


def _with(text: str, mutant: Mutant) -> str:
    at, lines = _lines(text, mutant.function), text.splitlines()
    depth = mutant.function.count(".")
    changed = textwrap.indent(mutant.source.strip("\n"), "    " * depth)
    return "\n".join([*lines[: at.start], changed, *lines[at.stop :]]) + "\n"


def _lines(text: str, function: str) -> slice:
    """Where a function stands in a file, its decorators included."""
    *outer, last = function.split(".")
    body: list[ast.stmt] = ast.parse(text).body
    for name in outer:
        body = next(s for s in body if isinstance(s, ast.ClassDef) and s.name == name).body
    node = next(s for s in body if isinstance(s, ast.FunctionDef) and s.name == last)
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return slice(first - 1, node.end_lineno)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, and runs another text for it."""

    def __init__(self, module: str, path: str, text: str) -> None:
        self._module, self._path, self._text = module, path, text

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Of the one module."""
        if fullname != self._module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self._path)

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed text."""
        module.__file__ = self._path
        exec(compile(self._text, self._path, "exec"), vars(module))
