"""The saliency comparison as stored measurements: which networks, which images.

**Layers.** ClaDec's maps are read at the last studied layer before the logits; Grad-CAM looks at the last
layer with at least 4 x 4 positions. **Images** are the first of a random order in which the classes take
turns; the same for all seeds and architectures. **Target**: the class that the classifier decides for.
**The second RefAE** of the nulls has a seed of its own, the run's plus `OTHER_DRAW`. It had been that of the
next run, so that over all runs the differences between the two cancelled; results of that kind had been seen
when this was changed.
"""

import functools
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from cladec_utils.data import datasets
from cladec_utils.data.splits import Split, balanced_order
from cladec_utils.engine import store
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.errors import CladecError
from cladec_utils.models import inference
from cladec_utils.models.architectures import is_drawable, is_own, registered, sample_classifier
from cladec_utils.models.attribution import NETWORKS_OF_THEIR_OWN, Subject
from cladec_utils.models.autoencoders import Autoencoder
from cladec_utils.models.encoder import Encoder
from cladec_utils.models.inference import as_float
from cladec_utils.saliency import faithfulness
from cladec_utils.saliency import maps as saliency_maps
from cladec_utils.saliency.faithfulness import COLUMNS, CORE, ORDERS, PRIMARY
from cladec_utils.saliency.maps import MAPS
from cladec_utils.saliency.methods import SALIENCY, default_camera, layerwise_relevance
from cladec_utils.study import classifiers, explainers
from cladec_utils.study.classifiers import RandomisedSpec
from cladec_utils.study.explainers import OTHER_DRAW, ClaDecSpec, RefAESpec
from cladec_utils.study.study import Study, open_study

IMAGE_SEED = 60
ENDPOINT = (PRIMARY, "smoothed")
C6_COLUMNS = tuple((metric, "smoothed") for metric in CORE)
FOREGROUND = (PRIMARY, "smoothed foreground")
"""The primary metric where only the pixels of the object are ranked and removed."""
DRAWN = ("random pixels", "random blobs")
"""Controls that are drawn by chance, and drawn anew with every classifier whose weights are."""
RANDOMISED_SEED = 3000
"""Added to a run's seed for the weights that are drawn anew."""


@dataclass(frozen=True)
class SaliencySpec(Spec):
    """Scores of relevance maps on `images` images of `split` (`test` or `selection`), one per image; under
    conditions that C6 is not decided by, on the first `fewer` of them.

    `maps` are names in `maps.MAPS`, `columns` (metric, condition) pairs; `camera` is Grad-CAM's layer;
    `orders` is the number of random maps whose mean is 0 (see `faithfulness`).
    """

    kind: ClassVar[str] = "saliency"
    cladec: ClaDecSpec
    refae: RefAESpec
    second: RefAESpec | None
    ignorant: ClaDecSpec | None
    camera: str
    split: str
    images: int
    fewer: int
    maps: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    orders: int
    seed: int

    def needs(self) -> tuple[Spec, ...]:
        known = (self.cladec.classifier, self.cladec, self.refae, self.second, self.ignorant)
        return tuple(spec for spec in known if spec is not None)

    def label(self) -> str:
        where = f"{self.cladec.classifier.architecture} {self.cladec.layer}"
        return f"{len(self.maps)} relevance maps, {self.split} images, {where} seed {self.seed}"

    def make(self, progress: bool) -> Made:
        return _score(self, progress)


@dataclass(frozen=True)
class RandomisationSpec(Spec):
    """How far maps change when the classifier's layers from the top down to `down_to` are drawn anew
    (Adebayo et al. 2018): rank correlation with the map of the trained classifier, one for each of the
    first `fewer` images of `trained`.

    `decoder` is ClaDec retrained on the randomised classifier, or None where the layer it explains lies
    before everything that was drawn anew, so that nothing would change.
    """

    kind: ClassVar[str] = "randomisation"
    trained: SaliencySpec
    classifier: RandomisedSpec
    decoder: ClaDecSpec | None

    def needs(self) -> tuple[Spec, ...]:
        return tuple(s for s in (*self.trained.needs(), self.classifier, self.decoder) if s is not None)

    def label(self) -> str:
        return f"relevance maps of {self.classifier.label()}"

    def make(self, progress: bool) -> Made:
        return _randomise(self, progress)


# --- plans -------------------------------------------------------------------------------------------


def side_by_side(study: Study) -> list[Study]:
    """The study, and the same with the default layers of the profile's other architectures."""
    if study.own:
        return [study]
    source = study.data_spec.path or study.data_spec.dataset
    size, seeds = study.data_spec.image_size, study.seeds
    others = [name for name in study.profile.architectures if name != study.architecture]
    return [
        study,
        *(open_study(study.profile.source, source, n, None, seeds, image_size=size) for n in others),
    ]


def scoring(study: Study, seed: int, split: str = "test") -> SaliencySpec:
    """The measurement of one run: everything on test images, or what the rule for C6 selects by."""
    layer = study.features
    camera, impossible = _limits_of(study)
    names = MAPS if split == "test" else SALIENCY
    images, fewer = study.profile.saliency_images
    controlled = "controls" in study.profile.extras and is_drawable(study.architecture)
    ignorant = study.control("random weights", seed)
    if not controlled:
        names = [name for name in names if name not in NETWORKS_OF_THEIR_OWN]
    return SaliencySpec(
        cladec=study.cladec(layer, seed, 0.0),
        refae=study.refae(layer, seed),
        second=study.refae(layer, seed + OTHER_DRAW) if controlled else None,
        ignorant=study.cladec(layer, seed, 0.0, classifier=ignorant) if controlled else None,
        camera=camera,
        split=split,
        images=images if split == "test" else fewer,
        fewer=fewer,
        maps=tuple(name for name in names if name not in impossible),
        columns=COLUMNS if split == "test" else (*C6_COLUMNS, FOREGROUND),
        orders=ORDERS,
        seed=seed,
    )


@functools.lru_cache
def _limits(
    architecture: str, shape: tuple[int, int, int], classes: int, width: float
) -> tuple[str, dict[str, str]]:
    """Grad-CAM's layer, empty for none, and the maps that such a classifier cannot have, with the reason."""
    if is_own(architecture):
        network = registered(architecture)
    else:
        network = sample_classifier(architecture, shape, classes, width)
    camera = default_camera(network, shape)
    impossible = {} if camera else {"Grad-CAM": "no layer has 4 x 4 positions."}
    if not is_own(architecture):  # the kit's own have all, and trying would cost an import
        return camera, impossible
    try:
        layerwise_relevance(Subject(network), torch.zeros(1, *shape), torch.zeros(1, dtype=torch.long))
    except CladecError as error:
        impossible["LRP"] = str(error)
    return camera, impossible


def left_out(study: Study) -> dict[str, str]:
    """The maps that the study's classifier cannot have: name -> why."""
    return _limits_of(study)[1]


def _limits_of(study: Study) -> tuple[str, dict[str, str]]:
    classes = len(study.data.class_names)
    return _limits(study.architecture, study.data.image_shape, classes, study.profile.width)


def cascade(study: Study, seed: int) -> list[RandomisationSpec]:
    """Randomisation down to each of the study's layers, latest first, for one seed."""
    trained, classifier = scoring(study, seed), study.classifier(seed)
    place = study.layers.index(trained.cladec.layer)
    plan = []
    for layer in reversed(study.layers):
        drawn = RandomisedSpec(classifier, layer, seed + RANDOMISED_SEED)
        unchanged = study.layers.index(layer) > place
        again = None if unchanged else study.cladec(trained.cladec.layer, seed, 0.0, classifier=drawn)
        plan.append(RandomisationSpec(trained, drawn, again))
    return plan


def splits(study: Study) -> tuple[str, ...]:
    """What is measured on: test images and, where the study has validation images, those for selection."""
    return ("test", "selection") if study.data_spec.n_val else ("test",)


def plan(study: Study) -> list[Spec]:
    """Everything the comparison measures for a study."""
    both = [scoring(study, seed, split) for seed in study.fewer for split in splits(study)]
    randomised = "randomisation" in study.profile.extras and is_drawable(study.architecture)
    return [*both, *(cascade(study, study.seeds[0]) if randomised else [])]


def work(study: Study) -> dict[str, float]:
    """Seconds of single-threaded work that the measurements of a study took, whenever they were made; the
    training of the networks is not among them. Each must have been made."""
    kinds = {"test": 0.0, "selection": 0.0, "randomisation": 0.0}
    for spec in plan(study):
        kinds[spec.split if isinstance(spec, SaliencySpec) else spec.kind] += store.record(spec).seconds
    return kinds


# --- measuring ---------------------------------------------------------------------------------------


def chosen_images(spec: SaliencySpec, count: int | None = None) -> tuple[Tensor, Tensor]:
    """The images of a measurement, or the first `count`: (N, C, H, W) floats in [0, 1], and their labels.

    Raises CladecError for selection where there are no validation images: on training images a classifier
    is surer of itself, so that other methods may be ahead there.
    """
    data = datasets.load(spec.cladec.classifier.data)
    split: Split = data.test if spec.split == "test" else data.val
    if not len(split):
        raise CladecError(
            f"{spec.cladec.classifier.data.dataset} has no validation images here, and opponents are chosen "
            "on no others; take a profile whose n_val is above 0, or more images."
        )
    taken = split.subset(balanced_order(split.labels, IMAGE_SEED)[: count or spec.images])
    return as_float(taken.images), taken.labels


def subject_of(spec: SaliencySpec) -> Subject:
    """The networks of a measurement, trained or loaded."""
    roles = {role: getattr(spec, role) for role in ("cladec", "refae", "second", "ignorant")}
    networks = {role: explainers.explainer(which) for role, which in roles.items() if which is not None}
    c = classifiers.classifier(spec.cladec.classifier)
    return Subject(classifier=c, camera=spec.camera, seed=spec.seed, **networks)


def _score(spec: SaliencySpec, progress: bool) -> Made:
    subject = subject_of(spec)
    images, labels = chosen_images(spec)
    logits = inference.predict(subject.classifier, images)
    targets = logits.argmax(1)
    functions = {name: MAPS[name] for name in spec.maps}
    maps = saliency_maps.relevance_maps(subject, images, targets, functions, progress)

    def predict(pixels: Tensor) -> Tensor:
        return inference.predict(subject.classifier, pixels)

    scores = {}
    for count, decisive in ((spec.images, True), (spec.fewer, False)):
        columns = [c for c in spec.columns if (c in C6_COLUMNS) == decisive]
        some = {name: each[:count] for name, each in maps.items()}
        first = images[:count], targets[:count]
        scores |= faithfulness.scores(predict, *first, some, columns, spec.orders, progress)
    tensors = {"|".join(key): values for key, values in scores.items()}
    return Made(tensors, {"accuracy": inference.accuracy(logits, labels)})


def _randomise(spec: RandomisationSpec, progress: bool) -> Made:
    trained = subject_of(spec.trained)
    images, _ = chosen_images(spec.trained, spec.trained.fewer)
    targets = inference.predict(trained.classifier, images).argmax(1)
    network = classifiers.classifier(spec.classifier)
    # The same seed, so that SmoothGrad's noise and random units are the same; random maps are drawn anew.
    drawn = replace(trained, classifier=network, cladec=_explainer(spec, trained, network))
    functions = {name: MAPS[name] for name in spec.trained.maps}
    before, after = (
        saliency_maps.relevance_maps(s, images, targets, functions, progress) for s in (trained, drawn)
    )
    by_chance = {name: MAPS[name] for name in DRAWN}
    after |= saliency_maps.relevance_maps(
        replace(drawn, seed=spec.classifier.seed), images, targets, by_chance
    )
    tensors = {name: saliency_maps.rank_correlation(before[name], after[name]) for name in functions}
    return Made(tensors, {name: values.mean().item() for name, values in tensors.items()})


def _explainer(spec: RandomisationSpec, trained: Subject, network: torch.nn.Module) -> Autoencoder:
    if spec.decoder is not None:
        return explainers.explainer(spec.decoder)
    data = datasets.load(spec.classifier.data)
    explained = spec.trained.cladec
    encoder = Encoder(network, explained.layer, data.image_shape, explained.neurons)
    return Autoencoder(encoder, trained.cladec.decoder)
