# SPDX-License-Identifier: GPL-3.0-or-later
"""The options about rest pose and encoding, which every command has that makes Ultra-Dense Pose."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace

from ..errors import InputError
from ..labels.skeleton import A_POSE_DEG
from ..labels.udp_encoding import Preset, Triple
from ..udp_choices import EncodingChoice, Rest, RestChoice

# What follows these may begin with a dash.
_SIGNED = {"--front", "--up", "--scale", "--offset", "--rest-frame"}


def add_rest_options(command: argparse.ArgumentParser) -> None:
    """The pose that names the points."""
    group = command.add_argument_group("rest pose", "the pose that names the character's points (default: the rig's)")
    group.add_argument("--rest-frame", type=float, metavar="N", help="as at this frame, of the scene or --rest-action")
    group.add_argument("--rest-action", metavar="NAME", help="as in this action or pose asset (at frame 1)")
    group.add_argument(
        "--a-pose",
        type=float,
        nargs="?",
        const=A_POSE_DEG,
        metavar="DEG",
        help=f"the rig's, with its arms so many degrees from straight down ({A_POSE_DEG:g} without a number)",
    )
    group.add_argument("--front", metavar="-Y", help="the axis of the armature that the character looks along")
    group.add_argument("--up", metavar="Z", help="the axis of the armature that its head points along")


def add_encoding_options(command: argparse.ArgumentParser) -> None:
    """What coordinates become."""
    group = command.add_argument_group("encoding", "colour = rest coordinate in metres * scale + offset, on each axis")
    presets = [str(preset) for preset in Preset if preset is not Preset.FREE]
    group.add_argument(
        "--preset",
        choices=presets,
        metavar="|".join(presets),
        help="the whole character fitted with nothing clipped, or CoNR's own scale (default conr)",
    )
    group.add_argument("--scale", type=_triple, metavar="X,Y,Z", help="numbers of your own, with --offset")
    group.add_argument("--offset", type=_triple, metavar="X,Y,Z", help="numbers of your own, with --scale")
    group.add_argument(
        "--body-height",
        type=float,
        default=EncodingChoice.body_height_m,
        metavar="M",
        help="metres from soles to crown without hair and hat, for CoNR's scale (default: measured)",
    )


def with_signs(words: Sequence[str]) -> list[str]:
    """`--front -Y` as one word, `--front=-Y`: argparse takes what begins with a dash for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in _SIGNED and re.match(r"-[\dXYZxyz.]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def rest_from(options: argparse.Namespace) -> RestChoice:
    """What the options say of the rest pose."""
    stands = _stance_from(options)
    return replace(stands, front=options.front or "", up=options.up or "")


def _stance_from(options: argparse.Namespace) -> RestChoice:
    frame = RestChoice.frame if options.rest_frame is None else options.rest_frame
    if options.a_pose is not None:
        if options.rest_action is not None or options.rest_frame is not None:
            raise InputError("--a-pose is made from the armature's rest position: leave --rest-frame and --rest-action")
        return RestChoice(Rest.A_POSE, arms_deg=options.a_pose)
    if options.rest_action is not None:
        return RestChoice(Rest.ACTION, frame, options.rest_action)
    return RestChoice(Rest.REST if options.rest_frame is None else Rest.FRAME, frame)


def encoding_from(options: argparse.Namespace) -> EncodingChoice:
    """What they say of the encoding."""
    is_free = options.preset is None and (options.scale is not None or options.offset is not None)
    preset = Preset.FREE if is_free else Preset(options.preset or EncodingChoice.preset)
    return EncodingChoice(preset, options.scale, options.offset, options.body_height)


def _triple(text: str) -> Triple:
    try:
        x, y, z = map(float, text.split(","))
    except ValueError:
        raise InputError(f"Cannot read '{text}' as three numbers: write X,Y,Z, such as 0.5,0.5,0.5") from None
    return x, y, z
