# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests at random from several threads to two clients, while their processes are cancelled, killed and confused.

Short in every run, long in `make test-all`. The chance is seeded, the threads are not: no two runs are the same.
"""

import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter

import numpy as np
import pytest
from fake_models import MALFORMED
from model_processes import MOST_BYTES, PATIENCE_S, fake_client, model_processes, requests_with_files, scratch_folders

from animerun_addon.errors import Cancelled, InputError, ModelError, ModelTimeoutError, WorkerError
from animerun_addon.model_bridge.reply import Reply

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left processes in /proc")
THREADS = 4


@pytest.fixture
def ends(monkeypatch):
    """How often each reply was given an outcome that counted."""
    counts = Counter()
    settle = Reply.settle

    def counting(reply, outcome):
        counted = settle(reply, outcome)
        counts[id(reply)] += counted
        return counted

    monkeypatch.setattr(Reply, "settle", counting)
    return counts


class Caller:
    """One thread's requests. What it is answered must be its own: the numbers say whose they are."""

    def __init__(self, clients, seed, count):
        self.clients = clients
        self.chance = random.Random(seed)
        self.count = count
        self.seed = seed
        self.replies = []
        self.outcomes = Counter()
        self.wrong = []

    def run(self):
        for number in range(self.count):
            try:
                self.one(self.chance.choice(self.clients), self.seed * 100_000 + number)
            except Exception as error:  # noqa: BLE001 - looked at by the test
                self.wrong.append(f"raised {error!r}")

    def one(self, client, mark):
        deed = self.chance.choice(
            [
                *[self.is_answered] * 5,
                *[self.is_cancelled] * 3,
                self.takes_too_long,
                self.does_not_stop,
                self.kills_from_within,
                self.kills_from_without,
                self.is_too_large,
                self.needs_too_much_memory,
                self.is_answered_with_nonsense,
            ]
        )
        deed(client, mark)

    def ask(self, client, task, mark, **options):
        side = self.chance.randrange(0, 200)
        array = np.full((side, 3), mark, self.chance.choice([np.int32, np.float64]))
        reply = client.request(task, {"mark": mark, **options}, {"a": array})
        self.replies.append(reply)
        return reply, array

    def expect(self, reply, array, mark, *errors):
        """An answer to this very request, or one of these errors, or that its process died under it."""
        try:
            answer = reply.result(PATIENCE_S)
        except (*errors, WorkerError) as error:
            self.outcomes[type(error).__name__] += 1
            return
        self.outcomes["answer"] += 1
        if answer.values["mark"] != mark or not np.array_equal(answer.arrays["a"], array):
            self.wrong.append(f"{mark} was answered {answer}")

    def is_answered(self, client, mark):
        self.expect(*self.ask(client, self.chance.choice(["echo", "noise"]), mark), mark)

    def is_cancelled(self, client, mark):
        reply, array = self.ask(client, "work", mark, seconds=self.chance.choice([0.02, PATIENCE_S]))
        time.sleep(self.chance.uniform(0, 0.1))
        reply.cancel()
        self.expect(reply, array, mark, Cancelled)

    def takes_too_long(self, client, mark):
        reply, array = self.ask(client, "work", mark, seconds=PATIENCE_S)
        try:
            reply.result(self.chance.uniform(0, 0.1))
        except (ModelTimeoutError, WorkerError) as error:
            self.expect(reply, array, mark, type(error))
        else:
            self.wrong.append(f"{mark} was answered")

    def does_not_stop(self, client, mark):
        reply, array = self.ask(client, "stubborn", mark)
        time.sleep(self.chance.uniform(0, 0.3))
        reply.cancel()
        self.expect(reply, array, mark, Cancelled)

    def kills_from_within(self, client, mark):
        name = self.chance.choice(["SIGKILL", "SIGSEGV", "SIGABRT"])
        self.expect(*self.ask(client, "die", mark, signal=name), mark)

    def kills_from_without(self, client, mark):
        reply, array = self.ask(client, "work", mark, seconds=0.05)
        time.sleep(self.chance.uniform(0, 0.2))
        pid = client._answerer.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.expect(reply, array, mark)

    def is_too_large(self, client, mark):
        huge = np.broadcast_to(np.uint8(0), (MOST_BYTES + 1,))
        try:
            client.request("echo", {}, {"a": huge})
        except InputError:
            self.outcomes["too large"] += 1
        else:
            self.wrong.append(f"{mark} was not refused")

    def needs_too_much_memory(self, client, mark):
        self.expect(*self.ask(client, "out of memory", mark), mark, ModelError)

    def is_answered_with_nonsense(self, client, mark):
        kind = self.chance.choice(sorted(MALFORMED))
        # The number of another request: an answer to it must not reach whoever asked that.
        other = self.chance.choice(self.replies).id if self.replies else 1
        self.expect(*self.ask(client, kind, mark, id=other), mark, ModelError)  # it may have no folder any more


@pytest.mark.parametrize("threaded", [True, False], ids=["threaded", "without threads"])
@pytest.mark.parametrize(
    ("requests", "seed"), [(32, 1), *(pytest.param(200, seed, marks=pytest.mark.torture) for seed in range(2, 6))]
)
def test_every_request_ends_once_with_its_own_answer_or_a_named_error(
    requests, seed, threaded, ends, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with fake_client(threaded) as one, fake_client(threaded) as other:
        callers = [Caller([one, other], seed * THREADS + n, requests // THREADS) for n in range(THREADS)]
        threads = [threading.Thread(target=caller.run) for caller in callers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10 * PATIENCE_S)
            assert not thread.is_alive()
        assert [caller.wrong for caller in callers] == [[]] * THREADS
        for client in (
            one,
            other,
        ):  # whatever happened, the next is served; or the one after, where one was just killed
            with contextlib.suppress(WorkerError):
                client.call("echo", timeout_s=PATIENCE_S)
            assert client.call("echo", {"still": "here"}, timeout_s=PATIENCE_S).values == {"still": "here"}
        replies = [reply for caller in callers for reply in caller.replies]
        assert [ends[id(reply)] for reply in replies] == [1] * len(replies)
        assert requests_with_files() == []
    assert model_processes() == []
    assert scratch_folders() == []
    print(sum((caller.outcomes for caller in callers), Counter()))
