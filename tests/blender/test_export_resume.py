# SPDX-License-Identifier: GPL-3.0-or-later
"""An export that is killed, cancelled or runs out of disk ends as if nothing had happened; no two makings mix."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from types import SimpleNamespace

import bpy
import exports
import pytest
from exports import export, exported, folder, stamps, start_export, tree

from animerun_addon.output import alone_in

FRAMES = "1-10"
WORDS = ("--stride", "1,2", "--exr")
KILLS = pytest.mark.parametrize(
    ("kills", "seed"), [(4, 1), pytest.param(20, 2, marks=pytest.mark.torture)], ids=["4 times", "20 times"]
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A tiny shot, what its export leaves, and how long it writes."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    base = tmp_path_factory.mktemp("undisturbed")
    blend = exports.saved(exports.passing_scene(24, 16, frame_count=10), base / "shot.blend")
    process = start_export(blend, base / "set", FRAMES, *WORDS)
    started_s = wait_until_begun(process, base / "set")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return SimpleNamespace(
        blend=blend, root=base / "set", tree=tree(base / "set"), seconds=time.monotonic() - started_s
    )


def wait_until_begun(process, root):
    """When the clip's first file was there."""
    first = folder(root, "Meta") / "meta.json"
    deadline_s = time.monotonic() + 60
    while not first.exists() and process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.002)
    return time.monotonic()


def has_been_killed(blend, root, moment_s):
    """Kill an export so long after its first file; whether it was still at work."""
    process = start_export(blend, root, FRAMES, *WORDS)
    wait_until_begun(process, root)
    time.sleep(moment_s)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def unfinished(root):
    """Files that never got their names."""
    return [path for path in root.rglob("*") if ".part" in path.name]


def labels_in(root):
    """The hashes of the frames and labels that have their names."""
    return {path: content for path, content in tree(root).items() if "/Meta/" not in path and "/." not in f"/{path}"}


def copy_of(undisturbed, tmp_path):
    """A finished export to play with."""
    return shutil.copytree(undisturbed.root, tmp_path / "set", copy_function=shutil.copy2)


# Killed ---------------------------------------------------------------------------------------------------------------


@KILLS
def test_killed_at_random_moments_it_ends_byte_for_byte_as_if_undisturbed(undisturbed, tmp_path, kills, seed):
    chance = random.Random(seed)
    killed, stopped_at = 0, set()
    for number in count():
        root = tmp_path / str(number)
        # Moments are spread evenly over the work; every other export is killed again while it resumes.
        for again in range(1 + number % 2):
            moment_s = chance.uniform(0, undisturbed.seconds) / (1 + again)
            killed += has_been_killed(undisturbed.blend, root, moment_s)
        left = labels_in(root)
        assert left.items() <= undisturbed.tree.items(), "what has its name is whole"
        stopped_at.add(len(left))
        exported(undisturbed.blend, root, FRAMES, *WORDS)
        assert tree(root) == undisturbed.tree
        shutil.rmtree(root)
        if killed >= kills:
            break
    assert len(stopped_at) > kills // 4, "the moments were different ones"


def test_a_file_that_is_gone_is_made_again_and_nothing_else(undisturbed, tmp_path):
    root = copy_of(undisturbed, tmp_path)
    before = stamps(root)
    gone = [
        folder(root, "Flow", "backward") / "0004.flo",
        folder(root, "Frame_Anime", "original") / "0006.png",
        folder(root, "Segment") / "0007.npy",
        folder(root, "SegMatching_stride2", "forward") / "0003.json",
    ]
    for path in gone:
        path.unlink()
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    assert tree(root) == undisturbed.tree
    files = {path for path in before if path.is_file() and path not in gone}
    assert all(path.stat().st_mtime_ns == before[path] for path in files if path.suffix != ".json")


def test_leftovers_of_a_killed_run_are_swept(undisturbed, tmp_path):
    root = copy_of(undisturbed, tmp_path)
    (folder(root, "Flow", "forward") / ".0003.part.flo").write_bytes(b"half")
    (folder(root, "Flow", "forward") / "0003.flo").unlink()
    (folder(root, "Meta") / "parts").mkdir()
    (folder(root, "Meta") / "parts" / ".pair_forward_0003.part.json").write_bytes(b"")
    (folder(root, "Meta") / "rendering").mkdir()
    (folder(root, "Meta") / "rendering" / "original_5.png").write_bytes(b"half")
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    assert tree(root) == undisturbed.tree


def test_a_finished_export_has_nothing_to_do(undisturbed, tmp_path):
    root = copy_of(undisturbed, tmp_path)
    before = stamps(root)
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    assert tree(root) == undisturbed.tree
    pictures = [path for path in before if path.suffix in {".png", ".flo", ".npy", ".exr"}]
    assert all(path.stat().st_mtime_ns == before[path] for path in pictures)


# Cancelled ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flows", [0, 1], ids=["at once", "in the middle"])
def test_ctrl_c_leaves_whole_files_and_resumes(undisturbed, tmp_path, flows):
    """At once, when Blender calls back for the first time and drops what is raised in there; and in the middle."""
    root = tmp_path / "set"
    process = start_export(undisturbed.blend, root, FRAMES, *WORDS)
    wait_until_begun(process, root)
    while len(list(root.rglob("*.flo"))) < flows and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "animerun: Cancelled"
    assert not unfinished(root)
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    assert tree(root) == undisturbed.tree


def test_a_child_whose_blender_is_gone_stops_with_whole_files(undisturbed, tmp_path):
    root = tmp_path / "set"
    words = (*WORDS, "--report-to", tmp_path / "report")
    process = start_export(undisturbed.blend, root, FRAMES, *words, stdin=subprocess.PIPE)
    wait_until_begun(process, root)
    process.stdin.close()
    process.stdin = None
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not unfinished(root)
    assert len(tree(root)) < len(undisturbed.tree)
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    assert tree(root) == undisturbed.tree


def test_two_exports_of_one_clip_at_a_time_are_refused(undisturbed, tmp_path):
    root = copy_of(undisturbed, tmp_path)
    before = stamps(root)
    with alone_in(root, "train_shot"):
        done = export(undisturbed.blend, root, FRAMES, *WORDS)
    assert_said_in_one_line(done, "Another process", str(root))
    assert stamps(root) == before


# Not mixed ------------------------------------------------------------------------------------------------------------


def moved_scene(undisturbed, tmp_path):
    """The same file, but for one thing that stands elsewhere."""
    bpy.ops.wm.open_mainfile(filepath=str(undisturbed.blend))
    bpy.data.objects["Wall"].location.x += 0.5
    (tmp_path / "other").mkdir()
    return exports.saved(bpy.context.scene, tmp_path / "other" / "shot.blend")


def assert_refused(root, done, *named):
    """In one line that names the difference and a way out; nothing on disk has changed."""
    assert done.code == 2
    assert done.result["code"] == 2
    (said,) = [line for line in done.said.splitlines() if line.startswith("animerun:")]
    assert all(word in said for word in named), said
    assert "--anew" in said or "another" in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--occlusion", "consistency"), ("occlusion", "exact", "consistency")),
        (("--segments", "frame"), ("segments", "contour", "frame")),
        (("--matching", "surface"), ("matching", "flow", "surface")),
        (("--style", "--contours", "fast"), ("style",)),
    ],
    ids=lambda words: "-".join(words).strip("-"),
)
def test_other_settings_are_refused(undisturbed, tmp_path, words, named):
    root = copy_of(undisturbed, tmp_path)
    before = stamps(root)
    done = export(undisturbed.blend, root, FRAMES, *WORDS, *words)
    assert_refused(root, done, "'shot'", *named)
    assert stamps(root) == before


def test_another_back_end_is_refused(undisturbed, tmp_path, monkeypatch):
    from animerun_addon.scene import id_pass

    root = copy_of(undisturbed, tmp_path)
    before = stamps(root)
    made_with = exports.meta(root)["backend"]
    monkeypatch.setattr(id_pass, "can_draw", lambda: made_with != "gpu")
    done = export(undisturbed.blend, root, FRAMES, *WORDS)
    assert_refused(root, done, "'shot'", "backend", "gpu", "numpy")
    assert stamps(root) == before


def test_another_source_is_refused(undisturbed, tmp_path):
    root = copy_of(undisturbed, tmp_path)
    before = stamps(root)
    done = export(moved_scene(undisturbed, tmp_path), root, FRAMES, *WORDS)
    assert_refused(root, done, "'shot'", "scene", "changed")
    assert stamps(root) == before


@pytest.mark.parametrize("frames", ["1,3,5,7,9", "2-10", "5-14"])
def test_other_frames_between_those_that_are_there_are_refused(undisturbed, tmp_path, frames):
    root = copy_of(undisturbed, tmp_path)
    before = stamps(root)
    done = export(undisturbed.blend, root, frames, *WORDS)
    assert_refused(root, done, "'shot'", "1 to 10")
    assert stamps(root) == before


def test_one_name_on_both_sides_of_the_split_is_refused(undisturbed, tmp_path):
    root = copy_of(undisturbed, tmp_path)
    before = stamps(root)
    done = export(undisturbed.blend, root, FRAMES, *WORDS, "--split", "test")
    assert_refused(root, done, "'shot'", "train")
    assert stamps(root) == before


def test_more_frames_make_the_clip_longer_as_if_it_had_been_so_from_the_start(undisturbed, tmp_path):
    root = tmp_path / "set"
    exported(undisturbed.blend, root, "1-4", *WORDS)
    exported(undisturbed.blend, root, "1-7", *WORDS)
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    assert tree(root) == undisturbed.tree


def test_labels_and_strides_may_come_later(undisturbed, tmp_path):
    root = tmp_path / "set"
    exported(undisturbed.blend, root, FRAMES, "--labels", "frames,contour,flow,occlusion")
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    ours, whole = tree(root), undisturbed.tree
    told = {"train/Meta/shot/meta.json"}
    assert {path: ours[path] for path in ours.keys() - told} == {path: whole[path] for path in whole.keys() - told}


def test_a_clip_of_another_name_goes_beside_it(undisturbed, tmp_path):
    root = copy_of(undisturbed, tmp_path)
    before = tree(root)
    exported(undisturbed.blend, root, "1-3", "--occlusion", "consistency", clip="other")
    after = tree(root)
    assert before.items() <= after.items()
    assert all("/other/" in path for path in after.keys() - before.keys())


def test_anew_replaces_the_clip(undisturbed, tmp_path):
    words = ("--segments", "exact", "--anew")
    root = copy_of(undisturbed, tmp_path)
    exported(undisturbed.blend, root, "3-6", *words)
    exported(undisturbed.blend, tmp_path / "fresh", "3-6", *words)
    assert tree(root) == tree(tmp_path / "fresh")


# Nowhere to write -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own that can be made larger, or read-only, by mount's options."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux mounts a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150k", "none", place], check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def remount(place, options):
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


def assert_said_in_one_line(done, *words):
    assert done.code == 2, done.said
    assert "Traceback" not in done.said
    (said,) = [line for line in done.said.splitlines() if line.startswith("animerun:")]
    assert all(word in said for word in words), said


def test_a_full_disk_is_said_and_the_export_resumes_on_a_larger_one(undisturbed, small_disk):
    root = small_disk / "set"
    assert_said_in_one_line(export(undisturbed.blend, root, FRAMES, *WORDS), "Cannot write", str(root), "No space left")
    whole = labels_in(root)
    assert whole
    assert whole.items() <= undisturbed.tree.items()
    assert not unfinished(root)
    remount(small_disk, "size=50m")
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    assert tree(root) == undisturbed.tree


def test_a_read_only_disk_is_said_before_the_work(undisturbed, small_disk):
    remount(small_disk, "size=50m,ro")
    done = export(undisturbed.blend, small_disk / "set", FRAMES, *WORDS)
    assert_said_in_one_line(done, str(small_disk), "another folder")


def test_a_disk_that_becomes_read_only_keeps_what_is_there(undisturbed, small_disk):
    root = small_disk / "set"
    remount(small_disk, "size=50m")
    exported(undisturbed.blend, root, "1-5", *WORDS)
    before = tree(root)
    remount(small_disk, "ro")
    assert_said_in_one_line(export(undisturbed.blend, root, FRAMES, *WORDS), str(root))
    assert tree(root) == before
    remount(small_disk, "rw")
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    assert tree(root) == undisturbed.tree


def test_files_that_may_not_grow_leave_nothing_half_written(undisturbed, tmp_path):
    """As a full disk, for those who are not root: every file of more than 3 KB fails, a flow has 3,084 bytes."""
    root = tmp_path / "set"
    exported(undisturbed.blend, root, FRAMES, "--labels", "frames,contour")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))

    process = start_export(undisturbed.blend, root, FRAMES, *WORDS, preexec_fn=limit)
    _, said = process.communicate(timeout=60)
    assert_said_in_one_line(SimpleNamespace(code=process.returncode, said=said), "Cannot write", str(root))
    whole = labels_in(root)
    assert whole.items() <= undisturbed.tree.items()
    assert not unfinished(root)
    exported(undisturbed.blend, root, FRAMES, *WORDS)
    ours = tree(root)
    assert {path: ours[path] for path in whole} == whole
    assert ours.keys() == undisturbed.tree.keys()


def test_a_file_in_the_folders_place_is_said(undisturbed, tmp_path):
    (tmp_path / "file").touch()
    assert_said_in_one_line(export(undisturbed.blend, tmp_path / "file", FRAMES), str(tmp_path / "file"), "folder")
    root = tmp_path / "set"
    (root / "train" / "Flow").mkdir(parents=True)
    (root / "train" / "Flow" / "shot").touch()
    assert_said_in_one_line(export(undisturbed.blend, root, FRAMES), str(root / "train" / "Flow" / "shot"))
