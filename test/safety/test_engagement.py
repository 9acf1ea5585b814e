"""Engagement: every row of the table, and what no path through it may do."""

from __future__ import annotations

from collections import deque
from itertools import product

import pytest
from drive import SETTINGS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.supervision import Engagement
from vla_driving.safety.engagement import (
    TRANSITIONS,
    Driver,
    EngagementState,
    Wishes,
    drives,
    step,
)

E = Engagement
REACTION = SETTINGS.reaction
NOBODY, CALM = Driver(), Wishes()
LONG = nanoseconds(60.0)
FLAGS = (False, True)
DRIVERS = tuple(Driver(*flags) for flags in product(FLAGS, repeat=5))
WISHES = tuple(
    Wishes(*flags) for flags in product(FLAGS, repeat=4)
    if not (flags[0] and (flags[1] or flags[2]))
)
"""All but the contradictory ones: what is ready asks for no stop and no hand-over."""


def after(
    engagement: Engagement, driver: Driver = NOBODY, wishes: Wishes = CALM, elapsed_s: float = 0.0,
    released_s: float = 60.0,
) -> E:
    now = LONG
    state = EngagementState(
        engagement, now - nanoseconds(elapsed_s), now - nanoseconds(released_s)
    )
    return step(state, driver, wishes, REACTION, now).engagement


@pytest.mark.parametrize(
    ("before", "driver", "wishes", "elapsed_s", "expected"),
    [
        (E.DISABLED, Driver(), Wishes(ready=True), 9.0, E.DISABLED),
        (E.DISABLED, Driver(engage=True), Wishes(ready=True), 0.0, E.ENABLED),
        (E.DISABLED, Driver(engage=True), Wishes(), 0.0, E.PRE_ENABLED),
        (E.DISABLED, Driver(engage=True, brake=True), Wishes(ready=True), 0.0, E.DISABLED),
        (E.DISABLED, Driver(engage=True, cancel=True), Wishes(ready=True), 0.0, E.DISABLED),
        (E.PRE_ENABLED, Driver(), Wishes(ready=True), 0.1, E.ENABLED),
        (E.PRE_ENABLED, Driver(steer=True), Wishes(ready=True), 0.1, E.PRE_ENABLED),
        (E.PRE_ENABLED, Driver(brake=True), Wishes(ready=True), 0.1, E.DISABLED),
        (E.PRE_ENABLED, Driver(), Wishes(), REACTION.pre_enable - 0.01, E.PRE_ENABLED),
        (E.PRE_ENABLED, Driver(), Wishes(), REACTION.pre_enable, E.DISABLED),
        (E.ENABLED, Driver(), Wishes(ready=True), 9.0, E.ENABLED),
        (E.ENABLED, Driver(cancel=True), Wishes(ready=True), 9.0, E.DISABLED),
        (E.ENABLED, Driver(brake=True), Wishes(stop=True), 9.0, E.DISABLED),
        (E.ENABLED, Driver(steer=True), Wishes(stop=True), 9.0, E.OVERRIDING),
        (E.ENABLED, Driver(accelerate=True), Wishes(ready=True), 9.0, E.OVERRIDING),
        (E.ENABLED, Driver(), Wishes(stop=True, hand_over=True), 9.0, E.MINIMAL_RISK),
        (E.ENABLED, Driver(), Wishes(hand_over=True), 9.0, E.SOFT_DISABLING),
        (E.OVERRIDING, Driver(steer=True), Wishes(stop=True), 9.0, E.OVERRIDING),
        (E.OVERRIDING, Driver(), Wishes(stop=True), 9.0, E.MINIMAL_RISK),
        (E.OVERRIDING, Driver(), Wishes(ready=True), 9.0, E.ENABLED),
        (E.OVERRIDING, Driver(brake=True), Wishes(ready=True), 9.0, E.DISABLED),
        (E.SOFT_DISABLING, Driver(steer=True), Wishes(hand_over=True), 1.0, E.DISABLED),
        (E.SOFT_DISABLING, Driver(), Wishes(hand_over=True), 1.0, E.SOFT_DISABLING),
        (E.SOFT_DISABLING, Driver(), Wishes(ready=True), 1.0, E.ENABLED),
        (E.SOFT_DISABLING, Driver(), Wishes(stop=True), 1.0, E.MINIMAL_RISK),
        (E.SOFT_DISABLING, Driver(), Wishes(hand_over=True), REACTION.soft_disable, E.MINIMAL_RISK),
        (E.MINIMAL_RISK, Driver(), Wishes(ready=True), 9.0, E.MINIMAL_RISK),
        (E.MINIMAL_RISK, Driver(engage=True), Wishes(ready=True), 9.0, E.MINIMAL_RISK),
        (E.MINIMAL_RISK, Driver(), Wishes(standstill=True), 0.0, E.STOPPED),
        (E.MINIMAL_RISK, Driver(accelerate=True), Wishes(), 0.0, E.DISABLED),
        (E.STOPPED, Driver(brake=True), Wishes(ready=True, standstill=True), 0.0, E.STOPPED),
        (E.STOPPED, Driver(engage=True), Wishes(ready=True, standstill=True), 0.0, E.ENABLED),
        (E.STOPPED, Driver(engage=True), Wishes(ready=True), 0.0, E.STOPPED),
        (E.STOPPED, Driver(engage=True), Wishes(standstill=True), 0.0, E.STOPPED),
        (E.STOPPED, Driver(accelerate=True), Wishes(), 0.0, E.DISABLED),
        (E.STOPPED, Driver(cancel=True), Wishes(), 0.0, E.DISABLED),
    ],
)
def test_transition(
    before: Engagement, driver: Driver, wishes: Wishes, elapsed_s: float, expected: Engagement
) -> None:
    assert after(before, driver, wishes, elapsed_s) == expected


def test_override_must_be_released_for_a_while() -> None:
    short = REACTION.override_release - 0.01
    assert after(E.OVERRIDING, released_s=short) == E.OVERRIDING
    assert after(E.OVERRIDING, released_s=REACTION.override_release) == E.ENABLED


def test_every_row_of_the_table_can_be_taken() -> None:
    taken = set()
    for before, driver, wishes in product(E, DRIVERS, WISHES):
        for elapsed_s in (0.0, 60.0):
            taken.add((before, after(before, driver, wishes, elapsed_s)))
    assert {(row.source, row.target) for row in TRANSITIONS} <= taken


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("wishes", WISHES)
@pytest.mark.requirement("SR-20")
def test_the_driver_wins_at_once(driver: Driver, wishes: Wishes) -> None:
    for before in E:
        result = after(before, driver, wishes, 1.0)
        if driver.cancel:
            assert result == E.DISABLED
        if driver.brake:
            assert result in (E.DISABLED, E.STOPPED)
            assert result == E.DISABLED or before == E.STOPPED
        if driver.steer:
            assert not drives(result, driver) or result in (E.STOPPED,)


@pytest.mark.parametrize("wishes", WISHES)
@pytest.mark.requirement("SR-21")
def test_only_the_driver_engages(wishes: Wishes) -> None:
    for before, elapsed_s in product((E.DISABLED, E.STOPPED), (0.0, 60.0)):
        assert after(before, Driver(), wishes, elapsed_s) == before


@pytest.mark.requirement("SR-18")
def test_a_stop_is_not_skipped() -> None:
    """From MINIMAL_RISK no path without the driver leads anywhere but to STOPPED."""
    reached, open_ = {E.MINIMAL_RISK}, deque([E.MINIMAL_RISK])
    while open_:
        before = open_.popleft()
        for wishes, elapsed_s in product(WISHES, (0.0, 1.0, 60.0)):
            found = after(before, Driver(), wishes, elapsed_s)
            if found not in reached:
                reached.add(found)
                open_.append(found)
    assert reached == {E.MINIMAL_RISK, E.STOPPED}


@given(st.sampled_from([E.ENABLED, E.SOFT_DISABLING, E.OVERRIDING]))
@pytest.mark.requirement("SR-19")
def test_a_lasting_fault_leads_to_standstill(before: Engagement) -> None:
    state = EngagementState(before, 0, 0)
    for k in range(400):
        wishes = Wishes(stop=True, standstill=k > 300)
        state = step(state, Driver(), wishes, REACTION, nanoseconds(0.02 * (k + 1)))
    assert state.engagement == E.STOPPED


@pytest.mark.requirement("SR-19")
def test_a_lasting_hand_over_without_a_driver_leads_to_standstill() -> None:
    state = EngagementState(E.ENABLED, 0, 0)
    for k in range(400):
        wishes = Wishes(hand_over=True, standstill=k > 300)
        state = step(state, Driver(), wishes, REACTION, nanoseconds(0.02 * (k + 1)))
    assert state.engagement == E.STOPPED


class EngagementMachine(RuleBasedStateMachine):
    """Random driving: what must hold of every sequence of steps."""

    def __init__(self) -> None:
        super().__init__()
        self.state = EngagementState()
        self.now = 0
        self.before = E.DISABLED
        self.driver = Driver()
        self.wishes = Wishes()

    @rule(
        driver=st.sampled_from(DRIVERS), wishes=st.sampled_from(WISHES),
        wait_s=st.floats(0.0, 8.0),
    )
    def moment(self, driver: Driver, wishes: Wishes, wait_s: float) -> None:
        self.now += nanoseconds(wait_s)
        self.before, self.driver, self.wishes = self.state.engagement, driver, wishes
        self.state = step(self.state, driver, wishes, REACTION, self.now)

    @rule(wishes=st.sampled_from(WISHES))
    def nobody_touches_anything(self, wishes: Wishes) -> None:
        self.moment(Driver(), wishes, 0.02)

    @invariant()
    def only_rows_of_the_table(self) -> None:
        after_ = self.state.engagement
        rows = {(row.source, row.target) for row in TRANSITIONS}
        assert after_ == self.before or (self.before, after_) in rows

    @invariant()
    def engaged_only_when_ready(self) -> None:
        begins = self.before in (E.DISABLED, E.PRE_ENABLED, E.STOPPED)
        if begins and self.state.engagement == E.ENABLED:
            assert self.wishes.ready
            assert not self.driver.overrides and not self.driver.cancel
            assert self.driver.engage or self.before == E.PRE_ENABLED

    @invariant()
    def a_stop_ends_standing_or_with_the_driver(self) -> None:
        if self.before == E.MINIMAL_RISK and self.state.engagement != E.MINIMAL_RISK:
            if self.state.engagement == E.STOPPED:
                assert self.wishes.standstill
            else:
                assert self.state.engagement == E.DISABLED
                assert self.driver.overrides or self.driver.cancel

    @invariant()
    def a_fault_is_never_driven_through(self) -> None:
        if self.wishes.stop and not self.driver.overrides:
            assert self.state.engagement not in (E.ENABLED, E.OVERRIDING, E.SOFT_DISABLING)


TestEngagementMachine = EngagementMachine.TestCase


def test_who_moves_the_car() -> None:
    nobody, steering = Driver(), Driver(steer=True)
    driving = {e for e in E if drives(e, nobody)}
    assert driving == set(E) - {E.DISABLED, E.PRE_ENABLED}
    assert not drives(E.OVERRIDING, steering)
    assert drives(E.OVERRIDING, Driver(accelerate=True))


@pytest.mark.parametrize("engagement", list(E))
@pytest.mark.parametrize("driver", [NOBODY, Driver(steer=True), Driver(accelerate=True)])
def test_when_the_driver_last_moved_the_car_is_kept_in_every_step(
    engagement: E, driver: Driver
) -> None:
    before = EngagementState(engagement, LONG - 5, LONG - 7)
    for wishes in WISHES:
        state = step(before, driver, wishes, REACTION, LONG)
        assert state.override_ns == (LONG if driver.overrides else LONG - 7)
        assert state.since_ns == (LONG if state.engagement != engagement else LONG - 5)


def test_an_override_just_released_does_not_drive_on_yet() -> None:
    steering = step(EngagementState(E.OVERRIDING), Driver(steer=True), CALM, REACTION, LONG)
    released = LONG + nanoseconds(REACTION.override_release)
    assert step(steering, NOBODY, CALM, REACTION, released - 1).engagement == E.OVERRIDING
    assert step(steering, NOBODY, CALM, REACTION, released).engagement == E.ENABLED
