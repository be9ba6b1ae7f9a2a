"""What a study with participants consists of: its subjects, arms and orders. Nothing is computed here.

A `Study` (see `study`) is a set of trained networks; a *user study* asks people about some of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cladec_utils.data.datasets import load
from cladec_utils.errors import CladecError, choose
from cladec_utils.study.profiles import PROFILES, for_planted
from cladec_utils.study.study import Study, open_study
from cladec_utils.user_study.spec import CONCEPTS, UserStudySpec

DEFAULT = ("planted-tint-stripes", "planted-brightness-background")
"""The study when no data set is named: two classifiers for which the same images have opposite truths."""


def subjects(choices: Mapping[str, Any]) -> tuple[Study, Study | None]:
    """The study or studies that participants are asked about: the named data set's, else DEFAULT's.

    `choices` are arguments of `open_study`.
    """
    if choices.get("dataset"):
        return open_study(**choices), None
    first, second = (open_study(**{**choices, "dataset": name}) for name in DEFAULT)
    return first, second


def asked_about(study: Study) -> Study:
    """The study whose results folder a user study of `study` belongs to: people are asked about one layer and
    one training alone, so where these are the usual ones, it is the profile's own study, whatever else was
    named; where not, it is that of this layer and training."""
    usual, layer, seed = study.usual, study.features, study.seeds[0]
    same_layer = usual.layers and replace(study, layers=usual.layers).features == layer
    seeds = usual.profile.seeds
    return replace(
        study,
        layers=usual.layers if same_layer else (layer,),
        seeds=seeds if seeds[0] == seed else (seed,),
    )


ARMS = {
    "control": "X and X_R",
    "explained": "X, X_R and X_E",
    "sham": "X, X_R and X_E of an untrained classifier",
}
"""What each arm is shown."""
USUAL_ARMS = ("sham", "explained")


def compared(arms: Iterable[str]) -> str:
    """The arm of a study that X_E is held against (see `rules`): `sham`, or without one `control`."""
    return "sham" if "sham" in arms else "control"


PRACTICE = 2
"""Pictures with feedback before the study begins."""


def design(
    study: Study,
    other: Study | None = None,
    layer: str | None = None,
    concepts: Sequence[str] | None = None,
    images: int = 24,
    shown: int = 12,
    arms: Sequence[str] = USUAL_ARMS,
    seed: int = 0,
) -> UserStudySpec:
    """The spec of a user study about one layer of `study`, its alpha and first seed.

    `layer` None takes the last before the logits: the logits are so few that X_R is hardly a picture.

    `other` is a second study on the same images with other labels: the same image then has two truths.
    Raises CladecError for a concept, an arm or a number that does not fit.
    """
    where, training = layer or study.features, study.seeds[0]
    choose(where, study.layers, "layer of this study")
    colour = study.data.image_shape[0] == 3
    wanted = tuple(concepts or (c for c in CONCEPTS if c != "lower part" and (colour or c != "colour")))
    for concept in wanted:
        choose(concept, CONCEPTS, "concept")
    if "colour" in wanted and not colour:
        raise CladecError("The images are grey: 'colour' cannot be asked about; leave it out of `concepts`.")
    for arm in arms:
        choose(arm, ARMS, "arm")
    _check(images, shown, wanted, tuple(arms))
    studies = [s for s in (study, other) if s is not None]
    explained = tuple(s.cladec(where, training) for s in studies)
    untrained = [s.control("random weights", training) for s in studies] if "sham" in arms else []
    shams = tuple(
        s.cladec(where, training, 0.0, classifier=c) for s, c in zip(studies, untrained, strict=False)
    )
    if other is not None and not _same_images(study, other):
        raise CladecError("The two studies must be on the same images; only their labels may differ.")
    return UserStudySpec(
        explained, study.refae(where, training), shams, wanted, images, shown, PRACTICE, tuple(arms), seed
    )


def usual(choices: Mapping[str, Any]) -> UserStudySpec:
    """The user study that notebooks make of `choices` (see `subjects`): of as many images as the profile
    says, or as half of the test images allow, of which each participant sees half."""
    study, other = subjects(choices)
    images = min(study.profile.user_study_images, study.data_spec.n_test // 2)
    return design(study, other, images=images, shown=images // 2)


def profile_of(explained: dict[str, Any]) -> str:
    """The name of the kit's first profile that trains as the JSON of a ClaDec spec says; else empty."""
    c = explained["classifier"]
    found = (c["width"], c["train"], explained["train"])
    for name, profile in PROFILES.items():
        for p in (profile, for_planted(profile)):
            if found == (p.width, p.classifier.to_json(), p.decoder.to_json()):
                return name
    return ""


def _same_images(study: Study, other: Study) -> bool:
    first, second = (load(s.data_spec).test.images for s in (study, other))
    return first.shape == second.shape and bool((first == second).all())


def _check(images: int, shown: int, concepts: tuple[str, ...], arms: tuple[str, ...]) -> None:
    if not 2 <= shown <= images:
        raise CladecError(f"Each participant sees {shown} of {images} images; it must be 2 to all of them.")
    for what, names in (("concepts", concepts), ("arms", arms)):
        if len(set(names)) < max(2, len(names)):
            raise CladecError(f"The {what} are {list(names)}; name at least two different ones.")
    if "explained" not in arms:
        raise CladecError(f"The arm 'explained' is missing from {list(arms)}: nobody would see X_E.")


@dataclass(frozen=True)
class Slot:
    """One line of the table: an arm, the main items in order (indices into `Items.main`), and by how many
    places the list of concepts is rotated."""

    arm: str
    order: tuple[int, ...]
    rotation: int


def williams(n: int) -> np.ndarray:
    """A Williams design: int array (n, n) for even n, (2n, n) for odd n; rows are orders of 0..n-1."""
    zigzag = [(j + 1) // 2 if j % 2 else (n - j // 2) % n for j in range(n)]
    square = (np.array(zigzag) + np.arange(n)[:, None]) % n
    return square if n % 2 == 0 else np.concatenate([square, square[:, ::-1]])


def slots(spec: UserStudySpec) -> list[Slot]:
    """All slots, arms taking turns, so that any run of slots is balanced over arms.

    Slots of one rank are the same in all arms but for what is shown: participants of different arms see
    the same items in the same orders.
    """
    random = np.random.default_rng(spec.seed)
    names = random.permutation(spec.images)
    classifiers = len(spec.explained)
    ranks: list[tuple[int, ...]] = []
    for row in williams(spec.images)[:, : spec.shown]:
        balanced = random.permutation(np.arange(spec.shown) % classifiers)
        for first in range(classifiers):
            which = (balanced + first) % classifiers
            ranks.append(tuple((names[row] * classifiers + which).tolist()))
    ranks = [ranks[i] for i in random.permutation(len(ranks))]
    return [Slot(arm, order, i % len(spec.concepts)) for i, order in enumerate(ranks) for arm in spec.arms]
