# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel says of Ultra-Dense Pose becomes words, and the shell reads the same settings out of them."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from animerun_addon import cli
from animerun_addon.cli import build_parser
from animerun_addon.commands.udp import settings_from
from animerun_addon.commands.udp_words import with_signs
from animerun_addon.dataset.udp import UdpFormat
from animerun_addon.errors import InputError
from animerun_addon.frame_range import parse_frames
from animerun_addon.labels.udp_encoding import Preset
from animerun_addon.style_settings import StyleSettings
from animerun_addon.udp_choices import EncodingChoice, Rest, RestChoice
from animerun_addon.udp_options import UdpRequest, neat, settings_of
from animerun_addon.udp_settings import Occluders, SheetChoice, UdpSettings, View

NAMED = SimpleNamespace(name="-A name")


def single(number):
    """As Blender keeps a number."""
    return float(np.float32(number))


def panel(**changes):
    """The panel's properties as they begin."""
    values = {"rest": "REST", "rest_frame": 1, "rest_action": None, "arms_angle": single(math.radians(45))}
    values |= {"sets_facing": False, "front": "NEG_Y", "up": "Z", "preset": "CONR"}
    values |= {"measures_height": True, "body_height": single(1.6)}
    values |= {"scale": (0.5, 0.5, 0.5), "offset": (0.5, 0.5, 0.0), "file_format": "NPZ"}
    values |= {"view": "FIT", "camera": None, "turn": 48, "margin": single(0.05), "uses_scene_size": True}
    values |= {"width": 512, "height": 512, "occluders": "ALONE", "colour": False, "makes_sheet": False}
    values |= {"sheet_views": 4, "sheet_poses": 1, "uses_style": False}
    return SimpleNamespace(**{**values, **changes})


EVERYTHING = panel(
    rest="ACTION", rest_frame=-12, rest_action=NAMED, sets_facing=True, front="NEG_X", up="NEG_Z", preset="FREE",
    scale=[single(number) for number in (-0.4, 1 / 3, 2e-7)], offset=[single(number) for number in (-1.5, 0.1, 1e9)],
    file_format="PNG16", view="TURNTABLE", turn=12, margin=single(0.12), width=640, height=360, occluders="SCENE",
    colour=True, makes_sheet=True, sheet_views=6, sheet_poses=3, uses_style=True,
)  # fmt: skip

VARIANTS = {
    "untouched": panel(),
    "everything": EVERYTHING,
    "a-pose": panel(rest="A_POSE", arms_angle=single(math.radians(37.5)), preset="UNIFORM"),
    "a frame": panel(rest="FRAME", rest_frame=-3, measures_height=False, body_height=single(1.62)),
    "the scene's camera": panel(view="CAMERA", margin=single(0.3), turn=9, file_format="EXR"),
    "a camera and a size": panel(view="CAMERA", camera=NAMED, uses_scene_size=False, file_format="PNG8"),
    "a sheet": panel(makes_sheet=True, sheet_views=1, sheet_poses=1000, colour=False),
}


def request(settings, **changes):
    values = {
        "characters": ("Hero", "-- odd"),
        "folder": Path("/data set"),
        "scene": "-Scene",
        "frames": range(3, 20, 2),
    }
    return UdpRequest(settings=settings, **{**values, **changes})


def read_back(words, style=None):
    """The settings that the shell makes of words, and what else it was told."""
    options = build_parser().parse_args(with_signs(["udp", "open_file.blend", *words]))
    settings = settings_from(options)
    return options, UdpSettings(**{**vars(settings), "style": style if options.style else None})


def test_an_untouched_panel_is_the_defaults_at_conrs_size():
    assert settings_of(panel(), StyleSettings()) == UdpSettings(size_px=(512, 512))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_shell_reads_what_the_panel_says(name):
    style = StyleSettings(seed=4)
    settings = settings_of(VARIANTS[name], style)
    words = request(settings).words(anew=True, source=Path("/a b.blend"))
    options, found = read_back(words, style)
    assert found == settings
    assert options.characters == ["Hero", "-- odd"]
    assert parse_frames(options.frames)[:: options.step] == list(range(3, 20, 2))
    assert (options.out, options.scene, options.source) == (Path("/data set"), "-Scene", Path("/a b.blend"))
    assert options.anew
    assert not options.list


def test_choices_of_the_panel_are_those_of_the_settings():
    settings = settings_of(EVERYTHING, StyleSettings())
    assert settings.rest == RestChoice(Rest.ACTION, -12.0, "-A name", front="-X", up="-Z")
    assert settings.encoding.preset is Preset.FREE
    assert settings.encoding.scale == (-0.4, 0.33333334, 2e-7)
    assert settings.file_format is UdpFormat.PNG16
    assert (settings.view, settings.turn, settings.margin) == (View.TURNTABLE, 12, 0.12)
    assert settings.occluders is Occluders.SCENE
    assert settings.sheet == SheetChoice(6, 3)


def test_what_is_not_asked_for_is_not_said():
    options, found = read_back(request(UdpSettings()).words(anew=False, source=None))
    assert found == UdpSettings()
    assert (options.anew, options.source, options.style) == (False, None, False)


def test_style_is_of_colours_only():
    style = StyleSettings()
    assert settings_of(panel(uses_style=True), style).style is None
    assert settings_of(panel(uses_style=True, makes_sheet=True), style).style == style


def test_pictures_through_the_scenes_camera_are_as_large_as_its_frames_unless_told():
    assert settings_of(panel(view="CAMERA"), StyleSettings()).size_px is None
    assert settings_of(panel(view="CAMERA", uses_scene_size=False, height=9), StyleSettings()).size_px == (512, 9)
    assert settings_of(panel(view="FIT"), StyleSettings()).size_px == (512, 512)


def test_an_action_has_to_be_chosen():
    with pytest.raises(InputError, match="Name the action"):
        settings_of(panel(rest="ACTION"), StyleSettings())


def test_front_and_up_along_one_axis_are_refused():
    with pytest.raises(InputError, match="choose two different axes"):
        settings_of(panel(sets_facing=True, front="NEG_Z", up="Z"), StyleSettings())


@pytest.mark.parametrize("number", [0.05, 1.62, -0.4, 1e9, 37.5, 0.0])
def test_numbers_are_what_people_typed(number):
    assert neat(single(number)) == number


# The shell alone -----------------------------------------------------------------------------------------------------


def settings(*words):
    return read_back(words)[1]


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        ([], RestChoice()),
        (["--a-pose"], RestChoice(Rest.A_POSE, arms_deg=45.0)),
        (["--a-pose", "30"], RestChoice(Rest.A_POSE, arms_deg=30.0)),
        (["--rest-frame", "-12"], RestChoice(Rest.FRAME, -12.0)),
        (["--rest-action", "A-pose"], RestChoice(Rest.ACTION, 1.0, "A-pose")),
        (["--rest-action", "A-pose", "--rest-frame", "7"], RestChoice(Rest.ACTION, 7.0, "A-pose")),
        (["--front", "-Y", "--up", "Z"], RestChoice(front="-Y", up="Z")),
        (["--up=-Z", "--front=X"], RestChoice(front="X", up="-Z")),
    ],
)
def test_rest_poses_as_people_write_them(words, rest):
    assert settings(*words).rest == rest


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ([], EncodingChoice()),
        (["--preset", "uniform"], EncodingChoice(Preset.UNIFORM)),
        (["--body-height", "1.6"], EncodingChoice(body_height_m=1.6)),
        (["--scale", "-1,2,3", "--offset", "-.5,0,1"], EncodingChoice(Preset.FREE, (-1, 2, 3), (-0.5, 0, 1))),
    ],
)
def test_encodings_as_people_write_them(words, encoding):
    assert settings(*words).encoding == encoding


def test_views_and_sizes_as_people_write_them():
    assert (settings("--fit").view, settings().view) == (View.FIT, View.FIT)
    assert (settings("--camera").view, settings("--camera").camera) == (View.CAMERA, "")
    assert settings("--camera", "Side").camera == "Side"
    assert (settings("--turntable", "24").view, settings("--turntable", "24").turn) == (View.TURNTABLE, 24)
    assert settings("--size", "256").size_px == (256, 256)
    assert settings("--size", "640X360").size_px == (640, 360)
    assert settings("--sheet", "4x2").sheet == SheetChoice(4, 2)
    assert settings("--sheet", "3").sheet == SheetChoice(3, 1)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "--out"),
        *(
            (["--out", "x", *words], named)
            for words, named in [
                (["--frames", "5-1"], "5-1"),
                (["--step", "0"], "give 1 or more"),
                (["--format", "jpg"], "'npz', 'exr', 'png16', 'png8'"),
                (["--size", "5x"], "'5x'"),
                (["--size", "0"], "0 x 0"),
                (["--fit", "--camera"], "--camera"),
                (["--turntable", "0"], "0 pictures"),
                (["--turntable", "2", "--camera", "C"], "--camera"),
                (["--margin", "0.5"], "0.5"),
                (["--margin", "nan"], "nan"),
                (["--occluders", "some"], "'alone', 'scene'"),
                (["--preset", "free"], "'uniform', 'conr'"),
                (["--preset", "conr", "--scale", "1,1,1", "--offset", "0,0,0"], "conr has a scale"),
                (["--scale", "1,1,1"], "its offset"),
                (["--offset", "1,1,1"], "its scale"),
                (["--scale", "1,1"], "'1,1'"),
                (["--scale", "a,b,c"], "'a,b,c'"),
                (["--body-height", "-1"], "-1 m"),
                (["--a-pose", "91"], "91 degrees"),
                (["--a-pose", "--rest-frame", "3"], "--a-pose"),
                (["--rest-action", ""], "Name the action"),
                (["--rest-frame", "nan"], "no frame nan"),
                (["--rest-frame", "-1e12"], "no frame -1e+12"),
                (["--front", "-Y"], "Set both by hand"),
                (["--front", "W", "--up", "Z"], "'W'"),
                (["--front", "-Y", "--up", "Y"], "two different axes"),
                (["--sheet", "0x2"], "0 views"),
                (["--sheet", "four"], "'four'"),
            ]
        ),
    ],
)
def test_mistakes_get_one_line_and_code_2_before_blender_starts(words, named, capfd, monkeypatch):
    monkeypatch.setattr("animerun_addon.commands.udp.start_blender", lambda: pytest.fail("Blender was started"))
    assert cli.main(["udp", "a.blend", *words]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert named in captured.err


def test_mistakes_as_json(capfd):
    assert cli.main(["udp", "a.blend", "--out", "x", "--size", "big", "--json"]) == 2
    assert "'big'" in json.loads(capfd.readouterr().out)["error"]
