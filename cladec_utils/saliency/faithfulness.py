"""Is a relevance map right about the pixels that matter? Removal metrics, one score per image.

Every metric removes pixels in the order of a map, fills the holes, and watches the probability that the
classifier gives to its own decision on the whole image (the target). Scores are turned so that **higher
is better** and a **random order scores 0** on average:

- `road` (primary): ROAD gap. Holes are filled by noisy linear imputation (Rong et al. 2022, A Consistent
  and Efficient Evaluation Strategy for Attribution Methods). Mean probability when the *least* relevant
  pixels go first, minus that when the *most* relevant go first, over 20, 40, 60 and 80 % removed.
- `deletion black`, `deletion blur`: the most relevant pixels go first (Petsiuk et al. 2018, RISE: the
  area under this curve, lower is better). Score: the area of a random order minus that of the map.
- `insertion black`, `insertion blur`: the most relevant pixels are put back first into a black or blurred
  image (RISE; higher is better). Score: the area of the map minus that of a random order.

The random order's area is the mean over several random maps that are treated like the maps: smoothed
where they are, as blobs remove other things than single pixels do. It is the same for all maps of an
image, so it cancels where two maps are compared.

**The primary endpoint is `road`, over the whole image, on smoothed maps**, as imputation leaves the fewest
traces of the removal itself, and as smoothing alone may lift a map. It was fixed before any result of this
comparison, but not blindly: a first trial with a smaller network on the same data had been seen, ROAD
scores of most of these maps among it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from cladec_utils.engine.progress import progress_bar
from cladec_utils.errors import CladecError
from cladec_utils.models.training import EVAL_BATCH

FRACTIONS = (0.2, 0.4, 0.6, 0.8)
"""Shares of the pixels that are removed; the ends would be the same for all maps."""
NOISE = 0.01
"""Standard deviation of the noise on imputed pixels, as in the authors' code."""
SIGMA = 2.0
"""Standard deviation, in pixels, of the Gaussian that all maps are smoothed with equally."""
BLUR = 4.0
"""Standard deviation, in pixels, of the blurred image that stands for "nothing"."""
FOREGROUND = 0.1
"""How far a pixel is from the border's median colour to count as foreground."""
ORDERS = 8
"""Random maps whose mean area is what chance scores: half of them drawn, the others their reverses."""
ORDER_SEED, TIE_SEED, NOISE_SEED = 71, 72, 73
TOLERANCE, MOST_STEPS = 2e-4, 500
IMPUTE_BATCH = 128  # keeps the conjugate gradients in the processor's cache

Predict = Callable[[Tensor], Tensor]
"""(N, C, H, W) images in [0, 1], a little outside under ROAD's noise, to (N, classes) logits."""


@dataclass(frozen=True)
class Metric:
    """How holes are filled (`linear`, `black` or `blur`), which order is read (`gap`: least minus most
    relevant first; `deletion`: most relevant first; `insertion`: least relevant removed first)."""

    fill: str
    reading: str
    fractions: tuple[float, ...] = FRACTIONS


METRICS = {
    "road": Metric("linear", "gap"),
    "deletion black": Metric("black", "deletion"),
    "deletion blur": Metric("blur", "deletion"),
    "insertion black": Metric("black", "insertion"),
    "insertion blur": Metric("blur", "insertion"),
}
PRIMARY = "road"
CORE = (PRIMARY, "deletion black", "insertion blur")
"""One metric of each kind, deletion and insertion with the baselines of their authors."""
CONDITIONS = {
    "raw": (False, False),
    "smoothed": (True, False),
    "raw foreground": (False, True),
    "smoothed foreground": (True, True),
}
"""What is done to all maps alike: (smoothed by SIGMA, only the foreground is ranked and removed)."""
COLUMNS = tuple((m, c) for c, (_, inside) in CONDITIONS.items() for m in (CORE if inside else METRICS))
"""(metric, condition): everything that is measured by default; inside the foreground CORE alone, for the
time it takes. PRIMARY, "smoothed" is the endpoint."""


def smooth(maps: Tensor, sigma: float = SIGMA) -> Tensor:
    """Maps (N, H, W) under a Gaussian of `sigma` pixels: the same post-processing for all."""
    return _gauss(maps.unsqueeze(1), sigma).squeeze(1)


def blurred(images: Tensor) -> Tensor:
    """Images (N, C, H, W) with nothing left but where they are bright."""
    return _gauss(images, BLUR)


def _gauss(images: Tensor, sigma: float) -> Tensor:
    from torchvision.transforms.functional import gaussian_blur  # noqa: PLC0415 - imports for seconds

    # Reflection at the border needs a radius below the side.
    radius = min(int(3 * sigma), min(images.shape[-2:]) - 1)
    side = 2 * radius + 1
    return gaussian_blur(gaussian_blur(images, [side, 1], sigma), [1, side], sigma)  # fast, as separable


def foreground(images: Tensor) -> Tensor:
    """Where (N, C, H, W) images differ from their border's median colour by more than FOREGROUND in some
    channel: bool (N, H, W). An image with less than a twentieth of such pixels counts whole."""
    edge = [images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]]
    colour = torch.cat(edge, -1).median(-1).values
    found = ((images - colour[..., None, None]).abs() > FOREGROUND).any(1)
    enough = found.flatten(1).float().mean(1) >= 0.05
    return found | ~enough[:, None, None]


def check_maps(name: str, maps: Tensor, images: Tensor) -> Tensor:
    """`maps` as float32 (N, H, W) on the CPU. Raises CladecError for another shape or a value not finite."""
    wanted = (len(images), *images.shape[-2:])
    if tuple(maps.shape) != wanted:
        raise CladecError(
            f"The map {name!r} has the shape {tuple(maps.shape)}, but these images need {wanted}: one number "
            "per image and pixel. Sum over channels, or enlarge the map to the images' size."
        )
    maps = maps.detach().float().cpu()
    bad = ~torch.isfinite(maps).flatten(1).all(1)
    if bad.any():
        raise CladecError(
            f"The map {name!r} holds values that are not finite for {int(bad.sum())} of {len(maps)} images "
            f"(first: image {int(bad.nonzero()[0])}); pixels cannot be ranked by them."
        )
    return maps


def ranks(maps: Tensor, within: Tensor | None = None) -> Tensor:
    """Rank of each pixel from 0, the most relevant: int64 (N, H, W). Ties are broken at random, the same
    way for all maps; pixels not in `within` (bool, (N, H, W)) come last."""
    flat = maps.flatten(1)
    tie = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(TIE_SEED))
    values = flat[:, tie]
    if within is not None:
        values = values.masked_fill(~within.flatten(1)[:, tie], -torch.inf)
    order = tie[values.argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1]).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view_as(maps)


def removed(
    rank: Tensor, fractions: tuple[float, ...], most_first: bool, within: Tensor | None = None
) -> Tensor:
    """Which pixels are gone at each fraction: bool (len(fractions), N, H, W). Fractions are of the pixels
    in `within`; the others never go."""
    total = rank[0].numel() if within is None else within.flatten(1).sum(1)[:, None, None]
    place = rank if most_first else total - 1 - rank
    found = torch.stack([place < (f * total if within is None else (f * total).round()) for f in fractions])
    return found if within is None else found & within


def area(
    predict: Predict,
    images: Tensor,
    targets: Tensor,
    maps: Tensor,
    metric: Metric,
    within: Tensor | None = None,
) -> Tensor:
    """A metric's reading of maps (N, H, W) before a random order's is taken away: (N,), higher is better.

    Made of the mean probability of the targets (N,) over the metric's fractions removed: for `insertion`
    the least relevant first, for `deletion` minus that with the most relevant first, for `gap` both.
    """
    rank = ranks(maps, within)
    orders = {"gap": (False, True), "insertion": (False,), "deletion": (True,)}[metric.reading]
    gone = torch.cat([removed(rank, metric.fractions, most_first, within) for most_first in orders])
    times = len(gone)
    filled = _fill(images, gone, metric.fill)
    kept = predict(filled).softmax(1).gather(1, targets.repeat(times)[:, None])
    curves = kept.view(len(orders), len(metric.fractions), len(images)).mean(1)
    return sum(-curve if most_first else curve for most_first, curve in zip(orders, curves, strict=True))


def _fill(images: Tensor, gone: Tensor, fill: str) -> Tensor:
    """Images (N, C, H, W) with the holes of `gone` (T, N, H, W) filled: (T * N, C, H, W)."""
    times = len(gone)
    holes = gone.flatten(0, 1)
    if fill == "linear":
        random = torch.Generator().manual_seed(NOISE_SEED)
        noise = NOISE * torch.randn(images.shape[1:], generator=random)  # the same for all images and maps
        pairs = zip(images.repeat(times, 1, 1, 1).split(IMPUTE_BATCH), holes.split(IMPUTE_BATCH), strict=True)
        filled = torch.cat([impute(*pair) for pair in pairs]) + noise
    else:
        nothing = blurred(images) if fill == "blur" else torch.zeros_like(images)
        filled = nothing.repeat(times, 1, 1, 1)
    return torch.where(holes.unsqueeze(1), filled, images.repeat(times, 1, 1, 1))


def scores(
    predict: Predict,
    images: Tensor,
    targets: Tensor,
    maps: Mapping[str, Tensor],
    columns: Sequence[tuple[str, str]] = COLUMNS,
    orders: int = ORDERS,
    progress: bool = False,
) -> dict[tuple[str, str, str], Tensor]:
    """All columns for all maps: (map, metric, condition) -> one score per image (N,), higher is better,
    0 for a random order, here the mean over `orders` random maps (an even number).

    `images` (N, C, H, W) float in [0, 1], `targets` int64 (N,), `maps` by name, each (N, H, W). Raises
    CladecError for a map of another shape or with values that are not finite.
    """
    stack = torch.stack([check_maps(name, each, images) for name, each in maps.items()])
    random = torch.Generator().manual_seed(ORDER_SEED)
    drawn = torch.rand((orders // 2, *stack.shape[1:]), generator=random)
    treated = {False: (stack, torch.cat([drawn, -drawn]))}
    treated[True] = tuple(torch.stack([smooth(m) for m in each]) for each in treated[False])
    regions = {False: None, True: foreground(images)}
    chance: dict[tuple[Metric, str], Tensor] = {}
    found: dict[tuple[str, str, str], Tensor] = {}
    for name, condition in progress_bar(progress, columns, desc="scoring maps", delay=1):
        smoothed, inside = CONDITIONS[condition]
        (mine, by_chance), metric, within = treated[smoothed], METRICS[name], regions[inside]
        areas = _areas(mine, predict, images, targets, metric, within)
        if metric.reading != "gap":  # a gap is 0 by itself: either end of a random order is random
            kept = replace(metric, reading="insertion")
            if (kept, condition) not in chance:
                chance[kept, condition] = _areas(by_chance, predict, images, targets, kept, within).mean(0)
            # A deletion's area is minus what is kept.
            areas = areas + chance[kept, condition] * (1 if metric.reading == "deletion" else -1)
        found |= {(key, name, condition): a for key, a in zip(maps, areas, strict=True)}
    return found


def _areas(
    maps: Tensor, predict: Predict, images: Tensor, targets: Tensor, metric: Metric, within: Tensor | None
) -> Tensor:
    """`area` of several maps (M, N, H, W), as many at once as make a full batch: (M, N)."""
    found = []
    for part in maps.split(max(1, EVAL_BATCH // len(images))):
        m = len(part)
        inside = None if within is None else within.repeat(m, 1, 1)
        flat = part.flatten(0, 1)
        values = area(predict, images.repeat(m, 1, 1, 1), targets.repeat(m), flat, metric, inside)
        found.append(values.view(m, -1))
    return torch.cat(found)


def impute(images: Tensor, gone: Tensor) -> Tensor:
    """Fill `gone` pixels (bool, (N, H, W)) of (N, C, H, W) images by linear imputation (Rong et al. 2022).

    Each missing pixel is the weighted mean of its neighbours, 1/6 for the four direct ones and 1/12 for
    the diagonal ones, the weights at the border brought to the sum they have; missing neighbours make
    it a linear system per image, solved for all images at once by conjugate gradients to a residual of
    TOLERANCE of a pixel's range. At least one pixel must be left. No noise is added here.
    """
    hole = gone.unsqueeze(1).to(images.dtype)
    degree = _neighbours(torch.ones_like(hole[:1]))

    def system(x: Tensor) -> Tensor:
        return hole * (degree * x - _neighbours(x))

    known = images * (1 - hole)
    start = hole * _first_guess(known, hole)
    x, residual = start, hole * _neighbours(known) - system(start)
    direction, size = residual, residual.square().sum((2, 3), keepdim=True)
    for _ in range(MOST_STEPS):
        if float(residual.abs().max()) < TOLERANCE:
            break
        image = system(direction)
        step = size / (direction * image).sum((2, 3), keepdim=True).clamp_min(1e-20)
        x, residual = x + step * direction, residual - step * image
        before, size = size, residual.square().sum((2, 3), keepdim=True)
        direction = residual + size / before.clamp_min(1e-20) * direction
    return known + x


def _neighbours(x: Tensor) -> Tensor:
    """Weighted sum of the eight neighbours: the separable 1-2-1 filter without its centre."""
    padded = functional.pad(x, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    return (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 12 - x / 3


def _first_guess(known: Tensor, hole: Tensor) -> Tensor:
    """The mean of what is known in the smallest square of a pyramid that holds any: saves iterations."""
    value, weight = known, 1 - hole
    levels = [(value, weight)]
    while max(value.shape[-2:]) > 1:
        value, weight = (functional.avg_pool2d(t, 2, ceil_mode=True) for t in (value, weight))
        levels.append((value, weight))
    guess = torch.zeros_like(value)
    for value, weight in reversed(levels):
        coarse = functional.interpolate(guess, size=value.shape[-2:])
        guess = torch.where(weight > 0, value / weight.clamp_min(1e-9), coarse)
    return guess
