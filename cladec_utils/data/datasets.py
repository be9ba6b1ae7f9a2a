"""A data set's name or path -> uint8 image tensors, labels and class names, reproducibly chosen."""

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import ClassVar

from torch import Tensor
from torch.utils.data import Dataset

from cladec_utils.data.arrays import Stack, read_together, resized
from cladec_utils.data.files import files_below, odd_kind
from cladec_utils.data.given import stacked
from cladec_utils.data.photos import Photos
from cladec_utils.data.sources import is_named, read_source
from cladec_utils.data.splits import (
    TEST_FRACTION,
    Source,
    Split,
    balanced_order,
    check_brightness,
    hold_out,
    with_validation,
)
from cladec_utils.engine.device import memory_left
from cladec_utils.engine.paths import with_home
from cladec_utils.engine.spec import Spec
from cladec_utils.errors import CladecError, note, printable

LARGEST_SIDE = 4096
ANTIALIASED = "antialiased"
FLOATS = 4
"""Bytes of a number where networks see images."""


@dataclass(frozen=True)
class DataSpec(Spec):
    """A data set and the part of it that is used (see `data_spec`, which makes one).

    `n_train`, `n_val` and `n_test` images are drawn class by class with `seed`; validation images
    come from the training set and are never trained on. `image_size` is the side in pixels that
    images are brought to. `fingerprint` is the checksum of the contents; `path` says where they are.
    `shrinking` says how larger images are brought to it: `antialiased`, or None for files of photos, which
    always are, and for nearest neighbour, as all others were once. With `skip`, the training images are
    others: the first `skip` of the order, on which something else was trained, and the validation images,
    which stay the same, come before them.
    """

    kind: ClassVar[str] = "data"
    dataset: str
    fingerprint: str
    n_train: int
    n_val: int
    n_test: int
    image_size: int
    seed: int = 0
    skip: int | None = field(default=None, metadata={"optional": True})
    shrinking: str | None = field(default=None, metadata={"optional": True})
    path: str = field(default="", compare=False, metadata={"hashed": False})


@dataclass(frozen=True)
class Data:
    """The images of a spec: training, validation (may be empty) and test split; otherwise as in `Source`."""

    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...]
    relabelled: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return tuple(self.train.images.shape[1:])


def load_images(
    source: str | Path | Dataset | Tensor | tuple[Tensor, Tensor], size: int | None = None, seed: int = 0
) -> tuple[Split, Split]:
    """Images to fit an explainer to and others to try it on: (train, test), `images` uint8 (N, C, H, W) each.

    `source` is a data set's name, a folder of class folders or an .npz (see `data_spec`; what has a test
    split keeps it), a torch Dataset of (image, label), or a tensor of images, alone or with labels. Of what
    has no test split every fifth image of a class is kept for it, drawn with `seed`. `size` is the side in
    pixels that images are brought to, a multiple of 8; None keeps theirs. Pictures (PIL) of a Dataset are
    shown on white where they are transparent, and cut to their middle square where `size` is given, as those
    of a folder are; tensors that are not square are not brought to a size. Raises CladecError for what is
    none of these, and for classes with too few images.
    """
    _check_numbers(size=(size, 8), seed=(seed, 0))
    _check_side("size", size)
    if isinstance(source, str | Path):
        found = load(data_spec(str(source), image_size=size, seed=seed))
        return found.train, found.test
    images, labels = stacked(source, size)
    if len(labels) < TEST_FRACTION:
        raise CladecError(f"There are {len(labels)} images; {TEST_FRACTION} are needed to keep one apart.")
    values, classes = labels.unique(return_inverse=True)
    whole = Split(_pixels(images, size) if size else images, classes)
    both = hold_out(whole, list(map(str, values.tolist())), "The images", seed)
    return tuple(Split(split.images, values[split.labels]) for split in both)


def data_spec(
    dataset: str | Path,
    n_train: int | None = None,
    n_val: int = 0,
    n_test: int | None = None,
    image_size: int | None = None,
    seed: int = 0,
) -> DataSpec:
    """Describe (part of) a data set: a name (`sources.is_named`), a folder of class folders or an .npz file.

    None takes all images; a number above what there is takes all, and validation images are at most a sixth
    of those for training. Images are square; `image_size` None keeps their size, enlarged to the next
    multiple of 8 where it is none (28 -> 32, by nearest neighbour as in the official code); what is made
    smaller is antialiased. What was left
    out or understood in some way is said in a warning (CladecNote), and so is that images are too few to be
    of all classes. Raises CladecError for anything missing, damaged or ill-shaped, and for numbers that are
    none.
    """
    dataset = named(dataset)
    _check_numbers(n_train=(n_train, 1), n_val=(n_val, 0), n_test=(n_test, 1), image_size=(image_size, 8))
    _check_numbers(seed=(seed, 0))
    _check_side("image_size", image_size)
    path = "" if is_named(dataset) else str(Path(dataset).resolve())
    source = _source(path or dataset)
    size = image_size or own_size(source)
    have_train, have_test = len(source.train), len(source.test)
    n_val = min(n_val, have_train // 6)
    spec = DataSpec(
        dataset=_name(Path(path)) if path else dataset,
        fingerprint=source.fingerprint[:16],
        n_train=min(n_train or have_train, have_train - n_val),
        n_val=n_val,
        n_test=min(n_test or have_test, have_test),
        image_size=size,
        seed=seed,
        shrinking=None if isinstance(source.train.images, Photos) or size >= source.side else ANTIALIASED,
        path=path,
    )
    for sentence in (*source.notes, *_too_few(spec, source)):
        note(sentence)
    return spec


def named(dataset: object) -> str:
    """A data set's name or path as text; raises CladecError for what is neither."""
    if not isinstance(dataset, str | Path):
        raise CladecError(
            f"The data set is a {type(dataset).__name__}; it must be a name, such as fashion-mnist, or the "
            "path of a folder or an .npz file. Images in memory are for `cu.load_images`."
        )
    if not str(dataset).strip():
        raise CladecError(
            f"The data set is called {str(dataset)!r}; give its name, such as fashion-mnist, or the path of "
            "a folder or an .npz file ('.' is the working folder)."
        )
    return str(with_home(dataset))


def _check_numbers(**given: tuple[object, int]) -> None:
    """Whole numbers, each with the least that it may be; all but n_val and seed may be None."""
    for name, (value, least) in given.items():
        none = "" if name in ("n_val", "seed") else ", or None"
        if value is None and none:
            continue
        if isinstance(value, Integral) and value >= 2**63:
            raise CladecError(f"{name} is {value}; it must be below 2**63.")
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise CladecError(f"{name} is {value!r}; it must be a whole number of at least {least}{none}.")


def _check_side(name: str, side: int | None) -> None:
    """Raises CladecError for a side in pixels that decoders cannot make, or that nobody can mean."""
    if side is not None and (side % 8 or side > LARGEST_SIDE):
        near = min(max(8, round(side / 8) * 8), LARGEST_SIDE)
        raise CladecError(
            f"{name} is {side}; it must be a multiple of 8, at most {LARGEST_SIDE}, such as {near}."
        )


def _too_few(spec: DataSpec, source: Source) -> Iterator[str]:
    """Sentences about images that cannot be of all classes."""
    parts = (("train", spec.n_train, source.train), ("val", spec.n_val, source.train))
    for name, number, split in (*parts, ("test", spec.n_test, source.test)):
        classes = len(split.labels.unique())
        if 0 < number < classes:
            yield (
                f"{spec.dataset}: n_{name} is {number}, but there are {classes} classes, so "
                f"{classes - number} or more of them have none there."
            )


def own_size(source: Source) -> int:
    """The side in pixels that images are brought to if nobody says otherwise: the next multiple of 8."""
    return -(-source.side // 8) * 8


def usual_size(spec: DataSpec) -> int | None:
    """The side that a spec's images have if nobody says otherwise; None: photos of several sizes."""
    try:
        return own_size(whole(spec))
    except CladecError:
        return None


def _name(path: Path) -> str:
    return printable(path.name if path.is_dir() else path.stem)


def load(spec: DataSpec) -> Data:
    """The images a spec describes. Raises CladecError if the contents are no longer those of the spec."""
    # Of a folder the fingerprint covers all; the names of classes in a file may change without it.
    file = Path(spec.path) if spec.path else None
    return _load(spec, spec.path, _stamp(file) if file and file.is_file() else None)


@functools.lru_cache(maxsize=4)
def _load(spec: DataSpec, _path: str, _stamp: str | None) -> Data:
    source = whole(spec)
    if source.fingerprint[:16] != spec.fingerprint:
        raise CladecError(
            f"The data set {spec.path or spec.dataset!r} has changed since its spec was made; "
            "make the spec anew."
        )
    _check_memory(spec, source)
    train, val, test = chosen_images(spec)
    parts = [source.train.subset(train), source.train.subset(val), source.test.subset(test)]
    antialias = spec.shrinking is not None
    if isinstance(source.train.images, Stack):  # all images of a file in one go through it
        pixels = read_together([part.images for part in parts], spec.image_size, antialias)
    else:
        pixels = [_pixels(part.images, spec.image_size, antialias) for part in parts]
    splits = [Split(images, part.labels) for images, part in zip(pixels, parts, strict=True)]
    check_brightness(spec.path or spec.dataset, *(split.images for split in splits))
    return Data(*splits, source.class_names, source.relabelled)


def whole(spec: DataSpec) -> Source:
    """The whole data set that a spec takes its images from."""
    return _source(spec.path or spec.dataset)


def chosen_images(spec: DataSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Which images of the whole data set a spec takes: indices into its training images for training and
    for validation, and into its test images."""
    source = whole(spec)
    strata = source.strata or (source.train.labels, source.test.labels)
    order = balanced_order(strata[0], spec.seed)
    if not source.strata:
        order = with_validation(order, strata[0], spec.n_train, spec.n_val)
    test = balanced_order(strata[1], spec.seed)[: spec.n_test].sort().values
    first = spec.skip or spec.n_train  # training images before the validation images
    after = first + spec.n_val
    train = order[after : after + spec.n_train] if spec.skip else order[:first]
    return train, order[first:after], test


def _pixels(images: Tensor | Photos, size: int, antialias: bool = True) -> Tensor:
    return images.read(size) if isinstance(images, Photos) else resized(images, size, antialias)


def _check_memory(spec: DataSpec, source: Source) -> None:
    """Raises CladecError for images that do not fit into memory; says so where they fit as they are, but all
    that is drawn of them perhaps does not."""
    count, images = spec.n_train + spec.n_val + spec.n_test, source.train.images
    in_files = isinstance(images, Photos) or not images.shape[1:]  # planted garments are drawn when needed
    channels = 3 if in_files else images.shape[1]
    needed, free = count * channels * spec.image_size**2, memory_left()
    if needed * (1 + FLOATS) <= free:
        return
    sentence = (
        f"{spec.dataset}: {count:,} images of {spec.image_size}x{spec.image_size} pixels need "
        f"{needed / 1e9:.1f} GB of memory, and {FLOATS} times as much where all of them are drawn, but "
        f"{free / 1e9:.1f} GB are free: choose a smaller image_size (--image-size), or fewer images (n_train "
        "and n_test of a profile of your own)."
    )
    if needed > free:
        raise CladecError(sentence)
    note(sentence)


def _source(source: str) -> Source:
    return _read(source, None if is_named(source) else _stamp(Path(source)))


@functools.lru_cache(maxsize=3)
def _read(source: str, _stamp: str | None) -> Source:
    return read_source(source)


def _stamp(path: Path) -> str | None:
    """What tells that data were edited, without reading them: names, sizes and times of their files."""
    digest = hashlib.sha256()
    try:
        for file in files_below(path) if path.is_dir() else [path]:
            found = file.lstat() if odd_kind(file) else file.stat()
            # Times of a change, which no program sets, and numbers of files: a copy may keep size and date.
            state = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
            digest.update(os.fsencode(f"{file} {state}\n"))
    except OSError:
        return None  # what is wrong is said when they are read
    return digest.hexdigest()
