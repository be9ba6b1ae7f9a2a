import dataclasses

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

from cladec_utils import notebook, open_study
from cladec_utils.claims import required
from cladec_utils.engine import store
from cladec_utils.errors import CladecError
from cladec_utils.models import inference
from cladec_utils.models.encoder import Encoder
from cladec_utils.study import classifiers
from cladec_utils.study import neurons as study_neurons
from cladec_utils.study.classifiers import ControlSpec


@pytest.fixture
def study(folders):
    return dataclasses.replace(open_study("smoke"), seeds=(0, 1))


def test_random_subsets():
    one = study_neurons.random(32, 8, 0)
    assert len(set(one)) == 8 and max(one) < 32 and list(one) == sorted(one)
    assert study_neurons.random(32, 8, 0) == one != study_neurons.random(32, 8, 1)


def test_importance_finds_the_neurons_that_decide(folders, npz):
    """A network whose classes depend on known units: unit 2 speaks for class 0, unit 5 for class 1."""
    torch.manual_seed(0)
    head = nn.Linear(6, 3, bias=False)
    with torch.no_grad():
        head.weight.zero_()
        head.weight[0, 2] = head.weight[1, 5] = 1.0
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 6), nn.ReLU(inplace=True), head)
    study = open_study("smoke", str(npz()), network, layers=["2"], seeds=[0])
    values, predictions = study_neurons.importance(study, "2", 0)
    assert values.shape == (len(study.data.train), 6) and (values[:, [0, 1, 3, 4]] == 0).all()
    assert set(study_neurons.ranked(study, "2", 0)[:2]) == {2, 5}
    for label, unit in ((0, 2), (1, 5)):
        if (predictions == label).any() and not (predictions == label).all():
            assert study_neurons.ranked(study, "2", 0, of_class=label)[0] == unit


@pytest.mark.numeric
def test_importance_is_the_change_of_the_logit_for_a_linear_head(study):
    """Behind `flatten` vgg is linear: activation x gradient is exactly what the neuron adds to the logit."""
    values, predictions = study_neurons.importance(study, "flatten", 0)
    network = classifiers.classifier(study.classifier(0))
    logits = inference.predict(network, study.data.train.images)
    total = values.sum(1) + network.logits.bias[predictions]
    assert torch.allclose(total, logits.max(1).values, atol=1e-4)


def test_subsets_of_the_plan(study):
    plan = required.neuron_subsets(study)
    total = study_neurons.count(study, study.features)
    assert {(s.choice, s.size) for s in plan} == {
        (required.CHOSEN, total // 4), (required.RANDOM, total // 4), (required.PRINCIPAL, total // 4),
        (required.IGNORANT, total // 4), (required.WHOLE, total),
    }  # fmt: skip
    subjects = {s.choice: s.evaluation.subject for s in plan if s.seed == 0}
    half = study.profile.decoder.scaled(0.5)
    assert {subject.train for subject in subjects.values()} == {half} != {study.profile.decoder}
    best = study_neurons.ranked(study, study.features, 0)[: total // 4]
    assert set(subjects[required.CHOSEN].neurons) == set(best)
    assert subjects[required.CHOSEN].neurons != subjects[required.RANDOM].neurons
    assert subjects[required.IGNORANT].classifier == study.control("random weights", 0)
    assert subjects[required.WHOLE] == study.cladec(study.features, 0, 0.0, budget=0.5)


def test_controls_know_nothing(study):
    """Random weights are untrained but pass images on; shuffled labels are a permutation of the true ones."""
    untrained = classifiers.classifier(study.control("random weights", 0))
    assert (untrained.block8.bn.weight == 1).all() and (untrained.block8.bn.bias == 0).all()
    features = Encoder(untrained, "block8", study.data.image_shape)
    assert 0.3 < inference.predict(features, study.data.train.images).std() < 3
    shuffled = store.get(study.control("shuffled labels", 0))
    assert shuffled.curves["train"]
    true = store.get(study.classifier(0))
    assert not torch.equal(shuffled.tensors["logits.weight"], true.tensors["logits.weight"])
    with pytest.raises(CladecError, match="Unknown negative control 'random'"):
        study.control("random", 0)
    assert isinstance(study.control("shuffled labels", 0), ControlSpec)


def test_the_explorer_follows_its_controls(study, monkeypatch):
    shown = []
    monkeypatch.setattr(
        notebook, "show", lambda figure, alt: shown.append((figure._suptitle.get_text(), alt))
    )
    layer, alphas = study.layers[-1], [0.0, 0.9]
    names = [study.data.class_names[study.data.test.labels[i]] for i in (3, 4)]
    box = notebook.explore(study, [layer], alphas, torch.tensor([3, 4]))
    slider, menu, image = box.children[0].children
    assert menu.value == layer
    slider.value = 0.9
    image.value = 4
    titles = [title for title, _ in shown]
    assert titles == [
        f"{names[0]}, {layer}, alpha = 0",
        f"{names[0]}, {layer}, alpha = 0.9",
        f"{names[1]}, {layer}, alpha = 0.9",
    ]
    assert all(layer in alt for _, alt in shown)
    plt.close("all")


def test_the_slider_page_needs_nothing_from_elsewhere(study):
    views = {alpha: notebook.view(study, study.layers[-1], alpha, 3) for alpha in (0.0, 0.9)}
    page = notebook.slider_page(views, "a shirt")
    assert page.count("data:image/png;base64,") == 2 and "http" not in page and 'type="range"' in page
    assert 'alt="a shirt, alpha = 0.9"' in page and page.count("display: none") == 1
