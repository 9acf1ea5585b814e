"""By which motion an instruction counts as followed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from score_scenes import track

from vla_driving.contract.language import Intent
from vla_driving.score.compliance import attempts, judged, tasks
from vla_driving.score.drive import ARRIVED, OVER, Drive, Saying
from vla_driving.score.instructions import CASES, OTHERS, SHUFFLED, VARIANTS, Trial, wished_speed
from vla_driving.score.track import Track
from vla_driving.vla.language.wordings import wordings

AT = 3.0


def trial(told: Track, silent: Track | None = None, text: str = "", *answers: str) -> Trial:
    said = [Saying(AT + 0.1, 1, status, "") for status in answers]
    return Trial(told, silent, AT, text, 12.0, said, mishap=False)


def shaped(**columns: Callable[[float], float]) -> Track:
    """A drive of 40 s at 10 m/s with columns that change after AT."""
    made = track(40.0)
    for name, of in columns.items():
        setattr(made, name, [of(t) for t in made.time])
    return made


def ramp(first: float, last: float, seconds: float = 5.0) -> Callable[[float], float]:
    return lambda t: first + (last - first) * min(1.0, max(0.0, (t - AT) / seconds))


STEADY = shaped()


@pytest.mark.parametrize(
    ("intent", "good", "bad"),
    [
        (Intent.SPEED_UP, shaped(speed=ramp(8.0, 9.5)), shaped(speed=ramp(8.0, 8.8))),
        (Intent.SLOW_DOWN, shaped(speed=ramp(10.0, 8.0)), shaped(speed=ramp(10.0, 0.0))),
        (Intent.SLOW_DOWN, shaped(speed=ramp(10.0, 8.9)), STEADY),
        (Intent.STOP, shaped(speed=ramp(10.0, 0.0)), shaped(speed=ramp(10.0, 1.0))),
        (Intent.GO_ON, shaped(speed=ramp(0.0, 5.0)), STEADY),
        (Intent.GO_ON, shaped(speed=ramp(0.0, 2.5)), shaped(speed=ramp(0.0, 1.0))),
        (Intent.CHANGE_LEFT, shaped(lane=lambda t: 0 if t > 8 else 1),
         shaped(lane=lambda t: 2 if t > 8 else 1)),
        (Intent.CHANGE_LEFT, shaped(lane=lambda t: 0 if 8 < t < 8.8 else 1),
         shaped(lane=lambda t: 0 if 8 < t < 8.3 else 1)),
        (Intent.CHANGE_RIGHT, shaped(lane=lambda t: 2 if t > 8 else 1),
         shaped(lane=lambda t: 2 if t > 16 else 1)),
        (Intent.CHANGE_RIGHT, shaped(lane=lambda t: 2 if t > 8 else 1),
         shaped(lane=lambda t: 2 if t > 8 else 1, left=lambda t: 0.9)),
        (Intent.NEXT_LEFT, shaped(heading=ramp(0.0, 1.5)), shaped(heading=ramp(0.0, -1.5))),
        (Intent.NEXT_RIGHT, shaped(heading=ramp(0.0, -1.5)), shaped(heading=ramp(0.0, -0.8))),
        (Intent.NEXT_STRAIGHT, STEADY, shaped(heading=ramp(0.0, 1.5))),
        (Intent.PULL_OVER, shaped(speed=ramp(10.0, 0.0), edge=ramp(4.0, 0.5)),
         shaped(speed=ramp(10.0, 0.0), edge=ramp(4.0, 1.5))),
        (Intent.PULL_OVER, shaped(speed=ramp(10.0, 0.0), edge=ramp(4.0, 0.5)),
         shaped(edge=ramp(4.0, 0.5))),
    ],
)
def test_rules(intent: Intent, good: Track, bad: Track) -> None:
    followed = CASES[intent].followed
    assert followed(trial(good)) and not followed(trial(bad))


@pytest.mark.parametrize(
    ("text", "speed", "followed"),
    [
        ("drive at 30 km/h", 30 / 3.6, True), ("drive at 30 km/h", 30 / 3.6 + 1.2, False),
        ("go 20 mph", 8.94, True), ("drive at 80", 12.0, True), ("drive nicely", 10.0, False),
    ],
)
def test_drive_at(text: str, speed: float, followed: bool) -> None:
    told = shaped(speed=ramp(10.0, speed))
    assert CASES[Intent.DRIVE_AT].followed(trial(told, None, text)) is followed


@pytest.mark.parametrize(
    ("text", "metres_per_second"),
    [
        ("keep it at 30 km/h", 8.333), ("hold a steady 20 mph", 8.941), ("set cruise to 35", 9.722),
        ("travel with 10 metres per second", 10.0), ("stick to twenty five mph", 11.176),
        ("make it forty kilometres an hour", 11.111), ("12 m/s", 12.0), ("nothing at all", None),
    ],
)
def test_speeds_are_read_from_texts(text: str, metres_per_second: float | None) -> None:
    found = wished_speed(text)
    assert found == (None if metres_per_second is None else
                     pytest.approx(metres_per_second, abs=0.001))


def test_every_speed_wording_names_a_speed() -> None:
    for split in ("trained", "held_out"):
        unread = [t for t in wordings(split)[Intent.DRIVE_AT] if wished_speed(t) is None]
        assert not unread


def test_gaps_are_held_against_the_drive_in_silence() -> None:
    silent = shaped(gap=lambda t: 15.0)
    wider, closer = shaped(gap=ramp(15.0, 19.0)), shaped(gap=ramp(15.0, 12.0))
    more, less = CASES[Intent.MORE_DISTANCE].followed, CASES[Intent.LESS_DISTANCE].followed
    assert more(trial(wider, silent)) and not more(trial(closer, silent))
    assert less(trial(closer, silent)) and not less(trial(wider, silent))
    assert not more(trial(silent, silent)) and not less(trial(silent, silent))
    assert not more(trial(STEADY, silent))  # nobody is ahead


def test_cancelled_is_back_to_normal_from_something_else() -> None:
    followed = CASES[Intent.CANCEL].followed
    assert followed(trial(shaped(speed=ramp(6.0, 9.5)), STEADY))
    assert not followed(trial(shaped(speed=ramp(6.0, 7.0)), STEADY))
    assert not followed(trial(STEADY, STEADY))
    assert not followed(trial(shaped(speed=ramp(6.0, 9.5)), None))


def test_cancelled_is_held_against_the_same_places_not_the_same_times() -> None:
    """The drive in silence is further on by then, and brakes for the end of its road."""
    braked = shaped(
        along=lambda t: 10.0 * min(t, 10.0) + 5.0 * max(0.0, t - 10.0),
        speed=lambda t: 10.0 if t < 10.0 else 5.0,
    )
    told = shaped(along=lambda t: 6.0 * t, speed=ramp(6.0, 9.5))
    assert CASES[Intent.CANCEL].followed(trial(told, braked))


@pytest.mark.parametrize(
    "moved",
    [{"along": ramp(0.0, 1.5)}, {"left": ramp(0.0, 0.4)}, {"speed": ramp(10.0, 9.0)},
     {"lane": lambda t: 2 if t > 9 else 1}],
)
def test_no_reaction_is_the_same_motion(moved: dict[str, Callable[[float], float]]) -> None:
    silent = shaped(along=lambda t: 0.0)
    ignored = OTHERS[Intent.NONE].followed
    assert ignored(trial(silent, silent)) and not ignored(trial(silent, None))
    assert not ignored(trial(shaped(**{"along": lambda t: 0.0, **moved}), silent))


def test_unsafe_needs_a_refusal_and_a_question_its_answer() -> None:
    refused, answered = OTHERS[Intent.UNSAFE].followed, OTHERS[Intent.QUESTION].followed
    assert refused(trial(STEADY, STEADY, "", "REFUSED"))
    assert not refused(trial(STEADY, STEADY, "", "IGNORED"))
    assert not refused(trial(shaped(speed=ramp(10.0, 8.0)), STEADY, "", "REFUSED"))
    assert answered(trial(STEADY, STEADY, "", "ANSWERED"))
    assert not answered(trial(STEADY, STEADY))


def test_shuffled_says_something_else_of_each() -> None:
    assert set(SHUFFLED) == set(CASES)
    assert all(intent != said for intent, said in SHUFFLED.items())


def test_attempts_cover_every_intent_and_drive_each_silence_once() -> None:
    tries = attempts(wordings, 2, 10_900)
    for split in ("trained", "held_out"):
        found = {a.intent for a in tries if a.split == split}
        assert set(CASES) <= found
    told = [a.told.name for a in tries]
    assert len(set(told)) == len(told)
    drives = tasks(tries)
    names = [t.name for t in drives]
    assert len(set(names)) == len(names)
    by_scene = {t.scenario.name: t for t in drives if not t.words}
    assert len(by_scene) == VARIANTS + 2
    for attempt in tries:
        if attempt.silent is not None:
            assert attempt.silent.scenario == attempt.told.scenario
            assert attempt.silent.for_s >= attempt.told.for_s
    held_out = {t for texts in wordings("held_out").values() for t in texts}
    for attempt in tries:
        assert (attempt.text in held_out) == (attempt.split == "held_out")
    assert not attempts(wordings, 0, 10_900)


def test_shares() -> None:
    tries = [a for a in attempts(wordings, 1, 10_900) if a.intent == Intent.STOP]
    stops = Drive("stack", "instructions", 10_900, "SSS", OVER, track=shaped(speed=ramp(10.0, 0.0)))
    goes = Drive("stack", "instructions", 10_900, "SSS", ARRIVED, track=STEADY)
    found = {a.told.name: (goes if a.split == "held_out" else stops).as_dict() for a in tries}
    shares = judged(tries, found)
    assert shares["trained"] == 1.0 and shares["held_out"] == 0.0
    assert shares["tried"]["trained"] == 1 and shares["irrelevant_ignored"] is None
    assert shares["by_intent"]["stop"]["trained"]["share"] == 1.0
    hurt = {name: row | {"off_road": 1} for name, row in found.items()}
    assert judged(tries, hurt)["trained"] == 0.0
