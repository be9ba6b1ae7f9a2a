"""What a report gives to the kit, in one line each, and what must come of it (see `test_reports`)."""

import io
import json
import os
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import cladec_utils as cu
from cladec_utils.claims import effects, evidence
from cladec_utils.claims.interval import as_record, effect
from cladec_utils.data import datasets
from cladec_utils.data.datasets import data_spec
from cladec_utils.engine import tables
from cladec_utils.errors import CladecError
from cladec_utils.study.folders import Folder
from cladec_utils.study.study import open_study
from cladec_utils.user_study.analysis.responses import open_generated
from cladec_utils.user_study.materials import settings
from cladec_utils.user_study.materials.address import host_shown


@dataclass(frozen=True)
class Says:
    """It is refused with a sentence that holds these words, a regular expression."""

    words: str


@dataclass(frozen=True)
class Notes:
    """It is taken, with a note that holds these words, a regular expression; `value` is what comes out."""

    words: str
    value: object = None


def of_tables(names):
    """The rows of all tables, the lists among a module's names, as parameters of one test."""
    kinds = {name: rows for name, rows in names.items() if isinstance(rows, list)}
    return [
        pytest.param(*row, id=f"{kind.lower()}-{i}")
        for kind, rows in kinds.items()
        for i, row in enumerate(rows, 1)
    ]


def check(given: Callable[[Path], object], outcome: object, folder: Path) -> None:
    """Hold what comes out of `given`, which may write to `folder`, against the outcome that a row states."""
    if isinstance(outcome, Says):
        with pytest.raises(CladecError, match=outcome.words), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given(folder)
        return
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        found = given(folder)
    said = [str(note.message) for note in noted]
    if isinstance(outcome, Notes):
        assert any(re.search(outcome.words, note) for note in said), said
        outcome = outcome.value
    else:
        assert not said
    assert found == outcome and type(found) is type(outcome)


def read_back(folder: Path, value: object, kind: type = str) -> object:
    """What a cell of a CSV table is after writing and reading."""
    path = folder / "table.csv"
    path.write_text(pd.DataFrame({"name": [value], "n": [1]}).to_csv(index=False), "utf-8")
    return tables.read(path, {"name": kind, "n": int}, "a table")["name"].tolist()[0]


def read_text(folder: Path, text: str, **schema: type) -> object:
    """The rows of a CSV file that holds `text`."""
    return read_bytes(folder, text.encode(), **schema)


def read_bytes(folder: Path, content: bytes, **schema: type) -> object:
    """The rows of a CSV file of these bytes."""
    path = folder / "table.csv"
    path.write_bytes(content)
    return tables.read(path, schema, "a table").to_dict("records")


def written(folder: Path, text: str) -> object:
    """The rows of a table that holds `text` after writing and reading."""
    return read_text(folder, tables.as_csv(pd.DataFrame({"text": [text], "n": [0.5]})), n=float)


def setting(folder: Path, content: bytes) -> str:
    """What a settings.json of these bytes says of the payment."""
    (folder / "settings.json").write_bytes(content)
    return settings.read(folder / "settings.json")["payment"]


def posting(folder: Path, post_url: str, page_url: str = "") -> tuple[str, str]:
    """Where a page sends answers by settings, and which host it names to participants."""
    (folder / "settings.json").write_text(json.dumps({"post_url": post_url, "page_url": page_url}))
    address = settings.read(folder / "settings.json")["post_url"]
    return address, host_shown(address)


def document(folder: Path, content: bytes) -> str:
    """The researcher's own words in a consent.md of these bytes."""
    (folder / "consent.md").write_bytes(content)
    return settings.own_documents(folder)["consent"]


STUDY = {
    "hash": "0123", "build": "draft", "arms": {"a": [0, 1]}, "items": {"i": {}},
    **{part: ["x"] for part in ("concepts", "slots", "practice", "comprehension", "attention", "experience")},
}  # fmt: skip
KEY = {"study_hash": "0123", "concepts": ["x"], "arms": {"a": {}}, "items": {"i": {}}, "spec": {"seed": 0}}


def generated(folder: Path, mark: bytes = b"", study: object = STUDY, key: object = KEY) -> str:
    """The hash of a generated study whose files an editor has saved again."""
    (folder / "private").mkdir()
    (folder / "study.json").write_bytes(mark + json.dumps(study).encode())
    (folder / "private/key.json").write_bytes(mark + json.dumps(key).encode())
    return open_generated(folder).study["hash"]


def for_spreadsheets(folder: Path, text: str) -> tuple[bytes, str]:
    """How a table for people that holds `text` begins, and what is read back from it."""
    content = tables.for_people(pd.DataFrame({"text": [text]}))
    (folder / "table.csv").write_text(content, "utf-8", newline="")
    return (folder / "table.csv").read_bytes()[:3], tables.read(folder / "table.csv", {}, "")["text"][0]


# --- image files ----------------------------------------------------------------------------------

RED, CLEAR, GREEN = (255, 0, 0, 255), (255, 0, 0, 0), (0, 255, 0, 255)


def flat(colour: tuple[int, ...], mode: str = "RGBA") -> Image.Image:
    """A 16 x 16 image of one colour."""
    return Image.new(mode, (16, 16), colour)


def palette(colour: tuple[int, int, int], transparent: bool) -> Image.Image:
    """The same with a palette, in which the colour may be called transparent."""
    image = Image.new("P", (16, 16), 0)
    image.putpalette([*colour, 0, 0, 0])
    if transparent:
        image.info["transparency"] = 0
    return image


def colour(folder: Path, image: Image.Image, name: str = "x.png", **options: object) -> tuple[int, ...]:
    """The colour that the kit sees in the middle of an image which is saved in a class of a folder."""
    return colour_in(folder, saved(image, name.rsplit(".", maxsplit=1)[-1], **options), name)


def colour_in(folder: Path, content: bytes, name: str = "x.png") -> tuple[int, ...]:
    """The same, of a file's bytes; the other images are green or black."""
    root = class_folders(folder, {"a": 9, "b": 9})
    (root / "a" / name).write_bytes(content)
    data = datasets.load(data_spec(str(root)))
    images = torch.cat([data.train.images, data.test.images])
    return tuple(unusual(images[:, :, 8, 8].tolist()))


def unusual(colours: list[list[int]]) -> list[int]:
    """The one colour that is no background of `class_folders`."""
    [found] = [c for c in colours if c not in ([0, 0, 0], [0, 255, 0])]
    return found


def saved(image: Image.Image, suffix: str, **options: object) -> bytes:
    """An image as the content of a file."""
    buffer = io.BytesIO()
    image.save(buffer, Image.registered_extensions()[f".{suffix.lower()}"], **options)
    return buffer.getvalue()


def with_chunk(content: bytes, kind: bytes, body: bytes, right: bool = True) -> bytes:
    """A PNG with one more chunk behind its header, the chunk's checksum being right or wrong."""
    checksum = (zlib.crc32(kind + body) + (not right)) & 0xFFFFFFFF
    return (
        content[:33] + struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum) + content[33:]
    )


def rgba16(red: int, alpha: int) -> bytes:
    """A PNG of 16 x 16 pixels with 16 bits a channel, which Pillow does not write."""
    rows = (b"\0" + struct.pack(">4H", red, 0, 0, alpha) * 16) * 16
    chunks = [
        (b"IHDR", struct.pack(">2I5B", 16, 16, 16, 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    packed = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


# --- folders --------------------------------------------------------------------------------------


def class_folders(folder: Path, counts: dict[str, int]) -> Path:
    """Folders below `photos` with so many black and green PNGs each; returns `photos`."""
    root = folder / "photos"
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            flat((0, 255 * (i % 2), 0), "RGB").save(root / name / f"{i}.png")
    return root


def counted(folder: Path, counts: dict[str, int], *others: str) -> tuple[dict[str, int], dict[str, int]]:
    """How many training and test images of each class are read, `others` being copies of one image."""
    root = class_folders(folder, counts)
    for other in others:
        (root / other).parent.mkdir(parents=True, exist_ok=True)
        suffix = other.split(".")[-1].lower()
        kind = suffix if f".{suffix}" in Image.registered_extensions() else "png"
        (root / other).write_bytes(saved(flat((0, 255, 0), "RGB"), kind))
    return read_counts(root)


def read_counts(path: Path | str) -> tuple[dict[str, int], dict[str, int]]:
    """How many training and test images of each class a data set has."""
    data = datasets.load(data_spec(str(path)))
    splits = (data.train, data.test)
    names = data.class_names
    both = [dict(zip(names, s.labels.bincount(minlength=len(names)).tolist(), strict=True)) for s in splits]
    return both[0], both[1]


def beside(folder: Path, counts: dict[str, int], files: dict[str, bytes]) -> object:
    """The same with other files, by their contents, in the folder."""
    root = class_folders(folder, counts)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return read_counts(root)


def changed(folder: Path, counts: dict[str, int], change: Callable[[Path], object]) -> object:
    """The same after a change of the folder."""
    root = class_folders(folder, counts)
    change(root)
    return read_counts(root)


def put(*files: Path) -> None:
    """Write an image under each of these names, whatever their endings."""
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(saved(flat((0, 255, 0), "RGB"), "png"))


def rename(path: Path, name: bytes) -> None:
    """Give a file or folder a name in bytes, which need not be UTF-8."""
    path.rename(path.with_name(os.fsdecode(name)))


def pipe(folder: Path) -> object:
    """What is read of a pipe called x.npz: who opens it waits for ever."""
    os.mkfifo(folder / "x.npz")
    return read_counts(folder / "x.npz")


def named(folder: Path, name: str) -> str:
    """What a data set is called that lies in a folder or an .npz of this name."""
    if name.endswith(".npz"):
        arrays(folder)
        (folder / "x.npz").rename(folder / name)
    else:
        class_folders(folder, {"a": 5, "b": 5}).rename(folder / name)
    return data_spec(str(folder / name)).dataset


def huge(side: int) -> bytes:
    """A PNG of so many black pixels a side, one bit each."""
    return saved(Image.new("1", (side, side)), "png")


def at_home(folder: Path, path: str) -> object:
    """How many images are read from a folder that is named from the user's home."""
    root = class_folders(folder, {"a": 10, "b": 10})
    (folder / "deep").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(root if path == "~" else folder))
        return read_counts(path)


def emptied(folder: Path, name: str) -> object:
    """What is read where one of the class folders is empty."""
    root = class_folders(folder, {"a": 10, "b": 10})
    for file in (root / name).iterdir():
        file.unlink()
    return read_counts(root)


def told_apart(folder: Path, change: Callable[[Path], object], linked: bool = False) -> bool:
    """Whether data are other data to the kit, in one session, after a change of files in their folder, in
    which the classes may be links."""
    root = class_folders(folder, {"a": 9, "b": 9})
    if linked:
        for name in "ab":
            (root / name).rename(folder / name)
            (root / name).symlink_to(folder / name)
    before = data_spec(str(root))
    change(root)
    return data_spec(str(root)).fingerprint != before.fingerprint


def paint(file: Path, colour: tuple[int, int, int] = (9, 9, 9)) -> None:
    """Write an image of one colour."""
    flat(colour, "RGB").save(file)


def swap(one: Path, other: Path) -> None:
    """Let two files change their places."""
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


def turn_back(folder: Path) -> dict[str, int]:
    """How many training images there are in a folder with a link back to itself."""
    root = class_folders(folder, {"a": 10, "b": 10})
    (root / "a" / "back").symlink_to(root)
    return read_counts(root)[0]


# --- arrays ---------------------------------------------------------------------------------------


def arrays(folder: Path, name: str = "x.npz", **changes: object) -> tuple[dict[str, int], dict[str, int]]:
    """How many images of each class are read from an .npz of 60 random images of three classes."""
    random = np.random.default_rng(0)
    whole = {"images": random.integers(0, 256, (60, 16, 16), dtype=np.uint8), "labels": np.arange(60) % 3}
    with (folder / name).open("wb") as file:
        np.savez(file, **{k: v for k, v in (whole | changes).items() if v is not None})
    return read_counts(folder / name)


def tensors(images: np.ndarray) -> tuple[int, int]:
    """How many training and test images become of a tensor with a channel more than this array."""
    train, test = datasets.load_images(torch.from_numpy(images).unsqueeze(1))
    return len(train), len(test)


def taken(folder: Path, **asked: object) -> tuple[int, int, int]:
    """How many images for training, validation and test are taken of 48 and 12 of three classes."""
    arrays(folder)
    spec = data_spec(str(folder / "x.npz"), **asked)
    return spec.n_train, spec.n_val, spec.n_test


def bits(kind: str = "uint8", highest: float = 1) -> np.ndarray:
    """60 images of 0 and `highest`."""
    return (np.arange(60 * 256).reshape(60, 16, 16) % 2 * highest).astype(kind)


def dark_test(
    folder: Path, brightest: int, tested: int = 0, count: int = 60
) -> tuple[dict[str, int], dict[str, int]]:
    """How many images of each class are read, where `count` test images are of 0 and `tested`."""
    train, labels = bits(highest=brightest), np.arange(60) % 3
    return arrays(
        folder, images=None, labels=None, train_images=train, train_labels=labels,
        test_images=bits(highest=tested)[:count], test_labels=labels[:count],
    )  # fmt: skip


def shades(highest: float) -> torch.Tensor:
    """24 images whose pixels lie between 0 and `highest`, which some have."""
    images = torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * highest
    images[:, 0, 0, 0] = highest
    return images


def seen_by() -> nn.Module:
    """A classifier of such images."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(4 * 8 * 8, 3))


def explained(images: torch.Tensor) -> cu.ClaDec:
    """A ClaDec fitted to images."""
    return cu.ClaDec(seen_by(), "0").fit(images, updates=1, progress=False)


def masks(folder: Path, brightest: int) -> tuple[dict[str, int], dict[str, int]]:
    """How many images are read from a folder of PNGs that are no brighter than this."""
    root = class_folders(folder, {"a": 10, "b": 10})
    for file in root.rglob("*.png"):
        flat((brightest,), "L").save(file)
    return read_counts(root)


def renamed(folder: Path, name: str) -> tuple[str, ...]:
    """The classes of an .npz after it was written again with another name for one of them."""
    arrays(folder, class_names=["a", "b", "c"])
    arrays(folder, class_names=["a", "b", name])
    return datasets.load(data_spec(str(folder / "x.npz"))).class_names


def npz_of(folder: Path, side: int, first: int = 0) -> str:
    """An .npz with 60 images of a side in pixels, of two classes from `first` up."""
    images = np.random.default_rng(0).integers(0, 256, (60, side, side), dtype=np.uint8)
    np.savez(folder / "x.npz", images=images, labels=np.arange(60) % 2 + first)
    return str(folder / "x.npz")


def validation(folder: Path, counts: list[int], n_val: int) -> dict[str, int]:
    """How many validation images of each class there are, of a data set of so many training images each."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.full((len(labels), 8, 8), 99, np.uint8)
    test = np.arange(len(counts))
    np.savez(
        folder / "x.npz", train_images=images, train_labels=labels, test_images=images[test], test_labels=test
    )
    data = datasets.load(data_spec(str(folder / "x.npz"), n_val=n_val))
    assert len(data.train) + len(data.val) == sum(counts) and len(data.val) == n_val
    return data.val.labels.bincount(minlength=len(counts)).tolist()


def own(folder: Path, side: int, logits: int = 10, dataset: str = "fashion-mnist", channels: int = 1) -> str:
    """The architecture of a study of a classifier of one's own that takes images of one side."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * side * side, logits))
    return open_study("smoke", dataset, network, ["1"]).layers[0]


# --- tables of results ----------------------------------------------------------------------------


def recorded(folder: Path, **changes: object) -> int:
    """How many rows are read of a table of one evaluation, of which some cells are others."""
    row: dict[str, object] = {name: kind() for name, kind in evidence.COLUMNS.items()}
    row |= {"layer": "logits", "method": "ClaDec", "metric": "mse", "neurons": "all", "budget": 1.0}
    table = pd.DataFrame([row | {"planned_seeds": "0 1"} | changes])
    (folder / "x.csv").write_text(table.to_csv(index=False))
    return len(evidence.read(folder / "x.csv"))


def own_effects(folder: Path, **changes: object) -> float:
    """The effect on the scorecard where a results folder has one of 1, some cells of its row being others."""
    where = {"dataset": "d", "architecture": "a"}
    row = as_record(effect([np.ones(3)] * 2, 0.01)) | where | {"claim": "G1", "layer": "", "neurons": ""}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLADEC_RESULTS", str(folder))
        table = pd.DataFrame([row | changes]).to_csv(index=False)
        Folder("smoke", "x", where).write("effects_own.csv", table)
        return float(effects.scorecard("smoke").set_index("claim").loc["G1", "effect"])


# --- images in memory -----------------------------------------------------------------------------


class Samples(torch.utils.data.Dataset):
    """A Dataset of these samples."""

    def __init__(self, samples: Sequence[object]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> object:
        return self.samples[i]


class NoLength(torch.utils.data.Dataset):
    """A Dataset that does not say how long it is."""


class Stream(torch.utils.data.IterableDataset):
    """A Dataset that can only be read through."""

    def __iter__(self) -> Iterator[object]:
        return iter([])


def given(source: object, **asked: object) -> tuple[int, int]:
    """How many training and test images `load_images` makes of a source."""
    train, test = datasets.load_images(source, **asked)
    return len(train), len(test)


def labelled(labels: Sequence[int], side: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """A tensor with an image for each label."""
    return torch.full((len(labels), 1, side, side), 99, dtype=torch.uint8), torch.tensor(labels)


def with_label(label: object) -> tuple[int, int]:
    """The same of a Dataset of ten images of class 0, one of which has another label."""
    return given(Samples([(flat((0, 99, 0), "RGB"), 0)] * 9 + [(flat((0, 99, 0), "RGB"), label)]))


def picture(image: Image.Image, **asked: object) -> list[int]:
    """The colour that the kit sees in the middle of a picture which a Dataset has beside green ones."""
    green = Image.new("RGB", image.size, (0, 255, 0))
    train, test = datasets.load_images(Samples([(image, 0)] + [(green, 0)] * 9), **asked)
    images = torch.cat([train.images, test.images])
    return unusual(images[:, :, images.shape[2] // 2, images.shape[3] // 2].tolist())


def wide() -> Image.Image:
    """A picture of 48 x 16 pixels, red in the middle third and blue beside it."""
    image = Image.new("RGB", (48, 16), (0, 0, 255))
    image.paste((255, 0, 0), (16, 0, 32, 16))
    return image


# --- studies --------------------------------------------------------------------------------------


def opened(**asked: object) -> tuple[object, ...]:
    """Layers, seeds and neurons of a study that is opened with these choices."""
    study = open_study(**{"profile": "smoke", **asked})
    return study.layers, study.seeds, study.neurons
