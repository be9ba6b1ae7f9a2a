"""Stimuli of a user study and what is objectively true of them.

**Truth A, interventional.** One concept of the image is edited, all edits aiming at the same root mean square
change of the pixels (`edits`), and the change of C's softmax is measured as total variation
(half the sum of absolute differences, 0 to 1). A concept is *used* where the total variation is at least
`USED`, *not used* where it is at most `UNUSED`, and not scored in between. Both were fixed before any
response was collected. Where an edit could not reach the intended change and the prediction did not
move, nothing is concluded.

**Truth B, planted.** For planted data the labels depend on two known factors. The factor is flipped by
rendering the image anew, and the change of the softmax is kept as a check of the manipulation.

The two are never merged: an edit of 0.1 is not a flipped factor, and "not used at this strength" is not
"irrelevant by construction".
"""

from dataclasses import dataclass

from torch import Tensor

from cladec_utils.data import datasets
from cladec_utils.data.planted import relevant, render
from cladec_utils.engine import store
from cladec_utils.models import inference
from cladec_utils.models.inference import as_float
from cladec_utils.study import explainers
from cladec_utils.user_study.edits import TARGET_RMS
from cladec_utils.user_study.spec import CONCEPTS, EXAMPLE, UserStudySpec

USED, UNUSED = 0.25, 0.05
REACHED = 0.9  # share of the intended change below which an unmoved prediction proves nothing


def flips_shown(spec: UserStudySpec) -> dict[str, dict[str, float]]:
    """How much of a flipped planted factor the decoded pictures of the study's images show.

    Per concept that has a factor, and per kind of picture (`x_r`, `x_e_0`, `x_e_1`): the root mean square
    change of that picture when X is rendered anew with only this factor flipped, divided by that of X.
    Around 1 the change is shown at the size it has in X, at 0 not at all. Empty for data not planted.
    """
    if not spec.planted:
        return {}
    data = spec.explained[0].classifier.data
    index = store.get(spec, progress=False).tensors["index"][: spec.images]
    scenes = datasets.whole(data).test.scenes.subset(datasets.chosen_images(data)[2][index])
    factors = {c: CONCEPTS[c].factors[0] for c in spec.concepts if CONCEPTS[c].factors}
    flipped = {c: render(scenes.edited(f)) for c, f in factors.items()}
    before = render(scenes)
    found = {c: {"x": _rms(as_float(after) - as_float(before))} for c, after in flipped.items()}
    decoders = {"x_r": spec.reference} | {f"x_e_{k}": e for k, e in enumerate(spec.explained)}
    for name, decoder in decoders.items():
        network = explainers.explainer(decoder)
        plain = inference.predict(network, before)
        for c, after in flipped.items():
            found[c][name] = _rms(inference.predict(network, after) - plain) / found[c]["x"]
    return {c: {name: v for name, v in row.items() if name != "x"} for c, row in found.items()}


def _rms(change: Tensor) -> float:
    return change.square().mean().sqrt().item()


@dataclass(frozen=True)
class Item:
    """One question of the study: an image under one classifier, which gives the answer `class_name`.

    `pictures` are (C, H, W) floats in [0, 1] by name (x, x_r, x_e, perhaps sham). `truth_a` and
    `truth_b` say per concept whether it is used, None where it is not scored; `shift` and `planted` are
    the total variations behind them, `rms` the size of each edit.
    """

    image: int
    classifier: int
    class_name: str
    pictures: dict[str, Tensor]
    shift: dict[str, float]
    rms: dict[str, float]
    planted: dict[str, float]
    truth_a: dict[str, bool | None]
    truth_b: dict[str, bool | None]


@dataclass(frozen=True)
class Items:
    """The questions of a study: `main` has all images under all classifiers; practice and the example are
    other images, under the classifiers in turn."""

    main: list[Item]
    practice: list[Item]
    example: Item


def items(spec: UserStudySpec, progress: bool = True) -> Items:
    """The study's items; what is missing of them is computed first."""
    tensors = store.get(spec, progress).tensors
    classifiers = range(len(spec.explained))
    main = [_item(spec, tensors, i, k) for i in range(spec.images) for k in classifiers]
    pools = [
        [_item(spec, tensors, i, k) for i in range(spec.images, len(tensors["index"]))] for k in classifiers
    ]
    others: dict[int, Item] = {}
    for number in range(spec.practice + EXAMPLE):
        left = [item for item in pools[number % len(pools)] if item.image not in others]
        chosen = min(left, key=_teaches_little)
        others[chosen.image] = chosen
    *practice, example = others.values()
    return Items(main, practice, example)


def _teaches_little(item: Item) -> bool:
    """Practice needs something to learn: a concept that is used and one that is not."""
    return not {True, False} <= set(item.truth_a.values())


def _item(spec: UserStudySpec, tensors: dict[str, Tensor], i: int, k: int) -> Item:
    data = spec.explained[k].classifier.data
    names = {"x": "x", "x_r": "x_r", "x_e": f"x_e_{k}"} | ({"sham": f"sham_{k}"} if spec.shams else {})
    shift, rms, planted = (tensors[n][i].tolist() for n in (f"tv_{k}", "rms", f"tv_planted_{k}"))
    factors = relevant(data.dataset) if spec.planted else ()
    by_factor = {c: any(f in factors for f in CONCEPTS[c].factors) for c in spec.concepts}
    return Item(
        image=int(tensors["index"][i]),
        classifier=k,
        class_name=datasets.load(data).class_names[int(tensors[f"answer_{k}"][i])],
        pictures={name: tensors[key][i] for name, key in names.items()},
        shift=dict(zip(spec.concepts, shift, strict=True)),
        rms=dict(zip(spec.concepts, rms, strict=True)),
        planted=dict(zip(spec.concepts, planted, strict=True)),
        truth_a={c: interventional(s, r) for c, s, r in zip(spec.concepts, shift, rms, strict=True)},
        truth_b={c: by_factor[c] if spec.planted and CONCEPTS[c].factors else None for c in spec.concepts},
    )


def interventional(shift: float, rms: float) -> bool | None:
    """Truth A of one concept of one image, from the total variation and the size of the edit."""
    if shift >= USED:
        return True
    return False if shift <= UNUSED and rms >= REACHED * TARGET_RMS else None
