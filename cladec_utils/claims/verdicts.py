"""The rule that turns paired results into a verdict. Nothing else decides.

**When it was written.** Before any result of the `standard` profile. What had been seen: the earlier rule's
verdicts on short trainings (three seeds, 2,000 images); C1 at two layers with RefAEs trained longer, PCA in
their place, and three judges; one training of `standard`'s length (one seed); that a second machine changed 7
of 65 verdicts; and error rates of the earlier rule in simulation. `benchmarks/verdict_rule.py` simulates this
rule; every constant below was fixed by it, with noise of the size that had been recorded.

**Effect.** Per seed and test image one paired difference, positive where it speaks for the claim; seeds and
images are crossed, their interaction counts once (`interval`).

**Primary and secondary.** A study is the data it is about. Each claim has one primary row per architecture,
at the last features (vgg block8, resnet stage5), fixed here (`PRIMARY`, `DETAILS`). Everything else is
secondary: other layers, judges, measures, subsets. One-sided tests at 2.5 %, Holm-adjusted over the primaries
of a study, whose number is fixed beforehand, recorded or not, so that no result takes another's verdict away;
and apart from these over all of its secondaries.

**Verdict.**

- *holds*: the effect is above 0, however small;
- *does not hold*: the effect is below the smallest effect of interest (`SMALLEST`); where it is below 0, the
  row says so in words;
- of claims that two things differ, whichever is ahead (`TWO_SIDED`): *holds* if the effect is above or below
  0, each tested at half the level; *does not hold* if it is within the smallest of interest on both sides;
- *undecided*: neither; or a seed is missing, or there are fewer than 8 seeds (C1, C2) or 5 (other claims);
- *exploratory*: seeds were added to those of the profile, so that the end was not fixed;
- *no reference*: a gate failed (primary rows that interpret X_R; secondary rows only say so);
- *depends on the budget*: half the training gives another sign or verdict, or the trend in log2(budget)
  crosses 0 within two doublings;
- *needs participants*: C5 without responses.

The interval of a row is the one that its verdict used: its lower end has the level of the adjusted test for
*holds*, its upper end that of *does not hold*. A row that was not tested shows its own 95 % interval.

**Gates** look at validation errors only and never at the claim: RefAE's MSE is not above ClaDec's at its
layer (it could have learned that code); RefAE of an earlier layer is not above that of a later one; and no
training is far from its siblings of other seeds, after those that were far worse had been trained again with
the next sub-seed (`far_from_siblings`). C2 is always judged; its line with the collapsed trainings left in is
secondary.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cladec_utils.claims.interval import LEVEL, Effect, shown

HOLDS, FAILS, UNDECIDED, PARTICIPANTS = "holds", "does not hold", "undecided", "needs participants"
NO_REFERENCE, BUDGET, EXPLORATORY = "no reference", "depends on the budget", "exploratory"
COLOURS = {
    HOLDS: "#0072B2", FAILS: "#D55E00", UNDECIDED: "#888888", NO_REFERENCE: "#E69F00", BUDGET: "#F0E442",
    PARTICIPANTS: "#CC79A7", EXPLORATORY: "#56B4E9",
}  # fmt: skip
"""All verdicts, and how they are coloured in every figure and page: Okabe and Ito (2008), and grey."""

PRIMARY = {"vgg": "block8", "resnet": "stage5"}
"""The layer of the primary rows, per architecture; of one that is not here, the latest layer recorded."""
ALL = "all"
DETAILS = {"C6": "evidence, road, vs median method", "G4": "all controls", "control": "all controls"}
"""What primary rows are about, but for ALL neurons: C6 the map, the metric and the kind of opponent that were
fixed beforehand; which method that is, in brackets, comes out on validation images."""
TWO_SIDED = ("C6 interaction",)
"""Claims that two things differ: an effect below 0 speaks for them as one above does."""
FAMILIES = (("C1", "C2", "C3", "C4", "C6", "control"), ("G1", "G2", "G3", "G4"), ("C5",))
"""Claims with primary rows; those of one study are of one family."""
SEEDS, MORE_SEEDS = 5, {"C1": 8, "C2": 8}
"""How many seeds a verdict needs."""
FAR, FLOOR = 5.0, 0.25
"""Far from its siblings: from their median by FAR standard deviations (estimated by the median absolute
deviation) and by this share of the median. See `benchmarks/verdict_rule.csv` for false alarms."""


@dataclass(frozen=True)
class Row:
    """What a verdict is asked for. `study` says which rows are adjusted together; `half` is the effect at
    half the training budget, `whole` (None: the effect itself) what that is compared with, as evaluation
    classifiers of half budgets may be trained on fewer images."""

    claim: str
    study: str
    effect: Effect
    primary: bool = False
    half: Effect | None = None
    whole: Effect | None = None


@dataclass(frozen=True)
class Verdict:
    """A verdict, the part of the effect that explains it, the interval that it used with the levels of its
    two ends, why it is not decided or what qualifies it, whether the row was `tested` at all, and whether in
    both directions."""

    verdict: str
    effect: Effect
    low: float
    high: float
    levels: tuple[float, float]
    why: str = ""
    tested: bool = True
    two_sided: bool = False


def decide(rows: Sequence[Row]) -> list[Verdict]:
    """The verdicts on rows of any claims and studies, in their order."""
    found: list[Verdict | None] = [None] * len(rows)
    for study, primary in dict.fromkeys((row.study, row.primary) for row in rows):
        mine = [i for i, row in enumerate(rows) if (row.study, row.primary) == (study, primary)]
        withheld = [_withheld(rows[i]) for i in mine]
        size = max(len(mine), _planned(rows[i].claim for i in mine) if primary else 0)
        p_values = [
            (1.0, 1.0) if why else _p_values(rows[i].effect, rows[i].claim in TWO_SIDED)
            for i, why in zip(mine, withheld, strict=True)
        ]
        levels = zip(*(holm_levels(p, size) for p in zip(*p_values, strict=True)), strict=True)
        for i, why, pair in zip(mine, withheld, levels, strict=True):
            found[i] = _verdict(rows[i], why, pair)
    return [verdict for verdict in found if verdict]


def is_primary(claim: str, architecture: str, layer: str, detail: str, latest: str = "") -> bool:
    """Whether a row is a claim's primary one. `latest` is the latest layer recorded."""
    if claim == "C5":
        return True
    mine = detail.split(" (", maxsplit=1)[0] if claim == "C6" and "neurons" not in detail else detail
    fixed = any(claim in family for family in FAMILIES) and mine == DETAILS.get(claim, ALL)
    return fixed and layer == PRIMARY.get(architecture, latest)


def _planned(claims: Iterable[str]) -> int:
    claims = set(claims)
    return sum(len(family) * len(PRIMARY) for family in FAMILIES[:2] if claims & set(family))


def seeds_needed(claim: str) -> int:
    """How many seeds a verdict on a claim or a variant of it needs."""
    return MORE_SEEDS.get(claim.split(maxsplit=1)[0], SEEDS)


def _withheld(row: Row) -> tuple[str, str] | None:
    """The verdict that a row gets whatever its figures say, and why; None if they decide."""
    needed = seeds_needed(row.claim)
    if row.effect.note:
        return UNDECIDED, row.effect.note
    if row.effect.added:
        return EXPLORATORY, "seeds were added to those that the profile fixed"
    if row.effect.seeds < needed:
        return UNDECIDED, f"{row.effect.seeds} seeds; a verdict needs {needed}"
    return (NO_REFERENCE, row.effect.gate) if row.effect.gate and row.primary else None


def _verdict(row: Row, withheld: tuple[str, str] | None, levels: tuple[float, float]) -> Verdict:
    both = row.claim in TWO_SIDED
    verdict = withheld[0] if withheld else _tests(row.effect, levels, both)
    part = shown(row.effect, verdict == FAILS)
    # A part that fails had as many chances as there are parts.
    used = (levels[0], levels[1] / max(1, len(row.effect.parts)))
    if both:
        used = (levels[1],) * 2 if verdict == FAILS else (levels[0] / 2,) * 2
    used = (LEVEL, LEVEL) if withheld else used
    low, high = part.bounds(*used)
    if withheld:
        why = withheld[1]
    elif row.half and (why := budget_note(row.whole or row.effect, row.half, levels)):
        verdict = BUDGET
    else:
        why = _why_undecided(part, both) if verdict == UNDECIDED else ""
    if row.effect.gate and not row.primary:
        why = "; ".join(filter(None, (why, f"not gated: {row.effect.gate}")))
    return Verdict(verdict, part, low, high, used, why, not withheld, both)


def _p_values(e: Effect, both: bool = False) -> tuple[float, float]:
    """For *holds* and for *does not hold*; `both`: in either direction."""
    return (e.p_differs, e.p_alike) if both else (e.p_above, e.p_below)


def _tests(e: Effect, levels: tuple[float, float], both: bool = False) -> str:
    if e.note:
        return UNDECIDED
    holds, fails = _p_values(e, both)
    return HOLDS if holds <= levels[0] else FAILS if fails <= levels[1] else UNDECIDED


def _why_undecided(e: Effect, both: bool) -> str:
    if both:
        return f"neither away from 0 nor within {e.smallest:g} of it, when adjusted for all rows"
    if e.low > 0:
        return "above 0 by the 95 % interval of this row alone, not when adjusted for all rows"
    if e.high < e.smallest:
        return f"below {e.smallest:g} by the 95 % interval of this row alone, not when adjusted for all rows"
    return f"the interval holds 0 and, with {e.smallest:g}, effects of interest"


def holm_levels(p_values: Sequence[float], size: int) -> list[float]:
    """The level that Holm's procedure (1979) tests each p value at, among `size` tests of which the others
    reject nothing. A test is rejected if and only if its p value is not above its level."""
    p = np.asarray(p_values, dtype=float)
    order = p.argsort(kind="stable")
    steps = LEVEL / (size - np.arange(len(p)))
    fits = np.logical_and.accumulate(p[order] <= steps)
    rejected = int(fits.sum())
    levels = np.empty(len(p))
    # What is not rejected was tested at the step that stopped the procedure.
    levels[order] = np.where(fits, steps, LEVEL / max(1, size - rejected))
    return levels.tolist()


def budget_note(full: Effect, half: Effect, levels: tuple[float, float] = (LEVEL, LEVEL)) -> str:
    """Why an effect depends on the training budget, given the same at half of it; empty if it does not.

    The two are tested at the same levels. Where neither is decided there is no verdict that could depend.
    """
    if half.note:
        return ""
    verdicts = _tests(full, levels), _tests(half, levels)
    if set(verdicts) == {UNDECIDED}:
        return ""
    reasons = []
    if np.sign(full.mean) != np.sign(half.mean):
        reasons.append(f"the effect is {half.mean:+.4f} at half the budget and {full.mean:+.4f} at all of it")
    elif verdicts[0] != verdicts[1]:
        reasons.append(f"at half the budget it is '{verdicts[1]}', at all of it '{verdicts[0]}'")
    ahead = full.mean + 2 * (full.mean - half.mean)
    if np.sign(ahead) != np.sign(full.mean):
        reasons.append(f"two doublings on, the trend from half the budget reaches {ahead:+.4f}")
    return "; ".join(reasons)


def gate(
    refae: Sequence[float],
    cladec: Sequence[float],
    later: Mapping[str, Sequence[float]] | None = None,
    kind: str = "validation",
) -> str:
    """Why RefAE is no reference, given its MSE and ClaDec's at its layer, per seed, and RefAE's at `later`
    layers on the same path; empty if it is one. `kind` says which images the MSE is of."""
    mine, reasons = np.mean(refae), []
    if mine > np.mean(cladec):
        reasons.append(
            f"RefAE not trained enough: its MSE on {kind} images, {mine:.4f}, is above ClaDec's, "
            f"{np.mean(cladec):.4f}"
        )
    for layer, others in (later or {}).items():
        if mine > np.mean(others):
            reasons.append(
                f"RefAE not trained enough: its MSE on {kind} images, {mine:.4f}, is above that of RefAE at "
                f"{layer}, {np.mean(others):.4f}"
            )
    for name, errors in (("RefAE", refae), ("ClaDec", cladec)):
        if count := int(far(np.asarray(errors, dtype=float)).sum()):
            reasons.append(f"{count} of {len(errors)} trainings of {name} far from the others")
    return "; ".join(reasons)


def far_from_siblings(errors: Sequence[float]) -> list[bool]:
    """Which trainings of one spec, over seeds, are to be trained again with the next sub-seed: those that
    are far worse than the others by a validation error (MSE, or 1 - accuracy): positive figures, small ones
    good. With fewer than three none is.

    One that is far better is not: then most of the others may have collapsed, and the gate closes.
    """
    values = np.asarray(errors, dtype=float)
    return (far(values) & ~(values < np.median(values))).tolist()


def far(values: np.ndarray) -> np.ndarray:
    """Which of some errors over seeds (..., seeds) are far from the others, in either direction; what is not
    finite is, and of fewer than three nothing else."""
    finite = np.isfinite(values)
    if values.shape[-1] < 3:
        return ~finite
    median = np.median(np.where(finite, values, np.inf), -1, keepdims=True)
    with np.errstate(invalid="ignore"):  # most of them not finite
        distance = np.where(finite, np.abs(values - median), np.inf)
        spread = 1.4826 * np.median(distance, -1, keepdims=True)
        return ~finite | (distance > np.maximum(FAR * spread, FLOOR * np.abs(median)))


def in_words(found: Verdict, directions: tuple[str, str]) -> str:
    """Which way a result points, given what a positive and a negative effect mean in words."""
    low, high, smallest = found.low, found.high, found.effect.smallest
    name = f"{found.effect.name}: " if found.effect.name else ""
    if np.isnan(low) or found.verdict == NO_REFERENCE:
        return ""
    alone = "" if found.tested else " (by this row alone)"
    if found.two_sided and (low > 0 or high < 0):
        return f"{name}{directions[high < 0]}{alone}"
    if found.two_sided:
        within = -smallest < low and high < smallest
        return f"{name}no difference of {smallest:g} or more{alone}" if within else f"{name}open"
    if low <= 0 and high >= smallest:
        return f"{name}open"
    if low > 0:
        words = directions[0] + (f", by less than {smallest:g}" if high < smallest else "")
    else:
        words = f"the reverse: {directions[1]}" if high < 0 else f"no effect of {smallest:g} or more"
    return f"{name}{words}{alone}"
