"""The user's own photos: folders with a folder per class, or with parts (train/, val/) that have them."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import torch

from cladec_utils.data.files import (
    LeftOut,
    by_name,
    files_below,
    folders_in,
    in_a_bin,
    is_a_bin,
    is_image,
    may_be_image,
    odd_kind,
)
from cladec_utils.data.photos import Photo, Photos, look
from cladec_utils.data.splits import Source, Split, make_source, some
from cladec_utils.errors import CladecError, printable

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
"""Names of the parts of a folder, in any case; of several test parts with class folders the first is read."""
_OF_A_PART = re.compile(
    r"(the|my|images|imgs|data)?"
    r"(train(ing|val)?|trn|test(ing)?|tst|val(id(ation)?)?|dev(el(opment)?)?|eval(uation)?|h[oe]ldout)"
    r"(set|split|data(set)?|part|fold|images|imgs|photos)?\d*"
)
"""How people call parts of data; of these only TRAIN and TEST are read as such."""
_HALVES = (
    re.compile(r"train(ing|val)?|trn"),
    re.compile(r"test(ing)?|tst|val(id(ation)?)?|dev|eval|h[oe]ldout"),
)
"""Words in the names of parts: seg_train, trainA, x-test."""


def read_image_folder(folder: Path) -> Source:
    """Read class folders directly below `folder`, or below its parts, such as train/ and val/ (TRAIN, TEST).

    A class is all that Pillow can read below its folder; the images are read when they are needed (see
    `Photos`). What is left out, or understood in some way, is noted. Raises CladecError naming the file or
    the folder that does not fit.
    """
    left_out = LeftOut()
    try:
        files = list(files_below(folder))
        train, test = _parts(folder, files)
        names = _class_names(train)
        found = [_read_part(part, files, names, left_out, part is train) for part in (train, test) if part]
        notes = (*_nesting(train, names, found[0].images.found), *_twins(train, names))
        notes += _pages(folder, [photo for split in found for photo in split.images.found])
        _rest(folder, files, [train, test], left_out)
        for file in filter(is_image, files_below(folder, hidden=True)):
            left_out.add("in what systems put into folders" if in_a_bin(file, folder) else "hidden", file)
        digest = _fingerprint(folder, [photo for split in found for photo in split.images.found])
    except OSError as error:
        raise CladecError(f"{error.filename} cannot be read: {error.strerror}.") from error
    notes += left_out.note(folder)
    try:
        return make_source(
            found[0], found[1] if test else None, [printable(name) for name in names], folder, digest, notes
        )
    except CladecError as error:
        raise CladecError(" ".join([str(error), *notes])) from error


# --- which folders are what ---------------------------------------------------------------------


def _parts(folder: Path, files: Sequence[Path]) -> tuple[Path, Path | None]:
    """Where training and test images are; None if the latter are to be held out of the former."""
    below = folders_in(folder)
    trains, tests = _called(below, TRAIN), _called(below, TEST)
    holding = {folder / file.relative_to(folder).parts[0] for file in files if by_name(file)}
    if not trains or not (tests or holding.intersection(below) <= {trains[0]}):
        return folder, None  # a class may be called train
    return trains[0], next((part for part in tests if _has_classes_of(part, trains[0])), None)


def _called(folders: Sequence[Path], names: Sequence[str]) -> list[Path]:
    return [folder for name in names for folder in folders if folder.name.lower() == name]


def _has_classes_of(part: Path, train: Path) -> bool:
    """Raises CladecError for a class that is written in another way there."""
    names = {path.name for path in folders_in(train)}
    wanted = {_alike(name): train / name for name in names}
    there = folders_in(part)
    for path in there:
        if path.name not in names and (twin := wanted.get(_alike(path.name))):
            raise CladecError(
                f"{path} and {twin} are two classes, as upper and lower case, spaces at the ends or the "
                "coding of accents differ; give the folders of one class the same name."
            )
    return any(path.name in names for path in there)


def _alike(name: str) -> str:
    """The same for names that differ in upper and lower case, in spaces at the ends or in how accents are
    coded."""
    name = unicodedata.normalize("NFC", name).casefold().strip()
    return unicodedata.normalize("NFC", name)


def _class_names(folder: Path) -> list[str]:
    names = [path.name for path in folders_in(folder)]
    if len(names) < 2:
        deeper = [path.name for name in names for path in folders_in(folder / name)]
        what = "data set has the parts" if set(_parts_among(deeper)) == set(deeper) else "classes are"
        way = f" If the {what} {some(deeper)}, give {folder / names[0]}." if len(deeper) > 1 else ""
        if bins := [path.name for path in sorted(folder.iterdir()) if path.is_dir() and is_a_bin(path.name)]:
            way += f" Systems have folders called {some(bins)}; if these are classes, give them other names."
        raise CladecError(
            f"{folder} holds {len(names)} class folder(s) {names}; at least 2 are needed, "
            f"one folder per class.{way}"
        )
    return names


def _nesting(part: Path, names: Sequence[str], photos: Sequence[Photo]) -> tuple[str, ...]:
    """How folders in class folders were understood, if they look as if they were the classes or parts.

    Raises CladecError if what was taken for classes are parts of the data, by their names."""
    below: dict[str, set[str]] = {name: set() for name in names}
    ends: dict[str, dict[Path, str]] = {name: {} for name in names}  # folders with images, and their names
    direct = set()
    for photo in photos:
        name, inner, *deeper = photo.path.relative_to(part).parts
        if deeper:
            below[name].add(inner)
            ends[name][photo.path.parent] = photo.path.parent.name
        else:
            direct.add(name)
    deep = {name: sorted(ends[name].values()) for name in names if name not in direct}
    inner = list(dict.fromkeys(folder for found in deep.values() for folder in found))
    parts = _parts_among(names)
    if any(name in deep for name in parts) or parts == list(names):
        lie = f" with images in the folders {some(inner)}" if inner else ""
        raise CladecError(
            f"{part} has the folders {some(names)}{lie}, which would be classes, but {some(parts)} is what "
            "parts of data are called. Call the parts train and test (or val), each with a folder per class "
            "directly in it; if they are classes, give them other names."
        )
    mixed = sorted(set(_parts_among([folder for found in below.values() for folder in found])))
    if mixed:
        return (
            f"{part}: the folders {some(mixed)} in class folders were taken together. If they are parts of "
            "the data, put the class folders into them (train/cat, test/cat), not them into class folders.",
        )
    if any(len(found) > 1 for found in deep.values()):
        return (
            f"{part}: the classes are {some(list(names))}, each with all images of the folders in it "
            f"({some(inner)}). If these are the classes, put them side by side into one folder, or "
            "into train and test.",
        )
    return ()


def _twins(part: Path, names: Sequence[str]) -> tuple[str, ...]:
    """A note on classes whose names people may not tell apart."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(_alike(name), []).append(name)
    twins = [" and ".join(map(repr, group)) for group in alike.values() if len(group) > 1]
    if not twins:
        return ()
    return (
        f"{part}: {some(twins)} are different classes, though only upper and lower case, spaces at the ends "
        "or the coding of accents differ. If they are one, put their images into one folder.",
    )


def _pages(folder: Path, photos: Sequence[Photo]) -> tuple[str, ...]:
    """A note on images with several pages or frames."""
    found = [photo.path.name for photo in photos if photo.pages]
    if not found:
        return ()
    return (
        f"{folder}: of {len(found)} images with several pages or frames (such as {found[0]}) the first is "
        "read.",
    )


def _parts_among(names: Sequence[str]) -> list[str]:
    """Those of the names that are what parts of data are called. Of names in which only a word is (a steam
    train is a class, too) there must be both halves."""
    whole = [name for name in names if _OF_A_PART.fullmatch(re.sub(r"[\W_]+", "", name.lower()))]
    halves = [[name for name in names if any(map(half.fullmatch, _words(name)))] for half in _HALVES]
    found = {*whole, *halves[0], *halves[1]} if all(halves) else set(whole)
    return [name for name in names if name in found]


def _words(name: str) -> list[str]:
    """The words of a name, in small letters: asl_alphabetTrain2 -> asl, alphabet, train."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.split(r"[\W\d_]+", apart)]


# --- what is in them ----------------------------------------------------------------------------


def _read_part(
    part: Path, files: Sequence[Path], names: Sequence[str], left_out: LeftOut, all_classes: bool
) -> Split:
    """The images of a part of a folder, class by class; unless it must have `all_classes`, some may lack."""
    photos: list[Photo] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        mine = [file for file in files if file.is_relative_to(part / name)]
        seen = [(file, _looked(file, left_out)) for file in mine]
        found = [photo for _, photo in seen if photo]
        if not found and (mine or all_classes):
            raise CladecError(
                f"{part / name} holds {len(mine)} files, but no image that can be read. If it is a class, "
                "put its images there; else move it out of its folder."
            )
        photos += found
        labels += [label] * len(found)
    return Split(Photos(tuple(photos)), torch.tensor(labels, dtype=torch.int64))


def _looked(file: Path, left_out: LeftOut) -> Photo | None:
    """The image in a file of a class; what is none is left out, but for a link that is called like one."""
    odd = odd_kind(file)
    if odd and not (by_name(file) and file.is_symlink()):
        left_out.add(odd, file)
        return None
    photo = look(file)
    if photo is None:
        left_out.add("no images that can be read", file)
    return photo


def _rest(folder: Path, files: Sequence[Path], parts: Sequence[Path | None], left_out: LeftOut) -> None:
    """Note what may be an image and is in no class folder that is read."""
    train, test = parts
    names = {path.name for path in folders_in(train)}
    for file in files:
        part = next((p for p in parts if p and file.is_relative_to(p)), None)
        top = folder / file.relative_to(folder).parts[0]
        inside = file.relative_to(part).parts[0] if part else ""
        if inside in names:
            continue
        if odd := odd_kind(file):
            left_out.add(odd, file)
        elif not may_be_image(file):
            continue
        elif file.parent == part or top == file:
            left_out.add("outside class folders", file)
        elif part is None:
            left_out.add(f"in {top.name}/, {_why_not(top, train, test)}", file)
        else:
            left_out.add(f"of class {inside!r}, which {train.name}/ lacks", file)


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
        digest.update(os.fsencode(f"{photo.path.relative_to(folder)} {len(content)}\n"))
        digest.update(content + b" on white" * photo.transparent)
    return digest.hexdigest()
