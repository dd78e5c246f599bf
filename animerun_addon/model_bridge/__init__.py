# SPDX-License-Identifier: GPL-3.0-or-later
"""What joins this package to PyTorch. Nothing here imports bpy; torch is imported in `training` alone.

Blender's own process never imports torch: what needs it runs in a Python of its own, a studio's or a researcher's, into
which this package is installed like any other.
"""
