# SPDX-License-Identifier: GPL-3.0-or-later
"""The id pass sees what Workbench shows, pixel by pixel, and what a snapshot made by hand must show."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import bmesh
import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from animerun_addon.errors import BlenderError
from animerun_addon.labels.snapshot import NO_SURFACE, Camera, Cutout, Instance, Snapshot
from animerun_addon.scene import gpu_context
from animerun_addon.scene.gpu_context import can_draw, ensure_context
from animerun_addon.scene.id_pass import choose_backend, draw_ids, visible_triangles
from animerun_addon.scene.versions import node_tree_of

TESTS = Path(__file__).parent

# Every channel is 0 or 1: whatever colour management does, these stay apart.
COLOURS = [(r, g, b) for r in (0, 1) for g in (0, 1) for b in (0, 1)][1:]


def camera_at_origin(width_px=64, height_px=48, clip=(0.1, 100.0), half_width=1.0, is_orthographic=False):
    """Looks along -z; sees half_width (at depth 1 in perspective) to either side."""
    near, far = clip
    half_height = half_width * height_px / width_px
    if is_orthographic:
        matrix = np.diag([1 / half_width, 1 / half_height, -2 / (far - near), 1.0])
        matrix[2, 3] = -(far + near) / (far - near)
    else:
        matrix = np.diag([1 / half_width, 1 / half_height, -(far + near) / (far - near), 0.0])
        matrix[2, 3], matrix[3, 2] = -2 * far * near / (far - near), -1.0
    return Camera("Camera", width_px, height_px, np.eye(4), matrix, near, far, is_orthographic)


def snapshot_of(positions, triangles, camera=None, **fields):
    """Everything of one object; fields replace the defaults."""
    positions = np.array(positions, np.float64).reshape(-1, 3)
    triangles = np.array(triangles, np.int32).reshape(-1, 3)
    count = len(triangles)
    zeros, off = np.zeros(count, np.int32), np.zeros(count, bool)
    whole = Instance("A", "A", 0, len(positions), 0, count, "t")
    made = Snapshot(
        1.0,
        camera or camera_at_origin(),
        positions,
        triangles,
        zeros,
        zeros,
        zeros,
        off,
        off,
        off,
        (whole,),
        ("A",),
        ("M",),
    )
    return replace(made, **fields)


def card(depth, half_size=10.0, centre=(0.0, 0.0)):
    """A square towards the camera: 4 corners, from the lower left counter-clockwise; its triangles are CARD."""
    x, y = centre
    return [(x + half_size * i, y + half_size * j, -depth) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]


CARD = np.array([(0, 1, 2), (0, 2, 3)])
CARD_UVS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)[CARD]
FROM_BEHIND = CARD[:, ::-1]


def cards(*depths, **fields):
    """One card behind another, triangles 2n and 2n + 1 at the n-th depth."""
    positions = np.concatenate([card(depth) for depth in depths])
    triangles = np.concatenate([CARD + 4 * n for n in range(len(depths))])
    return snapshot_of(positions, triangles, **fields)


def per_card(*values):
    return np.repeat(np.array(values), 2)


class TestMadeByHand:
    def test_nothing_is_no_surface_everywhere(self):
        ids = draw_ids(snapshot_of([], []))
        assert ids.shape == (48, 64)
        assert ids.dtype == np.int32
        assert (ids == NO_SURFACE).all()

    def test_row_0_is_the_top(self):
        ids = draw_ids(snapshot_of(card(5, half_size=1, centre=(-2, 1.5)), CARD))
        rows, columns = np.nonzero(ids >= 0)
        assert (rows.max() < 24, columns.max() < 32) == (True, True)
        assert ids.dtype == np.int32

    def test_pixel_is_seen_where_its_centre_is(self):
        """Edges at 0.4 and 0.6 of a pixel, to either side of its centre."""
        camera = camera_at_origin(10, 10, half_width=5.0, is_orthographic=True)
        for edge, columns in ((2.4, 5 + 2), (2.6, 5 + 3)):
            positions = [(-9, -9, -1), (edge, -9, -1), (edge, 9, -1), (-9, 9, -1)]
            assert (draw_ids(snapshot_of(positions, CARD, camera)) >= 0).sum(axis=1).tolist() == [columns] * 10

    @pytest.mark.parametrize("is_orthographic", [False, True])
    def test_nearest_wins(self, is_orthographic):
        camera = camera_at_origin(is_orthographic=is_orthographic)
        ids = draw_ids(cards(7, 3, 5, camera=camera))
        assert set(np.unique(ids)) == {2, 3}

    @pytest.mark.parametrize("is_orthographic", [False, True])
    def test_a_millimetre_at_40_metres(self, is_orthographic):
        camera = camera_at_origin(640, 480, (0.1, 1e5), is_orthographic=is_orthographic)
        for first, second, nearer in ((40.0, 40.001, {0, 1}), (40.001, 40.0, {2, 3})):
            planes = [*card(first, 100), *card(second, 100)]
            ids = draw_ids(snapshot_of(planes, [*CARD, *(CARD + 4)], camera))
            assert set(np.unique(ids)) == nearer

    @pytest.mark.parametrize("is_orthographic", [False, True])
    def test_clip_range(self, is_orthographic):
        camera = camera_at_origin(clip=(2.0, 10.0), is_orthographic=is_orthographic)
        assert (draw_ids(cards(1.99, 10.01, camera=camera)) == NO_SURFACE).all()
        assert set(np.unique(draw_ids(cards(1.99, 9.99, camera=camera)))) == {2, 3}
        assert set(np.unique(draw_ids(cards(2.01, 10.01, camera=camera)))) == {0, 1}

    def test_floor_that_goes_on_behind_the_camera(self):
        """Below the horizon there is floor down to the lowest row, above none; it ends at its own edge."""
        floor = [(-1e3, -1, 50), (1e3, -1, 50), (1e3, -1, -90), (-1e3, -1, -90)]
        ids = draw_ids(snapshot_of(floor, CARD, camera_at_origin(64, 48, half_width=1.0)))
        slopes_down = (np.arange(48) + 0.5 - 24) / 32
        assert np.array_equal((ids >= 0).all(axis=1), slopes_down > 1 / 90)
        assert np.array_equal((ids >= 0).any(axis=1), slopes_down > 1 / 90)

    def test_back_faces_are_seen_unless_culled(self):
        one = snapshot_of(card(5), FROM_BEHIND)
        assert (draw_ids(one) >= 0).all()
        assert (draw_ids(replace(one, culls_back=np.ones(2, bool))) == NO_SURFACE).all()
        front = snapshot_of(card(5), CARD, culls_back=np.ones(2, bool))
        assert (draw_ids(front) >= 0).all()

    def test_culled_and_two_sided_triangles_in_one_picture(self):
        """An inverted hull: its near side, seen from behind, gives way to the two-sided card inside it."""
        positions = [*card(3), *card(5), *card(7)]
        triangles = [*FROM_BEHIND, *(FROM_BEHIND + 4), *(CARD + 8)]
        ids = draw_ids(snapshot_of(positions, triangles, culls_back=per_card(True, False, True)))
        assert set(np.unique(ids)) == {2, 3}

    def test_in_front_is_over_all_that_is_nearer(self):
        ids = draw_ids(cards(2, 9, 7, 4, in_front=per_card(False, True, True, False)))
        assert set(np.unique(ids)) == {4, 5}

    def test_holdout_hides_and_is_not_seen(self):
        positions = [*card(5), *card(3, half_size=1), *card(2, half_size=0.2)]
        held = snapshot_of(positions, [*CARD, *(CARD + 4), *(CARD + 8)], holds_out=per_card(False, True, False))
        without = draw_ids(replace(held, holds_out=np.zeros(6, bool)))
        ids = draw_ids(held)
        assert set(np.unique(without)) == {0, 1, 2, 3, 4, 5}
        assert np.array_equal(ids, np.where((without == 2) | (without == 3), NO_SURFACE, without))

    @pytest.mark.parametrize("broken", [np.nan, np.inf, 1e300])
    def test_triangle_with_a_broken_corner_is_not_there(self, broken):
        two = cards(3, 5)
        two.positions[2, 0] = broken
        assert set(np.unique(draw_ids(two))) == {2, 3}

    def test_flags_that_differ_by_triangle_need_no_order(self):
        """Seen is a row of `triangles`, whatever order they are drawn in."""
        rng = np.random.default_rng(6)
        tiles = np.concatenate([card(5, 0.4, (x, y)) for y in range(-3, 4) for x in range(-4, 5)])
        triangles = np.concatenate([CARD + 4 * n for n in range(63)])
        plain = draw_ids(snapshot_of(tiles, triangles))
        flags = {name: rng.random(126) < 0.5 for name in ("culls_back", "in_front", "holds_out")}
        ids = draw_ids(snapshot_of(tiles, triangles, **flags))
        assert len(np.unique(plain)) == 127
        assert np.array_equal(ids, np.where(flags["holds_out"][plain], NO_SURFACE, plain))


class TestCutouts:
    """A card of 8 x 8 texels before another card."""

    ALPHA = np.random.default_rng(1).random((8, 8)).astype(np.float32)

    def shown(self, uvs=CARD_UVS, repeats=True, half_size=2.5, depth=3.0, alpha=ALPHA):
        """Where the cut-out card (triangles 0 and 1) is seen, at 8 x 8 pixels that it fills exactly."""
        camera = camera_at_origin(8, 8, half_width=half_size, is_orthographic=True)
        two = snapshot_of([*card(depth, half_size), *card(9)], [*CARD, *(CARD + 4)], camera)
        ids = draw_ids(
            replace(
                two,
                uvs=np.concatenate([uvs, np.zeros_like(CARD_UVS)]).astype(np.float32),
                cutout_ids=np.array([0, 0, -1, -1], np.int32),
                cutouts=(Cutout(alpha, repeats),),
            )
        )
        assert (ids >= 0).all()
        return ids < 2

    def test_a_texel_is_there_from_half_alpha_on(self):
        assert np.array_equal(self.shown(), self.ALPHA >= 0.5)

    def test_exactly_half_is_there(self):
        assert self.shown(alpha=np.full((8, 8), 0.5, np.float32)).all()

    def test_texture_repeats(self):
        shown = self.shown(uvs=CARD_UVS + np.array([2.25, -3.5], np.float32))
        assert np.array_equal(shown, np.roll(self.ALPHA >= 0.5, (-4, -2), axis=(0, 1)))

    def test_texture_goes_on_with_its_border(self):
        shown = self.shown(uvs=CARD_UVS + np.array([0.25, -0.5], np.float32), repeats=False)
        rows = np.clip(np.arange(8) + 4, 0, 7)
        columns = np.clip(np.arange(8) + 2, 0, 7)
        assert np.array_equal(shown, (self.ALPHA >= 0.5)[np.ix_(rows, columns)])

    def test_uvs_are_perspective_correct(self):
        """A wall that recedes from depth 2 to 10: the row of texels at a pixel follows from its ray."""
        width = 200
        camera = camera_at_origin(width, 20, half_width=1.0)
        wall = [(-1, -9, -2), (7, -9, -10), (7, 9, -10), (-1, 9, -2)]
        alpha = np.tile(np.array([1, 0], np.float32), (1, 8))
        ids = draw_ids(
            snapshot_of(
                wall, CARD, camera, uvs=CARD_UVS, cutout_ids=np.zeros(2, np.int32), cutouts=(Cutout(alpha, True),)
            )
        )
        slope = (np.arange(width) + 0.5 - width / 2) / (width / 2)
        t = (2 * slope + 1) / (8 * (1 - slope))  # where x / depth = (-1 + 8 t) / (2 + 8 t) is the slope
        expected = (t >= 0) & (t <= 1) & (np.floor(t * 16) % 2 == 0)
        assert 40 < expected.sum() < 100
        assert np.array_equal(ids >= 0, np.broadcast_to(expected, ids.shape))

    def test_cut_out_culled_in_front_and_others_in_one_picture(self):
        """Every group draws with its own numbers: each card is seen through what is missing of those before it."""
        count = 6
        positions = np.concatenate([card(2 + n, half_size=0.1 * (2 + n) * (n + 1)) for n in range(count)])
        shuffled = np.random.default_rng(2).permutation(np.concatenate([CARD + 4 * n for n in range(count)]))
        cutout_ids = np.where(shuffled[:, 0] // 4 % 2 == 0, 0, -1).astype(np.int32)
        solid = np.ones((1, 1), np.float32)
        plain = draw_ids(snapshot_of(positions, shuffled))
        grouped = snapshot_of(
            positions,
            shuffled,
            culls_back=shuffled[:, 0] // 4 % 3 == 0,
            cutout_ids=cutout_ids,
            cutouts=(Cutout(solid, True),),
            uvs=np.zeros((2 * count, 3, 2), np.float32),
        )
        assert len(np.unique(plain)) == 2 * count + 1
        assert np.array_equal(draw_ids(grouped), plain)


def test_numbers_on_vertices_draw_the_same_as_primitive_numbers(monkeypatch):
    """What Metal would use, tried here."""
    snapshot = random_scene(np.random.default_rng(3), 3000)
    plain = draw_ids(snapshot)
    monkeypatch.setattr("animerun_addon.scene.id_pass.needs_vertex_ids", lambda: True)
    assert np.array_equal(draw_ids(snapshot), plain)


def test_pictures_do_not_depend_on_what_was_drawn_before():
    """Programs and buffers of one picture are freed, and the next one's may lie where they were."""
    rng = np.random.default_rng(4)
    alpha = np.ones((1, 1), np.float32)
    plain = random_scene(rng, 800)
    cut = replace(
        plain,
        uvs=np.zeros((800, 3, 2), np.float32),
        cutout_ids=np.where(plain.positions[::3, 0] < 0, 0, -1).astype(np.int32),
        cutouts=(Cutout(alpha, True),),
    )
    wholly_cut = replace(cut, cutout_ids=np.zeros(800, np.int32))
    expected = draw_ids(plain)
    for n in range(60):
        assert np.array_equal(draw_ids((plain, cut, wholly_cut)[n * n % 3 if n % 5 else 2]), expected), n


def test_memory_of_pictures_is_given_back():
    def used_mb():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    large = snapshot_of(card(5), CARD, camera_at_origin(2048, 1024))
    draw_ids(large)
    before = used_mb()
    for _ in range(20):
        draw_ids(large)
    assert used_mb() - before < 160  # 20 pictures and their depths are 320 MB


def random_scene(rng, count, camera=None):
    """Small triangles at random places before the camera, and some that cross its near plane."""
    depth = rng.uniform(0.05, 40, (count, 1))
    centre = np.hstack([rng.uniform(-1.2, 1.2, (count, 2)) * depth, -depth])
    corners = centre[:, None] + rng.normal(0, 1, (count, 3, 3)) * 0.03 * (1 + depth[:, None])
    return snapshot_of(
        corners.reshape(-1, 3),
        np.arange(3 * count).reshape(-1, 3),
        camera or camera_at_origin(320, 240),
        culls_back=rng.random(count) < 0.3,
        in_front=rng.random(count) < 0.02,
        holds_out=rng.random(count) < 0.1,
    )


# --- against Workbench ---


@pytest.fixture
def flat_scene():
    """Shapes whose faces have seven plain colours at random; Workbench shows nothing but these colours."""
    scene = bpy.context.scene
    materials = [bpy.data.materials.new(f"M{n}") for n in range(len(COLOURS))]
    for material, colour in zip(materials, COLOURS, strict=True):
        material.diffuse_color = (*colour, 1)
    rng = np.random.default_rng(5)
    for n in range(6):
        add_shape(scene, f"Shape{n}", materials, rng, n)
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.camera.matrix_world = Matrix.Translation((0.3, -7, 1.5)) @ Euler((1.35, 0.1, 0.05)).to_matrix().to_4x4()
    as_flat_frame(scene)
    return scene


def add_shape(scene, name, materials, rng, kind):
    shape = bmesh.new()
    if kind % 3 == 0:
        bmesh.ops.create_monkey(shape)
    elif kind % 3 == 1:
        bmesh.ops.create_icosphere(shape, subdivisions=3, radius=1.1)
    else:
        bmesh.ops.create_cone(shape, cap_ends=False, segments=12, radius1=1.2, radius2=0.6, depth=2)
    for face in shape.faces:
        face.material_index = int(rng.integers(len(materials)))
    bmesh.ops.triangulate(shape, faces=shape.faces[:])
    mesh = bpy.data.meshes.new(name)
    shape.to_mesh(mesh)
    shape.free()
    for material in materials:
        mesh.materials.append(material)
    made = bpy.data.objects.new(name, mesh)
    made.location = rng.uniform((-2.5, -2, -1), (2.5, 4, 2))
    made.rotation_euler = rng.uniform(-3, 3, 3)
    scene.collection.objects.link(made)
    return made


def add_mesh(scene, name, positions, faces, material):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([tuple(p) for p in positions], [], [tuple(f) for f in faces])
    mesh.materials.append(material)
    made = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(made)
    return made


def as_flat_frame(scene):
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x, scene.render.resolution_y = 233, 131
    scene.render.film_transparent = True
    scene.render.dither_intensity = 0
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.view_settings.view_transform = "Standard"
    scene.display.render_aa = "OFF"
    shading = scene.display.shading
    shading.light, shading.color_type = "FLAT", "MATERIAL"
    shading.show_object_outline = shading.show_shadows = shading.show_cavity = False


def workbench_materials(scene, path):
    """Which material Workbench shows at each pixel, int (H, W), NO_SURFACE where it shows none."""
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width_px, height_px = image.size
    pixels = np.empty(width_px * height_px * 4, np.float32)
    image.pixels.foreach_get(pixels)
    r, g, b, a = (pixels.reshape(height_px, width_px, 4)[::-1] > 0.5).astype(int).transpose(2, 0, 1)
    bpy.data.images.remove(image)
    return np.where(a, 4 * r + 2 * g + b - 1, NO_SURFACE)


def read_simply(scene):
    """A snapshot of plain meshes: enough for these tests, and no code of the program's own reader."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    positions, triangles, materials, in_front = [], [], [], []
    first = 0
    for thing in (o.evaluated_get(depsgraph) for o in scene.objects if o.type == "MESH"):
        mesh = thing.data
        mesh.calc_loop_triangles()
        local = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", local)
        world = np.array(thing.matrix_world, np.float64)
        positions.append(local.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])
        corners = np.empty(len(mesh.loop_triangles) * 3, np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners)
        is_mirrored = np.linalg.det(world[:3, :3]) < 0
        triangles.append(corners.reshape(-1, 3)[:, :: -1 if is_mirrored else 1] + first)
        first += len(mesh.vertices)
        slots = np.empty(len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("material_index", slots)
        numbers = [bpy.data.materials.find(m.name) for m in mesh.materials]
        materials.append(np.array(numbers)[slots])
        in_front.append(np.full(len(slots), thing.show_in_front))
    ids = np.concatenate(materials).astype(np.int32)
    culls = np.full(len(ids), scene.display.shading.show_backface_culling)
    return snapshot_of(
        np.concatenate(positions),
        np.concatenate(triangles),
        read_camera_simply(scene, depsgraph),
        material_ids=ids,
        culls_back=culls,
        in_front=np.concatenate(in_front),
        **{name: np.zeros(len(ids), kind) for name, kind in (("instance_ids", np.int32), ("object_ids", np.int32))},
        holds_out=np.zeros(len(ids), bool),
    )


def read_camera_simply(scene, depsgraph):
    render, eye = scene.render, scene.camera.evaluated_get(depsgraph)
    width_px, height_px = (
        int(size * render.resolution_percentage / 100) for size in (render.resolution_x, render.resolution_y)
    )
    projection = eye.calc_matrix_camera(
        depsgraph, x=width_px, y=height_px, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    return Camera(
        eye.name,
        width_px,
        height_px,
        np.array(eye.matrix_world.normalized().inverted()),
        np.array(projection),
        eye.data.clip_start,
        eye.data.clip_end,
        eye.data.type == "ORTHO",
    )


def assert_same_as_workbench(scene, path):
    snapshot = read_simply(scene)
    ids = draw_ids(snapshot)
    seen = np.where(ids >= 0, snapshot.material_ids[ids], NO_SURFACE)
    shown = workbench_materials(scene, path)
    assert shown.shape == seen.shape
    assert len(np.unique(shown)) > 5
    different = int((seen != shown).sum())
    assert different == 0, f"{different} of {seen.size} pixels differ"
    return ids


def orthographic(scene):
    scene.camera.data.type, scene.camera.data.ortho_scale = "ORTHO", 7.3


def shifted(scene):
    scene.camera.data.shift_x, scene.camera.data.shift_y = 0.13, -0.21


def orthographic_and_shifted(scene):
    orthographic(scene)
    shifted(scene)


def fitted_horizontally(scene):
    fit(scene, "HORIZONTAL", 101, 190)


def fitted_vertically(scene):
    fit(scene, "VERTICAL", 190, 101)


def fitted_automatically_upright(scene):
    fit(scene, "AUTO", 101, 190)


def fit(scene, sensor_fit, width_px, height_px):
    data = scene.camera.data
    data.sensor_fit, data.sensor_width, data.sensor_height, data.lens = sensor_fit, 31.0, 17.0, 22.0
    scene.render.resolution_x, scene.render.resolution_y = width_px, height_px


def with_wide_pixels(scene):
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = 1.7, 1.0


def with_tall_pixels(scene):
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = 1.0, 1.3


def at_a_percentage(scene):
    scene.render.resolution_percentage = 77


def in_scaled_parent(scene):
    """The camera's own scale is no part of what it sees."""
    scene.camera.scale = (2, 3, 0.5)


def culling(scene):
    scene.display.shading.show_backface_culling = True


def in_front(scene):
    for name in ("Shape1", "Shape4", "Shape5"):
        scene.objects[name].show_in_front = True


def culling_and_in_front(scene):
    culling(scene)
    in_front(scene)


def mirrored_objects(scene):
    """They are turned inside out, and drawn the other way round again."""
    culling(scene)
    for name in ("Shape0", "Shape2", "Shape4"):
        scene.objects[name].scale.x = -1


def crossing_the_near_plane(scene):
    # Not nearer than this: at 0.01 Workbench's own depth cannot tell surfaces 0.1 mm apart any more, 5 m away.
    scene.camera.data.clip_start = 0.1
    material = bpy.data.materials["M3"]
    floor = [(-80, -60, -0.9), (90, -60, -1.1), (70, 400, -1.0), (-80, 300, -1.2)]
    add_mesh(scene, "Floor", floor, [(0, 1, 2), (0, 2, 3)], material)
    through = [(-0.8, -9, 1.2), (0.9, -6.9, 1.9), (-0.2, -5, 0.9)]
    add_mesh(scene, "Through", through, [(0, 1, 2)], bpy.data.materials["M5"])


def clipped(scene):
    scene.camera.data.clip_start, scene.camera.data.clip_end = 6.2, 9.4


@pytest.mark.parametrize(
    "how",
    [
        lambda scene: None,
        orthographic,
        shifted,
        orthographic_and_shifted,
        fitted_horizontally,
        fitted_vertically,
        fitted_automatically_upright,
        with_wide_pixels,
        with_tall_pixels,
        at_a_percentage,
        in_scaled_parent,
        culling,
        in_front,
        culling_and_in_front,
        mirrored_objects,
        crossing_the_near_plane,
        clipped,
    ],
    ids=lambda how: how.__name__.replace("<lambda>", "perspective"),
)
def test_every_pixel_is_as_workbench_shows_it(flat_scene, tmp_path, how):
    how(flat_scene)
    bpy.context.view_layer.update()
    assert_same_as_workbench(flat_scene, tmp_path / "frame.png")


def textured_material(alpha):
    image = bpy.data.images.new("Card", *alpha.shape[::-1], alpha=True)
    texels = np.ones((*alpha.shape, 4), np.float32)
    texels[..., 3] = alpha
    image.pixels.foreach_set(texels[::-1].ravel())
    material = bpy.data.materials.new("Z")  # the last by name: the numbers of the others stay
    tree = node_tree_of(material)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image, node.interpolation = image, "Closest"
    tree.nodes.active = node
    return material


def test_cut_out_card_is_as_workbench_textures_show_it(flat_scene, tmp_path):
    """Workbench leaves out alpha < 0.1, not 0.5 (4.5 to 5.2); textures of 0 and 1, not interpolated, look alike."""
    rng = np.random.default_rng(8)
    alpha = (rng.random((16, 16)) > 0.4).astype(np.float32)
    material = textured_material(alpha)
    corners = [(-1.5, -4, 0), (1.8, -5, 0.2), (1.2, -3.5, 2.6), (-1.4, -4.6, 2.2)]
    whole = add_mesh(flat_scene, "Card", corners, [(0, 1, 2), (0, 2, 3)], material)
    uvs = 1.5 * CARD_UVS - 0.3
    whole.data.uv_layers.new().data.foreach_set("uv", uvs.ravel().astype(np.float32))
    flat_scene.display.shading.color_type = "TEXTURE"
    bpy.context.view_layer.update()

    snapshot = read_simply(flat_scene)
    is_card = snapshot.material_ids == bpy.data.materials.find(material.name)
    assert is_card.sum() == 2
    all_uvs = np.zeros((len(is_card), 3, 2), np.float32)
    all_uvs[is_card] = uvs
    cut = replace(snapshot, uvs=all_uvs, cutout_ids=is_card.astype(np.int32) - 1, cutouts=(Cutout(alpha, True),))
    ids = draw_ids(cut)
    seen = (ids >= 0) & is_card[ids]
    shown = workbench_materials(flat_scene, tmp_path / "frame.png")
    expected = np.where(ids >= 0, cut.material_ids[ids], NO_SURFACE)
    expected[seen] = len(COLOURS) - 1  # white
    assert 1000 < seen.sum() < is_card[draw_ids(snapshot)].sum() - 1000
    assert (shown != expected).sum() == 0


class TestChoice:
    def test_gpu_where_it_can_be_used(self, monkeypatch):
        assert choose_backend("auto") == "gpu"
        monkeypatch.setattr("animerun_addon.scene.id_pass.can_draw", lambda: False)
        assert choose_backend("auto") == "numpy"

    @pytest.mark.parametrize("wanted", ["gpu", "numpy"])
    def test_what_is_asked_for_is_used(self, wanted):
        ids, used = visible_triangles(random_scene(np.random.default_rng(9), 300), wanted)
        assert used == wanted
        assert (ids >= 0).any()

    @pytest.mark.parametrize("is_orthographic", [False, True])
    def test_both_see_the_same(self, is_orthographic):
        """Up to pixels on edges: corners are rounded to a grid by both, but in other arithmetic."""
        half_width = 12.0 if is_orthographic else 1.0
        camera = camera_at_origin(512, 218, half_width=half_width, is_orthographic=is_orthographic)
        snapshot = random_scene(np.random.default_rng(10), 3000, camera)
        drawn, _ = visible_triangles(snapshot, "gpu")
        computed, _ = visible_triangles(snapshot, "numpy")
        assert (drawn != computed).mean() < 1e-4


def run_alone(program, **environment):
    """Run a program in a new process, in which nothing has been drawn yet; its output's last line."""
    start = f"import sys; sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parents[1])!r}]; import bpy\n"
    done = subprocess.run(
        # bpy's own way out of a process is not what is tested: it was seen to hang.
        [sys.executable, "-c", start + textwrap.dedent(program) + "\nsys.stdout.flush(); import os; os._exit(0)"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


class TestContext:
    def test_starting_to_draw_leaves_no_trace(self):
        words = run_alone("""
            from animerun_addon.scene.gpu_context import can_draw, ensure_context
            from test_id_pass import CARD, card, draw_ids, snapshot_of
            calls = []
            for name in ("render_pre", "render_init", "render_complete", "depsgraph_update_post", "frame_change_post"):
                getattr(bpy.app.handlers, name).append(lambda *_: calls.append(1))
            data = lambda: sorted(repr(block) for block in bpy.data.user_map())
            counts = lambda: [len(h) for h in bpy.app.handlers if isinstance(h, list)]
            before, scene, handlers = data(), bpy.context.scene, counts()
            assert can_draw()
            ensure_context()
            assert not calls
            assert counts() == handlers
            assert (data(), bpy.context.scene) == (before, scene)
            print((draw_ids(snapshot_of(card(5), CARD)) >= 0).mean())
        """)
        assert words == "1.0"

    def test_within_a_render_engine(self):
        words = run_alone("""
            from animerun_addon.scene import gpu_context
            from test_id_pass import CARD, card, draw_ids, snapshot_of
            gpu_context._render_one_picture = None  # not needed, and not possible within a render
            seen = []
            class Engine(bpy.types.RenderEngine):
                bl_idname, bl_label, bl_use_gpu_context = "ANIMERUN_TEST", "Test", True
                def render(self, depsgraph):
                    seen.append((draw_ids(snapshot_of(card(5), CARD)) >= 0).mean())
            bpy.utils.register_class(Engine)
            bpy.context.scene.render.engine = "ANIMERUN_TEST"
            bpy.context.scene.render.resolution_x = 16
            bpy.ops.render.render()
            print(seen)
        """)
        assert "1.0" in words

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL is Linux's")
    def test_machine_without_a_driver_is_told_so(self):
        """Blender itself would end with an abort."""
        words = run_alone(
            """
            from animerun_addon.errors import BlenderError
            from animerun_addon.scene.gpu_context import can_draw
            from test_id_pass import CARD, card, draw_ids, snapshot_of, visible_triangles
            assert not can_draw()
            snapshot = snapshot_of(card(5), CARD)
            assert visible_triangles(snapshot)[1] == "numpy"
            try:
                visible_triangles(snapshot, "gpu")
            except BlenderError as error:
                print(error)
            """,
            __EGL_VENDOR_LIBRARY_DIRS="/nonexistent",
        )
        assert "libEGL finds no device" in words
        assert "numpy" in words

    def test_machine_without_the_library_is_told_so(self, monkeypatch):
        def missing(name):
            raise OSError(name)

        monkeypatch.setattr(gpu_context.sys, "platform", "linux")
        monkeypatch.setattr(gpu_context.ctypes, "CDLL", missing)
        monkeypatch.setattr(gpu_context, "_is_ready", lambda: False)
        gpu_context._machine_lacks.cache_clear()
        try:
            assert not can_draw()
            with pytest.raises(BlenderError, match=r"no libEGL.*libegl1"):
                ensure_context()
        finally:
            gpu_context._machine_lacks.cache_clear()
