"""Classifiers by spec: the one that is explained, its controls, own ones; trained or loaded."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from cladec_utils.data import datasets
from cladec_utils.data.datasets import Data, DataSpec
from cladec_utils.data.splits import Split
from cladec_utils.engine import store
from cladec_utils.engine.device import best_device, reproducible
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.errors import CladecError, choose
from cladec_utils.models import architectures
from cladec_utils.models.architectures import is_own, is_portable, make_classifier, sample_classifier
from cladec_utils.models.identity import alike, answers
from cladec_utils.models.inference import accuracy, measure_norms, norm_batches, pixels, to_device
from cladec_utils.models.modules import first_output, lay_out
from cladec_utils.models.randomisation import randomise
from cladec_utils.models.training import Curves, TrainSpec, apply, fit

ANSWERS = "answers to fixed images"
"""The name of an own classifier's answers among its tensors."""


@dataclass(frozen=True)
class ClassifierSpec(Spec):
    """The classifier C that is explained, trained on a data set's labels."""

    kind: ClassVar[str] = "classifier"
    data: DataSpec
    architecture: str
    width: float
    train: TrainSpec
    seed: int

    @property
    def portable(self) -> bool:
        return is_portable(self.architecture)

    def label(self) -> str:
        return f"classifier {self.architecture} seed {self.seed}"

    def make(self, progress: bool) -> Made:
        data = datasets.load(self.data)
        return fit_classifier(self, data, data.train.images, self.label(), progress)


@dataclass(frozen=True)
class ControlSpec(ClassifierSpec):
    """A classifier in C's place that knows nothing of the classes: trained on shuffled training labels,
    or left with the weights it was drawn with. What still shows on it is no effect of training C."""

    kind: ClassVar[str] = "control"
    control: str

    def __post_init__(self) -> None:
        choose(self.control, CONTROLS, "negative control")

    def label(self) -> str:
        return f"{self.control} {super().label()}"

    def make(self, progress: bool) -> Made:
        data = datasets.load(self.data)
        if self.control == "random weights":
            return Made(_random_weights(self, data).state_dict())
        order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(self.seed))
        shuffled = replace(data, train=Split(data.train.images, data.train.labels[order]))
        return fit_classifier(self, shuffled, data.train.images, self.label(), progress)


@dataclass(frozen=True)
class OwnClassifierSpec(Spec):
    """A trained module of the user's, by the name that `architectures.register` gives it. Kept with it are
    its answers to fixed images: what depends on it is only used for a module that still gives them."""

    kind: ClassVar[str] = "own-classifier"
    data: DataSpec
    architecture: str
    train: TrainSpec
    seed: int = 0
    width: float = 1.0

    @property
    def portable(self) -> bool:
        return is_portable(self.architecture)

    def label(self) -> str:
        return f"classifier {self.architecture}"

    def make(self, progress: bool) -> Made:
        network = architectures.registered(self.architecture)
        data = datasets.load(self.data)
        architectures.check_outputs(network, *shape_of(self.data), data.relabelled)
        return Made(network.state_dict() | {ANSWERS: answers(network, data.image_shape)})


@dataclass(frozen=True)
class RandomisedSpec(Spec):
    """A trained classifier whose layers from the top down to `down_to`, inclusive, are drawn anew with
    `seed` (cascading randomisation; Adebayo et al. 2018). Stands wherever a classifier does."""

    kind: ClassVar[str] = "randomised"
    classifier: ClassifierSpec | OwnClassifierSpec
    down_to: str
    seed: int

    data = property(lambda self: self.classifier.data)
    architecture = property(lambda self: self.classifier.architecture)
    width = property(lambda self: self.classifier.width)
    train = property(lambda self: self.classifier.train)
    control = property(lambda self: f"randomised down to {self.down_to}")

    def needs(self) -> tuple[Spec, ...]:
        return (self.classifier,)

    def label(self) -> str:
        return f"{self.classifier.label()} randomised down to {self.down_to}"

    def make(self, progress: bool) -> Made:
        data = datasets.load(self.data)
        network = classifier(self.classifier, progress).cpu()  # the same draw on every device
        with reproducible(self.seed):
            drawn = randomise(network, self.down_to, data.image_shape)
            run = to_device(network).eval()
            measure_norms(lambda batch: run(pixels(batch)), drawn, norm_batches(data.train.images))
        return Made(network.state_dict())


AnyClassifier = ClassifierSpec | OwnClassifierSpec | RandomisedSpec
CONTROLS = ("shuffled labels", "random weights")


def classifier(spec: AnyClassifier, progress: bool = True) -> nn.Module:
    """The trained classifier of `spec`, frozen, in evaluation mode, on the best device."""
    return trained_classifier(spec, spec.data, progress)


def trained_classifier(spec: Any, data: DataSpec, progress: bool) -> nn.Module:
    """The trained network of a spec of a classifier, or of one trained like it on `data`; frozen."""
    artifact = store.get(spec, progress)
    network = sample_classifier(spec.architecture, *shape_of(data), spec.width)
    if is_own(spec.architecture):
        lay_out(network, torch.zeros(2, *shape_of(data)[0]))
    tensors = dict(artifact.tensors)
    recorded = tensors.pop(ANSWERS, None)
    network.load_state_dict(tensors)
    if recorded is not None:
        _check_answers(spec.architecture, network, data, recorded)
    return to_device(network).eval().requires_grad_(False)


def check_own(spec: OwnClassifierSpec) -> None:
    """Raises CladecError if results are stored for a module of that name which gave other answers."""
    artifact = store.find(spec)
    if artifact and ANSWERS in artifact.tensors:
        network = architectures.registered(spec.architecture)
        _check_answers(spec.architecture, network, spec.data, artifact.tensors[ANSWERS])


def _check_answers(architecture: str, network: nn.Module, data: DataSpec, recorded: Tensor) -> None:
    mine = answers(network, shape_of(data)[0])
    if not alike(mine, recorded):
        off = (mine - recorded).abs().max() if mine.shape == recorded.shape else float("nan")
        raise CladecError(
            f"{architecture} gives other logits than when results for it were stored (off by {off:.3g} on "
            "fixed images), though its weights, attributes and classes are the same: something else that its "
            "forward uses has changed. Make that an attribute, or remove the old results "
            "(`cladec artifacts`)."
        )


def shape_of(spec: DataSpec) -> tuple[tuple[int, int, int], int]:
    """The (C, H, W) of a data set's images, and its number of classes."""
    data = datasets.load(spec)
    return data.image_shape, len(data.class_names)


def _random_weights(spec: ControlSpec, data: Data) -> nn.Module:
    """A network as drawn, but with batch norm's statistics measured on the training images: without
    them its activations would fade from layer to layer, and there would be nothing to decode."""
    with reproducible(spec.seed), torch.no_grad():
        network = make_classifier(spec.architecture, data.image_shape, len(data.class_names), spec.width)
        network = to_device(network).eval()
        batches = norm_batches(data.train.images)
        measure_norms(lambda batch: network(pixels(batch)), network.modules(), batches)
    return network


def fit_classifier(spec: Any, data: Data, images: Tensor, label: str, progress: bool) -> Made:
    """Train on `images` (uint8, or float in [0, 1]) with the training labels of `data`."""
    data = replace(data, train=Split(images, data.train.labels))
    network, curves = fit_network(
        spec.architecture, spec.width, data, spec.train, spec.seed, label=label, progress=progress
    )
    return Made(network.state_dict(), {f"final_{k}": v[-1] for k, v in curves.items()}, curves)


def fit_network(
    architecture: str,
    width: float,
    data: Data,
    train: TrainSpec,
    seed: int,
    *,
    label: str = "classifier",
    progress: bool = False,
) -> tuple[nn.Module, Curves]:
    """A classifier trained from weights drawn with `seed`, and its learning curves (`val` is accuracy)."""
    with reproducible(seed):
        network = make_classifier(architecture, data.image_shape, len(data.class_names), width)
        network = to_device(network)
        images, labels = data.train.images.to(best_device()), data.train.labels.to(best_device())

        def validation() -> float:
            return accuracy(apply(network, data.val.images, pixels), data.val.labels)

        def settle() -> None:
            measure_norms(lambda batch: network(pixels(batch)), network.modules(), norm_batches(images))

        curves = fit(
            network,
            lambda i: functional.cross_entropy(first_output(network(pixels(images[i]))), labels[i]),
            len(labels),
            train,
            seed,
            validation=validation if len(data.val) else None,
            settle=settle,
            label=label,
            progress=progress,
        )
    return network, curves
