"""From sampled actions to candidates: samples that agree become one, as probable as they are many.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from vla_driving.contract.plan import MAX_CANDIDATES
from vla_driving.contract.trajectory import Trajectory, integrate
from vla_driving.vla.large.thought import Answer, ThoughtError

SAME_WAY = 2.0
"""m. Samples whose paths never part further belong together."""
UNCERTAINTY_AT = 19
"""Index of the point at 2 s, where Plan.uncertainty is stated."""


def candidates(answer: Answer, speed: float) -> tuple[tuple[Trajectory, ...], float]:
    """Candidates from `speed` m/s on, best first, and the spread of all samples at 2 s, m.

    Each group is shown by its medoid, a trajectory that the model has drawn; a mean of two ways
    round an obstacle would lead through it. Raises ThoughtError.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        paths = [
            integrate(speed, a, k)
            for a, k in zip(answer.acceleration, answer.curvature, strict=True)
        ]
    if not paths:
        raise ThoughtError("no samples")
    if not all(np.isfinite(array).all() for path in paths for array in path.arrays()):
        raise ThoughtError("samples lead to a trajectory that is not finite")
    points = np.stack([np.stack([p.x, p.y], 1) for p in paths]).astype(np.float64)
    apart = np.hypot(*np.moveaxis(points[:, None] - points[None], -1, 0))  # (K, K, 64)
    groups = _groups(apart.max(axis=2))
    shown = [_medoid(apart.mean(axis=2), group) for group in groups]
    at = points[:, UNCERTAINTY_AT]
    spread = float(np.sqrt(((at - at.mean(axis=0)) ** 2).sum(axis=1).mean()))
    found = tuple(
        dataclasses.replace(paths[k], probability=len(group) / len(paths))
        for k, group in zip(shown, groups, strict=True)
    )
    return found[:MAX_CANDIDATES], spread


def _groups(apart: np.ndarray) -> list[list[int]]:
    """Largest first: the sample with most others near takes them, then the next of the rest."""
    left = list(range(len(apart)))
    groups = []
    while left:
        near = {k: [m for m in left if apart[k, m] <= SAME_WAY] for k in left}
        group = max(near.values(), key=len)
        groups.append(group)
        left = [k for k in left if k not in group]
    return groups


def _medoid(apart: np.ndarray, group: list[int]) -> int:
    return min(group, key=lambda k: float(apart[k, group].sum()))
