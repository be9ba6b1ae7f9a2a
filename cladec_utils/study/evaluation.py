"""What an explanation is worth: MSE, SSIM, the evaluation classifier, fidelity, paired intervals."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from pytorch_msssim import ssim
from torch import Tensor, nn
from torch.nn import functional

from cladec_utils.data import datasets
from cladec_utils.data.datasets import DataSpec
from cladec_utils.engine import store
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.errors import CladecError
from cladec_utils.models.architectures import is_portable
from cladec_utils.models.inference import as_float, predict
from cladec_utils.models.references import GENERIC
from cladec_utils.models.training import EVAL_BATCH, TrainSpec
from cladec_utils.study.classifiers import (
    AnyClassifier,
    ClassifierSpec,
    classifier,
    fit_classifier,
    trained_classifier,
)
from cladec_utils.study.explainers import ClaDecSpec, ExplainerSpec, PCASpec, RefAESpec, data_of, explainer


@dataclass(frozen=True)
class JudgeSpec(Spec):
    """The evaluation classifier of C1: the architecture of C, trained from scratch on the reconstructions
    that `subject` makes of the training images of `data` (None: on those images themselves), or of the first
    `n_train` of them."""

    kind: ClassVar[str] = "judge"
    subject: ExplainerSpec | None
    data: DataSpec
    architecture: str
    width: float
    train: TrainSpec
    seed: int
    n_train: int | None = field(default=None, metadata={"optional": True})

    @property
    def portable(self) -> bool:
        return is_portable(self.architecture)

    def needs(self) -> tuple[Spec, ...]:
        return () if self.subject is None else (self.subject,)

    def label(self) -> str:
        images = f"{self.n_train} images of " if self.n_train else ""
        return f"evaluation classifier on {images}{self.subject.label() if self.subject else 'the originals'}"

    def make(self, progress: bool) -> Made:
        data = datasets.load(self.data)
        train = data.train.subset(torch.arange(min(self.n_train or len(data.train), len(data.train))))
        images = train.images
        if self.subject is not None:
            images = predict(explainer(self.subject, progress), images)
        data = replace(data, train=train, val=data.val.subset(torch.arange(0)))
        return fit_classifier(self, data, images, self.label(), progress)


@dataclass(frozen=True)
class EvaluationSpec(Spec):
    """All figures of one explainer on the test images, one value per image; `judge` adds the evaluation
    classifier's, `fewer` that of one trained on fewer images, `panel` the means over classifiers that were
    trained apart from C and from all reconstructions. `subject` None measures on the originals."""

    kind: ClassVar[str] = "evaluation"
    classifier: AnyClassifier
    subject: ExplainerSpec | None = None
    judge: JudgeSpec | None = None
    panel: tuple[ClassifierSpec, ...] = ()
    fewer: JudgeSpec | None = field(default=None, metadata={"optional": True})

    def needs(self) -> tuple[Spec, ...]:
        known = (self.classifier, self.subject, self.judge, *self.panel, self.fewer)
        return tuple(spec for spec in known if spec is not None)

    def label(self) -> str:
        return f"evaluation of {(self.subject or self.classifier).label()}"

    def make(self, progress: bool) -> Made:
        return _evaluate(self, progress)


def judge(spec: JudgeSpec, progress: bool = True) -> nn.Module:
    """The trained evaluation classifier of `spec`, frozen, in evaluation mode, on the best device."""
    return trained_classifier(spec, spec.data, progress)


SSIM_WINDOW = 11
TRAIN_MSE = "train_mse"
"""MSE per pixel on the training images, the mean over the last epoch of training."""
VALIDATION_MSE = "validation_mse"
"""MSE per pixel on the validation images after training, where there are any."""

METRICS = {
    "mse": "mean squared error per pixel, pixels in [0, 1]; lower is closer to the original",
    "ssim": "structural similarity, Gaussian window of 11 pixels (sigma 1.5); 1 is identical",
    "judge_correct": "accuracy of the evaluation classifier (retrained on reconstructions; C1)",
    "fewer_correct": "the same, but trained on fewer reconstructions: it knows less than C of the labels",
    "c_correct": "accuracy of the frozen classifier C on these images",
    "c_cross_entropy": "cross-entropy of C on these images, in nats",
    "c_agrees": "share of images on which C decides as it does on the original",
    "panel_correct": "accuracy of other classifiers, trained on originals apart from C; mean over them",
    "panel_agrees": "share of those classifiers that decide as C does on the original",
}
"""The figures of an evaluation, each kept per test image. MSE and SSIM do not exist for the originals."""

JUDGES = {"retrained": "judge_correct", "frozen C": "c_correct", "independent": "panel_correct"}
"""C1's three judges and their metrics. *Retrained* sees what is left in the images at all, also in a style
of drawing that only it has learned. *Frozen C* and *independent* have never seen a reconstruction; C may
recognise patterns of its own. The independent ones, of both architectures, share C's training images, but
no seed of the study; they are used for nothing else (see `Study.panel`)."""

METHODS = {ClaDecSpec: "ClaDec", RefAESpec: "RefAE", PCASpec: "PCA"}
"""Who draws images, in tables."""
REFAES = ("RefAE", GENERIC)
"""Of these, the reference autoencoders: with the classifier's architecture, or with a generic encoder."""


def method_of(subject: ExplainerSpec | None) -> str:
    """Who draws images, in tables; None are the originals."""
    if subject is None:
        return "original"
    return GENERIC if getattr(subject, "reference", None) else METHODS[type(subject)]


def image_mse(images: Tensor, others: Tensor) -> Tensor:
    """Mean squared error of each pair: (N, C, H, W) floats in [0, 1] -> (N,)."""
    _check_pair(images, others)
    return (images - others).square().flatten(1).mean(1)


def image_ssim(images: Tensor, others: Tensor) -> Tensor:
    """SSIM of each pair (Wang et al. 2004): (N, C, H, W) floats in [0, 1] -> (N,), at most 1.

    Gaussian window of 11 pixels with sigma 1.5, averaged over positions where it fits entirely and
    over channels; images smaller than the window get the largest odd window that fits.
    """
    _check_pair(images, others)
    side = min(images.shape[-2:])
    window = min(SSIM_WINDOW, side - 1 + side % 2)
    pairs = zip(images.split(EVAL_BATCH), others.split(EVAL_BATCH), strict=True)
    return torch.cat([ssim(a, b, data_range=1.0, size_average=False, win_size=window) for a, b in pairs])


def _check_pair(images: Tensor, others: Tensor) -> None:
    if images.shape != others.shape or images.dim() != 4:
        raise CladecError(
            f"Images of shapes {tuple(images.shape)} and {tuple(others.shape)} cannot be compared; "
            "both must be (N, C, H, W)."
        )


def _evaluate(spec: EvaluationSpec, progress: bool) -> Made:
    data = datasets.load(spec.classifier.data)
    images, labels = data.test.images, data.test.labels
    original = _original_logits(spec.classifier)
    if spec.subject is None:
        drawn, seen, values = images, original, {}
    else:
        drawn = predict(explainer(spec.subject, progress), images)
        seen = predict(classifier(spec.classifier), drawn)
        values = {"mse": image_mse(drawn, as_float(images)), "ssim": image_ssim(drawn, as_float(images))}
    values |= _classifier_values(seen, original, labels)
    for name, judging in (("judge", spec.judge), ("fewer", spec.fewer)):
        if judging:
            read = predict(judge(judging, progress), drawn)
            values[f"{name}_correct"] = (read.argmax(1) == labels).float()
    if spec.panel:
        read = torch.stack([predict(classifier(other, progress), drawn).argmax(1) for other in spec.panel])
        values["panel_correct"] = (read == labels).float().mean(0)
        values["panel_agrees"] = (read == original.argmax(1)).float().mean(0)
    return Made(values, {name: value.mean().item() for name, value in values.items()})


@functools.lru_cache(maxsize=8)  # many reconstructions are compared with the same originals
def _original_logits(spec: AnyClassifier) -> Tensor:
    return predict(classifier(spec), datasets.load(spec.data).test.images)


def _classifier_values(logits: Tensor, original: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {
        "c_correct": (logits.argmax(1) == labels).float(),
        "c_cross_entropy": functional.cross_entropy(logits, labels, reduction="none"),
        "c_agrees": (logits.argmax(1) == original.argmax(1)).float(),
    }


def tidy(evaluations: Iterable[EvaluationSpec]) -> pd.DataFrame:
    """One row per evaluation and metric, made or loaded: who was measured, on what, and the test mean.

    Columns: dataset, architecture, width, method (`original`, `ClaDec`, `PCA` or of REFAES), layer, neurons
    (`all` or their number), alpha (NaN unless ClaDec), updates (of its training; 0: none), attempt (how often
    that was made anew), seed, n_test, metric, value, hash. Metrics are those of METRICS and, for what is
    trained on MSE alone, TRAIN_MSE and VALIDATION_MSE.
    """
    rows = []
    for spec in evaluations:
        who = _identity(spec)
        for metric, value in (store.record(spec).metrics | _own_errors(spec.subject)).items():
            rows.append({**who, "metric": metric, "value": value, "hash": spec.hash})
    return pd.DataFrame(rows)


def _own_errors(subject: ExplainerSpec | None) -> dict[str, float]:
    """The MSE of a RefAE, or of ClaDec at alpha 0, on training and validation images, if it is stored."""
    other_loss = subject is None or (isinstance(subject, ClaDecSpec) and subject.alpha > 0)
    if other_loss or not store.exists(subject):
        return {}
    metrics = store.record(subject).metrics
    names = {TRAIN_MSE: "final_train", VALIDATION_MSE: "final_val"}
    return {name: metrics[key] for name, key in names.items() if key in metrics}


def _updates(subject: ExplainerSpec, data: DataSpec) -> int:
    return 0 if isinstance(subject, PCASpec) else subject.train.length(data.n_train)


def _identity(spec: EvaluationSpec) -> dict[str, object]:
    subject: ExplainerSpec | None = spec.subject
    neurons, components = (getattr(subject, name, None) for name in ("neurons", "components"))
    components = None if isinstance(subject, PCASpec) else components
    data = spec.classifier.data if subject is None else data_of(subject)
    is_cladec = isinstance(subject, ClaDecSpec)
    return {
        "dataset": data.dataset,
        "architecture": spec.classifier.architecture,
        "width": spec.classifier.width,
        "method": method_of(subject),
        "layer": "" if subject is None else subject.layer,
        "neurons": str(components or ("all" if neurons is None else len(neurons))),
        "alpha": subject.alpha if is_cladec else np.nan,
        "updates": 0 if subject is None else _updates(subject, data),
        "attempt": getattr(subject, "attempt", None) or 0,
        "seed": getattr(subject, "seed", spec.classifier.seed),
        "n_test": data.n_test,
    }
