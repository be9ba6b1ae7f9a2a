"""The evidence for the claims: what has to be measured, and the record of what has been."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from cladec_utils.claims.interval import paired_interval
from cladec_utils.data import datasets
from cladec_utils.engine import paths, store, tables
from cladec_utils.errors import CladecError, choose
from cladec_utils.models.layers import list_layers
from cladec_utils.study import neurons as study_neurons
from cladec_utils.study.classifiers import CONTROLS
from cladec_utils.study.evaluation import EvaluationSpec, tidy
from cladec_utils.study.folders import CHOICES, known
from cladec_utils.study.study import Study


def compare(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """ClaDec minus RefAE per layer for one metric of a tidy table, paired by seed.

    Columns: layer, ClaDec, RefAE, PCA (means over seeds; PCA NaN where there is none), difference, low, high
    (95 % t interval), seeds.
    """
    mine = table[(table["metric"] == metric) & table["method"].isin(["ClaDec", "RefAE"])]
    rows = []
    for layer, group in mine.groupby("layer", sort=False):
        wide = group.pivot_table(index="seed", columns="method", values="value").dropna()
        mean, low, high = paired_interval(wide["ClaDec"] - wide["RefAE"])
        rows.append({
            "layer": layer, "ClaDec": wide["ClaDec"].mean(), "RefAE": wide["RefAE"].mean(),
            "PCA": table.query("metric == @metric and method == 'PCA' and layer == @layer")["value"].mean(),
            "difference": mean, "low": low, "high": high, "seeds": len(wide),
        })  # fmt: skip
    return pd.DataFrame(rows)


FAITHFUL_ALPHA = 0.9
"""C3 compares alpha 0 with this one, in every profile, on every layer."""
TABLE, EFFECTS = "evaluations.csv", "effects_*.csv"
COLUMNS = (
    dict.fromkeys(("dataset", "architecture", "method", "layer", "neurons", "metric", "hash"), str)
    | dict.fromkeys(("control", "choice", "named", "setting"), str)
    | dict.fromkeys(("seed", "n_test", "updates", "expected_seeds"), int)
    | dict.fromkeys(("width", "alpha", "value", "depth", "chance"), float)
)
"""What the columns of TABLE hold."""


def alpha_sweep(study: Study) -> list[EvaluationSpec]:
    """All alphas of the profile on its swept layers, judged; ClaDec of the study's own seeds. Under a profile
    that is not thorough, unless the user has named alphas, those that C3 does not compare are tried with the
    first seed only, and only alpha 0 is judged with the others."""
    asked = study.profile.alphas != study.usual.profile.alphas
    thoroughly = study.seeds if asked or study.profile.thorough else study.seeds[:1]
    seeds = dict.fromkeys(study.profile.alphas, thoroughly) | dict.fromkeys(
        (0.0, FAITHFUL_ALPHA), study.seeds
    )
    layers = [layer for layer in study.profile.swept.get(study.architecture, ()) if layer in study.layers]
    return [
        study.evaluation(study.cladec(layer, seed, alpha), seed, judged=not alpha or seed in thoroughly)
        for layer in layers or study.layers[-1:]
        for alpha in study.profile.alphas
        for seed in seeds[alpha]
    ]


def alpha_pairs(study: Study, beside: Iterable[EvaluationSpec]) -> list[EvaluationSpec]:
    """Alpha 0 and FAITHFUL_ALPHA on every layer; C3 needs no judge, so only those that the plan
    `beside` judges anyway have one."""
    judged = {spec.subject: spec for spec in beside}
    pairs = []
    for layer in study.layers:
        for seed in study.seeds:
            for alpha in (0.0, FAITHFUL_ALPHA):
                subject = study.cladec(layer, seed, alpha)
                pairs.append(judged.get(subject) or study.evaluation(subject, seed, judged=False))
    return pairs


def negative_controls(study: Study) -> list[EvaluationSpec]:
    """ClaDec on classifiers that know nothing: C1's advantage must vanish. On the two latest layers, or on
    `subset_layer` alone where the profile is not thorough."""
    layers = study.layers[-2:] if study.profile.thorough else [subset_layer(study)]
    plan = []
    for name in CONTROLS:
        for layer in layers:
            for seed in study.seeds:
                subject = study.cladec(layer, seed, 0.0, classifier=study.control(name, seed))
                plan.append(study.evaluation(subject, seed))
    return plan


@dataclass(frozen=True)
class Subset:
    """Some of a layer's neurons: how they were chosen, and the evaluation of ClaDec on them alone."""

    choice: str
    size: int
    seed: int
    evaluation: EvaluationSpec


def subset_layer(study: Study) -> str:
    """The layer whose subsets are studied: the last before the logits, if the study has one."""
    return study.layers[-2] if len(study.layers) > 1 else study.layers[0]


def neuron_subsets(study: Study) -> list[Subset]:
    """Random quarters and single neurons, in thorough profiles also halves (another draw for each seed), and
    the most and least important quarter. Needs the classifiers, and trains those that are missing."""
    layer = subset_layer(study)
    total = study_neurons.count(study, layer)
    quarter = max(1, total // 4)
    sizes = [max(1, total // 2)] * study.profile.thorough + [quarter, 1]
    found = []
    for seed in study.seeds:
        order = study_neurons.ranked(study, layer, seed)
        chosen = [("random", study_neurons.random(total, n, seed)) for n in sizes]
        chosen += [("most important", tuple(sorted(order[:quarter])))]
        chosen += [("least important", tuple(sorted(order[-quarter:])))]
        for choice, neurons in chosen:
            spec = study.cladec(layer, seed, 0.0, neurons)
            found.append(Subset(choice, len(neurons), seed, study.evaluation(spec, seed)))
    return found


@dataclass(frozen=True)
class Plan:
    """What the scorecard asks of a study: evaluations, and which subsets of neurons are among them."""

    evaluations: list[EvaluationSpec]
    chosen: list[Subset]


def plan(study: Study, full: bool = True) -> Plan:
    """Everything that is to be measured of a study; `full` adds the sweep over alpha, the negative controls
    and the neuron subsets, which need the classifiers, to C1, C2 and C3."""
    evaluations, chosen = study.reconstructions(), []
    if full:
        chosen = neuron_subsets(study)
        evaluations += [*alpha_sweep(study), *negative_controls(study), *(s.evaluation for s in chosen)]
    return Plan(evaluations + alpha_pairs(study, evaluations), chosen)


def record(
    study: Study, evaluations: Iterable[EvaluationSpec], chosen: Iterable[Subset] = ()
) -> pd.DataFrame:
    """Add evaluations to the study's table of everything measured so far; returns the whole table.

    Columns are those of `evaluation.tidy`, then: control (what stood in C's place, or empty), choice
    (how a subset of neurons was chosen, or empty), named (neurons that the user has named, or empty), setting
    (data and training, in words and with a hash: what is compared must agree in it), depth (of the layer,
    0 runs first), chance (the largest class's share of the test images), expected_seeds, how many seeds
    the study was to have, and planned_seeds, those of the profile. `chosen` says how subsets among the
    evaluations were chosen.
    """
    specs = list(dict.fromkeys(evaluations))
    control = {s.hash: getattr(s.classifier, "control", "") for s in specs}
    choice = {s.evaluation.hash: s.choice for s in chosen}
    table = tidy(specs)
    table["control"] = table["hash"].map(control)
    table["choice"] = [choice.get(name, "") for name in table["hash"]]
    table["named"] = table["hash"].map({s.hash: "" if s.hash in choice else _named(s) for s in specs})
    table["setting"] = _setting(study)
    table["depth"] = table["layer"].map(_depths(study)).fillna(-1)
    labels = datasets.load(study.data_spec).test.labels
    table["chance"] = float(labels.bincount().max()) / len(labels)
    table["expected_seeds"] = len(study.seeds)
    table["planned_seeds"] = " ".join(map(str, study.usual.profile.seeds))
    path = study.folder.path / TABLE
    with store.locked(path.parent, path.name):  # notebooks run side by side
        if path.is_file():
            table = pd.concat([read(path), table])
            table = table.drop_duplicates(["hash", "metric"], keep="last")
        study.folder.write(TABLE, table.to_csv(index=False))
    return table


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
    """A recorded table (see COLUMNS); raises CladecError if it is not one."""
    return tables.read(path, COLUMNS, "a table of evaluations")
