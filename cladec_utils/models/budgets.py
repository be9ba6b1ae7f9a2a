"""How long a hand-fitted explainer is trained: updates that are asked for, what fits into minutes, or a
rule."""

import time
from collections.abc import Callable
from dataclasses import replace

from cladec_utils.models.training import TrainSpec

TRAINING = TrainSpec(None, "adam", 3e-3, 1e-5, "cosine", 64, updates=1500, warmup=0.05)
"""How a hand-fitted explainer is trained where nothing else is said; then `usual` says how many updates."""
LEAST, EACH, MOST = 600, 10, 6000
TIMED, SHARE = 5, 0.05
"""Updates that are timed to turn minutes into updates, but fewer where they take more than that share of
them."""
SETTLING = 1 / 3
"""What measuring batch norm's statistics costs per image, in training's cost per image: no gradients."""


def usual(images: int, numbers: int, pixels: int) -> int:
    """Updates for so many images and a code of so many numbers, for images of so many values: one for each 10
    images beside 600, 6,000 at most; half where the code has as many numbers as an image has values, as such
    are drawn soon. At 12,000 images these are 1,800 and at 60,000 those of the `standard` profile."""
    found = min(MOST, LEAST + images // EACH)
    return found if numbers < pixels else found // 2


def fitting(
    minutes: float, begun: float, images: int, spec: TrainSpec, train: Callable[[TrainSpec], object]
) -> int:
    """How many updates fit into so many minutes since `begun` (time.perf_counter()): a few are timed. What
    has to be done once afterwards is set aside."""
    timed = replace(spec, epochs=None, updates=1)
    train(timed)  # the first is slower
    seconds = _seconds(lambda: train(timed))
    if TIMED * seconds < SHARE * 60 * minutes:
        seconds = _seconds(lambda: train(replace(timed, updates=TIMED))) / TIMED
    left = 60 * minutes - (time.perf_counter() - begun)
    return max(1, int(left / seconds - SETTLING * images / spec.batch_size))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
