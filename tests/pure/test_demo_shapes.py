# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's shapes, weights, kinematics and gaits as numbers, without Blender."""

import numpy as np
import pytest

from animerun_addon.scene.demo import dog, heroine_body, heroine_hair, heroine_head, town_shapes
from animerun_addon.scene.demo.heroine_bones import heroine_skeleton
from animerun_addon.scene.demo.look import Paint, paint_colours
from animerun_addon.scene.demo.run import Shot, lift_skirt, running_pose
from animerun_addon.scene.demo.shapes import (
    ball,
    box,
    joined,
    limb,
    mirrored,
    prism,
    sheet,
    smooth_curve,
    smoothstep,
    strand,
    turned,
)
from animerun_addon.scene.demo.skeleton import PoseTrack, Skeleton, quaternions_of, rotation, rotation_between
from animerun_addon.scene.demo.sway import let_sway
from animerun_addon.scene.demo.weights import smooth_weights

SOLIDS = {
    "box": box((-1, -2, -3), (1, 2, 3)),
    "prism": prism([(0, 0), (1, 0), (1, 1), (0, 1)], -0.5, 0.5),
    "ball": ball((0, 0, 5), (1, 2, 3)),
    "limb": limb([(0, 0, 0), (0, 0.1, 1), (0.3, 0, 2)], [0.2, 0.3, 0.1], rings=6),
    "strand": strand([(0, 0, 0), (0.2, 0, -0.5), (0.1, 0.1, -1)], (1, 0, 0), 0.1),
    "petal": town_shapes.petal(),
}


def triangles_of(shape):
    corners, starts = shape.corners, np.cumsum(shape.sizes) - shape.sizes
    fans = [
        (corners[start], corners[start + i], corners[start + i + 1])
        for start, size in zip(starts, shape.sizes, strict=True)
        for i in range(1, size - 1)
    ]
    return shape.points[np.array(fans)]


def volume(shape):
    a, b, c = np.moveaxis(triangles_of(shape), 1, 0)
    return float((a * np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_are_closed_and_look_outward(name):
    part = SOLIDS[name]
    a, b, c = np.moveaxis(triangles_of(part), 1, 0)
    assert np.abs(np.cross(b - a, c - a).sum(axis=0)).max() < 1e-9, "an open surface"
    assert volume(part) > 0.0, "faces look inward"
    assert volume(mirrored(part)) == pytest.approx(volume(part), rel=0.01)  # bent quads may split the other way
    assert volume(turned(part)) == pytest.approx(-volume(part), rel=0.01)


def test_box_has_the_volume_of_a_box():
    assert volume(SOLIDS["box"]) == pytest.approx(48.0)


def test_sheet_with_rows_upward_looks_at_the_viewer():
    x, z = np.meshgrid([0.0, 1.0], [0.0, 1.0])
    a, b, c = triangles_of(sheet(np.stack([x, 0 * x, z], axis=-1)))[0]
    assert np.cross(b - a, c - a)[1] < 0.0


def test_smooth_curve_goes_through_its_knots():
    knots = np.array([(0.0, 0.0), (1.0, 2.0), (3.0, 1.0)])
    np.testing.assert_allclose(smooth_curve(knots, 9)[[0, 4, 8]], knots)


def test_joined_shapes_keep_their_faces_and_weights():
    one, two = SOLIDS["box"], SOLIDS["ball"]
    both = joined([one, two])
    assert both.triangle_count == one.triangle_count + two.triangle_count
    assert both.corners.max() == len(one.points) + len(two.points) - 1


def test_smoothstep_runs_either_way():
    np.testing.assert_allclose(smoothstep(0.0, 1.0, [-1.0, 0.5, 2.0]), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(smoothstep(1.0, 0.0, [-1.0, 0.5, 2.0]), [1.0, 0.5, 0.0])


def heroine_parts():
    skeleton = heroine_skeleton()
    return {
        "body": heroine_body.body(skeleton),
        "jacket": heroine_body.jacket_and_shoes(skeleton),
        "skirt": heroine_body.skirt(skeleton),
        "scarf": heroine_body.scarf(skeleton),
        "head": heroine_head.head(),
        "face": heroine_head.face_features(),
        "hair": heroine_hair.hair(skeleton, 3),
        "dog": dog.dog(dog.dog_skeleton()),
    }


@pytest.mark.parametrize(("name", "part"), heroine_parts().items())
def test_every_point_is_bound_to_at_most_four_bones_wholly(name, part):
    weights = np.stack(list(part.weights.values()))
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, atol=1e-9)
    # The jacket's hem is a blend of two such sets.
    assert (weights > 0).sum(axis=0).max() <= (8 if name in ("jacket", "skirt") else 4)
    skeleton = dog.dog_skeleton() if name == "dog" else heroine_skeleton()
    assert set(part.weights) <= set(skeleton.by_name)


def test_weights_are_even_at_a_joint_and_fade_along_the_limb():
    segments = {"upper": (np.zeros(3), np.array([0, 0, 1.0])), "lower": (np.array([0, 0, 1.0]), np.array([0, 0, 2.0]))}
    points = np.array([(0.1, 0, 1.0), (0.1, 0, 1.1), (0.1, 0, 1.8)])
    lower = smooth_weights(points, segments, segments, 6.0)["lower"]
    assert lower[0] == pytest.approx(0.5)
    assert 0.5 < lower[1] < lower[2] == 1.0


def test_blink_shuts_the_eyes_and_keeps_the_mouth():
    wide, shut = heroine_head.face_features(0.0).points, heroine_head.face_features(1.0).points
    moved = np.linalg.norm(shut - wide, axis=1) > 1e-6
    mouth = wide[:, 2] < 1.375 + 0.13 * (1.375 - 1.33)
    assert 0.2 < moved.mean() < 0.95
    assert not moved[mouth].any()


def test_seeds_give_other_colours_and_the_same_seed_the_same():
    assert paint_colours(5) == paint_colours(5)
    hair = {paint_colours(seed)[Paint.HAIR] for seed in range(12)}
    assert len(hair) == 12
    for seed in range(40):
        colours = paint_colours(seed)
        assert set(colours) == set(Paint)
        assert all(0.0 <= channel <= 1.0 for colour in colours.values() for channel in colour)


# --- kinematics -------------------------------------------------------------------------------------------------------


def test_rotations_and_quaternions_agree():
    chance = np.random.default_rng(0)
    for _ in range(20):
        axis, angle = chance.normal(size=3), chance.uniform(-170, 170)
        w, *xyz = quaternions_of(rotation(axis, np.array([angle])))[0]
        expected = np.append(np.cos(np.radians(angle) / 2), np.sin(np.radians(angle) / 2) * axis / np.linalg.norm(axis))
        assert abs(abs(np.dot([w, *xyz], expected)) - 1.0) < 1e-9


def test_shortest_rotation_carries_one_direction_to_the_other():
    start, end = np.array([(1.0, 0, 0), (0, 0.6, 0.8)]), np.array([(0, 0, 1.0), (0.8, 0.6, 0)])
    turns = rotation_between(start, end)
    np.testing.assert_allclose((turns @ start[..., None])[..., 0], end, atol=1e-12)


def test_inverse_kinematics_puts_the_ankle_on_its_target_and_the_knee_in_front():
    skeleton = heroine_skeleton()
    pose = PoseTrack(skeleton, 2)
    target = np.array([(0.08, -0.2, 0.3), (0.1, 0.3, 0.25)])
    pose.reach("thigh.L", "shin.L", target, np.broadcast_to((0.0, -1.0, 0.0), (2, 3)))
    np.testing.assert_allclose(pose.pose_point("shin.L", skeleton.tail("shin.L")), target, atol=1e-9)
    knee, hip = pose.pose_point("thigh.L", skeleton.tail("thigh.L")), np.array(skeleton.head("thigh.L"))
    ankle_line = target - hip
    share = ((knee - hip) * ankle_line).sum(-1, keepdims=True) / (ankle_line**2).sum(-1, keepdims=True)
    assert ((knee - hip - share * ankle_line)[:, 1] < 0.0).all()


def planted(height_m):
    return height_m < 0.095


def test_feet_that_carry_her_do_not_slide():
    skeleton, shot = heroine_skeleton(), Shot(1, 48)
    pose = running_pose(skeleton, shot)
    slides = []
    for side in (".L", ".R"):
        ankle = pose.pose_point("foot" + side, skeleton.head("foot" + side))
        forward = shot.travel() - ankle[:, 1]
        stands = planted(ankle[:, 2])
        slides += np.abs(np.diff(forward))[stands[1:] & stands[:-1]].tolist()
    assert len(slides) >= 6
    assert max(slides) < 0.03, "metres a frame"


def test_she_leaps_and_otherwise_stays_near_the_ground():
    skeleton, shot = heroine_skeleton(), Shot(1, 48)
    pose = running_pose(skeleton, shot)
    feet = np.minimum(*(pose.pose_point("foot" + side, skeleton.tail("foot" + side))[:, 2] for side in (".L", ".R")))
    assert feet.max() > 0.35
    assert np.median(feet) < 0.10
    assert feet.min() > -0.01


def test_both_sides_of_the_run_are_half_a_cycle_apart():
    skeleton = heroine_skeleton()
    pose = running_pose(skeleton, Shot(1, 20))
    left = pose.pose_point("shin.L", skeleton.tail("shin.L"))[8:17]
    right = pose.pose_point("shin.R", skeleton.tail("shin.R"))[0:9]
    np.testing.assert_allclose(left[:, 1:], right[:, 1:], atol=0.01)


def test_swaying_chain_keeps_its_lengths():
    skeleton, shot = heroine_skeleton(), Shot(1, 6)
    pose = running_pose(skeleton, shot)
    lift_skirt(pose, shot)
    from animerun_addon.scene.demo.sway import Chain

    chain = Chain(("scarf_01", "scarf_02", "scarf_03", "scarf_04"), 6.0, 6.0)
    still = np.zeros((6, 3))
    assert len(list(let_sway(pose, still, np.eye(3), [chain], [], lambda _: np.array([0.0, 5.0, 0.0]), 24.0))) == 1
    for bone in chain.bones:
        start, end = (pose.pose_point(bone, point) for point in (skeleton.head(bone), skeleton.tail(bone)))
        rest = np.linalg.norm(skeleton.tail(bone) - skeleton.head(bone))
        np.testing.assert_allclose(np.linalg.norm(end - start, axis=1), rest, rtol=1e-6)
    # The wind blows to +Y: the end hangs behind the root.
    assert (pose.pose_point("scarf_04", skeleton.tail("scarf_04"))[:, 1] > skeleton.head("scarf_01")[1]).all()


def test_dog_always_stands_on_or_above_the_ground():
    skeleton = dog.dog_skeleton()
    pose = dog.gallop(skeleton, np.arange(40.0), 0.0)
    paws = [
        pose.pose_point(paw + side, skeleton.tail(paw + side))[:, 2]
        for paw in ("paw_front", "foot")
        for side in (".L", ".R")
    ]
    lowest = np.min(paws, axis=0)
    assert lowest.min() > 0.0
    assert lowest.max() < 0.2


def test_bones_are_named_for_both_sides():
    skeleton = Skeleton(heroine_skeleton().bones)
    for bone in skeleton.bones:
        if bone.name.endswith(".L"):
            other = skeleton.by_name[bone.name[:-2] + ".R"]
            assert other.head == (-bone.head[0], bone.head[1], bone.head[2])
