# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that touches bpy's data. What leaves this room is numpy arrays, files and plain values."""
