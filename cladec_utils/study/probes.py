"""How far a classifier uses planted concepts, its layers hold them, and reconstructions show them.

Three things that are easily taken for one, each measured per factor (`planted.FACTORS`) and test image:

- *used*: what C's prediction does when only that factor of the image is edited;
- *held*: whether a probe can read the factor from the layer's activations;
- *shown*: whether a probe can read it from the decoded image X_E (or X_R, or X).

Chance is one half everywhere, as each factor has two balanced levels. All of this is ours; the papers
have no such measurement.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from cladec_utils.data import datasets, planted
from cladec_utils.data.datasets import DataSpec
from cladec_utils.data.planted import FACTORS, Scenes
from cladec_utils.engine.device import best_device, reproducible
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.engine.store import get
from cladec_utils.errors import choose
from cladec_utils.models import inference
from cladec_utils.models.architectures import make_classifier
from cladec_utils.models.encoder import Encoder
from cladec_utils.models.inference import measure_norms, norm_batches, predict
from cladec_utils.models.training import TrainSpec, apply, fit
from cladec_utils.study import classifiers
from cladec_utils.study.classifiers import AnyClassifier
from cladec_utils.study.explainers import ExplainerSpec, data_of, explainer

CHANCE = 0.5
PROBE_WIDTH = 0.125
CONTROL_TASK = "control task"


@functools.lru_cache(maxsize=8)
def scenes(spec: DataSpec, part: str = "test") -> Scenes:
    """The scenes behind the images of a planted data set, in their order; `part` is `train` or `test`.

    Raises CladecError if the data set is not a planted one.
    """
    planted.relevant(spec.dataset)
    train, _, test = datasets.chosen_images(spec)
    source = datasets.whole(spec)
    return source.train.scenes.subset(train) if part == "train" else source.test.scenes.subset(test)


# --- used ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UsedSpec(Spec):
    """How a classifier of planted data reacts to edits of each factor on the test images."""

    kind: ClassVar[str] = "used"
    classifier: AnyClassifier

    def needs(self) -> tuple[Spec, ...]:
        return (self.classifier,)

    def label(self) -> str:
        return f"use of concepts by {self.classifier.label()} on {self.classifier.data.dataset}"

    def make(self, progress: bool) -> Made:
        network = classifiers.classifier(self.classifier, progress)
        shown = scenes(self.classifier.data)
        original, tensors = planted.render(shown), {}
        for factor in FACTORS:
            edited = planted.render(shown.edited(factor))
            flips, variation = reactions(lambda images: predict(network, images), original, edited)
            tensors |= {f"flips_{factor}": flips, f"variation_{factor}": variation}
        return _made(tensors)


def reactions(
    classifier: Callable[[Tensor], Tensor], images: Tensor, edited: Tensor
) -> tuple[Tensor, Tensor]:
    """What an edit does to predictions: (N,) 1 where the decision flips, and (N,) total variation.

    `classifier` maps images to (N, classes) logits. Total variation is half the sum of absolute changes
    of the softmax, 0 to 1.
    """
    before, after = classifier(images), classifier(edited)
    flips = (before.argmax(1) != after.argmax(1)).float()
    return flips, (before.softmax(1) - after.softmax(1)).abs().sum(1) / 2


# --- probes -------------------------------------------------------------------------------------


def make_reader(shape: tuple[int, ...]) -> nn.Module:
    """A probe that reads all factors at once: inputs of `shape` (without N) to (N, 6) logits of level 1.

    Images get a narrow `vgg`, other maps one 3x3 convolution and a hidden layer, vectors a
    hidden layer alone.
    """
    if len(shape) == 3 and shape[-1] == planted.SIZE:
        return make_classifier("vgg", shape, len(FACTORS), PROBE_WIDTH)
    head = [nn.Linear(math.prod(shape), 64), nn.ReLU(), nn.Linear(64, len(FACTORS))]
    if len(shape) != 3:
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(math.prod(shape)), *head)
    head[0] = nn.Linear(32 * shape[1] * shape[2], 64)
    enter = [nn.BatchNorm2d(shape[0]), nn.Conv2d(shape[0], 32, 3, padding=1), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*enter, *head)


def train_reader(
    inputs: Tensor, levels: Tensor, train: TrainSpec, seed: int, label: str = "probe", progress: bool = False
) -> nn.Module:
    """Train a probe to read factors: float `inputs` (N, ...) and their `levels` (N, 6) in {0, 1}."""
    with reproducible(seed):
        reader = make_reader(tuple(inputs.shape[1:])).to(best_device())
        inputs, wanted = inputs.to(best_device()), levels.float().to(best_device())
        fit(
            reader,
            lambda i: functional.binary_cross_entropy_with_logits(reader(inputs[i]), wanted[i]),
            len(inputs),
            train,
            seed,
            settle=lambda: measure_norms(reader.eval(), reader.modules(), norm_batches(inputs)),
            label=label,
            progress=progress,
        )
    return reader.eval().requires_grad_(False)


def read(reader: nn.Module, inputs: Tensor, levels: Tensor) -> Tensor:
    """Whether a probe reads each factor rightly: (N, 6) of 0 and 1."""
    with reproducible(0):
        logits = apply(reader, inputs, lambda batch: batch.to(best_device()))
    return ((logits.cpu() > 0) == levels.bool()).float()


def _by_factor(prefix: str, correct: Tensor) -> dict[str, Tensor]:
    return {f"{prefix}_{factor}": correct[:, i].contiguous() for i, factor in enumerate(FACTORS)}


def _made(tensors: dict[str, Tensor]) -> Made:
    return Made(tensors, {name: values.mean().item() for name, values in tensors.items()})


# --- held ---------------------------------------------------------------------------------------


def control_labels(scenes: Scenes, seed: int) -> Tensor:
    """The labels (N, 6) in {0, 1} of a control task for probes (Hewitt and Liang 2019): six times, every
    combination of group and levels has a label that means nothing, drawn with `seed` and then fixed, half of
    them 1.

    Such combinations recur among the test images, as their words do among test sentences, while a label of
    each image's own could be learned by heart and never be asked for; so the accuracy bounds what a probe
    makes up itself, out of whatever the layer holds, and only what exceeds it was there to be read.
    """
    kinds, random = 2 ** (1 + len(FACTORS)), torch.Generator().manual_seed(seed)
    labels = torch.stack([torch.randperm(kinds, generator=random) % 2 for _ in FACTORS], 1)
    bits = torch.cat([scenes.group.unsqueeze(1), scenes.levels], 1)
    return labels[(bits << torch.arange(bits.shape[1])).sum(1)]


@dataclass(frozen=True)
class HeldSpec(Spec):
    """What a probe can read from a layer's activations: the factors (metrics `held_<factor>`), or, for the
    `task` CONTROL_TASK, labels that mean nothing (`control_1` to `control_6`; see `control_labels`). What a
    layer holds untrained is read by the same from a `RandomisedSpec`."""

    kind: ClassVar[str] = "held"
    classifier: AnyClassifier
    layer: str
    train: TrainSpec
    seed: int
    task: str | None = field(default=None, metadata={"optional": True})

    def __post_init__(self) -> None:
        if self.task is not None:
            choose(self.task, (CONTROL_TASK,), "task of a probe")

    def needs(self) -> tuple[Spec, ...]:
        return (self.classifier,)

    def label(self) -> str:
        what = "a control task read from" if self.task else "concepts held by"
        return f"{what} {self.layer} of {self.classifier.label()} on {self.classifier.data.dataset}"

    def make(self, progress: bool) -> Made:
        data = datasets.load(self.classifier.data)
        encoder = Encoder(classifiers.classifier(self.classifier, progress), self.layer, data.image_shape)
        train, test = (predict(encoder, part.images) for part in (data.train, data.test))
        shown = [scenes(self.classifier.data, part) for part in ("train", "test")]
        levels = [control_labels(part, self.seed) if self.task else part.levels for part in shown]
        reader = train_reader(train, levels[0], self.train, self.seed, self.label(), progress)
        correct = read(reader, test, levels[1])
        if self.task:
            return _made({f"control_{i + 1}": correct[:, i].contiguous() for i in range(correct.shape[1])})
        return _made(_by_factor("held", correct))


# --- shown --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProbeSpec(Spec):
    """The probe trained on the original images of a planted data set."""

    kind: ClassVar[str] = "probe"
    data: DataSpec
    train: TrainSpec
    seed: int

    def label(self) -> str:
        return f"probe on the originals seed {self.seed}"

    def make(self, progress: bool) -> Made:
        images = inference.as_float(datasets.load(self.data).train.images)
        levels = scenes(self.data, "train").levels
        return Made(train_reader(images, levels, self.train, self.seed, self.label(), progress).state_dict())


@dataclass(frozen=True)
class ShownSpec(Spec):
    """What two probes read from reconstructions of the test images (None: from the originals): the
    `original` probe, trained on originals, and a `fresh` one, trained on reconstructed training images."""

    kind: ClassVar[str] = "shown"
    probe: ProbeSpec
    subject: ExplainerSpec | None

    def needs(self) -> tuple[Spec, ...]:
        return (self.probe,) if self.subject is None else (self.probe, self.subject)

    def label(self) -> str:
        if self.subject is None:
            return "concepts shown by the originals"
        return f"concepts shown by {self.subject.label()} on {data_of(self.subject).dataset}"

    def make(self, progress: bool) -> Made:
        data, p = datasets.load(self.probe.data), self.probe
        train, test = (inference.as_float(part.images) for part in (data.train, data.test))
        probe = make_reader(tuple(train.shape[1:]))
        probe.load_state_dict(get(p, progress).tensors)
        probe = fresh = probe.to(best_device()).eval()
        levels = [scenes(p.data, part).levels for part in ("train", "test")]
        if self.subject is not None:
            network = explainer(self.subject, progress)
            train, test = predict(network, data.train.images), predict(network, data.test.images)
            fresh = train_reader(train, levels[0], p.train, p.seed, self.label(), progress)
        return _made(
            _by_factor("fresh", read(fresh, test, levels[1]))
            | _by_factor("original", read(probe, test, levels[1]))
        )


def retention(in_x_e: float, in_x_r: float) -> float:
    """Concept retention: what X_E shows above chance as a share of what X_R shows above chance.

    1: as readable as from X_R; 0: not at all. NaN where X_R itself is read less than half-way between
    chance and certainty: a share of next to nothing says nothing.
    """
    return (in_x_e - CHANCE) / (in_x_r - CHANCE) if in_x_r - CHANCE >= CHANCE / 2 else math.nan
