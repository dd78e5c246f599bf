# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bone's name says: which part of the body it is, and on which side. Where it lies is skeleton.py's.

Knows the names of Rigify, Mixamo, VRM and VRoid, MMD (Japanese ones too), Unreal, 3ds Max's Biped, Daz and SMPL.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple


class Part(Enum):
    """A part of a body, as bones' names tell them apart."""

    HIPS = "hips"
    SPINE = "spine"
    NECK = "neck"
    HEAD = "head"
    CLAVICLE = "clavicle"
    UPPER_ARM = "upper arm"
    FOREARM = "forearm"
    HAND = "hand"
    FINGER = "finger"
    THIGH = "thigh"
    LEG = "leg"  # the shin where another bone is the thigh (Mixamo), else any part of the leg
    SHIN = "shin"
    FOOT = "foot"
    TOE = "toe"


class Side(Enum):
    """A side of the character's own body."""

    LEFT = "left"
    RIGHT = "right"


class NamedBone(NamedTuple):
    """What a name says; None where it says nothing."""

    part: Part | None
    side: Side | None
    rank: int  # of several bones of one part and side, the lowest is it
    is_helper: bool  # twist bones, controls, sockets: moves with the part, but is not its joint
    is_apart: bool  # hair, skirt, tail and the like: named, and no limb


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = {
    Part.HIPS: "hips hip pelvis waist cog center centre lowerbody 下半身 センター 腰",
    Part.SPINE: "spine chest upperchest torso body upperbody abdomen stomach ribcage 上半身",
    Part.NECK: "neck 首",
    Part.HEAD: "head skull 頭",
    Part.CLAVICLE: "shoulder clavicle collar collarbone clav scapula 肩",
    Part.UPPER_ARM: "upperarm uparm armupper shldr humerus bicep biceps arm 腕",
    Part.FOREARM: "forearm lowerarm lowarm loarm armlower elbow ひじ 肘",
    Part.HAND: "hand wrist 手首 手",
    Part.THIGH: "thigh upperleg upleg legupper femur 足 脚",
    Part.LEG: "leg",
    Part.SHIN: "shin calf lowerleg lowleg loleg leglower knee crus ひざ 膝",
    Part.FOOT: "foot ankle 足首",
    Part.TOE: "toe toes toebase ball つま先",
}
_PART_OF_WORD = {word: part for part, words in _WORDS.items() for word in _words(words)}
_FINGERS = _words("finger fingers thumb index middle ring little pinky pinkie palm metacarpal")
_SIDES = {
    **dict.fromkeys(("l", "left", "lft", "lf", "左"), Side.LEFT),
    **dict.fromkeys(("r", "right", "rgt", "rt", "右"), Side.RIGHT),
}
_HELPERS = _words(
    "twist roll ik fk pole target helper tweak parent mch ctrl control con end nub socket slot attach corrective "
    "adj stretch vis wgt widget share tip dummy pivot cancel master switch aux handle lock "
    # MMD's own: 肩P and 肩C cancel each other, 足D copies 足
    "p d"
)
_NOISE = _words(
    "def org bip j jnt jt joint bone valvebiped mixamorig skeleton skel rig armature character char c b bn sk cc base "
    "bend"
)
_APART = _words(
    "hair bang skirt tail ear cape cloak scarf ribbon wing breast bust eye eyes brow lip jaw tongue teeth cheek coat "
    "cloth dress sleeve weapon sword shield hat helmet belt tie 髪 スカート 胸 尻尾 しっぽ 耳 目 袖 リボン"
)
# An upper arm is called so where several bones could be it; Rigify's deforming bones before its others.
_VAGUE = {"arm", "hip", "center", "centre", "センター", "腰", "body", "手", "cog"}
_LAYERS = {"def": 0, "org": 2, "mch": 3, "vis": 3, "wgt": 4}
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")


def read_names(names: Iterable[str]) -> dict[str, NamedBone]:
    """What each name says; words that most of them share (a character's name) count for nothing."""
    tokens = {name: _tokens(name) for name in names}
    known = {*_PART_OF_WORD, *_FINGERS, *_SIDES, *_HELPERS, *_APART}
    counted = Counter(token for found in tokens.values() for token in set(found))
    shared = {token for token, count in counted.items() if 2 * count > len(tokens) > 4 and token not in known}
    return {name: _read(tuple(token for token in found if token not in shared)) for name, found in tokens.items()}


def _tokens(name: str) -> list[str]:
    """A name's words in lower case, without numbers and namespace: "mixamorig:LeftArm" -> ["left", "arm"]."""
    plain = re.split(r"[:|]", unicodedata.normalize("NFKC", name))[-1]
    words: list[str] = []
    for word in _TOKEN.findall(plain):
        words += _split_side(word.lower()) if not word.isdigit() else ()
    return words


def _split_side(word: str) -> tuple[str, ...]:
    """The side apart from a word that it is written together with: leftarm, armleft, 左腕."""
    for side in ("left", "right", "左", "右"):
        if word.startswith(side) and len(word) > len(side):
            return side, word[len(side) :]
        if word.endswith(side) and word[: -len(side)] in _PART_OF_WORD:
            return word[: -len(side)], side
    return (word,)


def _read(tokens: tuple[str, ...]) -> NamedBone:
    sides = [_SIDES[token] for token in tokens if token in _SIDES]
    side = sides[0] if sides else None
    words = [token for token in tokens if token not in _SIDES]
    is_helper = any(word in _HELPERS or "捩" in word for word in words)
    is_apart = any(word in _APART or any(part in word for part in _APART if not part.isascii()) for word in words)
    told = [word.replace("捩", "") for word in words if word not in _HELPERS and word not in _NOISE]
    core = "".join(told)
    part = None if is_apart else _part(core, told, side)
    rank = 2 * next((_LAYERS[word] for word in tokens if word in _LAYERS), 1) + (core in _VAGUE)
    return NamedBone(part, side, rank, is_helper, is_apart)


def _part(core: str, words: list[str], side: Side | None) -> Part | None:
    if side is not None and (not _FINGERS.isdisjoint(words) or "指" in core):
        return Part.FINGER if "toe" not in words and "foot" not in words else None
    part = _PART_OF_WORD.get(core)
    if part is Part.HIPS and side is not None:
        return Part.THIGH if core == "hip" else None
    return part
