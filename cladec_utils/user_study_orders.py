"""Who sees what, in which order: the counter-balance table of a user study.

Orders are the rows of a Williams design (Williams 1949), cut off after the number of pictures that one
participant sees: over the slots of an arm every image stands at every place equally often. Only where all
images are shown, and not a part of them, is it true as well that no two follow each other in the same order
more often than any others. With two classifiers every image stands at every place equally often under each
of them, and nobody sees an image twice; which classifier stands where is random, so that places tell nothing.
"""

from dataclasses import dataclass

import numpy as np

from cladec_utils.user_study_spec import UserStudySpec


@dataclass(frozen=True)
class Slot:
    """One line of the table: an arm, the main items in order (indices into `Items.main`), and by how many
    places the list of concepts is rotated."""

    arm: str
    order: tuple[int, ...]
    rotation: int


def williams(n: int) -> np.ndarray:
    """A Williams design: int array (n, n) for even n, (2n, n) for odd n; rows are orders of 0..n-1."""
    zigzag = [(j + 1) // 2 if j % 2 else (n - j // 2) % n for j in range(n)]
    square = (np.array(zigzag) + np.arange(n)[:, None]) % n
    return square if n % 2 == 0 else np.concatenate([square, square[:, ::-1]])


def slots(spec: UserStudySpec) -> list[Slot]:
    """All slots, arms taking turns, so that any run of slots is balanced over arms.

    Slots of one rank are the same in all arms but for what is shown: participants of different arms see
    the same items in the same orders.
    """
    random = np.random.default_rng(spec.seed)
    names = random.permutation(spec.images)
    classifiers = len(spec.explained)
    ranks: list[tuple[int, ...]] = []
    for row in williams(spec.images)[:, : spec.shown]:
        balanced = random.permutation(np.arange(spec.shown) % classifiers)
        for first in range(classifiers):
            which = (balanced + first) % classifiers
            ranks.append(tuple((names[row] * classifiers + which).tolist()))
    ranks = [ranks[i] for i in random.permutation(len(ranks))]
    return [Slot(arm, order, i % len(spec.concepts)) for i, order in enumerate(ranks) for arm in spec.arms]
