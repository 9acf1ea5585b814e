"""Whose fault a contact is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from score_scenes import TRUTH, thing, vehicle

from vla_driving.score.blame import Contact, judged

FRONT = vehicle().wheelbase + vehicle().front_overhang


@pytest.mark.parametrize(
    ("speed", "item", "off_centre", "contact", "at_fault"),
    [
        (0.0, thing(FRONT + 2.0, 0.0, 5.0), 0.0, Contact.STANDING_CAR, False),
        (8.0, thing(FRONT + 2.0, 0.0, 0.0), 0.0, Contact.STANDING_OBJECT, True),
        (8.0, thing(-3.0, 0.0, 12.0), 0.0, Contact.FROM_BEHIND, False),
        (8.0, thing(FRONT + 2.0, 0.0, 5.0), 0.0, Contact.FRONT, True),
        (8.0, thing(1.0, 1.8, 9.0), 0.0, Contact.SIDE, False),
        (8.0, thing(1.0, 1.8, 9.0), 0.9, Contact.SIDE, True),
    ],
)
def test_navsims_rule(
    speed: float, item: Any, off_centre: float, contact: Contact, at_fault: bool
) -> None:
    truth = replace(TRUTH, lane_offset=off_centre)
    found = judged(truth, item, vehicle(), speed)
    assert (found.contact, found.at_fault) == (contact, at_fault)


def test_a_side_beyond_the_road_is_no_side_within_a_lane() -> None:
    truth = replace(TRUTH, off_road=True)
    assert judged(truth, thing(1.0, 1.8, 9.0), vehicle(), 8.0).at_fault
