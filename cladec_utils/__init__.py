"""The ClaDec kit: explain classifiers by decoding their layers.

J. Schneider, M. Vlachos: Explaining Classifiers by Constructing Familiar Concepts, Machine Learning
(2022), arXiv 2203.04109. Notebooks and scripts begin with `open_study`; README.md has a tour.
"""

# recipes and evaluation are imported for their builders too: without them the store could only load.
from cladec_utils import (
    evaluation,
    evidence,
    explorer,
    figures,
    grid,
    layers,
    linear,
    notebook,
    recipes,
    scorecard,
    store,
    subsets,
    verdicts,
)
from cladec_utils.config import get_profile
from cladec_utils.errors import CladecError
from cladec_utils.study import Study, open_study

__all__ = [
    "CladecError",
    "Study",
    "evaluation",
    "evidence",
    "explorer",
    "figures",
    "get_profile",
    "grid",
    "layers",
    "linear",
    "notebook",
    "open_study",
    "recipes",
    "scorecard",
    "store",
    "subsets",
    "verdicts",
]
