"""Used, held and shown on constructed classifiers and decoders whose truth is known."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import mannwhitneyu

from cladec_utils import concepts, config, data, grid, planted, store
from cladec_utils.claims import record_effects, scorecard
from cladec_utils.concept_claims import effects
from cladec_utils.concept_study import (
    SECOND,
    area_under_roc,
    contrast,
    control,
    control_plan,
    controls,
    invalid,
    open_concepts,
    plan,
    side_by_side,
    stages,
    subject_of,
    table,
)
from cladec_utils.data import as_float
from cladec_utils.layers import randomise
from cladec_utils.models import make_classifier
from cladec_utils.specs import RandomisedSpec, TrainSpec

PAPER = config.PROFILES["paper"]
PROBE = TrainSpec(6, "adam", 5e-3, 0.0, "cosine", batch_size=64)


@pytest.fixture(scope="module")
def images():
    """Training and test images of planted data with their levels."""
    spec = data.data_spec("planted-tint-stripes", 1200, 0, 400)
    loaded = data.load(spec)
    levels = [concepts.scenes(spec, part).levels for part in ("train", "test")]
    return as_float(loaded.train.images), levels[0], as_float(loaded.test.images), levels[1]


def erase_tint(pixels):
    """A decoder that draws everything but colour."""
    return pixels.mean(1, keepdim=True).expand_as(pixels).contiguous()


def test_the_identity_shows_everything_and_grey_images_show_all_but_tint(images):
    train, train_levels, test, test_levels = images
    tint, others = 0, [1, 2, 3, 4]
    original = concepts.train_reader(train, train_levels, PROBE, 0)
    identity = concepts.read(original, test, test_levels).mean(0)
    assert (identity[[tint, *others]] > 0.9).all()
    fresh = concepts.train_reader(erase_tint(train), train_levels, PROBE, 0)
    grey = concepts.read(fresh, erase_tint(test), test_levels).mean(0)
    assert abs(grey[tint] - 0.5) < 0.1 and (grey[others] > 0.85).all()
    assert abs(concepts.read(original, erase_tint(test), test_levels).mean(0)[tint] - 0.5) < 0.1
    assert concepts.retention(float(grey[tint]), float(identity[tint])) < 0.2
    assert concepts.retention(float(grey[3]), float(identity[3])) > 0.9


def test_reactions_of_a_classifier_that_looks_at_colour_alone(images):
    _, _, test, _ = images
    spec = data.data_spec("planted-tint-stripes", 1200, 0, 400)
    scenes = concepts.scenes(spec)

    def classifier(pixels):
        redness = (pixels[:, 0] - pixels[:, 2]).mean((1, 2))
        return torch.stack([redness, -redness], 1) * 1000

    for factor in planted.FACTORS:
        edited = as_float(planted.render(scenes.edited(factor)))
        flips, variation = concepts.reactions(classifier, test, edited)
        assert flips.shape == variation.shape == (400,)
        assert (flips.mean() > 0.97) == (factor == "tint") and (variation <= 1).all()
        if factor != "tint":
            assert flips.mean() < 0.05


def test_retention():
    assert concepts.retention(0.75, 1.0) == 0.5 and concepts.retention(0.5, 0.9) == 0
    assert math.isnan(concepts.retention(0.9, 0.74)) and concepts.retention(0.9, 0.76) > 1


def test_the_area_is_that_of_mann_and_whitney():
    random = torch.Generator().manual_seed(0)
    scores = (torch.rand(30, generator=random) * 8).round().numpy()
    relevant = torch.rand(30, generator=random).numpy() > 0.6
    u = mannwhitneyu(scores[relevant], scores[~relevant]).statistic
    assert area_under_roc(scores, relevant) == pytest.approx(u / (relevant.sum() * (~relevant).sum()))
    assert area_under_roc([1, 2], [True, False]) == 0 and math.isnan(area_under_roc([1, 2], [True, True]))


@pytest.mark.parametrize("shape", [(5,), (4, 8, 8), (3, 32, 32), (6, 2)])
def test_there_is_a_probe_for_every_shape(shape):
    levels = torch.randint(0, 2, (20, 6), generator=torch.Generator().manual_seed(0))
    inputs = torch.randn(20, *shape, generator=torch.Generator().manual_seed(1))
    reader = concepts.train_reader(inputs, levels, TrainSpec(1, "adam", 1e-3, 0.0, batch_size=8), 0)
    correct = concepts.read(reader, inputs, levels)
    assert correct.shape == (20, 6) and set(correct.unique().tolist()) <= {0.0, 1.0}


def test_randomising_from_the_top_leaves_what_is_below():
    network = make_classifier("vgg", (1, 32, 32), 10, 0.125)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    parts = randomise(network, "block7", (1, 32, 32))
    changed = {k.split(".")[0] for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"block7", "block8", "logits"} and network.get_submodule("block7.conv") in parts
    nested = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)))
    first = nested[0][0].weight.clone()
    randomise(torch.nn.Sequential(torch.nn.Flatten(), nested), "1.0.1", (1, 2, 2))
    assert torch.equal(nested[0][0].weight, first)  # its container ends later, but it runs before


def test_a_randomised_classifier_stands_in_for_a_classifier(folders, tiny_classifier):
    from cladec_utils import recipes

    spec = RandomisedSpec(tiny_classifier, "block1", 0)
    assert recipes.classifier(spec)(torch.zeros(2, 1, 32, 32)).shape == (2, 10)
    assert store.get(spec).fresh is False
    trained, drawn = (store.get(s).tensors["block1.conv.weight"] for s in (tiny_classifier, spec))
    assert not torch.equal(trained, drawn)


def test_the_paper_profile_has_both_architectures(monkeypatch):
    assert len(side_by_side(open_concepts("smoke"))) == 1
    both = replace(config.PROFILES["smoke"], planted_architectures=PAPER.planted_architectures)
    monkeypatch.setitem(config.PROFILES, "smoke", both)
    found = side_by_side(open_concepts("smoke"))
    assert [each.studies[0].architecture for each in found] == ["vgg", "resnet"]
    assert len(PAPER.seeds) >= 3 and found[1].layers == ("stage3", "logits")


def test_the_second_refae_is_another_one():
    several, one = open_concepts("smoke"), open_concepts("smoke", seeds=[0])
    assert [control(several, SECOND)(0, seed).seed for seed in (0, 1)] == [1, 0]
    assert control(one, SECOND)(0, 0).seed not in (0, 1)


def test_a_whole_study_in_small(tmp_path, monkeypatch):
    """All specs of the smoke profile's study, its table, and its rows in the scorecard. It takes the store
    that the environment names, so `make test` trains this once for all."""
    monkeypatch.setenv("CLADEC_RESULTS", str(tmp_path))
    study = open_concepts("smoke")
    assert stages(study) == ("logits", "block5", "block1")
    assert study.relevant(0, "tint") and not study.relevant(1, "tint")
    grid.compute(plan(study) + control_plan(study))
    found = table(study)
    assert len(found) == 2 * 6 * 2 * 2 * 2
    assert found.groupby("dataset")["relevant"].sum().tolist() == [16, 16]
    signed = contrast(study, subject_of(study, "logits", 0.0), 0)
    assert signed.shape == (128,) and abs(signed).max() <= 1
    reason = invalid(study)
    assert "no valid ground truth" in reason  # one epoch on 256 images: nothing may be concluded
    rows = effects(study)
    assert [r[0] for r in rows] == ["G1", "G2", "G3"] * 2 + ["G4"] * len(controls(study))
    record_effects(study.studies[0], "concepts", rows)
    card = scorecard("smoke")
    mine = card[card["claim"].isin(["G1", "G2", "G3", "G4"])]
    assert len(mine) == len(rows) and set(mine["verdict"]) == {"undecided"}
    assert mine["note"].tolist() == [reason] * len(rows)
