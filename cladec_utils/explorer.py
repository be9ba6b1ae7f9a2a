"""Slide alpha and see: a live widget (ipywidgets), and a page fragment that needs no kernel."""

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from cladec_utils import figures, recipes
from cladec_utils.data import as_float
from cladec_utils.notebook import decode
from cladec_utils.study import Study

DPI = 75


def _seen(study: Study, layer: str, alpha: float, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The triplet of one test image, and C's probabilities on each of its images."""
    seed, chosen = study.seeds[0], torch.tensor([index])
    images = {
        "X": as_float(study.data.test.images[chosen]),
        "X_R": decode(study.refae(layer, seed), study, chosen),
        "X_E": decode(study.cladec(layer, seed, alpha), study, chosen),
    }
    c = recipes.classifier(study.classifier(seed))
    return images, {name: recipes.predict(c, x).softmax(1)[0] for name, x in images.items()}


def view(study: Study, layer: str, alpha: float, index: int) -> Figure:
    """One triplet, and C's class probabilities on X, X_R and X_E side by side."""
    images, probabilities = _seen(study, layer, alpha, index)
    label = study.data.class_names[int(study.data.test.labels[index])]
    return figures.triplet_with_probabilities(
        images, probabilities, study.data.class_names, f"{label}, {layer}, alpha = {alpha:g}"
    )


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    plt.close(figure)
    return buffer.getvalue()


def explore(study: Study, layers: Sequence[str], alphas: Sequence[float], indices: Tensor) -> widgets.VBox:
    """The live view: a slider for alpha, menus for layer and image. Everything must be trained."""
    names = [study.data.class_names[i] for i in study.data.test.labels[indices]]
    slider = widgets.SelectionSlider(options=[(f"{a:g}", a) for a in alphas], description="alpha")
    layer = widgets.Dropdown(options=list(layers), value=layers[-1], description="layer")
    options = [
        (f"{i + 1}: {name}", int(index)) for i, (name, index) in enumerate(zip(names, indices, strict=True))
    ]
    image = widgets.Dropdown(options=options, description="image")
    picture = widgets.Image(format="png")

    def update(_change: object = None) -> None:
        picture.value = _png(view(study, layer.value, slider.value, image.value))

    for control in (slider, layer, image):
        control.observe(update, names="value")
    update()
    return widgets.VBox([widgets.HBox([slider, layer, image]), picture])


def slider_page(figures_by_alpha: Mapping[float, Figure], label: str) -> str:
    """HTML with a range input over embedded figures, one per alpha: works offline and without a kernel.

    `label` describes the figures for those who cannot see them.
    """
    identity = "alpha-" + "".join(c for c in label if c.isalnum())
    texts = [f"alpha = {alpha:g}" for alpha in figures_by_alpha]
    sources = [base64.b64encode(_png(figure)).decode() for figure in figures_by_alpha.values()]
    pictures = "".join(
        f'<img alt="{html.escape(label)}, {text}" '
        f'style="display: {"none" if i else "block"}; max-width: 100%" '
        f'src="data:image/png;base64,{source}">'
        for i, (text, source) in enumerate(zip(texts, sources, strict=True))
    )
    script = (
        "var n = +this.value, box = this.closest('div'), all = box.querySelectorAll('img');"
        "for (var i = 0; i < all.length; i++) all[i].style.display = i === n ? 'block' : 'none';"
        f"box.querySelector('output').textContent = {html.escape(json.dumps(texts))}[n];"
    )
    return (
        f'<div><label for="{identity}">{html.escape(label)}: slide alpha </label>'
        f'<input id="{identity}" type="range" min="0" max="{len(texts) - 1}" value="0" oninput="{script}">'
        f" <output>{texts[0]}</output>{pictures}</div>"
    )
