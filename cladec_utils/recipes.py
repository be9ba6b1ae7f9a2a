"""From spec to trained network: how classifiers, ClaDec decoders, RefAEs and judges are made and loaded."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from cladec_utils import data as datasets
from cladec_utils import models, store
from cladec_utils.data import Data, as_float
from cladec_utils.layers import Encoder, randomise
from cladec_utils.models import Decoder, make_classifier
from cladec_utils.specs import (
    AnyClassifier,
    ClaDecSpec,
    ClassifierSpec,
    ControlSpec,
    DataSpec,
    Explainer,
    JudgeSpec,
    OwnClassifierSpec,
    RandomisedSpec,
    RefAESpec,
)
from cladec_utils.splits import Split
from cladec_utils.store import Made, builder
from cladec_utils.training import EVAL_BATCH, apply, best_device, fit, reproducible

CACHED_ACTIVATIONS = {"cpu": 1 << 30, "cuda": 16 << 30}
"""Bytes of activations kept in memory while a decoder is trained, on a GPU a third of what is free at most;
above it they are computed anew."""
REFAE_ENCODER_SEED = 2000


class Autoencoder(nn.Module):
    """Encoder, then decoder: (N, C, H, W) images in [0, 1] to their reconstructions, same shape and range."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


def _to_device(module: nn.Module) -> nn.Module:
    return module.to(best_device(), memory_format=torch.channels_last)


def _pixels(images: Tensor) -> Tensor:
    """Images on whatever device, uint8 or float in [0, 1], to what a network takes."""
    images = images.to(best_device())
    pixels = as_float(images) if images.dtype == torch.uint8 else images
    return pixels.contiguous(memory_format=torch.channels_last)


def predict(network: nn.Module, images: Tensor) -> Tensor:
    """`network`'s output for (N, C, H, W) images, uint8 or float in [0, 1]; float32 on the CPU.

    Computed in batches, without gradients, and `reproducible`.
    """
    with reproducible(0):
        return apply(network.eval(), images, _pixels).cpu()


# --- the classifier and the judges --------------------------------------------------------------


def classifier(spec: AnyClassifier, progress: bool = True) -> nn.Module:
    """The trained classifier of `spec`, frozen, in evaluation mode, on the best device."""
    return _trained_classifier(spec, spec.data, progress)


def judge(spec: JudgeSpec, progress: bool = True) -> nn.Module:
    """The trained evaluation classifier of `spec`, frozen, in evaluation mode, on the best device."""
    return _trained_classifier(spec, data_of(spec.subject), progress)


def _trained_classifier(spec: AnyClassifier | JudgeSpec, data: DataSpec, progress: bool) -> nn.Module:
    artifact = store.get(spec, progress)
    if models.is_own(spec.architecture):
        network = models.registered(spec.architecture)  # it need not be one that can be drawn anew
    else:
        with torch.random.fork_rng():
            network = make_classifier(spec.architecture, *_shape(data), spec.width)
    network.load_state_dict(artifact.tensors)
    return _to_device(network).eval().requires_grad_(False)


def _shape(spec: DataSpec) -> tuple[tuple[int, int, int], int]:
    data = datasets.load(spec)
    return data.image_shape, len(data.class_names)


@builder(ClassifierSpec)
def _make_classifier(spec: ClassifierSpec, progress: bool) -> Made:
    data = datasets.load(spec.data)
    return _fit_classifier(spec, data, data.train.images, spec.label(), progress)


@builder(ControlSpec)
def _make_control(spec: ControlSpec, progress: bool) -> Made:
    data = datasets.load(spec.data)
    if spec.control == "random weights":
        return Made(_random_weights(spec, data).state_dict())
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(spec.seed))
    shuffled = replace(data, train=Split(data.train.images, data.train.labels[order]))
    return _fit_classifier(spec, shuffled, data.train.images, spec.label(), progress)


def _random_weights(spec: ControlSpec, data: Data) -> nn.Module:
    """A network as drawn, but with batch norm's statistics measured on the training images: without
    them its activations would fade from layer to layer, and there would be nothing to decode."""
    with reproducible(spec.seed), torch.no_grad():
        network = make_classifier(spec.architecture, data.image_shape, len(data.class_names), spec.width)
        network = _to_device(network)
        _measure_norms(network, list(network.modules()), data.train.images)
    return network


@torch.no_grad()
def _measure_norms(network: nn.Module, modules: list[nn.Module], images: Tensor) -> None:
    """Set the statistics of the batch norms among `modules` to those of the training images; other
    batch norms keep theirs. The network ends in evaluation mode."""
    network.eval()
    for norm in modules:
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
            norm.train()
    for batch in images.split(EVAL_BATCH):
        if len(batch) > 1:  # of a single image batch norm cannot measure anything
            network(_pixels(batch))
    network.eval()


@builder(RandomisedSpec)
def _make_randomised(spec: RandomisedSpec, progress: bool) -> Made:
    data = datasets.load(spec.data)
    network = classifier(spec.classifier, progress).cpu()  # the same draw on every device
    with reproducible(spec.seed):
        drawn = randomise(network, spec.down_to, data.image_shape)
        _measure_norms(_to_device(network), drawn, data.train.images)
    return Made(network.state_dict())


@builder(OwnClassifierSpec)
def _keep_own_classifier(spec: OwnClassifierSpec, progress: bool) -> Made:
    network = models.registered(spec.architecture)
    models.check_outputs(network, *_shape(spec.data))
    return Made(network.state_dict())


@builder(JudgeSpec)
def _make_judge(spec: JudgeSpec, progress: bool) -> Made:
    data = datasets.load(data_of(spec.subject))
    seen = predict(explainer(spec.subject, progress), data.train.images)
    no_validation = replace(data, val=data.val.subset(torch.arange(0)))
    return _fit_classifier(spec, no_validation, seen, spec.label(), progress)


def _fit_classifier(
    spec: ClassifierSpec | JudgeSpec, data: Data, images: Tensor, label: str, progress: bool
) -> Made:
    """Train on `images` (uint8, or float in [0, 1]) with the training labels of `data`."""
    with reproducible(spec.seed):
        network = make_classifier(spec.architecture, data.image_shape, len(data.class_names), spec.width)
        network = _to_device(network)
        images, labels = images.to(best_device()), data.train.labels.to(best_device())

        def validation() -> float:
            return accuracy(apply(network, data.val.images, _pixels), data.val.labels)

        curves = fit(
            network,
            lambda i: functional.cross_entropy(network(_pixels(images[i])), labels[i]),
            len(labels),
            spec.train,
            spec.seed,
            validation if len(data.val) else None,
            label,
            progress,
        )
    return Made(network.state_dict(), {f"final_{k}": v[-1] for k, v in curves.items()}, curves)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit is their label's."""
    return (logits.argmax(1).cpu() == labels.cpu()).float().mean().item()


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
    return _to_device(network).eval().requires_grad_(False)


def _untrained(spec: Explainer, progress: bool) -> Autoencoder:
    """Encoder and fresh decoder. X_E and X_R of one seed start from the same decoder, and RefAE's
    encoder from other weights than the classifier of that seed did."""
    shape, classes = _shape(data_of(spec))
    with torch.random.fork_rng():
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


@builder(RefAESpec)
def _make_refae(spec: RefAESpec, progress: bool) -> Made:
    data = datasets.load(spec.data)
    with reproducible(spec.seed):
        network = _to_device(_untrained(spec, progress))
        images = data.train.images.to(best_device())
        # Dropout regularises classification; in an autoencoder it would only blur, to RefAE's disadvantage.
        for part in network.modules():
            if isinstance(part, nn.modules.dropout._DropoutNd):
                part.p = 0.0

        def loss(i: Tensor) -> Tensor:
            x = _pixels(images[i])
            return functional.mse_loss(network(x).float(), x)

        x, decode = _pixels(data.val.images), lambda: apply(network, x, _pixels)
        val = _validation(decode, data, lambda decoded, x, _labels: functional.mse_loss(decoded, x))
        curves = fit(network, loss, len(images), spec.train, spec.seed, val, spec.label(), progress)
    return Made(network.state_dict(), {f"final_{k}": v[-1] for k, v in curves.items()}, curves)


@builder(ClaDecSpec)
def _make_cladec(spec: ClaDecSpec, progress: bool) -> Made:
    data = datasets.load(data_of(spec))
    with reproducible(spec.seed):
        network = _to_device(_untrained(spec, progress))
        network.encoder.eval().requires_grad_(False)
        images, labels = data.train.images.to(best_device()), data.train.labels.to(best_device())
        activations = _activations(network.encoder, images)
        decoder, frozen = network.decoder, network.encoder.classifier

        def objective(decoded: Tensor, x: Tensor, y: Tensor) -> Tensor:
            value = (1 - spec.alpha) * functional.mse_loss(decoded.float(), x)
            return value + spec.alpha * functional.cross_entropy(frozen(decoded), y) if spec.alpha else value

        def loss(i: Tensor) -> Tensor:
            return objective(decoder(activations(i)), _pixels(images[i]), labels[i])

        held = apply(network.encoder, data.val.images, _pixels) if len(data.val) else None
        val = _validation(lambda: apply(decoder, held, lambda batch: batch), data, objective)
        curves = fit(decoder, loss, len(images), spec.train, spec.seed, val, spec.label(), progress)
    return Made(decoder.state_dict(), {f"final_{k}": v[-1] for k, v in curves.items()}, curves)


def _activations(encoder: Encoder, images: Tensor):
    """A function from indices to activations: of stored ones where they fit in memory."""
    bytes_each = 4 * torch.Size(encoder.activation_shape).numel()
    if bytes_each * len(images) > _room(images.device):
        return lambda i: encoder(_pixels(images[i])).detach()
    stored = apply(encoder, images, _pixels)
    return lambda i: stored[i]


def _room(device: torch.device) -> int:
    most = CACHED_ACTIVATIONS[device.type]
    return min(most, torch.cuda.mem_get_info(device)[0] // 3) if device.type == "cuda" else most


def _validation(
    decode: Callable[[], Tensor], data: Data, objective: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Callable[[], float] | None:
    """A function that measures what is trained for, `objective(decoded, x, labels)`, on validation images;
    `decode` gives them as the network draws them now. None where there are no validation images."""
    if not len(data.val):
        return None
    x, labels = _pixels(data.val.images), data.val.labels.to(best_device())

    @torch.no_grad()
    def value() -> float:
        return objective(decode(), x, labels).item()

    return value
