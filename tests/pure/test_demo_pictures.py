# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the demo's page, on a data set that is known by heart: they show what is in the files."""

import re

import numpy as np
import pytest
from tiny_dataset import HEIGHT_PX, WIDTH_PX, drawn, write_clip

from animerun_addon.dataset.formats import read_png, write_matching
from animerun_addon.dataset.layout import Direction
from animerun_addon.dataset.reader import AnimeRun
from animerun_addon.errors import InputError
from animerun_addon.labels.visualize import flow_colours, id_colours
from animerun_addon.pipeline.demo_pictures import SHEETS, followed, gallery_steps, matching_pictures
from animerun_addon.pipeline.job import Job

# From left to right: one rectangle, then it and a second one that comes in from the right border.
STANDING = ((250, 0, 0), 2, 2, 8, 8, 0, 0)
COMING = ((0, 250, 0), WIDTH_PX, 10, 10, 10, -5, 0)


def clip_of(tmp_path, **changes):
    write_clip(tmp_path / "dataset", **changes)
    return AnimeRun(tmp_path / "dataset").clips[0]


def gallery_of(tmp_path, clip):
    return Job("Pictures", gallery_steps(clip, tmp_path / "labels", tmp_path)).run()


@pytest.fixture
def made(tmp_path):
    clip = clip_of(tmp_path)
    return clip, gallery_of(tmp_path, clip)


def test_every_picture_is_there_and_of_the_frames_size(made, tmp_path):
    _, gallery = made
    pictures = [picture for sheet in gallery.sheets for picture in (*sheet.pictures, *sheet.matching)]
    assert [sheet.frame for sheet in gallery.sheets] == ["0002", "0003"]
    assert len(pictures) == 2 * 9
    for file in [*gallery.film, *(picture.file for picture in pictures)]:
        assert read_png(tmp_path / file).shape[:2] == (HEIGHT_PX, WIDTH_PX) == (gallery.height_px, gallery.width_px)
    assert all(picture.alt and picture.title and picture.text for picture in pictures)


def test_the_film_is_the_data_sets_own_frames(made):
    assert made[1].film == tuple(f"dataset/train/Frame_Anime/slide/original/{frame:04}.png" for frame in (1, 2, 3, 4))


@pytest.mark.parametrize("direction", list(Direction))
def test_flow_is_drawn_in_one_scale(made, tmp_path, direction):
    clip, gallery = made
    for place in (1, 2):
        pair = clip.pair(place if direction is Direction.FORWARD else place - 1, direction=direction)
        picture = read_png(tmp_path / f"labels/{pair.first.name}_flow_{direction}.png")
        assert np.array_equal(picture, flow_colours(pair.flow_px, pair.valid, gallery.scale_px))
    assert gallery.scale_px == 5  # the fastest rectangle moves by the root of 10


def test_occlusion_is_red_where_it_is_hidden(made, tmp_path):
    clip, _ = made
    pair = clip.pair(1)
    picture = read_png(tmp_path / "labels/0002_occlusion_forward.png")
    assert np.array_equal(picture[..., 0] > 152, pair.occluded)
    assert pair.occluded.any()


def test_segments_keep_their_colour_from_frame_to_frame(made, tmp_path):
    first, second = (read_png(tmp_path / f"labels/{name}_segments.png") for name in ("0002", "0003"))
    ids, ids_there = drawn(1), drawn(2)
    for number in np.unique(ids):
        (colour,) = np.unique(first[ids == number], axis=0)
        assert (second[ids_there == number] == colour).all()


def test_who_comes_in_gets_a_number_of_its_own(tmp_path):
    clip = clip_of(tmp_path, rectangles=[STANDING, COMING], frames=(1, 2, 3))
    before, after, last = (numbers.tolist() for numbers in followed(clip))
    assert before == [0, 1]  # the rectangle and the background
    assert after == last == [0, 2, 1]


def test_a_single_frame_has_numbers_and_no_pairs(tmp_path):
    clip = clip_of(tmp_path, frames=(7,))
    assert [numbers.tolist() for numbers in followed(clip)] == [[0, 1, 2, 3]]
    (sheet,) = gallery_of(tmp_path, clip).sheets
    assert [picture.title for picture in sheet.pictures] == ["Colour", "Contour", "Segments"]
    assert sheet.matching == ()


def test_same_colour_is_the_same_match_and_the_rest_is_hatched(tmp_path):
    clip = clip_of(tmp_path, rectangles=[STANDING, COMING], frames=(1, 2))
    forward, backward = clip.pair(0), clip.pair(0, direction=Direction.BACKWARD)
    colours = id_colours(np.arange(3, dtype=np.int32))
    here, there = matching_pictures(forward, colours)
    ids, ids_there = drawn(0, rectangles=[STANDING, COMING]), drawn(1, rectangles=[STANDING, COMING])
    assert (here[ids == 0] == colours[0]).all()
    assert (there[ids_there == 0] == colours[0]).all()
    assert (here[ids == -1] == there[ids_there == -1][0]).all()
    assert is_hatched(there[ids_there == 1])
    # The other way it has a match only where the reader says so: nothing of it was there.
    assert is_hatched(matching_pictures(backward, colours[:2])[0][ids_there == 1])


def is_hatched(pixels):
    return (pixels == pixels[:, :1]).all() and len(np.unique(pixels[:, 0])) == 2


def test_an_earlier_runs_pictures_go_and_others_stay(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    for name in ("0099_segments.png", "0099_flow_forward.png", "mine.png"):
        (folder / name).write_text("old")
    gallery_of(tmp_path, clip_of(tmp_path))
    assert not list(folder.glob("0099*"))
    assert (folder / "mine.png").read_text() == "old"


def test_long_clips_are_shown_by_frames_that_are_evenly_spread(tmp_path):
    clip = clip_of(tmp_path, frames=range(1, 15))
    places = [int(sheet.frame) for sheet in gallery_of(tmp_path, clip).sheets]
    assert len(places) == SHEETS
    assert (places[0], places[-1]) == (2, 13)
    assert set(np.diff(places)) <= {2, 3}


def test_matching_of_other_segments_is_named(tmp_path):
    paths = write_clip(tmp_path / "dataset")
    write_matching(paths.matching(2, Direction.FORWARD), [[0], [1]])
    with pytest.raises(InputError, match=re.escape("'slide, 0002 to 0003' does not fit")):
        followed(AnimeRun(tmp_path / "dataset").clips[0])


@pytest.mark.parametrize("kind", ["segment", "contour", "unmatched", "matching"])
def test_what_is_missing_is_named(tmp_path, kind):
    paths = write_clip(tmp_path / "dataset")
    of_pair = (2, Direction.FORWARD)
    getattr(paths, kind)(*(of_pair if kind in ("unmatched", "matching") else (2,))).unlink()
    with pytest.raises(InputError, match=r"0002.*export the clip anew"):
        gallery_of(tmp_path, AnimeRun(tmp_path / "dataset").clips[0])


def test_steps_tell_how_far_they_are(tmp_path):
    steps = gallery_steps(clip_of(tmp_path), tmp_path / "labels", tmp_path)
    fractions = [progress.fraction for progress in steps]
    assert fractions == sorted(fractions)
    assert len(fractions) == 4
