"""`cladec artifacts`: what the store holds as a table, and how to remove it."""

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from cladec_utils.engine import code, paths, store
from cladec_utils.errors import CladecError

COLUMNS = ("data set", "layer", "alpha", "seed", "age", "seconds", "MB", "name", "note")
TO_THE_RIGHT = ("alpha", "seed", "age", "seconds", "MB")
OTHER_CODE, UNKNOWN_CODE = "other code", "code unknown"
KEYS = ("dataset", "layer", "alpha", "seed")
SPANS = (("d", 86400), ("h", 3600), ("min", 60))


def show() -> None:
    """Print what the store holds, in the order of data sets, kinds, layers, alphas and seeds, with totals."""
    rows = store.listing()
    lines = [COLUMNS, *table(rows)] if rows else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(COLUMNS, line, widths, strict=True)
        print("  ".join(f"{c:{'>' if n in TO_THE_RIGHT else '<'}{w}}" for n, c, w in cells).rstrip())
    size, seconds = (sum(_cost(row)[i] for row in rows) for i in (0, 1))
    others = sum(_note(row) == OTHER_CODE for row in rows)
    print(f"{len(rows)} artifacts, {size:.1f} MB, {seconds:.0f} s of work, {others} made by other code")
    print(f"in {paths.artifacts_dir()}; what other code made is as valid: its spec decides")
    print("remove some: cladec artifacts --remove NAME ...   all: cladec artifacts --remove all")
    print("(reading one verifies it; a damaged one is set aside, listed as damaged/NAME, and made again)")


def remove(names: Sequence[str]) -> None:
    """Remove artifacts by name, or `all`. Raises CladecError, and removes none, if one does not exist."""
    folder, known = paths.artifacts_dir(), {row["name"] for row in store.listing()}
    chosen = sorted(known) if list(names) == ["all"] else list(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise CladecError(f"There is no artifact {name!r} in {folder}; `cladec artifacts` lists them.")
    with store.writing_to(folder):
        for name in chosen:
            shutil.rmtree(folder / name)
    print(f"removed {len(chosen)} artifacts")


def table(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The rows of `store.listing` as what people look for, a text for each of COLUMNS."""
    found = []
    for row in sorted(rows, key=_order):
        dataset, layer, alpha, seed = (_first(_spec(row), key, "") for key in KEYS)
        neurons = _first(_spec(row), "neurons")
        layer += f"[{len(neurons)}]" if neurons else ""
        size, seconds = _cost(row)
        cost = _age(row["record"].get("created", "")), f"{seconds:.1f}", f"{size:.2f}"
        found.append((dataset, layer, str(alpha), str(seed), *cost, row["name"], _note(row)))
    return found


def _spec(row: dict[str, Any]) -> dict[str, Any]:
    return row["record"].get("spec", {})


def _cost(row: dict[str, Any]) -> tuple[float, float]:
    return row["megabytes"], row["record"].get("seconds", 0.0)


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    dataset, layer, alpha, seed = (_first(_spec(row), key, "") for key in KEYS)
    numbers = (float(alpha or 0), int(seed or 0))
    return row["kind"] == store.DAMAGED, dataset, row["kind"], layer, *numbers, row["name"]


def _first(spec: dict[str, Any], key: str, otherwise: Any = None) -> Any:
    """The value of `key` nearest to the top of a spec's JSON: a judge's own seed before its subject's."""
    return next((level[key] for level in _levels(spec) if level.get(key) is not None), otherwise)


def _levels(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    waiting = [spec]
    for level in waiting:
        yield level
        for value in level.values():
            values = value if isinstance(value, list) else [value]
            waiting += [inner for inner in values if isinstance(inner, dict)]


def _age(created: str) -> str:
    """How long ago, in the largest unit of which there is one."""
    if not created:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()
    return next((f"{seconds / size:.0f} {unit}" for unit, size in SPANS if seconds >= size), "now")


def _note(row: dict[str, Any]) -> str:
    if row["state"] != store.SOUND:
        return row["state"]
    by = row["record"].get("code")
    if not by:
        return UNKNOWN_CODE  # recorded before records said so
    return "" if by["sha256"] == code.code_hash(by["module"]) else OTHER_CODE
