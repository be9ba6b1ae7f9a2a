"""The spec of a user study: the concepts that it asks about, and how its pictures and truths are made.

The pictures are decoded from test images; one concept of each at a time is edited (`edits`), and the
change of C's softmax is measured. What counts as true then is decided in `materials.stimuli`.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from cladec_utils.data import datasets
from cladec_utils.data.datasets import Data
from cladec_utils.data.planted import is_planted, render
from cladec_utils.data.splits import balanced_order
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.errors import CladecError
from cladec_utils.models import inference
from cladec_utils.models.inference import as_float
from cladec_utils.study import classifiers as study_classifiers
from cladec_utils.study import explainers
from cladec_utils.study.explainers import ClaDecSpec, RefAESpec
from cladec_utils.user_study.edits import edit

PRACTICE_POOL = 24
EXAMPLE = 1
"""Pictures that are explained before anything is asked."""


@dataclass(frozen=True)
class Concept:
    """A property of a picture that people are asked about: how it is called, and planted factors that
    are the same thing."""

    label: str
    factors: tuple[str, ...] = ()


CONCEPTS = {
    "colour": Concept("colour", ("tint",)),
    "brightness": Concept("how light or dark the object is", ("brightness",)),
    "texture": Concept("texture or pattern", ("stripes",)),
    "shape": Concept("shape or outline"),
    "background": Concept("the background", ("background",)),
    "upper part": Concept("the upper part of the object"),
    "lower part": Concept("the lower part of the object"),
}
"""All concepts the kit can edit in an image; a spec names those it asks about."""


@dataclass(frozen=True)
class UserStudySpec(Spec):
    """A study with participants, and all that its stimuli and truths depend on.

    `explained` has one ClaDec decoder, or two of classifiers with opposite planted truths on the same
    images; `shams` as many on untrained classifiers, or none. `images` are drawn from the test images,
    each participant sees `shown` of them, after `practice` others with feedback.
    """

    kind: ClassVar[str] = "user-study"
    explained: tuple[ClaDecSpec, ...]
    reference: RefAESpec
    shams: tuple[ClaDecSpec, ...]
    concepts: tuple[str, ...]
    images: int
    shown: int
    practice: int
    arms: tuple[str, ...]
    seed: int

    def needs(self) -> tuple[Spec, ...]:
        classifiers = tuple(spec.classifier for spec in self.explained)
        return (*classifiers, *self.explained, self.reference, *self.shams)

    def label(self) -> str:
        return f"stimuli and truths of a user study, {self.images} images"

    @property
    def planted(self) -> bool:
        """Whether a second truth, by construction, is known."""
        data = self.explained[0].classifier.data
        return is_planted(data.dataset) and not data.path

    def make(self, progress: bool) -> Made:
        return _make_stimuli(self, progress)


def _make_stimuli(spec: UserStudySpec, progress: bool) -> Made:
    sets = [datasets.load(e.classifier.data) for e in spec.explained]
    networks = [study_classifiers.classifier(e.classifier, progress) for e in spec.explained]
    answers = [inference.predict(network, sets[0].test.images).argmax(1) for network in networks]
    chosen = _choose_images(spec, sets, answers)
    images = sets[0].test.images[chosen]
    x = as_float(images)
    tensors = {
        "index": chosen,
        "x": x,
        "x_r": inference.predict(explainers.explainer(spec.reference), images),
    }
    for k, explained in enumerate(spec.explained):
        tensors[f"x_e_{k}"] = inference.predict(explainers.explainer(explained), images)
        if spec.shams:
            tensors[f"sham_{k}"] = inference.predict(explainers.explainer(spec.shams[k]), images)
        tensors[f"answer_{k}"] = answers[k][chosen]
        tensors[f"right_{k}"] = answers[k][chosen] == sets[k].test.labels[chosen]
    edited = [edit(x, concept) for concept in spec.concepts]
    tensors["rms"] = torch.stack([reached for _, reached in edited], 1)
    for k, network in enumerate(networks):
        before = _softmax(network, images)
        moved = [_total_variation(before, _softmax(network, changed)) for changed, _ in edited]
        tensors[f"tv_{k}"] = torch.stack(moved, 1)
        tensors[f"tv_planted_{k}"] = _planted_check(spec, network, before, chosen)
    return Made(tensors)


def _softmax(network: nn.Module, images: Tensor) -> Tensor:
    return inference.predict(network, images).softmax(1)


def _total_variation(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).abs().sum(1) / 2


def _choose_images(spec: UserStudySpec, sets: list[Data], answers: list[Tensor]) -> Tensor:
    """The study's test images, then a pool for practice and the example. Images that every classifier
    gets right come first (explaining an error is another question), each part balanced over the first
    classifier's classes, in a random order given by the seed."""
    labels = sets[0].test.labels
    wanted = spec.images + spec.practice + EXAMPLE
    if len(labels) < wanted:
        raise CladecError(
            f"The study needs {wanted} test images, but there are {len(labels)}; ask for fewer."
        )
    right = torch.stack([a == d.test.labels for a, d in zip(answers, sets, strict=True)]).all(0)
    parts = [part.nonzero().squeeze(1) for part in (right, ~right)]
    order = torch.cat([part[balanced_order(labels[part], spec.seed)] for part in parts])
    return order[: spec.images + PRACTICE_POOL]


def _planted_check(spec: UserStudySpec, network: nn.Module, before: Tensor, chosen: Tensor) -> Tensor:
    """Total variation when the planted factor of each concept is flipped: (N, concepts), NaN without one."""
    columns = []
    for concept in spec.concepts:
        factors = CONCEPTS[concept].factors if spec.planted else ()
        column = torch.full((len(chosen),), math.nan)
        if factors:
            data = spec.explained[0].classifier.data
            scenes = datasets.whole(data).test.scenes.subset(datasets.chosen_images(data)[2][chosen])
            column = _total_variation(before, _softmax(network, render(scenes.edited(factors[0]))))
        columns.append(column)
    return torch.stack(columns, 1)
