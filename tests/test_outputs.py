"""What a classifier's outputs mean: which the labels are, probabilities in place of logits, answers no better
than chance."""

import copy
import warnings

import numpy as np
import pytest
import torch
from reports import Notes, Says, check, of_tables
from torch import nn
from torch.nn import functional

import cladec_utils as cu
from cladec_utils.data.splits import Split
from cladec_utils.errors import CladecError, CladecNote
from cladec_utils.models import outputs
from cladec_utils.models.attribution import Subject
from cladec_utils.models.layers import list_layers
from cladec_utils.saliency import methods

# ruff: noqa: E501 - a row is a line
RANDOM = torch.Generator().manual_seed(0)
X = torch.rand(40, 3, 16, 16, generator=RANDOM)
FEW = {"updates": 3, "threads": 1, "progress": False}


def network(end=None, classes=6):
    """A small classifier; the "2" of its layers gives its outputs, before `end`."""
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(256, classes)
    return nn.Sequential(*parts, *([end] if end else [])).eval()


LOGITS = network()(X).detach()
ANSWERS = LOGITS.argmax(1)


class Rows(nn.Module):
    """A classifier that answers to any batch of images with these rows, in their order."""

    def __init__(self, rows):
        super().__init__()
        self.weight, self.rows = nn.Parameter(torch.zeros(1)), rows

    def forward(self, x):
        return self.rows[: len(x)]


def quiet(use):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return use()


def test_the_outputs_that_are_meant_come_out_and_the_layers_stay():
    plain = network()
    names = [layer.name for layer in list_layers(plain, (3, 16, 16))]
    mine = outputs.select(copy.deepcopy(plain), [4, 1])
    assert torch.equal(mine(X), LOGITS[:, [4, 1]]) and torch.equal(plain(X), LOGITS)
    assert torch.equal(copy.deepcopy(mine)(X), LOGITS[:, [4, 1]])
    assert [layer.name for layer in list_layers(mine, (3, 16, 16))] == names
    assert mine.state_dict().keys() == plain.state_dict().keys() and outputs.selected(mine) == (4, 1)
    outputs.select(mine, [0, 5, 1])  # numbered as the classifier's own
    assert torch.equal(mine(X), LOGITS[:, [0, 5, 1]])
    with outputs.plain(mine) as network_as_it_was:
        assert torch.equal(network_as_it_was(X), LOGITS)
    assert torch.equal(mine(X), LOGITS[:, [0, 5, 1]]) and outputs.selected(plain) is None


def test_probabilities_are_seen_and_their_logarithms_used():
    mine = network(nn.Softmax(1))
    with pytest.warns(CladecNote, match="are probabilities"):
        outputs.recognise(mine, X)
    labels = torch.arange(40) % 6
    assert functional.cross_entropy(mine(X), labels).item() == pytest.approx(
        functional.cross_entropy(LOGITS, labels).item(), rel=1e-5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs.recognise(mine, X)  # seen before
        outputs.recognise(copy.deepcopy(mine), X)
    outputs.select(mine, [4, 1])
    assert torch.allclose(mine(X).softmax(1), LOGITS[:, [4, 1]].softmax(1), atol=1e-5)
    hard = Rows(functional.one_hot(torch.arange(40) % 3, 3).float())
    quiet(lambda: outputs.recognise(hard, X))
    assert hard(X).isfinite().all()


def kind(rows, images=X):
    """Whether a classifier's outputs come out as they were."""
    mine = Rows(rows)
    outputs.recognise(mine, images)
    return torch.equal(mine(images), Rows(rows)(images))


HALF = torch.rand(40, 1, generator=RANDOM)
SOFT = LOGITS.softmax(1)
SEEN = [
    (lambda f: kind(LOGITS), True),
    (lambda f: kind(SOFT), Notes("are probabilities .*logarithms are used as logits", False)),
    (lambda f: kind(SOFT.half().float()), Notes("are probabilities", False)),
    (
        lambda f: kind(SOFT.log()),
        Notes("logarithms of probabilities .log_softmax.; they are used as logits", True),
    ),
    (lambda f: kind(torch.cat([3 * HALF, 1 - 3 * HALF], 1)), True),  # a sum of 1, but no probabilities
    (lambda f: kind(SOFT[:4], X[:4]), True),  # four rows may be chance
    (
        lambda f: kind(torch.rand(40, 3, generator=RANDOM)),
        Notes("between 0 and 1, as after a sigmoid", True),
    ),  # of several labels
    (lambda f: kind(torch.cat([LOGITS[:1], SOFT[1:]])), True),
    (lambda f: kind(LOGITS.where(torch.arange(40)[:, None] > 0, 1 / 6)), True),  # as a black image may give
]


def chosen(classes, count=6):
    return outputs.checked_classes(classes)


CLASSES = [
    (lambda f: chosen([4, 1]), (4, 1)),
    (lambda f: chosen(torch.tensor([4, 1])), (4, 1)),
    (lambda f: chosen(None), None),
    (lambda f: chosen([4, 4]), Says("two or more different outputs")),
    (lambda f: chosen([4]), Says(r"^classes is \[4\]; .*two or more")),
    (
        lambda f: chosen(["ant", "bee"]),
        Says("must be the numbers of .*in the order of your labels, such as .310, 309."),
    ),
    (lambda f: chosen([-1, 2]), Says("must be the numbers")),
    (
        lambda f: cu.ClaDec(network(), "0", classes=[4, 6]).fit(X, **FEW),
        Says("^classes names the output 6, but the classifier gives 6, numbered 0 to 5"),
    ),
    (
        lambda f: cu.ClaDec(network(), "0", classes=[4, 1]).fit(X, torch.full((40,), 2), **FEW),
        Says("^Label 2 is out of range: the classifier gives 2 logits"),
    ),
]


def noted(rows, labels, classes=None):
    mine = outputs.select(Rows(rows), classes)
    outputs.note_chance(mine, torch.zeros(len(labels), 1, 1, 1), labels)


BEES = torch.zeros(40, 500)
LABEL = torch.arange(40) % 2
BEES[torch.arange(40), torch.where(LABEL == 0, 310, 309)] = 1.0
ONE = torch.zeros(40, 500).index_fill(1, torch.tensor([7]), 1.0)
CHANCE = [
    (lambda f: noted(BEES, LABEL), Notes(r"right on 0% of 40 labelled images, .*500 outputs for 2 classes: it mostly answers 309, 310; .*say classes=\[310, 309\], in your labels' order")),
    (lambda f: noted(BEES, LABEL, [310, 309]), None),
    (lambda f: noted(BEES, LABEL, [309, 310]), Notes(r"right on 0% .*say classes=\[310, 309\]")),
    (lambda f: noted(BEES, LABEL, [5, 6]), Notes(r"answers 309, 310, not what classes=\[5, 6\] says; .*\[310, 309\]")),
    (lambda f: noted(ONE, LABEL), Notes(r"it mostly answers 7; say which of them your labels mean, in their order: classes=\[...\]")),
    (lambda f: noted(functional.one_hot(LABEL, 500).float(), LABEL), None),  # right, and more outputs
    (lambda f: noted(functional.one_hot(1 - LABEL, 2).float(), LABEL), None),  # wrong, but no other numbers
    (lambda f: noted(BEES, 0 * LABEL), None),
]  # fmt: skip


@pytest.mark.parametrize(("given", "outcome"), of_tables(globals()))
def test_what_outputs_mean(given, outcome, tmp_path):
    check(given, outcome, tmp_path)


def curve(given, **options):
    mine = quiet(lambda: cu.ClaDec(given, "0", alpha=0.9, **options).fit(X, torch.arange(40) % 2, **FEW))
    return mine.curves["train"]


def test_alpha_trains_towards_the_classes_that_are_meant():
    two = network(classes=2)
    with torch.no_grad():
        two.load_state_dict(network().state_dict() | {
            "2.weight": network()[2].weight[[4, 1]], "2.bias": network()[2].bias[[4, 1]]
        })  # fmt: skip
    assert curve(network(), classes=[4, 1]) == pytest.approx(curve(two), rel=1e-5)
    assert curve(network(), classes=[4, 1]) != pytest.approx(curve(network()), rel=1e-2)


def test_alpha_trains_alike_on_logits_and_probabilities():
    for end in (nn.Softmax(1), nn.LogSoftmax(1)):
        assert curve(network(end)) == pytest.approx(curve(network()), rel=1e-4)


def test_a_fit_says_that_labels_and_answers_do_not_meet():
    rows = network()
    with torch.no_grad():
        rows[2].bias[:2] -= 100  # it answers neither 0 nor 1
    for fit in (cu.ClaDec, cu.RefAE):
        with pytest.warns(CladecNote, match=r"^The classifier is right on 0% of 40 labelled images"):
            fit(rows, "0").fit(X, torch.arange(40) % 2, **FEW)


def test_figures_are_those_of_the_classes_that_are_meant(tmp_path):
    labels = (LOGITS[:, 1] > LOGITS[:, 4]).long()
    mine = cu.ClaDec(network(), "0", classes=[4, 1]).fit(X, **FEW)
    split = Split(X, labels)
    found = cu.evaluate(mine, split)
    drawn = network()(mine(X)).detach()[:, [4, 1]].argmax(1)
    assert found.c_correct_originals == 1 and found.c_correct == (drawn == labels).float().mean().item()
    assert found.c_agrees == found.c_correct and "as they are labelled for" in str(found)
    assert cu.evaluate(mine, X).c_correct is None
    swapped = quiet(lambda: cu.evaluate(mine, split, classes=[1, 4]))
    assert swapped.c_correct_originals == 0 and swapped.c_agrees == found.c_agrees
    with pytest.warns(
        CladecNote, match="gives 2 outputs, but there are labels up to 7; accuracy is left out"
    ):
        assert cu.evaluate(mine, Split(X, labels + 6)).c_correct is None
    by_pca = cu.evaluate(cu.PCA(40).fit(X), split, network(), classes=[4, 1])
    assert by_pca.c_correct_originals == 1 and by_pca.c_agrees == 1
    assert torch.equal(mine.attribute(X, 0), cu.ClaDec(network(), "0").fit(X, **FEW).attribute(X, 4))
    mine.save(tmp_path / "x.safetensors")
    again = cu.ClaDec.load(tmp_path / "x.safetensors", network())
    assert outputs.selected(again.classifier) == (4, 1) and cu.evaluate(again, split) == found


def test_maps_of_probabilities_are_those_of_logarithms():
    mine, targets = network(nn.Softmax(1)), ANSWERS
    quiet(lambda: outputs.recognise(mine, X))
    logs = network(nn.LogSoftmax(1))
    for name in ("Saliency", "IG"):
        a, b = (methods.SALIENCY[name](Subject(of, "0"), X[:4], targets[:4]) for of in (mine, logs))
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-6), name


def test_pictures_at_a_lower_resolution_are_evaluated_at_theirs():
    mine = cu.ClaDec(network(), "0", reconstruct_at=8).fit(X, **FEW)
    found = cu.evaluate(mine, X)
    small = functional.interpolate(X, (8, 8), mode="bilinear", antialias=True)
    assert found.mse == pytest.approx((mine(X) - small).square().mean().item(), rel=1e-4)
    large = functional.interpolate(mine(X), (16, 16), mode="bilinear")
    assert found.c_agrees == (network()(large).argmax(1) == ANSWERS).float().mean().item()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data set of two classes in colour, and a store of its own."""
    for name in ("ARTIFACTS", "RESULTS"):
        monkeypatch.setenv(f"CLADEC_{name}", str(tmp_path / name))
    labels = (LOGITS[:, 1] > LOGITS[:, 4]).long()
    images = (255 * X).round().byte().numpy()
    np.savez(
        tmp_path / "own.npz", images=images, labels=labels.numpy(), class_names=np.array(["ants", "bees"])
    )
    return tmp_path / "own.npz"


def test_a_study_of_an_own_classifier_knows_what_its_outputs_mean(folder):
    def opened(classes=None, end=None):
        return cu.open_study("smoke", str(folder), network(end), ["0"], classes=classes)

    by_order, by_name = opened([4, 1]), opened({"bees": 1, "ants": 4})
    assert by_order == by_name and by_order.architecture.endswith(":4+1")
    spec, data = by_order.classifier(0), by_order.data
    logits = cu.inference.predict(cu.classifiers.classifier(spec), data.test.images)
    assert logits.shape == (len(data.test), 2)
    assert cu.inference.accuracy(logits, data.test.labels) > 0.9  # pixels were rounded
    with pytest.warns(CladecNote, match="no more than by chance"):
        plain = opened([1, 4])
    assert plain.classifier(0).hash != spec.hash and plain.folder.name != by_order.folder.name
    assert "classes" in plain.folder.made_from and plain.folder.made_from["classes"] == [1, 4]
    with pytest.warns(CladecNote, match="are probabilities"):
        soft = opened([4, 1], nn.Softmax(1))
    found = cu.inference.predict(cu.classifiers.classifier(soft.classifier(0)), data.test.images)
    assert torch.allclose(found.softmax(1), logits.softmax(1), atol=1e-5)
    for wrong, words in (
        ([4, 1, 2], "classes names 3 outputs, but the data have 2 classes: ants, bees"),
        ({"ants": 4, "beees": 1}, "Unknown class of the data 'beees'. Did you mean 'bees'"),
        ({"ants": 4}, "Unknown class of the data in classes 'bees'"),
        ([4, 9], "classes names the output 9"),
    ):
        with pytest.raises(CladecError, match=words):
            opened(wrong)
    with pytest.raises(CladecError, match="classes are outputs of a classifier of yours"):
        cu.open_study("smoke", classes=[0, 1])
