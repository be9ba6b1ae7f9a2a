"""The claims of the paper, each with the paired difference that tests it, on everything recorded so far.

Nothing is computed anew: the tables of evaluations say what was measured, the store holds the figures
per test image; `rows` says which differences they are, and `verdicts` has the rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import pandas as pd

from cladec_utils.claims.evidence import EFFECTS, TABLE, belonging, read
from cladec_utils.claims.interval import Effect, are_parts, as_record, from_record
from cladec_utils.claims.recorded import Recorded
from cladec_utils.claims.rows import Found, rows_of
from cladec_utils.claims.verdicts import (
    MORE_SEEDS,
    PARTICIPANTS,
    UNDECIDED,
    Row,
    Verdict,
    decide,
    in_words,
    is_primary,
)
from cladec_utils.claims.wording import CLAIMS, DIRECTIONS
from cladec_utils.engine import paths, tables
from cladec_utils.engine.tables import Only, one_of
from cladec_utils.errors import choose
from cladec_utils.study.folders import HasFolder

SAME = ["dataset", "architecture", "setting"]
"""Columns in which evaluations must agree to be compared."""
WHERE = ["dataset", "architecture", "layer", "neurons"]
EFFECT_COLUMNS = dict.fromkeys(("claim", *WHERE), str) | {f.name: f.type for f in fields(Effect)}
EFFECT_COLUMNS |= {"parts": str}
"""What the columns of tables of effects hold."""
_NOT_BELOW_0 = Only(lambda number: not number < 0, "a number from 0 up")  # NaN: nothing is known of it
EFFECTS_ONLY = {
    "claim": one_of(*CLAIMS),
    "share": Only(lambda share: not (share < 0 or share > 1), "a number from 0 to 1"),
    "parts": Only(are_parts, "a JSON list of effects, [] for none"),
    **dict.fromkeys(("error", "df", "images_df", "smallest", "seeds"), _NOT_BELOW_0),
}
"""What their values may be."""
COLUMNS = [
    "claim", *WHERE, "row", "effect", "low", "high", "levels", "seeds", "verdict", "direction", "note"
]  # fmt: skip
"""Of the scorecard. `row` is primary or secondary; `low` and `high` are the ends of the interval that the
verdict used (else the 95 % one), `levels` how often each may miss the truth."""
Where = tuple[str, str]
"""Data set and architecture."""


def scorecard(profile: str, these: Iterable[str] | None = None) -> pd.DataFrame:
    """All rows of all claims for what has been recorded in the results folders that belong together (see
    `evidence.belonging`); the columns are COLUMNS.

    A claim without results has one row that says so.
    """
    folders = [paths.results_dir(profile) / name for name in belonging(profile, these).read]
    rows = _decided([*_evaluated(folders), *_recorded_effects(folders)])
    for claim in CLAIMS:
        if not any(row["claim"] == claim for row in rows):
            rows.append({"claim": claim, **_nothing(claim)})
    order = list(CLAIMS)
    return pd.DataFrame(sorted(rows, key=lambda row: order.index(row["claim"])), columns=COLUMNS)


def _decided(found: Sequence[tuple[Where, Found]]) -> list[dict[str, object]]:
    """The scorecard's rows: every effect with its verdict, primary ones first."""
    latest = {place: row.layer for place, row in found if row.claim in MORE_SEEDS}  # in the order they run
    asked = [
        Row(
            row.claim,
            "participants" if row.claim.startswith("C5") else place[0],
            row.effect,
            is_primary(row.claim, place[1], row.layer, row.detail, latest.get(place, "")),
            row.half,
            row.whole,
        )
        for place, row in found
    ]
    rows = [
        {
            "claim": row.claim,
            **dict(zip(WHERE, (*place, row.layer, row.detail), strict=True)),
            **as_columns(ask, verdict, row.label),
        }
        for (place, row), ask, verdict in zip(found, asked, decide(asked), strict=True)
    ]
    return sorted(rows, key=lambda row: row["row"])


def as_columns(row: Row, found: Verdict, label: str = "") -> dict[str, object]:
    """A verdict as columns of a scorecard, from `row` on."""
    return {
        "row": "primary" if row.primary else "secondary",
        "effect": found.effect.mean,
        "low": found.low,
        "high": found.high,
        "levels": " / ".join(f"{100 * level:.2g} %" for level in found.levels),
        "seeds": found.effect.seeds,
        "verdict": found.verdict,
        "direction": in_words(found, DIRECTIONS.get(row.claim, ("above 0", "below 0"))),
        "note": "; ".join(filter(None, (found.why, label))),
    }


def _evaluated(folders: Sequence[Path]) -> Iterable[tuple[Where, Found]]:
    """The rows of all evaluations of some folders; what was measured in one setting is one table, wherever it
    was recorded, and what was measured in two never is."""
    found = [read(folder / TABLE) for folder in folders if (folder / TABLE).is_file()]
    if not found:
        return
    table = pd.concat(found).drop_duplicates(["hash", "metric"], keep="last")
    settings = table.groupby("dataset")["setting"].nunique()
    for (dataset, architecture, setting), group in table.groupby(SAME, sort=False):
        data = f"{dataset} ({setting})" if settings[dataset] > 1 else dataset
        yield from (((data, architecture), row) for row in rows_of(Recorded(group)))


def record_effects(of: HasFolder, name: str, rows: Iterable[tuple[str, str, str, Effect]]) -> None:
    """Keep effects that were measured elsewhere as rows of the scorecard: (claim, layer, detail, effect).

    Written to `effects_<name>.csv` in the results folder of a study, in place of what was there under that
    name. Verdicts are given when the scorecard is made, over all rows of a claim. Raises CladecError for a
    claim that is none of CLAIMS.
    """
    folder = of.folder
    where = {column: folder.made_from[column] for column in ("dataset", "architecture")}
    found = [
        {"claim": choose(claim, CLAIMS, "claim"), **where, "layer": layer, "neurons": detail, **as_record(e)}
        for claim, layer, detail, e in rows
    ]
    columns = ["claim", *WHERE, *(f.name for f in fields(Effect))]
    folder.write(EFFECTS.replace("*", name), tables.as_csv(pd.DataFrame(found, columns=columns)))


def _recorded_effects(folders: Sequence[Path]) -> list[tuple[Where, Found]]:
    """The rows of all tables of effects; those of two data sets of one name, or of one in two folders, are
    told apart by their folder's name."""
    found: list[tuple[str, Where, Found]] = []
    for path in (path for folder in folders for path in sorted(folder.glob(EFFECTS))):
        table = tables.read(path, EFFECT_COLUMNS, "a table of effects", EFFECTS_ONLY)
        for row in table.to_dict("records"):
            names = (row[column] for column in ("claim", "layer", "neurons"))
            place = row["dataset"], row["architecture"]
            found.append((path.parent.name, place, Found(*names, from_record(row))))
    places: dict[tuple[str, Where], set[str]] = {}
    for folder, place, row in found:
        places.setdefault((row.claim, place), set()).add(folder)
    return [
        ((f"{place[0]} ({folder})", place[1]) if len(places[row.claim, place]) > 1 else place, row)
        for folder, place, row in found
    ]


def _nothing(claim: str) -> dict[str, object]:
    people = claim.startswith("C5")
    verdict = PARTICIPANTS if people else UNDECIDED
    empty = dict.fromkeys([*WHERE, "row", "levels", "direction"], "")
    return {
        **empty,
        "seeds": 0,
        "verdict": verdict,
        "note": "nobody has taken part" if people else "nothing recorded yet",
    }
