"""Specs: small frozen descriptions that name every trained or measured thing, and their hash.

A spec holds everything its result depends on, down to the checksum of the data, and nothing else;
its content hash is the artifact's name in the store. Specs nest: a ClaDec decoder's spec holds its
classifier's, which holds its data's.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from cladec_utils.errors import CladecError, choose

RECIPE = 2
"""Raise this when the training or evaluation procedure changes, so that old artifacts are not reused."""


@dataclass(frozen=True)
class Spec:
    """Base of all specs. `kind` begins the artifact's name."""

    kind: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The spec as nested dictionaries, the kind and the recipe's version included."""
        fields = {
            f.name: _plain(getattr(self, f.name))
            for f in dataclasses.fields(self)
            if f.metadata.get("hashed", True)
            and not (f.metadata.get("optional") and getattr(self, f.name) is None)
        }
        return {"kind": self.kind, **fields}

    @property
    def hash(self) -> str:
        """The first 16 hex digits of the sha256 of the spec's canonical JSON."""
        text = json.dumps({"recipe": RECIPE, **self.to_json()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The artifact's name: kind and hash."""
        return f"{self.kind}-{self.hash}"

    def needs(self) -> tuple["Spec", ...]:
        """The specs whose artifacts are loaded to make this one."""
        return ()

    def label(self) -> str:
        """A short description for progress lines."""
        return self.name


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


@dataclass(frozen=True)
class DataSpec(Spec):
    """A data set and the part of it that is used (see `cladec_utils.data.data_spec`, which makes one).

    `n_train`, `n_val` and `n_test` images are drawn class by class with `seed`; validation images
    come from the training set and are never trained on. `image_size` is the side in pixels that
    images are brought to. `fingerprint` is the checksum of the contents; `path` says where they are.
    """

    kind: ClassVar[str] = "data"
    dataset: str
    fingerprint: str
    n_train: int
    n_val: int
    n_test: int
    image_size: int
    seed: int = 0
    path: str = field(default="", compare=False, metadata={"hashed": False})


@dataclass(frozen=True)
class TrainSpec(Spec):
    """How a network is trained: `optimiser` is `sgd` (momentum 0.9) or `adam`; `schedule` is
    `constant`, `cosine`, or `step`, the official x0.1 every epochs // 3 + epochs // 10 + 2 epochs."""

    kind: ClassVar[str] = "train"
    epochs: int
    optimiser: str
    lr: float
    weight_decay: float
    schedule: str = "constant"
    batch_size: int = 128

    def __post_init__(self) -> None:
        choose(self.optimiser, ("sgd", "adam"), "optimiser")
        choose(self.schedule, ("constant", "cosine", "step"), "learning-rate schedule")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise CladecError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise CladecError(f"The learning rate is {self.lr}; it must be a number above 0.")


@dataclass(frozen=True)
class ClassifierSpec(Spec):
    """The classifier C that is explained, trained on a data set's labels."""

    kind: ClassVar[str] = "classifier"
    data: DataSpec
    architecture: str
    width: float
    train: TrainSpec
    seed: int

    def label(self) -> str:
        return f"classifier {self.architecture} seed {self.seed}"


@dataclass(frozen=True)
class ControlSpec(ClassifierSpec):
    """A classifier in C's place that knows nothing of the classes: trained on shuffled training labels,
    or left with the weights it was drawn with. What still shows on it is no effect of training C."""

    kind: ClassVar[str] = "control"
    control: str

    def __post_init__(self) -> None:
        choose(self.control, CONTROLS, "negative control")

    def label(self) -> str:
        return f"{self.control} {super().label()}"


def check_alpha(alpha: float) -> float:
    """`alpha` as a float; raises CladecError unless it is a number in [0, 1]."""
    try:
        value = float(alpha)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= 1:
        raise CladecError(
            f"alpha is {alpha!r}; it must be a number from 0 (closest to the images) to 1 "
            "(closest to what the classifier uses)."
        )
    return value


@dataclass(frozen=True)
class OwnClassifierSpec(Spec):
    """A trained module of the user's; `architecture` names it in this process (`models.register`)."""

    kind: ClassVar[str] = "own-classifier"
    data: DataSpec
    architecture: str
    train: TrainSpec
    seed: int = 0
    width: float = 1.0

    def label(self) -> str:
        return f"classifier {self.architecture}"


@dataclass(frozen=True)
class RandomisedSpec(Spec):
    """A trained classifier whose layers from the top down to `down_to`, inclusive, are drawn anew with
    `seed` (cascading randomisation; Adebayo et al. 2018). Stands wherever a classifier does."""

    kind: ClassVar[str] = "randomised"
    classifier: ClassifierSpec | OwnClassifierSpec
    down_to: str
    seed: int

    data = property(lambda self: self.classifier.data)
    architecture = property(lambda self: self.classifier.architecture)
    width = property(lambda self: self.classifier.width)
    train = property(lambda self: self.classifier.train)
    control = property(lambda self: f"randomised down to {self.down_to}")

    def needs(self) -> tuple[Spec, ...]:
        return (self.classifier,)

    def label(self) -> str:
        return f"{self.classifier.label()} randomised down to {self.down_to}"


AnyClassifier = ClassifierSpec | OwnClassifierSpec | RandomisedSpec
CONTROLS = ("shuffled labels", "random weights")


@dataclass(frozen=True)
class ClaDecSpec(Spec):
    """A decoder trained on the activations of `layer` (or of its `neurons`) of a frozen classifier,
    with weight `alpha` on the classifier's cross-entropy (PAPER.md, The method). `decoder_width` None
    gives the decoder the classifier's width multiplier."""

    kind: ClassVar[str] = "cladec"
    classifier: AnyClassifier
    layer: str
    train: TrainSpec
    seed: int
    alpha: float = 0.0
    neurons: tuple[int, ...] | None = None
    decoder_width: float | None = field(default=None, metadata={"optional": True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", check_alpha(self.alpha))

    def needs(self) -> tuple[Spec, ...]:
        return (self.classifier,)

    def label(self) -> str:
        control = getattr(self.classifier, "control", "")
        where = f"{self.classifier.architecture} {_where(self)}"
        where += f" decoder x{self.decoder_width:g}" if self.decoder_width else ""
        return f"ClaDec {control + ', ' if control else ''}{where} alpha {self.alpha:g} seed {self.seed}"


@dataclass(frozen=True)
class RefAESpec(Spec):
    """The reference autoencoder: the classifier's architecture up to `layer` with fresh weights,
    trained end to end with the decoder's architecture on reconstruction only."""

    kind: ClassVar[str] = "refae"
    data: DataSpec
    architecture: str
    width: float
    layer: str
    train: TrainSpec
    seed: int
    neurons: tuple[int, ...] | None = None

    def label(self) -> str:
        return f"RefAE {self.architecture} {_where(self)} seed {self.seed}"


Explainer = ClaDecSpec | RefAESpec


def _where(spec: Explainer) -> str:
    subset = "" if spec.neurons is None else f"[{len(spec.neurons)} neurons]"
    return f"{spec.layer}{subset}"


@dataclass(frozen=True)
class JudgeSpec(Spec):
    """The evaluation classifier of C1: the architecture of C, trained from scratch on the
    reconstructions that `subject` makes of the training images."""

    kind: ClassVar[str] = "judge"
    subject: Explainer
    architecture: str
    width: float
    train: TrainSpec
    seed: int

    def needs(self) -> tuple[Spec, ...]:
        return (self.subject,)

    def label(self) -> str:
        return f"evaluation classifier on {self.subject.label()}"


@dataclass(frozen=True)
class EvaluationSpec(Spec):
    """All figures of one explainer on the test images, one value per image; `judge` adds the
    evaluation classifier's, `independent` those of a classifier trained apart from C and from all
    reconstructions. `subject` None measures the classifier on the originals."""

    kind: ClassVar[str] = "evaluation"
    classifier: AnyClassifier
    subject: Explainer | None = None
    judge: JudgeSpec | None = None
    independent: ClassifierSpec | None = None

    def needs(self) -> tuple[Spec, ...]:
        known = (self.classifier, self.subject, self.judge, self.independent)
        return tuple(spec for spec in known if spec is not None)

    def label(self) -> str:
        return f"evaluation of {(self.subject or self.classifier).label()}"


def closure(specs: list[Spec]) -> Iterator[Spec]:
    """All `specs` and what they need, each once, needs before what needs them."""
    done: set[Spec] = set()

    def visit(spec: Spec) -> Iterator[Spec]:
        if spec not in done:
            done.add(spec)
            for need in spec.needs():
                yield from visit(need)
            yield spec

    for spec in specs:
        yield from visit(spec)
