"""Layers by name: list what can be explained, and cut a classifier into an encoder at a layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cladec_utils.engine.device import best_device, random_kept
from cladec_utils.errors import CladecError, choose
from cladec_utils.models.architectures import check_outputs, reinitialise
from cladec_utils.models.given import checked_neurons, copied


@dataclass(frozen=True)
class Layer:
    """A layer that can be explained: its name, its type and the shape of one image's activation."""

    name: str
    type: str
    shape: tuple[int, ...]

    @property
    def neurons(self) -> int:
        """Number of channels of a map, or of units of a vector: what a neuron subset indexes."""
        return self.shape[0]


NO_GRADIENT = "take torch.no_grad, detach or argmax out of the classifier's forward."
"""The way out where gradients end."""


class _StopError(Exception):
    """Raised by the hook to stop the forward pass at the layer."""


def list_layers(classifier: nn.Module, image_shape: tuple[int, int, int]) -> list[Layer]:
    """All named modules that run exactly once and give one tensor per image, in order of execution.

    `image_shape` is (C, H, W). The classifier is run once on a black image in evaluation mode and
    left as it was, as are the caller's random numbers. Raises CladecError if it does not take such images.
    """
    seen: dict[str, list[Layer]] = {}

    def record(name: str, kind: str):
        def hook(_module, _args, output) -> None:
            good = isinstance(output, Tensor) and output.is_floating_point() and output.dim() >= 2
            found = [Layer(name, kind, tuple(output.shape[1:]))] if good and output.shape[0] == 2 else []
            seen[name] = [*seen.get(name, []), *(found or [Layer(name, kind, ())])]

        return hook

    handles = [
        m.register_forward_hook(record(n, type(m).__name__)) for n, m in classifier.named_modules() if n
    ]
    was_training = {m: m.training for m in classifier.modules()}
    first = next(classifier.parameters(), torch.zeros(()))
    try:
        with torch.no_grad(), random_kept():  # a network of the user's may draw
            classifier.eval()(torch.zeros(2, *image_shape, device=first.device))
    except (RuntimeError, AssertionError, ValueError, TypeError, LookupError) as error:
        raise CladecError(
            f"The classifier does not take images of shape {image_shape} (channels, height, width), float32, "
            f"in batches: {type(error).__name__}: {error}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in was_training.items():
            module.training = mode
    return [calls[0] for calls in seen.values() if len(calls) == 1 and calls[0].shape]


def find_layer(classifier: nn.Module, layer: str, image_shape: tuple[int, int, int]) -> Layer:
    """The layer called `layer`; raises CladecError with the nearest name and the list otherwise."""
    layers = {found.name: found for found in list_layers(classifier, image_shape)}
    return layers[choose(layer, layers, "layer")]


def check_neurons(neurons: Sequence[int] | None, layer: Layer) -> tuple[int, ...] | None:
    """`neurons` as a tuple of distinct indices into `layer`, or None for all of them.

    Raises CladecError for an empty subset, a repeated index or one outside 0..layer.neurons - 1.
    """
    indices = checked_neurons(neurons)
    if indices is None:
        return None
    if not indices:
        raise CladecError(f"The neuron subset of layer {layer.name!r} is empty; name at least one index.")
    bad = [i for i in indices if not 0 <= i < layer.neurons]
    if bad:
        raise CladecError(
            f"Neuron {bad[0]} is out of range: layer {layer.name!r} has {layer.neurons} neurons, "
            f"numbered 0 to {layer.neurons - 1}."
        )
    if len(set(indices)) < len(indices):
        raise CladecError(f"The neuron subset {list(indices)} of layer {layer.name!r} names an index twice.")
    return indices


def randomise(classifier: nn.Module, down_to: str, image_shape: tuple[int, int, int]) -> list[nn.Module]:
    """Draw the weights of the layer `down_to`, and of all that run after it, anew, in place.

    Returns the parts, without children, that run from there on. Raises CladecError for an unknown layer
    or a part with weights but no `reset_parameters`.
    """
    find_layer(classifier, down_to, image_shape)
    order = [layer.name for layer in list_layers(classifier, image_shape)]
    later = {classifier.get_submodule(name) for name in order[order.index(down_to) :]}
    later |= set(classifier.get_submodule(down_to).modules())
    # A container may end late and yet begin before the layer: only parts without children are drawn.
    parts = [part for part in classifier.modules() if part in later and not list(part.children())]
    for part in parts:
        reinitialise(part)
    return parts


def activation_and_gradient(
    classifier: nn.Module, layer: str, images: Tensor, targets: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The activation of `layer` and the gradient of each image's target logit with respect to it.

    `targets` (N,) None: the predicted classes. Both are detached, (N, K, ...), on the images' device. Raises
    CladecError where no gradient reaches the layer.
    """
    caught: list[Tensor] = []

    def catch(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        caught.append(output.detach().requires_grad_())
        return caught[-1].clone()  # so that an in-place ReLU behind the layer cannot change what we hold

    handle = classifier.get_submodule(layer).register_forward_hook(catch)
    try:
        with torch.enable_grad():
            logits = classifier(images)
            wanted = logits.argmax(1) if targets is None else targets
            score = logits.gather(1, wanted[:, None]).sum()
            (gradient,) = (
                torch.autograd.grad(score, caught[0], allow_unused=True) if score.requires_grad else (None,)
            )
    finally:
        handle.remove()
    if gradient is None:
        raise CladecError(f"No gradient of the classifier's logits reaches {layer!r}; {NO_GRADIENT}")
    return caught[0].detach(), gradient


def check_classifier(classifier: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """The number of logits that a classifier gives; raises CladecError if it does not take images of that
    shape, or gives no logits (N, 2 or more)."""
    list_layers(classifier, image_shape)
    return check_outputs(classifier, image_shape, 2)


def check_gradient(classifier: nn.Module, image_shape: tuple[int, int, int]) -> None:
    """Raises CladecError unless gradients of a classifier's logits reach its image."""
    first = next(classifier.parameters(), torch.zeros(()))
    image = torch.zeros(2, *image_shape, device=first.device, requires_grad=True)
    with torch.enable_grad(), random_kept():
        logits = classifier(image)
    if not logits.requires_grad:
        raise CladecError(f"At alpha > 0 gradients of the logits must reach the image; {NO_GRADIENT}")


def private(classifier: nn.Module, device: torch.device | None = None) -> nn.Module:
    """A frozen copy in evaluation mode, on `device` (None: the best one), that hooks may be put on; its
    activations are not in-place: they would overwrite what a hook on the layer before them wants to see. Nor
    can it change its images (see `given.copied`). Raises CladecError for what cannot be copied."""
    mine = copied(classifier, "classifier").to(device or best_device()).eval().requires_grad_(False)
    for part in mine.modules():
        if getattr(part, "inplace", False):
            part.inplace = False
    return mine


class Encoder(nn.Module):
    """A classifier up to a named layer, or to a subset of that layer's neurons (PAPER.md, L(X)).

    (N, C, H, W) images -> (N, K, ...) activations, K = len(neurons) or all. The forward pass stops
    at the layer, so nothing behind it is computed, and nothing behind it (an in-place ReLU, say) can
    change what is returned. A layer that runs more than once per image is not offered.
    """

    def __init__(
        self,
        classifier: nn.Module,
        layer: str,
        image_shape: tuple[int, int, int],
        neurons: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        found = find_layer(classifier, layer, image_shape)
        self.classifier = classifier
        self.layer = layer
        self.neurons = check_neurons(neurons, found)
        count = found.neurons if self.neurons is None else len(self.neurons)
        self.activation_shape = (count, *found.shape[1:])

    def forward(self, images: Tensor) -> Tensor:
        caught: list[Tensor] = []

        def stop(_module, _args, output: Tensor) -> None:
            caught.append(output)
            raise _StopError

        handle = self.classifier.get_submodule(self.layer).register_forward_hook(stop)
        try:
            self.classifier(images)
        except _StopError:
            pass
        finally:
            handle.remove()
        return caught[0] if self.neurons is None else caught[0][:, list(self.neurons)]
