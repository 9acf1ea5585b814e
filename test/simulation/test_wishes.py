"""Where a command leads on a map, and whether it came about."""

import numpy as np
import pytest
from sim_setup import needs_metadrive, world

from vla_driving.contract.language import Command, Intent
from vla_driving.contract.navigation import Turn
from vla_driving.simulation.wishes import WishState

pytestmark = needs_metadrive


def told(number, intent, speed=0.0, time_gap=0.0):
    nothing = np.zeros(0, np.float32)
    return Command(0, number, number, intent, speed, time_gap, nothing, 10**12)


@pytest.mark.parametrize(("intent", "turn"), [
    (Intent.NEXT_LEFT, Turn.LEFT), (Intent.NEXT_RIGHT, Turn.RIGHT),
    (Intent.NEXT_STRAIGHT, Turn.STRAIGHT),
])
def test_the_route_takes_the_way_wished_for(intent, turn):
    with world(map="XC", seed=4) as made:
        made.obey(told(1, intent))
        assert made.obedience().state == WishState.UNDER_WAY
        assert made.truth().next_turn == turn
        assert made.route(0).next_turn == turn
        path = made.truth()
        end = np.arctan2(path.path_y[-1], path.path_x[-1])
        side = {Turn.LEFT: 1.0, Turn.RIGHT: -1.0, Turn.STRAIGHT: 0.0}[turn]
        assert np.sign(round(float(end), 1)) == side
        made.place(ahead=made.progress.route.crossroads[0].out + 2.0 - made.progress.station)
        made.drive(0.0, 0.0, 0.2)
        assert made.obedience().state == WishState.DONE


def test_a_way_that_is_not_there_changes_nothing():
    with world(map="T", seed=4) as made:  # straight on or right
        before = made.progress.route
        made.obey(told(1, Intent.NEXT_LEFT))
        found = made.obedience()
        assert found.state == WishState.IMPOSSIBLE
        assert "no way left" in found.reason
        assert made.progress.route is before


def test_without_a_junction_ahead_no_turn_is_possible():
    with world(map="SC") as made:
        made.obey(told(1, Intent.NEXT_RIGHT))
        assert made.obedience().reason == "no junction ahead"


@pytest.mark.parametrize(("intent", "target"), [(Intent.CHANGE_LEFT, 0), (Intent.CHANGE_RIGHT, 2)])
def test_a_change_of_lane_is_done_once_the_car_has_settled(intent, target):
    with world(map="SSS", start_speed=5.0) as made:
        made.obey(told(1, intent))
        made.drive(0.0, 0.0, 0.5)
        assert made.obedience().state == WishState.UNDER_WAY
        made.place(lane=target)
        made.drive(0.0, 0.0, 0.2)
        assert made.obedience().state == WishState.UNDER_WAY
        made.drive(0.0, 0.0, 0.5)
        assert made.obedience().state == WishState.DONE


@pytest.mark.parametrize(
    ("lane", "intent", "side"), [(0, Intent.CHANGE_LEFT, "left"), (2, Intent.CHANGE_RIGHT, "right")]
)
def test_there_may_be_no_lane_beside(lane, intent, side):
    with world(start_lane=lane) as made:
        made.obey(told(1, intent))
        found = made.obedience()
        assert (found.state, found.reason) == (
            WishState.IMPOSSIBLE, f"there is no lane to the {side}"
        )


def test_stop_is_done_at_rest_and_going_on_is_done_in_motion():
    with world(start_speed=3.0) as made:
        made.obey(told(1, Intent.STOP))
        made.drive(0.0, -2.0, 1.0)
        assert made.obedience().state == WishState.UNDER_WAY
        made.drive(0.0, -2.0, 1.5)
        assert made.obedience().state == WishState.DONE
        made.obey(told(2, Intent.GO_ON))
        assert made.obedience().state == WishState.UNDER_WAY
        made.drive(0.0, 2.0, 1.5)
        assert made.obedience().state == WishState.DONE


@pytest.mark.parametrize(("lane", "left", "state"), [
    (2, -0.5, WishState.DONE), (2, 0.6, WishState.UNDER_WAY), (1, -0.5, WishState.UNDER_WAY),
])
def test_pulled_over_is_at_rest_at_the_right_edge(lane, left, state):
    with world() as made:
        made.obey(told(1, Intent.PULL_OVER))
        made.place(lane=lane, left=left, speed=0.0)
        made.drive(0.0, -1.0, 0.3)
        assert made.obedience().state == state


def test_speeds_wished_for_hold_below_the_limit():
    with world(speed_limit=10.0, start_speed=5.0) as made:
        made.obey(told(1, Intent.NONE, speed=5.0))
        assert made.wishes.limit(10.0) == 5.0
        assert made.obedience().speed_kept is True
        made.obey(told(2, Intent.NONE, speed=14.0))
        assert made.wishes.limit(10.0) == 10.0
        assert made.obedience().speed_kept is False
        made.obey(None)
        assert made.wishes.limit(10.0) == 10.0
        assert made.obedience().speed_kept is None


def test_the_same_command_again_is_no_new_wish_but_a_new_number_is():
    with world(start_speed=2.0) as made:
        made.obey(told(1, Intent.STOP))
        made.drive(0.0, -2.0, 2.0)
        made.obey(told(1, Intent.STOP))
        assert made.obedience().state == WishState.DONE
        made.obey(told(2, Intent.STOP, speed=5.0))  # a speed was wished for since
        assert made.obedience().state == WishState.DONE
        made.obey(told(3, Intent.GO_ON, speed=5.0))
        made.drive(0.0, 2.0, 1.5)
        made.obey(told(4, Intent.GO_ON, speed=5.0))
        assert made.obedience().state in (WishState.UNDER_WAY, WishState.DONE)
        assert made.wishes.since_s == pytest.approx(made.time_s)
