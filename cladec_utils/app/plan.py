"""All studies that one `cladec study` asks for, and everything that they and their notebooks need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import nbformat

from cladec_utils.app import selection
from cladec_utils.app.execute import parameter_names
from cladec_utils.claims import evidence, required
from cladec_utils.concepts import controls, experiment
from cladec_utils.engine import grid
from cladec_utils.engine.spec import Spec
from cladec_utils.errors import CladecError, choose
from cladec_utils.models.autoencoders import check_alpha
from cladec_utils.models.layers import list_layers
from cladec_utils.saliency import experiment as saliency_experiment
from cladec_utils.saliency import limits
from cladec_utils.study.classifiers import AnyClassifier
from cladec_utils.study.evaluation import EvaluationSpec
from cladec_utils.study.folders import GENERAL, Folder, of_scorecard
from cladec_utils.study.networks import look
from cladec_utils.study.study import Study, open_study

CONCEPTS = "05_planted_concepts"
Choices = dict[str, Any]
"""Arguments of `open_study`."""


@dataclass(frozen=True)
class Chosen:
    """A study, the choices that open it, and whether it is measured in `full` (see `required.plan`) and
    shown in notebooks, or only beside another one."""

    study: Study
    choices: Choices
    full: bool = True


def combinations(
    datasets: Sequence[str] | None, architectures: Sequence[str] | None, others: Mapping[str, Any]
) -> list[Chosen]:
    """A study for every data set and architecture; `others` are the remaining choices.

    Of `layers`, each architecture takes those that it has; the two alphas that C3 compares are always among
    `alphas`. With nothing chosen but the data, a study of each other architecture of the profile stands
    beside, measured in part, unless the data are the user's. Raises CladecError for what does not fit.
    """
    given = {name: value for name, value in others.items() if value is not None}
    if "alphas" in given:
        given["alphas"] = sorted({0.0, required.FAITHFUL_ALPHA, *map(check_alpha, given["alphas"])})
    pairs = list(product(datasets or [None], architectures or [None]))
    found = []
    for dataset, architecture in pairs:
        choices = given | {"dataset": dataset, "architecture": architecture}
        if "layers" in given and len(pairs) > 1:
            choices["layers"] = _known_layers(choices, architectures or [None])
        study = open_study(**choices)
        found.append(Chosen(study, choices | {"profile": study.profile.source, "alpha": study.alpha}))
    if not (architectures or "layers" in given or "neurons" in given):
        kits = [each for each in found if not each.study.data_spec.path]
        found += [beside for each in kits for beside in _others(each)]
    return found


def _others(chosen: Chosen) -> list[Chosen]:
    names = sorted(set(chosen.study.profile.architectures) - {chosen.study.architecture})
    choices = [chosen.choices | {"architecture": name, "layers": None} for name in names]
    return [Chosen(open_study(**each), each, full=False) for each in choices]


def _known_layers(choices: Choices, architectures: Sequence[str | None]) -> list[str]:
    """Of the named layers those that this architecture has; each must be in one of `architectures`."""
    mine = choices["architecture"] or "vgg"
    names = {a or "vgg": _layer_names(choices, a) for a in architectures}
    known = dict.fromkeys(name for found in names.values() for name in found)
    layers = [choose(layer, known, "layer") for layer in choices["layers"]]
    there = [layer for layer in layers if layer in names[mine]]
    if not there:
        raise CladecError(
            f"{mine} has none of the layers {', '.join(layers)}; name one of its own as well: "
            f"{', '.join(names[mine])}."
        )
    return there


def _layer_names(choices: Choices, architecture: str | None) -> list[str]:
    named = {name: choices.get(name) for name in ("profile", "dataset", "image_size")}
    network, shape = look(**named, architecture=architecture)
    return [layer.name for layer in list_layers(network, shape)]


def _concepts(choices: Mapping[str, Any]) -> experiment.ConceptStudy:
    named = {name: choices.get(name) for name in ("profile", "architecture", "layers", "seeds")}
    return experiment.open_concepts(**named)


def folder_of(path: Path, study: Study, choices: Mapping[str, Any]) -> Folder:
    """The results folder of a notebook that is run with the choices that open `study`: that of the study
    which the notebook itself opens, as it knows only the choices that are parameters of it. `folders` among
    the choices are those that a scorecard is to read."""
    known = parameter_names(nbformat.read(path, as_version=4), path)
    if path.stem == CONCEPTS:
        return _concepts(choices).folder
    if "dataset" not in known:
        return of_scorecard(study.profile.name, choices.get("folders") if "folders" in known else None).folder
    mine = {name: value for name, value in choices.items() if name in known}
    unknown = [
        name for name, value in choices.items() if name not in known | {"folders"} and value is not None
    ]
    return (open_study(**mine) if unknown else study).folder


def experiment_folders(
    chosen: Sequence[Chosen], notebooks: Sequence[Path], asked: bool = False
) -> list[str] | None:
    """All results folders of a run with other choices than its profile's own, whose report and scorecard are
    about these alone; None for a run whose results belong to its profile's. `asked` as in `selection`."""
    if not any(each.study.folder.differs for each in chosen):
        return None
    names = [each.study.folder.name for each in chosen]
    for each in chosen:
        mine = selection.of_study(each.study, notebooks, asked) if each.full else []
        names += [folder_of(path, each.study, each.choices).name for path in mine]
    return [name for name in dict.fromkeys(names) if name != GENERAL]


def compute(chosen: Sequence[Chosen], notebooks: Sequence[Path], asked: bool = False) -> None:
    """Make everything that is missing, a line per task, and record the evidence.

    First all classifiers, as the choice of important neurons asks them; then the rest as one graph.
    What only a notebook needs is made if that notebook is among `notebooks`; if these were `asked` for, and
    the scorecard is not among them, nothing else is made, and no evidence recorded.
    """
    shown = {id(each): selection.of_study(each.study, notebooks, asked) for each in chosen if each.full}
    whole = _is_whole(notebooks, asked)
    grid.compute([spec for each in chosen for spec in _asked_for_neurons(each)], lines=True)
    specs: list[Spec] = []
    for each in chosen:
        if each.full:  # first, as they have the longest tasks, for which one worker would wait in the end
            specs += _for_notebooks(each, {path.stem for path in shown[id(each)]})
    if not whole:
        specs += [
            s for each in chosen if each.full for s in selection.evaluations(each.study, shown[id(each)])
        ]
        grid.compute(list(dict.fromkeys(specs)), lines=True)
        return
    plans = [required.plan(each.study, each.full) for each in chosen]
    specs += [spec for plan in plans for spec in plan.evaluations]
    grid.compute(list(dict.fromkeys(specs)), lines=True)
    for each, plan in zip(chosen, plans, strict=True):
        evidence.record(each.study, _with_new_attempts(plan), plan.chosen)


def expected(chosen: Sequence[Chosen], notebooks: Sequence[Path], asked: bool = False) -> list[Spec]:
    """What `compute` asks for, though this makes nothing: where it is not known yet which neurons are
    important, as many others stand for them."""
    whole = _is_whole(notebooks, asked)
    specs: list[Spec] = []
    for each in chosen:
        first = _asked_for_neurons(each)
        guess, mine = bool(grid.missing(first)), selection.of_study(each.study, notebooks, asked)
        specs += first
        if each.full:
            specs += _for_notebooks(each, {path.stem for path in mine})
        if whole:
            specs += required.plan(each.study, each.full, guess).evaluations
        elif each.full:
            specs += selection.evaluations(each.study, mine, guess)
    return list(dict.fromkeys(specs))


def _is_whole(notebooks: Sequence[Path], asked: bool) -> bool:
    """Whether all is measured that the scorecard asks for."""
    return not asked or any(selection.number_of(path) == selection.SCORECARD for path in notebooks)


def _asked_for_neurons(chosen: Chosen) -> list[AnyClassifier]:
    """The classifiers of a study, and those of which the plan itself asks the most important neurons."""
    study = chosen.study
    asked = chosen.full and "subsets" in study.profile.extras and study.can_be_drawn
    ignorant = [study.control("random weights", seed) for seed in study.fewer] if asked else []
    return [*map(study.classifier, study.seeds), *ignorant]


def _with_new_attempts(plan: required.Plan) -> list[EvaluationSpec]:
    """The evaluations of a plan, made, and those of trainings that had to be made anew (see
    `required.made_anew`)."""
    found = list(plan.evaluations)
    while again := required.made_anew(replace(plan, evaluations=found)):
        names = ", ".join(dict.fromkeys(spec.subject.label() for spec in again))
        print(f"trained anew, as the last attempt ended far from other seeds: {names}")
        grid.compute(again, lines=True)
        found += again
    return found


def _for_notebooks(chosen: Chosen, present: set[str]) -> list[Spec]:
    # What these import takes seconds, and most commands do without it.
    from cladec_utils.user_study.analysis.power import planned  # noqa: PLC0415
    from cladec_utils.user_study.design import usual  # noqa: PLC0415

    study, specs = chosen.study, []
    if "06_saliency" in present:
        specs += [
            spec
            for each in saliency_experiment.side_by_side(study)
            for spec in saliency_experiment.plan(each)
        ]
        specs += limits.plan(limits.study_like(study))
    if CONCEPTS in present:
        specs += controls.whole_plan(experiment.side_by_side(_concepts(chosen.choices)))
    if "07_user_study_materials" in present:
        specs += usual(chosen.choices).needs()
    if "08_user_study_analysis" in present:
        specs += planned(usual(chosen.choices), study.profile.simulations)
    return specs
