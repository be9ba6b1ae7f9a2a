"""How many participants? Power and coverage of the analysis, by simulating whole studies.

Each cell is an artifact of the store: computed once, in parallel where there are workers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from scipy import stats

from cladec_utils import grid, store
from cladec_utils.specs import Spec
from cladec_utils.store import Made, builder
from cladec_utils.user_study_analysis import clustered_difference
from cladec_utils.user_study_orders import williams
from cladec_utils.user_study_simulation import Model, correct_judgements
from cladec_utils.user_study_spec import UserStudySpec

PEOPLE, GAINS = (15, 30, 60, 120), (0.0, 0.04, 0.06, 0.1)
"""Participants per arm, and true gains in accuracy over BASE, that a planning curve shows."""
BASE = 0.55


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


@builder(PowerSpec)
def _simulate(spec: PowerSpec, _progress: bool) -> Made:
    rows = [simulate_once(spec, i) for i in range(spec.simulations)]
    difference, low, high, p = torch.tensor(rows, dtype=torch.float64).T
    tensors = {"difference": difference, "low": low, "high": high, "p": p}
    metrics = {
        "rejected": (p < 0.05).double().mean().item(),
        "covered": ((low <= spec.gain) & (spec.gain <= high)).double().mean().item(),
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
    five times as often, because few simulations cannot tell a rate of 5 % from one of 10 %."""
    size = study.images, study.shown, len(study.concepts)
    times = {gain: simulations if gain else 5 * simulations for gain in GAINS}
    return [PowerSpec(people, *size, BASE, gain, times[gain]) for gain in GAINS for people in PEOPLE]


def power_table(specs: Sequence[PowerSpec]) -> pd.DataFrame:
    """Power of simulated designs, a row each.

    Columns: respondents (`simulated`), per_arm, gain, simulations, power (share of studies that reject no
    difference at 5 %) with its exact binomial 95 % interval (power_low, power_high: how far so many
    simulations can be off), covered (share of intervals that hold the true gain), width (their mean width).
    """
    grid.compute(specs)
    rows = []
    for spec in specs:
        found = store.get(spec, progress=False).metrics
        rejected = stats.binomtest(round(found["rejected"] * spec.simulations), spec.simulations)
        rows.append({
            "respondents": "simulated", "per_arm": spec.per_arm, "gain": spec.gain,
            "simulations": spec.simulations, "power": found["rejected"],
            "power_low": rejected.proportion_ci().low, "power_high": rejected.proportion_ci().high,
            "covered": found["covered"], "width": found["width"],
        })  # fmt: skip
    return pd.DataFrame(rows)
