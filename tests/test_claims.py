"""From recorded results to the scorecard, on synthetic results whose truth is known."""

import dataclasses
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch

from cladec_utils.claims import effects, evidence, scorecard, verdicts
from cladec_utils.claims.verdicts import FAILS, HOLDS, PARTICIPANTS, UNDECIDED, effect
from cladec_utils.engine import paths, store
from cladec_utils.engine.spec import Made
from cladec_utils.errors import CladecError
from cladec_utils.plots import charts
from cladec_utils.study import evaluation, profiles
from cladec_utils.study.classifiers import ClassifierSpec
from cladec_utils.study.evaluation import EvaluationSpec
from cladec_utils.study.explainers import ClaDecSpec, RefAESpec
from cladec_utils.study.folders import Folder
from cladec_utils.study.study import open_study

IMAGES = 300


class World:
    """Writes evaluations with known figures where a study would have recorded them."""

    def __init__(self, seeds=3):
        study, seeds = open_study("smoke"), tuple(range(seeds))
        usual = dataclasses.replace(study.usual, profile=dataclasses.replace(study.profile, seeds=seeds))
        self.study = dataclasses.replace(study, seeds=seeds, usual=usual)
        self.random = np.random.default_rng(0)
        self.rows = []

    def add(self, spec, choice="", **figures):
        tensors = {
            name: torch.tensor(mean + 0.05 * self.random.normal(size=IMAGES), dtype=torch.float64)
            for name, mean in figures.items()
        }
        metrics = {name: t.mean().item() for name, t in tensors.items()}
        with mock.patch.object(EvaluationSpec, "make", lambda *_: Made(tensors, metrics)):
            store.get(spec)
        self.rows.append((spec, choice))

    def pair(self, layer, better, closer, seeds=None):
        """ClaDec better in evaluation accuracy by `better`, further from the image by `closer`."""
        for seed in self.study.seeds if seeds is None else seeds:
            e = self.study.evaluation(self.study.cladec(layer, seed, 0.0), seed)
            r = self.study.evaluation(self.study.refae(layer, seed), seed)
            self.add(e, judge_correct=0.8 + better, mse=0.03 + closer, c_cross_entropy=1.0, c_agrees=0.7)
            self.add(r, judge_correct=0.8, mse=0.03)

    def faithful(self, layer, **figures):
        """ClaDec at the alpha that C3 compares with 0."""
        for seed in self.study.seeds:
            subject = self.study.cladec(layer, seed, evidence.FAITHFUL_ALPHA)
            self.add(self.study.evaluation(subject, seed, judged=False), **figures)

    def card(self, *beside):
        """The scorecard of the study, and of those `beside` it, when all of its rows have been recorded."""
        chosen = [evidence.Subset(c, 1, 0, s) for s, c in self.rows if c]
        evidence.record(self.study, [s for s, _ in self.rows], chosen)
        these = [study.folder.name for study in (*beside, self.study)]
        return effects.scorecard("smoke", these if beside else None).set_index(["claim", "layer"])


@pytest.fixture
def world(folders):
    return World()


def test_nothing_recorded_is_said(folders):
    card = effects.scorecard("smoke").set_index("claim")
    assert list(card.index) == list(effects.CLAIMS)
    assert card.loc["C5", "verdict"] == PARTICIPANTS and card.loc["C1", "verdict"] == UNDECIDED
    assert card.loc["C1", "note"] == "nothing recorded yet" == card.loc["C6", "note"]


def test_effects_get_their_verdicts(world):
    world.pair("block4", better=-0.3, closer=0.02)
    world.pair("logits", better=0.3, closer=-0.2)
    card = world.card()
    assert card.loc[("C1", "logits"), "verdict"] == HOLDS and card.loc[("C1", "block4"), "verdict"] == FAILS
    assert card.loc[("C2", "logits"), "verdict"] == FAILS
    assert card.loc[("C1", "logits"), "effect"] == pytest.approx(0.3, abs=0.02)
    assert card.loc[("C4", "logits"), "verdict"] == HOLDS
    row = card.loc[("C1", "logits")]
    assert row["low"] < row["effect"] < row["high"] and row["seeds"] == 3


@pytest.mark.parametrize("better", [-0.3, 0.3])
def test_c1_has_a_row_for_each_judge(world, better):
    for seed in world.study.seeds:
        e = world.study.evaluation(world.study.cladec("logits", seed, 0.0), seed)
        r = world.study.evaluation(world.study.refae("logits", seed), seed)
        world.add(e, judge_correct=0.8, c_correct=0.8 + better, independent_correct=0.8 - better, mse=0.1)
        world.add(r, judge_correct=0.5, c_correct=0.8, independent_correct=0.8, mse=0.1)
    verdicts = world.card()["verdict"]
    assert verdicts[("C1", "logits")] == HOLDS
    assert verdicts[("C1 frozen", "logits")] == (HOLDS if better > 0 else FAILS)
    assert verdicts[("C1 independent", "logits")] == (FAILS if better > 0 else HOLDS)


def test_a_judge_that_a_study_does_not_have_is_left_out(world):
    world.pair("logits", better=0.3, closer=0.02)
    card = world.card().reset_index().set_index("claim")
    assert card.loc["C1 independent", "note"] == "nothing recorded yet"


def test_a_missing_seed_or_a_lost_artifact_is_undecided(world, folders):
    world.pair("block4", better=0.3, closer=0.02, seeds=(0, 1))
    world.pair("logits", better=0.3, closer=0.02)
    lost = world.study.evaluation(world.study.refae("logits", 1), 1)
    world.card()
    (paths.artifacts_dir() / lost.name / "tensors.safetensors").write_bytes(b"damaged")
    card = effects.scorecard("smoke").set_index(["claim", "layer"])
    assert card.loc[("C1", "block4"), ["verdict", "note"]].tolist() == [UNDECIDED, "1 of 3 seeds missing"]
    assert card.loc[("C1", "logits"), "verdict"] == UNDECIDED
    assert "1 of 3 seeds without a finite result" in card.loc[("C1", "logits"), "note"]


def test_one_seed_is_undecided(folders):
    world = World(seeds=1)
    world.pair("logits", better=0.5, closer=0.5)
    assert world.card().loc[("C1", "logits"), "verdict"] == UNDECIDED


@pytest.mark.parametrize(
    ("mse", "loss", "verdict"), [(0.2, 0.1, HOLDS), (0.2, 2.0, FAILS), (0.001, 0.1, FAILS)]
)
def test_c3_needs_both_sides(world, mse, loss, verdict):
    world.pair("logits", better=0.1, closer=0.05)
    world.faithful("logits", mse=mse, c_cross_entropy=loss, c_agrees=0.9 if loss < 1 else 0.4)
    card = world.card()
    rows = card.loc[("C3", "logits")], card.loc[("C3 loss", "logits")]
    assert [row["verdict"] for row in rows] == [verdict, verdict]
    if verdict == FAILS:  # the part that fails is the one that is shown
        shown = ("MSE", "MSE") if mse < 0.03 else ("agreement", "cross-entropy")
        assert tuple(row["neurons"] for row in rows) == shown and all(row["high"] < 0.01 for row in rows)


@pytest.mark.parametrize(("advantage", "verdict"), [(-0.2, HOLDS), (0.0, HOLDS), (0.3, FAILS)])
def test_controls_hold_when_the_advantage_vanishes(world, advantage, verdict):
    world.random = np.random.default_rng(1)
    world.pair("logits", better=0.3, closer=0.02)
    for seed in world.study.seeds:
        control = world.study.control("random weights", seed)
        subject = world.study.cladec("logits", seed, 0.0, classifier=control)
        world.add(world.study.evaluation(subject, seed), judge_correct=0.8 + advantage - 0.02, mse=0.1)
    row = world.card().loc[("control", "logits")]
    assert row["neurons"] == "random weights" and row["verdict"] == verdict


def test_subsets_are_told_apart_and_do_not_enter_c1(world):
    world.pair("logits", better=0.3, closer=0.02)
    for seed in world.study.seeds:
        for choice, right in (("random", 0.6), ("least important", 0.1)):
            subject = world.study.cladec("logits", seed, 0.0, (seed, 5 if choice == "random" else 6))
            world.add(world.study.evaluation(subject, seed), choice, judge_correct=right, mse=0.1)
    card = world.card().reset_index()
    c4 = card[card["claim"] == "C4"].set_index("neurons")["verdict"].to_dict()
    assert c4 == {"all": HOLDS, "2 random": HOLDS, "2 least important": UNDECIDED}
    assert len(card[card["claim"] == "C1"]) == 1


def test_an_evaluation_without_a_judge_does_not_hide_one_with(world):
    world.pair("logits", better=0.3, closer=0.02)
    for seed in world.study.seeds:
        unjudged = world.study.evaluation(world.study.cladec("logits", seed, 0.0), seed, judged=False)
        world.add(unjudged, mse=0.05, c_cross_entropy=1.0, c_agrees=0.7)
    assert world.card().loc[("C1", "logits"), "verdict"] == HOLDS


@pytest.mark.parametrize(("refae_mse", "verdict"), [(0.02, HOLDS), (0.05, UNDECIDED)])
def test_a_reference_that_was_not_trained_enough_decides_nothing(world, monkeypatch, refae_mse, verdict):
    trained = {"RefAE": refae_mse, "ClaDec": 0.03}
    kind = lambda subject: "RefAE" if isinstance(subject, RefAESpec) else "ClaDec"  # noqa: E731
    monkeypatch.setattr(
        evaluation, "_train_mse", lambda s: {evaluation.TRAIN_MSE: trained[kind(s)]} if s else {}
    )
    world.pair("logits", better=0.3, closer=0.02)
    card = world.card()
    assert card.loc[("C1", "logits"), "verdict"] == card.loc[("C2", "logits"), "verdict"] == verdict
    assert card.loc[("C4", "logits"), "verdict"] == HOLDS  # needs no reference
    note = "RefAE not trained enough: its MSE on training images, 0.0500, is above ClaDec's, 0.0300"
    assert card.loc[("C1", "logits"), "note"] == ("" if verdict == HOLDS else note)


def test_what_was_measured_with_other_settings_is_not_compared(world):
    """Other images: their rows stand beside the others and are not subtracted from them."""
    world.pair("logits", better=0.3, closer=0.02)
    world.faithful("logits", mse=0.2, c_agrees=0.9, c_cross_entropy=0.1)
    before = world.card().loc[("C3", "logits")]
    study, world.rows = world.study, []
    world.study = dataclasses.replace(open_study("smoke", image_size=16), seeds=study.seeds)
    world.pair("logits", better=-0.3, closer=0.4)
    after = world.card(study)
    assert after.loc[("C3", "logits"), "effect"] == before["effect"]
    c1 = after.loc[("C1", "logits")]
    assert c1["verdict"].tolist() == [HOLDS, FAILS]
    assert c1["dataset"].str.contains("32x32|16x16").all() and c1["dataset"].nunique() == 2


def test_more_seeds_beside_a_study_take_no_verdict_away(world):
    world.pair("logits", better=0.3, closer=0.02)
    world.faithful("logits", mse=0.2, c_agrees=0.9, c_cross_entropy=0.1)
    assert world.card().loc[("C3", "logits"), "verdict"] == HOLDS
    study, world.rows = world.study, []
    world.study = dataclasses.replace(study, seeds=tuple(range(5)))
    world.pair("logits", better=0.3, closer=0.02)
    card = world.card(study)
    assert card.loc[("C3", "logits"), "verdict"] == HOLDS
    assert card.loc[("C1", "logits"), ["verdict", "seeds"]].tolist() == [HOLDS, 5]


def test_neurons_that_the_user_names_have_rows_of_their_own(world):
    world.pair("logits", better=0.3, closer=0.02)
    world.card()
    study, world.rows = world.study, []
    world.study = dataclasses.replace(study, neurons=(1, 4))
    world.pair("logits", better=-0.3, closer=0.02)
    c1 = world.card(study).loc[("C1", "logits")].set_index("neurons")["verdict"]
    assert c1.to_dict() == {"all": HOLDS, "neurons 1,4": FAILS}


def test_chance_is_the_share_of_the_largest_class(world, monkeypatch):
    """Of unbalanced data: always naming the largest class explains nothing."""
    data = world.study.data
    labels = torch.where(torch.arange(len(data.test)) % 10 < 8, 0, 1)
    unbalanced = dataclasses.replace(data, test=dataclasses.replace(data.test, labels=labels))
    monkeypatch.setattr(evidence.datasets, "load", lambda _spec: unbalanced)
    world.pair("logits", better=0.0, closer=0.02)
    row = world.card().loc[("C4", "logits")]
    assert row["verdict"] != HOLDS and abs(row["effect"]) < 0.03


def test_recording_again_adds_and_replaces(world):
    world.pair("logits", better=0.3, closer=0.02, seeds=(0,))
    world.card()
    world.pair("logits", better=0.3, closer=0.02, seeds=(1, 2))
    assert world.card().loc[("C1", "logits"), "seeds"] == 3
    path = world.study.folder.path / evidence.TABLE
    assert not evidence.read(path).duplicated(["hash", "metric"]).any()


@pytest.mark.parametrize("name", ["NA", "null", "None", "nan", "001", "1e5", "TRUE"])
def test_a_data_set_keeps_its_name_on_the_scorecard(world, monkeypatch, name):
    data = world.study.data
    monkeypatch.setattr(evidence.datasets, "load", lambda _spec: data)
    named = dataclasses.replace(world.study.data_spec, dataset=name)
    world.study = dataclasses.replace(world.study, data_spec=named)
    world.pair("logits", better=0.3, closer=0.02)
    effects.record_effects(world.study, "own", [("G1", "0.10", name, effect([np.ones(3)] * 3, 0.01))])
    card = world.card()
    assert card.loc[("C1", "logits"), ["dataset", "verdict"]].tolist() == [name, HOLDS]
    assert card.loc[("G1", "0.10"), ["dataset", "neurons"]].tolist() == [name, name]


def test_a_table_that_is_none_gets_a_sentence(folders):
    Folder("smoke", "x", {}).write(evidence.TABLE, "no,table\n1,2\n")
    with pytest.raises(CladecError, match="is not a table of evaluations"):
        effects.scorecard("smoke")


def test_the_scorecard_is_written_in_three_forms(world):
    world.pair("logits", better=0.3, closer=0.02)
    world.card()
    card, folder = scorecard.write("smoke")
    again = pd.read_csv(folder / "scorecard.csv", keep_default_na=False)
    assert again["verdict"].tolist() == card["verdict"].tolist()
    markdown, page = (folder / "scorecard.md").read_text(), (folder / "scorecard.html").read_text()
    for text in (markdown, page):
        assert "needs participants" in text and "cladec-mnist" in text and "dense(128)" in text
    assert "src=" not in page and "href=" not in page
    holding = [row for row in page.split("<tr") if "<b>holds</b>" in row]
    assert holding and all(verdicts.COLOURS["holds"] in row for row in holding)
    assert len(set(verdicts.COLOURS.values())) == 4


def test_names_on_the_page_are_text_and_not_markup(world):
    world.pair("logits", better=0.3, closer=0.02)
    world.card()
    card = effects.scorecard("smoke").assign(note="<script>alert('a') & b</script>")
    page = scorecard.to_html(card, "<b>mine</b>")
    assert "<script" not in page and "<b>mine" not in page
    assert "&lt;script&gt;alert(&#39;a&#39;) &amp; b&lt;/script&gt;" in page
    assert "&lt;b&gt;mine&lt;/b&gt; profile</h1>" in page


def test_replication_figures_are_those_of_the_paper_notes():
    table = scorecard.replication().set_index(["dataset", "layer"])
    assert table.loc[("fashion-mnist", "dense(128)"), "C1 difference"] == pytest.approx(0.0146)
    assert table.loc[("fashion-mnist", "last conv"), "C1 difference"] == pytest.approx(-0.0035)
    assert table.loc[("mnist", "dense(128)"), "C2 difference"] == pytest.approx((20.52 - 3.13) / 784)


def test_specs_of_a_study_are_what_they_say(folders):
    study = open_study("smoke")
    beside = [*study.reconstructions(), *evidence.alpha_sweep(study)]
    pairs = evidence.alpha_pairs(study, beside)
    assert {p.subject.alpha for p in pairs} == {0.0, evidence.FAITHFUL_ALPHA}
    assert set(pairs) <= set(beside)  # nothing twice
    assert all(p.judge is None for p in evidence.alpha_pairs(study, []))
    for spec in evidence.negative_controls(study):
        assert isinstance(spec.subject, ClaDecSpec) and spec.classifier is spec.subject.classifier
        assert type(spec.classifier) is not ClassifierSpec
    assert not any(isinstance(s.subject, RefAESpec) for s in evidence.alpha_sweep(study))


def tried(study):
    """alpha -> seeds, of the sweep."""
    found = {}
    for spec in evidence.alpha_sweep(study):
        found.setdefault(spec.subject.alpha, set()).add(spec.subject.seed)
    return found


def test_a_profile_that_is_not_thorough_spends_its_seeds_on_the_claims(folders):
    """quick: C3's two alphas with all seeds, the others with one, but what the user names with all again."""
    study = open_study("quick")
    every, first = set(study.seeds), set(study.seeds[:1])
    wanted = {a: every if a in (0.0, evidence.FAITHFUL_ALPHA) else first for a in study.profile.alphas}
    assert tried(study) == wanted and first in wanted.values()
    assert tried(open_study("quick", alphas=[0.0, 0.5])) == {0.0: every, 0.5: every}
    assert all(len(seeds) == 2 for seeds in tried(open_study("smoke")).values())
    layers = {
        name: {s.subject.layer for s in evidence.negative_controls(open_study(name))}
        for name in profiles.PROFILES
    }
    assert layers == {
        "smoke": {"block4", "logits"}, "quick": {"block8"}, "paper": {"block8", "logits"}
    }  # fmt: skip


def test_lines_over_alpha_are_of_seeds_that_have_every_alpha():
    rows = [("ClaDec", "L", a, s, m, 10.0 * s + a) for a, seeds in ((0.0, (0, 1)), (0.5, (0,)), (0.9, (0, 1)))
            for s in seeds for m in ("mse", "c_agrees")]  # fmt: skip
    table = pd.DataFrame(rows, columns=["method", "layer", "alpha", "seed", "metric", "value"])
    axis = charts.against_alpha(table, ["L"], {"mse": "MSE"}).axes[0]
    assert axis.lines[0].get_ydata().tolist() == [0.0, 0.5, 0.9]  # seed 0 alone
    (bars,) = (c for c in axis.containers if c.has_yerr)
    middles = [segment[:, 1].mean() for segment in bars.lines[2][0].get_segments()]
    assert middles == pytest.approx([5.0, 5.9])  # both seeds, where there are two
    labels = ("x", "y")
    line = charts.front(table, ["L"], "mse", "c_agrees", labels).axes[0].lines[0]
    assert line.get_xdata().tolist() == [0.0, 0.5, 0.9]
