"""From verdicts to level and manoeuvre: a pure state machine.

The ladder is climbed at once. A stop is never softened: MINIMAL_RISK and EMERGENCY last until the
car stands or the driver has it. Whether a planned stop ends in the lane or at the edge of the road
is decided once, when it begins. DEGRADED lasts `degraded_hold` after its last cause. While the
driver drives nothing is under way: DEGRADED then says that something is amiss.

Bridging, exactly: a plan without a candidate that passes changes nothing by itself. The plan
approved last is followed on while (a) its `valid_until` and `plan_max_age` are at least `min_left`
away, so that the bridge never sees an approved plan end, and (b) it still passes the checks marked
"every step" against the newest objects. The step in which one of the two ends is the step in which
the stop begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.supervision import Engagement, Level, Manoeuvre
from vla_driving.safety.settings import ReactionSettings


@dataclass(frozen=True)
class Demand:
    """What this step asks for.

    `level`: the highest reaction of a failed check. `stop_is_free`: the planned stop touches
    nothing. `edge_is_free`: one that ends at the edge of the road is known to touch nothing.
    """

    level: Level
    stop_is_free: bool = True
    edge_is_free: bool = False


@dataclass(frozen=True)
class ArbiterState:
    """Level, manoeuvre, and when something last asked for DEGRADED or more."""

    level: Level = Level.NOMINAL
    manoeuvre: Manoeuvre = Manoeuvre.NONE
    degraded_ns: Nanoseconds | None = None


def step(
    state: ArbiterState,
    engagement: Engagement,
    demand: Demand,
    settings: ReactionSettings,
    now_ns: Nanoseconds,
) -> ArbiterState:
    """The state after one step; `engagement` is that of the same step."""
    if engagement in (Engagement.DISABLED, Engagement.PRE_ENABLED):
        level = Level.NOMINAL if demand.level == Level.NOMINAL else Level.DEGRADED
        return ArbiterState(level)
    if engagement == Engagement.STOPPED:
        return ArbiterState(Level.STOPPED, Manoeuvre.HOLD)
    if engagement == Engagement.MINIMAL_RISK:
        return _stopping(state, demand)
    if demand.level >= Level.DEGRADED:
        return ArbiterState(Level.DEGRADED, degraded_ns=now_ns)
    last_ns = state.degraded_ns
    held = last_ns is not None and age_s(last_ns, now_ns) < settings.degraded_hold
    return ArbiterState(Level.DEGRADED if held else Level.NOMINAL, degraded_ns=last_ns)


def _stopping(state: ArbiterState, demand: Demand) -> ArbiterState:
    hard = (
        demand.level >= Level.EMERGENCY
        or not demand.stop_is_free
        or state.manoeuvre == Manoeuvre.EMERGENCY_STOP
    )
    if hard:
        return ArbiterState(Level.EMERGENCY, Manoeuvre.EMERGENCY_STOP)
    begins = state.manoeuvre == Manoeuvre.NONE
    aside = state.manoeuvre == Manoeuvre.PULL_OVER or (begins and demand.edge_is_free)
    planned = Manoeuvre.PULL_OVER if aside else Manoeuvre.COMFORTABLE_STOP
    return ArbiterState(Level.MINIMAL_RISK, planned)
