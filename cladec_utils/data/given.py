"""Images that are given in memory: tensors, and torch Datasets of (image, label)."""

import operator
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from cladec_utils.data.photos import centred, check_depth, on_white
from cladec_utils.data.splits import LARGEST_LABEL, check_brightness, checked_images, label_way, some
from cladec_utils.errors import CladecError


def stacked(source: object, size: int | None) -> tuple[Tensor, Tensor]:
    """uint8 images (N, C, H, W) and labels (N,), 0 where there are none.

    Pictures of a Dataset (PIL) are brought to `size`, tensors are not. Raises CladecError for what is no
    source of images.
    """
    if isinstance(source, Tensor):
        source = (source, torch.zeros(source.shape[:1], dtype=torch.int64))
    if isinstance(source, tuple) and len(source) == 2 and all(isinstance(part, Tensor) for part in source):
        images, labels = source
    elif isinstance(source, Dataset):
        images, labels = _of_dataset(source, size)
    else:
        raise CladecError(
            f"A {type(source).__name__} is no source of images; give a folder, an .npz, a data set's name, a "
            "torch Dataset of (image, label), or a tensor (N, C, H, W)."
        )
    images = checked_images(images)
    whole = not labels.is_floating_point() and not labels.is_complex()
    if labels.shape != (len(images),) or not whole or labels.long().min() < 0:
        raise CladecError(
            f"{len(images)} images need as many integer labels from 0 up, but the labels are {labels.dtype} "
            f"of shape {tuple(labels.shape)}.{label_way(tuple(labels.shape), whole)}"
        )
    if size and images.shape[2] != images.shape[3]:
        raise CladecError(f"Images of {images.shape[2]}x{images.shape[3]} pixels are not square; crop them.")
    if images.is_floating_point():
        images = (images * 255).round().to(torch.uint8)
    check_brightness("The images", images)
    return images, labels.long()


def _of_dataset(source: Dataset, size: int | None) -> tuple[Tensor, Tensor]:
    found, labels, kinds, ends = [], [], {}, []
    for i, (image, label) in enumerate(_samples(source)):
        taken = _as_tensor(image, size, i)
        kinds[taken.dtype] = None
        if taken.is_floating_point() and taken.numel():  # as bytes at once: floats need four times as much
            ends += [taken.min(), taken.max()]
            taken = (taken * 255).round().to(torch.uint8)
        found.append(taken)
        labels.append(_as_label(label, i))
    if not found:
        raise CladecError("The Dataset is empty: it has no images.")
    if len(shapes := {tuple(image.shape): None for image in found}) > 1:
        raise CladecError(
            f"The Dataset gives images of the shapes {some(list(shapes))}; resize or crop them, bring all "
            "to one number of channels."
        )
    if len(kinds) > 1:
        raise CladecError(
            f"The Dataset gives images of the types {some(list(kinds))}; give all as uint8 in 0..255, or all "
            "as float32 in [0, 1]."
        )
    if ends:
        checked_images(torch.stack(ends).view(-1, 1, 1, 1))
    return torch.stack(found), torch.tensor(labels)


def _samples(source: Dataset) -> Iterator[tuple[object, object]]:
    """Its samples, each a pair."""
    try:
        if isinstance(source, IterableDataset):
            raise TypeError("it is read in one go")
        count = len(source)
    except (TypeError, NotImplementedError) as error:
        raise CladecError(
            f"A {type(source).__name__} has no samples by number; give a torch Dataset with __len__ and "
            "__getitem__, or its images as a tensor (N, C, H, W)."
        ) from error
    for i in range(count):
        sample = source[i]
        if not isinstance(sample, tuple | list) or len(sample) != 2:
            many = f" of {len(sample)}" if isinstance(sample, tuple | list | dict) else ""
            raise CladecError(
                f"Sample {i} of the Dataset is a {type(sample).__name__}{many}; it must be a pair "
                "(image, label)."
            )
        yield tuple(sample)


def _as_label(label: object, i: int) -> int:
    try:
        number = operator.index(label)
    except (TypeError, ValueError, RuntimeError):
        number = -1
    if not 0 <= number <= LARGEST_LABEL:
        raise CladecError(
            f"The label of sample {i} of the Dataset is {str(label)[:60]!r}, a {type(label).__name__}; it "
            f"must be the number of a class, a whole number from 0 to {LARGEST_LABEL}."
        )
    return number


def _as_tensor(image: object, size: int | None, i: int) -> Tensor:
    """A tensor as it is; of a picture the pixels, as of a folder's: on white where it is transparent, and
    with `size` the square in its middle, but grey where it is grey."""
    if isinstance(image, Tensor):
        return image
    if isinstance(image, Image.Image):
        check_depth(image.mode, f"Image {i} of the Dataset")
        if image.mode != "L" or image.has_transparency_data:
            image = on_white(image)
        if size is not None:
            image = centred(image).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3)
        array = np.asarray(image)
        return torch.from_numpy(array.copy()).view(*array.shape[:2], -1).permute(2, 0, 1)
    raise CladecError(
        f"The Dataset gives a {type(image).__name__} as an image; it must be a tensor or a PIL image."
    )
