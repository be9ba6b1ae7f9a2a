"""Means with their intervals, row by row: ClaDec against RefAE per layer, the scorecard's effects."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cladec_utils.claims import verdicts
from cladec_utils.plots.charts import GREY, Styles, panels
from cladec_utils.plots.text import in_legend

SHAPES = {
    verdicts.HOLDS: "o", verdicts.FAILS: "D", verdicts.UNDECIDED: "s", verdicts.NO_REFERENCE: "X",
    verdicts.BUDGET: "^", verdicts.EXPLORATORY: "v",
}  # fmt: skip
VERDICTS = {v: {"color": verdicts.COLOURS[v], "marker": marker} for v, marker in SHAPES.items()}


def intervals(
    axis: Axes,
    table: pd.DataFrame,
    group: str | None = None,
    styles: Styles | None = None,
    limits: tuple[float, float] | None = None,
    shift: float = 0.0,
    linestyle: str = "-",
) -> None:
    """Draw the rows of `table` from the top down: columns name, mean, low, high and `group`, which chooses
    the style; None: all are black.

    An interval that goes beyond `limits`, the panel's edges, ends there in an arrowhead. `shift` moves all
    rows up; a mean that is NaN is not marked.
    """
    for y, row in enumerate(table.to_dict("records")):
        style = styles[row[group]] if group else {"color": "black", "marker": "o"}
        axis.plot([row["low"], row["high"]], [y - shift] * 2, color=style["color"], lw=1.8, ls=linestyle)
        axis.plot(row["mean"], y - shift, ls="", markersize=5, **style)
        for side, edge, head in ((-1, "low", "<"), (1, "high", ">")):
            if limits and side * row[edge] > side * limits[side > 0]:
                axis.plot(limits[side > 0], y, head, color=style["color"], markersize=5, clip_on=False)
    axis.axvline(0, color=GREY, lw=1)
    axis.set_yticks(range(len(table)), table["name"], fontsize=8)
    axis.set(ylim=(max(len(table), 1) - 0.4, -0.6), xlim=limits)
    axis.locator_params(axis="x", nbins=5)


def key(figure: Figure, styles: Styles) -> None:
    """The legend of the groups of all panels, below them."""
    handles = [Line2D([], [], label=in_legend(name), **style) for name, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(styles), fontsize=8, frameon=False)


def against_reference(tables: Mapping[str, pd.DataFrame], xlabels: Mapping[str, str]) -> Figure:
    """ClaDec minus RefAE per layer with its interval (see `evidence.compare`), a panel per title."""
    figure, axes = panels(list(tables), 1.2 + 0.35 * max(len(table) for table in tables.values()))
    for axis, (title, table) in zip(axes, tables.items(), strict=True):
        intervals(axis, table.rename(columns={"layer": "name", "difference": "mean"}))
        axis.set_xlabel(xlabels[title], fontsize=9)
    return figure


def forest(card: pd.DataFrame, claims: Mapping[str, str]) -> Figure:
    """Effects of a scorecard's rows with the intervals that their verdicts used, a panel per claim (name ->
    unit), coloured by verdict; primary rows are marked."""
    shown = {c: card[(card["claim"] == c) & card["effect"].notna()] for c in claims}
    height = 1.0 + 0.26 * max([1, *(len(rows) for rows in shown.values())])
    columns = min(2, len(claims))
    figure, axes = panels(list(claims), -(-len(claims) // columns) * height, columns)
    for axis, (claim, rows) in zip(axes, shown.items(), strict=True):
        neurons = np.where(rows["neurons"] == "all", "", rows["neurons"])
        mark = np.where(rows["row"] == "primary", " (primary)", "")
        names = (rows["architecture"] + " " + rows["layer"] + " " + neurons).str.strip() + mark
        intervals(axis, rows.rename(columns={"effect": "mean"}).assign(name=names), "verdict", VERDICTS)
        axis.set_xlabel(claims[claim], fontsize=9)
    seen = set(pd.concat(shown.values())["verdict"])
    key(figure, {verdict: style for verdict, style in VERDICTS.items() if verdict in seen})
    return figure
