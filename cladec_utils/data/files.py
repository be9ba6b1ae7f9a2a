"""Readers of the user's own data: .npz files and folders of class folders."""

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from cladec_utils.data.splits import Source, Split, balanced_order, fingerprint, make_split, rank_in_class
from cladec_utils.errors import CladecError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff"}
TEST_FRACTION = 5  # a folder or .npz without a test part gives every fifth image of a class to the test set


# --- .npz files ---------------------------------------------------------------------------------


def read_npz(path: Path) -> Source:
    """Read `images` and `labels`, or `train_images`, `train_labels`, `test_images`, `test_labels`.

    Images are uint8 (N, side, side), (N, side, side, C) or (N, C, side, side), C 1 or 3; labels are
    integers from 0; `class_names` is optional. Without a test part every fifth image of a class is
    held out. Raises CladecError for anything else; pickled arrays are refused.
    """
    arrays = _read_arrays(path)
    if "images" in arrays and "labels" in arrays:
        whole = make_split(arrays["images"], arrays["labels"], path)
        train, test = _hold_out(whole)
    elif {"train_images", "train_labels", "test_images", "test_labels"} <= arrays.keys():
        train = make_split(arrays["train_images"], arrays["train_labels"], path)
        test = make_split(arrays["test_images"], arrays["test_labels"], path)
    else:
        raise CladecError(
            f"{path} holds {sorted(arrays)}; it needs 'images' and 'labels', "
            "or 'train_images', 'train_labels', 'test_images' and 'test_labels'."
        )
    count = int(max(train.labels.max(), test.labels.max())) + 1
    names = _names_in(arrays.get("class_names", np.arange(count)), path)
    if len(names) < count:
        raise CladecError(f"{path} has labels up to {count - 1} but only {len(names)} class names.")
    if train.images.shape[1:] != test.images.shape[1:]:
        raise CladecError(f"{path}: training images and test images have different shapes.")
    return Source(train, test, names, fingerprint(train, test))


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
    return tuple(map(str, names))


# --- folders of images --------------------------------------------------------------------------


def read_image_folder(folder: Path, size: int | None) -> Source:
    """Read class folders directly below `folder`, or below its train/ and test/ (or val/) parts.

    Photos become RGB, turned upright as their cameras say; `size` crops them to a centred
    square and resizes it to that side. Without it all must be squares of one size. Raises CladecError naming
    the file that does not fit.
    """
    tests = [folder / part for part in ("test", "val") if (folder / part).is_dir()]
    if (folder / "train").is_dir() and tests:
        names = _class_names(folder / "train")
        parts = [_read_folder(part, names, size) for part in (folder / "train", tests[0])]
    else:
        names = _class_names(folder)
        parts = _hold_out(_read_folder(folder, names, size))
    if parts[0].images.shape[1:] != parts[1].images.shape[1:]:
        raise CladecError(
            f"{folder}: training and test images differ in size; give image_size (--image-size)."
        )
    # Of the files, not of the pixels, so that it is the same at every image_size.
    files = (f for f in sorted(folder.rglob("*")) if f.suffix.lower() in IMAGE_SUFFIXES)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode())
        digest.update(file.read_bytes())
    return Source(*parts, names, digest.hexdigest())


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")))
    if len(names) < 2:
        raise CladecError(
            f"{folder} holds {len(names)} class folder(s) {list(names)}; at least 2 are needed, "
            "one folder per class."
        )
    return names


def _read_folder(folder: Path, names: tuple[str, ...], size: int | None) -> Split:
    images, labels = [], []
    for label, name in enumerate(names):
        files = sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise CladecError(f"{folder / name} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}).")
        for file in files:
            images.append(_read_image(file, size))
            labels.append(label)
            if images[-1].shape != images[0].shape:
                height, width = images[-1].shape[:2]
                raise CladecError(
                    f"{file} has {width}x{height} pixels, "
                    f"others have {images[0].shape[1]}x{images[0].shape[0]}. "
                    "Give image_size (--image-size), for instance 64, to bring all to one size."
                )
    return make_split(np.stack(images), np.array(labels), folder)


def _read_image(file: Path, size: int | None) -> np.ndarray:
    try:
        with Image.open(file) as opened:
            mode, image = opened.mode, ImageOps.exif_transpose(opened).convert("RGB")
    except Exception as error:  # Pillow's decoders raise whatever a damaged file brings them to
        raise CladecError(f"{file} cannot be read as an image ({error}); repair or remove it.") from error
    if mode.startswith(("I", "F")):  # which convert would cut off at 255, to white
        raise CladecError(
            f"{file} has pixels of type {mode!r}, more than 8 bits; save it with 8 bits a channel "
            "(0 to 255), or give all images as an .npz file of uint8."
        )
    if size:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize(
            (size, size), Image.Resampling.BILINEAR
        )
    elif image.width != image.height:
        raise CladecError(
            f"{file} has {image.width}x{image.height} pixels; images must be square. "
            "Give image_size (--image-size), for instance 64, to crop and resize them."
        )
    return np.asarray(image)


def _hold_out(whole: Split) -> tuple[Split, Split]:
    """Every fifth image of each class, in a fixed random order, becomes the test set."""
    order = balanced_order(whole.labels, seed=0)
    is_test = torch.zeros(len(whole), dtype=torch.bool)
    is_test[order] = rank_in_class(whole.labels[order]) % TEST_FRACTION == TEST_FRACTION - 1
    if not is_test.any():
        raise CladecError(
            f"With {len(whole)} images there is none left for a test set; 5 a class are needed."
        )
    return whole.subset((~is_test).nonzero()[:, 0]), whole.subset(is_test.nonzero()[:, 0])
