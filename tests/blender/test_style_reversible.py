# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene that was converted to 2D and restored is what it was, but for what its user did in between."""

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_scenes import EDITS, FEATURES, build
from rna_dump import differences, dump

from animerun_addon.scene import style
from animerun_addon.style_settings import Contours, GreasePencil, Particles, StyleSettings, Zoom

SETTINGS = st.builds(
    StyleSettings,
    contours=st.sampled_from(Contours),
    particles=st.sampled_from(Particles),
    grease_pencil=st.sampled_from(GreasePencil),
    zoom=st.sampled_from(Zoom),
    textures=st.booleans(),
    augment=st.booleans(),
    line_art=st.booleans(),
    flat_colours=st.booleans(),
    replace_particles=st.booleans(),
)


def as_it_was(features, edits, library):
    """What the file is after the edits, without any conversion."""
    scene = build(features, library)
    for edit in edits:
        edit(scene)
    return dump()


@given(
    features=st.lists(st.sampled_from(FEATURES), unique=True, max_size=6),
    edits=st.lists(st.sampled_from(EDITS), unique=True, max_size=3),
    choices=SETTINGS,
    again=st.booleans(),
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate]
)
def test_a_restored_scene_is_what_it_was_but_for_the_users_edits(library, features, edits, choices, again):
    expected = as_it_was(features, edits, library)
    scene = build(features, library)
    style.convert(scene, choices)
    for edit in edits:
        edit(scene)
    if again:
        style.convert(scene, choices)
    style.restore(scene)
    assert differences(expected, dump()) == []
