"""How activations are laid out: which axis counts images, which channels, which places of the image.

Networks differ: maps with channels first (convolutions) or last (Swin, inside ConvNeXt's blocks), sequences
of tokens (vision transformers), with the batch first or second, vectors. Here all are brought to one form,
(N, K, ...): K channels, which `neurons` index, first. What the axes mean is followed from the image
(`axes`); where that ends, a probe tells: a patch is put at three places of an image, and along the axes of
places, not along the channels, the activation changes elsewhere each time. The probe also tells which
tokens stand on a grid."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

ORDERS = {"C": 2, "CT": 3, "TC": 3, "TNC": 3, "CHW": 4, "HWC": 4}
"""Axes beside the batch, and the number of all axes: C channels, H and W rows and columns, T tokens or other
places in a row; TNC has the batch second."""
UNKNOWN = "?"
PLACES = ((0, 0), (0, 1), (1, 0))
"""Where the patch is put: top or bottom, left or right."""
TEXTURES = 2
PROBES = TEXTURES * (1 + len(PLACES))
APART, TIMES = 0.5, 1.5
"""The change must be so far apart along places (0 to 1), and so many times as far as along channels, or
nothing is decided: behind an attention over all of the image, say, it is everywhere."""
CHANNEL_LIKE = 0.1
"""How far apart the changes along an axis of one element count as: places are further, channels nearer."""
TOKENS_APART = (0, 1, 2, 5)
"""Tokens that may stand before those of the image: a class token, another of distillation, registers."""


@dataclass(frozen=True)
class Layout:
    """The layout of one layer's activation: `order` (see ORDERS, or "?" if it is not known); of tokens that
    stand for parts of the image also their `grid` (rows, columns), behind as many that are `apart`."""

    order: str
    grid: tuple[int, int] | None = None
    apart: int = 0

    def __str__(self) -> str:
        if self.grid is None:
            return self.order
        return f"{self.order} {f'{self.apart} + ' if self.apart else ''}{self.grid[0]}x{self.grid[1]}"

    @property
    def batch(self) -> int:
        """The axis that counts images."""
        return 1 if self.order == "TNC" else 0

    @property
    def tokens(self) -> int | None:
        """How many tokens there are, where they are a grid."""
        return None if self.grid is None else self.apart + self.grid[0] * self.grid[1]

    def channels_first(self, activation: Tensor) -> Tensor:
        """An activation as its layer gave it to (N, K, ...): maps are (N, K, h, w), and so are tokens that
        are a grid and nothing else; other tokens are (N, K, T)."""
        if self.order == "HWC":
            return activation.permute(0, 3, 1, 2)
        if self.order in ("TC", "TNC"):
            activation = activation.permute(*((0, 2, 1) if self.order == "TC" else (1, 2, 0)))
            if self.grid and not self.apart:
                return activation.reshape(*activation.shape[:2], *self.grid)
        return activation

    def shape(self, raw: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one image's activation, channels first, of that of two images' as the layer gives
        it."""
        return tuple(self.channels_first(torch.empty(raw, device="meta")).shape[1:])

    def as_map(self, activation: Tensor) -> Tensor | None:
        """The part of an activation (N, K, ...), channels first, that has places: (N, K, h, w), without the
        tokens that are apart; None if it has none."""
        if self.grid and self.apart:
            return activation[:, :, self.apart :].reshape(*activation.shape[:2], *self.grid)
        return activation if activation.dim() == 4 else None


def order_of(meanings: str | None) -> str:
    """The order of an activation whose axes have these `axes.Following.meanings`; "?" if that is none."""
    if meanings is None:
        return UNKNOWN
    if len(meanings) not in (3, 4):
        return "C" if meanings[0] == "N" else UNKNOWN
    if meanings.count("C") != 1 or meanings.count("N") != 1 or "." in meanings:
        return UNKNOWN
    if len(meanings) == 4:
        return {"NC": "CHW", "C": "HWC"}.get(meanings[:2] if meanings[1] == "C" else meanings[3], UNKNOWN)
    return {"NCT": "CT", "NTC": "TC", "TNC": "TNC"}.get(
        "".join(a if a in "NC" else "T" for a in meanings), UNKNOWN
    )


def batch_axis(two: tuple[int, ...], many: tuple[int, ...]) -> int | None:
    """The axis that counts images, of an output's shapes for 2 and for PROBES images; None if there is none,
    as where parts of images are counted with them."""
    if len(two) != len(many):
        return None
    found = [i for i, pair in enumerate(zip(two, many, strict=True)) if pair == (2, PROBES)]
    rest = [pair for i, pair in enumerate(zip(two, many, strict=True)) if i not in found[:1]]
    good = found and all(a == b for a, b in rest) and (found[0] == 0 or (found[0] == 1 and len(two) == 3))
    return found[0] if good else None


def probe_images(image_shape: tuple[int, int, int]) -> Tensor:
    """Images (PROBES, C, H, W) in [0, 1]: smooth random textures, and each again with one patch at one of
    PLACES. The same whenever it is called."""
    draw = torch.Generator().manual_seed(0)
    channels, height, width = image_shape
    rough = torch.rand((TEXTURES + 1, channels, 8, 8), generator=draw)
    textures = functional.interpolate(rough, (height, width), mode="bilinear", align_corners=False)
    h, w = max(1, height // 4), max(1, width // 4)
    patch = textures[-1, :, :h, :w]
    found = [textures[:-1]]
    for down, right in PLACES:
        changed = textures[:-1].clone()
        top, left = down * (height - h), right * (width - w)
        changed[:, :, top : top + h, left : left + w] = patch
        found.append(changed)
    return torch.cat(found)


def decide(output: Tensor, image_shape: tuple[int, int, int], batch: int = 0, order: str = UNKNOWN) -> Layout:
    """The layout of a layer's output for `probe_images`, whose axis `batch` counts images. Where the `order`
    is known, only the grid of tokens is looked for."""
    energies = _changes(output.movedim(batch, 0))
    if order == UNKNOWN:
        order = _order(energies, output.dim(), batch)
    if order not in ("TC", "TNC"):
        return Layout(order)
    return _with_grid(order, energies[0], image_shape)


def _changes(output: Tensor) -> list[Tensor]:
    """For each axis behind the batch, how the change of the output is distributed along it when the patch is
    at each of PLACES: (len(PLACES), size), rows sum to one (or are NaN where nothing changes)."""
    parts = output.detach().double().view(1 + len(PLACES), TEXTURES, *output.shape[1:])
    square = (parts[1:] - parts[:1]).square().sum(1)
    found = []
    for axis in range(1, square.dim()):
        energy = square.movedim(axis, 1).flatten(2).sum(2)
        found.append(energy / energy.sum(1, keepdim=True))
    return found


def _distance(energy: Tensor) -> float:
    """How far apart the changes are, 0 to 1: the largest total variation between places of the patch."""
    if energy.shape[1] == 1:
        return CHANNEL_LIKE
    return max((energy[a] - energy[b]).abs().sum().item() / 2 for a, b in [(0, 1), (0, 2), (1, 2)])


def _order(energies: list[Tensor], axes: int, batch: int) -> str:
    if batch == 1:
        return "TNC"
    if axes not in (3, 4):
        return "C"
    first, last = _distance(energies[0]), _distance(energies[-1])
    near, far = sorted((first, last))
    if not (math.isfinite(first + last) and far >= APART and far >= TIMES * near):
        return UNKNOWN
    return {3: ("CT", "TC"), 4: ("CHW", "HWC")}[axes][first > last]


def _with_grid(order: str, energy: Tensor, image_shape: tuple[int, int, int]) -> Layout:
    """Tokens with the grid that they stand on, if the change is where the patch is."""
    tokens, (_, height, width) = energy.shape[1], image_shape
    for apart in TOKENS_APART:
        rows = round(math.sqrt(max(0, tokens - apart) * height / width))
        if rows and (tokens - apart) % rows == 0 and (columns := (tokens - apart) // rows):
            if abs(columns / rows - width / height) > 1e-9 or rows * columns < 4:
                continue
            maps = energy[:, apart:].view(-1, rows, columns)
            if all(_is_at(each, place) for each, place in zip(maps, PLACES, strict=True)):
                return Layout(order, (rows, columns), apart)
    return Layout(order)


def _is_at(energy: Tensor, place: tuple[int, int]) -> bool:
    """Whether the change on a grid is most dense in the quarter where the patch is."""
    rows, columns = (size // 2 for size in energy.shape)
    top, bottom, left, right = slice(rows), slice(-rows, None), slice(columns), slice(-columns, None)
    dense = {
        (down, across): energy[(top, bottom)[down], (left, right)[across]].mean().item()
        for down in (0, 1)
        for across in (0, 1)
    }
    return max(dense, key=dense.__getitem__) == place
