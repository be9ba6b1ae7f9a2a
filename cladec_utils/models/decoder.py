"""The decoder that turns any activation into an image."""

import math

import torch
from torch import Tensor, nn

from cladec_utils.errors import choose
from cladec_utils.models.architectures import scaled
from cladec_utils.models.convolutions import Convolution, TransposedConvolution
from cladec_utils.models.layouts import Layout

DECODER_MIN, DECODER_MAX = 64, 512
DENSE_MOST = 1 << 25
"""Weights of a decoder's dense layer, above which it is made of two."""
NORMS = ("none", "batch")
"""What may stand before a decoder's rectifiers: nothing, as in the official code, or batch norm."""


class Decoder(nn.Module):
    """Decode activations to images; the official shape (PAPER.md [O]), with or without batch norm.

    Activations (N, K, h, w) enter through a 3x3 convolution + ReLU, any other shape (N, ...) is
    flattened and enters through a dense layer + ReLU. Transposed convolutions (kernel 4, stride 2,
    padding 1, ReLU) then double the size, halving the channels down to 64 x width; the last one
    gives the image's channels and a sigmoid: output (N, C, H, W) in [0, 1]. With `norm` `batch`, batch norm
    stands before every ReLU; the official code has none and remarks that it makes little difference at its
    64 epochs, at a hundredth of them it does (`benchmarks/choose_settings.py`).

    The channels depend on the sizes only, never on the number of neurons K, so decoders for subsets
    of a layer have the same capacity behind their first layer. Where no doubling leads from (h, w)
    to (H, W), the activations are first resized to the nearest size from which one does.

    Of tokens (N, K, T) whose `layout` has a grid those on it are a map, and those apart, such as a class
    token, stand at every place of it as further channels. A dense layer of more than DENSE_MOST weights is
    made of two, with as many numbers between them as fit: ViT-B's tokens at 224 pixels would need 3.8
    billion."""

    def __init__(
        self,
        activation_shape: tuple[int, ...],
        image_shape: tuple[int, int, int],
        width: float = 1.0,
        norm: str = "batch",
        layout: Layout | None = None,
    ) -> None:
        super().__init__()
        normed = choose(norm, NORMS, "norm of a decoder") == "batch"
        channels, height, width_px = image_shape
        self.layout = layout if layout and layout.grid and len(activation_shape) == 2 else None
        if self.layout:
            activation_shape = (activation_shape[0] * (1 + self.layout.apart), *self.layout.grid)
        self.is_map = len(activation_shape) == 3
        size = tuple(activation_shape[1:]) if self.is_map else (1, 1)
        doublings = _doublings(size, (height, width_px))
        self.start = (height >> doublings, width_px >> doublings)
        wide = min(DECODER_MAX, DECODER_MIN << max(0, doublings - 1))
        self.first_channels = scaled(wide, width)
        if self.is_map:
            self.enter: nn.Module = Convolution(
                activation_shape[0], self.first_channels, 3, padding=1, bias=not normed
            )
            self.resize: nn.Module = nn.Identity() if size == self.start else nn.Upsample(self.start)
        else:
            self.resize = nn.Flatten()
            pixels = self.start[0] * self.start[1]
            self.enter = _dense(math.prod(activation_shape), self.first_channels * pixels, bias=not normed)
        self.norm: nn.Module = nn.BatchNorm2d(self.first_channels) if normed else nn.Identity()
        self.grow = nn.Sequential()
        last = self.first_channels
        for _ in range(doublings - 1):
            wide = max(DECODER_MIN, wide // 2)
            self.grow.append(TransposedConvolution(last, scaled(wide, width), bias=not normed))
            last = scaled(wide, width)
            if normed:
                self.grow.append(nn.BatchNorm2d(last))
            self.grow.append(nn.ReLU())
        self.leave: nn.Module = (
            TransposedConvolution(last, channels) if doublings else Convolution(last, channels, 3, 1, 1)
        )

    def forward(self, activations: Tensor) -> Tensor:
        if self.layout:
            everywhere = activations[:, :, : self.layout.apart].flatten(1)[:, :, None, None]
            on_grid = self.layout.as_map(activations)
            activations = torch.cat([on_grid, everywhere.expand(-1, -1, *on_grid.shape[2:])], 1)
        h = self.enter(self.resize(activations))
        if not self.is_map:
            h = h.view(-1, self.first_channels, *self.start)
        return torch.sigmoid(self.leave(self.grow(torch.relu(self.norm(h)))))


def _dense(numbers: int, outputs: int, bias: bool) -> nn.Module:
    if numbers * outputs <= DENSE_MOST:
        return nn.Linear(numbers, outputs, bias=bias)
    between = max(1, DENSE_MOST // (numbers + outputs))
    return nn.Sequential(nn.Linear(numbers, between, bias=False), nn.Linear(between, outputs, bias=bias))


def _doublings(size: tuple[int, int], image: tuple[int, int]) -> int:
    """The most doublings that lead to exactly `image` from a size no smaller than `size`."""
    n = 0
    while all(i % (2 << n) == 0 and i // (2 << n) >= s for s, i in zip(size, image, strict=True)):
        n += 1
    return n
