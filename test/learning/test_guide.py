"""The teacher under a command: it does what it is told where that can be, and says why it acts."""

import pytest

from vla_driving.simulation import metadrive

if not metadrive.installed():
    pytest.skip(
        "MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True
    )

from sim_worlds import drive, open_world, told

from vla_driving.contract.language import Cause, Intent
from vla_driving.contract.plan import LateralAction
from vla_driving.learning.guide import Guide
from vla_driving.simulation.scenario import PlacedObject
from vla_driving.simulation.wishes import WishState


def obeyed(command, seconds, **values):
    """Choices, the world's judgement and the worst comfort figures of a drive under a command."""
    with open_world(**values) as world:
        guide = Guide(world)
        list(drive(world, guide, 0.5))
        world.obey(command)
        choices, aside, along = [], 0.0, 0.0
        for choice in drive(world, guide, seconds):
            choices.append(choice)
            aside = max(aside, abs(world.ego.motion.lateral_acceleration))
            along = max(along, -world.ego.motion.acceleration)
        assert choices[-1].truth.collisions == 0
        return choices, world.obedience(), aside, along


@pytest.mark.parametrize(("intent", "action", "lane"), [
    (Intent.CHANGE_LEFT, LateralAction.CHANGE_LEFT, 0),
    (Intent.CHANGE_RIGHT, LateralAction.CHANGE_RIGHT, 2),
])
def test_it_changes_lane_smoothly(intent, action, lane):
    choices, judged, aside, _ = obeyed(told(1, intent), 6.0)
    assert judged.state == WishState.DONE
    assert choices[5].lateral == action and choices[5].cause == Cause.INSTRUCTION
    assert choices[-1].truth.lane == lane
    assert choices[-1].lateral == LateralAction.KEEP_LANE
    assert aside < 1.6  # m/s²; ISO 17387 and common practice stay below 2


def test_it_stays_where_there_is_no_lane():
    choices, judged, aside, _ = obeyed(told(1, Intent.CHANGE_LEFT), 3.0, start_lane=0)
    assert judged.state == WishState.IMPOSSIBLE
    assert all(c.lateral == LateralAction.KEEP_LANE for c in choices)
    assert aside < 0.1


def test_it_waits_until_the_lane_is_free():
    beside = PlacedObject("car", 30.0, lateral=3.5)
    choices, judged, *_ = obeyed(
        told(1, Intent.CHANGE_LEFT), 11.0, objects=(beside,), start_speed=4.0, speed_limit=6.0,
        map="SSSS",
    )
    assert judged.state == WishState.DONE
    acts = [c.lateral == LateralAction.CHANGE_LEFT for c in choices]
    began = choices[acts.index(True)].truth.objects[0].x
    assert not acts[0] and began < -9.0


def test_it_stops_and_goes_on():
    choices, judged, _, along = obeyed(told(1, Intent.STOP), 7.0)
    assert judged.state == WishState.DONE
    assert choices[10].cause == choices[-1].cause == Cause.INSTRUCTION
    assert along < 2.5
    choices, judged, *_ = obeyed(told(1, Intent.GO_ON), 3.0, start_speed=0.0)
    assert judged.state == WishState.DONE


def test_it_pulls_over_to_the_right_edge():
    choices, judged, aside, along = obeyed(
        told(1, Intent.PULL_OVER), 14.0, map="SSSS", start_lane=0
    )
    assert judged.state == WishState.DONE
    assert choices[-1].truth.lane == 2 and -0.8 < choices[-1].truth.lane_offset < -0.3
    assert not choices[-1].truth.off_road
    assert aside < 1.8 and along < 2.5


def test_it_takes_the_speed_wished_for():
    choices, judged, *_ = obeyed(told(1, Intent.NONE, speed=5.0), 5.0)
    assert judged.speed_kept
    assert choices[-1].truth.speed == pytest.approx(5.0, abs=0.4)
    assert choices[5].cause == choices[-1].cause == Cause.INSTRUCTION


@pytest.mark.parametrize("gap", [1.0, 3.0])
def test_it_keeps_the_time_gap_wished_for(gap):
    lead = PlacedObject(
        "car", 26.0, behaviour="brakes", acts_after=1.0, deceleration=1.0, final_speed=6.0,
        rests=99.0,
    )
    choices, *_ = obeyed(
        told(1, Intent.NONE, time_gap=gap), 16.0, objects=(lead,), map="SSSS", speed_limit=12.0
    )
    truth = choices[-1].truth
    front = truth.objects[0].x - 2.2 - 3.6  # its rear from our bumper
    # IDM's own equilibrium lies a little above standstill gap + time gap × speed.
    assert front / truth.speed == pytest.approx(gap + 4.0 / truth.speed, rel=0.3)


@pytest.mark.parametrize("intent", [Intent.NEXT_LEFT, Intent.NEXT_RIGHT])
def test_it_takes_the_turn_wished_for(intent):
    choices, judged, *_ = obeyed(told(1, intent), 20.0, map="X")
    assert judged.state == WishState.DONE
    assert Cause.JUNCTION in [c.cause for c in choices]
    turned = choices[-1].truth.heading - choices[0].truth.heading
    assert turned == pytest.approx(1.57 if intent == Intent.NEXT_LEFT else -1.57, abs=0.2)
    assert max(abs(c.truth.lane_offset) for c in choices) < 0.6


def causes(seconds, **values):
    with open_world(**values) as world:
        return [(c.cause, c) for c in drive(world, Guide(world), seconds)]


@pytest.mark.parametrize(("expected", "seconds", "values"), [
    (Cause.FREE, 0.5, {"start_speed": 2.0}),
    (Cause.SPEED_LIMIT, 3.0, {"start_speed": 10.0}),
    (Cause.BEND, 3.0, {"map": "C", "seed": 5, "speed_limit": 14.0, "start_speed": 12.0}),
    (Cause.STOPPED, 2.0, {"objects": (PlacedObject("car", 40.0),)}),
    (Cause.PEDESTRIAN, 2.5, {"objects": (
        PlacedObject("pedestrian", 40.0, -4.0, crossing_speed=1.5, trigger_distance=40.0),
    )}),
    (Cause.LEAD_BRAKES, 2.0, {"objects": (
        PlacedObject("car", 25.0, behaviour="brakes", acts_after=1.0, deceleration=5.0),
    )}),
    (Cause.CUT_IN, 3.0, {"objects": (
        PlacedObject(
            "car", 18.0, 3.5, behaviour="cuts_in", acts_after=1.0, final_speed=5.0
        ),
    )}),
    (Cause.ROUTE_END, 20.0, {"map": "S", "start_speed": 9.0}),
])
def test_it_says_why(expected, seconds, values):
    found = causes(seconds, **values)
    assert found[-1][0] == expected
    choice = found[-1][1]
    if expected in (Cause.STOPPED, Cause.PEDESTRIAN, Cause.LEAD_BRAKES, Cause.CUT_IN):
        assert choice.key == "placed 0"
        item = choice.truth.objects[choice.truth.object_keys.index(choice.key)]
        assert choice.decision.distance == pytest.approx(item.x, abs=1.5)
    else:
        assert choice.key == ""
