"""Which notebooks a study runs: those that are named, else all that make sense for it, and what they need.

The series is about the kit's own classifiers and data. Of a study of a user's own, those notebooks run that
are about *its* classifier and images: what the layers show (00, 02), alpha (03), neurons (04), the verdicts
(09). The others train networks for a purpose of their own: planted garments (05, 06 in part, 07 and 08), a
linear network (A1), examples (10). 01 shows how C was trained, which of a user's classifier nobody can.
"""

from collections.abc import Sequence
from pathlib import Path

from cladec_utils.claims import required
from cladec_utils.engine.spec import Spec
from cladec_utils.errors import CladecError, choose
from cladec_utils.study.study import Study

SCORECARD = "09"
OF_OWN_DATA = ("00", "01", "02", "03", "04", SCORECARD)
TRAINING, CONCEPTS, SUBSETS = "01", "05", "04"
IMPOSSIBLE = {
    TRAINING: "shows how a classifier is trained, which of one of your own it cannot know",
    CONCEPTS: "trains classifiers of its own on planted garments",
}
"""Notebooks that cannot be about a classifier of the user's."""


def named(notebooks: Sequence[Path], only: Sequence[str] | None) -> list[Path]:
    """Those of `notebooks` that `only` names, by number or name; None: all. Raises CladecError for a name
    that none has."""
    if only is None:
        return list(notebooks)
    known = {number_of(path): path for path in notebooks} | {path.stem: path for path in notebooks}
    wanted = {known[choose(name.removesuffix(".ipynb"), known, "notebook")] for name in only}
    return [path for path in notebooks if path in wanted]


def number_of(path: Path) -> str:
    """What a notebook's name begins with: 00, ..., A1."""
    return path.stem.partition("_")[0]


def of_study(study: Study, notebooks: Sequence[Path], asked: bool) -> list[Path]:
    """Those of `notebooks` that are run for a study: all where somebody `asked` for them. Raises CladecError
    for what was asked for and is impossible."""
    if asked:
        for path in notebooks if study.own else ():
            if number_of(path) in IMPOSSIBLE:
                raise CladecError(
                    f"{path.stem} {IMPOSSIBLE[number_of(path)]}; leave it out of --only, or run it without "
                    "--classifier."
                )
        return list(notebooks)
    if not (study.own or study.data_spec.path):
        return list(notebooks)
    left = {TRAINING} if study.own else set()
    left |= set() if study.can_be_drawn else {SUBSETS}
    return [path for path in notebooks if number_of(path) in OF_OWN_DATA and number_of(path) not in left]


def evaluations(study: Study, notebooks: Sequence[Path], guess: bool = False) -> list[Spec]:
    """What the notebooks, without the scorecard, need to be made; `guess` as in `required.plan`."""
    numbers, found = {number_of(path) for path in notebooks}, []
    if numbers & {"00", TRAINING}:
        layer, seed = study.layers[len(study.layers) // 2], study.seeds[0]
        found += [study.refae(layer, seed), study.cladec(layer, seed)]
    if TRAINING in numbers:
        found += [study.evaluation(None, seed) for seed in study.seeds]
    if "02" in numbers:
        found += required.reconstructions(study)
        found += required.half_budget(study) if "half budget" in study.profile.extras else []
    if "03" in numbers:
        found += required.alpha_sweep(study)
    if SUBSETS in numbers:
        found += [subset.evaluation for subset in required.neuron_subsets(study, guess)]
    return list(dict.fromkeys(found))
