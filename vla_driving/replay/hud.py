"""The head-up display: speed, steering, acceleration, who drives, alert, reasons, words."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from vla_driving.contract.frames import Image
from vla_driving.contract.supervision import Alert, Engagement, Level, SafetyState, Verdict
from vla_driving.replay import canvas
from vla_driving.replay.canvas import Colour
from vla_driving.replay.conversation_panel import draw_conversation
from vla_driving.replay.moments import Moment

ENGAGEMENT_WORDS: dict[Engagement, tuple[str, Colour]] = {
    Engagement.DISABLED: ("DRIVER", canvas.GREY),
    Engagement.PRE_ENABLED: ("ENGAGING", canvas.BLUE),
    Engagement.ENABLED: ("ENGAGED", canvas.BLUE),
    Engagement.OVERRIDING: ("DRIVER OVERRIDES", canvas.AMBER),
    Engagement.SOFT_DISABLING: ("TAKE OVER", canvas.ORANGE),
    Engagement.MINIMAL_RISK: ("STOPPING", canvas.RED),
    Engagement.STOPPED: ("STOPPED", canvas.RED),
}
LEVEL_COLOURS: dict[Level, Colour] = {
    Level.NOMINAL: canvas.GREEN,
    Level.DEGRADED: canvas.AMBER,
    Level.MINIMAL_RISK: canvas.ORANGE,
    Level.EMERGENCY: canvas.RED,
    Level.STOPPED: canvas.RED,
}
ALERT_COLOURS: dict[Alert, Colour] = {
    Alert.NONE: canvas.GREY,
    Alert.INFO: canvas.BLUE,
    Alert.WARNING: canvas.AMBER,
    Alert.CRITICAL: canvas.RED,
}
MARGIN = 20
WORDS_TOP, WORDS_WIDTH = 124, 336
IN_TWO_SECONDS = 19
"""Point of a trajectory."""


def draw_hud(image: Image, moment: Moment, instruments_left: int, instruments_width: int) -> None:
    """Write the display onto a picture; the instruments stand at the right, below the inset."""
    _shade(image)
    _speed(image, moment)
    _who_drives(image, moment.safety)
    _alert(image, moment.safety)
    _instruments(image, moment, instruments_left, instruments_width)
    _reasons(image, moment, instruments_left - 2 * MARGIN)
    draw_conversation(image, moment.spoken, MARGIN, WORDS_TOP, WORDS_WIDTH)
    if moment.safety is not None and moment.safety.level > Level.NOMINAL:
        height, width = image.shape[:2]
        colour = LEVEL_COLOURS[moment.safety.level]
        cv2.rectangle(image, (1, 1), (width - 2, height - 2), colour, 4, cv2.LINE_AA)


def _shade(image: Image) -> None:
    """Darken the upper and lower rim, so that white words stand out on any picture."""
    top = _rim(image.shape[0] // 5, image.shape[1])
    for part, weights in ((image[: len(top)], top), (image[-len(top) :], top[::-1])):
        part[:] = cv2.multiply(part, weights, scale=1 / 255)


@cache
def _rim(height: int, width: int) -> Image:
    ramp = np.linspace(0.45, 1.0, height) ** 0.8 * 255
    return np.broadcast_to(ramp[:, None, None], (height, width, 3)).astype(np.uint8)


def _speed(image: Image, moment: Moment) -> None:
    state = moment.vehicle
    words = "--" if state is None else f"{abs(state.speed) * 3.6:.0f}"
    width = canvas.text(image, words, MARGIN, 8, 66, canvas.WHITE)
    canvas.text(image, "km/h", MARGIN + width + 8, 52, 18, (205, 212, 222))
    approved = moment.approved
    if approved is not None and approved.engaged and state is not None:
        target = float(approved.trajectory.speed[IN_TWO_SECONDS]) * 3.6
        canvas.text(image, f"in 2 s: {target:.0f}", MARGIN + 2, 88, 16, (205, 212, 222))


def _who_drives(image: Image, safety: SafetyState | None) -> None:
    words, colour = ("NO SAFETY STATE", canvas.RED)
    level = ""
    if safety is not None:
        words, colour = ENGAGEMENT_WORDS[safety.engagement]
        level = safety.level.name.replace("_", " ")
    width = canvas.text_width(words, 19, True) + 46
    extra = canvas.text_width(level, 14) + 26 if level else 0
    left = (image.shape[1] - width - extra) // 2
    canvas.panel(image, left, 18, width + extra, 36, canvas.DARK, 190, 18)
    canvas.circle(image, (left + 20, 36), 6.5, colour)
    canvas.text(image, words, left + 34, 24, 19, canvas.WHITE, bold=True)
    if level and safety is not None:
        canvas.text(image, level, left + width + 4, 28, 14, LEVEL_COLOURS[safety.level])


def _alert(image: Image, safety: SafetyState | None) -> None:
    if safety is None or safety.alert is Alert.NONE or not safety.alert_text:
        return
    room = image.shape[1] * 6 // 10
    sizes = (s for s in (19, 17, 15) if canvas.text_width(safety.alert_text, s) <= room)
    size = next(sizes, 15)
    words = canvas.shortened(safety.alert_text, size, room)
    failed = [c.detail or c.name for c in safety.checks if c.verdict is not Verdict.PASS]
    more = [line for line in failed if line not in safety.alert_text][:2]
    lines = [canvas.shortened(line, 14, room) for line in more]
    width = max([canvas.text_width(words, size)] + [canvas.text_width(w, 14) for w in lines]) + 48
    height = 40 + 20 * len(lines)
    left = (image.shape[1] - width) // 2
    colour = ALERT_COLOURS[safety.alert]
    canvas.panel(image, left, 66, width, height, canvas.DARK, 215, 12)
    canvas.panel(image, left, 66, 6, height, colour, 255, 3)
    canvas.text(image, words, left + 24, 75, size, colour)
    for number, line in enumerate(lines):
        canvas.text(image, line, left + 24, 101 + 20 * number, 14, (205, 212, 222))


def _instruments(image: Image, moment: Moment, left: int, width: int) -> None:
    height = 148
    top = image.shape[0] - height - MARGIN
    canvas.panel(image, left, top, width, height, canvas.DARK, 190, 14)
    state = moment.vehicle
    steering = state.steering_angle if state else 0.0
    acceleration = state.acceleration if state else 0.0
    command = moment.command
    _wheel(image, (left + 42.0, top + 46.0), steering * STEERING_RATIO)
    canvas.text(image, "road wheel", left + 84, top + 20, 13, canvas.GREY)
    words = f"{abs(np.degrees(steering)):.1f}° {'L' if steering >= 0 else 'R'}"
    canvas.text(image, words, left + 84, top + 38, 20)
    wanted = command.acceleration if command and command.engaged else None
    _acceleration(image, left + 16, top + 96, width - 32, acceleration, wanted)
    latency = "--" if moment.latency_ms is None else f"{moment.latency_ms:.0f} ms"
    canvas.text(image, "to command", left + 16, top + 122, 12, canvas.GREY)
    canvas.text(image, latency, left + width - 16, top + 120, 14, canvas.WHITE, "right")


STEERING_RATIO = 15.0
"""Steering wheel over road wheel in the picture of the wheel alone."""


def _wheel(image: Image, centre: tuple[float, float], angle: float) -> None:
    x, y = centre
    around = np.linspace(0.0, 2 * np.pi, 60)
    rim = np.stack([x + 25 * np.cos(around), y + 25 * np.sin(around)], 1)
    canvas.polyline(image, rim, canvas.WHITE, 4)
    for spoke in (0.0, np.pi, np.pi / 2):
        turn = spoke - angle
        tip = np.array([[x, y], [x + 24 * np.cos(turn), y + 24 * np.sin(turn)]])
        canvas.polyline(image, tip, canvas.WHITE, 4)
    canvas.circle(image, centre, 6.5, canvas.WHITE)
    mark = -np.pi / 2 - angle
    canvas.circle(image, (x + 25 * np.cos(mark), y + 25 * np.sin(mark)), 3.5, canvas.BLUE)


def _acceleration(
    image: Image, left: int, top: int, width: int, value: float, wanted: float | None
) -> None:
    """A bar from the middle, 3 m/s² each side; a tick marks what is commanded."""
    middle, half = left + width / 2, width / 2
    canvas.panel(image, left, top, width, 7, (70, 78, 90), 255, 3)
    reach = float(np.clip(value / 3.0, -1.0, 1.0)) * half
    x0, x1 = sorted((round(middle), round(middle + reach)))
    if x1 > x0:
        image[top : top + 7, x0:x1] = canvas.GREEN if value > 0 else canvas.ORANGE
    if wanted is not None:
        x = round(middle + float(np.clip(wanted / 3.0, -1.0, 1.0)) * half)
        image[top - 3 : top + 10, max(left, x - 1) : x + 1] = canvas.WHITE
    unit = canvas.text_width("m/s²", 12) + 3
    canvas.text(image, "m/s²", left + width, top - 19, 12, canvas.GREY, "right")
    canvas.text(image, f"{value:+.1f}", left + width - unit, top - 21, 15, canvas.WHITE, "right")
    canvas.text(image, "acceleration", left, top - 20, 13, canvas.GREY)


def _reasons(image: Image, moment: Moment, width: int) -> None:
    plan = moment.plan
    left, top = MARGIN + 16, image.shape[0] - MARGIN - 84
    action, reason, colour = "", "no plan for this frame", canvas.AMBER
    clock = f"{moment.elapsed_s:.1f} s"
    if plan is not None:
        action = f"{plan.lateral_action.name}, {plan.longitudinal_action.name}".replace("_", " ")
        reason, colour = plan.reasoning or "no reason given", canvas.WHITE
        clock += f"   {plan.model_name} {plan.model_version}   {plan.runtime}"
    reason = canvas.shortened(reason, 20, width - 32)
    wide = max(canvas.text_width(reason, 20), canvas.text_width(clock, 12)) + 32
    canvas.panel(image, MARGIN, top, min(width, (wide + 63) // 64 * 64), 84, canvas.DARK, 190, 14)
    canvas.text(image, action, left, top + 9, 13, canvas.CYAN)
    canvas.text(image, reason, left, top + 27, 20, colour)
    canvas.text(image, clock, left, top + 58, 12, (170, 178, 190))
