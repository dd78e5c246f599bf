# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a model's TOML file. What is wrong in it is told by file, key and remedy: people write these by hand.

What the entries mean is model_entry.py's.
"""

from __future__ import annotations

import enum
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..errors import InputError
from .model_entry import (
    PORTS,
    Channels,
    Classical,
    Digest,
    DigestKind,
    Format,
    Gpu,
    Hardware,
    Host,
    Kind,
    Licence,
    Model,
    Network,
    Port,
    Program,
    Task,
    Weights,
    hint,
)

METHODS = ("dis",)

_MOST_BYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,119}(?<![. ])")
# What Windows takes for devices, whatever follows the dot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_DIGITS = {DigestKind.SHA256: (64, 64), DigestKind.SHA256_PREFIX: (8, 63), DigestKind.GIT_BLOB: (40, 40)}
_PROGRAMS = (Format.TORCHSCRIPT, Format.EXPORT)

Choice = TypeVar("Choice", bound=enum.StrEnum)


def read_model(path: Path, networks: Collection[str] | None = None) -> Model:
    """The model that a file describes. `networks` are those that it may name: any, unless told."""
    return _model(_Table(path, "", _read(path)), path, networks)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise InputError(f"'{path}' is larger than any description of a model: move it elsewhere")
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise InputError(
            f"'{path}' cannot be read ({error.strerror or error}): make it readable, or remove it"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not in UTF-8: save it as such") from error
    except (
        tomllib.TOMLDecodeError,
        RecursionError,
        ValueError,
    ) as error:  # the last: dates and numbers beyond Python's
        raise InputError(f"'{path}' is not TOML ({error}): mend it there") from error


class _Table:
    """A table of the file, whose keys are taken one by one: what nobody took is a mistake in the file."""

    def __init__(self, path: Path, where: str, content: Mapping[str, Any]) -> None:
        self._path = path
        self._where = where
        self._content = content
        self._known: list[str] = []

    def wrong(self, key: str, what: str) -> NoReturn:
        """Say what is wrong with a key, and what to do."""
        raise InputError(f"'{self._path}': {self._where}{key} {what}")

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        self._known.append(key)
        return key in self._content

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty, in one line."""
        value = self._of(key, str, "text in quotes", default)
        if value != default and not value.strip():
            self.wrong(key, "is empty: fill it in, or leave the key out")
        return " ".join(value.split())

    def whole(self, key: str) -> int | None:
        """A whole number of at least 1, or nothing."""
        value: int | None = self._of(key, int, "a whole number", _NOTHING)
        if value is not None and value < 1:
            self.wrong(key, f"is {value}: give 1 or more")
        return value

    def number(self, key: str, default: float) -> float:
        """A number, not zero."""
        value = float(self._of(key, (int, float), "a number", default))
        if not abs(value) < float("inf") or value == 0.0:
            self.wrong(key, f"is {value}: give a number that is not 0")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false unless told."""
        value: bool = self._of(key, bool, "true or false", False)
        return value

    def choice(self, key: str, kind: type[Choice], default: Choice | None = None) -> Choice:
        """One of an enum's texts."""
        value = self.text(key, default)
        try:
            return kind(value)
        except ValueError:
            self.wrong(key, f"is '{value}'{hint(value, kind)}")

    def name(self, key: str, pattern: re.Pattern[str], wanted: str) -> str:
        """A text that is safe as the name of a file on every system."""
        value = self.text(key)
        if pattern.fullmatch(value) is None or _DEVICES.fullmatch(value) is not None:
            self.wrong(key, f"is '{value}': use {wanted}")
        return value

    def table(self, key: str) -> _Table:
        """A table within."""
        return _Table(
            self._path, f"{self._where}{key}.", self._of(key, dict, f"a table: write [{self._where}{key}]", None)
        )

    def tables(self, key: str) -> list[_Table]:
        """Tables within, perhaps none."""
        found = self._of(key, list, f"tables: write [[{key}]]", [])
        if not all(isinstance(each, dict) for each in found):
            self.wrong(key, f"has to be tables: write [[{key}]]")
        return [_Table(self._path, f"{key}[{number}].", each) for number, each in enumerate(found)]

    def content(self, key: str) -> dict[str, Any]:
        """A table whose keys are somebody else's, perhaps empty."""
        found: dict[str, Any] = self._of(key, dict, "a table", {})
        return found

    def pair(self, key: str, default: tuple[float, float]) -> tuple[float, float]:
        """Two different numbers."""
        given = self._of(key, list, "two numbers, such as [0.0, 1.0]", list(default))
        are_numbers = len(given) == 2 and all(type(each) in (int, float) for each in given)
        if not are_numbers or given[0] == given[1] or not abs(given[0] - given[1]) < float("inf"):
            self.wrong(key, "has to be two different numbers, such as [0.0, 1.0]")
        return float(given[0]), float(given[1])

    def finish(self) -> None:
        """Refuse what nobody asked for: often a key with a typo."""
        for key in self._content:
            if key not in self._known:
                self.wrong(key, f"is no key of ours{hint(key, self._known)}")

    def _of(self, key: str, kind: type | tuple[type, ...], called: str, default: Any) -> Any:
        if not self.has(key):
            if default is None:
                self.wrong(key, "is missing: add it")
            return None if default is _NOTHING else default
        value = self._content[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.wrong(key, f"has to be {called}")
        return value


_NOTHING = object()


def _model(table: _Table, path: Path, networks: Collection[str] | None) -> Model:
    task = table.choice("task", Task)
    runs = _runs(table, networks)
    inputs, outputs = _ports(table, task, runs)
    model = Model(
        name=table.name("name", _NAME, "up to 64 small letters, digits, - _ and ."),
        title=table.text("title"),
        task=task,
        runs=runs,
        inputs=inputs,
        outputs=outputs,
        licence=_licence(table.table("licence")),
        hardware=_hardware(table.table("hardware")) if table.has("hardware") else Hardware(Gpu.RECOMMENDED),
        source=path,
        about=table.text("about", ""),
        citation=table.text("citation", ""),
        weights=_all_weights(table, runs, path),
    )
    table.finish()
    return model


def _runs(table: _Table, networks: Collection[str] | None) -> Network | Program | Classical:
    given = [key for key in ("network", "program", "classical") if table.has(key)]
    if len(given) != 1:
        found = " and ".join(given) or "nothing"
        table.wrong("network", f"or program or classical has to be there, one of them, not {found}: see docs/models.md")
    inner = table.table(given[0])
    runs: Network | Program | Classical
    if given[0] == "network":
        runs = Network(_network_name(inner, networks), inner.content("arguments"))
    elif given[0] == "program":
        runs = Program(inner.whole("side_step") or 1, inner.whole("least_side") or 1, inner.flag("trusted"))
    else:
        runs = Classical(inner.text("method"))
        if runs.method not in METHODS:
            inner.wrong("method", f"is '{runs.method}'{hint(runs.method, METHODS)}")
    inner.finish()
    return runs


def _network_name(table: _Table, networks: Collection[str] | None) -> str:
    name = table.text("class")
    if networks is not None and name not in networks:
        table.wrong("class", f"is '{name}', which is no network of ours{hint(name, networks)}")
    return name


def _ports(table: _Table, task: Task, runs: Network | Program | Classical) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """A program's as declared; ours take and give what the task says, in our own units."""
    wanted = PORTS[task]
    if not isinstance(runs, Program):
        outputs = {**wanted.outputs, **wanted.more_outputs}
        return tuple(Port(*each) for each in wanted.inputs.items()), tuple(Port(*each) for each in outputs.items())
    known_inputs = {**wanted.inputs, **wanted.more_inputs}
    known_outputs = {**wanted.outputs, **wanted.more_outputs}
    inputs = _declared(table, "inputs", known_inputs, wanted.inputs, others=False)
    return inputs, _declared(table, "outputs", known_outputs, wanted.outputs, others=True)


def _declared(
    table: _Table, key: str, known: Mapping[str, Kind], needed: Mapping[str, Kind], *, others: bool
) -> tuple[Port, ...]:
    """Ports in the order in which the program has them. Others than the known may only be passed on."""
    ports: list[Port] = []
    for each in table.tables(key):
        name = each.name("name", _NAME, "small letters, digits, - _ and .")
        if name not in known and not others:
            each.wrong("name", f"is '{name}'{hint(name, known)}")
        if any(port.name == name for port in ports):
            each.wrong("name", f"is '{name}', as another one's: choose different names")
        ports.append(_port(each, name, known.get(name, Kind.MAP)))
        each.finish()
    for name in needed:
        if all(port.name != name for port in ports):
            table.wrong(key, f"has no {needed[name]} called '{name}': add [[{key}]] with name = \"{name}\"")
    return tuple(ports)


def _port(table: _Table, name: str, kind: Kind) -> Port:
    if kind is Kind.FLOW:
        return Port(name, kind, pixels=table.number("pixels", 1.0))
    if kind is not Kind.FRAME:
        return Port(name, kind)
    black, white = table.pair("range", (0.0, 255.0))
    return Port(name, kind, table.choice("channels", Channels, Channels.RGB), black, white)


def _licence(table: _Table) -> Licence:
    licence = Licence(table.text("name"), _web_address(table, "url"), table.text("note", ""))
    table.finish()
    return licence


def _hardware(table: _Table) -> Hardware:
    hardware = Hardware(table.choice("gpu", Gpu), table.whole("parameters"), table.whole("memory_mb"))
    table.finish()
    return hardware


def _all_weights(table: _Table, runs: Network | Program | Classical, path: Path) -> tuple[Weights, ...]:
    tables = table.tables("weights")
    if isinstance(runs, Classical) and tables:
        table.wrong("weights", "are of no use to a classical method: remove them")
    if not isinstance(runs, Classical) and not tables:
        table.wrong("weights", "are missing: add [[weights]]")
    weights: list[Weights] = []
    for each in tables:
        one = _weights(each, runs, path)
        for key in ("name", "file"):
            if any(getattr(other, key).lower() == getattr(one, key).lower() for other in weights):
                each.wrong(key, f"is '{getattr(one, key)}', as another one's: choose different ones")
        weights.append(one)
    return tuple(weights)


def _weights(table: _Table, runs: Network | Program | Classical, path: Path) -> Weights:
    kind = table.choice("format", Format)
    if (kind in _PROGRAMS) is not isinstance(runs, Program):
        right = "torchscript or torch.export" if isinstance(runs, Program) else "torch or safetensors"
        table.wrong("format", f"is '{kind}', of which this kind of model is not made: give {right}")
    host, address = _host(table, path)
    digest, scale = _digest(table), table.number("scale", 1.0)
    if scale < 0.0:
        table.wrong("scale", f"is {scale}: give the share of the frames' size, such as 0.5")
    if kind is Format.EXPORT:
        _check_trust(table, runs, host, digest)
    weights = Weights(
        name=table.name("name", _NAME, "small letters, digits, - _ and ."),
        file=table.name("file", _FILE_NAME, "a plain file name: letters, digits, - _ . and blanks"),
        format=kind,
        host=host,
        address=address,
        about=table.text("about", ""),
        page=_web_address(table, "page"),
        size=table.whole("size"),
        digest=digest,
        key_prefix=table.text("key_prefix", ""),
        scale=scale,
    )
    if kind is Format.SAFETENSORS and not weights.file.endswith(".safetensors"):
        table.wrong("file", f"is '{weights.file}': let it end in .safetensors, by which such files are known")
    table.finish()
    return weights


def _check_trust(table: _Table, runs: Network | Program | Classical, host: Host, digest: Digest | None) -> None:
    """Loading such a file runs what is in it: only the user can say that it may, and of which one."""
    if not isinstance(runs, Program) or not runs.is_trusted:
        table.wrong(
            "format",
            "is 'torch.export', and such files can run anything when they are loaded: if you trust its makers write "
            "trusted = true under [program], else have them make a TorchScript file",
        )
    if host is not Host.PATH and (digest is None or digest.kind is not DigestKind.SHA256):
        table.wrong("sha256", "is missing, and without it nobody knows whether this is the file that you trust: add it")


def _host(table: _Table, path: Path) -> tuple[Host, str]:
    """Where the file is to be had; a page alone means by hand."""
    given = [host for host in (Host.URL, Host.DRIVE, Host.DROPBOX, Host.PATH) if table.has(host)]
    if len(given) > 1:
        table.wrong(given[0], f"and {given[1]} are both there: keep one")
    if not given:
        if not table.has("page"):
            table.wrong(
                "url", "is missing: give url, drive, dropbox, path, or the page where people can fetch the file"
            )
        return Host.HAND, ""
    if given[0] is Host.URL:
        return Host.URL, _web_address(table, "url")
    address = table.text(given[0])
    if given[0] is Host.PATH:
        return Host.PATH, str(path.parent.absolute() / Path(address).expanduser())
    pattern, wanted = {
        Host.DRIVE: (r"[\w-]{10,100}", "the file's id, the long word in its link"),
        Host.DROPBOX: (
            r"(?:s|scl)/[\w./?=&%-]+",
            "what follows dropbox.com/ in its shared link, such as s/abc/file.pth",
        ),
    }[given[0]]
    if re.fullmatch(pattern, address, re.ASCII) is None:
        table.wrong(given[0], f"is '{address}': give {wanted}")
    return given[0], address


def _web_address(table: _Table, key: str) -> str:
    address = table.text(key, "")
    if address and re.fullmatch(r"https?://[^\s/]+\S*", address) is None:
        table.wrong(key, f"is '{address}': give a whole web address that begins with https://")
    return address


def _digest(table: _Table) -> Digest | None:
    given = [kind for kind in DigestKind if table.has(kind)]
    if not given:
        return None
    if len(given) > 1:
        table.wrong(given[0], f"and {given[1]} are both there: keep one")
    value = table.text(given[0]).lower()
    least, most = _DIGITS[given[0]]
    if re.fullmatch(f"[0-9a-f]{{{least},{most}}}", value) is None:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        table.wrong(given[0], f"is '{value}', {len(value)} characters: give its {wanted} hexadecimal digits")
    return Digest(given[0], value)
