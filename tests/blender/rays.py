# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact occlusion asked of rays, cast with Blender's own tree of triangles; and why the two may disagree, by kind.

Nothing here leans on how labels/occlusion.py finds its answers: only on a snapshot and on where points land in it.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from labelled import hidden_at
from mathutils.bvhtree import BVHTree

from animerun_addon.labels import fields
from animerun_addon.labels.motion import landing

# What lies nearer before a point by less than this share of its depth does not hide it. Ours allows 1e-5.
TOUCHES = 2e-5
FIRST_STEP_M = 1e-5
# An answer that turns within this reach of a landing place lies on an edge.
EDGE_PX = 0.01
AROUND = [(EDGE_PX * np.cos(angle), EDGE_PX * np.sin(angle)) for angle in np.arange(0, 2 * np.pi, np.pi / 4)]


@dataclass(frozen=True)
class Agreement:
    """How two answers about the same points compare."""

    points: int
    hidden_share: float
    share: float  # where both say the same
    kinds: Counter  # of the others, by kind

    def __str__(self):
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items())) or "none"
        return f"{self.share:.2%} of {self.points} points agree ({self.hidden_share:.0%} hidden); others: {kinds}"


def agreement(here, there, points, seed=1):
    """Ours and the rays' answer about random surface points of `here` that land in the picture of `there`."""
    landed = landing(here.snapshot, here.surface, there.snapshot)
    camera = there.snapshot.camera
    inside = (landed.x_px > 0) & (landed.x_px < camera.width_px)
    inside &= (landed.y_px > 0) & (landed.y_px < camera.height_px)
    candidates = np.flatnonzero(landed.valid & inside & (here.ids.reshape(-1) >= 0))
    picked = np.random.default_rng(seed).choice(candidates, min(points, len(candidates)), replace=False)
    ours = hidden_at(here, there).reshape(-1)[picked]
    rays = Rays(there.snapshot)
    places = list(zip(landed.x_px[picked], landed.y_px[picked], landed.depth_m[picked], strict=True))
    truth = np.array([rays.hide(*place) for place in places])
    triangles = same_triangles(here.snapshot, there.snapshot, here.ids.reshape(-1)[picked])
    kinds = Counter(rays.why_not(there, *places[at], triangles[at], ours[at]) for at in np.flatnonzero(ours != truth))
    return Agreement(len(picked), float(truth.mean()), float((ours == truth).mean()), kinds)


class Rays:
    """Casts from a snapshot's camera at its triangles, one after the other until something is opaque."""

    def __init__(self, snapshot):
        assert not snapshot.in_front.any(), "rays know no other order than depth"
        self.snapshot = snapshot
        self.tree = BVHTree.FromPolygons(snapshot.positions.tolist(), snapshot.triangles.tolist())
        self.world_from_clip = np.linalg.inv(snapshot.camera.clip_from_world)
        self.camera_from_world = snapshot.camera.camera_from_world
        self.eye = np.linalg.inv(self.camera_from_world)[:3, 3]
        self.forward = -self.camera_from_world[2, :3]

    def hide(self, x_px, y_px, depth_m):
        """Whether something drawn lies in front of the point at this depth, or its own surface is culled there."""
        own_are_culled = []
        for hit_m, is_culled, is_opaque in self.hits(x_px, y_px, depth_m * (1 + TOUCHES)):
            if hit_m >= depth_m * (1 - TOUCHES):
                own_are_culled.append(is_culled)
            elif is_opaque and not is_culled:
                return True
        return bool(own_are_culled) and all(own_are_culled)

    def nearest_drawn(self, x_px, y_px, before_m):
        """The depth of what is drawn nearest, None if nothing is before this depth."""
        hits = self.hits(x_px, y_px, before_m)
        return next((hit_m for hit_m, is_culled, is_opaque in hits if is_opaque and not is_culled), None)

    def hits(self, x_px, y_px, before_m):
        """What a ray through the picture meets within the clip range, one after the other: depth, culled, opaque."""
        start, direction = self.ray(x_px, y_px)
        last, step_m = None, FIRST_STEP_M
        while True:
            hit, normal, triangle, _ = self.tree.ray_cast(start, direction)
            if triangle is None:
                return
            # In single precision a short step may not get off the triangle.
            last, step_m = triangle, 2 * step_m if triangle == last else FIRST_STEP_M
            place = self.on_plane(triangle, np.array(hit), direction)
            hit_m = (place - self.eye) @ self.forward
            if hit_m > before_m:
                return
            if hit_m > self.snapshot.camera.clip_start_m:
                is_culled = self.snapshot.culls_back[triangle] and np.array(normal) @ direction > 0
                yield hit_m, is_culled, self.is_opaque(triangle, place)
            start = np.array(hit) + direction * step_m

    def on_plane(self, triangle, hit, direction):
        """Where a ray meets a triangle, in double precision: Blender's tree knows only single."""
        a, b, c = self.snapshot.positions[self.snapshot.triangles[triangle]]
        normal = np.cross(b - a, c - a)
        normal /= max(np.linalg.norm(normal), 1e-30)
        facing = direction @ normal
        return hit + direction * ((a - hit) @ normal) / facing if abs(facing) > 1e-3 else hit

    def depth_of(self, triangle, x_px, y_px):
        """Of a triangle's plane behind an image point."""
        start, direction = self.ray(x_px, y_px)
        return (self.on_plane(triangle, start, direction) - self.eye) @ self.forward

    def ray(self, x_px, y_px):
        """Start and direction through an image point."""
        camera = self.snapshot.camera
        ndc = np.array([2 * x_px / camera.width_px - 1, 1 - 2 * y_px / camera.height_px, 0.5, 1.0])
        through = self.world_from_clip @ ndc
        through = through[:3] / through[3]
        if camera.is_orthographic:
            return through - ((through - self.eye) @ self.forward) * self.forward, self.forward
        return self.eye, (through - self.eye) / np.linalg.norm(through - self.eye)

    def is_opaque(self, triangle, place):
        """What the cut-out texture says at a place on a triangle, (3,) world."""
        snapshot = self.snapshot
        if snapshot.cutout_ids is None or snapshot.cutout_ids[triangle] < 0:
            return True
        a, b, c = snapshot.positions[snapshot.triangles[triangle]]
        shares = np.linalg.lstsq(np.column_stack([b - a, c - a]), place - a, rcond=None)[0]
        u, v = np.array([1 - shares.sum(), *shares]) @ snapshot.uvs[triangle]
        cutout = snapshot.cutouts[snapshot.cutout_ids[triangle]]
        assert cutout.repeats
        height, width = cutout.alpha.shape
        return cutout.alpha[int((1 - v % 1) * height) % height, int(u % 1 * width)] >= 0.5

    def why_not(self, there, x_px, y_px, depth_m, triangle, ours):
        """Why our answer about a point of a triangle may differ from the rays': the kind of place it is."""
        around = [(x_px + dx, y_px + dy) for dx, dy in AROUND]
        if len({self.hide(x, y, self.depth_of(triangle, x, y)) for x, y in [(x_px, y_px), *around]}) == 2:
            return f"within {EDGE_PX} px of an edge"
        blocker_m = self.nearest_drawn(x_px, y_px, depth_m * (1 - TOUCHES))
        if blocker_m is not None and blocker_m > depth_m * (1 - 10 * TOUCHES):
            return "surfaces that all but touch"
        seen_m = np.array([depths_m(there)[pixel] for pixel in pixels_around(there, x_px, y_px)])
        # Is what is seen there rather the point's surface (or what is behind) than what hides it?
        if not ours and blocker_m is not None and (1 / seen_m < (1 / blocker_m + 1 / depth_m) / 2).all():
            return "hidden by what is thinner than a pixel"
        if ours and blocker_m is None and (seen_m < depth_m * (1 - TOUCHES)).all():
            return "seen through a gap thinner than a pixel"
        return "not explained"


def same_triangles(here, there, triangles):
    """Rows of another snapshot for rows of this one."""
    first_there = {instance.key: instance.first_triangle for instance in there.instances}
    steps = np.array([first_there.get(each.key, 0) - each.first_triangle for each in here.instances])
    return triangles + steps[here.instance_ids[triangles]]


def depths_m(frame):
    """(H, W), inf where nothing is."""
    return fields.depth(frame.surface)


def pixels_around(frame, x_px, y_px):
    """Row and column of the four pixels whose centres surround an image point."""
    camera = frame.snapshot.camera
    left = int(np.clip(np.floor(x_px - 0.5), 0, camera.width_px - 2))
    top = int(np.clip(np.floor(y_px - 0.5), 0, camera.height_px - 2))
    return [(top + below, left + right) for right in (0, 1) for below in (0, 1)]
