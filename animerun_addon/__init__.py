# SPDX-License-Identifier: GPL-3.0-or-later
"""AnimeRun: 2D-style conversion, Ultra-Dense Pose and correspondence ground truth for Blender.

Blender calls register() and unregister(). Importing the package needs no bpy, so that
its pure parts serve scripts, tests and the shell as well.
"""


def register() -> None:
    """Tell Blender about everything that the add-on brings."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Take all of it back, in reverse."""
    from . import registration

    registration.unregister()
