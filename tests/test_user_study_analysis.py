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
    c5_choices,
    c5_judgements,
    clustered_difference,
    clustered_mean,
    compare,
    diversity,
    krippendorff,
    per_concept,
)
from cladec_utils.user_study.analysis.judgements import choices, exclusions, filled, judgements
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
    found = compare(long, "correct_a", "explained", "control", 500)
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
        found = compare(change(one_study[1]), "correct_a", "explained", "control")
    assert pd.Series([found.note]).str.contains(note)[0] and np.isnan([found.low, found.high, found.p]).all()


def test_a_clustered_mean_is_that_of_single_rows(one_study):
    """Of means per participant and item, weighted by their sizes, the error is that of the single answers."""
    _, long = one_study
    mine = long[long["arm"] == "explained"]
    cells = mine.groupby(["participant", "image"])["correct_a"].agg(["mean", "size"]).reset_index()
    both = [
        clustered_mean(
            table[value].to_numpy(float), np.asarray(weights, float),
            np.column_stack([pd.factorize(table[c])[0] for c in ("participant", "image")]),
        )
        for table, value, weights in ((mine, "correct_a", np.ones(len(mine))), (cells, "mean", cells["size"]))
    ]  # fmt: skip
    assert both[0][0] == pytest.approx(both[1][0]) == pytest.approx(mine["correct_a"].mean())
    assert both[0][1] == pytest.approx(both[1][1], rel=0.02) and both[0][2] == both[1][2] == 23


def test_always_the_same_answer_is_no_skill():
    truth = np.array([True] * 9 + [False] * 3)
    rows = [
        {"participant": p, "arm": "explained", "image": i, "truth_a": t, "correct_a": float(t)}
        for p in range(8) for i in range(6) for t in truth
    ]  # fmt: skip
    mean, error, _ = balanced(pd.DataFrame(rows), "a", "explained")
    assert np.mean([r["correct_a"] for r in rows]) == 0.75 and mean == pytest.approx(0.5)
    assert np.isnan(error) or error < 1e-6


ACCURACIES = {"control": 0.5, "explained": 0.8, "sham": 0.5}


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
    assert arms.loc[("B", "explained"), "low"] <= 0.3 <= arms.loc[("B", "explained"), "high"]
    assert arms.loc[("B", "control"), "low"] <= 0 <= arms.loc[("B", "control"), "high"]
    assert set(arms["against"]) == {"sham"}
    assert found.truths == ("a", "b") and found.responses.set_aside.empty
    assert respondents(asked["launched"], 30, ACCURACIES, "b", seed=3) == simulated


def test_simulated_choices_are_as_good_as_simulated_judgements(results):
    """One half is chance for a choice between two: who judges at one half must not choose better."""
    shares = results["simulated"].tables["choices"].set_index(["truth", "arm"])
    assert shares.loc[("B", "explained"), "accuracy_against"] == pytest.approx(0.5, abs=0.1)
    assert shares.loc[("B", "explained"), "accuracy"] == pytest.approx(0.8, abs=0.1)


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
    assert {f.stem for f in files} == set(found.tables) and len(files) == 13
    for file in files:
        table = pd.read_csv(file)
        assert set(table["respondents"]) <= {"simulated"} and "respondents" in table
    for figure in (
        plots.differences(found.tables["choices"], found.mark),
        plots.by_concept(found.tables["concepts"], found.mark),
    ):
        assert MARK in [text.get_text() for text in figure.texts]


def test_c5_is_decided_by_people_only(results, folders):
    study = open_study("smoke", "planted-tint-stripes")

    def decided(name):
        sentence = analysis_results.record(results[name], study)
        card = claims_effects.scorecard("smoke")
        return sentence, card[card["claim"].isin(["C5", "C5 judgements"])]

    sentence, rows = decided("simulated")
    assert "simulated" in sentence and rows["verdict"].tolist() == ["needs participants"] * 2
    _, rows = decided("people")
    assert rows["neurons"].str.startswith("truth").all() and len(rows) == 2 * (1 + 3)
    assert ((rows["row"] == "primary") == (rows["claim"] == "C5")).all()
    by_truth = rows[rows["claim"] == "C5"].set_index("neurons").rename(index=lambda what: what[6])
    assert by_truth.loc["B", "verdict"] == "holds" and by_truth.loc["A", "verdict"] != "holds"
    assert by_truth.loc["B", "levels"].startswith("1.2")  # Holm over the two primaries alone
    seen = results["people"].judgements.query("arm != 'control'")["participant"].nunique()
    assert by_truth.loc["B", "seeds"] == seen >= by_truth.loc["A", "seeds"]  # A tells fewer pairs apart
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
    pd.testing.assert_frame_equal(claims_effects.scorecard("smoke").query("claim.str.startswith('C5')"), rows)
    explained = results["people"].judgements.query("arm == 'explained'")
    assert effects(replace(results["people"], judgements=explained)) == []


def test_c5_needs_both_advantages(results):
    """Better than the other arm, but no better than guessing, is not enough."""
    pairs = results["people"].choices
    assert c5_choices(pairs, "b", "sham").p_above < 0.01
    worse = pairs.reset_index(drop=True)
    worse.loc[worse.index % 3 == 0, "correct_b"] = 0.0
    worse.loc[(worse["arm"] == "sham") & (worse.index % 2 == 0), "correct_b"] = 0.0
    weak = c5_choices(worse, "b", "sham")
    assert compare(worse, "correct_b", "explained", "sham", 10).low > 0 and weak.p_above > 0.05


def known(table, value):
    return table.assign(correct_b=table["correct_b"].where(table["correct_b"].isna(), value))


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda t: known(t, 1.0), "are right"),
        (lambda t: t[t["participant"].isin(t.groupby("arm")["participant"].first())], "fewer than two"),
        (lambda t: t.assign(correct_b=np.nan), "fewer than two"),
    ],
)
def test_a_row_of_c5_says_why_nothing_can_be_concluded(results, change, note):
    for conclude, table in ((c5_choices, "choices"), (c5_judgements, "judgements")):
        assert note in conclude(change(getattr(results["people"], table)), "b", "sham").note


def test_judgements_of_one_kind_alone_are_no_balanced_accuracy(results):
    table = results["people"].judgements
    table = table[(table["arm"] == "sham") | (table["truth_b"] == True)]  # noqa: E712
    assert "only used or only unused" in c5_judgements(table, "b", "sham").note


# --- who says "cannot tell" ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cautious(asked, tmp_path_factory):
    """People of two arms who know the same; those with the sham say "cannot tell" six times as often."""
    folder = tmp_path_factory.mktemp("cautious")
    same, said = dict.fromkeys(ACCURACIES, 0.7), {"sham": 0.6, "explained": 0.1}
    for response in people(respondents(asked["launched"], 40, same, "b", seed=8, cannot_tell=said)):
        (folder / f"{response['participant']}.json").write_text(json.dumps(response))
    return analysis_results.analyse(asked["launched"], folder, replicates=50)


def test_who_cannot_tell_is_not_wrong(cautious):
    arms = cautious.tables["arms"].set_index(["truth", "arm"]).loc[("B", "explained")]
    assert arms["accuracy_against"] == pytest.approx(0.7, abs=0.1) == arms["accuracy"]
    assert abs(arms["difference"]) < 0.05 and arms["low"] < 0 < arms["high"]
    answers = cautious.judgements
    assert answers.loc[answers["answer"] == "unknown", ["correct_a", "correct_b"]].isna().all(axis=None)


def test_how_often_each_arm_cannot_tell_is_reported_with_what_it_would_do(cautious):
    said = cautious.tables["abstention"].set_index("arm").loc["explained"]
    assert said["against"] == "sham" and said["high"] < -0.3
    assert said[["cannot_tell", "cannot_tell_against"]].tolist() == pytest.approx([0.1, 0.6], abs=0.05)
    rows = cautious.tables["sensitivity"].set_index(["truth", "arm", "cannot_tell"])
    by = rows.loc[("B", "explained")]["difference"]
    # Of 10 and 60 % withheld: as wrong .7 * .9 - .7 * .4; at chance that + (.1 - .6) / 2.
    assert by["missing"] == pytest.approx(0, abs=0.06)
    assert by["wrong"] == pytest.approx(0.35, abs=0.06) and by["at chance"] == pytest.approx(0.1, abs=0.06)
    assert rows.loc[("B", "explained", "wrong"), "low"] > 0


def test_only_the_bound_takes_caution_for_knowledge_and_it_is_secondary(cautious):
    found = {(claim, what): e for claim, what, e in effects(cautious)}
    b = "truth B, planted"
    assert (
        found["C5", b].p_above > 0.025
        and found["C5 judgements", f"{b}, 'cannot tell' missing"].p_above > 0.025
    )
    bound = filled(cautious.judgements, "b", 0.0)
    assert compare(bound, "correct_b", "explained", "sham", 10).low > 0
    assert {claim for claim, _ in found} == {"C5", "C5 judgements"} and len(found) == 8


def test_choices_do_not_depend_on_who_cannot_tell(asked):
    tables = []
    for said in (0.0, 0.9):
        made = respondents(
            asked["launched"], 150, {"explained": 0.7}, "b", 2, dict.fromkeys(ACCURACIES, said)
        )
        tables.append(choices(asked["launched"], made, exclusions(asked["launched"], [])))
    shares = [t.groupby("arm")["correct_b"].mean() for t in tables]
    assert shares[0]["explained"] == pytest.approx(0.7, abs=0.1)
    assert shares[1].tolist() == pytest.approx(shares[0].tolist(), abs=0.08)  # the same pictures and people


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


def test_accuracy_per_concept_is_of_those_who_can_tell():
    """Always "cannot tell" has none; who answers is misled where it is below one half."""
    rows = [("sham", "unknown", True, np.nan), ("sham", "unknown", False, np.nan),
            ("explained", "unused", True, 0.0), ("explained", "unused", False, 1.0),
            ("explained", "unknown", False, np.nan)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["arm", "answer", "truth_a", "correct_a"])
    table = table.assign(concept="shape", participant=range(5), image=[0, 1, 0, 1, 2])
    found = per_concept(table, "a", ["shape"]).set_index("arm")
    assert np.isnan(found.loc["sham", "accuracy"]) and found.loc["sham", "unknown"] == 1
    assert found.loc["explained", ["accuracy", "unknown", "judgements"]].tolist() == [
        0.5,
        pytest.approx(1 / 3),
        3,
    ]
    assert np.isnan(balanced(table, "a", "sham")[0])
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
    columns = ["truth", "arm", "accuracy", "against", "difference", "low", "high", "p", "balanced"]
    assert set(columns) <= set(found.tables["arms"].columns)
    assert {"truth", "arm", "difference", "boot_low", "respondents"} <= set(found.tables["choices"].columns)
    assert set(found.tables["arms"]["arm"]) <= set(arms)
    for figure in (plots.differences(found.tables["choices"]), plots.by_concept(found.tables["concepts"])):
        figure.canvas.draw()
    counts = found.tables["counts"].set_index("what")["number"]
    assert [counts[f"analysed, {arm}"] > 0 for arm in codes] == [arm in arms for arm in codes]
