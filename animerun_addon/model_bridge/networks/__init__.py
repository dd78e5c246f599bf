# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks, one file each, with the tensor names of their published checkpoints: torch, and nothing of Blender."""
