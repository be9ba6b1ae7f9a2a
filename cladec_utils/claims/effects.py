"""The claims of the paper, each with the paired difference that tests it, on everything recorded so far.

Nothing is computed anew: the tables of evaluations say what was measured, the store holds the figures
per test image, and `verdicts` has the rule.

C1 depends on who judges, so each of the three judges of `evaluation.JUDGES` has its own rows.

Fidelity in C3 is agreement with C's decisions on the originals, as C sees X_E *and* by transfer, as other
classifiers see it: at high alphas a decoder can draw what only C takes for a garment. As C alone sees it, and
as C's cross-entropy, it has rows of its own. Cross-entropy was there first; agreement was added after it had
turned out undecided, transfer after alpha 0.9 had been seen to raise C's accuracy on X_E and to lower that of
an independent classifier.

C4 is a gain over what explains nothing: over ClaDec of a classifier with random weights, and for neurons
chosen by attribution also over as many drawn by chance, and as many principal components of the code.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pandas as pd

from cladec_utils.claims.evidence import EFFECTS, HALVES, TABLE, belonging, read
from cladec_utils.claims.interval import SMALLEST, Effect, all_of, as_record, from_record
from cladec_utils.claims.recorded import BySeed, Recorded
from cladec_utils.claims.required import CHOSEN, FAITHFUL_ALPHA, HALF, IGNORANT, PRINCIPAL, RANDOM
from cladec_utils.claims.verdicts import (
    ALL,
    DETAILS,
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
from cladec_utils.errors import choose
from cladec_utils.study.classifiers import CONTROLS
from cladec_utils.study.evaluation import JUDGES
from cladec_utils.study.folders import HasFolder

C1_JUDGES = {
    "C1": JUDGES["retrained"],
    "C1 frozen": JUDGES["frozen C"],
    "C1 independent": JUDGES["independent"],
}
FEWER = "fewer_correct"
FEWER_LABEL = "evaluation classifier trained on fewer images"
SAME = ["dataset", "architecture", "setting"]
"""Columns in which evaluations must agree to be compared."""
WHERE = ["dataset", "architecture", "layer", "neurons"]
EFFECT_COLUMNS = dict.fromkeys(("claim", *WHERE), str) | {f.name: f.type for f in fields(Effect)}
EFFECT_COLUMNS |= {"parts": str}
"""What the columns of tables of effects hold."""
COLUMNS = [
    "claim", *WHERE, "row", "effect", "low", "high", "levels", "seeds", "verdict", "direction", "note"
]  # fmt: skip
"""Of the scorecard. `row` is primary or secondary; `low` and `high` are the ends of the interval that the
verdict used (else the 95 % one), `levels` how often each may miss the truth."""
LEFT_IN = "collapsed trainings left in"
Where = tuple[str, str]
"""Data set and architecture."""


@dataclass(frozen=True)
class Found:
    """An effect before it is decided on: the row's claim, layer and detail, the same at half the training
    budget and what that is compared with (see `verdicts.Row`), and what a reader should know beside."""

    claim: str
    layer: str
    detail: str
    effect: Effect
    half: Effect | None = None
    whole: Effect | None = None
    label: str = ""


def _rows_of(study: Recorded) -> Iterable[Found]:
    """Everything that a study has recorded."""
    for layer in study.layers():
        for named in study.named():
            yield from _layer_rows(study, layer, named)
        yield from _subset_rows(study, layer)
        yield from _control_rows(study, layer)


def _layer_rows(study: Recorded, layer: str, named: str) -> Iterable[Found]:
    cladec = study.find(layer, method="ClaDec", alpha=0.0, named=named)
    refae = study.find(layer, method="RefAE", named=named)
    faithful = study.find(layer, method="ClaDec", alpha=FAITHFUL_ALPHA, named=named)
    neurons = f"neurons {named}" if named else ALL
    if cladec and refae:
        yield from _reference_rows(study, layer, named, neurons)
    if cladec and not named:
        yield from _pca_rows(study, layer, cladec)
    if cladec and faithful:
        for claim, e in _c3_effects(study, cladec, faithful):
            yield Found(claim, layer, neurons, e)
    if cladec:
        above = study.effect(_judge(study, cladec), SMALLEST["accuracy"], cladec, shift=-study.chance)
        yield Found("C4", layer, f"{neurons}, vs chance", above)


def _subset_rows(study: Recorded, layer: str) -> Iterable[Found]:
    """C4: of all neurons against random weights, of chosen ones against each of their nulls."""
    whole = study.find(layer, method="ClaDec", alpha=0.0)
    ignorant = study.find(layer, method="ClaDec", alpha=0.0, control="random weights")
    if whole and ignorant:
        yield Found("C4", layer, ALL, _gain(study, whole, ignorant))
    chosen = study.find(layer, choice=CHOSEN, budget=HALF)
    nulls = {
        RANDOM: study.find(layer, choice=RANDOM, budget=HALF),
        PRINCIPAL: study.find(layer, choice=PRINCIPAL, budget=HALF),
        "random weights": study.find(layer, choice=IGNORANT, budget=HALF, control="random weights"),
    }
    for null, other in nulls.items():
        if chosen and other:
            yield Found("C4", layer, f"{CHOSEN} quarter, vs {null}", _gain(study, chosen, other))


def _gain(study: Recorded, mine: BySeed, null: BySeed) -> Effect:
    return study.effect(_judge(study, mine, null), SMALLEST["accuracy"], mine, null)


def _judge(study: Recorded, *sides: BySeed) -> str:
    """The figure of C1's evaluation classifier that all sides have: of all images, else of fewer."""
    whole = C1_JUDGES["C1"]
    return FEWER if not study.both(whole, *sides) and study.both(FEWER, *sides) else whole


def _control_rows(study: Recorded, layer: str) -> Iterable[Found]:
    refae, found = study.find(layer, method="RefAE"), {}
    for control in sorted(set(study.rows["control"]) - {""}):
        ignorant = study.find(layer, method="ClaDec", control=control)
        if ignorant and refae:
            found[control] = replace(_control(study, layer, ignorant, refae), name=control)
            yield Found("control", layer, control, found[control])
    if set(found) == set(CONTROLS):
        yield Found("control", layer, DETAILS["control"], all_of(*found.values()))


def _reference_rows(study: Recorded, layer: str, named: str, neurons: str) -> Iterable[Found]:
    """C1 and C2 with their variants; only C1 interprets X_R, so no gate is asked for C2."""

    def pair(**which: object) -> tuple[BySeed, BySeed]:
        cladec = study.find(layer, method="ClaDec", alpha=0.0, named=named, **which)
        return cladec, study.find(layer, method="RefAE", named=named, **which)

    def effects_of(cladec: BySeed, refae: BySeed, judge: str) -> dict[str, Effect]:
        found = {
            claim: study.effect(metric, SMALLEST["accuracy"], cladec, refae)
            for claim, metric in (C1_JUDGES | {"C1": judge}).items()
            if study.measured(metric)
        }
        found["C2"] = study.effect("mse", SMALLEST["mse"], cladec, refae)
        if study.measured("ssim"):
            found["C2 ssim"] = study.effect("ssim", SMALLEST["ssim"], refae, cladec)
        return found

    whole, half, first = pair(), pair(budget=HALF), pair(first=True)
    gate, label = study.gate(layer, *whole), study.weaker_than_pca(layer, whole[1])
    judge = _judge(study, *whole)
    alike = FEWER if study.both(FEWER, *whole, *half) else judge
    less, same = (effects_of(*sides, alike) if all(half) else {} for sides in (half, whole))
    for claim, e in effects_of(*whole, judge).items():
        gated = replace(e, gate=gate) if claim in C1_JUDGES else e
        label_of = "; ".join(filter(None, (label, FEWER_LABEL * (claim == "C1" and judge == FEWER))))
        again = (less.get(claim), same.get(claim)) if claim in MORE_SEEDS else (None, None)
        yield Found(claim, layer, neurons, gated, *again, label_of)
    if first != whole and all(first):
        yield Found("C2", layer, f"{neurons}, {LEFT_IN}", effects_of(*first, judge)["C2"])
    unseen = pair(control=HALVES, budget=HALF)
    if all(unseen):
        e = replace(effects_of(*unseen, _judge(study, *unseen))["C1"], gate=study.gate(layer, *unseen))
        yield Found("C1", layer, f"{neurons}, {HALVES}", e)


def _pca_rows(study: Recorded, layer: str, cladec: BySeed) -> Iterable[Found]:
    """C1 and C2 against the principal components of the images, as many as the code has numbers."""
    pca = study.find(layer, method="PCA")
    judge = _judge(study, cladec, pca)
    if pca and study.both(judge, cladec, pca):
        e = study.effect(judge, SMALLEST["accuracy"], cladec, pca)
        yield Found("C1 against PCA", layer, ALL, e, label=FEWER_LABEL * (judge == FEWER))
    if pca:
        yield Found("C2 against PCA", layer, ALL, study.effect("mse", SMALLEST["mse"], cladec, pca))


def _c3_effects(study: Recorded, close: BySeed, faithful: BySeed) -> Iterable[tuple[str, Effect]]:
    further = study.effect("mse", SMALLEST["mse"], faithful, close, name="MSE")
    agrees = study.effect("c_agrees", SMALLEST["accuracy"], faithful, close, name="agreement")
    surer = study.effect("c_cross_entropy", SMALLEST["cross-entropy"], close, faithful, name="cross-entropy")
    if study.both("panel_agrees", close, faithful):
        moved = study.effect("panel_agrees", SMALLEST["accuracy"], faithful, close, name="transfer")
        yield "C3", all_of(further, agrees, moved)
    yield "C3 frozen", all_of(further, agrees)
    yield "C3 loss", all_of(further, surer)


def _control(study: Recorded, layer: str, ignorant: BySeed, refae: BySeed) -> Effect:
    vanished = study.effect("judge_correct", 0.0, ignorant, refae, sign=-1, shift=SMALLEST["accuracy"])
    return replace(vanished, gate=study.gate(layer, ignorant, refae))


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
        yield from (((data, architecture), row) for row in _rows_of(Recorded(group)))


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
        for row in tables.read(path, EFFECT_COLUMNS, "a table of effects").to_dict("records"):
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
