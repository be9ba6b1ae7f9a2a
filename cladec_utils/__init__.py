"""The ClaDec kit: explain classifiers by decoding their layers.

J. Schneider, M. Vlachos: Explaining Classifiers by Constructing Familiar Concepts, Machine Learning
(2022), arXiv 2203.04109. Notebooks and scripts begin with `open_study`; README.md has a tour.

This module defines nothing: each name is imported from its place when it is first asked for.
"""

import importlib

_HOME = {
    "ClaDec": "models.autoencoders",
    "CladecError": "errors",
    "PCA": "models.components",
    "RefAE": "models.autoencoders",
    "Study": "study.study",
    "evaluate": "study.figures",
    "get_profile": "study.profiles",
    "load_images": "data.datasets",
    "open_study": "study.study",
    "quality": "study.quality",
    "reconstruct": "study.explainers",
    "show_triplets": "notebook",
    # modules
    "autoencoders": "models",
    "charts": "plots",
    "classifiers": "study",
    "effects": "claims",
    "evaluation": "study",
    "evidence": "claims",
    "explainers": "study",
    "forest": "plots",
    "images": "plots",
    "inference": "models",
    "interval": "claims",
    "layers": "models",
    "neurons": "study",
    "planted": "data",
    "probes": "study",
    "required": "claims",
    "scorecard": "claims",
    "store": "engine",
    "verdicts": "claims",
    "wording": "claims",
}
"""Where each name lives: a module of that place, or what a module of that name defines."""

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = importlib.import_module(f"{__name__}.{_HOME[name]}")
    return getattr(place, name, None) or importlib.import_module(f"{place.__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
