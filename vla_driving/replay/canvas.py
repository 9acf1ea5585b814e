"""Drawing on rgb8 pictures: translucent shapes and cached text, quick enough for video."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from vla_driving.contract.frames import Image

Colour: TypeAlias = tuple[int, int, int]
"""rgb, 0 to 255."""
Points: TypeAlias = npt.NDArray[np.float64]
"""(N, 2) pixels, x right and y down."""
Mask: TypeAlias = npt.NDArray[np.uint8]
"""(height, width) opacity, 0 to 255."""

WHITE: Colour = (245, 247, 250)
GREY: Colour = (150, 158, 170)
DARK: Colour = (14, 18, 24)
BLUE: Colour = (64, 156, 255)
GREEN: Colour = (48, 209, 122)
AMBER: Colour = (255, 179, 36)
ORANGE: Colour = (255, 138, 51)
RED: Colour = (255, 69, 77)
CYAN: Colour = (94, 220, 245)

_SHIFT = 4
_SPARSE = 20
_FAR = 30_000.0
_RAISED = {"²": "2", "³": "3"}
_PLAIN = {*map(chr, range(32, 127)), *"·°“”‘’", *_RAISED}


def fixed(points: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Pixels in OpenCV's fixed-point form, for sub-pixel lines; far ones are brought near."""
    near = np.clip(np.asarray(points, np.float64), -_FAR, _FAR)
    return np.rint(near * (1 << _SHIFT)).astype(np.int32)


def polygon_mask(shape: tuple[int, ...], polygons: list[Points], opacity: int = 255) -> Mask:
    """Opacity of filled, anti-aliased polygons."""
    mask = np.zeros(shape[:2], np.uint8)
    for points in polygons:
        add_polygon(mask, points, opacity)
    return mask


def add_polygon(mask: Mask, points: Points, opacity: int) -> None:
    """Draw one more polygon into a mask."""
    cv2.fillPoly(mask, [fixed(points)], opacity, cv2.LINE_AA, _SHIFT)


def line_mask(shape: tuple[int, ...], lines: list[Points], width: int, opacity: int = 255) -> Mask:
    """Opacity of open, anti-aliased lines."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.polylines(mask, [fixed(p) for p in lines], False, opacity, width, cv2.LINE_AA, _SHIFT)
    return mask


def blend(image: Image, mask: Mask, colour: Colour | Image) -> None:
    """Lay a colour, or a picture of the same size, over `image` in place."""
    box = cv2.boundingRect(mask)
    if not box[2] or not box[3]:
        return
    x, y, w, h = box
    part, weights = image[y : y + h, x : x + w], mask[y : y + h, x : x + w]
    over = colour if isinstance(colour, tuple) else colour[y : y + h, x : x + w]
    if cv2.countNonZero(weights) * _SPARSE < w * h:
        _blend_sparse(part, weights, over)
    else:
        _blend_dense(part, weights, over)


def _blend_sparse(part: Image, weights: Mask, over: Colour | Image) -> None:
    """For lines and words: touches only the pixels that are to change."""
    columns, rows = cv2.findNonZero(weights)[:, 0].T
    weight = weights[rows, columns].astype(np.uint16)[:, None]
    weight += weight >> 7
    new = np.array(over, np.uint16) if isinstance(over, tuple) else over[rows, columns]
    mixed = part[rows, columns] * (256 - weight)
    mixed += new * weight
    part[rows, columns] = (mixed >> 8).astype(np.uint8)


def _blend_dense(part: Image, weights: Mask, over: Colour | Image) -> None:
    """For areas: one vectorised pass."""
    share = weights.astype(np.float32) * np.float32(1 / 255)
    if isinstance(over, tuple):
        over = _filled(part.shape[:2], over)
    part[:] = cv2.blendLinear(
        np.ascontiguousarray(part), np.ascontiguousarray(over), 1 - share, share
    )


@lru_cache(maxsize=256)
def _filled(size: tuple[int, int], colour: Colour) -> Image:
    return np.full((*size, 3), colour, np.uint8)


def polyline(image: Image, points: npt.ArrayLike, colour: Colour, width: int = 1) -> None:
    """Open, opaque, anti-aliased line."""
    cv2.polylines(image, [fixed(points)], False, colour, width, cv2.LINE_AA, _SHIFT)


def circle(image: Image, centre: tuple[float, float], radius: float, colour: Colour) -> None:
    """Filled circle."""
    x, y = fixed(centre)
    cv2.circle(image, (int(x), int(y)), int(fixed([radius])[0]), colour, -1, cv2.LINE_AA, _SHIFT)


@lru_cache(maxsize=64)
def panel_mask(height: int, width: int, radius: int, opacity: int) -> Mask:
    """Opacity of a rectangle with round corners."""
    scale = 4
    big = Pictures.new("L", (width * scale, height * scale), 0)
    box = (0, 0, width * scale - 1, height * scale - 1)
    ImageDraw.Draw(big).rounded_rectangle(box, radius * scale, fill=opacity)
    return np.array(big.resize((width, height), Pictures.Resampling.BOX))


def panel(
    image: Image, left: int, top: int, width: int, height: int,
    colour: Colour = DARK, opacity: int = 165, radius: int = 12,
) -> None:
    """Translucent rectangle with round corners."""
    part = image[top : top + height, left : left + width]
    mask = panel_mask(height, width, radius, opacity)
    _blend_dense(part, mask[: part.shape[0], : part.shape[1]], colour)


def text(
    image: Image, words: str, x: float, y: float, size: int,
    colour: Colour = WHITE, align: str = "left", bold: bool = False,
) -> int:
    """Write one line with its top at `y`; `align` says where `x` lies. Returns its width."""
    glyphs = text_mask(words, size, bold)
    height, width = glyphs.shape
    left = round(x - {"left": 0.0, "centre": 0.5, "right": 1.0}[align] * width)
    top = round(y)
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(image.shape[1], left + width), min(image.shape[0], top + height)
    if x0 < x1 and y0 < y1:
        mask = glyphs[y0 - top : y1 - top, x0 - left : x1 - left]
        _blend_dense(image[y0:y1, x0:x1], mask, colour)
    return width


def text_width(words: str, size: int, bold: bool = False) -> int:
    """Width of a line in pixels."""
    return int(text_mask(words, size, bold).shape[1])


def shortened(words: str, size: int, width: int) -> str:
    """The line, cut with an ellipsis where it is wider than `width` pixels."""
    if text_width(words, size) <= width:
        return words
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_width(words[:middle] + "...", size) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return words[:low].rstrip() + "..."


def wrapped(words: str, size: int, width: int, most: int) -> list[str]:
    """The words in lines of at most `width` pixels; what is beyond `most` lines is cut off."""
    lines: list[str] = []
    line = ""
    left = words.split()
    while left and len(lines) < most - 1:
        longer = f"{line} {left[0]}".strip()
        if line and text_width(longer, size) > width:
            lines.append(shortened(line, size, width))
            line = ""
        else:
            line = longer
            left.pop(0)
    rest = " ".join([line, *left]).strip()
    return [*lines, shortened(rest, size, width)] if rest else lines


@lru_cache(maxsize=2048)
def text_mask(words: str, size: int, bold: bool) -> Mask:
    """Opacity of one line of text, cached: a video writes the same words again and again."""
    plain = set(words) <= _PLAIN
    font = _font(size, bold, plain)
    ascent, descent = font.getmetrics()
    stroke = 0.3 if bold and plain else 0
    pieces = [(p, font) for p in re.split("([²³])", words)] if plain else [(words, font)]
    # Pillow's own font has no raised figures.
    pieces = [(_RAISED[p], _font(round(0.65 * size), bold, plain)) if p in _RAISED else (p, f)
              for p, f in pieces]
    width = max(1, int(np.ceil(sum(f.getlength(p) for p, f in pieces))) + 2)
    picture = Pictures.new("L", (width, ascent + descent), 0)
    draw, x = ImageDraw.Draw(picture), 1.0
    for piece, piece_font in pieces:
        draw.text((x, 0), piece, fill=255, font=piece_font, stroke_width=stroke)
        x += piece_font.getlength(piece)
    return np.array(picture)


@cache
def _font(size: int, bold: bool, plain: bool) -> ImageFont.FreeTypeFont:
    """Pillow's own font for plain words, DejaVu for those that it has no glyphs for."""
    if plain:
        font = ImageFont.load_default(size)
        if isinstance(font, ImageFont.FreeTypeFont):
            return font
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf", name)), size)
