from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from vla_driving.camera.feeds import Shot
from vla_driving.camera.live import LiveCamera
from vla_driving.camera.sources import SourceError

from .scenes import LIVE, picture

PATIENCE_S = 60.0


class Device:
    """A camera that is plugged and unplugged, and shows a picture when told to."""

    def __init__(self) -> None:
        self.plugged = True
        self.opened = self.closed = 0
        self._pictures = threading.Semaphore(0)
        self._numbers = itertools.count()

    @contextmanager
    def __call__(self) -> Iterator[Iterator[Shot]]:
        if not self.plugged:
            raise SourceError("/dev/video9: cannot be opened: No such file or directory")
        self.opened += 1
        try:
            yield self._shots()
        finally:
            self.closed += 1

    def show(self, count: int = 1) -> None:
        """Let the reader have pictures, or find out that there are no more."""
        self._pictures.release(count)

    def _shots(self) -> Iterator[Shot]:
        while True:
            self._pictures.acquire()
            if not self.plugged:
                raise SourceError("/dev/video9: broke off: No such device")
            yield Shot(None, picture(next(self._numbers)))


class Listener:
    """Waits for what a LiveCamera calls."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def __call__(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def wait(self, come: Callable[[], Any]) -> Any:
        """What `come` gives once it is true."""
        found: list[Any] = []

        def arrived() -> bool:
            found.append(come())
            return bool(found[-1])

        with self._condition:
            assert self._condition.wait_for(arrived, PATIENCE_S)
        return found[-1]


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def live(device: Device, listener: Listener) -> Iterator[LiveCamera]:
    camera = LiveCamera("front", device, LIVE, listener)
    yield camera
    device.plugged = False
    device.show()
    camera.close()
    assert device.opened == device.closed


def test_pictures_come_once_with_a_stamp_on_the_callers_clock(
    device: Device, listener: Listener, live: LiveCamera
) -> None:
    device.show()
    now = 5_000_000_000_000
    image = listener.wait(lambda: live.take(now))
    assert image.camera == "front"
    assert now - 60_000_000_000 < image.stamp_ns <= now
    np.testing.assert_array_equal(image.payload, picture(0))
    assert live.take(now) is None
    assert live.take_news() == []


def test_the_newest_picture_wins_and_the_others_are_counted(
    device: Device, listener: Listener, live: LiveCamera
) -> None:
    device.show(5)
    listener.wait(lambda: live.dropped == 4)
    image = live.take(0)
    assert image is not None
    np.testing.assert_array_equal(image.payload, picture(4))
    assert live.take(0) is None


def test_a_device_that_is_unplugged_is_told_and_comes_back(
    device: Device, listener: Listener, live: LiveCamera
) -> None:
    device.show()
    listener.wait(lambda: live.take(0))
    device.plugged = False
    device.show()
    assert listener.wait(live.take_news) == [
        (False, "/dev/video9: broke off: No such device; tried again until it is back")
    ]
    news = listener.wait(live.take_news)
    assert [well for well, _ in news] == [False]
    assert "cannot be opened" in news[0][1]
    assert live.take(0) is None
    device.plugged = True
    device.show()
    assert listener.wait(lambda: live.take(0))
    assert listener.wait(live.take_news) == [(True, "images come again")]
    assert device.opened == 2


def test_whatever_a_library_throws_the_reader_goes_on(listener: Listener) -> None:
    attempts = itertools.count()

    @contextmanager
    def connect() -> Iterator[Iterator[Shot]]:
        if next(attempts) == 0:
            raise MemoryError("of a giant image")
        yield iter([Shot(None, picture(1))])

    camera = LiveCamera("front", connect, LIVE, listener)
    first = listener.wait(camera.take_news)
    assert first[0] == (False, "MemoryError: of a giant image; tried again until it is back")
    assert listener.wait(lambda: camera.take(0))
    camera.close()


def test_a_driver_that_hangs_does_not_keep_the_node_from_ending(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vla_driving.camera.live.CLOSE_WITHIN_S", 0.05)
    held = threading.Event()

    @contextmanager
    def connect() -> Iterator[Iterator[Shot]]:
        held.wait(PATIENCE_S)
        yield iter([])

    camera = LiveCamera("front", connect, LIVE, listener)
    camera.close()
    held.set()
