"""Figures of a user study. Simulated respondents are watermarked in every one of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec_utils.plots import charts, forest
from cladec_utils.plots.images import COLOURS, WIDTH
from cladec_utils.user_study.analysis.power import FIRST_STEP
from cladec_utils.user_study.analysis.simulation import MARK
from cladec_utils.user_study.design import ARMS

STYLES = {
    "control": {"color": COLOURS["RefAE"], "marker": "^"},
    "explained": {"color": COLOURS["ClaDec"], "marker": "o"},
    "sham": {"color": "#888888", "marker": "s"},
}


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
    """Every arm minus the one it is held against, per truth: GLM interval above, bootstrap interval below."""
    figure, (axis,) = charts.panels([""], 0.9 + 0.55 * len(arms))
    table = arms.rename(columns={"difference": "mean"})
    table["name"] = "truth " + arms["truth"] + ": " + arms["arm"] + " - " + arms["against"]
    bootstrap = table.assign(low=arms["boot_low"], high=arms["boot_high"], mean=np.nan)
    forest.intervals(axis, table, "arm", STYLES, shift=0.1)
    forest.intervals(axis, bootstrap, "arm", STYLES, shift=-0.1, linestyle=":")
    axis.set(xlabel="share of right answers, difference (solid: GLM, dotted: bootstrap; 95 %)")
    return watermark(figure, mark)


def by_concept(concepts: pd.DataFrame, mark: str = "") -> Figure:
    """Accuracy per concept and arm, a panel per truth; concepts that a truth does not score are left out."""
    scored = concepts[concepts["accuracy"].notna()]
    truths = list(dict.fromkeys(concepts["truth"]))
    figure, axes = charts.panels([f"truth {truth}" for truth in truths], 3.4, sharey=True)
    styles = {arm: STYLES[arm] | {"linestyle": "", "markersize": 7} for arm in ARMS}
    for axis, truth in zip(axes, truths, strict=True):
        mine = scored[scored["truth"] == truth]
        names = list(dict.fromkeys(mine["concept"]))
        columns = ("concept", "accuracy", "arm")
        charts.lines(axis, mine, columns, places=names, groups=styles, dodge=0.16)
        axis.axhline(0.5, color=charts.GREY, lw=1, ls="--")
        axis.set(ylim=(0, 1))
        axis.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=9)
    axes[0].set_ylabel("accuracy")
    charts.key(axes[-1], loc="lower right")
    return watermark(figure, mark)


def planning_curve(power: pd.DataFrame, target: float = 0.9) -> Figure:
    """Power against participants per arm, a line per true difference (see `power.power_table`). Dotted: what
    a study finds where there is nothing."""
    figure, (axis,) = charts.panels([""], 3.4, width=WIDTH * 0.7)
    rows = power.sort_values(["gain", "per_arm"])
    rows = rows.assign(gain=rows["gain"].map("{:+.2f}".format))
    charts.lines(axis, rows, ("per_arm", "power", "gain"))
    axis.axhline(target, color=charts.GREY, lw=1, ls="--")
    axis.axhline(FIRST_STEP, color=charts.GREY, lw=1, ls=":")
    axis.set(xlabel="participants per arm", ylabel="share of studies that find it", ylim=(0, 1.03))
    axis.set_xticks(sorted(power["per_arm"].unique()))
    charts.key(axis, beside=True, title="true difference")
    return watermark(figure, MARK)


def shift_strip(shifts: pd.DataFrame, used: float, unused: float, concepts: Sequence[str]) -> Figure:
    """Total variation after each edit, a point per item: `shifts` has concept, shift, classifier and kind, a
    panel each."""
    kinds = list(dict.fromkeys(shifts["kind"]))
    figure, axes = charts.panels(kinds, 3.2, sharey=True)
    random = np.random.default_rng(0)
    for axis, kind in zip(axes, kinds, strict=True):
        mine = shifts[(shifts["kind"] == kind) & shifts["shift"].notna()]
        names = [c for c in concepts if c in set(mine["concept"])]
        for k, colour in zip(sorted(mine["classifier"].unique()), ("#009E73", "#CC79A7"), strict=False):
            own = mine[mine["classifier"] == k]
            x = own["concept"].map({c: i for i, c in enumerate(names)}) + random.uniform(-0.1, 0.1, len(own))
            axis.scatter(
                x + 0.3 * (k - 0.5), own["shift"], s=12, alpha=0.6, color=colour, label=f"classifier {k + 1}"
            )
        axis.axhspan(unused, used, color="#dddddd", zorder=0)
        axis.set(ylim=(-0.03, 1.03))
        axis.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=9)
    axes[0].set_ylabel("total variation")
    charts.key(axes[-1])
    return figure
