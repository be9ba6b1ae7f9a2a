"""G1 to G4 for a planted-concepts study: the effects, for the scorecard (rules in `concept_study`)."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from cladec_utils.concept_study import (
    ALLOWED,
    DECODER,
    SECOND,
    ConceptStudy,
    closer,
    contrast,
    control,
    controls,
    invalid,
    subject_of,
)
from cladec_utils.evidence import FAITHFUL_ALPHA
from cladec_utils.verdicts import SMALLEST, Effect, effect

Row = tuple[str, str, str, Effect]


def effects(concepts: ConceptStudy) -> list[Row]:
    """All rows (claim, layer, detail, effect). If the classifiers are no ground truth, each says so."""
    rows = [*_per_layer(concepts), *_controls(concepts)]
    reason = invalid(concepts)
    if reason:
        return [(*where, replace(e, note=reason, p_above=1.0, p_below=1.0)) for *where, e in rows]
    return rows


def _over_seeds(concepts: ConceptStudy, difference: Callable[[int], np.ndarray], smallest: float) -> Effect:
    return effect([difference(seed) for seed in concepts.seeds], smallest, len(concepts.seeds))


def _per_layer(concepts: ConceptStudy) -> Iterable[Row]:
    point = SMALLEST["accuracy"]
    for layer in concepts.layers:
        x_e, x_r = subject_of(concepts, layer, 0.0), subject_of(concepts, layer, None)
        faithful = subject_of(concepts, layer, FAITHFUL_ALPHA)
        kept = _over_seeds(concepts, lambda s: closer(concepts, x_e, x_r, s, True) + ALLOWED, point)  # noqa: B023
        dropped = _over_seeds(concepts, lambda s: -closer(concepts, x_e, x_r, s, False), point)  # noqa: B023
        moved = _over_seeds(
            concepts,
            lambda s: contrast(concepts, faithful, s) - contrast(concepts, x_e, s),  # noqa: B023
            point,
        )
        yield from ((claim, layer, "all", e) for claim, e in (("G1", kept), ("G2", dropped), ("G3", moved)))


def _controls(concepts: ConceptStudy) -> Iterable[Row]:
    layer = concepts.layers[-1]
    x_e = subject_of(concepts, layer, 0.0)
    for name in controls(concepts):
        other = control(concepts, name)

        def difference(seed: int, name: str = name, other=other) -> np.ndarray:
            if name == SECOND:
                return closer(concepts, other, x_e, seed, False)
            if name.startswith(DECODER):
                return contrast(concepts, other, seed)
            return contrast(concepts, x_e, seed) - contrast(concepts, other, seed)

        yield "G4", layer, name, _over_seeds(concepts, difference, SMALLEST["accuracy"])
