# SPDX-License-Identifier: GPL-3.0-or-later
"""What joins this package to PyTorch. Nothing here imports bpy; torch only worker.py, networks/ and training/ do.

Blender's own process never imports torch: models run in a process of their own (client.py), and training in a Python
into which this package is installed like any other.
"""
