"""The page docs/faults.md, made from the table."""

from __future__ import annotations

from vla_driving.replay.faults.table import FAULTS, SAFE_COMMAND, FaultCase, Figure, Reaction

_HEAD = """# Faults

Made from `vla_driving/replay/faults/table.py` by `make docs`.

`make faults` starts the real processes, simulator with rendering and event recorder included, and
injects every fault of the table below, again and again, while the stack drives the simulated car at
8 m/s or more. It writes `out/faults.json` and ends non-zero where one fault was not detected as
expected, had another reaction, was answered too late, or has fewer runs than it should.

```
vla-driving faults                                  # all, about 40 minutes
vla-driving faults --fault killed --runs 50         # those with the word in their name
vla-driving faults --quick                          # one run of each
```

Each run is kept in `out/faults/runs.jsonl` when it is over: started again, the campaign goes on
where it was, as long as sources, configuration and options are the same (`--anew` forgets what is
kept). It shows the time that is left, ends by itself after `--minutes` at the latest, and leaves a
fault out that cannot be set up.

The doer runs in one process, as it does unless told otherwise; the faults of `camera_ingest` and
`vla_inference` alone come at the end, with the two in a process each.

## How it is measured

- **Where faults come in.** Plans, approved plans, commands, vehicle states, object lists and images
  pass a relay that hands the bytes on as they are until it is told to spoil them
  (`nodes/fault_relay.py`). What it costs is printed at the end, and is part of every time. Nodes
  are killed, stopped and delayed by signals; the clock of all processes jumps through a preloaded
  library, the machine's own stays.
- **When a fault begins**: column *begins*. Never later than its first effect: a camera is lost from
  the moment after which no image passes, not from when the next one is due.
- **Detection**: the first event of warning or worse that bears one of the expected names, or the
  gateway's fault in the vehicle state, at its arrival.
- **First alarm**: the first event of warning or worse at all, where another check was faster.
- **First safe command**, at its arrival from `controller_bridge`, by reaction:
{safe}
- **A bad plan is no reason to stop at once.** It is refused on arrival and never followed, which is
  the safe command; the path approved before it was judged by every check, is looked at again in
  every step against the newest objects, and ends 0.5 s after its frames were exposed
  (`vla_inference.plan_validity`). Where the next plan is bad, too, the car begins to stop before
  that path ends (`stop_ms`, some 0.25 s after the first bad plan, when the second or third was
  refused); where it is good, the car has not braked for a picture that went wrong once. A plan that
  shows something in the way is not refused but believed: the car stops at once, and for *plan
  collides* that stop is the safe command.
- **Distance to standstill**: from the beginning of the fault, by the car's own speed before
  anybody altered it; in the first runs of each fault, the others are cut short after the first
  safe command.
- **p99** is the smallest measured value that 99 % of the runs do not exceed: of 50 the largest.
- A run that could not be set up (the car did not get to speed) is done again and counted in
  `repeated`; it never counts as passed.

## Figures

| figure | runs | fault to first safe command, p99 |
|---|---|---|
{figures}

## Table

| fault | begins | detected as one of | reaction | first safe command within | runs |
|---|---|---|---|---|---|
"""
_TAIL = """
## What is not covered

- A stalled main loop whose threads live on is detected (no heartbeat after 0.5 s), but not
  injected: no signal stops one thread of a process.
- The simulated car's gateway stands for the vehicle's; a real one has its own supervision.
- The simulator is the car: its own death is the loss of vehicle state and camera at once.
- Both speed sources wrong in the same way are not found; docs/safety.md says so, too.
"""


def faults_page() -> str:
    """docs/faults.md."""
    safe = "\n".join(f"  - *{r.value}*: {SAFE_COMMAND[r]}." for r in Reaction)
    figures = "\n".join(
        f"| {f.value} | {sum(c.runs for c in FAULTS if c.figure == f)} | {f.limit_ms:.0f} ms |"
        for f in Figure
    )
    head = _HEAD.replace("{safe}", safe).replace("{figures}", figures)
    return head + "\n".join(map(_line, FAULTS)) + "\n" + _TAIL


def _line(case: FaultCase) -> str:
    names = ", ".join(f"`{name}`" for name in case.detected_as)
    limit = f"{case.limit_ms:.0f} ms" if case.reaction != Reaction.NONE else ""
    return (
        f"| {case.name} | {case.start.value} | {names} | {case.reaction.value} | {limit} "
        f"| {case.runs} |"
    )
