"""What of the drive the reasoner goes by: motion, lane, who is ahead, route. From the stack's own
messages, so nothing here is truer than what the model reports."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.navigation import Route
from vla_driving.contract.plan import Plan
from vla_driving.contract.scene import LaneLine, LaneLineKind, SceneObject
from vla_driving.contract.supervision import SafetyState
from vla_driving.contract.vehicle import VehicleState
from vla_driving.vla.reasoning import object_in_the_way

NEAR_M = 8.0
"""m ahead, where lane lines tell the car's place in its lane."""
LEAST_WIDTH, MOST_WIDTH = 2.0, 6.0
"""m between the two lines of a lane that are believed."""
LONGEST_GAP_S = 2.0
"""Without lane lines for longer, the count of lanes starts anew."""
LONGEST_STEP_S = 0.5
ROUTE_AGE_S = 3.0
PLAN_AGE_S = 1.0


@dataclass(frozen=True)
class LanePlace:
    """Lanes moved to the left since the count began (a fraction within a lane), m off the centre
    of the present lane (left positive), and the count's number: another one begins from nothing."""

    lanes: float
    off_centre: float
    count: int


class Situation:
    """Follows the drive; every member is the newest known, None where nothing is."""

    def __init__(self) -> None:
        self.state: VehicleState | None = None
        self.plan: Plan | None = None
        self.route: Route | None = None
        self.safety: SafetyState | None = None
        self.driven = 0.0
        """m since the start."""
        self.turned = 0.0
        """rad to the left since the start."""
        self.lane: LanePlace | None = None
        self.still_since_ns: Nanoseconds | None = None
        self._lane_ns: Nanoseconds = 0

    def take_state(self, state: VehicleState) -> None:
        """Take a vehicle state in; one that is not newer or not finite is left out."""
        if not all(map(math.isfinite, (state.speed, state.yaw_rate, state.acceleration))):
            return
        last = self.state
        if last is not None:
            step = (state.stamp_ns - last.stamp_ns) / SECOND
            if step <= 0.0:
                return
            if step < LONGEST_STEP_S:
                self.driven += 0.5 * (state.speed + last.speed) * step
                self.turned += 0.5 * (state.yaw_rate + last.yaw_rate) * step
        self.state = state
        if abs(state.speed) > STANDING_SPEED:
            self.still_since_ns = None
        elif self.still_since_ns is None:
            self.still_since_ns = state.stamp_ns

    def take_plan(self, plan: Plan) -> None:
        """Take a plan in."""
        self.plan = plan
        self._follow_lane(plan)

    @property
    def speed(self) -> float:
        """m/s; 0 where nothing is known."""
        return self.state.speed if self.state else 0.0

    def stood_s(self, now_ns: Nanoseconds) -> float:
        """For how long the car has stood, s."""
        since = self.still_since_ns
        return 0.0 if since is None else max(0.0, (now_ns - since) / SECOND)

    def speed_limit(self, now_ns: Nanoseconds) -> float | None:
        """Of the route, m/s; None where it is not known."""
        route = self.route_at(now_ns)
        limit = route.speed_limit if route else 0.0
        return limit if math.isfinite(limit) and limit > 0.0 else None

    def route_at(self, now_ns: Nanoseconds) -> Route | None:
        """The route, where it is fresh."""
        if self.route is None or (now_ns - self.route.stamp_ns) / SECOND > ROUTE_AGE_S:
            return None
        return self.route

    def fresh_plan(self, now_ns: Nanoseconds) -> Plan | None:
        """The plan, where it is fresh."""
        if self.plan is None or (now_ns - self.plan.stamp_ns) / SECOND > PLAN_AGE_S:
            return None
        return self.plan

    def lead(self, now_ns: Nanoseconds) -> SceneObject | None:
        """Whoever the model reports in the way of its plan."""
        plan = self.fresh_plan(now_ns)
        if plan is None or not plan.candidates:
            return None
        return object_in_the_way(plan.candidates[0], plan.objects)

    def beyond_line(self, left: bool, now_ns: Nanoseconds) -> float | None:
        """m of road between a line of our lane and the road's edge; None where it is not seen."""
        plan = self.fresh_plan(now_ns)
        if plan is None:
            return None
        kinds = (
            (LaneLineKind.LANE_LEFT, LaneLineKind.ROAD_EDGE_LEFT) if left
            else (LaneLineKind.LANE_RIGHT, LaneLineKind.ROAD_EDGE_RIGHT)
        )
        line, edge = (_offset(plan.lane_lines, kind) for kind in kinds)
        if edge is None or line is None:
            return None
        return edge - line if left else line - edge

    def to_right_edge(self) -> float | None:
        """m from the car's middle to the right edge of the road."""
        edge = _offset(self.plan.lane_lines, LaneLineKind.ROAD_EDGE_RIGHT) if self.plan else None
        return None if edge is None else -edge

    def _follow_lane(self, plan: Plan) -> None:
        """A line crossed makes the next lane the present one: its centre jumps by one width."""
        left = _offset(plan.lane_lines, LaneLineKind.LANE_LEFT)
        right = _offset(plan.lane_lines, LaneLineKind.LANE_RIGHT)
        if left is None or right is None or not LEAST_WIDTH < left - right < MOST_WIDTH:
            return
        width, centre = left - right, 0.5 * (left + right)
        gone_s = (plan.stamp_ns - self._lane_ns) / SECOND
        self._lane_ns = plan.stamp_ns
        if self.lane is None or not 0.0 <= gone_s < LONGEST_GAP_S:
            count = self.lane.count + 1 if self.lane else 0
            self.lane = LanePlace(-centre / width, -centre, count)
            return
        moved = -(centre + self.lane.off_centre) / width
        # Centre from -w/2 to +w/2: the lane to the left became ours.
        moved += round(-moved)
        self.lane = LanePlace(self.lane.lanes + moved, -centre, self.lane.count)


STANDING_SPEED = 0.15
"""m/s"""


def _offset(lines: tuple[LaneLine, ...], kind: LaneLineKind) -> float | None:
    """m to the left of the car, of the nearest stretch of a line."""
    for line in lines:
        if line.kind == kind and len(line.x) and float(line.x[0]) <= NEAR_M:
            return float(line.y[0])
    return None
