# SPDX-License-Identifier: GPL-3.0-or-later
"""Every proof on characters of other makers: flow, the next picture warped back, exact occlusion, both id passes.

What each is and how it is animated and lit: characters.py. Those that are not on this machine are skipped.
"""

import bpy
import labelled
import numpy as np
import pytest
from characters import CHARACTERS, FRAMES, on_stage
from rays import agreement

from animerun_addon.scene.gpu_context import can_draw

BEFORE, NOW, AFTER = FRAMES
POINTS = 2000


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The files of the characters that have been built, by name: they are built once."""
    return {}, tmp_path_factory.mktemp("characters")


@pytest.fixture(params=CHARACTERS)
def scene(request, saved):
    files, folder = saved
    name = request.param
    if name not in files:
        on_stage(CHARACTERS[name]())
        files[name] = str(folder / f"{name}.blend")
        bpy.ops.wm.save_as_mainfile(filepath=files[name], copy=True)
    bpy.ops.wm.open_mainfile(filepath=files[name])
    return bpy.context.scene


def on_character(frame):
    """(H, W), where the ground is not seen."""
    names = np.array([*frame.snapshot.object_names, "Grid"])
    objects = np.where(frame.ids >= 0, frame.snapshot.object_ids[frame.ids], -1)
    return names[objects] != "Grid"


def test_flow_agrees_with_cycles(scene, tmp_path):
    frames = labelled.read_frames(scene, FRAMES)
    person = on_character(frames[NOW])
    assert person.sum() > 2000
    for other, theirs in zip((AFTER, BEFORE), labelled.cycles_vectors(scene, NOW, tmp_path), strict=True):
        ours = labelled.flow_between(frames, NOW, other)
        assert ours.valid[frames[NOW].ids >= 0].all()
        here = person & ~labelled.silhouettes(frames[NOW])
        assert here.sum() > 0.4 * person.sum()
        error_px = np.linalg.norm(ours.flow_px[here] - theirs[here], axis=-1)
        moving_px = ours.flow_px[here] - np.median(ours.flow_px[~person], axis=0)
        assert np.linalg.norm(moving_px, axis=-1).max() > 0.5, "the character moves, and not with the ground"
        median_px, high_px = np.percentile(error_px, (50, 99))
        print(f"\n{median_px:.6f} px in the median from Cycles, 99 % are within {high_px:.6f} px")
        assert median_px < 0.02
        assert high_px < 0.1


def test_next_frame_warped_back_is_this_frame(scene, tmp_path):
    labelled.show_flat(scene, "VERTEX")
    pictures = {frame: labelled.picture(scene, frame, tmp_path) for frame in (NOW, AFTER)}
    frames = labelled.read_frames(scene, pictures)
    assert pictures[NOW][on_character(frames[NOW])].std() > 0.1, "the pattern is there to be warped"
    warped, unwarped = labelled.warp_errors(frames, pictures, NOW, AFTER)
    print(f"\n{warped:.5f} warped back, {unwarped:.5f} as it is")
    assert warped < 0.01
    assert warped < 0.35 * unwarped, "without the flow the pictures differ more"


def test_exact_occlusion_agrees_with_rays(scene):
    frames = labelled.read_frames(scene, (NOW, AFTER))
    result = agreement(frames[NOW], frames[AFTER], POINTS)
    print(f"\n{result}")
    assert result.hidden_share > 0.002
    assert result.share > 0.995
    assert not result.kinds["not explained"]


def test_both_id_passes_see_the_same(scene):
    if not can_draw():
        pytest.skip("no GPU can be used here")
    drawn, computed = (labelled.read_frames(scene, [NOW], backend)[NOW].ids for backend in ("gpu", "numpy"))
    share = (drawn != computed).mean()
    print(f"\n{share:.4%} of the pixels differ")
    assert share < 0.001
