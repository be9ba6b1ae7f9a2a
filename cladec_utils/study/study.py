"""A study: a profile applied to data, an architecture, layers and seeds, and the specs it consists of."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

from torch import nn

from cladec_utils.data import datasets
from cladec_utils.data.datasets import Data, DataSpec, data_spec
from cladec_utils.data.planted import is_planted
from cladec_utils.errors import choose
from cladec_utils.models.architectures import (
    is_drawable,
    is_own,
    outputs_given,
    sample_classifier,
)
from cladec_utils.models.autoencoders import check_alpha
from cladec_utils.models.given import checked_neurons
from cladec_utils.models.layers import check_neurons, find_layer
from cladec_utils.study.choices import (
    check_alphas,
    check_layers,
    check_profile,
    check_seeds,
    in_order,
)
from cladec_utils.study.classifiers import (
    AnyClassifier,
    ClassifierSpec,
    ControlSpec,
    OwnClassifierSpec,
    check_own,
)
from cladec_utils.study.evaluation import EvaluationSpec, JudgeSpec
from cladec_utils.study.explainers import ClaDecSpec, ExplainerSpec, PCASpec, RefAESpec, reference
from cladec_utils.study.folders import Differs, Folder, differences, folder_name
from cladec_utils.study.networks import dataset_name, network_for
from cladec_utils.study.profiles import Profile, for_planted, get_profile

OF_STUDY = "of the study"
"""In place of neurons: those of the study."""
PANEL_SEED = 900_000
"""The first seed of classifiers that only look at reconstructions."""
JUDGE_SEED = 1000
"""Added to a run's seed for its evaluation classifiers, so that they never start from the weights of C."""


@dataclass(frozen=True)
class Usual:
    """What a study would be made of if only data and architecture were named. `image_size` None: photos of
    several sizes, which have none of their own."""

    profile: Profile
    layers: tuple[str, ...]
    image_size: int | None


@dataclass(frozen=True)
class Study:
    """Everything a notebook needs to name what it shows. Make one with `open_study`.

    `layers` are in the order in which they run, `seeds` are independent repetitions, `alpha` and `neurons`
    (None: all) are those of the ClaDec decoders. `usual` is what the profile would have chosen, `outputs` are
    the layers that give the logits.
    """

    profile: Profile
    data_spec: DataSpec
    architecture: str
    layers: tuple[str, ...]
    seeds: tuple[int, ...]
    alpha: float
    neurons: tuple[int, ...] | None
    usual: Usual
    own: bool = False
    outputs: tuple[str, ...] = ()

    @property
    def features(self) -> str:
        """The last of its layers before the logits, if the study has one: that of primary rows."""
        before = [layer for layer in self.layers if layer not in self.outputs]
        return (before or self.layers)[-1]

    @property
    def fewer(self) -> tuple[int, ...]:
        """The seeds of what is not C1, C2 or C3 at the last two layers."""
        return self.seeds[: self.profile.fewer_seeds]

    def seeds_of(self, layer: str) -> tuple[int, ...]:
        """The seeds with which a layer is studied."""
        return self.seeds if layer in self.layers[-2:] else self.fewer

    @property
    def folder(self) -> Folder:
        """Where this study's results go: `<dataset>-<fingerprint>-<architecture>`, and what differs."""
        data = [self.data_spec.dataset, self.data_spec.fingerprint[:6]]
        data += [f"{self.data_spec.image_size}px"] * (self.usual.image_size is None)
        differs = self.differs()
        name = folder_name([*data, self.architecture], differs)
        return Folder(self.profile.name, name, describe(self), differs)

    def differs(self, layers: Sequence[str] | None = None) -> Differs:
        """The choices that are not the profile's own, which has `layers` (None: those of `usual`)."""
        usual, size = self.usual, self.data_spec.image_size
        mine = {"layers": self.layers, "seeds": self.seeds, "alpha": self.alpha, "neurons": self.neurons}
        theirs = {"layers": tuple(layers or usual.layers), "seeds": usual.profile.seeds, "alpha": 0.0}
        theirs |= {"neurons": None, "image_size": usual.image_size or size}
        chosen = {f.name: getattr(self.profile, f.name) for f in fields(Profile)}
        of_profile = {f.name: getattr(usual.profile, f.name) for f in fields(Profile)}
        return {
            **differences(mine | {"image_size": size}, theirs),
            **differences({k: v for k, v in chosen.items() if k not in mine}, of_profile),
        }

    @property
    def data(self) -> Data:
        """The images."""
        return datasets.load(self.data_spec)

    def classifier(self, seed: int) -> AnyClassifier:
        """The classifier that is explained in the run with this seed; one of the user's serves all runs."""
        if self.own:
            return OwnClassifierSpec(self.data_spec, self.architecture, self.profile.classifier)
        return ClassifierSpec(
            self.data_spec, self.architecture, self.profile.width, self.profile.classifier, seed
        )

    def control(self, name: str, seed: int) -> ControlSpec:
        """A negative control in C's place (see `classifiers.CONTROLS`)."""
        p = self.profile
        return ControlSpec(self.data_spec, self.architecture, p.width, p.classifier, seed, name)

    def cladec(
        self,
        layer: str,
        seed: int,
        alpha: float | None = None,
        neurons: tuple[int, ...] | str | None = OF_STUDY,
        classifier: AnyClassifier | None = None,
        *,
        budget: float = 1.0,
        components: int | None = None,
    ) -> ClaDecSpec:
        """The ClaDec decoder of a layer; alpha and classifier None and neurons OF_STUDY take the study's own,
        neurons None are all. `budget` is the share of the profile's training, `components` the number of
        principal components that it sees (None: no such)."""
        weight = self.alpha if alpha is None else alpha
        explained, train = classifier or self.classifier(seed), self.profile.decoder.scaled(budget)
        chosen = self.neurons if isinstance(neurons, str) else neurons
        norm = self.profile.norm
        return ClaDecSpec(explained, layer, train, seed, weight, chosen, norm, components=components)

    def refae(self, layer: str, seed: int, budget: float = 1.0) -> RefAESpec:
        """The reference autoencoder of a layer, trained as long as ClaDec."""
        train, norm = self.profile.decoder.scaled(budget), self.profile.norm
        width = self.classifier(seed).width
        found = RefAESpec(self.data_spec, self.architecture, width, layer, train, seed, self.neurons, norm)
        return replace(found, reference=reference(self.architecture, layer, self.data.image_shape))

    def pca(self, layer: str) -> PCASpec:
        """Principal components of the training images, as many as the code of the layer has numbers."""
        shape = find_layer(self.probe(), layer, self.data.image_shape).shape
        count = math.prod(shape) if self.neurons is None else len(self.neurons) * math.prod(shape[1:])
        return PCASpec(self.data_spec, layer, count)

    def probe(self) -> nn.Module:
        """The architecture, to look at its layers: weights do not matter."""
        shape, classes = self.data.image_shape, len(self.data.class_names)
        return sample_classifier(self.architecture, shape, classes, self.profile.width)

    @property
    def can_be_drawn(self) -> bool:
        """Whether fresh weights can be drawn for the architecture, which controls and evaluation classifiers
        need; for the kit's own they can."""
        return is_drawable(self.architecture)

    def panel(self) -> tuple[ClassifierSpec, ...]:
        """Classifiers that look at reconstructions and are used nowhere else: of the profile's architectures
        and this one, trained on the same images as C with seeds that no study has. None beside an own one."""
        p = self.profile
        return tuple(
            ClassifierSpec(self.data_spec, architecture, p.width, p.classifier, PANEL_SEED + i)
            for architecture in (() if self.own else sorted({*p.architectures, self.architecture}))
            for i in range(p.panel)
        )

    def evaluation(self, subject: ExplainerSpec | None, seed: int, judges: str = "all") -> EvaluationSpec:
        """The evaluation of an explainer; None: of C itself. `judges` says on how many reconstructions C1's
        evaluation classifier is trained: on "all" images that C was trained on, on the profile's "fewer", on
        "both" (two of them), or there is "none"; raises CladecError for another word."""
        choose(judges, ("all", "fewer", "both", "none"), "choice of judges")
        c = subject.classifier if isinstance(subject, ClaDecSpec) else self.classifier(seed)
        few, whole = self.profile.judge_images, judges in ("all", "both")
        if few is None:  # all, for all of them
            whole, judges = judges != "none", "all"

        def judge(count: int | None) -> JudgeSpec:
            train, own_seed = self.profile.classifier, seed + JUDGE_SEED
            name = c.architecture if is_drawable(c.architecture) else "vgg"
            return JudgeSpec(subject, self.data_spec, name, c.width, train, own_seed, count)

        return EvaluationSpec(
            c,
            subject,
            judge(None) if whole else None,
            self.panel(),
            judge(few) if judges in ("fewer", "both") else None,
        )


def open_study(  # noqa: PLR0913
    profile: str | None = None,
    dataset: str | None = None,
    architecture: str | nn.Module | None = None,
    layers: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    alpha: float = 0.0,
    neurons: Sequence[int] | None = None,
    image_size: int | None = None,
    *,
    alphas: Sequence[float] | None = None,
    classes: Sequence[int] | Mapping[str, int] | None = None,
) -> Study:
    """Check all choices and return the study; None takes the default (profile: $CLADEC_PROFILE or quick).

    `profile` is a name or the path of a .toml file (see `profiles`).
    `dataset` is a name or a path (see `datasets.data_spec`), `architecture` a name or a trained
    `torch.nn.Module` of yours that takes (N, C, H, W) images in [0, 1] and gives (N, classes) logits, or
    the text by which every process can load it (see `loaders`); name its `layers` then. `alpha` is that of
    the ClaDec decoders shown, `alphas` are those of the sweep.
    `classes` are the outputs of a classifier of yours that the data's classes mean, in order or by name
    (`{"ants": 310, "bees": 309}`); None: the first, second, ...
    Raises CladecError with the allowed values for anything that does not fit.
    """
    dataset = dataset_name(dataset)
    layers, neurons, seeds = check_layers(layers), checked_neurons(neurons), check_seeds(seeds)
    chosen, alpha = get_profile(check_profile(profile)), check_alpha(alpha)
    usual = chosen = for_planted(chosen) if is_planted(dataset) else chosen
    chosen = chosen if alphas is None else replace(chosen, alphas=check_alphas(alphas))
    spec = data_spec(dataset, chosen.n_train, chosen.n_val, chosen.n_test, image_size)
    name, probe = network_for(architecture, spec, chosen.width, image_size, classes)
    shape = datasets.load(spec).image_shape
    found, outputs = in_order(probe, shape, layers or chosen.layers.get(name))
    neurons, *_ = [check_neurons(neurons, layer) for layer in found]
    study = Study(
        profile=chosen,
        data_spec=spec,
        architecture=name,
        layers=tuple(layer.name for layer in found),
        seeds=tuple(chosen.seeds) if seeds is None else seeds,
        alpha=alpha,
        neurons=neurons,
        usual=Usual(usual, usual.layers.get(name, ()), datasets.usual_size(spec)),
        own=is_own(name),
        outputs=outputs,
    )
    if study.own:
        check_own(study.classifier(study.seeds[0]))
    return study


def describe(study: Study) -> dict[str, object]:
    """The choices of a study as plain data, with what its data are and a checksum of all of its profile."""
    chosen = outputs_given(study.architecture)
    data, whole = study.data_spec, json.dumps(asdict(replace(study.profile, source="")), sort_keys=True)
    return {
        "profile": study.profile.name,
        "settings": hashlib.sha256(whole.encode()).hexdigest()[:6],
        "dataset": data.dataset,
        "path": data.path,
        "fingerprint": data.fingerprint,
        "image_size": data.image_size,
        "images": [data.n_train, data.n_val, data.n_test],
        "architecture": study.architecture,
        "layers": list(study.layers),
        "seeds": list(study.seeds),
        "alpha": study.alpha,
        "alphas": list(study.profile.alphas),
        "neurons": None if study.neurons is None else list(study.neurons),
        **({"classes": list(chosen)} if chosen else {}),
    }
