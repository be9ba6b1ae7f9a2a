"""Figures of the saliency comparison."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from cladec_utils.plots import charts, forest
from cladec_utils.plots.images import WIDTH, image_rows
from cladec_utils.plots.text import PlainFigure
from cladec_utils.saliency.maps import blank

# Okabe and Ito 2008, with a marker each, so that no group is told by colour alone.
STYLES = {
    "control": {"color": "#555555", "marker": "s"},
    "saliency": {"color": "#0072B2", "marker": "o"},
    "ClaDec": {"color": "#D55E00", "marker": "D"},
    "null": {"color": "#CC79A7", "marker": "v"},
}
CONTENT = 0.99
"""Quantile of a map's absolute values that gets the full colour: single pixels do not hide the rest."""


def scaled(maps: Tensor) -> Tensor:
    """Each map of (N, H, W) divided by the CONTENT quantile of its own absolute values, cut to [-1, 1].

    Where all values have one sign (|...|, -|X - X_E|, minus a distance), the sign says nothing for or
    against relevance: each such map is shifted until its least value is 0.
    """
    if (maps >= 0).all() or (maps <= 0).all():
        maps = maps - maps.amin((1, 2), keepdim=True)
    limits = maps.abs().flatten(1).quantile(CONTENT, dim=1)
    return (maps / torch.where(limits > 0, limits, 1.0)[:, None, None]).clamp(-1, 1)


def every_map(pictures: Mapping[str, Tensor], maps: Mapping[str, Tensor], blocks: int = 2) -> Figure:
    """A row per picture, (N, C, H, W) in [0, 1], and per map, (N, H, W), labelled at the left; a column per
    image. The rows continue in a second block beside the first.

    All maps share one diverging style: red speaks for relevance, blue against it, white is 0; each map
    of each image has its own symmetric range, as only the order of its pixels is compared. A blank map,
    the same everywhere, is marked as such.
    """
    names, n = [*pictures, *maps], len(next(iter(pictures.values())))
    lines = -(-len(names) // blocks)
    side = WIDTH / (blocks * (n + 2))
    figure = plt.figure(
        figsize=(WIDTH, lines * side * 1.06 + 0.6), layout="constrained", FigureClass=PlainFigure
    )
    parts = figure.subfigures(1, blocks, squeeze=False)[0]
    for part, first in zip(parts, range(0, len(names), lines), strict=False):
        axes = part.subplots(lines, n, squeeze=False)
        for row, name in zip(axes, names[first : first + lines], strict=False):
            shown = _pictures(row, pictures[name]) if name in pictures else _maps(row, maps[name])
            row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7, labelpad=4)
        for axis in axes.ravel():
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        for unused in axes[len(names) - first :].ravel():
            unused.set_visible(False)
        bar = part.colorbar(
            shown,
            ax=axes.ravel().tolist(),
            location="bottom",
            shrink=0.6,
            aspect=30,
            pad=0.01,
            ticks=[-1, 0, 1],
        )
        bar.ax.set_xticklabels(["against", "0", "relevant"], fontsize=7)
    return figure


def _pictures(row: Sequence[Axes], images: Tensor) -> AxesImage:
    for axis, image in zip(row, images, strict=True):
        pixels = image.permute(1, 2, 0).numpy().squeeze()
        shown = axis.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    return shown


def _maps(row: Sequence[Axes], maps: Tensor) -> AxesImage:
    for axis, pixels, empty in zip(row, scaled(maps), blank(maps), strict=True):
        shown = axis.imshow(pixels.numpy(), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        if empty:
            axis.text(0.5, 0.5, "blank", ha="center", va="center", fontsize=6, transform=axis.transAxes)
    return shown


def edited_pairs(rows: Mapping[str, Tensor], maps: Mapping[str, Tensor], levels: Sequence[str]) -> Figure:
    """Rows of images (N, C, H, W) in [0, 1] and of maps (N, H, W), columns titled with `levels` in turn."""
    n = len(next(iter(rows.values())))
    titles = [levels[i % len(levels)] for i in range(n)]
    figure = image_rows(rows, titles, {name: scaled(m)[:, None] for name, m in maps.items()})
    figure.axes[-1].set_ylabel("against 0, relevant above", fontsize=8)
    return figure


def dots(tables: Mapping[str, pd.DataFrame], xlabel: str, columns: int = 2) -> Figure:
    """Means with 95 % intervals, a line per map, a panel per title, coloured by group.

    Tables have the columns map, group, mean, low, high, and the same maps in the same order. An
    interval wider than the panel (few seeds) goes on beyond its edge; an arrowhead there says so.
    """
    every, rows = pd.concat(list(tables.values())), len(next(iter(tables.values())))
    height = -(-len(tables) // columns) * (0.75 + 0.19 * rows) + 0.3
    figure, axes = charts.panels(list(tables), height, columns, sharex=True, sharey=True)
    low, high = min(0.0, every["mean"].min()), max(0.0, every["mean"].max())
    margin = 0.35 * (high - low) + 1e-3
    for axis, table in zip(axes, tables.values(), strict=True):
        named = table.rename(columns={"map": "name"})
        forest.intervals(axis, named, "group", STYLES, (low - margin, high + margin))
        axis.set_xlabel(xlabel, fontsize=8)
    forest.key(figure, {group: style for group, style in STYLES.items() if group in set(every["group"])})
    return figure


def agreement(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Kendall's tau between metrics: square tables (see `maps.agreement`), a panel per title."""
    side = len(next(iter(tables.values())))
    figure, axes = charts.panels(list(tables), (0.24 * side + 0.4) * len(tables) + 1.6, 1, sharex=True)
    for axis, table in zip(axes, tables.values(), strict=True):
        sns.heatmap(
            table.round(1) + 0.0, ax=axis, vmin=-1, vmax=1, cmap="RdBu_r", annot=True, fmt=".1f",
            annot_kws={"fontsize": 6}, cbar_kws={"label": "Kendall's tau"},
        )  # fmt: skip
        axis.tick_params(labelsize=7)
    return figure


ROWS = {
    "controls": ("control",),
    "saliency methods": ("saliency",),
    "ClaDec and its nulls": ("ClaDec", "null"),
}


def randomisation(tables: Mapping[str, pd.DataFrame], groups: Mapping[str, str]) -> Figure:
    """Rank correlation with the original map against how much of the network was drawn anew.

    Tables have a row per map and a column per layer down to which weights were drawn; `groups` gives
    each map's group, and groups have rows of panels. The dotted line is an unrelated map.
    """
    titles = {f"{title}: {row}": (table, ROWS[row]) for row in ROWS for title, table in tables.items()}
    figure, axes = charts.panels(list(titles), 9.0, len(tables), sharey=True)
    for i, (axis, (table, members)) in enumerate(zip(axes, titles.values(), strict=True)):
        mine = table[[groups[name] in members for name in table.index]]
        places = ["nothing", *table.columns]
        long = mine.assign(nothing=1.0)[places].rename_axis("map").reset_index()
        long = long.melt("map", var_name="down to", value_name="correlation")
        styles = _styles(mine.index, groups)
        charts.lines(axis, long, ("down to", "correlation", "map"), places=places, groups=styles)
        axis.axhline(0, color=charts.GREY, lw=1, ls=":")
        if i % len(tables) == 0:
            axis.set_ylabel("rank correlation\nwith the original map", fontsize=8)
        if (i + 1) % len(tables) == 0:
            charts.key(axis, beside=True, fontsize=7)
    for axis in axes[-len(tables) :]:
        axis.set_xlabel("drawn anew from the top down to", fontsize=8)
    return figure


def _styles(names: Sequence[str], groups: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """A colour per group, a marker and a line style per map within it."""
    counts: dict[str, int] = {}
    styles = {}
    for name in names:
        i = counts[groups[name]] = counts.get(groups[name], -1) + 1
        colour = STYLES[groups[name]]["color"]
        styles[name] = {
            "color": colour,
            "marker": "osD^vPX*"[i % 8],
            "linestyle": ("-", "--", "-.", ":")[i % 4],
            "markerfacecolor": "none" if i % 2 else colour,
            "linewidth": 1.2,
        }
    return styles
