"""Is the car still on its way? Navigation knows it to some metres, never to the lane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def off_route(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Distance in m of the car (the origin) from the way through (N,) points in base_link.

    Before its first point the way is carried on straight; 0 where fewer than two points lead
    nowhere, infinite where one of them is not finite.
    """
    points = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)])
    if points.shape[1] < 2:
        return 0.0
    if not np.isfinite(points).all():
        return float("inf")
    start, way = points[:, :-1], np.diff(points)
    along = -(start * way).sum(axis=0) / np.maximum((way**2).sum(axis=0), 1e-9)
    lowest = np.zeros(len(along))
    lowest[0] = -np.inf
    nearest = start + np.clip(along, lowest, 1.0) * way
    return float(np.hypot(*nearest).min())
