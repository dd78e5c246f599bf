# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of downloaded and chosen weights, which all Blender versions of a user share: whole, checked files only.

How a file comes over the line is download.py's, how it gets into a network networks/checkpoint.py's.
"""

from __future__ import annotations

import datetime
import enum
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, OutputError
from ..output import alone_in, whole_file, writable_folder, write_text
from ..progress import Progress, Steps, as_part
from .download import Errand, Patience, discard, download_steps
from .file_checks import Fingerprint, fingerprint_steps, objection
from .model_entry import Host, Model, Weights

_COPY_BYTES = 1 << 20
# The share of a download that is not checking.
_BRINGING = 0.95


def user_folder() -> Path:
    """Where this user's models are: `weights`, and `models` with TOML files. ANIMERUN_MODELS names another place."""
    chosen = os.environ.get("ANIMERUN_MODELS")
    if chosen:
        return Path(chosen).expanduser().absolute()
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "AnimeRun"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "AnimeRun"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "animerun"


@dataclass(frozen=True)
class Hosts:
    """Where files are had that the catalog names by id or path alone."""

    drive: str = "https://drive.google.com/uc?export=download&id="
    dropbox: str = "https://www.dropbox.com/"


@dataclass(frozen=True)
class Origin:
    """How a file came here; stands beside it."""

    source: str
    came_at: str
    size: int
    sha256: str


class State(enum.StrEnum):
    """What checking a file says."""

    RIGHT = "is the official file"
    UNCHANGED = "unchanged since it came; no official fingerprint is known"
    UNKNOWN = "readable; nothing is known that it could be compared with"
    WRONG = "wrong"
    MISSING = "missing"


class Verdict(NamedTuple):
    """On one file."""

    model: Model
    weights: Weights
    state: State
    why: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it can be used."""
        return self.state not in (State.WRONG, State.MISSING)


@dataclass(frozen=True)
class Cache:
    """A folder of weights, one folder a model."""

    folder: Path = field(default_factory=lambda: user_folder() / "weights")
    hosts: Hosts = field(default_factory=Hosts)
    patience: Patience = field(default_factory=Patience)

    def path(self, model: Model, weights: Weights) -> Path:
        """Where a file is, or will be."""
        return Path(weights.address) if weights.host is Host.PATH else self.folder / model.name / weights.file

    def has(self, model: Model, weights: Weights) -> bool:
        """Whether it is there."""
        return self.path(model, weights).is_file()

    def origin(self, model: Model, weights: Weights) -> Origin | None:
        """How it came here, if that is known."""
        try:
            return Origin(**json.loads(_origin_file(self.path(model, weights)).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def has_accepted(self, model: Model) -> bool:
        """Whether the user has agreed to the licence, as it stands in the catalog now."""
        try:
            agreed = json.loads(self._licence_file(model).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(agreed, dict) and agreed.get("licence") == str(model.licence)

    def accept(self, model: Model) -> None:
        """The user has read the licence and agrees."""
        writable_folder(self.folder)
        agreed = {"licence": str(model.licence), "accepted_at": _now()}
        try:
            write_text(self._licence_file(model), json.dumps(agreed, indent=2) + "\n")
        except OutputError:
            if not self.has_accepted(model):  # by another process, at the same moment
                raise

    def get_steps(self, model: Model, weights: Weights, *, online: bool) -> Steps[Path]:
        """The file's path, after a download if it is not there. `online`: whether the user allows that at all."""
        path = self.path(model, weights)
        if path.is_file():
            return path
        self._check_may_download(model, weights, online=online)
        folder = writable_folder(path.parent)
        with alone_in(folder, path.name):
            if not path.is_file():  # the process that had the lock before us may have brought it
                yield from self._bring_steps(model, weights, path)
        return path

    def import_steps(self, model: Model, weights: Weights, source: Path, *, link: bool = False) -> Steps[Path]:
        """Put a file of the user's into the cache, as a copy or as a link to where it is."""
        path = self.path(model, weights)
        if weights.host is Host.PATH:
            raise InputError(f"'{model.source}' says that '{weights.file}' is used from '{path}': change path there")
        if not source.is_file():
            raise InputError(f"There is no file '{source}': choose one that is there")
        folder = writable_folder(path.parent)
        with alone_in(folder, path.name), whole_file(path) as beside:
            if link:
                _link(beside, source.resolve())
            else:
                yield from as_part(_copy_steps(source, beside), 0.0, 0.5)
            fingerprint = yield from as_part(fingerprint_steps(beside), 0.5, 0.5)
            wrong = objection(weights, beside, fingerprint)
            if wrong is not None:
                raise InputError(
                    f"'{source}' is not the '{weights.name}' weights of {model.title}: {wrong}. "
                    "For weights of your own write a TOML file of your own: see docs/models.md"
                )
            _write_origin(path, str(source.resolve()), fingerprint)
        return path

    def verify_steps(self, files: Iterable[tuple[Model, Weights]]) -> Steps[list[Verdict]]:
        """Read every file and say whether it is what it should be."""
        verdicts: list[Verdict] = []
        todo = list(files)
        for number, (model, weights) in enumerate(todo):
            if not self.has(model, weights):
                verdicts.append(Verdict(model, weights, State.MISSING))
                continue
            steps = fingerprint_steps(self.path(model, weights))
            fingerprint = yield from as_part(steps, number / len(todo), 1 / len(todo))
            verdicts.append(self._verdict(model, weights, fingerprint))
        return verdicts

    def _verdict(self, model: Model, weights: Weights, found: Fingerprint) -> Verdict:
        path = self.path(model, weights)
        wrong = objection(weights, path, found)
        if wrong is not None:
            return Verdict(model, weights, State.WRONG, f"{wrong}: delete '{path}' and get it again")
        if weights.digest is not None:
            return Verdict(model, weights, State.RIGHT)
        origin = self.origin(model, weights)
        if origin is None:
            return Verdict(model, weights, State.UNKNOWN)
        if origin.sha256 != found.sha256:
            why = f"it has changed since it came from '{origin.source}': delete '{path}' and get it again"
            return Verdict(model, weights, State.WRONG, why)
        return Verdict(model, weights, State.UNCHANGED)

    def _check_may_download(self, model: Model, weights: Weights, *, online: bool) -> None:
        by_hand = _by_hand(model, weights)
        if weights.host is Host.PATH:
            raise InputError(f"There is no file '{weights.address}': put it there, or change path in '{model.source}'")
        if weights.host is Host.HAND:
            raise InputError(f"The weights of {model.title} are not for download by programs: {by_hand}")
        if not online:
            raise InputError(
                f"'{weights.file}' is not here, and Blender is not allowed online: allow it in Preferences > System > "
                f"Network (in a shell: blender --online-mode), or {by_hand}"
            )
        if not self.has_accepted(model):
            raise InputError(
                f"The weights of {model.title} are under {model.licence}. Read that; if you agree: "
                f"animerun weights get {model.name}/{weights.name} --accept-licence"
            )

    def _bring_steps(self, model: Model, weights: Weights, path: Path) -> Steps[None]:
        part = path.with_name(f".{path.name}.part")
        errand = self._errand(weights)
        for is_last in (False, True):
            try:
                went_on = yield from as_part(download_steps(errand, part, self.patience), 0.0, _BRINGING, path.name)
            except InputError as error:
                raise InputError(f"{error}; or {_by_hand(model, weights)}") from error
            fingerprint = yield from as_part(fingerprint_steps(part), _BRINGING, 1.0 - _BRINGING)
            wrong = objection(weights, part, fingerprint)
            if wrong is None:
                break
            discard(part)
            # What was put together of two downloads may be of two files: once more, in one go.
            if is_last or not went_on:
                raise InputError(f"'{errand.url}' is not the right file: {wrong}. Or {_by_hand(model, weights)}")
        _write_origin(path, errand.url, fingerprint)
        try:
            part.replace(path)
        except OSError as error:
            raise OutputError(f"Cannot write '{path}': {error.strerror or error}; choose another folder") from error
        discard(part)

    def _errand(self, weights: Weights) -> Errand:
        if weights.host is Host.DRIVE:
            return Errand(f"{self.hosts.drive}{weights.address}", weights.size, asks_first=True)
        if weights.host is Host.DROPBOX:
            parts = [part for part in weights.address.partition("?")[2].split("&") if part and part[:3] != "dl="]
            query = "&".join([*parts, "dl=1"])
            return Errand(f"{self.hosts.dropbox}{weights.address.partition('?')[0]}?{query}", weights.size)
        return Errand(weights.address, weights.size)

    def _licence_file(self, model: Model) -> Path:
        return self.folder / f"{model.name}.licence.json"


def _by_hand(model: Model, weights: Weights) -> str:
    where = f"from {weights.page} " if weights.page else ""
    return (
        f"fetch '{weights.file}' {where}in a browser and choose the file "
        f"(animerun weights import {model.name}/{weights.name} FILE)"
    )


def _copy_steps(source: Path, target: Path) -> Steps[None]:
    try:
        size = source.stat().st_size
        original = source.open("rb")
    except OSError as error:
        raise InputError(f"'{source}' cannot be read ({error.strerror or error}): make it readable") from error
    with original, target.open("wb") as copy:
        while chunk := original.read(_COPY_BYTES):
            copy.write(chunk)
            yield Progress(original.tell(), size, f"Copying {source.name}")


def _link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    try:
        path.symlink_to(target)
    except (OSError, NotImplementedError) as error:
        raise OutputError(f"'{target}' cannot be linked to ({error}): import it as a copy") from error


def _origin_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.origin.json")


def _write_origin(path: Path, source: str, fingerprint: Fingerprint) -> None:
    origin = Origin(source, _now(), fingerprint.size, fingerprint.sha256)
    write_text(_origin_file(path), json.dumps(asdict(origin), indent=2) + "\n")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
