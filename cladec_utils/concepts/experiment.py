"""The planted-concepts study: two classifiers of the same images with opposite truths, and its claims.

The two data sets (`sources.PLANTED`) share all images. The four factors that one of them makes relevant
are irrelevant under the other, so each factor is its own control: whatever makes it easy or hard to draw
or to read cancels in the *contrast*, how readable the four are from X_E where they are relevant minus
where they are not. RefAE knows no labels and is trained once for both.

The claims are ours. Per test image and seed, on every layer, then by the rule in `verdicts`; read by the
fresh probe unless said otherwise:

- G1, relevant concepts are kept: reading them from X_E is better than from X_E of the same layer of a
  classifier with all weights random (the decoder trained anew). In a row beside: it is at most ALLOWED worse
  than from X_R.
- G2, irrelevant concepts are dropped: reading them from X_E is worse than from X_R. Only concepts that X_R
  shows can be dropped: those read from it at SHOWN_FLOOR above guessing or more, on average over seeds and
  test images. X_R alone chooses them, X_E is not asked; the row names those left out, and is undecided if
  none is left.
- G3, alpha moves shown towards used: the contrast is larger at alpha 0.9 than at 0, both by the probe trained
  on originals, which knows no decoder's style of drawing. In a row beside: the same by the fresh probe.
- G4, the conclusions survive controls, at the last layer and alpha 0: the contrast is larger than with
  random weights or shuffled labels in C's place; it is there with a weaker or stronger decoder
  (`Profile.decoder_widths`); and G2 again with a second RefAE, of a seed that the study has not used,
  in X_R's place.
- Beside these, secondary rows of C1 and its control, at the last layer and alpha 0. *Own labels*: an
  evaluation classifier reads a data set's labels better from X_E of the classifier of these labels than from
  X_R. *Other labels*: from X_E of the other data set's classifier this advantage is gone. That classifier was
  trained as well, on the same images, but for labels with which these share no factor, only the garment's
  group. Both must be so for each of the two data sets.

What had been seen when this was fixed. The first form of G1 to G4 was written down before any of them had
been computed; a trial with one seed had been seen. Two things were then changed after first results: the
second RefAE had been that of the study's next seed, so that over all seeds its differences from X_R
cancelled; and the probe for *held* is trained HELD_EPOCHS times as long, as it had read less from the logits
than was read from their X_E. G1, G2 and G3 took their present form before any result of the `standard`
profile, but after their first form had been seen under `quick` (three seeds, vgg, two layers, short
trainings), with what both probes read there, so that for these trainings it could in part be told where they
point. Random weights had been seen at the last layer, where their contrast was near 0. X_R had
been seen per concept, and so which the floor leaves out. G3 by the fresh probe was clear at the earlier layer
and nil at the last, where by the probe trained on originals, by the means of all concepts, it is negative.
They were changed because X_R is a weak bar for what is kept, because what X_R does not show cannot be
dropped, and because a fresh probe reads what no reader of pictures would. Random weights at earlier layers,
both controls of *held*, own labels and other labels had not been computed at all.

A classifier that does not react to edits as its labels demand (`MUST_FLIP`, `MAY_FLIP`) is no ground truth:
then all of these are undecided.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cladec_utils.claims.required import FAITHFUL_ALPHA
from cladec_utils.data import planted
from cladec_utils.data.sources import PLANTED
from cladec_utils.engine.spec import Spec
from cladec_utils.errors import CladecError
from cladec_utils.study.classifiers import AnyClassifier
from cladec_utils.study.explainers import ExplainerSpec, RefAESpec
from cladec_utils.study.folders import Folder, folder_name
from cladec_utils.study.probes import HeldSpec, ProbeSpec, ShownSpec, UsedSpec
from cladec_utils.study.profiles import get_profile
from cladec_utils.study.study import Study, describe, open_study

MUST_FLIP, MAY_FLIP = 0.8, 0.1
ALLOWED = 0.05
SHOWN_FLOOR = 0.1
ALPHAS = (0.0, FAITHFUL_ALPHA)
HELD_EPOCHS = 4
"""How many times as long as others the probe of activations is trained: they are small, it is cheap."""

Subject = Callable[[int, int], ExplainerSpec]
"""Which explainer is read: (index of the data set, seed) to its spec."""


@dataclass(frozen=True)
class ConceptStudy:
    """The two studies of the same images, one per data set in `sources.PLANTED`. Unless `controlled`, what
    `controls.control_plan` names is not made, and rows and columns that need it are missing."""

    studies: tuple[Study, Study]
    controlled: bool = True

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers explained, from early to late."""
        return self.studies[0].layers

    @property
    def seeds(self) -> tuple[int, ...]:
        """The repetitions."""
        return self.studies[0].fewer

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

    def held(
        self,
        which: int,
        layer: str,
        seed: int,
        classifier: AnyClassifier | None = None,
        task: str | None = None,
    ) -> HeldSpec:
        """What a probe reads from a layer of the classifier of data set `which`, or of another `classifier`;
        a `task` of its own in the factors' place (see `HeldSpec`)."""
        study = self.studies[which]
        longer = study.profile.probe.scaled(HELD_EPOCHS)
        return HeldSpec(classifier or study.classifier(seed), layer, longer, seed, task)


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
    studies = tuple(open_study(profile, d, architecture, named, seeds) for d in PLANTED)
    return ConceptStudy(studies, "controls" in studies[0].profile.extras)


def side_by_side(concepts: ConceptStudy) -> list[ConceptStudy]:
    """This study, and those of the other architectures that its profile asks for, with the same seeds."""
    mine = concepts.studies[0]
    others = [a for a in mine.profile.planted_architectures if a != mine.architecture]
    return [concepts, *(open_concepts(mine.profile.source, a, None, mine.seeds) for a in others)]


def subject_of(concepts: ConceptStudy, layer: str, alpha: float | None) -> Subject:
    """ClaDec of a layer at an alpha, or (None) its RefAE."""
    if alpha is None:
        return lambda which, seed: concepts.refae(layer, seed)
    return lambda which, seed: concepts.studies[which].cladec(layer, seed, alpha)


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
