"""report.html: one page of a drive that needs no network, the summary first."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

import cv2
import numpy as np

from vla_driving.contract.clock import SECOND
from vla_driving.contract.frames import Image
from vla_driving.contract.language import AnswerStatus
from vla_driving.contract.rates import Rates
from vla_driving.contract.supervision import Engagement, Level
from vla_driving.recording.metadata import contract_topic
from vla_driving.replay import charts
from vla_driving.replay.charts import Band, Line, Mark
from vla_driving.replay.drive import Arrived, Drive, Window
from vla_driving.replay.report_style import STYLE
from vla_driving.replay.summary import Summary, command_latencies_ms

LEVEL_STYLES = {
    Level.NOMINAL: "green", Level.DEGRADED: "amber", Level.MINIMAL_RISK: "orange",
    Level.EMERGENCY: "red", Level.STOPPED: "red",
}
ENGAGEMENT_STYLES = {
    Engagement.DISABLED: "grey", Engagement.PRE_ENABLED: "cyan", Engagement.ENABLED: "blue",
    Engagement.OVERRIDING: "amber", Engagement.SOFT_DISABLING: "orange",
    Engagement.MINIMAL_RISK: "red", Engagement.STOPPED: "red",
}
STATUS_STYLES = {
    AnswerStatus.ACCEPTED: "blue", AnswerStatus.DONE: "green", AnswerStatus.REFUSED: "red",
    AnswerStatus.IGNORED: "grey", AnswerStatus.CANCELLED: "amber", AnswerStatus.EXPIRED: "amber",
    AnswerStatus.ANSWERED: "cyan",
}
STILL_WIDTH = 640


@dataclass(frozen=True)
class Still:
    """A picture for the page and the words below it."""

    image: Image
    words: str


def report_page(
    drive: Drive,
    window: Window,
    summary: Summary,
    failures: Sequence[str],
    rates: Rates,
    stills: Sequence[Still],
    video: str | None,
) -> str:
    """The whole page; `video` is the file it plays, relative to the page."""
    start = datetime.fromtimestamp(window.start_ns / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    model = summary["model"]
    body = [
        "<h1>Drive report</h1>",
        f'<p class="sub">{start} · model {escape(model["name"])} {escape(model["version"])} '
        f"<code>{escape(model['sha256'][:12])}</code></p>",
        _verdict(failures), _figures(summary), _targets(summary), _video(video),
        _conversation(summary), _timelines(drive, window, summary),
        f'<div class="two">{_latency(drive, window)}{_map(drive, window)}</div>',
        _topics(summary, rates), _faults(summary, drive.problems), _stills(stills),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Drive report {start}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _verdict(failures: Sequence[str]) -> str:
    word, kind = ("failed", "bad") if failures else ("passed", "good")
    items = "".join(f"<li>{escape(line)}</li>" for line in failures)
    text = "What failed:" if failures else "No node died and every frame was followed by a command."
    listed = f"<ul>{items}</ul>" if items else ""
    return (
        f'<section class="verdict"><span class="badge {kind}">{word}</span>'
        f"<span>{text}</span>{listed}</section>"
    )


def _figures(summary: Summary) -> str:
    latency = summary["latency_ms"]
    rows: tuple[tuple[str, Any, str], ...] = (
        ("duration", _number(summary["duration_s"], 1), "s"),
        ("distance", _number(summary["distance_m"], 0), "m"),
        ("of the route", _percent(summary["route_completion"]), ""),
        ("engaged", _percent(summary["engaged_fraction"]), ""),
        ("collisions", _number(summary["collisions"], 0), ""),
        ("times off the road", _number(summary["off_road"], 0), ""),
        ("real-time factor", _number(summary["real_time_factor"], 2), ""),
        ("frames with a plan", _percent(summary["plan_fraction"]), ""),
        ("frame to plan, p50 / p99", _pair(latency["frame_to_plan"]), "ms"),
        ("frame to command, p50 / p99", _pair(latency["frame_to_command"]), "ms"),
        ("command period, p50 / p99", _pair(summary["command_period_ms"]), "ms"),
        ("nominal", _level_share(summary), ""),
    )
    cards = "".join(
        f'<div class="figure"><b>{value}{f" <small>{unit}</small>" if unit else ""}</b>'
        f"<span>{escape(name)}</span></div>"
        for name, value, unit in rows
    )
    return f'<section><h2>Summary</h2><div class="figures">{cards}</div></section>'


def _targets(summary: Summary) -> str:
    rows = []
    for target in summary["targets"]:
        mark, kind = ("✓ reached", "good") if target["reached"] else ("✗ missed", "bad")
        value = "not measured" if target["value"] is None else f"{target['value']:g}"
        rows.append(
            f'<div class="target"><span class="mark {kind}">{mark}</span>'
            f"<span>{escape(target['meaning'])}</span>"
            f'<span class="value">{value} ({target["sense"]} {target["limit"]:g})</span></div>'
        )
    return _section("Targets", "".join(rows))


def _video(video: str | None) -> str:
    if video is None:
        return _section("Video", '<p class="empty">No picture of the camera in this bag.</p>')
    name = escape(video)
    return _section(
        "Video",
        f'<video controls preload="metadata" src="{name}"><a href="{name}">{name}</a></video>',
    )


def _conversation(summary: Summary) -> str:
    """Instructions with what became of them, and the car's own remarks, by time."""
    rows = [
        (said["at_s"], f"“{escape(said['text'])}”" if said["text"] else "takes everything back",
         said["answers"])
        for said in summary["instructions"]
    ]
    rows += [(said["at_s"], '<span class="sub">the car</span>', [said])
             for said in summary["remarks"]]
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td class='n'>{at_s:.1f} s</td><td>{said}</td>"
        f"<td>{'<br>'.join(map(_answer, answers)) or 'no answer'}</td></tr>"
        for at_s, said, answers in sorted(rows, key=lambda row: row[0])
    )
    head = "<tr><th class='n'>time</th><th>said</th><th>answered</th></tr>"
    return _section("What was said", f'<div class="wide"><table>{head}{lines}</table></div>')


def _answer(answer: dict[str, Any]) -> str:
    """An answer with its time and status; a remark is words alone."""
    status = answer["status"].lower()
    if status == "remark":
        return escape(answer["text"])
    style = STATUS_STYLES[AnswerStatus[answer["status"]]]
    words = escape(answer["text"].removeprefix(f"{status}: "))
    return f'{answer["at_s"]:.1f} s <b class="word {style}">{status}</b> {words}'


def _timelines(drive: Drive, window: Window, summary: Summary) -> str:
    marks = [
        Mark(f["first_s"], f"{f['first_s']:.1f} s: {f['text']}")
        for f in summary["faults"]
        if 0.0 <= f["first_s"] <= window.duration_s
    ]
    speed = [
        _line("speed", drive.vehicle, window, lambda s: s.speed * 3.6, "blue"),
        _line("plan's speed in 2 s", drive.approved, window, _planned_speed, "grey"),
    ]
    motion = [
        _line("measured", drive.vehicle, window, lambda s: s.acceleration, "blue"),
        _line("commanded", drive.commands, window, lambda c: c.acceleration, "orange"),
    ]
    steering = [
        _line("measured", drive.vehicle, window, lambda s: np.degrees(s.steering_angle), "blue"),
        _line("commanded", drive.commands, window,
              lambda c: np.degrees(c.steering_angle), "orange"),
    ]
    delays = _plan_latency(drive, window)
    rows = [
        ("level", _bands(drive, window, lambda s: s.level, LEVEL_STYLES)),
        ("engagement", _bands(drive, window, lambda s: s.engagement, ENGAGEMENT_STYLES)),
    ]
    return (
        _section("Level and engagement", charts.band_chart(rows, window.duration_s, marks, 1060))
        + '<div class="two">'
        + _section("Speed", charts.line_chart(speed, "s", "km/h", marks))
        + _section("Acceleration", charts.line_chart(motion, "s", "m/s²", marks))
        + _section("Road-wheel angle", charts.line_chart(steering, "s", "°, left +", marks))
        + _section("Picture to plan", charts.line_chart(delays, "s", "ms", marks))
        + "</div>"
    )


def _plan_latency(drive: Drive, window: Window) -> list[Line]:
    plans = [p for p in drive.plans if window.start_ns <= p.arrival_ns <= window.end_ns]
    x = np.array([(p.value.stamp_ns - window.start_ns) / SECOND for p in plans])
    y = np.array([(p.arrival_ns - p.value.stamp_ns) / 1e6 for p in plans])
    return [Line("", x, y, "cyan")]


def _latency(drive: Drive, window: Window) -> str:
    values = command_latencies_ms(drive, window)
    return _section("Picture to first command", charts.histogram(values, "ms", 150.0))


def _map(drive: Drive, window: Window) -> str:
    states = [
        (s.arrival_ns, s.value) for s in drive.simulation
        if window.start_ns <= s.arrival_ns <= window.end_ns
    ]
    times = np.array([s.arrival_ns for s in drive.safety], np.int64)
    styles = []
    for arrival, _ in states:
        at = int(np.searchsorted(times, arrival, "right")) - 1
        styles.append(LEVEL_STYLES[drive.safety[at].value.level] if at >= 0 else "grey")
    x, y = (np.array([getattr(s, axis) for _, s in states]) for axis in ("x", "y"))
    return _section("Way driven, coloured by level", charts.path_map(x, y, styles))


def _topics(summary: Summary, rates: Rates) -> str:
    table = rates.as_dict()
    names = sorted({*summary["rates_hz"], *summary["deadline_misses"], *summary["dropped"]})
    rows = []
    for name in names:
        row = contract_topic(name)
        nominal = row.rate_hz(table) if row else None
        rate = summary["rates_hz"].get(name)
        slow = rate is not None and nominal is not None and rate < 0.9 * nominal
        misses, lost = summary["deadline_misses"].get(name), summary["dropped"].get(name)
        rows.append(
            f"<tr><td><code>{escape(name)}</code></td>"
            f"{_cell(rate, slow)}{_cell(nominal)}{_cell(misses, bool(misses))}"
            f"{_cell(lost, bool(lost))}</tr>"
        )
    head = (
        "<tr><th>topic</th><th class='n'>rate, Hz</th><th class='n'>nominal, Hz</th>"
        "<th class='n'>deadlines missed</th><th class='n'>dropped</th></tr>"
    )
    return _section("Topics", f'<div class="wide"><table>{head}{"".join(rows)}</table></div>')


def _faults(summary: Summary, problems: Sequence[str]) -> str:
    rows = "".join(
        f"<tr><td class='n'>{f['first_s']:.1f} s</td><td>{escape(f['severity'].lower())}</td>"
        f"<td class='n'>{f['count']}</td>"
        f"<td><b>{escape(f['name'])}</b> {escape(f['text'])}</td></tr>"
        for f in summary["faults"]
    )
    head = "<tr><th class='n'>first</th><th>severity</th><th class='n'>times</th><th>what</th></tr>"
    content = f'<div class="wide"><table>{head}{rows}</table></div>' if rows else ""
    content = content or '<p class="empty">None.</p>'
    checks = "".join(
        f"<tr><td>{escape(name)}</td><td>"
        + escape(", ".join(f"{v.lower().replace('_', ' ')} {s:g} s" for v, s in found.items()))
        + "</td></tr>"
        for name, found in summary["checks"].items()
    )
    if checks:
        content += (
            '<h2 style="margin-top:18px">Checks that did not pass all the time</h2>'
            f'<div class="wide"><table>{checks}</table></div>'
        )
    if summary["faults_before"]:
        lines = "".join(
            f"<li><b>{escape(f['name'])}</b> {escape(f['text'])}</li>"
            for f in summary["faults_before"]
        )
        count = len(summary["faults_before"])
        content += (
            f'<details style="margin-top:14px"><summary>{count} before the car engaged</summary>'
            f"<ul>{lines}</ul></details>"
        )
    if problems:
        lines = "".join(f"<li>{escape(line)}</li>" for line in problems[:20])
        content += f'<h2 style="margin-top:18px">Met while reading the bag</h2><ul>{lines}</ul>'
    return _section("Faults", content)


def _stills(stills: Sequence[Still]) -> str:
    if not stills:
        return ""
    figures = "".join(
        f'<figure><img alt="{escape(s.words)}" src="{_jpeg(s.image)}">'
        f"<figcaption>{escape(s.words)}</figcaption></figure>"
        for s in stills
    )
    return _section("Key frames", f'<div class="stills">{figures}</div>')


def _jpeg(image: Image) -> str:
    height = round(image.shape[0] * STILL_WIDTH / image.shape[1])
    small = cv2.resize(image, (STILL_WIDTH, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, 82])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _line(
    name: str, arrived: Sequence[Arrived[Any]], window: Window,
    of: Callable[[Any], float], style: str,
) -> Line:
    chosen = [a for a in arrived if window.start_ns <= a.arrival_ns <= window.end_ns]
    x = np.array([(a.arrival_ns - window.start_ns) / SECOND for a in chosen], np.float64)
    return Line(name, x, np.array([of(a.value) for a in chosen], np.float64), style)


def _planned_speed(approved: Any) -> float:
    return float(approved.trajectory.speed[19]) * 3.6


def _bands(
    drive: Drive, window: Window, of: Callable[[Any], Any], styles: dict[Any, str]
) -> list[Band]:
    bands: list[Band] = []
    ends = [s.arrival_ns for s in drive.safety[1:]] + [window.end_ns]
    for state, end_ns in zip(drive.safety, ends, strict=False):
        start = (max(state.arrival_ns, window.start_ns) - window.start_ns) / SECOND
        end = (min(end_ns, window.end_ns) - window.start_ns) / SECOND
        if end <= start:
            continue
        value = of(state.value)
        words = value.name.lower().replace("_", " ")
        if bands and bands[-1].words == words:
            bands[-1] = Band(bands[-1].start, end, bands[-1].style, words)
        else:
            bands.append(Band(start, end, styles[value], words))
    return bands


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _pair(found: dict[str, float] | None) -> str:
    return "–" if found is None else f"{found['p50']:.0f} / {found['p99']:.0f}"


def _level_share(summary: Summary) -> str:
    total = sum(summary["safety"].values())
    return _percent(summary["safety"]["NOMINAL"] / total if total else None)


def _cell(value: float | None, bad: bool = False) -> str:
    words = "" if value is None else f"{value:g}"
    return f"<td class='n{' bad' if bad else ''}'>{words}</td>"
