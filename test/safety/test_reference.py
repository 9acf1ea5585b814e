"""docs/safety.md is made from the tables, and is up to date."""

from __future__ import annotations

from drive import CONFIG

from vla_driving.contract.supervision import Level
from vla_driving.safety.checks import CHECKS
from vla_driving.safety.engagement import TRANSITIONS
from vla_driving.safety.reference import safety_page, shipped_limits

ROOT = CONFIG.parent


def test_the_page_is_up_to_date() -> None:
    shipped = (ROOT / "docs/safety.md").read_text(encoding="utf-8")
    assert shipped == safety_page(shipped_limits(ROOT)), "run make docs"


def test_the_page_holds_every_check_and_transition() -> None:
    page = safety_page(shipped_limits(ROOT))
    for check in CHECKS:
        assert f"| `{check.name}` |" in page
    for row in TRANSITIONS:
        assert f"| {row.source.name} | {row.target.name} | {row.when} |" in page


def test_checks_have_names_and_words_of_their_own() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.says, check.name
        assert check.source, check.name
        assert check.inputs, check.name
        assert check.reaction <= Level.EMERGENCY, check.name
