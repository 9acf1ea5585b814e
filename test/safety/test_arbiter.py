"""Arbiter: up at once, a stop is never softened, DEGRADED lasts."""

from __future__ import annotations

import pytest
from drive import SETTINGS
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.supervision import Engagement, Level, Manoeuvre
from vla_driving.safety.arbiter import ArbiterState, Demand, step

pytestmark = pytest.mark.requirement("SR-18")

REACTION = SETTINGS.reaction
DEMANDS = [
    Demand(level, free, aside)
    for level in (Level.NOMINAL, Level.DEGRADED, Level.MINIMAL_RISK, Level.EMERGENCY)
    for free in (True, False)
    for aside in (True, False)
]


@pytest.mark.parametrize(
    ("engagement", "demand", "level", "manoeuvre"),
    [
        (Engagement.DISABLED, Demand(Level.EMERGENCY), Level.DEGRADED, Manoeuvre.NONE),
        (Engagement.PRE_ENABLED, Demand(Level.NOMINAL), Level.NOMINAL, Manoeuvre.NONE),
        (Engagement.ENABLED, Demand(Level.NOMINAL), Level.NOMINAL, Manoeuvre.NONE),
        (Engagement.ENABLED, Demand(Level.DEGRADED), Level.DEGRADED, Manoeuvre.NONE),
        (Engagement.OVERRIDING, Demand(Level.EMERGENCY), Level.DEGRADED, Manoeuvre.NONE),
        (Engagement.MINIMAL_RISK, Demand(Level.NOMINAL), Level.MINIMAL_RISK,
         Manoeuvre.COMFORTABLE_STOP),
        (Engagement.MINIMAL_RISK, Demand(Level.MINIMAL_RISK, stop_is_free=False), Level.EMERGENCY,
         Manoeuvre.EMERGENCY_STOP),
        (Engagement.MINIMAL_RISK, Demand(Level.EMERGENCY), Level.EMERGENCY,
         Manoeuvre.EMERGENCY_STOP),
        (Engagement.MINIMAL_RISK, Demand(Level.MINIMAL_RISK, edge_is_free=True),
         Level.MINIMAL_RISK, Manoeuvre.PULL_OVER),
        (Engagement.MINIMAL_RISK, Demand(Level.MINIMAL_RISK, False, True), Level.EMERGENCY,
         Manoeuvre.EMERGENCY_STOP),
        (Engagement.MINIMAL_RISK, Demand(Level.EMERGENCY, True, True), Level.EMERGENCY,
         Manoeuvre.EMERGENCY_STOP),
        (Engagement.STOPPED, Demand(Level.NOMINAL), Level.STOPPED, Manoeuvre.HOLD),
    ],
)
def test_level_and_manoeuvre(
    engagement: Engagement, demand: Demand, level: Level, manoeuvre: Manoeuvre
) -> None:
    state = step(ArbiterState(), engagement, demand, REACTION, 0)
    assert (state.level, state.manoeuvre) == (level, manoeuvre)


def test_degraded_lasts_after_its_last_cause() -> None:
    state = step(ArbiterState(), Engagement.ENABLED, Demand(Level.DEGRADED), REACTION, 0)
    hold = nanoseconds(REACTION.degraded_hold)
    calm = Demand(Level.NOMINAL)
    state = step(state, Engagement.ENABLED, calm, REACTION, hold - 1)
    assert state.level == Level.DEGRADED
    assert step(state, Engagement.ENABLED, calm, REACTION, hold).level == Level.NOMINAL


@pytest.mark.parametrize("aside", [True, False])
def test_where_the_stop_ends_is_decided_when_it_begins(aside: bool) -> None:
    begin = Demand(Level.MINIMAL_RISK, edge_is_free=aside)
    state = step(ArbiterState(), Engagement.MINIMAL_RISK, begin, REACTION, 0)
    planned = Manoeuvre.PULL_OVER if aside else Manoeuvre.COMFORTABLE_STOP
    for later in (not aside, aside):
        demand = Demand(Level.NOMINAL, edge_is_free=later)
        state = step(state, Engagement.MINIMAL_RISK, demand, REACTION, 1)
        assert state.manoeuvre == planned
    hard = step(state, Engagement.MINIMAL_RISK, Demand(Level.EMERGENCY), REACTION, 2)
    calm = Demand(Level.NOMINAL, edge_is_free=True)
    assert step(hard, Engagement.MINIMAL_RISK, calm, REACTION, 3) == hard


@given(st.lists(st.sampled_from(DEMANDS), min_size=1, max_size=30))
def test_a_stop_is_never_softened(demands: list[Demand]) -> None:
    state, highest = ArbiterState(), Level.NOMINAL
    for k, demand in enumerate(demands):
        state = step(state, Engagement.MINIMAL_RISK, demand, REACTION, k)
        assert state.level >= highest
        assert state.level >= Level.MINIMAL_RISK
        assert state.manoeuvre != Manoeuvre.NONE
        highest = state.level


@given(st.sampled_from(list(Engagement)), st.sampled_from(DEMANDS))
def test_a_manoeuvre_is_driven_only_while_the_car_stops_by_itself(
    engagement: Engagement, demand: Demand
) -> None:
    state = step(ArbiterState(), engagement, demand, REACTION, 0)
    stopping = engagement in (Engagement.MINIMAL_RISK, Engagement.STOPPED)
    assert (state.manoeuvre != Manoeuvre.NONE) == stopping
