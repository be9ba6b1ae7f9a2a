"""The one image renderer, with an explicit value range. Colours are safe for the colour-blind."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from cladec_utils.engine import store
from cladec_utils.errors import CladecError
from cladec_utils.plots.text import WIDEST, PlainFigure

COLOURS = {
    "original": "#555555",
    "ClaDec": "#D55E00",
    "RefAE": "#0072B2",
    "PCA": "#009E73",
}  # Okabe and Ito 2008
WIDTH = 8.5  # inches: readable at GitHub's width


def image_rows(
    rows: Mapping[str, Tensor],
    columns: Sequence[str] | None = None,
    signed: Mapping[str, Tensor] | None = None,
    below: str = "",
) -> Figure:
    """Aligned rows of the same images: (N, C, H, W) floats in [0, 1] per row, labelled at the left; rows may
    differ in resolution.

    All of `rows` are drawn in the range [0, 1]. `signed` adds rows of differences, channels averaged,
    in one symmetric diverging range with a colour bar. `columns` are titles of the N columns, `below` is
    said in small letters under all rows, each line of it from a new one.
    A figure of no images says so. Raises CladecError if a row has values outside its range or another number
    of images.
    """
    signed = signed or {}
    counts = {name: len(images) for name, images in {**rows, **signed}.items()}
    if len(set(counts.values())) != 1:
        raise CladecError(f"All rows need the same number of images, but there are {counts}.")
    n = next(iter(counts.values()))
    if not n:
        return _nothing(", ".join(counts))
    side = WIDTH / (n + 1.3)
    words = [part for line in below.splitlines() for part in textwrap.wrap(line, WIDEST)]
    height = side * len(counts) * 1.06 + 0.35 + 0.17 * len(words)
    figure, axes = plt.subplots(
        len(counts), n, figsize=(WIDTH, height), squeeze=False, layout="constrained", FigureClass=PlainFigure
    )
    for axis, (name, images) in zip(axes, rows.items(), strict=False):
        _draw_row(axis, name, _range_checked(name, images), "gray", (0.0, 1.0))
    if signed:
        limit = max(float(m.mean(1).abs().max()) for m in signed.values()) or 1.0
        for axis, (name, maps) in zip(axes[len(rows) :], signed.items(), strict=True):
            shown = _draw_row(axis, name, maps.mean(1, keepdim=True), "RdBu_r", (-limit, limit))
        bar = figure.colorbar(shown, ax=axes[len(rows) :].ravel().tolist(), fraction=0.03, pad=0.01)
        bar.ax.tick_params(labelsize=7)
        bar.set_label("difference of pixel values", fontsize=7)
    for axis, title in zip(axes[0], columns or [], strict=False):
        axis.set_title(title, fontsize=8)
    if words:
        figure.supxlabel("\n".join(words), fontsize=8, x=0.01, ha="left", multialignment="left")
    return figure


def save(figure: Figure, out: Path) -> None:
    """Write a figure, whole or not at all; the ending of its name says as what. Raises CladecError where
    nothing can be written, or for an ending of no picture."""
    partial = out.with_name(f".partial-{os.getpid()}-{out.name}")  # the ending as it is
    with store.writing_to(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            figure.savefig(partial, dpi=110)
            partial.replace(out)
        except ValueError as error:
            raise CladecError(
                f"{out} cannot be written ({error}); end its name in .png, .pdf or .svg."
            ) from None
        finally:
            partial.unlink(missing_ok=True)


def _nothing(rows: str) -> Figure:
    """What is shown of a group of images that has none."""
    figure = plt.figure(figsize=(WIDTH, 0.6), FigureClass=PlainFigure)
    figure.text(0.02, 0.5, f"There is no such image (rows: {rows}).", va="center", fontsize=9)
    return figure


def _range_checked(name: str, images: Tensor) -> Tensor:
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise CladecError(
            f"Row {name!r} has values from {low:.3g} to {high:.3g}; images are drawn in [0, 1]."
        )
    return images


def _draw_row(axes: Sequence[Axes], name: str, images: Tensor, cmap: str, limits: tuple[float, float]):
    shown = None
    for axis, image in zip(axes, images.detach().cpu(), strict=True):
        pixels = image.permute(1, 2, 0).numpy().squeeze()
        shown = axis.imshow(pixels, cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    axes[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, labelpad=6)
    return shown


def triplet_with_probabilities(
    images: Mapping[str, Tensor], probabilities: Mapping[str, Tensor], classes: Sequence[str], title: str
) -> Figure:
    """One image per name, (1, C, H, W) in [0, 1], above the classifier's probabilities (classes,) on it."""
    n = len(images)
    figure, axes = plt.subplots(
        2,
        n,
        figsize=(WIDTH, 4.6),
        height_ratios=(1, 1.3),
        layout="constrained",
        sharey="row",
        squeeze=False,
        FigureClass=PlainFigure,
    )
    figure.suptitle(title, fontsize=11)
    colours = (COLOURS["original"], COLOURS["RefAE"], COLOURS["ClaDec"])
    for i, (name, image) in enumerate(images.items()):
        _draw_row([axes[0, i]], "", _range_checked(name, image), "gray", (0.0, 1.0))
        axes[0, i].set_title(name, fontsize=10)
        axes[1, i].barh(range(len(classes)), probabilities[name].tolist(), color=colours[i % 3])
        axes[1, i].set(xlim=(0, 1), xlabel=f"C's probability on {name}", yticks=range(len(classes)))
        axes[1, i].tick_params(labelsize=8)
    axes[1, 0].set_yticklabels(classes)
    axes[1, 0].invert_yaxis()
    sns.despine(figure)
    return figure
