"""ClaDec and RefAE: modules that one fits to images and then calls with a tensor. The one way to train them.

cladec = ClaDec(model, "features.8").fit(images)     # what the layer keeps
refae = RefAE(model, "features.8").fit(images)       # what could have been kept
reconstruction = cladec(images[:8])                  # (8, C, H, W) in [0, 1]
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from cladec_utils.engine.device import reproducible
from cladec_utils.errors import CladecError, choose, note
from cladec_utils.models.architectures import fingerprint
from cladec_utils.models.components import Components
from cladec_utils.models.encoder import Encoder, activation_and_gradient, check_gradient, private
from cladec_utils.models.explainer import Explainer
from cladec_utils.models.generic import GenericEncoder
from cladec_utils.models.given import checked_targets, whole_number
from cladec_utils.models.identity import answers
from cladec_utils.models.inference import measure_norms, norm_batches, pixels, resized
from cladec_utils.models.layers import check_classifier
from cladec_utils.models.outputs import plain, recognise
from cladec_utils.models.references import GENERIC, REFERENCES, drawn, why_not
from cladec_utils.models.training import EVAL_BATCH, apply

CACHED_ACTIVATIONS = {"cpu": 1 << 30, "cuda": 16 << 30}
"""Bytes of activations kept in memory while a decoder is trained, on a GPU a third of what is free at most;
above it they are computed anew."""
REFAE_ENCODER_SEED = 2000
"""Added to RefAE's seed for its encoder: it starts from other weights than the classifier of that seed."""


def check_alpha(alpha: float) -> float:
    """`alpha` as a float; raises CladecError unless it is a number in [0, 1]."""
    try:
        value = float(alpha)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 <= value <= 1:
        raise CladecError(
            f"alpha is {alpha!r}; it must be a number from 0 (closest to the images) to 1 "
            "(closest to what the classifier uses)."
        )
    return value


class Autoencoder(nn.Module):
    """Encoder, then decoder: (N, C, H, W) images to their reconstructions, same shape, floats in [0, 1]."""

    def __init__(self, encoder: Encoder, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


class ClaDec(Explainer):
    """A decoder trained on the activations of a layer of a frozen classifier: X_E, what the layer keeps.

    `alpha` in [0, 1] weighs the classifier's cross-entropy on the reconstruction against the MSE (PAPER.md,
    The method): 0 is closest to the images, 1 to what the classifier uses. With `components` the decoder
    sees so many principal components of the activations on the training images, and nothing else of them.
    """

    kind: ClassVar[str] = "ClaDec"

    def __init__(
        self,
        classifier: nn.Module,
        layer: str | nn.Module,
        *,
        alpha: float = 0.0,
        components: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(classifier, layer, **options)
        self.alpha = check_alpha(alpha)
        self.components = None if components is None else whole_number("components", components)

    def _facts(self) -> dict[str, Any]:
        with plain(self.classifier) as classifier:
            recorded = answers(classifier, self.image_shape).tolist()
        return {"alpha": self.alpha, "components": self.components, "answers": recorded}

    def _encoding_network(self, seed: int) -> nn.Module:
        return self._parts[0]

    def _encoder(self, encoder: Encoder) -> nn.Module:
        return encoder if self.components is None else Components(encoder, self.components)

    def _trained(self) -> nn.Module:
        if self.components is None:
            return self.decoder
        return nn.ModuleDict({"components": self.encoder.components, "decoder": self.decoder})

    def _objective(self, decoded: Tensor, x: Tensor, y: Tensor) -> Tensor:
        value = (1 - self.alpha) * functional.mse_loss(decoded.float(), self._drawn_like(x))
        if not self.alpha:
            return value
        seen = resized(decoded, self.image_shape)
        return value + self.alpha * functional.cross_entropy(self.encoder.classifier(seen), y)

    def _loss(self, images: Tensor, labels: Tensor | None) -> Callable[[Tensor], Tensor]:
        if self.alpha:
            recognise(self.encoder.classifier, images)
            check_gradient(self.encoder.classifier, self.image_shape)
        if self.alpha and labels is None:
            labels = apply(self.encoder.classifier, images, lambda x: pixels(x, images.device)).argmax(1)
        labels = torch.zeros(len(images), dtype=torch.long) if labels is None else labels
        labels = labels.to(images.device)
        if self.components is not None:
            self.encoder.measure(images)
        self._activations = stored_activations(self.encoder, images)

        def loss(i: Tensor) -> Tensor:
            return self._objective(self.decoder(self._activations(i)), pixels(images[i], i.device), labels[i])

        return loss

    def _validation(self, validation: tuple[Tensor, Tensor] | None) -> Callable[[], float] | None:
        if validation is None or not len(validation[0]):
            return None
        device = self._device()
        x, labels = pixels(validation[0], device), validation[1].to(device)
        held = apply(self.encoder, x, lambda batch: batch)

        @torch.no_grad()
        def value() -> float:
            return self._objective(apply(self.decoder, held, lambda batch: batch), x, labels).item()

        return value

    def _settle(self, images: Tensor) -> None:
        batches = norm_batches(torch.arange(len(images), device=images.device))
        measure_norms(lambda i: self.decoder(self._activations(i)), self.decoder.modules(), batches)
        del self._activations

    def attribute(self, images: Tensor, target: Tensor | int | None = None) -> Tensor:
        """Where the evidence for a class lies: (N, 1, H, W) floats in [0, 1], higher for more relevant.

        |D(a) - D(a')|, channels averaged: D the decoder, a the layer's activation, a' the same with every
        value zeroed that speaks for the `target` class (gradient x activation above 0). `target` is a class,
        one per image (N,), or None for the classifier's decisions. Our definition, not the papers'.
        """
        if self.components is not None:
            raise CladecError("Of principal components no map is read; fit a ClaDec of neurons for it.")
        images = self._like_fitted(images)
        if target is not None:
            target = checked_targets(target, len(images), check_classifier(self.classifier, self.image_shape))
        return resized(evidence(self, images, target)[:, None], self.image_shape)


class RefAE(Explainer):
    """The reference autoencoder: the classifier's architecture up to the layer with fresh weights, trained
    end to end with such a decoder on reconstruction alone: X_R, what could have been kept. Dropout is off:
    it regularises classification, here it would only blur.

    `reference` "own" demands that architecture, "generic" takes a convolutional encoder of ours to a code of
    the same shape (`GenericEncoder`), None the one where it can be drawn anew and trained, else the other,
    with a note that says why. Once fitted, `reference` is "own" or "generic", and `kind` says so.
    """

    kind: ClassVar[str] = "RefAE"

    def __init__(
        self, classifier: nn.Module, layer: str | nn.Module, *, reference: str | None = None, **options: Any
    ) -> None:
        super().__init__(classifier, layer, **options)
        self._wanted = None if reference is None else choose(reference, REFERENCES, "reference")
        self._take(self._wanted)

    def _take(self, reference: str | None) -> None:
        self.reference = reference
        self.kind = GENERIC if reference == "generic" else type(self).kind

    def _start(self, image_shape: tuple[int, int, int], seed: int, device: torch.device) -> None:
        reason = ""
        if self._wanted != "generic":
            encoder = Encoder(self._parts[0], self.layer, image_shape, self.neurons, self.layout)
            reason = why_not(encoder, image_shape)
        if reason and self._wanted == "own":
            raise CladecError(f"{reason} Or take reference='generic'.")
        if reason:
            note(f"RefAE of {self.layer!r} has a generic encoder: {reason[0].lower()}{reason[1:]}")
        self._take("generic" if reason else self._wanted or "own")
        super()._start(image_shape, seed, device)

    def _facts(self) -> dict[str, Any]:
        return {"reference": self.reference}

    def _encoding_network(self, seed: int) -> nn.Module:
        self._take(self.reference or "own")
        torch.manual_seed(seed + REFAE_ENCODER_SEED)
        return self._parts[0] if self.reference == "generic" else drawn(self._parts[0])

    def _encoder(self, encoder: Encoder) -> nn.Module:
        if self.reference != "generic":
            return encoder
        return GenericEncoder(encoder.activation_shape, self.image_shape, self.width)

    @staticmethod
    def _mark(classifier: nn.Module, image_shape: tuple[int, int, int]) -> str:
        return fingerprint(classifier, False, image_shape)

    def _trained(self) -> nn.Module:
        return nn.ModuleDict({"encoder": self.encoder, "decoder": self.decoder})

    def _loss(self, images: Tensor, labels: Tensor | None) -> Callable[[Tensor], Tensor]:
        def loss(i: Tensor) -> Tensor:
            x = pixels(images[i], i.device)
            return functional.mse_loss(self._reconstruct(x).float(), self._drawn_like(x))

        return loss

    def _reconstruct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))

    def _validation(self, validation: tuple[Tensor, Tensor] | None) -> Callable[[], float] | None:
        if validation is None or not len(validation[0]):
            return None
        x = pixels(validation[0], self._device())
        wanted = self._drawn_like(x)
        return lambda: functional.mse_loss(apply(self._reconstruct, x, lambda batch: batch), wanted).item()

    def _settle(self, images: Tensor) -> None:
        run = lambda batch: self._reconstruct(pixels(batch, images.device))  # noqa: E731
        measure_norms(run, self._trained().modules(), norm_batches(images))


def stored_activations(encoder: Encoder, images: Tensor) -> Callable[[Tensor], Tensor]:
    """A function from indices to activations: of stored ones where they fit in memory."""
    take = lambda batch: pixels(batch, images.device)  # noqa: E731
    bytes_each = 4 * torch.Size(encoder.activation_shape).numel()
    if bytes_each * len(images) > _room(images.device):
        return lambda i: encoder(take(images[i])).detach()
    stored = apply(encoder, images, take)
    return lambda i: stored[i]


def _room(device: torch.device) -> int:
    most = CACHED_ACTIVATIONS[device.type]
    return min(most, torch.cuda.mem_get_info(device)[0] // 3) if device.type == "cuda" else most


@torch.no_grad()
def evidence(
    explainer: Autoencoder | ClaDec,
    images: Tensor,
    targets: Tensor | None,
    random: torch.Generator | None = None,
) -> Tensor:
    """|D(a) - D(a')|, channels averaged: (N, H, W) floats in [0, 1] (see `ClaDec.attribute`). With `random`,
    as many active values are zeroed at random instead: what such a change does anyway."""
    encoder, decoder = explainer.encoder, explainer.decoder
    device = next(decoder.parameters()).device
    network = private(encoder.classifier)
    parts = []
    with reproducible(0):
        for place in range(0, len(images), EVAL_BATCH):
            x = pixels(images[place : place + EVAL_BATCH], device)
            y = None if targets is None else targets[place : place + EVAL_BATCH].to(device)
            code, slope = map(encoder.chosen, activation_and_gradient(network, encoder.layer, x, y))
            speaks = code * slope > 0
            if random is not None:
                speaks = _as_many(speaks, code != 0, random)
            changed = decoder(code) - decoder(code.masked_fill(speaks, 0))
            parts.append(changed.abs().mean(1).float().cpu())
    return torch.cat(parts)


def _as_many(chosen: Tensor, among: Tensor, generator: torch.Generator) -> Tensor:
    """As many True per image as `chosen` has, at random places of `among`."""
    draw = torch.rand(chosen.shape, generator=generator).to(chosen.device).masked_fill(~among, 2.0)
    place = draw.flatten(1).argsort(dim=1).argsort(dim=1)
    return (place < chosen.flatten(1).sum(1, keepdim=True)).view_as(chosen)
