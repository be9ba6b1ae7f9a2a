"""What the saliency comparison found, and the rule that turns it into rows of C6.

**The rule for C6.** The effect of a ClaDec map is its score minus an opponent's, per test image and seed.
Opponents are chosen on *selection* images (validation images, never others), per architecture and column, by
their mean score over images and seeds: the *best* saliency method, and the *median* one, of an even number
the lower-ranked of the two in the middle. Where there are no validation images nothing is decided.

- *Primary*, one row per architecture: `evidence`, ROAD, smoothed, against the median method: "saliency
  methods" in the claim means a usual one, not the best of many.
- *Secondary*: every ClaDec map against the best method under `C6_COLUMNS`: the primary endpoint, and deletion
  and insertion with the baselines of their authors (Petsiuk et al. 2018: black for deletion, blur for
  insertion), all on smoothed maps; and `match` within the foreground, where the background, which is matched
  anyway, does not count, under ROAD against the median method there.
- *Interaction*, secondary, one row per data set: does it depend on the architecture? The primary effect with
  vgg minus that with resnet, paired by run and test image, tested in both directions (`verdicts.TWO_SIDED`).

*How blind was it?* Not very. Metrics and maps were fixed after a first trial with a smaller network on the
same data. The median opponent, the row within the foreground and the interaction were fixed after the `quick`
profile's results (three seeds, both architectures) had been looked at: the mean scores of all maps under all
columns, and how many methods each map is above. None of the three had been computed as it stands here, but
about where they come out could be read from those tables.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from torch import Tensor

from cladec_utils.claims.effects import record_effects
from cladec_utils.claims.interval import SMALLEST, Effect, effect
from cladec_utils.engine import store
from cladec_utils.models.architectures import ARCHITECTURES
from cladec_utils.models.attribution import CLADEC, NULL_OF
from cladec_utils.saliency.experiment import C6_COLUMNS, ENDPOINT, FOREGROUND, cascade, scoring, splits
from cladec_utils.saliency.faithfulness import COLUMNS
from cladec_utils.saliency.maps import GROUP_OF
from cladec_utils.study.folders import Folder, folder_name
from cladec_utils.study.study import Study

Column = tuple[str, str]
BLOBS = "random blobs"
PRIMARY_MAP = "evidence"
MEDIAN, BEST = "median", "best"
NOT_SELECTED = "no validation images to choose the opponent on"


@dataclass(frozen=True)
class Scores:
    """The scores of a study's maps, one entry per seed: `map|metric|condition` -> (images,). `selection` is
    empty where the study has no validation images."""

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
    found = {
        split: [store.get(scoring(study, seed, split)).tensors for seed in study.fewer]
        for split in splits(study)
    }
    maps = scoring(study, study.seeds[0]).maps
    return Scores(study, maps, found["test"], found.get("selection", []))


def contrast(scores: Scores, name: str, other: str | None = None, column: Column = ENDPOINT) -> Effect:
    """The score of a map minus another's (None: minus a random order's, which is 0 on average), paired by
    seed and image, with its interval by the rule in `interval`."""
    return _effect(scores.study, _differences(scores, name, other, column))


def _differences(scores: Scores, name: str, other: str | None, column: Column) -> list[np.ndarray]:
    mine = scores.of(name, column)
    theirs = scores.of(other, column) if other else [np.zeros(1)] * len(mine)
    return [a - b for a, b in zip(mine, theirs, strict=True)]


def _effect(study: Study, differences: Sequence[np.ndarray]) -> Effect:
    found = effect(differences, SMALLEST["probability"], len(study.fewer))
    return replace(found, added=not set(study.seeds) <= set(study.usual.profile.seeds))


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


def against(scores: Scores, other: str, column: Column) -> pd.DataFrame:
    """Each ClaDec map, control and null minus an opponent under a column: map, group, mean, low, high."""
    names = [name for name in scores.maps if GROUP_OF[name] != "saliency"]
    return pd.DataFrame([_row(name, name, contrast(scores, name, other, column)) for name in names])


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


def opponents(scores: Scores, column: Column) -> dict[str, str]:
    """The saliency methods that the rule for C6 selects, by MEDIAN and BEST; none without selection."""
    if not scores.selection:
        return {}
    names = [name for name in scores.maps if GROUP_OF[name] == "saliency"]
    ranked = sorted(names, key=lambda name: scores.mean(name, column, selection=True))
    return {MEDIAN: ranked[(len(ranked) - 1) // 2], BEST: ranked[-1]}


def c6_rows(scores: Scores) -> list[tuple[str, str, str, Effect]]:
    """(C6, layer, `map, metric, vs ... method (its name)`, effect): the rows of the rule for one study."""
    asked = [(PRIMARY_MAP, ENDPOINT, MEDIAN)]
    asked += [(name, column, BEST) for column in C6_COLUMNS for name in CLADEC]
    asked.append(("match", FOREGROUND, MEDIAN))
    rows = []
    for name, column, which in asked:
        where = column[0] + (" within the foreground" if column == FOREGROUND else "")
        detail, other = f"{name}, {where}, vs {which} method", opponents(scores, column).get(which)
        found = contrast(scores, name, other, column) if other else _undecided(scores)
        detail += (f" ({other})" if other else "") + _neurons(scores.study)
        rows.append(("C6", scores.study.features, detail, found))
    return rows


def _undecided(scores: Scores) -> Effect:
    return Effect(np.nan, np.nan, 1.0, len(scores.test), SMALLEST["probability"], note=NOT_SELECTED)


@dataclass(frozen=True)
class Pair:
    """The scores of the same images under two architectures."""

    first: Scores
    second: Scores

    @property
    def folder(self) -> Folder:
        """Where the difference between the two goes: beside the first one's, named after both."""
        mine, theirs = self.first.study.folder, self.second.study.folder
        name = f"{mine.name}-minus-{folder_name([self.second.study.architecture], theirs.differs)}"
        made_from = dict(mine.made_from) | {"architecture": self.of("architecture")}
        made_from["layers"] = [*mine.made_from["layers"], *theirs.made_from["layers"]]
        return Folder(mine.profile, name, made_from, {**mine.differs, **theirs.differs})

    def of(self, choice: str) -> str:
        """A choice of both studies, in words."""
        return " - ".join(getattr(each.study, choice) for each in (self.first, self.second))


def pair_of(every: Iterable[Scores]) -> Pair | None:
    """The two architectures of the kit among some studies' scores of whole layers; None if one is missing."""
    whole = {each.study.architecture: each for each in every if not each.study.neurons}
    found = [whole[name] for name in ARCHITECTURES if name in whole]
    return Pair(*found) if len(found) == len(ARCHITECTURES) else None


def interaction(pair: Pair) -> tuple[str, str, str, Effect]:
    """(C6 interaction, layers, `map, metric, vs median methods (their names)`, effect): the primary effect of
    the first architecture minus that of the second."""
    both = (pair.first, pair.second)
    layers = " - ".join(each.study.features for each in both)
    others = [opponents(each, ENDPOINT).get(MEDIAN) for each in both]
    detail = f"{PRIMARY_MAP}, {ENDPOINT[0]}, vs median methods"
    if not all(others):
        return "C6 interaction", layers, detail, _undecided(pair.first)
    parts = [_differences(s, PRIMARY_MAP, o, ENDPOINT) for s, o in zip(both, others, strict=True)]
    found = _effect(pair.first.study, [a - b for a, b in zip(*parts, strict=True)])
    return "C6 interaction", layers, f"{detail} ({' - '.join(map(str, others))})", found


def record(every: Iterable[Scores]) -> None:
    """Put the rows of C6 for some studies into the scorecard and, where both architectures of the kit are
    among them, their interaction."""
    every = list(every)
    for scores in every:
        record_effects(scores.study, "saliency", c6_rows(scores))
    if pair := pair_of(every):
        record_effects(pair, "saliency", [interaction(pair)])


def _neurons(study: Study) -> str:
    """The neurons that a study is about, in words; empty for all of a layer."""
    return ", neurons " + "-".join(map(str, study.neurons)) if study.neurons else ""
