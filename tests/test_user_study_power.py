"""The simulated population of a user study, and the power that is planned with it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cladec_utils import open_study
from cladec_utils.engine import paths
from cladec_utils.errors import CladecError
from cladec_utils.user_study.analysis.power import (
    GAINS,
    PEOPLE,
    PowerSpec,
    planned,
    power_table,
    simulate_once,
)
from cladec_utils.user_study.analysis.simulation import log_odds
from cladec_utils.user_study.design import design


@pytest.mark.parametrize("gain", [0.1, 0.0])
def test_planted_effects_are_recovered(gain):
    """A small part of benchmarks/user_study_recovery.py, whose result is committed."""
    spec = PowerSpec(60, 24, 12, 6, 0.56, gain, simulations=25, seed=5)
    found = np.array([simulate_once(spec, i) for i in range(spec.simulations)])
    covered = (found[:, 1] <= gain) & (gain <= found[:, 2])
    assert covered.sum() >= 22 and abs(found[:, 0].mean() - gain) < 0.02
    rejected = (found[:, 3] < 0.05).sum()
    assert rejected >= 20 if gain else rejected <= 4


def test_power_comes_with_its_own_uncertainty(folders):
    table = power_table([PowerSpec(n, 4, 2, 2, 0.5, g, simulations=20) for n in (4, 6) for g in (0.0, 0.2)])
    assert (table["power_low"] <= table["power"]).all() and (table["power"] <= table["power_high"]).all()
    for rate in ("power", "rejected"):
        exact = [stats.binomtest(round(p * 20), 20).proportion_ci().high for p in table[rate]]
        assert table[f"{rate}_high"].tolist() == exact
    assert set(table["respondents"]) == {"simulated"}


def test_power_is_that_of_holms_first_step(folders):
    """One-sided at 1.25 %, in the right direction only; counted anew from every simulated study."""
    spec = PowerSpec(12, 6, 3, 2, 0.5, 0.15, simulations=40)
    worse = replace(spec, gain=-0.3)
    runs = np.array([simulate_once(spec, i) for i in range(spec.simulations)])
    row, of_worse = (power_table([s]).iloc[0] for s in (spec, worse))
    assert row["power"] == np.mean((runs[:, 3] / 2 < 0.0125) & (runs[:, 0] > 0))
    assert row["rejected"] == np.mean(runs[:, 3] < 0.05) and 0 < row["power"] < row["rejected"]
    assert of_worse["power"] == 0 < of_worse["rejected"]


def test_a_planning_curve_simulates_false_alarms_most_often(asked):
    study = asked["spec"]
    cells = planned(study, 7)
    assert [(c.gain, c.per_arm) for c in cells] == [(gain, people) for gain in GAINS for people in PEOPLE]
    assert {c.simulations for c in cells if c.gain == 0} == {35} and {c.simulations for c in cells[4:]} == {7}
    assert {(c.images, c.shown, c.concepts) for c in cells} == {(study.images, study.shown, 4)}  # by truth B
    grey = design(open_study("smoke"))
    assert {c.concepts for c in planned(grey, 7)} == {len(grey.concepts)}


def test_the_simulated_population_has_the_stated_accuracy():
    draws = np.random.default_rng(0).normal(log_odds(0.7, 0.9), 0.9, 400_000)
    assert np.mean(1 / (1 + np.exp(-draws))) == pytest.approx(0.7, abs=2e-3)
    with pytest.raises(CladecError, match="must lie between 0 and 1"):
        log_odds(1.0, 0.5)


def test_the_committed_recovery_is_marked_and_good_enough():
    """benchmarks/user_study_recovery.py: of 100 simulated studies at least 93 intervals hold the true
    difference, and at most 8 reject where there is none."""
    table = pd.read_csv(paths.home() / "benchmarks/user_study_recovery.csv")
    assert set(table["respondents"]) == {"simulated"}
    assert (table["covered_of_first_100"] >= 93).all() and (table["covered_percent"] >= 93).all()
    null = table[table["true_difference"] == 0]
    assert len(null) >= 3 and (null["rejected_of_first_100"] <= 8).all()
    assert (null["rejected_percent"] <= 8).all() and (table["true_difference"] > 0).sum() >= 2
