"""What the saliency comparison found, and the rule that turns it into rows of C6.

**The rule for C6**, fixed beforehand. Per architecture and metric, the opponent is the saliency method with
the highest mean score on *selection* images (validation images; training images where the profile has
none), over all seeds. The effect of a ClaDec map is its score minus the opponent's, per test image and
seed. Metrics are `C6_COLUMNS`: the primary endpoint, and deletion and insertion with the baselines of their
authors (Petsiuk et al. 2018: black for deletion, blur for insertion), all on smoothed maps. There is one
verdict per map, metric and architecture, and no verdict over all of them. The primary row is `evidence` under
the primary endpoint (`verdicts.DETAILS`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from torch import Tensor

from cladec_utils.claims.effects import record_effects
from cladec_utils.claims.interval import SMALLEST, Effect, effect
from cladec_utils.engine import store
from cladec_utils.models.attribution import CLADEC, NULL_OF
from cladec_utils.saliency.experiment import C6_COLUMNS, ENDPOINT, cascade, scoring
from cladec_utils.saliency.faithfulness import COLUMNS
from cladec_utils.saliency.maps import GROUP_OF
from cladec_utils.study.study import Study

Column = tuple[str, str]
BLOBS = "random blobs"


@dataclass(frozen=True)
class Scores:
    """The scores of a study's maps, one entry per seed: `map|metric|condition` -> (images,)."""

    study: Study
    maps: tuple[str, ...]
    test: list[dict[str, Tensor]]
    selection: list[dict[str, Tensor]]

    def of(self, name: str, column: Column, selection: bool = False) -> list[np.ndarray]:
        """Scores of one map under one (metric, condition): per seed an array (images,)."""
        key = "|".join((name, *column))
        return [seed[key].double().numpy() for seed in (self.selection if selection else self.test)]

    def mean(self, name: str, column: Column, selection: bool = False) -> float:
        """The same, averaged over images and seeds."""
        return float(np.mean(self.of(name, column, selection)))


def load(study: Study) -> Scores:
    """The scores of a study, measured where they are missing."""
    runs = {s: [store.get(scoring(study, seed, s)) for seed in study.seeds] for s in ("test", "selection")}
    test, selection = ([run.tensors for run in found] for found in runs.values())
    return Scores(study, scoring(study, study.seeds[0]).maps, test, selection)


def contrast(scores: Scores, name: str, other: str | None = None, column: Column = ENDPOINT) -> Effect:
    """The score of a map minus another's (None: minus a random order's, which is 0 on average), paired by
    seed and image, with its interval by the rule in `interval`."""
    mine = scores.of(name, column)
    theirs = scores.of(other, column) if other else [np.zeros(1)] * len(mine)
    differences = [a - b for a, b in zip(mine, theirs, strict=True)]
    found = effect(differences, SMALLEST["probability"], len(scores.study.seeds))
    return replace(found, added=not set(scores.study.seeds) <= set(scores.study.usual.profile.seeds))


def table(scores: Scores, column: Column = ENDPOINT) -> pd.DataFrame:
    """A row per map: map, group, mean, low, high (95 % interval over seeds and images)."""
    return pd.DataFrame([_row(name, name, contrast(scores, name, None, column)) for name in scores.maps])


def means(scores: Scores, columns: Sequence[Column] = COLUMNS) -> pd.DataFrame:
    """Mean scores over seeds and images: a row per map, a column per `metric, condition`."""
    found = {", ".join(c): {name: scores.mean(name, c) for name in scores.maps} for c in columns}
    return pd.DataFrame(found)


def against_nulls(scores: Scores, column: Column = ENDPOINT) -> pd.DataFrame:
    """Each ClaDec map minus each of its nulls and, for comparison, the controls minus random blobs.

    Columns: map (`name - null`), group, mean, low, high.
    """
    pairs = {null: name for null, name in NULL_OF.items() if null in scores.maps}
    rows = [
        _row(f"{n} - {null.split(', ')[1]}", n, contrast(scores, n, null, column))
        for null, n in pairs.items()
    ]
    for name in scores.maps:
        if GROUP_OF[name] == "control" and name != BLOBS:
            rows.append(_row(f"{name} - {BLOBS}", name, contrast(scores, name, BLOBS, column)))
    return pd.DataFrame(rows)


def against_opponent(scores: Scores, column: Column) -> pd.DataFrame:
    """Each ClaDec map, control and null minus the opponent under a column: map, group, mean, low, high."""
    best = opponent(scores, column)
    names = [name for name in scores.maps if GROUP_OF[name] != "saliency"]
    return pd.DataFrame([_row(name, name, contrast(scores, name, best, column)) for name in names])


def against_methods(scores: Scores, column: Column = ENDPOINT) -> pd.DataFrame:
    """How many saliency methods each ClaDec map, control and null is above and below, interval clear of 0,
    and how many it is not told apart from: a row per map, columns group, above, below, undecided.

    The intervals are not adjusted for the number of methods; verdicts on C6 are (see `claims`).
    """
    methods = [name for name in scores.maps if GROUP_OF[name] == "saliency"]
    rows = {}
    for name in scores.maps:
        if name not in methods:
            found = [contrast(scores, name, method, column) for method in methods]
            above, below = sum(e.low > 0 for e in found), sum(e.high < 0 for e in found)
            rows[name] = (GROUP_OF[name], above, below, len(found) - above - below)
    return pd.DataFrame.from_dict(rows, "index", columns=["group", "above", "below", "undecided"])


def _row(label: str, name: str, e: Effect) -> dict[str, object]:
    return {"map": label, "group": GROUP_OF[name], "mean": e.mean, "low": e.low, "high": e.high}


def randomisation(study: Study) -> pd.DataFrame:
    """Mean rank correlation with the trained classifier's map: a row per map, a column per layer down to
    which weights were drawn anew, latest first. Random maps are drawn anew, too."""
    return pd.DataFrame(
        {spec.classifier.down_to: store.record(spec).metrics for spec in cascade(study, study.seeds[0])}
    )


def opponent(scores: Scores, column: Column) -> str:
    """The saliency method that the rule for C6 selects."""
    names = [name for name in scores.maps if GROUP_OF[name] == "saliency"]
    return max(names, key=lambda name: scores.mean(name, column, selection=True))


def c6_rows(scores: Scores) -> list[tuple[str, str, str, Effect]]:
    """(C6, layer, `map, metric, vs opponent`, effect) for every ClaDec map and metric of the rule."""
    rows = []
    for column in C6_COLUMNS:
        best = opponent(scores, column)
        for name in CLADEC:
            detail = f"{name}, {column[0]}, vs {best}{_neurons(scores.study)}"
            rows.append(("C6", scores.study.features, detail, contrast(scores, name, best, column)))
    return rows


def record(scores: Scores) -> None:
    """Put the rows of C6 for a study into the scorecard."""
    record_effects(scores.study, "saliency", c6_rows(scores))


def _neurons(study: Study) -> str:
    """The neurons that a study is about, in words; empty for all of a layer."""
    return ", neurons " + "-".join(map(str, study.neurons)) if study.neurons else ""
