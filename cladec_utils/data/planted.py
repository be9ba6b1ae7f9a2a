"""Planted concepts: garments rendered in colour with independent factors, labels a stated function of them.

The garments are Fashion-MNIST's, in two groups. Each image has six factors of two levels, drawn
independently of the group and of each other. A data set `planted-<factor>-<factor>` labels an image by
its group and those two factors: they are relevant by construction, the other four are irrelevant. The
images are the same under every such name, so one image has opposite truths under two classifiers.

This data set is ours; the papers have none like it.
"""

import hashlib
from dataclasses import dataclass, replace
from itertools import combinations, product

import torch
from torch import Tensor
from torch.nn import functional

from cladec_utils.data.splits import Source, Split, fingerprint
from cladec_utils.errors import choose

FACTORS = {
    "tint": ("warm", "cool"),
    "stripes": ("plain", "striped"),
    "brightness": ("dim", "bright"),
    "background": ("dark", "light"),
    "position": ("left", "right"),
    "rotation": ("anticlockwise", "clockwise"),
}
"""The factors and their levels 0 and 1."""

GROUPS = {"top": (0, 2, 4), "shoe": (5, 7, 9)}
"""Groups of Fashion-MNIST classes: T-shirt, pullover, coat; sandal, sneaker, ankle boot."""

PREFIX = "planted-"
NAMES = tuple(f"{PREFIX}{a}-{b}" for a, b in combinations(FACTORS, 2))
SIZE = 32
SEED = 20221

# Tints of equal luminance (Rec. 601), and stripes of the mean of no stripes, so that no factor moves another.
_TINTS = torch.tensor([[0.95, 0.50, 0.35], [0.38, 0.66, 1.00]])
_BRIGHTNESS = torch.tensor([0.55, 1.0])
_BACKGROUND = torch.tensor([0.10, 0.40])
_STRIPE_LOW, _STRIPE_PERIOD = 0.3, 8.0  # share of the plain brightness; pixels of a garment
_SHIFT, _TURN, _SCALE = 3.0, 15.0, 0.85  # pixels, degrees, share of the garment's own size
_CHUNK = 4096


@dataclass(frozen=True)
class Scenes:
    """What images are rendered from.

    `garments` uint8 (N, 1, 28, 28); `group` int64 (N,), index into GROUPS; `levels` int64 (N, 6), the
    columns are FACTORS; `jitter` float (N, 4) in [-1, 1]: how far tint, brightness, background and the
    phase of the stripes are off their level, so that no level is a single number.
    """

    garments: Tensor
    group: Tensor
    levels: Tensor
    jitter: Tensor

    def __len__(self) -> int:
        return len(self.group)

    def subset(self, indices: Tensor) -> "Scenes":
        """The scenes at `indices`."""
        return Scenes(self.garments[indices], self.group[indices], self.levels[indices], self.jitter[indices])

    def edited(self, factor: str) -> "Scenes":
        """The same scenes with `factor` at its other level and everything else as it was.

        Raises CladecError for a factor that is none of FACTORS.
        """
        column = list(FACTORS).index(choose(factor, FACTORS, "factor"))
        levels = self.levels.clone()
        levels[:, column] = 1 - levels[:, column]
        return replace(self, levels=levels)

    def labels(self, dataset: str) -> Tensor:
        """int64 (N,): 4 x group + 2 x level of the first relevant factor + level of the second."""
        first, second = (list(FACTORS).index(f) for f in relevant(dataset))
        return 4 * self.group + 2 * self.levels[:, first] + self.levels[:, second]


def is_planted(dataset: str) -> bool:
    """Whether a data set's name is one of NAMES."""
    return dataset in NAMES


def relevant(dataset: str) -> tuple[str, str]:
    """The two factors that a planted data set's labels depend on. Raises CladecError for other names."""
    first, second = choose(dataset, NAMES, "planted data set").removeprefix(PREFIX).split("-")
    return first, second


def class_names(dataset: str) -> tuple[str, ...]:
    """Eight names such as `top warm plain`, in the order of the labels."""
    levels = [FACTORS[factor] for factor in relevant(dataset)]
    return tuple(" ".join(words) for words in product(GROUPS, *levels))


def make_scenes(garments: Split, seed: int) -> Scenes:
    """Draw factors and jitter for the garments of both groups, others left out.

    Within a group every combination of the six factors appears equally often (to within one image), in
    a random order given by `seed`; jitter is uniform.
    """
    random = torch.Generator().manual_seed(seed)
    group = torch.full_like(garments.labels, -1)
    for index, classes in enumerate(GROUPS.values()):
        group[torch.isin(garments.labels, torch.tensor(classes))] = index
    kept = (group >= 0).nonzero().squeeze(1)
    group = group[kept]
    combination = torch.empty_like(group)
    for index in range(len(GROUPS)):
        mine = (group == index).nonzero().squeeze(1)
        order = torch.randperm(len(mine), generator=random)
        combination[mine[order]] = torch.arange(len(mine)) % 2 ** len(FACTORS)
    levels = combination.unsqueeze(1) >> torch.arange(len(FACTORS)) & 1
    jitter = torch.rand(len(kept), 4, generator=random) * 2 - 1
    return Scenes(garments.images[kept], group, levels, jitter)


def render(scenes: Scenes) -> Tensor:
    """Images of the scenes: uint8 (N, 3, 32, 32)."""
    if not len(scenes):
        return torch.empty(0, 3, SIZE, SIZE, dtype=torch.uint8)
    return torch.cat([_render(scenes.subset(i)) for i in torch.arange(len(scenes)).split(_CHUNK)])


def _render(s: Scenes) -> Tensor:
    tint, stripes, brightness, background, position, rotation = s.levels.unbind(1)
    grid = _grid(position, rotation)
    shape = functional.grid_sample(s.garments.float().div(255), grid, align_corners=False)
    mask = (shape * 5).clamp(0, 1)  # Fashion-MNIST's background is exactly black
    # Stripes lie on the garment, so they move and turn with it.
    phase = grid[..., 1] * 14 / _STRIPE_PERIOD * 2 * torch.pi + s.jitter[:, 3].view(-1, 1, 1) * torch.pi / 4
    wave = (phase.sin() * 4).clamp(-1, 1).unsqueeze(1) * (1 - _STRIPE_LOW) / 2
    middle = (1 + _STRIPE_LOW) / 2
    pattern = torch.where(stripes.view(-1, 1, 1, 1) == 1, middle + wave, torch.tensor(middle))
    light = _column(_BRIGHTNESS[brightness] * (1 + 0.12 * s.jitter[:, 1]))
    colour = _TINTS[tint] + 0.06 * s.jitter[:, :1] * torch.tensor([1.0, 0.0, -1.0])
    garment = (0.45 + 0.55 * shape) * pattern * light * colour.view(-1, 3, 1, 1)
    ground = _column(_BACKGROUND[background] + 0.05 * s.jitter[:, 2])
    return (mask * garment + (1 - mask) * ground).clamp(0, 1).mul(255).round().byte()


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _grid(position: Tensor, rotation: Tensor) -> Tensor:
    """Where each pixel of the canvas looks on its garment: (N, 32, 32, 2), -1 to 1 across the garment."""
    angle = torch.deg2rad((1 - 2 * rotation.float()) * _TURN)
    shift = (2 * position.float() - 1) * _SHIFT / (SIZE / 2)
    zoom = SIZE / 28 / _SCALE
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    rows = torch.stack([cos, -sin, -cos * shift, sin, cos, -sin * shift], 1)
    return functional.affine_grid(rows.view(-1, 2, 3), [len(rows), 1, SIZE, SIZE], align_corners=False)


@dataclass(frozen=True)
class PlantedSplit(Split):
    """A split whose images are rendered only when they are taken: `images` is not there as a whole."""

    scenes: Scenes

    @property
    def side(self) -> int:
        return SIZE

    def subset(self, indices: Tensor) -> Split:
        return Split(render(self.scenes.subset(indices)), self.labels[indices])


def planted_source(dataset: str, garments: Source) -> Source:
    """The data set of that name made from Fashion-MNIST's garments, with the seed SEED.

    The images, their order and their strata (group and all factors but position and rotation) are the
    same for all NAMES; only labels and class names differ.
    """
    parts, strata = [], []
    for i, split in enumerate((garments.train, garments.test)):
        scenes = make_scenes(split, SEED + i)
        parts.append(PlantedSplit(torch.empty(0), scenes.labels(dataset), scenes))
        strata.append(16 * scenes.group + scenes.levels[:, :4] @ torch.tensor([8, 4, 2, 1]))
    return Source(*parts, class_names(dataset), _fingerprint(dataset, parts), tuple(strata))


def _fingerprint(dataset: str, parts: list[PlantedSplit]) -> str:
    """Of everything that images are rendered from and of some of them, so that a change of `render` shows."""
    digest = hashlib.sha256(dataset.encode())
    for part in parts:
        scenes = part.scenes
        for tensor in (scenes.garments, scenes.levels, scenes.jitter):
            digest.update(tensor.numpy().data)
        digest.update(fingerprint(part.subset(torch.arange(64))).encode())
    return digest.hexdigest()
