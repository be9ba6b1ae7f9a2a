"""What ClaDec and RefAE share: fitting to images, calling with a tensor, saving and loading."""

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from cladec_utils.data.splits import checked_images
from cladec_utils.engine.device import apart, best_device, random_kept, reproducible
from cladec_utils.engine.store import write_bytes
from cladec_utils.errors import CladecError, choose
from cladec_utils.models.architectures import fingerprint, reinitialise
from cladec_utils.models.decoder import Decoder
from cladec_utils.models.inference import pixels, to_device
from cladec_utils.models.layers import Encoder, private
from cladec_utils.models.training import Curves, TrainSpec, fit

TRAINING = TrainSpec(None, "adam", 3e-3, 1e-5, "cosine", updates=1500, warmup=0.05)
"""How a hand-fitted explainer is trained where nothing else is said."""
TIMED = 5
"""Updates that are timed to turn minutes into updates."""


class Explainer(nn.Module):
    """What ClaDec and RefAE share. `classifier` takes (N, C, H, W) images in [0, 1] and gives logits; it is
    copied, and never changed. `layer` is the name of one of its modules, or the module; `neurons` are
    indices of the layer's channels or units (None: all). `decoder` is a module of yours from activations to
    images in [0, 1]; None makes one (`Decoder`) of that `width` and `norm`.
    """

    kind: ClassVar[str] = ""

    def __init__(
        self,
        classifier: nn.Module,
        layer: str | nn.Module,
        *,
        neurons: Sequence[int] | None = None,
        decoder: nn.Module | None = None,
        width: float = 1.0,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        modules = dict(classifier.named_modules())
        if isinstance(layer, nn.Module):
            names = [name for name, module in modules.items() if module is layer and name]
            if not names:
                raise CladecError("The layer given as a module is none of the classifier's; name it instead.")
            layer = names[0]
        self.layer = choose(layer, [name for name in modules if name], "layer")
        self.neurons = None if neurons is None else tuple(neurons)
        self.width, self.norm = width, norm
        # In a tuple, as they are not trained; on the CPU, where RefAE draws the same weights everywhere.
        self._parts = (private(classifier, torch.device("cpu")), copy.deepcopy(decoder))
        self.encoder: Encoder | None = None
        self.decoder: nn.Module | None = None
        self.image_shape: tuple[int, int, int] | None = None
        self.is_fitted = False
        self.train_spec: TrainSpec | None = None
        self.seed: int | None = None
        self.curves: Curves = {}

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions (N, C, H, W), floats in [0, 1], of images like those that it was fitted to."""
        self._fitted()
        images = checked_images(images)
        if tuple(images.shape[1:]) != self.image_shape:
            raise CladecError(
                f"The images are {tuple(images.shape[1:])} (channels, height, width), but this {self.kind} "
                f"was fitted to images of {self.image_shape}; resize them, or fit another."
            )
        return self.decoder(self.encoder(pixels(images, self._device())))

    @property
    def classifier(self) -> nn.Module:
        """The classifier that is explained: a frozen copy."""
        return self._parts[0]

    def _fitted(self) -> None:
        if not self.is_fitted:
            raise CladecError(f"This {self.kind} has not been fitted yet; call `.fit(images)` first.")

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
        training: TrainSpec = TRAINING,
        label: str = "",
    ) -> Self:
        """Train from fresh weights drawn with `seed`; returns self, in evaluation mode, its weights frozen.

        `images` are (N, C, H, W), uint8 or float in [0, 1]; `labels` (N,) None takes the classifier's own
        decisions (they matter for alpha > 0 only). The budget is `updates`, or `minutes`, which are
        converted into updates once; else that of `training`. `threads` None uses all cores (the bits
        depend on their number), `device` None the best one. `validation` are images and labels to be measured
        on the way. Afterwards `curves` has the learning curves and `train_spec` what was done.
        Raises CladecError for images that are not such, or a loss that is not finite.
        """
        images = checked_images(images)
        _check(labels, len(images), updates, minutes)
        self.is_fitted = False  # and stays so if this is interrupted
        where = torch.device(device) if device else best_device()
        with reproducible(seed, threads):
            self._build(tuple(images.shape[1:]), seed)
            to_device(self, where)
            images = images.to(where)
            loss = self._loss(images, labels)
            if minutes is not None:
                updates = self._updates_in(minutes, loss, len(images), training)
            spec = training if updates is None else replace(training, epochs=None, updates=updates)
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

    def _updates_in(self, minutes: float, loss: Callable[[Tensor], Tensor], n: int, spec: TrainSpec) -> int:
        """How many updates fit into so many minutes: a few are timed, and their weights thrown away."""
        kept = copy.deepcopy(self.state_dict())
        timed = replace(spec, epochs=None, updates=TIMED)
        fit(self._trained(), loss, n, timed, 0, progress=False)
        start = time.perf_counter()
        fit(self._trained(), loss, n, timed, 0, progress=False)
        seconds = (time.perf_counter() - start) / TIMED
        self.load_state_dict(kept)
        return max(1, int(60 * minutes / seconds))

    def _fresh_decoder(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        own = copy.deepcopy(self._parts[1])
        if own is None:
            return Decoder(self.encoder.activation_shape, self.image_shape, self.width, self.norm)
        reinitialise(own)
        return own

    def _build(self, image_shape: tuple[int, int, int], seed: int) -> None:
        """Encoder and fresh decoder. ClaDec and RefAE of one seed start from the same decoder."""
        self.image_shape = image_shape
        self.encoder = self._encoder(
            Encoder(self._encoding_network(seed), self.layer, image_shape, self.neurons)
        )
        self.decoder = self._fresh_decoder(seed)
        with torch.no_grad():
            drawn = self.decoder.eval()(torch.zeros(2, *self.encoder.activation_shape))
        if tuple(drawn.shape[1:]) != image_shape:
            raise CladecError(f"The decoder draws {tuple(drawn.shape[1:])} for images of {image_shape}.")

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

    def save(self, path: str | Path) -> None:
        """Write what was trained to a .safetensors file, with all that `load` needs but the classifier."""
        self._fitted()
        facts = {
            "kind": self.kind,
            "layer": self.layer,
            "neurons": self.neurons,
            "width": self.width,
            "norm": self.norm,
            "own_decoder": self._parts[1] is not None,
            "image_shape": self.image_shape,
            "classifier": self._classifier_mark(),
            "seed": self.seed,
            "training": asdict(self.train_spec),
            "curves": self.curves,
            **self._facts(),
        }
        content = safetensors.torch.save(apart(self.trained_tensors()), {"cladec": json.dumps(facts)})
        write_bytes(Path(path), content)

    def _facts(self) -> dict[str, Any]:
        return {}

    def _classifier_mark(self) -> str:
        return fingerprint(self._parts[0])

    @classmethod
    def load(cls, path: str | Path, classifier: nn.Module, decoder: nn.Module | None = None) -> Self:
        """The explainer that `save` wrote to `path`, of the same `classifier` (and own `decoder`).

        Raises CladecError for a file that is none of these, or another classifier.
        """
        try:
            with safetensors.safe_open(str(path), "pt") as file:
                facts = json.loads((file.metadata() or {})["cladec"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
            raise CladecError(f"{path} is no explainer that `save` has written ({error}).") from error
        if facts["kind"] != cls.kind:
            raise CladecError(
                f"{path} holds a {facts['kind']}, no {cls.kind}; load it with cu.{facts['kind']}."
            )
        if facts["own_decoder"] and decoder is None:
            raise CladecError(f"{path} was fitted with a decoder of your own; give it as `decoder=`.")
        options = {
            name: facts[name]
            for name in ("neurons", "width", "norm", *cls(classifier, facts["layer"])._facts())
        }
        found = cls(classifier, facts["layer"], decoder=decoder, **options)
        if found._classifier_mark() != facts["classifier"]:
            raise CladecError(f"{path} was fitted to another classifier than the one given; load that one.")
        found.restore(tensors, tuple(facts["image_shape"]), facts["seed"])
        found.train_spec, found.curves = TrainSpec(**facts["training"]), facts["curves"]
        return found


def _check(labels: Tensor | None, count: int, updates: int | None, minutes: float | None) -> None:
    if updates is not None and minutes is not None:
        raise CladecError(f"updates is {updates} and minutes is {minutes}; give one of them.")
    if minutes is not None and not minutes > 0:
        raise CladecError(f"minutes is {minutes}; it must be above 0.")
    if labels is not None and (labels.shape != (count,) or labels.is_floating_point()):
        raise CladecError(
            f"{count} images need as many integer labels, but the labels are {labels.dtype} of shape "
            f"{tuple(labels.shape)}; None takes the classifier's own decisions."
        )
