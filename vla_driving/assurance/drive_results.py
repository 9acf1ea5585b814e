"""What good drives leave: how each went, why one is no good one, the sum of all, and a diary."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_driving.assurance.hindsight import Conflict, Encroachment
from vla_driving.score.interventions import Intervention

_WELL = ("arrived", "stuck", "time")
"""How a drive may end."""
_AROUND_S = (1.0, 3.0)
"""Before and after a reaction, within which what happened may have been the reason for it."""


@dataclass
class Drive:
    """How one drive went; `driven_s` counts the time under the stack alone.

    `end_speed` in m/s is the car's where it ended. Conflicts, encroachments and accidents of others
    are looked for where the teacher drives alone.
    """

    seed: int
    map: str
    ended: str = "time"
    driven_s: float = 0.0
    distance_m: float = 0.0
    off_road: bool = False
    waits: int = 0
    waited_s: float = 0.0
    gave_way: int = 0
    gave_way_s: float = 0.0
    interventions: list[Intervention] = field(default_factory=list)
    end_speed: float = 0.0
    conflicts: list[Conflict] = field(default_factory=list)
    encroachments: list[Encroachment] = field(default_factory=list)
    accidents: list[float] = field(default_factory=list)
    remarks: dict[str, int] = field(default_factory=dict)

    @property
    def arrived(self) -> bool:
        """At its end, or before something that stands in the way, on the road."""
        return self.ended in _WELL and not self.off_road

    def fault(self, time_s: float) -> str:
        """Why it is no good drive around that time; empty where it is one."""
        if not self.arrived:
            return "off road" if self.off_road else self.ended
        near = [c for c in self.conflicts if _is_near(c.time_s, time_s)]
        if near:
            worst = min(near, key=lambda c: c.contact_s)
            return f"conflict: {worst.contact_s:.1f} s to contact at {worst.time_s:.1f} s"
        crossed = [e for e in self.encroachments if _is_near(e.time_s, time_s)]
        if crossed:
            least = min(crossed, key=lambda e: e.apart_s)
            return f"encroachment: crossed {least.apart_s:.1f} s apart at {least.time_s:.1f} s"
        crashed = [at for at in self.accidents if _is_near(at, time_s)]
        return f"accident of others at {crashed[0]:.1f} s" if crashed else ""

    @classmethod
    def read(cls, found: dict[str, Any]) -> Drive:
        """From what `dataclasses.asdict` made of one."""
        parts: dict[str, Any] = {
            "interventions": [Intervention(**i) for i in found["interventions"]],
            "conflicts": [Conflict(**c) for c in found["conflicts"]],
            "encroachments": [Encroachment(**e) for e in found["encroachments"]],
        }
        return cls(**{**found, **parts})


def _is_near(happened_s: float, time_s: float) -> bool:
    before_s, after_s = _AROUND_S
    return time_s - before_s <= happened_s <= time_s + after_s


@dataclass(frozen=True)
class Judged:
    """A watched drive; where something happened, that of the teacher alone as well.

    `fault` is why it is no good one, empty where it is; `seconds` is what both of them took.
    """

    watched: Drive
    fault: str = ""
    alone: Drive | None = None
    seconds: float = 0.0

    @property
    def made_worse(self) -> bool:
        """Whether the teacher alone comes to the end that the watched drive does not."""
        return self.alone is not None and self.alone.arrived and not self.watched.arrived

    @property
    def made_better(self) -> bool:
        """Whether the watched drive comes to the end that the teacher alone does not."""
        return self.alone is not None and self.watched.arrived and not self.alone.arrived

    @classmethod
    def read(cls, found: dict[str, Any]) -> Judged:
        """From what `dataclasses.asdict` made of one."""
        alone = found["alone"] and Drive.read(found["alone"])
        return cls(Drive.read(found["watched"]), found["fault"], alone, found["seconds"])


@dataclass
class Result:
    """All drives so far."""

    drives: list[Judged] = field(default_factory=list)

    @property
    def good(self) -> list[Drive]:
        """Watched drives that are good."""
        return [d.watched for d in self.drives if not d.fault]

    @property
    def good_minutes(self) -> float:
        """Driven by the stack in good drives."""
        return sum(d.driven_s for d in self.good) / 60.0

    @property
    def interventions(self) -> list[Intervention]:
        """The false ones."""
        return [i for d in self.good for i in d.interventions]

    @property
    def worse(self) -> list[Judged]:
        """Drives that fail with the monitor alone."""
        return [d for d in self.drives if d.made_worse]

    def report(self, source: str) -> dict[str, Any]:
        """What is written as JSON; `source` is the hash of what was driven."""
        remarks: Counter[str] = sum((Counter(d.remarks) for d in self.good), Counter())
        seconds = sum(d.seconds for d in self.drives)
        return {
            "source_hash": source,
            "false_interventions": len(self.interventions),
            "good_minutes": round(self.good_minutes, 2),
            "made_worse": len(self.worse),
            "made_better": sum(d.made_better for d in self.drives),
            "good_drives": len(self.good),
            "good_km": round(sum(d.distance_m for d in self.good) / 1000.0, 2),
            "waits": sum(d.waits for d in self.good),
            "waited_s": round(sum(d.waited_s for d in self.good), 1),
            "gave_way": sum(d.gave_way for d in self.good),
            "gave_way_s": round(sum(d.gave_way_s for d in self.good), 1),
            "seeds": [d.seed for d in self.good],
            "by_check": dict(Counter(i.check for i in self.interventions).most_common()),
            "interventions": [
                {"seed": d.seed, **dataclasses.asdict(i)}
                for d in self.good for i in d.interventions
            ],
            "checks_that_spoke_without_a_reaction": dict(remarks.most_common()),
            "made_worse_drives": [_told(d) for d in self.worse],
            "set_aside": [_told(d) for d in self.drives if d.fault],
            "driven_twice": sum(d.alone is not None for d in self.drives),
            "worker_seconds": round(seconds, 1),
            "worker_seconds_per_good_minute": round(seconds / max(self.good_minutes, 0.01), 1),
        }


def _told(judged: Judged) -> dict[str, Any]:
    """A drive that is no good one, or was made worse."""
    watched = judged.watched
    return {
        "seed": watched.seed, "map": watched.map, "ended": watched.ended,
        "end_speed": round(watched.end_speed, 2), "teacher_alone": judged.fault or "good",
        "made_worse": judged.made_worse,
        "interventions": [dataclasses.asdict(i) for i in watched.interventions],
    }


class Diary:
    """Drives of the same sources, a line of JSON each, so that a stopped command can go on."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key

    def begin(self, seeds: range) -> list[Judged]:
        """The drives from the first of `seeds` on without a gap; all others are forgotten."""
        known = {d.watched.seed: d for d in self._read()}
        count = next((k for k, seed in enumerate(seeds) if seed not in known), len(seeds))
        kept = [known[seed] for seed in seeds[:count]]
        self._path.write_text("".join(map(self._line, kept)), encoding="utf-8")
        return kept

    def add(self, judged: Judged) -> None:
        """One more drive."""
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(self._line(judged))

    def _line(self, judged: Judged) -> str:
        return json.dumps({"key": self._key, **dataclasses.asdict(judged)}) + "\n"

    def _read(self) -> Iterator[Judged]:
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except ValueError:  # cut off while it was written
                continue
            if found.get("key") == self._key:
                yield Judged.read(found)
