"""What is said in a lesson, and for how long it holds."""

import pytest

from vla_driving.simulation import metadrive

if not metadrive.installed():
    pytest.skip(
        "MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True
    )

from sim_worlds import drive, open_world

from vla_driving.contract.language import Intent
from vla_driving.learning.guide import Guide
from vla_driving.learning.lessons import Talk
from vla_driving.learning.passenger import Passenger


def heard(talk, seconds, seed=4, **values):
    """Commands at each control step while the teacher obeys them."""
    with open_world(**values) as world:
        passenger, guide, commands = Passenger(talk, seed, world), Guide(world), []
        drives = drive(world, guide, seconds)
        while True:
            commands.append(passenger.step())
            world.obey(commands[-1])
            if next(drives, None) is None:
                return commands


def intents(commands):
    """The manoeuvres in the order in which they held."""
    found = [Intent.NONE if c is None else c.intent for c in commands]
    return [i for k, i in enumerate(found) if k == 0 or i != found[k - 1]]


def test_nothing_is_said_where_there_is_nothing_to_say():
    assert heard((), 1.0) == [None] * 11


def test_stopping_holds_until_going_on_which_ends_by_itself():
    found = intents(heard([Talk.STOP_AND_GO], 20.0, map="SSSS"))
    assert found == [Intent.NONE, Intent.STOP, Intent.GO_ON, Intent.NONE]


def test_a_change_of_lane_is_over_when_it_is_done():
    found = intents(heard([Talk.CHANGE], 14.0, map="SSSS"))
    assert len(found) == 3 and found[1] in (Intent.CHANGE_LEFT, Intent.CHANGE_RIGHT)
    assert found[2] == Intent.NONE


@pytest.mark.parametrize(("talk", "name"), [(Talk.SPEED, "speed"), (Talk.GAP, "time_gap")])
def test_a_speed_or_a_gap_lasts_and_is_no_manoeuvre(talk, name):
    commands = heard([talk], 8.0)
    assert set(intents(commands)) == {Intent.NONE}
    values = [0.0 if c is None else getattr(c, name) for c in commands]
    assert values[0] == 0.0 < values[-1]
    assert len(set(values)) == 2


def test_numbers_count_up_and_one_seed_says_one_thing():
    talk = [Talk.CHANGE, Talk.SPEED]
    first, second = (heard(talk, 12.0, map="SX") for _ in range(2))
    told = [(c.sequence, c.intent, c.speed) for c in first if c is not None]
    assert told == [(c.sequence, c.intent, c.speed) for c in second if c is not None]
    numbers = [n for n, *_ in told]
    assert numbers == sorted(numbers) and numbers[-1] >= 2
    assert any(c is not None and c.intent in (
        Intent.NEXT_LEFT, Intent.NEXT_RIGHT, Intent.NEXT_STRAIGHT
    ) for c in heard([Talk.TURN], 6.0, map="SX"))
