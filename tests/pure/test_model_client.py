# SPDX-License-Identifier: GPL-3.0-or-later
"""The model client and its process: answers, cancels, deaths of every kind, and that nothing is left behind."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from model_processes import (
    PATIENCE_S,
    fake_client,
    lives,
    model_processes,
    requests_with_files,
    scratch_folders,
    until,
)

from animerun_addon.errors import Cancelled, InputError, ModelError, ModelTimeoutError, OutputError, WorkerError
from animerun_addon.model_bridge import client as client_module
from animerun_addon.model_bridge import scratch
from animerun_addon.model_bridge.client import ModelClient
from animerun_addon.pipeline.job import Job
from animerun_addon.progress import JobState, Progress

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left processes in /proc")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A temporary folder of the test's own, in which nothing is left, and no process that knows it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert model_processes() == []
    assert scratch_folders() == []


@pytest.fixture
def client():
    with fake_client() as made:
        yield made


@pytest.fixture(params=[True, False], ids=["threaded", "without threads"])
def either(request):
    """Both kinds: what is seen to by a thread, and by whoever looks."""
    with fake_client(threaded=request.param) as made:
        yield made


def answered(client, task="echo", **options):
    return client.call(task, options, timeout_s=PATIENCE_S)


def pid_of(client):
    return client._answerer.pid


def busy(client, task, **options):
    """A request that the process is working on."""
    reply = client.request(task, options)
    until(lambda: client.look() or (client._answerer._running is not None and client._answerer._is_greeted))
    time.sleep(0.1)
    return reply


def printed_by(program, temporary):
    """What a script prints that may use all that these tests use, until it ends in its own way."""
    search = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": search}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode()


class TestAnswers:
    def test_values_and_arrays_come_back(self, either):
        arrays = {"a": np.arange(6.0).reshape(2, 3), "none": np.zeros((0, 2), np.uint8)}
        answer = either.call("echo", {"x": [1, "ä", None]}, arrays, PATIENCE_S)
        assert answer.values == {"x": [1, "ä", None]}
        for name, array in arrays.items():
            np.testing.assert_array_equal(answer.arrays[name], array)

    def test_one_process_serves_them_all_and_is_started_by_the_first(self, client):
        assert pid_of(client) is None
        answered(client)
        first = pid_of(client)
        answered(client)
        assert first is not None
        assert pid_of(client) == first

    def test_no_file_outlasts_its_request(self, client):
        client.call("echo", {}, {"a": np.zeros(100)}, PATIENCE_S)
        assert requests_with_files() == []

    def test_what_libraries_print_does_not_come_between(self, either):
        assert answered(either, "noise", x=1).values == {"x": 1}

    def test_arrays_may_change_after_they_were_handed_in(self, client):
        array = np.ones(1000)
        running = client.request("work", {"seconds": 0.2})
        reply = client.request("echo", {}, {"a": array})
        array[:] = 0
        assert reply.result(PATIENCE_S).arrays["a"].all()
        running.result(PATIENCE_S)

    def test_two_clients_have_two_processes(self, client):
        with fake_client() as other:
            replies = [each.request("echo", {"x": n}) for n in range(10) for each in (client, other)]
            assert [reply.result(PATIENCE_S).values["x"] for reply in replies] == [n for n in range(10) for _ in "12"]
            assert pid_of(client) != pid_of(other)
        assert answered(client, x=1).values == {"x": 1}

    def test_many_threads_get_their_own_answers(self, either):
        wrong = []

        def ask(mine):
            for n in range(10):
                array = np.full(50, mine * 100 + n)
                answer = either.call("echo", {"mine": mine, "n": n}, {"a": array}, PATIENCE_S)
                if answer.values != {"mine": mine, "n": n} or (answer.arrays["a"] != array).any():
                    wrong.append(answer)

        threads = [threading.Thread(target=ask, args=(mine,)) for mine in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not wrong


class TestErrors:
    def test_a_users_mistake_keeps_its_kind(self, either):
        with pytest.raises(InputError, match="upside down"):
            answered(either, "wrong")

    def test_a_bug_is_named_and_its_traceback_kept_for_the_console(self, client):
        with pytest.raises(ModelError, match="'bug' failed: KeyError: 'no such key'") as caught:
            answered(client, "bug")
        assert "fake_models.py" in caught.value.__notes__[0]

    @pytest.mark.parametrize("task", ["out of memory", "no memory left"])
    def test_too_little_memory_has_a_remedy(self, client, task):
        with pytest.raises(ModelError, match="more memory than there is: take smaller frames"):
            answered(client, task)

    def test_an_unknown_task_is_named(self, client):
        with pytest.raises(ModelError, match=r"no model task 'paint'.*echo"):
            answered(client, "paint")

    def test_an_answer_that_cannot_be_said_is_an_error(self, client):
        with pytest.raises(InputError, match="plain numbers"):
            answered(client, "unspeakable")

    def test_large_arrays_are_refused(self, client):
        with pytest.raises(InputError, match="'a' is too large"):
            client.call("echo", {}, {"a": np.zeros(1 << 25, np.uint8)})
        assert requests_with_files() == []

    def test_arrays_that_somebody_deleted_are_an_error(self, client):
        running = busy(client, "work", seconds=0.5)
        reply = client.request("echo", {}, {"a": np.zeros(5)})
        for path in client._answerer._scratch.folder_of(reply.id).iterdir():
            path.unlink()
        with pytest.raises(ModelError, match="arrays of 'echo' cannot be read"):
            reply.result(PATIENCE_S)
        assert running.result(PATIENCE_S).values == {"seconds": 0.5}

    def test_errors_do_not_cost_the_process(self, client):
        answered(client)
        before = pid_of(client)
        for task in ("wrong", "bug", "out of memory", "paint", "unspeakable"):
            with pytest.raises((ModelError, InputError)):
                answered(client, task)
        answered(client)
        assert pid_of(client) == before

    def test_a_python_that_is_not_there_is_named(self, tmp_path):
        with (
            ModelClient(tmp_path / "python") as client,
            pytest.raises(WorkerError, match=r"Cannot start the Python '.*/python' for models: No such file"),
        ):
            answered(client)

    def test_in_a_blender_with_python_3_11_there_are_no_threads(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "bpy", raising=False)
        assert ModelClient()._answerer._is_threaded
        monkeypatch.setitem(sys.modules, "bpy", object())
        assert ModelClient()._answerer._is_threaded == (sys.version_info >= (3, 12))

    def test_without_threads_there_are_none(self):
        before = threading.active_count()
        with fake_client(threaded=False) as client:
            busy(client, "work", seconds=PATIENCE_S)
            assert threading.active_count() == before

    def test_a_program_that_is_no_python_says_its_last_words(self, tmp_path):
        wrong = tmp_path / "python"
        wrong.write_text("#!/bin/sh\necho licence expired; exit 3")
        wrong.chmod(0o755)
        with ModelClient(wrong) as client, pytest.raises(WorkerError, match="ended with code 3: licence expired"):
            answered(client)


class TestCancel:
    def test_the_caller_is_free_at_once_and_the_process_stays(self, either):
        reply = busy(either, "work", seconds=PATIENCE_S)
        before, start_s = pid_of(either), time.monotonic()
        reply.cancel()
        with pytest.raises(Cancelled):
            reply.result()
        assert time.monotonic() - start_s < 0.1
        answered(either)
        assert pid_of(either) == before

    def test_what_does_not_stop_is_ended_and_others_do_not_notice(self, either):
        reply = busy(either, "stubborn")
        others = [either.request("echo", {"x": n}) for n in range(3)]
        before = pid_of(either)
        reply.cancel()
        assert [other.result(PATIENCE_S).values["x"] for other in others] == [0, 1, 2]
        assert not lives(before)
        assert requests_with_files() == []

    def test_one_that_waits_is_never_begun(self, either):
        running = busy(either, "work", seconds=0.5)
        waiting = either.request("die", {"signal": "SIGKILL"})
        waiting.cancel()
        assert running.result(PATIENCE_S).values == {"seconds": 0.5}
        answered(either)

    def test_a_time_limit_cancels(self, either):
        reply = busy(either, "work", seconds=PATIENCE_S)
        with pytest.raises(ModelTimeoutError, match=r"'work' took longer than 0.05 s"):
            reply.result(0.05)
        with pytest.raises(ModelTimeoutError):
            reply.result()
        answered(either)

    def test_an_answer_that_is_there_stays(self, client):
        reply = client.request("echo", {"x": 1})
        reply.result(PATIENCE_S)
        reply.cancel()
        assert reply.result().values == {"x": 1}

    def test_a_job_waits_and_its_cancel_reaches_the_process(self, either):
        job = Job("Flow", either.request("work", {"seconds": 0.1}).steps(Progress(0, 1)), pause_s=0.01)
        assert job.run().values == {"seconds": 0.1}
        reply = either.request("work", {"seconds": PATIENCE_S})
        job = Job("Flow", reply.steps(Progress(0, 1)))
        job.step()
        job.cancel()
        assert job.status.state is JobState.CANCELLED
        with pytest.raises(Cancelled):
            reply.result()

    def test_ctrl_c_wherever_it_strikes_leaves_a_client_that_serves(self, either):
        """Without threads it strikes in the midst of what the client decides."""
        before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        chance = random.Random(1)
        try:
            for _ in range(30):
                with contextlib.suppress(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0001, 0.02))
                    answered(either, "work", seconds=0.02)
                    time.sleep(0.02)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert answered(either, x=1).values == {"x": 1}


class TestDeaths:
    @pytest.mark.parametrize(
        ("task", "options", "words"),
        [
            ("die", {"signal": "SIGKILL"}, "killed, most likely because memory ran out"),
            ("die", {"signal": "SIGSEGV"}, r"crashed \(SIGSEGV\)"),
            ("leave", {"code": 5}, "ended with code 5: the last words"),
            ("leave", {"code": 0}, "ended with code 0"),
        ],
    )
    def test_everybody_who_waits_hears_why_and_the_next_is_served(self, either, task, options, words):
        replies = [either.request("work", {"seconds": 0.2})]
        replies += [either.request(task, options), either.request("echo")]
        assert replies[0].result(PATIENCE_S)
        for reply in replies[1:]:
            with pytest.raises(WorkerError, match=words):
                reply.result(PATIENCE_S)
        assert answered(either, x=1).values == {"x": 1}

    def test_killed_from_outside(self, either):
        reply = busy(either, "work", seconds=PATIENCE_S)
        start_s = time.monotonic()
        os.kill(pid_of(either), signal.SIGKILL)
        with pytest.raises(WorkerError, match="was killed"):
            reply.result(PATIENCE_S)
        assert time.monotonic() - start_s < 2.0
        answered(either)

    def test_killed_while_idle_costs_nobody_anything(self, either):
        answered(either)
        before = pid_of(either)
        os.kill(before, signal.SIGKILL)
        until(lambda: either.look() or pid_of(either) is None)
        answered(either)

    def test_one_that_freezes_is_given_up(self):
        with fake_client(silence_s=0.5) as client:
            answered(client)
            with pytest.raises(WorkerError, match=r"nothing was heard of it for 0.5 s"):
                answered(client, "freeze")
            answered(client)

    def test_one_that_is_stopped_while_idle_is_replaced(self):
        with fake_client(silence_s=0.5) as client:
            answered(client)
            os.kill(pid_of(client), signal.SIGSTOP)
            with pytest.raises(WorkerError, match="nothing was heard"):
                client.call("echo", {"long": "x" * 500_000}, timeout_s=PATIENCE_S)  # more than a pipe holds
            answered(client)

    def test_working_long_is_not_freezing(self):
        with fake_client(silence_s=0.5) as client:
            assert answered(client, "stubborn", seconds=1.5).values == {"seconds": 1.5}

    def test_what_the_process_started_goes_with_it(self, either):
        child = answered(either, "child").values["pid"]
        with pytest.raises(WorkerError):
            answered(either, "die", signal="SIGKILL")
        until(lambda: not lives(child))

    def test_an_idle_process_lets_go_and_leaves_and_the_next_request_gets_another(self):
        with fake_client(release_s=0.1, end_s=0.3) as client:
            answered(client)
            before = pid_of(client)
            log = client._answerer._scratch.folder / "log.txt"
            until(lambda: "released" in log.read_text())
            until(lambda: not lives(before))
            assert answered(client, x=1).values == {"x": 1}

    def test_a_request_that_crosses_the_farewell_is_answered_by_the_next(self, either, tmp_path):
        marker = tmp_path / "said farewell"
        replies = [either.request("farewell", {"marker": str(marker)}), either.request("echo", {"x": 1})]
        assert replies[0].result(PATIENCE_S).values == {"marker": str(marker)}
        assert replies[1].result(PATIENCE_S).values == {"x": 1}
        assert marker.exists()

    def test_requests_at_the_moment_of_leaving_are_answered(self):
        with fake_client(release_s=0.02, end_s=0.04) as client:
            for n in range(10):
                assert answered(client, x=n).values == {"x": n}
                time.sleep(0.03 + 0.002 * n)

    @pytest.mark.parametrize(
        "kind",
        [
            "no magic",
            "wrong version",
            "no JSON",
            "not for a client",
            "never asked",
            "closed pipe",
            "no description",
            "no file",
            "outside",
            "short file",
        ],
    )
    def test_nonsense_ends_the_process_and_nothing_else(self, client, kind):
        client._answerer._last_id = 40  # what these replies are to
        with pytest.raises(WorkerError, match="model process was lost"):
            answered(client, kind, id=41)
        assert answered(client, x=1).values == {"x": 1}


class TestEnds:
    def test_closing_ends_what_runs_and_what_waits(self, either):
        replies = [busy(either, "stubborn"), either.request("echo")]
        pid = pid_of(either)
        either.close()
        for reply in replies:
            with pytest.raises(Cancelled, match="closed"):
                reply.result()
        assert not lives(pid)

    def test_closing_twice_or_unused_does_no_harm(self, either):
        either.close()
        either.close()

    @pytest.mark.parametrize("threaded", [True, False])
    def test_closing_while_others_ask_leaves_nothing(self, threaded):
        wrong = []

        def ask(client):
            while True:
                try:
                    client.request("echo", {}, {"a": np.zeros(1000)}).result(PATIENCE_S)
                except (Cancelled, ModelError, OutputError):
                    break
                except Exception as error:  # noqa: BLE001 - looked at below
                    wrong.append(error)
                    break

        for n in range(6):
            client = fake_client(threaded)
            threads = [threading.Thread(target=ask, args=(client,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.05 * n)
            client.close()
            for thread in threads:
                thread.join(PATIENCE_S)
                assert not thread.is_alive()
        assert not wrong

    def test_a_closed_one_says_so(self, client):
        client.close()
        with pytest.raises(ModelError, match="was closed: make a new one"):
            client.request("echo")

    @pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(1)", "1 / 0", "pass", "del client"])
    @pytest.mark.parametrize("task", ["echo", "stubborn"])
    def test_the_process_ends_with_its_client_however_that_ends(self, temporary, end, task):
        program = (
            "import os, numpy\n"
            "from model_processes import fake_client\n"
            "client = fake_client()\n"
            "client.call('echo')\n"
            f"client.request('{task}', {{}}, {{'a': numpy.zeros(100)}})\n"
            "print(client._answerer.pid, flush=True)\n"
            f"{end}"
        )
        pid = int(printed_by(program, temporary))
        if "os." not in end:  # then the client itself has seen to it, and nothing is left to anybody else
            assert not lives(pid)
            assert not scratch_folders()
        until(lambda: not lives(pid) and not scratch_folders())

    def test_a_forked_process_without_exec_keeps_nothing_alive(self, temporary):
        """The child has the client's end of the pipe, so the worker sees no end of it."""
        program = (
            "import os, time\n"
            "from model_processes import fake_client\n"
            "client = fake_client()\n"
            "client.call('echo')\n"
            "child = os.fork()\n"
            "if not child: os.close(1); time.sleep(60); os._exit(0)\n"
            "print(client._answerer.pid, child, flush=True)\n"
            "os.kill(os.getpid(), 9)"
        )
        pid, child = map(int, printed_by(program, temporary).split())
        try:
            until(lambda: not lives(pid) and not scratch_folders())
            assert lives(child)
        finally:
            os.kill(child, signal.SIGKILL)

    def test_what_two_killed_processes_left_the_next_client_deletes(self, client, monkeypatch):
        answered(client)
        theirs = client._answerer._scratch.folder
        left = theirs.with_name(f"{scratch.PREFIX}left")
        left.mkdir()
        (left / "1").mkdir()
        (left / "1" / "in0").write_bytes(bytes(100))
        scratch.sweep()
        assert left.exists(), "it may be new"
        monkeypatch.setattr(scratch, "_NEW_S", -1)
        scratch.sweep()
        assert not left.exists()
        assert theirs.exists()
        answered(client)

    def test_the_environment_of_this_python_does_not_reach_the_other(self, monkeypatch):
        monkeypatch.setenv("PYTHONHOME", "/nowhere")
        monkeypatch.setenv("PYTHONPATH", "/nowhere")
        with fake_client() as client:
            answered(client)


class TestOurOwnProgram:
    """start_worker.py, without torch."""

    def test_it_is_started_by_its_path_alone(self):
        with ModelClient() as client:
            values = client.call("ping", timeout_s=PATIENCE_S).values
            assert values["pid"] == pid_of(client)

    def test_of_all_that_is_beside_it_only_the_package_can_be_imported(self, tmp_path):
        """As Blender installs it, under a longer name, beside other extensions."""
        extensions = tmp_path / "extensions"
        extensions.mkdir()
        installed = extensions / "animerun_addon"
        installed.symlink_to(ROOT / "animerun_addon")
        (extensions / "numpy.py").write_text("raise ImportError('of another extension')")
        program = installed / "model_bridge" / client_module.START_WORKER.name
        with ModelClient(program=program) as client:
            assert client.call("ping", timeout_s=PATIENCE_S).values["pid"] == pid_of(client)

    def test_the_other_python_may_be_of_another_version(self):
        others = [ROOT / f".venv{name}" / "bin" / "python" for name in ("", "-bpy5.2")]
        found = [python for python in others if python.exists() and not python.samefile(sys.executable)]
        if not found:
            pytest.skip("no second Python here")
        with ModelClient(found[0]) as client:
            version = client.call("ping", timeout_s=PATIENCE_S).values["python"]
            assert version.split(".")[:2] != [str(each) for each in sys.version_info[:2]]
