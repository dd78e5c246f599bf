# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the surface behind each pixel is at another frame, and the optical flow that follows. Nothing about hiding.

From one picture to the other, a plane goes by a homography. Its numerators and its denominator (the ratio of the depths
there and here) are linear in the picture: per facet they are found in float64, and per pixel applied in float32, about
the facet's origin and to the flow rather than to the place. So their rounding is that of a flow of some pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .chunks import in_chunks, in_rows
from .correspondence import Correspondence, correspondence, reasons_by_object
from .projection import depth_from_nearness, infinity_from_image
from .snapshot import Bool, Camera, Float32, Float64, Snapshot
from .surface import (
    FACETS_AT_ONCE,
    Real,
    Surface,
    determinants,
    edges_of,
    grown,
    nearness_planes,
    pixel_centres,
    seen_from_behind,
)

# The .flo format reads numbers beyond 1e9 as "unknown"; a point that close to the other camera's plane has no place.
_LARGEST_FLOW_PX = 1e9


@dataclass(frozen=True)
class Flow:
    """Optical flow from pixel centres, (u right, v down) in pixels; 0 and not valid where it is unknown."""

    flow_px: Float32  # (H, W, 2)
    valid: Bool  # (H, W)
    notes: tuple[str, ...]  # what is not valid, or guessed from velocities, and why, in the user's words


@dataclass(frozen=True)
class Landing:
    """Where each pixel's surface point (or, in the background, its point at infinity) is in another camera's picture.

    F are the facets of the surface. Places and depths are only meant where `valid`.
    """

    camera: Camera  # the other one
    flow: Flow
    nearness: Float32  # (H, W), to the other camera, as projection.nearness has it
    slopes: Float32  # (2, F + 1), how the facets' nearness there grows a pixel to the right and down
    faces_away: Bool  # (F + 1,), not drawn from behind, and seen from behind there

    @property
    def x_px(self) -> Float64:
        """(H·W,)"""
        return (self.flow.flow_px[..., 0] + (np.arange(self.nearness.shape[1]) + 0.5)).reshape(-1)

    @property
    def y_px(self) -> Float64:
        """(H·W,)"""
        return (self.flow.flow_px[..., 1] + (np.arange(self.nearness.shape[0]) + 0.5)[:, None]).reshape(-1)

    @property
    def depth_m(self) -> Float64:
        """(H·W,), along the other camera's view axis; inf in the background."""
        return depth_from_nearness(self.camera, self.nearness.astype(np.float64)).reshape(-1)

    @property
    def valid(self) -> Bool:
        """(H·W,)"""
        return self.flow.valid.reshape(-1)


@dataclass(frozen=True)
class _Facets:
    """What becomes of a surface's F facets in the other picture; last the background.

    The first four are linear in the picture, (3, F + 1): at the origin, what a pixel to the right adds, and a pixel
    down. With dx, dy whole pixels from the origin and growth what these add to the ratio, the flow is
    (u - dx * growth) / ratio, (v - dy * growth) / ratio, and the nearness there (nearness here + nearer) / ratio.
    """

    u: Real
    v: Real
    ratio: Real  # of the depths there and here; not positive where nothing is known
    nearer: Real | None  # None: nothing, as always from one perspective camera to another
    slopes: Float32  # (2, F + 1), how nearness there grows a pixel to the right and down
    known: Bool  # (F,)
    faces_away: Bool  # (F + 1,), not drawn from behind, and seen from behind there

    def in_float32(self) -> _Facets:
        """Enough for pixels near the facets' origins."""
        if self.u.dtype == np.float32:
            return self
        nearer = None if self.nearer is None else self.nearer.astype(np.float32)
        u, v, ratio = (terms.astype(np.float32) for terms in (self.u, self.v, self.ratio))
        return replace(self, u=u, v=v, ratio=ratio, nearer=nearer)


def flow(snapshot: Snapshot, surface: Surface, other: Snapshot, landed: Landing | None = None) -> Flow:
    """The flow from `snapshot` to any other one.

    It points from the pixel centre to where the same surface point is in the other picture, in that picture's own
    pixels should its size differ. Background moves as a point at infinity does. Give `landed` if it is there already.
    """
    return (landed or landing(snapshot, surface, other)).flow


def landing(snapshot: Snapshot, surface: Surface, other: Snapshot) -> Landing:
    """Follow what `surface` shows of `snapshot` to any other snapshot; its picture may have another size."""
    followed = correspondence(snapshot, other)
    facets = _facets_there(snapshot, surface, other, followed)
    if snapshot.camera.name != other.camera.name:
        facets.ratio[:] = 0.0
        notes: tuple[str, ...] = (
            f"a cut to camera '{other.camera.name}' at frame {other.frame:g}: nothing is followed across it",
        )
    else:
        notes = _notes(snapshot, surface, followed, facets.known)
    flow_px, valid, near = _pixels_there(surface, facets)
    return Landing(other.camera, Flow(flow_px, valid, notes), near, facets.slopes, facets.faces_away)


def _facets_there(snapshot: Snapshot, surface: Surface, other: Snapshot, followed: Correspondence) -> _Facets:
    count = len(surface.triangles)
    tables: Real = np.zeros((4, 3, count + 1), dtype=np.float64 if surface.is_wide.any() else np.float32)
    u, v, ratio, nearer = tables
    slopes = np.zeros((2, count + 1), dtype=np.float32)
    known, faces_away = np.empty(count, dtype=np.bool_), np.zeros(count + 1, dtype=np.bool_)
    x, y = pixel_centres(surface.origins, surface.width_px)
    keeps_ratio = not (snapshot.camera.is_orthographic or other.camera.is_orthographic)

    def work(part: slice) -> None:
        shares, planes = surface.shares[:, :, part], surface.planes[:, part]
        corners, known[part] = _corners_there(snapshot, surface, followed, part)
        corners[0] -= corners[2] * x[part]
        corners[1] -= corners[2] * y[part]
        of_x, of_y, of_ratio = ((shares * axis).sum(axis=1) for axis in corners[:3])
        planes_there = planes if keeps_ratio else nearness_planes(other.camera, shares, corners[3])
        u[:, part], v[:, part], ratio[:, part] = of_x, of_y, of_ratio
        # A pixel that lands as far from the origin as it started has not moved.
        u[1, part] = of_x[1] - of_ratio[0]
        v[2, part] = of_y[2] - of_ratio[0]
        nearer[:, part] = planes_there - planes
        slopes[:, part] = _slopes(of_x, of_y, of_ratio, planes_there)
        ratio[:, part][:, ~known[part]] = 0.0
        faces_away[part] = _faces_away(snapshot.culls_back[surface.triangles[part]], other.camera, corners)

    in_chunks(count, work, FACETS_AT_ONCE)
    u[:, -1], v[:, -1], ratio[:, -1] = _background_there(snapshot.camera, other.camera, x[-1], y[-1])
    return _Facets(u, v, ratio, None if keeps_ratio else nearer, slopes, known, faces_away)


def _corners_there(snapshot: Snapshot, surface: Surface, followed: Correspondence, part: slice) -> tuple[Float64, Bool]:
    """The image corners (4, 3, n) of some facets in the other picture, and whether they are known (n,)."""
    instances = snapshot.instance_ids[surface.triangles[part]]
    known = followed.followed[instances]
    corners = surface.corners[:, part] + followed.shifts[instances]
    if not known.all():
        corners[:, ~known] = 0
    if not known.any():
        return np.zeros((4, *corners.shape)), known
    there = np.take(followed.image_vertices, corners, axis=1)
    return there, known & np.isfinite(there[2].sum(axis=0))


def _slopes(of_x: Float64, of_y: Float64, of_ratio: Float64, planes_there: Float64) -> Float64:
    """(2, n): how nearness grows a pixel to the right and down in the other picture, from what it does in this one."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x, y, near = (terms[0] / of_ratio[0] for terms in (of_x, of_y, planes_there))
        # How x, y and the nearness there grow from pixel to pixel here, times the ratio.
        x_right, x_down = of_x[1:] - x * of_ratio[1:]
        y_right, y_down = of_y[1:] - y * of_ratio[1:]
        near_right, near_down = planes_there[1:] - near * of_ratio[1:]
        area = x_right * y_down - x_down * y_right
        return np.stack(
            ((near_right * y_down - near_down * y_right) / area, (near_down * x_right - near_right * x_down) / area)
        )


def _faces_away(culls_back: Bool, camera: Camera, image_corners: Float64) -> Bool:
    if not culls_back.any():
        return culls_back
    return culls_back & seen_from_behind(camera, determinants(image_corners, edges_of(image_corners)))


def _background_there(camera: Camera, other: Camera, x_px: float, y_px: float) -> tuple[Float64, Float64, Float64]:
    """The terms (3,) of u, v and the ratio about a place in the picture, of infinitely far things."""
    u, v, ratio = np.zeros((3, 3))
    if camera.is_orthographic or other.is_orthographic:
        # Infinitely far things shift infinitely in a picture without perspective, unless its camera stands still.
        ratio[0] = float(_stands_still(camera, other))
        return u, v, ratio
    about_place = np.array(((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)))
    about_place[:, 0] = x_px, y_px, 1.0
    u, v, ratio = infinity_from_image(camera, other) @ about_place
    u -= x_px * ratio
    v -= y_px * ratio
    u[1] -= ratio[0]
    v[2] -= ratio[0]
    return u, v, ratio


def _stands_still(camera: Camera, other: Camera) -> bool:
    return (
        camera.is_orthographic == other.is_orthographic
        and (camera.width_px, camera.height_px) == (other.width_px, other.height_px)
        and np.array_equal(camera.camera_from_world, other.camera_from_world)
        and np.array_equal(camera.clip_from_camera[:2], other.clip_from_camera[:2])
    )


def _pixels_there(surface: Surface, facets: _Facets) -> tuple[Float32, Bool, Float32]:
    """Flow (H, W, 2), whether it is valid (H, W), and the nearness to the other camera (H, W)."""
    shape = surface.facets.shape
    flow_px, valid = np.empty((*shape, 2), dtype=np.float32), np.empty(shape, dtype=np.bool_)
    near = np.empty(shape, dtype=np.float32)
    narrow = facets.in_float32()

    def work(rows: slice) -> None:
        at, dx, dy = surface.facets[rows], surface.dx_px[rows], surface.dy_px[rows]
        there = facets if surface.is_wide[rows].any() else narrow
        growth = grown(there.ratio, at, dx, dy)
        ratio = growth + there.ratio[0][at]
        known = ratio > 0.0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            per_ratio = 1.0 / ratio
            for axis, (terms, offset) in enumerate(((there.u, dx), (there.v, dy))):
                moved = grown(terms, at, dx, dy)
                moved += terms[0][at]
                moved -= offset * growth
                moved *= per_ratio
                known &= np.abs(moved) < _LARGEST_FLOW_PX
                flow_px[rows, :, axis] = moved
            near[rows] = surface.nearness[rows]
            if there.nearer is not None:
                near[rows] += grown(there.nearer, at, dx, dy) + there.nearer[0][at]
            near[rows] *= per_ratio
        valid[rows] = known
        if not known.all():
            flow_px[rows][~known] = 0.0

    in_rows(shape, work)
    return flow_px, valid, near


def _notes(snapshot: Snapshot, surface: Surface, followed: Correspondence, known: Bool) -> tuple[str, ...]:
    """What is seen and not followed, and what is followed by its velocities only, by name."""
    if not followed.lost:
        return ()
    places = snapshot.instance_ids[surface.triangles]
    unknown = reasons_by_object(snapshot, followed.lost, np.unique(places[~known]).tolist())
    guessed = reasons_by_object(snapshot, followed.lost, np.unique(places[known]).tolist())
    return (
        *(f"{name}: no flow, {reason}" for name, reason in sorted(unknown.items())),
        *(f"{name}: flow from its velocities, {reason}" for name, reason in sorted(guessed.items())),
    )
