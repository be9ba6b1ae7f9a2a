"""Results folders: what they are called, what they say of themselves, and which there are.

A folder is keyed by the data (name and the beginning of their checksum), the architecture, and by what
differs from what the profile chooses for these: two folders called `photos`, or an experiment with other
layers beside the study, never overwrite each other. What differs is also written down in it, in words.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cladec_utils.engine import paths
from cladec_utils.engine.store import write_text

CHOICES = "choices.json"
GENERAL = "no-study"
"""The folder of notebooks that belong to no study, such as the scorecard's."""
LONGEST = 60
"""Characters of a folder's name that say what differs; more than that become a checksum."""

Differs = Mapping[str, tuple[Any, Any]]
"""By name of a choice: what was chosen, and what the profile has."""


@dataclass(frozen=True)
class Folder:
    """A results folder, `results/<profile>/<name>`.

    `made_from` says as plain data what its contents depend on, `differs` what of that is not the profile's
    own choice: nothing for the study that a profile stands for, something for an experiment.
    """

    profile: str
    name: str
    made_from: Mapping[str, Any]
    differs: Differs = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where it lies."""
        return paths.results_dir(self.profile) / self.name

    def write(self, file: str, text: str) -> Path:
        """Write a text file below the folder, and what the folder is to `choices.json`."""
        path, said = self.path / CHOICES, self.path / file
        what = {"made_from": self.made_from, "differs": in_words(self.differs)}
        choices = json.dumps(what, indent=1, ensure_ascii=False) + "\n"
        if not path.is_file() or path.read_text("utf-8") != choices:
            write_text(path, choices)
        write_text(said, text)
        return said


class HasFolder(Protocol):
    """What results can be recorded of: studies, and whatever else has a folder."""

    @property
    def folder(self) -> Folder:
        """Where its results go."""


@dataclass(frozen=True)
class General:
    """What notebooks belong to that belong to no study; `differs` are choices of their own."""

    profile: str
    differs: Differs = field(default_factory=dict)

    @property
    def folder(self) -> Folder:
        """GENERAL, or with other choices than the usual ones a folder beside it."""
        chosen = {name: mine for name, (mine, _) in self.differs.items()}
        name = folder_name([GENERAL], self.differs)
        return Folder(self.profile, name, {"profile": self.profile, **chosen}, self.differs)


def of_scorecard(profile: str, these: Sequence[str] | None) -> General:
    """What the scorecard's notebook belongs to: the results folders that it is to read (None: see
    `evidence.belonging`) are a choice of its own."""
    return General(profile, {"folders": (list(these), None)} if these else {})


def differences(mine: Mapping[str, Any], usual: Mapping[str, Any]) -> Differs:
    """The choices of `mine` that are not as `usual` has them."""
    return {name: (value, usual[name]) for name, value in mine.items() if value != usual[name]}


def folder_name(parts: Sequence[str], differs: Differs) -> str:
    """The parts of a name, each fit for a file system, and what differs: in words, or if that is long, as a
    checksum."""
    chosen = {name: mine for name, (mine, _) in differs.items()}
    tail = "".join(f"-{name}_{_text(value, '+')}" for name, value in chosen.items())
    if len(tail) > LONGEST or _fit(tail) != tail:
        whole = json.dumps(chosen, sort_keys=True, default=vars)
        tail = f"-other-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
    return "-".join(_fit(part)[:60] for part in parts) + tail


def _fit(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text)


def _text(value: Any, between: str) -> str:
    if value is None:
        return "all"  # only neurons may be unnamed
    return between.join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def in_words(differs: Differs) -> dict[str, str]:
    """What differs, for people: `{"layers": "logits instead of block4, logits"}`."""
    return {
        name: f"{_text(mine, ', ')} instead of {_text(usual, ', ') or 'none'}"
        for name, (mine, usual) in differs.items()
    }


def known(profile: str, *patterns: str) -> dict[str, dict[str, Any] | None]:
    """The results folders of a profile that hold a file of one of the patterns, by name: what their
    `choices.json` says, or None for those of an earlier layout, which have none that can be read."""
    found: dict[str, dict[str, Any] | None] = {}
    for folder in sorted(paths.results_dir(profile).glob("*/")):
        if any(any(folder.glob(pattern)) for pattern in patterns):
            found[folder.name] = _read(folder / CHOICES)
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(path.read_text("utf-8"))
        return said if isinstance(said["differs"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
