# SPDX-License-Identifier: GPL-3.0-or-later
"""Which back end draws, and starting to draw in a process that has not: without a trace, or not at all, and said so."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from id_scenes import camera_at_origin, random_scene

from animerun_addon.errors import BlenderError
from animerun_addon.scene import gpu_context
from animerun_addon.scene.gpu_context import can_draw, ensure_context
from animerun_addon.scene.id_pass import choose_backend, visible_triangles

TESTS = Path(__file__).parent


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
            from animerun_addon.scene.id_pass import draw_ids
            from id_scenes import CARD, card, snapshot_of
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
            from animerun_addon.scene.id_pass import draw_ids
            from id_scenes import CARD, card, snapshot_of
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
            from animerun_addon.scene.id_pass import visible_triangles
            from id_scenes import CARD, card, snapshot_of
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

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL is Linux's")
    def test_on_a_machine_without_a_driver_the_engine_renders_by_software_or_says_what_is_missing(self):
        words = run_alone(
            """
            from animerun_addon import registration
            from flat_frames import build_flat_scene
            registration.register()
            scene = build_flat_scene()
            scene.render.engine = "ANIMERUN_LABELS"
            bpy.ops.render.render()
            scene.animerun.id_backend = "GPU"
            try:
                bpy.ops.render.render()
            except RuntimeError as error:
                print(str(error).strip())
            """,
            __EGL_VENDOR_LIBRARY_DIRS="/nonexistent",
        )
        assert "libEGL finds no device" in words
        assert "draw by software" in words

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
