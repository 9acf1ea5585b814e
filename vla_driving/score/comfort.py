"""Comfort within the bounds of NAVSIM, on the motion that was driven.

The car's true speed, heading and accelerations at 10 Hz are smoothed as nuPlan's metric does
(Savitzky-Golay, second order), and every span of NAVSIM's horizon of 4 s counts as comfortable
where all six quantities stay within their bounds throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

PERIOD_S = 0.1
SPAN = 40
"""Samples: 4 s."""
WINDOW = 15
"""Samples that are smoothed over where something is differentiated; 7 where not."""

BOUNDS = {
    "longitudinal_acceleration": (-4.05, 2.40),
    "lateral_acceleration": (-4.89, 4.89),
    "jerk": (-8.37, 8.37),
    "longitudinal_jerk": (-4.13, 4.13),
    "yaw_rate": (-0.95, 0.95),
    "yaw_acceleration": (-1.93, 1.93),
}
"""m/s², m/s³, rad/s and rad/s²; NAVSIM."""


@dataclass(frozen=True)
class Comfort:
    """`spans` of 4 s, how many of them were within all bounds, and how many broke each bound."""

    spans: int
    comfortable: int
    broken: dict[str, int]


def comfort(
    heading: npt.ArrayLike, longitudinal: npt.ArrayLike, lateral: npt.ArrayLike
) -> Comfort:
    """Of a drive sampled every PERIOD_S: heading in rad, accelerations in m/s²."""
    angle = np.unwrap(np.asarray(heading, np.float64))
    along, aside = (np.asarray(a, np.float64) for a in (longitudinal, lateral))
    if len(angle) < SPAN:
        return Comfort(0, 0, {})
    values = {
        "longitudinal_acceleration": smooth(along, 7),
        "lateral_acceleration": smooth(aside, 7),
        "jerk": smooth(np.hypot(along, aside), WINDOW, 1),
        "longitudinal_jerk": smooth(along, WINDOW, 1),
        "yaw_rate": smooth(angle, WINDOW, 1),
        "yaw_acceleration": smooth(angle, WINDOW, 2),
    }
    starts = range(0, len(angle) - SPAN + 1, SPAN)
    good, broken = 0, dict.fromkeys(BOUNDS, 0)
    for start in starts:
        bad = [n for n, v in values.items() if _breaks(v[start:start + SPAN], BOUNDS[n])]
        good += not bad
        for name in bad:
            broken[name] += 1
    return Comfort(len(starts), good, {n: k for n, k in broken.items() if k})


def _breaks(values: FloatArray, bounds: tuple[float, float]) -> bool:
    return bool((values < bounds[0]).any() or (values > bounds[1]).any())


def smooth(values: FloatArray, window: int, derivative: int = 0) -> FloatArray:
    """Savitzky-Golay of second order: the value or a derivative of the parabola fitted around.

    The ends take that of the first and last whole window.
    """
    half = window // 2
    offsets: FloatArray = np.arange(-half, half + 1, dtype=np.float64) * PERIOD_S
    powers = np.vander(offsets, 3, increasing=True)
    coefficients = np.linalg.pinv(powers)
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    fitted = windows @ coefficients.T
    inner = fitted[:, derivative] * (1.0, 1.0, 2.0)[derivative]
    before, after = offsets[:half], offsets[half + 1:]
    return np.concatenate([
        _parabola(fitted[0], before, derivative), inner,
        _parabola(fitted[-1], after, derivative),
    ])


def _parabola(coefficients: FloatArray, at: FloatArray, derivative: int) -> FloatArray:
    a, b, c = coefficients
    if derivative == 0:
        return a + b * at + c * at**2
    return b + 2.0 * c * at if derivative == 1 else np.full(len(at), 2.0 * c)
