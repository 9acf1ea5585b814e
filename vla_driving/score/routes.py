"""Which routes are driven for the score: a scene follows from its seed, map kind and traffic.

Seeds of 20,000 and above are kept for this alone: nothing is trained, tuned or selected on them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from vla_driving.simulation.scenario import Scenario

MAPS = {
    "straight": ("SS",),
    "curve": ("CC",),
    "crossing": ("SX",),
    "t_junction": ("ST",),
    "roundabout": ("SO",),
    "ramps": ("Sr", "SR"),
    "fork_merge": ("SY", "Sy"),
    "random": ("3",),
}
"""MetaDrive's blocks of each kind, the first of them seen from afar; 3 is that many random ones."""

FIRST_SEED = 20_000
LOOKED_AT = (*range(20_006, 20_010), *range(20_100, 20_171))
"""Driven before for other purposes; the score leaves them out."""
INSTRUCTIONS_BEHIND = 900
"""Seeds of the scenes with instructions, behind the first of the routes."""
TRAFFIC = 0.1
"""Cars per 10 m of lane."""


def kind_of(seed: int, kinds: Sequence[str]) -> str:
    """The kind of map a seed drives: all kinds in turn."""
    return kinds[seed % len(kinds)]


def route(seed: int, kind: str, traffic: float = TRAFFIC) -> Scenario:
    """The scene of a seed on a kind of map, from a standing start."""
    chance = np.random.default_rng([seed, 31])
    lanes = int(chance.choice([2, 2, 3]))
    return Scenario(
        name=f"{kind}_{seed}",
        map=str(chance.choice(MAPS[kind])),
        seed=seed,
        traffic_density=traffic,
        traffic_speed=float(chance.uniform(5.0, 11.0)),
        lanes=lanes,
        start_lane=int(chance.integers(lanes)),
        lane_width=float(chance.choice([3.25, 3.5, 3.5, 3.75])),
        speed_limit=float(chance.uniform(8.0, 14.0)),
    )


def seeds(first: int, beyond: int | None = None) -> Iterator[int]:
    """Seeds from `first` on, to before `beyond`, without those looked at."""
    numbers = itertools.count(first) if beyond is None else iter(range(first, beyond))
    return (seed for seed in numbers if seed not in LOOKED_AT)
