# SPDX-License-Identifier: GPL-3.0-or-later
"""`animerun weights`: which models there are, and their weights: download, check, take a file. Needs no Blender."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..model_bridge.catalog import Catalog, read_catalog
from ..model_bridge.model_entry import Host, Model, Weights
from ..model_bridge.weights import Cache, user_folder
from ..terminal import No, Terminal
from . import AddCommand


def add_to(add: AddCommand) -> None:
    """The command and its options."""
    command = add("weights", _weights, "list models, download and check their weights, or take a file as such")
    command.add_argument(
        "action",
        choices=list(_ACTIONS),
        help="list the models; get weights from the web; verify those that are here; import NAME FILE: take a file",
    )
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="a model and one of its weights, such as gma/sintel; gma: its first"
    )
    command.add_argument("--accept-licence", action="store_true", help="you have read the models' licences and agree")
    command.add_argument("--link", action="store_true", help="import a link to the file instead of a copy of it")
    default = str(user_folder()).replace("%", "%%")
    command.add_argument(
        "--folder", type=Path, metavar="DIR", help=f"where weights and models of your own are (default: {default})"
    )


def _weights(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    folder = user_folder() if options.folder is None else options.folder.expanduser().absolute()
    catalog = read_catalog(folder / "models")
    return _ACTIONS[options.action](options, terminal, catalog, Cache(folder / "weights"))


def _list(options: argparse.Namespace, _terminal: Terminal, catalog: Catalog, cache: Cache) -> dict[str, Any]:
    models = [catalog.model(name) for name in options.names] or catalog.models
    show = _facts if options.json else _line
    listed = {model.name: show(model, cache) for model in models}
    return {"models": listed, "folder": str(cache.folder), "cannot be used": list(catalog.problems)}


def _get(options: argparse.Namespace, terminal: Terminal, catalog: Catalog, cache: Cache) -> dict[str, Any]:
    from ..pipeline.job import Job

    wanted = [catalog.weights(name) for name in _some(options.names)]
    files = {}
    for model, weights in wanted:
        if options.accept_licence:
            cache.accept(model)
        steps = cache.get_steps(model, weights, online=_may_go_online())
        files[_full_name(model, weights)] = str(Job("Download", steps).run(terminal.show))
    return {"files": files, "licences": {model.name: str(model.licence) for model, _ in wanted}}


def _verify(options: argparse.Namespace, terminal: Terminal, catalog: Catalog, cache: Cache) -> dict[str, Any]:
    from ..pipeline.job import Job

    wanted = [catalog.weights(name) for name in options.names] or [
        (model, weights) for model in catalog.models for weights in model.weights if cache.has(model, weights)
    ]
    verdicts = Job("Check", cache.verify_steps(wanted)).run(terminal.show)
    files = {
        _full_name(each.model, each.weights): f"{each.state}{f': {each.why}' if each.why else ''}" for each in verdicts
    }
    result = {"files": files}
    return result if all(each.is_good for each in verdicts) else No(result)


def _import(options: argparse.Namespace, terminal: Terminal, catalog: Catalog, cache: Cache) -> dict[str, Any]:
    from ..pipeline.job import Job

    if len(options.names) != 2:
        raise InputError("Say which weights and which file: animerun weights import gma/things FILE")
    name, file = options.names
    model, weights = catalog.weights(name)
    steps = cache.import_steps(model, weights, Path(file).expanduser().absolute(), link=options.link)
    return {"files": {_full_name(model, weights): str(Job("Import", steps).run(terminal.show))}}


_ACTIONS: dict[str, Callable[[argparse.Namespace, Terminal, Catalog, Cache], dict[str, Any]]] = {
    "list": _list,
    "get": _get,
    "verify": _verify,
    "import": _import,
}


def _some(names: list[str]) -> list[str]:
    if not names:
        raise InputError("Say which weights, such as gma/sintel: `animerun weights list` has them all")
    return names


def _full_name(model: Model, weights: Weights) -> str:
    return f"{model.name}/{weights.name}"


def _line(model: Model, cache: Cache) -> str:
    """A model for people."""
    had = ", ".join(f"{weights.name} ({_availability(model, weights, cache)})" for weights in model.weights)
    return f"{model.title}, {model.task}, {model.licence.name}; weights: {had or 'none needed'}"


def _availability(model: Model, weights: Weights, cache: Cache) -> str:
    if cache.has(model, weights):
        return "here"
    return {Host.HAND: "by hand", Host.PATH: "missing"}.get(weights.host, "to get")


def _facts(model: Model, cache: Cache) -> dict[str, Any]:
    """A model for programs."""
    return {
        "title": model.title,
        "task": model.task,
        "about": model.about,
        "inputs": [port.name for port in model.inputs],
        "outputs": [port.name for port in model.outputs],
        "licence": model.licence.name,
        "licence_url": model.licence.url,
        "licence_accepted": cache.has_accepted(model),
        "citation": model.citation,
        "gpu": model.hardware.gpu,
        "parameters": model.hardware.parameters,
        "memory_mb": model.hardware.memory_mb,
        "described_in": str(model.source),
        "weights": {
            weights.name: {
                "about": weights.about,
                "state": _availability(model, weights, cache),
                "file": str(cache.path(model, weights)),
                "format": weights.format,
                "page": weights.page,
            }
            for weights in model.weights
        },
    }


def _may_go_online() -> bool:
    """What Blender's preferences say, if this is Blender."""
    bpy = sys.modules.get("bpy")
    return bpy is None or bool(bpy.app.online_access)
