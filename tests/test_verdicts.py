"""Intervals and verdicts on synthetic results whose truth is known."""

import gc
import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from cladec_utils.claims import verdicts as rule
from cladec_utils.claims.interval import (
    LEVEL,
    SMALLEST,
    Effect,
    all_of,
    as_record,
    crossed_variance,
    effect,
    from_record,
    mean_squares,
    quantile,
    undecided,
)
from cladec_utils.claims.verdicts import (
    BUDGET,
    EXPLORATORY,
    FAILS,
    HOLDS,
    NO_REFERENCE,
    UNDECIDED,
    Row,
    budget_note,
    decide,
    far_from_siblings,
    gate,
    holm_levels,
    in_words,
    is_primary,
)


def results(truth, seeds=8, images=400, between_seeds=0.01, between_images=0.3, seed=0):
    """Crossed results: truth + seed's deviation + image's deviation + noise."""
    random = np.random.default_rng(seed)
    image = random.normal(0, between_images, images)
    return [
        truth + random.normal(0, between_seeds) + image + random.normal(0, 0.3, images) for _ in range(seeds)
    ]


def made(mean, error=0.01, seeds=8, **options):
    """An effect of which only the seeds' part is known: Student's t."""
    return Effect(mean, error, seeds - 1, seeds, 0.01, **options)


def verdict(found, claim="C1", primary=True, **options):
    return decide([Row(claim, "fashion", found, primary, **options)])[0]


# --- the interval ---------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", [-0.3, 0.0, 0.02, 0.4])
def test_with_seeds_alone_interval_and_p_values_are_those_of_a_t_test(truth):
    """The images' part is nil where all images of a seed have the same difference."""
    means = truth + np.random.default_rng(1).normal(0, 0.05, 6)
    found = effect([np.full(50, m) for m in means], 0.01)
    theirs = stats.ttest_1samp(means, 0.0, alternative="greater")
    assert found.p_above == pytest.approx(theirs.pvalue, rel=1e-6)
    assert found.p_below == pytest.approx(stats.ttest_1samp(means, 0.01, alternative="less").pvalue, rel=1e-6)
    interval = stats.ttest_1samp(means, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_mean_squares_are_those_of_the_two_way_layout():
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = np.stack(results(0.1, seeds=4, images=12))
    long = pd.DataFrame(table).stack().rename_axis(["s", "i"]).rename("d").reset_index()
    theirs = anova_lm(ols("d ~ C(s) + C(i)", long).fit())
    mine = mean_squares(table)
    assert mine == pytest.approx([*(theirs["sum_sq"] / theirs["df"])])


def test_the_interaction_counts_once_and_no_part_falls_below_what_is_sure():
    variance, share = crossed_variance(5.0, 3.0, 1.0, seeds=4, images=10)
    assert variance == pytest.approx((5 + 3 - 1) / 40) and share == pytest.approx(5 / 7)
    variance, share = crossed_variance(0.2, 0.5, 1.0, seeds=4, images=10)
    assert variance == pytest.approx(1 / 40) and share == 1
    assert crossed_variance(0.0, 0.0, 0.0, 4, 10) == (0, 1)


@given(st.floats(0.0001, 0.4), st.floats(0, 1), st.integers(1, 20), st.integers(1, 5000), st.floats(-20, 20))
@settings(deadline=None)
def test_p_values_and_bounds_are_one_thing(level, share, df, images_df, mean):
    found = Effect(mean, 1.0, df, 8, 0.5, share, images_df)
    low, high = found.bounds(level, level)
    assert low <= mean <= high
    for p, bound, truth in ((found.p_above, low, 0.0), (found.p_below, -high, -0.5)):
        if abs(bound - truth) > 1e-6:
            assert (p < level) == (bound > truth)


def test_the_quantile_lies_between_those_of_seeds_and_images():
    few, many = stats.t.isf(0.01, 4), stats.t.isf(0.01, 999)
    assert quantile(0.01, 4, 1.0, 999) == pytest.approx(few)
    assert quantile(0.01, 4, 0.0, 999) == pytest.approx(many)
    assert quantile(0.01, 4, 0.25, 999) == pytest.approx(0.25 * few + 0.75 * many)


@pytest.mark.parametrize(("between_seeds", "between_images"), [(0.05, 0.01), (0.0, 1.0), (0.02, 0.3)])
@pytest.mark.parametrize("seeds", [5, 8])
def test_interval_covers_the_truth_at_least_95_times_in_100(between_seeds, between_images, seeds):
    """With the seeds' variation dominating, with the images', and with both; whole tables."""
    covered = 0
    for seed in range(400):
        table = results(0.1, seeds, 100, between_seeds, between_images, 1000 * seeds + seed)
        found = effect(table, 0.01)
        covered += found.low <= 0.1 <= found.high
    assert covered / 400 > 0.93


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=5), st.integers(0, 99))
def test_reversing_all_differences_reverses_the_interval(means, seed):
    noise = np.random.default_rng(seed).normal(0, 0.1, 30)
    one = effect([m + noise for m in means], 0.01)
    two = effect([-m - noise for m in means], 0.01)
    assert (one.low, one.high) == (pytest.approx(-two.high), pytest.approx(-two.low))


def test_too_little_evidence_has_no_interval():
    for differences, note in (
        (results(0.2)[:1], "one seed says nothing about others"),
        ([], "one seed says nothing about others"),
    ):
        found = effect(differences, 0.01)
        assert found.note == note and math.isnan(found.low) and found.p_above == found.p_below == 1
    assert effect(results(0.5)[:2], 0.01, expected=3).note == "1 of 3 seeds missing"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_undecided(bad):
    broken = results(0.5)
    broken[1][7] = bad
    found = effect(broken, 0.01)
    assert "1 of 8 seeds without a finite result" in found.note and np.isfinite(found.mean)
    assert verdict(found).verdict == UNDECIDED


def test_identical_differences_are_certain():
    sure, none = (effect([np.full(5, d)] * 8, 0.01) for d in (0.2, 0.0))
    assert (sure.p_above, sure.low, sure.high) == (0, 0.2, 0.2)
    assert verdict(sure).verdict == HOLDS and verdict(none).verdict == FAILS


def test_an_effect_survives_a_table():
    whole = all_of(made(0.3, name="MSE"), made(-0.3, name="agreement", gate="why", added=True))
    for found in (whole, effect(results(0.2), 0.01), effect([], 0.01)):
        again = from_record({k: str(v) for k, v in as_record(found).items()})
        assert (again.p_above, again.p_below, again.note) == (found.p_above, found.p_below, found.note)
        assert again == found or math.isnan(found.mean)


# --- verdicts -------------------------------------------------------------------------------------


def test_a_clear_effect_holds_and_its_reverse_does_not():
    assert verdict(effect(results(0.2), 0.01)).verdict == HOLDS
    reverse = verdict(effect(results(-0.2), 0.01), "C2")
    assert reverse.verdict == FAILS and reverse.high < 0
    words = ("X_R is closer", "X_E is closer")
    assert in_words(reverse, words) == "the reverse: X_E is closer"


def test_an_absent_effect_never_holds():
    found = verdict(effect(results(0.0), 0.01))
    assert (
        found.verdict == UNDECIDED and found.why == "the interval holds 0 and, with 0.01, effects of interest"
    )
    many = verdict(effect(results(0.0, seeds=10, images=20000, between_seeds=1e-4), 0.01))
    assert many.verdict == FAILS  # surely smaller than anything of interest
    assert in_words(many, ("more", "less")) == "no effect of 0.01 or more"


def test_a_tiny_effect_holds_and_is_called_tiny():
    found = verdict(made(0.004, 1e-4))
    assert found.verdict == HOLDS
    assert in_words(found, ("more", "less")) == "more, by less than 0.01"
    assert in_words(verdict(made(0.004)), ("more", "less")) == "open"


@pytest.mark.parametrize(
    ("claim", "seeds"), [("C1", 8), ("C1 frozen", 8), ("C2 ssim", 8), ("C3", 5), ("G4", 5)]
)
def test_a_verdict_needs_its_seeds(claim, seeds):
    assert verdict(made(0.5, seeds=seeds), claim).verdict == HOLDS
    fewer = verdict(made(0.5, seeds=seeds - 1), claim)
    assert fewer.verdict == UNDECIDED and fewer.why == f"{seeds - 1} seeds; a verdict needs {seeds}"
    assert fewer.low > 0 and fewer.levels == (LEVEL, LEVEL)  # an interval of its own is there all the same
    assert in_words(fewer, ("more", "less")) == "more (by this row alone)"


def test_seeds_that_were_added_make_a_row_exploratory():
    found = verdict(made(0.5, added=True))
    assert found.verdict == EXPLORATORY and "seeds were added" in found.why and found.low > 0


def test_a_gate_closes_for_primary_rows_and_is_named_at_others():
    found = verdict(made(0.5, gate="too short"))
    assert (found.verdict, found.why) == (NO_REFERENCE, "too short") and in_words(found, ("a", "b")) == ""
    other = verdict(made(0.5, gate="too short"), primary=False)
    assert (other.verdict, other.why) == (HOLDS, "not gated: too short")


def test_missing_evidence_comes_before_gates():
    found = verdict(undecided(made(0.5, gate="too short"), "1 of 8 seeds missing"))
    assert (found.verdict, found.why) == (UNDECIDED, "1 of 8 seeds missing")


@pytest.mark.parametrize(
    ("full", "half", "words"),
    [
        (0.3, 0.3, ""),
        (0.3, 0.2, ""),
        (0.3, 0.4, ""),  # 0.3, 0.2, 0.1: two doublings on it is still there
        (0.3, 0.5, "two doublings on, the trend from half the budget reaches -0.1000"),
        (0.3, 0.01, "at half the budget it is 'undecided', at all of it 'holds'"),
        (0.01, 0.3, "at half the budget it is 'holds', at all of it 'undecided'"),
        (0.3, -0.3, "the effect is -0.3000 at half the budget and +0.3000 at all of it"),
        (-0.3, -0.2, ""),
        (0.01, -0.01, ""),  # neither is decided
    ],
)
def test_what_depends_on_the_budget(full, half, words):
    note = budget_note(made(full, 0.03), made(half, 0.03))
    assert note.startswith(words) and bool(note) == bool(words)
    found = verdict(made(full, 0.03), half=made(half, 0.03))
    alone = verdict(made(full, 0.03))
    assert (found.verdict, found.why) == ((BUDGET, note) if words else (alone.verdict, alone.why))


def test_a_half_budget_that_says_nothing_changes_nothing():
    assert verdict(made(0.3), half=undecided(made(-0.3), "missing")).verdict == HOLDS


def test_a_claim_that_needs_several_effects():
    good, bad, none = (made(t, name=str(t)) for t in (0.3, -0.3, 0.004))
    assert verdict(all_of(good, good)).verdict == HOLDS
    for order in ((good, bad), (bad, good), (good, good, bad)):
        found = verdict(all_of(*order))
        assert found.verdict == FAILS and found.effect == bad and found.high < 0.01
        assert found.levels[1] == pytest.approx(LEVEL / 12 / len(order))
    found = verdict(all_of(good, none))
    assert found.verdict == UNDECIDED and found.effect == none and found.low < 0
    assert in_words(found, ("more", "less")) == "0.004: open"
    missing = undecided(good, "1 of 8 seeds missing")
    assert verdict(all_of(bad, missing)).why == "1 of 8 seeds missing"
    assert verdict(all_of(good, replace(good, gate="too short"))).verdict == NO_REFERENCE


# --- adjustment -----------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_holm_is_that_of_statsmodels(p_values, more):
    with mock.patch.object(gc, "collect"):  # statsmodels calls it every time: most of this test's time
        theirs = multipletests([*p_values, *[1.0] * more], LEVEL, method="holm")[0][: len(p_values)]
    levels = holm_levels(p_values, len(p_values) + more)
    assert [p <= level for p, level in zip(p_values, levels, strict=True)] == theirs.tolist()


@given(st.lists(st.tuples(st.floats(-0.2, 0.2), st.floats(0.001, 0.1)), min_size=1, max_size=15))
@settings(deadline=None)
def test_the_interval_shown_is_the_one_that_decided(rows):
    effects = [made(mean, error) for mean, error in rows]
    for found in decide([Row("C1", "s", e, primary=False) for e in effects]):
        if min(abs(found.low), abs(found.high - 0.01)) > 1e-9:
            expected = HOLDS if found.low > 0 else FAILS if found.high < 0.01 else UNDECIDED
            assert found.verdict == expected and bool(found.why) == (expected == UNDECIDED)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_claim_that_two_things_differ_is_tested_in_both_directions(sign):
    """At half the level each, so that no more than LEVEL hold by chance; alike is within both bounds."""
    row = Row("C6 interaction", "s", made(0.0))
    far, border = (replace(row, effect=made(sign * x, 0.01)) for x in (0.5, 0.026))
    assert LEVEL / 2 < min(border.effect.p_above, 1 - border.effect.p_above) < LEVEL
    (held,), (open_,) = decide([far]), decide([border])
    assert held.verdict == HOLDS and held.levels == (LEVEL / 2, LEVEL / 2) and (held.low > 0) == (sign > 0)
    assert in_words(held, ("first", "second")) == ("first" if sign > 0 else "second")
    assert open_.verdict == UNDECIDED and open_.low < 0 < open_.high
    assert in_words(open_, ("first", "second")) == "open" and open_.why.startswith("neither away from 0")
    (alike,) = decide([replace(row, effect=made(sign * 0.002, 0.001))])
    assert alike.verdict == FAILS and alike.levels == (LEVEL, LEVEL)
    assert in_words(alike, ("first", "second")) == "no difference of 0.01 or more"


def test_differences_hold_by_chance_no_more_often_than_other_claims():
    random = np.random.default_rng(3)
    tables = random.normal(0, 0.2, (4000, 5, 1)) + random.normal(0, 0.3, (4000, 5, 40))
    verdicts = [decide([Row("C6 interaction", "s", effect(list(t), 0.01))])[0].verdict for t in tables]
    assert 0.01 < np.mean([v == HOLDS for v in verdicts]) < 0.033


def test_a_row_that_the_adjustment_takes_says_so():
    border = made(0.03, 0.01)
    assert LEVEL / 12 < border.p_above < LEVEL
    found = verdict(border)
    assert found.verdict == UNDECIDED and found.why.startswith(
        "above 0 by the 95 % interval of this row alone"
    )
    below = verdict(made(-0.02, 0.01))
    assert below.why.startswith("below 0.01 by the 95 % interval of this row alone")


def test_what_is_recorded_later_takes_no_verdict_of_a_primary_away():
    """The number of primaries is fixed; other studies and secondaries are adjusted apart."""
    border = made(0.05, 0.01)
    assert LEVEL / 12 > border.p_above > LEVEL / 40
    mine, nothing = Row("C1", "fashion", border, True), made(0.0)
    others = [Row(c, "fashion", nothing, True) for c in ("C2", "C3", "C4", "C6", "control")]
    elsewhere = [Row("C1", f"data {n}", nothing, True) for n in range(30)]
    secondary = [Row("C1", "fashion", nothing, False) for _ in range(60)]
    alone = decide([mine])[0]
    assert alone.verdict == HOLDS and alone.levels[0] == pytest.approx(LEVEL / 12)
    assert decide([mine, *others, *elsewhere, *secondary])[0] == alone
    assert decide([replace(mine, primary=False), *secondary])[0].verdict == UNDECIDED
    planted = decide([replace(mine, claim="G1", study="planted")])[0]
    assert planted.levels[0] == pytest.approx(LEVEL / 8)
    assert decide([]) == []


def test_rows_without_a_verdict_keep_their_place_in_the_family():
    rows = [Row("C1", "s", made(0.05), False), *[Row("C1", "s", made(0.5, gate="x", seeds=3), False)] * 9]
    assert decide(rows)[0].levels[0] == pytest.approx(LEVEL / 10)


@pytest.mark.parametrize(
    ("where", "primary"),
    [
        (("C1", "vgg", "block8", "all"), True),
        (("C1", "vgg", "logits", "all"), False),
        (("C1", "resnet", "stage5", "all"), True),
        (("C1", "vgg", "block8", "neurons 1,4"), False),
        (("C1 frozen", "vgg", "block8", "all"), False),
        (("C2", "vgg", "block8", "all, collapsed trainings left in"), False),
        (("C4", "vgg", "block8", "32 random"), False),
        (("C6", "vgg", "block8", "evidence, road, vs median method (LRP)"), True),
        (("C6", "vgg", "block8", "evidence, road, vs median method"), True),
        (("C6", "vgg", "block8", "evidence, road, vs median method (LRP), neurons 1-4"), False),
        (("C6", "vgg", "block8", "evidence, road, vs best method (LRP)"), False),
        (("C6", "vgg", "block8", "gain, road, vs median method (LRP)"), False),
        (("C6 interaction", "vgg", "block8", "evidence, road, vs median methods (LRP - IG)"), False),
        (("control", "vgg", "block8", "all controls"), True),
        (("control", "vgg", "block8", "random weights"), False),
        (("G4", "resnet", "stage5", "all controls"), True),
        (("C5", "vgg", "logits", "truth A"), True),
        (("C1", "mine", "features.8", "all"), True),
        (("C1", "mine", "features.3", "all"), False),
    ],
)
def test_which_rows_are_primary(where, primary):
    assert is_primary(*where, latest="features.8") == primary


def test_the_primary_map_is_the_endpoint_of_the_comparison_of_maps():
    from cladec_utils.models.attribution import CLADEC
    from cladec_utils.saliency import results as saliency
    from cladec_utils.saliency.faithfulness import PRIMARY

    name, metric, opponent = rule.DETAILS["C6"].split(", ")
    assert name == saliency.PRIMARY_MAP and name in CLADEC and metric == PRIMARY
    assert opponent == f"vs {saliency.MEDIAN} method"


# --- gates ----------------------------------------------------------------------------------------


def test_gates_name_what_is_wrong():
    good, better = [0.011, 0.010, 0.012], [0.005, 0.006, 0.005]
    assert gate(good, [0.04] * 3) == gate(good, good) == ""
    assert gate(better, [0.04] * 3, {"logits": good}) == ""
    assert gate([0.05] * 3, [0.03] * 3) == (
        "RefAE not trained enough: its MSE on validation images, 0.0500, is above ClaDec's, 0.0300"
    )
    assert "is above that of RefAE at logits, 0.0053" in gate(good, [0.04] * 3, {"logits": better})
    assert gate([0.01, 0.011, 0.03], [0.04] * 3) == "1 of 3 trainings of RefAE far from the others"
    assert gate([0.01, 0.011, 0.01], [0.04, 0.04, 0.01]) == "1 of 3 trainings of ClaDec far from the others"


def test_a_training_far_from_its_siblings_is_found_and_only_the_worse_is_made_anew():
    near = [0.0107, 0.0104, 0.0110, 0.0109, 0.0102]
    assert far_from_siblings(near) == [False] * 5
    assert far_from_siblings([*near, 0.02, math.nan]) == [False] * 5 + [True, True]
    assert far_from_siblings([0.03, 0.031, 0.029, 0.03, 0.01]) == [False] * 5  # most may have collapsed
    assert gate([0.03, 0.031, 0.029, 0.03, 0.01], [0.04] * 5).endswith(
        "trainings of RefAE far from the others"
    )
    assert far_from_siblings([0.01, 0.05]) == [False, False]  # of two, which?
    assert far_from_siblings([0.01] * 4 + [0.0124]) == [False] * 5  # a small step from none


@given(st.lists(st.floats(0.001, 1), min_size=3, max_size=9), st.floats(0.01, 100))
def test_being_far_does_not_depend_on_the_unit(errors, unit):
    scaled = [error * unit for error in errors]
    assert abs(sum(far_from_siblings(errors)) - sum(far_from_siblings(scaled))) <= 1
    assert sum(far_from_siblings(errors)) <= len(errors) // 2


# --- error rates, in small; in full: benchmarks/verdict_rule.py --------------------------------------


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).parents[1] / "benchmarks" / "verdict_rule.py"
    spec = importlib.util.spec_from_file_location("verdict_rule", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.random = np.random.default_rng(5)
    return module


def test_the_simulated_mean_squares_are_those_of_whole_tables(benchmark):
    seeds, images, n = 5, 60, 1500
    short = np.array(benchmark.measured(benchmark.seed_effects((n, seeds), 0.1, 0.3), images, 0.2, 0.45))
    random = np.random.default_rng(6)
    tables = random.normal(0.3, 0.45, (n, seeds, images)) + random.normal(0, 0.1, (n, seeds, 1))
    tables += random.normal(0, 0.2, (n, 1, images))
    whole = np.array([(table.mean(), *mean_squares(table)) for table in tables]).T
    for one, other in zip(short, whole, strict=True):
        assert one.mean() == pytest.approx(other.mean(), abs=4 * other.std() / n**0.5 * 2**0.5)
        assert one.std() == pytest.approx(other.std(), rel=0.1)


def test_false_verdicts_are_rare_on_a_scorecard_and_effects_are_found(benchmark):
    """Twelve primaries without effect: at most 2.5 % of studies hold anywhere (4,000 of them can tell it from
    3.3), with noise of seeds alone and as recorded; and 8 seeds find +.03 in 10,000 images."""
    for sd in (0.012, 0.1):
        drawn = benchmark.measured(benchmark.seed_effects((4000, 12, 8), sd), 10_000)
        assert benchmark.chosen(drawn, 8, 10_000, LEVEL / 12).any(1).mean() < 0.033
    drawn = benchmark.measured(benchmark.seed_effects((4000, 8), true=0.03), 10_000)
    assert benchmark.chosen(drawn, 8, 10_000, LEVEL / 12).mean() > 0.9


def test_the_simulated_rule_is_the_rule(benchmark):
    for seed in range(20):
        table = np.stack(results(0.02, 5, 40, seed=seed))
        row = (table.mean(), *mean_squares(table))
        found = effect(list(table), 0.01)
        for level in (0.2, LEVEL, 0.002):
            assert benchmark.chosen(row, 5, 40, level) == (found.p_above < level)


def test_collapsing_trainings_make_few_false_verdicts(benchmark):
    for who in ("either", "RefAE"):
        effects, held = benchmark.collapsing(3000, 4, 8, who, gates=True)
        drawn = benchmark.measured(effects, 10_000)
        wrong = benchmark.chosen(drawn, 8, 10_000, LEVEL / 12) & ~held
        assert wrong.mean() < LEVEL / 12 * 2 and held.mean() < 0.05


def test_false_alarms_about_siblings_are_rare():
    errors = np.exp(np.random.default_rng(7).normal(0, 0.05, (4000, 8)))
    assert rule.far(errors).any(1).mean() < 0.005
    collapsed = errors.copy()
    collapsed[:, 0] *= 2
    assert rule.far(collapsed)[:, 0].mean() > 0.9


def test_smallest_effects_are_one_point_or_a_hundredth():
    assert SMALLEST["accuracy"] == SMALLEST["probability"] == 0.01 and SMALLEST["mse"] == 0.01**2
