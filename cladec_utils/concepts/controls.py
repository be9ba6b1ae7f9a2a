"""The controls of the planted-concepts study, and all that is to be made with them."""

from collections.abc import Iterable

from cladec_utils.concepts.experiment import ConceptStudy, Subject, plan, subject_of
from cladec_utils.engine import store
from cladec_utils.engine.spec import Spec, closure
from cladec_utils.models.architectures import sample_classifier
from cladec_utils.study.classifiers import RandomisedSpec
from cladec_utils.study.evaluation import EvaluationSpec
from cladec_utils.study.explainers import OTHER_DRAW, ClaDecSpec, ExplainerSpec
from cladec_utils.study.probes import CONTROL_TASK, HeldSpec

RANDOM, SHUFFLED, SECOND = "all weights random", "shuffled labels", "second RefAE"
DECODER = "decoder x"


def control_names(concepts: ConceptStudy) -> tuple[str, ...]:
    """The names of the controls that G4 asks for."""
    widths = concepts.studies[0].profile.decoder_widths
    return (RANDOM, SHUFFLED, SECOND, *(f"{DECODER}{width:g}" for width in widths))


def stages(concepts: ConceptStudy) -> tuple[str, str, str]:
    """Down to where weights are drawn anew: the last, the middle and the first layer with weights."""
    study = concepts.studies[0]
    shape, classes = study.data.image_shape, len(study.data.class_names)
    network = sample_classifier(study.architecture, shape, classes, study.profile.width)
    names = [name for name, part in network.named_children() if list(part.parameters())]
    return names[-1], names[len(names) // 2], names[0]


def _randomised_classifier(concepts: ConceptStudy, down_to: str, which: int, seed: int) -> RandomisedSpec:
    draw = seed + OTHER_DRAW * which  # else both would be the same network where all is random
    return RandomisedSpec(concepts.studies[which].classifier(seed), down_to, draw)


def randomised(concepts: ConceptStudy, down_to: str, layer: str) -> Subject:
    """ClaDec, trained anew, on a layer of classifiers randomised from the top down to the layer `down_to`."""

    def subject(which: int, seed: int) -> ClaDecSpec:
        classifier = _randomised_classifier(concepts, down_to, which, seed)
        return concepts.studies[which].cladec(layer, seed, 0.0, classifier=classifier)

    return subject


def random_weights(concepts: ConceptStudy, layer: str) -> Subject:
    """What G1 holds X_E of a layer against: ClaDec of the layer where all weights of C are random."""
    return randomised(concepts, stages(concepts)[-1], layer)


def control(concepts: ConceptStudy, name: str) -> Subject:
    """What stands in X_E's place in one of the `control_names`, at the last layer and alpha 0."""
    layer = concepts.layers[-1]
    if name == RANDOM:
        return random_weights(concepts, layer)

    def subject(which: int, seed: int) -> ExplainerSpec:
        study = concepts.studies[which]
        if name == SECOND:
            return concepts.refae(layer, seed + OTHER_DRAW)
        if name == SHUFFLED:
            return study.cladec(layer, seed, 0.0, classifier=study.control(name, seed))
        width = study.profile.width * float(name.removeprefix(DECODER))
        plain = study.cladec(layer, seed, 0.0)
        return ClaDecSpec(plain.classifier, layer, plain.train, seed, 0.0, None, plain.norm, width)

    return subject


def held_controls(concepts: ConceptStudy, which: int, layer: str, seed: int) -> dict[str, HeldSpec]:
    """What *held* is to be compared with, by its name in tables: what is read from the layer where all
    weights of C are random, and how well the probe learns a task that means nothing."""
    random = _randomised_classifier(concepts, stages(concepts)[-1], which, seed)
    return {
        "held random weights": concepts.held(which, layer, seed, classifier=random),
        "held control task": concepts.held(which, layer, seed, task=CONTROL_TASK),
    }


def judged(concepts: ConceptStudy, which: int, subject: ExplainerSpec, seed: int) -> EvaluationSpec:
    """How well an evaluation classifier reads the labels of data set `which` from a subject's images, which
    may explain a classifier of the other data set."""
    study = concepts.studies[which]
    own = study.evaluation(subject, seed)  # its judge is of this data set, whatever is explained
    return EvaluationSpec(study.classifier(seed), subject, own.judge)


def control_plan(concepts: ConceptStudy) -> list[Spec]:
    """What `plan` leaves to controls: those of G4 for all seeds, and the other two stages of randomisation
    for the first seed; G1's random weights and the controls of *held* on all layers; evaluation classifiers
    of the last layer. Nothing for a study that is not `controlled`."""
    if not concepts.controlled:
        return []
    last, seeds = concepts.layers[-1], concepts.seeds
    everywhere = [(control(concepts, name), seeds) for name in control_names(concepts)]
    everywhere += [(random_weights(concepts, layer), seeds) for layer in concepts.layers[:-1]]
    once = [(randomised(concepts, stage, last), seeds[:1]) for stage in stages(concepts)[:-1]]
    specs: list[Spec] = [
        concepts.shown(subject(which, seed), seed)
        for subject, some in everywhere + once
        for seed in some
        for which in (0, 1)
    ]
    x_e, x_r = subject_of(concepts, last, 0.0), subject_of(concepts, last, None)
    for seed in seeds:
        for which in (0, 1):
            for layer in concepts.layers:
                specs += held_controls(concepts, which, layer, seed).values()
            subjects = (x_e(which, seed), x_e(1 - which, seed), x_r(which, seed))
            specs += [judged(concepts, which, subject, seed) for subject in subjects]
    return list(dict.fromkeys(specs))


def whole_plan(every: Iterable[ConceptStudy]) -> list[Spec]:
    """Both plans of all studies."""
    return [spec for each in every for spec in plan(each) + control_plan(each)]


def seconds_of_work(every: Iterable[ConceptStudy]) -> float:
    """How long making everything behind both plans took, in seconds of one process, as the store has it."""
    return sum(store.record(spec).seconds for spec in closure(whole_plan(every)))
