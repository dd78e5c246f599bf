# SPDX-License-Identifier: GPL-3.0-or-later
"""Every label by arithmetic on one integer image: pure arrays in, pure arrays out. No bpy, no files.

Image row 0 is the top; pixel (x, y) has its centre at (x + 0.5, y + 0.5). World space is Blender's, float64.
"""
