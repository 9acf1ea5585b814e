"""The past that is kept, and one request in flight."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from tiny_model import vehicle_state

from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.checksum import plan_checksum
from vla_driving.contract.frames import CameraFrame, FrameSet, FrameStatus
from vla_driving.contract.trajectory import POINTS
from vla_driving.vla.large.history import History
from vla_driving.vla.large.manifest import LargeInputs, LargeManifest
from vla_driving.vla.large.settings import GenerationSettings, SlowModelSettings
from vla_driving.vla.large.thinking import (
    NO_WORDS,
    Thinking,
    ThinkingInputs,
    ThinkingOutputs,
)
from vla_driving.vla.large.thought import Answer, ThoughtError

MS = 1_000_000
SETTINGS = SlowModelSettings(
    generation=GenerationSettings("cpu", "float32", 1, 0, 8, 0.0),
    plan_validity=2.0, time_out=1.5, max_frame_age=0.3, max_route_age=2.0,
)
MOUNT = Mount(1.5, 0.0, 1.4, 0.0, 0.0, 0.0)
MANIFEST = LargeManifest(
    1, "huggingface", "alpamayo1_5", "big", "0.1.0", "none", "made up",
    LargeInputs((Camera("front", 576, 320, 300, 300, 288, 160, MOUNT, "none", ()),), 4, 16),
    "weights", "backbone", (),
)
ANSWER = Answer(np.zeros((2, POINTS)), np.zeros((2, POINTS)), "the road is clear")


def frames(stamp_ns: int, sequence: int = 0, **changes: Any) -> FrameSet:
    """One small picture, as bright as its number."""
    picture = np.full((4, 6, 3), sequence % 256, np.uint8)
    frame = CameraFrame("front", stamp_ns, FrameStatus.OK, 0.0, 0.0, picture)
    return FrameSet(
        stamp_ns, sequence, "big/0.1.0", (dataclasses.replace(frame, **changes),)
    )


def states(until_ms: int, speed: float = 10.0, yaw_rate: float = 0.0) -> tuple[Any, ...]:
    """At 50 Hz from 0 on."""
    return tuple(
        vehicle_state(t * MS, t, speed=speed, yaw_rate=yaw_rate) for t in range(0, until_ms + 1, 20)
    )


class Car:
    """A Thinking that is fed at 10 Hz."""

    def __init__(self, after_ms: int = 2000) -> None:
        self.core = Thinking(MANIFEST, "transformers/cpu float32", SETTINGS)
        self.at = after_ms
        self.core.step(ThinkingInputs((), states(after_ms + 10_000)[: after_ms // 20 + 1]), 0)
        self.steps = 0

    def tick(self, answer: Answer | ThoughtError | None = None) -> ThinkingOutputs:
        """100 ms on, with new states and frames."""
        new = tuple(
            vehicle_state(t * MS, t, speed=10.0) for t in range(self.at + 20, self.at + 101, 20)
        )
        self.at += 100
        self.steps += 1
        sets = (frames(self.at * MS, self.steps),)
        return self.core.step(ThinkingInputs(sets, new, None, answer), self.at * MS + 20 * MS)


def names(outputs: ThinkingOutputs) -> set[str]:
    """Of the faults."""
    return {fault.name for fault in outputs.faults}


def test_a_request_holds_the_last_frames_and_the_way_here() -> None:
    history = History(4, 16)
    for state in states(2000, speed=10.0, yaw_rate=0.1):
        assert history.take_state(state)
    for k in range(12):  # at 20 Hz: every second one is looked at
        assert history.take_frames(frames((1450 + 50 * k) * MS, k)) == ""
    request = history.request("Turn left in 40m")
    assert request.images.shape == (1, 4, 4, 6, 3)
    assert request.images[0, :, 0, 0, 0].tolist() == [5, 7, 9, 11]
    assert request.poses[-1].tolist() == [0.0, 0.0, 0.0]
    assert request.poses[0] == pytest.approx([-15 * 0.994, 1.12, -0.15], abs=0.1)
    assert request.speed == pytest.approx(10.0)


def test_a_past_with_a_hole_is_no_past() -> None:
    history = History(4, 16)
    with pytest.raises(ThoughtError, match="no frames yet"):
        history.request("")
    for state in states(2000):
        history.take_state(state)
    for k in (0, 1, 3, 4):
        history.take_frames(frames((1600 + 100 * k) * MS, k))
    with pytest.raises(ThoughtError, match=r"no frames from 0.2 s before the newest"):
        history.request("")


def test_a_short_drive_has_no_poses_yet() -> None:
    history = History(4, 16)
    for state in states(1000):
        history.take_state(state)
    for k in range(4):
        history.take_frames(frames((700 + 100 * k) * MS, k))
    with pytest.raises(ThoughtError, match=r"no vehicle states from 1.5 s before"):
        history.request("")


def test_while_one_request_is_in_flight_frames_are_dropped_and_counted() -> None:
    car = Car()
    while (outputs := car.tick()).request is None:
        assert names(outputs) == {"past_too_short"}
    for _ in range(5):
        assert (outputs := car.tick()).request is None
    assert outputs.counters.requests == 1 and outputs.counters.dropped == 5
    outputs = car.tick(ANSWER)
    assert outputs.plan is not None and outputs.request is not None, "free again"
    assert outputs.request.frame_sequence == car.steps, "the newest is asked about"


def test_a_thought_is_a_plan_of_the_frames_it_was_asked_about() -> None:
    car = Car()
    while (asked := car.tick()).request is None:
        pass
    for _ in range(6):
        car.tick()
    plan = car.tick(ANSWER).plan
    assert plan is not None and asked.request is not None
    assert plan.stamp_ns == asked.request.stamp_ns
    assert plan.frame_sequence == asked.request.frame_sequence
    assert plan.valid_until_ns == plan.stamp_ns + 2000 * MS
    assert plan.reasoning == "the road is clear" and plan.model_name == "big"
    assert plan.stages[0].milliseconds == pytest.approx(700.0)
    assert plan.checksum == plan_checksum(plan)
    assert plan.candidates[0].probability == 1.0


def test_a_thought_that_takes_too_long_is_told_and_thrown_away() -> None:
    car = Car()
    while car.tick().request is None:
        pass
    told = [car.tick() for _ in range(20)]
    assert names(told[0]) == set() and names(told[-1]) == {"thought_late"}
    assert sum(e.name == "thought_late" for o in told for e in o.events) == 1, "once"
    assert all(o.request is None for o in told), "the model is still busy: nothing more is asked"
    after = car.tick(ANSWER)
    assert after.plan is None and after.counters.late == 1
    assert after.request is not None and names(after) == set()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (ThoughtError("transformers/cuda: CUDA out of memory"), "thought_failed"),
        (dataclasses.replace(ANSWER, curvature=np.full((2, POINTS), np.nan)), "thought_invalid"),
        (dataclasses.replace(ANSWER, acceleration=np.full((2, POINTS), 1e300)), "thought_invalid"),
    ],
)
def test_a_thought_that_failed_is_named_and_the_next_is_asked_for(
    answer: Answer | ThoughtError, fault: str
) -> None:
    car = Car()
    while car.tick().request is None:
        pass
    outputs = car.tick(answer)
    assert outputs.plan is None and names(outputs) == {fault}
    assert outputs.counters.failed == 1 and outputs.request is not None
    assert car.tick(ANSWER).plan is not None and not names(car.tick())


def test_a_thought_without_words_is_still_a_plan() -> None:
    car = Car()
    while car.tick().request is None:
        pass
    outputs = car.tick(dataclasses.replace(ANSWER, text=""))
    assert outputs.plan is not None and outputs.plan.reasoning == NO_WORDS
    assert names(outputs) == {"thought_without_words"}


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"status": FrameStatus.DARK}, "camera front is DARK"),
        ({"image": None, "status": FrameStatus.MISSING}, "camera front is MISSING"),
        ({"name": "rear"}, "1 cameras are not front"),
    ],
)
def test_frames_that_are_not_well_are_not_looked_at(changes: dict[str, Any], detail: str) -> None:
    core = Thinking(MANIFEST, "transformers/cpu", SETTINGS)
    outputs = core.step(ThinkingInputs((frames(MS, 1, **changes),), ()), 2 * MS)
    assert detail in [f.detail for f in outputs.faults] and outputs.request is None


def test_frames_of_another_model_are_named() -> None:
    core = Thinking(MANIFEST, "transformers/cpu", SETTINGS)
    wrong = dataclasses.replace(frames(MS), model="pilot/0.2.1")
    (fault, *_) = core.step(ThinkingInputs((wrong,)), 2 * MS).faults
    assert fault.detail == "made for pilot/0.2.1, this is big/0.1.0"


def test_when_time_goes_back_the_past_is_forgotten_and_the_thought_with_it() -> None:
    car = Car()
    while car.tick().request is None:
        pass
    outputs = car.core.step(ThinkingInputs(), 5 * MS)
    assert {"clock_went_back", "thought_late"} == names(outputs)
    assert car.core.step(ThinkingInputs(answer=ANSWER), 6 * MS).plan is None
