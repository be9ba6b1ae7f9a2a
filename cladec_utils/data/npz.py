"""The user's own arrays: .npz files."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cladec_utils.data.splits import Source, check_brightness, make_source, make_split
from cladec_utils.errors import CladecError, printable

TRAIN = (("images", "labels"), ("train_images", "train_labels"))
TEST = ("test_images", "test_labels")
NAMES = "class_names"


def read_npz(path: Path) -> Source:
    """Read `images` and `labels`, or `train_images` and `train_labels`, and `test_images` and `test_labels`.

    Images are uint8 (N, side, side), (N, side, side, C) or (N, C, side, side), C 1 or 3; labels are
    integers; `class_names` is optional (see `make_source`). Beside `images` the test part is, too: without
    one every fifth image of a class is held out. What else is in the file is noted. Raises CladecError for
    anything else, and for images or labels that would not be read; pickled arrays are refused.
    """
    arrays = _read_arrays(path)
    pair = next((names for names in TRAIN if arrays.keys() >= set(names)), None)
    tested = arrays.keys() >= set(TEST)
    if pair is None or (pair != TRAIN[0] and not tested):
        raise CladecError(
            f"{path} holds {sorted(arrays)}; it needs 'images' and 'labels', "
            "or 'train_images', 'train_labels', 'test_images' and 'test_labels'."
        )
    notes = _unread(arrays, {*pair, *(TEST if tested else ()), NAMES}, tested, path)
    train = make_split(*(arrays[name] for name in pair), path)
    test = make_split(*(arrays[name] for name in TEST), path) if tested else None
    if test is not None and train.images.shape[1:] != test.images.shape[1:]:
        raise CladecError(f"{path}: training images and test images have different shapes.")
    check_brightness(path, train.images, *([] if test is None else [test.images]))
    names = _names_in(arrays[NAMES], path) if NAMES in arrays else None
    return make_source(train, test, names, path, notes=notes)


def _unread(arrays: Mapping[str, np.ndarray], read: set[str], tested: bool, path: Path) -> tuple[str, ...]:
    """A note on arrays that are not read. Raises CladecError if one holds images or labels; beside a test
    part, validation images are left out, as they are of a folder."""
    rest = sorted(arrays.keys() - read)
    known = ", ".join(name for name in sorted(read) if name in arrays)
    held = [name for name in rest if arrays[name].ndim > 2 or "image" in name or "label" in name]
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


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise CladecError(
                f"{path} is a single array (.npy); write it with numpy.savez, images and labels."
            )
        with found:
            return {key: _array(found, key, path) for key in found.files}
    except FileNotFoundError as error:
        raise CladecError(f"There is no file {path}.") from error
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
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
