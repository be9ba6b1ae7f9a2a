"""The user's own arrays: .npz files."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from cladec_utils.data.splits import Source, check_brightness, make_source, make_split
from cladec_utils.errors import CladecError, printable


def read_npz(path: Path) -> Source:
    """Read `images` and `labels`, or `train_images`, `train_labels`, `test_images`, `test_labels`.

    Images are uint8 (N, side, side), (N, side, side, C) or (N, C, side, side), C 1 or 3; labels are
    integers; `class_names` is optional (see `make_source`). Without a test part every fifth image of a class
    is held out. Raises CladecError for anything else; pickled arrays are refused.
    """
    arrays = _read_arrays(path)
    if "images" in arrays and "labels" in arrays:
        train, test = make_split(arrays["images"], arrays["labels"], path), None
    elif {"train_images", "train_labels", "test_images", "test_labels"} <= arrays.keys():
        train = make_split(arrays["train_images"], arrays["train_labels"], path)
        test = make_split(arrays["test_images"], arrays["test_labels"], path)
        if train.images.shape[1:] != test.images.shape[1:]:
            raise CladecError(f"{path}: training images and test images have different shapes.")
    else:
        raise CladecError(
            f"{path} holds {sorted(arrays)}; it needs 'images' and 'labels', "
            "or 'train_images', 'train_labels', 'test_images' and 'test_labels'."
        )
    check_brightness(path, train.images, *([] if test is None else [test.images]))
    names = _names_in(arrays["class_names"], path) if "class_names" in arrays else None
    return make_source(train, test, names, path)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise CladecError(
                f"{path} is a single array (.npy); write it with numpy.savez, images and labels."
            )
        with found:
            return {key: found[key] for key in found.files}
    except FileNotFoundError as error:
        raise CladecError(f"There is no file {path}.") from error
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise CladecError(
            f"{path} cannot be read as .npz without pickle: it is damaged or no .npz ({error})."
        ) from error


def _names_in(names: np.ndarray, path: Path) -> tuple[str, ...]:
    if names.ndim != 1:
        raise CladecError(
            f"{path}: class_names has the shape {names.shape}; it must be a list of one name per class."
        )
    if names.dtype.kind == "S":
        names = np.char.decode(names, "utf-8", "backslashreplace")
    return tuple(printable(str(name)) for name in names)
