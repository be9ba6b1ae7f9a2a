"""Plots of the planted-concepts study. Colours are safe for the colour-blind."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cladec_utils.claims.verdicts import paired_interval
from cladec_utils.data.planted import relevant
from cladec_utils.plots.images import WIDTH

RELEVANT, IRRELEVANT = "#D55E00", "#0072B2"


def used_held_shown(table: pd.DataFrame) -> Figure:
    """A panel per data set: factors against what was measured (see `experiment.table`, of one
    architecture), means over seeds.

    Columns are `used` and X (read from the originals), then per layer held, X_R, and X_E at each alpha; 0.5
    is chance in all but `used`. Relevant factors are marked with a star.
    """
    datasets = list(dict.fromkeys(table["dataset"]))
    grids = [_grid(table[table["dataset"] == dataset]) for dataset in datasets]
    figure, axes = plt.subplots(len(grids), 1, figsize=(WIDTH, 2.5 * len(grids) + 0.4), layout="constrained")
    for axis, dataset, grid in zip(np.atleast_1d(axes), datasets, grids, strict=True):
        sns.heatmap(
            grid, ax=axis, vmin=0, vmax=1, cmap="viridis", annot=True, fmt=".2f", annot_kws={"size": 7},
            cbar=False, linewidths=0.5,
        )  # fmt: skip
        names = [f + (" *" if f in relevant(dataset) else "") for f in grid.index]
        axis.set_yticklabels(names, rotation=0, fontsize=8)
        axis.set_xticklabels(grid.columns, rotation=40, ha="right", fontsize=7)
        axis.set(title=f"{dataset} (* relevant)", xlabel="", ylabel="")
        for edge in range(2, grid.shape[1], (grid.shape[1] - 2) // table["layer"].nunique()):
            axis.axvline(edge, color="white", lw=4)
    return figure


def _grid(mine: pd.DataFrame) -> pd.DataFrame:
    by_factor = mine.groupby("factor", sort=False)
    columns = {"used": by_factor["used"].mean(), "X": by_factor["X"].mean()}
    for layer in dict.fromkeys(mine["layer"]):
        at = mine[mine["layer"] == layer]
        for what in ("held", "X_R"):
            columns[f"{layer}\n{what}"] = at.groupby("factor", sort=False)[what].mean()
        for alpha in sorted(at["alpha"].unique()):
            chosen = at[at["alpha"] == alpha].groupby("factor", sort=False)
            columns[f"{layer}\nX_E, alpha {alpha:g}"] = chosen["X_E"].mean()
    return pd.DataFrame(columns)


def used_against_shown(table: pd.DataFrame) -> Figure:
    """Scatter of how far edits move C's softmax against what X_E shows: a column per layer, a row per
    alpha; filled where the factor is relevant, a marker per factor, a point per data set and seed."""
    layers, alphas = list(dict.fromkeys(table["layer"])), sorted(table["alpha"].unique())
    figure, axes = plt.subplots(
        len(alphas), len(layers), figsize=(WIDTH, 2.3 * len(alphas) + 0.6), sharex=True, sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for i, alpha in enumerate(alphas):
        for j, layer in enumerate(layers):
            mine = table[(table["alpha"] == alpha) & (table["layer"] == layer)]
            for marker, (factor, points) in zip("osD^v<", mine.groupby("factor", sort=False), strict=False):
                colours = np.where(points["relevant"], RELEVANT, IRRELEVANT)
                axes[i, j].scatter(
                    points["variation"],
                    points["X_E"],
                    c=colours,
                    marker=marker,
                    s=24,
                    alpha=0.7,
                    linewidths=0,
                )
                axes[i, j].scatter([], [], color="#555555", marker=marker, label=factor)
            axes[i, j].axhline(0.5, color="#999999", lw=1, ls=":")
            axes[i, j].set_title(f"{layer}, alpha {alpha:g}", fontsize=9)
            axes[i, j].tick_params(labelsize=8)
    for colour, name in ((RELEVANT, "relevant"), (IRRELEVANT, "irrelevant")):
        axes[0, 0].plot([], [], lw=5, color=colour, label=name)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8)
    figure.supxlabel("used: total variation of C's softmax when the factor is edited", fontsize=9)
    figure.supylabel("shown: read from X_E", fontsize=9)
    sns.despine(figure)
    return figure


def area_against_depth(areas: pd.DataFrame, layers: Sequence[str]) -> Figure:
    """Areas under the ROC curve against depth, a line per `score`; small points are seeds, bars are 95 % t
    intervals over them, cut at 0 and 1. Columns: layer, score, seed, area."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2), layout="constrained")
    for i, (score, mine) in enumerate(areas.groupby("score", sort=False)):
        colour, x = sns.color_palette("colorblind")[i], np.arange(len(layers)) + 0.06 * (i - 2)
        mean, low, high = np.array(
            [paired_interval(mine[mine["layer"] == layer]["area"]) for layer in layers]
        ).T
        errors = np.nan_to_num(np.stack([mean - low.clip(0), high.clip(max=1) - mean]))
        axis.errorbar(x, mean, yerr=errors, color=colour, marker="os^Dv"[i % 5], capsize=3, label=score)
        axis.scatter(
            mine["layer"].map(dict(zip(layers, x, strict=True))), mine["area"], color=colour, s=8, alpha=0.5
        )
    axis.axhline(0.5, color="#999999", lw=1, ls=":")
    axis.set(xlabel="layer, early to late", ylabel="area under the ROC curve", xticks=range(len(layers)))
    axis.set_xticklabels(layers)
    axis.set_ylim(top=1.02)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    sns.despine(figure)
    return figure


def against_noise(found: pd.DataFrame) -> Figure:
    """Absolute differences from X_R, a pair of horizontal bars per concept (see `results.noise`):
    X_E above, the second RefAE below; bars are means over seeds, points single seeds."""
    concepts = list(dict.fromkeys(found["concept"]))
    figure, axis = plt.subplots(figsize=(WIDTH * 0.9, 0.42 * len(concepts) + 1.1), layout="constrained")
    for name, colour, shift in (("X_E", RELEVANT, 0.19), ("second RefAE", "#999999", -0.19)):
        means = found.groupby("concept", sort=False)[name].mean()
        y = np.arange(len(concepts))[::-1] + shift
        axis.barh(y, means, height=0.36, color=colour, alpha=0.6, label=name)
        places = found["concept"].map(dict(zip(concepts, y, strict=True)))
        axis.plot(found[name], places, "o", color="black", markersize=3)
    axis.set(yticks=range(len(concepts) - 1, -1, -1), xlabel="absolute difference from what X_R shows")
    axis.set_yticklabels(concepts, fontsize=8)
    axis.legend(fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def bars(groups: Mapping[str, Sequence[float]], label: str) -> Figure:
    """One horizontal bar per name: the mean of its values (one per seed), which are drawn as points."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 0.36 * len(groups) + 0.9), layout="constrained")
    for y, values in zip(range(len(groups) - 1, -1, -1), groups.values(), strict=True):
        axis.barh(y, np.mean(values), color="#99bbdd", height=0.6)
        axis.plot(values, [y] * len(values), "o", color="black", markersize=3)
    axis.axvline(0, color="#999999", lw=1)
    axis.set(yticks=range(len(groups) - 1, -1, -1), xlabel=label)
    axis.set_yticklabels(groups, fontsize=9)
    sns.despine(figure)
    return figure
