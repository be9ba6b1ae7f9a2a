import os
import shutil

import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis.configuration import set_hypothesis_home_dir
from PIL import Image

from cladec_utils import open_study
from cladec_utils.data.datasets import data_spec
from cladec_utils.models.training import TrainSpec
from cladec_utils.study.classifiers import ClassifierSpec
from cladec_utils.user_study.analysis.responses import Launched
from cladec_utils.user_study.design import DEFAULT, design, slots
from cladec_utils.user_study.materials.questionnaire import content
from cladec_utils.user_study.materials.settings import REQUIRED, blank, participants_texts
from cladec_utils.user_study.materials.stimuli import Item, Items

pytest_plugins = ["checks", "pytester"]
SGD = TrainSpec(1, "sgd", 0.1, 1e-4, "step", batch_size=16)
ADAM = TrainSpec(2, "adam", 1e-2, 1e-5, "cosine", batch_size=16)


@pytest.fixture(scope="session", autouse=True)
def nothing_in_the_checkout(tmp_path_factory):
    """Whatever a test leaves to the environment lies in a temporary folder, and one process is one thread."""
    torch.set_num_threads(1)
    set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CLADEC_ARTIFACTS", "CLADEC_RESULTS"):
            patch.setenv(name, os.environ.get(name) or str(tmp_path_factory.mktemp("left")))
        yield


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A store and a results folder of the test's own, and computation in this process."""
    monkeypatch.setenv("CLADEC_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("CLADEC_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("CLADEC_WORKERS", "1")
    monkeypatch.delenv("CLADEC_PROFILE", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_data():
    """48 training, 16 validation and 32 test images of Fashion-MNIST."""
    return data_spec("fashion-mnist", n_train=48, n_val=16, n_test=32)


@pytest.fixture(scope="session")
def tiny_classifier(tiny_data):
    return ClassifierSpec(tiny_data, "vgg", 0.125, SGD, seed=0)


@pytest.fixture
def npz(tmp_path):
    """Write an .npz data set of random colour images and return its path."""

    def write(name="set.npz", **changes):
        random = np.random.default_rng(0)
        arrays = {
            "images": random.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8),
            "labels": np.arange(60) % 3,
        }
        arrays = {k: v for k, v in {**arrays, **changes}.items() if v is not None}
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return write


@pytest.fixture
def photos(tmp_path):
    """A folder of two class folders with six 16 x 16 PNGs each."""
    folder = tmp_path / "photos"
    random = np.random.default_rng(0)
    for label in ("ants", "bees"):
        (folder / label).mkdir(parents=True)
        for i in range(6):
            pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    return folder


@pytest.fixture
def own_classifier():
    """A user's network: in-place ReLUs, no names of ours, 3 classes of colour images."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, padding=1, stride=2),
        torch.nn.ReLU(inplace=True),
        torch.nn.Flatten(),
        torch.nn.Linear(6 * 8 * 8, 3),
    )


@pytest.fixture(scope="session")
def small_whole(tmp_path_factory):
    """The folder of a small study that nobody disturbed, made by the first process that needs it."""
    import small_study

    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "undisturbed"
    with FileLock(f"{folder}.lock"):
        if not (folder / "finished").exists():
            small_study.finish(folder)
            (folder / "finished").touch()
    return folder


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """One `cladec study --profile smoke` on two worker processes: its folder, with artifacts/ and results/.

    `make test` has run it before and names its results in CLADEC_SERIES: here is a copy of what it left."""
    from cladec_utils.app.cli import main

    folder = tmp_path_factory.mktemp("smoke")
    ready = os.environ.get("CLADEC_SERIES")
    if ready:
        shutil.copytree(os.environ["CLADEC_ARTIFACTS"], folder / "artifacts")
        shutil.copytree(ready, folder / "results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLADEC_ARTIFACTS", str(folder / "artifacts"))
        patch.setenv("CLADEC_RESULTS", str(folder / "results"))
        patch.setenv("CLADEC_WORKERS", "2")
        assert ready or main(["study", "--profile", "smoke"]) == 0
    return folder


@pytest.fixture(scope="session")
def asked():
    """A user study on planted garments with three arms: real spec, orders, content and key, random pictures.

    Items alternate between the two classifiers, which have opposite truths B."""

    first, second = (open_study("smoke", name) for name in DEFAULT)
    spec = design(first, second, images=12, shown=6, arms=("control", "explained", "sham"))
    random = torch.Generator().manual_seed(0)
    pairs = {"colour": 0, "texture": 0, "brightness": 1, "background": 1}

    def item(image, k):
        pictures = {n: torch.rand(3, 32, 32, generator=random) for n in ("x", "x_r", "x_e", "sham")}
        numbers = dict.fromkeys(spec.concepts, 0.1)
        truth_a = {c: (None, True, False)[(image + i) % 3] for i, c in enumerate(spec.concepts)}
        truth_b = {c: pairs[c] == k if c in pairs else None for c in spec.concepts}
        return Item(image, k, "top warm plain", pictures, numbers, numbers, numbers, truth_a, truth_b)

    items = Items([item(i, k) for i in range(12) for k in (0, 1)], [item(20, 0), item(21, 0)], item(22, 0))
    settings = blank() | dict.fromkeys(REQUIRED, "filled in")
    made = content(spec, items, slots(spec), settings, participants_texts(settings, {}), "launch")
    launched = Launched(None, made.study, made.key)
    return {"spec": spec, "content": made, "launched": launched, "settings": settings, "items": items}
