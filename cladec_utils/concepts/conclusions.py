"""What planted-concepts studies show, in sentences for a notebook: chosen by 95 % t intervals of figures per
seed, with "undecided" where an interval crosses zero, and not adjusted for their number."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cladec_utils.claims.interval import paired_interval
from cladec_utils.claims.verdicts import ALL, FAILS, HOLDS
from cladec_utils.concepts.controls import SECOND
from cladec_utils.concepts.experiment import ALPHAS
from cladec_utils.study.probes import CHANCE

READABLE = (CHANCE + 1) / 2
"""A concept is called readable from here on: nearer to certainty than to guessing."""


def direction(values: Iterable[float]) -> str:
    """Where the 95 % interval of figures per seed lies: `above` zero, `below`, or `undecided`."""
    _, low, high = paired_interval(list(values))
    return "above" if low > 0 else "below" if high < 0 else "undecided"


def interval_text(values: Iterable[float]) -> str:
    """Mean and 95 % interval of figures per seed as text; seeds without a figure (NaN) are counted."""
    values = np.asarray(list(values), dtype=float)
    known = int(np.isfinite(values).sum())
    mean, low, high = paired_interval(values)
    if not known:
        return "none"
    text = f"{mean:.2f}" if np.isnan(low) else f"{mean:.2f} [{low:.2f}, {high:.2f}]"
    return text if known == len(values) else f"{text} ({known} of {len(values)} seeds)"


def why(found: pd.DataFrame) -> list[str]:
    """One item per architecture and layer of `reasons`: why irrelevant concepts are shown there."""
    items = []
    for (architecture, layer), mine in found.groupby(["architecture", "layer"], sort=False):
        if mine["shown"].mean() < READABLE:
            words = [f"unneeded concepts are read at {mine['shown'].mean():.0%} (guessing: 50 %)"]
            words[0] += ", too little for a cause to be sought."
        else:
            words = [_need(mine), _separability(mine), _decoder(mine)]
        items.append(f"- **{architecture} {layer}**: " + " ".join(words))
    return items


def _need(mine: pd.DataFrame) -> str:
    end = {
        "above": "so the size of an edit is not all that counts",
        "below": "the reverse of what need would do",
        "undecided": "so whether need counts at the same size is undecided",
    }[direction(mine["shown gap"])]
    return (
        f"*Layer.* Concepts that one classifier needs and the other does not are held "
        f"{interval_text(mine['held gap'])} and shown {interval_text(mine['shown gap'])} more where they are "
        f"needed, at the same size of edit: {end}."
    )


def _separability(mine: pd.DataFrame) -> str:
    names = {"held": "what is held", "size": "the size of the edit"}
    clear = [text for n, text in names.items() if direction(mine[f"shown ~ {n}"]) == "above"]
    between = interval_text(mine["held ~ size"])
    if not clear:
        end = "neither is clear of zero: undecided"
    elif direction(mine["held ~ size"]) == "above":
        end = f"clear of zero for {' and '.join(clear)}, but the two go together ({between}), so they are "
        end += "confounded: these concepts cannot tell which of them counts"
    else:
        end = f"clear of zero for {' and '.join(clear)}; that the two go together is not clear ({between})"
    return (
        f"*Separability.* Among unneeded concepts, shown correlates with held by "
        f"{interval_text(mine['shown ~ held'])}, with size by {interval_text(mine['shown ~ size'])}: {end}."
    )


def _decoder(mine: pd.DataFrame) -> str:
    lost = interval_text(mine["lost"])
    return {
        "above": f"*Decoder.* It loses {lost} of what is held.",
        "below": f"*Decoder.* X_E is read better than the layer (held minus shown {lost}): held is too low.",
        "undecided": f"*Decoder.* Whether it loses anything of what is held is undecided ({lost}).",
    }[direction(mine["lost"])]


def beyond_noise(found: pd.DataFrame) -> str:
    """Whether X_E is further from X_R than a second RefAE is (see `noise`), over all irrelevant concepts."""
    means = found.groupby("seed")[["X_E", SECOND]].mean()
    answer = {
        "above": "X_E differs from X_R by more than training another RefAE does",
        "below": "X_E differs from X_R by **less** than training another RefAE does",
        "undecided": "whether X_E differs from X_R by more than training another RefAE does is **undecided**",
    }[direction(means["X_E"] - means[SECOND])]
    paired = interval_text(means["X_E"] - means[SECOND])
    return (
        f"Mean absolute difference from X_R: X_E {means['X_E'].mean():.3f}, second RefAE "
        f"{means[SECOND].mean():.3f}; paired by seed {paired}. So {answer}."
    )


def conclusions(
    table: pd.DataFrame, area: pd.DataFrame, alpha: pd.DataFrame, card: pd.DataFrame
) -> list[str]:
    """What a reader of triplets may and may not conclude, one item each, for one architecture: its rows of
    `experiment.table`, `experiment.areas`, `alpha_effects` and `decided`."""
    layers = list(dict.fromkeys(table["layer"]))
    items = [_kept(table[(table["layer"] == layers[0]) & (table["alpha"] == 0)], layers[0])]
    items += [_larger_alpha(table, alpha, card, layer) for layer in layers]
    items += [_absent(table[table["alpha"] == a], a) for a in ALPHAS]
    return [f"- {item}" for item in [*items, _scores(area)]]


def _kept(mine: pd.DataFrame, layer: str) -> str:
    unneeded = mine[~mine["relevant"]].groupby(["dataset", "factor"])[["X_E", "used"]].mean()
    kept = unneeded[unneeded["X_E"] >= READABLE]
    if kept.empty:
        return f"At {layer} no unneeded concept is readable from X_E (all below {READABLE:.0%})."
    return (
        f"From a triplet at {layer} alone, *X_E shows it* does **not** mean *C uses it*: {len(kept)} of "
        f"{len(unneeded)} unneeded concepts are readable there, at {kept['X_E'].mean():.0%}, while editing "
        f"one of them flips {kept['used'].mean():.1%} of the decisions."
    )


SHED = {HOLDS: "it sheds them", FAILS: "it does **not** shed them"}
PRICE = {HOLDS: "a loss", FAILS: "no loss of a point or more"}


def _larger_alpha(table: pd.DataFrame, alpha: pd.DataFrame, card: pd.DataFrame, layer: str) -> str:
    rows = pd.concat([alpha, card])
    verdict = rows[(rows["layer"] == layer) & (rows["detail"] == ALL)].set_index("claim")["verdict"]
    means = table[table["layer"] == layer].groupby(["relevant", "alpha"])[["X_E", "X_E original"]].mean()
    shown, original = means["X_E"][False], means["X_E original"][True]
    low, high = ALPHAS
    shed = SHED.get(verdict["shed"], "shedding is undecided")
    price = PRICE.get(verdict["price"], "a loss is undecided")
    return (
        f"Alpha {high:g} at {layer}: X_E shows unneeded concepts at {shown[high]:.0%} instead of "
        f"{shown[low]:.0%}; {shed}. The price: a probe that knows originals only reads the "
        f"*needed* ones at {original[high]:.0%} instead of {original[low]:.0%}; {price}. "
        f"That alpha moves needed and unneeded apart for that probe (G3): {verdict['G3']}."
    )


def _absent(mine: pd.DataFrame, alpha: float) -> str:
    absent = mine[mine["X_E"] < READABLE]
    seen, held = absent["X_R"] >= READABLE, absent["held"] >= READABLE
    if (seen & held).any():
        end = (
            "even what X_R shows and X_E does not need **not** have left the layer: decoders lose things, too"
        )
    elif (held & ~seen).any():
        end = "absent from X_E alone need **not** mean dropped by the layer: decoders lose things, too"
        if seen.any():
            end = (
                f"what X_R shows and X_E does not had left the layer, as far as its probe can tell; but {end}"
            )
    else:
        end = "what is absent had left the layer, as far as its probe can tell"
    return (
        f"Concepts that X_E at alpha {alpha:g} does not show (counted per classifier, layer and seed): "
        f"{seen.sum()} that X_R shows, of which the layer holds {(seen & held).sum()}; {(~seen).sum()} that "
        f"X_R does not show either, of which it holds {(held & ~seen).sum()}"
        f"{'. So ' + end if len(absent) else ''}."
    )


def _scores(area: pd.DataFrame) -> str:
    wide = area.pivot_table(index=["layer", "seed"], columns="score", values="area", sort=False)
    found: dict[str, list[str]] = {"above": [], "below": [], "undecided": []}
    for layer, mine in wide.groupby("layer", sort=False):
        for a in ALPHAS:
            alone, given = (mine[f"{name}, alpha {a:g}"] for name in ("X_E alone", "X_E - X_R"))
            means = f"{layer} alpha {a:g}, {alone.mean():.2f} against {given.mean():.2f}"
            found[direction(alone - given)].append(means)
    names = {"above": "better", "below": "worse", "undecided": "undecided"}
    parts = [f"{names[where]} in {len(some)} ({'; '.join(some)})" for where, some in found.items() if some]
    held = wide["held"].groupby("layer", sort=False).mean()
    return (
        f"As a score of relevance (area under the ROC curve) X_E alone, compared with X_E - X_R, is "
        f"{', '.join(parts)}. The probe on the layer, which needs no decoder, reaches "
        f"{'; '.join(f'{layer} {mean:.2f}' for layer, mean in held.items())}."
    )
