"""The choices that a study is opened with: each is checked at once, with a sentence about what is wrong."""

import itertools
import operator
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from torch import nn

from cladec_utils.errors import CladecError, choose
from cladec_utils.models.autoencoders import check_alpha
from cladec_utils.models.hints import hint
from cladec_utils.models.layers import Layer, find_layer, list_layers
from cladec_utils.models.outputs import checked_classes

LARGEST_SEED = 10**18
"""Seeds are added to and drawn from; numbers in tables and of generators end at 2**63."""


def check_profile(profile: object) -> str | os.PathLike[str] | None:
    """What names a profile; raises CladecError unless it is text or a path, or None."""
    if not isinstance(profile, str | os.PathLike | None):
        raise CladecError(
            f"The profile is {profile!r}; it must be a name, such as quick, or the path of a .toml file."
        )
    return profile


def check_layers(layers: object) -> list[str] | None:
    """Layers as a list; None where none is named. Raises CladecError for what is no list of names, and for a
    name that is there twice."""
    if layers is None:
        return None
    found = [layers] if isinstance(layers, str) else _listed("layers", layers, "['block4', 'logits']")
    for name in found:
        if not isinstance(name, str):
            raise CladecError(f"The layers are {found}; each must be a name in quotes, such as 'logits'.")
        if found.count(name) > 1:
            raise CladecError(f"The layers are {found}; {name!r} is there twice, name it once.")
    return found


def check_classes(classes: object, names: Sequence[str], own: bool) -> tuple[int, ...] | None:
    """The outputs of a classifier that the data's classes, called `names`, mean, in this order; None where
    nobody says. Raises CladecError unless there is one for each and the classifier is the user's `own`."""
    if classes is not None and not own:
        raise CladecError("classes are outputs of a classifier of yours; the kit's has those of the data.")
    given = classes
    if isinstance(classes, Mapping):
        for name in (*map(str, classes), *names):
            choose(name, names, "class of the data")
            choose(name, classes, "class of the data in classes")
        given = [classes[name] for name in names]
    found = checked_classes(given)
    if found is not None and len(found) != len(names):
        raise CladecError(
            f"classes names {len(found)} outputs, but the data have {len(names)} classes: "
            f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}; name one for each, in this order."
        )
    return found


def in_order(
    network: nn.Module, image_shape: tuple[int, int, int], names: Sequence[str] | None
) -> tuple[list[Layer], tuple[str, ...]]:
    """The named layers in the order in which they run, and the names of those that give the logits: the last
    one, and what has its shape just before it, as a container runs with its last part. Raises
    CladecError where none is named."""
    known = list_layers(network, image_shape)
    if not names:
        every = ", ".join(layer.name for layer in known)
        first = f"Name the layers to explain. {hint(network, image_shape)}"
        raise CladecError(f"{first} This classifier has: {every}.")
    wanted = {find_layer(network, name, image_shape).name for name in names}
    last = itertools.takewhile(lambda layer: layer.shape == known[-1].shape, reversed(known))
    return [layer for layer in known if layer.name in wanted], tuple(layer.name for layer in last)


def check_alphas(alphas: object) -> tuple[float, ...]:
    """The alphas of the sweep; raises CladecError unless they are different numbers from 0 to 1."""
    given = _listed("alphas", alphas, "[0, 0.5, 0.9]")
    found = tuple(map(check_alpha, given))
    if not found or len(set(found)) < len(found):
        raise CladecError(f"The alphas are {given}; they must be one or more different numbers.")
    return found


def check_seeds(seeds: object) -> tuple[int, ...] | None:
    """Seeds as integers, or None; raises CladecError unless they are different ones up to LARGEST_SEED."""
    if seeds is None:
        return None
    given = _listed("seeds", seeds, "[0, 1, 2]")
    found = tuple(map(_whole, given))
    good = all(seed is not None and 0 <= seed <= LARGEST_SEED for seed in found)
    if not (good and found) or len(set(found)) < len(found):
        raise CladecError(
            f"The seeds are {given}; they must be one or more different integers from 0 up, at most "
            f"{LARGEST_SEED}."
        )
    return found


def _listed(what: str, given: Any, such_as: str) -> list[Any]:
    """What has an order as a list."""
    try:
        if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping | Set):
            raise TypeError
        return list(given)
    except TypeError:
        raise CladecError(f"The {what} are {given!r}; they must be a list, such as {such_as}.") from None


def _whole(number: Any) -> int | None:
    """An integer of Python, numpy or torch; None for another thing, True among them."""
    try:
        return None if isinstance(number, bool) else operator.index(number)
    except (TypeError, ValueError, RuntimeError):
        return None
