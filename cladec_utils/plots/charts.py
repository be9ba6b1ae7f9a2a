"""Line charts of what was measured. Colours are safe for the colour-blind."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec_utils.claims.interval import paired_interval
from cladec_utils.models.references import GENERIC
from cladec_utils.plots.images import COLOURS, WIDTH
from cladec_utils.plots.text import PlainFigure, in_legend

GREY = "#999999"
SHAPES = "os^Dv"
METHODS = {
    "RefAE": {"color": COLOURS["RefAE"], "marker": "^"},
    GENERIC: {"color": COLOURS["RefAE"], "marker": "v"},
    "ClaDec": {"color": COLOURS["ClaDec"], "marker": "o"},
    "PCA": {"color": COLOURS["PCA"], "marker": "s"},
}
"""How the explainers and PCA are drawn wherever they are compared."""
Styles = Mapping[str, Mapping[str, object]]
"""matplotlib's properties of a line (color, marker, linestyle, ...) per group."""


def panels(
    titles: Sequence[str], height: float, columns: int = 0, width: float = WIDTH, **sharing: object
) -> tuple[Figure, list[Axes]]:
    """A figure of `width` by `height` inches with a panel per title, `columns` side by side (0: all)."""
    columns = columns or len(titles)
    figure, axes = plt.subplots(
        -(-len(titles) // columns), columns, figsize=(width, height), squeeze=False, layout="constrained",
        FigureClass=PlainFigure, **sharing,
    )  # fmt: skip
    sns.despine(figure)
    for axis, title in zip(axes.flat, titles, strict=False):
        axis.set_title(title, fontsize=10)
        axis.tick_params(labelsize=8)
    for unused in axes.flat[len(titles) :]:
        unused.set_visible(False)
    return figure, list(axes.flat[: len(titles)])


def lines(
    axis: Axes,
    table: pd.DataFrame,
    columns: tuple[str, str, str],
    *,
    places: Sequence[object] | None = None,
    groups: Sequence[str] | Styles = (),
    points: bool = False,
    bars: bool = False,
    dodge: float = 0.0,
) -> None:
    """Draw means over the rows of `table` with the same x as a line per group; `columns` names x, y, group.

    `places` are x's values in order, spaced evenly; None: x are numbers, joined in the order of the table.
    `groups` are those to draw, in order, with or without styles; none: all. Where there is a column `seed`,
    a line is of the seeds that have every x of its group, so that no step of it is one between seeds.
    `points` shows single rows, `bars` the 95 % t interval about the mean of all rows, where there are
    several. Groups stand `dodge` apart.
    """
    x, y, group = columns
    present = list(dict.fromkeys(table[group]))
    names = [name for name in groups or present if name in present]
    for i, name in enumerate(names):
        style = {"color": sns.color_palette("colorblind")[i % 10], "marker": SHAPES[i % 5], "markersize": 5}
        style |= groups[name] if isinstance(groups, Mapping) else {}
        mine = table[table[group] == name]
        numbers = mine[x] if places is None else mine[x].map({p: k for k, p in enumerate(places)})
        mine = mine.assign(at=numbers.astype(float) + dodge * (i - (len(names) - 1) / 2), y=mine[y])
        means = _of_whole_seeds(mine).groupby("at", sort=places is not None)["y"].mean()
        axis.plot(means.index, means, label=in_legend(name), **style)
        if points:
            small = {"color": style["color"], "marker": style["marker"], "s": 12}
            axis.scatter(mine["at"], mine["y"], alpha=0.5, linewidths=0, **small)
        if bars:
            _bars(axis, mine, style["color"])
    if places is not None:
        axis.set_xticks(range(len(places)), [f"{p:g}" if isinstance(p, float) else p for p in places])


def _of_whole_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of seeds that have every place in `table`; all rows where no seed has."""
    if "seed" not in table:
        return table
    tried = table.groupby("seed")["at"].nunique()
    whole = table["seed"].isin(tried.index[tried == table["at"].nunique()])
    return table[whole] if whole.any() else table


def _bars(axis: Axes, table: pd.DataFrame, colour: object) -> None:
    found = {place: paired_interval(values) for place, values in table.groupby("at")["y"]}
    several = {place: interval for place, interval in found.items() if np.isfinite(interval[1])}
    if several:
        mean, low, high = np.array(list(several.values())).T
        errors = (mean - low, high - mean)
        axis.errorbar(list(several), mean, yerr=errors, color=colour, fmt="none", capsize=3, alpha=0.7)


def key(axis: Axes, beside: bool = False, **settings: object) -> None:
    """The legend of a panel's lines, in it where there is room or `beside` it."""
    place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if beside else {}
    axis.legend(**{"fontsize": 8, "framealpha": 0.8, "edgecolor": "none"} | place | settings)


def learning_curves(
    curves: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], ylabels: Mapping[str, str]
) -> Figure:
    """One panel per title with its curves by name, pairs of (updates, values); `ylabels` per title."""
    figure, axes = panels(list(curves), 2.8)
    for axis, (title, mine) in zip(axes, curves.items(), strict=True):
        rows = [(name, x, y) for name, curve in mine.items() for x, y in zip(*curve, strict=True)]
        table = pd.DataFrame(rows, columns=["curve", "updates", "value"])
        lines(axis, table, ("updates", "value", "curve"), groups={name: {"markersize": 3} for name in mine})
        axis.set(xlabel="updates", ylabel=ylabels[title])
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        key(axis)
    return figure


def against_depth(table: pd.DataFrame, layers: Sequence[str], metrics: Mapping[str, str]) -> Figure:
    """Metrics against depth: a panel per metric (name -> axis label), a line per method.

    `table` is tidy (see `evaluation.tidy`); points are single seeds, lines their means. The
    classifier's own accuracy on originals is the dashed line where the metric is an accuracy.
    """
    figure, axes = panels([""] * len(metrics), 3.2)
    original = table[(table["method"] == "original") & (table["metric"] == "c_correct")]["value"].mean()
    for axis, (metric, label) in zip(axes, metrics.items(), strict=True):
        mine = table[table["metric"] == metric]
        lines(
            axis, mine, ("layer", "value", "method"), places=layers, groups=METHODS, points=True, dodge=0.12
        )
        if metric in ("judge_correct", "c_correct", "panel_correct"):
            axis.axhline(original, color=COLOURS["original"], ls="--", lw=1, label="C on originals")
        axis.set(xlabel="layer, early to late", ylabel=label)
        key(axis)
    return figure


def against_alpha(table: pd.DataFrame, layers: Sequence[str], metrics: Mapping[str, str]) -> Figure:
    """Metrics of ClaDec against alpha: a panel per metric (name -> axis label), a line per layer.

    `table` is tidy; lines are means over the seeds that have all alphas, bars 95 % t intervals about the mean
    of all seeds. Alphas are spaced evenly, as they span orders of magnitude at both ends.
    """
    cladec = table[table["method"] == "ClaDec"]
    figure, axes = panels(list(metrics.values()), 3.0)
    for axis, metric in zip(axes, metrics, strict=True):
        mine = cladec[cladec["metric"] == metric]
        lines(
            axis, mine, ("alpha", "value", "layer"), places=sorted(cladec["alpha"].unique()),
            groups=layers, bars=True, dodge=0.08,
        )  # fmt: skip
        axis.set(xlabel="alpha")
    key(axes[0])
    return figure


def front(table: pd.DataFrame, layers: Sequence[str], x: str, y: str, labels: tuple[str, str]) -> Figure:
    """The trade-off: metric `x` against `y`, one line per layer through all alphas; means over the seeds that
    have all of them."""
    cladec = table[(table["method"] == "ClaDec") & table["metric"].isin([x, y])]
    whole = [_of_whole_seeds(rows.assign(at=rows["alpha"])) for _, rows in cladec.groupby("layer")]
    means = pd.concat(whole).pivot_table(index=["layer", "alpha"], columns="metric", values="value")
    means = means.reset_index().sort_values("alpha", kind="stable")
    figure, (axis,) = panels([""], 3.6, width=WIDTH * 0.7)
    lines(axis, means, (x, y, "layer"), groups=layers)
    for place, (_, point) in enumerate(means.iterrows()):
        beside = (4, -11 if place // len(layers) % 2 else 4)  # neighbours' labels do not touch
        axis.annotate(
            f"{point['alpha']:g}", (point[x], point[y]), fontsize=8, xytext=beside, textcoords="offset points"
        )
    axis.set(xlabel=labels[0], ylabel=labels[1], xscale="log")
    usual = np.array([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
    ticks = usual[(means[x].min() < 2 * usual) & (usual < 2 * means[x].max())]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    key(axis)
    return figure


def by_choice(table: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """Metrics of subsets of neurons: a panel per metric, a row per choice of subset in the table's order.

    `table` is tidy with a column `choice` (`random`, ...); small points are seeds, large ones their means.
    """
    figure, axes = panels(list(metrics.values()), 0.8 + 0.35 * table["choice"].nunique(), sharey=True)
    for axis, metric in zip(axes, metrics, strict=True):
        mine = table[table["metric"] == metric]
        colours = {"hue": "choice", "palette": "colorblind", "legend": False, "ax": axis}
        sns.stripplot(mine, x="value", y="choice", size=4, alpha=0.5, jitter=False, **colours)
        means = mine.groupby("choice", sort=False, as_index=False)["value"].mean()
        sns.stripplot(means, x="value", y="choice", size=8, jitter=False, **colours)
        axis.set(xlabel="", ylabel="")
        axis.grid(axis="y", lw=0.5)
    return figure


def against_size_of_code(sizes: Sequence[int], curves: Mapping[str, Sequence[float]]) -> Figure:
    """Evaluation accuracy on X_R against the length of RefAE's code, beside that on X_E."""
    figure, (axis,) = panels([""], 3.0, width=WIDTH * 0.6)
    table = pd.DataFrame({"size": sizes, **curves}).melt("size", var_name="image")
    styles = {"X_R": METHODS["RefAE"], "X_E": METHODS["ClaDec"] | {"marker": ""}}
    lines(axis, table, ("size", "value", "image"), groups=styles)
    axis.set(xlabel="numbers in RefAE's code (log scale)", ylabel="evaluation accuracy", xscale="log")
    axis.set_xticks(sizes, sizes)
    axis.minorticks_off()
    key(axis)
    return figure


def against_budget(table: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """What ClaDec has above RefAE against the number of updates that both were trained for: a panel per
    metric (name -> axis label). `table` is tidy, of one layer and alpha; bars are 95 % t intervals."""
    figure, axes = panels([""] * len(metrics), 2.8, width=WIDTH * 0.8)
    for axis, (metric, label) in zip(axes, metrics.items(), strict=True):
        mine = table[table["metric"] == metric]
        mine = mine.replace({"method": {GENERIC: "RefAE"}})
        wide = mine.pivot_table(index=["updates", "seed"], columns="method", values="value").dropna()
        found = (wide["ClaDec"] - wide["RefAE"]).rename("value").reset_index()
        found["what"] = "X_E minus X_R"
        lines(axis, found, ("updates", "value", "what"), points=True, bars=True)
        axis.axhline(0, color=GREY, lw=1)
        axis.set(xlabel="updates (log scale)", ylabel=label, xscale="log")
        ticks = sorted(found["updates"].unique())
        axis.set_xticks(ticks, ticks)
        axis.minorticks_off()
    return figure
