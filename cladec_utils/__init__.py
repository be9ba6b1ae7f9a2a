"""The ClaDec kit: explain classifiers by decoding their layers.

J. Schneider, M. Vlachos: Explaining Classifiers by Constructing Familiar Concepts, Machine Learning
(2022), arXiv 2203.04109. Notebooks and scripts begin with `open_study`; README.md has a tour.
"""

import importlib
from types import ModuleType

# Imported for their builders: without them the store could only load. Others register with their specs.
from cladec_utils import evaluation, recipes
from cladec_utils.config import get_profile
from cladec_utils.errors import CladecError
from cladec_utils.study import Study, open_study

__all__ = [
    "CladecError",
    "Study",
    "claims",
    "concept_claims",
    "concept_study",
    "concept_words",
    "concepts",
    "evaluation",
    "evidence",
    "explorer",
    "faithfulness",
    "figures",
    "figures_concepts",
    "figures_saliency",
    "get_profile",
    "grid",
    "layers",
    "linear",
    "notebook",
    "open_study",
    "recipes",
    "saliency",
    "saliency_limits",
    "saliency_results",
    "saliency_study",
    "scorecard",
    "store",
    "subsets",
    "user_study_agreement",
    "user_study_figures",
    "user_study_items",
    "user_study_package",
    "user_study_power",
    "user_study_results",
    "user_study_simulation",
    "verdicts",
]


def __getattr__(name: str) -> ModuleType:
    """Import a part of the package when it is first asked for: all of them together take longer to import
    than some notebooks run."""
    if name in __all__:
        return importlib.import_module(f"cladec_utils.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
