# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors a user can do something about. Anything else that is raised is a bug of ours.

The message names the thing, what is wrong with it, and the remedy, in one line.
"""


class AnimeRunError(Exception):
    """The user's input or surroundings do not allow what was asked."""


class InputError(AnimeRunError):
    """A file, a name or an option cannot be used."""


class OutputError(AnimeRunError):
    """A folder or file cannot be written."""


class BlenderError(AnimeRunError):
    """Blender, or a part of it that is needed, is missing or ended unexpectedly."""


class ModelError(AnimeRunError):
    """A model cannot do what was asked: it failed, does not fit, or memory does not suffice."""


class WorkerError(ModelError):
    """The process that runs models could not be started, died, hung, or spoke nonsense. The next request starts one."""


class ModelTimeoutError(ModelError):
    """A model took longer than the caller was willing to wait."""


class Cancelled(Exception):  # noqa: N818 - it is no error: the user asked for it
    """The user stopped the work."""


def blenders_words(error: RuntimeError) -> str:
    """What a failed operator said, without its prefix, in one line."""
    return str(error).strip().partition("\n")[0].removeprefix("Error: ")
