"""The actor under a command, along a route and with a memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.frames import FrameStatus
from vla_driving.contract.language import Cause, Command, Intent
from vla_driving.contract.navigation import Route, Turn
from vla_driving.vla.actor import Actor, ActorInputs, ActorOutputs
from vla_driving.vla.faults import REACTIONS
from vla_driving.vla.outputs import decode
from vla_driving.vla.runtimes.choose import open_runtime
from vla_driving.vla.settings import VlaInferenceSettings

from .listening_model import TOKEN, listening_model
from .tiny_model import (
    HEIGHT,
    PROBABILITY,
    VEHICLE,
    WIDTH,
    ModelFactory,
    frame_set,
    manifest,
    runtime_settings,
    vehicle_state,
)

START = 100 * SECOND
SETTINGS = VlaInferenceSettings(
    runtime=runtime_settings("onnxruntime/CPU"),
    plan_validity=0.5, max_frame_age=0.3, future_tolerance=0.02,
    max_vehicle_state_age=0.1, max_route_age=2.0,
    min_object_probability=0.5, min_lane_probability=0.5, thoughts="explain",
)
WORD = np.array([0.6, 0.8, 0.0, 0.0], np.float32)


@pytest.fixture
def actor(tmp_path: Any) -> Actor:
    model = listening_model(tmp_path)
    return Actor(model, open_runtime(model, SETTINGS.runtime), SETTINGS, VEHICLE, lambda: 0)


@pytest.fixture
def deaf(make_model: ModelFactory) -> Actor:
    """An actor whose model takes no text."""
    model = make_model()
    return Actor(model, open_runtime(model, SETTINGS.runtime), SETTINGS, VEHICLE, lambda: 0)


def command(intent: Intent = Intent.STOP, **changes: Any) -> Command:
    made = Command(START, 3, 41, intent, 0.0, 0.0, WORD, START + 10 * SECOND)
    return dataclasses.replace(made, **changes)


def route(turn: Turn = Turn.RIGHT, stamp_ns: Nanoseconds = START) -> Route:
    x = np.array([10.0, 30.0], np.float32)
    return Route(stamp_ns, x, np.full(2, 4.0, np.float32), turn, 40.0, 500.0, 12.0)


def step(
    actor: Actor, at_s: float, states_at: Callable[[int], tuple[Any, ...]] | None = None,
    **changes: Any,
) -> ActorOutputs:
    """Frames at START + at_s, with a state of 5 m/s at the same time."""
    stamp = START + round(at_s * SECOND)
    states = (vehicle_state(stamp, speed=5.0),) if states_at is None else states_at(stamp)
    inputs = ActorInputs(frame_set(stamp, round(at_s * 100)), states, **changes)
    return actor.step(inputs, stamp)


def names(outputs: ActorOutputs) -> list[str]:
    return [f.name for f in outputs.faults]


def bend(outputs: ActorOutputs) -> float:
    assert outputs.plan is not None
    return float(outputs.plan.candidates[0].curvature[0])


def test_the_token_reaches_the_network_and_the_plan_names_the_instruction(actor: Actor) -> None:
    plain = step(actor, 0.0)
    assert plain.plan is not None
    assert (bend(plain), plain.plan.instruction_id, plain.plan.speed_cap) == (0.0, 0, 0.0)
    told = step(actor, 0.1, command=command(speed=4.0, time_gap=1.5))
    assert told.plan is not None and told.faults == ()
    assert bend(told) == pytest.approx(0.006)
    assert float(told.plan.candidates[0].acceleration[0]) == pytest.approx(1.5)
    assert (told.plan.instruction_id, told.plan.speed_cap) == (41, 4.0)


def test_an_expired_command_is_dropped_by_name(actor: Actor) -> None:
    old = command(expires_ns=START + SECOND // 2)
    assert step(actor, 0.4, command=old).faults == ()
    outputs = step(actor, 0.6, command=old)
    assert names(outputs) == ["command_stale"]
    assert outputs.faults[0].value == pytest.approx(0.1)
    assert outputs.plan is not None and outputs.plan.instruction_id == 0
    assert bend(outputs) == 0.0


def test_a_command_that_wishes_nothing_is_none(actor: Actor) -> None:
    over = command(Intent.NONE, token=np.zeros(0, np.float32), instruction_id=0, expires_ns=START)
    outputs = step(actor, 0.6, command=over)
    assert outputs.faults == () and outputs.plan is not None


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"token": np.ones(TOKEN + 1, np.float32)}, "token [5] instead of [4]"),
        ({"token": np.zeros((2, 2), np.float32)}, "token [2, 2] instead of [4]"),
        ({"token": np.full(TOKEN, np.nan, np.float32)}, "4 of 4 values of the token are not"),
        ({"token": np.full(TOKEN, 3.0, np.float32)}, "the token's length is 6 instead of 1"),
        ({"speed": math.nan}, "speed nan is not a number of at least 0"),
        ({"speed": -1.0}, "speed -1 is not a number of at least 0"),
        ({"time_gap": math.inf}, "time_gap inf is not a number of at least 0"),
    ],
)
def test_a_damaged_command_is_named_and_left_out(
    actor: Actor, changes: dict[str, Any], detail: str
) -> None:
    outputs = step(actor, 0.0, command=command(**changes))
    (fault,) = outputs.faults
    assert fault.name == "command_invalid" and detail in fault.detail
    assert outputs.plan is not None and outputs.plan.instruction_id == 0
    assert bend(outputs) == 0.0
    assert outputs.events[0].severity == REACTIONS["command_invalid"].severity


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    token=hnp.arrays(np.float32, st.integers(0, 9), elements=st.floats(width=32)),
    speed=st.floats(width=32), gap=st.floats(width=32), intent=st.sampled_from(Intent),
    expiry=st.integers(START - SECOND, START + SECOND),
)
def test_no_command_raises_or_stops_the_plans(
    actor: Actor, token: np.ndarray, speed: float, gap: float, intent: Intent, expiry: int
) -> None:
    wish = Command(START, 1, 5, intent, speed, gap, token, expiry)
    for at in (0.0, 0.1):
        outputs = actor.step(
            ActorInputs(
                frame_set(START + round(at * SECOND)), (vehicle_state(START, speed=5.0),),
                command=wish,
            ),
            START + round(at * SECOND),
        )
        assert outputs.plan is not None or outputs.faults
    actor.step(ActorInputs(None), START - 10 * SECOND)  # starts anew


def test_a_model_without_text_obeys_speed_and_says_what_it_cannot(deaf: Actor) -> None:
    outputs = step(deaf, 0.0, command=command(speed=4.0), route=route())
    assert names(outputs) == ["command_not_understood"]
    assert outputs.plan is not None
    assert (outputs.plan.instruction_id, outputs.plan.speed_cap) == (0, 4.0)
    outputs = step(deaf, 0.1, command=command(Intent.DRIVE_AT, speed=4.0), route=route())
    assert outputs.plan is not None and outputs.faults == ()
    assert outputs.plan.instruction_id == 41


def test_points_of_the_route_move_with_the_car_and_go_where_a_wish_contradicts_them(
    actor: Actor,
) -> None:
    on_time = step(actor, 0.0, route=route())
    later = step(actor, 0.4, lambda t: tuple(
        vehicle_state(START + k * SECOND // 10, speed=5.0, yaw_rate=-0.5) for k in range(1, 5)
    ), route=route())
    assert bend(on_time) == pytest.approx(0.05 * 4.0 / 50.0, rel=1e-3)
    assert bend(later) > 1.5 * bend(on_time)  # the car has turned away to the right
    other = command(Intent.NEXT_LEFT, token=np.zeros(0, np.float32))
    assert bend(step(actor, 0.5, route=route(), command=other)) == 0.0
    same = dataclasses.replace(other, intent=Intent.NEXT_RIGHT)
    assert bend(step(actor, 0.6, route=route(), command=same)) > 0.0
    assert bend(step(actor, 3.0, route=route())) == 0.0  # a stale route


def remembered(outputs: ActorOutputs) -> float:
    assert outputs.plan is not None
    return outputs.plan.uncertainty


def test_the_memory_is_of_the_time_that_passed_at_whatever_rate(actor: Actor) -> None:
    for k in range(11):
        slow = step(actor, 0.1 * k)
    actor.step(ActorInputs(None), START - SECOND)
    for k in range(21):
        fast = step(actor, 0.05 * k)
    assert remembered(slow) == pytest.approx(1.0, abs=1e-4)
    assert remembered(fast) == pytest.approx(1.0, abs=1e-4)


def test_the_memory_starts_anew_behind_a_gap(actor: Actor) -> None:
    step(actor, 0.0)
    assert remembered(step(actor, 0.4)) == pytest.approx(0.4, abs=1e-4)
    outputs = step(actor, 2.0)
    assert names(outputs) == ["memory_lost"] and remembered(outputs) == 0.0
    assert remembered(step(actor, 2.1)) == pytest.approx(0.1, abs=1e-4)


def test_the_memory_starts_anew_where_the_motion_is_not_known(actor: Actor) -> None:
    step(actor, 0.0)
    outputs = step(actor, 0.7)  # vehicle states 0.7 s apart are not bridged
    assert names(outputs) == ["memory_lost"] and remembered(outputs) == 0.0


def test_frames_that_were_refused_are_bridged(actor: Actor) -> None:
    step(actor, 0.0)
    stamp = START + SECOND // 5
    dark = frame_set(stamp, 1, status=FrameStatus.DARK)
    refused = actor.step(ActorInputs(dark, (vehicle_state(stamp, speed=5.0),)), stamp)
    assert refused.plan is None
    assert remembered(step(actor, 0.4)) == pytest.approx(0.4, abs=1e-4)


def test_a_clock_that_goes_back_empties_the_memory(actor: Actor) -> None:
    step(actor, 0.0)
    step(actor, 0.3)
    assert remembered(step(actor, 0.1)) == 0.0


def test_noise_is_answered_like_any_frame_and_leaves_finite_plans(actor: Actor) -> None:
    chance = np.random.default_rng(0)
    for k in range(3):
        image = chance.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        stamp = START + k * SECOND // 10
        outputs = actor.step(
            ActorInputs(frame_set(stamp, k, image), (vehicle_state(stamp, speed=5.0),)), stamp
        )
        assert outputs.plan is not None
        assert all(np.isfinite(a).all() for t in outputs.plan.candidates for a in t.arrays())


def reason(**changes: Any) -> Any:
    """What is decoded of an answer with two objects and a cause."""
    objects = np.zeros((1, 2, 8), np.float32)
    objects[0, 0], objects[0, 1] = (0.9, 18, 0, 6, 0, 4.5, 1.8, 1), (0.3, 30, 3, 0, 0, 1, 1, 4)
    steady = np.zeros((1, 2, 64), np.float32)
    cause = np.full((1, 12), 0.02, np.float32)
    cause[0, Cause.LEAD] = 0.78
    answer = {
        "acceleration": steady, "curvature": steady, "probability": PROBABILITY,
        "uncertainty": np.array([0.4], np.float32), "objects": objects, "cause": cause,
        "cause_object": np.array([[0.1, 0.8, 0.1]], np.float32),
        "cause_distance": np.array([17.5], np.float32),
        "traffic_controls": np.array([[[0.9, 0, 1, 33.0], [0.2, 1, 0, 5.0]]], np.float32),
        **changes,
    }
    plain = manifest()
    outputs = dataclasses.replace(
        plain.outputs, objects=(1, 2, 8), lane_lines=None, lane_stations_m=(), cause=(1, 12),
        cause_object=(1, 3), cause_distance=(1,), traffic_controls=(1, 2, 4),
    )
    inputs = dataclasses.replace(plain.inputs, states=())
    return decode(answer, manifest(inputs=inputs, outputs=outputs), 5.0, VEHICLE, 0.5, 0.5)


def test_the_cause_is_what_the_network_reports() -> None:
    found = reason()
    assert found.cause.cause == Cause.LEAD
    assert found.cause.probability == pytest.approx(0.78)
    assert (found.cause.thing.x, found.cause.distance) == (18.0, 17.5)
    (control,) = found.traffic_controls
    assert (control.kind, control.state, control.distance) == (0, 1, 33.0)


def test_an_object_that_is_not_reported_is_no_ones_cause() -> None:
    other = np.array([[0.1, 0.1, 0.8]], np.float32)
    assert reason(cause_object=other).cause.thing is None
    none = np.array([[0.8, 0.1, 0.1]], np.float32)
    assert reason(cause_object=none).cause.thing is None
    free = np.eye(12, dtype=np.float32)[[0]]
    assert reason(cause=free).cause.distance is None
