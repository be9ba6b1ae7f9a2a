"""Layers by name: list what can be explained, and cut a classifier into an encoder at a layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from cladec_utils.engine.device import best_device, random_kept
from cladec_utils.errors import CladecError, choose
from cladec_utils.models.architectures import check_outputs
from cladec_utils.models.axes import Following
from cladec_utils.models.given import checked_neurons
from cladec_utils.models.layouts import (
    ORDERS,
    UNKNOWN,
    Layout,
    batch_axis,
    decide,
    order_of,
    probe_images,
)
from cladec_utils.models.modules import (
    NO_LAYERS,
    check_output,
    checked_module,
    copied,
    lay_out,
    not_offered,
    not_taken,
    plain,
    plain_name,
)


@dataclass(frozen=True)
class Layer:
    """A layer that can be explained: its name, its type, the shape of one image's activation with channels
    first, and the layout in which the layer gives it (see `layouts`)."""

    name: str
    type: str
    shape: tuple[int, ...]
    layout: Layout

    @property
    def neurons(self) -> int:
        """Number of channels of a map or of tokens, or of units of a vector: what a neuron subset indexes."""
        return self.shape[0]


NO_GRADIENT = "take torch.no_grad, detach or argmax out of the classifier's forward."
"""The way out where gradients end."""


CHANNELS_FIRST = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
"""What gives maps with channels first however it is computed."""


class _StopError(Exception):
    """Raised by the hook to stop the forward pass at the layer."""


Call = tuple[str, tuple[int, ...], str]
"""Of a module's output: the type of the module, the shape (empty: no tensor of floats) and the order."""


def list_layers(classifier: nn.Module, image_shape: tuple[int, int, int]) -> list[Layer]:
    """All named modules that run exactly once and give one tensor per image, in order of execution.

    `image_shape` is (C, H, W). The classifier is run on a black image in evaluation mode, and once more on
    textures where layouts are to be found, and left as it was, as are the caller's random numbers. Where
    a layout cannot be found its order is "?". Raises CladecError if it does not take such images, gives no
    tensor, has no modules inside, or is no module that can be looked into.
    """
    classifier = plain(classifier)
    ran = run(classifier, image_shape)
    if not list(classifier.children()):
        raise CladecError(NO_LAYERS)
    calls = {name: found[0] for name, found in ran.items() if len(found) == 1}
    calls = {name: call for name, call in calls.items() if call[1]}
    unsure = [name for name, (_, _, order) in calls.items() if order in (UNKNOWN, "TC", "TNC")]
    layouts = {name: Layout(order) for name, (_, _, order) in calls.items()}
    if unsure:
        layouts |= _probed(classifier, image_shape, {name: calls[name] for name in unsure})
    return [
        Layer(name, kind, layouts[name].shape(shape), layouts[name])
        for name, (kind, shape, _) in calls.items()
        if name in layouts and shape[layouts[name].batch] == 2
    ]


def run(classifier: nn.Module, image_shape: tuple[int, int, int]) -> dict[str, list[Call]]:
    """What each named module gave for two black images, call by call, in order of execution. Raises
    CladecError if the classifier does not take such images."""
    classifier = checked_module(plain(classifier), "classifier")
    seen: dict[str, list[Call]] = {}
    images = torch.zeros(2, *image_shape, device=_device(classifier))
    following = Following(images)

    def note(name: str, module: nn.Module, output: object) -> None:
        good = isinstance(output, Tensor) and output.is_floating_point() and output.dim() >= 2
        shape = tuple(output.shape) if good and 2 in output.shape[:2] else ()
        if len(shape) == 4 and isinstance(module, CHANNELS_FIRST):
            following.mark(output, "NCHW")
        order = order_of(following.meanings(output)) if shape else UNKNOWN
        order = "C" if order == UNKNOWN and len(shape) not in (3, 4) else order
        seen[name] = [*seen.get(name, []), (type(module).__name__, shape, order)]

    try:
        with following:
            output = _watched(classifier, images, note)
    except (RuntimeError, AssertionError, ValueError, TypeError, LookupError) as error:
        raise not_taken(classifier, image_shape, error) from error
    check_output(output)
    return seen


def _device(classifier: nn.Module) -> torch.device:
    return next(classifier.parameters(), torch.zeros(())).device


def _watched(classifier: nn.Module, images: Tensor, note: Callable[[str, nn.Module, object], None]) -> object:
    """What the classifier gives for images in evaluation mode; `note(name, module, output)` after each
    module."""
    handles = [
        module.register_forward_hook(lambda m, _, output, name=name: note(name, m, output))
        for name, module in classifier.named_modules()
        if name
    ]
    was_training = {m: m.training for m in classifier.modules()}
    try:
        with torch.no_grad(), random_kept():  # a network of the user's may draw
            return classifier.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in was_training.items():
            module.training = mode


def _probed(
    classifier: nn.Module, image_shape: tuple[int, int, int], calls: dict[str, Call]
) -> dict[str, Layout]:
    """The layouts of some layers on images with a patch; of what gives no activation per image none. Tokens
    behind an attention over all of the image stand where as many others stand."""
    found: dict[str, Layout] = {}

    def note(name: str, _module: nn.Module, output: object) -> None:
        if name in calls:
            batch = batch_axis(calls[name][1], tuple(output.shape))
            if batch is not None:
                found[name] = decide(output, image_shape, batch, calls[name][2])

    try:
        _watched(classifier, probe_images(image_shape).to(_device(classifier)), note)
    except (RuntimeError, AssertionError, ValueError, TypeError, LookupError):
        return {name: Layout(order) for name, (_, _, order) in calls.items()}  # it takes two images alone
    grids = {layout.tokens: layout for layout in found.values() if layout.grid}
    for name, layout in found.items():
        like = grids.get(calls[name][1][1 - layout.batch]) if layout.order in ("TC", "TNC") else None
        if like and not layout.grid:
            found[name] = replace(layout, grid=like.grid, apart=like.apart)
    return found


def find_layer(
    classifier: nn.Module, layer: str, image_shape: tuple[int, int, int], layout: str | None = None
) -> Layer:
    """The layer called `layer`, in the `layout` that was found or, if one is given, in that (see ORDERS).

    Raises CladecError with the nearest name and the list for an unknown layer, and where the layout cannot be
    found or cannot be the one given.
    """
    layers = {found.name: found for found in list_layers(classifier, image_shape)}
    modules = dict(plain(classifier).named_modules())
    layer = plain_name(layer, modules)
    if layer and layer in modules and layer not in layers:
        raise not_offered(layer, modules[layer], run(classifier, image_shape).get(layer, []))
    found = layers[choose(layer, layers, "layer")]
    known = found.layout.order
    shape = run(classifier, image_shape)[layer][0][1] if layout or known == UNKNOWN else ()
    allowed = [order for order, axes in ORDERS.items() if axes == len(shape)]
    if layout is None and known == UNKNOWN:
        raise CladecError(
            f"{layer!r} gives two images the shape {shape}; which axis are channels could not be found. Say "
            f"layout={' or '.join(map(repr, allowed))} to ClaDec and RefAE (C channels, H and W rows and "
            "columns, T tokens, N images)."
        )
    if layout is None or layout == known:
        return found
    choose(layout, allowed, f"layout for {layer!r}, which gives two images the shape {shape},")
    given = _probed(plain(classifier), image_shape, {layer: (found.type, shape, layout)})[layer]
    return replace(found, shape=given.shape(shape), layout=given)


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
    run(classifier, image_shape)
    lay_out(classifier, torch.zeros(2, *image_shape))
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
