"""Scenes are drawn by one thread, the newest first of all."""

import threading

import pytest

from vla_driving.nodes.painter import Painter


def test_scenes_are_drawn_by_the_one_thread_that_made_the_tool() -> None:
    drawn: list[tuple[int, int, int]] = []
    done = threading.Event()

    def draw(tool: int, scene: int) -> None:
        drawn.append((scene, tool, threading.get_ident()))
        done.set()

    painter = Painter(threading.get_ident, draw)
    for scene in range(3):
        done.clear()
        painter.show(scene)
        assert done.wait(5.0)
    painter.close()
    assert [scene for scene, _, _ in drawn] == [0, 1, 2]
    assert {thread for _, _, thread in drawn} == {painter.tool}
    assert painter.tool != threading.get_ident()


def test_while_it_draws_the_newest_waits_and_the_others_are_lost() -> None:
    drawn: list[int] = []
    busy, go_on, last = threading.Event(), threading.Event(), threading.Event()

    def draw(_tool: None, scene: int) -> None:
        busy.set()
        go_on.wait(5.0)
        drawn.append(scene)
        if scene == 3:
            last.set()

    painter: Painter[None, int] = Painter(lambda: None, draw)
    painter.show(0)
    assert busy.wait(5.0)
    for scene in (1, 2, 3):
        painter.show(scene)
    go_on.set()
    assert last.wait(5.0)
    painter.close()
    assert drawn == [0, 3]
    assert painter.lost == 2


def test_what_comes_after_the_end_is_not_drawn() -> None:
    drawn: list[int] = []
    painter: Painter[list[int], int] = Painter(lambda: drawn, list.append)
    painter.close()
    painter.show(1)
    assert drawn == []


def test_what_the_thread_raises_is_raised_where_it_is_asked() -> None:
    def fail(*_: object) -> None:
        failed.set()
        raise RuntimeError("no image")

    failed = threading.Event()
    with pytest.raises(RuntimeError, match="no image"):
        Painter(fail, lambda tool, scene: None)
    failed.clear()
    painter: Painter[None, int] = Painter(lambda: None, fail)
    painter.show(0)
    assert failed.wait(5.0)
    painter.close()
    with pytest.raises(RuntimeError, match="no image"):
        painter.show(1)
