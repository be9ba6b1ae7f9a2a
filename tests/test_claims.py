"""From recorded results to the scorecard, on synthetic results whose truth is known."""

import dataclasses
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch

from cladec_utils.claims import effects, evidence, required, scorecard, verdicts
from cladec_utils.claims.interval import effect
from cladec_utils.claims.verdicts import (
    BUDGET,
    EXPLORATORY,
    FAILS,
    HOLDS,
    NO_REFERENCE,
    PARTICIPANTS,
    UNDECIDED,
)
from cladec_utils.data import datasets
from cladec_utils.engine import paths, store
from cladec_utils.engine.spec import Made
from cladec_utils.errors import CladecError
from cladec_utils.plots import charts
from cladec_utils.study import evaluation
from cladec_utils.study.evaluation import EvaluationSpec
from cladec_utils.study.explainers import ClaDecSpec, RefAESpec
from cladec_utils.study.folders import Folder
from cladec_utils.study.study import open_study

IMAGES = 300


class World:
    """Writes evaluations with known figures where a study would have recorded them."""

    def __init__(self, seeds=8):
        study = open_study("smoke", layers=["block4", "block8", "logits"])
        profile = dataclasses.replace(study.profile, seeds=tuple(range(seeds)), fewer_seeds=None)
        usual = dataclasses.replace(study.usual, profile=profile, layers=study.layers)
        self.study = dataclasses.replace(study, profile=profile, seeds=profile.seeds, usual=usual)
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
            subject = self.study.cladec(layer, seed, required.FAITHFUL_ALPHA)
            self.add(self.study.evaluation(subject, seed, "none"), **figures)

    def card(self, *beside):
        """The scorecard of the study, and of those `beside` it, when all of its rows have been recorded."""
        chosen = [required.Subset(c, 1, 0, s) for s, c in self.rows if c]
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
    assert card.loc[("C4", "logits"), ["neurons", "verdict"]].tolist() == ["all, vs chance", HOLDS]
    row = card.loc[("C1", "logits")]
    assert row["low"] < row["effect"] < row["high"] and row["seeds"] == 8


@pytest.mark.parametrize("better", [-0.3, 0.3])
def test_c1_has_a_row_for_each_judge(world, better):
    for seed in world.study.seeds:
        e = world.study.evaluation(world.study.cladec("logits", seed, 0.0), seed)
        r = world.study.evaluation(world.study.refae("logits", seed), seed)
        world.add(e, judge_correct=0.8, c_correct=0.8 + better, panel_correct=0.8 - better, mse=0.1)
        world.add(r, judge_correct=0.5, c_correct=0.8, panel_correct=0.8, mse=0.1)
    verdicts = world.card()["verdict"]
    assert verdicts[("C1", "logits")] == HOLDS
    assert verdicts[("C1 frozen", "logits")] == (HOLDS if better > 0 else FAILS)
    assert verdicts[("C1 independent", "logits")] == (FAILS if better > 0 else HOLDS)


def test_a_judge_that_a_study_does_not_have_is_left_out(world):
    world.pair("logits", better=0.3, closer=0.02)
    card = world.card().reset_index().set_index("claim")
    assert card.loc["C1 independent", "note"] == "nothing recorded yet"


def test_a_missing_seed_or_a_lost_artifact_is_undecided(world, folders):
    world.pair("block4", better=0.3, closer=0.02, seeds=range(7))
    world.pair("logits", better=0.3, closer=0.02)
    lost = world.study.evaluation(world.study.refae("logits", 1), 1)
    world.card()
    (paths.artifacts_dir() / lost.name / "tensors.safetensors").write_bytes(b"damaged")
    card = effects.scorecard("smoke").set_index(["claim", "layer"])
    assert card.loc[("C1", "block4"), ["verdict", "note"]].tolist() == [UNDECIDED, "1 of 8 seeds missing"]
    assert card.loc[("C1", "logits"), "verdict"] == UNDECIDED
    assert "1 of 8 seeds without a finite result" in card.loc[("C1", "logits"), "note"]


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
    rows = card.loc[("C3 frozen", "logits")], card.loc[("C3 loss", "logits")]
    assert [row["verdict"] for row in rows] == [verdict, verdict]
    if verdict == FAILS:  # the part that fails is the one that is shown
        shown = ("MSE", "MSE") if mse < 0.03 else ("agreement", "cross-entropy")
        assert tuple(row["direction"].split(":")[0] for row in rows) == shown
        assert all(row["high"] < 0.01 for row in rows)


@pytest.mark.parametrize(("others", "verdict"), [(0.9, HOLDS), (0.3, FAILS)])
def test_fidelity_that_only_c_sees_is_none(world, others, verdict):
    for seed in world.study.seeds:
        spec = world.study.evaluation(world.study.cladec("block8", seed, 0.0), seed)
        world.add(spec, mse=0.05, c_agrees=0.6, panel_agrees=0.6, c_cross_entropy=1.0, judge_correct=0.8)
    world.faithful("block8", mse=0.2, c_agrees=0.9, panel_agrees=others, c_cross_entropy=0.5)
    card = world.card()
    assert card.loc[("C3", "block8"), ["row", "verdict"]].tolist() == ["primary", verdict]
    assert card.loc[("C3 frozen", "block8"), "verdict"] == HOLDS
    table = evidence.read(world.study.folder.path / evidence.TABLE)
    assert evidence.transfer(table)["adversarial"].tolist() == [False, verdict == FAILS]


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


def test_c4_is_a_gain_over_what_explains_nothing(world):
    """Of all neurons over random weights; of chosen ones over each of three quarters of the same size."""
    study = world.study
    world.pair("block8", better=0.1, closer=0.02)
    quarters = {required.CHOSEN: 0.6, required.RANDOM: 0.3, required.PRINCIPAL: 0.9, required.IGNORANT: 0.2}
    for seed in study.seeds:
        ignorant = study.control("random weights", seed)
        subject = study.cladec("block8", seed, 0.0, classifier=ignorant)
        world.add(study.evaluation(subject, seed), judge_correct=0.3, mse=0.1)
        for neuron, (choice, right) in enumerate(quarters.items()):
            which = {"neurons": (neuron, neuron + 4)}
            which |= {"classifier": ignorant} if choice == required.IGNORANT else {}
            which = {"neurons": None, "components": 2} if choice == required.PRINCIPAL else which
            subject = study.cladec("block8", seed, 0.0, budget=required.HALF, **which)
            world.add(study.evaluation(subject, seed, "fewer"), choice, fewer_correct=right, mse=0.1)
    card = world.card().reset_index()
    c4 = card[card["claim"] == "C4"].set_index("neurons")
    assert c4["verdict"].to_dict() == {
        "all": HOLDS, "all, vs chance": HOLDS, "most important quarter, vs random": HOLDS,
        "most important quarter, vs principal components": FAILS,
        "most important quarter, vs random weights": HOLDS,
    }  # fmt: skip
    assert c4.loc["all", "row"] == "primary" and c4.loc["all", "effect"] == pytest.approx(0.6, abs=0.02)
    assert len(card[card["claim"] == "C1"]) == 1


def test_an_evaluation_without_a_judge_does_not_hide_one_with(world):
    world.pair("logits", better=0.3, closer=0.02)
    for seed in world.study.seeds:
        unjudged = world.study.evaluation(world.study.cladec("logits", seed, 0.0), seed, "none")
        world.add(unjudged, mse=0.05, c_cross_entropy=1.0, c_agrees=0.7)
    assert world.card().loc[("C1", "logits"), "verdict"] == HOLDS


@pytest.fixture
def trained(world, monkeypatch):
    """Validation errors of RefAE and ClaDec as they are given, per seed."""
    found = {"RefAE": lambda seed: 0.02, "ClaDec": lambda seed: 0.03}

    def errors(subject):
        if subject is None:
            return {}
        kind = "RefAE" if isinstance(subject, RefAESpec) else "ClaDec"
        return {evaluation.VALIDATION_MSE: found[kind](subject.seed), evaluation.TRAIN_MSE: 0.0}

    monkeypatch.setattr(evaluation, "_own_errors", errors)
    return found


NOT_ENOUGH = "RefAE not trained enough: its MSE on validation images, 0.0500, is above ClaDec's, 0.0300"


@pytest.mark.parametrize("enough", [True, False])
def test_a_reference_that_was_not_trained_enough_decides_nothing(world, trained, enough):
    trained["RefAE"] = lambda seed: 0.02 if enough else 0.05
    world.pair("block8", better=0.3, closer=0.02)
    world.pair("logits", better=0.3, closer=0.02)
    card = world.card()
    primary, other = card.loc[("C1", "block8")], card.loc[("C1", "logits")]
    assert (primary["row"], other["row"]) == ("primary", "secondary")
    if enough:
        assert primary[["verdict", "note"]].tolist() == other[["verdict", "note"]].tolist() == [HOLDS, ""]
    else:
        assert primary[["verdict", "direction", "note"]].tolist() == [NO_REFERENCE, "", NOT_ENOUGH]
        assert other[["verdict", "note"]].tolist() == [HOLDS, f"not gated: {NOT_ENOUGH}"]
    # C2 is always judged, and C4 needs no reference.
    assert card.loc[("C2", "block8"), "verdict"] == card.loc[("C4", "block8"), "verdict"] == HOLDS


def test_a_training_far_from_its_siblings_closes_the_gate(world, trained):
    trained["RefAE"] = lambda seed: 0.01 if seed == 5 else 0.02
    world.pair("block8", better=0.3, closer=0.02)
    row = world.card().loc[("C1", "block8")]
    assert row["verdict"] == NO_REFERENCE and row["note"] == "1 of 8 trainings of RefAE far from the others"


def test_refae_of_an_earlier_layer_must_not_be_worse_than_of_a_later_one(world, monkeypatch):
    errors = {"block8": 0.02, "logits": 0.01}
    monkeypatch.setattr(
        evaluation,
        "_own_errors",
        lambda s: (
            {evaluation.VALIDATION_MSE: errors[s.layer] + 0.01 * isinstance(s, ClaDecSpec)} if s else {}
        ),
    )
    for layer in errors:
        world.pair(layer, better=0.3, closer=0.02)
    row = world.card().loc[("C1", "block8")]
    assert row["verdict"] == NO_REFERENCE and "is above that of RefAE at logits, 0.0100" in row["note"]


def test_primary_rows_are_adjusted_for_a_number_fixed_beforehand(world):
    world.pair("block8", better=0.3, closer=0.02)
    world.pair("logits", better=0.3, closer=0.02)
    card = world.card()
    row = card.loc[("C1", "block8")]
    assert row["levels"].endswith(" / 0.21 %")  # 2.5 % of 12; nothing is below
    assert card.loc[("C1", "logits"), "levels"].endswith(" / 0.62 %")  # of the 4 secondary rows
    assert row["direction"] == "X_E carries more class information than X_R"
    assert card.reset_index().query("claim == 'C1'")["row"].tolist() == ["primary", "secondary"]


def with_columns(world, **columns):
    """Write the table anew with columns that are functions of a row."""
    path = world.study.folder.path / evidence.TABLE
    table = pd.read_csv(path)
    for name, value in columns.items():
        table[name] = table.apply(value, axis=1)
    table.to_csv(path, index=False)
    return effects.scorecard("smoke").set_index(["claim", "layer"])


def half(world, better, **figures):
    """ClaDec and RefAE at block8 with half the training."""
    study = world.study
    for seed in study.seeds:
        e = study.cladec("block8", seed, 0.0, budget=required.HALF)
        r = study.refae("block8", seed, required.HALF)
        figures = figures or {"judge_correct": 0.8}
        more = {name: value + better for name, value in figures.items()}
        world.add(study.evaluation(e, seed), mse=0.05, **more)
        world.add(study.evaluation(r, seed), mse=0.03, **figures)


def test_half_the_budget_is_compared_with_the_whole_by_evaluation_classifiers_of_one_kind(world):
    """Those of all images say +.3, those of fewer +.1 with all of the training and with half of it."""
    study = world.study
    for seed in study.seeds:
        for subject, whole, few in (
            (study.cladec("block8", seed, 0.0), 0.9, 0.7),
            (study.refae("block8", seed), 0.6, 0.6),
        ):
            spec = study.evaluation(subject, seed, "both")
            world.add(spec, judge_correct=whole, fewer_correct=few, mse=0.03)
    half(world, better=0.1, fewer_correct=0.6)
    row = world.card().loc[("C1", "block8")]
    assert row["verdict"] == HOLDS and row["effect"] == pytest.approx(0.3, abs=0.02)


def test_half_the_budget_may_take_a_verdict(world):
    """Evaluations of a shorter training are compared with the whole."""
    world.pair("block8", better=0.3, closer=0.02)
    half(world, better=-0.3)
    card = world.card()
    assert card.loc[("C1", "block8"), "verdict"] == BUDGET
    assert "at half the budget and +0.2" in card.loc[("C1", "block8"), "note"].replace("+0.3", "+0.2")
    assert card.loc[("C2", "block8"), "verdict"] == HOLDS  # the same at both
    assert card.loc[("C4", "block8"), "seeds"] == 8


def test_trainings_made_anew_replace_the_collapsed_and_c2_keeps_a_line_with_these(world):
    world.pair("block8", better=0.3, closer=0.02)
    spec = dataclasses.replace(world.study.refae("block8", 1), attempt=1)
    world.add(world.study.evaluation(spec, 1), judge_correct=0.8, mse=0.5)
    card = world.card()
    rows = card.loc[("C2", "block8")].set_index("neurons")
    assert rows.loc["all", "row"] == "primary" and rows.loc["all", "effect"] == pytest.approx(-0.04, abs=0.01)
    left = rows.loc["all, collapsed trainings left in"]
    assert left["row"] == "secondary" and left["effect"] == pytest.approx(0.02, abs=0.01)
    assert len(card.loc[[("C1", "block8")]]) == 1


def test_a_training_far_worse_than_its_siblings_is_made_anew_with_another_seed(world, monkeypatch):
    """By its validation error alone, and at most twice; a PCA and the originals are never."""
    errors = {0: 0.02, 1: 0.09, 2: 0.021, 3: 0.019, 4: 0.001}  # one far worse, one far better
    monkeypatch.setattr(required, "_error", lambda s: 0.02 if s.attempt == 2 else errors[s.seed])
    study = dataclasses.replace(world.study, seeds=tuple(errors))
    plan = required.reconstructions(study)
    found = required.made_anew(required.Plan(plan, []))
    assert {(s.subject.seed, s.subject.attempt) for s in found} == {(1, 1)}
    kinds = {(type(s.subject), s.subject.layer) for s in found}
    assert len(found) == len(kinds) == 2 * len(study.layers)
    assert all(s.judge.subject == s.subject for s in found) and not {s.hash for s in found} & {
        s.hash for s in plan
    }
    again = required.made_anew(required.Plan([*plan, *found], []))
    assert {(s.subject.seed, s.subject.attempt) for s in again} == {(1, 2)}
    assert required.made_anew(required.Plan([*plan, *found, *again], [])) == []


def test_a_choice_of_neurons_is_never_made_anew(world, monkeypatch):
    """Every seed chooses others: a poor choice is a result, and made anew it would stand as named neurons."""
    monkeypatch.setattr(required, "_error", lambda s: 0.09 if s.seed == 1 else 0.02)
    study = world.study
    specs = [study.evaluation(study.cladec("block8", s, 0.0, (s, 9), budget=0.5), s) for s in study.seeds]
    chosen = [required.Subset(required.RANDOM, 2, s, e) for s, e in enumerate(specs)]
    assert required.made_anew(required.Plan(specs, chosen)) == []
    whole = [study.evaluation(study.cladec("block8", s, 0.0, budget=0.5), s) for s in study.seeds]
    both = [*chosen, *(required.Subset(required.WHOLE, 128, s, e) for s, e in enumerate(whole))]
    again = required.made_anew(required.Plan([*specs, *whole], both))  # the half budget's are
    assert [(s.subject.seed, s.subject.neurons, s.subject.attempt) for s in again] == [(1, None, 1)]


def test_references_of_other_budgets_close_no_gate(world, monkeypatch):
    """Half the training on half the images: RefAE at a later layer, with all of both, is no measure."""
    study = world.study

    def errors(subject):
        if subject is None:
            return {}
        half = subject.train != study.profile.decoder
        return {
            evaluation.VALIDATION_MSE: 0.03 if isinstance(subject, ClaDecSpec) else 0.025 if half else 0.02
        }

    monkeypatch.setattr(evaluation, "_own_errors", errors)
    world.pair("logits", better=0.3, closer=0.02)
    world.pair("block8", better=0.3, closer=0.02)
    for spec in required.other_images(study):
        world.add(spec, judge_correct=0.8 if isinstance(spec.subject, ClaDecSpec) else 0.5, mse=0.03)
    rows = world.card().loc[("C1", "block8")].set_index("neurons")
    assert rows.loc["all, other images", ["verdict", "note"]].tolist() == [HOLDS, ""]


def test_an_evaluation_classifier_of_images_that_c_has_not_seen(world):
    first, second = required.halves(world.study)
    images = [datasets.load(spec).train.images for spec in (first.data_spec, second)]
    assert len(images[0]) == len(images[1]) == len(world.study.data.train) // 2
    assert not {i.numpy().tobytes() for i in images[0]} & {i.numpy().tobytes() for i in images[1]}
    plan = required.other_images(world.study)
    assert {s.judge.data for s in plan} == {second}
    assert {s.classifier.data for s in plan} == {first.data_spec}
    world.pair("block8", better=0.3, closer=0.02)
    for spec in plan:
        right = 0.8 if isinstance(spec.subject, RefAESpec) else 0.5
        world.add(spec, judge_correct=right, mse=0.03)
    c1 = world.card().loc[("C1", "block8")].set_index("neurons")
    assert c1["verdict"].to_dict() == {"all": HOLDS, "all, other images": FAILS}
    assert c1.loc["all, other images", "row"] == "secondary"


def test_x_e_is_held_against_principal_components(world):
    study = world.study
    world.pair("block8", better=0.1, closer=0.02)
    for seed in study.seeds:
        spec = study.evaluation(study.pca("block8"), seed, "all")
        world.add(spec, judge_correct=0.95, mse=0.01)
    card = world.card()
    assert card.loc[("C1 against PCA", "block8"), ["row", "verdict"]].tolist() == ["secondary", FAILS]
    assert card.loc[("C2 against PCA", "block8"), "effect"] == pytest.approx(0.04, abs=0.01)
    assert card.loc[("C1", "block8"), "note"] == "weaker than PCA"


def test_a_reference_weaker_than_pca_is_labelled(world):
    world.pair("block8", better=0.3, closer=0.02)
    world.pair("logits", better=0.3, closer=0.02)
    world.card()
    path = world.study.folder.path / evidence.TABLE
    table = pd.read_csv(path)
    refae = table[(table["method"] == "RefAE") & (table["metric"] == "mse")]
    errors = refae["layer"].map({"block8": 0.01, "logits": 0.09})
    pca = refae.assign(method="PCA", hash="pca-" + refae["hash"], value=errors)
    pd.concat([table, pca]).to_csv(path, index=False)
    card = effects.scorecard("smoke").set_index(["claim", "layer"])
    assert card.loc[("C1", "block8"), ["verdict", "note"]].tolist() == [HOLDS, "weaker than PCA"]
    assert card.loc[("C1", "logits"), "note"] == ""


def test_all_controls_together_are_the_primary_row(world):
    world.pair("block8", better=0.3, closer=0.02)
    for seed in world.study.seeds:
        for name, right in (("random weights", 0.5), ("shuffled labels", 1.1)):
            subject = world.study.cladec("block8", seed, 0.0, classifier=world.study.control(name, seed))
            world.add(world.study.evaluation(subject, seed), judge_correct=right, mse=0.1)
    rows = world.card().loc[("control", "block8")].set_index("neurons")
    assert rows["row"].to_dict() == {
        "all controls": "primary", "random weights": "secondary", "shuffled labels": "secondary"
    }  # fmt: skip
    assert rows["verdict"].to_dict() == {
        "all controls": FAILS, "random weights": HOLDS, "shuffled labels": FAILS
    }  # fmt: skip
    assert rows.loc["all controls", "direction"] == "shuffled labels: the reverse: the advantage stays"


def test_what_was_measured_with_other_settings_is_not_compared(world):
    """Other images: their rows stand beside the others and are not subtracted from them."""
    world.pair("logits", better=0.3, closer=0.02)
    world.faithful("logits", mse=0.2, c_agrees=0.9, c_cross_entropy=0.1)
    before = world.card().loc[("C3 frozen", "logits")]
    study, world.rows = world.study, []
    other = open_study("smoke", image_size=16)
    usual = dataclasses.replace(other.usual, profile=study.profile)
    world.study = dataclasses.replace(other, profile=study.profile, seeds=study.seeds, usual=usual)
    world.pair("logits", better=-0.3, closer=0.4)
    after = world.card(study)
    assert after.loc[("C3 frozen", "logits"), "effect"] == before["effect"]
    c1 = after.loc[("C1", "logits")]
    assert c1["verdict"].tolist() == [HOLDS, FAILS]
    assert c1["dataset"].str.contains("32x32|16x16").all() and c1["dataset"].nunique() == 2


def test_seeds_added_beside_a_study_make_its_rows_exploratory_and_take_no_verdict_away(world):
    world.pair("logits", better=0.3, closer=0.02)
    world.faithful("logits", mse=0.2, c_agrees=0.9, c_cross_entropy=0.1)
    assert world.card().loc[("C3 frozen", "logits"), "verdict"] == HOLDS
    study, world.rows = world.study, []
    world.study = dataclasses.replace(study, seeds=tuple(range(10)))
    world.pair("logits", better=0.3, closer=0.02)
    card = world.card(study)
    assert card.loc[("C3 frozen", "logits"), "verdict"] == HOLDS
    assert card.loc[("C1", "logits"), ["verdict", "seeds"]].tolist() == [EXPLORATORY, 10]


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
    world.pair("logits", better=0.3, closer=0.02, seeds=range(1, 8))
    assert world.card().loc[("C1", "logits"), "seeds"] == 8
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
    assert len(set(verdicts.COLOURS.values())) == len(verdicts.COLOURS) == 7


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
