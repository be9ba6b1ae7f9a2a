"""Which of many layers to take, and what their reference can be."""

from collections.abc import Sequence

from torch import nn

from cladec_utils.models.encoder import Encoder
from cladec_utils.models.layers import Layer, list_layers
from cladec_utils.models.modules import copied, plain
from cladec_utils.models.references import why_not

FEWEST = 3
"""Layers side by side that make stages: an early, a middle and a late one."""


def reference_of(
    classifier: nn.Module, layer: str, image_shape: tuple[int, int, int], neurons: Sequence[int] | None = None
) -> str:
    """Why a RefAE of that layer has a generic encoder; empty if the classifier's architecture can be one."""
    return why_not(Encoder(copied(classifier, "classifier").cpu(), layer, image_shape, neurons), image_shape)


def stages(classifier: nn.Module, image_shape: tuple[int, int, int]) -> list[str]:
    """Up to three names of layers, an early, a middle and a late one, in the order in which they run.

    They are taken from the outermost modules that stand side by side, have weights, and are not the logits:
    from those with parts of their own, where there are enough of them.
    """
    found = list_layers(classifier, image_shape)
    modules = dict(plain(classifier).named_modules())
    inner = [layer for layer in found if layer.shape != found[-1].shape] or found
    weighty = [layer for layer in inner if list(modules[layer.name].parameters())] or inner
    depths = range(1, 1 + max(layer.name.count(".") + 1 for layer in weighty))
    levels = [[layer for layer in weighty if layer.name.count(".") + 1 == depth] for depth in depths]
    blocks = [[layer for layer in level if list(modules[layer.name].children())] for level in levels]
    for side_by_side, fewest in ((blocks, FEWEST), (levels, 2)):
        for level in side_by_side:
            if len(level) >= fewest:
                return _three(level)
    return _three(weighty)


def _three(layers: Sequence[Layer]) -> list[str]:
    places = (len(layers) // 6, len(layers) // 2, len(layers) - 1)
    return list(dict.fromkeys(layers[place].name for place in places))


def hint(classifier: nn.Module, image_shape: tuple[int, int, int]) -> str:
    """Which layers to begin with, and whether RefAE can have the classifier's architecture, in a sentence."""
    names = stages(classifier, image_shape)
    reason = reference_of(classifier, names[-1], image_shape)
    taken = ", ".join(repr(name) for name in names)
    what = "an early, a middle and a late layer: " if len(names) == FEWEST else ""
    return f"Begin with {what}{taken}. RefAE: " + (
        f"possible with a generic encoder alone. {reason}"
        if reason
        else "possible with the classifier's architecture."
    )
