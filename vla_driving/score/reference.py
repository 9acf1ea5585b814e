"""docs/score.md, made from the tables in the code."""

from __future__ import annotations

from vla_driving.score import routes
from vla_driving.score.definitions import DEFINITIONS, rules
from vla_driving.score.drivers import POLICIES


def score_page() -> str:
    """The page."""
    maps = "\n".join(f"| {kind} | `{'`, `'.join(m)}` |" for kind, m in routes.MAPS.items())
    drivers = "\n".join(f"| `{name}` | {p.title} |" for name, p in POLICIES.items())
    figures = "\n".join(f"| {name} | {words} |" for name, words in DEFINITIONS)
    wishes = "\n".join(f"| {intent} | {rule} |" for intent, rule in rules())
    return _PAGE.format(
        maps=maps, drivers=drivers, figures=figures, wishes=wishes, first=routes.FIRST_SEED,
        left_out=_spans(routes.LOOKED_AT), behind=routes.INSTRUCTIONS_BEHIND,
    )


def _spans(numbers: tuple[int, ...]) -> str:
    spans: list[list[int]] = []
    for n in sorted(numbers):
        if spans and n == spans[-1][1] + 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    return ", ".join(f"{a} to {b}" if a != b else str(a) for a, b in spans)


_PAGE = """# Scoreboard

Made from `vla_driving/score/` by `make docs`.

```
make score                                                 # everything, about an hour
vla-driving score --routes 10 --seeds 10000:10100 --policy stack,idm --wordings 0
vla-driving score --model out/learning/run/pilot --out out/score_draft
```
It writes `out/score/score.json`, `index.html` with a film of every failure in `videos/`, and keeps
each drive below `drives/` under a key of sources, model, scene and settings: cut off or repeated,
it goes on from there, and what has changed is driven again. The folder needs no network to be read.

## In lock step
`score/loop.py` steps the vehicle's own cores, as shipped, with the simulated car: rendered picture,
camera_ingest with its health checks, reasoner, actor, safety monitor, controller bridge,
drive-by-wire; beside them radar, route, driver and heartbeats. No clock is read, so the same seed
gives the same drive. One process a core: MetaDrive has one world a process.

| driver | what it is |
|---|---|
{drivers}

## Routes
From a standing start, traffic 0.1 cars per 10 m of lane, kinds of map in turn by seed; everything
else follows from the seed. Seeds of {first} and above are never trained, tuned or selected on. Left
out, since they were looked at before: {left_out}.

| kind | MetaDrive's blocks |
|---|---|
{maps}

## What the figures mean

| figure | meaning |
|---|---|
{figures}

## Instructions
Wordings of the reasoner's files, trained and held out, each said once in a scene that suits it, of
seeds from {behind} behind the first of the routes on. Not followed is also what ends in an at-fault
collision or off the road.

| intent | counts as followed |
|---|---|
{wishes}
"""
