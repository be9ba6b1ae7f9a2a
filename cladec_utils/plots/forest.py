"""Intervals: ClaDec against RefAE per layer, and the forest plot of a scorecard."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cladec_utils.plots.images import WIDTH


def intervals(panels: Mapping[str, pd.DataFrame], xlabels: Mapping[str, str]) -> Figure:
    """ClaDec minus RefAE per layer with its interval (see `evidence.compare`), a panel per title."""
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 2.6), squeeze=False, layout="constrained")
    for axis, (title, table) in zip(axes[0], panels.items(), strict=True):
        y = np.arange(len(table))[::-1]
        errors = np.abs(table[["low", "high"]].to_numpy().T - table["difference"].to_numpy())
        axis.errorbar(table["difference"], y, xerr=errors, fmt="o", color="black", capsize=4, markersize=5)
        axis.axvline(0, color="#999999", lw=1)
        axis.set(title=title, xlabel=xlabels[title], yticks=y, ylim=(-0.6, len(table) - 0.4))
        axis.set_yticklabels(table["layer"])
        axis.tick_params(axis="x", labelsize=8)
        axis.locator_params(axis="x", nbins=5)
    sns.despine(figure)
    return figure


VERDICT_COLOURS = {"holds": "#0072B2", "does not hold": "#D55E00", "undecided": "#888888"}


def forest(card: pd.DataFrame, claims: Mapping[str, str]) -> Figure:
    """Effects with 95 % intervals of a scorecard's rows, a panel per claim (name -> unit), coloured by
    verdict."""
    shown = {c: card[(card["claim"] == c) & card["effect"].notna()] for c in claims}
    height = 1.0 + 0.26 * max([1, *(len(rows) for rows in shown.values())])
    columns = min(2, len(claims))
    lines = -(-len(claims) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(WIDTH, lines * height), layout="constrained", squeeze=False
    )
    for unused in axes.ravel()[len(claims) :]:
        unused.set_visible(False)
    for axis, (claim, rows) in zip(axes.ravel(), shown.items(), strict=False):
        for y, row in zip(range(len(rows) - 1, -1, -1), rows.itertuples(), strict=True):
            colour = VERDICT_COLOURS[row.verdict]
            axis.plot([row.low, row.high], [y, y], color=colour, lw=2)
            axis.plot(row.effect, y, "o", color=colour, markersize=5)
        labels = [
            " ".join((r.architecture, r.layer, "" if r.neurons == "all" else r.neurons))
            for r in rows.itertuples()
        ]
        axis.axvline(0, color="#999999", lw=1)
        axis.set(title=claim, xlabel=claims[claim], yticks=range(len(rows) - 1, -1, -1))
        axis.set_ylim(-0.6, max(len(rows), 1) - 0.4)
        axis.set_yticklabels(labels, fontsize=8)
        axis.tick_params(axis="x", labelsize=8)
        axis.locator_params(axis="x", nbins=5)
    handles = [Line2D([], [], color=c, marker="o", label=verdict) for verdict, c in VERDICT_COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    sns.despine(figure)
    return figure
