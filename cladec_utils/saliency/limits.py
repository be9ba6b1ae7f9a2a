"""What a map over pixels cannot show: a property of the same pixels that the classifier does not use.

On planted garments (see `planted`) labels depend on the kind of garment, its brightness and the
background, not on tint. Tint and brightness sit on the same pixels, and a map has one number per pixel,
so one map cannot say which of the two made a pixel relevant. Two maps, before and after a *known* edit,
can differ: but to make the edit one must know the property. A decoded image keeps a property or drops
it, and where X_R keeps it, that tells of the classifier. At alpha 0 the image shows what the layer holds,
with much weight on C's loss what C uses; the example has both.
"""

import pandas as pd
import torch
from torch import Tensor

from cladec_utils.claims.required import FAITHFUL_ALPHA
from cladec_utils.data import planted
from cladec_utils.data.sources import garments
from cladec_utils.engine.spec import Spec
from cladec_utils.models import inference
from cladec_utils.models.attribution import CLADEC, Subject
from cladec_utils.models.autoencoders import Autoencoder
from cladec_utils.models.inference import as_float
from cladec_utils.saliency.maps import rank_correlation, relevance_maps
from cladec_utils.saliency.methods import CONTROLS, SALIENCY, default_camera
from cladec_utils.study import classifiers, explainers
from cladec_utils.study.explainers import ExplainerSpec
from cladec_utils.study.study import Study, open_study

DATASET = "planted-brightness-background"
FACTORS = {"tint": "irrelevant", "brightness": "relevant"}
"""Two properties of the garment's own pixels, and what the labels of DATASET make of them."""
SCENES_SEED = 61


def study_like(study: Study) -> Study:
    """The planted study with the profile and architecture of `study`, its first seed, and the earliest of
    the profile's layers for planted concepts: what is missing from X_E says something about the classifier
    only where X_R shows it, and later layers show it less."""
    architecture = "vgg" if study.own else study.architecture
    layers = study.profile.planted_layers[architecture][:1]
    return open_study(study.profile.source, DATASET, architecture, layers, study.seeds[:1])


def plan(study: Study) -> list[Spec]:
    """What has to be trained for the example: RefAE, and ClaDec at two alphas, of one classifier's layer."""
    return [study.classifier(study.seeds[0]), *_explainers(study).values()]


def _explainers(study: Study) -> dict[str, ExplainerSpec]:
    layer, seed = study.layers[0], study.seeds[0]
    x_e = {f"X_E, alpha {alpha:g}": study.cladec(layer, seed, alpha) for alpha in (0.0, FAITHFUL_ALPHA)}
    return {"X_R": study.refae(layer, seed), **x_e}


def reconstructors(study: Study) -> dict[str, Autoencoder]:
    """The example's trained explainers: X_R, and X_E at alpha 0 and at the alpha that C3 is tested with."""
    return {name: explainers.explainer(spec) for name, spec in _explainers(study).items()}


def subject(study: Study) -> Subject:
    """The trained networks that the example's maps are made of; ClaDec's at alpha 0."""
    layer, seed = study.layers[0], study.seeds[0]
    c = classifiers.classifier(study.classifier(seed))
    cladec = explainers.explainer(study.cladec(layer, seed, 0.0))
    refae = explainers.explainer(study.refae(layer, seed))
    return Subject(c, default_camera(c, study.data.image_shape), cladec, refae, seed=seed)


def pairs(factor: str, count: int) -> tuple[Tensor, Tensor]:
    """The same `count` scenes of test garments with `factor` at its first and at its second level: two
    tensors (N, 3, 32, 32) in [0, 1]."""
    scenes = planted.make_scenes(garments().test, SCENES_SEED)
    scenes = scenes.subset(torch.arange(count))
    column = list(planted.FACTORS).index(factor)
    other = scenes.edited(factor)
    first = scenes.levels[:, column, None] == 0
    levels = torch.where(first, scenes.levels, other.levels), torch.where(first, other.levels, scenes.levels)
    low, high = (
        as_float(planted.render(planted.Scenes(scenes.garments, scenes.group, each, scenes.jitter)))
        for each in levels
    )
    return low, high


def compare(study: Study, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What an edit of each factor does, over `count` pairs of images.

    First table, a row per factor: the share of decisions that change, and how much of the pairs'
    difference each reconstruction keeps (slope of its difference on that of X; 1: all, 0: nothing).
    Second table: mean rank correlation between the maps of a pair, a row per map, two columns per factor:
    each map for its image's own decision, and (`same target`) both for the decision before the edit.
    """
    network, drawn = subject(study), reconstructors(study)
    facts, stays = [], {}
    for factor, role in FACTORS.items():
        low, high = pairs(factor, count)
        before, after = (inference.predict(network.classifier, x).argmax(1) for x in (low, high))
        kept = {f"kept in {name}": _kept(explainer, low, high) for name, explainer in drawn.items()}
        changed = (before != after).float().mean().item()
        facts.append({"factor": factor, "labels make it": role, "decisions changed": changed, **kept})
        functions = {**CONTROLS, **SALIENCY, **CLADEC}
        old, own, same = (
            relevance_maps(network, x, y, functions)
            for x, y in ((low, before), (high, after), (high, before))
        )
        for column, new in ((factor, own), (f"{factor}, same target", same)):
            stays[column] = {n: rank_correlation(old[n], new[n]).mean().item() for n in functions}
    return pd.DataFrame(facts).set_index("factor"), pd.DataFrame(stays)


def _kept(explainer: Autoencoder, low: Tensor, high: Tensor) -> float:
    wanted = high - low
    got = inference.predict(explainer, high) - inference.predict(explainer, low)
    return float((wanted * got).sum() / wanted.square().sum())
