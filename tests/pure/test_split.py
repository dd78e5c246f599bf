# SPDX-License-Identifier: GPL-3.0-or-later
"""Train and test: whole cuts, the wanted share, and nothing lost however often the moving is interrupted."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animerun_addon import cli
from animerun_addon.dataset.layout import Clip, Direction
from animerun_addon.dataset.split import (
    JOURNAL,
    TEST,
    TRAIN,
    Cut,
    Placed,
    cut_of,
    cuts_for_test,
    cuts_on_both_sides,
    placed_clips,
    split_steps,
)
from animerun_addon.errors import InputError, OutputError


def drained(steps):
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def split(root, share=0.5, seed=0, **options):
    return drained(split_steps(root, share, seed, **options))


def put(root, name, side=TRAIN, frames=4, meta=True, film="film", file="film.blend", scene="Scene"):
    """A clip of small files in folders of every sort: known, with a stride, and of a kind that nobody knows."""
    clip = Clip(root, side, name)
    paths = [clip.frame(frame) for frame in range(frames)]
    paths += [clip.flow(frame, Direction.FORWARD) for frame in range(frames - 1)]
    paths += [clip.flow(frame, Direction.FORWARD, 2) for frame in range(frames - 2)]
    paths += [root / side / "Poses" / name / "pose.json"]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} {path.name}")
    if meta:
        clip.meta.parent.mkdir(parents=True)
        told = {"format": 1, "frames": list(range(frames)), "film": film, "source": {"file": file, "scene": scene}}
        clip.meta.write_text(json.dumps(told))
    return clip


def put_many(root):
    """Six cuts of two films; of one cut there are three clips."""
    for number in range(5):
        put(root, f"shot{number}x", scene=f"Scene {number}", film="one" if number < 3 else "two")
    for part in "abc":
        put(root, f"long_{part}", scene="Long", film="two", side=TEST if part == "b" else TRAIN)


def files(root):
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def without_sides(tree):
    return {name.partition("/")[2]: text for name, text in tree.items()}


# The rule

CUTS = st.dictionaries(
    st.builds(Cut, st.sampled_from(["one", "two", "three"]), st.sampled_from(["a", "b"]), st.text("xyz", max_size=4)),
    st.integers(1, 100),
    min_size=2,
    max_size=12,
)


@given(CUTS, st.floats(0, 1), st.integers(0, 9))
def test_the_share_is_as_near_as_one_more_cut_could_bring_it(frames, share, seed):
    for_test = cuts_for_test(frames, share, seed, {})
    total, taken = sum(frames.values()), sum(frames[cut] for cut in for_test)
    assert for_test <= frames.keys()
    if 0 < share < 1:
        assert 0 < len(for_test) < len(frames)
    if 0 < taken < total and len(for_test) > 1:
        assert abs(taken - share * total) <= max(frames.values())
    if taken < share * total and len(for_test) < len(frames) - 1:
        assert all(2 * (share * total - taken) <= frames[cut] * (1 + 1e-9) for cut in frames.keys() - for_test)


@given(CUTS, st.floats(0, 1), st.integers(0, 9), st.randoms())
def test_the_order_of_a_folder_makes_no_difference(frames, share, seed, shuffler):
    shuffled = list(frames.items())
    shuffler.shuffle(shuffled)
    assert cuts_for_test(dict(shuffled), share, seed, {}) == cuts_for_test(frames, share, seed, {})


@given(CUTS, st.floats(0, 1), st.dictionaries(st.sampled_from(["one", "two"]), st.sampled_from([TRAIN, TEST])))
def test_a_film_goes_where_it_is_told(frames, share, films):
    for_test = cuts_for_test(frames, share, 0, films)
    assert all((cut in for_test) == (films[cut.film] == TEST) for cut in frames if cut.film in films)


def test_nothing_and_everything_can_be_for_testing():
    frames = {Cut("one", "", name): 3 for name in "abc"}
    assert not cuts_for_test(frames, 0, 0, {})
    assert cuts_for_test(frames, 1, 0, {}) == frames.keys()


def test_another_seed_makes_another_split():
    frames = {Cut("one", "", str(number)): 5 for number in range(30)}
    assert cuts_for_test(frames, 0.3, 0, {}) != cuts_for_test(frames, 0.3, 1, {})
    assert len(cuts_for_test(frames, 0.3, 0, {})) == len(cuts_for_test(frames, 0.3, 1, {})) == 9


def test_the_split_is_the_same_on_every_machine():
    """Python's own hash is another in every process."""
    frames = {Cut("film", "film.blend", f"Scene {number}"): 10 for number in range(10)}
    assert sorted(cut.scene for cut in cuts_for_test(frames, 0.2, 0, {})) == ["Scene 4", "Scene 8"]


@pytest.mark.parametrize(
    ("name", "stem", "film"),
    [
        ("walk_1", "walk", "walk"),
        ("walk_2", "walk", "walk"),
        ("sprite_run_12", "sprite_run", "sprite"),
        ("sh010_A", "sh010", "sh010"),
        ("agent_indoor4_open_door", "agent_indoor4_open_door", "agent"),
        ("0012", "", ""),
    ],
)
def test_without_meta_the_name_tells_the_cut(tmp_path, name, stem, film):
    assert cut_of(Clip(tmp_path, TRAIN, name)) == Cut(film, "", stem)


def test_clips_of_one_scene_are_one_cut_unless_told_otherwise(tmp_path):
    clips = [put(tmp_path, "first"), put(tmp_path, "second"), put(tmp_path, "third", scene="Other")]
    assert [len({cut_of(clip, alone) for clip in clips}) for alone in (False, True)] == [2, 3]


def test_a_cut_on_both_sides_is_found():
    one, other = Cut("film", "", "one"), Cut("film", "", "other")
    clips = [Placed("a", TRAIN, one, 1), Placed("b", TEST, one, 1), Placed("c", TEST, other, 1)]
    assert cuts_on_both_sides(clips) == [one]


# On disk


def test_all_that_a_clip_has_moves_and_its_bytes_stay(tmp_path):
    put_many(tmp_path)
    before = files(tmp_path)
    report = split(tmp_path, 0.4)
    after = files(tmp_path)
    assert without_sides(after) == without_sides(before)
    sides = defaultdict(set)
    for name in after:
        side, _kind, clip, *_ = name.split("/")
        sides[clip].add(side)
    assert all(len(found) == 1 for found in sides.values())
    assert not cuts_on_both_sides(placed_clips(tmp_path))
    assert report.cuts_on_both_sides == ["two, film.blend, Long"]
    assert report.frames == {
        side: sum(c.frames for c in placed_clips(tmp_path) if c.side == side) for side in (TRAIN, TEST)
    }
    assert report.frames[TEST] == 12
    assert not (tmp_path / JOURNAL).exists()


def test_splitting_again_moves_nothing(tmp_path):
    put_many(tmp_path)
    split(tmp_path)
    before = files(tmp_path)
    assert not split(tmp_path).moved
    assert files(tmp_path) == before


def test_the_split_does_not_depend_on_where_clips_were(tmp_path):
    for root in (tmp_path / "one", tmp_path / "other"):
        for number in range(8):
            put(root, f"shot{number}x", scene=str(number), side=TEST if root.name == "other" else TRAIN)
        split(root, 0.3)
    assert files(tmp_path / "one") == files(tmp_path / "other")


class Killed(BaseException):
    """As when the process ends."""


def test_whenever_it_is_interrupted_the_next_run_heals_it(tmp_path, monkeypatch):
    """Before and after every single change that the file system sees."""
    put_many(tmp_path / "undisturbed")
    split(tmp_path / "undisturbed")
    whole = files(tmp_path / "undisturbed")
    changes = 0
    for where in range(1000):
        root = tmp_path / str(where)
        put_many(root)
        try:
            with monkeypatch.context() as patched:
                kill_at(patched, where)
                split(root)
        except Killed:
            changes += 1
        else:
            break
        split(root)
        assert files(root) == whole, f"killed before change {where}"
    assert changes > 2 * len({name.split("/")[2] for name in whole})


def kill_at(patched, where):
    """End at the change number `where` of the file system, before or after it is made."""
    seen = [0]

    def counted(original):
        def change(*arguments, **keywords):
            seen[0] += 1
            if seen[0] > where // 2:
                if where % 2:
                    original(*arguments, **keywords)
                raise Killed
            return original(*arguments, **keywords)

        return change

    for name in ("rename", "replace", "rmdir", "unlink"):
        patched.setattr(Path, name, counted(getattr(Path, name)))


def test_a_half_split_data_set_is_finished_before_another_split_is_made(tmp_path, monkeypatch):
    put_many(tmp_path)
    with monkeypatch.context() as patched:
        kill_at(patched, 6)
        with pytest.raises(Killed):
            split(tmp_path, 0.9)
    with pytest.raises(InputError, match="interrupted"):
        split(tmp_path, 0.1, dry_run=True)
    report = split(tmp_path, 0.1)
    assert report.finished_earlier > 0
    assert not cuts_on_both_sides(placed_clips(tmp_path))


def test_a_dry_run_moves_nothing_and_tells_what_it_would(tmp_path):
    put_many(tmp_path)
    before = files(tmp_path)
    told = split(tmp_path, dry_run=True)
    assert files(tmp_path) == before
    assert told == split(tmp_path)
    assert files(tmp_path) != before


def test_a_clip_on_both_sides_is_refused(tmp_path):
    put(tmp_path, "same", TRAIN)
    put(tmp_path, "other", TEST, scene="Other")
    (tmp_path / TEST / "Poses" / "same").mkdir()
    with pytest.raises(InputError, match="'same' is in 'train' and in 'test'"):
        split(tmp_path)


def test_what_cannot_be_split_is_said(tmp_path):
    with pytest.raises(InputError, match="no clips"):
        split(tmp_path)
    put(tmp_path, "one")
    with pytest.raises(InputError, match="of one cut"):
        split(tmp_path)
    with pytest.raises(InputError, match="share"):
        split(tmp_path, 20)
    with pytest.raises(InputError, match="the films are film"):
        split(tmp_path, films={"fim": TEST})
    with pytest.raises(InputError, match="choose train or test"):
        split(tmp_path, films={"film": "tset"})
    assert split(tmp_path, films={"film": TEST}).clips == {TRAIN: 0, TEST: 1}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 9, "moves": []}',
        '{"format": 1, "moves": [["Flow", "../../x", "train", "test"]]}',
        '{"format": 1, "moves": [["..", "x", "train", "test"]]}',
        '{"format": 1, "moves": [["Flow", "x", "train", ".."]]}',
        '{"format": 1, "moves": [["Flow", "x", "train", "train"]]}',
        '{"format": 1, "moves": [["Flow", 3, "train", "test"]]}',
    ],
)
def test_a_journal_that_leads_elsewhere_is_refused(tmp_path, text):
    put_many(tmp_path)
    (tmp_path / JOURNAL).write_text(text)
    with pytest.raises(InputError, match="damaged"):
        split(tmp_path)


def test_a_folder_that_came_back_meanwhile_is_not_overwritten(tmp_path):
    put(tmp_path, "one", TRAIN)
    put(tmp_path, "one", TEST)
    (tmp_path / JOURNAL).write_text('{"format": 1, "moves": [["Frame_Anime", "one", "train", "test"]]}')
    before = files(tmp_path)
    with pytest.raises(OutputError, match="both there"):
        split(tmp_path)
    assert files(tmp_path) == before


def test_at_the_shell(tmp_path, capsys):
    put_many(tmp_path)
    words = ["split", str(tmp_path), "--test", "0.3", "--json", "--film", "one=train"]
    assert cli.main([*words, "--dry-run"]) == 1
    assert json.loads(capsys.readouterr().out)["cuts_on_both_sides"] == ["two, film.blend, Long"]
    assert cli.main(words) == 0
    assert cli.main([*words, "--dry-run"]) == 0
    assert cli.main([*words, "--film", "one"]) == 2
    assert {path.name for path in (tmp_path / TRAIN / "Meta").iterdir()} >= {"shot0x", "shot1x", "shot2x"}
