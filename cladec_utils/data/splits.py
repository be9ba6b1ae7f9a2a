"""Images with labels: checked, fingerprinted, ordered so that every beginning is balanced."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cladec_utils.data.arrays import SIGNED, Stack, channels_first, image_shape
from cladec_utils.data.photos import Photos, common_side
from cladec_utils.errors import CladecError

TEST_FRACTION = 5  # data without a test part give every fifth image of a class to the test set
DARKEST = 32
"""What the brightest pixel of a whole data set must have at least. Below lie what is no picture of 0 to 255:
masks of 0 and 1, the numbers of classes in masks (VOC: 20), and images of 4 or 5 bits (15, 16, 31)."""
SOME = 5
"""Fewer pictures than these may all be dark."""
LARGEST_LABEL = 2**63 - 1
SHOWN = 8  # classes or labels that a sentence names


@dataclass(frozen=True)
class Split:
    """`images` uint8 (N, C, H, W), or the files in which they lie; `labels` int64 (N,)."""

    images: Tensor | Photos | Stack
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
    `notes` are sentences for the user: what was left out or understood in some way. `relabelled` says that
    the classes' numbers are not those that the data came with.
    """

    train: Split
    test: Split
    class_names: tuple[str, ...]
    fingerprint: str
    strata: tuple[Tensor, Tensor] | None = None
    notes: tuple[str, ...] = ()
    relabelled: bool = False

    @property
    def side(self) -> int:
        """Height and width of all images; raises CladecError if those of files differ."""
        train, test = self.train.images, self.test.images
        if isinstance(train, Photos) and isinstance(test, Photos):
            return common_side(train.found + test.found)
        return self.train.side


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


def with_validation(order: Tensor, labels: Tensor, n_train: int, n_val: int) -> Tensor:
    """`order`, in which `n_val` validation images follow `n_train` training images, such that none of the
    classes lacks the former: where the small ones would, each gives the same share of its images."""
    classes = len(labels.unique())
    if n_val < classes or len(labels[order[n_train : n_train + n_val]].unique()) == classes:
        return order
    back = order.flip(0)
    share = rank_in_class(labels[back]) / labels.bincount()[labels[back]]
    is_val = torch.zeros(len(order), dtype=torch.bool)
    is_val[back[share.argsort(stable=True)[:n_val]]] = True
    val, rest = order[is_val[order]], order[~is_val[order]]
    return torch.cat([rest[:n_train], val, rest[n_train:]])


def make_split(images: np.ndarray, labels: np.ndarray, name: Path | str) -> Split:
    """Check arrays (N, H, W), (N, H, W, C) or (N, C, H, W) of uint8 and their labels."""
    image_shape(images.shape, images.dtype, name, lambda: images)
    classes = check_labels(labels, len(images), name)
    return Split(torch.from_numpy(channels_first(images)), classes)


def check_labels(labels: np.ndarray, count: int, name: Path | str) -> Tensor:
    """The labels of `count` images as int64; raises CladecError for what is none."""
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise CladecError(
            f"{name}: {count} images need as many integer labels, but the labels are {labels.dtype} "
            f"of shape {labels.shape}.{label_way(labels.shape, np.issubdtype(labels.dtype, np.integer))}"
        )
    if len(labels) == 0 or labels.min() < 0:
        raise CladecError(f"{name}: there must be images, and labels must be 0 or more.")
    if labels.max() > LARGEST_LABEL:
        raise CladecError(f"{name}: labels go up to {labels.max()}; at most {LARGEST_LABEL} are allowed.")
    return torch.from_numpy(labels.astype(np.int64))


def label_way(shape: tuple[int, ...], whole: bool) -> str:
    """How labels of a shape become one whole number per image, as a sentence; empty if that is not clear."""
    if len(shape) == 2:
        column = " Give labels[:, 0]." if whole else " Give labels[:, 0], as integers."
        return column if shape[1] == 1 else " Give labels.argmax(1)."
    return "" if whole else " Give the numbers of the classes, as integers."


def with_labels(images: object) -> tuple[object, object]:
    """The images of a split, or of a pair of images and labels, and the labels; None where there are none."""
    if isinstance(images, Split):
        return images.images, images.labels
    if isinstance(images, tuple) and len(images) == 2 and all(isinstance(part, Tensor) for part in images):
        return images
    return images, None


def checked_images(images: object, what: str = "images", whole: bool = True) -> Tensor:
    """`images` if they are what the kit takes: a tensor (N, C, H, W), uint8 in 0..255 or float in [0, 1].

    All of a `whole` set must not be dark (see `check_brightness`); some pictures may. Raises CladecError with
    what they are, what is allowed, and the way out.
    """
    wanted = f"The {what} must be a torch tensor (N, C, H, W), uint8 in 0..255 or float in [0, 1]"
    if not isinstance(images, Tensor):
        way = "use torch.from_numpy" if hasattr(images, "__array_interface__") else "see `cu.load_images`"
        raise CladecError(f"{wanted}, but they are a {type(images).__name__}; {way}.")
    shape = tuple(images.shape)
    if images.dim() != 4 or 0 in shape:
        raise CladecError(f"{wanted}, but their shape is {shape}.")
    if shape[1] > 4 and shape[3] <= 4:
        raise CladecError(
            f"{wanted}, but their shape {shape} has its channels last; use `permute(0, 3, 1, 2)`."
        )
    usual = images.dtype == torch.uint8 or images.is_floating_point()
    low, high = (math.nan,) * 2 if images.is_complex() else _range(images if usual else images.double())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise CladecError(f"{wanted}, but they hold something that is no number (NaN, infinite or complex).")
    if not usual:
        way = SIGNED * (images.dtype == torch.int8 and low < 0) + _way(low, high)
        raise CladecError(f"{wanted}, but they are {images.dtype} from {low:g} to {high:g}; {way}.")
    if images.dtype == torch.uint8 and len(images) > 1 and high <= 1:
        raise CladecError(f"{wanted}, but the largest uint8 value is {high:g}; give floats if 1 is white.")
    if images.is_floating_point() and not (low >= 0 and high <= 1):
        raise CladecError(f"{wanted}, but their values go from {low:.4g} to {high:.4g}; {_way(low, high)}.")
    if whole:
        check_brightness(f"The {what}", images)
    return images


def _range(images: Tensor) -> tuple[float, float]:
    return float(images.min()), float(images.max())


def _way(low: float, high: float) -> str:
    """How a tensor of these values becomes one of float in [0, 1]."""
    if low < 0:
        return "undo the normalisation; the model may do it"
    return "give images.float()" if high <= 1 else f"divide by {max(high, 255):g}"


def check_brightness(name: Path | str, *images: Tensor) -> None:
    """Raises CladecError if no pixel of a part of a data set is as bright as DARKEST: then its images are not
    of 0 to 255."""
    check_brightest(name, *((len(part), _brightest(part)) for part in images if len(part)))


def _brightest(images: Tensor) -> int:
    return round(float(images.max()) * (255 if images.is_floating_point() else 1))


def check_brightest(name: Path | str, *parts: tuple[int, int]) -> None:
    """The same of parts with so many images, SOME or more, and their brightest pixels."""
    found = [(count, brightest) for count, brightest in parts if count >= SOME]
    bright = any(brightest >= DARKEST for _, brightest in found)
    for count, brightest in found:
        if brightest < DARKEST:
            raise CladecError(
                f"{name}{f' (a part of {count} images)' * bright}: no pixel of all images is brighter than "
                f"{brightest}, but white is 255, so that one must have {DARKEST} or more. Before they are "
                "made uint8, images must be multiplied by 255 / (their number for white), so by 255 where "
                "that is 1."
            )


def make_source(
    train: Split,
    test: Split | None,
    names: Sequence[str] | None,
    name: Path | str,
    digest: str = "",
    notes: tuple[str, ...] = (),
) -> Source:
    """The whole of a user's data set; without a test part every fifth image of a class is held out.

    `names` are those of the classes, of labels from 0 up or of the labels that occur. Labels without a name
    become classes as far as they occur, which is noted. `digest` stands for the fingerprint of the pixels.
    Raises CladecError, with the counts, if a class has too few images.
    """
    both = [train] if test is None else [train, test]
    names, values = _classes(torch.cat([split.labels for split in both]).unique(), names, name)
    if relabelled := values.tolist() != list(range(len(values))):
        both = [Split(s.images, torch.searchsorted(values, s.labels)) for s in both]
        notes += (f"{name}: the labels {some(values.tolist())} became the classes 0 to {len(values) - 1}.",)
    train, test = hold_out(both[0], names, name) if test is None else both
    _check_counts(train, test, names, name)
    digest = digest or fingerprint(train, test)
    return Source(train, test, tuple(names), digest, notes=notes, relabelled=relabelled)


def _classes(
    occurring: Tensor, names: Sequence[str] | None, name: Path | str
) -> tuple[Sequence[str], Tensor]:
    """The classes' names, and the label of each."""
    if twice := [n for n, count in Counter(names or ()).items() if count > 1]:
        raise CladecError(
            f"{name}: {list(names).count(twice[0])} classes are called {twice[0]!r}; give each its own name."
        )
    highest = int(occurring[-1])
    if names is None:
        return [str(label) for label in occurring.tolist()], occurring
    if len(names) > highest:
        return names, torch.arange(len(names))
    if len(names) != len(occurring):
        raise CladecError(
            f"{name} has labels up to {highest} but only {len(names)} class names; name all labels from 0 "
            f"up, or the {len(occurring)} that occur: {some(occurring.tolist())}."
        )
    return names, occurring


def hold_out(whole: Split, names: Sequence[str], name: Path | str, seed: int = 0) -> tuple[Split, Split]:
    """Every fifth image of each class, in a random order given by `seed`, becomes the test set. Raises
    CladecError, with the counts, if a class has too few for one."""
    counts = whole.labels.bincount(minlength=len(names))
    few = [i for i in whole.labels.unique().tolist() if counts[i] < TEST_FRACTION]
    if few:
        raise CladecError(
            f"{name}: class {names[few[0]]!r} has {int(counts[few[0]])} images, of which none is left for a "
            f"test set; {TEST_FRACTION} a class are needed. There are {_counted(names, counts)}."
        )
    return every_fifth_apart(whole, seed)


def every_fifth_apart(whole: Split, seed: int) -> tuple[Split, Split]:
    """All images but every fifth of each class, in a random order given by `seed`, and these."""
    order = balanced_order(whole.labels, seed)
    is_test = torch.zeros(len(whole), dtype=torch.bool)
    is_test[order] = rank_in_class(whole.labels[order]) % TEST_FRACTION == TEST_FRACTION - 1
    return whole.subset((~is_test).nonzero()[:, 0]), whole.subset(is_test.nonzero()[:, 0])


def _check_counts(train: Split, test: Split, names: Sequence[str], name: Path | str) -> None:
    """Every class that occurs must be learned, validated and tested."""
    here, there = (split.labels.bincount(minlength=len(names)) for split in (train, test))
    occurs = (here + there).nonzero()[:, 0].tolist()
    if len(occurs) < 2:
        raise CladecError(f"{name}: all images are of {names[occurs[0]]!r}; at least 2 classes are needed.")
    for i in occurs:
        if here[i] < 2 or there[i] < 1:
            raise CladecError(
                f"{name}: class {names[i]!r} has {int(here[i])} training and {int(there[i])} test images; at "
                f"least 2 and 1 are needed. For training there are {_counted(names, here)}; for the test "
                f"{_counted(names, there)}."
            )


def _counted(names: Sequence[str], counts: Tensor) -> str:
    return some([f"{n} of {name!r}" for n, name in zip(counts.tolist(), names, strict=True)])


def some(things: Sequence[object]) -> str:
    """The first of many, for a sentence."""
    shown = ", ".join(map(str, things[:SHOWN]))
    return shown if len(things) <= SHOWN else f"{shown}, ... {things[-1]} ({len(things)} in all)"


def fingerprint(*splits: Split) -> str:
    """The sha256 of all images and labels."""
    digest = hashlib.sha256()
    for split in splits:
        digest.update(str(tuple(split.images.shape)).encode())
        digest.update(split.images.numpy().data)
        digest.update(split.labels.numpy().data)
    return digest.hexdigest()
