"""Road geometry taken from MetaDrive's road network: what to draw and where lanes lead.

All positions are in the map frame: MetaDrive's x and its mirrored y (x forward, y left, REP-103).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.contract.navigation import Turn

FloatArray = npt.NDArray[np.float64]

LINE_WIDTH = 0.20
"""m; motorway lines are 0.15 m (narrow) to 0.30 m (broad)."""
DASH = 3.0
GAP = 3.0
SHOULDER = 0.6
"""m of asphalt beyond the outermost lane, as in MetaDrive."""
PAVEMENT_WIDTH = 3.0
_ARC_STEP = 1.0
_BLEND = 30.0


@dataclass(frozen=True, eq=False)
class Ribbon:
    """A flat band: (N, 2) left and right borders in m."""

    left: FloatArray
    right: FloatArray


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What there is to draw on the ground, by material."""

    asphalt: list[Ribbon] = field(default_factory=list)
    white: list[Ribbon] = field(default_factory=list)
    yellow: list[Ribbon] = field(default_factory=list)
    pavement: list[Ribbon] = field(default_factory=list)


def lane_points(lane: Any, s: npt.ArrayLike, lateral: npt.ArrayLike) -> FloatArray:
    """(N, 2) map points at `s` m along a MetaDrive lane and `lateral` m to its left."""
    along, aside = np.broadcast_arrays(np.asarray(s, float), np.asarray(lateral, float))
    pairs = zip(along.ravel().tolist(), aside.ravel().tolist(), strict=True)
    points = [lane.position(a, -b) for a, b in pairs]
    return np.array([(p[0], -p[1]) for p in points])


def lane_heading(lane: Any, s: float) -> float:
    """Heading in the map, rad, at `s` m along a MetaDrive lane."""
    return -float(lane.heading_theta_at(s))


def lane_coordinates(lane: Any, x: float, y: float) -> tuple[float, float]:
    """Metres along a MetaDrive lane and to the left of its centre, of a map point."""
    s, right = lane.local_coordinates((x, -y))
    return float(s), -float(right)


def surfaces(road_map: Any) -> Surfaces:
    """Asphalt, lines and pavements of all blocks of a MetaDrive map."""
    result = Surfaces()
    for block in road_map.blocks:
        for ends in block.block_network.graph.values():
            for end, lanes in ends.items():
                forward = not end.startswith("-")
                for index, lane in enumerate(lanes):
                    _draw_lane(result, lane, left_line=forward and index == 0)
    return result


def _draw_lane(result: Surfaces, lane: Any, left_line: bool) -> None:
    half = lane.width_at(0) / 2.0
    s = _stations(lane, 0.0, lane.length)
    result.asphalt.append(_ribbon(lane, s, half + SHOULDER, -half - SHOULDER))
    for side, kind, colour in zip((1.0, -1.0), lane.line_types, lane.line_colors, strict=True):
        if side > 0.0 and not left_line:
            continue  # the neighbour on the left draws it as its right line
        lines = result.yellow if colour[2] < 0.5 else result.white
        at = side * half
        if kind in ("continuous", "side"):
            lines.append(_ribbon(lane, s, at + LINE_WIDTH / 2, at - LINE_WIDTH / 2))
        elif kind == "broken":
            for first in np.arange(0.0, lane.length - DASH / 2, DASH + GAP):
                dash = _stations(lane, first, min(first + DASH, lane.length))
                lines.append(_ribbon(lane, dash, at + LINE_WIDTH / 2, at - LINE_WIDTH / 2))
        if kind == "side":
            inner, outer = sorted((half + SHOULDER, half + SHOULDER + PAVEMENT_WIDTH))
            borders = (outer, inner) if side > 0.0 else (-inner, -outer)
            result.pavement.append(_ribbon(lane, s, *borders))


def _stations(lane: Any, first: float, last: float) -> FloatArray:
    step = _ARC_STEP if hasattr(lane, "radius") and lane.radius else 25.0
    return np.linspace(first, last, max(2, math.ceil((last - first) / step) + 1))


def _ribbon(lane: Any, s: FloatArray, left: float, right: float) -> Ribbon:
    return Ribbon(lane_points(lane, s, left), lane_points(lane, s, right))


@dataclass(frozen=True, eq=False)
class LanePath:
    """Centre of one lane and of those it leads to, from its start to the goal, every metre.

    It runs over lane `lanes[k]` of road `first_road + k`, which starts at `road_starts[k]` m.
    `s`, `x`, `y` m; `heading` rad, without jumps; `curvature` 1/m, left positive; `half_width` m;
    `edge_left`, `edge_right`: m from the centre to the borders of the carriageway; `marked_left`,
    `marked_right`: whether a line is painted.
    """

    first_road: int
    lanes: tuple[int, ...]
    road_starts: FloatArray
    s: FloatArray
    x: FloatArray
    y: FloatArray
    heading: FloatArray
    curvature: FloatArray
    half_width: FloatArray
    edge_left: FloatArray
    edge_right: FloatArray
    marked_left: npt.NDArray[np.bool_]
    marked_right: npt.NDArray[np.bool_]

    @property
    def length(self) -> float:
        """m to the goal from the path's start."""
        return float(self.s[-1])

    def start_of(self, road: int) -> float:
        """Metres along the path at which a road starts."""
        return float(self.road_starts[road - self.first_road])

    def locate(self, x: float, y: float, near: float, reach: float = 15.0) -> tuple[float, float]:
        """Metres along and to the left of the path, of the point of it nearest to (x, y).

        Looked for within `reach` m of station `near`.
        """
        first, last = np.searchsorted(self.s, (near - reach, near + reach))
        first = min(int(first), len(self.s) - 2)
        last = max(int(last), first + 2)
        k = first + int(np.argmin((self.x[first:last] - x) ** 2 + (self.y[first:last] - y) ** 2))
        c, n = math.cos(self.heading[k]), math.sin(self.heading[k])
        dx, dy = x - self.x[k], y - self.y[k]
        return float(self.s[k] + c * dx + n * dy), float(-n * dx + c * dy)

    def point(self, s: float, left: float = 0.0) -> tuple[float, float, float]:
        """x, y in m and heading in rad of a place on the path, `left` m beside it."""
        heading = float(np.interp(s, self.s, self.heading))
        x = float(np.interp(s, self.s, self.x)) - left * math.sin(heading)
        y = float(np.interp(s, self.s, self.y)) + left * math.cos(heading)
        return x, y, heading


@dataclass(frozen=True)
class Junction:
    """A place on the route where the driver must know which way to take."""

    start: float
    end: float
    turn: Turn


@dataclass(frozen=True)
class Crossroads:
    """A crossing, T junction or roundabout on the route: m along it, and the ways out of it.

    `road`: the first road of the route in it; `out`: m at which its last one, the road out, begins.
    `exits`: by turn, the nodes of the way through it
    and of the road beyond, up to where that ends; `taken` is the turn of the route.
    """

    road: int
    start: float
    out: float
    end: float
    taken: Turn
    exits: Mapping[Turn, tuple[str, ...]]


class RouteMap:
    """The roads of one route and the lanes on them.

    `nodes` are MetaDrive's checkpoints. Lane j of road i is `lanes[i][j]`, 0 the leftmost.
    """

    def __init__(self, road_map: Any, nodes: Sequence[str]) -> None:
        graph = road_map.road_network.graph
        self.nodes = tuple(nodes)
        self.lanes: list[list[Any]] = [
            list(graph[a][b]) for a, b in itertools.pairwise(nodes)
        ]
        lengths = [float(np.mean([lane.length for lane in road])) for road in self.lanes]
        self.starts: FloatArray = np.concatenate([[0.0], np.cumsum(lengths)])
        self.length = float(self.starts[-1])
        self.junctions = list(_junctions(road_map, self.nodes, self.lanes, self.starts))
        self.crossroads = list(_crossroads(road_map, self.nodes, self.starts))
        self._road_map = road_map
        self._paths: list[LanePath] = []

    def through(self, crossroads: Crossroads, turn: Turn) -> RouteMap:
        """The route that takes another exit of one of its `crossroads`; it ends where that ends."""
        nodes = self.nodes[:crossroads.road] + crossroads.exits[turn]
        return RouteMap(self._road_map, nodes)

    def locate(self, x: float, y: float, road: int) -> tuple[int, int, float, float]:
        """Road, lane, m along and to the left of that lane's centre, searched from `road` on."""
        best: tuple[float, int, int, float, float] | None = None
        for i in range(max(0, road - 1), min(len(self.lanes), road + 3)):
            for j, lane in enumerate(self.lanes[i]):
                s, left = lane_coordinates(lane, x, y)
                outside = max(0.0, -s, s - lane.length)
                score = abs(left) + 3.0 * outside + 1e-3 * abs(i - road)
                if best is None or score < best[0]:
                    best = (score, i, j, s, left)
        assert best is not None
        return best[1:]

    def path(self, road: int, lane: int) -> LanePath:
        """A lane path that runs over lane `lane` of road `road`."""
        for path in self._paths:
            if road >= path.first_road and path.lanes[road - path.first_road] == lane:
                return path
        path = _follow(self.lanes, road, lane)
        self._paths.append(path)
        return path


def successor(lanes: Sequence[Any], x: float, y: float) -> int:
    """Index of the lane that starts nearest to a map point."""
    distance = [math.hypot(lane.start[0] - x, -lane.start[1] - y) for lane in lanes]
    return int(np.argmin(distance))


def _follow(roads: list[list[Any]], road: int, lane_index: int) -> LanePath:
    pieces: list[FloatArray] = []
    taken = []
    for i in range(road, len(roads)):
        taken.append(lane_index)
        lanes = roads[i]
        lane = lanes[lane_index]
        n = max(2, round(lane.length))
        s = np.linspace(0.0, lane.length, n, endpoint=i + 1 == len(roads))
        centre = lane_points(lane, s, 0.0)
        shift = np.zeros(2)
        if i + 1 < len(roads):
            end = lane_points(lane, lane.length, 0.0)[0]
            lane_after = successor(roads[i + 1], *end)
            start = lane_points(roads[i + 1][lane_after], 0.0, 0.0)[0]
            shift = start - end
        # A lane that ends is left for its neighbour over its last metres.
        blend = np.clip(1.0 - (lane.length - s) / min(_BLEND, lane.length), 0.0, 1.0)
        blend = blend * blend * (3.0 - 2.0 * blend)
        centre = centre + blend[:, None] * shift
        width = lane.width_at(0)
        left_kind, right_kind = lane.line_types
        pieces.append(np.column_stack([
            centre, np.full(n, width / 2), np.full(n, (lane_index + 0.5) * width),
            np.full(n, (len(lanes) - lane_index - 0.5) * width),
            np.full(n, _painted(lanes, lane_index, left_kind)), np.full(n, right_kind != "none"),
        ]))
        if i + 1 < len(roads):
            lane_index = lane_after
    table = np.concatenate(pieces)
    road_of = np.repeat(np.arange(len(pieces)), [len(p) for p in pieces])
    keep = np.append(True, np.hypot(*np.diff(table[:, :2], axis=0).T) > 0.05)
    table, road_of = table[keep], road_of[keep]
    s_all = np.append(0.0, np.cumsum(np.hypot(*np.diff(table[:, :2], axis=0).T)))
    # The direction of the points themselves: it turns where one lane is left for another.
    dx, dy = (np.gradient(table[:, k], s_all) for k in (0, 1))
    heading = np.unwrap(np.arctan2(dy, dx))
    return LanePath(
        first_road=road, lanes=tuple(taken),
        road_starts=s_all[np.searchsorted(road_of, np.arange(len(pieces)))],
        s=s_all, x=table[:, 0], y=table[:, 1], heading=heading,
        curvature=np.gradient(heading, s_all), half_width=table[:, 2], edge_left=table[:, 3],
        edge_right=table[:, 4], marked_left=table[:, 5] > 0.5, marked_right=table[:, 6] > 0.5,
    )


def _painted(lanes: Sequence[Any], index: int, own_left: str) -> bool:
    # A lane's left line is painted as the right line of its neighbour.
    return bool((own_left if index == 0 else lanes[index - 1].line_types[1]) != "none")


def _blocks(
    road_map: Any, nodes: Sequence[str]
) -> Iterator[tuple[Any, int, int]]:
    """Blocks along a route in order, each with its first and last road."""
    block_of = {
        (a, b): block
        for block in road_map.blocks
        for a, ends in block.block_network.graph.items()
        for b in ends
    }
    roads = [block_of.get(pair) for pair in itertools.pairwise(nodes)]
    i = 0
    for block, group in itertools.groupby(roads, key=lambda b: b and b.block_index):
        last = i + len(list(group)) - 1
        if block is not None:
            yield roads[i], i, last
        i = last + 1


def _junctions(
    road_map: Any, nodes: Sequence[str], lanes: list[list[Any]], starts: FloatArray
) -> Iterator[Junction]:
    for block, i, last in _blocks(road_map, nodes):
        if block.ID in ("X", "T"):
            yield Junction(
                float(starts[i]), float(starts[last + 1]), _turn(lanes[i][0], lanes[last][0])
            )
        elif block.ID == "O":
            # The way in, then the exit: going round, a driver must know where to leave.
            yield Junction(float(starts[i]), float(starts[i + 1]), Turn.ROUNDABOUT)
            out = _last_right_bend(lanes, i + 1, last)
            yield Junction(float(starts[out]), float(starts[out + 1]), Turn.RIGHT)


def _turn(first: Any, last: Any) -> Turn:
    """Which way a driver turns who comes in on one lane and leaves on another."""
    turned = _wrapped(lane_heading(last, last.length) - lane_heading(first, 0.0))
    if abs(turned) < math.radians(30.0):
        return Turn.STRAIGHT
    return Turn.LEFT if turned > 0.0 else Turn.RIGHT


def _crossroads(
    road_map: Any, nodes: Sequence[str], starts: FloatArray
) -> Iterator[Crossroads]:
    graph = road_map.road_network.graph
    for block, i, last in _blocks(road_map, nodes):
        if block.ID not in ("X", "T", "O"):
            continue
        exits: dict[Turn, tuple[str, ...]] = {}
        for way in _ways_out(block.block_network.graph, nodes[i]):
            turn = _turn(graph[way[0]][way[1]][0], graph[way[-2]][way[-1]][0])
            if turn not in exits and way[-1] != nodes[last + 1]:
                exits[turn] = way
        taken = _turn(graph[nodes[i]][nodes[i + 1]][0], graph[nodes[last]][nodes[last + 1]][0])
        exits[taken] = tuple(nodes[i:])
        yield Crossroads(
            i, float(starts[i]), float(starts[last]), float(starts[last + 1]), taken, exits
        )


def _ways_out(graph: Mapping[str, Mapping[str, Any]], entry: str) -> list[tuple[str, ...]]:
    """Ways through a block from its entry to where its roads end, shortest first."""
    ways: list[tuple[str, ...]] = []
    open_: list[tuple[str, ...]] = [(entry,)]
    while open_:
        way = open_.pop(0)
        onward = [n for n in graph.get(way[-1], ()) if n not in way]
        if not onward and len(way) > 1 and not way[-1].startswith("-"):
            ways.append(way)
        open_ += [(*way, n) for n in onward]
    return ways


def _last_right_bend(lanes: list[list[Any]], first: int, last: int) -> int:
    for i in range(last, first, -1):
        if lane_heading(lanes[i][0], lanes[i][0].length) - lane_heading(lanes[i][0], 0.0) < -0.1:
            return i
    return last


def _wrapped(angle: float) -> float:
    return math.atan2(math.sin(angle), math.cos(angle))
