"""The stored comparison of maps: what is measured, on which images, its verdicts and figures."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from cladec_utils import open_study
from cladec_utils.claims import effects, verdicts
from cladec_utils.engine import grid, store
from cladec_utils.errors import CladecError
from cladec_utils.models.attribution import CLADEC, NULLS
from cladec_utils.models.encoder import activation_and_gradient
from cladec_utils.models.inference import predict
from cladec_utils.saliency import experiment, plots, results
from cladec_utils.saliency import maps as saliency_maps
from cladec_utils.saliency.faithfulness import COLUMNS, scores
from cladec_utils.saliency.maps import MAPS, relevance_maps
from cladec_utils.study import explainers


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A smoke study with four images and its measurements, made once for this module."""
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ARTIFACTS", "RESULTS"):
            patch.setenv(f"CLADEC_{name}", str(folder / name.lower()))
        patch.setenv("CLADEC_WORKERS", "1")
        study = open_study("smoke")
        few = dataclasses.replace(study.profile, saliency_images=(4, 2), fewer_seeds=None)
        study = dataclasses.replace(study, profile=few)
        grid.compute(experiment.plan(study))
        yield study


@pytest.mark.numeric
def test_maps_of_cladec_are_their_formulas(compared):
    spec = experiment.scoring(compared, 0)
    subject = experiment.subject_of(spec)
    x, _ = experiment.chosen_images(spec)
    y = predict(subject.classifier, x).argmax(1)
    e, r, second, ignorant = (
        predict(n, x) for n in (subject.cladec, subject.refae, subject.second, subject.ignorant)
    )
    maps = relevance_maps(subject, x, y, {**CLADEC, **NULLS})
    assert torch.allclose(maps["gain"], ((x - r).abs() - (x - e).abs()).mean(1), atol=1e-6)
    assert torch.allclose(maps["difference"], (e - r).abs().mean(1), atol=1e-6)
    assert torch.allclose(maps["match"], -(x - e).abs().mean(1), atol=1e-6)
    assert torch.allclose(maps["difference, second RefAE"], (second - r).abs().mean(1), atol=1e-6)
    assert torch.allclose(maps["match, random weights"], -(x - ignorant).abs().mean(1), atol=1e-6)
    assert not torch.equal(maps["evidence"], maps["evidence, random units"])
    with torch.no_grad():  # evidence by hand
        code, slope = activation_and_gradient(subject.classifier, spec.cladec.layer, x, y)
        less = torch.where(code * slope > 0, 0.0, code)
        wanted = (subject.cladec.decoder(code) - subject.cladec.decoder(less)).abs().mean(1)
    assert torch.allclose(maps["evidence"], wanted, atol=1e-5)


# --- the stored comparison -----------------------------------------------------------------------------


def test_a_measurement_holds_a_score_per_map_metric_and_image(compared):
    for seed in compared.seeds:
        tensors = store.get(experiment.scoring(compared, seed)).tensors
        assert set(tensors) == {"|".join((name, *c)) for name in MAPS for c in COLUMNS}
        assert all(v.abs().max() <= 1 + 1e-5 for v in tensors.values())
        for name, column in ((n, c) for n in MAPS for c in COLUMNS):
            decisive = column in experiment.C6_COLUMNS
            assert tensors["|".join((name, *column))].shape == (4 if decisive else 2,)
    table = results.table(results.load(compared))
    assert list(table["map"]) == list(MAPS) and set(table["group"]) == set(saliency_maps.GROUPS)


def test_all_seeds_see_the_same_images_and_selection_never_sees_a_test_image(compared):
    first, second = (experiment.chosen_images(experiment.scoring(compared, s))[0] for s in (0, 1))
    assert torch.equal(first, second)
    selection, _ = experiment.chosen_images(experiment.scoring(compared, 0, "selection"))
    assert len(selection) == 2 and not any(torch.equal(a, b) for a in selection for b in first)


def test_both_architectures_are_compared():
    sides = experiment.side_by_side(open_study("smoke", architecture="resnet", layers=["stage3"]))
    assert [s.architecture for s in sides] == ["resnet", "vgg"] and sides[0].layers == ("stage3",)
    assert sides[1].seeds == sides[0].seeds and sides[1].data_spec == sides[0].data_spec


def test_the_second_refae_is_another_and_the_ignorant_decoder_is_retrained(compared):
    spec = experiment.scoring(compared, 1)
    assert spec.second == dataclasses.replace(spec.refae, seed=5001)
    assert spec.ignorant.classifier.control == "random weights" and spec.ignorant.layer == spec.cladec.layer
    assert explainers.OTHER_DRAW == 5000
    seeds = [experiment.scoring(compared, seed).second.seed for seed in compared.seeds]
    assert not set(seeds) & set(compared.seeds)  # else differences from X_R cancel over the runs


@pytest.mark.numeric
def test_randomisation_retrains_the_decoder_where_its_input_changes(compared):
    late, all_down = experiment.cascade(compared, 0)
    assert late.classifier.down_to == "logits" and late.decoder is None
    assert all_down.decoder.classifier == all_down.classifier
    table = results.randomisation(compared)
    assert table.abs().le(1 + 1e-6).all().all() and list(table.columns) == ["logits", "block4"]
    assert table.loc["gain", "logits"] == pytest.approx(1) and table.loc["gain", "block4"] < 0.999
    assert table.loc["Sobel"].tolist() == pytest.approx([1, 1])
    assert table.loc["Saliency", "block4"] < 0.999
    assert set(table.index) == set(MAPS) and table.loc["gain, second RefAE"].tolist() == pytest.approx([1, 1])
    assert table.loc["evidence, random units", "block4"] < 0.999
    assert table.loc["random pixels"].abs().lt(0.1).all()


def test_a_score_depends_on_the_number_of_random_orders_and_its_name_does_too(compared):
    spec = experiment.scoring(compared, 0)
    assert dataclasses.replace(spec, orders=2).hash != spec.hash
    x = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    column = ("deletion black", "smoothed")

    def first(orders):
        y = torch.zeros(2, dtype=torch.int64)
        return scores(lambda p: p.flatten(1)[:, 40:42] * 9, x, y, {"map": x[:, 0]}, [column], orders)

    assert not torch.allclose(first(2)["map", *column], first(8)["map", *column], atol=1e-3)


def test_the_work_of_the_comparison_is_what_the_store_recorded(compared):
    spent = experiment.work(compared)
    assert set(spent) == {"test", "selection", "randomisation"} and min(spent.values()) > 0
    assert sum(spent.values()) == pytest.approx(sum(store.get(s).seconds for s in experiment.plan(compared)))


SELECTED = {"LRP": 0.9, "IG": 0.8, "|IG|": 0.7, "Saliency": 0.6, "Grad-CAM": 0.5}
"""Of selection images; the other three have .1, so Saliency is fourth of eight methods, Grad-CAM fifth."""


class Known:
    """Scores with a known truth: LRP best on selection images, IG best on test images. On test images `noise`
    is that of single images, and `shift` is added to the score of `evidence`."""

    def __init__(self, study, shift=0.0, noise=0.01):
        random = np.random.default_rng(0)
        truth = {name: 0.1 for name in MAPS} | {"IG": 0.5, "evidence": 0.4 + shift, "gain": -0.3}

        def tensors(best):
            return {
                "|".join((name, *c)): torch.tensor(
                    best.get(name, truth[name]) + noise * random.normal(size=50), dtype=torch.float32
                )
                for name in MAPS
                for c in COLUMNS
            }

        test = [tensors({}) for _ in study.seeds]
        selection = [tensors(SELECTED) for _ in study.seeds]
        self.scores = results.Scores(study, tuple(MAPS), test, selection)


def of_seeds(number, architecture="vgg"):
    study = open_study("smoke", architecture=architecture, layers=[verdicts.PRIMARY[architecture], "logits"])
    profile = dataclasses.replace(study.profile, seeds=tuple(range(number)), fewer_seeds=None)
    usual = dataclasses.replace(study.usual, profile=profile, layers=study.layers)
    return dataclasses.replace(study, profile=profile, seeds=profile.seeds, usual=usual)


def test_opponents_are_chosen_on_selection_images(folders):
    """Of an even number the median is the lower-ranked of the two in the middle, of an odd one the middle."""
    scores = Known(open_study("smoke")).scores
    for column in (*experiment.C6_COLUMNS, experiment.FOREGROUND):
        assert results.opponents(scores, column) == {"median": "Grad-CAM", "best": "LRP"}
    seven = dataclasses.replace(scores, maps=tuple(name for name in MAPS if name != "Occlusion"))
    assert results.opponents(seven, experiment.ENDPOINT)["median"] == "Saliency"
    e = results.contrast(scores, "evidence", "LRP")
    assert e.mean == pytest.approx(0.3, abs=0.02) and e.low > 0
    table = results.against(scores, "LRP", experiment.ENDPOINT).set_index("map")
    assert table.loc["gain", "high"] < 0 and set(table["group"]) == {"ClaDec", "control", "null"}


def test_a_map_is_held_against_every_saliency_method(folders):
    """IG .5, evidence .4, gain -.3 and all others .1: evidence is below one of eight, gain below all."""
    study = of_seeds(5)
    table = results.against_methods(Known(study).scores)
    assert table.loc["evidence", ["above", "below", "undecided"]].tolist() == [7, 1, 0]
    assert table.loc["gain", ["above", "below", "undecided"]].tolist() == [0, 8, 0]
    assert table.loc["Sobel", "below"] >= 1 and table.loc["Sobel", "undecided"] >= 5
    assert (table[["above", "below", "undecided"]].sum(axis=1) == 8).all()
    assert set(table["group"]) == {"ClaDec", "control", "null"}


def c6_of(card, claim="C6"):
    return card[card["claim"] == claim].set_index(["architecture", "neurons"])


def test_c6_has_one_primary_row_per_architecture_and_the_rest_is_secondary(folders):
    results.record(Known(of_seeds(5, name)).scores for name in ("vgg", "resnet"))
    card = effects.scorecard("smoke")
    c6 = c6_of(card)
    assert c6.index.is_unique and len(c6) == 2 * (1 + len(CLADEC) * len(experiment.C6_COLUMNS) + 1)
    primary = c6[c6["row"] == "primary"]
    detail = "evidence, road, vs median method (Grad-CAM)"
    assert list(primary.index) == [("resnet", detail), ("vgg", detail)]
    assert (primary["verdict"] == "holds").all() and (primary["direction"] == "ClaDec's map ahead").all()
    assert primary["effect"].tolist() == pytest.approx([0.3, 0.3], abs=0.01)
    gain = c6.loc[("vgg", "gain, deletion black, vs best method (LRP)")]
    assert (gain["verdict"], gain["direction"]) == ("does not hold", "the reverse: saliency ahead")
    inside = c6.loc[("vgg", "match, road within the foreground, vs median method (Grad-CAM)")]
    assert inside["effect"] == pytest.approx(0, abs=0.01) and inside["row"] == "secondary"


def test_without_validation_images_c6_is_undecided_and_says_why(folders):
    """Opponents are never chosen on training images."""
    study = of_seeds(5)
    bare = dataclasses.replace(study, data_spec=dataclasses.replace(study.data_spec, n_val=0))
    assert {spec.split for spec in experiment.plan(bare) if isinstance(spec, experiment.SaliencySpec)} == {
        "test"
    }
    with pytest.raises(CladecError, match="has no validation images here"):
        experiment.chosen_images(experiment.scoring(bare, 0, "selection"))
    known = [Known(of_seeds(5, name)).scores for name in ("vgg", "resnet")]
    results.record(dataclasses.replace(scores, selection=[]) for scores in known)
    card = effects.scorecard("smoke")
    rows = pd.concat([c6_of(card), c6_of(card, "C6 interaction")])
    assert set(rows["verdict"]) == {"undecided"} and set(rows["note"]) == {results.NOT_SELECTED}
    assert set(rows["seeds"]) == {5} and rows["effect"].isna().all()
    assert rows.loc[("vgg", "evidence, road, vs median method"), "row"] == "primary"


@pytest.mark.parametrize(
    ("shift", "verdict", "direction"),
    [
        (0.2, "holds", "ClaDec is further ahead, or less behind, with vgg"),
        (-0.2, "holds", "the same with resnet"),
        (0.0, "does not hold", "no difference of 0.01 or more"),
    ],
)
def test_the_interaction_says_whether_the_architectures_differ(folders, shift, verdict, direction):
    """In whichever direction: where resnet is ahead, the claim that they differ holds as well."""
    known = [Known(of_seeds(5, n), s, 0.003).scores for n, s in (("resnet", 0.0), ("vgg", shift))]
    results.record(known)
    rows = c6_of(effects.scorecard("smoke"), "C6 interaction")
    (row,) = rows.to_dict("records")
    assert rows.index[0][1] == "evidence, road, vs median methods (Grad-CAM - Grad-CAM)"
    assert (rows.index[0][0], row["row"], row["layer"]) == ("vgg - resnet", "secondary", "block8 - stage5")
    assert row["effect"] == pytest.approx(shift, abs=0.003)
    assert (row["verdict"], row["direction"]) == (verdict, direction)


def test_the_interaction_is_paired_by_image(folders):
    """What is hard about an image in both architectures cancels, and makes no interval wider."""
    one, other = (Known(of_seeds(5, name)).scores for name in ("vgg", "resnet"))
    hard = torch.linspace(-0.5, 0.5, 50)
    for seed in (*one.test, *other.test):
        seed["evidence|road|smoothed"] += hard
    *_, paired = results.interaction(results.Pair(one, other))
    single = results.contrast(one, "evidence", "Grad-CAM")
    assert paired.high - paired.low < (single.high - single.low) / 5


def test_one_architecture_alone_has_no_interaction(folders):
    own = of_seeds(5, "resnet")
    some = dataclasses.replace(Known(own).scores, study=dataclasses.replace(own, neurons=(0, 1)))
    for every in ([Known(of_seeds(5)).scores], [Known(of_seeds(5)).scores, some]):
        results.record(every)
        assert c6_of(effects.scorecard("smoke"), "C6 interaction")["note"].tolist() == [
            "nothing recorded yet"
        ]


# --- figures ---------------------------------------------------------------------------------------


def test_a_map_without_a_sign_is_not_drawn_as_speaking_against():
    random = torch.Generator().manual_seed(0)
    below, signed = -torch.rand(2, 8, 8, generator=random), torch.randn(2, 8, 8, generator=random)
    for maps in (below, below + 2):
        drawn = plots.scaled(maps)
        assert drawn.flatten(1).amin(1).tolist() == [0, 0] and drawn.max() == 1
        assert torch.equal(drawn.flatten(1).argmin(1), maps.flatten(1).argmin(1))
    assert torch.equal(plots.scaled(signed) < 0, signed < 0)


def test_every_map_has_a_labelled_row_and_blank_ones_are_marked():
    maps = {f"map {i}": torch.rand(3, 8, 8) for i in range(4)} | {"flat": torch.zeros(3, 8, 8)}
    figure = plots.every_map({"X": torch.rand(3, 1, 8, 8)}, maps)
    axes = [a for part in figure.subfigs for a in part.axes]
    assert {a.get_ylabel() for a in axes} >= {"X", *maps}
    assert sum(t.get_text() == "blank" for a in axes for t in a.texts) == 3
    plt.close(figure)


def test_an_interval_beyond_the_panel_ends_in_an_arrowhead():
    table = pd.DataFrame({"map": ["a", "b"], "group": "ClaDec", "mean": [0.1, 0.2]})
    table = table.assign(low=[0.05, -9.0], high=[0.15, 0.21])
    (axis,) = plots.dots({"t": table}, "x", columns=1).axes
    heads = [(line.get_marker(), line.get_ydata()[0]) for line in axis.lines if line.get_marker() in "<>"]
    assert heads == [("<", 1)]
    plt.close("all")


def test_a_classifier_that_has_no_relevance_propagation_is_scored_without(folders):
    """The rest of the comparison goes on; the notebook says which map is left out and why."""

    def network(*first):
        layers = [*first, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(32 * 32, 10)]
        return torch.nn.Sequential(*layers)

    for own, missing in ((network(torch.nn.BatchNorm2d(1)), ["LRP"]), (network(torch.nn.Identity()), [])):
        study = open_study("smoke", architecture=own, layers=["1"])
        assert list(experiment.left_out(study)) == missing
        maps = experiment.scoring(study, study.seeds[0]).maps
        assert [name for name in MAPS if name not in maps] == missing
    assert (
        "no rule for '0' (BatchNorm2d)"
        in experiment.left_out(
            open_study("smoke", architecture=network(torch.nn.BatchNorm2d(1)), layers=["1"])
        )["LRP"]
    )
