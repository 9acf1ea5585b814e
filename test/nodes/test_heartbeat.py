"""A heart beats while the main loop turns, and no longer."""

import threading

from vla_driving.nodes.heartbeat import Heart


def test_it_beats_until_it_is_stopped() -> None:
    beats = threading.Semaphore(0)
    heart = Heart(beats.release, 0.001, 60.0)
    assert all(beats.acquire(timeout=60.0) for _ in range(3))
    heart.stop()
    while beats.acquire(blocking=False):
        pass
    assert not beats.acquire(timeout=0.02)


def test_a_main_loop_that_hangs_silences_it_and_one_that_turns_again_does_not() -> None:
    beats = threading.Semaphore(0)
    heart = Heart(beats.release, 0.001, 0.0)
    try:
        heart.turned()
        assert not beats.acquire(timeout=0.05)
    finally:
        heart.stop()
    heart = Heart(beats.release, 0.001, 60.0)
    try:
        heart.turned()
        assert beats.acquire(timeout=60.0)
    finally:
        heart.stop()
