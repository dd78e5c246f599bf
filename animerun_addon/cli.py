# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell commands, the same for `animerun ...` and `blender --command animerun ...`.

One parser, one line per error, exit codes 0 done, 1 the answer is no, 2 the user's mistake, 3 a bug of ours.
bpy is imported only by the commands that need it. Those on data sets are in commands/.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .commands import check, export, flow, split, stats, udp, weights
from .commands.blender import start_blender
from .commands.udp_words import with_signs
from .errors import AnimeRunError, Cancelled, InputError
from .frame_range import parse_frames
from .style_options import add_style_options, style_settings
from .terminal import (
    ANSWER_IS_NO,
    DONE,
    INTERRUPTED,
    OUR_BUG,
    USER_MISTAKE,
    No,
    Supervisor,
    Terminal,
    quiet_blender,
)
from .version import VERSION


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see `{self.prog} --help`)")


# The commands ---------------------------------------------------------------------------------------------------------


def _version(_options: argparse.Namespace, _terminal: Terminal) -> dict[str, Any]:
    return {"animerun": VERSION, "blender": _blender_version(), "python": sys.version.split()[0]}


def _demo(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    start_blender()
    from .pipeline.demo import demo_steps
    from .pipeline.job import Job

    made = Job("Demo", demo_steps(options.out, seed=options.seed)).run(terminal.show)
    result = {"page": str(made.page), "verdict": made.check.clips[0].summary, "failures": list(made.check.failures)}
    return result if made.check.passed else No(result)


def _render(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    frames = None if options.frames is None else parse_frames(options.frames)
    start_blender()
    from .pipeline.job import Job
    from .pipeline.render import find_scene, open_blend, render_steps
    from .pipeline.variants import variant_steps, variants_of
    from .scene.style import last_settings
    from .style_properties import style_settings_of

    open_blend(options.file)
    scene = find_scene(options.scene)
    if options.style or options.augment or options.line_art:
        settings = style_settings(options, last_settings(scene) or style_settings_of(scene))
        variants = variants_of(settings, options.augment, options.line_art)
        files = Job("Render", variant_steps(scene, options.out, variants, frames)).run(terminal.show)
    else:
        files = {"": Job("Render", render_steps(scene, options.out, frames)).run(terminal.show)}
    result: dict[str, Any] = {"folder": str(options.out.resolve()), "frames": sum(map(len, files.values()))}
    if options.video is not None:
        from .pipeline.frame_files import write_scene_video

        write_scene_video(options.video, next(iter(files.values())), scene)
        result["video"] = str(options.video.resolve())
    return result


def _style(options: argparse.Namespace, _terminal: Terminal) -> dict[str, Any]:
    start_blender()
    from .pipeline.render import find_scene, open_blend, save_blend
    from .scene.style import convert, last_settings, restore
    from .style_properties import style_settings_of

    open_blend(options.file)
    scene = find_scene(options.scene)
    if options.restore:
        report = restore(scene)
    else:
        report = convert(scene, style_settings(options, last_settings(scene) or style_settings_of(scene)))
    save_blend(options.out)
    findings = {name: [str(finding) for finding in getattr(report, name)] for name in ("left", "kept", "gone")}
    return {"file": str(options.out.resolve()), "changed": dict(report.changed), **findings}


def build_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    common.add_argument("--verbose", action="store_true", help="show what Blender itself prints")
    # For the child Blender of a running one (pipeline/child.py), not for people.
    common.add_argument("--report-to", type=Path, help=argparse.SUPPRESS)

    parser = _Parser(prog="animerun", description="Flat 2D animation and exact labels from 3D scenes in Blender.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def add(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[common], help=summary, description=summary)
        command.set_defaults(run=run)
        return command

    add("version", _version, "say which versions are at work")

    demo = add("demo", _demo, "build the demo scene, export it as a data set, check that and make a page of it")
    demo.add_argument("out", type=Path, metavar="OUT", help="folder for demo.blend, the data set and index.html")
    demo.add_argument("--seed", type=int, default=0, help="another number makes another town and heroine (default 0)")

    render = add("render", _render, "render frames of a .blend file as it is set up")
    render.add_argument("file", type=Path, metavar="FILE", help="the .blend file")
    render.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the PNG files")
    render.add_argument("--frames", metavar="1-48", help="frames to render (default: the scene's range)")
    render.add_argument("--scene", metavar="NAME", help="the scene's name (default: the active scene)")
    render.add_argument("--style", action="store_true", help="as flat 2D animation; the file itself stays as it is")
    render.add_argument("--line-art", action="store_true", help="grey contours on white as well, in OUT/line_art")
    render.add_argument("--augment", type=int, default=0, metavar="N", help="N more times in other colours")
    render.add_argument("--video", type=Path, metavar="FILE", help="the frames as an H.264 video as well")
    add_style_options(render)

    style = add("style", _style, "turn a .blend file's scene into flat 2D animation, or back")
    style.add_argument("file", type=Path, metavar="FILE", help="the .blend file")
    style.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .blend file to write")
    style.add_argument("--scene", metavar="NAME", help="the scene's name (default: the active scene)")
    style.add_argument("--restore", action="store_true", help="undo an earlier conversion")
    add_style_options(style)

    for command in (export, udp, flow, check, stats, split, weights):
        command.add_to(add)
    return parser


# Around them ----------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    terminal = Terminal(as_json="--json" in words)
    try:
        options = build_parser().parse_args(with_signs(words))
    except AnimeRunError as error:
        return terminal.fail(str(error), USER_MISTAKE)
    except SystemExit:  # argparse, after it has printed the help
        return DONE
    with Supervisor(options.report_to) as terminal.supervisor:
        return _run(options, terminal)


def run() -> NoReturn:
    """The program `animerun`, from its words to the process's end."""
    code = main()
    bpy = sys.modules.get("bpy")
    if bpy is None:
        sys.exit(code)
    # Blender as a module is left without its own exit, which now and then never ends (4.5), or lists what it did
    # not free after our answer. All that it would have cleaned up is its folder of temporary files.
    shutil.rmtree(bpy.app.tempdir, ignore_errors=True)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads on
            stream.flush()
    os._exit(code)


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    try:
        with quiet_blender(options.verbose), terminal.heeding_ctrl_c():
            result = options.run(options, terminal)
        return terminal.finish(result, ANSWER_IS_NO if isinstance(result, No) else DONE)
    except AnimeRunError as error:
        return terminal.fail(str(error), USER_MISTAKE)
    except BrokenPipeError:  # whoever read our answer, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (Cancelled, KeyboardInterrupt) as stop:
        return terminal.fail(str(stop) or "Cancelled", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the boundary to the shell
        traceback.print_exc()
        return terminal.fail(f"{type(error).__name__}: {error} (a bug of ours)", OUR_BUG)


def _blender_version() -> str | None:
    """Without the second that importing bpy costs."""
    bpy = sys.modules.get("bpy")
    if bpy is not None:
        return str(bpy.app.version_string)
    try:
        return importlib.metadata.version("bpy")
    except importlib.metadata.PackageNotFoundError:
        return None
