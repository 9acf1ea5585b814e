"""Which roads are driven for which purpose: seeds, maps, traffic and things in the way.

Seeds below 10,000 teach, 10,000 to 10,999 select, 15,000 to 19,999 are the good drives that the
safety monitor must leave alone, from 20,000 on score; a scene follows from its seed alone, so
nothing that scores can have been taught, nor looked at while the monitor was made.
"""

from __future__ import annotations

import numpy as np

from vla_driving.simulation.scenario import PlacedObject, Scenario

TRAIN_SEEDS = range(10_000)
SELECT_SEEDS = range(10_000, 11_000)
SAFETY_SEEDS = range(15_000, 20_000)

MAPS = (
    "S", "C", "C", "CC", "SCS", "X", "X", "XC", "T", "T", "TC", "O", "O", "SO", "r", "R", "Sr",
    "SR", "y", "Y", "2", "3", "3", "4",
)
"""Straights, bends, crossings, T junctions, roundabouts, ramps, forks, and random blocks."""


def scene(seed: int) -> Scenario:
    """The scene of a seed."""
    chance = np.random.default_rng([seed, 1])
    lanes = int(chance.choice([1, 2, 2, 3, 3]))
    limit = float(chance.uniform(6.0, 14.0))
    start_lane = int(chance.integers(lanes))
    lane_width = float(chance.choice([3.25, 3.5, 3.5, 3.75]))
    standing = chance.random() < 0.4
    return Scenario(
        name=f"scene_{seed}",
        map=str(chance.choice(MAPS)),
        seed=seed,
        traffic_density=float(chance.choice([0.0, 0.03, 0.06, 0.1, 0.15])),
        traffic_speed=float(chance.uniform(5.0, 11.0)),
        lanes=lanes,
        start_lane=start_lane,
        lane_width=lane_width,
        start_speed=0.0 if standing else float(chance.uniform(2.0, limit)),
        speed_limit=limit,
        objects=_things(chance, lane_width),
    )


def _things(chance: np.random.Generator, lane_width: float) -> tuple[PlacedObject, ...]:
    kind = chance.choice(["none", "stopped", "beside", "crossing"], p=[0.5, 0.18, 0.12, 0.2])
    distance = float(chance.uniform(35.0, 140.0))
    if kind == "none":
        return ()
    if kind == "crossing":
        speed = float(chance.uniform(0.8, 1.9)) * float(chance.choice([-1.0, 1.0]))
        start = -float(np.sign(speed)) * float(chance.uniform(3.0, 7.0))
        trigger = float(chance.uniform(18.0, 45.0))
        return (PlacedObject("pedestrian", distance, start, 0.0, speed, trigger),)
    thing = str(chance.choice(["car", "car", "truck", "cone", "barrier", "pedestrian"]))
    lateral = float(chance.normal(0.0, 0.35))
    if kind == "beside":
        lateral = float(chance.choice([-1.0, 1.0])) * lane_width * float(chance.uniform(0.95, 1.5))
    return (PlacedObject(thing, distance, lateral, float(chance.normal(0.0, 0.15))),)
