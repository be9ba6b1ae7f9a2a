"""The planted-concepts study: two classifiers of the same images with opposite truths, and its claims.

The two data sets (`sources.PLANTED`) share all images. The four factors that one of them makes relevant
are irrelevant under the other, so each factor is its own control: whatever makes it easy or hard to draw
or to read cancels in the *contrast*, how readable the four are from X_E where they are relevant minus
where they are not. RefAE knows no labels and is trained once for both.

The claims are ours, and were written down before any of them had been computed; a trial with one seed
had been seen. All read the fresh probe. Per test image, then by the rule in `verdicts`:

- G1, relevant concepts are kept: reading them from X_E is at most ALLOWED worse than from X_R.
- G2, irrelevant concepts are dropped: reading them from X_E is worse than from X_R.
- G3, alpha moves shown towards used: the contrast is larger at alpha 0.9 than at 0.
- G4, the conclusions survive controls, at the last layer and alpha 0: the contrast is larger than with
  random weights or shuffled labels in C's place; it is there with a weaker or stronger decoder
  (`Profile.decoder_widths`); and G2 again with a second RefAE, of a seed that the study has not used,
  in X_R's place.

Two things were changed after first results had been seen: the second RefAE had been that of the study's
next seed, so that over all seeds its differences from X_R cancelled; and the probe for *held* is now
trained HELD_EPOCHS times as long, as it had read less from the logits than was read from their X_E.

A classifier that does not react to edits as its labels demand (`MUST_FLIP`, `MAY_FLIP`) is no ground truth:
then all of these are undecided.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cladec_utils.claims.required import FAITHFUL_ALPHA
from cladec_utils.data import planted
from cladec_utils.data.planted import FACTORS
from cladec_utils.data.sources import PLANTED
from cladec_utils.engine import store
from cladec_utils.engine.spec import Spec, closure
from cladec_utils.errors import CladecError
from cladec_utils.models.architectures import sample_classifier
from cladec_utils.study.classifiers import RandomisedSpec
from cladec_utils.study.explainers import ClaDecSpec, ExplainerSpec, RefAESpec
from cladec_utils.study.folders import Folder, folder_name
from cladec_utils.study.probes import HeldSpec, ProbeSpec, ShownSpec, UsedSpec, retention
from cladec_utils.study.profiles import get_profile
from cladec_utils.study.study import Study, describe, open_study

MUST_FLIP, MAY_FLIP = 0.8, 0.1
ALLOWED = 0.05
ALPHAS = (0.0, FAITHFUL_ALPHA)
OTHER_DRAW = 5000
"""Added to a run's seed where a second draw is needed."""
HELD_EPOCHS = 4
"""How many times as long as others the probe of activations is trained: they are small, it is cheap."""
RANDOM, SHUFFLED, SECOND = "all weights random", "shuffled labels", "second RefAE"
DECODER = "decoder x"

Subject = Callable[[int, int], ExplainerSpec]
"""Which explainer is read: (index of the data set, seed) to its spec."""


@dataclass(frozen=True)
class ConceptStudy:
    """The two studies of the same images, one per data set in `sources.PLANTED`."""

    studies: tuple[Study, Study]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers explained, from early to late."""
        return self.studies[0].layers

    @property
    def seeds(self) -> tuple[int, ...]:
        """The repetitions."""
        return self.studies[0].seeds

    @property
    def swapped(self) -> tuple[str, ...]:
        """The factors that are relevant under one data set and irrelevant under the other."""
        return tuple(f for s in self.studies for f in planted.relevant(s.data_spec.dataset))

    @property
    def folder(self) -> Folder:
        """Where the results go: keyed as a study's, but that the profile has layers of its own for these."""
        first, sets = self.studies[0], [study.data_spec for study in self.studies]
        mark = hashlib.sha256("".join(spec.fingerprint for spec in sets).encode()).hexdigest()[:6]
        differs = first.differs(first.profile.planted_layers.get(first.architecture, ()))
        both = {"dataset": " + ".join(spec.dataset for spec in sets)}
        both["fingerprint"] = [spec.fingerprint for spec in sets]
        name = folder_name(["planted-concepts", mark, first.architecture], differs)
        return Folder(first.profile.name, name, describe(first) | both, differs)

    def relevant(self, which: int, factor: str) -> bool:
        """Whether a factor is relevant under the data set with index `which`."""
        return factor in planted.relevant(self.studies[which].data_spec.dataset)

    def refae(self, layer: str, seed: int) -> RefAESpec:
        """The one RefAE of both data sets."""
        return self.studies[0].refae(layer, seed)

    def shown(self, subject: ExplainerSpec | None, seed: int) -> ShownSpec:
        """What probes read from a subject's images."""
        first = self.studies[0]
        return ShownSpec(ProbeSpec(first.data_spec, first.profile.probe, seed), subject)

    def held(self, which: int, layer: str, seed: int) -> HeldSpec:
        """What a probe reads from a layer of the classifier of data set `which`."""
        study, probe = self.studies[which], self.studies[which].profile.probe
        longer = probe.scaled(HELD_EPOCHS)
        return HeldSpec(study.classifier(seed), layer, longer, seed)


def open_concepts(
    profile: str | None = None,
    architecture: str | None = None,
    layers: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> ConceptStudy:
    """Both studies; None takes the profile's seeds and its `planted_layers` of the architecture.

    Raises CladecError for anything that does not fit (see `study.open_study`).
    """
    if not (architecture is None or isinstance(architecture, str)):
        raise CladecError("Planted concepts need a named architecture, as its classifiers are trained here.")
    named = layers or get_profile(profile).planted_layers.get(architecture or "vgg")
    return ConceptStudy(tuple(open_study(profile, d, architecture, named, seeds) for d in PLANTED))


def side_by_side(concepts: ConceptStudy) -> list[ConceptStudy]:
    """This study, and those of the other architectures that its profile asks for, with the same seeds."""
    mine = concepts.studies[0]
    others = [a for a in mine.profile.planted_architectures if a != mine.architecture]
    return [concepts, *(open_concepts(mine.profile.source, a, None, mine.seeds) for a in others)]


# --- what is to be measured ---------------------------------------------------------------------


def plan(concepts: ConceptStudy) -> list[Spec]:
    """Used, held and shown for both data sets, all layers, ALPHAS and seeds."""
    found: list[Spec] = []
    for seed in concepts.seeds:
        found.append(concepts.shown(None, seed))
        for which, study in enumerate(concepts.studies):
            found.append(UsedSpec(study.classifier(seed)))
            for layer in concepts.layers:
                found.append(concepts.held(which, layer, seed))
                found += [concepts.shown(study.cladec(layer, seed, alpha), seed) for alpha in ALPHAS]
        found += [concepts.shown(concepts.refae(layer, seed), seed) for layer in concepts.layers]
    return found


def controls(concepts: ConceptStudy) -> tuple[str, ...]:
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


def randomised(concepts: ConceptStudy, down_to: str) -> Subject:
    """ClaDec, trained anew, on the last layer of classifiers randomised from the top down to a layer."""

    def subject(which: int, seed: int) -> ClaDecSpec:
        study = concepts.studies[which]
        draw = seed + OTHER_DRAW * which  # else both would be the same network where all is random
        classifier = RandomisedSpec(study.classifier(seed), down_to, draw)
        return study.cladec(concepts.layers[-1], seed, 0.0, classifier=classifier)

    return subject


def control(concepts: ConceptStudy, name: str) -> Subject:
    """What stands in X_E's place in one of the `controls`, at the last layer and alpha 0."""
    layer = concepts.layers[-1]
    if name == RANDOM:
        return randomised(concepts, stages(concepts)[-1])

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


def control_plan(concepts: ConceptStudy) -> list[Spec]:
    """All `controls` for all seeds, and the other two stages of randomisation for the first seed."""
    everywhere = [(control(concepts, name), concepts.seeds) for name in controls(concepts)]
    once = [(randomised(concepts, stage), concepts.seeds[:1]) for stage in stages(concepts)[:-1]]
    specs = [
        concepts.shown(subject(which, seed), seed)
        for subject, seeds in everywhere + once
        for seed in seeds
        for which in (0, 1)
    ]
    return list(dict.fromkeys(specs))


def whole_plan(every: Iterable[ConceptStudy]) -> list[Spec]:
    """Both plans of all studies."""
    return [spec for each in every for spec in plan(each) + control_plan(each)]


def seconds_of_work(every: Iterable[ConceptStudy]) -> float:
    """How long making everything behind both plans took, in seconds of one process, as the store has it."""
    return sum(store.record(spec).seconds for spec in closure(whole_plan(every)))


# --- reading it ---------------------------------------------------------------------------------


def table(concepts: ConceptStudy) -> pd.DataFrame:
    """One row per data set, factor, layer, alpha and seed.

    Columns: architecture, dataset, factor, relevant, layer, alpha, seed, then shares of the test images:
    used (edits that flip C's decision), variation (mean total variation of its softmax), held, X_E, X_R and
    X (read rightly by the fresh probe), X_E original and X_R original (by the probe trained on originals),
    and retention (`probes.retention`).
    """
    rows = []
    for seed in concepts.seeds:
        x = store.record(concepts.shown(None, seed)).metrics
        for which, study in enumerate(concepts.studies):
            used = store.record(UsedSpec(study.classifier(seed))).metrics
            for layer in concepts.layers:
                held = store.record(concepts.held(which, layer, seed)).metrics
                x_r = store.record(concepts.shown(concepts.refae(layer, seed), seed)).metrics
                for alpha in ALPHAS:
                    x_e = store.record(concepts.shown(study.cladec(layer, seed, alpha), seed)).metrics
                    for f in FACTORS:
                        e, r = x_e[f"fresh_{f}"], x_r[f"fresh_{f}"]
                        rows.append({
                            "architecture": study.architecture, "dataset": study.data_spec.dataset,
                            "factor": f, "relevant": concepts.relevant(which, f), "layer": layer,
                            "alpha": alpha, "seed": seed, "used": used[f"flips_{f}"],
                            "variation": used[f"variation_{f}"], "held": held[f"held_{f}"],
                            "X": x[f"fresh_{f}"], "X_R": r, "X_E": e,
                            "X_R original": x_r[f"original_{f}"], "X_E original": x_e[f"original_{f}"],
                            "retention": retention(e, r),
                        })  # fmt: skip
    return pd.DataFrame(rows)


def invalid(concepts: ConceptStudy) -> str:
    """Why the classifiers are no ground truth, or an empty string if they are."""
    for seed in concepts.seeds:
        for which, study in enumerate(concepts.studies):
            used = store.record(UsedSpec(study.classifier(seed))).metrics
            for factor in FACTORS:
                flips, needed = used[f"flips_{factor}"], concepts.relevant(which, factor)
                if flips < MUST_FLIP if needed else flips > MAY_FLIP:
                    kind = "a relevant" if needed else "an irrelevant"
                    return (
                        f"no valid ground truth: editing {factor}, {kind} factor of "
                        f"{study.data_spec.dataset}, flips {flips:.0%} of decisions (seed {seed})"
                    )
    return ""


def _read(
    c: ConceptStudy, subject: ExplainerSpec, seed: int, factor: str, probe: str = "fresh"
) -> np.ndarray:
    return store.get(c.shown(subject, seed)).tensors[f"{probe}_{factor}"].double().numpy()


def contrast(concepts: ConceptStudy, subject: Subject, seed: int) -> np.ndarray:
    """Per test image, how readable the swapped factors are from a subject's images where they are relevant
    minus where they are not, averaged over the four: 0 if that makes no difference, 0.5 if they are always
    read where they are relevant and guessed where they are not."""
    signed = [
        (1 if concepts.relevant(which, factor) else -1) * _read(concepts, subject(which, seed), seed, factor)
        for which in (0, 1)
        for factor in concepts.swapped
    ]
    return 2 * np.mean(signed, axis=0)


def closer(
    concepts: ConceptStudy, first: Subject, second: Subject, seed: int, relevant: bool, probe: str = "fresh"
) -> np.ndarray:
    """Per test image, how much better relevant (or irrelevant) factors are read from `first`'s images, by
    the `fresh` or the `original` probe."""
    pairs = [(w, f) for w in (0, 1) for f in FACTORS if concepts.relevant(w, f) == relevant]
    differences = [
        _read(concepts, first(w, seed), seed, f, probe) - _read(concepts, second(w, seed), seed, f, probe)
        for w, f in pairs
    ]
    return np.mean(differences, axis=0)


def subject_of(concepts: ConceptStudy, layer: str, alpha: float | None) -> Subject:
    """ClaDec of a layer at an alpha, or (None) its RefAE."""
    if alpha is None:
        return lambda which, seed: concepts.refae(layer, seed)
    return lambda which, seed: concepts.studies[which].cladec(layer, seed, alpha)
