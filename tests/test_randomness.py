"""Nothing that a user calls moves the user's own random numbers."""

import random
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

import cladec_utils as cu
from cladec_utils import notebook
from cladec_utils.app import plan
from cladec_utils.claims import evidence, required
from cladec_utils.concepts import controls, experiment
from cladec_utils.engine import store
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.models import architectures, encoder, inference, layers
from cladec_utils.saliency import experiment as saliency
from cladec_utils.saliency import maps
from cladec_utils.study import explainers, neurons
from cladec_utils.user_study import design


class Noisy(torch.nn.Module):
    """A network that draws wherever one can."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.Linear(4, 3)

    def forward(self, images):
        return self.head(self.conv(images).mean((2, 3)) + draws()[0])


@dataclass(frozen=True)
class Drawn(Spec):
    kind: ClassVar[str] = "drawn"

    def make(self, progress):
        return Made({"x": torch.tensor(draws())})


def draws():
    return [*torch.rand(2).tolist(), *np.random.random(2), random.random()]


@pytest.fixture
def study(folders):
    return cu.open_study("smoke", layers=["block4", "logits"], seeds=[0])


def shown_maps(study):
    spec = saliency.scoring(study, 0)
    subject, (images, labels) = saliency.subject_of(spec), saliency.chosen_images(spec, 2)
    maps.relevance_maps(subject, images, labels, {name: maps.MAPS[name] for name in spec.maps})


NOISY = Noisy()
SMALL = (3, 16, 16)
CALLS = {
    "open_study": lambda s, n: cu.open_study("smoke", architecture="resnet"),
    "open_study, own": lambda s, n: cu.open_study("smoke", str(n()), NOISY, layers=["conv"]),
    "sample_classifier": lambda s, n: architectures.sample_classifier("vgg", SMALL, 3),
    "check_outputs": lambda s, n: architectures.check_outputs(NOISY, SMALL, 3),
    "list_layers": lambda s, n: layers.list_layers(NOISY, SMALL),
    "Encoder": lambda s, n: encoder.Encoder(NOISY, "conv", SMALL),
    "predict": lambda s, n: inference.predict(NOISY, torch.zeros(2, *SMALL)),
    "store.get": lambda s, n: store.get(Drawn()),
    "classifier": lambda s, n: cu.classifiers.classifier(s.classifier(0), False),
    "ClaDec": lambda s, n: explainers.explainer(s.cladec("logits", 0), False),
    "RefAE": lambda s, n: explainers.explainer(s.refae("logits", 0), False),
    "tidy": lambda s, n: cu.evaluation.tidy([s.evaluation(None, 0)]),
    "neurons": lambda s, n: (
        neurons.count(s, "block4"),
        neurons.ranked(s, "block4", 0),
        neurons.random(8, 2, 0),
    ),
    "evidence": lambda s, n: (required.plan(s), evidence.record(s, [s.evaluation(None, 0)], [])),
    "saliency": lambda s, n: (saliency._limits.cache_clear(), saliency.plan(s)),
    "concepts": lambda s, n: controls.whole_plan([experiment.open_concepts("smoke", "vgg", None, [0])]),
    "user study": lambda s, n: design.slots(design.usual({"profile": "smoke"})),
    "combinations": lambda s, n: plan.combinations(
        None, ["vgg", "resnet"], {"profile": "smoke", "layers": ["logits"]}
    ),
    "pick_images": lambda s, n: notebook.pick_images(s, 4),
    "relevance maps": lambda s, n: shown_maps(s),
}


@pytest.mark.parametrize("call", CALLS)
def test_random_numbers_go_on_as_if_nothing_had_been_called(study, npz, call):
    def seeded():
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)

    seeded()
    expected = draws()
    seeded()
    CALLS[call](study, npz)
    assert draws() == expected
