"""A thousand attacks on monitor and bridge, and an oracle that finds what is wrong."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from vla_driving.assurance import fuzz
from vla_driving.assurance.fuzzing import adversary, links
from vla_driving.assurance.fuzzing.drive import Config, Drive, Result, attacked
from vla_driving.contract.checksum import signed
from vla_driving.contract.plan import ApprovedPlan, PlanSource
from vla_driving.contract.scene import ObjectClass, ObjectList, SceneObject
from vla_driving.contract.trajectory import POINTS, integrate
from vla_driving.contract.vehicle import CommandSource, ControlCommand
from vla_driving.control.envelope import Envelope

pytestmark = pytest.mark.requirement("SR-24")


@pytest.fixture(scope="module")
def begun() -> Drive:
    return Drive(Config.of("default"), 8.0, -0.02).warm_up()


def test_a_thousand_attacks_and_nothing_escapes(begun: Drive) -> None:
    cases = 0
    with np.errstate(all="ignore"):
        for number in range(12):
            result = Result()
            attacked(begun, 5, number, result)
            assert not result.escape, (number, result.step, result.escape)
            cases += sum(result.cases.values())
    assert cases > 1000


def test_the_same_seed_tries_the_same(begun: Drive) -> None:
    first, second = Result(), Result()
    attacked(begun, 7, 3, first)
    attacked(begun, 7, 3, second)
    assert first.attacks == second.attacks
    assert first.attacks


def test_attacks_can_be_left_out(begun: Drive) -> None:
    whole, part = Result(), Result()
    attacked(begun, 7, 3, whole)
    kept = frozenset(attack for attack, _ in whole.attacks[:2])
    attacked(begun, 7, 3, part, kept)
    assert part.attacks == whole.attacks[:2]


def test_an_envelope_without_limits_is_found_and_reduced_to_what_it_takes(
    begun: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Envelope, "_angle", lambda self, wanted, speed, dt: 1.5 * wanted + 0.01)
    monkeypatch.setattr(fuzz, "_begun", [begun])
    found = fuzz.once(3, 0)
    assert "angle" in found.escape or "steering" in found.escape
    kept = fuzz.reduced(3, 0, found)
    assert kept["wrong"]
    assert len(kept["attacks"]) <= len(found.attacks)


@pytest.mark.parametrize(
    ("number", "attacks"),
    [
        (946, {(21, "state", 12), (21, "state", 13), (24, "state", 13)}),
        (1461, {(17, "state", 6), (17, "state", 7), (26, "state", 3), (26, "state", 7)}),
    ],
)
def test_a_speed_between_two_states_may_be_gone_by(
    number: int, attacks: set[tuple[int, str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later one is stamped ahead of now; once called an escape, by 2 % of the lateral jerk."""
    monkeypatch.setattr(fuzz, "_begun", list(fuzz._begun))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        fuzz._start()
        assert not fuzz.once(1, number, frozenset(attacks)).escape


@pytest.mark.parametrize("name", [*adversary.PLANS, *adversary.STATES])
def test_each_adversary_changes_something(begun: Drive, name: str) -> None:
    good, state = begun._sound_plan(), begun._sound_state()
    with np.errstate(all="ignore"):
        for seed in range(5):
            rng = np.random.default_rng(seed)
            if name in adversary.PLANS:
                assert adversary.PLANS[name](rng, good, begun.given[0]) is not good
            else:
                assert adversary.STATES[name](rng, state) is not state


@pytest.mark.parametrize("name", links.LISTS)
def test_each_adversary_of_the_sensor_changes_something(begun: Drive, name: str) -> None:
    good, path = listed(begun, 30.0), begun._sound_plan().candidates[0]
    for seed in range(5):
        assert links.LISTS[name](np.random.default_rng(seed), good, path) is not good


@pytest.mark.parametrize("name", links.LINKS)
def test_each_adversary_of_the_link_changes_something(begun: Drive, name: str) -> None:
    with np.errstate(all="ignore"):
        for seed in range(2, 7):
            rng = np.random.default_rng(seed)
            assert links.LINKS[name](rng, begun.sent) is not begun.sent[-1]


def listed(begun: Drive, x: float, y: float = 0.0) -> ObjectList:
    item = SceneObject(ObjectClass.CAR, 0.9, x, y, 0.0, 0.0, 0.0, 4.5, 1.8, 1.5)
    return signed(ObjectList(begun.now_ns, 10**6, "radar", (item,)))


@pytest.mark.parametrize("y", [0.0, 30.0])
def test_the_oracle_finds_a_plan_over_what_the_sensor_sees(begun: Drive, y: float) -> None:
    path = integrate(8.0, np.zeros(POINTS), np.zeros(POINTS))
    plan = signed(replace(begun._sound_plan(), candidates=(path,)))
    oracle = replace(begun.oracle, plan_sequence=None)
    oracle.seen([None, listed(begun, 20.0, y)])
    approved = signed(ApprovedPlan(
        plan.stamp_ns, 1, plan.sequence, plan.stamp_ns, plan.stamp_ns + 10**8, PlanSource.MODEL,
        True, False, False, 10.0, path,
    ))
    found = oracle.approved(approved, [plan], None, begun.now_ns)
    assert any("drives over" in line for line in found) == (y == 0.0)


def test_the_oracle_finds_a_plan_that_is_followed_and_none_vouches_for(begun: Drive) -> None:
    after = begun.sent[-1].valid_until_ns
    command = signed(GOOD)
    oracle = replace(begun.oracle, last=None)
    assert oracle.command(command, False, False, after) == []
    assert oracle.command(command, False, False, after, publishers=2) == [
        "a plan is followed though two speak on its topic"
    ]
    oracle.arrived(replace(begun.sent[-1], valid_until_ns=after + 1), False)
    assert any("none that was signed" in line
               for line in oracle.command(command, False, False, after + 1))


GOOD = ControlCommand(
    stamp_ns=0, sequence=0, plan_sequence=0, frame_stamp_ns=0, source=CommandSource.PLAN,
    engaged=True, steering_angle=0.0, steering_rate=0.0, acceleration=0.0, jerk=0.0,
    hazard_lights=False, hold=False,
)
FASTER = 10_000_000


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"steering_angle": float("nan")}, "not finite"),
        ({"steering_angle": 0.7}, "angle 0.7"),
        ({"steering_angle": 0.05}, "angle moved"),
        ({"steering_rate": 0.7}, "steering rate"),
        ({"acceleration": 2.1}, "acceleration 2.1"),
        ({"acceleration": -6.1}, "acceleration -6.1"),
        ({"acceleration": 0.2}, "acceleration moved"),
        ({"jerk": 6.0}, "jerk"),
        ({"engaged": False}, "contradict"),
        ({"hold": True, "acceleration": 0.04}, "holds and accelerates"),
        ({"source": CommandSource.STOP, "acceleration": 0.04}, "own stop accelerates"),
    ],
)
def test_the_oracle_finds_a_command_that_is_wrong(
    begun: Drive, changes: dict[str, object], wrong: str
) -> None:
    oracle = replace(begun.oracle, last=(0, signed(GOOD)))
    assert replace(oracle).command(signed(GOOD), False, False, FASTER) == []
    changed = signed(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert any(wrong in line for line in oracle.command(changed, False, False, FASTER))


def test_the_oracle_finds_an_override_that_is_ignored(begun: Drive) -> None:
    oracle = replace(begun.oracle, last=(0, signed(GOOD)))
    assert oracle.command(signed(GOOD), True, False, FASTER) == [
        "engaged though the driver steers or brakes"
    ]


def test_the_oracle_finds_a_bend_that_is_too_fast(begun: Drive) -> None:
    oracle = replace(begun.oracle, last=(0, signed(replace(GOOD, steering_angle=0.1))))
    oracle.believed(None, [20.0])
    more = signed(replace(GOOD, steering_angle=0.1001))
    assert any("lateral" in line for line in oracle.command(more, False, False, FASTER))


@pytest.mark.parametrize(
    ("pull", "bend", "wrong"),
    [
        (2.5, 0.0, "acceleration 2.5"), (-4.0, 0.0, "deceleration 4"), (0.0, 0.1, "lateral"),
        (0.0, 0.5, "curvature"),
    ],
)
def test_the_oracle_finds_a_plan_beyond_the_limits(
    begun: Drive, pull: float, bend: float, wrong: str
) -> None:
    plan = begun._sound_plan()
    path = integrate(8.0, np.full(POINTS, pull), np.full(POINTS, bend))
    plan = signed(replace(plan, candidates=(path,)))
    oracle = replace(begun.oracle, plan_sequence=None)
    approved = signed(ApprovedPlan(
        plan.stamp_ns, 1, plan.sequence, plan.stamp_ns, plan.stamp_ns + 10**8, PlanSource.MODEL,
        True, False, False, 10.0, path,
    ))
    found = oracle.approved(approved, [plan], None, begun.now_ns)
    assert any(wrong in line for line in found)
    assert oracle.approved(approved, [], None, begun.now_ns)
