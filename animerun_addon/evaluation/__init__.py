# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a model's answer is, against what is known. Arrays in, figures out: no bpy, no files, no models.

What is compared with what, the pipeline knows.
"""
