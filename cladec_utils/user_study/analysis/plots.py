"""Figures of a user study. Simulated respondents are watermarked in every one of them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cladec_utils.plots.images import COLOURS, WIDTH
from cladec_utils.user_study.analysis.power import FIRST_STEP
from cladec_utils.user_study.analysis.simulation import MARK
from cladec_utils.user_study.design import ARMS

ARM_COLOURS = {"control": COLOURS["RefAE"], "explained": COLOURS["ClaDec"], "sham": "#888888"}
ARM_MARKERS = {"control": "^", "explained": "o", "sham": "s"}


def watermark(figure: Figure, mark: str) -> Figure:
    """Write `mark` across a figure, if there is one."""
    if mark:
        figure.text(
            0.5,
            0.5,
            mark,
            ha="center",
            va="center",
            rotation=18,
            fontsize=min(30, 9 * figure.get_figheight()),
            color="#a4161a",
            alpha=0.22,
            zorder=10,
        )
    return figure


def differences(arms: pd.DataFrame, mark: str = "") -> Figure:
    """Every arm minus the control, per truth: GLM interval above, bootstrap interval below."""
    rows = list(arms.itertuples())
    figure, axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.55 * len(rows)), layout="constrained")
    labels = []
    for y, row in zip(range(len(rows) - 1, -1, -1), rows, strict=True):
        colour = ARM_COLOURS[row.arm]
        for offset, low, high, style in (
            (0.1, row.low, row.high, "-"),
            (-0.1, row.boot_low, row.boot_high, ":"),
        ):
            axis.plot([low, high], [y + offset] * 2, color=colour, ls=style, lw=2)
        axis.plot(row.difference, y + 0.1, marker=ARM_MARKERS[row.arm], color=colour, markersize=7)
        labels.append(f"truth {row.truth}: {row.arm}")
    axis.axvline(0, color="#999999", lw=1)
    axis.set(xlabel="accuracy minus the control arm's (solid: GLM, dotted: bootstrap; 95 %)")
    axis.set(yticks=range(len(rows) - 1, -1, -1), ylim=(-0.6, len(rows) - 0.4))
    axis.set_yticklabels(labels)
    sns.despine(figure)
    return watermark(figure, mark)


def by_concept(concepts: pd.DataFrame, mark: str = "") -> Figure:
    """Accuracy per concept and arm, a panel per truth; concepts that a truth does not score are left out."""
    truths = list(dict.fromkeys(concepts["truth"]))
    figure, axes = plt.subplots(
        1, len(truths), figsize=(WIDTH, 3.4), squeeze=False, sharey=True, layout="constrained"
    )
    for axis, truth in zip(axes[0], truths, strict=True):
        mine = concepts[(concepts["truth"] == truth) & concepts["accuracy"].notna()]
        names = list(dict.fromkeys(mine["concept"]))
        arms = [arm for arm in ARMS if arm in set(mine["arm"])]
        for i, arm in enumerate(arms):
            values = mine[mine["arm"] == arm].set_index("concept")["accuracy"].reindex(names)
            x = np.arange(len(names)) + 0.16 * (i - (len(arms) - 1) / 2)
            axis.plot(x, values, ARM_MARKERS[arm], color=ARM_COLOURS[arm], label=arm, markersize=7)
        axis.axhline(0.5, color="#999999", lw=1, ls="--")
        axis.set(title=f"truth {truth}", ylim=(0, 1), xticks=range(len(names)))
        axis.set_xticklabels(names, rotation=30, ha="right", fontsize=9)
    axes[0, 0].set_ylabel("accuracy")
    axes[0, -1].legend(fontsize=8, frameon=False, loc="lower right")
    sns.despine(figure)
    return watermark(figure, mark)


def planning_curve(power: pd.DataFrame, target: float = 0.9) -> Figure:
    """Power against participants per arm, a line per true difference (see `power`). Dotted: what a
    study finds where there is nothing."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 3.4), layout="constrained")
    for i, (gain, rows) in enumerate(power.groupby("gain")):
        colour = sns.color_palette("colorblind")[i]
        axis.plot(rows["per_arm"], rows["power"], marker="os^Dv"[i % 5], color=colour, label=f"{gain:+.2f}")
    axis.axhline(target, color="#999999", lw=1, ls="--")
    axis.axhline(FIRST_STEP, color="#999999", lw=1, ls=":")
    axis.set(xlabel="participants per arm", ylabel="share of studies that find it", ylim=(0, 1.03))
    axis.set_xticks(sorted(power["per_arm"].unique()))
    axis.legend(
        title="true difference", fontsize=8, frameon=False, bbox_to_anchor=(1.02, 1), loc="upper left"
    )
    sns.despine(figure)
    return watermark(figure, MARK)


def shift_strip(shifts: pd.DataFrame, used: float, unused: float, concepts: Sequence[str]) -> Figure:
    """Total variation after each edit, a point per item: `shifts` has concept, shift, classifier and kind, a
    panel each."""
    kinds = list(dict.fromkeys(shifts["kind"]))
    figure, axes = plt.subplots(
        1, len(kinds), figsize=(WIDTH, 3.2), squeeze=False, sharey=True, layout="constrained"
    )
    random = np.random.default_rng(0)
    for axis, kind in zip(axes[0], kinds, strict=True):
        mine = shifts[(shifts["kind"] == kind) & shifts["shift"].notna()]
        names = [c for c in concepts if c in set(mine["concept"])]
        for k, colour in zip(sorted(mine["classifier"].unique()), ("#009E73", "#CC79A7"), strict=False):
            own = mine[mine["classifier"] == k]
            x = own["concept"].map({c: i for i, c in enumerate(names)}) + random.uniform(-0.1, 0.1, len(own))
            axis.scatter(
                x + 0.3 * (k - 0.5), own["shift"], s=12, alpha=0.6, color=colour, label=f"classifier {k + 1}"
            )
        axis.axhspan(unused, used, color="#dddddd", zorder=0)
        axis.set(title=kind, ylim=(-0.03, 1.03), xticks=range(len(names)))
        axis.set_xticklabels(names, rotation=30, ha="right", fontsize=9)
    axes[0, 0].set_ylabel("total variation")
    axes[0, -1].legend(fontsize=8, frameon=False)
    sns.despine(figure)
    return figure
