"""Relevance maps, their nulls and rankings, and what a map cannot show."""

import textwrap

import pandas as pd
import pytest
import torch
from scipy import stats

from cladec_utils.engine.device import best_device
from cladec_utils.errors import CladecError
from cladec_utils.models import encoder
from cladec_utils.models.architectures import make_classifier
from cladec_utils.models.attribution import Subject, difference, evidence
from cladec_utils.models.autoencoders import _as_many
from cladec_utils.models.encoder import activation_and_gradient, private
from cladec_utils.saliency import limits
from cladec_utils.saliency import maps as saliency_maps
from cladec_utils.saliency.maps import MAPS, rank_correlation, relevance_maps
from cladec_utils.saliency.methods import (
    SALIENCY,
    default_camera,
    grad_cam,
    gradient,
    integrated_gradients,
)

SHAPE = (1, 32, 32)


@pytest.fixture(scope="module")
def images():
    return torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def targets():
    return torch.tensor([0, 3, 3, 9, 1])


@pytest.fixture(params=["vgg", "resnet"])
def classifier(request):
    torch.manual_seed(0)
    return make_classifier(request.param, SHAPE, 10, 0.125).eval().requires_grad_(False)


# --- saliency methods ------------------------------------------------------------------------------


def test_maps_have_a_number_per_pixel_and_are_the_same_twice(classifier, images, targets):
    subject = Subject(classifier, default_camera(classifier, SHAPE), seed=1)
    functions = {**saliency_maps.GROUPS["control"], **SALIENCY}
    maps, again = (relevance_maps(subject, images, targets, functions) for _ in range(2))
    for name, values in maps.items():
        assert values.shape == (5, 32, 32) and torch.isfinite(values).all()
        assert torch.equal(values, again[name]), name
        assert values.std() > 0


def test_every_map_says_what_it_is_and_whose():
    for name, function in MAPS.items():
        said = " ".join((function.__doc__ or "").split())
        sign = "signed" in said or "range" in said or "0 or more" in said or "0 or less" in said
        whose = {"control": "Control", "saliency": "20", "ClaDec": "Ours", "null": "Null"}
        assert sign and whose[saliency_maps.GROUP_OF[name]] in said, name
    assert "second RefAE" in MAPS["gain, second RefAE"].__doc__ != MAPS["gain, random weights"].__doc__


@pytest.mark.numeric
def test_the_example_in_the_docstring_is_a_map_in_five_lines(classifier, images, targets):
    example = saliency_maps.__doc__.split("protocol):")[1].split("maps = ")[0]
    assert len(example.split()) and len(textwrap.dedent(example).strip().splitlines()) == 5
    names = {"private": private, "best_device": best_device}
    exec(textwrap.dedent(example), names)
    kept = images.clone()
    found = relevance_maps(Subject(classifier), images, targets, {"mine": names["input_x_gradient"]})["mine"]
    x = images.clone().requires_grad_()
    classifier(x).gather(1, targets[:, None]).sum().backward()
    assert torch.allclose(found, (x * x.grad).sum(1).detach(), atol=1e-5)
    assert torch.equal(images, kept) and not images.requires_grad and images.grad is None


def test_the_copy_that_maps_look_at_is_on_the_device_of_the_images(classifier, monkeypatch):
    """A user's network lies on the CPU, on whatever machine."""
    monkeypatch.setattr(encoder, "best_device", lambda: torch.device("meta"))
    assert {p.device.type for p in private(classifier).parameters()} == {"meta"}
    assert {p.device.type for p in classifier.parameters()} == {"cpu"}


@pytest.mark.numeric
def test_gradient_is_that_of_autograd(classifier, images, targets):
    x = images.clone().requires_grad_()
    classifier(x).gather(1, targets[:, None]).sum().backward()
    assert torch.allclose(gradient(Subject(classifier), images, targets), x.grad.abs().sum(1), atol=1e-5)


@pytest.mark.numeric
def test_integrated_gradients_add_up_to_the_change_of_the_logit():
    """Completeness, exact for a piecewise linear network whose pieces the 16 steps resolve."""
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3, bias=False))
    x, y = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    total = integrated_gradients(Subject(network), x, y).sum((1, 2))
    assert torch.allclose(total, network(x).gather(1, y[:, None])[:, 0], atol=1e-4)


@pytest.mark.numeric
def test_grad_cam_is_its_formula(classifier, images, targets):
    layer = default_camera(classifier, SHAPE)
    found = grad_cam(Subject(classifier, layer), images, targets)
    activation, slope = activation_and_gradient(classifier, layer, images, targets)
    coarse = (slope.mean((2, 3), keepdim=True) * activation).sum(1, keepdim=True).relu()
    wanted = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")[:, 0]
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.numeric
def test_an_in_place_relu_changes_nothing(own_classifier):
    """A user's network with in-place ReLUs gives the maps of the same network without."""
    random = torch.Generator().manual_seed(2)
    x, y = torch.rand(4, 3, 16, 16, generator=random), torch.tensor([0, 1, 2, 0])
    plain = private(own_classifier)
    assert not plain[1].inplace and own_classifier[1].inplace
    for name, function in SALIENCY.items():
        mine, theirs = (function(Subject(c, "0"), x, y) for c in (own_classifier, plain))
        assert torch.allclose(mine, theirs, atol=1e-6), name
    assert own_classifier[1].inplace  # left as it was


@pytest.mark.parametrize("layer", ["logits", "pool", "flatten"])
def test_grad_cam_on_a_layer_without_extent_gets_a_sentence(classifier, images, targets, layer):
    with pytest.raises(CladecError, match=f"spatial extent, but '{layer}'.*such as '(block5|stage3)'"):
        grad_cam(Subject(classifier, layer), images, targets)


def test_grad_cam_on_an_unknown_layer_gets_a_sentence(classifier, images, targets):
    with pytest.raises(CladecError, match="Unknown layer 'blok4'"):
        grad_cam(Subject(classifier, "blok4"), images, targets)


def test_a_classifier_without_maps_has_no_camera():
    dense = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    assert default_camera(dense, (1, 8, 8)) == ""
    with pytest.raises(CladecError, match="this classifier has none"):
        grad_cam(Subject(dense, "1"), torch.rand(2, 1, 8, 8), torch.tensor([0, 1]))


@pytest.mark.parametrize(("bad", "says"), [(torch.nan, "not finite"), (None, "one number per image")])
def test_a_bad_map_of_a_readers_gets_a_sentence(classifier, images, targets, bad, says):
    def mine(_subject, x, _targets):
        return x if bad is None else x[:, 0] * bad

    with pytest.raises(CladecError, match=says):
        relevance_maps(Subject(classifier), images, targets, {"mine": mine})


def test_a_map_that_misses_a_network_gets_a_sentence(classifier, images, targets):
    for function in (difference, evidence):
        with pytest.raises(CladecError, match="needs the subject's"):
            function(Subject(classifier), images, targets)


# --- rankings --------------------------------------------------------------------------------------


def test_rank_correlation_is_scipys():
    random = torch.Generator().manual_seed(0)
    a = torch.rand(6, 8, 8, generator=random)
    b = (a + torch.rand(6, 8, 8, generator=random)).mul(5).round()  # with ties
    wanted = [stats.spearmanr(x.flatten(), y.flatten()).statistic for x, y in zip(a, b, strict=True)]
    assert rank_correlation(a, b).tolist() == pytest.approx(wanted, abs=1e-6)
    assert rank_correlation(a, a).tolist() == pytest.approx([1.0] * 6)
    flat = torch.ones(6, 8, 8)
    assert saliency_maps.blank(flat).all() and not saliency_maps.blank(a).any()
    assert rank_correlation(a, flat).tolist() == rank_correlation(flat, a).tolist() == [0.0] * 6
    assert rank_correlation(flat, 3 * flat).tolist() == [1.0] * 6


def test_agreement_is_kendalls():
    table = pd.DataFrame({"a": [1, 2, 3, 4], "b": [4, 3, 2, 1], "c": [1, 2, 4, 3]})
    tau = saliency_maps.agreement(table)
    assert tau.loc["a", "a"] == 1 and tau.loc["a", "b"] == -1 and tau.loc["a", "c"] == pytest.approx(4 / 6)


# --- ClaDec's maps and nulls -------------------------------------------------------------------------


def test_as_many_random_units_among_the_active_ones():
    random = torch.Generator().manual_seed(0)
    among = torch.rand(7, 4, 3, 3, generator=random) < 0.7
    chosen = among & (torch.rand(7, 4, 3, 3, generator=random) < 0.5)
    drawn = _as_many(chosen, among, random)
    assert (drawn.flatten(1).sum(1) == chosen.flatten(1).sum(1)).all()
    assert not (drawn & ~among).any() and not torch.equal(drawn, chosen)


# --- what a map cannot show -------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", list(limits.FACTORS))
def test_pairs_differ_in_one_factor_on_the_garment_alone(factor):
    low, high = limits.pairs(factor, 6)
    assert low.shape == high.shape == (6, 3, 32, 32)
    assert torch.equal(low[:, :, 0, 0], high[:, :, 0, 0])  # the background's corner
    change = (high - low).abs().amax((1, 2, 3))
    assert (change > 0.1).all()
    brighter = (high - low).mean((1, 2, 3))
    if factor == "brightness":
        assert (brighter > 0.01).all()
    else:
        warm, cool = (x[:, 0].mean((1, 2)) - x[:, 2].mean((1, 2)) for x in (low, high))
        assert (warm > cool).all()


def test_keeping_is_measured_between_nothing_and_all():
    low, high = limits.pairs("tint", 4)
    assert limits._kept(torch.nn.Identity(), low, high) == pytest.approx(1, abs=1e-5)
    grey = torch.nn.Conv2d(3, 3, 1, bias=False)
    torch.nn.init.constant_(grey.weight, 0.0)
    assert limits._kept(grey, low, high) == pytest.approx(0, abs=1e-5)
