"""ClaDec and RefAE by spec: what they are named by, and how they are trained or loaded."""

import functools
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from cladec_utils.data import datasets
from cladec_utils.data.datasets import DataSpec
from cladec_utils.engine import store
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.errors import choose, note
from cladec_utils.models import autoencoders
from cladec_utils.models.architectures import is_own, is_portable, registered, sample_classifier
from cladec_utils.models.autoencoders import check_alpha
from cladec_utils.models.components import PCA
from cladec_utils.models.hints import reference_of
from cladec_utils.models.inference import as_float, predict, to_device
from cladec_utils.models.references import GENERIC, REFERENCES
from cladec_utils.models.training import TrainSpec
from cladec_utils.study.classifiers import AnyClassifier, classifier, shape_of

OTHER_DRAW = 5000
"""Added to a run's seed where a second draw of the same training is needed, which no other run has."""


@dataclass(frozen=True)
class ClaDecSpec(Spec):
    """A decoder trained on the activations of `layer` (or of its `neurons`) of a frozen classifier,
    with weight `alpha` on the classifier's cross-entropy (PAPER.md, The method). `decoder_width` None
    gives the decoder the classifier's width multiplier; with `components` it is trained on so many principal
    components of the activations instead. `attempt` counts how often the training was made anew, with other
    random numbers, because it had ended far from those of other seeds."""

    kind: ClassVar[str] = "cladec"
    classifier: AnyClassifier
    layer: str
    train: TrainSpec
    seed: int
    alpha: float = 0.0
    neurons: tuple[int, ...] | None = None
    norm: str = "batch"
    decoder_width: float | None = field(default=None, metadata={"optional": True})
    components: int | None = field(default=None, metadata={"optional": True})
    attempt: int | None = field(default=None, metadata={"optional": True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", check_alpha(self.alpha))

    def needs(self) -> tuple[Spec, ...]:
        return (self.classifier,)

    def label(self) -> str:
        control = getattr(self.classifier, "control", "")
        where = f"{self.classifier.architecture} {_where(self)}"
        where += f" decoder x{self.decoder_width:g}" if self.decoder_width else ""
        where += f" alpha {self.alpha:g} seed {self.seed}{_again(self)}"
        return f"ClaDec {control + ', ' if control else ''}{where}"

    def make(self, progress: bool) -> Made:
        return _fit(self, progress)


@dataclass(frozen=True)
class RefAESpec(Spec):
    """The reference autoencoder: the classifier's architecture up to `layer` with fresh weights,
    trained end to end with the decoder's architecture on reconstruction only. `attempt` as in ClaDecSpec.
    `reference` "generic" puts a generic encoder in the architecture's place (see `RefAE`); None is "own"."""

    kind: ClassVar[str] = "refae"
    data: DataSpec
    architecture: str
    width: float
    layer: str
    train: TrainSpec
    seed: int
    neurons: tuple[int, ...] | None = None
    norm: str = "batch"
    attempt: int | None = field(default=None, metadata={"optional": True})
    reference: str | None = field(default=None, metadata={"optional": True})

    def __post_init__(self) -> None:
        if self.reference is not None:
            choose(self.reference, REFERENCES, "reference")
        if self.reference == "own":
            object.__setattr__(self, "reference", None)

    @property
    def portable(self) -> bool:
        return is_portable(self.architecture)

    def label(self) -> str:
        where = f"{self.architecture} {_where(self)} seed {self.seed}{_again(self)}"
        return f"{GENERIC if self.reference else 'RefAE'} {where}"

    def make(self, progress: bool) -> Made:
        return _fit(self, progress)


@functools.cache
def reference(architecture: str, layer: str, image_shape: tuple[int, int, int]) -> str | None:
    """What a RefAESpec says of its reference: found out where the classifier is the user's; a generic one is
    noted."""
    reason = reference_of(registered(architecture), layer, image_shape) if is_own(architecture) else ""
    if reason:
        note(f"RefAE of {layer!r} has a generic encoder: {reason[0].lower()}{reason[1:]}")
    return "generic" if reason else None


@dataclass(frozen=True)
class PCASpec(Spec):
    """Principal components of the training images, as many as `layer` has numbers: a reference beside RefAE
    that needs no training and has no seed."""

    kind: ClassVar[str] = "pca"
    data: DataSpec
    layer: str
    components: int

    def label(self) -> str:
        return f"PCA with {self.components} numbers, as {self.layer} has"

    def make(self, progress: bool) -> Made:
        data = datasets.load(self.data)
        found = PCA(self.components).fit(data.train.images)
        metrics = {}
        if len(data.val):
            error = (predict(found, data.val.images) - as_float(data.val.images)).square()
            metrics["final_val"] = error.mean().item()
        return Made(dict(found.named_buffers()), metrics)


ExplainerSpec = ClaDecSpec | RefAESpec | PCASpec
ATTEMPT_SEED = 10_000_000
"""Added to a training's seed each time that it is made anew."""


def _where(spec: ClaDecSpec | RefAESpec) -> str:
    subset = "" if spec.neurons is None else f"[{len(spec.neurons)} neurons]"
    subset += f"[{spec.components} components]" if getattr(spec, "components", None) else ""
    return f"{spec.layer}{subset}"


def _again(spec: ClaDecSpec | RefAESpec) -> str:
    return f", attempt {spec.attempt + 1}" if spec.attempt else ""


def draw_of(spec: ClaDecSpec | RefAESpec) -> int:
    """The seed of a training's random numbers."""
    return spec.seed + ATTEMPT_SEED * (spec.attempt or 0)


def data_of(spec: ExplainerSpec) -> DataSpec:
    """The data an explainer is trained on."""
    return spec.classifier.data if isinstance(spec, ClaDecSpec) else spec.data


def explainer(spec: ExplainerSpec, progress: bool = True) -> autoencoders.Explainer | PCA:
    """The trained ClaDec, RefAE or PCA of `spec`: images to reconstructions, in evaluation mode on the best
    device."""
    artifact = store.get(spec, progress)
    if isinstance(spec, PCASpec):
        principal = PCA(spec.components)
        principal.restore(artifact.tensors, shape_of(spec.data)[0])
        return to_device(principal)
    found = _unfitted(spec, progress)
    found.restore(artifact.tensors, shape_of(data_of(spec))[0], draw_of(spec))
    return found


def reconstruct(explainer_or_spec: autoencoders.Explainer | ExplainerSpec, images: Tensor) -> Tensor:
    """X_E or X_R of (N, C, H, W) images, uint8 or float in [0, 1]: floats in [0, 1], on the CPU.

    Of a fitted explainer, or of a spec, whose artifact is loaded, or made if it is missing.
    """
    known = isinstance(explainer_or_spec, Spec)
    return predict(explainer(explainer_or_spec) if known else explainer_or_spec, images)


def _unfitted(spec: ClaDecSpec | RefAESpec, progress: bool) -> autoencoders.Explainer:
    """The module that `spec` fits."""
    options = {"neurons": spec.neurons, "norm": spec.norm}
    if isinstance(spec, RefAESpec):
        network = sample_classifier(spec.architecture, *shape_of(spec.data), spec.width)
        options["reference"] = spec.reference or "own"
        return autoencoders.RefAE(network, spec.layer, width=spec.width, **options)
    width = spec.decoder_width or spec.classifier.width
    network = classifier(spec.classifier, progress)
    options |= {"alpha": spec.alpha, "components": spec.components}
    return autoencoders.ClaDec(network, spec.layer, width=width, **options)


def _fit(spec: ClaDecSpec | RefAESpec, progress: bool) -> Made:
    """Train by spec: the same `fit` as by hand, with one thread."""
    data = datasets.load(data_of(spec))
    found = _unfitted(spec, progress).fit(
        data.train.images,
        data.train.labels,
        training=spec.train,
        seed=draw_of(spec),
        threads=1,
        validation=(data.val.images, data.val.labels),
        label=spec.label(),
        progress=progress,
    )
    return Made(found.trained_tensors(), {f"final_{k}": v[-1] for k, v in found.curves.items()}, found.curves)
