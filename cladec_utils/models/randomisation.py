"""Cascading randomisation: a trained classifier of which all from a layer on is drawn anew."""

from torch import nn

from cladec_utils.models.layers import find_layer, run
from cladec_utils.models.references import reinitialise


def randomise(classifier: nn.Module, down_to: str, image_shape: tuple[int, int, int]) -> list[nn.Module]:
    """Draw the weights of the layer `down_to`, and of all that begin to run after it, anew, in place.

    Returns the parts, without children, that run from there on. A part that began before it and goes on (what
    the layer is in) keeps what weights it has beside its parts. Raises CladecError for an unknown layer, or
    weights that cannot be drawn (see `reinitialise`).
    """
    layer = classifier.get_submodule(find_layer(classifier, down_to, image_shape).name)
    begun: dict[nn.Module, int] = {}

    def begin(part: nn.Module, _arguments: tuple) -> None:
        begun.setdefault(part, len(begun))

    handles = [part.register_forward_pre_hook(begin) for part in classifier.modules()]
    try:
        run(classifier, image_shape)
    finally:
        for handle in handles:
            handle.remove()
    later = {part for part, place in begun.items() if place >= begun[layer]}
    parts: dict[nn.Module, None] = {}  # in order, each once
    for part in classifier.modules():
        if part in later and part not in parts:
            reinitialise(part)
            parts |= dict.fromkeys(part.modules())
    return [part for part in parts if not list(part.children())]
