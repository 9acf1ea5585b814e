"""docs/safety.md, made from the tables of the room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.contract.supervision import Level
from vla_driving.contract.vehicle import load_vehicle
from vla_driving.safety.checks import CHECKS
from vla_driving.safety.checks.table import CandidateCheck, Group, Limits, StateCheck
from vla_driving.safety.engagement import TRANSITIONS
from vla_driving.safety.settings import SafetyMonitorSettings

_HEAD = """\
# Safety monitor

Made from the tables in `vla_driving/safety/` by `make docs`.

The checker of the doer-and-checker pair. The model is never trusted: the monitor shares no
process, no model and no weights with it, judges each plan by the checks below, and drives the
car to a stop by itself where nothing can be approved. Its core is `SafetyMonitor.step(inputs,
now)`: no clock, no I/O, no thread, no exception; what arrived goes in, an approved plan with its
checksum, the verdict of every check and events come out. It runs at 50 Hz, and at once when a
plan arrives.

## Which plan is approved

A plan's candidates are judged best first. The first without a failure is approved; if none is,
the first whose failures ask for no more than DEGRADED is approved with a speed cap. A plan that
jumps sideways is refused until the next one confirms it.

A plan of which nothing can be approved changes nothing by itself: the plan approved last is
followed on until `min_left` before its `valid_until` and `plan_max_age`, if it passes the checks
marked "every step" against the newest objects (a foreseen collision counts after
`collision_confirm`, one that asks for an emergency stop at once). In the step in which that
ends, the stop begins.

A car that stands waits instead: where the world around is all that speaks against the plan, it is
held with its brakes (DEGRADED, "waiting") for as long as plans keep coming and nothing else fails,
and drives on with the next plan that is approved. Nothing was stopped, so nobody need engage again.

Objects of the model's scene and of the independent list are both held against the plan. Each
keeps its speed along and across the path of the plan, so that in a bend a car in the next lane
stays in the next lane. A contact counts unless it comes from behind or while the car stands.

Two worst cases are held against the plan as well. *The one ahead brakes fully*
(`lead_deceleration`): `worst_case_preview` from now, the plan must have the gap in which full
braking, `answer_time` later, stops this car behind it. *A neighbour cuts in*: whoever drives the
same way in reach of `cut_in_lateral_speed` may start now; full braking, or driving on past it, must
leave a difference of speed of at most `max_cut_in_impact` at the contact. That limit is this
project's own choice, no standard sets one: were it 0, no car could pass a slower queue in the next
lane at all; at 4 m/s two cars of one weight change their speed by 2 m/s (7 km/h) each, in a contact
that takes a neighbour who pulls out without looking. Both ask for a lower
speed, the one at which they pass. Too short a gap (`headway`) asks for nothing where the plan by
itself slows as a cap would: that is the proper response.

An object on the path that only one of the two sources holds, within a comfortable stop's way and
`max_unseen`, asks for a slow speed once it lasts.

Every message but the signs of life carries a checksum and, requests apart, a number and a stamp:
one that does not fit, is not finite or lies in the future is refused and told at once, and the one
before stays in force. Signs of life say nothing but that they came. Pixels are not looked at: the
health of the cameras has its own small topic. A camera whose picture is missing or stale in one
set slows the car down (`camera_late`), in two sets in a row it stops the car (`camera_health`).
A second publisher on a topic of the car's control is
counted in the graph of nodes ten times a second, by the bridge for approved plans too.

## The ladder

| level | what happens | ends |
|---|---|---|
| NOMINAL | the plan is approved | |
| DEGRADED | approved with a cap, brought down at `cap_deceleration`: `degraded_speed`, or the \
highest at which distances, limits and instruction are kept where only these fail | \
`degraded_hold` after the last cause |
| MINIMAL_RISK | comfortable stop along the last approved path, in lane or at the edge of the \
road, hazard lights | at standstill, or when the driver takes over |
| EMERGENCY | the same with full braking; also where the comfortable stop would touch something \
| as above |
| STOPPED | held with the brakes on, hazard lights | when the driver engages or drives off |

A stop is never softened and never ends in driving on. It needs the last approved path and the
vehicle state alone; without a path it goes where the wheels point, without vehicle states it
follows the profile it began with until the bridge's own supervision takes over. No planned stop
brakes harder than 4.0 m/s², not even where the plan before did (UN R157 section 5.5).

When it begins, the stop turns to the edge of the road (`pull_over.side`) where that is known: a
road edge of the plan approved last, along the whole stop and within `max_edge_distance` of the
path, so that no lane lies between; both object lists younger than `max_age` and nothing of them in
the way until standstill; standstill within the 6.4 s for which they are foreseen (with
`comfort_deceleration` 2 m/s² and `max_jerk` 5 m/s³ from 12 m/s at most); and a shift that the
lateral limits allow. Anything missing, it stays in its lane. Stopping at the edge is decided once;
should something come into the way, the car brakes fully where it is.

The driver of an L2 car is told after `eyes_off_info` or `hands_off_info`, told louder after
`…_warning`, and asked to take over after `…_limit`; after `max_hand_overs` of these the car does
not engage again until it is started anew. L4 asks for no driver.

## Verdicts

PASS, WARN (near the limit, or not yet confirmed), FAIL, NOT_INITIALISED (the input never came),
STALE (too old), INVALID (malformed). A check that raises an exception has failed. A message that
is refused leaves the one before it in force. No check can be switched off; `*_required: false`
says that the car has no such source at all, and one that has spoken once is supervised from then
on.
"""

_TAIL = """\

## What is not covered

- The monitor sees the world through the scene of the model and one object list. What neither holds,
  it does not know; lines, edges and signals come from the model alone.
- It believes the vehicle state within the limits above. A speed that both sources get wrong in the
  same way is not found.
- Objects are assumed to keep their velocity along the path, or straight on where the plan announces
  to leave its lane or crosses a lane line that it knows; the two worst cases above come on top. An
  oncoming car that swerves, a parked one that drives off and a pedestrian who steps out are met
  when they have begun to. A plan that swerves unannounced where the model sees no lines is found
  when it jumps, or when the outlines come near each other.
- A message behind which a person sits who knows the checksum is believed: it guards against faults,
  not against attacks.
- A vehicle state that is frozen while it reports constant motion, with every number at rest, looks
  like constant motion.
- Light and visibility are what the cameras' health says of them; rain on the road is not known, and
  full braking is taken to be `emergency_deceleration` of the car.
- Whether a lane lies between the path and the edge is judged by their distance alone; an emergency
  lane as wide as a lane is not used. What drives up from behind beside the lane, a bicycle at the
  edge, is seen only where the object lists reach there.
- Roads that bend by more than a right angle within the plan are not compared with the plan before.
"""


def safety_page(limits: Limits) -> str:
    """docs/safety.md with the limits of one configuration."""
    parts = [_HEAD, "", "## Engagement", "", *_transitions()]
    parts += ["", f"## Checks ({len(CHECKS)})", "", *_introduction(limits)]
    for group in Group:
        parts += ["", f"### {group.value.capitalize()}", "", *_checks(group, limits)]
    return "\n".join([*parts, _TAIL])


def shipped_limits(root: Path) -> Limits:
    """Limits as shipped: config/stack.yaml and the default car, under the source tree `root`."""
    stack = read_yaml(root / "config/stack.yaml")
    settings = from_mapping(
        SafetyMonitorSettings, stack["safety_monitor"]["ros__parameters"], "config/stack.yaml"
    )
    return Limits(settings, load_vehicle(root / "config/vehicles/default.yaml"))


def _transitions() -> Iterator[str]:
    yield "In each state the first row whose condition holds is taken, one a step."
    yield ""
    yield "| from | to | when |"
    yield "|---|---|---|"
    for row in TRANSITIONS:
        yield f"| {row.source.name} | {row.target.name} | {row.when} |"


def _introduction(limits: Limits) -> Iterator[str]:
    yield f"Limits are those of `config/stack.yaml` and of the car `{limits.vehicle.name}`."
    yield "*Hand-over* asks the driver to take over while the plan is still followed; after"
    yield "`soft_disable` the car stops. What is *reported* changes nothing by itself."


def _checks(group: Group, limits: Limits) -> Iterator[str]:
    yield "| check | inputs | passes | confirmed after | severity | reaction | source |"
    yield "|---|---|---|---|---|---|---|"
    for check in CHECKS:
        if check.group == group:
            yield (
                f"| `{check.name}` | {check.inputs} | {_limit(check, limits)} "
                f"| {_confirmed(check, limits)} | {check.severity.name} | {_reaction(check)} "
                f"| {check.source} |"
            )


def _limit(check: StateCheck | CandidateCheck, limits: Limits) -> str:
    sign = "≥" if check.at_least else "≤"
    return f"{sign} {check.limit(limits):.3g} {check.unit}".strip()


def _confirmed(check: StateCheck | CandidateCheck, limits: Limits) -> str:
    if isinstance(check, CandidateCheck) and check.always:
        return "every step"
    return f"{check.confirm(limits):g} s" if check.confirm else ""


def _reaction(check: StateCheck | CandidateCheck) -> str:
    reported = check.reaction == Level.NOMINAL
    words = "reported" if reported else check.reaction.name
    return f"{words}, hand-over" if check.hand_over else words
