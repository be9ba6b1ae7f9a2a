"""Readers of data sets: embedded Fashion-MNIST, torchvision's downloads, .npz files, image folders.

Each gives checked uint8 tensors or one sentence that says what is wrong and what to do.
"""

import gzip
import hashlib
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from cladec_utils import config
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
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff"}
TEST_FRACTION = 5  # a folder or .npz without a test part gives every fifth image of a class to the test set


@dataclass(frozen=True)
class Split:
    """`images` uint8 (N, C, H, W), `labels` int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> "Split":
        """The images and labels at `indices`."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Source:
    """A whole data set: its splits, class names and the sha256 of its contents."""

    train: Split
    test: Split
    class_names: tuple[str, ...]
    fingerprint: str


def read_source(source: str, image_size: int | None = None) -> Source:
    """Read a data set whole: a name in NAMED, or the path of a folder of class folders or an .npz file.

    `image_size` brings the photos of a folder to one size; raises CladecError for bad data.
    """
    if source == "fashion-mnist":
        return _fashion_mnist(config.data_dir() / "fashion-mnist")
    if source in NAMED:
        return _torchvision(source)
    path = Path(source)
    if path.is_dir():
        return _image_folder(path, image_size)
    if path.suffix == ".npz":
        return _npz(path)
    if path.exists():
        raise CladecError(f"{source} is no data set: give a folder of class folders or an .npz file.")
    choose(path.name, NAMED, "data set (and no such folder or .npz file)")
    raise CladecError(f"There is no data set at {source}.")


def balanced_order(labels: Tensor, seed: int) -> Tensor:
    """A random order in which every beginning holds the classes as evenly as they allow."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    rank = torch.empty_like(labels)
    for label in labels.unique():
        mine = labels[order] == label
        rank[mine] = torch.arange(int(mine.sum()))
    return order[rank.sort(stable=True).indices]


# --- Fashion-MNIST ------------------------------------------------------------------------------


def _fashion_mnist(folder: Path) -> Source:
    contents = {name: _gunzip(folder / name, sha) for name, sha in FASHION_FILES.items()}
    images = {k: read_idx(v, folder / k) for k, v in contents.items()}
    parts = [
        Split(images[f"{p}-images-idx3-ubyte.gz"].unsqueeze(1), images[f"{p}-labels-idx1-ubyte.gz"].long())
        for p in ("train", "t10k")
    ]
    fingerprint = hashlib.sha256("".join(FASHION_FILES.values()).encode()).hexdigest()
    return Source(*parts, FASHION_CLASSES, fingerprint)


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
    root = config.downloads_dir()
    try:
        parts = [kinds[name](root, train=train, download=True) for train in (True, False)]
    except (RuntimeError, OSError) as error:
        raise CladecError(
            f"The data set {name!r} is not in {root} and could not be downloaded ({error}). "
            "Connect to the internet and run again, or use the embedded fashion-mnist."
        ) from error
    splits = [_split(np.asarray(p.data), np.asarray(p.targets), name) for p in parts]
    return Source(*splits, tuple(map(str, parts[0].classes)), _fingerprint(*splits))


# --- .npz files ---------------------------------------------------------------------------------


def _npz(path: Path) -> Source:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except FileNotFoundError as error:
        raise CladecError(f"There is no file {path}.") from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CladecError(
            f"{path} cannot be read as .npz without pickle: it is damaged or no .npz ({error})."
        ) from error
    if "images" in arrays and "labels" in arrays:
        whole = _split(arrays["images"], arrays["labels"], path)
        train, test = _hold_out(whole)
    elif {"train_images", "train_labels", "test_images", "test_labels"} <= arrays.keys():
        train = _split(arrays["train_images"], arrays["train_labels"], path)
        test = _split(arrays["test_images"], arrays["test_labels"], path)
    else:
        raise CladecError(
            f"{path} holds {sorted(arrays)}; it needs 'images' and 'labels', "
            "or 'train_images', 'train_labels', 'test_images' and 'test_labels'."
        )
    count = int(max(train.labels.max(), test.labels.max())) + 1
    names = tuple(map(str, arrays.get("class_names", range(count))))
    if len(names) < count:
        raise CladecError(f"{path} has labels up to {count - 1} but only {len(names)} class names.")
    if train.images.shape[1:] != test.images.shape[1:]:
        raise CladecError(f"{path}: training images and test images have different shapes.")
    return Source(train, test, names, _fingerprint(train, test))


def _split(images: np.ndarray, labels: np.ndarray, name: Path | str) -> Split:
    """Check arrays (N, H, W), (N, H, W, C) or (N, C, H, W) of uint8 and their labels."""
    if images.dtype != np.uint8:
        raise CladecError(f"{name}: images are {images.dtype}; they must be uint8, 0 to 255.")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and images.shape[-1] not in (1, 3) and images.shape[1] in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.shape[1] != images.shape[2]:
        raise CladecError(
            f"{name}: images have the shape {images.shape}; it must be (N, side, side), "
            "or with 1 or 3 channels."
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise CladecError(
            f"{name}: {len(images)} images need as many integer labels, but the labels are {labels.dtype} "
            f"of shape {labels.shape}."
        )
    if len(labels) == 0 or labels.min() < 0:
        raise CladecError(f"{name}: there must be images, and labels must be 0 or more.")
    if len(np.unique(labels)) < 2:
        raise CladecError(f"{name}: all labels are {labels[0]}; at least 2 classes are needed.")
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return Split(torch.from_numpy(channels_first), torch.from_numpy(labels.astype(np.int64)))


def _hold_out(whole: Split) -> tuple[Split, Split]:
    """Every fifth image of each class, in a fixed random order, becomes the test set."""
    order = balanced_order(whole.labels, seed=0)
    position = torch.empty_like(whole.labels)
    for label in whole.labels.unique():
        mine = order[whole.labels[order] == label]
        position[mine] = torch.arange(len(mine))
    is_test = position % TEST_FRACTION == TEST_FRACTION - 1
    if not is_test.any():
        raise CladecError(
            f"With {len(whole)} images there is none left for a test set; 5 a class are needed."
        )
    return whole.subset((~is_test).nonzero()[:, 0]), whole.subset(is_test.nonzero()[:, 0])


def _fingerprint(*splits: Split) -> str:
    digest = hashlib.sha256()
    for split in splits:
        digest.update(str(tuple(split.images.shape)).encode())
        digest.update(split.images.numpy().data)
        digest.update(split.labels.numpy().data)
    return digest.hexdigest()


# --- folders of images --------------------------------------------------------------------------


def _image_folder(folder: Path, size: int | None) -> Source:
    """Class folders directly below `folder`, or below its train/ and val/ (or test/) parts."""
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
    return _split(np.stack(images), np.array(labels), folder)


def _read_image(file: Path, size: int | None) -> np.ndarray:
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise CladecError(f"{file} cannot be read as an image ({error}); repair or remove it.") from error
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
