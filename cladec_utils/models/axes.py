"""What the axes of activations mean, followed from the image through torch's calls.

An axis is a tuple of parts (what, size), as reshaping joins and cuts axes: `N` counts images, `C` channels,
`H` rows, `W` columns, `T` tokens or other places in a row. Calls that are on no list here keep the axes of
an input of the same shape; of anything else nothing is known, and nothing is guessed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

Axis = tuple[tuple[str, int], ...]
Axes = tuple[Axis, ...]

_CHANNELS_FIRST = {
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("batch_norm", "group_norm", "instance_norm"),
}
"""Calls that by their definition have the channels behind the batch."""
_REARRANGES = {
    *("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT"),
    *("select", "__getitem__", "mean", "sum", "amax", "amin", "prod"),
}
"""Calls whose outcome is read from what they do to a tensor whose axes can be told apart by their sizes."""
_RESHAPES = {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"}
_RESIZES = {"interpolate", "upsample", "pad", "cat", "concat", "concatenate", "pixel_shuffle", "narrow"}
"""Calls that change sizes but no meanings, as all pools do."""
_SIZES = (1009, 1013, 1019, 1021, 1031, 1033)
_BY_AXES = {3: "NCT", 4: "NCHW"}


class Following(TorchFunctionMode):
    """While it is entered, the axes of all that comes of `images` (N, C, H, W) are followed."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._of = WeakIdKeyDictionary()
        self.mark(images, "NCHW")

    def meanings(self, tensor: Tensor) -> str | None:
        """A letter for each axis of a tensor, "." for one that joins channels or images with others; None if
        nothing is known of it."""
        axes = self._of.get(tensor)
        return None if axes is None else "".join(map(_meaning, axes))

    def __torch_function__(
        self, func: Callable, types: Sequence, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [
            x for a in args for x in (a if isinstance(a, tuple | list) else [a]) if isinstance(x, Tensor)
        ]
        given += [x for x in (kwargs or {}).values() if isinstance(x, Tensor)]
        if given:
            name = getattr(func, "__name__", "")
            name = getattr(func.__self__, "__name__", name) if name == "__get__" else name  # x.T, x.mT
            name = name if name.endswith("__") else name.rstrip("_")  # in place or not
            for each in result if isinstance(result, tuple | list) else (result,):
                if isinstance(each, Tensor) and each.dim():
                    found = self._found(name, func, args, kwargs or {}, given, each)
                    if found is not None:
                        self._of[each] = found
        return result

    def mark(self, tensor: Tensor, letters: str) -> None:
        """Say what the axes of a tensor are, where that is known otherwise."""
        self._of[tensor] = tuple(((a, n),) for a, n in zip(letters, tensor.shape, strict=True))

    def _found(  # noqa: PLR0911 - one line for each kind of call
        self, name: str, func: Callable, args: tuple, kwargs: Mapping, given: list[Tensor], out: Tensor
    ) -> Axes | None:
        shape = tuple(out.shape)
        if name in _CHANNELS_FIRST:
            letters = _BY_AXES.get(out.dim())
            return letters and tuple(((a, n),) for a, n in zip(letters, shape, strict=True))
        known = [(x, self._of[x]) for x in given if x in self._of]
        if not known:
            return None
        x, axes = known[0]
        if name == "linear":  # of places alone it mixes these, of all else it makes channels
            last = _meaning(axes[-1]) if _meaning(axes[-1]) in "HWT" else "C"
            return (*axes[:-1], ((last, shape[-1]),)) if x is given[0] else None
        if name == "einsum":
            return None  # it may exchange axes of equal size
        if name in _REARRANGES:
            return _rearranged(axes, func, args, kwargs, shape) if x is given[0] else None
        if name in _RESHAPES:
            return _reshaped(axes, shape)
        if name in _RESIZES or "pool" in name:
            return _resized(axes, shape)
        return next((axes for x, axes in known if tuple(x.shape) == shape), None)


def _meaning(axis: Axis) -> str:
    found = {what for what, _ in axis}
    if len(found) == 1:
        return found.pop()
    return "T" if found <= {"H", "W", "T"} else "."


def _resized(axes: Axes, shape: tuple[int, ...]) -> Axes | None:
    if len(axes) != len(shape):
        return None
    same = lambda axis, size: _size(axis) == size  # noqa: E731
    return tuple(a if same(a, n) else ((_meaning(a), n),) for a, n in zip(axes, shape, strict=True))


def _size(axis: Axis) -> int:
    return torch.Size(size for _, size in axis).numel()


def _rearranged(
    axes: Axes, func: Callable, args: tuple, kwargs: Mapping, shape: tuple[int, ...]
) -> Axes | None:
    """The axes that are left, in their new order: of a stand-in whose sizes are all different."""
    if len(axes) > len(_SIZES):
        return None
    stand_in = torch.empty(_SIZES[: len(axes)], device="meta")
    try:
        sizes = tuple(func(stand_in, *args[1:], **kwargs).shape)
    except (RuntimeError, IndexError, TypeError, ValueError):
        return None
    if len(sizes) == len(axes) == len(shape) and not set(sizes) <= set(_SIZES):
        return _resized(axes, shape)  # a slice
    if len(sizes) != len(shape) or not set(sizes) <= set(_SIZES):
        return None
    return _resized(tuple(axes[_SIZES.index(size)] for size in sizes), shape)


def _reshaped(axes: Axes, shape: tuple[int, ...]) -> Axes | None:
    """The parts of all axes in a row, dealt out to the new sizes; a part may be cut. Sizes of 1 mean nothing
    unless nothing is reshaped there."""
    if tuple(map(_size, axes)) == shape:
        return axes
    parts = [part for axis in axes for part in axis if part[1] > 1]
    found: list[Axis] = []
    for size in shape:
        mine, left = [], size
        while left > 1:
            if not parts:
                return None
            what, n = parts.pop(0)
            if left % n == 0:
                mine.append((what, n))
                left //= n
            elif n % left == 0:
                mine.append((what, left))
                parts.insert(0, (what, n // left))
                left = 1
            else:
                return None
        found.append(tuple(mine) or (("1", 1),))
    return None if parts else tuple(found)
