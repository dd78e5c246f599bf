# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirrored camera (an object of negative scale) sees the mirror image: every label of it is mirrored, too."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_snapshots as tiny

from animerun_addon.labels import fields
from animerun_addon.labels.motion import flow
from animerun_addon.labels.occlusion import exact_occlusion
from animerun_addon.labels.rasterize import rasterize
from animerun_addon.labels.surface import surface_points

LEFT_TO_RIGHT, UPSIDE_DOWN = np.diag([-1.0, 1, 1, 1]), np.diag([1.0, -1, 1, 1])


@pytest.fixture(params=["perspective", "orthographic"])
def two_frames(request):
    """Turning balls in inverted hulls before a wall; the camera moves, too."""
    shots = []
    for frame in (1, 2):
        turn = tiny.turned((0.2, 1, 0.1), 3.0 * frame)
        eye = (0.05 * frame, -0.1, 5.0)
        camera = getattr(tiny, request.param)(eye, tiny.turned((0, 1, 0), 2.0 * frame))
        meshes = [tiny.plane(at=(0, 0, -2.05), turn=tiny.turned((1, 0.3, 0), 20), cells=7)]
        for number, x in enumerate((-1.2, 0.9)):
            ball = tiny.ball(f"Ball {number}", 0.7, culls_back=True).moved((0, 0, 0), turn)
            hull = replace(ball, name=f"Hull {number}", vertices=1.1 * ball.vertices, triangles=ball.triangles[:, ::-1])
            meshes += [ball.moved((x + 0.11 * frame, 0.07, 0.13)), hull.moved((x + 0.11 * frame, 0.07, 0.13))]
        shots.append(tiny.snapshot(frame, camera, *meshes))
    return shots


def mirrored(snapshot, mirror):
    return replace(
        snapshot, camera=replace(snapshot.camera, camera_from_world=mirror @ snapshot.camera.camera_from_world)
    )


def labels(here, there):
    ids, ids_there = rasterize(here), rasterize(there)
    surface, surface_there = surface_points(here, ids), surface_points(there, ids_there)
    forward = flow(here, surface, there)
    return {
        "ids": ids,
        "depth": fields.depth(surface),
        "normals": fields.normals(surface),
        "flow": forward.flow_px,
        "valid": forward.valid,
        "occluded": exact_occlusion(here, surface, there, surface_there),
    }


@pytest.mark.parametrize(("mirror", "axis", "flow_sign"), [(LEFT_TO_RIGHT, 1, (-1, 1)), (UPSIDE_DOWN, 0, (1, -1))])
def test_every_label_is_mirrored(two_frames, mirror, axis, flow_sign):
    plain, seen = labels(*two_frames), labels(*(mirrored(shot, mirror) for shot in two_frames))
    assert len(np.unique(two_frames[0].object_ids[plain["ids"]])) == 5, "hulls are seen around the balls"
    assert plain["occluded"].any()
    plain["flow"] = plain["flow"] * np.array(flow_sign, np.float32)
    for label, values in plain.items():
        assert np.flip(values, axis) == pytest.approx(seen[label], abs=1e-4), label


def test_between_a_plain_and_a_mirrored_frame_flow_goes_to_the_mirror_image(two_frames):
    here = two_frames[0]
    there = mirrored(here, LEFT_TO_RIGHT)
    found = labels(here, there)
    columns = np.arange(here.camera.width_px) + 0.5
    assert found["flow"][..., 0][found["valid"]] == pytest.approx(
        np.broadcast_to(here.camera.width_px - 2 * columns, found["valid"].shape)[found["valid"]], abs=1e-4
    )
    assert found["flow"][..., 1] == pytest.approx(0, abs=1e-4)
    assert not found["occluded"].any()
