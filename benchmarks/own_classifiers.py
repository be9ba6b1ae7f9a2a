"""Which classifiers of others the kit explains: every step on networks that it has never seen, random
weights.

Each cell is what a user meets: the step works, or one sentence says why not. Anything else, such as a
traceback that is no sentence, ends the run.

    python benchmarks/own_classifiers.py           writes own_classifiers.csv and the table of
                                                   docs/your-own-classifier.md
"""

import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from common import write
from torch import nn
from torchvision.ops import Permute

import cladec_utils as cu
from cladec_utils.engine import paths
from cladec_utils.models.layers import list_layers

SIDES, IMAGES, CLASSES = (64, 224), 4, 1000
TORCHVISION = {
    "resnet18": "layer3",
    "mobilenet_v3_small": "features.6",
    "efficientnet_b0": "features.4",
    "regnet_y_400mf": "trunk_output.block3",
    "densenet121": "features.denseblock3",
    "convnext_tiny": "features.5",
    "vit_b_16": "encoder.layers.encoder_layer_5",
    "swin_t": "features.5",
    "googlenet": "inception4a",
}
STEPS = ("list_layers", "ClaDec", "RefAE", "alpha .1", "attribute", "save, load")
PAGE = Path("docs") / "your-own-classifier.md"
LONGEST = 40
"""Letters of a cell; what is longer is a sentence."""
BEGIN, END = "<!-- made by benchmarks/own_classifiers.py -->", "<!-- end -->"


def networks(side: int) -> dict[str, tuple[Callable[[], nn.Module], str]]:
    """By name: what builds a classifier of images of that side, and the layer to explain."""
    found = {
        name: (lambda name=name: torchvision.models.get_model(name, **_options(name, side)), layer)
        for name, layer in TORCHVISION.items()
    }
    wide = nn.Linear(3 * side * side, 64)
    found["MLP"] = (lambda: nn.Sequential(nn.Flatten(), wide, nn.ReLU(), nn.Linear(64, CLASSES)), "2")
    found["patch transformer"] = (lambda: patch_transformer(side), "block")
    small = torchvision.models.resnet18
    found["DataParallel"] = (lambda: nn.DataParallel(small()), "module.layer3")
    found["torch.compile"] = (lambda: torch.compile(small()), "layer3")
    return found


def _options(name: str, side: int) -> dict[str, object]:
    options = {"vit_b_16": {"image_size": side}, "googlenet": {"init_weights": False}}
    return {"weights": None, **options.get(name, {})}


def patch_transformer(side: int) -> nn.Module:
    """A transformer of patches without a class token."""
    net = nn.Sequential()
    net.add_module("patches", nn.Conv2d(3, 64, side // 8, side // 8))
    net.add_module("row", nn.Sequential(nn.Flatten(2), Permute([0, 2, 1])))
    net.add_module("block", nn.TransformerEncoderLayer(64, 4, 128, batch_first=True))
    net.add_module("mean", nn.Sequential(Permute([0, 2, 1]), nn.AdaptiveAvgPool1d(1), nn.Flatten()))
    net.add_module("logits", nn.Linear(64, CLASSES))
    return net


def tried(build: Callable[[], nn.Module], layer: str, side: int) -> dict[str, str]:
    """What each step says of one classifier: "yes", with what is worth knowing, or a sentence."""
    torch.manual_seed(0)
    model = build().eval()
    images = torch.rand(IMAGES, 3, side, side)
    fit = {"updates": 1, "progress": False}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "explainer.safetensors"
        cladec = cu.ClaDec(model, layer, width=0.25)
        refae = cu.RefAE(model, layer, width=0.25)
        steps = {
            "list_layers": lambda: f"{len(list_layers(model, (3, side, side)))}",
            "ClaDec": lambda: f"{cladec.fit(images, **fit).encoder.layout}",
            "RefAE": lambda: f"{refae.fit(images, **fit).reference}",
            "alpha .1": lambda: cu.ClaDec(model, layer, width=0.25, alpha=0.1).fit(images, **fit) and "yes",
            "attribute": lambda: _shape(cladec.attribute(images[:2]), side),
            "save, load": lambda: _saved(cladec, file, model, images),
        }
        return {name: _said(step) for name, step in steps.items()}


def _shape(heat: torch.Tensor, side: int) -> str:
    assert heat.shape == (2, 1, side, side)
    return "yes"


def _saved(cladec: cu.ClaDec, file: Path, model: nn.Module, images: torch.Tensor) -> str:
    cladec.save(file)
    assert torch.equal(cu.ClaDec.load(file, model)(images), cladec(images))
    return "yes"


def _said(step: Callable[[], str]) -> str:
    try:
        return step()
    except cu.CladecError as error:
        return str(error)


def page(rows: list[dict[str, str]]) -> None:
    """Put the table into the documentation; sentences become notes below it."""
    notes: list[str] = []

    def cell(text: str) -> str:
        if len(text) < LONGEST:
            return text
        if text not in notes:
            notes.append(text)
        return f"[{notes.index(text) + 1}]"

    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell(row[name]) for name in names) + " |" for row in rows]
    lines += ["", *(f"[{i}] {note}\n" for i, note in enumerate(notes, 1))]
    path = paths.home() / PAGE
    table = "\n".join([BEGIN, *lines, END])
    text = path.read_text("utf-8")
    path.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: table, text, flags=re.DOTALL), "utf-8")


def main() -> None:
    """Try all and write both."""
    warnings.simplefilter("ignore")
    rows = []
    for side in SIDES:
        for name, (build, layer) in networks(side).items():
            rows.append(
                {"classifier": name, "pixels": str(side), "layer": layer, **tried(build, layer, side)}
            )
            print(rows[-1], flush=True)
    write("own_classifiers", rows)
    page(rows)


if __name__ == "__main__":
    main()
