"""The rule that turns paired results into a verdict. Nothing else decides.

It was written after a first run of C1 and C2 with other training settings had been seen, and before any
other result. Only the condition below was added later; it can take a verdict away and never gives one.

**Data.** For each seed s (independently trained networks) and test image i there is one paired
difference d[s, i], positive where it speaks for the claim. Seeds and images are crossed: all seeds are
tested on the same images.

**Interval.** The standard error of the mean has two parts: between seeds (standard error of the seeds'
means) and between test images (standard error of the images' means over seeds); their squares add. The
interval is Student's t with (seeds - 1) degrees of freedom on that sum. This is conservative: the
interaction is counted in both parts and the images' part has many more degrees of freedom. We do not
bootstrap over seeds: with three of them a bootstrap sees only ten different samples and is too narrow.

**Verdict**, by two one-sided tests at 2.5 % each, Holm-adjusted over all rows of the same claim:

- *holds*: the effect is above 0;
- *does not hold*: the effect is below the smallest effect of interest (`SMALLEST`);
- *undecided*: neither; or fewer than two seeds, a seed without a result, or a result that is not finite.

A tiny effect whose interval lies between 0 and the smallest effect of interest holds.

**A condition on the reference.** What is compared with X_R is undecided where RefAE draws its training images
worse than ClaDec does (mean over seeds): the code that C has is among those that RefAE could have learned, so
it was not trained enough, and X_R does not show what could have been kept (`reference_note`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats


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


HOLDS, FAILS, UNDECIDED, PARTICIPANTS = "holds", "does not hold", "undecided", "needs participants"
COLOURS = {HOLDS: "#0072B2", FAILS: "#D55E00", UNDECIDED: "#888888", PARTICIPANTS: "#CC79A7"}
"""How a verdict is coloured in every figure and page: colours of Okabe and Ito (2008), and grey."""
LEVEL = 0.05

SMALLEST = {
    "accuracy": 0.01,  # one point of accuracy
    "mse": 1e-4,  # 0.01 in root mean square, a hundredth of the pixels' range
    "ssim": 0.01,  # of a scale on which 1 is identical
    "cross-entropy": 0.01,  # nats
    "probability": 0.01,  # one point of the probability that C gives to its decision, as for accuracy
}
"""The smallest effect of interest, by kind of figure."""


@dataclass(frozen=True)
class Effect:
    """A mean paired difference, its 95 % interval, and the one-sided p values of the two tests.

    `note` says why nothing can be concluded, where that is so.
    """

    mean: float
    low: float
    high: float
    seeds: int
    p_above: float
    p_below: float
    note: str = ""


def effect(differences: Sequence[np.ndarray], smallest: float, expected: int | None = None) -> Effect:
    """The effect of paired differences: one array (images,) per seed, positive for the claim.

    `expected` is the number of seeds there should be. Nothing is guessed: with fewer than two seeds, a
    missing one or a value that is not finite, the effect carries a note and p values of 1.
    """
    seeds = len(differences)
    finite = [d for d in differences if np.isfinite(d).all()]
    mean = float(np.mean([d.mean() for d in finite])) if finite else np.nan
    note = _why_not(seeds, len(finite), expected or seeds)
    if note:
        return Effect(mean, np.nan, np.nan, seeds, 1.0, 1.0, note)
    table = np.stack(finite)
    error = float(np.hypot(_standard_error(table.mean(1)), _standard_error(table.mean(0))))
    if error == 0:
        above, below = float(mean <= 0), float(mean >= smallest)
        return Effect(mean, mean, mean, seeds, above, below)
    df = seeds - 1
    half = float(special.stdtrit(df, 1 - LEVEL / 2)) * error
    p_above, p_below = (float(special.stdtr(df, t / error)) for t in (-mean, mean - smallest))
    return Effect(mean, mean - half, mean + half, seeds, p_above, p_below)


def reference_note(refae: float, cladec: float) -> str:
    """Why a RefAE is no reference, given its MSE and ClaDec's on the training images; empty if it is one."""
    if not refae > cladec:
        return ""
    return (
        f"RefAE not trained enough: its MSE on training images, {refae:.4f}, is above ClaDec's, {cladec:.4f}"
    )


def undecided(found: Effect, note: str) -> Effect:
    """The effect, without a verdict for the reason `note`; as it is if that is empty."""
    return replace(found, note=note, p_above=1.0, p_below=1.0) if note else found


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _why_not(seeds: int, finite: int, expected: int) -> str:
    if seeds < expected:
        return f"{expected - seeds} of {expected} seeds missing"
    if finite < seeds:
        return f"{seeds - finite} of {seeds} seeds without a finite result"
    if seeds < 2:
        return "one seed says nothing about others"
    return ""


def both(first: Effect, second: Effect) -> Effect:
    """Two effects as one, for a claim that needs both (intersection-union test).

    It is above 0 only if both are, so its p value for that is the larger one; it fails if either does,
    so its p value for that is the smaller one, doubled for having two chances (Bonferroni). Mean and interval
    are those of the effect that fails most clearly, or where none does, of the weaker one.
    """
    note = first.note or second.note
    p_above = max(first.p_above, second.p_above)
    p_below = 1.0 if note else min(1.0, 2 * min(first.p_below, second.p_below))
    worse = first if first.p_below <= second.p_below else second
    weaker = worse if p_below <= LEVEL / 2 else first if first.p_above >= second.p_above else second
    return Effect(weaker.mean, weaker.low, weaker.high, weaker.seeds, p_above, p_below, note)


def decide(effects: Sequence[Effect]) -> list[str]:
    """The verdicts on one claim's rows, adjusted together for multiple comparisons (Holm)."""
    if not effects:
        return []
    above = _holm([e.p_above for e in effects], LEVEL / 2)
    below = _holm([e.p_below for e in effects], LEVEL / 2)
    return [
        UNDECIDED if e.note else HOLDS if a else FAILS if b else UNDECIDED
        for e, a, b in zip(effects, above, below, strict=True)
    ]


def _holm(p_values: Sequence[float], level: float) -> np.ndarray:
    """Which hypotheses Holm's procedure (1979) rejects. statsmodels' own collects garbage at every call,
    a quarter of a second in a large process; a test holds this against it."""
    p = np.asarray(p_values, dtype=float)
    order = p.argsort(kind="stable")
    fits = p[order] <= level / np.arange(len(p), 0, -1)
    rejected = np.empty(len(p), dtype=bool)
    rejected[order] = np.logical_and.accumulate(fits)
    return rejected
