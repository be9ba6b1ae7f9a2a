"""What the claims require to be measured of a study.

Everything is an evaluation of an explainer, and named by its spec; `evidence.record` puts what has been
measured into a table. How much there is of it the profile says (`profiles.EXTRAS`).
"""

from dataclasses import dataclass, replace

from cladec_utils.claims.verdicts import far_from_siblings
from cladec_utils.data.datasets import DataSpec
from cladec_utils.engine import store
from cladec_utils.models.architectures import is_drawable
from cladec_utils.study import neurons as study_neurons
from cladec_utils.study.classifiers import CONTROLS
from cladec_utils.study.evaluation import EvaluationSpec
from cladec_utils.study.explainers import ClaDecSpec, ExplainerSpec, PCASpec
from cladec_utils.study.study import Study

FAITHFUL_ALPHA = 0.9
"""C3 compares alpha 0 with this one, in every profile, on every layer that is swept."""
HALF = 0.5
"""The share of the training at which C1 and C2 are measured again, and neuron subsets at all."""
ATTEMPTS = 3
"""How often a training is made at most."""


def reconstructions(study: Study) -> list[EvaluationSpec]:
    """The evaluations behind the C1/C2 table: originals, ClaDec, RefAE and PCA, per layer and seed.

    At the last two layers ClaDec is judged by evaluation classifiers of all and of fewer images, as PCA is by
    the latter alone; so is RefAE at the last features, to be compared with half the budget."""
    plan = [study.evaluation(None, seed, "both") for seed in study.seeds]
    for layer in study.layers:
        late, again = layer in study.layers[-2:], layer == study.features
        for seed in study.seeds_of(layer):
            plan.append(study.evaluation(study.cladec(layer, seed), seed, "both" if late else "all"))
            plan.append(study.evaluation(study.refae(layer, seed), seed, "both" if again else "all"))
            plan.append(study.evaluation(study.pca(layer), seed, "fewer" if late else "none"))
    return plan


def half_budget(study: Study) -> list[EvaluationSpec]:
    """C1 and C2 at the last features with half the training."""
    pairs = [
        (seed, subject)
        for seed in study.seeds
        for subject in (
            study.cladec(study.features, seed, 0.0, budget=HALF),
            study.refae(study.features, seed, HALF),
        )
    ]
    return [study.evaluation(subject, seed, "fewer") for seed, subject in pairs]


def other_images(study: Study) -> list[EvaluationSpec]:
    """C1 at the last features with an evaluation classifier trained on images that C has not seen: C, ClaDec
    and RefAE on the first half of the training images, with half the budget, the evaluation classifier on
    reconstructions of the other half."""
    first, second = halves(study)
    plan = []
    for seed in study.fewer:
        for subject in (
            first.cladec(study.features, seed, 0.0, budget=HALF),
            first.refae(study.features, seed, HALF),
        ):
            spec = first.evaluation(subject, seed)
            plan.append(replace(spec, judge=replace(spec.judge, data=second), panel=study.panel()))
    return plan


def halves(study: Study) -> tuple[Study, DataSpec]:
    """The study of the first half of the training images, and the data with the other half in its place."""
    half = study.data_spec.n_train // 2
    first = replace(study.data_spec, n_train=half)
    return replace(study, data_spec=first), replace(first, skip=half)


def alpha_sweep(study: Study) -> list[EvaluationSpec]:
    """All alphas of the profile on its swept layers. Unless the user has named alphas or the profile asks for
    all of them, those that C3 does not compare are tried with the first seed only, and only alpha 0 is judged
    with the others."""
    asked = study.profile.alphas != study.usual.profile.alphas
    layers = [layer for layer in study.profile.swept.get(study.architecture, ()) if layer in study.layers]
    plan = []
    for layer in layers or study.layers[-1:]:
        seeds = study.seeds_of(layer)
        thoroughly = seeds if asked or "all alphas" in study.profile.extras else seeds[:1]
        beside = {spec.subject: spec for spec in reconstructions(study)}
        for alpha in study.profile.alphas:
            for seed in seeds if alpha in (0.0, FAITHFUL_ALPHA) else thoroughly:
                subject = study.cladec(layer, seed, alpha)
                judges = "all" if not alpha or seed in thoroughly else "none"
                plan.append(beside.get(subject) or study.evaluation(subject, seed, judges))
    return plan


def negative_controls(study: Study) -> list[EvaluationSpec]:
    """ClaDec at the last features of classifiers that know nothing: C1's advantage must vanish, and what is
    drawn from C carry more than what is drawn from random weights (C4)."""
    return [
        study.evaluation(study.cladec(study.features, seed, 0.0, classifier=study.control(name, seed)), seed)
        for name in (CONTROLS if is_drawable(study.architecture) else ())
        for seed in study.fewer
    ]


@dataclass(frozen=True)
class Subset:
    """Some of a layer's neurons: how they were chosen, and the evaluation of ClaDec on them alone."""

    choice: str
    size: int
    seed: int
    evaluation: EvaluationSpec


CHOSEN, RANDOM, PRINCIPAL = "most important", "random", "principal components"
IGNORANT = "most important, random weights"
WHOLE = "all, half budget"


def neuron_subsets(study: Study, guess: bool = False) -> list[Subset]:
    """A quarter of the neurons of the last features: those most important for the decision, as many drawn by
    chance (another draw for each seed), as many principal components of all, and the most important ones of a
    classifier with random weights; and all of them. With half the budget, as there are many. Needs the
    classifiers, and trains those that are missing; to `guess`, other neurons stand for important ones."""
    layer = study.features
    total = study_neurons.count(study, layer)
    quarter, found = max(1, total // 4), []
    for seed in study.fewer:
        ignorant = study.control("random weights", seed) if is_drawable(study.architecture) else None
        best, other = (
            study_neurons.random(total, quarter, -1 - i)
            if guess
            else tuple(sorted(study_neurons.ranked(study, layer, seed, classifier=c)[:quarter]))
            for i, c in enumerate((None, ignorant))
        )
        cladec = [
            (CHOSEN, quarter, {"neurons": best}),
            (RANDOM, quarter, {"neurons": study_neurons.random(total, quarter, seed)}),
            (PRINCIPAL, quarter, {"neurons": None, "components": quarter}),
            (IGNORANT, quarter, {"neurons": other, "classifier": ignorant}),
            (WHOLE, total, {"neurons": None}),
        ]
        for choice, size, which in cladec:
            if choice == IGNORANT and ignorant is None:
                continue
            subject = study.cladec(layer, seed, 0.0, budget=HALF, **which)
            found.append(Subset(choice, size, seed, study.evaluation(subject, seed, "fewer")))
    return found


@dataclass(frozen=True)
class Plan:
    """What the scorecard asks of a study: evaluations, and which subsets of neurons are among them."""

    evaluations: list[EvaluationSpec]
    chosen: list[Subset]


def plan(study: Study, full: bool = True, guess: bool = False) -> Plan:
    """Everything that is to be measured of a study: C1, C2 and C3 first, then what the profile's `extras` ask
    for. Not `full`, of an architecture beside another one, only C1 and C2, and C3 where all alphas are tried.
    Unless it is to `guess`, the classifiers whose neurons are ranked are trained.
    """
    extras, chosen = study.profile.extras, []
    evaluations = reconstructions(study)
    if "half budget" in extras:
        evaluations += half_budget(study)
    if full or "all alphas" in extras:
        evaluations += alpha_sweep(study)
    if full and "controls" in extras:
        evaluations += negative_controls(study)
    if full and "other images" in extras and not study.own:
        evaluations += other_images(study)
    if full and "subsets" in extras:
        chosen = neuron_subsets(study, guess)
        evaluations += [subset.evaluation for subset in chosen]
    return Plan(list(dict.fromkeys(evaluations)), chosen)


def made_anew(plan: Plan) -> list[EvaluationSpec]:
    """Evaluations of further attempts at trainings that ended far from those of other seeds (see
    `verdicts.far_from_siblings`), by their errors on validation images alone. All must have been made.
    Those of chosen neurons have no siblings, as every seed chooses others."""
    alone = {subset.evaluation for subset in plan.chosen if subset.choice != WHOLE}
    latest: dict[object, dict[int, EvaluationSpec]] = {}
    for spec in plan.evaluations:
        if not (spec.subject is None or isinstance(spec.subject, PCASpec) or spec in alone):
            group = latest.setdefault(_siblings(spec), {})
            seed, attempt = spec.subject.seed, spec.subject.attempt or 0
            if seed not in group or attempt >= (group[seed].subject.attempt or 0):
                group[seed] = spec
    found = []
    for group in latest.values():
        errors = [_error(spec.subject) for spec in group.values()]
        for spec, far in zip(group.values(), far_from_siblings(errors), strict=True):
            attempt = (spec.subject.attempt or 0) + 1
            if far and attempt < ATTEMPTS:
                found.append(_attempt(spec, attempt))
    return found


def _siblings(spec: EvaluationSpec) -> object:
    """What trainings that differ in the seed alone have in common."""
    s = spec.subject
    facts = [type(s), s.layer, s.train, s.norm, s.neurons, getattr(s, "alpha", 0.0)]
    where = s.classifier if isinstance(s, ClaDecSpec) else s
    return (*facts, where.data, where.architecture, getattr(where, "control", ""))


def _error(subject: ExplainerSpec) -> float:
    metrics = store.record(subject).metrics
    return metrics.get("final_val", metrics["final_train"])


def _attempt(spec: EvaluationSpec, attempt: int) -> EvaluationSpec:
    subject = replace(spec.subject, attempt=attempt)
    judges = {
        name: replace(judge, subject=subject)
        for name, judge in (("judge", spec.judge), ("fewer", spec.fewer))
        if judge
    }
    return replace(spec, subject=subject, **judges)
