"""Profiles and paths; the only module that reads the environment."""

import os
from dataclasses import dataclass
from pathlib import Path

from cladec_utils.errors import choose
from cladec_utils.specs import TrainSpec

PROFILE_VARIABLE = "CLADEC_PROFILE"


@dataclass(frozen=True)
class Profile:
    """How much of everything a run uses; the table is in DESIGN.md and README.md.

    None for a number of images means all of them. `layers` are the layers explained by default,
    from early to logits, per architecture; `alphas` are tried on the layers `swept`.
    """

    name: str
    n_train: int | None
    n_val: int
    n_test: int | None
    width: float
    seeds: tuple[int, ...]
    layers: dict[str, tuple[str, ...]]
    alphas: tuple[float, ...]
    swept: dict[str, tuple[str, ...]]
    classifier: TrainSpec
    decoder: TrainSpec


_LAYERS = {
    "vgg": ("block2", "block4", "block8", "logits"),
    "resnet": ("stage2", "stage5", "logits"),
}
_SWEPT = {"vgg": ("block4", "logits"), "resnet": ("stage2", "logits")}

PROFILES = {
    "smoke": Profile(
        name="smoke",
        n_train=256,
        n_val=64,
        n_test=128,
        width=0.25,
        seeds=(0, 1),
        layers={"vgg": ("block4", "logits"), "resnet": ("stage3", "logits")},
        alphas=(0.0, 0.1, 0.9),
        swept={"vgg": ("block4", "logits"), "resnet": ("stage3", "logits")},
        classifier=TrainSpec(1, "sgd", 0.1, 1e-4, "step", batch_size=32),
        decoder=TrainSpec(1, "adam", 5e-3, 1e-5, "cosine", batch_size=32),
    ),
    "quick": Profile(
        name="quick",
        n_train=6000,
        n_val=1000,
        n_test=4000,
        width=0.25,
        seeds=(0, 1, 2),
        layers=_LAYERS,
        alphas=(0.0, 0.01, 0.1, 0.9, 1.0),
        swept=_SWEPT,
        # Epochs and width: by the time budget. Schedule and learning rate: benchmarks/choose_settings.py.
        classifier=TrainSpec(10, "sgd", 0.1, 1e-4, "step"),
        decoder=TrainSpec(8, "adam", 5e-3, 1e-5, "cosine"),
    ),
    # The official setting (PAPER.md [O]).
    "paper": Profile(
        name="paper",
        n_train=None,
        n_val=0,
        n_test=None,
        width=1.0,
        seeds=(0, 1, 2, 3, 4),
        layers=_LAYERS,
        alphas=(0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0),
        swept=_SWEPT,
        classifier=TrainSpec(64, "sgd", 0.1, 1e-4, "step"),
        decoder=TrainSpec(64, "adam", 3e-4, 1e-5),
    ),
}


def get_profile(name: str | None = None) -> Profile:
    """The profile called `name`; None asks the environment variable CLADEC_PROFILE, then `quick`."""
    return PROFILES[choose(name or os.environ.get(PROFILE_VARIABLE) or "quick", PROFILES, "profile")]


def home() -> Path:
    """The project's folder: $CLADEC_HOME, else the checkout this package lies in, else the working folder."""
    if os.environ.get("CLADEC_HOME"):
        return Path(os.environ["CLADEC_HOME"]).resolve()
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def data_dir() -> Path:
    """Where the embedded data lies: data/ beside the package."""
    return Path(__file__).resolve().parent.parent / "data"


def downloads_dir() -> Path:
    """Where torchvision puts what it downloads: downloads/ in the project's folder."""
    return home() / "downloads"


def artifacts_dir() -> Path:
    """The store: $CLADEC_ARTIFACTS, else artifacts/ in the project's folder."""
    return Path(os.environ.get("CLADEC_ARTIFACTS") or home() / "artifacts").resolve()


def results_dir(profile: str) -> Path:
    """A profile's results: $CLADEC_RESULTS, else results/ of the project, then the profile's name."""
    return Path(os.environ.get("CLADEC_RESULTS") or home() / "results").resolve() / profile


def workers() -> int:
    """Worker processes for a study: $CLADEC_WORKERS, else one per usable core."""
    asked = os.environ.get("CLADEC_WORKERS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    # macOS has no affinities.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
