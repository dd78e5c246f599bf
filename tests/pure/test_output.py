# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole files or none, and folders that are refused before the work begins."""

import pytest

from animerun_addon.errors import OutputError
from animerun_addon.output import whole_file, writable_folder, write_text


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
