"""How many participants? Power and coverage of the analysis, by simulating whole studies.

Power is that of a row of C5 (see `rules`): the choices of the arm that sees X_E are above those of the other
arm and above one half, at the level that Holm's procedure asks of the better of two truths.

Beside the choices, single judgements can be simulated of which each arm withholds a share ("cannot tell"),
with what two other rules would have concluded from them: where both arms know the same and withhold unlike
shares, C5 must not hold.

Each cell is an artifact of the store: computed once, in parallel where there are workers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from scipy import stats

from cladec_utils.claims.interval import all_of
from cladec_utils.engine import grid, store
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.user_study.analysis.inference import (
    as_effect,
    clustered_difference,
    clustered_mean,
)
from cladec_utils.user_study.analysis.simulation import Model, correct_judgements
from cladec_utils.user_study.design import UserStudySpec, williams

PEOPLE, GAINS = (15, 30, 60, 120), (0.0, 0.05, 0.1, 0.15)
"""Participants per arm, and true gains in right choices over BASE, that a planning curve shows."""
BASE = 0.55
FIRST_STEP = 0.025 / 2
"""One-sided level of the first of Holm's two steps: C5 has a row per truth (see `rules`)."""
RULES = ("choices", "missing", "wrong")
"""Ways to conclude: the rule, and single judgements with "cannot tell" left out or counted as wrong."""


@dataclass(frozen=True)
class PowerSpec(Spec):
    """Simulated studies of one design: `per_arm` participants in each of two arms see `shown` of `images`;
    those with X_E choose rightly with probability `base + gain`, the others with `base`.

    Of `judged` concepts of each picture each is judged, too, as well as is chosen; `withheld` are the shares
    that the two arms do not answer: of all, or if `unsure`, of guesses alone (a wrong answer is one, and as
    many right ones).
    """

    kind: ClassVar[str] = "user-study-power"
    per_arm: int
    images: int
    shown: int
    base: float
    gain: float
    simulations: int
    seed: int = 0
    judged: int = 0
    withheld: tuple[float, float] = (0.0, 0.0)
    unsure: bool = False

    def label(self) -> str:
        return f"power with {self.per_arm} participants an arm, {self.gain:+.2f}, {self.simulations} studies"

    def make(self, progress: bool) -> Made:
        rows = [simulate_once(self, i) for i in range(self.simulations)]
        tensors = {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}
        low, high = tensors["low"], tensors["high"]
        metrics = {
            "rejected": (tensors["p"] < 0.05).double().mean().item(),
            "covered": ((low <= self.gain) & (self.gain <= high)).double().mean().item(),
            "width": (high - low).mean().item(),
        }
        return Made(tensors, metrics)


def simulate_once(spec: PowerSpec, number: int) -> dict[str, float]:
    """One simulated study, analysed: of the choices `difference`, `low`, `high` and the GLM's `p`; by each of
    RULES for which there are answers, the p value of C5's row (`holds_...`)."""
    random = np.random.default_rng([spec.seed, number])
    orders = williams(spec.images)[:, : spec.shown]
    ranks = np.concatenate([random.permutation(np.arange(spec.per_arm) % len(orders)) for _ in range(2)])
    items, treated = orders[ranks], np.repeat([False, True], spec.per_arm)
    levels = (spec.base, spec.base + spec.gain)
    right = correct_judgements(random, levels, treated, items, 1 + spec.judged, Model())
    choices, judged = right[..., :1], right[..., 1:]
    row, difference = _conclude(choices, np.ones_like(choices), treated, items)
    found = dict(zip(("difference", "low", "high", "p"), difference, strict=True)) | {"holds_choices": row}
    if spec.judged:
        shares = np.array(spec.withheld)[treated.astype(int)][:, None, None]
        if spec.unsure:  # of those who guess as many are right as wrong
            accuracy = np.array(levels)[treated.astype(int)][:, None, None]
            shares = shares * np.where(judged, (1 - accuracy) / accuracy, 1.0)
        given = random.random(judged.shape) >= shares
        found["holds_missing"] = _conclude(judged & given, given, treated, items)[0]
        found["holds_wrong"] = _conclude(judged & given, np.ones_like(given), treated, items)[0]
    return found


def _conclude(
    right: np.ndarray, given: np.ndarray, treated: np.ndarray, items: np.ndarray
) -> tuple[float, tuple[float, float, float, float]]:
    """The p value of C5's row, and the difference between arms, its 95 % interval and its p value, of answers
    (participants, shown, questions): which are right, and which are given."""
    sums, sizes = right.sum(2).ravel(), given.sum(2).ravel()
    kept = sizes > 0
    who, what = np.repeat(np.arange(len(items)), items.shape[1])[kept], items.ravel()[kept]
    sums, sizes, mine = sums[kept], sizes[kept], treated[who]
    difference, error, p, df = clustered_difference(sums, sizes, mine.astype(float), who, what)
    reach = stats.t.ppf(0.975, df) * error
    groups = np.column_stack([pd.factorize(codes[mine])[0] for codes in (who, what)])
    mean, own_error, own_df = clustered_mean(sums[mine] / sizes[mine], sizes[mine].astype(float), groups)
    row = all_of(
        as_effect(difference, error, df, len(items), "", "advantage"),
        as_effect(mean - 0.5, own_error, own_df, len(items), "", "right choices"),
    )
    return row.p_above, (difference, difference - reach, difference + reach, p)


def planned(study: UserStudySpec, simulations: int) -> list[PowerSpec]:
    """The cells of a user study's planning curve: all PEOPLE and GAINS. Those without a gain are simulated
    five times as often, because few simulations cannot tell a rate of 5 % from one of 10 %."""
    times = {gain: simulations if gain else 5 * simulations for gain in GAINS}
    return [
        PowerSpec(people, study.images, study.shown, BASE, gain, times[gain])
        for gain in GAINS
        for people in PEOPLE
    ]


def power_table(specs: Sequence[PowerSpec]) -> pd.DataFrame:
    """Power of simulated designs, a row each.

    Columns: respondents (`simulated`), per_arm, gain, simulations, power (share of studies in which a row of
    C5 holds at FIRST_STEP), rejected (share whose GLM rejects no difference between arms, two-sided at 5 %),
    each with its exact binomial 95 % interval (power_low, power_high, rejected_low, rejected_high: how far so
    many simulations can be off), covered (share of intervals that hold the true gain), width (their mean
    width).
    """
    grid.compute(specs)
    rows = []
    for spec in specs:
        made = store.get(spec, progress=False)
        held = made.tensors["holds_choices"] <= FIRST_STEP
        rows.append({
            "respondents": "simulated", "per_arm": spec.per_arm, "gain": spec.gain,
            "simulations": spec.simulations, **_rate("power", held),
            **_rate("rejected", made.tensors["p"] < 0.05),
            "covered": made.metrics["covered"], "width": made.metrics["width"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def _rate(name: str, happened: torch.Tensor) -> dict[str, float]:
    found = stats.binomtest(int(happened.sum()), len(happened))
    low, high = found.proportion_ci()
    return {name: found.statistic, f"{name}_low": low, f"{name}_high": high}
