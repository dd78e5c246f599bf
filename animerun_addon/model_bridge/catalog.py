# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models there are: ours, one TOML file each in models/, and those that users describe in a folder of their own.

What a file may say is model_file.py's; whether its weights are here is weights.py's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .model_entry import Model, Network, Task, Weights, named
from .model_file import read_model

OURS = Path(__file__).with_name("models")


@dataclass(frozen=True)
class Catalog:
    """All models, ours first. A user's file that cannot be used is one of the `problems`; the others can."""

    models: tuple[Model, ...]
    problems: tuple[str, ...] = ()

    def model(self, name: str) -> Model:
        """The model of that name."""
        try:
            return named(self.models, name, "models")
        except InputError as error:
            if not self.problems:
                raise
            raise InputError(f"{error}. Not read: {'; '.join(self.problems)}") from error

    def for_task(self, task: Task) -> tuple[Model, ...]:
        """Those that do one thing."""
        return tuple(model for model in self.models if model.task is task)

    def weights(self, words: str) -> tuple[Model, Weights]:
        """What `gma/things` names; of `gma` alone its first weights."""
        model_name, slash, weights_name = words.partition("/")
        model = self.model(model_name)
        return model, model.weights_named(weights_name if slash else None)


def read_catalog(own_folder: Path | None = None) -> Catalog:
    """Our models, and those of `own_folder` if it is there."""
    models = [read_model(path) for path in sorted(OURS.glob("*.toml"))]
    networks = {model.runs.name for model in models if isinstance(model.runs, Network)}
    problems: list[str] = []
    for path in _own_files(own_folder):
        try:
            models.append(_unlike(models, read_model(path, networks)))
        except InputError as error:
            problems.append(str(error))
    return Catalog(tuple(models), tuple(problems))


def _own_files(folder: Path | None) -> Iterable[Path]:
    if folder is None or not folder.is_dir():
        return ()
    return sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))


def _unlike(models: list[Model], new: Model) -> Model:
    for model in models:
        if model.name == new.name:
            raise InputError(f"'{new.source}': name is '{new.name}', as in '{model.source}': choose another")
    return new
