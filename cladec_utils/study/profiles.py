"""Profiles: how much of everything a run uses; the only module that asks the environment for one.

Each is a small .toml in `profile_files/`. One of your own is a file that begins with the name of the profile
it is like and states only what differs:

    base = "quick"
    seeds = [0, 1, 2, 3, 4]

    [decoder]
    epochs = 8

Saved as `mine.toml` it is named by its path wherever a profile is: `--profile mine.toml`, `CLADEC_PROFILE`,
`open_study("mine.toml")`. Its results go to `results/mine/`. Planted data sets have numbers of images and
trainings of their own: those of `[planted]`. A file without a base states everything.
"""

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import torch

from cladec_utils.engine.paths import with_home
from cladec_utils.errors import CladecError, choose
from cladec_utils.models.architectures import ARCHITECTURES, make_classifier
from cladec_utils.models.decoder import NORMS
from cladec_utils.models.training import TrainSpec
from cladec_utils.study import tables
from cladec_utils.study.tables import Rule

PROFILE_VARIABLE = "CLADEC_PROFILE"
EXTRAS = {
    "half budget": "C1 and C2 at the last features with half the training, too",
    "other images": "C1 with an evaluation classifier trained on images that C has not seen",
    "controls": "what must not show on classifiers that know nothing, other decoders, a second RefAE",
    "subsets": "some of a layer's neurons, against as many drawn by chance, components, random weights",
    "all alphas": "all alphas with all seeds and evaluation classifiers, on both architectures",
    "randomisation": "relevance maps of classifiers of which layers are drawn anew",
}
"""What a profile may measure beyond pictures, C1 to C3, C6 and G1 to G3."""


def _all_different(check: Callable[[Any], bool]) -> Callable[[tuple], bool]:
    return lambda values: bool(values) and len(set(values)) == len(values) and all(map(check, values))


def _known_layers(layers: dict[str, tuple[str, ...]]) -> bool:
    for architecture, names in layers.items():
        choose(architecture, ARCHITECTURES, "architecture")
        for name in names:
            choose(name, _layers_of(architecture), f"layer of {architecture}")
    return set(layers) == set(ARCHITECTURES) and all(map(_all_different(bool), layers.values()))


@functools.cache
def _layers_of(architecture: str) -> tuple[str, ...]:
    with torch.device("meta"):  # names alone are wanted: no weights are drawn
        network = make_classifier(architecture, (1, 32, 32), 2)
    return tuple(name for name, _ in network.named_modules() if name)


def _known_architectures(names: tuple[str, ...]) -> bool:
    for name in names:
        choose(name, ARCHITECTURES, "architecture")
    return len(set(names)) == len(names)


Count = Annotated[int, Rule("an integer from 1 up", lambda n: n >= 1)]
CountOrAll = Annotated[int | None, Rule('an integer from 1 up, or "all"', lambda n: n >= 1, none="all")]
CountOrNone = Annotated[int, Rule("an integer from 0 up", lambda n: n >= 0)]
Factor = Annotated[float, Rule("a number above 0", lambda x: x > 0)]
Factors = Annotated[
    tuple[float, ...], Rule("a list of different numbers above 0", _all_different(lambda x: x > 0))
]
Alphas = Annotated[
    tuple[float, ...], Rule("a list of different numbers from 0 to 1", _all_different(lambda x: 0 <= x <= 1))
]
Seeds = Annotated[
    tuple[int, ...],
    Rule("a list of different integers from 0 to 4294967295", _all_different(lambda seed: 0 <= seed < 2**32)),
]
Layers = Annotated[
    dict[str, tuple[str, ...]],
    Rule(f"a table with a list of different layers for each of {', '.join(ARCHITECTURES)}", _known_layers),
]
Architectures = Annotated[
    tuple[str, ...],
    Rule(f"a list, perhaps empty, of different ones of {', '.join(ARCHITECTURES)}", _known_architectures),
]
Extras = Annotated[
    tuple[str, ...],
    Rule(
        f"a list, perhaps empty, of different ones of {', '.join(EXTRAS)}",
        lambda names: set(names) <= set(EXTRAS) and len(set(names)) == len(names),
    ),
]
TwoCounts = Annotated[tuple[int, int], Rule("a list of two integers from 1 up", lambda n: min(n) >= 1)]


@dataclass(frozen=True)
class Planted:
    """The numbers of images, and how classifiers and decoders are trained, for planted data sets."""

    n_train: CountOrAll
    n_val: CountOrNone
    n_test: CountOrAll
    classifier: TrainSpec
    decoder: TrainSpec


@dataclass(frozen=True)
class Profile:
    """How much of everything a run uses; the table is in DESIGN.md and README.md.

    `name` is that of the folder of its results, `source` what `get_profile` finds it by again, from any
    working folder: the name of one of the kit's, else the absolute path of its file.

    None for a number of images ("all" in a file) means all of them. On planted data sets, on which more
    networks are trained, `planted` takes the place of what it has (see `for_planted`).
    `probe` says how readers of factors are trained. `layers` are the layers explained by default, from early
    to logits, per architecture; `alphas` are tried on the layers `swept`, planted concepts on
    `planted_layers`, and on all of `planted_architectures` besides the one that is asked for.
    RefAE and ClaDec are trained alike, as `decoder` says; `norm` stands before the rectifiers of both their
    decoders (see `decoder.NORMS`). `panel` is the number of classifiers of each architecture that only look
    at reconstructions.
    `decoder_widths` are those of the weaker and stronger decoders that conclusions must survive, as
    multiples of the ordinary one's. `saliency_images` are the numbers of images for relevance maps: for the
    scores that C6 is decided by, and for everything else about maps. `user_study_images` are the pictures of
    the notebooks' user study, `simulations` the number of simulated user studies per point of the planning
    curve.

    All `seeds` serve C1, C2 and C3 at the last two layers, the first `fewer_seeds` the rest. Evaluation
    classifiers behind secondary rows are trained on `judge_images`, the others on all that C was trained on.
    `architectures` are put beside each other where only data are named. `extras` is what is measured besides
    (see EXTRAS); alphas that C3 does not compare are else tried with the first seed only.
    """

    name: str
    source: str
    n_train: CountOrAll
    n_val: CountOrNone
    n_test: CountOrAll
    width: Factor
    seeds: Seeds
    layers: Layers
    alphas: Alphas
    swept: Layers
    planted_layers: Layers
    planted_architectures: Architectures
    decoder_widths: Factors
    classifier: TrainSpec
    decoder: TrainSpec
    norm: Annotated[str, Rule(" or ".join(NORMS), lambda name: name in NORMS)]
    panel: CountOrNone
    fewer_seeds: CountOrAll
    judge_images: CountOrAll
    architectures: Architectures
    extras: Extras
    saliency_images: TwoCounts
    user_study_images: Annotated[int, Rule("an integer from 4 up", lambda n: n >= 4)]
    simulations: Count
    planted: Planted
    probe: TrainSpec


_ENTRIES = tuple(f.name for f in fields(Profile) if f.name not in ("name", "source"))


def _ours(name: str) -> Path:
    return Path(__file__).with_name("profile_files") / f"{name}.toml"


PROFILES = {
    name: tables.read(Profile, tables.load(_ours(name)), _ours(name), name=name, source=name)
    for name in ("smoke", "quick", "standard", "paper")
}


def get_profile(profile: str | os.PathLike[str] | None = None) -> Profile:
    """The profile called `profile`, or that of the .toml file at this path; None asks the environment
    variable CLADEC_PROFILE, then `quick`.

    Raises CladecError with what is allowed for a name, a file or an entry that does not fit.
    """
    wanted = os.fspath(profile or os.environ.get(PROFILE_VARIABLE) or "quick")
    if wanted in PROFILES:
        return PROFILES[wanted]
    if not (wanted.lower().endswith(".toml") or os.sep in wanted):
        try:
            choose(wanted, PROFILES, "profile")
        except CladecError as error:
            raise CladecError(f"{error} One of your own is named by its file, such as mine.toml.") from None
    path = Path(with_home(wanted)).absolute()
    if path.suffix.lower() != ".toml":
        raise CladecError(f"The profile {path} is no .toml file; give one, or one of: {', '.join(PROFILES)}.")
    if not path.exists():
        raise CladecError(
            f"There is no profile {path}; give the path of a file, whole where the working folder changes "
            f"(notebooks run in their own), or one of: {', '.join(PROFILES)}."
        )
    return _from_file(path)


def _from_file(path: Path) -> Profile:
    """The profile of a user's file."""
    name, table = path.stem, tables.load(path)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise CladecError(
            f"{path}: a profile is called as its file, and its results' folder as the profile; {name!r} "
            "must begin with a letter or digit and have only A-Z, a-z, 0-9, '.', '_' and '-'."
        )
    for key in table:
        choose(key, ("base", *_ENTRIES), f"entry of {path}:")
    if "base" in table:
        base = table.pop("base")
        choose(base, PROFILES, f"base in {path}:")
        table = tables.merge(tables.load(_ours(base)), table)
    found = tables.read(Profile, table, path, name=name, source=str(path))
    ours = PROFILES.get(name.lower())
    if ours is None:
        return found
    if replace(found, name=ours.name, source=ours.source) != ours:
        raise CladecError(
            f"{path} is called as the kit's own profile {ours.name} but says something else; rename the file."
        )
    return ours


def for_planted(profile: Profile) -> Profile:
    """The profile with its numbers of images and trainings for planted data sets."""
    return replace(profile, **{f.name: getattr(profile.planted, f.name) for f in fields(profile.planted)})
