# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a folder. One that is not there is empty; hidden files, half-written ones among them, are not seen."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError


def files_in(folder: Path, suffix: str) -> dict[str, Path]:
    """Files by stem, sorted by name."""
    return {Path(name).stem: folder / name for name in names_in(folder) if name.endswith(suffix)}


def folders_in(folder: Path) -> list[str]:
    """Names of folders, sorted."""
    return [name for name in names_in(folder) if (folder / name).is_dir()]


def names_in(folder: Path) -> list[str]:
    """All names in it, sorted."""
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"Cannot read '{folder}': {error.strerror or error}") from error
