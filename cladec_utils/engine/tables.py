"""CSV tables: written so that a spreadsheet reads them, read back as they were written, text as text."""

import csv
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cladec_utils.errors import CladecError

_READ = {
    str: str,
    int: int,
    float: lambda cell: float(cell or "nan"),  # an empty cell is how NaN is written
    bool: {"True": True, "False": False}.__getitem__,
}


def for_people(table: pd.DataFrame) -> str:
    """A table that people may open, as CSV, with the mark by which Excel knows UTF-8."""
    return "\ufeff" + table.to_csv(index=False)


def read(path: Path, schema: Mapping[str, type], what: str) -> pd.DataFrame:
    """The table at `path`, in which the columns of `schema` are str, int, float or bool, and others text.

    Nothing is guessed: a data set called `NA` or `001` keeps its name. Raises CladecError, which calls the
    file `what`, if a column is missing or a cell is not what the schema says.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = csv.reader(file, strict=True)
        if missing := [name for name in schema if name not in header]:
            raise ValueError(f"it has no column {missing[0]!r}")
        if ragged := [i for i, row in enumerate(rows, 1) if len(row) != len(header)]:
            raise ValueError(f"row {ragged[0]} has not {len(header)} cells")
        cells = {name: [row[i] for row in rows] for i, name in enumerate(header)}
        return pd.DataFrame({name: _column(name, cells[name], schema.get(name, str)) for name in header})
    except (OSError, ValueError, csv.Error) as error:
        raise CladecError(f"{path} is not {what} ({error}); remove it and run again.") from error


def _column(name: str, cells: list[str], kind: type) -> pd.Series:
    found = []
    for i, cell in enumerate(cells, 1):
        try:
            found.append(_READ[kind](cell))
        except (ValueError, KeyError):
            raise ValueError(f"row {i}, column {name!r}: {cell!r} is not {kind.__name__}") from None
    return pd.Series(found, dtype=kind)
