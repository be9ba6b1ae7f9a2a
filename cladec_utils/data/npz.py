"""The user's own arrays: .npz files."""

import contextlib
import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cladec_utils.data.arrays import Stack, batches, channels_first, header, image_shape
from cladec_utils.data.splits import Source, Split, check_brightest, check_labels, make_source
from cladec_utils.errors import CladecError, printable

TRAIN = (("images", "labels"), ("train_images", "train_labels"))
TEST = ("test_images", "test_labels")
NAMES = "class_names"


def read_npz(path: Path) -> Source:
    """Read `images` and `labels`, or `train_images` and `train_labels`, and `test_images` and `test_labels`.

    Images are uint8 (N, side, side), (N, side, side, C) or (N, C, side, side), C 1 or 3; labels are
    integers; `class_names` is optional (see `make_source`). Beside `images` the test part is, too: without
    one every fifth image of a class is held out. What else is in the file is noted. Raises CladecError for
    anything else, and for images or labels that would not be read; pickled arrays are refused. The images are
    looked at once, in batches, and read again when they are needed (see `Stack`).
    """
    with _sentences(path), _opened(path) as found:
        shapes = {key: header(path, key) for key in found.files}
        pair = next((names for names in TRAIN if shapes.keys() >= set(names)), None)
        tested = shapes.keys() >= set(TEST)
        if pair is None or (pair != TRAIN[0] and not tested):
            raise CladecError(
                f"{path} holds {sorted(shapes)}; it needs 'images' and 'labels', "
                "or 'train_images', 'train_labels', 'test_images' and 'test_labels'."
            )
        read = {*pair, *(TEST if tested else ()), NAMES}
        notes = _unread({key: len(shape) for key, (shape, _) in shapes.items()}, read, tested, path)
        names = _names_in(_array(found, NAMES, path), path) if NAMES in shapes else None
        digest = hashlib.sha256(repr(names).encode())
        parts = [_part(found, each, shapes[each[0]], path, digest) for each in [pair, *([TEST] * tested)]]
    train, test = parts[0][0], parts[1][0] if tested else None
    if test is not None and train.images.shape[1:] != test.images.shape[1:]:
        raise CladecError(f"{path}: training images and test images have different shapes.")
    check_brightest(path, *((len(split), brightest) for split, brightest in parts))
    return make_source(train, test, names, path, digest.hexdigest(), notes)


def _part(
    found: Mapping[str, np.ndarray],
    keys: tuple[str, str],
    stated: tuple[tuple[int, ...], np.dtype],
    path: Path,
    digest: Any,
) -> tuple[Split, int]:
    """Images, which stay in the file, with their labels, and the brightest pixel; all of it is digested."""
    images, labels = keys
    shape = image_shape(*stated, path, lambda: _array(found, images, path))
    classes = check_labels(_array(found, labels, path), stated[0][0], path)
    digest.update(f"{len(classes)} {shape}".encode() + classes.numpy().tobytes())
    brightest = 0
    for batch in batches(path, images):
        digest.update(channels_first(batch).data)
        brightest = max(brightest, int(batch.max()))
    return Split(Stack(path, images, torch.arange(len(classes)), shape), classes), brightest


def _unread(arrays: Mapping[str, int], read: set[str], tested: bool, path: Path) -> tuple[str, ...]:
    """A note on arrays that are not read, of all with their numbers of axes. Raises CladecError if one holds
    images or labels; beside a test part, validation images are left out, as they are of a folder."""
    rest = sorted(arrays.keys() - read)
    known = ", ".join(name for name in sorted(read) if name in arrays)
    held = [name for name in rest if arrays[name] > 2 or "image" in name or "label" in name]
    if refused := [name for name in held if not (tested and name.lower().startswith("val"))]:
        raise CladecError(
            f"{path} holds {printable(', '.join(refused))}, which would not be read beside {known}. Call the "
            "arrays images and labels (or train_images and train_labels), test_images and test_labels, or "
            "take these out."
        )
    if not rest:
        return ()
    return (
        f"{path}: {printable(', '.join(rest))} {'is' if len(rest) == 1 else 'are'} not read, but {known}; "
        f"the names of classes must be called {NAMES}.",
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        raise CladecError(f"{path} is a single array (.npy); write it with numpy.savez, images and labels.")
    with found:
        yield found


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """What NumPy and the zip library raise, as one of the kit's sentences."""
    try:
        yield
    except FileNotFoundError as error:
        raise CladecError(f"There is no file {path}.") from error
    except (ValueError, KeyError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise CladecError(
            f"{path} cannot be read as .npz without pickle: it is damaged or no .npz ({error})."
        ) from error


def _array(found: Mapping[str, np.ndarray], key: str, path: Path) -> np.ndarray:
    try:
        return found[key]
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise
        way = "str" if key == NAMES else "int" if "label" in key else "'uint8'"
        raise CladecError(
            f"{path}: {key} has the dtype object, which cannot be read without pickle. Write it anew, as "
            f"numpy.array({printable(key)}.tolist(), dtype={way})."
        ) from error


def _names_in(names: np.ndarray, path: Path) -> tuple[str, ...]:
    if names.ndim != 1:
        raise CladecError(
            f"{path}: class_names has the shape {names.shape}; it must be a list of one name per class."
        )
    if names.dtype.kind == "S":
        names = np.char.decode(names, "utf-8", "backslashreplace")
    return tuple(printable(str(name)) for name in names)
