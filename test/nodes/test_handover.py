"""The newest object goes over as it is; the reader is never waited for."""

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from vla_driving.nodes.handover import Handover


class Reader:
    """Takes when told to turn."""

    def __init__(self, handover: Handover) -> None:
        self.woken: list[Callable[[], None]] = []
        self.read: list[object] = []
        handover.attach(self.read.append, self.woken.append)

    def turn(self) -> None:
        woken, self.woken[:] = list(self.woken), []
        for take in woken:
            take()


def test_the_object_itself_is_handed_over() -> None:
    handover, value = Handover(), object()
    reader = Reader(handover)
    handover.put(value)
    assert reader.read == []
    reader.turn()
    assert len(reader.read) == 1 and reader.read[0] is value
    assert len(handover.waited.kept_ms) == 1


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_a_reader_that_is_behind_gets_the_newest_alone(bursts: list[int]) -> None:
    handover = Handover()
    reader, newest, number = Reader(handover), [], 0
    for burst in bursts:
        for _ in range(burst):
            number += 1
            handover.put(number)
        newest.append(number)
        reader.turn()
    assert reader.read == newest


def test_without_a_reader_nothing_is_kept() -> None:
    handover = Handover()
    handover.put("too early")
    reader = Reader(handover)
    reader.turn()
    assert reader.read == []
    handover.put("left behind")
    handover.detach()
    handover.put("too late")
    reader.turn()
    assert reader.read == []


def test_threads_never_lose_the_last_object() -> None:
    handover, turn = Handover(), threading.Condition()
    read: list[int] = []
    tasks: list[Callable[[], None]] = []

    def wake(task: Callable[[], None]) -> None:
        with turn:
            tasks.append(task)
            turn.notify()

    def work() -> None:
        while not read or read[-1] != 2000:
            with turn:
                turn.wait_for(lambda: tasks, timeout=60)
                task = tasks.pop(0)
            task()

    handover.attach(read.append, wake)
    thread = threading.Thread(target=work)
    thread.start()
    for number in range(2001):
        handover.put(number)
    thread.join(timeout=60)
    assert read[-1] == 2000 and read == sorted(set(read))
