from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from vla_driving.camera.playback import Playback, Prefetch
from vla_driving.camera.sources import SourceError, StampedImage

from .scenes import MILLISECOND, START


def images(count: int, broken: bool = False) -> Iterator[StampedImage]:
    for k in range(count):
        yield StampedImage(k * 40 * MILLISECOND, np.full((2, 2, 3), k, np.uint8))
    if broken:
        raise SourceError("drive.mp4: corrupt after 0.120 s")


def shown(playback: Playback, times_ms: list[int]) -> list[tuple[int, int] | None]:
    """(level, ms) of what is shown at each time."""
    steps = [playback.step(START + t * MILLISECOND) for t in times_ms]
    return [
        (int(np.asarray(s.payload)[0, 0, 0]), (s.stamp_ns - START) // MILLISECOND) if s else None
        for s in steps
    ]


def test_images_come_at_their_times_and_the_newest_wins() -> None:
    playback = Playback("front", "drive.mp4", images(9))
    assert shown(playback, [0, 20, 40, 170, 180]) == [(0, 0), None, (1, 40), (4, 160), None]


def test_the_end_is_told_once() -> None:
    playback = Playback("front", "drive.mp4", images(2))
    assert shown(playback, [0, 40, 80]) == [(0, 0), (1, 40), None]
    assert playback.take_fault() == "drive.mp4: end of the file"
    assert playback.take_fault() is None
    assert shown(playback, [200]) == [None]


def test_a_file_that_breaks_off_is_told_with_its_reason() -> None:
    playback = Playback("front", "drive.mp4", images(2, broken=True))
    shown(playback, [0, 500])
    assert playback.take_fault() == "drive.mp4: corrupt after 0.120 s"


def test_prefetched_images_are_the_same_and_end_the_same() -> None:
    ahead = Prefetch(images(9))
    assert [i.offset_ns for i in ahead] == [i.offset_ns for i in images(9)]
    assert list(ahead) == []
    playback = Playback("front", "drive.mp4", Prefetch(images(2, broken=True)))
    shown(playback, [0, 500])
    assert playback.take_fault() == "drive.mp4: corrupt after 0.120 s"


def test_prefetching_stays_a_few_images_ahead_and_can_be_given_up() -> None:
    read = []

    def endless() -> Iterator[StampedImage]:
        for k in itertools.count():
            read.append(k)
            yield StampedImage(k, np.zeros((2, 2, 3), np.uint8))

    ahead = Prefetch(endless())
    assert next(ahead).offset_ns == 0
    ahead.close()
    assert len(read) <= Prefetch.AHEAD + 2
    assert next(ahead, None) is None
