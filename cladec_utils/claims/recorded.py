"""The recorded evaluations of one study, by what was explained: which there are, and what they differ by."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from cladec_utils.claims.interval import Effect, effect
from cladec_utils.claims.verdicts import gate
from cladec_utils.engine import store
from cladec_utils.models.references import GENERIC
from cladec_utils.study.evaluation import REFAES, TRAIN_MSE, VALIDATION_MSE

BySeed = dict[int, str]
"""Seed -> hash of an evaluation."""


class Recorded:
    """The evaluations of one study: a row per evaluation, and their figures per test image.

    The columns are those of `evidence.record`."""

    def __init__(self, table: pd.DataFrame) -> None:
        # The latest wins where the same was measured twice, but one with a judge over one without.
        judged = set(table.loc[table["metric"].isin(["judge_correct", "fewer_correct"]), "hash"])
        rows = table.drop_duplicates("hash", keep="last")
        rows = rows.assign(judged=rows["hash"].isin(judged))
        self.rows = rows.sort_values(["attempt", "judged"], kind="stable")
        self.chance = float(table["chance"].iloc[-1])
        self._metrics = set(table["metric"])
        self._by_hash = rows.set_index("hash")
        self._values = table.drop_duplicates(["hash", "metric"], keep="last").set_index(["hash", "metric"])

    def find(self, layer: str, first: bool = False, **conditions: object) -> BySeed:
        """Evaluations of a layer by seed; unless said otherwise, of all neurons, of no control, and with the
        whole budget. RefAE is one with a generic encoder, too. Of trainings that were made anew the last, or
        the `first` that had collapsed."""
        wanted = {"layer": layer, "named": "", "control": "", "choice": "", "budget": 1.0, **conditions}
        rows = self.rows[self.rows["attempt"] == 0] if first else self.rows
        for column, value in wanted.items():
            rows = rows[rows[column].isin(REFAES if value == REFAES[0] else [value])]
        return dict(zip(rows["seed"], rows["hash"], strict=True))

    def measured(self, metric: str) -> bool:
        """Whether any evaluation has that figure."""
        return metric in self._metrics

    def both(self, metric: str, *sides: BySeed) -> bool:
        """Whether all seeds of some evaluations have that figure."""
        return all(len(side) and len(self.values(side, metric)) for side in sides)

    def layers(self) -> list[str]:
        """All layers measured, in the order in which they run."""
        named = self.rows[self.rows["layer"] != ""]
        return list(dict.fromkeys(named.sort_values("depth", kind="stable")["layer"]))

    def named(self) -> list[str]:
        """The neurons that the user has named, each once; empty text for all of a layer."""
        return sorted(set(self.rows.loc[self.rows["choice"] == "", "named"]))

    def effect(
        self,
        metric: str,
        smallest: float,
        *sides: BySeed,
        sign: int = 1,
        shift: float = 0.0,
        name: str = "",
    ) -> Effect:
        """The effect of a figure of the first evaluations, minus that of the second where there are two,
        times `sign`, plus `shift`. As many seeds are expected as the smaller of their studies had."""
        rows = [self._by_hash.loc[list(side.values())] for side in sides]
        expected = min(int(side["expected_seeds"].max()) for side in rows)
        found, seeds = [], sorted(set.intersection(*(set(side) for side in sides)))
        for seed in seeds:
            figures = [_figures(side[seed], metric) for side in sides]
            found.append(shift + sign * (figures[0] - figures[1] if len(figures) > 1 else figures[0]))
        return replace(effect(found, smallest, expected, name), added=self._added(rows, seeds))

    def _added(self, sides: Iterable[pd.DataFrame], seeds: Iterable[int]) -> bool:
        """Whether there are seeds beyond those of the profile."""
        for side in sides:
            for planned in side["planned_seeds"].dropna() if "planned_seeds" in side else ():
                if planned and not set(seeds) <= {int(seed) for seed in planned.split()}:
                    return True
        return False

    def gate(self, layer: str, cladec: BySeed, refae: BySeed, **which: object) -> str:
        """Why RefAE is no reference at a layer, or an empty text (see `verdicts`): by validation errors, by
        those on training images where not all have any. `which` are the conditions of `find` that later
        layers' RefAEs must meet, too, as only trainings alike say anything about each other."""
        layers = self.layers()
        later = {name: self.find(name, method="RefAE", **which) for name in layers[layers.index(layer) + 1 :]}
        for metric, kind in ((VALIDATION_MSE, "validation"), (TRAIN_MSE, "training")):
            mine, theirs = self.values(refae, metric), self.values(cladec, metric)
            if mine and theirs:
                others = {name: self.values(side, metric) for name, side in later.items()}
                return gate(mine, theirs, {name: v for name, v in others.items() if v}, kind)
        return ""

    def values(self, side: BySeed, metric: str) -> list[float]:
        """A mean figure per seed, in the order of the seeds; none where not all have it."""
        found = self._values["value"].reindex([(side[seed], metric) for seed in sorted(side)])
        return found.tolist() if len(found) and found.notna().all() else []

    def labels(self, layer: str, refae: BySeed) -> tuple[str, str]:
        """What must be said of RefAE as a reference."""
        return self.generic(refae), self.weaker_than_pca(layer, refae)

    def generic(self, refae: BySeed) -> str:
        """A label where RefAE has a generic encoder; else an empty text."""
        return GENERIC if GENERIC in set(self._by_hash.loc[list(refae.values()), "method"]) else ""

    def weaker_than_pca(self, layer: str, refae: BySeed) -> str:
        """A label where RefAE's MSE is above that of PCA with a code of the same size; else an empty text."""
        pca = self.find(layer, method="PCA")
        for metric in (VALIDATION_MSE, "mse"):
            mine, theirs = self.values(refae, metric), self.values(pca, metric)
            if mine and theirs:
                return "weaker than PCA" if np.mean(mine) > np.mean(theirs) else ""
        return ""


def _figures(evaluation: str, metric: str) -> np.ndarray:
    tensors = store.recorded(f"evaluation-{evaluation}") or {}
    return tensors[metric].double().numpy() if metric in tensors else np.full(1, np.nan)
