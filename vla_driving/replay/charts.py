"""Charts as inline SVG: colours come from the page's style sheet, so they suit light and dark."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeVar

import numpy as np
import numpy.typing as npt

LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 26
MOST_POINTS = 900

Number = TypeVar("Number", float, npt.NDArray[np.float64])


@dataclass(frozen=True)
class Line:
    """One curve: (N,) x and y and the CSS class that colours it; its name goes into the legend."""

    name: str
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    style: str


@dataclass(frozen=True)
class Band:
    """A stretch of a timeline: from, to in s, CSS class and words shown on pointing at it."""

    start: float
    end: float
    style: str
    words: str


@dataclass(frozen=True)
class Mark:
    """A moment on a time axis, for instance a fault."""

    at: float
    words: str


def line_chart(
    lines: Sequence[Line], x_label: str, y_label: str,
    marks: Sequence[Mark] = (), width: int = 540, height: int = 200,
) -> str:
    """Curves over a common axis."""
    filled = [line for line in lines if line.x.size]
    if not filled:
        return _empty(y_label)
    x_low, x_high = _extent(np.concatenate([line.x for line in filled]))
    y_low, y_high = _extent(np.concatenate([line.y for line in filled]), 0.08)
    axes = _Axes(x_low, x_high, y_low, y_high, width, height)
    parts = [axes.frame(x_label, y_label)]
    for mark in marks:
        x = axes.x(mark.at)
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM}">'
            f"<title>{escape(mark.words)}</title></line>"
        )
    for line in filled:
        thin_x, thin_y = _thinned(line.x, line.y)
        points = np.stack([axes.x(thin_x), axes.y(thin_y)], 1)
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline class="curve {line.style}" points="{path}"/>')
    return _svg(width, height, parts) + _legend([(s.name, s.style) for s in filled if s.name])


def band_chart(
    rows: Sequence[tuple[str, Sequence[Band]]], end: float,
    marks: Sequence[Mark] = (), width: int = 720,
) -> str:
    """Named rows of coloured stretches over time, from 0 to `end` s."""
    row_height = 30
    height = TOP + row_height * len(rows) + BOTTOM
    axes = _Axes(0.0, max(end, 1e-3), 0.0, 1.0, width, height, left=92)
    parts = [axes.bottom("s")]
    used: dict[str, str] = {}
    for number, (name, bands) in enumerate(rows):
        top = TOP + row_height * number
        parts.append(
            f'<text class="label" x="84" y="{top + 17}" text-anchor="end">{escape(name)}</text>'
        )
        for band in bands:
            used.setdefault(band.words, band.style)
            x0, x1 = axes.x(band.start), axes.x(band.end)
            parts.append(
                f'<rect class="band {band.style}" x="{x0:.1f}" y="{top + 3}" '
                f'width="{max(0.8, x1 - x0):.1f}" height="{row_height - 10}">'
                f"<title>{escape(band.words)}: {band.start:.1f} to {band.end:.1f} s</title></rect>"
            )
    for mark in marks:
        x = axes.x(mark.at)
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM}">'
            f"<title>{escape(mark.words)}</title></line>"
        )
    return _svg(width, height, parts) + _legend(list(used.items()))


def histogram(
    values: Sequence[float], unit: str, limit: float | None,
    width: int = 540, height: int = 200, bins: int = 40,
) -> str:
    """How often which value came; `limit` is drawn as a line."""
    if not values:
        return _empty("values")
    data = np.asarray(values, np.float64)
    high = max(float(data.max()), limit or 0.0) * 1.05 or 1.0
    counts, edges = np.histogram(data, bins, (0.0, high))
    axes = _Axes(0.0, high, 0.0, float(counts.max()) * 1.08, width, height)
    parts = [axes.frame(unit, "frames")]
    for count, (a, b) in zip(counts, itertools.pairwise(edges), strict=True):
        if count:
            x0, x1, y = axes.x(a), axes.x(b), axes.y(float(count))
            parts.append(
                f'<rect class="bar" x="{x0 + 0.5:.1f}" y="{y:.1f}" width="{x1 - x0 - 1:.1f}" '
                f'height="{height - BOTTOM - y:.1f}" rx="1.5">'
                f"<title>{a:.0f} to {b:.0f} {escape(unit)}: {count}</title></rect>"
            )
    if limit is not None:
        x = axes.x(limit)
        parts.append(
            f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>'
            f'<text class="label" x="{x - 5:.1f}" y="{TOP + 12}" text-anchor="end">'
            f"target {limit:g} {escape(unit)}</text>"
        )
    return _svg(width, height, parts)


def path_map(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64],
    styles: Sequence[str], width: int = 540, height: int = 260,
) -> str:
    """The way driven, seen from above to scale; `styles` colours each step."""
    if x.size < 2:
        return _empty("path")
    margin = 24.0
    span_x, span_y = float(np.ptp(x)), float(np.ptp(y))
    if span_y > span_x:  # the longer side lies along the page
        x, y = y, -x
        span_x, span_y = span_y, span_x
    scale = min((width - 2 * margin) / max(span_x, 1.0), (height - 2 * margin) / max(span_y, 1.0))
    height = int(min(height, span_y * scale + 2 * margin + 30))
    px = margin + (x - x.min()) * scale
    py = height - margin - (y - y.min()) * scale
    keep = np.unique(np.linspace(0, x.size - 1, min(x.size, MOST_POINTS)).astype(int))
    parts = []
    for a, b in itertools.pairwise(keep):
        parts.append(
            f'<line class="way {styles[a]}" x1="{px[a]:.1f}" y1="{py[a]:.1f}" '
            f'x2="{px[b]:.1f}" y2="{py[b]:.1f}"/>'
        )
    parts.append(f'<circle class="start" cx="{px[0]:.1f}" cy="{py[0]:.1f}" r="5"/>')
    parts.append(f'<circle class="goal" cx="{px[-1]:.1f}" cy="{py[-1]:.1f}" r="5"/>')
    bar = _step(span_x / 4)
    parts.append(
        f'<line class="scale" x1="{margin}" x2="{margin + bar * scale:.1f}" y1="16" y2="16"/>'
        f'<text class="label" x="{margin + bar * scale + 8:.1f}" y="20">{bar:g} m</text>'
    )
    return _svg(width, height, parts)


@dataclass(frozen=True)
class _Axes:
    x_low: float
    x_high: float
    y_low: float
    y_high: float
    width: int
    height: int
    left: int = LEFT

    def x(self, value: Number) -> Number:
        room = self.width - self.left - RIGHT
        return self.left + (value - self.x_low) / (self.x_high - self.x_low) * room

    def y(self, value: Number) -> Number:
        room = self.height - TOP - BOTTOM
        return self.height - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * room

    def frame(self, x_label: str, y_label: str) -> str:
        parts = [self.bottom(x_label)]
        for tick in _ticks(self.y_low, self.y_high, 4):
            y = self.y(tick)
            parts.append(
                f'<line class="grid" x1="{self.left}" x2="{self.width - RIGHT}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="label" x="{self.left - 6}" y="{y + 4:.1f}" '
                f'text-anchor="end">{tick:g}</text>'
            )
        unit = escape(y_label)
        parts.append(f'<text class="unit" x="{self.left + 4}" y="{TOP + 8}">{unit}</text>')
        return "".join(parts)

    def bottom(self, label: str) -> str:
        foot = self.height - BOTTOM
        ends = f'x1="{self.left}" x2="{self.width - RIGHT}"'
        parts = [f'<line class="axis" {ends} y1="{foot}" y2="{foot}"/>']
        ticks = _ticks(self.x_low, self.x_high, self.width // 80)
        for tick in ticks:
            unit = f" {label}" if tick == ticks[-1] else ""
            parts.append(
                f'<text class="label" x="{self.x(tick):.1f}" y="{foot + 17}" '
                f'text-anchor="middle">{tick:g}{escape(unit)}</text>'
            )
        return "".join(parts)


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<span><i class="swatch {style}"></i>{escape(name)}</span>' for name, style in entries
    )
    return f'<div class="legend">{items}</div>'


def _empty(what: str) -> str:
    return f'<p class="empty">No {escape(what)} in this bag.</p>'


def _extent(values: npt.NDArray[np.float64], margin: float = 0.0) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    room = (high - low) * margin
    return low - room, high + room


def _thinned(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """At most MOST_POINTS, the lowest and highest of each stretch kept."""
    if x.size <= MOST_POINTS:
        return x, y
    keep: list[int] = []
    for part in np.array_split(np.arange(x.size), MOST_POINTS // 2):
        keep += sorted({int(part[np.argmin(y[part])]), int(part[np.argmax(y[part])])})
    return x[keep], y[keep]


def _ticks(low: float, high: float, count: int) -> list[float]:
    step = _step((high - low) / count)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def _step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, not below `rough`."""
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-9)))
    return next(power * f for f in (1.0, 2.0, 5.0, 10.0) if power * f >= rough * (1 - 1e-9))
