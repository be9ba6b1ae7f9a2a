"""ClaDec and RefAE by spec: what they are named by, and how they are trained or loaded."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from cladec_utils.data import datasets
from cladec_utils.data.datasets import DataSpec
from cladec_utils.engine import store
from cladec_utils.engine.device import best_device, random_kept, reproducible
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.errors import CladecError
from cladec_utils.models.architectures import is_own, make_classifier
from cladec_utils.models.autoencoders import Autoencoder, pixels, stored_activations, to_device, validation
from cladec_utils.models.decoder import Decoder
from cladec_utils.models.layers import Encoder
from cladec_utils.models.training import TrainSpec, apply, fit
from cladec_utils.study.classifiers import AnyClassifier, classifier, shape_of


def check_alpha(alpha: float) -> float:
    """`alpha` as a float; raises CladecError unless it is a number in [0, 1]."""
    try:
        value = float(alpha)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= 1:
        raise CladecError(
            f"alpha is {alpha!r}; it must be a number from 0 (closest to the images) to 1 "
            "(closest to what the classifier uses)."
        )
    return value


@dataclass(frozen=True)
class ClaDecSpec(Spec):
    """A decoder trained on the activations of `layer` (or of its `neurons`) of a frozen classifier,
    with weight `alpha` on the classifier's cross-entropy (PAPER.md, The method). `decoder_width` None
    gives the decoder the classifier's width multiplier."""

    kind: ClassVar[str] = "cladec"
    classifier: AnyClassifier
    layer: str
    train: TrainSpec
    seed: int
    alpha: float = 0.0
    neurons: tuple[int, ...] | None = None
    decoder_width: float | None = field(default=None, metadata={"optional": True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", check_alpha(self.alpha))

    def needs(self) -> tuple[Spec, ...]:
        return (self.classifier,)

    def label(self) -> str:
        control = getattr(self.classifier, "control", "")
        where = f"{self.classifier.architecture} {_where(self)}"
        where += f" decoder x{self.decoder_width:g}" if self.decoder_width else ""
        return f"ClaDec {control + ', ' if control else ''}{where} alpha {self.alpha:g} seed {self.seed}"

    def make(self, progress: bool) -> Made:
        return _make_cladec(self, progress)


@dataclass(frozen=True)
class RefAESpec(Spec):
    """The reference autoencoder: the classifier's architecture up to `layer` with fresh weights,
    trained end to end with the decoder's architecture on reconstruction only."""

    kind: ClassVar[str] = "refae"
    data: DataSpec
    architecture: str
    width: float
    layer: str
    train: TrainSpec
    seed: int
    neurons: tuple[int, ...] | None = None

    @property
    def portable(self) -> bool:
        return not is_own(self.architecture)

    def label(self) -> str:
        return f"RefAE {self.architecture} {_where(self)} seed {self.seed}"

    def make(self, progress: bool) -> Made:
        return _make_refae(self, progress)


Explainer = ClaDecSpec | RefAESpec


def _where(spec: Explainer) -> str:
    subset = "" if spec.neurons is None else f"[{len(spec.neurons)} neurons]"
    return f"{spec.layer}{subset}"


REFAE_ENCODER_SEED = 2000


# --- ClaDec and RefAE ---------------------------------------------------------------------------


def data_of(spec: Explainer) -> DataSpec:
    """The data an explainer is trained on."""
    return spec.data if isinstance(spec, RefAESpec) else spec.classifier.data


def explainer(spec: Explainer, progress: bool = True) -> Autoencoder:
    """The trained ClaDec or RefAE of `spec`: images to X_E or X_R, in evaluation mode on the best device."""
    artifact = store.get(spec, progress)
    network = _untrained(spec, progress)
    trained = network if isinstance(spec, RefAESpec) else network.decoder
    trained.load_state_dict(artifact.tensors)
    return to_device(network).eval().requires_grad_(False)


def _untrained(spec: Explainer, progress: bool) -> Autoencoder:
    """Encoder and fresh decoder. X_E and X_R of one seed start from the same decoder, and RefAE's
    encoder from other weights than the classifier of that seed did."""
    shape, classes = shape_of(data_of(spec))
    with random_kept():
        if isinstance(spec, RefAESpec):
            torch.manual_seed(spec.seed + REFAE_ENCODER_SEED)
            width = spec.width
            network = make_classifier(spec.architecture, shape, classes, width)
        else:
            width = spec.decoder_width or spec.classifier.width
            network = classifier(spec.classifier, progress).cpu()
        encoder = Encoder(network, spec.layer, shape, spec.neurons)
        torch.manual_seed(spec.seed)
        return Autoencoder(encoder, Decoder(encoder.activation_shape, shape, width))


def _make_refae(spec: RefAESpec, progress: bool) -> Made:
    data = datasets.load(spec.data)
    with reproducible(spec.seed):
        network = to_device(_untrained(spec, progress))
        images = data.train.images.to(best_device())
        # Dropout regularises classification; in an autoencoder it would only blur, to RefAE's disadvantage.
        for part in network.modules():
            if isinstance(part, nn.modules.dropout._DropoutNd):
                part.p = 0.0

        def loss(i: Tensor) -> Tensor:
            x = pixels(images[i])
            return functional.mse_loss(network(x).float(), x)

        x, decode = pixels(data.val.images), lambda: apply(network, x, pixels)
        val = validation(decode, data, lambda decoded, x, _labels: functional.mse_loss(decoded, x))
        curves = fit(network, loss, len(images), spec.train, spec.seed, val, spec.label(), progress)
    return Made(network.state_dict(), {f"final_{k}": v[-1] for k, v in curves.items()}, curves)


def _make_cladec(spec: ClaDecSpec, progress: bool) -> Made:
    data = datasets.load(data_of(spec))
    with reproducible(spec.seed):
        network = to_device(_untrained(spec, progress))
        network.encoder.eval().requires_grad_(False)
        images, labels = data.train.images.to(best_device()), data.train.labels.to(best_device())
        activations = stored_activations(network.encoder, images)
        decoder, frozen = network.decoder, network.encoder.classifier

        def objective(decoded: Tensor, x: Tensor, y: Tensor) -> Tensor:
            value = (1 - spec.alpha) * functional.mse_loss(decoded.float(), x)
            return value + spec.alpha * functional.cross_entropy(frozen(decoded), y) if spec.alpha else value

        def loss(i: Tensor) -> Tensor:
            return objective(decoder(activations(i)), pixels(images[i]), labels[i])

        held = apply(network.encoder, data.val.images, pixels) if len(data.val) else None
        val = validation(lambda: apply(decoder, held, lambda batch: batch), data, objective)
        curves = fit(decoder, loss, len(images), spec.train, spec.seed, val, spec.label(), progress)
    return Made(decoder.state_dict(), {f"final_{k}": v[-1] for k, v in curves.items()}, curves)
