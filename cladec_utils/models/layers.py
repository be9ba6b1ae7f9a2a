"""Layers by name: what can be explained, its shape and its layout."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from cladec_utils.engine.device import random_kept
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


CHANNELS_FIRST = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
"""What gives maps with channels first however it is computed."""


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


def check_classifier(classifier: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """The number of logits that a classifier gives; raises CladecError if it does not take images of that
    shape, or gives no logits (N, 2 or more)."""
    run(classifier, image_shape)
    lay_out(classifier, torch.zeros(2, *image_shape))
    return check_outputs(classifier, image_shape, 2)
