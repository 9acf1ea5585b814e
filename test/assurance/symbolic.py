"""Runs the stack's own functions on unknown numbers, so that z3 can say what holds for all of them.

Nothing is modelled by hand: `Real` and `Truth` stand in for floats and bools, arithmetic on them
builds z3 expressions, and wherever the code asks `if`, both answers are followed that are possible
(symbolic execution). `numbers_of` lets a module use them: what it calls `math`, `min`, `max`,
`float` and `round` is replaced while it runs.

What is proved holds for real numbers. That floats stay close is tested beside each proof.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import z3

T = TypeVar("T")

_TIMEOUT_MS = 60_000


class Real:
    """A real number that z3 knows."""

    __slots__ = ("z",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, z: Any) -> None:
        self.z = z

    def __add__(self, other: Any) -> Real:
        return Real(self.z + term(other))

    def __radd__(self, other: Any) -> Real:
        return Real(term(other) + self.z)

    def __sub__(self, other: Any) -> Real:
        return Real(self.z - term(other))

    def __rsub__(self, other: Any) -> Real:
        return Real(term(other) - self.z)

    def __mul__(self, other: Any) -> Real:
        return Real(self.z * term(other))

    def __rmul__(self, other: Any) -> Real:
        return Real(term(other) * self.z)

    def __truediv__(self, other: Any) -> Real:
        return _Path.current().quotient(self.z, term(other))

    def __rtruediv__(self, other: Any) -> Real:
        return _Path.current().quotient(term(other), self.z)

    def __neg__(self) -> Real:
        return Real(-self.z)

    def __abs__(self) -> Real:
        return Real(z3.If(self.z >= 0, self.z, -self.z))

    def __lt__(self, other: Any) -> Truth:
        return Truth(self.z < term(other))

    def __le__(self, other: Any) -> Truth:
        return Truth(self.z <= term(other))

    def __gt__(self, other: Any) -> Truth:
        return Truth(self.z > term(other))

    def __ge__(self, other: Any) -> Truth:
        return Truth(self.z >= term(other))

    def __eq__(self, other: object) -> Truth:  # type: ignore[override]
        return Truth(self.z == term(other))

    def __bool__(self) -> bool:
        return bool(Truth(self.z != 0))


class Truth:
    """A truth value that z3 knows; `bool()` of it follows one answer now and the other later."""

    __slots__ = ("z",)

    def __init__(self, z: Any) -> None:
        self.z = z

    def __bool__(self) -> bool:
        return _Path.current().decide(self.z)


def term(value: Any) -> Any:
    """The z3 expression of a number."""
    if isinstance(value, Real):
        return value.z
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    # The exact value of a float, not the decimal it is written as.
    return z3.Q(*value.as_integer_ratio())


def real(name: str) -> Real:
    """An unknown real number."""
    return Real(z3.Real(name))


def truth(name: str) -> Truth:
    """An unknown truth value."""
    return Truth(z3.Bool(name))


def unknowns(cls: type[T]) -> tuple[T, list[Any]]:
    """A dataclass of unknown floats within the ranges of its fields, and these ranges."""
    values: dict[str, Any] = {}
    within = []
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        if "range" not in item.metadata:
            values[item.name] = item.name
            continue
        low, high = item.metadata["range"]
        values[item.name] = unknown = real(item.name)
        within += [unknown.z >= term(low), unknown.z <= term(high)]
    return cls(**values), within


class Functions:
    """tan, atan and sqrt, of which z3 is told what they satisfy at the places where they are used.

    Each use gives a new unknown; `facts` tie it to the others: the tangent grows with its angle and
    is odd. So nothing but polynomials is left, which z3 decides.
    """

    def __init__(self) -> None:
        self._right_angle = z3.Real("right_angle")
        self._tangents: list[tuple[Any, Any]] = []
        self._roots: list[tuple[Any, Any]] = []
        self._rounded: list[tuple[Any, Any]] = []
        self._made = 0

    def tan(self, x: Any) -> Any:
        """Tangent of an angle within a right angle."""
        if not isinstance(x, Real):
            return math.tan(x)
        value = self._new("tan")
        self._tangents.append((x.z, value))
        return Real(value)

    def atan(self, x: Any) -> Any:
        """Arc tangent."""
        if not isinstance(x, Real):
            return math.atan(x)
        angle = self._new("atan")
        self._tangents.append((angle, x.z))
        return Real(angle)

    def sqrt(self, x: Any) -> Any:
        """Square root of what is not negative."""
        if not isinstance(x, Real):
            return math.sqrt(x)
        root = self._new("sqrt")
        self._roots.append((root, x.z))
        return Real(root)

    def isfinite(self, x: Any) -> Any:
        """Whatever is asked may be infinite or not a number: both answers are followed."""
        if not isinstance(x, Real):
            return math.isfinite(x)
        return Truth(z3.Bool(str(self._new("finite"))))

    def round(self, x: Any) -> Any:
        """The nearest whole number, known to lie within a half."""
        if not isinstance(x, Real):
            return round(x)
        whole = self._new("round")
        self._rounded.append((whole, x.z))
        return Real(whole)

    def facts(self) -> list[Any]:
        """What holds of the functions at their arguments so far."""
        right = self._right_angle
        found = [right > z3.Q(15707, 10000), right < z3.Q(15708, 10000)]
        known: list[tuple[Any, Any]] = [(z3.RealVal(0), z3.RealVal(0))]
        for angle, value in self._tangents:
            found += [angle > -right, angle < right]
            for other, its in known:
                found += [(angle < other) == (value < its), (angle > other) == (value > its)]
            known += [(angle, value), (-angle, -value)]
        found += [z3.And(r >= 0, r * r == x) for r, x in self._roots]
        for whole, x in self._rounded:
            found.append(z3.And(2 * (whole - x) <= 1, 2 * (x - whole) <= 1))
        return found

    def _new(self, name: str) -> Any:
        self._made += 1
        return z3.Real(f"{name}_{self._made}")


def smallest(*values: Any) -> Any:
    """`min` without a fork."""
    return _picked(values, lambda a, b: a <= b, min)


def largest(*values: Any) -> Any:
    """`max` without a fork."""
    return _picked(values, lambda a, b: a >= b, max)


def _picked(values: tuple[Any, ...], first: Callable[[Any, Any], Any], plain: Any) -> Any:
    if not any(isinstance(v, Real) for v in values):
        return plain(*values)
    result = term(values[0])
    for value in values[1:]:
        other = term(value)
        result = z3.If(first(result, other), result, other)
    return Real(result)


def number(value: Any) -> Any:
    """`float`."""
    return value if isinstance(value, Real) else float(value)


@contextlib.contextmanager
def numbers_of(functions: Functions, *modules: types.ModuleType) -> Iterator[None]:
    """Let modules work on unknown numbers while the block runs."""
    names = {
        "math": functions, "min": smallest, "max": largest, "float": number,
        "round": functions.round,
    }
    before = [(m, n, m.__dict__.get(n)) for m in modules for n in names]
    for module, name, value in before:
        if name != "math" or value is not None:
            setattr(module, name, names[name])
    try:
        yield
    finally:
        for module, name, value in before:
            if value is not None:
                setattr(module, name, value)
            elif name in module.__dict__:
                delattr(module, name)


@dataclass
class _Path:
    """One way through the code: the answers given so far, and those to try later."""

    answers: list[bool]
    solver: z3.Solver
    conditions: list[Any] = field(default_factory=list)
    later: list[list[bool]] = field(default_factory=list)
    given: list[bool] = field(default_factory=list)
    quotients: int = 0

    @staticmethod
    def current() -> _Path:
        if not _WALKED:
            raise RuntimeError("a condition on unknown numbers outside of `paths`")
        return _WALKED[-1]

    def decide(self, condition: Any) -> bool:
        at = len(self.given)
        if at < len(self.answers):
            answer = self.answers[at]
        else:
            answer = self._possible(condition)
            if answer and self._possible(z3.Not(condition)):
                self.later.append([*self.given, False])
        self.given.append(answer)
        known = condition if answer else z3.Not(condition)
        self.conditions.append(known)
        self.solver.add(known)
        return answer

    def quotient(self, above: Any, below: Any) -> Real:
        """A new unknown, for z3 decides products better than quotients."""
        below = z3.simplify(below)
        if z3.is_rational_value(below):
            if below.as_fraction() == 0:
                raise ZeroDivisionError
            return Real(above / below)
        if self.decide(below == 0):
            raise ZeroDivisionError("a division by what may be zero")
        self.quotients += 1
        value = z3.Real(f"quotient_{self.quotients}")
        known = value * below == above
        self.conditions.append(known)
        self.solver.add(known)
        return Real(value)

    def _possible(self, condition: Any) -> bool:
        # "unknown" counts as possible: a path too many costs time, one too few the proof.
        return bool(self.solver.check(condition) != z3.unsat)


_WALKED: list[_Path] = []


def paths(run: Callable[[], T], given: list[Any]) -> list[tuple[list[Any], T]]:
    """Every way through `run` under the assumptions `given`: its conditions and its result."""
    found: list[tuple[list[Any], T]] = []
    pending: list[list[bool]] = [[]]
    while pending:
        solver = z3.Solver()
        solver.set("timeout", 2000)
        solver.add(*given)
        path = _Path(pending.pop(), solver)
        _WALKED.append(path)
        try:
            result = run()
        finally:
            _WALKED.pop()
        pending += path.later
        found.append((path.conditions, result))
    return found


class Refuted(Exception):
    """There is a counterexample."""


def prove(claim: Any, given: list[Any]) -> None:
    """Show that a claim follows. Raises Refuted with a counterexample, AssertionError if unsure."""
    solver = z3.Solver()
    solver.set("timeout", _TIMEOUT_MS)
    solver.add(*given, z3.Not(term_or_truth(claim)))
    answer = solver.check()
    if answer == z3.sat:
        raise Refuted(f"{claim} fails for {solver.model()}")
    assert answer == z3.unsat, f"z3 cannot tell: {solver.reason_unknown()}"


def term_or_truth(claim: Any) -> Any:
    """The z3 expression of a Truth, or of what is one already."""
    return claim.z if isinstance(claim, Truth) else z3.BoolVal(claim) if isinstance(
        claim, bool
    ) else claim


def implies(condition: Any, claim: Any) -> Any:
    """Whether one follows from the other."""
    return z3.Implies(term_or_truth(condition), term_or_truth(claim))


@contextlib.contextmanager
def broken(module: types.ModuleType, right: str, wrong: str) -> Iterator[types.ModuleType]:
    """The module with one piece of its source replaced: a proof about it must fail."""
    source = inspect.getsource(module)
    count = source.count(right)
    assert count == 1, f"{module.__name__} holds {right!r} {count} times"
    spoilt = types.ModuleType(f"{module.__name__}_spoilt")
    sys.modules[spoilt.__name__] = spoilt
    try:
        exec(compile(source.replace(right, wrong), spoilt.__name__, "exec"), spoilt.__dict__)
        yield spoilt
    finally:
        del sys.modules[spoilt.__name__]
