"""In the simulator: plans end, and the monitor alone brings the car to the edge of the road."""

from __future__ import annotations

import pytest

from vla_driving.simulation import metadrive

if not metadrive.installed():
    pytest.skip(
        "MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True
    )

from vla_driving.assurance.drive_results import Drive
from vla_driving.assurance.good_drives import _Run, shipped_settings
from vla_driving.contract.scene import LaneLineKind
from vla_driving.contract.supervision import Engagement, Level, Manoeuvre
from vla_driving.learning.driving import load_setting
from vla_driving.simulation.scenario import PlacedObject, Scenario
from vla_driving.simulation.truth import Truth

LOST_S = 3.0
"""From here on the model is silent."""
SCENARIO = Scenario(
    name="pull_over", map="SSS", seed=3, traffic_density=0.0, lanes=2, start_lane=1,
    lane_width=3.75, start_speed=9.0, speed_limit=9.0,
)


def driven(scenario: Scenario) -> tuple[_Run, set[Manoeuvre], float]:
    """Until the car stands: the run, the manoeuvres on the way and how far aside it moved, m."""
    setting = load_setting(sees=False)
    seen = set()
    with setting.open(scenario) as world:
        run = _Run(world, shipped_settings(), Drive(scenario.seed, scenario.map), True)
        before = 0.0
        while world.time_s < 20.0:
            if world.time_s >= LOST_S:
                run._doer._pending.clear()
            else:
                before = run._truth.lane_offset
            run._advance()
            safety = run._stack.safety
            if safety is not None and safety.engagement != Engagement.DISABLED:
                seen.add(safety.manoeuvre)
                if safety.level == Level.STOPPED:
                    break
        run._truth = world.truth()
        return run, seen, run._truth.lane_offset - before


def room_to_the_edge(truth: Truth, half_width: float) -> float:
    """Of the car's right side, m."""
    edge = next(line for line in truth.lane_lines if line.kind == LaneLineKind.ROAD_EDGE_RIGHT)
    beside = min(zip(edge.x, edge.y, strict=True), key=lambda point: abs(point[0]))[1]
    return -half_width - float(beside)


@pytest.mark.requirement("SR-16")
def test_a_free_edge_is_where_the_car_stops() -> None:
    run, seen, aside = driven(SCENARIO)
    truth, vehicle = run._truth, run._world.vehicle
    assert seen >= {Manoeuvre.NONE, Manoeuvre.PULL_OVER, Manoeuvre.HOLD}
    assert Manoeuvre.EMERGENCY_STOP not in seen
    assert truth.speed < 0.1
    assert not truth.off_road
    assert truth.collisions == 0
    assert aside < -0.4
    assert 0.1 < room_to_the_edge(truth, 0.5 * vehicle.width) < 0.6


@pytest.mark.requirement("SR-16")
def test_where_something_stands_at_the_edge_it_stays_in_its_lane() -> None:
    thing = PlacedObject("cone", 45.0, -1.6, 0.0)
    run, seen, aside = driven(SCENARIO.replace(objects=(thing,)))
    assert seen == {Manoeuvre.NONE, Manoeuvre.COMFORTABLE_STOP, Manoeuvre.HOLD}
    assert abs(aside) < 0.2
    assert run._truth.collisions == 0
