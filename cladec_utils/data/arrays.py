"""Arrays in .npz files, read in batches: a file may be larger than memory, and most uses need few of its
images, at a smaller size."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cladec_utils.errors import CladecError

SIGNED = "if bytes above 127 became negative, give images.view of uint8; else "
BATCH = 1 << 23
"""Bytes of images that are held at a time."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Images that lie in an array of an .npz until they are read: stands where a tensor (N, C, side, side)
    would. `indices` (N,) are places in the array, whose images have that `image_shape` (C, side, side)."""

    path: Path
    key: str
    indices: Tensor
    image_shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, indices: Tensor) -> "Stack":
        return Stack(self.path, self.key, self.indices[indices], self.image_shape)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As a tensor's."""
        return len(self), *self.image_shape


def read_together(stacks: Sequence[Stack], size: int, antialias: bool) -> list[Tensor]:
    """The pixels of several stacks, each (N, C, size, size), uint8, `antialias` as in `resized`: of those in
    one array in one go."""
    found = [torch.empty(len(s), s.image_shape[0], size, size, dtype=torch.uint8) for s in stacks]
    for path, key in dict.fromkeys((s.path, s.key) for s in stacks if len(s)):
        first = 0
        for batch in batches(path, key):
            last = first + len(batch)
            for stack, images in zip(stacks, found, strict=True):
                if (stack.path, stack.key) == (path, key):
                    mine = ((stack.indices >= first) & (stack.indices < last)).nonzero()[:, 0]
                    taken = channels_first(batch[(stack.indices[mine] - first).numpy()])
                    images[mine] = resized(torch.from_numpy(taken), size, antialias)
            first = last
    return found


def resized(images: Tensor, size: int, antialias: bool = True) -> Tensor:
    """uint8 images (N, C, side, side) brought to another side: enlarged by nearest neighbour, as in the
    official code; made smaller by averages over what a pixel covers, or without `antialias` by nearest
    neighbour, which of a checkerboard leaves one colour."""
    side = images.shape[-1]
    if side == size:
        return images
    if not len(images):
        return images.new_empty(0, images.shape[1], size, size)
    if size > side or not antialias:
        return functional.interpolate(images, size=(size, size), mode="nearest")
    found = torch.empty(*images.shape[:2], size, size, dtype=torch.uint8)
    for part in torch.arange(len(images)).split(max(1, BATCH // (4 * images[0].numel()))):
        smooth = functional.interpolate(images[part].float(), (size, size), mode="bilinear", antialias=True)
        found[part] = smooth.round().clamp(0, 255).to(torch.uint8)
    return found


def channels_first(images: np.ndarray) -> np.ndarray:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) to (N, C, H, W), contiguous."""
    if images.ndim == 3:
        images = images[:, None]
    elif not (images.shape[-1] not in (1, 3) and images.shape[1] in (1, 3)):
        images = images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images)


def header(path: Path, key: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array in an .npz; raises what NumPy and zipfile raise for a damaged one."""
    with zipfile.ZipFile(path) as file, file.open(f"{key}.npy") as member:
        shape, _, dtype = _header(member)
        return shape, dtype


def batches(path: Path, key: str) -> Iterator[np.ndarray]:
    """The array called `key` of an .npz, in order, some megabytes of it at a time; errors as of `header`."""
    with zipfile.ZipFile(path) as file, file.open(f"{key}.npy") as member:
        shape, fortran, dtype = _header(member)
        if fortran:  # its images do not lie one after the other
            with np.load(path, allow_pickle=False) as found:
                yield found[key]
            return
        each = dtype.itemsize * int(np.prod(shape[1:]))
        many = max(1, BATCH // max(1, each))
        for first in range(0, shape[0], many):
            count = min(many, shape[0] - first)
            content = member.read(count * each)
            if len(content) < count * each:
                raise ValueError(
                    f"{key} ends after {first + len(content) // max(1, each)} of {shape[0]} images"
                )
            yield np.frombuffer(content, dtype).reshape(count, *shape[1:])
        member.read()  # to the end, where its checksum is looked at


def _header(member: zipfile.ZipExtFile) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    return np.lib.format.read_array_header_2_0(member)


def image_shape(
    shape: tuple[int, ...], dtype: np.dtype, name: Path | str, values: Callable[[], np.ndarray]
) -> tuple[int, int, int]:
    """The (C, side, side) of images in an array of that shape and type; `values` gives it where it has to be
    looked at for a sentence. Raises CladecError for other arrays."""
    if dtype != np.uint8:
        raise CladecError(f"{name}: images are {dtype}; they must be uint8, 0 to 255. {_cast(values())}")
    found = (*shape, 1) if len(shape) == 3 else shape
    if len(found) == 4 and found[-1] not in (1, 3) and found[1] in (1, 3):
        found = (found[0], *found[2:], found[1])
    side = found[1:2]
    if len(found) != 4 or found[-1] not in (1, 3) or side != found[2:3] or side == (0,):
        shown = found if len(shape) == 3 else shape
        raise CladecError(
            f"{name}: images have the shape {shown}; it must be (N, side, side), "
            "or with 1 or 3 channels, and side at least 1."
        )
    return found[3], found[1], found[2]


def _cast(images: np.ndarray) -> str:
    """How arrays of another type become uint8 without losing the picture."""
    if images.dtype.kind not in "biuf" or not images.size or not np.isfinite(images).all():
        return "They hold something that is no number."
    low, high = float(images.min()), float(images.max())
    if low < 0:
        signed = SIGNED if images.dtype == np.int8 else ""
        return f"They go from {low:.3g} to {high:.3g}: {signed}undo the normalisation first."
    if high <= 1:
        return "They go from 0 to 1: give (images * 255.0).round().astype('uint8')."
    if high > 255:
        return f"They go up to {high:.6g}: give (images * (255 / {high:.6g})).round().astype('uint8')."
    return "Give images.round().astype('uint8')."
