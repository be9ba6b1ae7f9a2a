"""Read a dataclass from a TOML file: its fields and their types say what may be written, and a wrong entry
gets a sentence that names file, entry, value and what is allowed."""

import dataclasses
import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cladec_utils.engine import paths
from cladec_utils.errors import CladecError, choose

Table = dict[str, Any]
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a field's value must be beyond its type: `Annotated[int, Rule("an integer above 0", ...)]`.

    `allowed` says it in words, `holds` decides it for a value of the right type, or raises a CladecError
    of its own; `none` is the word that stands for None, which TOML lacks.
    """

    allowed: str
    holds: Callable[[Any], bool]
    none: str = "none"


class _WrongError(Exception):
    """A value that is not what its field takes; has what that is, in words."""


def load(path: Path) -> Table:
    """The entries of a TOML file; raises CladecError if it cannot be read as one."""
    try:
        return tomllib.loads(paths.read_text(path))
    except FileNotFoundError:
        raise CladecError(f"There is no file {path}.") from None
    except OSError as error:
        raise CladecError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CladecError(f"{path} is not UTF-8 text: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise CladecError(f"{path} is not TOML: {error}.") from error


ALTERNATIVES = {"epochs": "updates", "updates": "epochs"}
"""Entries of which a table has one: who changes the one takes away the other."""


def merge(base: Table, changes: Table) -> Table:
    """`base` with the entries of `changes` in place of its own, table by table."""
    base = {key: value for key, value in base.items() if ALTERNATIVES.get(key) not in changes}
    both = {
        key: merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in changes.items()
    }
    return base | both


def read(kind: type[T], table: Mapping[str, Any], file: Path, place: str = "", **given: Any) -> T:
    """A `kind`, a dataclass, from `table`, which stands at `place` (such as `planted.decoder`) of `file`.

    Fields that are `given` are no entries; those with a default, or that may be None without a word for it,
    may be left out. Dataclasses may nest.
    Raises CladecError for the first entry that is unknown, missing, or not what its field takes.
    """
    known = {f.name: f for f in dataclasses.fields(kind) if f.name not in given}
    hints = get_type_hints(kind, include_extras=True)
    where = f"[{place}] in {file}" if place else str(file)
    for key in table:
        choose(key, known, f"entry of {where}:")
    unsaid = {name for name, hint in hints.items() if NoneType in get_args(hint) and name not in table}
    missing = [name for name, f in known.items() if name not in {*table, *unsaid} and not _has_default(f)]
    if missing:
        raise CladecError(
            f"{where} lacks {', '.join(missing)}; write what is missing, or begin the file with a base, such "
            'as base = "quick".'
        )
    dot = f"{place}." if place else ""
    values = dict.fromkeys(unsaid & known.keys())
    values |= {key: _entry(hints[key], value, file, f"{dot}{key}") for key, value in table.items()}
    try:
        return kind(**given, **values)
    except CladecError as error:
        raise CladecError(f"{where}: {error}") from error


def _has_default(field: dataclasses.Field) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _entry(kind: Any, value: Any, file: Path, place: str) -> Any:
    """The value of one entry; raises CladecError if it is not what its field takes."""
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return read(kind, value, file, place)
    try:
        return _convert(kind, value)
    except _WrongError as error:
        shown = json.dumps(value, default=str)
        raise CladecError(f"{file}: {place} is {shown}; it must be {error}.") from None
    except CladecError as error:
        raise CladecError(f"{file}, {place}: {error}") from error


def _convert(kind: Any, value: Any) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _ruled(args[0], args[1], value)
    if origin in (Union, UnionType):  # T | None
        return _optional(kind, value, "none")
    if origin is tuple and isinstance(value, list):
        kinds = (args[0],) * len(value) if args[-1] is Ellipsis else args
        if len(kinds) == len(value):
            return tuple(_convert(k, v) for k, v in zip(kinds, value, strict=True))
    elif origin is dict and isinstance(value, dict):
        return {key: _convert(args[1], v) for key, v in value.items()}
    elif kind is float and type(value) in (int, float):
        if -sys.float_info.max <= value <= sys.float_info.max:
            return float(value)
    elif type(value) is kind:  # and not isinstance: True is no integer
        return value
    raise _WrongError(_words(kind))


def _ruled(kind: Any, rule: Rule, value: Any) -> Any:
    try:
        found = _optional(kind, value, rule.none) if NoneType in get_args(kind) else _convert(kind, value)
    except _WrongError:
        raise _WrongError(rule.allowed) from None
    if found is not None and not rule.holds(found):
        raise _WrongError(rule.allowed)
    return found


def _optional(kind: Any, value: Any, none: str) -> Any:
    if value == none:
        return None
    [inner] = [k for k in get_args(kind) if k is not NoneType]
    try:
        return _convert(inner, value)
    except _WrongError as error:
        raise _WrongError(f'{error}, or "{none}"') from None


def _words(kind: Any) -> str:
    """What a type takes, in words."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is tuple:
        count = "any number" if args[-1] is Ellipsis else str(len(args))
        return f"a list of {count} of: {_words(args[0])}"
    if origin is dict or dataclasses.is_dataclass(kind):
        return "a table"
    return {int: "an integer", float: "a number", bool: "true or false", str: "text in quotes"}[kind]
