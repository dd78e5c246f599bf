# SPDX-License-Identifier: GPL-3.0-or-later
"""The check: it passes what is exact, and of every kind of damage it names the kind."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animerun_addon.cli import main
from animerun_addon.dataset.formats import read_flo, read_npy, read_png, write_flo, write_npy, write_png
from animerun_addon.dataset.layout import Clip, Direction, Kind
from animerun_addon.dataset.quality import Fault, check_steps
from animerun_addon.dataset.quality_pair import PairView, View, measure, warp_figures
from animerun_addon.errors import InputError, OutputError
from animerun_addon.labels.motion import Flow
from animerun_addon.pipeline.job import Job

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
SIZE = (200, 120)
# Larger than the toy, and with strips two pixels wide, a slow mover, a fast one, one that leaves, and a still one.
SHAPES = [
    ((90, 160, 90), 0, 80, 200, 40, 0, 0),
    ((220, 60, 40), 20, 30, 60, 50, 4, 1),
    ((40, 90, 200), 120, 10, 44, 70, -3, 2),
    ((250, 220, 80), 60, 60, 30, 40, 9, -2),
    ((150, 50, 160), 100, 40, 2, 60, 1, 0),
    ((30, 200, 210), 170, 70, 26, 30, 7, 3),
    ((240, 240, 240), 10, 90, 40, 2, 2, -1),
]


def check(root, **options):
    return Job("Check", check_steps(root, **options)).run()


def faults(result):
    return {finding.fault for clip in result.clips for finding in clip.findings}


def shifted(flow_px, right=3.0):
    return flow_px + np.float32([right, 0])


def change_flow(clip, change, frame=2, direction=FORWARD):
    flow_px, valid = read_flo(clip.flow(frame, direction))
    write_flo(clip.flow(frame, direction), change(flow_px), valid)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Both clips as they should be; copied for every test that damages one."""
    root = tmp_path_factory.mktemp("made")
    facts = {"occlusion": "exact", "matching": "flow"}
    tiny_dataset.write_clip(root / "clip", **facts)
    tiny_dataset.write_clip(root / "wide", name="wide", size=SIZE, rectangles=SHAPES, **facts)
    return root


@pytest.fixture
def clip(made, tmp_path):
    return Clip(shutil.copytree(made / "clip", tmp_path / "set"), "train", "slide")


@pytest.fixture
def wide(made, tmp_path):
    return Clip(shutil.copytree(made / "wide", tmp_path / "set"), "train", "wide")


# ---------------------------------------------------------------- what is right


def test_exact_data_set_passes_with_all_strides_and_looks(tmp_path):
    tiny_dataset.write_clip(tmp_path, strides=(1, 2), looks=("original", "color_1"), matching="flow")
    tiny_dataset.write_clip(tmp_path, split="test", name="wide", size=SIZE, rectangles=SHAPES, strides=(1, 3))
    result = check(tmp_path)
    assert result.passed, list(result.failures)
    assert [(clip.split, clip.name) for clip in result.clips] == [("train", "slide"), ("test", "wide")]
    figures = result.clips[0].figures
    assert (figures["frames"], figures["pairs"]) == (4, 2 * (3 + 2))
    assert figures["worst_warp_error"] == 0.0 < figures["unwarped_error"]


def test_clip_of_one_frame_has_no_pairs_and_passes(tmp_path):
    tiny_dataset.write_clip(tmp_path, frames=(7,))
    result = check(tmp_path)
    assert result.passed, list(result.failures)
    assert result.clips[0].figures["pairs"] == 0


def test_frame_numbers_of_five_digits_pass(tmp_path):
    tiny_dataset.write_clip(tmp_path, frames=(9998, 9999))
    meta = Clip(tmp_path, "train", "slide").meta
    meta.write_text(meta.read_text().replace("[9998, 9999]", "[19998, 19999]").replace('"digits": 4', '"digits": 5'))
    assert not check(tmp_path).passed
    for path in sorted(tmp_path.rglob("99*.*")):
        path.rename(path.with_name(f"1{path.name}"))
    result = check(tmp_path)
    assert result.passed, list(result.failures)


def test_frames_on_twos_and_long_numbers_pass(tmp_path):
    tiny_dataset.write_clip(tmp_path, frames=(998, 1000, 1002))
    assert check(tmp_path).passed


def test_published_data_set_has_no_meta_and_goes_by_place(clip):
    """Its stems are not ours, and it has one line area less than frames."""
    shutil.rmtree(clip.meta.parent)
    for path in clip.folder(Kind.FLOW).rglob("*.flo"):
        path.rename(path.with_name(f"Image{path.name}"))
    clip.line_area(4).unlink()
    assert check(clip.root).passed


def test_cut_is_reported_and_no_fault(clip):
    for source, direction in ((2, FORWARD), (3, BACKWARD)):
        cut(clip, source, direction)
    result = check(clip.root)
    assert result.passed, list(result.failures)
    assert result.clips[0].figures["unknown_pairs"] == 2
    assert "2 of 6 pairs have no known flow" in result.clips[0].notes[0]


def cut(clip, source, direction):
    flow_px, valid = read_flo(clip.flow(source, direction))
    write_flo(clip.flow(source, direction), flow_px, np.zeros_like(valid))
    write_png(clip.valid(source, direction), np.zeros(valid.shape, np.uint8))
    write_npy(clip.unmatched(source, direction), np.zeros(valid.shape, np.uint8))
    matches = json.loads(clip.matching(source, direction).read_text())
    clip.matching(source, direction).write_text(json.dumps({key: [-1] for key in matches}))


def test_still_pair_passes(tmp_path):
    """Warped or not, either way round, it is the same picture."""
    still = [(*shape[:5], 0, 0) for shape in SHAPES]
    tiny_dataset.write_clip(tmp_path, size=SIZE, rectangles=still, frames_have_lines=True)
    assert check(tmp_path).passed


def test_empty_picture_passes(tmp_path):
    tiny_dataset.write_clip(tmp_path, rectangles=[])
    assert check(tmp_path).passed


def test_labels_that_are_not_there_are_not_asked_for(clip):
    for kind in (Kind.SEGMENT, Kind.MATCHING, Kind.OBJECT_ID, Kind.VALID, Kind.DEPTH):
        shutil.rmtree(clip.folder(kind).parent)
    result = check(clip.root)
    assert result.passed, list(result.failures)
    assert "Segment, SegMatching" in result.clips[0].notes[0]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.tuples(*[st.integers(0, 255)] * 3),
            st.integers(-10, 80),
            st.integers(-10, 50),
            st.integers(1, 60),
            st.integers(1, 60),
            st.integers(-12, 12),
            st.integers(-12, 12),
        ),
        max_size=8,
    )
)
def test_whatever_slides_over_whatever_passes(tmp_path, rectangles):
    # One colour for two shapes would be one segment in a picture, but not here.
    colours = {rectangle[0] for rectangle in rectangles}
    if len(colours) < len(rectangles):
        rectangles = []
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    tiny_dataset.write_clip(
        tmp_path / "set", size=(80, 50), rectangles=rectangles, frames=(1, 2, 3), occlusion="exact", matching="flow"
    )
    result = check(tmp_path / "set")
    assert result.passed, list(result.failures)


# ---------------------------------------------------------------- pictures between pixels


def squares(right, down, count=25, seed=3):
    """Turned squares of many sizes, (120, 200, 3), as they are seen at pixel centres after moving so far."""
    random = np.random.default_rng(seed)
    y, x = np.indices((120, 200)).astype(float)
    picture = np.full((120, 200, 3), 200, np.uint8)
    for _ in range(count):
        column, row, size, angle = random.uniform((0, 0, 4, 0), (200, 120, 30, 3))
        across, along = x - column - right, y - row - down
        turned = np.cos(angle) * across + np.sin(angle) * along, np.cos(angle) * along - np.sin(angle) * across
        distance = np.abs(turned).max(axis=0)
        picture[distance < size] = random.integers(0, 255, 3)
        picture[(distance < size) & (distance > size - 1)] = 0
    return picture


def figures_of(right, down, wrong_px=(0.0, 0.0)):
    flow_px = np.broadcast_to(np.float32([right, down]) + np.float32(wrong_px), (120, 200, 2)).copy()
    visible = np.zeros((120, 200), bool)
    visible[20:-20, 20:-20] = True
    return warp_figures(squares(0, 0), squares(right, down), flow_px, visible)


ANY_MOTION = st.tuples(st.floats(-15, 15), st.floats(-15, 15))


@settings(max_examples=20, deadline=None)
@given(ANY_MOTION)
def test_exact_flow_between_pixels_is_within_all_limits(motion):
    figures = figures_of(*motion)
    assert figures["warp_error"] < 0.8 * figures["one_pixel_error"]
    assert figures.get("shift_ratio", 0) < 1.0
    assert figures.get("following_ratio", 0) < 0.6


@settings(max_examples=20, deadline=None)
@given(ANY_MOTION, st.sampled_from([1, 2, 5, 10]), st.sampled_from([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1)]))
def test_shifted_flow_between_pixels_is_found(motion, px, side):
    assert figures_of(*motion, wrong_px=(px * side[0], px * side[1]))["shift_ratio"] > 1.05


@settings(max_examples=20, deadline=None)
@given(ANY_MOTION.filter(lambda motion: np.abs(motion).max() > 1.5))
def test_flow_turned_round_between_pixels_is_found(motion):
    assert figures_of(*motion, wrong_px=(-2 * motion[0], -2 * motion[1]))["following_ratio"] > 0.75


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_any_labels_of_any_size_have_figures(height, width, seed):
    """Nonsense and pictures of a pixel are measured like others, and every share is one."""
    random = np.random.default_rng(seed)
    views = [
        View(
            random.integers(0, 256, (height, width, 3), dtype=np.uint8),
            random.integers(-1, 2, (height, width), dtype=np.int32),
            random.integers(-1, 2, (height, width), dtype=np.int32),
        )
        for _ in range(2)
    ]
    flows = [
        Flow(random.normal(0, 4, (height, width, 2)).astype(np.float32), random.random((height, width)) < 0.8, ())
        for _ in range(2)
    ]
    figures = measure(PairView(*views, *flows, random.random((height, width)) < 0.8))
    assert all(0 <= value <= 1 for name, value in figures.items() if name.endswith("_share"))
    assert all(np.isfinite(value) for value in figures.values())


def test_ball_that_spins_without_a_pattern_is_no_wrong_flow():
    y, x = np.indices((120, 200)) - np.float32([[[60.0]], [[100.0]]])
    inside = np.hypot(x, y) <= 40
    angle = 0.2
    spin = np.stack([np.cos(angle) * x - np.sin(angle) * y - x, np.sin(angle) * x + np.cos(angle) * y - y], axis=-1)
    ball = np.where(inside[..., None], np.uint8([250, 60, 40]), np.uint8(255)).astype(np.uint8)
    figures = warp_figures(ball, ball, np.where(inside[..., None], spin, 0).astype(np.float32), np.ones_like(inside))
    assert figures["warp_error"] > 0
    assert "following_ratio" not in figures
    assert figures.get("shift_ratio", 0) < 1.0


def test_way_back_is_looked_for_beside_silhouettes():
    """Half a pixel beside the border of two motions the interpolated flow is neither; both pixels' flows are."""
    flow_px = np.zeros((40, 60, 2), np.float32)
    flow_px[:, :30, 0] = 4.5
    back_px = np.zeros_like(flow_px)
    back_px[:, :34, 0] = -4.5
    everywhere = np.ones((40, 60), bool)
    visible = everywhere.copy()
    visible[:, 30:35] = False
    pair = PairView(View(), View(), Flow(flow_px, everywhere, ()), Flow(back_px, everywhere, ()), visible)
    assert measure(pair)["inconsistent_share"] == 0.0
    assert measure(replace(pair, visible=everywhere))["inconsistent_share"] > 0.05


# ---------------------------------------------------------------- what is damaged


def shift_flow(clip):
    change_flow(clip, shifted)


def swap_directions(clip):
    for frame in (1, 2, 3):
        forward, backward = clip.flow(frame, FORWARD), clip.flow(frame + 1, BACKWARD)
        there = forward.read_bytes()
        forward.write_bytes(backward.read_bytes())
        backward.write_bytes(there)


def turn_flow_round(clip):
    change_flow(clip, lambda flow_px: -flow_px)


def move_flow_elsewhere(clip):
    change_flow(clip, lambda flow_px: np.roll(flow_px, 6, axis=1))


def drop_key(clip):
    change_matching(clip, lambda matches: matches.pop("1"))


def drop_last_key(clip):
    change_matching(clip, lambda matches: matches.pop(str(len(matches) - 1)))


def name_no_segment(clip):
    change_matching(clip, lambda matches: matches.update({"0": [9999]}))


def match_others(clip):
    change_matching(clip, lambda matches: matches.update({"0": matches["1"], "1": matches["0"]}))


def add_matches(clip):
    """The best is still the best."""
    change_matching(clip, lambda matches: matches.update({"0": [*matches["0"], 2, 1]}))


def name_a_segment_twice(clip):
    change_matching(clip, lambda matches: matches.update({"0": [0, 0]}))


def change_matching(clip, change):
    matches = json.loads(clip.matching(2, FORWARD).read_text())
    change(matches)
    clip.matching(2, FORWARD).write_text(json.dumps(matches))


def open_gap(clip):
    segments = read_npy(clip.segment(3))
    write_npy(clip.segment(3), np.where(segments >= 1, segments + 1, segments))


def negative_label(clip):
    write_npy(clip.segment(3), read_npy(clip.segment(3)) - 1)


def absurd_label(clip):
    segments = read_npy(clip.segment(3))
    segments[0, 0] = 2_000_000_000
    write_npy(clip.segment(3), segments)


def cut_off_frame(clip):
    write_png(clip.frame(2), read_png(clip.frame(2))[:-1])


def cut_off_flow(clip):
    flow_px, valid = read_flo(clip.flow(2, FORWARD))
    write_flo(clip.flow(2, FORWARD), flow_px[:, 1:], valid[:, 1:])


def cut_off_occlusion(clip):
    write_npy(clip.unmatched(2, FORWARD), read_npy(clip.unmatched(2, FORWARD))[1:])


def invert_occlusion(clip):
    for source, direction in ((2, FORWARD), (3, BACKWARD)):
        path = clip.unmatched(source, direction)
        write_npy(path, 1 - read_npy(path))


def call_all_visible(clip):
    write_npy(clip.unmatched(2, FORWARD), np.ones_like(read_npy(clip.unmatched(2, FORWARD))))


def remove_file(clip):
    clip.segment(3).unlink()


def remove_last_flow(clip):
    clip.flow(3, FORWARD).unlink()


def remove_direction(clip):
    shutil.rmtree(clip.folder(Kind.MATCHING) / BACKWARD)


def leave_part(clip):
    (clip.meta.parent / "parts").mkdir()


def add_file(clip):
    shutil.copy(clip.contour(4), clip.contour(5))


def truncate_flow(clip):
    path = clip.flow(2, FORWARD)
    path.write_bytes(path.read_bytes()[:-5])


def truncate_frame(clip):
    path = clip.frame(2)
    path.write_bytes(path.read_bytes()[:-30])


def empty_line_area(clip):
    clip.line_area(2).write_bytes(b"")


def break_meta(clip):
    clip.meta.write_text("{")


def unknown_but_visible(clip):
    flow_px, valid = read_flo(clip.flow(2, FORWARD))
    valid[4:9, 4:9] = False
    write_flo(clip.flow(2, FORWARD), flow_px, valid)
    write_png(clip.valid(2, FORWARD), np.where(valid, 255, 0).astype(np.uint8))


def wrong_mask(clip):
    mask = read_png(clip.valid(2, FORWARD))
    mask[3, 3] = 0
    write_png(clip.valid(2, FORWARD), mask)


def swap_object_ids(clip):
    ids = read_npy(clip.of_frame(Kind.OBJECT_ID, 2, ".npy"))
    write_npy(clip.of_frame(Kind.OBJECT_ID, 2, ".npy"), np.where(ids < 0, 0, np.where(ids == 0, -1, ids)))


def swap_material_ids(clip):
    ids = read_npy(clip.of_frame(Kind.MATERIAL_ID, 2, ".npy"))
    write_npy(clip.of_frame(Kind.MATERIAL_ID, 2, ".npy"), ids + 1)


DAMAGE = [
    (shift_flow, {Fault.WARP, Fault.SHIFTED, Fault.INCONSISTENT}),
    (swap_directions, {Fault.WARP, Fault.FOLLOWING}),
    (turn_flow_round, {Fault.WARP, Fault.FOLLOWING, Fault.INCONSISTENT}),
    (move_flow_elsewhere, {Fault.WARP, Fault.INCONSISTENT}),
    (drop_key, {Fault.MATCHING_KEYS}),
    (drop_last_key, {Fault.MATCHING_KEYS}),
    (name_a_segment_twice, {Fault.UNREADABLE}),
    (name_no_segment, {Fault.MATCHING_TARGETS}),
    (match_others, {Fault.MATCHING_FLOW}),
    (add_matches, {Fault.MATCHING_FLOW}),
    (open_gap, {Fault.LABEL_GAP}),
    (negative_label, {Fault.LABEL_GAP}),
    (absurd_label, {Fault.LABEL_GAP}),
    (cut_off_frame, {Fault.SIZE}),
    (cut_off_flow, {Fault.SIZE}),
    (cut_off_occlusion, {Fault.SIZE}),
    (invert_occlusion, {Fault.NEEDLESSLY_OCCLUDED, Fault.INCONSISTENT, Fault.OTHER_OBJECT}),
    (call_all_visible, {Fault.INCONSISTENT, Fault.OTHER_OBJECT}),
    (remove_file, {Fault.MISSING}),
    (remove_last_flow, {Fault.MISSING}),
    (remove_direction, {Fault.MISSING}),
    (leave_part, {Fault.UNFINISHED}),
    (add_file, {Fault.UNEXPECTED}),
    (truncate_flow, {Fault.UNREADABLE}),
    (truncate_frame, {Fault.UNREADABLE}),
    (empty_line_area, {Fault.UNREADABLE}),
    (break_meta, {Fault.UNREADABLE}),
    (unknown_but_visible, {Fault.UNKNOWN_VISIBLE}),
    (wrong_mask, {Fault.VALID_MASK}),
    (swap_object_ids, {Fault.OBJECT_ON_BACKGROUND, Fault.BACKGROUND_ON_OBJECT}),
    (swap_material_ids, {Fault.OTHER_MATERIAL}),
]


@pytest.mark.parametrize("size", ["clip", "wide"])
@pytest.mark.parametrize(("damage", "kinds"), DAMAGE, ids=[damage.__name__ for damage, _ in DAMAGE])
def test_damage_fails_with_its_kind(damage, kinds, size, request):
    clip = request.getfixturevalue(size)
    damage(clip)
    result = check(clip.root)
    assert not result.passed
    assert kinds <= faults(result), list(result.failures)


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        (remove_file, {Fault.MISSING}),
        (remove_last_flow, {Fault.MISSING}),
        (remove_direction, {Fault.MISSING}),
        (add_file, {Fault.UNEXPECTED}),
    ],
)
def test_files_are_counted_without_a_meta_too(clip, damage, kinds):
    shutil.rmtree(clip.meta.parent)
    damage(clip)
    assert faults(check(clip.root)) == kinds


@pytest.mark.parametrize("damage", [shift_flow, swap_directions, turn_flow_round])
@pytest.mark.parametrize("right_px", [1, 3, 20])
def test_frames_with_contours_show_wrong_flow_by_themselves(tmp_path, damage, right_px):
    """Nothing but frames with lines and forward flow: no ids, no way back, no gate of 0.01."""
    clip = tiny_dataset.write_clip(tmp_path, size=SIZE, rectangles=SHAPES, frames_have_lines=True)
    for frame in (1, 2, 3, 4):
        picture, lines = read_png(clip.frame(frame)), read_png(clip.contour(frame))
        write_png(clip.frame(frame), np.where(lines[..., None] < 128, 0, picture).astype(np.uint8))
    assert check(tmp_path).passed
    if damage is shift_flow:
        change_flow(clip, lambda flow_px: shifted(flow_px, right_px))
    else:
        damage(clip)
    shutil.rmtree(clip.folder(Kind.OBJECT_ID).parent)
    shutil.rmtree(clip.folder(Kind.FLOW) / BACKWARD)
    assert faults(check(tmp_path)) & {Fault.SHIFTED, Fault.FOLLOWING}


def test_only_the_damaged_clip_fails_and_says_where(clip):
    tiny_dataset.write_clip(clip.root, name="other")
    change_flow(clip, shifted, frame=3, direction=BACKWARD)
    result = check(clip.root)
    assert {one.name: one.passed for one in result.clips} == {"slide": False, "other": True}
    failures = {one.name: one.failures for one in result.clips}["slide"]
    assert any(text.startswith(f"backward/0003: {Fault.WARP}") and "limit 0.01" in text for text in failures)


def test_many_faults_of_a_kind_are_one_sentence_with_the_worst(clip):
    for frame, right in ((1, 2.0), (2, 5.0), (3, 3.0)):
        change_flow(clip, lambda flow_px, right=right: shifted(flow_px, right), frame)
    (sentence,) = [text for text in check(clip.root).clips[0].failures if str(Fault.SHIFTED) in text]
    assert "and 2 more" in sentence


def test_occlusion_by_the_data_sets_rule_must_be_that_rule(tmp_path):
    """A slow object hides less than the rule can see: exact masks are another thing."""
    slow = [((220, 60, 40), 20, 20, 60, 60, 0, 0), ((40, 90, 200), 40, 30, 80, 50, 6, 0)]
    clip = tiny_dataset.write_clip(tmp_path, size=SIZE, rectangles=slow, occlusion="consistency")
    assert check(tmp_path).passed
    seen = read_npy(clip.unmatched(2, FORWARD))
    seen[40:60, 50:60] = 0
    write_npy(clip.unmatched(2, FORWARD), seen)
    assert Fault.OFF_RULE in faults(check(tmp_path))


def test_matching_by_surface_is_not_held_against_the_flow(clip):
    meta = json.loads(clip.meta.read_text())
    clip.meta.write_text(json.dumps({**meta, "matching": "surface"}))
    match_others(clip)
    assert check(clip.root).passed


def test_labels_that_meta_names_have_to_be_there(clip):
    meta = json.loads(clip.meta.read_text())
    clip.meta.write_text(json.dumps({**meta, "labels": ["flow", "depth", "normal"]}))
    shutil.rmtree(clip.folder(Kind.DEPTH))
    missing = [found.where for found in check(clip.root).clips[0].findings if found.fault is Fault.MISSING]
    assert missing == ["Depth/slide", "Normal/slide"]


# ---------------------------------------------------------------- report and command


def test_report_has_a_sheet_for_each_clip_and_all_findings(clip):
    shift_flow(clip)
    result = check(clip.root)
    sheet = read_png(clip.root / "check" / "train_slide.png")
    assert sheet.shape[1] > 1600
    report = json.loads((clip.root / "check" / "check.json").read_text())
    assert report == json.loads(json.dumps(result.to_plain()))
    assert not report["passed"]
    assert {"kind", "where", "detail", "figure", "limit"} == report["clips"][0]["findings"][0].keys()


def test_data_set_that_cannot_be_written_to_is_checked_without_report(clip, tmp_path):
    (clip.root / "check").write_text("in the way")
    result = check(clip.root)
    assert result.passed
    assert result.report is None
    assert "No report is kept" in result.notes[0]
    assert check(clip.root, report=tmp_path / "elsewhere").report == str(tmp_path / "elsewhere")
    with pytest.raises(OutputError):
        check(clip.root, report=clip.root / "check")


def test_clips_and_splits_can_be_chosen(clip):
    tiny_dataset.write_clip(clip.root, split="test", name="other")
    assert [one.name for one in check(clip.root, splits=["test"]).clips] == ["other"]
    assert [one.name for one in check(clip.root, clips=["slide"]).clips] == ["slide"]
    with pytest.raises(InputError, match=r"no clip 'missing'.*other, slide"):
        check(clip.root, clips=["missing"])
    with pytest.raises(InputError):
        check(clip.root / "nowhere")


def test_steps_tell_their_progress_and_can_be_closed(clip):
    steps = check_steps(clip.root)
    fractions = [next(steps).fraction for _ in range(3)]
    steps.close()
    assert fractions == sorted(fractions)
    assert not (clip.root / "check" / "check.json").exists()


def test_command_says_no_with_exit_code_1(clip, capfd):
    assert main(["check", str(clip.root), "--split", "train", "--clip", "slide"]) == 0
    assert "train/slide: passed, 4 frames, 6 pairs, warp error 0.0000" in capfd.readouterr().out
    shift_flow(clip)
    assert main(["check", str(clip.root), "--json"]) == 1
    result = json.loads(capfd.readouterr().out)
    assert not result["passed"]
    assert any(str(Fault.SHIFTED) in failure for failure in result["failures"])


def test_command_calls_a_folder_without_data_set_the_users_mistake(tmp_path, capfd):
    assert main(["check", str(tmp_path)]) == 2
    assert str(tmp_path) in capfd.readouterr().err


def test_clip_names_are_its_own(tmp_path):
    """A clip of another split with the same name has a sheet of its own."""
    for split in ("train", "test"):
        tiny_dataset.write_clip(tmp_path, split=split)
    check(tmp_path)
    assert {path.name for path in (tmp_path / "check").iterdir()} == {
        "check.json",
        "train_slide.png",
        "test_slide.png",
    }
    assert Clip(tmp_path, "train", "slide").meta.exists()
