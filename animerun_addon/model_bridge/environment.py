# SPDX-License-Identifier: GPL-3.0-or-later
"""The private folder with PyTorch and what networks need beside it: installed, looked at, removed as a whole.

How pip is run is pip_install.py's; a user's own Python is existing_python.py's. The caller says where the folder is.
"""

from __future__ import annotations

import contextlib
import datetime
import enum
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import InputError, OutputError
from ..output import alone_in, writable_folder, write_text
from ..progress import Steps, as_part
from .existing_python import PythonFacts, ask_steps, lacks
from .large_folder import delete_elsewhere, delete_steps, leftovers_steps, size_steps
from .pip_install import Places, Plan, pip_steps
from .python_probe import MODULES
from .scratch import delete
from .worker_python import Build, WorkerPython, this_build

# Within the folder: what pip makes, and what is known about it. Both are there, or the folder is not.
_PACKAGES, _RECORD = "packages", "environment.json"
_GB = 10**9


class State(enum.Enum):
    """Whether the networks can run with it."""

    MISSING = enum.auto()
    HALF = enum.auto()  # begun and not finished
    DAMAGED = enum.auto()
    OTHER_PYTHON = enum.auto()
    OTHER_MACHINE = enum.auto()
    WHOLE = enum.auto()


@dataclass(frozen=True)
class Record:
    """What was installed; stands in the folder. `program` is the Python that it was installed with."""

    build: Build
    program: str
    variant: str
    versions: Mapping[str, str]
    devices: tuple[str, ...]
    size_bytes: int
    made_at: str


@dataclass(frozen=True)
class Environment:
    """The folder as it stands; `python` runs the models if it is whole, `remedy` says what to do if it is not."""

    state: State
    remedy: str = ""
    record: Record | None = None
    python: WorkerPython | None = None


def inspect(folder: Path, program: Path | None = None, build: Build | None = None) -> Environment:
    """What is in the folder. Fast, starts nothing. `program` and its build: the Python to run, this one unless told.

    The Python it was installed with serves as well, as long as it is there: that of a Blender before an upgrade.
    """
    if _is_free(folder):
        return _not_there(folder)
    record = _read_record(folder)
    if record is None or not all((folder / _PACKAGES / module).is_dir() for module in MODULES.values()):
        words = f"'{folder}' is damaged: remove it and install PyTorch again"
        return Environment(State.DAMAGED, words if _is_ours(folder) else _something_else(folder), record)
    build = build or this_build()
    if (record.build.system, record.build.machine) != (build.system, build.machine):
        words = f"It was made for {record.build}, this is {build}: install again"
        return Environment(State.OTHER_MACHINE, words, record)
    if record.build.python != build.python:
        program = Path(record.program)
        if not program.is_file():
            words = (
                f"It was made for Python {record.build.version}, which is gone ({record.program}); this is "
                f"Python {build.version}: install again, or use an existing Python"
            )
            return Environment(State.OTHER_PYTHON, words, record)
    python = WorkerPython(program or Path(sys.executable), (folder / _PACKAGES,))
    return Environment(State.WHOLE, record=record, python=python)


def install_steps(folder: Path, program: Path, plan: Plan, *, online: bool) -> Steps[Environment]:
    """Install what the networks need, for this Python, in the place of what is there.

    All is made beside and renamed at the end. After a cancel or an error what was there still is, and what was
    downloaded is kept for the next time. `online`: whether the user allows that at all.
    """
    _refuse_unfit(folder, plan, online=online)
    home = writable_folder(folder.parent)
    with alone_in(home, folder.name):
        _refuse_without_room(home, plan)
        facts = yield from ask_steps(WorkerPython(program), packages=False)
        yield from leftovers_steps(_work(folder))
        with _made_beside(folder, program) as places:
            yield from as_part(pip_steps(WorkerPython(program), plan, places), 0.0, 0.94)
            yield from as_part(_finish_steps(program, facts, plan, places), 0.94, 0.05)
            _put_in_place(places.work, folder)
        for rest in (_old(folder), places.cache):
            yield from as_part(leftovers_steps(rest), 0.99, 0.0)
    return inspect(folder, program, facts.build)


def remove_steps(folder: Path) -> Steps[None]:
    """Delete the folder, and what is left of installations that were not finished."""
    if not (_is_free(folder) or _is_ours(folder)):
        raise InputError(f"{_something_else(folder)}. Nothing was deleted")
    if not folder.parent.is_dir():
        return
    with alone_in(folder.parent, folder.name):
        _move_away(folder)  # at once: half of it would be worse than all or none
        for rest in (_old(folder), _work(folder), _cache(folder)):
            yield from leftovers_steps(rest)


def _not_there(folder: Path) -> Environment:
    if _work(folder).exists() or _cache(folder).exists():
        words = "An installation was not finished: install again, which goes on with what was downloaded, or remove it"
        return Environment(State.HALF, words)
    return Environment(State.MISSING, "PyTorch is not installed: install it, or use an existing Python")


def _refuse_unfit(folder: Path, plan: Plan, *, online: bool) -> None:
    if plan.needs_network and not online:
        raise InputError(
            "Blender is not allowed online: allow it in Preferences > System > Network (in a shell: "
            "blender --online-mode), or install from a folder of wheels"
        )
    if plan.wheels is not None and not any(plan.wheels.glob("*.whl")):
        raise InputError(f"There are no wheels (*.whl) in '{plan.wheels}': choose the folder that they are in")
    if os.pathsep in str(folder.absolute()):
        raise InputError(f"Python cannot find packages in '{folder}', because of the '{os.pathsep}': choose another")
    if not (_is_free(folder) or _is_ours(folder)):
        raise InputError(_something_else(folder))


def _refuse_without_room(home: Path, plan: Plan) -> None:
    free = shutil.disk_usage(home).free
    if free < plan.needed_bytes:
        raise OutputError(
            f"PyTorch needs about {plan.needed_bytes / _GB:.1f} GB while it is installed, and '{home}' has "
            f"{free / _GB:.1f} GB left: free some space, or choose another variant"
        )


@contextlib.contextmanager
def _made_beside(folder: Path, program: Path) -> Iterator[Places]:
    """A folder to work in, which is gone afterwards if it was not renamed."""
    work = _work(folder)
    places = Places(work, work / _PACKAGES, _cache(folder))
    try:
        for each in (work, places.packages, places.temporary, places.cache):
            each.mkdir(exist_ok=True)
        yield places
    except OSError as error:
        raise OutputError(f"Cannot write '{work}': {error.strerror or error}; choose another folder") from error
    finally:
        if work.exists():
            delete_elsewhere(work, program)
        if places.cache.is_dir() and not any(places.cache.iterdir()):
            delete(places.cache)


def _finish_steps(program: Path, asked: PythonFacts, plan: Plan, places: Places) -> Steps[None]:
    """Prove that everything loads, note what it is, and take pip's own things away."""
    facts = yield from ask_steps(WorkerPython(program, (places.packages,)), packages=True)
    wrong = lacks(facts)
    if wrong:
        raise OutputError(f"What was installed cannot run the models: {'; '.join(wrong)}. {_why(wrong)}")
    yield from delete_steps(places.temporary)
    delete(places.work / "pip")
    for log in places.work.glob("pip_*.txt"):
        log.unlink()
    size_bytes = yield from size_steps(places.packages)
    record = Record(
        asked.build, _lasting(program), plan.variant.name, facts.versions, facts.devices, size_bytes, _now()
    )
    write_text(places.work / _RECORD, json.dumps(asdict(record), indent=2) + "\n")


def _why(wrong: list[str]) -> str:
    if any("WinError 126" in each or "WinError 1114" in each for each in wrong):
        return "Install Microsoft's Visual C++ Redistributable, and install again"
    return "Choose another variant, or use an existing Python"


def _put_in_place(work: Path, folder: Path) -> None:
    """Give the folder its name; what had it before is moved away, and back if that fails."""
    _move_away(folder)
    try:
        work.rename(folder)
    except OSError:
        if _old(folder).exists():
            _old(folder).rename(folder)
        raise


def _move_away(folder: Path) -> None:
    delete(_old(folder))
    if not folder.exists():
        return
    try:
        folder.rename(_old(folder))
    except OSError as error:
        raise OutputError(
            f"'{folder}' is in use ({error.strerror or error}): end what uses it, which may be another Blender, "
            "and try again"
        ) from error


def _work(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.part")


def _cache(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.cache")


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _is_free(folder: Path) -> bool:
    """Nothing is there, or an empty folder."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _is_ours(folder: Path) -> bool:
    """Whether it may be replaced and deleted: it was made here."""
    return (folder / _RECORD).is_file()


def _something_else(folder: Path) -> str:
    return f"'{folder}' holds something else: choose another folder, or empty it"


def _read_record(folder: Path) -> Record | None:
    try:
        told = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        return Record(**{**told, "build": Build(**told["build"]), "devices": tuple(told["devices"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lasting(program: Path) -> str:
    """Its own place: a link such as `python3` leads to another version after an upgrade."""
    return str(program.resolve())


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
