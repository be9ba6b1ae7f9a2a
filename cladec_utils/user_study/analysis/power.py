"""How many participants? Power and coverage of the analysis, by simulating whole studies.

Power is that of the first step towards C5: the GLM's difference between arms at the level that Holm's
procedure asks of the better of two truths. C5 asks for more: an advantage over guessing as well.

Each cell is an artifact of the store: computed once, in parallel where there are workers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from scipy import stats

from cladec_utils.engine import grid, store
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.user_study.analysis.inference import clustered_difference
from cladec_utils.user_study.analysis.simulation import Model, correct_judgements
from cladec_utils.user_study.design import CONCEPTS, UserStudySpec, williams

PEOPLE, GAINS = (15, 30, 60, 120), (0.0, 0.04, 0.06, 0.1)
"""Participants per arm, and true gains in accuracy over BASE, that a planning curve shows."""
BASE = 0.55
FIRST_STEP = 0.025 / 2
"""One-sided level of the first of Holm's two steps: C5 has a row per truth (see `rules`)."""


@dataclass(frozen=True)
class PowerSpec(Spec):
    """Simulated studies of one design: `per_arm` participants in each of two arms see `shown` of `images`
    and judge `concepts` concepts of each; the control arm's accuracy is `base`, the other's `base + gain`."""

    kind: ClassVar[str] = "user-study-power"
    per_arm: int
    images: int
    shown: int
    concepts: int
    base: float
    gain: float
    simulations: int
    seed: int = 0

    def label(self) -> str:
        return f"power with {self.per_arm} participants an arm, {self.gain:+.2f}, {self.simulations} studies"

    def make(self, progress: bool) -> Made:
        rows = [simulate_once(self, i) for i in range(self.simulations)]
        difference, low, high, p = torch.tensor(rows, dtype=torch.float64).T
        tensors = {"difference": difference, "low": low, "high": high, "p": p}
        metrics = {
            "rejected": (p < 0.05).double().mean().item(),
            "covered": ((low <= self.gain) & (self.gain <= high)).double().mean().item(),
            "width": (high - low).mean().item(),
        }
        return Made(tensors, metrics)


def simulate_once(spec: PowerSpec, number: int) -> tuple[float, float, float, float]:
    """One simulated study, analysed: (difference, low, high, p)."""
    random = np.random.default_rng([spec.seed, number])
    orders = williams(spec.images)[:, : spec.shown]
    ranks = np.concatenate([random.permutation(np.arange(spec.per_arm) % len(orders)) for _ in range(2)])
    items = orders[ranks]
    treated = np.repeat([False, True], spec.per_arm)
    levels = (spec.base, spec.base + spec.gain)
    right = correct_judgements(random, levels, treated, items, spec.concepts, Model()).sum(2)
    who = np.repeat(np.arange(len(items)), spec.shown)
    total = np.full(right.size, spec.concepts)
    difference, error, p, df = clustered_difference(
        right.ravel(), total, treated[who].astype(float), who, items.ravel()
    )
    reach = stats.t.ppf(0.975, df) * error
    return difference, difference - reach, difference + reach, p


def planned(study: UserStudySpec, simulations: int) -> list[PowerSpec]:
    """The cells of a user study's planning curve: all PEOPLE and GAINS. Those without a gain are simulated
    five times as often, because few simulations cannot tell a rate of 5 % from one of 10 %. Of planted
    data only the concepts that truth B scores are counted."""
    scored = [c for c in study.concepts if CONCEPTS[c].factors or not study.planted]
    size = study.images, study.shown, len(scored)
    times = {gain: simulations if gain else 5 * simulations for gain in GAINS}
    return [PowerSpec(people, *size, BASE, gain, times[gain]) for gain in GAINS for people in PEOPLE]


def power_table(specs: Sequence[PowerSpec]) -> pd.DataFrame:
    """Power of simulated designs, a row each.

    Columns: respondents (`simulated`), per_arm, gain, simulations, power (share of studies whose GLM finds
    the arm better, one-sided at FIRST_STEP), rejected (share whose GLM rejects no difference, two-sided at
    5 %), each with its exact binomial 95 % interval (power_low, power_high, rejected_low, rejected_high: how
    far so many simulations can be off), covered (share of intervals that hold the true gain), width (their
    mean width).
    """
    grid.compute(specs)
    rows = []
    for spec in specs:
        made = store.get(spec, progress=False)
        better = (made.tensors["p"] < 2 * FIRST_STEP) & (made.tensors["difference"] > 0)
        rows.append({
            "respondents": "simulated", "per_arm": spec.per_arm, "gain": spec.gain,
            "simulations": spec.simulations, **_rate("power", better),
            **_rate("rejected", made.tensors["p"] < 0.05),
            "covered": made.metrics["covered"], "width": made.metrics["width"],
        })  # fmt: skip
    return pd.DataFrame(rows)


def _rate(name: str, happened: torch.Tensor) -> dict[str, float]:
    found = stats.binomtest(int(happened.sum()), len(happened))
    low, high = found.proportion_ci()
    return {name: found.statistic, f"{name}_low": low, f"{name}_high": high}
