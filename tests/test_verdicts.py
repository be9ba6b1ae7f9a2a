"""Verdicts on synthetic results whose truth is known."""

import gc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from cladec_utils.claims.verdicts import FAILS, HOLDS, SMALLEST, UNDECIDED, _holm, both, decide, effect


def results(truth, seeds=3, images=400, between_seeds=0.01, between_images=0.3, seed=0):
    """Crossed results: truth + seed's deviation + image's deviation + noise."""
    random = np.random.default_rng(seed)
    image = random.normal(0, between_images, images)
    return [
        truth + random.normal(0, between_seeds) + image + random.normal(0, 0.3, images) for _ in range(seeds)
    ]


def verdict(differences, **options):
    return decide([effect(differences, SMALLEST["accuracy"], **options)])[0]


def test_a_clear_effect_holds_and_its_reverse_does_not():
    assert verdict(results(0.2)) == HOLDS
    assert verdict(results(-0.2)) == FAILS


def test_an_absent_effect_never_holds():
    assert verdict(results(0.0)) == UNDECIDED
    many = results(0.0, seeds=10, images=20000, between_seeds=1e-4)
    assert verdict(many) == FAILS  # surely smaller than anything of interest


def test_too_little_evidence_is_undecided():
    assert verdict(results(0.2)[:1]) == UNDECIDED
    assert verdict([]) == UNDECIDED
    assert effect(results(0.2)[:1], 0.01).note == "one seed says nothing about others"


def test_a_missing_seed_is_undecided_however_large_the_effect():
    assert verdict(results(0.5)[:2], expected=3) == UNDECIDED
    assert effect(results(0.5)[:2], 0.01, expected=3).note == "1 of 3 seeds missing"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_undecided(bad):
    broken = results(0.5)
    broken[1][7] = bad
    found = effect(broken, 0.01)
    assert decide([found]) == [UNDECIDED] and "1 of 3 seeds without a finite result" in found.note
    assert np.isfinite(found.mean)


def test_interval_covers_the_truth_at_least_95_times_in_100():
    """With the seeds' variation dominating, with the images', and with both."""
    for between_seeds, between_images in ((0.05, 0.01), (0.0, 1.0), (0.02, 0.3)):
        covered = 0
        for seed in range(400):
            found = effect(
                results(
                    0.1, images=200, between_seeds=between_seeds, between_images=between_images, seed=seed
                ),
                0.01,
            )
            covered += found.low <= 0.1 <= found.high
        assert covered / 400 > 0.93


def test_false_verdicts_are_rare_in_a_family_of_ten():
    """Ten rows without any effect: at most a few families in a hundred hold anywhere."""
    wrong = 0
    for family in range(200):
        rows = [effect(results(0.0, images=100, seed=1000 * family + row), 0.01) for row in range(10)]
        wrong += HOLDS in decide(rows)
    assert wrong / 200 < 0.05


def test_holm_makes_a_row_harder_in_company():
    border = effect([np.array([m, m + 0.001]) for m in (0.10, 0.12, 0.15)], 0.01)
    assert 0.001 < border.p_above < 0.025
    assert decide([border]) == [HOLDS]
    nothing = effect(results(0.0), 0.01)
    assert decide([border] + [nothing] * 30)[0] == UNDECIDED


def test_interval_and_p_values_are_those_of_scipy():
    for truth in (-0.3, 0.0, 0.02, 0.4):
        table = np.stack(results(truth, seeds=4, images=50))
        error = np.hypot(stats.sem(table.mean(1)), stats.sem(table.mean(0)))
        t, found = stats.t(3, table.mean(), error), effect(list(table), 0.01)
        assert (found.low, found.high) == pytest.approx(t.interval(0.95))
        assert (found.p_above, found.p_below) == (pytest.approx(t.cdf(0)), pytest.approx(t.sf(0.01)))


def test_identical_differences_are_certain():
    assert verdict([np.full(5, 0.2)] * 2) == HOLDS and verdict([np.zeros(5)] * 2) == FAILS


def test_a_claim_that_needs_both_effects():
    good, bad, none = (effect(results(t), 0.01) for t in (0.3, -0.3, 0.0))
    assert decide([both(good, good)]) == [HOLDS]
    assert decide([both(good, bad)]) == [FAILS] == decide([both(bad, good)])
    assert decide([both(good, none)]) == [UNDECIDED]
    missing = effect(results(0.3)[:1], 0.01)
    assert decide([both(good, missing)]) == [UNDECIDED] and both(bad, missing).note


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=5), st.integers(0, 99))
def test_reversing_all_differences_reverses_the_interval(means, seed):
    noise = np.random.default_rng(seed).normal(0, 0.1, 30)
    one = effect([m + noise for m in means], 0.01)
    two = effect([-m - noise for m in means], 0.01)
    assert (one.low, one.high) == (pytest.approx(-two.high), pytest.approx(-two.low))
    assert decide([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_holm_is_that_of_statsmodels(p_values):
    with mock.patch.object(gc, "collect"):  # statsmodels calls it every time: most of this test's time
        theirs = multipletests(p_values, 0.025, method="holm")[0]
    assert _holm(p_values, 0.025).tolist() == theirs.tolist()
