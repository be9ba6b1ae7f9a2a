"""Readers of the user's own data: .npz files and folders of class folders."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from cladec_utils.data.photos import Photo, Photos, look, suffixes
from cladec_utils.data.splits import Source, Split, check_brightness, make_source, make_split
from cladec_utils.errors import CladecError

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
"""Names of the parts of a folder, in any case; of several test parts with class folders the first is read."""
OF_SYSTEMS = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"} | {
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r",
}  # fmt: skip
"""What systems put into folders, beside hidden files."""


# --- .npz files ---------------------------------------------------------------------------------


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
        names = np.char.decode(names, "utf-8", "replace")
    return tuple(map(str, names))


# --- folders of images --------------------------------------------------------------------------


def files_below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """All files below a folder, links followed, but not those of systems and hidden ones."""
    here = folder.resolve()
    for entry in sorted(folder.iterdir()) if here not in above else ():  # a link may lead back
        if _of_a_system(entry):
            continue
        if entry.is_dir():
            yield from files_below(entry, above | {here})
        elif entry.is_file() or entry.is_symlink():
            yield entry


def _of_a_system(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in OF_SYSTEMS


@dataclass
class _LeftOut:
    """Files that are not read, by reason."""

    files: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, reason: str, *files: Path) -> None:
        if files:
            self.files.setdefault(reason, []).extend(files)

    def note(self, folder: Path) -> tuple[str, ...]:
        """A sentence, if there are any."""
        reasons = [f"{len(f)} {reason} (such as {f[0].name})" for reason, f in self.files.items()]
        count = sum(map(len, self.files.values()))
        return (f"{folder}: {count} files are left out: {'; '.join(reasons)}.",) if reasons else ()


def read_image_folder(folder: Path) -> Source:
    """Read class folders directly below `folder`, or below its parts, such as train/ and val/ (TRAIN, TEST).

    A class is all that Pillow can read below its folder; the images are read when they are needed (see
    `Photos`). What is left out is noted. Raises CladecError naming the file that does not fit.
    """
    left_out = _LeftOut()
    try:
        files = list(files_below(folder))
        train, test = _parts(folder, files)
        names = _class_names(train)
        found = [_read_part(part, files, names, left_out, part is train) for part in (train, test) if part]
        _rest(folder, files, [train, test], left_out)
        digest = _fingerprint(folder, [photo for split in found for photo in split.images.found])
    except OSError as error:
        raise CladecError(f"{error.filename} cannot be read: {error.strerror}.") from error
    return make_source(found[0], found[1] if test else None, names, folder, digest, left_out.note(folder))


def _parts(folder: Path, files: Sequence[Path]) -> tuple[Path, Path | None]:
    """Where training and test images are; None if the latter are to be held out of the former."""
    below = [folder / name for name in _folders(folder)]
    trains, tests = _called(below, TRAIN), _called(below, TEST)
    holding = {folder / file.relative_to(folder).parts[0] for file in files if _by_name(file)}
    if not trains or not (tests or holding.intersection(below) <= {trains[0]}):
        return folder, None  # a class may be called train
    names = set(_folders(trains[0]))
    labelled = [part for part in tests if names & set(_folders(part))]
    return trains[0], labelled[0] if labelled else None


def _called(folders: Sequence[Path], names: Sequence[str]) -> list[Path]:
    return [folder for name in names for folder in folders if folder.name.lower() == name]


def _folders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not _of_a_system(p))


def _class_names(folder: Path) -> list[str]:
    names = _folders(folder)
    if len(names) < 2:
        raise CladecError(
            f"{folder} holds {len(names)} class folder(s) {names}; at least 2 are needed, "
            "one folder per class."
        )
    return names


def _read_part(
    part: Path, files: Sequence[Path], names: Sequence[str], left_out: _LeftOut, all_classes: bool
) -> Split:
    """The images of a part of a folder, class by class; unless it must have `all_classes`, some may lack."""
    photos: list[Photo] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        mine = [file for file in files if file.is_relative_to(part / name)]
        seen = [(file, look(file)) for file in mine]
        left_out.add("no images that can be read", *(file for file, photo in seen if photo is None))
        found = [photo for _, photo in seen if photo]
        if not found and (mine or all_classes):
            raise CladecError(f"{part / name} holds {len(mine)} files, but no image that can be read.")
        photos += found
        labels += [label] * len(found)
    return Split(Photos(tuple(photos)), torch.tensor(labels, dtype=torch.int64))


def _by_name(file: Path) -> bool:
    return file.suffix.lower() in suffixes()


def _rest(folder: Path, files: Sequence[Path], parts: Sequence[Path | None], left_out: _LeftOut) -> None:
    """Note images, by their names, that are in no class folder that is read."""
    train, test = parts
    names = _folders(train)
    for file in filter(_by_name, files):
        part = next((p for p in parts if p and file.is_relative_to(p)), None)
        top = folder / file.relative_to(folder).parts[0]
        if file.parent == part or top == file:
            left_out.add("outside class folders", file)
        elif part is None:
            left_out.add(f"in {top.name}/, {_why_not(top, train, test)}", file)
        elif (name := file.relative_to(part).parts[0]) not in names:
            left_out.add(f"of class {name!r}, which {train.name}/ lacks", file)


def _why_not(top: Path, train: Path, test: Path | None) -> str:
    if top.name.lower() not in (*TRAIN, *TEST):
        return "which is called neither train nor test"
    if top.name.lower() in TRAIN:
        return f"as {train.name}/ is read"
    return f"as {test.name}/ is the test set" if test else f"which has no class folders of {train.name}/"


def _fingerprint(folder: Path, photos: Sequence[Photo]) -> str:
    """The sha256 of the files that are read, not of their pixels: the same at every image_size."""
    digest = hashlib.sha256()
    for photo in sorted(photos, key=lambda photo: photo.path):
        content = photo.path.read_bytes()
        digest.update(f"{photo.path.relative_to(folder)} {len(content)}\n".encode())
        digest.update(content + b" on white" * photo.transparent)
    return digest.hexdigest()
