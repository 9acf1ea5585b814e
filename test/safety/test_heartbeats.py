"""Signs of life: kept by node, judged by age, supervised from the first on."""

from dataclasses import replace

import pytest
from drive import World
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import SECOND, nanoseconds
from vla_driving.contract.supervision import Engagement, Heartbeat, Verdict
from vla_driving.safety.heartbeats import NODES, Heartbeats
from vla_driving.safety.intake import MonitorInputs

pytestmark = pytest.mark.requirement("SR-12")


def beating(until_s: dict[str, float]) -> World:
    """A drive in which each node named beats until a time."""

    def beats(inputs: MonitorInputs, world: World) -> MonitorInputs:
        alive = [n for n, end in until_s.items() if world.elapsed_s < end]
        return replace(inputs, heartbeats=tuple(Heartbeat(world.now_ns, n) for n in alive))

    return World(on_inputs=beats)


def test_the_newest_beat_of_a_known_node_counts() -> None:
    hearts = Heartbeats(0.05)
    hearts.take(
        [Heartbeat(3 * SECOND, NODES[0]), Heartbeat(2 * SECOND, NODES[0]),
         Heartbeat(9 * SECOND, NODES[0]), Heartbeat(3 * SECOND, "stranger")],
        4 * SECOND,
    )
    assert hearts.age_s(NODES[0], 4 * SECOND) == 1.0
    assert hearts.age_s(NODES[1], 4 * SECOND) is None
    assert hearts.age_s("stranger", 4 * SECOND) is None
    hearts.forget()
    assert hearts.age_s(NODES[0], 4 * SECOND) is None


@given(st.lists(st.tuples(st.integers(-2**62, 2**62), st.text(max_size=5))))
def test_no_beat_raises_and_none_is_kept_of_a_stranger(beats: list[tuple[int, str]]) -> None:
    hearts = Heartbeats(0.05)
    hearts.take([Heartbeat(stamp, node) for stamp, node in beats], 0)
    assert all(hearts.age_s(node, 0) is None for _, node in beats if node not in NODES)


def test_a_node_that_falls_silent_stops_the_car_before_plans_run_out() -> None:
    world = beating({"vla_inference": 3.0, "camera_ingest": 99.0}).engage().run(2.3)
    assert world.safety is not None and world.safety.engagement == Engagement.ENABLED
    world.run(0.6)
    assert world.safety.engagement == Engagement.MINIMAL_RISK
    assert world.check("vla_inference_alive").verdict == Verdict.STALE
    assert world.check("camera_ingest_alive").verdict == Verdict.PASS
    first = next(e for o in world.outputs for e in o.events if e.name == "vla_inference_alive")
    limit_s = world.settings.inputs.heartbeat_max_age
    assert first.stamp_ns <= 1003 * SECOND + nanoseconds(limit_s + 0.04)
    assert "vla_inference is dead or hangs" in world.safety.alert_text


def test_a_node_that_never_spoke_is_supervised_by_its_output_alone() -> None:
    world = beating({}).engage().run(1.0)
    assert world.safety is not None and world.safety.engagement == Engagement.ENABLED
    assert world.check("camera_ingest_alive").verdict == Verdict.PASS


def test_a_clock_that_runs_back_starts_anew() -> None:
    world = beating(dict.fromkeys(NODES, 99.0)).engage().run(1.0)
    world.now_ns -= nanoseconds(0.5)
    world.run(0.1)
    assert world.check("vla_inference_alive").verdict == Verdict.PASS


def test_a_beat_may_be_ahead_by_the_tolerance_and_no_more() -> None:
    hearts = Heartbeats(0.5)
    hearts.take([Heartbeat(4 * SECOND + SECOND // 2 + 1, NODES[0])], 4 * SECOND)
    assert hearts.age_s(NODES[0], 4 * SECOND) is None
    hearts.take([Heartbeat(4 * SECOND + SECOND // 2, NODES[0])], 4 * SECOND)
    assert hearts.age_s(NODES[0], 4 * SECOND) == -0.5
