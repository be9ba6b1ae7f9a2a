"""Figures of the saliency comparison."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from torch import Tensor

from cladec_utils.figures import WIDTH

# Okabe and Ito 2008, with a marker each, so that no group is told by colour alone.
COLOURS = {"control": "#555555", "saliency": "#0072B2", "ClaDec": "#D55E00", "null": "#CC79A7"}
MARKERS = {"control": "s", "saliency": "o", "ClaDec": "D", "null": "v"}
CONTENT = 0.99
"""Quantile of a map's absolute values that gets the full colour: single pixels do not hide the rest."""


def scaled(maps: Tensor) -> Tensor:
    """Each map of (N, H, W) divided by the CONTENT quantile of its own absolute values, cut to [-1, 1]."""
    limits = maps.abs().flatten(1).quantile(CONTENT, dim=1)
    return (maps / torch.where(limits > 0, limits, 1.0)[:, None, None]).clamp(-1, 1)


def every_map(pictures: Mapping[str, Tensor], maps: Mapping[str, Tensor], per_line: int = 10) -> Figure:
    """One block per image: its pictures, (N, C, H, W) in [0, 1], then its maps, (N, H, W).

    All maps share one diverging style: red speaks for relevance, blue against it, white is 0; each map
    of each image has its own symmetric range, as only the order of its pixels is compared.
    """
    names, n = [*pictures, *maps], len(next(iter(pictures.values())))
    lines = -(-len(names) // per_line)
    side = WIDTH / per_line
    figure, axes = plt.subplots(
        n * lines,
        per_line,
        figsize=(WIDTH, n * lines * (side + 0.2) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    shown = None
    for i in range(n):
        cells = axes[i * lines : (i + 1) * lines].ravel()
        for axis, name in zip(cells, names, strict=False):
            axis.set_title(name, fontsize=7, pad=2)
            if name in pictures:
                picture = pictures[name][i].permute(1, 2, 0).numpy().squeeze()
                axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            else:
                pixels = scaled(maps[name][i : i + 1])[0].numpy()
                shown = axis.imshow(pixels, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    bar = figure.colorbar(
        shown, ax=axes.ravel().tolist(), location="bottom", shrink=0.4, aspect=40, pad=0.01, ticks=[-1, 0, 1]
    )
    bar.ax.set_xticklabels(["against", "0", "relevant"], fontsize=7)
    return figure


def dots(panels: Mapping[str, pd.DataFrame], xlabel: str, columns: int = 2) -> Figure:
    """Means with 95 % intervals, a line per map, a panel per title, coloured by group.

    Tables have the columns map, group, mean, low, high; the lines are those of the first table. An
    interval wider than the panel (few seeds) is cut at its edge.
    """
    lines = -(-len(panels) // columns)
    labels = list(next(iter(panels.values()))["map"])
    height = lines * (0.75 + 0.19 * len(labels)) + 0.3
    figure, axes = plt.subplots(
        lines, columns, figsize=(WIDTH, height), squeeze=False, sharey=True, sharex=True, layout="constrained"
    )
    every = pd.concat(list(panels.values()))
    low, high = min(0.0, every["mean"].min()), max(0.0, every["mean"].max())
    margin = 0.35 * (high - low) + 1e-3
    for axis, (title, table) in zip(axes.ravel(), panels.items(), strict=False):
        rows = table.set_index("map").reindex(labels)
        for y, row in enumerate(rows.itertuples()):
            colour, marker = COLOURS[row.group], MARKERS[row.group]
            axis.plot([row.low, row.high], [y, y], color=colour, lw=1.5)
            axis.plot(row.mean, y, marker, color=colour, markersize=5)
        axis.axvline(0, color="#999999", lw=1)
        axis.set(
            xlim=(low - margin, high + margin), ylim=(len(labels) - 0.4, -0.6), yticks=range(len(labels))
        )
        axis.set_yticklabels(labels, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(xlabel, fontsize=8)
        axis.tick_params(axis="x", labelsize=8)
    for unused in axes.ravel()[len(panels) :]:
        unused.set_visible(False)
    shown = [group for group in COLOURS if group in set(every["group"])]
    handles = [plt.Line2D([], [], color=COLOURS[g], marker=MARKERS[g], label=g) for g in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(shown), fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def agreement(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Kendall's tau between metrics: square tables (see `saliency.agreement`), a panel per title."""
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(WIDTH * 0.8, 3.6 * len(panels) + 1),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    for axis, (title, table) in zip(axes[:, 0], panels.items(), strict=True):
        sns.heatmap(
            table.round(1) + 0.0, ax=axis, vmin=-1, vmax=1, cmap="RdBu_r", annot=True, fmt=".1f",
            annot_kws={"fontsize": 7}, cbar_kws={"label": "Kendall's tau"},
        )  # fmt: skip
        axis.set_title(title, fontsize=10)
        axis.tick_params(labelsize=8)
    return figure


def randomisation(panels: Mapping[str, pd.DataFrame], groups: Mapping[str, str]) -> Figure:
    """Rank correlation with the original map against how much of the network was drawn anew.

    Tables have a row per map and a column per layer down to which weights were drawn; `groups` gives
    each map's group. The dotted line is an unrelated map.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(WIDTH, 4.0), squeeze=False, sharey=True, layout="constrained"
    )
    styles, seen = _styles(next(iter(panels.values())).index, groups), {}
    for axis, (title, table) in zip(axes[0], panels.items(), strict=True):
        for name, row in table.iterrows():
            values = [1.0, *row]
            (seen[name],) = axis.plot(
                range(len(values)), values, label=name, markersize=5, lw=1.2, **styles[name]
            )
        axis.axhline(0, color="#999999", lw=1, ls=":")
        axis.set(xticks=range(len(values)), title=title)
        axis.set_xlabel("drawn anew from the top down to", fontsize=8)
        axis.set_xticklabels(["nothing", *table.columns], fontsize=8)
        axis.title.set_fontsize(10)
    axes[0, 0].set_ylabel("rank correlation with the original map", fontsize=8)
    figure.legend(handles=list(seen.values()), loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def _styles(names: Sequence[str], groups: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """A colour per group, a marker and a line style per map within it."""
    counts: dict[str, int] = {}
    styles = {}
    for name in names:
        i = counts[groups[name]] = counts.get(groups[name], -1) + 1
        styles[name] = {
            "color": COLOURS[groups[name]],
            "marker": "osD^vPX*"[i % 8],
            "linestyle": ("-", "--", "-.", ":")[i % 4],
            "markerfacecolor": "none" if i % 2 else COLOURS[groups[name]],
        }
    return styles
