"""Do participants agree, and how many different concepts do they name?"""

import numpy as np
import pandas as pd
from scipy import stats


def krippendorff(counts: np.ndarray) -> float:
    """Krippendorff's alpha for nominal data (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability).

    `counts` (units, categories): how many raters put a unit into a category; raters may be missing. Units
    with fewer than two ratings do not count. 1 is perfect agreement, 0 is chance. NaN where nothing could
    disagree: fewer than two pairable ratings, or one category in all.
    """
    counts = np.asarray(counts, dtype=float)
    counts = counts[counts.sum(1) >= 2]
    ratings = counts.sum(1)
    total, by_category = ratings.sum(), counts.sum(0)
    expected = total**2 - (by_category**2).sum()  # pairs that differ if all ratings were shuffled
    if expected == 0:
        return np.nan
    observed = ((ratings**2 - (counts**2).sum(1)) / np.maximum(ratings - 1, 1)).sum()
    return float(1 - (total - 1) * observed / expected)


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Alpha per arm over all judgements and per concept: columns arm, concept (`all` first), alpha, units.

    A unit is one concept of one item, raters are the arm's participants, categories the three answers.
    """
    rows = []
    for arm, group in table.groupby("arm", sort=False):
        for concept in ("all", *dict.fromkeys(table["concept"])):
            mine = group if concept == "all" else group[group["concept"] == concept]
            counts = pd.crosstab([mine["item"], mine["concept"]], mine["answer"]).to_numpy()
            rows.append([arm, concept, krippendorff(counts), int((counts.sum(1) >= 2).sum())])
    return pd.DataFrame(rows, columns=["arm", "concept", "alpha", "units"])


def diversity(table: pd.DataFrame, truth: str) -> pd.DataFrame:
    """How many different concepts people name, per arm.

    Columns: arm, participants; `named` (mean over participants of the number of different concepts called
    used), `effective` (exponential of the Shannon entropy of all concepts called used: how many equally
    frequent ones it amounts to, Hill 1973), and, with 95 % t intervals over participants, the number of
    different concepts rightly called used (`found_used`) and rightly called unused (`found_unused`).
    """
    rows = []
    for arm, group in table.groupby("arm", sort=False):
        used = group[group["answer"] == "used"]
        share = used["concept"].value_counts(normalize=True)
        people = pd.Index(group["participant"].unique())
        row = {"arm": arm, "participants": len(people), "named": _distinct(used, people).mean()}
        row["effective"] = float(np.exp(-(share * np.log(share)).sum())) if len(share) else 0.0
        right = group[group[f"correct_{truth}"] == 1]
        for name, answer in (("found_used", "used"), ("found_unused", "unused")):
            numbers = _distinct(right[right["answer"] == answer], people)
            row |= {name: numbers.mean(), f"{name}_low": np.nan, f"{name}_high": np.nan}
            if len(people) > 1:
                reach = stats.t.ppf(0.975, len(people) - 1) * stats.sem(numbers)
                row |= {f"{name}_low": numbers.mean() - reach, f"{name}_high": numbers.mean() + reach}
        rows.append(row)
    return pd.DataFrame(rows)


def _distinct(rows: pd.DataFrame, people: pd.Index) -> np.ndarray:
    return rows.groupby("participant")["concept"].nunique().reindex(people, fill_value=0).to_numpy(float)
