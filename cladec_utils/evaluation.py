"""What an explanation is worth: MSE, SSIM, the evaluation classifier, fidelity, paired intervals."""

import functools
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from pytorch_msssim import ssim
from scipy import stats
from torch import Tensor
from torch.nn import functional

from cladec_utils import data as datasets
from cladec_utils import store
from cladec_utils.data import as_float
from cladec_utils.errors import CladecError
from cladec_utils.recipes import classifier, data_of, explainer, judge, predict
from cladec_utils.specs import AnyClassifier, ClaDecSpec, EvaluationSpec, Explainer
from cladec_utils.store import Made, builder
from cladec_utils.training import EVAL_BATCH

SSIM_WINDOW = 11
TRAIN_MSE = "train_mse"
"""MSE per pixel on the training images, the mean over the last epoch of training."""

METRICS = {
    "mse": "mean squared error per pixel, pixels in [0, 1]; lower is closer to the original",
    "ssim": "structural similarity, Gaussian window of 11 pixels (sigma 1.5); 1 is identical",
    "judge_correct": "accuracy of the evaluation classifier (retrained on reconstructions; C1)",
    "c_correct": "accuracy of the frozen classifier C on these images",
    "independent_correct": "accuracy of another classifier, trained on originals like C but apart from it",
    "c_cross_entropy": "cross-entropy of C on these images, in nats",
    "c_agrees": "share of images on which C decides as it does on the original",
}
"""The figures of an evaluation, each kept per test image. Only the c_ ones exist for the originals."""

JUDGES = {"retrained": "judge_correct", "frozen C": "c_correct", "independent": "independent_correct"}
"""C1's three judges and their metrics. *Retrained* sees what is left in the images at all, also in a style
of drawing that only it has learned. *Frozen C* and *independent* have never seen a reconstruction; C may
recognise patterns of its own. The independent one shares C's architecture and training images, and so
its tastes; its initial weights and the order of its batches are its own (see `Study.independent`)."""


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


@builder(EvaluationSpec)
def _evaluate(spec: EvaluationSpec, progress: bool) -> Made:
    data = datasets.load(spec.classifier.data)
    images, labels = data.test.images, data.test.labels
    original = _original_logits(spec.classifier)
    if spec.subject is None:
        values = _classifier_values(original, original, labels)
    else:
        decoded = predict(explainer(spec.subject, progress), images)
        values = {"mse": image_mse(decoded, as_float(images)), "ssim": image_ssim(decoded, as_float(images))}
        values |= _classifier_values(predict(classifier(spec.classifier), decoded), original, labels)
        if spec.judge:
            verdicts = predict(judge(spec.judge, progress), decoded)
            values["judge_correct"] = (verdicts.argmax(1) == labels).float()
        if spec.independent:
            others = predict(classifier(spec.independent, progress), decoded)
            values["independent_correct"] = (others.argmax(1) == labels).float()
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

    Columns: dataset, architecture, width, method (`original`, `ClaDec` or `RefAE`), layer, neurons
    (`all` or their number), alpha (NaN unless ClaDec), seed, n_test, metric, value, hash. Metrics are those
    of METRICS and, for what is trained on MSE alone, TRAIN_MSE.
    """
    rows = []
    for spec in evaluations:
        who = _identity(spec)
        for metric, value in (store.get(spec).metrics | _train_mse(spec.subject)).items():
            rows.append({**who, "metric": metric, "value": value, "hash": spec.hash})
    return pd.DataFrame(rows)


def _train_mse(subject: Explainer | None) -> dict[str, float]:
    """The MSE of a RefAE, or of ClaDec at alpha 0, on training images, if it is in the store."""
    other_loss = subject is None or (isinstance(subject, ClaDecSpec) and subject.alpha > 0)
    return (
        {}
        if other_loss or not store.exists(subject)
        else {TRAIN_MSE: store.get(subject).metrics["final_train"]}
    )


def _identity(spec: EvaluationSpec) -> dict[str, object]:
    subject: Explainer | None = spec.subject
    neurons = None if subject is None else subject.neurons
    data = spec.classifier.data if subject is None else data_of(subject)
    is_cladec = isinstance(subject, ClaDecSpec)
    return {
        "dataset": data.dataset,
        "architecture": spec.classifier.architecture,
        "width": spec.classifier.width,
        "method": "original" if subject is None else "ClaDec" if is_cladec else "RefAE",
        "layer": "" if subject is None else subject.layer,
        "neurons": "all" if neurons is None else str(len(neurons)),
        "alpha": subject.alpha if is_cladec else np.nan,
        "seed": spec.classifier.seed if subject is None else subject.seed,
        "n_test": data.n_test,
    }


def paired_interval(differences: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of paired differences over seeds and its t interval: (mean, low, high).

    Student's t with n - 1 degrees of freedom (scipy), wide for few seeds, as it should be. With fewer
    than two finite differences the bounds are NaN: nothing can be said about the seeds' variation.
    """
    values = np.asarray(differences, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if len(values) == 1:
        return mean, np.nan, np.nan
    if np.ptp(values) == 0:  # scipy gives NaN where the spread is nil
        return mean, mean, mean
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(confidence)
    return mean, float(interval.low), float(interval.high)


def compare(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """ClaDec minus RefAE per layer for one metric of a tidy table, paired by seed.

    Columns: layer, ClaDec, RefAE (means over seeds), difference, low, high (95 % t interval), seeds.
    """
    mine = table[(table["metric"] == metric) & table["method"].isin(["ClaDec", "RefAE"])]
    rows = []
    for layer, group in mine.groupby("layer", sort=False):
        wide = group.pivot_table(index="seed", columns="method", values="value").dropna()
        mean, low, high = paired_interval(wide["ClaDec"] - wide["RefAE"])
        rows.append({
            "layer": layer, "ClaDec": wide["ClaDec"].mean(), "RefAE": wide["RefAE"].mean(),
            "difference": mean, "low": low, "high": high, "seeds": len(wide),
        })  # fmt: skip
    return pd.DataFrame(rows)
