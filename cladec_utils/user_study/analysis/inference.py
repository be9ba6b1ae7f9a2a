"""How well participants judge, per arm: clustered binomial GLM and participant x item bootstrap.

Participants and items are crossed random samples, so standard errors are clustered by both (Cameron,
Gelbach and Miller 2011) and compared with Student's t with min(participants, items) - 1 degrees of
freedom. An item is an image; under two classifiers it counts once. As a check that shares no assumption
with the GLM, participants and items are drawn anew, each with all that belongs to it (Owen 2007).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import special, stats

from cladec_utils.claims.interval import Effect, all_of
from cladec_utils.user_study.rules import SMALLEST

LEVEL = 0.95
REPLICATES = 2000


@dataclass(frozen=True)
class Comparison:
    """Accuracy in an arm and in the one it is held `against`, and their difference with its 95 % interval and
    p value.

    `p` is two-sided, of the GLM's coefficient. `low` and `high` are by the delta method, `boot_low` and
    `boot_high` by the bootstrap. `note` says why there is no interval, where that is so.
    """

    arm: str
    against: str
    accuracy: float
    accuracy_against: float
    difference: float
    low: float
    high: float
    p: float
    boot_low: float
    boot_high: float
    participants: int
    items: int
    error: float
    note: str = ""


def clustered_difference(
    correct: np.ndarray, total: np.ndarray, treated: np.ndarray, participant: np.ndarray, item: np.ndarray
) -> tuple[float, float, float, float]:
    """Difference in accuracy between treated and other rows: (difference, standard error, p, df).

    Arrays (rows,): correct and total judgements of a participant on an item, whether treated, and codes
    0.. of both clusters. Binomial GLM with logit link, two-way clustered covariance; the difference and
    its error by the delta method, the two-sided p of the coefficient. NaN where the data do not allow it.
    """
    design = np.column_stack([np.ones(len(correct)), treated])
    model = sm.GLM(np.column_stack([correct, total - correct]), design, family=sm.families.Binomial())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": np.column_stack([participant, item])})
    low, high = special.expit([fit.params[0], fit.params.sum()])
    gradient = np.array([high * (1 - high) - low * (1 - low), high * (1 - high)])
    covariance = np.asarray(fit.cov_params())
    variance, of_slope = gradient @ covariance @ gradient, covariance[1, 1]
    df = min(len(np.unique(participant)), len(np.unique(item))) - 1
    if not (variance > 0 and of_slope > 0 and df > 0 and 0 < low < 1 and 0 < high < 1):
        return float(high - low), np.nan, np.nan, df
    p = 2 * stats.t.sf(abs(fit.params[1]) / np.sqrt(of_slope), df)
    return float(high - low), float(np.sqrt(variance)), float(p), df


def compare(
    table: pd.DataFrame, correct: str, arm: str, against: str, replicates: int = REPLICATES, seed: int = 0
) -> Comparison:
    """An arm against another. `table` has participant, arm, image and `correct` (in [0, 1], or NaN)."""
    rows = table[table["arm"].isin([arm, against]) & table[correct].notna()]
    cells = (
        rows.groupby(["participant", "arm", "image"], sort=True)[correct].agg(["sum", "size"]).reset_index()
    )
    treated = (cells["arm"] == arm).to_numpy()
    means = [_share(cells[treated]), _share(cells[~treated])]
    who, what = pd.factorize(cells["participant"])[0], pd.factorize(cells["image"], sort=True)[0]
    counts = len(set(who)), len(set(what))
    enough = min(len(set(who[treated])), len(set(who[~treated])), counts[1]) >= 2
    note = "" if enough else "fewer than two participants in an arm, or fewer than two items"
    if not enough or min(means) == 0 or max(means) == 1:
        note = note or "all answers of an arm are right, or all wrong"
        return Comparison(arm, against, *means, means[0] - means[1], *[np.nan] * 5, *counts, np.nan, note)
    sums, sizes = cells["sum"].to_numpy(), cells["size"].to_numpy()
    difference, error, p, df = clustered_difference(sums, sizes, treated.astype(float), who, what)
    reach = stats.t.ppf((1 + LEVEL) / 2, df) * error
    boot = _bootstrap(sums, sizes, treated, who, what, replicates, seed)
    note = "" if np.isfinite(error) else "the clustered variance is not positive"
    return Comparison(
        arm,
        against,
        *means,
        difference,
        difference - reach,
        difference + reach,
        p,
        *boot,
        *counts,
        error,
        note,
    )


def _share(cells: pd.DataFrame) -> float:
    return float(cells["sum"].sum() / cells["size"].sum()) if len(cells) else np.nan


def _bootstrap(
    sums: np.ndarray,
    sizes: np.ndarray,
    treated: np.ndarray,
    who: np.ndarray,
    what: np.ndarray,
    replicates: int,
    seed: int,
) -> tuple[float, float]:
    """Percentile interval of the difference when participants (within arms) and items are drawn anew."""
    random = np.random.default_rng(seed)
    people, items = who.max() + 1, what.max() + 1
    items_drawn = random.multinomial(items, np.full(items, 1 / items), replicates)
    shares = []
    for mine in (treated, ~treated):
        right, asked = np.zeros((people, items)), np.zeros((people, items))
        np.add.at(right, (who[mine], what[mine]), sums[mine])
        np.add.at(asked, (who[mine], what[mine]), sizes[mine])
        own = np.unique(who[mine])
        drawn = random.multinomial(len(own), np.full(len(own), 1 / len(own)), replicates)
        with np.errstate(invalid="ignore"):
            shares.append(
                ((drawn @ right[own]) * items_drawn).sum(1) / ((drawn @ asked[own]) * items_drawn).sum(1)
            )
    low, high = np.nanpercentile(shares[0] - shares[1], [2.5, 97.5])
    return float(low), float(high)


def balanced(table: pd.DataFrame, truth: str, arm: str) -> tuple[float, float, int]:
    """Balanced accuracy of an arm under a truth (`a` or `b`): (mean, clustered standard error, df).

    The mean of the shares of used and of unused concepts that were judged right: one half for always
    answering "used" or always "not used". NaN if the arm judged only used or only unused concepts.
    """
    rows = table[(table["arm"] == arm) & table[f"correct_{truth}"].notna()]
    used = rows[f"truth_{truth}"].astype(bool)
    if used.all() or not used.any():
        return np.nan, np.nan, 0
    weights = np.where(used, 0.5 / used.sum(), 0.5 / (~used).sum())
    return _mean_of(rows, f"correct_{truth}", weights)


def _mean_of(rows: pd.DataFrame, correct: str, weights: np.ndarray) -> tuple[float, float, int]:
    groups = np.column_stack([pd.factorize(rows[c])[0] for c in ("participant", "image")])
    return clustered_mean(rows[correct].to_numpy(), weights, groups)


def clustered_mean(values: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> tuple[float, float, int]:
    """Weighted mean of values (rows,) in two-way clusters, codes 0.. (rows, 2): (mean, its error, df)."""
    df = int(min(groups.max(0))) if len(groups) else 0
    if df < 1:
        return float(np.average(values, weights=weights)) if len(values) else np.nan, np.nan, df
    model = sm.WLS(values, np.ones(len(values)), weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": groups})
    variance = float(np.asarray(fit.cov_params())[0, 0])
    return float(fit.params[0]), float(np.sqrt(variance)) if variance > 0 else np.nan, df


def c5_choices(pairs: pd.DataFrame, truth: str, against: str) -> Effect:
    """C5 under a truth, by the rule in `rules`: of the choices (see `judgements.choices`) the weaker of two
    advantages, over the other arm's and over guessing."""
    correct = f"correct_{truth}"
    found = compare(pairs, correct, "explained", against, replicates=10)
    mine = pairs[(pairs["arm"] == "explained") & pairs[correct].notna()]
    share = _mean_of(mine, correct, np.ones(len(mine)))
    return _both(found, share, "right choices")


def c5_judgements(table: pd.DataFrame, truth: str, against: str) -> Effect:
    """The same of single judgements, with balanced accuracy in the place of the share."""
    found = compare(table, f"correct_{truth}", "explained", against, replicates=10)
    share = balanced(table, truth, "explained")
    one_sided = "the arm judged only used or only unused concepts" if np.isnan(share[0]) else ""
    return _both(found, share, "balanced accuracy", one_sided)


def _both(found: Comparison, share: tuple[float, float, int], name: str, why_not: str = "") -> Effect:
    df, (mean, error, own_df) = min(found.participants, found.items) - 1, share
    first = as_effect(found.difference, found.error, df, found.participants, found.note, "advantage")
    return all_of(first, as_effect(mean - 0.5, error, own_df, found.participants, why_not, name))


def as_effect(mean: float, error: float, df: int, participants: int, why_not: str, name: str) -> Effect:
    """A difference between people as an effect, which without an error says why."""
    known = np.isfinite(mean) and np.isfinite(error) and df > 0
    note = "" if known else why_not or "too few responses for an interval"
    return Effect(mean, error if known else np.nan, max(df, 1), participants, SMALLEST, note=note, name=name)


def per_concept(table: pd.DataFrame, truth: str, concepts: Sequence[str]) -> pd.DataFrame:
    """Accuracy by concept and arm: columns arm, concept, judgements (whose truth is known), used (share of
    truth), said_used, unknown (shares of answers), and accuracy, of those who did not say "cannot tell"."""
    rows = []
    for (arm, concept), group in table.groupby(["arm", "concept"], sort=False):
        scored = group[group[f"truth_{truth}"].notna()]
        rows.append({
            "arm": arm, "concept": concept, "judgements": len(scored),
            "used": scored[f"truth_{truth}"].astype(float).mean(),
            "said_used": (group["answer"] == "used").mean(), "unknown": (group["answer"] == "unknown").mean(),
            "accuracy": scored[f"correct_{truth}"].mean(),
        })  # fmt: skip
    found = pd.DataFrame(rows)
    order = {concept: i for i, concept in enumerate(concepts)}
    return found.sort_values("concept", key=lambda c: c.map(order), kind="stable", ignore_index=True)


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
