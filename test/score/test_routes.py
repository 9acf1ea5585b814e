"""Which routes are driven."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from vla_driving.score import routes


def test_the_scores_own_seeds_leave_out_what_was_looked_at() -> None:
    chosen = list(itertools.islice(routes.seeds(routes.FIRST_SEED), 200))
    assert chosen[:7] == [20_000, 20_001, 20_002, 20_003, 20_004, 20_005, 20_010]
    assert not {*range(20_006, 20_010), *range(20_100, 20_171)} & set(chosen)
    assert len(set(chosen)) == 200


def test_a_span_ends_before_its_end() -> None:
    assert list(routes.seeds(10_000, 10_003)) == [10_000, 10_001, 10_002]


def test_kinds_take_turns() -> None:
    kinds = tuple(routes.MAPS)
    found = Counter(routes.kind_of(seed, kinds) for seed in range(10_000, 10_080))
    assert set(found.values()) == {10}


@pytest.mark.parametrize("kind", routes.MAPS)
def test_a_route_follows_from_its_seed(kind: str) -> None:
    first, again = routes.route(10_001, kind), routes.route(10_001, kind)
    assert first == again != routes.route(10_002, kind)
    assert first.map in routes.MAPS[kind]
    assert first.traffic_density == routes.TRAFFIC and not first.objects
    assert first.start_speed == 0.0
