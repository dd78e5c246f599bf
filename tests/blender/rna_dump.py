# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that Blender's data is, as plain values to compare: each property, readable or writable, of each block.

Left out are what Blender computes anew, what says nothing about the file, and geometry, which nothing here touches.
"""

import bpy

LEFT_OUT = {
    # of no meaning for a file, or computed
    "rna_type", "session_uid", "tag", "original", "preview", "depsgraph", "is_evaluated", "is_updated",
    "is_updated_data", "library_weak_reference", "persistent_uid", "slot_handle", "last_slot_identifier",
    "action_slot_handle", "handle", "is_runtime_data", "is_library_indirect", "execution_time", "is_instancer",
    "wireframe_color_type", "sequencer_colorspace_settings", "is_outdated", "info",
    "particle_edit", "trail_count",
    # drawn by lot when they are made
    "force_field_1", "force_field_2",
    # large, and other data-blocks' own
    "all_objects", "all_ids", "pixels", "particles", "child_particles", "vertices", "edges", "loops", "polygons",
    "loop_triangles", "loop_triangle_polygons", "corner_normals", "vertex_normals", "polygon_normals", "data", "uv",
    "pin", "points", "vertex_selection", "edge_selection", "hair_keys",
}  # fmt: skip
YET_IN = {("Object", "data")}
# Blender keeps notes of what was overridden, and tidies them up when it saves.
YET_OUT = {("IDOverrideLibrary", "properties")}
# What a window or Blender itself keeps for its own use.
NOT_OF_A_FILE = {"window_managers", "screens", "workspaces", "brushes", "all_ids", "libraries", "palettes"}


def dump(also=()):
    """{"objects/Cube": {...}, ...} of the whole file; `also` names lists of bpy.data that are else left out."""
    found = {}
    for prop in bpy.data.bl_rna.properties:
        if prop.type == "COLLECTION" and (prop.identifier not in NOT_OF_A_FILE or prop.identifier in also):
            for block in getattr(bpy.data, prop.identifier):
                if block.name == "Render Result":
                    continue
                found[f"{prop.identifier}/{block.name_full}"] = _block(block)
    return found


def differences(before, after, path=""):
    """Where two dumps differ, each a line."""
    if isinstance(before, dict) and isinstance(after, dict):
        lines = []
        for key in [*before, *(key for key in after if key not in before)]:
            place = f"{path}/{key}" if path else str(key)
            if key not in after:
                lines.append(f"{place}: gone")
            elif key not in before:
                lines.append(f"{place}: new")
            else:
                lines += differences(before[key], after[key], place)
        return lines
    return [] if before == after else [f"{path}: {before!r} -> {after!r}"]


def _block(block):
    values = _struct(block, {block.as_pointer()})
    if isinstance(block, bpy.types.Scene):
        values["in view layers"] = {layer.name: _objects_of(layer) for layer in block.view_layers}
    return values


def _objects_of(layer):
    # Blender itself deselects what is hidden.
    states = {
        one.name_full: (one.hide_get(view_layer=layer), one.visible_get(view_layer=layer)) for one in layer.objects
    }
    return {"active": _plain(layer.objects.active), **states}


def _struct(struct, above):
    values = {}
    for name in (prop.identifier for prop in struct.bl_rna.properties):
        place = type(struct).__name__, name
        if (name not in LEFT_OUT or place in YET_IN) and place not in YET_OUT:
            try:
                values[name] = _value(getattr(struct, name), above)
            except (AttributeError, RuntimeError, SystemError):
                values[name] = "unreadable"
    if isinstance(struct, bpy.types.Mesh):
        values["layers"] = [one.name for one in struct.attributes]
    return {**values, **_custom_properties(struct)}


def _custom_properties(struct):
    try:
        return {f"[{key}]": _plain(value) for key, value in struct.items()}
    except (TypeError, AttributeError):
        return {}


def _value(value, above):
    if isinstance(value, bpy.types.bpy_prop_collection):
        items = list(value)
        named = [getattr(item, "name", "") for item in items]
        if items and isinstance(items[0], bpy.types.ID):
            return [_plain(item) for item in items]
        is_by_name = all(named) and len(set(named)) == len(named)
        return {
            (name if is_by_name else number): _value(item, above)
            for number, (name, item) in enumerate(zip(named, items, strict=True))
        }
    if isinstance(value, bpy.types.bpy_struct) and not (isinstance(value, bpy.types.ID) and not value.is_embedded_data):
        where = value.as_pointer()
        return (
            "above"
            if (where, value.bl_rna.identifier) in above
            else _struct(value, above | {(where, value.bl_rna.identifier)})
        )
    return _plain(value)


def _plain(value):
    if isinstance(value, bpy.types.ID):
        return f"{value.id_type} {value.name_full}"
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "to_dict"):
        return {key: _plain(value[key]) for key in value}
    if hasattr(value, "to_list"):
        return value.to_list()
    if isinstance(value, bpy.types.bpy_struct):
        return value.bl_rna.identifier
    try:
        return [_plain(item) for item in value]
    except TypeError:
        return repr(type(value))
