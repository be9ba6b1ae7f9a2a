"""The claims of the paper, each with the paired difference that tests it, on everything recorded so far.

Nothing is computed anew: the tables of evaluations say what was measured, the store holds the figures
per test image, and `verdicts` has the rule.

C1 depends on who judges, so each of the three judges of `evaluation.JUDGES` has its own rows.

Fidelity in C3 has two measures, each with its own rows. Cross-entropy was there first; agreement, which
is what the trade-off's front shows, was added after cross-entropy had turned out undecided, as a decoder
can be right more often and yet too sure of itself on unseen images. Both are reported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pandas as pd

from cladec_utils.claims.evidence import EFFECTS, FAITHFUL_ALPHA, TABLE, belonging, read
from cladec_utils.claims.verdicts import (
    PARTICIPANTS,
    SMALLEST,
    UNDECIDED,
    Effect,
    both,
    decide,
    effect,
    reference_note,
    undecided,
)
from cladec_utils.engine import paths, store, tables
from cladec_utils.errors import choose
from cladec_utils.study.evaluation import JUDGES, TRAIN_MSE
from cladec_utils.study.folders import HasFolder

CLAIMS = {
    "C1": "reconstructions from the classifier carry more class-relevant information than an autoencoder's",
    "C1 frozen": "C1 as the frozen classifier C sees it, which knows no reconstructions",
    "C1 independent": "C1 as another classifier sees it, trained on the originals apart from C",
    "C2": "the autoencoder's carry more information on the original",
    "C2 ssim": "C2 by structural similarity",
    "C3": "alpha trades comprehensibility for fidelity, as agreement with C's decisions",
    "C3 loss": "alpha trades comprehensibility for fidelity, as C's cross-entropy on unseen images",
    "C4": "an arbitrary layer, or a subset of its neurons, can be explained",
    "C5": "non-experts identify diverse concepts that are relevant or irrelevant for the classifier",
    "C6": "more relevant input areas than saliency methods: one row per map, metric and architecture",
    "control": "C1's advantage vanishes or reverses when C knows nothing of the classes",
    "G1": "ours: concepts that C needs are kept in X_E",
    "G2": "ours: concepts that C does not need are dropped from X_E",
    "G3": "ours: alpha moves what X_E shows towards what C uses",
    "G4": "ours: what planted concepts say survives the controls",
}
MEASURES = {
    "C1": "evaluation accuracy, X_E minus X_R",
    "C1 frozen": "accuracy of the frozen C, X_E minus X_R",
    "C1 independent": "accuracy of the next seed's classifier, X_E minus X_R",
    "C2": "MSE per pixel, X_E minus X_R",
    "C2 ssim": "structural similarity to the original, X_R minus X_E",
    "C3": f"alpha {FAITHFUL_ALPHA:g} against 0: MSE rises and agreement with C on X rises (the one named)",
    "C3 loss": f"alpha {FAITHFUL_ALPHA:g} against 0: MSE rises and C's cross-entropy falls (the one named)",
    "C4": "evaluation accuracy on X_E minus the largest class's share (a low bar: random weights may pass)",
    "C5": "responses of participants",
    "C6": "score of a map read from ClaDec minus the best saliency method's on validation images, by removal "
    "of pixels (probability)",
    "control": f"{SMALLEST['accuracy']:g} minus the advantage of X_E over X_R in evaluation accuracy",
    "G1": "accuracy of reading needed concepts, X_E minus X_R, plus 0.05 allowed",
    "G2": "accuracy of reading unneeded concepts, X_R minus X_E",
    "G3": f"contrast (accuracy of reading the same concepts from X_E where needed minus where not), alpha "
    f"{FAITHFUL_ALPHA:g} minus alpha 0",
    "G4": "random weights, shuffled labels: contrast with C minus contrast with these in C's place; another "
    "decoder: the contrast itself; second RefAE: accuracy of reading unneeded concepts, second X_R minus X_E",
}
UNITS = {
    **dict.fromkeys(("C1", "C1 frozen", "C1 independent", "C4", "control"), "accuracy"),
    **{"C2": "MSE per pixel", "C2 ssim": "SSIM", "C6": "probability"},
    **{"C3": "of what the row names", "C3 loss": "of what the row names"},
    **dict.fromkeys(("G1", "G2", "G3", "G4"), "accuracy of reading a concept"),
}
"""Of the effects, for figures."""
C1_JUDGES = {
    "C1": JUDGES["retrained"],
    "C1 frozen": JUDGES["frozen C"],
    "C1 independent": JUDGES["independent"],
}
SAME = ["dataset", "architecture", "setting"]
"""Columns in which evaluations must agree to be compared."""
WHERE = ["dataset", "architecture", "layer", "neurons"]
EFFECT_COLUMNS = dict.fromkeys(("claim", *WHERE), str) | {f.name: f.type for f in fields(Effect)}
"""What the columns of tables of effects hold."""
COLUMNS = ["claim", *WHERE, "effect", "low", "high", "seeds", "verdict", "note"]


class _Recorded:
    """The evaluations of one study: a row per evaluation, and their figures per test image."""

    def __init__(self, table: pd.DataFrame) -> None:
        # The latest wins where the same was measured twice, but one with a judge over one without.
        judged = set(table.loc[table["metric"] == "judge_correct", "hash"])
        rows = table.drop_duplicates("hash", keep="last")
        self.rows = rows.assign(judged=rows["hash"].isin(judged)).sort_values("judged", kind="stable")
        self.chance = float(table["chance"].iloc[-1])
        self._metrics = set(table["metric"])
        self._by_hash = rows.set_index("hash")["expected_seeds"]
        self._train_mse = table[table["metric"] == TRAIN_MSE].groupby("hash")["value"].last()

    def find(self, layer: str, **conditions: object) -> dict[int, str]:
        """Evaluations of a layer by seed; unless said otherwise, of all neurons and of no control."""
        wanted = {"layer": layer, "named": "", "control": "", "choice": "", **conditions}
        rows = self.rows
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        return dict(zip(rows["seed"], rows["hash"], strict=True))

    def measured(self, metric: str) -> bool:
        """Whether any evaluation has that figure."""
        return metric in self._metrics

    def layers(self) -> list[str]:
        """All layers measured, in the order in which they run."""
        named = self.rows[self.rows["layer"] != ""]
        return list(dict.fromkeys(named.sort_values("depth", kind="stable")["layer"]))

    def named(self) -> list[str]:
        """The neurons that the user has named, each once; empty text for all of a layer."""
        return sorted(set(self.rows.loc[self.rows["choice"] == "", "named"]))

    def effect(
        self, metric: str, smallest: float, *sides: dict[int, str], sign: int = 1, shift: float = 0.0
    ) -> Effect:
        """The effect of a figure of the first evaluations, minus that of the second where there are two,
        times `sign`, plus `shift`. As many seeds are expected as the smaller of their studies had."""
        expected = min(int(self._by_hash[list(side.values())].max()) for side in sides)
        found = []
        for seed in sorted(set.intersection(*(set(side) for side in sides))):
            figures = [_figures(side[seed], metric) for side in sides]
            found.append(shift + sign * (figures[0] - figures[1] if len(figures) > 1 else figures[0]))
        return effect(found, smallest, expected)

    def reference_note(self, cladec: dict[int, str], refae: dict[int, str]) -> str:
        """Why RefAE is no reference for these evaluations, or an empty text (see `verdicts`)."""
        c, r = (self._train_mse.reindex(list(side.values())).mean() for side in (cladec, refae))
        return reference_note(r, c)


def _figures(evaluation: str, metric: str) -> np.ndarray:
    tensors = store.recorded(f"evaluation-{evaluation}") or {}
    return tensors[metric].double().numpy() if metric in tensors else np.full(1, np.nan)


def _rows_of(study: _Recorded) -> Iterable[tuple[str, str, str, Effect]]:
    """(claim, layer, neurons, effect) for everything a study has recorded."""
    for layer in study.layers():
        for named in study.named():
            yield from _layer_rows(study, layer, named)
        yield from _subset_rows(study, layer)
        refae = study.find(layer, method="RefAE")
        for control in sorted(set(study.rows["control"]) - {""}):
            ignorant = study.find(layer, method="ClaDec", control=control)
            if ignorant and refae:
                yield "control", layer, control, _control(study, ignorant, refae)


def _layer_rows(study: _Recorded, layer: str, named: str) -> Iterable[tuple[str, str, str, Effect]]:
    cladec = study.find(layer, method="ClaDec", alpha=0.0, named=named)
    refae = study.find(layer, method="RefAE", named=named)
    faithful = study.find(layer, method="ClaDec", alpha=FAITHFUL_ALPHA, named=named)
    neurons = f"neurons {named}" if named else "all"
    if cladec and refae:
        note = study.reference_note(cladec, refae)
        for claim, e in _reference_effects(study, cladec, refae):
            yield claim, layer, neurons, undecided(e, note)
    if cladec and faithful:
        for claim, part, e in _c3_effects(study, cladec, faithful):
            yield claim, layer, f"neurons {named}, {part}" if named else part, e
    if cladec:
        yield "C4", layer, neurons, _c4(study, cladec)


def _subset_rows(study: _Recorded, layer: str) -> Iterable[tuple[str, str, str, Effect]]:
    rows = study.rows[(study.rows["layer"] == layer) & (study.rows["choice"] != "")]
    for choice, neurons in dict.fromkeys(zip(rows["choice"], rows["neurons"], strict=True)):
        subset = study.find(layer, choice=choice, neurons=neurons)
        yield "C4", layer, f"{neurons} {choice}", _c4(study, subset)


def _reference_effects(
    study: _Recorded, cladec: dict[int, str], refae: dict[int, str]
) -> Iterable[tuple[str, Effect]]:
    for claim, metric in C1_JUDGES.items():
        if study.measured(metric):
            yield claim, study.effect(metric, SMALLEST["accuracy"], cladec, refae)
    yield "C2", study.effect("mse", SMALLEST["mse"], cladec, refae)
    if study.measured("ssim"):
        yield "C2 ssim", study.effect("ssim", SMALLEST["ssim"], refae, cladec)


def _c3_effects(
    study: _Recorded, close: dict[int, str], faithful: dict[int, str]
) -> Iterable[tuple[str, str, Effect]]:
    """(claim, which of its two effects is shown, both together)."""
    further = study.effect("mse", SMALLEST["mse"], faithful, close)
    agrees = study.effect("c_agrees", SMALLEST["accuracy"], faithful, close)
    surer = study.effect("c_cross_entropy", SMALLEST["cross-entropy"], close, faithful)
    for claim, name, second in (("C3", "agreement", agrees), ("C3 loss", "cross-entropy", surer)):
        together = both(further, second)
        yield claim, name if together.mean == second.mean else "MSE", together


def _c4(study: _Recorded, cladec: dict[int, str]) -> Effect:
    return study.effect("judge_correct", SMALLEST["accuracy"], cladec, shift=-study.chance)


def _control(study: _Recorded, ignorant: dict[int, str], refae: dict[int, str]) -> Effect:
    vanished = study.effect("judge_correct", 0.0, ignorant, refae, sign=-1, shift=SMALLEST["accuracy"])
    return undecided(vanished, study.reference_note(ignorant, refae))


def scorecard(profile: str, these: Iterable[str] | None = None) -> pd.DataFrame:
    """All rows of all claims for what has been recorded in the results folders that belong together (see
    `evidence.belonging`); the columns are COLUMNS.

    A claim without results has one row that says so.
    """
    folders = [paths.results_dir(profile) / name for name in belonging(profile, these).read]
    found = [*_evaluated(folders), *_recorded_effects(folders)]
    rows = []
    for claim in CLAIMS:
        mine = [(where, e) for where, e in found if where["claim"] == claim]
        for (where, e), verdict in zip(mine, decide([e for _, e in mine]), strict=True):
            rows.append({**where, **_as_columns(e), "verdict": verdict})
        if not mine:
            rows.append({"claim": claim, **_nothing(claim)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _evaluated(folders: Sequence[Path]) -> Iterable[tuple[dict[str, str], Effect]]:
    """The rows of all evaluations of some folders; what was measured in one setting is one table, wherever it
    was recorded, and what was measured in two never is."""
    tables = [read(folder / TABLE) for folder in folders if (folder / TABLE).is_file()]
    if not tables:
        return
    table = pd.concat(tables).drop_duplicates(["hash", "metric"], keep="last")
    settings = table.groupby("dataset")["setting"].nunique()
    for (dataset, architecture, setting), group in table.groupby(SAME, sort=False):
        data = f"{dataset} ({setting})" if settings[dataset] > 1 else dataset
        place = {"dataset": data, "architecture": architecture}
        for claim, layer, neurons, found_effect in _rows_of(_Recorded(group)):
            yield {"claim": claim, **place, "layer": layer, "neurons": neurons}, found_effect


def record_effects(of: HasFolder, name: str, rows: Iterable[tuple[str, str, str, Effect]]) -> None:
    """Keep effects that were measured elsewhere as rows of the scorecard: (claim, layer, detail, effect).

    Written to `effects_<name>.csv` in the results folder of a study, in place of what was there under that
    name. Verdicts are given when the scorecard is made, over all rows of a claim. Raises CladecError for a
    claim that is none of CLAIMS.
    """
    folder = of.folder
    where = {column: folder.made_from[column] for column in ("dataset", "architecture")}
    found = [
        {"claim": choose(claim, CLAIMS, "claim"), **where, "layer": layer, "neurons": detail, **asdict(e)}
        for claim, layer, detail, e in rows
    ]
    columns = ["claim", *WHERE, *(f.name for f in fields(Effect))]
    folder.write(EFFECTS.replace("*", name), pd.DataFrame(found, columns=columns).to_csv(index=False))


def _recorded_effects(folders: Sequence[Path]) -> list[tuple[dict[str, str], Effect]]:
    """The rows of all tables of effects; those of two data sets of one name, or of one in two folders, are
    told apart by their folder's name."""
    found: list[tuple[str, dict[str, str], Effect]] = []
    for path in (path for folder in folders for path in sorted(folder.glob(EFFECTS))):
        for row in tables.read(path, EFFECT_COLUMNS, "a table of effects").to_dict("records"):
            where = {column: row[column] for column in ("claim", *WHERE)}
            e = Effect(**{f.name: row[f.name] for f in fields(Effect)})
            found.append((path.parent.name, where, e))
    places: dict[tuple[str, ...], set[str]] = {}
    for folder, where, _ in found:
        places.setdefault((where["claim"], where["dataset"], where["architecture"]), set()).add(folder)
    for folder, where, _ in found:
        if len(places[where["claim"], where["dataset"], where["architecture"]]) > 1:
            where["dataset"] += f" ({folder})"
    return [(where, e) for _, where, e in found]


def _as_columns(e: Effect) -> dict[str, object]:
    return {"effect": e.mean, "low": e.low, "high": e.high, "seeds": e.seeds, "note": e.note}


def _nothing(claim: str) -> dict[str, object]:
    notes = {"C5": "nobody has taken part"}
    verdict = PARTICIPANTS if claim == "C5" else UNDECIDED
    empty = dict.fromkeys([*WHERE], "")
    return {**empty, "seeds": 0, "verdict": verdict, "note": notes.get(claim, "nothing recorded yet")}
