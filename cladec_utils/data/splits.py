"""Images with labels: checked, fingerprinted, ordered so that every beginning is balanced."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cladec_utils.errors import CladecError


@dataclass(frozen=True)
class Split:
    """`images` uint8 (N, C, H, W), `labels` int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """Height and width of the images in pixels."""
        return self.images.shape[-1]

    def subset(self, indices: Tensor) -> "Split":
        """The images and labels at `indices`."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Source:
    """A whole data set: its splits, class names and the sha256 of its contents.

    `strata`, for training and test images, are what a choice of images is balanced by; None: the labels.
    """

    train: Split
    test: Split
    class_names: tuple[str, ...]
    fingerprint: str
    strata: tuple[Tensor, Tensor] | None = None


def balanced_order(labels: Tensor, seed: int) -> Tensor:
    """A random order in which every beginning holds the classes as evenly as they allow."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return order[rank_in_class(labels[order]).sort(stable=True).indices]


def rank_in_class(labels: Tensor) -> Tensor:
    """How many earlier entries have the same label: [5, 7, 5, 5] -> [0, 0, 1, 2]."""
    together = labels.argsort(stable=True)
    counts = labels.unique(return_counts=True)[1]
    first = (counts.cumsum(0) - counts).repeat_interleave(counts)
    return torch.empty_like(labels).scatter_(0, together, torch.arange(len(labels)) - first)


def make_split(images: np.ndarray, labels: np.ndarray, name: Path | str) -> Split:
    """Check arrays (N, H, W), (N, H, W, C) or (N, C, H, W) of uint8 and their labels."""
    if images.dtype != np.uint8:
        raise CladecError(f"{name}: images are {images.dtype}; they must be uint8, 0 to 255.")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and images.shape[-1] not in (1, 3) and images.shape[1] in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.shape[1] != images.shape[2]:
        raise CladecError(
            f"{name}: images have the shape {images.shape}; it must be (N, side, side), "
            "or with 1 or 3 channels."
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise CladecError(
            f"{name}: {len(images)} images need as many integer labels, but the labels are {labels.dtype} "
            f"of shape {labels.shape}."
        )
    if len(labels) == 0 or labels.min() < 0:
        raise CladecError(f"{name}: there must be images, and labels must be 0 or more.")
    if len(np.unique(labels)) < 2:
        raise CladecError(f"{name}: all labels are {labels[0]}; at least 2 classes are needed.")
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return Split(torch.from_numpy(channels_first), torch.from_numpy(labels.astype(np.int64)))


def fingerprint(*splits: Split) -> str:
    """The sha256 of all images and labels."""
    digest = hashlib.sha256()
    for split in splits:
        digest.update(str(tuple(split.images.shape)).encode())
        digest.update(split.images.numpy().data)
        digest.update(split.labels.numpy().data)
    return digest.hexdigest()
