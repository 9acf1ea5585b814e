"""Roads and the way along them, taken from MetaDrive's network."""

import math

import numpy as np
import pytest
from sim_setup import needs_metadrive, world

from vla_driving.contract.navigation import Turn
from vla_driving.contract.scene import LaneLineKind
from vla_driving.simulation.road import LanePath, surfaces
from vla_driving.simulation.world import World

pytestmark = needs_metadrive

MAPS = [("SCS", 1), ("X", 0), ("T", 2), ("O", 1), ("rR", 3), ("yS", 1), ("Y", 1), ("4", 5)]


def paths(made: World) -> list[LanePath]:
    return [made.progress.route.path(0, lane) for lane in range(made.scenario.lanes)]


@pytest.mark.parametrize(("map_", "seed"), MAPS)
def test_lane_paths_are_smooth_and_true_to_their_arrays(map_: str, seed: int) -> None:
    with world(map=map_, seed=seed) as made:
        for path in paths(made):
            step = np.hypot(np.diff(path.x), np.diff(path.y))
            assert step.min() > 0.05 and step.max() < 2.0
            assert np.allclose(np.diff(path.s), step)
            assert np.abs(np.diff(path.heading)).max() < 0.25
            assert np.abs(path.curvature).max() < 0.25
            along = np.arctan2(np.diff(path.y), np.diff(path.x))
            off = np.angle(np.exp(1j * (along - path.heading[:-1])))
            assert np.abs(off).max() < 0.2
            assert (path.edge_left >= path.half_width - 1e-9).all()
            assert (path.edge_right >= path.half_width - 1e-9).all()
            assert path.length > 50.0


@pytest.mark.parametrize("s", [5.0, 40.0, 90.0])
@pytest.mark.parametrize("left", [-1.2, 0.0, 0.7])
def test_a_place_on_a_path_is_found_again(s: float, left: float) -> None:
    with world(map="C", seed=3) as made:
        path = paths(made)[1]
        x, y, _ = path.point(s, left)
        along, aside = path.locate(x, y, near=s + 6.0)
        assert along == pytest.approx(s, abs=0.1)
        assert aside == pytest.approx(left, abs=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_the_announced_turn_is_the_one_the_road_takes(seed: int) -> None:
    with world(map="SX", seed=seed) as made:
        junction = made.progress.route.junctions[0]
        path = paths(made)[1]
        before, after = (float(np.interp(s, path.s, path.heading)) for s in (
            junction.start - 5.0, min(junction.end, path.length - 5.0)
        ))
        turned = math.degrees(after - before)
        expected = {Turn.STRAIGHT: 0.0, Turn.LEFT: 90.0, Turn.RIGHT: -90.0}[junction.turn]
        assert turned == pytest.approx(expected, abs=15.0)
        route = made.route(0)
        assert route.next_turn == junction.turn
        assert route.distance_to_turn == pytest.approx(
            junction.start - made.truth().station, abs=0.5
        )


def test_a_roundabout_is_announced() -> None:
    with world(map="O", seed=1) as made:
        assert made.route(0).next_turn == Turn.ROUNDABOUT


def test_dashes_solid_lines_and_pavements_are_drawn_once() -> None:
    with world(map="S", lanes=2, seed=1) as made:
        road = surfaces(made.environment.engine.current_map)
        length = made.progress.route.length
        # Two directions share the yellow line; each has a white edge and a dashed line between.
        yellow = sum(float(np.hypot(*(r.left[-1] - r.left[0]))) for r in road.yellow)
        assert yellow == pytest.approx(length, rel=0.05)
        white = sum(float(np.hypot(*(r.left[-1] - r.left[0]))) for r in road.white)
        assert white == pytest.approx(2 * length + 2 * length / 2, rel=0.1)
        for ribbon in road.white:
            assert np.hypot(*(ribbon.left - ribbon.right).T) == pytest.approx(0.2)


def test_inside_a_crossing_no_lines_are_claimed() -> None:
    with world(map="SX", seed=2) as made:
        junction = made.progress.route.junctions[0]
        made.place(ahead=junction.start - made.truth().station + 15.0, speed=0.0)
        near = [
            line for line in made.truth().lane_lines
            if line.kind in (LaneLineKind.LANE_LEFT, LaneLineKind.LANE_RIGHT) and line.x[0] < 5.0
        ]
        assert near == []
