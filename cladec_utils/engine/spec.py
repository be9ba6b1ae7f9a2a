"""Specs: small frozen descriptions that name every trained or measured thing, and their hash.

A spec holds everything its result depends on, down to the checksum of the data, and nothing else;
its content hash is the artifact's name in the store. Specs nest: a ClaDec decoder's spec holds its
classifier's, which holds its data's.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:  # specs name things; most who do so need no torch
    from torch import Tensor

RECIPE = 3
"""Raise this when the training or evaluation procedure changes, so that old artifacts are not reused."""


@dataclass
class Made:
    """What making an artifact gives: tensors to keep, headline numbers, learning curves."""

    tensors: "dict[str, Tensor]"
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """Base of all specs. `kind` begins the artifact's name."""

    kind: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The spec as nested dictionaries, the kind and the recipe's version included."""
        fields = {
            f.name: _plain(getattr(self, f.name))
            for f in dataclasses.fields(self)
            if f.metadata.get("hashed", True)
            and not (f.metadata.get("optional") and getattr(self, f.name) is None)
        }
        return {"kind": self.kind, **fields}

    @property
    def hash(self) -> str:
        """The first 16 hex digits of the sha256 of the spec's canonical JSON."""
        text = json.dumps({"recipe": RECIPE, **self.to_json()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The artifact's name: kind and hash."""
        return f"{self.kind}-{self.hash}"

    @property
    def portable(self) -> bool:
        """Whether other processes can make it; a module of the user's exists in this one only."""
        return True

    def needs(self) -> tuple["Spec", ...]:
        """The specs whose artifacts are loaded to make this one."""
        return ()

    def label(self) -> str:
        """A short description for progress lines."""
        return self.name

    def make(self, progress: bool) -> Made:
        """Train or measure what this describes; the same spec gives the same bits. `progress` shows bars.
        Call `store.get`, which does it once and keeps it. What is only a part of others has none."""
        raise NotImplementedError(f"{type(self).__name__} is a part of other specs and not made itself")


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


def closure(specs: list[Spec]) -> Iterator[Spec]:
    """All `specs` and what they need, each once, needs before what needs them."""
    done: set[Spec] = set()

    def visit(spec: Spec) -> Iterator[Spec]:
        if spec not in done:
            done.add(spec)
            for need in spec.needs():
                yield from visit(need)
            yield spec

    for spec in specs:
        yield from visit(spec)
