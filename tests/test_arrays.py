"""Data sets that are large, shrunk or edited: how much of them is read, how, and that it is noticed."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from cladec_utils.data import arrays, datasets
from cladec_utils.data.arrays import resized
from cladec_utils.data.datasets import data_spec, load, load_images
from cladec_utils.data.splits import Split
from cladec_utils.errors import CladecError, CladecNote

CHECKERS = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)


def checkerboards(count=12):
    return np.stack([CHECKERS] * count)


# --- shrinking --------------------------------------------------------------------------------------


def test_a_shrunk_checkerboard_is_grey(npz):
    path = npz(images=checkerboards(), labels=np.arange(12) % 2)
    data = load(data_spec(path, image_size=32))
    assert data.train.images.float().sub(127.5).abs().max() <= 2.5  # at the edge
    shown = torch.from_numpy(checkerboards())[:, None]
    for source in (shown, (shown, torch.arange(12) % 2)):
        train, _ = load_images(source, size=16)
        assert train.images.float().sub(127.5).abs().max() <= 2.5


def test_an_average_is_that_of_the_pixels():
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    wanted = functional.interpolate(images.float(), (16, 16), mode="bilinear", antialias=True).round()
    assert torch.equal(resized(images, 16).float(), wanted)
    assert resized(torch.full((1, 1, 40, 40), 255).byte(), 16).unique().tolist() == [255]
    assert resized(images[:0], 16).shape == (0, 3, 16, 16)


def test_enlarging_stays_nearest_neighbour():
    images = torch.randint(0, 256, (3, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
    places = torch.arange(32) * 28 // 32
    assert torch.equal(resized(images, 32), images[:, :, places][:, :, :, places])


def test_what_was_shrunk_otherwise_has_another_name(npz):
    path = npz()
    spec = data_spec(path, image_size=8)
    before = datasets.DataSpec(**{**vars(spec), "shrinking": None})
    assert spec.hash != before.hash and "shrinking" not in before.to_json()
    whole = load(data_spec(path)).train.images
    assert torch.equal(load(before).train.images, whole[..., ::2, ::2])  # what that name always stood for
    for size in (16, 32):  # as they are, and enlarged
        assert data_spec(path, image_size=size).shrinking is None


def test_photos_keep_their_names(photos):
    assert data_spec(photos, image_size=8).shrinking is None  # Pillow has always taken averages


# --- in batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["grey", "grey as one channel", "colour", "channels first", "compressed", "fortran"]
)
@pytest.mark.parametrize("batch", [1 << 23, 700], ids=["one batch", "many batches"])
def test_the_same_images_in_batches(tmp_path, monkeypatch, kind, batch):
    monkeypatch.setattr(arrays, "BATCH", batch)
    random = np.random.default_rng(0)
    shape = {"grey": (40, 16, 16), "grey as one channel": (40, 16, 16, 1), "channels first": (40, 3, 16, 16)}
    images = random.integers(0, 256, shape.get(kind, (40, 16, 16, 3)), dtype=np.uint8)
    given = np.asfortranarray(images) if kind == "fortran" else images
    write = np.savez_compressed if kind == "compressed" else np.savez
    labels = np.arange(40) % 2
    write(tmp_path / "x.npz", images=given, labels=labels)
    spec = data_spec(tmp_path / "x.npz", n_train=10, n_val=4, n_test=6)
    found, source = load(spec), datasets.whole(spec)
    wanted = torch.from_numpy(arrays.channels_first(images))
    chosen = datasets.chosen_images(spec)
    for split, part, indices in zip(
        (found.train, found.val, found.test), (source.train, source.train, source.test), chosen, strict=True
    ):
        places = part.images.indices[indices]
        assert torch.equal(split.images, wanted[places])
        assert torch.equal(split.labels, torch.from_numpy(labels)[places])


MEASURE = """
import resource, sys
import torch
from cladec_utils.data import datasets
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
datasets.load(datasets.data_spec(sys.argv[1], 64, 16, 32, image_size=32))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is measured in other units")
def test_of_a_large_file_little_is_held(tmp_path):
    """100 MB of images, of which 112 are used: there were 3 bytes for each byte of the file."""
    images = np.zeros((500, 256, 256, 3), np.uint8)
    images[:, :128] = 200
    np.savez(tmp_path / "large.npz", images=images, labels=np.arange(500) % 2)
    del images
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "large.npz")]
    megabytes = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert megabytes < 80


def test_what_does_not_fit_into_memory_is_said_before_it_is_read(npz, monkeypatch):
    path = npz()
    monkeypatch.setattr(datasets, "read_together", None)  # would fail
    monkeypatch.setattr(datasets, "memory_left", lambda: 1e5)
    datasets._load.cache_clear()
    spec = data_spec(path, image_size=32)
    sentence = r"60 images of 32x32 pixels need 0.0 GB of memory, .* but 0.0 GB are free: choose a smaller"
    with pytest.raises(CladecError, match=sentence):
        load(spec)


def test_what_fits_but_not_all_that_is_drawn_is_said(npz, monkeypatch):
    spec = data_spec(npz(), image_size=32)
    monkeypatch.setattr(datasets, "memory_left", lambda: 60 * 3 * 32 * 32 * 2.0)
    datasets._load.cache_clear()
    with pytest.warns(CladecNote, match="and 4 times as much where all of them are drawn"):
        assert len(load(spec).train) == spec.n_train


def test_this_machine_has_memory_left():
    from cladec_utils.engine.device import memory_left

    assert memory_left() > 1e6


# --- identity ---------------------------------------------------------------------------------------


def test_names_of_classes_are_part_of_a_file(npz):
    found = {data_spec(npz(class_names=names)).fingerprint for names in (None, list("abc"), list("abd"))}
    assert len(found) == 3


def test_more_names_than_labels_are_another_data_set(npz):
    """The classifier has an output for each of them."""
    three, four = (data_spec(npz(f"{len(names)}.npz", class_names=list(names))) for names in ("abc", "abcd"))
    assert len(load(three).class_names) == 3 and len(load(four).class_names) == 4
    assert three.fingerprint != four.fingerprint


def linked(tmp_path, photos, what):
    """A data set of the same photos, of which folders or files are links."""
    root = tmp_path / what
    root.mkdir()
    for folder in sorted(photos.iterdir()):
        if what == "folders":
            (root / folder.name).symlink_to(folder)
        else:
            (root / folder.name).mkdir()
            for file in folder.iterdir():
                (root / folder.name / file.name).symlink_to(file)
    return root


@pytest.mark.parametrize("what", ["folders", "files"])
def test_links_count_as_what_they_lead_to(tmp_path, photos, what):
    root = linked(tmp_path, photos, what)
    before = data_spec(root)
    assert before.fingerprint == data_spec(photos).fingerprint
    Image.new("RGB", (16, 16), "red").save(photos / "ants" / "0.png")  # behind the link
    assert data_spec(root).fingerprint not in ("", before.fingerprint)
    assert data_spec(root).fingerprint == data_spec(photos).fingerprint


def keeping_date(path, write):
    """Change a file but neither its size nor its date, as a copy of files may."""
    found = path.stat()
    write()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (found.st_size, found.st_mtime_ns)


@pytest.mark.parametrize("kind", ["photo", "npz"])
def test_an_edit_that_keeps_size_and_date_is_noticed(tmp_path, photos, npz, kind):
    if kind == "npz":
        root = path = npz()
        other = npz("other.npz", labels=np.arange(60)[::-1] % 3)
        edit = lambda: path.write_bytes(other.read_bytes())  # noqa: E731
    else:
        root, path = photos, photos / "ants" / "0.bmp"
        Image.new("RGB", (16, 16), "red").save(path)
        edit = lambda: Image.new("RGB", (16, 16), "blue").save(path)  # noqa: E731
    before = data_spec(root).fingerprint
    keeping_date(path, edit)
    assert data_spec(root).fingerprint != before


def test_a_link_that_leads_elsewhere_is_noticed(tmp_path, photos):
    other = tmp_path / "other"
    shutil.copytree(photos, other)  # same names, sizes and dates
    Image.new("RGB", (16, 16), "red").save(other / "ants" / "0.png")
    (tmp_path / "data").symlink_to(photos)
    before = data_spec(tmp_path / "data").fingerprint
    (tmp_path / "data").unlink()
    (tmp_path / "data").symlink_to(other)
    assert data_spec(tmp_path / "data").fingerprint != before


def test_a_spec_of_edited_data_is_not_served(npz):
    path = npz()
    spec = data_spec(path)
    npz(class_names=["a", "b", "c"])
    with pytest.raises(CladecError, match="has changed since its spec was made"):
        load(spec)
    assert isinstance(load(data_spec(path)).train, Split)


class Floats(torch.utils.data.Dataset):
    """Ten images of floats, of which the last has that brightest pixel."""

    def __init__(self, brightest):
        self.images = torch.rand(10, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        self.images[-1, 0, 0, 0] = brightest

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], i % 2


def test_floats_of_a_dataset_become_bytes_one_by_one():
    parts = load_images(Floats(1.0))
    both = torch.cat([split.images for split in parts]).flatten(1)
    wanted = (Floats(1.0).images * 255).round().byte().flatten(1)
    assert sorted(both.tolist()) == sorted(wanted.tolist())


@pytest.mark.parametrize("brightest", [1.5, 255.0, float("nan")])
def test_floats_out_of_range_are_refused_as_ever(brightest):
    images = Floats(brightest)
    with pytest.raises(CladecError) as alone:
        load_images((images.images, torch.arange(10) % 2))
    with pytest.raises(CladecError) as given:
        load_images(images)
    assert str(given.value) == str(alone.value)
