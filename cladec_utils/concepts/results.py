"""G1 to G4 for planted-concepts studies as effects, and C1 with other labels; the rules are in `experiment`.
`alpha_effects` follows the rule in `verdicts`, too, but is no claim; `noise` describes."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from cladec_utils.claims.interval import SMALLEST, Effect, all_of, effect, undecided
from cladec_utils.claims.required import FAITHFUL_ALPHA
from cladec_utils.claims.verdicts import ALL, DETAILS, Row, decide, gate, is_primary
from cladec_utils.concepts.controls import DECODER, SECOND, control, control_names, random_weights
from cladec_utils.concepts.experiment import ALLOWED, ConceptStudy, Subject, subject_of
from cladec_utils.concepts.reading import closer, contrast, invalid, label_advantage, shown_by
from cladec_utils.data.planted import FACTORS
from cladec_utils.engine import store
from cladec_utils.study.explainers import ExplainerSpec

NOT_WORSE, FRESH = f"not worse than X_R by more than {ALLOWED:g}", "fresh probe"
OWN_LABELS, OTHER_LABELS = "own labels", "other labels"
"""Details of rows that stand beside the primary ones."""
Found = tuple[str, str, str, Effect]
COLUMNS = ["claim", "architecture", "layer", "detail", "row", "effect", "low", "high", "verdict", "note"]


def effects(concepts: ConceptStudy) -> list[Found]:
    """All rows (claim, layer, detail, effect), without those that need controls where the study has none. If
    the classifiers are no ground truth, each says so."""
    rows = list(_per_layer(concepts))
    if concepts.controlled:
        rows += [*_controls(concepts), *_labels(concepts)]
    return _unless_invalid(concepts, rows)


def _unless_invalid(concepts: ConceptStudy, rows: list[Found]) -> list[Found]:
    reason = invalid(concepts)
    return [(*where, undecided(e, reason)) for *where, e in rows] if reason else rows


def _over_seeds(
    concepts: ConceptStudy, difference: Callable[[int], np.ndarray], smallest: float = SMALLEST["accuracy"]
) -> Effect:
    found = effect([difference(s) for s in concepts.seeds], smallest, len(concepts.seeds))
    return replace(found, added=not set(concepts.seeds) <= set(concepts.studies[0].usual.profile.seeds))


def _gate(concepts: ConceptStudy, refae: Subject, layer: str) -> str:
    """Why a RefAE is no reference for the X_E of one or the other classifier, or an empty text."""
    kind = "validation" if len(concepts.studies[0].data.val) else "training"

    def errors(subject: Subject, which: int) -> list[float]:
        made = (store.record(subject(which, seed)) for seed in concepts.seeds)
        return [record.metrics["final_val" if kind == "validation" else "final_train"] for record in made]

    x_e, place = subject_of(concepts, layer, 0.0), concepts.layers.index(layer)
    later = {name: errors(subject_of(concepts, name, None), 0) for name in concepts.layers[place + 1 :]}
    reasons = [gate(errors(refae, which), errors(x_e, which), later, kind) for which in (0, 1)]
    return next(filter(None, reasons), "")


def _per_layer(concepts: ConceptStudy) -> Iterable[Found]:
    for layer in concepts.layers:
        x_e, x_r = subject_of(concepts, layer, 0.0), subject_of(concepts, layer, None)
        reason = _gate(concepts, x_r, layer)
        if concepts.controlled:
            random = random_weights(concepts, layer)
            kept = _over_seeds(concepts, lambda s: closer(concepts, x_e, random, s, True))  # noqa: B023
            yield "G1", layer, ALL, kept
        # The effect has the allowance in it, so there is no further smallest one.
        near = _over_seeds(concepts, lambda s: closer(concepts, x_e, x_r, s, True) + ALLOWED, 0.0)  # noqa: B023
        yield "G1", layer, NOT_WORSE, replace(near, gate=reason)
        yield "G2", layer, ALL, replace(_dropped(concepts, x_e, x_r), gate=reason)
        for detail, probe in ((ALL, "original"), (FRESH, "fresh")):
            yield "G3", layer, detail, _moved(concepts, layer, probe)


def _dropped(concepts: ConceptStudy, x_e: Subject, x_r: Subject) -> Effect:
    """How much worse irrelevant concepts that X_R shows are read from X_E; others are left out and named."""
    shown = shown_by(concepts, x_r)
    if not shown:
        nothing = _over_seeds(concepts, lambda _: np.full(1, np.nan))
        return undecided(nothing, "X_R shows none of the concepts, so that none can be dropped")
    found = _over_seeds(concepts, lambda s: closer(concepts, x_r, x_e, s, False, factors=shown))
    left_out = ", ".join(f for f in FACTORS if f not in shown)
    return replace(found, name=f"without {left_out}, not shown by X_R" if left_out else "")


def _moved(concepts: ConceptStudy, layer: str, probe: str) -> Effect:
    close, faithful = (subject_of(concepts, layer, alpha) for alpha in (0.0, FAITHFUL_ALPHA))
    return _over_seeds(
        concepts, lambda s: contrast(concepts, faithful, s, probe) - contrast(concepts, close, s, probe)
    )


def _controls(concepts: ConceptStudy) -> Iterable[Found]:
    layer, found = concepts.layers[-1], []
    for name in control_names(concepts):
        survives = _survives(concepts, name, layer)
        found.append(replace(survives, name=", ".join(filter(None, (name, survives.name)))))
        yield "G4", layer, name, found[-1]
    yield "G4", layer, DETAILS["G4"], all_of(*found)


def _survives(concepts: ConceptStudy, name: str, layer: str) -> Effect:
    x_e, other = subject_of(concepts, layer, 0.0), control(concepts, name)
    if name == SECOND:
        return replace(_dropped(concepts, x_e, other), gate=_gate(concepts, other, layer))
    if name.startswith(DECODER):
        return _over_seeds(concepts, lambda s: contrast(concepts, other, s))
    return _over_seeds(concepts, lambda s: contrast(concepts, x_e, s) - contrast(concepts, other, s))


def _labels(concepts: ConceptStudy) -> Iterable[Found]:
    """C1 on the planted data, and its control: C trained on the same images for the other data set's labels.
    Each is asked of both data sets and needs both, so that an advantage in one hides no lack in the other."""
    layer = concepts.layers[-1]
    x_e, x_r = subject_of(concepts, layer, 0.0), subject_of(concepts, layer, None)
    reason, least = _gate(concepts, x_r, layer), SMALLEST["accuracy"]

    def other(which: int, seed: int) -> ExplainerSpec:
        return x_e(1 - which, seed)

    own, ignorant = [], []
    for which, study in enumerate(concepts.studies):
        name = f"labels of {study.data_spec.dataset}"
        gained = _over_seeds(concepts, lambda s: label_advantage(concepts, which, x_e, x_r, s))  # noqa: B023
        gone = _over_seeds(
            concepts,
            lambda s: least - label_advantage(concepts, which, other, x_r, s),  # noqa: B023
            0.0,
        )
        own.append(replace(gained, gate=reason, name=name))
        ignorant.append(replace(gone, gate=reason, name=name))
    yield "C1", layer, OWN_LABELS, all_of(*own)
    yield "control", layer, OTHER_LABELS, all_of(*ignorant)


def decided(found: Mapping[str, Iterable[Found]]) -> pd.DataFrame:
    """The `effects` of each architecture, decided together as the scorecard does; columns COLUMNS."""
    return _decided([(architecture, *row) for architecture, rows in found.items() for row in rows])


def alpha_effects(every: Iterable[ConceptStudy]) -> pd.DataFrame:
    """What FAITHFUL_ALPHA in place of 0 does per layer, as in `decided`. `shed`: how much worse irrelevant
    concepts are read by the fresh probe; `price`: how much worse relevant ones are read by the probe that
    was trained on originals. *Does not hold* is then: by less than a point, if at all."""
    rows = []
    for each in every:
        mine = []
        for layer in each.layers:
            pair = subject_of(each, layer, 0.0), subject_of(each, layer, FAITHFUL_ALPHA)
            shed = _over_seeds(each, lambda s: closer(each, *pair, s, False))  # noqa: B023
            price = _over_seeds(each, lambda s: closer(each, *pair, s, True, "original"))  # noqa: B023
            mine += [("shed", layer, ALL, shed), ("price", layer, ALL, price)]
        rows += [(each.studies[0].architecture, *row) for row in _unless_invalid(each, mine)]
    return _decided(rows)


def _decided(rows: list[tuple[str, str, str, str, Effect]]) -> pd.DataFrame:
    latest = {architecture: layer for architecture, _, layer, *_ in rows}  # the last of each
    asked = [
        Row(claim, "planted", e, is_primary(claim, architecture, layer, detail, latest[architecture]))
        for architecture, claim, layer, detail, e in rows
    ]
    found = []
    for (architecture, claim, layer, detail, _), row, v in zip(rows, asked, decide(asked), strict=True):
        rank = "primary" if row.primary else "secondary"
        about = "" if v.effect.name == detail else v.effect.name
        note = "; ".join(filter(None, (about, v.why)))
        figures = [rank, v.effect.mean, v.low, v.high, v.verdict, note]
        found.append([claim, architecture, layer, detail, *figures])
    order = list(dict.fromkeys(row[1] for row in rows))
    return pd.DataFrame(sorted(found, key=lambda row: order.index(row[0])), columns=COLUMNS)


def noise(concepts: ConceptStudy) -> pd.DataFrame:
    """How far what X_R shows of irrelevant concepts is from what X_E shows, and from what a second RefAE
    shows, at the last layer and alpha 0: absolute differences. Columns: concept, seed, X_E, second RefAE."""
    layer, rows = concepts.layers[-1], []
    x_e, second = subject_of(concepts, layer, 0.0), control(concepts, SECOND)
    for which, study in enumerate(concepts.studies):
        for factor in (f for f in FACTORS if not concepts.relevant(which, f)):
            for seed in concepts.seeds:
                subjects = (concepts.refae(layer, seed), x_e(which, seed), second(which, seed))
                x_r, *others = (
                    store.record(concepts.shown(s, seed)).metrics[f"fresh_{factor}"] for s in subjects
                )
                name = f"{factor} ({study.data_spec.dataset.removeprefix('planted-')})"
                rows.append([name, seed, *(abs(x_r - other) for other in others)])
    return pd.DataFrame(rows, columns=["concept", "seed", "X_E", SECOND])


# --- from tables ----------------------------------------------------------------------------------


def area_under_roc(scores: Iterable[float], relevant: Iterable[bool]) -> float:
    """The chance that a relevant concept's score lies above an irrelevant one's, ties counting one half
    (Hanley and McNeil 1982). NaN where one of the two kinds is missing."""
    scores, relevant = np.asarray(list(scores), dtype=float), np.asarray(list(relevant), dtype=bool)
    pairs = int(relevant.sum() * (~relevant).sum())
    if not pairs:
        return np.nan
    return float(mannwhitneyu(scores[relevant], scores[~relevant], method="asymptotic").statistic) / pairs


def areas(table: pd.DataFrame) -> pd.DataFrame:
    """How well scores tell relevant from irrelevant concepts, from a `experiment.table`. Columns:
    architecture, layer, seed, score (`X_E - X_R, alpha 0`, ..., `held`), area (under the ROC curve)."""
    rows = []
    for (architecture, layer, seed, alpha), mine in table.groupby(
        ["architecture", "layer", "seed", "alpha"], sort=False
    ):
        scores = {f"X_E - X_R, alpha {alpha:g}": mine["X_E"] - mine["X_R"]}
        scores[f"X_E alone, alpha {alpha:g}"] = mine["X_E"]
        if alpha == 0:  # what a layer holds does not depend on alpha
            scores["held"] = mine["held"]
        for name, score in scores.items():
            area = area_under_roc(score, mine["relevant"])
            rows.append([architecture, layer, seed, name, area])
    return pd.DataFrame(rows, columns=["architecture", "layer", "seed", "score", "area"])


def reasons(table: pd.DataFrame, sizes: Mapping[str, float]) -> pd.DataFrame:
    """What might explain that irrelevant concepts are shown at alpha 0; one row per architecture, layer and
    seed of a `experiment.table`. `sizes`: how much of an image an edit of each factor changes.

    Columns: shown and held (means over irrelevant concepts); `shown ~ held`, `shown ~ size` and
    `held ~ size` (Spearman correlations over them); `held gap` and `shown gap` (concepts that only one of
    the classifiers needs: where needed minus where not, so that sizes are equal); lost (held minus shown).
    """
    rows = []
    at_zero = table[table["alpha"] == 0]
    for (architecture, layer, seed), mine in at_zero.groupby(["architecture", "layer", "seed"], sort=False):
        other = mine[~mine["relevant"]]
        size = other["factor"].map(sizes)
        swapped = mine[mine["factor"].isin(mine.loc[mine["relevant"], "factor"])]
        gap = swapped.groupby("relevant")[["held", "X_E"]].mean().diff().iloc[-1]
        rows.append({
            "architecture": architecture, "layer": layer, "seed": seed,
            "shown": other["X_E"].mean(), "held": other["held"].mean(),
            "shown ~ held": _spearman(other["X_E"], other["held"]),
            "shown ~ size": _spearman(other["X_E"], size),
            "held ~ size": _spearman(other["held"], size),
            "held gap": gap["held"], "shown gap": gap["X_E"], "lost": (other["held"] - other["X_E"]).mean(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _spearman(one: pd.Series, other: pd.Series) -> float:
    varies = one.nunique() > 1 and other.nunique() > 1
    return one.corr(other, method="spearman") if varies else math.nan
