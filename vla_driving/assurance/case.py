"""docs/safety_case.md, made from the tables of hazards, requirements, checks, faults and tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from vla_driving.assurance.hazards import HAZARDS
from vla_driving.assurance.links import Link, links
from vla_driving.assurance.requirements import REQUIREMENTS, Requirement
from vla_driving.replay.faults.table import FAULTS
from vla_driving.safety.checks import CHECKS

_HEAD = """\
# Safety case

Made from `vla_driving/assurance/` and the marks of the tests by `make docs`.

Why the safety monitor and the controller bridge may be trusted with the brakes, as far as that
can be shown here: hazards, what must be done about them, and what shows that it is done. It is
an argument in the manner of ISO 26262 and ISO 21448, written by those who wrote the code. Nobody
independent has assessed it, and the ratings are our own: **it permits no driving on public
roads.**

## What is argued

*The item* is the stack between cameras and vehicle: a learned model that proposes
(`vla_inference`), a checker (`safety_monitor`), a last gate (`controller_bridge`), and the car's
own gateway, in a car within the limits of `config/vehicles/`, with a driver who supervises (L2).

*The argument* does not rest on the model. Whatever it proposes,

1. only plans that pass every check are followed, and only as long as they pass (SR-02 to SR-09);
2. what the checks rely on is itself watched, and its loss ends in a stop (SR-10 to SR-15);
3. the stop needs neither model nor camera nor, at the last, the monitor (SR-16, SR-17), and
   cannot be skipped, softened or missed (SR-18, SR-19);
4. no command leaves the envelope of the actuators, whatever all of the above does (SR-01);
5. the driver has the last word (SR-20 to SR-22, SR-26).

*What shows it*: each requirement has tests that are marked with it. `make test` fails where one
of them fails, where a requirement has no test that passes, or where a check belongs to no
requirement; `make lint` where the tables and this page differ. Beyond tests:

| evidence | command | result |
|---|---|---|
| proofs by an SMT solver: the stack's own functions run on unknown numbers | `make test` | \
`proofs` in `out/safety.json` |
| every fault injected into the real processes | `make faults` | `out/faults.json` |
| random, adversarial and mutated inputs | `make fuzz` | `out/safety/fuzz.json` |
| mutants of the code that the tests must find | `make mutation` | `out/safety/mutation.json` |
| good simulated drives that must be left alone | `python -m vla_driving.assurance.good_drives` | \
`out/safety/good_drives.json` |
| all figures together | `make safety` | `out/safety.json` |
"""

_PROOFS = """\
## What is proved, and how

The proofs run the very functions that drive (symbolic execution, `test/assurance/symbolic.py`):
nothing is modelled by hand. They hold for every car that `VehicleParameters` allows, every input
and every state before, by induction over steps.

- **Envelope** (`control/envelope.py`): angle, rate, acceleration and jerk of every output,
  lateral acceleration and lateral jerk at the speed given, whatever the demand (not a number
  included), the clock and the period.
- **Stop of the monitor** (`safety/braking.py`): deceleration, time and distance to standstill
  as `Braking` states them; at most 4.0 m/s² where planned.
- **Stop of the bridge** (`control/stop.py` behind the envelope): always brakes, reaches
  standstill in bounded time.
- **Engagement and arbiter** (`safety/engagement.py`, `safety/arbiter.py`): the whole transition
  relation is extracted from the code; from every state a lasting fault leads to a stop, none is
  skipped or softened, only the driver engages, and the driver wins at once.

Every proof is also run on code that was broken on purpose, and must then fail. What is proved
holds for real numbers; that floats stay within 1e-5 of it is tested by random inputs. Tangent,
arc tangent and root are known to the solver by what they satisfy (monotone, odd, inverse of each
other). `speed_profile` works on arrays and is tested, not proved, to be the recursion that is
proved. A car is assumed to do what it is asked; that it does is what SR-15 watches.
"""

_TRIED = """\
## What is tried

**Fuzzing.** `make fuzz` drives monitor and bridge as they are, chained, over short closed-loop
drives that are engaged and under way, with an adversary on the wires. *A case is one message
(plan, vehicle state, object list or, on the link to the bridge, approved plan) that the adversary
made or altered and that arrived*; a plan of several candidates is one case. Kinds
(`assurance/fuzzing/adversary.py`): not finite, shifted, teleporting, mirrored, scaled, cut or
overlong arrays, flipped bits, other actions, numbers and stamps, validity, plans spliced of two,
sound motions at and beyond the limits, drifts, objects on and about the path, lying speeds, pedals
and buttons, jumps of the clock; with the right checksum, or a wrong one; object lists crowded,
emptied, restamped, unsigned or absent; approved plans lost, late, altered, forged, renumbered or
from a second publisher. An oracle that knows the car's limits and nothing of the code
(`assurance/fuzzing/oracle.py`) judges every approved plan and every command. What it finds wrong
is reduced to the attacks that it takes and kept in `out/safety/escapes/`; `python -m
vla_driving.assurance.fuzz --repeat FILE` shows it again. `--cases`, `--seed` and `--minutes` say
how long. The same seed tries the same drives. At a speed that is lied about in both sources alike,
angle and rates are still kept, lateral acceleration is kept for the speed that was told.

**Mutation.** `make mutation` changes one thing in one function of `safety/` or of the envelope (a
sign, a bound, a condition, an argument, a word: the operators of mutmut) and asks whether a test of
`test/safety` or `test/control` fails. The score is the share of changes that are found; survivors
are listed in `out/safety/mutation.json` with their difference, and with a reason where they do the
same as the original (`test/safety/equivalent_mutants.toml`). A change that is not found within
`--budget` seconds of tests, the quickest first, has survived: the score is a lower bound.
`--sample N` judges a random sample and gives a 95 % interval, `--only arbiter` some files. A run
that was ended goes on where it was. Statements outside of functions (the lambdas in the tables of
checks and transitions) are not mutated: tests hold the tables against the documentation, and the
transitions are proved.
"""

_TAIL = """\
## What is assumed

- **AS-1** The vehicle's gateway obeys only whole and new commands, lets the driver win, and
  brakes by itself when commands end. The simulator's gateway does; each car's must be shown to.
- **AS-2** `vehicle/state` comes from sensors that share no fault with each other: two speeds,
  yaw rate and accelerometer. What all of them get wrong alike is not found.
- **AS-3** The independent object list (radar or any detector) shares nothing with the camera's
  model and reports at least what stands or drives on the path within 30 m.
- **AS-4** The brakes give `emergency_deceleration` on the road the car is on. Ice and a wet
  downhill road do not keep that; the limits of the car's file must.
- **AS-5** The driver reads the alert line, and driver monitoring reports eyes and hands rightly.
- **AS-6** Operating system and hardware give the processes their time. Where they do not,
  deadlines are missed, which is noticed (SR-10, SR-12); that the noticing itself runs is the
  gateway's part.
- **AS-7** The messages' checksums find accidents, not attackers: the network is closed.

## What is not covered

- No independent assessment, no qualification of tools, no hardware metrics, no analysis of
  common causes below the level of processes: monitor and bridge share machine, kernel and DDS
  library.
- What neither the model's scene nor the independent list holds does not exist for the monitor.
  Lines, edges and lights come from the model alone: where it misses them, SR-07 and SR-09 do
  nothing.
- Objects are assumed to keep their speed along the path; who turns into the path late is met
  when he does. Counterfactuals are two: the one ahead brakes fully, a neighbour cuts in.
- Good driving (SR-25) is a simulator's: MetaDrive's roads and traffic, driven by a planner that
  knows the truth. It bounds false interventions there, not on roads. Where the monitor refuses its
  first choice, that planner offers to give way; a model that does not is stopped more often. A
  drive is set aside where it was no calm one by hindsight; `out/safety/good_drives.json` lists
  each, and each that the monitor made worse. A car that turns is taken to go straight on: a stop
  for it may end in the way that it then takes, and the simulator's traffic does not yield.
- Faults are injected one at a time.
- The stop in lane is not always the safest place; pulling over needs an edge known to be free
  until standstill, and so a speed from which a planned stop takes no longer than is foreseen.
"""


def case_page(root: Path) -> str:
    """docs/safety_case.md for the source tree `root`."""
    found = links(root / "test")
    parts = [_HEAD, "## Hazards", "", *_hazards(), "", _PROOFS, _TRIED, "## Requirements"]
    for row in REQUIREMENTS:
        parts += ["", *_requirement(row, found)]
    return "\n".join([*parts, "", _TAIL])


def _hazards() -> Iterator[str]:
    yield "Severity S, exposure E and controllability C as in ISO 26262-3; the class follows from"
    yield "them. It says how much effort a hazard is worth, not that this effort was made."
    yield ""
    yield "| | hazard | S | E | C | class | goal | answered by |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in HAZARDS:
        answers = ", ".join(r.identity for r in REQUIREMENTS if row.identity in r.hazards)
        yield (
            f"| {row.identity} | {row.what} | {row.severity}: {row.severity_why} "
            f"| {row.exposure}: {row.exposure_why} "
            f"| {row.controllability}: {row.controllability_why} | {row.integrity} | {row.goal} "
            f"| {answers} |"
        )


def _requirement(row: Requirement, found: Sequence[Link]) -> Iterator[str]:
    yield f"### {row.identity}"
    yield ""
    yield row.text
    yield ""
    yield f"- hazards: {', '.join(row.hazards)}"
    checks = [check.name for check in CHECKS if row.covers(check.name)]
    if checks:
        yield f"- checks: {_code(checks)}"
    yield f"- tests: {', '.join(_tests(row, found)) or '**none**'}"
    if faults := _faults(row, checks):
        yield f"- faults injected: {', '.join(faults)}"
    if row.figures:
        yield f"- figures in `out/safety.json`: {_code(row.figures)}"


def _tests(row: Requirement, found: Sequence[Link]) -> Iterator[str]:
    for path in dict.fromkeys(link.path for link in found):
        mine = [k for k in found if k.path == path and row.identity in k.identities]
        if any(not link.name for link in mine):
            yield f"`{path}`"
        elif mine:
            yield f"`{path}` ({', '.join(link.name for link in mine)})"


def _faults(row: Requirement, checks: Sequence[str]) -> list[str]:
    def shows(pattern: str) -> bool:
        return any(fnmatchcase(name, pattern) for name in checks) or any(
            fnmatchcase(pattern, mine) for mine in row.faults
        )

    return [fault.name for fault in FAULTS if any(map(shows, fault.detected_as))]


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
