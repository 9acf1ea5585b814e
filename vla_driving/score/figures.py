"""From single drives to the figures of a policy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vla_driving.score.track import Track, along_at

Row = Mapping[str, Any]
"""A `drive.Drive` as read from its file."""
Z95 = 1.959964


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); 0 to 1 where nothing was tried."""
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, Z95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * math.sqrt(
        share * (1 - share) / trials + z2 / (4 * trials**2)
    )
    return max(0.0, middle - half), min(1.0, middle + half)


def figures(drives: Sequence[Row], teacher: Mapping[int, Row]) -> dict[str, Any]:
    """All figures of one policy; `teacher` holds the teacher's drives of the same seeds."""
    trials, good = len(drives), sum(d["success"] for d in drives)
    km = sum(d["distance_m"] for d in drives) / 1000.0
    contacts = [c for d in drives for c in d["collisions"]]
    interventions = [i for d in drives for i in d["watch"]["interventions"]]
    spans = sum(d["spans"] for d in drives)
    broken: Counter[str] = sum((Counter(d["broken"]) for d in drives), Counter())
    at_fault = sum(c["at_fault"] for c in contacts)
    by_check = Counter(i["check"] or "hand over" for i in interventions)
    progress = [p for d in drives if (p := _progress(d, teacher)) is not None]

    def per_100km(count: int) -> float | None:
        return round(100.0 * count / km, 2) if km else None

    return {
        "routes": trials,
        "success": round(good / trials, 4) if trials else None,
        "success_ci95": [round(v, 4) for v in wilson(good, trials)],
        "route_completion": _mean([d["completion"] for d in drives]),
        "km": round(km, 3),
        "collisions": len(contacts),
        "collisions_per_100km": per_100km(len(contacts)),
        "at_fault_collisions": at_fault,
        "at_fault_collisions_per_100km": per_100km(at_fault),
        "collisions_by_contact": dict(Counter(c["contact"] for c in contacts)),
        "off_road": sum(d["off_road"] for d in drives),
        "off_road_per_100km": per_100km(sum(d["off_road"] for d in drives)),
        "comfort": round(sum(d["comfortable"] for d in drives) / spans, 4) if spans else None,
        "comfort_broken_by": dict(broken.most_common()),
        "progress_to_teacher": _mean(progress),
        "mean_speed": _mean_speed(drives),
        "interventions": len(interventions),
        "interventions_per_100km": per_100km(len(interventions)),
        "interventions_per_100km_by_check": {
            name: per_100km(n) for name, n in by_check.most_common()
        },
        "disengagements": sum(d["watch"]["disengagements"] for d in drives),
        "disengagements_per_100km": per_100km(
            sum(d["watch"]["disengagements"] for d in drives)
        ),
        "ended": dict(Counter(d["ended"] for d in drives)),
    }


def by_map(drives: Sequence[Row], teacher: Mapping[int, Row]) -> dict[str, dict[str, Any]]:
    """The same figures by kind of map."""
    kinds = dict.fromkeys(d["kind"] for d in drives)
    return {k: figures([d for d in drives if d["kind"] == k], teacher) for k in kinds}


def _progress(row: Row, teacher: Mapping[int, Row]) -> float | None:
    """Way made by the time at which the teacher arrived, over the teacher's; at most 1."""
    other = teacher.get(row["seed"])
    if other is None or not other["success"]:
        return None
    whole = along_at(Track(**other["track"]), other["duration_s"])
    done = along_at(Track(**row["track"]), other["duration_s"])
    return float(np.clip(done / max(whole, 1.0), 0.0, 1.0))


def _mean_speed(drives: Sequence[Row]) -> float | None:
    seconds = sum(d["duration_s"] for d in drives)
    return round(sum(d["distance_m"] for d in drives) / seconds, 3) if seconds else None


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None
