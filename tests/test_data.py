import gzip
import shutil
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cladec_utils.data import datasets as data_datasets
from cladec_utils.data import photos as data_photos
from cladec_utils.data import sources
from cladec_utils.data.sources import read_idx
from cladec_utils.data.splits import balanced_order
from cladec_utils.engine import paths
from cladec_utils.errors import CladecError


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the embedded data that a test may damage."""
    shutil.copytree(paths.data_dir() / "fashion-mnist", tmp_path / "data" / "fashion-mnist")
    monkeypatch.setattr(paths, "data_dir", lambda: tmp_path / "data")
    return tmp_path / "data" / "fashion-mnist"


def test_embedded_data_is_fashion_mnist():
    source = sources.read_source("fashion-mnist")
    assert source.train.images.shape == (60000, 1, 28, 28) and source.test.images.shape == (10000, 1, 28, 28)
    assert source.train.labels.bincount().tolist() == [6000] * 10
    assert source.test.labels.bincount().tolist() == [1000] * 10
    assert source.class_names[9] == "Ankle boot" and source.train.labels[0] == 9


def test_images_are_enlarged_by_nearest_neighbour():
    spec = data_datasets.data_spec("fashion-mnist", n_train=20, n_test=10)
    images = data_datasets.load(spec).test.images
    assert spec.image_size == 32 and images.shape == (10, 1, 32, 32) and images.dtype == torch.uint8
    originals = sources.read_source("fashion-mnist").test.images
    nearest = torch.arange(32) * 28 // 32
    enlarged = originals[:, :, nearest][:, :, :, nearest]
    assert all((enlarged == image).flatten(1).all(1).any() for image in images)


def test_subsets_are_balanced_disjoint_and_repeatable():
    spec = data_datasets.data_spec("fashion-mnist", n_train=100, n_val=50, n_test=70)
    loaded = data_datasets.load(spec)
    assert loaded.train.labels.bincount().tolist() == [10] * 10
    assert loaded.val.labels.bincount().tolist() == [5] * 10
    train = {bytes(i.numpy().tobytes()) for i in loaded.train.images}
    assert not any(bytes(i.numpy().tobytes()) in train for i in loaded.val.images)
    data_datasets._load.cache_clear()
    assert torch.equal(data_datasets.load(spec).train.images, loaded.train.images)
    other = data_datasets.load(
        data_datasets.data_spec("fashion-mnist", n_train=100, n_val=50, n_test=70, seed=1)
    )
    assert not torch.equal(other.train.images, loaded.train.images)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 9))
def test_balanced_order_is_a_permutation_with_even_beginnings(labels, seed):
    labels = torch.tensor(labels)
    order = balanced_order(labels, seed)
    assert sorted(order.tolist()) == list(range(len(labels)))
    smallest = labels.bincount()[labels.unique()].min()
    beginning = labels[order][: smallest * len(labels.unique())]
    assert set(beginning.bincount()[labels.unique()].tolist()) == {int(smallest)}


@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=3, max_side=5)))
def test_idx_round_trip(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.tobytes()
    assert np.array_equal(read_idx(content, "x").numpy(), array)
    for wrong in (content[:-1], content + b"\0", content[:3], b"\1" + content[1:]):
        with pytest.raises(CladecError, match="x is"):
            read_idx(wrong, "x")


def test_truncated_missing_and_altered_files_are_named(copied):
    file = copied / "t10k-labels-idx1-ubyte.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(CladecError, match=r"t10k-labels.*truncated or damaged.*git checkout"):
        sources.read_source("fashion-mnist")
    content = bytearray(gzip.decompress(whole))
    content[100] ^= 1
    file.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(CladecError, match="checksum differs"):
        sources.read_source("fashion-mnist")
    file.unlink()
    with pytest.raises(CladecError, match="is missing"):
        sources.read_source("fashion-mnist")


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(CladecError, match=r"Did you mean 'fashion-mnist'"):
        data_datasets.data_spec("fashion-mist")


@pytest.mark.parametrize("size", [12, 4, 33])
def test_image_size_must_be_a_multiple_of_8(size):
    with pytest.raises(CladecError, match=f"image_size is {size}"):
        data_datasets.data_spec("fashion-mnist", image_size=size)


def test_npz_with_one_part_is_split_by_class(npz):
    spec = data_datasets.data_spec(str(npz()))
    loaded = data_datasets.load(spec)
    assert loaded.image_shape == (3, 16, 16) and len(loaded.class_names) == 3
    assert loaded.test.labels.bincount().tolist() == [4, 4, 4] and len(loaded.train) == 48


def test_npz_keeps_pixels_in_every_layout(npz):
    random = np.random.default_rng(1)
    hwc = random.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    one = data_datasets.load(data_datasets.data_spec(str(npz("a.npz", images=hwc))))
    two = data_datasets.load(data_datasets.data_spec(str(npz("b.npz", images=hwc.transpose(0, 3, 1, 2)))))
    assert torch.equal(one.train.images, two.train.images)
    wanted = {image.transpose(2, 0, 1).tobytes() for image in hwc}
    assert {image.numpy().tobytes() for image in one.test.images} <= wanted


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": np.zeros((60, 16, 16), np.float32)}, "must be uint8"),
        ({"images": np.zeros((60, 16, 12, 3), np.uint8)}, "images have the shape"),
        ({"labels": np.arange(59) % 3}, "need as many integer labels"),
        ({"labels": np.arange(60) % 3 * 0.5}, "need as many integer labels"),
        ({"labels": np.zeros(60, int)}, "at least 2 classes"),
        ({"labels": np.arange(60) % 3 - 1}, "labels must be 0 or more"),
        ({"class_names": np.array(["a", "b"])}, "only 2 class names"),
        ({"labels": None}, "it needs 'images' and 'labels'"),
        ({"class_names": np.array(["a", {}], dtype=object)}, "without pickle"),
    ],
)
def test_bad_npz_is_refused(npz, changes, sentence):
    with pytest.raises(CladecError, match=sentence):
        data_datasets.data_spec(str(npz(**changes)))


def test_damaged_npz_is_refused(npz):
    path = npz()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CladecError, match="damaged"):
        data_datasets.data_spec(str(path))


def test_changed_data_is_noticed(npz):
    path = npz()
    spec = data_datasets.data_spec(str(path))
    npz(images=np.full((60, 16, 16, 3), 77, np.uint8))
    assert data_datasets.data_spec(str(path)).fingerprint != spec.fingerprint
    with pytest.raises(CladecError, match="has changed"):
        data_datasets.load(spec)


def test_folder_of_class_folders(photos):
    spec = data_datasets.data_spec(str(photos))
    loaded = data_datasets.load(spec)
    assert loaded.class_names == ("ants", "bees") and loaded.image_shape == (3, 16, 16)
    assert len(loaded.train) == 10 and len(loaded.test) == 2
    smaller = data_datasets.data_spec(str(photos), image_size=8)
    assert data_datasets.load(smaller).image_shape == (3, 8, 8) and smaller.fingerprint == spec.fingerprint


def test_only_the_photos_that_are_used_are_decoded(photos, monkeypatch):
    decoded, square = [], data_photos._square
    monkeypatch.setattr(data_photos, "_square", lambda path, size: decoded.append(path) or square(path, size))
    spec = data_datasets.data_spec(str(photos), n_train=4, n_test=2, image_size=8)
    assert not decoded
    data_datasets.load(spec)
    assert len(set(decoded)) == len(decoded) == 6


def test_folder_with_train_and_val(photos, tmp_path):
    parts = tmp_path / "parts"
    shutil.copytree(photos, parts / "train")
    shutil.copytree(photos, parts / "val")
    loaded = data_datasets.load(data_datasets.data_spec(str(parts)))
    assert len(loaded.train) == len(loaded.test) == 12


def test_folder_of_an_odd_size_is_enlarged(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "odd" / label).mkdir(parents=True)
        for i in range(5):
            Image.new("L", (20, 20), 50 * i).save(tmp_path / "odd" / label / f"{i}.png")
    assert data_datasets.load(data_datasets.data_spec(str(tmp_path / "odd"))).image_shape == (3, 24, 24)


def test_bad_folders_are_refused(photos):
    Image.new("RGB", (24, 24)).save(photos / "bees" / "5.png")
    with pytest.raises(CladecError, match=r"5\.png has 24x24 pixels, others have 16x16.*--image-size"):
        data_datasets.data_spec(str(photos))
    assert data_datasets.data_spec(str(photos), image_size=16).image_size == 16
    Image.new("RGB", (16, 24)).save(photos / "bees" / "5.png")
    with pytest.raises(CladecError, match="must be square"):
        data_datasets.data_spec(str(photos))
    (photos / "bees" / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(CladecError, match=r"5\.png cannot be read as an image"):
        data_datasets.data_spec(str(photos))
    shutil.rmtree(photos / "bees")
    with pytest.raises(CladecError, match=r"1 class folder.*at least 2"):
        data_datasets.data_spec(str(photos))


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_torchvision_sets_say_what_to_do_offline(name, tmp_path, monkeypatch):
    from torchvision import datasets

    def refuse(*_args, **_kwargs):
        raise RuntimeError("Dataset not found or corrupted.")

    monkeypatch.setattr(datasets, {"mnist": "MNIST"}.get(name, name.upper()), refuse)
    with pytest.raises(CladecError, match=r"could not be downloaded.*embedded fashion-mnist"):
        sources.read_source(name)


def test_torchvision_mnist_is_read_from_its_files(tmp_path, monkeypatch):
    """The real loader on local files in torchvision's own layout; nothing is downloaded."""
    raw = tmp_path / "downloads" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (paths.data_dir() / "fashion-mnist").glob("*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    monkeypatch.setattr(paths, "downloads_dir", lambda: tmp_path / "downloads")
    source = sources.read_source("mnist")
    assert torch.equal(source.test.images, sources.read_source("fashion-mnist").test.images)


def test_an_npy_called_npz_and_odd_class_names_are_refused(npz, tmp_path):
    with open(tmp_path / "one.npz", "wb") as file:
        np.save(file, np.zeros((4, 16, 16), np.uint8))
    with pytest.raises(CladecError, match=r"one\.npz is a single array \(\.npy\)"):
        data_datasets.data_spec(str(tmp_path / "one.npz"))
    for names in (np.array("bees"), np.array([["ants"], ["bees"], ["cats"]])):
        with pytest.raises(CladecError, match="class_names has the shape"):
            data_datasets.data_spec(str(npz(class_names=names)))


def test_photos_are_turned_upright(photos):
    """The camera was held sideways and says so in the file."""
    upright = Image.new("RGB", (16, 16))
    upright.paste((255, 0, 0), (0, 0, 16, 8))
    tag = Image.Exif()
    tag[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(photos / "bees" / "9.png", exif=tag)
    spec = data_datasets.data_spec(str(photos), image_size=16)
    images = torch.cat([data_datasets.load(spec).train.images, data_datasets.load(spec).test.images])
    wanted = torch.from_numpy(np.array(upright)).permute(2, 0, 1)
    assert sum(torch.equal(image, wanted) for image in images) == 1


@pytest.mark.parametrize("pixels", [np.uint16, np.int32, np.float32])
def test_images_of_more_than_8_bits_are_refused(photos, pixels):
    image = Image.fromarray(np.full((16, 16), 3000, pixels))
    image.save(photos / "bees" / "deep.tif")
    with pytest.raises(CladecError, match=r"deep\.tif has pixels of type '[IF].*8 bits"):
        data_datasets.data_spec(str(photos))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bad.ppm", b"P6\nsixteen 16\n255\n" + bytes(768)),
        ("bad.tif", b"II*\0\x08\0\0\0\x01\0\0\x01\x03\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ],
)
def test_a_corrupt_ppm_or_tiff_is_named(photos, name, content):
    (photos / "bees" / name).write_bytes(content)
    with pytest.raises(CladecError, match=rf"{name} cannot be read as an image"):
        data_datasets.data_spec(str(photos))


def test_downloads_of_one_folder_wait_for_each_other(tmp_path, monkeypatch):
    from torchvision import datasets

    monkeypatch.setattr(paths, "downloads_dir", lambda: tmp_path / "downloads")
    inside, most = [], []

    class Slow:
        classes = tuple("0123456789")
        data, targets = np.zeros((20, 32, 32, 3), np.uint8), np.arange(20) % 10

        def __init__(self, *_args, **_kwargs):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.2)
            inside.pop()

    monkeypatch.setattr(datasets, "CIFAR10", Slow)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(sources.read_source, ["cifar10"] * 3))
    assert max(most) == 1 and len(found) == 3


def test_data_that_lie_in_a_folder_nobody_may_write_to_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.os, "access", lambda *_: False)
    with sources._one_at_a_time(tmp_path):
        assert not list(tmp_path.iterdir())
