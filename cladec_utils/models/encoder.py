"""A classifier up to a layer: its activations, and the gradients that reach them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cladec_utils.engine.device import best_device, random_kept
from cladec_utils.errors import CladecError
from cladec_utils.models.layers import check_neurons, find_layer
from cladec_utils.models.modules import copied, lay_out

NO_GRADIENT = "take torch.no_grad, detach or argmax out of the classifier's forward."
"""The way out where gradients end."""


class _StopError(Exception):
    """Raised by the hook to stop the forward pass at the layer."""


def private(classifier: nn.Module, device: torch.device | None = None) -> nn.Module:
    """A frozen copy in evaluation mode, on `device` (None: the best one), that hooks may be put on; its
    activations are not in-place: they would overwrite what a hook on the layer before them wants to see. Nor
    can it change its images (see `modules.copied`). Raises CladecError for what cannot be copied."""
    mine = copied(classifier, "classifier").to(device or best_device()).eval().requires_grad_(False)
    for part in mine.modules():
        if getattr(part, "inplace", False):
            part.inplace = False
    return mine


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


def check_gradient(classifier: nn.Module, image_shape: tuple[int, int, int]) -> None:
    """Raises CladecError unless gradients of a classifier's logits reach its image."""
    first = next(classifier.parameters(), torch.zeros(()))
    image = torch.zeros(2, *image_shape, device=first.device, requires_grad=True)
    with torch.enable_grad(), random_kept():
        logits = classifier(image)
    if not logits.requires_grad:
        raise CladecError(f"At alpha > 0 gradients of the logits must reach the image; {NO_GRADIENT}")


class Encoder(nn.Module):
    """A classifier up to a named layer, or to a subset of that layer's neurons (PAPER.md, L(X)).

    (N, C, H, W) images -> (N, K, ...) activations, channels first whatever the layer's layout, K =
    len(neurons) or all. `layout` None finds it (see `find_layer`). The forward pass stops at the layer, so
    nothing behind it is computed, and nothing behind it (an in-place ReLU, say) can change what is
    returned. A layer that runs more than once per image is not offered."""

    def __init__(
        self,
        classifier: nn.Module,
        layer: str,
        image_shape: tuple[int, int, int],
        neurons: Sequence[int] | None = None,
        layout: str | None = None,
    ) -> None:
        super().__init__()
        found = find_layer(classifier, layer, image_shape, layout)
        lay_out(classifier, torch.zeros(2, *image_shape))
        self.classifier = classifier
        self.layer, self.layout = found.name, found.layout
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
        return self.chosen(caught[0])

    def chosen(self, activation: Tensor) -> Tensor:
        """Of an activation (or of a gradient for it) as the layer gives it, channels first, the neurons."""
        found = self.layout.channels_first(activation)
        return found if self.neurons is None else found[:, list(self.neurons)]
