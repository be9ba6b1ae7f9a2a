"""What ClaDec and RefAE share: fitting to images, calling with a tensor, saving and loading."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from cladec_utils.data.splits import checked_images
from cladec_utils.engine.device import random_kept, reproducible
from cladec_utils.errors import CladecError, choose
from cladec_utils.models import budgets
from cladec_utils.models.architectures import reinitialise
from cladec_utils.models.budgets import TRAINING
from cladec_utils.models.decoder import NORMS, Decoder
from cladec_utils.models.encoder import Encoder, private
from cladec_utils.models.given import (
    LARGEST_SEED,
    check_decoder,
    check_trainable,
    checked_budget,
    checked_device,
    checked_labels,
    checked_neurons,
    checked_shape,
    checked_validation,
    positive,
    whole_number,
)
from cladec_utils.models.inference import pixels, resized, to_device
from cladec_utils.models.layers import check_classifier
from cladec_utils.models.layouts import ORDERS
from cladec_utils.models.modules import NO_LAYERS, copied, other_precision, plain_name
from cladec_utils.models.outputs import note_chance, select
from cladec_utils.models.saved import Saved
from cladec_utils.models.training import Curves, TrainSpec, fit


class Explainer(Saved):
    """What ClaDec and RefAE share. `classifier` takes (N, C, H, W) images in [0, 1] and gives logits; it is
    copied, and never changed. `layer` is the name of one of its modules, or the module; `neurons` are
    indices of the layer's channels or units (None: all). `decoder` is a module of yours from activations
    (N, K, ...), channels first, to images in [0, 1]; None makes one (`Decoder`) of that `width` and `norm`.
    `layout` says which axes of the activation are what (see `layouts.ORDERS`) where that cannot be found.
    `reconstruct_at` is the height in pixels of reconstructions, of images that have more: at 64, those of 224
    pixels are drawn, and compared with the images, at 64. None: the images' own.
    `classes` are the outputs of the classifier that the labels 0, 1, ... mean; None: the first, second, ...
    """

    kind: ClassVar[str] = ""

    def __init__(  # noqa: PLR0913
        self,
        classifier: nn.Module,
        layer: str | nn.Module,
        *,
        neurons: Sequence[int] | None = None,
        decoder: nn.Module | None = None,
        width: float = 1.0,
        norm: str = "batch",
        layout: str | None = None,
        reconstruct_at: int | None = None,
        classes: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        # Not on a GPU: RefAE draws the same weights everywhere.
        mine = select(private(classifier, torch.device("cpu")), classes)
        if isinstance(layer, nn.Module):
            names = [name for name, module in classifier.named_modules() if module is layer and name]
            if not names:
                raise CladecError("The layer given as a module is none of the classifier's; name it instead.")
            layer = names[0]
        modules = dict(mine.named_modules())
        if wrong := other_precision(mine, "classifier", alone=True):
            raise wrong
        if len(modules) == 1:
            raise CladecError(NO_LAYERS)
        self.layer = choose(plain_name(layer, modules), [name for name in modules if name], "layer")
        self.neurons = checked_neurons(neurons)
        self.width, self.norm = positive("width", width), choose(norm, NORMS, "norm of a decoder")
        self.layout = None if layout is None else choose(layout, ORDERS, "layout")
        self.reconstruct_at = (
            None if reconstruct_at is None else whole_number("reconstruct_at", reconstruct_at, 8)
        )
        # In a tuple, as they are not trained.
        self._parts = (mine, None if decoder is None else copied(decoder, "decoder"))
        self.encoder: Encoder | None = None
        self.decoder: nn.Module | None = None
        self.image_shape: tuple[int, int, int] | None = None
        self.is_fitted = False
        self.train_spec: TrainSpec | None = None
        self.seed: int | None = None
        self.curves: Curves = {}

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions (N, C, h, w), floats in [0, 1], of images like those that it was fitted to; h and w
        are theirs, or smaller with `reconstruct_at`."""
        images = self._like_fitted(images)
        return self.decoder(self.encoder(pixels(images, self._device())))

    @property
    def classifier(self) -> nn.Module:
        """The classifier that is explained: a frozen copy."""
        return self._parts[0]

    @property
    def drawn_shape(self) -> tuple[int, int, int] | None:
        """(C, h, w) of reconstructions: that of the images, or smaller with `reconstruct_at`."""
        if self.reconstruct_at is None or self.image_shape is None:
            return self.image_shape
        channels, height, width = self.image_shape
        return channels, self.reconstruct_at, max(1, round(width * self.reconstruct_at / height))

    def _drawn_like(self, images: Tensor) -> Tensor:
        """Images as reconstructions are to be."""
        return resized(images, self.drawn_shape)

    def _fitted(self) -> None:
        if not self.is_fitted:
            raise CladecError(f"This {self.kind} has not been fitted yet; call `.fit(images)` first.")

    def _like_fitted(self, images: Tensor) -> Tensor:
        self._fitted()
        return checked_shape(images, self.image_shape, self.kind)

    def _device(self) -> torch.device:
        return next(self.decoder.parameters()).device

    def fit(  # noqa: PLR0913
        self,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        updates: int | None = None,
        minutes: float | None = None,
        seed: int = 0,
        threads: int | None = None,
        device: torch.device | str | None = None,
        progress: bool = True,
        validation: tuple[Tensor, Tensor] | None = None,
        training: TrainSpec | None = None,
        label: str = "",
    ) -> Self:
        """Train from fresh weights drawn with `seed`; returns self, in evaluation mode, its weights frozen.

        `images` are (N, C, H, W), uint8 or float in [0, 1]; `labels` (N,) None takes the classifier's own
        decisions (they matter for alpha > 0 only). The budget is `updates`, or `minutes`, which are
        converted into updates once; else that of `training`, and without one it comes of the number of
        images and the size of the code (`budgets.usual`), and is said. `threads` None uses all cores (the
        bits depend on their number), `device` None the best one. `validation` are images and labels to be
        measured on the way. Afterwards `curves` has the learning curves and `train_spec` what was done.
        Raises CladecError for images or options that are not such, a classifier that gives no logits (N, K)
        or, at alpha > 0, no gradient, or a loss that is not finite."""
        where = checked_device(device)
        updates, minutes, threads = checked_budget(updates, minutes, threads)
        seed, begun = whole_number("seed", seed, 0, LARGEST_SEED), time.perf_counter()
        images, labels, validation = self._checked(images, labels, validation, of_study=bool(label))
        self.is_fitted = False  # and stays so if this is interrupted
        with reproducible(seed, threads), torch.inference_mode(False), torch.enable_grad():
            self._start(tuple(images.shape[1:]), seed, where)
            images = images.to(where)
            loss = self._loss(images, labels)
            spec = self._budget(updates, minutes, training, begun, loss, len(images))
            if progress and not label:
                self._say(len(images), spec, (updates, minutes, training) != (None, None, None))
            self.train_spec, self.seed = spec, seed
            self.curves = fit(
                self._trained(),
                loss,
                len(images),
                spec,
                seed,
                validation=self._validation(validation),
                settle=lambda: self._settle(images),
                label=label or f"{self.kind} of {self.layer}",
                progress=progress,
            )
        self.eval().requires_grad_(False)
        self.is_fitted = True
        return self

    def _checked(self, images: Tensor, labels: object, validation: object, of_study: bool) -> tuple:
        images = checked_images(images)
        shape = tuple(images.shape[1:])
        classes = check_classifier(self.classifier, shape)
        labels = None if labels is None else checked_labels(labels, len(images), classes)
        if labels is not None and not of_study:  # which looks when it is opened
            note_chance(self.classifier, images, labels)
        return images, labels, checked_validation(validation, shape, classes, self.kind)

    def _start(self, image_shape: tuple[int, int, int], seed: int, device: torch.device) -> None:
        self._build(image_shape, seed)
        check_trainable(self.decoder)
        to_device(self, device)

    def _budget(
        self,
        updates: int | None,
        minutes: float | None,
        training: TrainSpec | None,
        begun: float,
        loss: Callable[[Tensor], Tensor],
        n: int,
    ) -> TrainSpec:
        """How to train, and for how long, with n images; `begun` is when the minutes began."""
        spec = training or TRAINING
        if minutes is not None:
            updates = self._updates_in(minutes, begun, loss, n, spec)
        elif updates is None and training is None:
            updates = budgets.usual(n, math.prod(self.encoder.activation_shape), math.prod(self.drawn_shape))
        return spec if updates is None else replace(spec, epochs=None, updates=updates)

    def _updates_in(
        self, minutes: float, begun: float, loss: Callable[[Tensor], Tensor], n: int, spec: TrainSpec
    ) -> int:
        """How many updates fit into so many minutes; the weights of those that are timed are thrown away."""
        kept = copy.deepcopy(self.state_dict())
        train = lambda timed: fit(self._trained(), loss, n, timed, 0, progress=False)  # noqa: E731
        found = budgets.fitting(minutes, begun, n, spec, train)
        self.load_state_dict(kept)
        return found

    def _say(self, n: int, spec: TrainSpec, chosen: bool) -> None:
        """What will be trained and for how long, before it is."""
        weights = sum(p.numel() for p in self.decoder.parameters())
        size = f"{weights / 1e6:.1f} million" if weights >= 1e5 else f"{weights}"
        numbers = math.prod(self.encoder.activation_shape)
        print(
            f"{self.kind} of {self.layer}: {spec.length(n)} updates of {min(n, spec.batch_size)} images of "
            f"{n}; codes of {numbers} numbers, a decoder of {size} weights"
            + ("" if chosen else "; updates= or minutes= sets another length"),
            flush=True,
        )

    def _fresh_decoder(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        own = copy.deepcopy(self._parts[1])
        if own is None:
            layout = getattr(self.encoder, "layout", None)  # components have none
            return Decoder(self.encoder.activation_shape, self.drawn_shape, self.width, self.norm, layout)
        reinitialise(own)
        return own

    def _build(self, image_shape: tuple[int, int, int], seed: int) -> None:
        """Encoder and fresh decoder. ClaDec and RefAE of one seed start from the same decoder."""
        if self.reconstruct_at is not None and self.reconstruct_at > image_shape[1]:
            raise CladecError(
                f"reconstruct_at is {self.reconstruct_at}, but the images have {image_shape[1]} rows of "
                "pixels: take at most as many, or None."
            )
        self.image_shape = image_shape
        self.encoder = self._encoder(
            Encoder(self._encoding_network(seed), self.layer, image_shape, self.neurons, self.layout)
        )
        self.decoder = self._fresh_decoder(seed)
        check_decoder(self.decoder, self.encoder.activation_shape, self.drawn_shape)

    def _encoding_network(self, seed: int) -> nn.Module:
        raise NotImplementedError

    def _encoder(self, encoder: Encoder) -> nn.Module:
        return encoder

    def _trained(self) -> nn.Module:
        raise NotImplementedError

    def _loss(self, images: Tensor, labels: Tensor | None) -> Callable[[Tensor], Tensor]:
        raise NotImplementedError

    def _validation(self, validation: tuple[Tensor, Tensor] | None) -> Callable[[], float] | None:
        raise NotImplementedError

    def _settle(self, images: Tensor) -> None:
        raise NotImplementedError

    def trained_tensors(self) -> dict[str, Tensor]:
        """What was trained, by name: of ClaDec the decoder's weights, of RefAE all."""
        return self._trained().state_dict()

    def restore(self, tensors: dict[str, Tensor], image_shape: tuple[int, int, int], seed: int) -> None:
        """Become the explainer, fitted to images of that shape, whose `trained_tensors` these are."""
        with random_kept():
            self._build(image_shape, seed)
        self._trained().load_state_dict(tensors)
        self.seed, self.is_fitted = seed, True
        to_device(self).eval().requires_grad_(False)
