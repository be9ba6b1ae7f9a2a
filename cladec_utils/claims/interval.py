"""Effects of paired results over seeds and test images, and their intervals.

For each seed s (independently trained networks) and test image i there is one paired difference d[s, i].
Seeds and images are crossed: all seeds are tested on the same images. With S seeds, I images and the mean
squares of the two-way layout, the variance of the mean is estimated by

    (MS_seeds + MS_images - MS_interaction) / (S I):

the interaction of seed and image is in both of the first two and counts once. Neither part may fall below
what it holds for sure: MS_seeds not below MS_interaction, MS_images - MS_interaction not below 0.

The seeds' part rests on few degrees of freedom, S - 1, and the images' on many. The interval's quantile is
their average, weighted by each part's share of the variance (Cochran 1964): Student's t with S - 1 where
only seeds vary, with I - 1 where only images do. `benchmarks/verdict_rule.py` compared it with degrees of
freedom by Satterthwaite (1946), which are too many wherever both parts count, above all in the tails that an
adjustment for many rows asks for. We do not bootstrap over seeds: with few of them it is too narrow.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy import optimize, special, stats

LEVEL = 0.025
"""Of one one-sided test and of each end of an interval of a single row: 95 % together."""

SMALLEST = {
    "accuracy": 0.01,  # one point of accuracy
    "mse": 1e-4,  # 0.01 in root mean square, a hundredth of the pixels' range
    "ssim": 0.01,  # of a scale on which 1 is identical
    "cross-entropy": 0.01,  # nats
    "probability": 0.01,  # one point of the probability that C gives to its decision, as for accuracy
}
"""The smallest effect of interest, by kind of figure."""


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


def in_words(mean: float, low: float, high: float, digits: int = 4) -> str:
    """A mean with its interval as text; of one seed, which has none, that it is of one."""
    if not np.isfinite(low):
        return f"{mean:+.{digits}f} (one seed)"
    return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


@dataclass(frozen=True)
class Effect:
    """A mean paired difference, positive where it speaks for the claim, and how sure it is.

    `error` is its standard error, of whose square the seeds make up `share`, with `df` degrees of freedom;
    the images have `images_df`. `seeds` counts them (for C5, participants); `smallest` is the smallest
    effect of interest. `note` says why nothing can be concluded, `gate` why X_R is no reference, where that
    is so; `added` that there are seeds beyond those of the profile; `name` says what is measured, where a
    claim needs several effects, its `parts` (see `all_of`).
    """

    mean: float
    error: float
    df: float
    seeds: int
    smallest: float
    share: float = 1.0
    images_df: float = 1.0
    note: str = ""
    gate: str = ""
    name: str = ""
    added: bool = False
    parts: "tuple[Effect, ...]" = ()

    def bounds(self, level_low: float = LEVEL, level_high: float = LEVEL) -> tuple[float, float]:
        """Both ends of the interval, each missing the truth with the probability of its level; NaN where
        nothing is known of the error."""
        below, above = (
            self.error * quantile(level, self.df, self.share, self.images_df)
            for level in (level_low, level_high)
        )
        return float(self.mean - below), float(self.mean + above)

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval of this row alone."""
        return self.bounds()[0]

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval of this row alone."""
        return self.bounds()[1]

    @functools.cached_property
    def p_above(self) -> float:
        """One-sided p value against an effect of at most 0; of parts, all must be above."""
        if self.note:
            return 1.0
        if self.parts:
            return max(part.p_above for part in self.parts)
        return self._tail(self.mean)

    @functools.cached_property
    def p_below(self) -> float:
        """One-sided p value against an effect of at least `smallest`; of parts, one must be below, and the
        smallest p value counts as often as there are parts, for that many chances (Bonferroni)."""
        if self.note:
            return 1.0
        if self.parts:
            return min(1.0, len(self.parts) * min(part.p_below for part in self.parts))
        return self._tail(self.smallest - self.mean)

    @property
    def p_differs(self) -> float:
        """P value against an effect of 0, in either direction: the smaller tail, twice."""
        return 1.0 if self.note else min(1.0, 2 * min(self._tail(self.mean), self._tail(-self.mean)))

    @property
    def p_alike(self) -> float:
        """P value against an effect of at least `smallest` in either direction: both must be rejected."""
        distances = (self.smallest - self.mean, self.smallest + self.mean)
        return 1.0 if self.note else max(map(self._tail, distances))

    def _tail(self, distance: float) -> float:
        if self.error == 0:
            return float(distance <= 0)
        p = self._beyond(abs(distance) / self.error)
        return p if distance > 0 else 1 - p

    def _beyond(self, t: float) -> float:
        """The level whose quantile is `t`, at least 0; between those of seeds and images alone."""
        ends = sorted(float(special.stdtr(df, -t)) for df in (self.df, self.images_df))
        if self.share == 1:
            return float(special.stdtr(self.df, -t))

        def missing(p: float) -> float:
            return t - float(quantile(p, self.df, self.share, self.images_df))

        low, high = max(ends[0], 1e-16), ends[1]
        if high <= low or missing(low) >= 0:
            return low
        return float(optimize.bisect(missing, low, high, xtol=1e-16)) if missing(high) > 0 else high


Figures = float | np.ndarray
"""A number, or an array of them, one per row."""


def quantile(level: Figures, df: Figures, share: Figures = 1.0, images_df: Figures = 1.0) -> np.ndarray:
    """How many standard errors away an end of the interval lies that misses with probability `level`."""
    seeds, images = (-special.stdtrit(d, level) for d in (df, images_df))
    return np.where(np.asarray(share) == 1, seeds, share * seeds + (1 - np.asarray(share)) * images)


def effect(
    differences: Sequence[np.ndarray], smallest: float, expected: int | None = None, name: str = ""
) -> Effect:
    """The effect of paired differences: one array (images,) per seed, positive for the claim.

    `expected` is the number of seeds there should be. Nothing is guessed: with fewer than two seeds, a
    missing one or a value that is not finite, the effect carries a note, and an error that is NaN.
    """
    seeds = len(differences)
    finite = [d for d in differences if np.isfinite(d).all()]
    note = _why_not(seeds, len(finite), expected or seeds)
    if note:
        mean = float(np.mean([d.mean() for d in finite])) if finite else np.nan
        return Effect(mean, np.nan, 1.0, seeds, smallest, note=note, name=name)
    table = np.stack(finite)
    mean, images = float(table.mean()), table.shape[1]
    variance, share = crossed_variance(*mean_squares(table), seeds, images)
    if variance < (1e-14 * np.abs(table).max()) ** 2:  # rounding alone
        variance = 0.0
    return Effect(
        mean, float(variance**0.5), seeds - 1, seeds, smallest, float(share), max(images - 1, 1), name=name
    )


def mean_squares(table: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of a table (seeds, images): between seeds, between images, of the interaction. With one
    image the last two are 0."""
    seeds, images = table.shape
    mean, by_seed, by_image = table.mean(), table.mean(1, keepdims=True), table.mean(0, keepdims=True)
    between = images * np.square(by_seed - mean).sum() / (seeds - 1)
    if images == 1:
        return float(between), 0.0, 0.0
    rest = np.square(table - by_seed - by_image + mean).sum() / (seeds - 1) / (images - 1)
    return float(between), float(seeds * np.square(by_image - mean).sum() / (images - 1)), float(rest)


def crossed_variance(
    seeds_ms: Figures, images_ms: Figures, interaction_ms: Figures, seeds: int, images: int
) -> tuple[Figures, np.ndarray]:
    """The variance of the mean over seeds and images, and the seeds' share of it, from mean squares (numbers
    or arrays); the share is 1 where nothing varies."""
    of_seeds = np.maximum(seeds_ms, interaction_ms)
    whole = of_seeds + np.maximum(images_ms - interaction_ms, 0)
    return whole / (seeds * images), np.where(whole > 0, of_seeds / np.where(whole > 0, whole, 1), 1.0)


def _why_not(seeds: int, finite: int, expected: int) -> str:
    if seeds < expected:
        return f"{expected - seeds} of {expected} seeds missing"
    if finite < seeds:
        return f"{seeds - finite} of {seeds} seeds without a finite result"
    if seeds < 2:
        return "one seed says nothing about others"
    return ""


def undecided(found: Effect, note: str) -> Effect:
    """The effect, without a verdict for the reason `note`; as it is if that is empty."""
    return replace(found, note=note) if note else found


def all_of(*effects: Effect) -> Effect:
    """Several effects as one, for a claim that needs all of them (intersection-union test).

    It is above 0 only if all are, and fails if any does; see `Effect.p_above` and `p_below`. What it shows
    is the part that fails, if one does, else the weakest (`shown`).
    """
    note = next((e.note for e in effects if e.note), "")
    gate = next((e.gate for e in effects if e.gate), "")
    worst = min(effects, key=lambda e: e.p_below)
    weakest = max(effects, key=lambda e: (bool(e.note), e.p_above))
    fails = not note and len(effects) * worst.p_below <= LEVEL
    added = any(e.added for e in effects)
    return replace(worst if fails else weakest, note=note, gate=gate, added=added, parts=effects)


def shown(found: Effect, fails: bool) -> Effect:
    """The part of an effect that explains its verdict; without parts the effect itself."""
    if not found.parts or found.note:
        return found
    if fails:
        return min(found.parts, key=lambda e: e.p_below)
    return max(found.parts, key=lambda e: e.p_above)


def as_record(found: Effect) -> dict[str, object]:
    """An effect as a row of a table: its fields, its parts as text."""
    plain = {f.name: getattr(found, f.name) for f in fields(Effect)}
    return plain | {"parts": json.dumps([as_record(part) for part in found.parts])}


def from_record(row: dict[str, object]) -> Effect:
    """The effect that `as_record` made a row of. Raises KeyError, TypeError or ValueError if it is none."""
    texts = {name: str(row[name]) for name in ("note", "gate", "name")}
    figures = {name: float(row[name]) for name in ("mean", "error", "df", "smallest", "share", "images_df")}
    seeds, added = int(row["seeds"]), str(row["added"]) == "True"
    if seeds < 0 or figures["error"] < 0:
        raise ValueError(f"an effect of {seeds} seeds with the error {figures['error']}")
    return Effect(seeds=seeds, added=added, parts=_parts(str(row["parts"])), **figures, **texts)


def _parts(text: str) -> tuple[Effect, ...]:
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError(f"{text!r} is no list")
    return tuple(map(from_record, found))


def are_parts(text: str) -> bool:
    """Whether a text is what `as_record` makes of the parts of an effect."""
    try:
        return _parts(text) is not None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return False
