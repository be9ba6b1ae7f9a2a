"""CSV tables: written so that a spreadsheet reads them, read back as they were written, text as text."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from cladec_utils.engine.paths import read_text
from cladec_utils.errors import CladecError

csv.field_size_limit(2**31 - 1)  # a cell may be as long as it likes; usual are 131,072 characters
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf)", re.ASCII | re.IGNORECASE)
_WAY_OUT = (
    "If it was saved by another program, save it as UTF-8 CSV with commas between cells and points in "
    "numbers, or bring back the former file; else move it away and run again, which writes a new one."
)


def as_csv(table: pd.DataFrame) -> str:
    """A table as CSV; what has a lone carriage return is quoted, as `read` needs it."""
    text = table.to_csv(index=False)
    return table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC) if "\r" in text else text


def for_people(table: pd.DataFrame) -> str:
    """A table that people may open, as CSV, with the mark by which Excel knows UTF-8."""
    return "\ufeff" + as_csv(table)


@dataclass(frozen=True)
class Only:
    """What the cells of a column may be beside their type: a test, and the same in words."""

    fits: Callable[[Any], bool]
    words: str


def one_of(*values: Any) -> Only:
    """Only these values."""
    return Only(lambda value: value in values, f"one of {', '.join(map(repr, values))}")


def read(
    path: Path, schema: Mapping[str, type], what: str, only: Mapping[str, Only] = MappingProxyType({})
) -> pd.DataFrame:
    """The table at `path`, in which the columns of `schema` are str, int, float or bool, and others text.

    Nothing is guessed: a data set called `NA` or `001` keeps its name. What a spreadsheet makes of a table
    that it saves again is understood: TRUE, and empty lines at the end. `only` says what cells may be beside
    that, where the table has their column. Raises CladecError, which calls the
    file `what`, if a column is missing or there twice, or a cell is not what it may be.
    """
    try:
        header, rows = _cells(read_text(path, newline=""))
        if missing := [name for name in schema if name not in header]:
            raise ValueError(f"it has no column {missing[0]!r}, but {', '.join(map(repr, header))}")
        if twice := [name for name, count in Counter(header).items() if count > 1]:
            raise ValueError(f"it has the column {twice[0]!r} twice")
        if ragged := [i for i, row in enumerate(rows, 1) if len(row) != len(header)]:
            raise ValueError(f"row {ragged[0]} has not {len(header)} cells")
        cells = {name: [row[i] for row in rows] for i, name in enumerate(header)}
        found = {name: _column(name, cells[name], schema.get(name, str)) for name in header}
        for name, rule in only.items():
            _check(name, found.get(name, ()), rule)
        return pd.DataFrame(found)
    except OSError as error:
        raise CladecError(f"{path} cannot be read as {what}: {error.strerror}.") from error
    except (ValueError, csv.Error) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        raise CladecError(f"{path} is not {what}: {why}. {_WAY_OUT}") from error


def _cells(text: str) -> tuple[list[str], list[list[str]]]:
    """The cells of the first line and of all others, without empty lines at the end."""
    lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    while lines and not (any(lines[-1]) or len(lines[-1]) == 1):  # one empty cell is a row of one column
        lines.pop()
    if not lines:
        raise ValueError("it is empty")
    return lines[0], lines[1:]


def _column(name: str, cells: list[str], kind: type) -> pd.Series:
    found = []
    for i, cell in enumerate(cells, 1):
        try:
            found.append(_READ[kind](cell))
        except (ValueError, KeyError):
            raise ValueError(f"row {i}, column {name!r}: {_short(cell)!r} is not {_NAMES[kind]}") from None
    return pd.Series(found, dtype=kind)


def _check(name: str, values: Iterable[object], rule: Only) -> None:
    for i, value in enumerate(values, 1):
        if not rule.fits(value):
            raise ValueError(f"row {i}, column {name!r}: {_short(str(value))!r} is not {rule.words}")


def _short(cell: str) -> str:
    return cell if len(cell) <= 60 else f"{cell[:40]}..."


def _float(cell: str) -> float:
    if not _NUMBER.fullmatch(cell.strip(" ") or "nan"):  # an empty cell is how NaN is written
        raise ValueError
    return float(cell.strip(" ") or "nan")


def _int(cell: str) -> int:
    if not re.fullmatch(r" *[+-]?\d{1,19} *", cell, re.ASCII) or not -(2**63) <= int(cell) < 2**63:
        raise ValueError
    return int(cell)


_READ: dict[type, Callable[[str], object]] = {
    str: str,
    int: _int,
    float: _float,
    bool: lambda cell: {"true": True, "false": False}[cell.strip(" ").lower()],
}
_NAMES = {int: "a whole number", float: "a number", bool: "True or False"}
