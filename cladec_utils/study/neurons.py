"""Subsets of a layer's neurons: random ones, and those most and least important for the decision."""

import torch
from torch import Tensor

from cladec_utils.engine.device import best_device, reproducible
from cladec_utils.models.encoder import activation_and_gradient
from cladec_utils.models.inference import as_float
from cladec_utils.models.layers import find_layer
from cladec_utils.models.training import EVAL_BATCH
from cladec_utils.study import classifiers
from cladec_utils.study.classifiers import AnyClassifier
from cladec_utils.study.study import Study


def count(study: Study, layer: str) -> int:
    """Number of channels or units of a layer."""
    return find_layer(study.probe(), layer, study.data.image_shape).neurons


def random(total: int, size: int, draw: int) -> tuple[int, ...]:
    """`size` of `total` neurons, drawn without replacement with the seed `draw`, sorted."""
    order = torch.randperm(total, generator=torch.Generator().manual_seed(draw))
    return tuple(sorted(order[:size].tolist()))


def importance(
    study: Study, layer: str, seed: int, classifier: AnyClassifier | None = None
) -> tuple[Tensor, Tensor]:
    """Gradient x activation of the predicted class's logit, per training image and neuron.

    Summed over positions: to first order, how much the logit would fall without the neuron
    (Simonyan et al. 2013 for gradients; Shrikumar et al. 2016 for the product). Test images take no part.
    `classifier` None is the study's of that seed. Returns (N, K) attributions,
    positive where the neuron speaks for the class, and (N,) predictions.
    """
    network = classifiers.classifier(classifier or study.classifier(seed))
    layout = find_layer(network, layer, study.data.image_shape).layout
    parts, predictions = [], []
    with reproducible(0):
        for batch in study.data.train.images.split(EVAL_BATCH):
            pixels = as_float(batch.to(best_device()))
            best = network(pixels).argmax(1)
            activation, gradient = activation_and_gradient(network, layer, pixels, best)
            product = layout.channels_first(gradient * activation)
            parts.append(product.flatten(2).sum(2) if product.dim() > 2 else product)
            predictions.append(best)
    return torch.cat(parts).cpu(), torch.cat(predictions).cpu()


def ranked(
    study: Study,
    layer: str,
    seed: int,
    of_class: int | None = None,
    classifier: AnyClassifier | None = None,
) -> list[int]:
    """All neurons from most to least important: by mean absolute attribution over all training images,
    or, for `of_class`, by mean signed attribution over the images predicted as that class minus the
    mean over the others, so that neurons that serve every class do not come first."""
    values, predictions = importance(study, layer, seed, classifier)
    if of_class is None:
        score = values.abs().mean(0)
    else:
        mine = predictions == of_class
        if not mine.any() or mine.all():
            return list(range(values.shape[1]))
        score = values[mine].mean(0) - values[~mine].mean(0)
    return score.argsort(descending=True, stable=True).tolist()
