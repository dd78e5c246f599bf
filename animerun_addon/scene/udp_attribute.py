# SPDX-License-Identifier: GPL-3.0-or-later
"""One mesh's baked UDP colours: written, taken away, checked for what changed since, and shown as its active colours.

Which colours those are, and of which meshes: udp_bake.py.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import bpy
import numpy as np

from ..labels.snapshot import Float32

BAKE_ATTRIBUTE = "AnimeRun UDP"
# Custom properties of the mesh. What it was baked from, as digests; the active colours' name while ours are shown.
_RECORD = "animerun_udp"
_SHOWN_INSTEAD_OF = "animerun_udp_shown_instead_of"


def is_own(mesh: bpy.types.Mesh) -> bool:
    """Whether a mesh is this file's, and can be written to for good."""
    return mesh.library is None and mesh.override_library is None


def is_baked(mesh: bpy.types.Mesh) -> bool:
    """Whether the mesh has such colours, or colours of that name and kind."""
    attribute = mesh.attributes.get(BAKE_ATTRIBUTE)
    return attribute is not None and attribute.data_type == "FLOAT_COLOR" and attribute.domain == "POINT"


def write(mesh: bpy.types.Mesh, colours: Float32, made_from: Mapping[str, str]) -> str | None:
    """Bake colours (V, 4), made from what these digests tell apart; or why that cannot be, in the user's words.

    Which attributes are active, and which colours render, stays as it was.
    """
    if not is_baked(mesh) and _is_name_taken(mesh):
        return f"has something else named '{BAKE_ATTRIBUTE}': rename that"
    with _active_as_before(mesh):
        if not is_baked(mesh):
            mesh.attributes.new(BAKE_ATTRIBUTE, "FLOAT_COLOR", "POINT")
        mesh.attributes[BAKE_ATTRIBUTE].data.foreach_set("color", np.ascontiguousarray(colours).ravel())
    mesh[_RECORD] = {"shape": _digest_of_shape(mesh), "colours": _digest_of_colours(mesh), **made_from}
    mesh.update_tag()
    return None


def remove(mesh: bpy.types.Mesh) -> bool:
    """Take away all that was baked; whether there was any of it."""
    hide(mesh)
    had = is_baked(mesh) or _RECORD in mesh
    if is_baked(mesh):
        with _active_as_before(mesh):
            mesh.attributes.remove(mesh.attributes[BAKE_ATTRIBUTE])
        mesh.update_tag()
    mesh.pop(_RECORD, None)
    return had


def is_stale(mesh: bpy.types.Mesh, made_from: Mapping[str, str]) -> bool:
    """Whether colours baked now would be others: the mesh was edited, they were painted over, or a digest differs."""
    record = mesh.get(_RECORD)
    if record is None or any(record.get(name) != digest for name, digest in made_from.items()):
        return True
    return record.get("shape") != _digest_of_shape(mesh) or record.get("colours") != _digest_of_colours(mesh)


# Shown ----------------------------------------------------------------------------------------------------------------


def show(mesh: bpy.types.Mesh) -> None:
    """Make the baked colours the mesh's active ones, until hide()."""
    if not is_shown(mesh):
        mesh[_SHOWN_INSTEAD_OF] = mesh.color_attributes.active_color_name
    mesh.color_attributes.active_color_name = BAKE_ATTRIBUTE


def hide(mesh: bpy.types.Mesh) -> None:
    """Make active again what was; what the user has made active since then stays."""
    before = mesh.pop(_SHOWN_INSTEAD_OF, None)
    if before is not None and mesh.color_attributes.active_color_name == BAKE_ATTRIBUTE:
        is_there = not before or before in mesh.color_attributes
        mesh.color_attributes.active_color_name = before if is_there else _first_other(mesh)


def is_shown(mesh: bpy.types.Mesh) -> bool:
    """Whether show() was called, and hide() was not."""
    return is_own(mesh) and _SHOWN_INSTEAD_OF in mesh


# ----------------------------------------------------------------------------------------------------------------------


def _is_name_taken(mesh: bpy.types.Mesh) -> bool:
    """Attributes and vertex groups share their names."""
    if BAKE_ATTRIBUTE in mesh.attributes:
        return True
    users = (thing for thing in bpy.data.objects if thing.data == mesh)
    return any(BAKE_ATTRIBUTE in thing.vertex_groups for thing in users)


@contextlib.contextmanager
def _active_as_before(mesh: bpy.types.Mesh) -> Iterator[None]:
    """Blender makes a mesh's first colours active, knows the active attribute by its number, and forgets none."""
    colours = mesh.color_attributes
    active, to_render = colours.active_color_name, colours.default_color_name
    number = mesh.attributes.active_index
    names = [attribute.name for attribute in mesh.attributes]
    yield
    left = [attribute.name for attribute in mesh.attributes]
    if 0 <= number < len(names) and names[number] in left:
        mesh.attributes.active_index = left.index(names[number])
    for name, value in (("active_color_name", active), ("default_color_name", to_render)):
        is_gone = value == BAKE_ATTRIBUTE and value not in left
        setattr(mesh.color_attributes, name, _first_other(mesh) if is_gone else value)


def _first_other(mesh: bpy.types.Mesh) -> str:
    """Colours to be active where those that were are gone."""
    return next((one.name for one in mesh.color_attributes if one.name != BAKE_ATTRIBUTE), "")


def _digest_of_shape(mesh: bpy.types.Mesh) -> str:
    """Of where the vertices are and how they are joined."""
    digest = hashlib.blake2b(digest_size=16)
    counts = (len(mesh.vertices), len(mesh.edges), len(mesh.loops), len(mesh.polygons))
    digest.update(repr(counts).encode())
    digest.update(_values(mesh.attributes.get("position"), "vector", counts[0] * 3, np.float32))
    digest.update(_values(mesh.attributes.get(".edge_verts"), "value", counts[1] * 2, np.int32))
    digest.update(_values(mesh.attributes.get(".corner_vert"), "value", counts[2], np.int32))
    starts = np.empty(counts[3], np.int32)
    mesh.polygons.foreach_get("loop_start", starts)
    digest.update(starts.data)
    if mesh.shape_keys is not None:
        points = np.empty(counts[0] * 3, np.float32)
        mesh.shape_keys.reference_key.points.foreach_get("co", points)
        digest.update(points.data)
    return digest.hexdigest()


def _digest_of_colours(mesh: bpy.types.Mesh) -> str:
    attribute = mesh.attributes.get(BAKE_ATTRIBUTE)
    return hashlib.blake2b(_values(attribute, "color", len(mesh.vertices) * 4, np.float32), digest_size=16).hexdigest()


def _values(attribute: bpy.types.Attribute | None, name: str, count: int, kind: Any) -> Any:
    """(count,) numbers of an attribute; a mesh without any such elements lacks it."""
    values = np.zeros(count, kind)
    if attribute is not None and count:
        attribute.data.foreach_get(name, values)
    return values
