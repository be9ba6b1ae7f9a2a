"""The evidence for the claims: what has to be measured, and the record of what has been."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from cladec_utils.claims.interval import paired_interval
from cladec_utils.claims.required import CHOSEN, HALF, IGNORANT, PRINCIPAL, RANDOM, WHOLE, Subset
from cladec_utils.data import datasets
from cladec_utils.engine import paths, store, tables
from cladec_utils.engine.tables import Only, one_of
from cladec_utils.errors import CladecError, choose
from cladec_utils.models.layers import list_layers
from cladec_utils.models.training import TrainSpec
from cladec_utils.study.classifiers import CONTROLS
from cladec_utils.study.evaluation import (
    METHODS,
    METRICS,
    REFAES,
    TRAIN_MSE,
    VALIDATION_MSE,
    EvaluationSpec,
    tidy,
)
from cladec_utils.study.folders import CHOICES, known
from cladec_utils.study.study import Study


def compare(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """ClaDec minus RefAE per layer for one metric of a tidy table, paired by seed.

    Columns: layer, ClaDec, RefAE, PCA (means over seeds; PCA NaN where there is none), difference, low, high
    (95 % t interval), seeds; and reference, which is told apart only where one has a generic encoder.
    """
    mine = table[(table["metric"] == metric) & table["method"].isin(["ClaDec", *REFAES])]
    generic = set(mine.loc[mine["method"] == REFAES[1], "layer"])
    mine, rows = mine.replace({"method": dict.fromkeys(REFAES, "RefAE")}), []
    for layer, group in mine.groupby("layer", sort=False):
        wide = group.pivot_table(index="seed", columns="method", values="value").dropna()
        mean, low, high = paired_interval(wide["ClaDec"] - wide["RefAE"])
        rows.append({
            "layer": layer, "ClaDec": wide["ClaDec"].mean(), "RefAE": wide["RefAE"].mean(),
            "PCA": table.query("metric == @metric and method == 'PCA' and layer == @layer")["value"].mean(),
            "difference": mean, "low": low, "high": high, "seeds": len(wide),
        })  # fmt: skip
    found = pd.DataFrame(rows)
    if generic:
        found["reference"] = ["generic" if layer in generic else "own" for layer in found["layer"]]
    return found


def transfer(table: pd.DataFrame) -> pd.DataFrame:
    """Per layer and alpha of a tidy table, agreement with C's decisions on X as C and as others see X_E
    (means over seeds), and whether that is `adversarial`: C agrees more often than at alpha 0, others less.

    Columns: layer, alpha, C, others, adversarial. Empty without such others.
    """
    mine = table[table["metric"].isin(["c_agrees", "panel_agrees"]) & (table["method"] == "ClaDec")]
    found = mine.pivot_table(index=["layer", "alpha"], columns="metric", values="value", sort=False)
    if "panel_agrees" not in found:
        return pd.DataFrame(columns=["layer", "alpha", "C", "others", "adversarial"])
    found = found.rename(columns={"c_agrees": "C", "panel_agrees": "others"}).reset_index()
    start = found[found["alpha"] == 0].set_index("layer").reindex(found["layer"]).reset_index(drop=True)
    found["adversarial"] = (found["C"] > start["C"]) & (found["others"] < start["others"])
    return found.rename_axis(columns=None)


TABLE, EFFECTS = "evaluations.csv", "effects_*.csv"
COLUMNS = (
    dict.fromkeys(("dataset", "architecture", "method", "layer", "neurons", "metric", "hash"), str)
    | dict.fromkeys(("control", "choice", "named", "setting"), str)
    | dict.fromkeys(("seed", "n_test", "updates", "attempt", "expected_seeds"), int)
    | dict.fromkeys(("width", "alpha", "value", "budget", "depth", "chance"), float)
)
"""What the columns of TABLE hold."""
HALVES = "other images"
"""In the column `control`: the evaluation classifier was trained on images that C has not seen."""
_COUNT = Only(lambda number: number >= 0, "a whole number from 0 up")
ONLY = {
    "method": one_of("original", *METHODS.values(), *REFAES),
    "metric": one_of(*METRICS, TRAIN_MSE, VALIDATION_MSE),
    "control": one_of("", HALVES, *CONTROLS),
    "choice": one_of("", CHOSEN, RANDOM, PRINCIPAL, IGNORANT),
    "budget": one_of(HALF, 1.0),
    "alpha": Only(lambda alpha: not (alpha < 0 or alpha > 1), "a number from 0 to 1, or empty"),
    "chance": Only(lambda share: 0 <= share <= 1, "a number from 0 to 1"),
    "planned_seeds": Only(
        lambda seeds: all(map(str.isdecimal, seeds.split())), "whole numbers from 0 up with spaces between"
    ),
    **dict.fromkeys(("seed", "attempt", "expected_seeds", "n_test"), _COUNT),
}
"""What their values may be, as rows with others would be in no comparison."""


def record(
    study: Study, evaluations: Iterable[EvaluationSpec], chosen: Iterable[Subset] = ()
) -> pd.DataFrame:
    """Add evaluations to the study's table of everything measured so far; returns the whole table.

    Columns are those of `evaluation.tidy`, then: control (what stood in C's place, HALVES, or empty), choice
    (how a subset of neurons was chosen, or empty), named (neurons that the user has named, or empty), budget
    (the share of the profile's training), setting (data and training, in words and with a hash: what is
    compared must agree in it), depth (of the layer, 0 runs first), chance (the largest class's share of the
    test images), expected_seeds, how many seeds the like of it was to have, and planned_seeds, those of the
    profile. `chosen` says how subsets among the evaluations were chosen.
    """
    specs = list(dict.fromkeys(evaluations))
    choice = {s.evaluation.hash: s.choice for s in chosen if s.choice != WHOLE}
    whole, half = study.profile.decoder, study.profile.decoder.scaled(HALF)
    table = tidy(specs)
    known = {
        "control": {s.hash: _control(s) for s in specs},
        "choice": {s.hash: choice.get(s.hash, "") for s in specs},
        "named": {s.hash: "" if s.hash in choice else _named(s) for s in specs},
        "budget": {s.hash: HALF if _train(s) == half != whole else 1.0 for s in specs},
    }
    for column, values in known.items():
        table[column] = table["hash"].map(values)
    few = (table["control"] != "") | (table["choice"] != "")
    usual = table["layer"].map(lambda layer: len(study.seeds_of(layer) if layer else study.seeds))
    table["expected_seeds"] = usual.mask(few, len(study.fewer))
    table["setting"] = _setting(study)
    table["depth"] = table["layer"].map(_depths(study)).fillna(-1)
    labels = datasets.load(study.data_spec).test.labels
    table["chance"] = float(labels.bincount().max()) / len(labels)
    table["planned_seeds"] = " ".join(map(str, study.usual.profile.seeds))
    path = study.folder.path / TABLE
    with store.locked(path.parent, path.name):  # notebooks run side by side
        if path.is_file():
            table = pd.concat([read(path), table])
            table = table.drop_duplicates(["hash", "metric"], keep="last")
        study.folder.write(TABLE, tables.as_csv(table))
    return table


def _control(evaluation: EvaluationSpec) -> str:
    judge = evaluation.judge
    if judge is not None and judge.data.skip:
        return HALVES
    return getattr(evaluation.classifier, "control", "")


def _train(evaluation: EvaluationSpec) -> TrainSpec | None:
    return getattr(evaluation.subject, "train", None)


def _named(evaluation: EvaluationSpec) -> str:
    neurons = getattr(evaluation.subject, "neurons", None) or ()
    return ",".join(map(str, neurons))


def _setting(study: Study) -> str:
    profile, data = study.profile, study.data
    trained = [study.data_spec.hash, profile.width, profile.norm]
    trained += [asdict(profile.classifier), asdict(profile.decoder)]
    digest = hashlib.sha256(json.dumps(trained, sort_keys=True).encode()).hexdigest()[:6]
    which = f"{study.data_spec.fingerprint[:6]}, {'x'.join(map(str, data.image_shape[1:]))}"
    updates = profile.decoder.length(len(data.train))
    return f"{which}, {len(data.train)} training images, {updates} updates, {digest}"


def _depths(study: Study) -> dict[str, int]:
    return {layer.name: i for i, layer in enumerate(list_layers(study.probe(), study.data.image_shape))}


@dataclass(frozen=True)
class Belonging:
    """The results folders that a scorecard reads, and why it reads no others: a sentence for each reason."""

    read: tuple[str, ...]
    left_out: tuple[str, ...]


def belonging(profile: str, these: Iterable[str] | None = None) -> Belonging:
    """Which results folders of a profile a scorecard reads: `these`, or (None) all whose choices are the
    profile's own, so that an experiment moves no verdict unless it is asked for.

    Raises CladecError for a folder that is not there.
    """
    found = known(profile, TABLE, EFFECTS)
    said = {name: choices["differs"] for name, choices in found.items() if choices is not None}
    if these is None:
        wanted = {name for name, differs in said.items() if not differs}
    else:
        wanted = {_chosen(name, profile) for name in these}
    reasons = []
    if rest := sorted(set(said) - wanted):
        names = "; ".join(f"{name} ({_how(said[name])})" for name in rest)
        reasons.append(f"left out (name folders with `cladec scorecard --study` to decide on them): {names}")
    if old := sorted(set(found) - set(said)):
        reasons.append(f"ignored, as it is of an earlier layout of results: {', '.join(old)}")
    return Belonging(tuple(sorted(wanted)), tuple(reasons))


def _chosen(name: str, profile: str) -> str:
    if not (names := known(profile, CHOICES)):
        where = paths.results_dir(profile)
        raise CladecError(f"There is no results folder {name!r} in {where}; run `cladec study` first.")
    return choose(name, names, "results folder")


def _how(differs: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {words}" for name, words in differs.items()) or "the profile's own choices"


def read(path: Path) -> pd.DataFrame:
    """A recorded table (see COLUMNS and ONLY); raises CladecError if it is not one."""
    return tables.read(path, COLUMNS, "a table of evaluations", ONLY)
