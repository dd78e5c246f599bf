# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a model before it is loaded: what it takes and gives, what its authors allow, where its weights are.

How this stands in a TOML file is model_file.py's; which models there are is catalog.py's.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError


class Task(enum.StrEnum):
    """What a model is for."""

    FLOW = "flow"
    INTERPOLATION = "interpolation"


class Kind(enum.StrEnum):
    """What goes into a model, or comes out of it."""

    FRAME = "frame"
    FLOW = "flow"
    TIME = "time"  # between two frames, 0 to 1
    MAP = "map"  # numbers for each pixel, passed on as they are


class Channels(enum.StrEnum):
    """The order in which a model has a frame's colours."""

    RGB = "RGB"
    BGR = "BGR"


class Format(enum.StrEnum):
    """How a file of weights is made up."""

    TORCH = "torch"
    SAFETENSORS = "safetensors"
    TORCHSCRIPT = "torchscript"  # this one and the next hold their network as well
    EXPORT = "torch.export"


class Gpu(enum.StrEnum):
    """What a graphics card is to a model."""

    UNUSED = "unused"
    RECOMMENDED = "recommended"
    REQUIRED = "required"


class Host(enum.StrEnum):
    """Where a file of weights is, and how it is had from there."""

    URL = "url"
    DRIVE = "drive"  # Google's, by the file's id
    DROPBOX = "dropbox"  # by the path of its shared link
    PATH = "path"  # on this machine: used where it is
    HAND = "hand"  # from a web page, by the user


class DigestKind(enum.StrEnum):
    """How a file is known to be the right one."""

    SHA256 = "sha256"
    SHA256_PREFIX = "sha256_prefix"  # its first digits, as torchvision puts them into file names
    GIT_BLOB = "git_blob"


@dataclass(frozen=True)
class Port:
    """An input or an output, by the name under which scripts and commands know it."""

    name: str
    kind: Kind
    channels: Channels = Channels.RGB  # of frames
    black: float = 0.0  # of frames: the model's numbers for what is 0 and 255 in ours
    white: float = 255.0
    pixels: float = 1.0  # of flow: how many pixels the model's 1 is


@dataclass(frozen=True)
class Ports:
    """Which inputs and outputs models for a task have, and may have beside these."""

    inputs: Mapping[str, Kind]
    outputs: Mapping[str, Kind]
    more_inputs: Mapping[str, Kind] = field(default_factory=dict)
    more_outputs: Mapping[str, Kind] = field(default_factory=dict)


PORTS = {
    Task.FLOW: Ports(
        {"first": Kind.FRAME, "second": Kind.FRAME}, {"forward": Kind.FLOW}, more_outputs={"backward": Kind.FLOW}
    ),
    Task.INTERPOLATION: Ports(
        {"first": Kind.FRAME, "second": Kind.FRAME},
        {"middle": Kind.FRAME},
        more_inputs={
            "before": Kind.FRAME,  # the frame before the first
            "after": Kind.FRAME,  # and the one after the second
            "time": Kind.TIME,
            "forward": Kind.FLOW,
            "backward": Kind.FLOW,
        },
        more_outputs={"forward": Kind.FLOW, "backward": Kind.FLOW},
    ),
}


@dataclass(frozen=True)
class Network:
    """A class of networks/, as worker.py takes it, and its arguments."""

    name: str  # "raft.Raft"
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A file that brings its own network; frames are padded to multiples of `side_step`, and `least_side` or more."""

    side_step: int = 1
    least_side: int = 1
    is_trusted: bool = False  # may run whatever is in the file, as torch.export needs it


@dataclass(frozen=True)
class Signature:
    """What a program takes and gives, as the model process is told."""

    form: Format
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    side_step: int = 1
    least_side: int = 1

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Signature:
        """From plain numbers, texts and lists."""
        ports = {
            key: tuple(
                Port(**{**port, "kind": Kind(port["kind"]), "channels": Channels(port["channels"])})
                for port in plain[key]
            )
            for key in ("inputs", "outputs")
        }
        return cls(Format(plain["form"]), **ports, side_step=plain["side_step"], least_side=plain["least_side"])

    def plain(self) -> dict[str, Any]:
        """As plain numbers, texts and lists."""
        return asdict(self)


@dataclass(frozen=True)
class Classical:
    """An algorithm without weights."""

    method: str


@dataclass(frozen=True)
class Licence:
    """What the authors allow."""

    name: str
    url: str = ""
    note: str = ""  # what somebody has to know who does not read it

    def __str__(self) -> str:
        return f"{self.name}{f' ({self.url})' if self.url else ''}{f': {self.note}' if self.note else ''}"


@dataclass(frozen=True)
class Hardware:
    """What a model wants."""

    gpu: Gpu
    parameters: int | None = None
    memory_mb: int | None = None  # for two frames of 1024 x 436


@dataclass(frozen=True)
class Digest:
    """The fingerprint of the right file, hexadecimal."""

    kind: DigestKind
    value: str


@dataclass(frozen=True)
class Weights:
    """One file of weights. `address` is a URL, an id, a shared path or a path, as its host has it."""

    name: str
    file: str  # what it is called in the cache
    format: Format
    host: Host
    address: str
    about: str = ""
    page: str = ""  # where people can fetch it
    size: int | None = None
    digest: Digest | None = None
    key_prefix: str = ""  # before the names of its tensors
    scale: float = 1.0  # the size at which its makers have it look at frames


@dataclass(frozen=True)
class Model:
    """One entry of the catalog."""

    name: str
    title: str
    task: Task
    runs: Network | Program | Classical
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    licence: Licence
    hardware: Hardware
    source: Path
    about: str = ""
    citation: str = ""
    weights: tuple[Weights, ...] = ()

    def weights_named(self, name: str | None = None) -> Weights:
        """A file of weights; without a name the first."""
        if not self.weights:
            raise InputError(f"'{self.name}' has no weights and needs none")
        return self.weights[0] if name is None else named(self.weights, name, f"weights of '{self.name}'")


Named = TypeVar("Named", Model, Weights)


def named(choices: Iterable[Named], name: str, what: str) -> Named:
    """The one of that name, or an error that lists the others."""
    by_name = {choice.name: choice for choice in choices}
    if name not in by_name:
        raise InputError(f"There are no {what} '{name}'{hint(name, by_name)}")
    return by_name[name]


def hint(name: str, known: Iterable[str]) -> str:
    """What was perhaps meant, for the end of an error."""
    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    return f": did you mean '{close[0]}'?" if close else f": there are {', '.join(sorted(names)) or 'none'}"
