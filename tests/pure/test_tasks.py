# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in threads: in order, after its sources, never too much at once, and no error is lost."""

import threading
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animerun_addon.pipeline import tasks as module
from animerun_addon.pipeline.tasks import Tasks

A, B, C = Path("a"), Path("b"), Path("c")
PATIENCE_S = 10.0


class DiskError(Exception):
    """Of these tests alone."""


def fail():
    raise DiskError


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)


@contextmanager
def held(tasks, threads=2):
    """All threads are busy until the block ends."""
    gate, busy = threading.Event(), threading.Barrier(threads + 1)

    def hold():
        busy.wait(PATIENCE_S)
        gate.wait(PATIENCE_S)

    for _ in range(threads):
        tasks.add(hold)
    busy.wait(PATIENCE_S)
    try:
        yield
    finally:
        gate.set()


def drain(tasks):
    while tasks.wait_for_one():
        pass


@pytest.mark.parametrize("inline", [False, True])
def test_a_task_gives_back_what_it_made(inline):
    with Tasks(4, inline=inline) as tasks:
        assert tasks.add(lambda one, two=0: one + two, 1, two=2).result() == 3


@pytest.mark.usefixtures("two_threads")
def test_tasks_begin_in_the_order_in_which_they_come():
    begun = []
    with Tasks(100) as tasks, held(tasks, threads=1):  # one is left, which tells the order
        for number in range(50):
            last = tasks.add(begun.append, number)
        wait([last], PATIENCE_S)
    assert begun == list(range(50))


def test_a_task_waits_for_those_that_make_its_sources():
    gate, made = threading.Event(), []

    def make(name, waits=False):
        if waits:
            gate.wait(PATIENCE_S)
        made.append(name)

    with Tasks(10) as tasks:
        tasks.make([A], [], make, "a", waits=True)
        tasks.make([B], [A], make, "b")
        tasks.make([C], [B, A, Path("there already")], make, "c")
        assert made == []
        gate.set()
    assert made == ["a", "b", "c"]


def test_who_has_no_sources_waits_for_nobody():
    with Tasks(10) as tasks:
        gate, free = threading.Event(), threading.Event()
        tasks.make([A], [], gate.wait, PATIENCE_S)
        tasks.make([B], [C], free.set)
        assert free.wait(PATIENCE_S)
        gate.set()


def test_sources_that_are_made_already_are_not_waited_for():
    with Tasks(10) as tasks:
        tasks.make([A], [], int)
        drain(tasks)
        assert not tasks._makers
        tasks.make([B], [A], int)
        drain(tasks)


@settings(max_examples=30, deadline=None)
@given(
    most_waiting=st.integers(1, 5),
    sources=st.lists(st.sets(st.integers(0, 30), max_size=3), min_size=1, max_size=30),
)
def test_any_chain_of_sources_comes_to_an_end_in_order(most_waiting, sources):
    made = []
    with Tasks(most_waiting) as tasks:
        for number, before in enumerate(sources):
            tasks.make([Path(str(number))], [Path(str(each)) for each in before], made.append, number)
        drain(tasks)
    place = {number: at for at, number in enumerate(made)}
    assert len(place) == len(sources)
    assert all(place[b] < place[number] for number, before in enumerate(sources) for b in before if b < number)


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", ["check", "wait_for_one"])
def test_an_error_is_raised_at_the_next_look(look):
    with Tasks(10) as tasks:
        wait([tasks.add(fail)], PATIENCE_S)
        with pytest.raises(DiskError):
            getattr(tasks, look)()


def test_an_error_is_raised_when_no_more_fits():
    with Tasks(1) as tasks:
        tasks.add(fail)
        with pytest.raises(DiskError):
            tasks.add(int)


def test_an_error_reaches_those_that_wait_for_the_file():
    made = []
    with Tasks(10) as tasks:
        tasks.make([A], [], fail)
        tasks.make([B], [A], made.append, "b")
        with pytest.raises(DiskError):
            drain(tasks)
    assert made == []


@pytest.mark.usefixtures("two_threads")
def test_after_an_error_what_has_begun_ends_and_nothing_else_begins():
    gate, begun, ended = threading.Event(), threading.Barrier(3), []

    def begin_and_end():
        begun.wait(PATIENCE_S)
        gate.wait(PATIENCE_S)
        ended.append("begun before")

    def work():
        with Tasks(10) as tasks:
            for _ in range(2):
                tasks.add(begin_and_end)
            begun.wait(PATIENCE_S)
            queued = [tasks.add(ended.append, "not begun") for _ in range(5)]
            queued[-1].add_done_callback(lambda _: gate.set())  # when it is cancelled
            fail()

    with pytest.raises(DiskError):
        work()
    assert ended == ["begun before"] * 2


@pytest.mark.usefixtures("two_threads")
def test_leaving_without_an_error_ends_all_that_was_handed_in():
    made = []
    with Tasks(100) as tasks, held(tasks):
        for number in range(20):
            tasks.add(made.append, number)
    assert sorted(made) == list(range(20))


# Not too much at once -------------------------------------------------------------------------------------------------


def test_who_hands_in_too_much_waits():
    gate, handed_in = threading.Event(), threading.Semaphore(0)

    def hand_in():
        with Tasks(3) as tasks:
            for _ in range(6):
                tasks.add(gate.wait, PATIENCE_S)
                handed_in.release()

    hands = threading.Thread(target=hand_in)
    hands.start()
    assert all(handed_in.acquire(timeout=PATIENCE_S) for _ in range(3))
    assert not handed_in.acquire(timeout=0.05)
    gate.set()
    assert all(handed_in.acquire(timeout=PATIENCE_S) for _ in range(3))
    hands.join(PATIENCE_S)


def test_what_is_made_is_not_remembered():
    with Tasks(3) as tasks:
        for number in range(200):
            tasks.make([Path(str(number))], [], int)
            assert len(tasks._makers) <= 4
        drain(tasks)
        assert not tasks._makers


# Without threads ------------------------------------------------------------------------------------------------------


def test_inline_each_task_is_done_at_once_in_the_same_thread():
    with Tasks(1, inline=True) as tasks:
        made = []
        for name in "abc":
            tasks.make([Path(name)], [A], lambda each: made.append((each, threading.current_thread())), name)
            assert made[-1] == (name, threading.main_thread())
        assert tasks.check() == tasks.wait_for_one() == 0


def test_inline_an_error_is_raised_at_once():
    with Tasks(10, inline=True) as tasks:
        with pytest.raises(DiskError):
            tasks.make([A], [], fail)
        with pytest.raises(DiskError):
            tasks.add(fail)
