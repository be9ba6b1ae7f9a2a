"""How much a study will train and how long that takes, said before it begins: from what is missing in the
store and a few timed updates of each kind of network."""

import functools
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from cladec_utils.app import plan, selection
from cladec_utils.data import datasets
from cladec_utils.data.datasets import DataSpec
from cladec_utils.data.splits import Split
from cladec_utils.engine import grid, paths
from cladec_utils.engine.device import random_kept
from cladec_utils.engine.spec import Spec
from cladec_utils.errors import CladecError
from cladec_utils.models import autoencoders
from cladec_utils.models.architectures import sample_classifier
from cladec_utils.models.training import POINTS, TrainSpec
from cladec_utils.study.classifiers import ClassifierSpec, ControlSpec, fit_network, shape_of
from cladec_utils.study.evaluation import EvaluationSpec, JudgeSpec
from cladec_utils.study.explainers import ClaDecSpec, PCASpec, RefAESpec, data_of

TRAINED = (ClassifierSpec, JudgeSpec, ClaDecSpec, RefAESpec)
TIMED_BATCH, LARGER = 16, 4
FORWARD = 1 / 3
"""The share of an update that is the network's output alone."""
A_WORKER, A_NOTEBOOK, AN_IMAGE, A_PROBE = 8.0, 16.0, 0.16, 6e-4
"""Seconds of one core, measured once: to start a process, for a notebook that has nothing to train, for the
relevance maps of an image, and for a training image of the small networks that read planted concepts."""


def sentence(chosen: Sequence[plan.Chosen], notebooks: Sequence[Path], asked: bool) -> str:
    """What `plan.compute` will make, and about how long it will take on this machine, with the notebooks."""
    todo = grid.missing(plan.expected(chosen, notebooks, asked))
    shown = sum(len(selection.of_study(each.study, notebooks, asked)) for each in chosen if each.full)
    if not todo:
        return f"all that is trained is in the store; {shown} notebooks to look at"
    trainings = sum(isinstance(spec, TRAINED) for spec in todo)
    workers = 1 if torch.cuda.is_available() else paths.workers()
    seconds = (sum(map(_seconds, todo)) + A_NOTEBOOK * shown) / workers + A_WORKER
    took = f"{max(10, round(seconds, -1)):.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
    return (
        f"about {trainings} trainings and {len(todo) - trainings} measurements, then {shown} notebooks: "
        f"about {took} on {workers} quiet core{'s' * (workers > 1)}, by a few timed steps"
    )


def _seconds(spec: Spec) -> float:
    """Of one core, for one artifact."""
    if isinstance(spec, ControlSpec) and spec.control == "random weights":
        return _step(spec) * spec.data.n_train / TIMED_BATCH * FORWARD
    if isinstance(spec, TRAINED):
        data = spec.data if not isinstance(spec, ClaDecSpec) else data_of(spec)
        count = min(getattr(spec, "n_train", None) or data.n_train, data.n_train)
        updates = spec.train.length(count)
        judged = isinstance(spec, JudgeSpec)
        drawing = _drawing(spec.subject, count) if judged else 0.0
        # Norms are measured on all of them in the end; on the way there is some validation.
        seen = count + (0 if judged else min(POINTS, updates) * data.n_val)
        return drawing + _drawing(spec, seen) + _step(spec) * updates * spec.train.batch_size / TIMED_BATCH
    if isinstance(spec, EvaluationSpec):
        looked = sum(_drawing(who, spec.classifier.data.n_test) for who in spec.needs())
        return looked + 2 * _drawing(spec.classifier, spec.classifier.data.n_test)
    if hasattr(spec, "images") and hasattr(spec, "maps"):
        return AN_IMAGE * spec.images
    known = (getattr(spec, name, None) for name in ("study", "classifier", "trained", "data"))
    data = next((getattr(part, "data", part) for part in known if part is not None), None)
    return A_PROBE * data.n_train if isinstance(data, DataSpec) else 0.5


def _drawing(spec: Spec | None, count: int) -> float:
    """Seconds in which a trained network sees so many images."""
    if spec is None or isinstance(spec, PCASpec):
        return 0.0
    return _step(spec) * FORWARD * count / TIMED_BATCH


def _step(spec: Spec) -> float:
    """Seconds of an update with TIMED_BATCH images of a network like that of `spec`; those that differ in
    what changes little are timed once."""
    try:
        if isinstance(spec, ClaDecSpec):
            c = spec.classifier
            step = _timed(
                "ClaDec", c.architecture, c.width, c.data, spec.layer, spec.decoder_width, spec.norm
            )
            return step + (_timed("classifier", c.architecture, c.width, c.data) if spec.alpha else 0.0)
        if isinstance(spec, RefAESpec):
            return _timed("RefAE", spec.architecture, spec.width, spec.data, spec.layer, None, spec.norm)
        return _timed("classifier", spec.architecture, spec.width, spec.data)
    except CladecError:  # which the study itself will raise, with its reasons
        return 0.0


@functools.lru_cache
def _timed(
    kind: str,
    architecture: str,
    width: float,
    spec: DataSpec,
    layer: str = "",
    decoder_width: float | None = None,
    norm: str = "batch",
) -> float:
    shape, whole = shape_of(spec), datasets.load(spec)

    def run(updates: int, batch: int) -> float:
        few = replace(whole, train=_first(whole.train, 2 * batch), val=_first(whole.val, 0))
        train = TrainSpec(None, "adam", 1e-3, 0.0, batch_size=batch, updates=updates)
        start = _clock()
        if kind == "classifier":
            fit_network(architecture, width, few, train, 0)
        else:
            network = sample_classifier(architecture, *shape, width)
            made = getattr(autoencoders, kind)(network, layer, width=decoder_width or width, norm=norm)
            made.fit(few.train.images, few.train.labels, training=train, threads=1, progress=False)
        return _clock() - start

    with random_kept():
        run(1, TIMED_BATCH)  # the first time has costs of its own
        once = run(1, TIMED_BATCH)
        if once > 0.5:
            return max(1e-4, (run(3, TIMED_BATCH) - once) / 2)
        # Of a small network a batch of any size costs about the same: one as in training is timed, and more.
        return max(1e-4, (run(7, LARGER * TIMED_BATCH) - run(1, LARGER * TIMED_BATCH)) / 6 / LARGER)


def _first(split: Split, count: int) -> Split:
    return split.subset(torch.arange(min(count, len(split))))


def _clock() -> float:
    """Seconds of work of this process, whatever else the machine does; on a GPU, which it does not count, of
    time."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()
