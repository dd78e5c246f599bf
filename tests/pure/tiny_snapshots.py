# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots built by hand, and a ray caster that shares no arithmetic with the labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from animerun_addon.labels.snapshot import Camera, Instance, Snapshot

UPRIGHT = np.eye(3)


def turned(axis, degrees):
    """A rotation matrix (Rodrigues)."""
    x, y, z = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def perspective(
    eye=(0, 0, 5),
    turn=UPRIGHT,
    focal_px=60.0,
    shift_px=(0, 0),
    size=(64, 48),
    aspect=1.0,
    name="Camera",
    start=0.1,
    end=1000.0,
):
    """A camera at `eye`, looking along -z of `turn`; `aspect` is how much taller than wide its pixels are shown."""
    width, height = size
    lens = np.zeros((4, 4))
    lens[0, 0], lens[0, 2] = 2 * focal_px / width, 2 * shift_px[0] / width
    lens[1, 1], lens[1, 2] = 2 * focal_px / aspect / height, 2 * shift_px[1] / height
    lens[2, 2], lens[2, 3] = -(end + start) / (end - start), -2 * end * start / (end - start)
    lens[3, 2] = -1
    return Camera(name, width, height, _camera_from_world(eye, turn), lens, start, end, False)


def orthographic(
    eye=(0, 0, 5), turn=UPRIGHT, px_per_m=10.0, shift_px=(0, 0), size=(64, 48), name="Camera", start=0.1, end=1000.0
):
    """A camera without perspective."""
    width, height = size
    lens = np.eye(4)
    lens[0, 0], lens[0, 3] = 2 * px_per_m / width, 2 * shift_px[0] / width
    lens[1, 1], lens[1, 3] = 2 * px_per_m / height, 2 * shift_px[1] / height
    lens[2, 2], lens[2, 3] = -2 / (end - start), -(end + start) / (end - start)
    return Camera(name, width, height, _camera_from_world(eye, turn), lens, start, end, True)


def _camera_from_world(eye, turn):
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3], world_from_camera[:3, 3] = turn, eye
    return np.linalg.inv(world_from_camera)


@dataclass
class Mesh:
    """One instance to come."""

    name: str
    vertices: np.ndarray
    triangles: np.ndarray
    topology: object = "same"
    no_correspondence: str | None = None
    velocity: tuple[float, float, float] | None = None
    rest: np.ndarray | None = None
    culls_back: bool = False
    in_front: bool = False
    holds_out: bool = False

    def moved(self, by=(0, 0, 0), turn=UPRIGHT, **changes):
        return replace(self, vertices=self.vertices @ np.asarray(turn).T + by, **changes)


def plane(name="Plane", size=100.0, at=(0, 0, 0), turn=UPRIGHT, cells=1, **flags):
    """A square, facing +z, of cells x cells x 2 triangles."""
    steps = np.linspace(-size / 2, size / 2, cells + 1)
    x, y = np.meshgrid(steps, steps)
    vertices = np.stack((x.ravel(), y.ravel(), np.zeros(x.size)), axis=1)
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    lower = np.stack((corner, corner + 1, corner + cells + 2), axis=1)
    upper = np.stack((corner, corner + cells + 2, corner + cells + 1), axis=1)
    triangles = np.stack((lower, upper), axis=1).reshape(-1, 3)
    return Mesh(name, vertices, triangles, **flags).moved(at, turn)


def cube(name="Cube", size=2.0, at=(0, 0, 0), turn=UPRIGHT, **flags):
    """12 triangles, facing out."""
    faces = [(turned((1, 0, 0), angle)) for angle in (0, 90, 180, 270)]
    faces += [turned((0, 1, 0), angle) for angle in (90, 270)]
    sides = [plane(size=size, at=face @ (0, 0, size / 2), turn=face) for face in faces]
    vertices = np.concatenate([side.vertices for side in sides])
    triangles = np.concatenate([side.triangles + 4 * place for place, side in enumerate(sides)])
    return Mesh(name, vertices, triangles, **flags).moved(at, turn)


def ball(name="Ball", radius=1.0, at=(0, 0, 0), rings=16, **flags):
    """A sphere of 4 x rings² triangles, facing out."""
    down, around = np.linspace(0, np.pi, rings + 1), np.arange(2 * rings) * np.pi / rings
    theta, phi = (angle.ravel() for angle in np.meshgrid(down, around, indexing="ij"))
    vertices = radius * np.stack((np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)), axis=1)
    ring, spoke = (place.ravel() for place in np.meshgrid(range(rings), range(2 * rings), indexing="ij"))
    a, b = ring * 2 * rings + spoke, ring * 2 * rings + (spoke + 1) % (2 * rings)
    c, d = a + 2 * rings, b + 2 * rings
    triangles = np.concatenate((np.stack((a, c, d), axis=1), np.stack((a, d, b), axis=1)))
    return Mesh(name, vertices, triangles, **flags).moved(at)


def snapshot(frame, camera, *meshes):
    """The meshes one after the other, objects and instances numbered in that order, all of one material."""
    vertex_counts = [len(mesh.vertices) for mesh in meshes]
    triangle_counts = [len(mesh.triangles) for mesh in meshes]
    first_vertices = np.concatenate(([0], np.cumsum(vertex_counts))).astype(int).tolist()
    first_triangles = np.concatenate(([0], np.cumsum(triangle_counts))).astype(int).tolist()
    instances = tuple(
        Instance(
            mesh.name,
            mesh.name,
            first_vertex,
            vertices,
            first_triangle,
            triangles,
            mesh.topology,
            mesh.no_correspondence,
        )
        for mesh, first_vertex, vertices, first_triangle, triangles in zip(
            meshes, first_vertices, vertex_counts, first_triangles, triangle_counts, strict=False
        )
    )
    numbers = np.repeat(np.arange(len(meshes), dtype=np.int32), triangle_counts)

    def flags(name):
        return np.array([getattr(mesh, name) for mesh in meshes], dtype=bool)[numbers]

    def vertex_rows(name):
        if all(getattr(mesh, name) is None for mesh in meshes):
            return None
        rows = [
            np.broadcast_to(np.nan if getattr(mesh, name) is None else getattr(mesh, name), mesh.vertices.shape)
            for mesh in meshes
        ]
        return np.concatenate(rows).astype(np.float32)

    return Snapshot(
        frame=frame,
        camera=camera,
        positions=np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float64),
        triangles=np.concatenate(
            [mesh.triangles + first for mesh, first in zip(meshes, first_vertices, strict=False)]
        ).astype(np.int32),
        instance_ids=numbers,
        object_ids=numbers,
        material_ids=np.zeros(len(numbers), dtype=np.int32),
        culls_back=flags("culls_back"),
        in_front=flags("in_front"),
        holds_out=flags("holds_out"),
        instances=instances,
        object_names=tuple(mesh.name for mesh in meshes),
        material_names=("Material",),
        rest_positions=vertex_rows("rest"),
        velocities=vertex_rows("velocity"),
    )


def rays(camera, x_px, y_px):
    """Near and far ends (N, 3) of what lies behind image points: the clip cube's corners, through the inverse."""
    ndc = np.stack((x_px / camera.width_px * 2 - 1, 1 - y_px / camera.height_px * 2), axis=-1)
    ends = []
    for z in (-1.0, 1.0):
        clip = np.column_stack((ndc, np.full(len(ndc), z), np.ones(len(ndc))))
        world = clip @ np.linalg.inv(camera.clip_from_world).T
        ends.append(world[:, :3] / world[:, 3:])
    return ends


def centres(camera):
    """x and y (H·W,) of all pixel centres."""
    y, x = np.mgrid[: camera.height_px, : camera.width_px]
    return x.ravel() + 0.5, y.ravel() + 0.5


def projected(camera, points):
    """World points (N, 3) in pixels (N, 2)."""
    clip = np.column_stack((points, np.ones(len(points)))) @ camera.clip_from_world.T
    ndc = clip[:, :2] / clip[:, 3:]
    return (ndc * (1, -1) + 1) / 2 * (camera.width_px, camera.height_px)


def hits(scene, starts, ends):
    """(N, T): how far along each segment (0..1) it meets each triangle as drawn, inf where not (Möller, Trumbore)."""
    a, b, c = (scene.positions[scene.triangles[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    along, moment = ends - starts, np.cross(starts, ends - starts)
    against = -along @ normal.T
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (starts @ normal.T - (a * normal).sum(axis=1)) / against
        v = (moment @ (c - a).T - along @ np.cross(c - a, a).T) / against
        w = -(moment @ (b - a).T - along @ np.cross(b - a, a).T) / against
        met = (v >= 0) & (w >= 0) & (v + w <= 1) & (t >= 0) & (t <= 1) & ~(scene.culls_back & (against < 0))
    return np.where(met, t, np.inf)


def seen(scene):
    """The visibility buffer by casting a ray through every pixel centre."""
    camera = scene.camera
    distances = hits(scene, *rays(camera, *centres(camera)))
    distances = np.where(np.isfinite(distances) & scene.in_front, distances - 2, distances)
    nearest = distances.argmin(axis=1)
    missed = np.isinf(distances[np.arange(len(nearest)), nearest]) | scene.holds_out[nearest]
    return np.where(missed, -1, nearest).astype(np.int32).reshape(camera.height_px, camera.width_px)
