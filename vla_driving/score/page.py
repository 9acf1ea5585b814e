"""index.html: the scoreboard for people. Needs no network, only the films that lie beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from vla_driving.replay.report_style import STYLE
from vla_driving.score.targets import judged

Content = Mapping[str, Any]
MORE_STYLE = """
.films { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); }
.ci { color: var(--soft); font-size: 12.5px; display: block; }
ul.plain { margin: 0; padding-left: 18px; } li { margin: 3px 0; }
"""

COLUMNS: tuple[tuple[str, str, Callable[[Content], str]], ...] = (
    ("routes", "", lambda f: str(f["routes"])),
    ("success", "95 % interval", lambda f: _share(f["success"]) + _interval(f["success_ci95"])),
    ("route done", "mean", lambda f: _share(f["route_completion"])),
    ("collisions", "per 100 km", lambda f: _number(f["collisions_per_100km"])),
    ("at fault", "count", lambda f: str(f["at_fault_collisions"])),
    ("off road", "per 100 km", lambda f: _number(f["off_road_per_100km"])),
    ("comfort", "NAVSIM", lambda f: _share(f["comfort"])),
    ("progress", "to teacher", lambda f: _share(f["progress_to_teacher"])),
    ("interventions", "per 100 km", lambda f: _number(f["interventions_per_100km"])),
    ("disengaged", "per 100 km", lambda f: _number(f["disengagements_per_100km"])),
    ("km", "", lambda f: f"{f['km']:.1f}"),
)


def page(content: Content) -> str:
    """The whole page."""
    settings = content["settings"]
    seeds = settings["seeds"]
    body = [
        "<h1>Scoreboard</h1>",
        f'<p class="sub">{len(seeds)} routes, seeds {seeds[0]} to {seeds[-1]}, traffic '
        f"{settings['traffic']:g} · model {escape(settings['models']['stack'])} · sources "
        f"<code>{escape(content['sources'])}</code></p>",
        _targets(content),
        _section("Policies", _table(content["policies"])),
        _section("Success by map", _maps(content["policies"])),
        _section("Controls that must fail", _table(content["controls"])
                 if content["controls"] else '<p class="empty">Not driven.</p>'),
        _checks(content), _films(content["failures"]), _words(content),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Scoreboard</title><style>{STYLE}{MORE_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _section(title: str, inner: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inner}</section>"


def _targets(content: Content) -> str:
    rows = []
    for target in judged(content):
        mark, kind = {
            True: ("✓ reached", "good"), False: ("✗ missed", "bad"), None: ("– not measured", ""),
        }[target.reached]
        rows.append(
            f'<div class="target"><span class="mark {kind}">{mark}</span>'
            f"<span>{escape(target.words)}</span>"
            f'<span class="value">{escape(target.found)}</span></div>'
        )
    return _section("Targets", "".join(rows))


def _table(policies: Mapping[str, Content]) -> str:
    head = "".join(
        f'<th class="n">{escape(name)}<span class="ci">{escape(unit)}</span></th>'
        for name, unit, _ in COLUMNS
    )
    rows = "".join(
        f"<tr><td><b>{escape(name)}</b><span class='ci'>{escape(f['title'])}</span></td>"
        + "".join(f'<td class="n">{show(f)}</td>' for _, _, show in COLUMNS) + "</tr>"
        for name, f in policies.items()
    )
    return _wide(f"<tr><th>driver</th>{head}</tr>{rows}")


def _maps(policies: Mapping[str, Content]) -> str:
    kinds = dict.fromkeys(kind for f in policies.values() for kind in f["by_map"])
    head = "".join(f'<th class="n">{escape(kind)}</th>' for kind in kinds)
    rows = []
    for name, f in policies.items():
        cells = "".join(_map_cell(f["by_map"].get(kind)) for kind in kinds)
        rows.append(f"<tr><td><b>{escape(name)}</b></td>{cells}</tr>")
    return _wide(f"<tr><th>driver</th>{head}</tr>{''.join(rows)}")


def _map_cell(f: Content | None) -> str:
    if f is None:
        return '<td class="n">–</td>'
    good = round(f["success"] * f["routes"])
    bad = " bad" if good < f["routes"] else ""
    return f'<td class="n{bad}">{good} of {f["routes"]}{_interval(f["success_ci95"])}</td>'


def _checks(content: Content) -> str:
    rows = []
    for name in ("stack", "baseline"):
        if f := content["policies"].get(name):
            rows += [
                f"<tr><td>{escape(name)}</td><td><code>{escape(check)}</code></td>"
                f'<td class="n">{_number(rate)}</td></tr>'
                for check, rate in f["interventions_per_100km_by_check"].items()
            ]
    if not rows:
        return _section("Safety interventions by check", '<p class="empty">None.</p>')
    return _section(
        "Safety interventions by check",
        _wide("<tr><th>driver</th><th>check</th><th class='n'>per 100 km</th></tr>"
              + "".join(rows)),
    )


def _films(failures: Sequence[Content]) -> str:
    if not failures:
        return _section("Failures", '<p class="empty">None.</p>')
    figures = []
    for failure in failures:
        words = f"{failure['policy']}, {failure['map']}, seed {failure['seed']}"
        film = (
            f'<video controls preload="none" src="{escape(failure["video"])}"></video>'
            if failure["video"] else ""
        )
        figures.append(
            f"<figure>{film}<figcaption><b>{escape(words)}</b><br>{escape(failure['reason'])}"
            "</figcaption></figure>"
        )
    return _section(
        f"Failures ({len(failures)}), the last seconds of each",
        f'<div class="films">{"".join(figures)}</div>',
    )


def _words(content: Content) -> str:
    settings = content["settings"]
    left_out = settings["left_out"]
    lines = [
        "Success: the end of the route is reached without an at-fault collision, without leaving "
        "the road and in time (30 s and what the route takes at a third of the speed limit; 30 s "
        "of standing still are too long as well).",
        "At fault, by NAVSIM's rule: ran into something that stands, the own front bumper met a "
        "road user, or a side did while the car was not within one lane. Not at fault: hit while "
        "standing, or from behind.",
        "Comfort: share of 4 s spans within all bounds of NAVSIM (longitudinal acceleration -4.05 "
        "to 2.40 m/s², lateral 4.89 m/s², jerk 8.37 m/s³, longitudinal jerk 4.13 m/s³, yaw rate "
        "0.95 rad/s, yaw acceleration 1.93 rad/s²).",
        "Progress: way made by the time at which the privileged teacher arrived, over the "
        "teacher's.",
        "Intervention: the safety monitor's level rises, or it hands over. Disengagement: it hands "
        "over or stops the car; the driver engages again as soon as that is possible and does "
        "nothing else.",
        f"Model latency is modelled as constant: a plan reaches the monitor "
        f"{1000 * settings['latency_s']:.0f} ms after the exposure of its picture.",
        "The controls change the picture behind all health checks, so that the model drives by it.",
    ]
    if left_out:
        lines.append(
            f"Seeds left out, since they were looked at before: {_spans(left_out)}."
        )
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return _section("What the figures mean", f'<ul class="plain">{items}</ul>')


def _spans(numbers: Sequence[int]) -> str:
    spans: list[list[int]] = []
    for n in sorted(numbers):
        if spans and n == spans[-1][1] + 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    return ", ".join(f"{a} to {b}" if a != b else str(a) for a, b in spans)


def _wide(rows: str) -> str:
    return f'<div class="wide"><table>{rows}</table></div>'


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _interval(bounds: Sequence[float]) -> str:
    return f'<span class="ci">{100 * bounds[0]:.0f} to {100 * bounds[1]:.0f} %</span>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"
