"""Plots of the planted-concepts study. Colours are safe for the colour-blind."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec_utils.data.planted import relevant
from cladec_utils.plots import charts
from cladec_utils.plots.images import COLOURS, WIDTH
from cladec_utils.plots.text import in_legend

RELEVANT, IRRELEVANT = COLOURS["ClaDec"], COLOURS["RefAE"]


def used_held_shown(table: pd.DataFrame) -> Figure:
    """A panel per data set: factors against what was measured (see `experiment.table`, of one
    architecture), means over seeds.

    Columns are `used` and X (read from the originals), then per layer held, X_R, and X_E at each alpha; 0.5
    is chance in all but `used`. Relevant factors are marked with a star.
    """
    datasets = list(dict.fromkeys(table["dataset"]))
    grids = [_grid(table[table["dataset"] == dataset]) for dataset in datasets]
    titles = [f"{dataset} (* relevant)" for dataset in datasets]
    figure, axes = charts.panels(titles, 2.5 * len(grids) + 0.4, 1)
    for axis, dataset, grid in zip(axes, datasets, grids, strict=True):
        sns.heatmap(
            grid, ax=axis, vmin=0, vmax=1, cmap="viridis", annot=True, fmt=".2f", annot_kws={"size": 7},
            cbar=False, linewidths=0.5,
        )  # fmt: skip
        names = [f + (" *" if f in relevant(dataset) else "") for f in grid.index]
        axis.set_yticklabels(names, rotation=0, fontsize=8)
        axis.set_xticklabels(grid.columns, rotation=40, ha="right", fontsize=7)
        axis.set(xlabel="", ylabel="")
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
    alpha; relevant and irrelevant factors in two colours, a marker each, a point per data set and seed."""
    layers, alphas = list(dict.fromkeys(table["layer"])), sorted(table["alpha"].unique())
    titles = {f"{layer}, alpha {alpha:g}": (layer, alpha) for alpha in alphas for layer in layers}
    height = 2.3 * len(alphas) + 0.6
    figure, axes = charts.panels(list(titles), height, len(layers), sharex=True, sharey=True)
    for axis, (layer, alpha) in zip(axes, titles.values(), strict=True):
        mine = table[(table["alpha"] == alpha) & (table["layer"] == layer)]
        for marker, (factor, points) in zip("osD^v<", mine.groupby("factor", sort=False), strict=False):
            colours = np.where(points["relevant"], RELEVANT, IRRELEVANT)
            small = {"marker": marker, "s": 24, "alpha": 0.7, "linewidths": 0}
            axis.scatter(points["variation"], points["X_E"], c=colours, **small)
            axis.scatter([], [], color="#555555", marker=marker, label=in_legend(factor))
        axis.axhline(0.5, color=charts.GREY, lw=1, ls=":")
    for colour, name in ((RELEVANT, "relevant"), (IRRELEVANT, "irrelevant")):
        axes[0].plot([], [], lw=5, color=colour, label=name)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8)
    figure.supxlabel("used: total variation of C's softmax when the factor is edited", fontsize=9)
    figure.supylabel("shown: read from X_E", fontsize=9)
    return figure


def area_against_depth(areas: pd.DataFrame, layers: Sequence[str]) -> Figure:
    """Areas under the ROC curve against depth, a line per `score`; small points are seeds, bars are 95 % t
    intervals over them. Columns: layer, score, seed, area."""
    figure, (axis,) = charts.panels([""], 3.2)
    columns = ("layer", "area", "score")
    charts.lines(axis, areas, columns, places=layers, points=True, bars=True, dodge=0.06)
    axis.axhline(0.5, color=charts.GREY, lw=1, ls=":")
    low, high = axis.get_ylim()
    axis.set(ylim=(max(low, -0.02), min(high, 1.02)))  # areas end there, intervals need not
    axis.set(xlabel="layer, early to late", ylabel="area under the ROC curve")
    charts.key(axis, beside=True)
    return figure


def against_noise(found: pd.DataFrame) -> Figure:
    """Absolute differences from X_R, a pair of horizontal bars per concept (see `results.noise`):
    X_E above, the second RefAE below."""
    table = found.melt("concept", ["X_E", "second RefAE"], "image", "difference")
    figure, axis = _bars(
        table, "difference", "concept", "image", {"X_E": RELEVANT, "second RefAE": charts.GREY}
    )
    axis.set(xlabel="absolute difference from what X_R shows", ylabel="")
    charts.key(axis, title="")
    return figure


def _bars(
    table: pd.DataFrame,
    value: str,
    name: str,
    group: str | None = None,
    colours: Mapping[str, str] | None = None,
) -> tuple[Figure, Axes]:
    """A horizontal bar per name (and group), as long as the mean of its rows, which are drawn as points."""
    rows = table[name].nunique() * (table[group].nunique() if group else 1)
    figure, (axis,) = charts.panels([""], 0.2 * rows + 0.12 * table[name].nunique() + 0.9, width=WIDTH * 0.85)
    where = {"data": table, "x": value, "y": name, "hue": group, "ax": axis}
    fill = {"palette": colours, "legend": True} if group else {"color": IRRELEVANT}
    dark = {"palette": dict.fromkeys(colours, "black"), "dodge": True} if group else {"color": "black"}
    sns.barplot(**where, errorbar=None, saturation=1, alpha=0.5, **fill)
    sns.stripplot(**where, jitter=False, size=4, legend=False, **dark)
    return figure, axis


def bars(groups: Mapping[str, Sequence[float]], label: str) -> Figure:
    """One horizontal bar per name: the mean of its values, one per seed."""
    table = pd.DataFrame(
        [(name, v) for name, values in groups.items() for v in values], columns=["name", "value"]
    )
    figure, axis = _bars(table, "value", "name")
    axis.axvline(0, color=charts.GREY, lw=1)
    axis.set(xlabel=label, ylabel="")
    return figure
