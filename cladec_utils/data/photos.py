"""Image files -> pixels when they are needed: upright, RGB, on white where transparent, cut to squares."""

import functools
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cladec_utils.errors import CladecError

BACKGROUND = "white"
"""What shows through where an image is transparent."""
NO_PIXELS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow can name but not read, or hands to other programs."""
PNG = b"\x89PNG\r\n\x1a\n"
T = TypeVar("T")


@functools.cache
def suffixes() -> frozenset[str]:
    """The endings of files that must be images, in lower case: those of what Pillow can read."""
    Image.init()
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in formats())


@functools.cache
def formats() -> tuple[str, ...]:
    """Pillow's names of what can be read."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NO_PIXELS))


@dataclass(frozen=True)
class Photo:
    """An image file: where it is, its size in pixels, whether any of it may be transparent, and whether it
    has `pages`, of which the first is read."""

    path: Path
    width: int
    height: int
    transparent: bool
    pages: bool = False


@dataclass(frozen=True)
class Photos:
    """Images that lie in files until they are read: stands where a tensor (N, 3, side, side) would."""

    found: tuple[Photo, ...]

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, indices: Tensor) -> "Photos":
        return Photos(tuple(self.found[i] for i in indices.tolist()))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As a tensor's; raises CladecError unless all are squares of one size."""
        side = common_side(self.found)
        return len(self), 3, side, side

    def read(self, size: int) -> Tensor:
        """The pixels (N, 3, size, size), uint8: a centred square of each, brought to that side."""
        images = torch.empty(len(self), 3, size, size, dtype=torch.uint8)
        for image, photo in zip(images, self.found, strict=True):
            image.copy_(torch.from_numpy(_square(photo.path, size)).permute(2, 0, 1))
        return images


def look(path: Path) -> Photo | None:
    """What the beginning of a file says of its image; None if it is none.

    Raises CladecError for a file that by its name should be an image and cannot be read as one, and for
    more than 8 bits a channel.
    """
    try:
        mode, (width, height), transparent, several = _attempt(path, _header)
    except CladecError:
        if path.suffix.lower() in suffixes():
            raise
        return None
    check_depth(mode, path)
    return Photo(path, width, height, transparent, several)


def check_depth(mode: str, name: Path | str) -> None:
    """Raises CladecError for a Pillow mode of more than 8 bits, which convert would cut off at 255."""
    if mode.startswith(("I", "F")):
        raise CladecError(
            f"{name} has pixels of type {mode!r}, more than 8 bits; save it with 8 bits a channel "
            "(0 to 255), or give all images as an .npz file of uint8."
        )


def common_side(photos: Sequence[Photo]) -> int:
    """The side of images that are squares of one size; raises CladecError naming one that does not fit."""
    most = Counter((p.width, p.height) for p in photos).most_common(1)[0][0]
    for p in photos:
        if p.width != p.height:
            raise CladecError(
                f"{p.path} has {p.width}x{p.height} pixels; images must be square. "
                "Give image_size (--image-size), for instance 64, to crop and resize them."
            )
        if (p.width, p.height) != most:
            raise CladecError(
                f"{p.path} has {p.width}x{p.height} pixels, others have {most[0]}x{most[1]}. "
                "Give image_size (--image-size), for instance 64, to bring all to one size."
            )
    return most[0]


def _header(source: Path | io.BytesIO) -> tuple[str, tuple[int, int], bool, bool]:
    with Image.open(source, formats=formats()) as image:
        return image.mode, image.size, image.has_transparency_data, _has_pages(image)


def _has_pages(image: Image.Image) -> bool:
    """Whether there are several pages or frames; phones put a preview behind a photo, which is none."""
    try:
        return image.format != "MPO" and getattr(image, "n_frames", 1) > 1
    except Exception:  # whatever a damaged rest brings a decoder to: the first page may be sound
        return False


def _rgb(source: Path | io.BytesIO) -> Image.Image:
    with Image.open(source, formats=formats()) as image:
        image.load()
        return on_white(_upright(image))


def on_white(image: Image.Image) -> Image.Image:
    """As RGB, on white where it is transparent."""
    if image.mode == "La":  # which Pillow makes into this alone
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        behind = Image.new("RGBA", image.size, BACKGROUND)
        image = Image.alpha_composite(behind, image)
    return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """Turned as the camera says it was held; as it is where that cannot be read."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # whatever a broken description of a sound image brings Pillow to
        return image


def centred(image: Image.Image) -> Image.Image:
    """The largest square in the middle of an image."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _square(path: Path, size: int) -> np.ndarray:
    image = centred(_attempt(path, _rgb))
    return np.array(image.resize((size, size), Image.Resampling.BILINEAR))


def _attempt(path: Path, act: Callable[[Path | io.BytesIO], T]) -> T:
    """What `act` makes of a file, or else of its pixels alone; raises CladecError that names the file."""
    try:
        return act(path)
    except Exception as error:  # Pillow's decoders raise whatever a damaged file brings them to
        if isinstance(error, Image.DecompressionBombError):
            limit = str(error).split(", ")[0]
            raise CladecError(
                f"{path} is larger than what is read here ({limit}); make it smaller, or remove it."
            ) from error
        try:
            return act(io.BytesIO(_without_extras(path)))
        except Exception:
            message = f"{path} cannot be read as an image ({error}); repair or remove it."
            raise CladecError(message) from error


def _without_extras(path: Path) -> bytes:
    """A PNG without what describes it: texts, dates, camera, colour profile; nothing of other files."""
    with path.open("rb") as file:
        content = file.read(len(PNG))
        if content != PNG:
            return b""
        content += file.read()
    kept, at = [PNG], len(PNG)
    while at < len(content):
        kind, end = content[at + 4 : at + 8], at + 12 + int.from_bytes(content[at : at + 4])
        if kind[:1].isupper() or kind == b"tRNS":
            kept.append(content[at:end])
        at = end
    return b"".join(kept)
