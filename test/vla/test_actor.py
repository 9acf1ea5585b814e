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

from vla_driving.contract.checksum import plan_checksum, signed
from vla_driving.contract.clock import SECOND
from vla_driving.contract.events import Severity
from vla_driving.contract.frames import FrameStatus
from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.plan import LongitudinalAction
from vla_driving.vla.actor import Actor, ActorInputs, ActorOutputs
from vla_driving.vla.faults import REACTIONS
from vla_driving.vla.runtimes.choose import open_runtime
from vla_driving.vla.settings import VlaInferenceSettings

from .tiny_model import (
    HEIGHT,
    VEHICLE,
    WIDTH,
    ModelFactory,
    frame_set,
    runtime_settings,
    vehicle_state,
)

START = 100 * SECOND
PERIOD = SECOND // 10
SETTINGS = VlaInferenceSettings(
    runtime=runtime_settings("onnxruntime/CPU"),
    plan_validity=0.5, max_frame_age=0.3, future_tolerance=0.02,
    max_vehicle_state_age=0.1, max_route_age=2.0,
    min_object_probability=0.5, min_lane_probability=0.5, thoughts="explain",
)

MakeActor = Callable[..., Actor]


@pytest.fixture
def make_actor(make_model: ModelFactory) -> MakeActor:
    """make_actor(constants=None, order=...) -> Actor with a stage clock that ticks 1 ms a look."""

    def make(constants: Any = None, order: tuple[str, ...] = ("onnxruntime/CPU",)) -> Actor:
        model = make_model(constants)
        runtime = dataclasses.replace(SETTINGS.runtime, order=order)
        ticks = iter(range(0, 10**12, 10**6))
        settings = dataclasses.replace(SETTINGS, runtime=runtime)
        return Actor(model, open_runtime(model, runtime), settings, VEHICLE, lambda: next(ticks))

    return make


def inputs(k: int, **changes: Any) -> ActorInputs:
    """Frame k at START + k periods with a state 10 ms before, 5 m/s and 1 m/s²."""
    stamp = START + k * PERIOD
    made = ActorInputs(
        frame_set(stamp, k),
        (vehicle_state(stamp - SECOND // 100, k, speed=5.0, acceleration=1.0),),
    )
    return dataclasses.replace(made, **changes)


def step(actor: Actor, k: int, **changes: Any) -> ActorOutputs:
    return actor.step(inputs(k, **changes), START + k * PERIOD + SECOND // 50)


def names(outputs: ActorOutputs) -> list[str]:
    return [f.name for f in outputs.faults]


def test_a_frame_becomes_a_plan(make_actor: MakeActor) -> None:
    outputs = step(make_actor(), 3)
    plan = outputs.plan
    assert plan is not None
    assert outputs.faults == ()
    assert (plan.stamp_ns, plan.frame_sequence, plan.sequence) == (START + 3 * PERIOD, 3, 1)
    assert plan.valid_until_ns == plan.stamp_ns + SECOND // 2
    assert plan.checksum == plan_checksum(plan)
    assert plan.runtime == "onnxruntime/CPU float32"
    assert (plan.model_name, plan.model_version) == ("tiny", "0.1.0")
    assert [t.probability for t in plan.candidates] == pytest.approx([0.7, 0.3])
    assert [s.stage for s in plan.stages] == ["preprocess", "forward", "decode"]
    assert [s.milliseconds for s in plan.stages] == [1.0, 1.0, 1.0]
    assert plan.uncertainty == pytest.approx(0.4)
    assert plan.longitudinal_action == LongitudinalAction.ACCELERATE
    assert "car 18 m ahead" in plan.reasoning


def test_ego_speed_is_that_of_the_exposure(make_actor: MakeActor) -> None:
    plan = step(make_actor(), 0).plan
    assert plan is not None
    speed = 5.0 + 1.0 * 0.01
    acceleration = 0.2 * (10.0 - speed)
    assert plan.candidates[0].speed[0] == pytest.approx(speed + 0.1 * acceleration, abs=1e-4)


def test_it_steers_by_what_it_sees(make_actor: MakeActor) -> None:
    image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    image[:, : WIDTH // 2] = 110
    stamp = START
    left = step(make_actor(), 0, frames=frame_set(stamp, image=image)).plan
    right = step(make_actor(), 0, frames=frame_set(stamp, image=image[:, ::-1])).plan
    assert left is not None
    assert right is not None
    assert left.candidates[0].y[-1] > 0.5
    assert right.candidates[0].y[-1] == pytest.approx(-left.candidates[0].y[-1], rel=1e-4)


def test_the_same_inputs_give_the_same_bytes(make_actor: MakeActor) -> None:
    first, second = make_actor(), make_actor()
    for k in range(3):
        a, b = step(first, k).plan, step(second, k).plan
        assert a is not None
        assert b is not None
        assert a.checksum == b.checksum


def test_gaps_in_the_sequence_are_counted(make_actor: MakeActor) -> None:
    actor = make_actor()
    for k in (0, 1, 4, 5):
        outputs = step(actor, k)
    counters = outputs.counters
    assert (counters.frames, counters.plans, counters.dropped) == (4, 4, 2)


@pytest.mark.parametrize("status", [s for s in FrameStatus if s != FrameStatus.OK])
def test_a_bad_image_is_no_plan_and_a_named_fault(
    make_actor: MakeActor, status: FrameStatus
) -> None:
    outputs = step(make_actor(), 0, frames=frame_set(START, status=status))
    assert outputs.plan is None
    (fault,) = outputs.faults
    assert (fault.name, fault.subject) == ("frame_unusable", "front")
    assert status.name in fault.detail
    assert outputs.counters.refused == 1


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"frames": frame_set(START, model="other/1.0.0")}, "frames_wrong_model"),
        ({"frames": frame_set(START, name="rear")}, "frames_malformed"),
        ({"frames": frame_set(START - SECOND)}, "frames_stale"),
        ({"frames": frame_set(START + SECOND)}, "frames_from_future"),
        ({"vehicle_states": ()}, "vehicle_state_missing"),
        ({"vehicle_states": (vehicle_state(START - SECOND),)}, "vehicle_state_stale"),
    ],
)
def test_each_fault_has_its_name(
    make_actor: MakeActor, changes: dict[str, Any], name: str
) -> None:
    outputs = step(make_actor(), 0, **changes)
    assert outputs.plan is None
    assert names(outputs) == [name]
    (event,) = outputs.events
    assert event.name == name
    assert event.severity == REACTIONS[name].severity
    assert event.text.endswith(REACTIONS[name].text)
    assert "\n" not in event.text


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_states_that_are_not_finite_or_corrupt_are_refused(
    make_actor: MakeActor, bad: float
) -> None:
    actor = make_actor()
    good = vehicle_state(START - SECOND // 50, 0, speed=5.0)
    spoilt = vehicle_state(START - SECOND // 100, 1, speed=bad)
    corrupt = dataclasses.replace(vehicle_state(START, 2, speed=9.0), speed=19.0)
    outputs = step(actor, 0, vehicle_states=(good, spoilt, corrupt))
    assert outputs.plan is not None
    assert names(outputs) == ["vehicle_state_invalid"]
    assert outputs.plan.candidates[0].speed[0] == pytest.approx(5.1, abs=0.01)


def test_repeated_frames_are_refused_and_later_ones_answered(make_actor: MakeActor) -> None:
    actor = make_actor()
    assert step(actor, 1).plan is not None
    assert names(step(actor, 1, vehicle_states=())) == ["frames_out_of_order"]
    outputs = step(actor, 2)
    assert outputs.plan is not None
    assert outputs.faults == ()


def test_an_event_comes_once_and_again_after_recovery(make_actor: MakeActor) -> None:
    actor = make_actor()
    bad = [frame_set(START + k * PERIOD, k, status=FrameStatus.DARK) for k in range(5)]
    assert len(step(actor, 0, frames=bad[0]).events) == 1
    assert step(actor, 1, frames=bad[1]).events == ()
    assert step(actor, 2).faults == ()
    assert len(step(actor, 3, frames=bad[3]).events) == 1


def test_silence_is_named(make_actor: MakeActor) -> None:
    actor = make_actor()
    assert names(step(actor, 0, frames=None)) == ["frames_missing"]
    step(actor, 1)
    assert names(step(actor, 2, frames=None)) == []
    assert names(step(actor, 9, frames=None)) == ["frames_stale"]


def test_a_clock_that_goes_back_starts_anew(make_actor: MakeActor) -> None:
    actor = make_actor()
    step(actor, 50)
    outputs = step(actor, 0)
    assert outputs.plan is not None
    assert names(outputs) == ["clock_went_back"]
    assert names(step(actor, 1)) == []


def test_old_and_absurd_routes_count_as_none(make_actor: MakeActor) -> None:
    actor, empty = make_actor(), np.zeros(0, np.float32)
    old = Route(START - 5 * SECOND, empty, empty, Turn.LEFT, 5.0, 50.0, 10.0)
    outputs = step(actor, 0, route=old)
    assert outputs.plan is not None
    assert names(outputs) == ["route_stale"]
    absurd = dataclasses.replace(old, stamp_ns=START, distance_to_turn=math.nan)
    outputs = step(actor, 1, route=absurd)
    assert outputs.plan is not None
    assert names(outputs) == ["route_invalid"]


def test_an_answer_that_is_not_finite_is_a_fault_and_no_plan(make_actor: MakeActor) -> None:
    actor = make_actor({"uncertainty": np.array([np.nan], np.float32)})
    outputs = step(actor, 0)
    assert outputs.plan is None
    assert names(outputs) == ["output_invalid"]
    assert outputs.events[0].severity == Severity.ERROR


def test_a_fall_back_stays_a_fault(make_actor: MakeActor) -> None:
    actor = make_actor(order=("onnxruntime/CUDA", "onnxruntime/CPU"))
    outputs = step(actor, 0)
    assert outputs.plan is not None
    assert outputs.plan.runtime == "onnxruntime/CPU float32 (instead of onnxruntime/CUDA)"
    assert names(outputs) == ["runtime_fall_back"]
    assert len(outputs.events) == 1
    assert step(actor, 1).events == ()


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stamps=st.lists(st.integers(START - SECOND, START + SECOND), min_size=1, max_size=6),
    speed=st.floats(width=32),
    status=st.sampled_from(FrameStatus),
)
def test_a_step_never_raises_and_no_plan_has_a_reason(
    make_actor: MakeActor, stamps: list[int], speed: float, status: FrameStatus
) -> None:
    actor = make_actor()
    for k, stamp in enumerate(stamps):
        frames = frame_set(stamp, k, status=status)
        state = vehicle_state(stamp, k, speed=speed)
        outputs = actor.step(ActorInputs(frames, (state,)), START)
        assert outputs.plan is not None or outputs.faults
        if outputs.plan is not None:
            assert all(
                np.isfinite(a).all() for t in outputs.plan.candidates for a in t.arrays()
            )


def test_a_large_models_thought_stands_in_the_plan_while_it_is_valid(
    make_actor: MakeActor,
) -> None:
    actor = make_actor()
    first = step(actor, 0).plan
    assert first is not None
    thought = signed(
        dataclasses.replace(first, model_name="big", model_version="1.0.0", reasoning="I see why")
    )
    plan = step(actor, 2, thought=thought).plan
    assert plan is not None and plan.reasoning.endswith("big/1.0.0 0.2 s ago: I see why")
    assert plan.checksum == plan_checksum(plan)
    later = [step(actor, k, thought=thought) for k in range(3, 9)]
    assert names(later[-1]) == ["thought_stale"] and later[-1].plan is not None
    assert [e.name for o in later for e in o.events] == ["thought_stale"]
