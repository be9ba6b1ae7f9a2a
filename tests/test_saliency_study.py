"""The stored comparison of maps: what is measured, on which images, its verdicts and figures."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from cladec_utils import open_study
from cladec_utils.claims import effects
from cladec_utils.engine import grid, store
from cladec_utils.models.attribution import CLADEC, NULLS
from cladec_utils.models.inference import predict
from cladec_utils.models.layers import activation_and_gradient
from cladec_utils.saliency import experiment, plots, results
from cladec_utils.saliency import maps as saliency_maps
from cladec_utils.saliency.faithfulness import COLUMNS, scores
from cladec_utils.saliency.maps import MAPS, relevance_maps


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A smoke study with four images and its measurements, made once for this module."""
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ARTIFACTS", "RESULTS"):
            patch.setenv(f"CLADEC_{name}", str(folder / name.lower()))
        patch.setenv("CLADEC_WORKERS", "1")
        study = open_study("smoke")
        study = dataclasses.replace(study, profile=dataclasses.replace(study.profile, saliency_images=(4, 2)))
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
    assert spec.second == compared.refae(spec.refae.layer, 0) != spec.refae
    assert spec.ignorant.classifier.control == "random weights" and spec.ignorant.layer == spec.cladec.layer
    alone = dataclasses.replace(compared, seeds=(5,))
    assert experiment.scoring(alone, 5).second.seed == 6


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


class Known:
    """Scores with a known truth: LRP best on selection images, IG best on test images."""

    def __init__(self, study):
        random = np.random.default_rng(0)
        truth = {name: 0.1 for name in MAPS} | {"IG": 0.5, "evidence": 0.4, "gain": -0.3}

        def tensors(best):
            return {
                "|".join((name, *c)): torch.tensor(
                    best.get(name, truth[name]) + 0.01 * random.normal(size=50), dtype=torch.float32
                )
                for name in MAPS
                for c in COLUMNS
            }

        test = [tensors({}) for _ in study.seeds]
        selection = [tensors({"LRP": 0.9}) for _ in study.seeds]
        self.scores = results.Scores(study, tuple(MAPS), test, selection)


def of_seeds(number, architecture="vgg"):
    study = open_study("smoke", architecture=architecture)
    profile = dataclasses.replace(study.profile, seeds=tuple(range(number)))
    usual = dataclasses.replace(study.usual, profile=profile)
    return dataclasses.replace(study, profile=profile, seeds=profile.seeds, usual=usual)


def test_the_opponent_is_chosen_on_selection_images(folders):
    scores = Known(open_study("smoke")).scores
    assert all(results.opponent(scores, c) == "LRP" for c in experiment.C6_COLUMNS)
    e = results.contrast(scores, "evidence", "LRP")
    assert e.mean == pytest.approx(0.3, abs=0.02) and e.low > 0
    table = results.against_opponent(scores, experiment.ENDPOINT).set_index("map")
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


def test_c6_has_a_row_and_a_verdict_per_map_metric_and_architecture(folders):
    for architecture in ("vgg", "resnet"):
        results.record(Known(of_seeds(5, architecture)).scores)
    card = effects.scorecard("smoke")
    c6 = card[card["claim"] == "C6"]
    assert len(c6) == 2 * len(CLADEC) * len(experiment.C6_COLUMNS)
    assert not c6.duplicated(["architecture", "neurons"]).any()
    verdicts = c6.assign(map=c6["neurons"].str.split(",").str[0]).groupby("map")["verdict"].unique()
    assert verdicts["evidence"].tolist() == ["holds"] and verdicts["gain"].tolist() == ["does not hold"]
    assert c6["neurons"].str.contains("vs LRP").all()


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
