"""Proof: from every state the state machines reach a stop, none is skipped, the driver decides.

`engagement.step` and `arbiter.step` themselves run on unknown flags and times, from every state:
what comes out is the whole transition relation, and z3 is asked about it. Stated of the driver is
what `Driver` says, of the car that it comes to stand while it brakes (see the proof of the stop).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from types import ModuleType
from typing import Any

import pytest
import z3
from drive import RATES, SETTINGS, VEHICLE
from hypothesis import given, settings
from hypothesis import strategies as st
from symbolic import (
    Functions,
    Refuted,
    broken,
    implies,
    numbers_of,
    paths,
    prove,
    real,
    term,
    truth,
    unknowns,
)

from vla_driving.contract.clock import SECOND
from vla_driving.contract.supervision import Engagement, Level, Manoeuvre, Verdict
from vla_driving.safety import arbiter, engagement
from vla_driving.safety.checks import CHECKS
from vla_driving.safety.judge import Outcome
from vla_driving.safety.monitor import SafetyMonitor
from vla_driving.safety.settings import ReactionSettings

E = Engagement
DRIVING = (E.ENABLED, E.OVERRIDING, E.SOFT_DISABLING)
STOPS = (Manoeuvre.COMFORTABLE_STOP, Manoeuvre.PULL_OVER)
HARD = Manoeuvre.EMERGENCY_STOP


@dataclass(frozen=True)
class Flags:
    """The unknown inputs of one step, as z3 sees them."""

    driver: Any
    wishes: Any
    in_state_s: Any
    released_s: Any
    settings: ReactionSettings
    known: list[Any]

    @property
    def untouched(self) -> Any:
        """The driver does nothing at all."""
        return z3.Not(z3.Or(*(value.z for value in vars(self.driver).values())))

    @property
    def overrides(self) -> Any:
        """Hands or feet move the car."""
        return z3.Or(self.driver.brake.z, self.driver.steer.z, self.driver.accelerate.z)


def flags(module: ModuleType) -> Flags:
    reaction, known = unknowns(ReactionSettings)
    in_state, released = real("in_state"), real("released")
    known += [in_state.z >= 0, released.z >= 0]
    driver, wishes = (
        cls(**{item.name: truth(item.name) for item in dataclasses.fields(cls)})
        for cls in (module.Driver, module.Wishes)
    )
    # As SafetyMonitor makes them, see below.
    known.append(z3.Implies(wishes.ready.z, z3.Not(z3.Or(wishes.stop.z, wishes.hand_over.z))))
    return Flags(driver, wishes, in_state, released, reaction, known)


def transitions(module: ModuleType, given_: Flags, source: E) -> Iterator[tuple[list[Any], E]]:
    """Every way out of a state: its conditions and where it leads."""
    now = real("now")
    state = module.EngagementState(
        source, now - given_.in_state_s * SECOND, now - given_.released_s * SECOND
    )

    def run() -> Any:
        with numbers_of(Functions(), module):
            out = module.step(state, given_.driver, given_.wishes, given_.settings, now)
        return out.engagement

    for conditions, target in paths(run, given_.known):
        yield [*given_.known, *conditions], target


def every_state_stops(module: ModuleType) -> None:
    """A lasting fault and no driver: MINIMAL_RISK in one step, STOPPED once the car stands."""
    at = flags(module)
    fault = z3.And(at.untouched, at.wishes.stop.z)
    for source in (*DRIVING, E.MINIMAL_RISK, E.STOPPED):
        for known, target in transitions(module, at, source):
            if source in DRIVING:
                prove(implies(fault, target == E.MINIMAL_RISK), known)
            elif source == E.MINIMAL_RISK:
                stands = z3.And(at.untouched, at.wishes.standstill.z)
                prove(implies(stands, target == E.STOPPED), known)
                prove(implies(at.untouched, target in (E.MINIMAL_RISK, E.STOPPED)), known)
            else:
                prove(implies(at.untouched, target == E.STOPPED), known)


def hand_over_ends(module: ModuleType) -> None:
    """A hand-over that nobody takes ends in a stop when its time is over."""
    at = flags(module)
    asked = z3.And(at.untouched, at.wishes.hand_over.z)
    late = at.in_state_s.z >= at.settings.soft_disable.z  # type: ignore[attr-defined]
    for known, target in transitions(module, at, E.ENABLED):
        prove(implies(asked, target in (E.SOFT_DISABLING, E.MINIMAL_RISK)), known)
    for known, target in transitions(module, at, E.SOFT_DISABLING):
        prove(implies(asked, target in (E.SOFT_DISABLING, E.MINIMAL_RISK)), known)
        prove(implies(z3.And(asked, late), target == E.MINIMAL_RISK), known)


def no_stop_is_skipped(module: ModuleType) -> None:
    """Out of a stop: only at standstill, or into the driver's hands."""
    at = flags(module)
    for known, target in transitions(module, at, E.MINIMAL_RISK):
        prove(implies(True, target in (E.MINIMAL_RISK, E.STOPPED, E.DISABLED)), known)
        prove(implies(target == E.STOPPED, at.wishes.standstill), known)
        taken = z3.Or(at.overrides, at.driver.cancel.z)
        prove(implies(target == E.DISABLED, taken), known)
    for source in DRIVING:
        for known, target in transitions(module, at, source):
            untouched = z3.And(at.wishes.stop.z, z3.Not(at.overrides), z3.Not(at.driver.cancel.z))
            prove(implies(untouched, target == E.MINIMAL_RISK), known)


def only_the_driver_engages(module: ModuleType) -> None:
    """Nothing else leads from the driver's hands, or from a stop, to driving."""
    at = flags(module)
    asks = z3.And(at.driver.engage.z, z3.Not(at.overrides), z3.Not(at.driver.cancel.z))
    for source in (E.DISABLED, E.STOPPED):
        for known, target in transitions(module, at, source):
            prove(implies(target not in (source, E.DISABLED), asks), known)
            prove(implies(target in DRIVING, at.wishes.ready), known)
            if source == E.STOPPED:
                prove(implies(target in DRIVING, at.wishes.standstill), known)
    for known, target in transitions(module, at, E.PRE_ENABLED):
        # It waits for the checks alone, and not for ever.
        prove(implies(target in DRIVING, at.wishes.ready), known)
        prove(implies(target in DRIVING, z3.Not(at.overrides)), known)
        late = at.in_state_s.z >= at.settings.pre_enable.z  # type: ignore[attr-defined]
        prove(implies(late, target != E.PRE_ENABLED), known)


def the_driver_wins(module: ModuleType) -> None:
    """Brake or cancel end every state that drives, at once, whatever the checks ask for."""
    at = flags(module)
    for source in E:
        for known, target in transitions(module, at, source):
            prove(implies(at.driver.cancel, target == E.DISABLED), known)
            stays = target == source == E.STOPPED
            prove(implies(at.driver.brake, target == E.DISABLED or stays), known)
            moves = target in (*DRIVING, E.MINIMAL_RISK)

            def run(target: E = target) -> bool:
                return bool(module.drives(target, at.driver))

            for conditions, drives in paths(run, known):
                steers = implies(at.driver.steer, not (drives and moves))
                prove(steers, [*known, *conditions])


@pytest.mark.requirement("SR-19")
@pytest.mark.proof("engagement: from every state that drives a lasting fault leads to a stop")
def test_every_state_stops() -> None:
    every_state_stops(engagement)


@pytest.mark.requirement("SR-19")
@pytest.mark.proof("engagement: a hand-over that nobody takes ends in a stop")
def test_a_hand_over_ends() -> None:
    hand_over_ends(engagement)


@pytest.mark.requirement("SR-18")
@pytest.mark.proof("engagement: no path skips a stop")
def test_no_stop_is_skipped() -> None:
    no_stop_is_skipped(engagement)


@pytest.mark.requirement("SR-21")
@pytest.mark.proof("engagement: only the driver engages")
def test_only_the_driver_engages() -> None:
    only_the_driver_engages(engagement)


@pytest.mark.requirement("SR-20")
@pytest.mark.proof("engagement: the driver wins at once")
def test_the_driver_wins() -> None:
    the_driver_wins(engagement)


CONTROLS = [
    (every_state_stops, 'Transition(_E.ENABLED, _E.MINIMAL_RISK, "a check asks for a stop", '
     "lambda m: m.wishes.stop),", ""),
    (every_state_stops, 'Transition(_E.MINIMAL_RISK, _E.STOPPED, "standstill", lambda m: '
     "m.wishes.standstill),", ""),
    (every_state_stops, "lambda m: not m.driver.overrides and m.wishes.stop",
     "lambda m: m.released_s > 1.0 and m.wishes.stop"),
    (hand_over_ends, "m.in_state_s >= m.settings.soft_disable", "m.in_state_s > 10.0"),
    (no_stop_is_skipped, 'lambda m: m.wishes.standstill),\n    Transition(_E.STOPPED',
     'lambda m: True),\n    Transition(_E.STOPPED'),
    (no_stop_is_skipped, 'Transition(_E.MINIMAL_RISK, _E.STOPPED, "standstill"',
     'Transition(_E.MINIMAL_RISK, _E.ENABLED, "standstill"'),
    (only_the_driver_engages, "lambda m: _asks(m) and m.wishes.ready and m.wishes.standstill",
     "lambda m: m.wishes.ready and m.wishes.standstill"),
    (only_the_driver_engages, "lambda m: m.in_state_s >= m.settings.pre_enable",
     "lambda m: m.in_state_s >= 10.0 + m.settings.pre_enable"),
    (the_driver_wins, "return driver.engage and not driver.cancel and not driver.overrides",
     "return driver.engage and not driver.overrides"),
    (the_driver_wins, "return not driver.steer", "return True"),
    # The proof found this one: with override_release 0 the car drove on in the driver's hands.
    (the_driver_wins, "lambda m: not m.driver.overrides\n               and m.released_s",
     "lambda m: m.released_s"),
]


@pytest.mark.parametrize(("proof", "right", "wrong"), CONTROLS)
@pytest.mark.requirement("SR-18", "SR-19", "SR-20", "SR-21")
@pytest.mark.proof("engagement: the proofs fail on a broken table")
def test_the_proof_fails_where_the_table_is_broken(proof: Any, right: str, wrong: str) -> None:
    with broken(engagement, right, wrong) as spoilt, pytest.raises(Refuted):
        proof(spoilt)


def test_what_is_ready_asks_for_no_stop() -> None:
    """The assumption on wishes: as the monitor makes them from any level and hand-over."""
    monitor = SafetyMonitor(SETTINGS, VEHICLE, RATES)
    asks = next(check for check in CHECKS if check.hand_over)
    for level, hand_over in product(Level, (False, True)):
        counting = [Outcome(asks, Verdict.FAIL, 1.0, 0.0, None, True)] if hand_over else []
        wishes = monitor._wishes(level, counting, None, 0)
        assert not (wishes.ready and (wishes.stop or wishes.hand_over))
        assert wishes.stop == (level >= Level.MINIMAL_RISK)
        assert wishes.hand_over == hand_over


# -- the arbiter ----------------------------------------------------------------------------------

LEVELS = (Level.NOMINAL, Level.DEGRADED, Level.MINIMAL_RISK, Level.EMERGENCY)


def demands(module: ModuleType, level: Level) -> Any:
    """A demand of a level with every other flag unknown."""
    others = {
        item.name: truth(item.name) for item in dataclasses.fields(module.Demand)
        if item.name != "level"
    }
    return module.Demand(level, **others)


def outcomes(
    module: ModuleType, level: Level, manoeuvre: Manoeuvre, who: E, asked: Level
) -> Iterator[tuple[list[Any], Any]]:
    reaction, known = unknowns(ReactionSettings)
    for since in (None, real("since")):
        state = module.ArbiterState(level, manoeuvre, since)

        def run(state: Any = state) -> Any:
            with numbers_of(Functions(), module):
                return module.step(state, who, demands(module, asked), reaction, real("now"))

        for conditions, out in paths(run, known):
            yield [*known, *conditions], out


def a_stop_is_never_softened(module: ModuleType) -> None:
    """While the engagement stops, the manoeuvre brakes, and a hard one stays hard."""
    for asked, before in product(LEVELS, Manoeuvre):
        for level in Level:
            for known, out in outcomes(module, level, before, E.MINIMAL_RISK, asked):
                brakes = out.manoeuvre in (*STOPS, HARD) and out.level >= Level.MINIMAL_RISK
                prove(implies(True, brakes), known)
                if before == HARD or asked >= Level.EMERGENCY:
                    hard = out.manoeuvre == HARD and out.level == Level.EMERGENCY
                    prove(implies(True, hard), known)


def what_stands_is_held(module: ModuleType) -> None:
    """STOPPED holds the car; while somebody drives no manoeuvre is under way."""
    for asked, before, who in product(LEVELS, Manoeuvre, E):
        for known, out in outcomes(module, Level.NOMINAL, before, who, asked):
            if who == E.STOPPED:
                held = out.manoeuvre == Manoeuvre.HOLD and out.level == Level.STOPPED
                prove(implies(True, held), known)
            elif who != E.MINIMAL_RISK:
                calm = out.manoeuvre == Manoeuvre.NONE and out.level <= Level.DEGRADED
                prove(implies(True, calm), known)
                if asked > Level.NOMINAL:
                    prove(implies(True, out.level == Level.DEGRADED), known)


@pytest.mark.requirement("SR-18")
@pytest.mark.proof("arbiter: a stop is never softened")
def test_a_stop_is_never_softened() -> None:
    a_stop_is_never_softened(arbiter)


@pytest.mark.requirement("SR-18")
@pytest.mark.proof("arbiter: what stands is held, and nothing is under way while somebody drives")
def test_what_stands_is_held() -> None:
    what_stands_is_held(arbiter)


ARBITER_CONTROLS = [
    (a_stop_is_never_softened, "or state.manoeuvre == Manoeuvre.EMERGENCY_STOP", ""),
    (a_stop_is_never_softened, "demand.level >= Level.EMERGENCY", "demand.level > Level.EMERGENCY"),
    (what_stands_is_held, "return ArbiterState(Level.STOPPED, Manoeuvre.HOLD)",
     "return ArbiterState(Level.STOPPED, Manoeuvre.NONE)"),
    (what_stands_is_held, "if demand.level >= Level.DEGRADED:",
     "if demand.level > Level.DEGRADED:"),
]


@pytest.mark.parametrize(("proof", "right", "wrong"), ARBITER_CONTROLS)
@pytest.mark.requirement("SR-18")
@pytest.mark.proof("arbiter: the proofs fail on broken code")
def test_the_proof_fails_where_the_arbiter_is_broken(proof: Any, right: str, wrong: str) -> None:
    with broken(arbiter, right, wrong) as spoilt, pytest.raises(Refuted):
        proof(spoilt)


DRIVER = [item.name for item in dataclasses.fields(engagement.Driver)]
WISHES = [item.name for item in dataclasses.fields(engagement.Wishes)]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(list(E)), st.tuples(*(st.booleans(),) * 5), st.tuples(*(st.booleans(),) * 4),
    st.floats(0.0, 20.0), st.floats(0.0, 20.0),
)
def test_floats_take_the_way_that_is_proved_for_their_reals(
    source: E, driver: tuple[bool, ...], wishes: tuple[bool, ...], in_state: float, released: float
) -> None:
    """The relation that was extracted holds the very step that the code makes."""
    at = dataclasses.replace(flags(engagement), known=[])
    reaction = SETTINGS.reaction
    now = 100 * SECOND
    state = engagement.EngagementState(
        source, now - round(in_state * SECOND), now - round(released * SECOND)
    )
    out = engagement.step(
        state, engagement.Driver(*driver), engagement.Wishes(*wishes),
        reaction, now,
    )
    values = [
        *(truth(name).z == value for name, value in zip(DRIVER, driver, strict=True)),
        *(truth(name).z == value for name, value in zip(WISHES, wishes, strict=True)),
        real("in_state").z == z3.Q(round(in_state * SECOND), SECOND),
        real("released").z == z3.Q(round(released * SECOND), SECOND),
        *(real(name).z == term(value) for name, value in vars(reaction).items()
          if isinstance(value, float)),
    ]
    taken = []
    for known, target in transitions(engagement, at, source):
        solver = z3.Solver()
        solver.add(*known, *values)
        if solver.check() == z3.sat:
            taken.append(target)
    assert taken == [out.engagement]
