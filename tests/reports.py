"""What a report gives to the kit, in one line each, and what must come of it (see `test_reports`)."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from cladec_utils.engine import tables
from cladec_utils.errors import CladecError
from cladec_utils.user_study.analysis.responses import open_generated
from cladec_utils.user_study.materials import settings


@dataclass(frozen=True)
class Says:
    """It is refused with a sentence that holds these words, a regular expression."""

    words: str


@dataclass(frozen=True)
class Notes:
    """It is taken, with a note that holds these words, a regular expression; `value` is what comes out."""

    words: str
    value: object = None


def check(given: Callable[[Path], object], outcome: object, folder: Path) -> None:
    """Hold what comes out of `given`, which may write to `folder`, against the outcome that a row states."""
    if isinstance(outcome, Says):
        with pytest.raises(CladecError, match=outcome.words):
            given(folder)
        return
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        found = given(folder)
    said = [str(note.message) for note in noted]
    if isinstance(outcome, Notes):
        assert any(re.search(outcome.words, note) for note in said), said
        outcome = outcome.value
    else:
        assert not said
    assert found == outcome and type(found) is type(outcome)


def read_back(folder: Path, value: object, kind: type = str) -> object:
    """What a cell of a CSV table is after writing and reading."""
    path = folder / "table.csv"
    path.write_text(pd.DataFrame({"name": [value], "n": [1]}).to_csv(index=False), "utf-8")
    return tables.read(path, {"name": kind, "n": int}, "a table")["name"].tolist()[0]


def read_text(folder: Path, text: str, **schema: type) -> object:
    """The rows of a CSV file that holds `text`."""
    path = folder / "table.csv"
    path.write_text(text, "utf-8")
    return tables.read(path, schema, "a table").to_dict("records")


def setting(folder: Path, content: bytes) -> str:
    """What a settings.json of these bytes says of the payment."""
    (folder / "settings.json").write_bytes(content)
    return settings.read(folder / "settings.json")["payment"]


def document(folder: Path, content: bytes) -> str:
    """The researcher's own words in a consent.md of these bytes."""
    (folder / "consent.md").write_bytes(content)
    return settings.own_documents(folder)["consent"]


def generated(folder: Path, mark: bytes) -> str:
    """The hash of a generated study whose files an editor has saved again."""
    (folder / "private").mkdir()
    (folder / "study.json").write_bytes(mark + b'{"hash": "0123"}')
    (folder / "private/key.json").write_bytes(mark + b'{"study_hash": "0123"}')
    return open_generated(folder).study["hash"]


def for_spreadsheets(folder: Path, text: str) -> tuple[bytes, str]:
    """How a table for people that holds `text` begins, and what is read back from it."""
    content = tables.for_people(pd.DataFrame({"text": [text]}))
    (folder / "table.csv").write_text(content, "utf-8", newline="")
    return (folder / "table.csv").read_bytes()[:3], tables.read(folder / "table.csv", {}, "")["text"][0]
