# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom, read off the imports themselves. The rooms and their order are DESIGN's."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "animerun_addon"
FILES = sorted(PACKAGE.rglob("*.py"))

# Every room lower than another may be imported by it; rooms of one number do not know each other.
LEVEL = {
    "__init__": 13,
    "__main__": 13,
    "registration": 12,
    "operators": 11,
    "panels": 11,
    "cli": 11,
    "udp_watch": 10,
    "commands": 9,
    "preferences": 9,
    "properties": 9,
    "udp_memory": 9,
    "export_runs": 8,
    "export_properties": 8,
    "udp_properties": 8,
    "export_options": 7,
    "pipeline": 7,
    "scene": 6,
    "style_properties": 6,
    "udp_options": 6,
    "evaluation": 6,
    "model_bridge": 5,
    "udp_settings": 5,
    "dataset": 4,
    "export_estimate": 4,
    "export_settings": 3,
    "udp_choices": 2,
    "labels": 1,
    # The ground that everybody stands on.
    "output": 0,
    "frame_range": 0,
    "terminal": 0,
    "progress": 0,
    "errors": 0,
    "style_options": 0,
    "style_settings": 0,
    "version": 0,
}
FORBIDDEN_ROOMS = {"panels": {"pipeline"}}
MAY_IMPORT_BPY = {
    "registration",
    "properties",
    "export_properties",
    "style_properties",
    "udp_properties",
    "udp_watch",
    "preferences",
    "panels",
    "operators",
    "pipeline",
    "scene",
    "cli",
    "commands",
}
MAY_IMPORT_TORCH = ("model_bridge/worker.py", "model_bridge/networks/", "model_bridge/training/")
BPY_MODULES = {"bpy", "bmesh", "mathutils", "gpu", "bpy_extras", "bl_math", "addon_utils"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path):
    """(level, dotted name) of every import in a file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield 0, name.name
        elif isinstance(node, ast.ImportFrom):
            if node.module is None:  # from . import a, b
                for name in node.names:
                    yield node.level, name.name
            else:
                yield node.level, node.module


def imported_rooms(path: Path) -> set[str]:
    depth = len(path.relative_to(PACKAGE).parts)
    rooms = set()
    for level, name in imports_of(path):
        if level == depth:  # reaches the package itself
            rooms.add(name.partition(".")[0])
        assert level <= depth, f"{path}: an import that climbs out of the package"
    return rooms


def test_every_room_has_its_place():
    assert {room_of(path) for path in FILES} <= set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
class TestFile:
    def test_imports_only_downwards(self, path):
        room = room_of(path)
        for other in imported_rooms(path):
            is_own = other == room
            grounds = LEVEL[room] == LEVEL[other] == 0
            assert is_own or grounds or LEVEL[other] < LEVEL[room], f"{room} must not import {other}"
            assert other not in FORBIDDEN_ROOMS.get(room, ())

    def test_imports_inside_the_package_are_relative(self, path):
        absolute = [name for level, name in imports_of(path) if level == 0]
        assert not [name for name in absolute if name.partition(".")[0] in ("animerun_addon", "bl_ext")]

    def test_bpy_stays_where_it_may_be(self, path):
        uses_bpy = any(level == 0 and name.partition(".")[0] in BPY_MODULES for level, name in imports_of(path))
        assert not uses_bpy or room_of(path) in MAY_IMPORT_BPY

    def test_torch_stays_in_the_worker(self, path):
        uses_torch = any(level == 0 and name.partition(".")[0] == "torch" for level, name in imports_of(path))
        assert not uses_torch or path.relative_to(PACKAGE).as_posix().startswith(MAY_IMPORT_TORCH)


def test_no_circle_between_files():
    """A depth-first walk over file-to-file imports that meets a file on its own path has found a circle."""
    graph = {path: targets(path) for path in FILES}
    finished: set[Path] = set()

    def walk(path: Path, above: tuple[Path, ...]):
        assert path not in above, " > ".join(p.name for p in (*above, path))
        if path not in finished:
            for target in graph[path]:
                walk(target, (*above, path))
            finished.add(path)

    for path in FILES:
        walk(path, ())


def targets(path: Path) -> set[Path]:
    """The files of the package that a file imports when it is itself imported."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split(".") if node.module else ())
            for candidate in [base.with_suffix(".py"), *(base / f"{name.name}.py" for name in node.names)]:
                if candidate in FILES:
                    found.add(candidate)
    return found


def test_package_and_command_line_import_without_bpy():
    """In a Python where bpy cannot be imported, the package, its pure rooms and the parser still can."""
    program = (
        "import sys; sys.modules['bpy'] = None; sys.modules['torch'] = None\n"
        "import animerun_addon, animerun_addon.pipeline.job, animerun_addon.pipeline.demo_page\n"
        "from animerun_addon.cli import main\n"
        "sys.exit(main(['version']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_empty_rooms():
    for folder in {path.parent for path in FILES}:
        assert [path for path in folder.glob("*.py") if path.name != "__init__.py"] or (
            folder / "__init__.py"
        ).stat().st_size > 300
