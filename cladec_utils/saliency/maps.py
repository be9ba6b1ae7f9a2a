"""Relevance maps side by side: the standard set, computing them, and how far two rankings agree.

Add a map of your own in five lines (see `methods` for the protocol):

    def input_x_gradient(subject, images, targets):
        network, device = private(subject.classifier), best_device()
        x = images.to(device).clone().requires_grad_()
        network(x).gather(1, targets.to(device)[:, None]).sum().backward()
        return (x * x.grad).sum(1)

    maps = maps.relevance_maps(subject, images, targets, {"mine": input_x_gradient, **methods.SALIENCY})

`encoder.private` gives a frozen copy of the classifier on `device.best_device()`.
"""

from collections.abc import Mapping

import pandas as pd
import torch
from scipy.stats import kendalltau, rankdata
from torch import Tensor

from cladec_utils.engine.progress import progress_bar
from cladec_utils.models.attribution import CLADEC, NULLS, Map, Subject
from cladec_utils.saliency.faithfulness import check_maps
from cladec_utils.saliency.methods import CONTROLS, SALIENCY

MAPS: dict[str, Map] = {**CONTROLS, **SALIENCY, **CLADEC, **NULLS}
GROUPS = {"control": CONTROLS, "saliency": SALIENCY, "ClaDec": CLADEC, "null": NULLS}
GROUP_OF = {name: group for group, members in GROUPS.items() for name in members}


def relevance_maps(
    subject: Subject,
    images: Tensor,
    targets: Tensor,
    functions: Mapping[str, Map] = MAPS,
    progress: bool = False,
) -> dict[str, Tensor]:
    """Each map of `functions` for (N, C, H, W) images in [0, 1] and int64 targets (N,): name -> (N, H, W).

    Raises CladecError for a map of another shape or with values that are not finite.
    """
    bar = progress_bar(progress, functions.items(), desc="relevance maps", delay=1)
    return {name: check_maps(name, function(subject, images, targets), images) for name, function in bar}


def rank_correlation(maps: Tensor, others: Tensor) -> Tensor:
    """Spearman's rank correlation of the pixels of each pair of maps (N, H, W): (N,), in [-1, 1].

    Equal values share their mean rank. A blank map, the same everywhere, ranks nothing: it correlates
    with no other (0), but two blank ones are the same (1).
    """
    a, b = (torch.from_numpy(rankdata(m.flatten(1), axis=1)) for m in (maps, others))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    scale = (a.square().sum(1) * b.square().sum(1)).sqrt()
    found = torch.where(scale > 0, (a * b).sum(1) / scale.clamp_min(1e-12), 0.0).float()
    return torch.where(blank(maps) & blank(others), 1.0, found)


def blank(maps: Tensor) -> Tensor:
    """Which maps of (N, H, W) are the same everywhere, and so say nothing: bool (N,)."""
    flat = maps.flatten(1)
    return flat.amax(1) == flat.amin(1)


def agreement(means: pd.DataFrame) -> pd.DataFrame:
    """Kendall's tau between the rankings of maps (rows) under different metrics (columns), in [-1, 1]."""
    columns = list(means.columns)
    found = [[kendalltau(means[a], means[b]).statistic for b in columns] for a in columns]
    return pd.DataFrame(found, index=columns, columns=columns)
