"""Relevance maps read from ClaDec's images, and the null that each must beat.

The paper shows three images, X, X_R and X_E, and leaves the reading to people; how its comparison with
saliency methods turned them into pixels we do not know. **All maps here are our readings**, none is
claimed to be the paper's:

- `gain`: |X - X_R| - |X - X_E|. Relevant is what the classifier keeps better than an autoencoder does.
- `difference`: |X_E - X_R|. Relevant is where knowing the classes changes the image.
- `match`: -|X - X_E|. Relevant is what comes back unchanged.
- `evidence`: |D(a) - D(a')|, D the ClaDec decoder, a the layer's activation, a' the same with every value
  zeroed that speaks for the target class (gradient x activation above 0). Relevant is what disappears
  from the image with the evidence for the class.

Absolute values are averaged over channels. **Nulls**: the same formula with a second RefAE in X_E's place
(what two reconstructions differ in anyway); with ClaDec on a classifier with random weights, decoder
retrained (what the architecture does without training); for `evidence` with as many *random* active
values zeroed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from cladec_utils.errors import CladecError
from cladec_utils.models import autoencoders
from cladec_utils.models.autoencoders import Autoencoder
from cladec_utils.models.inference import predict


@dataclass(frozen=True)
class Subject:
    """What maps are made of: the classifier under explanation and, for ClaDec's maps, its explainers.

    `camera` names the layer that Grad-CAM looks at (empty: none). `cladec` gives X_E, `refae` X_R;
    `second` is another RefAE and `ignorant` ClaDec on a classifier with random weights, for the nulls.
    """

    classifier: nn.Module
    camera: str = ""
    cladec: Autoencoder | None = None
    refae: Autoencoder | None = None
    second: Autoencoder | None = None
    ignorant: Autoencoder | None = None
    seed: int = 0


Map = Callable[[Subject, Tensor, Tensor], Tensor]


UNITS_SEED = 74


def _image(network: Autoencoder | None, role: str, images: Tensor) -> Tensor:
    if network is None:
        raise CladecError(f"This map needs the subject's {role!r}, which is None; give a trained one.")
    return predict(network, images)


def gain(subject: Subject, images: Tensor, _targets: Tensor) -> Tensor:
    """|X - X_R| - |X - X_E|, channels averaged; range [-1, 1], signed. Ours."""
    reference = (images - _image(subject.refae, "refae", images)).abs()
    return (reference - (images - _image(subject.cladec, "cladec", images)).abs()).mean(1)


def difference(subject: Subject, images: Tensor, _targets: Tensor) -> Tensor:
    """|X_E - X_R|, channels averaged; range [0, 1]. Ours."""
    explained = _image(subject.cladec, "cladec", images)
    return (explained - _image(subject.refae, "refae", images)).abs().mean(1)


def match(subject: Subject, images: Tensor, _targets: Tensor) -> Tensor:
    """-|X - X_E|, channels averaged; range [-1, 0]. Ours."""
    return -(images - _image(subject.cladec, "cladec", images)).abs().mean(1)


def evidence(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """|D(a) - D(a')|, a' without the values that speak for the target, channels averaged; range [0, 1].
    Ours."""
    return _without(subject, images, targets, random=False)


def random_units(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """|D(a) - D(a')|, a' without as many random active values, channels averaged; range [0, 1]. Ours.
    Null of `evidence`."""
    return _without(subject, images, targets, random=True)


def _without(subject: Subject, images: Tensor, targets: Tensor, random: bool) -> Tensor:
    if subject.cladec is None:
        _image(None, "cladec", images)
    draw = torch.Generator().manual_seed(UNITS_SEED + subject.seed) if random else None
    return autoencoders.evidence(subject.cladec, images, targets, draw)


INSTEAD = {
    "second": "X_E replaced by a second RefAE's image",
    "ignorant": "ClaDec replaced by one on a classifier with random weights, its decoder retrained",
}
"""What stands in X_E's place in a null, by the subject's network."""


def _in_place_of_x_e(function: Map, role: str) -> Map:
    def null(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
        return function(replace(subject, cladec=getattr(subject, role)), images, targets)

    null.__doc__ = f"{function.__doc__} Null: {INSTEAD[role]}."
    return null


CLADEC: dict[str, Map] = {"gain": gain, "difference": difference, "match": match, "evidence": evidence}
NULLS: dict[str, Map] = {
    **{f"{n}, second RefAE": _in_place_of_x_e(CLADEC[n], "second") for n in ("gain", "difference", "match")},
    "evidence, random units": random_units,
    **{f"{n}, random weights": _in_place_of_x_e(f, "ignorant") for n, f in CLADEC.items()},
}
NETWORKS_OF_THEIR_OWN = tuple(f"{n}, {of}" for n in CLADEC for of in ("second RefAE", "random weights"))
"""Nulls for which further networks have to be trained."""
NULL_OF = {null: null.split(",")[0] for null in NULLS}
"""null -> the map that it belongs to."""
