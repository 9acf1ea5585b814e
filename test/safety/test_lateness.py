"""A camera that is late slows the car down, one that is lost stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from drive import CONFIG, START, World

from vla_driving.camera.images import CameraImage
from vla_driving.camera.ingest import CameraIngest, CameraInputs
from vla_driving.camera.settings import CameraIngestSettings
from vla_driving.contract.cameras import load_camera
from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.contract.supervision import Engagement, Level
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.lateness import Lateness

pytestmark = pytest.mark.requirement("SR-11")

OK, STALE, MISSING = FrameStatus.OK, FrameStatus.STALE, FrameStatus.MISSING


def health(**cameras: FrameStatus) -> CameraHealth:
    reports = tuple(CameraReport(name, 0, status, 0.2, 0.18) for name, status in cameras.items())
    return CameraHealth(0, 0, "test/1", reports)


@pytest.mark.parametrize("second", [STALE, MISSING])
def test_two_sets_in_a_row_make_a_lost_camera(second: FrameStatus) -> None:
    lateness = Lateness()
    lateness.take(health(front=STALE, left=OK))
    assert lateness.lost() == frozenset()
    lateness.take(health(front=second, left=STALE))
    assert lateness.lost() == {"front"}
    lateness.take(health(front=OK, left=OK))
    lateness.take(health(front=STALE, left=STALE))
    assert lateness.lost() == frozenset()
    lateness.take(health(front=STALE, left=OK))
    assert lateness.lost() == {"front"}
    lateness.forget()
    assert lateness.lost() == frozenset()


@pytest.mark.parametrize("other", [FrameStatus.FROZEN, FrameStatus.DARK, FrameStatus.COVERED])
def test_a_picture_that_is_bad_is_no_picture_that_is_late(other: FrameStatus) -> None:
    lateness = Lateness()
    lateness.take(health(front=other))
    lateness.take(health(front=other))
    assert lateness.lost() == frozenset()


def engaged(status: Callable[[int], FrameStatus]) -> World:
    """A car at 10 m/s; the n-th set from now on has this status."""
    world = World(speed=10.0).engage().run(1.2)
    count = 0

    def sets(inputs: MonitorInputs, world: World) -> MonitorInputs:
        nonlocal count
        if not inputs.frames:
            return inputs
        report = replace(inputs.frames[0].cameras[0], status=status(count))
        count += 1
        return replace(inputs, frames=(signed(replace(inputs.frames[0], cameras=(report,))),))

    world.on_inputs = sets
    return world


def ladder(world: World, first: int) -> list[Level]:
    """Levels reported since an output, each once in a row."""
    levels = [o.safety_state.level for o in world.outputs[first:] if o.safety_state is not None]
    return [b for a, b in zip([None, *levels], levels, strict=False) if a != b]


@pytest.mark.parametrize("late", [STALE, MISSING])
def test_one_late_set_slows_down_and_no_more(late: FrameStatus) -> None:
    world = engaged(lambda n: late if n == 0 else OK)
    first = len(world.outputs)
    world.run(2.6)
    assert ladder(world, first) == [Level.DEGRADED, Level.NOMINAL]
    assert world.safety is not None
    assert world.safety.engagement == Engagement.ENABLED


def test_the_second_one_in_a_row_stops() -> None:
    world = engaged(lambda n: STALE)
    first = len(world.outputs)
    world.run(0.3)
    assert ladder(world, first) == [Level.DEGRADED, Level.MINIMAL_RISK]
    assert world.safety is not None
    assert "front camera stale for 0.31 s" in world.safety.alert_text


def test_every_other_one_does_not() -> None:
    world = engaged(lambda n: OK if n % 2 else STALE)
    first = len(world.outputs)
    world.run(2.0)
    assert ladder(world, first) == [Level.DEGRADED]


def test_a_frozen_camera_stops_at_once() -> None:
    world = engaged(lambda n: FrameStatus.FROZEN)
    first = len(world.outputs)
    world.run(0.1)
    assert ladder(world, first) == [Level.MINIMAL_RISK]


# -- with camera_ingest as shipped, in lock step ---------------------------------------------------

STACK = read_yaml(CONFIG / "stack.yaml")
INGEST = from_mapping(
    CameraIngestSettings, STACK["camera_ingest"]["ros__parameters"], "stack.yaml"
)
FRONT = load_camera(CONFIG / "cameras" / "metadrive_front.yaml")
LATENCY = nanoseconds(0.015)


class Eyes:
    """The front camera at a rate, and camera_ingest; from `lost_ns` on no image passes."""

    def __init__(self, hz: float, phase_s: float, loses: Callable[[int], bool]) -> None:
        view = replace(FRONT, width=64, height=40, fx=40.0, fy=40.0, cx=31.5, cy=19.5)
        self._core = CameraIngest(INGEST, [view], [view], "test/1", hz, {"front": hz})
        self._period = nanoseconds(1.0 / hz)
        self._next = START + nanoseconds(phase_s)
        self._loses, self._count = loses, 0
        self.last: Nanoseconds = 0

    def __call__(self, inputs: MonitorInputs, world: World) -> MonitorInputs:
        images = []
        while self._next + LATENCY <= world.now_ns:
            if not self._loses(self._count):
                noise = np.random.default_rng(self._count).integers(40, 200, (40, 64, 3), np.uint8)
                images.append(CameraImage("front", self._next, noise))
                self.last = self._next + LATENCY
            self._next, self._count = self._next + self._period, self._count + 1
        found = self._core.step(CameraInputs(tuple(images), moving=True), world.now_ns)
        if found.frames is None:
            return replace(inputs, frames=())
        health = CameraHealth(
            found.frames.stamp_ns, found.frames.sequence, "test/1", found.health
        )
        return replace(inputs, frames=(signed(health),))


def seen(hz: float, phase_s: float, loses: Callable[[int], bool]) -> tuple[World, Eyes]:
    eyes = Eyes(hz, phase_s, loses)
    world = World(speed=10.0, on_inputs=eyes).engage().run(1.5)
    return world, eyes


PHASES = [0.0, 0.004, 0.011, 0.017, 0.03]


@pytest.mark.parametrize("phase_s", PHASES)
@pytest.mark.parametrize(("hz", "eased_s", "stopped_s"), [(10.0, 0.24, 0.34), (20.0, 0.15, 0.21)])
def test_a_lost_camera_is_eased_for_within_two_periods_and_stopped_for_at_the_second_image(
    hz: float, eased_s: float, stopped_s: float, phase_s: float
) -> None:
    """From the last image on; the bridge adds 10 ms, 250 are allowed to the first safe command."""
    lost = round(2.04 * hz) + 3
    world, eyes = seen(hz, phase_s, lambda n: n >= lost)
    assert world.safety is not None
    assert world.safety.engagement == Engagement.ENABLED
    world.run(2.0)
    at: dict[Level, float] = {}
    for output in world.outputs:
        if output.safety_state is not None and output.safety_state.stamp_ns > eyes.last:
            state = output.safety_state
            at.setdefault(state.level, age_s(eyes.last, state.stamp_ns))
    assert at[Level.DEGRADED] <= eased_s <= 0.24
    assert at[Level.DEGRADED] < at[Level.MINIMAL_RISK] <= stopped_s


@pytest.mark.parametrize("phase_s", PHASES)
@pytest.mark.parametrize("hz", [10.0, 20.0])
def test_one_lost_image_stops_nothing(hz: float, phase_s: float) -> None:
    lost = round(2.04 * hz) + 3
    world, _ = seen(hz, phase_s, lambda n: n == lost)
    first = len(world.outputs)
    world.run(4.0)
    assert ladder(world, first)[-1] == Level.NOMINAL
    assert set(ladder(world, first)) <= {Level.NOMINAL, Level.DEGRADED}
    assert world.safety is not None
    assert world.safety.engagement == Engagement.ENABLED


@pytest.mark.parametrize("hz", [10.0, 20.0])
def test_a_camera_in_time_asks_for_nothing(hz: float) -> None:
    world, _ = seen(hz, 0.004, lambda n: False)
    first = len(world.outputs)
    world.run(2.0)
    assert ladder(world, first) == [Level.NOMINAL]
