"""What was measured of planted concepts: the table of it, and figures per test image for the claims."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cladec_utils.concepts.controls import held_controls, judged
from cladec_utils.concepts.experiment import ALPHAS, MAY_FLIP, MUST_FLIP, SHOWN_FLOOR, ConceptStudy, Subject
from cladec_utils.data.planted import FACTORS
from cladec_utils.engine import store
from cladec_utils.study.explainers import ExplainerSpec
from cladec_utils.study.probes import CHANCE, UsedSpec, retention


def table(concepts: ConceptStudy) -> pd.DataFrame:
    """One row per data set, factor, layer, alpha and seed.

    Columns: architecture, dataset, factor, relevant, layer, alpha, seed, then shares of the test images:
    used (edits that flip C's decision), variation (mean total variation of its softmax), held, X_E, X_R and
    X (read rightly by the fresh probe), X_E original and X_R original (by the probe trained on originals),
    and retention (`probes.retention`); if the study is `controlled` also held random weights and held control
    task (see `controls.held_controls`; of the task the mean, so the same for all factors).
    """
    rows = []
    for seed in concepts.seeds:
        x = store.record(concepts.shown(None, seed)).metrics
        for which, study in enumerate(concepts.studies):
            used = store.record(UsedSpec(study.classifier(seed))).metrics
            for layer in concepts.layers:
                held = _held(concepts, which, layer, seed)
                x_r = store.record(concepts.shown(concepts.refae(layer, seed), seed)).metrics
                for alpha in ALPHAS:
                    x_e = store.record(concepts.shown(study.cladec(layer, seed, alpha), seed)).metrics
                    for f in FACTORS:
                        e, r = x_e[f"fresh_{f}"], x_r[f"fresh_{f}"]
                        rows.append({
                            "architecture": study.architecture, "dataset": study.data_spec.dataset,
                            "factor": f, "relevant": concepts.relevant(which, f), "layer": layer,
                            "alpha": alpha, "seed": seed, "used": used[f"flips_{f}"],
                            "variation": used[f"variation_{f}"], **held[f],
                            "X": x[f"fresh_{f}"], "X_R": r, "X_E": e,
                            "X_R original": x_r[f"original_{f}"], "X_E original": x_e[f"original_{f}"],
                            "retention": retention(e, r),
                        })  # fmt: skip
    return pd.DataFrame(rows)


def _held(concepts: ConceptStudy, which: int, layer: str, seed: int) -> dict[str, dict[str, float]]:
    """The columns on what a layer holds, per factor."""
    specs = {"held": concepts.held(which, layer, seed)}
    if concepts.controlled:
        specs |= held_controls(concepts, which, layer, seed)
    found = {name: store.record(spec).metrics for name, spec in specs.items()}
    task = {name: np.mean(list(m.values())) for name, m in found.items() if specs[name].task}
    return {f: {name: task.get(name, m.get(f"held_{f}")) for name, m in found.items()} for f in FACTORS}


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


def contrast(concepts: ConceptStudy, subject: Subject, seed: int, probe: str = "fresh") -> np.ndarray:
    """Per test image, how readable the swapped factors are from a subject's images where they are relevant
    minus where they are not, averaged over the four, by the `fresh` or the `original` probe: 0 if that makes
    no difference, 0.5 if they are always read where they are relevant and guessed where they are not."""
    signed = [
        (1 if concepts.relevant(which, factor) else -1)
        * _read(concepts, subject(which, seed), seed, factor, probe)
        for which in (0, 1)
        for factor in concepts.swapped
    ]
    return 2 * np.mean(signed, axis=0)


def closer(
    concepts: ConceptStudy,
    first: Subject,
    second: Subject,
    seed: int,
    relevant: bool,
    probe: str = "fresh",
    factors: Iterable[str] = tuple(FACTORS),
) -> np.ndarray:
    """Per test image, how much better those of `factors` that are relevant (or irrelevant) are read from
    `first`'s images, by the `fresh` or the `original` probe."""
    pairs = [(w, f) for w in (0, 1) for f in factors if concepts.relevant(w, f) == relevant]
    differences = [
        _read(concepts, first(w, seed), seed, f, probe) - _read(concepts, second(w, seed), seed, f, probe)
        for w, f in pairs
    ]
    return np.mean(differences, axis=0)


def shown_by(concepts: ConceptStudy, refae: Subject) -> tuple[str, ...]:
    """The factors that a RefAE shows: the fresh probe reads them from its images at SHOWN_FLOOR above
    guessing or more, on average over seeds and test images. No X_E is looked at. Of factors at the floor it
    keeps those that these RefAEs happen to show well; the average over all seeds keeps that small."""
    found = [store.record(concepts.shown(refae(0, seed), seed)).metrics for seed in concepts.seeds]
    means = {f: np.mean([metrics[f"fresh_{f}"] for metrics in found]) for f in FACTORS}
    return tuple(f for f, mean in means.items() if mean >= CHANCE + SHOWN_FLOOR)


def label_advantage(concepts: ConceptStudy, which: int, x_e: Subject, x_r: Subject, seed: int) -> np.ndarray:
    """Per test image, how much better the labels of data set `which` are read from `x_e` than from `x_r` of
    that data set, each by an evaluation classifier of its own."""
    specs = (judged(concepts, which, subject(which, seed), seed) for subject in (x_e, x_r))
    one, other = (store.get(spec).tensors["judge_correct"].double().numpy() for spec in specs)
    return one - other
