# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole files or none, and folders that are refused before the work begins."""

import contextlib
import errno
import os
import subprocess
import sys

import pytest

from animerun_addon import output
from animerun_addon.errors import OutputError
from animerun_addon.output import alone_in, whole_file, writable_folder, write_text


def test_file_appears_only_when_whole(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path) as beside:
        beside.write_text("new")
        assert not path.exists()
        assert beside.suffix == ".txt"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), whole_file(path) as beside:
        beside.write_text("half, then what ASCII lacks: ア", encoding="ascii")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(OutputError, match=r"a\.txt"), whole_file(tmp_path / "a.txt"):
        pass


def test_write_text_is_utf8(tmp_path):
    write_text(tmp_path / "a.txt", "アニメ")
    assert (tmp_path / "a.txt").read_bytes().decode("utf-8") == "アニメ"


def test_folder_is_made(tmp_path):
    folder = writable_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert not list(folder.iterdir())


def test_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file.*choose another folder"):
        writable_folder(tmp_path / "file")
    with pytest.raises(OutputError):
        writable_folder(tmp_path / "file" / "below")


# One process at a time ------------------------------------------------------------------------------------------------

# Says "in" when it is, and stays until its input ends.
STAY = (
    "import sys; from pathlib import Path; from animerun_addon.output import alone_in\n"
    "with alone_in(Path(sys.argv[1]), 'train_shot'):\n"
    "    print('in', flush=True)\n"
    "    sys.stdin.read()\n"
)


@contextlib.contextmanager
def somebody_in(folder):
    """Another process that is in there."""
    other = subprocess.Popen([sys.executable, "-c", STAY, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"in\n"
        yield other
    finally:
        other.communicate()


def test_a_second_process_gets_an_error_that_says_what_to_do(tmp_path):
    with somebody_in(tmp_path):
        with pytest.raises(
            OutputError, match=r"Another process is writing 'train_shot' in .*wait for it, or cancel it"
        ):
            alone_in(tmp_path, "train_shot").__enter__()
        with alone_in(tmp_path, "train_other"):
            pass
    with alone_in(tmp_path, "train_shot"):
        pass


def test_the_same_process_is_not_let_in_twice(tmp_path):
    with alone_in(tmp_path, "a"), pytest.raises(OutputError, match="Another"), alone_in(tmp_path, "a"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_killed_process_keeps_nobody_out(tmp_path):
    with somebody_in(tmp_path) as other:
        other.kill()
        other.wait()
        with alone_in(tmp_path, "train_shot"):
            pass
    assert not list(tmp_path.iterdir())


def test_no_lock_is_left_whatever_happens_inside(tmp_path):
    with alone_in(tmp_path, "a"):
        assert [path.name for path in tmp_path.iterdir()] == [".a.lock"]
    with pytest.raises(KeyboardInterrupt), alone_in(tmp_path, "a"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_lock_on_a_file_that_is_deleted_by_then_does_not_count(tmp_path, monkeypatch):
    """Who waits between opening and locking must not end up alone with a file that nobody else sees."""
    lock, came = output._lock, []

    def late_lock(number):
        came.append(number)
        if len(came) == 1:
            (tmp_path / ".a.lock").unlink()
        return lock(number)

    monkeypatch.setattr(output, "_lock", late_lock)
    with alone_in(tmp_path, "a"):
        assert len(came) == 2
        with pytest.raises(OutputError, match="Another"), alone_in(tmp_path, "a"):
            pass


def test_a_place_where_no_lock_can_be_is_named(tmp_path, monkeypatch):
    with pytest.raises(OutputError, match=r"Cannot write into .*nowhere.*choose another folder"):
        alone_in(tmp_path / "nowhere", "a").__enter__()

    def no_locks(_number):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(output, "_lock", no_locks)
    with pytest.raises(OutputError, match=r"No locks available.*choose another folder"):
        alone_in(tmp_path, "a").__enter__()
