"""Profiles: how much of everything a run uses; the only module that asks the environment for one."""

import os
from dataclasses import dataclass, replace

from cladec_utils.errors import choose
from cladec_utils.models.training import TrainSpec

PROFILE_VARIABLE = "CLADEC_PROFILE"


@dataclass(frozen=True)
class Profile:
    """How much of everything a run uses; the table is in DESIGN.md and README.md.

    None for a number of images means all of them. `planted` has the numbers of images, and how classifiers
    and decoders are trained, for planted data sets, on which more networks are trained (see `for_planted`).
    `probe` says how readers of factors are trained. `layers` are the layers explained by default, from early
    to logits, per architecture; `alphas` are tried on the layers `swept`, planted concepts on
    `planted_layers`, and on all of `planted_architectures` besides the one that is asked for.
    RefAE is trained as decoders are, but for `refae_epochs` times as many epochs: it has to learn an encoder
    as well, and is no reference before it draws the training images at least as well as ClaDec, whose code
    is one of those that it could have learned. The number is the smallest for which that is so (see
    `benchmarks/choose_reference.py`), and 1 in the official setting.
    `decoder_widths` are those of the weaker and stronger decoders that conclusions must survive, as
    multiples of the ordinary one's. `saliency_images` are the numbers of images for relevance maps: for the
    scores that C6 is decided by, and for everything else about maps. `simulations` is the number of
    simulated user studies per point of the planning curve.

    A `thorough` profile measures what the claims' verdicts do not need as carefully as what they do: all
    alphas for all seeds, with judges, negative controls on two layers, subsets of half the neurons, and in
    `cladec study` the other architecture beside the one that is asked for. Otherwise alphas that C3 does not
    compare are tried with the first seed only, and negative controls on one layer.
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
    planted_layers: dict[str, tuple[str, ...]]
    planted_architectures: tuple[str, ...]
    decoder_widths: tuple[float, ...]
    classifier: TrainSpec
    decoder: TrainSpec
    refae_epochs: int
    saliency_images: tuple[int, int]
    simulations: int
    thorough: bool
    planted: tuple[int | None, int, int | None, TrainSpec, TrainSpec]
    probe: TrainSpec


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
        planted_layers={"vgg": ("block4", "logits"), "resnet": ("stage3", "logits")},
        planted_architectures=(),
        decoder_widths=(0.5,),
        classifier=TrainSpec(1, "sgd", 0.1, 1e-4, "step", batch_size=32),
        decoder=TrainSpec(1, "adam", 5e-3, 1e-5, "cosine", batch_size=32),
        refae_epochs=2,
        saliency_images=(8, 4),
        simulations=10,
        thorough=True,
        planted=(
            256,
            32,
            128,
            TrainSpec(1, "sgd", 0.1, 1e-4, "step", batch_size=32),
            TrainSpec(1, "adam", 5e-3, 1e-5, "cosine", batch_size=32),
        ),
        probe=TrainSpec(1, "adam", 5e-3, 0.0, "cosine", batch_size=32),
    ),
    "quick": Profile(
        name="quick",
        n_train=2000,
        n_val=200,
        n_test=2000,
        width=0.25,
        seeds=(0, 1, 2),
        layers={"vgg": ("block4", "block8", "logits"), "resnet": _LAYERS["resnet"]},
        alphas=(0.0, 0.01, 0.1, 0.9, 1.0),
        swept=_SWEPT,
        # The last features and not the logits: a decoder of so few numbers needs longer to draw a tint.
        planted_layers={"vgg": ("block4", "block8"), "resnet": ("stage2", "stage5")},
        planted_architectures=(),
        decoder_widths=(0.5,),
        # By the time budget, but for schedule and learning rate: those by benchmarks/choose_settings.py.
        classifier=TrainSpec(6, "sgd", 0.1, 1e-4, "step"),
        decoder=TrainSpec(4, "adam", 5e-3, 1e-5, "cosine", batch_size=32),
        refae_epochs=2,
        saliency_images=(100, 32),
        simulations=60,
        thorough=False,
        planted=(  # small batches, so that few images still make enough steps
            1000,
            100,
            1000,
            TrainSpec(6, "sgd", 0.1, 1e-4, "cosine", batch_size=64),
            TrainSpec(4, "adam", 5e-3, 1e-5, "cosine", batch_size=16),
        ),
        probe=TrainSpec(4, "adam", 5e-3, 0.0, "cosine", batch_size=64),
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
        planted_layers=_LAYERS,
        planted_architectures=("vgg", "resnet"),
        decoder_widths=(0.5, 2.0),
        classifier=TrainSpec(64, "sgd", 0.1, 1e-4, "step"),
        decoder=TrainSpec(64, "adam", 3e-4, 1e-5),
        refae_epochs=1,
        saliency_images=(1000, 1000),
        simulations=200,
        thorough=True,
        planted=(
            None,
            0,
            None,
            TrainSpec(64, "sgd", 0.1, 1e-4, "step"),
            TrainSpec(64, "adam", 3e-4, 1e-5),
        ),
        probe=TrainSpec(8, "adam", 1e-3, 0.0, "cosine"),
    ),
}


def get_profile(name: str | None = None) -> Profile:
    """The profile called `name`; None asks the environment variable CLADEC_PROFILE, then `quick`."""
    return PROFILES[choose(name or os.environ.get(PROFILE_VARIABLE) or "quick", PROFILES, "profile")]


def for_planted(profile: Profile) -> Profile:
    """The profile with its numbers of images and trainings for planted data sets."""
    names = ("n_train", "n_val", "n_test", "classifier", "decoder")
    return replace(profile, **dict(zip(names, profile.planted, strict=True)))
