"""What users give to explainers: numbers, labels, classes, devices and decoders, checked and made usable.

Each function returns what the kit computes with, or raises CladecError.
"""

import math
from collections.abc import Iterable, Mapping, Set
from numbers import Real

import numpy as np
import torch
from torch import Tensor, nn

from cladec_utils.data.splits import checked_images
from cladec_utils.engine.device import best_device, random_kept
from cladec_utils.errors import CladecError
from cladec_utils.models.modules import lay_out, other_precision

LARGEST_SEED = 2**63 - 1
FAR = 10.0
"""Standard deviation of the activations that a decoder is tried with: unless bounded, it leaves [0, 1]
there."""


def integers(value: object) -> Tensor | None:
    """An int, a list, an array or a tensor of integers as int64 on the CPU; None for anything else, such as
    floats, truth values, text, and what has no order."""
    try:
        if isinstance(value, Mapping | Set):
            return None
        if isinstance(value, Iterable) and not isinstance(value, Tensor | np.ndarray | str | bytes):
            value = list(value)
        found = value.detach().cpu() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    whole = found.dtype != torch.bool and not found.is_floating_point() and not found.is_complex()
    return found.long() if whole or not found.numel() else None


def whole_number(name: str, value: object, least: int = 1, most: int = LARGEST_SEED) -> int:
    """`value` as an int from `least` to `most`."""
    found = integers(value)
    if found is None or found.dim() or not least <= int(found) <= most:
        allowed = f"of at least {least}" if most == LARGEST_SEED else f"from {least} to {most}"
        raise CladecError(f"{name} is {_shown(value)}; it must be a whole number {allowed}.")
    return int(found)


def positive(name: str, value: object) -> float:
    """`value` as a float above 0."""
    good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    if not good:
        raise CladecError(f"{name} is {_shown(value)}; it must be a number above 0.")
    return float(value)


def _shown(value: object) -> str:
    """A value in a sentence: its type and shape where it is an array, its beginning where it is long."""
    if isinstance(value, Tensor | np.ndarray) and value.ndim:
        return f"{value.dtype} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def checked_neurons(neurons: object) -> tuple[int, ...] | None:
    """Indices of neurons as a tuple of ints; None stays None. `layers.check_neurons` knows the layer."""
    if neurons is None:
        return None
    found = integers(neurons)
    if found is None or found.dim() != 1:
        raise CladecError(
            f"neurons is {_shown(neurons)}; it must be None or indices, such as (0, 3). Of a mask give "
            "mask.nonzero().flatten()."
        )
    return tuple(found.tolist())


def checked_labels(labels: object, count: int, classes: int) -> Tensor:
    """`labels` of `count` images as int64 (count,), each below `classes`."""
    found = integers(labels)
    if found is None or found.shape != (count,):
        raise CladecError(
            f"{count} images need as many integer labels, but the labels are {_shown(labels)}; "
            "None takes the classifier's own decisions."
        )
    return _in_range("Label", found, classes)


def checked_targets(target: object, count: int, classes: int) -> Tensor:
    """A class, or one for each of `count` images, as int64 (count,), each below `classes`."""
    found = integers(target)
    if found is not None and not found.dim():
        found = found.expand(count)
    if found is None or found.shape != (count,):
        raise CladecError(
            f"target is {_shown(target)}; it must be a class (a whole number), one for each of the {count} "
            "images, or None for the classifier's decisions."
        )
    return _in_range("Target", found, classes)


def _in_range(what: str, found: Tensor, classes: int) -> Tensor:
    bad = found[(found < 0) | (found >= classes)]
    if len(bad):
        raise CladecError(
            f"{what} {int(bad[0])} is out of range: the classifier gives {classes} logits, numbered 0 to "
            f"{classes - 1}."
        )
    return found


def checked_budget(
    updates: object, minutes: object, threads: object
) -> tuple[int | None, float | None, int | None]:
    """At most one of `updates` and `minutes`, and the `threads`."""
    if updates is not None and minutes is not None:
        raise CladecError(f"updates is {updates} and minutes is {minutes}; give one of them.")
    return (
        None if updates is None else whole_number("updates", updates),
        None if minutes is None else positive("minutes", minutes),
        None if threads is None else whole_number("threads", threads),
    )


def checked_device(device: object) -> torch.device:
    """The device that is meant, if this machine has it; None is the best one."""
    if device is None:
        return best_device()
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError):
        found = None
    gpus = torch.cuda.device_count()
    if found is not None and (found.type == "cpu" or (found.type == "cuda" and (found.index or 0) < gpus)):
        return found
    there = f"'cuda' (torch sees {gpus} GPUs)" if gpus else "no GPU, as torch sees none"
    raise CladecError(f"device is {device!r}; here it can be None, 'cpu' or {there}.")


def checked_shape(images: object, shape: tuple[int, ...], kind: str) -> Tensor:
    """Images (N, C, H, W) of the `shape` (C, H, W) that a thing of that `kind` was fitted to."""
    images = checked_images(images, whole=False)
    if tuple(images.shape[1:]) != shape:
        raise CladecError(
            f"The images are {tuple(images.shape[1:])} (channels, height, width), but this {kind} "
            f"was fitted to images of {shape}; resize them, or fit another."
        )
    return images


def checked_validation(
    validation: object, shape: tuple[int, ...], classes: int, kind: str
) -> tuple[Tensor, Tensor] | None:
    """Images and labels to validate with; None if there are none."""
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise CladecError(f"validation is {_shown(validation)}; it must be a pair of images and labels.")
    images, labels = validation
    if isinstance(images, Tensor) and not images.numel():
        return None
    images = checked_shape(images, shape, kind)
    return images, checked_labels(labels, len(images), classes)


def check_decoder(
    decoder: nn.Module, activation_shape: tuple[int, ...], image_shape: tuple[int, ...]
) -> None:
    """Raises CladecError unless the decoder, on the CPU, draws an image of that shape, floats in [0, 1], for
    each activation."""
    if wrong := other_precision(decoder, "decoder"):
        raise wrong
    random = torch.Generator().manual_seed(0)
    codes = FAR * torch.randn((2, *activation_shape), generator=random)
    try:
        with torch.no_grad(), random_kept():
            drawn = decoder.eval()(codes)
    except (RuntimeError, AssertionError, ValueError, TypeError, LookupError) as error:
        raise CladecError(
            f"The decoder does not take activations of shape {tuple(activation_shape)}, float32, in batches: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(drawn, Tensor) or not drawn.is_floating_point():
        found = drawn.dtype if isinstance(drawn, Tensor) else f"a {type(drawn).__name__}"
        raise CladecError(f"The decoder gives {found}; it must give a tensor of floats, the images.")
    if tuple(drawn.shape[1:]) != image_shape:
        raise CladecError(f"The decoder draws {tuple(drawn.shape[1:])} for images of {image_shape}.")
    if len(drawn) != 2:
        raise CladecError(f"The decoder draws {len(drawn)} images for 2 activations.")
    if not (drawn.min() >= 0 and drawn.max() <= 1):
        raise CladecError(
            f"The decoder draws pixels from {drawn.min():.3g} to {drawn.max():.3g}; they must be in [0, 1]: "
            "let it end in a sigmoid."
        )
    lay_out(decoder, codes)


def check_trainable(decoder: nn.Module) -> None:
    """Raises CladecError for a decoder without a weight that may be trained."""
    if not any(weight.requires_grad for weight in decoder.parameters()):
        raise CladecError(
            "The decoder has no weights that may be trained; if they are frozen, call its requires_grad_()."
        )
