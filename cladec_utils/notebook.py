"""What notebooks share: the opening line, train-or-load messages, choosing images, showing and recording."""

import io
import json
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from cladec_utils import config, grid, recipes, store
from cladec_utils.specs import Explainer, Spec
from cladec_utils.splits import rank_in_class
from cladec_utils.study import Study


def begin(study: Study) -> None:
    """Say what this run uses."""
    d = study.data_spec
    print(
        f"profile {study.profile.name}: {d.dataset} ({d.n_train} training, {d.n_test} test images of", end=" "
    )
    print(f"{d.image_size}x{d.image_size}), {study.architecture} at width {study.profile.width:g}")
    print(
        f"layers {', '.join(study.layers)}; seeds {', '.join(map(str, study.seeds))}; alpha {study.alpha:g}"
    )


def prepare(plan: Sequence[Spec]) -> None:
    """Train or measure what is missing of `plan`, load the rest, and say how much was which."""
    made = grid.compute(plan)
    seconds = sum(store.get(spec).seconds for spec in made)
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


def decode(spec: Explainer, study: Study, indices: Tensor) -> Tensor:
    """X_E or X_R of the test images at `indices`: (N, C, H, W) floats in [0, 1]."""
    return recipes.predict(recipes.explainer(spec), study.data.test.images[indices])


def show(figure: Figure, alt: str) -> None:
    """Display a figure with a text for those who cannot see it, and close it."""
    drawn, kept = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110, facecolor="white", metadata={"Software": None})
    plt.close(figure)
    # As small as it gets with every colour kept: a palette would change faint tints and colour bars.
    Image.open(drawn).convert("RGB").save(kept, "png", optimize=True)
    display({"image/png": kept.getvalue(), "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt}})


GENERAL = "general"
"""The folder of notebooks that belong to no single study."""


def record(study: Study, notebook: str, metrics: Mapping[str, float]) -> None:
    """Write a notebook's headline figures to `results/<profile>/<study>/<notebook>/metrics.json`."""
    _record(study.profile.name, study.name, notebook, metrics, describe(study))


def record_plain(notebook: str, metrics: Mapping[str, float], profile: str | None = None) -> None:
    """The same for a notebook that belongs to no study, in the folder `general`; None: the set profile."""
    name = config.get_profile(profile).name
    _record(name, GENERAL, notebook, metrics, {"profile": name})


def _record(
    profile: str, folder: str, notebook: str, metrics: Mapping[str, float], study: Mapping[str, object]
) -> None:
    # NaN becomes null: JSON has no other word for it.
    clean = {k: float(v) if pd.notna(v) else None for k, v in metrics.items()}
    text = json.dumps({"notebook": notebook, "study": study, "metrics": clean}, indent=1)
    store.write_text(config.results_dir(profile) / folder / notebook / "metrics.json", text)
    print(f"recorded {len(clean)} figures in results/{profile}/{folder}/{notebook}/metrics.json")


def save_table(study: Study, name: str, table: pd.DataFrame) -> None:
    """Write a tidy table to `results/<profile>/<study>/<name>.csv`."""
    path = config.results_dir(study.profile.name) / study.name / f"{name}.csv"
    store.write_text(path, table.to_csv(index=False))


def describe(study: Study) -> dict[str, object]:
    """The choices of a study as plain data."""
    return {
        "profile": study.profile.name,
        "dataset": study.data_spec.dataset,
        "architecture": study.architecture,
        "layers": list(study.layers),
        "seeds": list(study.seeds),
        "alpha": study.alpha,
        "alphas": list(study.profile.alphas),
        "neurons": None if study.neurons is None else list(study.neurons),
    }
