"""The statistics of a user study, against published examples, other formulas and planted effects."""

import copy
import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from cladec_utils import open_study
from cladec_utils.claims import effects as claims_effects
from cladec_utils.errors import CladecError
from cladec_utils.user_study.analysis import plots
from cladec_utils.user_study.analysis import results as analysis_results
from cladec_utils.user_study.analysis.inference import (
    balanced,
    c5_effect,
    clustered_difference,
    compare,
    diversity,
    krippendorff,
    per_concept,
)
from cladec_utils.user_study.analysis.judgements import exclusions, judgements
from cladec_utils.user_study.analysis.results import effects
from cladec_utils.user_study.analysis.simulation import MARK, Model, correct_judgements, respondents, write


def counts(*raters):
    """(units, categories) from raters' strings, `.` missing."""
    categories = sorted(set("".join(raters)) - {"."})
    return np.array([[unit.count(c) for c in categories] for unit in map("".join, zip(*raters, strict=True))])


@pytest.mark.parametrize(
    ("raters", "alpha"),
    [
        # Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: examples A, B and C.
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbcccedd" + "d"), 0.692),
        (("123321412...", "12332241" + "25.3", ".333234225" + "1.", "12332441251."), 0.743),
    ],
)
def test_alpha_of_published_examples(raters, alpha):
    assert krippendorff(counts(*raters)) == pytest.approx(alpha, abs=5e-4)


def test_alpha_at_its_ends():
    assert krippendorff(np.array([[3, 0], [0, 3], [3, 0]])) == 1
    assert np.isnan(krippendorff(np.array([[3, 0], [3, 0]]))) and np.isnan(krippendorff(np.zeros((2, 2))))
    random = np.random.default_rng(0)
    guessing = random.multinomial(20, [0.5, 0.3, 0.2], 500)
    assert abs(krippendorff(guessing)) < 0.01


@pytest.fixture(scope="module")
def one_study():
    """Judgements of 40 + 40 participants on 24 items: arrays of rows, and the same as a long table."""
    random = np.random.default_rng(1)
    items = np.stack([random.permutation(24)[:12] for _ in range(80)])
    treated = np.arange(80) >= 40
    right = correct_judgements(random, (0.5, 0.65), treated, items, 4, Model())
    who = np.repeat(np.arange(80), 12)
    rows = (right.sum(2).ravel(), np.full(960, 4), treated[who].astype(float), who, items.ravel())
    long = pd.DataFrame({
        "participant": np.repeat(who, 4), "image": np.repeat(items.ravel(), 4),
        "arm": np.where(np.repeat(treated[who], 4), "explained", "control"),
        "correct_a": right.ravel().astype(float),
    })  # fmt: skip
    return rows, long


def test_the_clustered_difference_is_that_of_other_formulas(one_study):
    """Aggregated GLM = GLM on single judgements; delta method = linear probability model (saturated)."""
    rows, long = one_study
    difference, error, p, df = clustered_difference(*rows)
    x = sm.add_constant((long["arm"] == "explained").astype(float).to_numpy())
    groups = {"groups": long[["participant", "image"]].to_numpy(), "use_correction": False}
    linear = sm.OLS(long["correct_a"], x).fit(cov_type="cluster", cov_kwds=groups)
    assert difference == pytest.approx(linear.params.iloc[1]) and df == 23
    assert error == pytest.approx(linear.bse.iloc[1], rel=0.03)  # but for small-sample corrections
    single = sm.GLM(long["correct_a"], x, family=sm.families.Binomial())
    single = single.fit(cov_type="cluster", cov_kwds={"groups": groups["groups"]})
    t = single.params.iloc[1] / single.bse.iloc[1]
    assert p == pytest.approx(2 * stats.t.sf(abs(t), 23), rel=0.05)


def test_comparing_arms(one_study):
    _, long = one_study
    found = compare(long, "correct_a", "explained", 500)
    shares = long.groupby("arm")["correct_a"].mean()
    assert found.difference == pytest.approx(shares["explained"] - shares["control"])
    assert found.low < 0.15 < found.high and found.p < 0.01 and (found.participants, found.items) == (80, 24)
    assert found.boot_low < found.difference < found.boot_high
    # Drawing participants and items anew is wider, as their interaction counts twice (Owen 2007).
    assert 0.9 < (found.boot_high - found.boot_low) / (found.high - found.low) < 1.8


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda t: t[t["participant"].isin([0, 40])], "fewer than two participants"),
        (lambda t: t[t["image"] == 0], "fewer than two"),
        (lambda t: t.assign(correct_a=1.0), "all right|are right"),
    ],
)
def test_too_little_gives_a_note_and_no_interval(one_study, change, note):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(change(one_study[1]), "correct_a", "explained")
    assert pd.Series([found.note]).str.contains(note)[0] and np.isnan([found.low, found.high, found.p]).all()


def test_always_the_same_answer_is_no_skill():
    truth = np.array([True] * 9 + [False] * 3)
    rows = [
        {"participant": p, "arm": "explained", "image": i, "truth_a": t, "correct_a": float(t)}
        for p in range(8) for i in range(6) for t in truth
    ]  # fmt: skip
    mean, error, _ = balanced(pd.DataFrame(rows), "a", "explained")
    assert np.mean([r["correct_a"] for r in rows]) == 0.75 and mean == pytest.approx(0.5)
    assert np.isnan(error) or error < 1e-6


ACCURACIES = {"control": 0.5, "explained": 0.7, "sham": 0.5}


@pytest.fixture(scope="module")
def simulated(asked):
    return respondents(asked["launched"], 30, ACCURACIES, "b", seed=3)


def people(responses):
    """The same responses as if they came from people."""
    return [copy.deepcopy(r) | {"simulated": False} for r in responses]


@pytest.fixture(scope="module")
def results(asked, simulated, tmp_path_factory):
    """The whole analysis of simulated respondents, and of the same as if they were people, by name."""
    found = {}
    for name, responses in (("simulated", simulated), ("people", people(simulated))):
        folder = tmp_path_factory.mktemp(name)
        for response in responses:
            (folder / f"{response['participant']}.json").write_text(json.dumps(response))
        found[name] = analysis_results.analyse(asked["launched"], folder, replicates=50)
    return found


def test_a_planted_difference_is_found_through_the_whole_pipeline(asked, simulated, results):
    found = results["simulated"]
    arms = found.tables["arms"].set_index(["truth", "arm"])
    assert arms.loc[("B", "explained"), "low"] <= 0.2 <= arms.loc[("B", "explained"), "high"]
    assert arms.loc[("B", "sham"), "low"] <= 0 <= arms.loc[("B", "sham"), "high"]
    assert found.truths == ("a", "b") and found.responses.set_aside.empty
    assert respondents(asked["launched"], 30, ACCURACIES, "b", seed=3) == simulated


def test_simulated_choices_are_as_good_as_simulated_judgements(results):
    """One half is chance for a choice between two: who judges at one half must not choose better."""
    shares = results["simulated"].tables["choices"].set_index(["truth", "arm"])
    assert shares.loc[("B", "explained"), "control"] == pytest.approx(0.5, abs=0.1)
    assert shares.loc[("B", "explained"), "accuracy"] == pytest.approx(0.7, abs=0.1)


def test_simulated_respondents_get_a_folder_of_their_own(simulated, tmp_path):
    (tmp_path / ".DS_Store").write_text("")  # what a file manager leaves does not count
    write(simulated[:3], tmp_path)
    write(simulated[:3], tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 3
    with pytest.raises(CladecError, match="folder of their own"):
        write(simulated[3:6], tmp_path)


def test_simulated_respondents_are_marked_everywhere(simulated, results, tmp_path):
    found = results["simulated"]
    assert all(r["simulated"] and "SIMULATED" in r["about"]["comments"] for r in simulated)
    folder = analysis_results.write(found, tmp_path / "out")
    files = sorted(folder.glob("*.csv"))
    assert {f.stem for f in files} == set(found.tables) and len(files) == 11
    for file in files:
        table = pd.read_csv(file)
        assert set(table["respondents"]) <= {"simulated"} and "respondents" in table
    for figure in (
        plots.differences(found.tables["arms"], found.mark),
        plots.by_concept(found.tables["concepts"], found.mark),
    ):
        assert MARK in [text.get_text() for text in figure.texts]


def test_c5_is_decided_by_people_only(results, folders):
    study = open_study("smoke", "planted-tint-stripes")

    def decided(name):
        sentence = analysis_results.record(results[name], study)
        card = claims_effects.scorecard("smoke")
        return sentence, card[card["claim"] == "C5"]

    sentence, rows = decided("simulated")
    assert "simulated" in sentence and rows["verdict"].tolist() == ["needs participants"]
    _, rows = decided("people")
    assert len(rows) == 2 and rows["neurons"].str.startswith("truth").all()
    by_truth = rows.set_index(rows["neurons"].str[6])
    assert by_truth.loc["B", "verdict"] == "holds" and by_truth.loc["A", "verdict"] != "holds"
    seen = results["people"].judgements.query("arm != 'sham'")["participant"].nunique()
    assert (by_truth["seeds"] == seen).all()
    assert results["people"].mark == ""
    assert plots.differences(results["people"].tables["arms"]).texts == []
    sentence, kept = decided("simulated")
    assert "were kept: these respondents are simulated" in sentence
    pd.testing.assert_frame_equal(kept, rows)  # what people said is not lost by trying the analysis out
    launched = results["people"].launched
    draft = replace(launched, study=launched.study | {"build": "draft"})
    of_draft = replace(results["people"], launched=draft)
    assert effects(of_draft) == [] != effects(results["people"])
    assert "were kept: these are answers to a draft" in analysis_results.record(of_draft, study)
    pd.testing.assert_frame_equal(claims_effects.scorecard("smoke").query("claim == 'C5'"), rows)
    explained = results["people"].judgements.query("arm == 'explained'")
    assert effects(replace(results["people"], judgements=explained)) == []


def test_c5_needs_both_advantages(results):
    """Better than the control arm, but no better than guessing, is not enough."""
    table = results["people"].judgements
    assert c5_effect(table, "b").p_above < 0.01
    worse = table[table["correct_b"].notna()].reset_index(drop=True)
    worse.loc[worse.index % 3 == 0, "correct_b"] = 0.0
    worse.loc[(worse["arm"] == "control") & (worse.index % 2 == 0), "correct_b"] = 0.0
    weak = c5_effect(worse, "b")
    assert compare(worse, "correct_b", "explained", 10).low > 0 and weak.p_above > 0.05


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda t: t.assign(correct_b=t["correct_b"].where(t["correct_b"].isna(), 1.0)), "are right"),
        (lambda t: t[t["participant"].isin(t.groupby("arm")["participant"].first())], "fewer than two"),
        (lambda t: t[(t["arm"] == "control") | (t["truth_b"] == True)], "only used or only unused"),  # noqa: E712
    ],
)
def test_a_row_of_c5_says_why_nothing_can_be_concluded(results, change, note):
    table = change(results["people"].judgements)
    assert note in c5_effect(table, "b").note


def test_simulated_arms_share_their_pictures_and_not_their_people(asked):
    """With one accuracy in all arms answers differ between arms, yet the same pictures are hard in both."""
    found = respondents(asked["launched"], 300, dict.fromkeys(ACCURACIES, 0.5), "b", seed=1)
    table = judgements(asked["launched"], found, exclusions(asked["launched"], []))
    table = table[table["correct_b"].notna()].assign(
        number=table["participant"].str[-3:], kind=table["participant"].str.rsplit("-", n=1).str[0]
    )
    by_image, by_person = (
        table.pivot_table("correct_b", index=by, columns="arm") for by in ("image", "number")
    )
    assert by_image.corr().loc["control", "explained"] > 0.6
    assert abs(by_person.corr().loc["control", "explained"]) < 0.2


def test_being_misled_is_told_from_not_being_able_to_tell():
    """Always "cannot tell" is never correct and never wrong; the opposite of the truth is both."""
    rows = [("control", "unknown", True, 0.0), ("control", "unknown", False, 0.0),
            ("explained", "unused", True, 0.0), ("explained", "unused", False, 1.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["arm", "answer", "truth_a", "correct_a"])
    table = table.assign(concept="shape", participant=range(4), image=[0, 1, 0, 1])
    found = per_concept(table, "a", ["shape"]).set_index("arm")
    assert found.loc["control", ["accuracy", "wrong", "unknown"]].tolist() == [0, 0, 1]
    assert found.loc["explained", ["accuracy", "wrong", "unknown"]].tolist() == [0.5, 0.5, 0]
    assert balanced(table, "a", "control")[0] == 0
    assert balanced(table, "a", "explained")[0] == pytest.approx(0.5)


def test_diversity_counts_different_concepts():
    rows = [
        ("p1", "explained", "colour", "used", 1.0), ("p1", "explained", "colour", "used", 1.0),
        ("p1", "explained", "shape", "unused", 1.0), ("p2", "explained", "texture", "used", 0.0),
        ("p2", "explained", "shape", "unused", 1.0),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["participant", "arm", "concept", "answer", "correct_b"])
    found = diversity(table, "b").iloc[0]
    assert found["named"] == 1 and found["found_used"] == 0.5 and found["found_unused"] == 1
    share = np.array([2, 1]) / 3
    assert found["effective"] == pytest.approx(np.exp(-(share * np.log(share)).sum()))


@pytest.mark.parametrize("arms", [("control",), ("explained",), ("sham",), ("explained", "sham")])
def test_arms_that_nobody_has_been_in_yet_leave_the_other_tables(asked, simulated, folders, arms):
    """As in the first days of a collection: all tables have their columns, figures what there is."""
    codes = {entry["name"]: code for code, entry in asked["launched"].key["arms"].items()}
    (folders / "given").mkdir()
    for response in simulated:
        if response["arm"] in [codes[arm] for arm in arms]:
            (folders / "given" / f"{response['participant']}.json").write_text(json.dumps(response))
    found = analysis_results.analyse(asked["launched"], folders / "given", replicates=10)
    columns = ["truth", "arm", "accuracy", "control", "difference", "low", "high", "p", "balanced"]
    assert set(columns) <= set(found.tables["arms"].columns)
    assert {"truth", "arm", "difference", "boot_low", "respondents"} <= set(found.tables["choices"].columns)
    assert set(found.tables["arms"]["arm"]) <= set(arms)
    for figure in (plots.differences(found.tables["arms"]), plots.by_concept(found.tables["concepts"])):
        figure.canvas.draw()
    counts = found.tables["counts"].set_index("what")["number"]
    assert [counts[f"analysed, {arm}"] > 0 for arm in codes] == [arm in arms for arm in codes]
