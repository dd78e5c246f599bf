# SPDX-License-Identifier: GPL-3.0-or-later
"""What a conversion did, and what it could not do, in an animator's words. It is kept with the scene, as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """One thing to be told of. `kind` is the ID type ("OBJECT", "MATERIAL", "SCENE"...), so that it can be selected."""

    kind: str
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} '{self.name}': {self.text}"


@dataclass
class Report:
    """Filled by the steps while they run."""

    changed: Counter[str] = field(default_factory=Counter)  # step: how many settings it changed
    left: dict[Finding, None] = field(default_factory=dict)  # what does not fit 2D or could not be changed; no doubles
    kept: dict[Finding, None] = field(default_factory=dict)  # what the user changed in between, and stays as it is
    gone: dict[Finding, None] = field(default_factory=dict)  # what was converted and no longer exists

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "changed": dict(self.changed),
            **{name: [list(finding) for finding in getattr(self, name)] for name in ("left", "kept", "gone")},
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Report:
        """Back again."""
        findings = {
            name: dict.fromkeys(Finding(*row) for row in plain.get(name, [])) for name in ("left", "kept", "gone")
        }
        return cls(Counter(plain.get("changed", {})), **findings)
