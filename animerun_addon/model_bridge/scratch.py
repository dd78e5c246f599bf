# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of temporary files that a client shares with its model process, and what becomes of it.

Its owner deletes it. Where the owner was killed its model process does; where both were, the next client.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

from ..errors import OutputError
from ..output import alone_in

PREFIX = "animerun_models_"
_OWNER = "owner"
# A folder may be this young and have no lock yet.
_NEW_S = 60.0


class Scratch:
    """A private folder that lasts as long as its owner is alive."""

    def __init__(self) -> None:
        sweep()
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        except OSError as error:
            raise OutputError(f"Cannot make a temporary folder: {error.strerror or error}; set TMPDIR") from error
        self._lock = contextlib.ExitStack()
        self._lock.enter_context(alone_in(self.folder, _OWNER))

    def folder_of(self, request_id: int) -> Path:
        """Where the files of a request lie, its own and its answer's."""
        return self.folder / str(request_id)

    def make_folder(self, request_id: int) -> Path:
        """For a request that is about to be written."""
        folder = self.folder_of(request_id)
        try:
            folder.mkdir(parents=True)  # should anybody have tidied up the temporary folder
        except OSError as error:
            raise OutputError(
                f"Cannot make '{folder}': {error.strerror or error}; free some space, or set TMPDIR"
            ) from error
        return folder

    def forget(self, request_id: int) -> None:
        """Delete the files of a request. What Windows does not let go yet goes with the folder."""
        delete(self.folder_of(request_id))

    def close(self) -> None:
        """Delete everything."""
        with contextlib.suppress(OSError):  # where the lock itself was deleted
            self._lock.close()
        delete(self.folder)


def delete(folder: Path) -> None:
    """As far as possible: this is done where nobody could act on an error."""
    shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Delete folders whose owners are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, OutputError):  # another user's, or one whose owner lives
            if time.time() - folder.stat().st_mtime > _NEW_S:
                with alone_in(folder, _OWNER):
                    pass
                delete(folder)
