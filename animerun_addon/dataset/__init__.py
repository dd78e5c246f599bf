# SPDX-License-Identifier: GPL-3.0-or-later
"""The data set's files, read and written. No bpy, no torch; what is in the arrays is made in labels."""

from .items import Frame, Pair, Triplet
from .layout import Direction
from .reader import AnimeRun, ClipReader

__all__ = ["AnimeRun", "ClipReader", "Direction", "Frame", "Pair", "Triplet"]
