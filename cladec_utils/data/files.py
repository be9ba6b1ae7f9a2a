"""The files below a folder: which may be read, and which are left out and why."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cladec_utils.data.photos import look, suffixes
from cladec_utils.errors import CladecError

OF_SYSTEMS = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"} | {
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", ".ipynb_checkpoints", ".git", ".svn", ".hg", ".dvc",
    ".cache", ".venv", ".thumbnails", ".@__thumb", ".appledouble", ".spotlight-v100", ".trashes",
}  # fmt: skip
"""What systems and programs put into folders."""
BINS = {
    "network trash folder", "temporary items", "thevolumesettingsfolder", "thefindbycontentfolder",
    "recycle.bin", "#snapshot", "#snapshots", "~snapshot", "~snapshots", "$extend", "$winreagent",
}  # fmt: skip
"""Folders of systems that may hold copies of images, which are told of. A class may be called `recycled`, but
not RECYCLED, as Windows writes it; `@` begins the names of what NAS systems add."""
OF_CAMERAS = {
    ".heic", ".heif", ".hif", ".avif", ".jxl", ".svg", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".rw2",
    ".orf", ".exr", ".dcm",
}  # fmt: skip
"""Endings of images that Pillow may not be able to read here."""


def files_below(folder: Path, hidden: bool = False) -> Iterator[Path]:
    """All that is no folder below a folder, links followed, but not what is of systems, and of the hidden
    only (whatever is in a hidden folder, too) or nothing. It may be a link to nowhere, or a pipe."""
    return _below(folder, hidden, frozenset(), False)


def _below(folder: Path, hidden: bool, above: frozenset[Path], inside: bool) -> Iterator[Path]:
    """`above` are the folders on the way here; `inside` says that one of them is hidden."""
    here = folder.resolve()
    if here in above:  # a link may lead back
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        if not inside:
            raise
        return
    for entry in entries:
        covered = inside or _is_hidden(entry.name)
        if of_a_system(entry) or (covered and not hidden):
            continue
        if entry.is_dir():
            yield from _below(entry, hidden, above | {here}, covered)
        elif covered == hidden:
            yield entry


def of_a_system(path: Path) -> bool:
    """Whether a file or folder is there for a system or program, not for people."""
    name = path.name.lower()
    return name in OF_SYSTEMS or name.startswith(("._", ".trash-", ".nfs"))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_a_bin(name)


def is_a_bin(name: str) -> bool:
    """Whether what is called so is a bin, a snapshot or the like of a system, or a lock (`~$`)."""
    if name in ("RECYCLER", "RECYCLED") or name.startswith(("@", "~$")):
        return True
    return name.lower() in BINS or bool(re.fullmatch(r"found\.\d{3}", name.lower()))


def in_a_bin(file: Path, folder: Path) -> bool:
    """Whether a file below a folder is there only for a system: in a bin, a snapshot, or a lock (`~$`)."""
    return any(map(is_a_bin, file.relative_to(folder).parts))


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in a folder, by name, those of systems and hidden ones left out."""
    found = sorted(p for p in folder.iterdir() if not _is_hidden(p.name) and not of_a_system(p))
    return [path for path in found if path.is_dir()]


def odd_kind(path: Path) -> str:
    """What a file is that cannot be opened, or must not be, as who opens a pipe waits; empty for others."""
    if path.is_symlink() and not path.exists():
        return "links to nowhere"
    return "" if path.is_file() else "pipes, sockets or devices"


def by_name(file: Path) -> bool:
    """Whether a file must be an image, as its ending is that of one which Pillow reads."""
    return file.suffix.lower() in suffixes()


def may_be_image(file: Path) -> bool:
    """Whether a file is an image by its name or by what is in it."""
    if by_name(file) or file.suffix.lower() in OF_CAMERAS:
        return True
    try:
        return not odd_kind(file) and look(file) is not None
    except CladecError:
        return True  # an image of another kind than those that are read


def is_image(file: Path) -> bool:
    """Whether a file is an image by what is in it, whatever its name says."""
    try:
        return not odd_kind(file) and look(file) is not None
    except CladecError:
        return False


@dataclass
class LeftOut:
    """Files that are not read, by reason."""

    files: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, reason: str, *files: Path) -> None:
        """Count files under a reason, such as `outside class folders`."""
        if files:
            self.files.setdefault(reason, []).extend(files)

    def note(self, folder: Path) -> tuple[str, ...]:
        """A sentence, if there are any."""
        reasons = [f"{len(f)} {reason} (such as {f[0].name})" for reason, f in self.files.items()]
        count = sum(map(len, self.files.values()))
        return (f"{folder}: {count} files are left out: {'; '.join(reasons)}.",) if reasons else ()
