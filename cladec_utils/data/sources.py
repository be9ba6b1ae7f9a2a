"""Readers of data sets: embedded Fashion-MNIST, torchvision's downloads, .npz files, image folders.

Each gives checked uint8 tensors or one sentence that says what is wrong and what to do.
"""

import contextlib
import functools
import gzip
import hashlib
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from cladec_utils.data.folders import read_image_folder
from cladec_utils.data.npz import read_npz
from cladec_utils.data.planted import is_planted, planted_source
from cladec_utils.data.splits import Source, Split, fingerprint, make_split
from cladec_utils.engine import paths
from cladec_utils.errors import CladecError, choose

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# sha256 of the *uncompressed* files: recompressing them changes the .gz, never these.
FASHION_FILES = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
NAMED = ("fashion-mnist", "mnist", "cifar10", "cifar100")
PLANTED = ("planted-tint-stripes", "planted-brightness-background")
"""The planted data sets of the study; any two factors make one (see `planted.NAMES`)."""


def is_named(dataset: str) -> bool:
    """Whether a data set is known by name: one of NAMED or a planted one."""
    return dataset in NAMED or is_planted(dataset)


def read_source(source: str) -> Source:
    """Read a data set whole: a name (`is_named`), or a path, of a folder of class folders or an .npz file.

    The photos of a folder stay in their files. Raises CladecError for bad data.
    """
    if source == "fashion-mnist":
        return garments()
    if is_planted(source):
        return planted_source(source, garments())
    if source in NAMED:
        return _torchvision(source)
    path = Path(source)
    if path.is_dir():
        return read_image_folder(path)
    if path.suffix.lower() == ".npz" and (path.is_file() or not path.exists()):
        return read_npz(path)
    if path.exists():
        raise CladecError(f"{source} is no data set: give a folder of class folders or an .npz file.")
    choose(path.name, NAMED + PLANTED, "data set (and no such folder or .npz file)")
    raise CladecError(f"There is no data set at {source}.")


# --- Fashion-MNIST ------------------------------------------------------------------------------


def garments() -> Source:
    """The embedded Fashion-MNIST. Raises CladecError if its files are missing or damaged."""
    return _read_garments(paths.data_dir() / "fashion-mnist")


@functools.lru_cache(maxsize=1)  # the planted data sets are all made from it
def _read_garments(folder: Path) -> Source:
    contents = {name: _gunzip(folder / name, sha) for name, sha in FASHION_FILES.items()}
    images = {k: read_idx(v, folder / k) for k, v in contents.items()}
    parts = [
        Split(images[f"{p}-images-idx3-ubyte.gz"].unsqueeze(1), images[f"{p}-labels-idx1-ubyte.gz"].long())
        for p in ("train", "t10k")
    ]
    digest = hashlib.sha256("".join(FASHION_FILES.values()).encode()).hexdigest()
    return Source(*parts, FASHION_CLASSES, digest)


def _gunzip(path: Path, sha256: str) -> bytes:
    way_out = "Restore it with: git checkout -- data"
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise CladecError(f"{path} is missing. {way_out}") from error
    except (EOFError, OSError, zlib.error) as error:
        raise CladecError(f"{path} is truncated or damaged ({error}). {way_out}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CladecError(f"{path} does not hold the published data (its checksum differs). {way_out}")
    return content


def read_idx(content: bytes, name: Path | str) -> Tensor:
    """Read the idx format of unsigned bytes: a uint8 tensor of the stated shape.

    Raises CladecError if the header or the length is wrong.
    """
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise CladecError(f"{name} is not an idx file of unsigned bytes.")
    dims = content[3]
    shape = struct.unpack_from(f">{dims}I", content, 4) if len(content) >= 4 + 4 * dims else ()
    body = len(content) - 4 - 4 * dims
    if len(shape) != dims or body != int(np.prod(shape)):
        raise CladecError(
            f"{name} is truncated: its header states the shape {shape}, but {body} bytes follow."
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=4 + 4 * dims).reshape(shape)


# --- torchvision's downloads --------------------------------------------------------------------


def _torchvision(name: str) -> Source:
    from torchvision import datasets  # noqa: PLC0415 - imports slowly, and few runs need it

    kinds = {"mnist": datasets.MNIST, "cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}
    root = paths.downloads_dir()
    try:
        with _one_at_a_time(root):
            parts = [kinds[name](root, train=train, download=True) for train in (True, False)]
    except (RuntimeError, OSError) as error:
        raise CladecError(
            f"The data set {name!r} is not in {root} and could not be downloaded ({error}). "
            "Connect to the internet and run again, or use the embedded fashion-mnist."
        ) from error
    splits = [make_split(np.asarray(p.data), np.asarray(p.targets), name) for p in parts]
    return Source(*splits, tuple(map(str, parts[0].classes)), fingerprint(*splits))


def _one_at_a_time(root: Path) -> contextlib.AbstractContextManager[object]:
    """Only one process at a time downloads to a folder; where nobody can, there is nothing to wait for."""
    root.mkdir(parents=True, exist_ok=True)
    return FileLock(root / ".lock") if os.access(root, os.W_OK) else contextlib.nullcontext()
