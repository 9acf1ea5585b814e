"""Buttons, pedals, wheel and the cockpit's requests: what the driver wants, step by step."""

from dataclasses import replace
from typing import Any

import pytest
from drive import START, STATE

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.navigation import EngagementRequest, EngagementWish
from vla_driving.contract.vehicle import VehicleState
from vla_driving.safety.driver_inputs import MAX_REQUESTS, DriverInputs
from vla_driving.safety.engagement import Driver

DOWN, UP = replace(STATE, engage_button=True), replace(STATE, engage_button=False)


def inputs() -> DriverInputs:
    return DriverInputs(1.0, 0.05)


def wish(what: EngagementWish, age_s: float = 0.0) -> EngagementRequest:
    return signed(EngagementRequest(START - nanoseconds(age_s), what, "cockpit"))


ENGAGE, DISENGAGE = wish(EngagementWish.ENGAGE), wish(EngagementWish.DISENGAGE)


@pytest.mark.parametrize(
    ("steps", "pressed"),
    [
        ([(UP,), (DOWN,)], [False, True]),
        ([(DOWN,), (DOWN,)], [False, False]),
        ([(DOWN,), (UP,), (DOWN,), (DOWN,)], [False, False, True, False]),
        ([(UP, DOWN)], [True]),
        ([(UP, DOWN, UP)], [True]),
        ([(UP, DOWN, DOWN)], [True]),
        ([(DOWN, DOWN)], [False]),
        ([(UP,), (), (DOWN,)], [False, False, True]),
        ([(UP, UP)], [False]),
    ],
)
def test_a_press_is_the_edge_of_a_button_that_was_up(
    steps: list[tuple[VehicleState, ...]], pressed: list[bool]
) -> None:
    buttons = inputs()
    assert [buttons.read(states, UP, (), START).engage for states in steps] == pressed


def test_after_a_jump_of_the_clock_a_button_that_is_down_is_no_press() -> None:
    buttons = inputs()
    buttons.read((UP,), None, (), START)
    buttons.forget()
    assert buttons.read((DOWN,), None, (), START) == Driver()


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("cancel_button", Driver(cancel=True)),
        ("brake_override", Driver(brake=True)),
        ("steering_override", Driver(steer=True)),
        ("accelerator_override", Driver(accelerate=True)),
    ],
)
def test_pedals_wheel_and_cancel_count_in_any_state_of_the_step(
    flag: str, expected: Driver
) -> None:
    held: VehicleState = replace(STATE, **{flag: True})
    assert inputs().read((held,), None, (), START) == expected
    assert inputs().read((held, STATE), None, (), START) == expected
    assert inputs().read((STATE, held), None, (), START) == expected
    assert inputs().read((STATE,), held, (), START) == Driver()


def test_without_a_new_state_the_current_one_stands_for_it() -> None:
    held = replace(STATE, brake_override=True, steering_override=True)
    assert inputs().read((), held, (), START) == Driver(brake=True, steer=True)
    assert inputs().read((), None, (), START) == Driver()


@pytest.mark.parametrize(
    ("age_s", "engages"),
    [(0.0, True), (1.0, True), (1.001, False), (-0.05, True), (-0.051, False), (0.5, True)],
)
def test_a_request_counts_while_it_is_recent(age_s: float, engages: bool) -> None:
    request = wish(EngagementWish.ENGAGE, age_s)
    assert inputs().read((), None, (request,), START).engage == engages


NONE: Any = None
NINE: Any = 9


@pytest.mark.parametrize(
    "broken",
    [replace(ENGAGE, checksum=7), replace(ENGAGE, stamp_ns=NONE), None, "engage", 0,
     replace(ENGAGE, request=NINE)],
)
def test_what_is_wrong_with_a_wish_to_engage_makes_it_none(broken: Any) -> None:
    assert inputs().read((), None, (broken,), START) == Driver()


def test_a_wish_to_let_go_is_granted_whatever_is_wrong_with_it() -> None:
    broken = replace(DISENGAGE, stamp_ns=0, checksum=1)
    assert inputs().read((), None, (broken,), START) == Driver(cancel=True)


def test_every_request_of_a_step_counts() -> None:
    assert inputs().read((), None, (ENGAGE, DISENGAGE), START) == Driver(engage=True, cancel=True)
    assert inputs().read((), None, (DISENGAGE, ENGAGE), START) == Driver(engage=True, cancel=True)


def test_button_and_request_both_engage() -> None:
    buttons = inputs()
    old = wish(EngagementWish.ENGAGE, 5.0)
    assert buttons.read((UP, DOWN), None, (old,), START).engage
    assert buttons.read((DOWN,), None, (ENGAGE,), START).engage


def test_no_more_requests_than_the_newest_are_read() -> None:
    many = (None,) * (MAX_REQUESTS - 1)
    requests: Any = (ENGAGE, *many)
    assert inputs().read((), None, requests, START).engage
    assert not inputs().read((), None, (*requests, NONE), START).engage
