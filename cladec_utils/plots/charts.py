"""Line charts of what was measured. Colours are safe for the colour-blind."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cladec_utils.claims.verdicts import paired_interval
from cladec_utils.plots.images import COLOURS, MARKERS, WIDTH


def learning_curves(
    panels: Mapping[str, Mapping[str, Sequence[float]]], ylabels: Mapping[str, str]
) -> Figure:
    """One panel per title with its curves by name (one value per epoch); `ylabels` per title."""
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 2.8), squeeze=False, layout="constrained")
    palette = list(sns.color_palette("colorblind"))
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for i, (name, values) in enumerate(curves.items()):
            epochs = np.arange(1, len(values) + 1)
            axis.plot(epochs, values, label=name, color=palette[i], marker="os^Dv"[i % 5], markersize=3)
        axis.set(title=title, xlabel="epoch", ylabel=ylabels[title])
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def against_depth(table: pd.DataFrame, layers: Sequence[str], panels: Mapping[str, str]) -> Figure:
    """Metrics against depth: a panel per metric (name -> axis label), a line per method.

    `table` is tidy (see `evaluation.tidy`); points are single seeds, lines their means. The
    classifier's own accuracy on originals is the dashed line where the metric is an accuracy.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 3.2), squeeze=False, layout="constrained")
    position = {layer: i for i, layer in enumerate(layers)}
    original = table[(table["method"] == "original") & (table["metric"] == "c_correct")]["value"].mean()
    for axis, (metric, label) in zip(axes[0], panels.items(), strict=True):
        for offset, method in ((-0.06, "RefAE"), (0.06, "ClaDec")):
            mine = table[(table["metric"] == metric) & (table["method"] == method)]
            x = mine["layer"].map(position) + offset
            style = {"color": COLOURS[method], "marker": MARKERS[method]}
            axis.scatter(x, mine["value"], s=14, alpha=0.5, linewidths=0, **style)
            means = mine.groupby("layer")["value"].mean().reindex(list(layers))
            axis.plot(np.arange(len(layers)) + offset, means, label=method, markersize=6, **style)
        if metric in ("judge_correct", "c_correct", "independent_correct"):
            axis.axhline(original, color=COLOURS["original"], ls="--", lw=1, label="C on originals")
        axis.set(xlabel="layer, early to late", ylabel=label, xticks=range(len(layers)))
        axis.set_xticklabels(layers)
        axis.legend(fontsize=8, framealpha=0.9, edgecolor="none")
    sns.despine(figure)
    return figure


def _with_all_alphas(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of seeds that have been tried with every alpha of `table`; all rows where no seed has."""
    tried = table.groupby("seed")["alpha"].nunique()
    whole = table["seed"].isin(tried.index[tried == table["alpha"].nunique()])
    return table[whole] if whole.any() else table


def against_alpha(table: pd.DataFrame, layers: Sequence[str], panels: Mapping[str, str]) -> Figure:
    """Metrics of ClaDec against alpha: a panel per metric (name -> axis label), a line per layer.

    `table` is tidy; lines are means over the seeds that have all alphas, bars 95 % t intervals about the mean
    of all seeds, where there are several. Alphas are spaced evenly, as they span orders of magnitude at both
    ends.
    """
    cladec = table[table["method"] == "ClaDec"]
    alphas = sorted(cladec["alpha"].unique())
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 3.0), squeeze=False, layout="constrained")
    palette = sns.color_palette("colorblind")
    for axis, (metric, label) in zip(axes[0], panels.items(), strict=True):
        for i, layer in enumerate(layers):
            mine = cladec[(cladec["metric"] == metric) & (cladec["layer"] == layer)]
            line = _with_all_alphas(mine).groupby("alpha")["value"].mean()
            x, marker = np.arange(len(alphas)) + 0.08 * i, "os^D"[i % 4]
            axis.plot(x, line.reindex(alphas), label=layer, color=palette[i], marker=marker, markersize=4)
            points = [paired_interval(mine[mine["alpha"] == a]["value"]) for a in alphas]
            mean, low, high = np.array(points).T
            several = np.isfinite(low)
            errors = np.stack([mean - low, high - mean])[:, several]
            axis.errorbar(
                x[several], mean[several], yerr=errors, color=palette[i], fmt="none", capsize=3, alpha=0.7
            )
        axis.set(xlabel="alpha", title=label, xticks=range(len(alphas)))
        axis.title.set_fontsize(9)
        axis.set_xticklabels([f"{a:g}" for a in alphas], fontsize=8)
        axis.tick_params(labelsize=8)
    axes[0, 0].legend(fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def front(table: pd.DataFrame, layers: Sequence[str], x: str, y: str, labels: tuple[str, str]) -> Figure:
    """The trade-off: metric `x` against `y`, one line per layer through all alphas; means over the seeds that
    have all of them."""
    cladec = _with_all_alphas(table[(table["method"] == "ClaDec") & table["metric"].isin([x, y])])
    means = cladec.pivot_table(index=["layer", "alpha"], columns="metric", values="value")
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 3.6), layout="constrained")
    for i, layer in enumerate(layers):
        mine, colour = means.loc[layer].sort_index(), sns.color_palette("colorblind")[i]
        axis.plot(mine[x], mine[y], color=colour, marker="os^D"[i % 4], label=layer)
        for n, (alpha, point) in enumerate(mine.iterrows()):
            beside = (4, -11 if n % 2 else 4)  # neighbours' labels do not touch
            axis.annotate(
                f"{alpha:g}", (point[x], point[y]), fontsize=8, xytext=beside, textcoords="offset points"
            )
    axis.set(xlabel=labels[0], ylabel=labels[1], xscale="log")
    ticks = [
        t
        for t in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
        if means[x].min() < 2 * t and t < 2 * means[x].max()
    ]
    axis.minorticks_off()
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.legend(fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def against_size(table: pd.DataFrame, panels: Mapping[str, str]) -> Figure:
    """Metrics against the number of neurons: a panel per metric, a colour per choice of subset.

    `table` is tidy with columns `size` and `choice` (`all`, `random`, ...); small points are seeds.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(WIDTH, 3.0), squeeze=False, layout="constrained")
    choices = list(dict.fromkeys(table["choice"]))
    for axis, (metric, label) in zip(axes[0], panels.items(), strict=True):
        for i, choice in enumerate(choices):
            mine = table[(table["metric"] == metric) & (table["choice"] == choice)]
            mine = mine.assign(size=mine["size"] * 1.2 ** max(0, i - 1))  # of one size: side by side
            style = {"color": sns.color_palette("colorblind")[i], "marker": "so^vD"[i % 5]}
            axis.scatter(mine["size"], mine["value"], s=10, alpha=0.4, linewidths=0, **style)
            means = mine.groupby("size")["value"].mean()
            axis.plot(
                means.index, means, markersize=6, label=choice, ls="-" if len(means) > 1 else "", **style
            )
        axis.set(xlabel="neurons", title=label, xscale="log")
        axis.title.set_fontsize(9)
        axis.tick_params(labelsize=8)
    axes[0, 0].legend(fontsize=7, frameon=False)
    sns.despine(figure)
    return figure


def against_size_of_code(sizes: Sequence[int], curves: Mapping[str, Sequence[float]]) -> Figure:
    """Evaluation accuracy against the length of RefAE's code, one line per name."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.6, 3.0), layout="constrained")
    for name, colour in (("X_R", COLOURS["RefAE"]), ("X_E", COLOURS["ClaDec"])):
        axis.plot(sizes, curves[name], label=name, color=colour, marker="^" if name == "X_R" else None)
    axis.set(xlabel="numbers in RefAE's code", ylabel="evaluation accuracy", xscale="log", xticks=sizes)
    axis.set_xticklabels(sizes)
    axis.minorticks_off()
    axis.legend(fontsize=8, frameon=False)
    sns.despine(figure)
    return figure
