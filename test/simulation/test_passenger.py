"""The passenger who talks by script."""

from vla_driving.simulation.passenger import ScriptedPassenger
from vla_driving.simulation.scenario import Utterance


def test_times_count_from_the_first_engagement_and_a_pause_stops_nobody() -> None:
    passenger = ScriptedPassenger([Utterance("go on", 3.0), Utterance("drive slower", 1.0)])
    heard = {}
    for tenth in range(100):
        now = tenth / 10
        engaged = 2.0 <= now < 4.0
        if text := passenger.step(now, engaged):
            heard[now] = text
    assert heard == {3.0: "drive slower", 5.0: "go on"}


def test_one_thing_is_said_at_a_time() -> None:
    passenger = ScriptedPassenger([Utterance("one", 0.0), Utterance("two", 0.0)])
    assert [passenger.step(k / 10, True) for k in range(3)] == ["one", "two", None]


def test_nobody_speaks_before_the_car_drives_itself() -> None:
    passenger = ScriptedPassenger([Utterance("stop", 0.0)])
    assert all(passenger.step(float(t), False) is None for t in range(60))
