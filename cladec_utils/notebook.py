"""What only notebooks need: the opening line, train or load, images chosen and shown, records, sliders."""

import base64
import html
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import ipywidgets as widgets
import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import display
from matplotlib.backends.registry import BackendFilter, backend_registry
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from cladec_utils.data.splits import rank_in_class
from cladec_utils.engine import grid, progress, store, tables
from cladec_utils.engine.spec import Spec
from cladec_utils.models import inference
from cladec_utils.models.inference import as_float
from cladec_utils.plots import images as plots_images
from cladec_utils.study import classifiers, explainers, profiles
from cladec_utils.study.explainers import ExplainerSpec
from cladec_utils.study.folders import General, HasFolder, differences
from cladec_utils.study.quality import measured
from cladec_utils.study.study import Study

pd.set_option("display.html.use_mathjax", False)  # names in tables are no formulas

WINDOWS = {name.lower() for name in backend_registry.list_builtin(BackendFilter.INTERACTIVE)}
"""The backends of matplotlib that open windows."""
_written: Counter[str] = Counter()
"""How many figures of a name this process has written."""


def begin(study: Study) -> None:
    """Say what this run uses."""
    d = study.data_spec
    print(
        f"profile {study.profile.name}: {d.dataset} ({d.n_train} training, {d.n_test} test images of", end=" "
    )
    what = study.architecture if study.own else f"{study.architecture} at width {study.profile.width:g}"
    print(f"{d.image_size}x{d.image_size}), {what}")
    print(
        f"layers {', '.join(study.layers)}; seeds {', '.join(map(str, study.seeds))}; alpha {study.alpha:g}"
    )


def prepare(plan: Sequence[Spec]) -> None:
    """Train or measure what is missing of `plan`, load the rest, and say how much was which."""
    made = grid.compute(plan)
    seconds = sum(store.record(spec).seconds for spec in made)
    if made:
        print(f"made {len(made)} artifacts in {seconds:.0f} s of work; later runs load them")
    else:
        print(f"loaded all {len(plan)} results from the store: nothing to train")


def pick_images(study: Study, count: int, seed: int = 0, of: Tensor | None = None) -> Tensor:
    """Indices of `count` test images, class after class in a random order given by `seed`.

    `of` (bool, one per test image) restricts the choice; fewer are returned if it holds for fewer.
    """
    labels = study.data.test.labels
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    if of is not None:
        order = order[of[order]]
    # First every class once, by class; then every class a second time, ...
    sorting = rank_in_class(labels[order]) * len(study.data.class_names) + labels[order]
    return order[sorting.argsort(stable=True)][:count]


def decode(spec: ExplainerSpec, study: Study, indices: Tensor) -> Tensor:
    """X_E or X_R of the test images at `indices`: (N, C, H, W) floats in [0, 1]."""
    return inference.predict(explainers.explainer(spec), study.data.test.images[indices])


def show_triplets(x: Tensor, x_r: Tensor, x_e: Tensor, out: str | Path | None = None) -> None:
    """Show explanations: rows X, X_R and X_E of the same images, (N, C, H, W), uint8 or float in [0, 1], and
    below them how far to trust them, as these images tell; `cu.quality` asks more. X may have a higher
    resolution. Where and with `out`: see `show`."""
    rows = {"X": x, "X_R": x_r, "X_E": x_e}
    rows = {k: as_float(v) if v.dtype == torch.uint8 else v.detach() for k, v in rows.items()}
    said = "one image does not tell how much X_E explains: show more, or ask cu.quality"
    if len(x) > 1:
        said = str(measured(x, x_e, x_r, which=f"of these {len(x)} images"))
    alt = f"{len(x)} images: originals, RefAE's and ClaDec's reconstructions. {said}"
    show(plots_images.image_rows(rows, below=said), alt, out, "triplets.png")


def show(figure: Figure, alt: str, out: str | Path | None = None, name: str = "figure.png") -> None:
    """Show a figure, with a text for those who cannot see it, and close it.

    In a notebook it is displayed, elsewhere in a window if matplotlib has any. Where it has none it is
    written to the working folder as `name`, a second one of that name as name-2, and so on; with `out` it is
    written there in any case. What was written is said.
    """
    try:
        _shown(figure, alt, out, name)
    finally:
        plt.close(figure)


def _shown(figure: Figure, alt: str, out: str | Path | None, name: str) -> None:
    if out is not None:
        _save(figure, Path(out))
    if progress.in_notebook():
        png = _png(figure)
        data = {"image/png": png, "text/plain": alt}
        display(data, raw=True, metadata={"image/png": {"alt": alt}})
    elif matplotlib.get_backend().lower() in WINDOWS:
        plt.show()
    elif out is None:
        _written[name] += 1
        place = Path(name)
        number = f"-{_written[name]}" if _written[name] > 1 else ""
        _save(figure, place.with_stem(f"{place.stem}{number}"))


def _save(figure: Figure, out: Path) -> None:
    plots_images.save(figure, out)
    print(f"wrote {out}")


def _png(figure: Figure) -> bytes:
    drawn, kept = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110, facecolor="white", metadata={"Software": None})
    # As small as it gets with every colour kept: a palette would change faint tints and colour bars.
    Image.open(drawn).convert("RGB").save(kept, "png", optimize=True)
    return kept.getvalue()


def record(of: HasFolder, notebook: str, metrics: Mapping[str, float]) -> None:
    """Write a notebook's headline figures to `<notebook>/metrics.json` in the results folder of a study."""
    folder = of.folder
    # NaN becomes null: JSON has no other word for it.
    clean = {k: float(v) if pd.notna(v) else None for k, v in metrics.items()}
    text = json.dumps({"notebook": notebook, "study": folder.made_from, "metrics": clean}, indent=1)
    folder.write(f"{notebook}/metrics.json", text)
    print(f"recorded {len(clean)} figures in results/{folder.profile}/{folder.name}/{notebook}/metrics.json")


def record_plain(
    notebook: str,
    metrics: Mapping[str, float],
    profile: str | None = None,
    chosen: Mapping[str, object] | None = None,
    usual: Mapping[str, object] | None = None,
) -> None:
    """The same for a notebook that belongs to no study, in a folder for all of these; if it has `chosen`
    anything that is not `usual`, in one of its own. `profile` None: the set one."""
    differs = differences(chosen or {}, usual or {})
    record(General(profiles.get_profile(profile).name, differs), notebook, metrics)


def save_table(of: HasFolder, name: str, table: pd.DataFrame) -> None:
    """Write a tidy table to `<name>.csv` in the results folder of a study."""
    of.folder.write(f"{name}.csv", tables.for_people(table))


EXPLORER_DPI = 75


def _seen(study: Study, layer: str, alpha: float, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The triplet of one test image, and C's probabilities on each of its images."""
    seed, chosen = study.seeds[0], torch.tensor([index])
    images = {
        "X": as_float(study.data.test.images[chosen]),
        "X_R": decode(study.refae(layer, seed), study, chosen),
        "X_E": decode(study.cladec(layer, seed, alpha), study, chosen),
    }
    c = classifiers.classifier(study.classifier(seed))
    return images, {name: inference.predict(c, x).softmax(1)[0] for name, x in images.items()}


def view(study: Study, layer: str, alpha: float, index: int) -> Figure:
    """One triplet, and C's class probabilities on X, X_R and X_E side by side."""
    images, probabilities = _seen(study, layer, alpha, index)
    label = study.data.class_names[int(study.data.test.labels[index])]
    return plots_images.triplet_with_probabilities(
        images, probabilities, study.data.class_names, f"{label}, {layer}, alpha = {alpha:g}"
    )


def _explorer_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=EXPLORER_DPI, facecolor="white")
    plt.close(figure)
    return buffer.getvalue()


def explore(study: Study, layers: Sequence[str], alphas: Sequence[float], indices: Tensor) -> widgets.VBox:
    """The live view: a slider for alpha, menus for layer and image. Everything must be trained."""
    names = [study.data.class_names[i] for i in study.data.test.labels[indices]]
    numbered = [(f"{i}: {name}", int(k)) for i, (name, k) in enumerate(zip(names, indices, strict=True), 1)]
    controls = {
        "alpha": widgets.SelectionSlider(options=[(f"{a:g}", a) for a in alphas], description="alpha"),
        "layer": widgets.Dropdown(options=list(layers), value=layers[-1], description="layer"),
        "index": widgets.Dropdown(options=numbered, description="image"),
    }

    def draw(layer: str, alpha: float, index: int) -> None:
        show(view(study, layer, alpha, index), f"X, X_R, X_E and C's probabilities, {layer}, alpha {alpha:g}")

    picture = widgets.interactive_output(draw, controls)
    return widgets.VBox([widgets.HBox(list(controls.values())), picture])


def slider_page(figures_by_alpha: Mapping[float, Figure], label: str) -> str:
    """HTML with a range input over embedded figures, one per alpha: works offline and without a kernel.

    `label` describes the figures for those who cannot see them.
    """
    identity = "alpha-" + "".join(c for c in label if c.isalnum())
    texts = [f"alpha = {alpha:g}" for alpha in figures_by_alpha]
    sources = [base64.b64encode(_explorer_png(figure)).decode() for figure in figures_by_alpha.values()]
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
