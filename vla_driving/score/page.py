"""index.html: the scoreboard for people. Needs no network, only the films that lie beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from vla_driving.replay.report_style import STYLE
from vla_driving.score.compliance import SHUFFLE
from vla_driving.score.definitions import DEFINITIONS, rules
from vla_driving.score.targets import judged

Content = Mapping[str, Any]
MORE_STYLE = """
.films { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); }
.ci { color: var(--soft); font-size: 12.5px; display: block; }
.policies td:first-child { min-width: 210px; }
ul.plain { margin: 0; padding-left: 18px; } li { margin: 3px 0; }
"""

COLUMNS: tuple[tuple[str, str, Callable[[Content], str]], ...] = (
    ("routes", "km", lambda f: f'{f["routes"]}<span class="ci">{f["km"]:.1f} km</span>'),
    ("success", "95 % interval", lambda f: _share(f["success"]) + _interval(f["success_ci95"])),
    ("route done", "mean", lambda f: _share(f["route_completion"])),
    ("collisions", "per 100 km", lambda f: _number(f["collisions_per_100km"])),
    ("at fault", "count", lambda f: str(f["at_fault_collisions"])),
    ("off road", "per 100 km", lambda f: _number(f["off_road_per_100km"])),
    ("comfort", "NAVSIM", lambda f: _share(f["comfort"])),
    ("progress", "to teacher", lambda f: _share(f["progress_to_teacher"])),
    ("interventions", "per 100 km", lambda f: _number(f["interventions_per_100km"])),
    ("disengaged", "per 100 km", lambda f: _number(f["disengagements_per_100km"])),
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
        _section("Controls that must fail", _controls(content)),
        _instructions(content), _reasoning(content), _checks(content),
        _films(content["failures"]), _words(content),
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
    return f'<div class="policies">{_wide(f"<tr><th>driver</th>{head}</tr>{rows}")}</div>'


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
    figures = "".join(
        _figure(f["video"], f"{f['policy']}, {f['map']}, seed {f['seed']}", f["reason"])
        for f in failures
    )
    return _section(f"Failures ({len(failures)})", f'<div class="films">{figures}</div>')


def _figure(video: str | None, title: str, words: str) -> str:
    film = f'<video controls preload="none" src="{escape(video)}"></video>' if video else ""
    return (
        f"<figure>{film}<figcaption><b>{escape(title)}</b><br>{escape(words)}"
        "</figcaption></figure>"
    )


def _instructions(content: Content) -> str:
    told = content.get("instructions")
    if told is None:
        return _section("Instructions", '<p class="empty">None were given.</p>')
    whole = "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td>"
        f'<td class="n">{_share(told[name])}{_interval(told["ci95"][name])}</td>'
        f'<td class="n">{told["tried"][name]}</td></tr>'
        for name in told["tried"]
    )
    meaning = dict(rules())
    intents = "".join(
        f"<tr><td><b>{escape(name.replace('_', ' '))}</b>"
        f"<span class='ci'>{escape(meaning[name.replace('_', ' ')])}</span></td>"
        + "".join(_tried(splits[split]) for split in ("trained", "held_out", "shuffled")) + "</tr>"
        for name, splits in told["by_intent"].items()
    )
    missed = "".join(
        _figure(
            r["video"], f"{r['intent']}, {r['split']} wording".replace("_", " "),
            f"“{r['text']}” {r['answer']}",
        )
        for r in told["rows"] if not r["followed"] and r["split"] != SHUFFLE
    )
    listed = f'<div class="films">{missed}</div>' if missed else '<p class="empty">None.</p>'
    return _section(
        "Instructions",
        _wide("<tr><th>what</th><th class='n'>share</th><th class='n'>tried</th></tr>" + whole)
        + "<h2>By intent</h2>"
        + _wide("<tr><th>intent</th><th class='n'>trained</th><th class='n'>held out</th>"
                "<th class='n'>shuffled</th></tr>" + intents)
        + f"<details><summary>Texts that did not do what they ought to</summary>{listed}</details>",
    )


def _tried(group: Content) -> str:
    if not group["tried"]:
        return '<td class="n">–</td>'
    return f'<td class="n">{round(group["share"] * group["tried"])} of {group["tried"]}</td>'


def _reasoning(content: Content) -> str:
    found = content.get("reasoning")
    if found is None:
        return _section("Reasons", '<p class="empty">The stack was not driven.</p>')
    rows = "".join(
        f"<tr><td>{escape(cause.replace('_', ' '))}</td><td class='n'>{f['reasons']}</td>"
        f"<td class='n'>{_share(f['true'])}</td><td class='n'>{_share(f['consistent'])}</td></tr>"
        for cause, f in found["by_cause"].items()
    )
    rows += (
        f"<tr><td><b>all</b></td><td class='n'>{found['reasons']}</td>"
        f"<td class='n'><b>{_share(found['true'])}</b>{_interval(found['true_ci95'])}</td>"
        f"<td class='n'><b>{_share(found['consistent'])}</b>{_interval(found['consistent_ci95'])}"
        "</td></tr>"
    )
    return _section(
        "Reasons",
        _wide("<tr><th>cause</th><th class='n'>reasons</th><th class='n'>true</th>"
              f"<th class='n'>consistent</th></tr>{rows}"),
    )


def _controls(content: Content) -> str:
    driven = {n: f for n, f in content["controls"].items() if "routes" in f}
    parts = [_table(driven)] if driven else []
    if shuffled := content["controls"].get("shuffled"):
        parts.append(
            f"<p>Instructions shuffled: {_share(shuffled['success'])} of {shuffled['tried']} were "
            f"followed by chance {_interval(shuffled['success_ci95'])}</p>"
        )
    return "".join(parts) or '<p class="empty">None were driven.</p>'


def _words(content: Content) -> str:
    lines = [f"<b>{escape(name)}</b>: {escape(words)}." for name, words in DEFINITIONS]
    if left_out := content["settings"]["left_out"]:
        lines.append(f"Seeds left out, since they were looked at before: {_spans(left_out)}.")
    items = "".join(f"<li>{line}</li>" for line in lines)
    return _section("What the figures mean", f'<ul class="plain">{items}</ul>')


def _spans(numbers: Sequence[int]) -> str:
    return f"{len(numbers)} of {min(numbers)} to {max(numbers)}"


def _wide(rows: str) -> str:
    return f'<div class="wide"><table>{rows}</table></div>'


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _interval(bounds: Sequence[float]) -> str:
    return f'<span class="ci">{100 * bounds[0]:.0f} to {100 * bounds[1]:.0f} %</span>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"
