"""The generic encoder: a reference of the same code shape where the architecture itself cannot be one."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from cladec_utils.models.convolutions import Convolution
from cladec_utils.models.layouts import TOKENS_APART

CHANNELS_MIN, CHANNELS_MAX = 64, 512
SIDE = 4
"""A vector is read from a map of at most so many pixels a side,"""
DENSE = 16_000_000
"""unless that needs more weights than these: then its numbers are those of a map."""
WIDEST = 1024
"""Channels of such a map at most, where the image has enough pixels."""


class GenericEncoder(nn.Module):
    """(N, C, H, W) images to codes of a given shape, by strided convolutions with batch norm and ReLU.

    A mirror of `Decoder`: each halving of the size doubles the channels, from 64 x width up to 512 x width.
    A map (K, h, w) is projected by a 1x1 convolution from a map that was shrunk to (h, w). A vector (K,) is
    projected by a dense layer from 4 x 4 pixels or a few more, a long one is a flattened map. Tokens (K, ...)
    are the pixels of a map as small as that many allow; tokens apart, such as a class token, are their mean.
    """

    def __init__(
        self, activation_shape: tuple[int, ...], image_shape: tuple[int, int, int], width: float = 1.0
    ) -> None:
        super().__init__()
        self.activation_shape = tuple(activation_shape)
        channels, *size = image_shape
        count, *rest = activation_shape
        places = math.prod(rest)
        self.is_map, self.is_vector = len(rest) == 2 and places > 1, places == 1
        self.grid = tuple(rest) if self.is_map else _grid(places, *size)
        self.shrink, numbers = _shrinking(
            channels, size, (SIDE, SIDE) if self.is_vector else self.grid, width
        )
        self.is_dense = self.is_vector and count * math.prod(numbers) <= DENSE
        if self.is_dense:
            self.project: nn.Module = nn.Linear(math.prod(numbers), count)
            return
        if self.is_vector:
            side = math.ceil(math.sqrt(count / WIDEST))
            self.grid = min(side, size[0]), min(side, size[1])
            self.shrink, numbers = _shrinking(channels, size, self.grid, width)
            count = math.ceil(count / math.prod(self.grid))
        self.project = nn.Conv2d(numbers[0], count, 1)

    def forward(self, images: Tensor) -> Tensor:
        h = self.shrink(images)
        if self.is_dense:
            code = self.project(h.flatten(1))
        else:
            h = self.project(functional.adaptive_avg_pool2d(h, self.grid) if h.shape[2:] != self.grid else h)
            code = h.flatten(1)[:, : self.activation_shape[0]] if self.is_vector else self._tokens(h)
        return code.reshape(len(images), *self.activation_shape)

    def _tokens(self, h: Tensor) -> Tensor:
        places = math.prod(self.activation_shape[1:])
        tokens = h.flatten(2)
        if tokens.shape[2] < places:
            mean = tokens.mean(2, keepdim=True)
            return torch.cat([mean.expand(-1, -1, places - tokens.shape[2]), tokens], 2)
        return tokens if tokens.shape[2] == places else functional.adaptive_avg_pool1d(tokens, places)


def _grid(tokens: int, height: int, width: int) -> tuple[int, int]:
    """The grid, as wide as the image, of which so many tokens are the places, but for those apart; else the
    next larger square."""
    for apart in TOKENS_APART:
        rows = round(math.sqrt(max(0, tokens - apart) * height / width))
        if rows and (tokens - apart) % rows == 0 and (tokens - apart) // rows * height == rows * width:
            return rows, (tokens - apart) // rows
    side = math.isqrt(tokens - 1) + 1
    return side, side


def _shrinking(
    channels: int, size: list[int], least: tuple[int, int], width: float
) -> tuple[nn.Sequential, tuple[int, ...]]:
    """Convolutions that halve maps while they are at least twice `least`; channels and size in the end."""
    wide, last, layers = CHANNELS_MIN, channels, []
    while all(side >= 2 * need for side, need in zip(size, least, strict=True)):
        out = max(1, round(wide * width))
        layers += _block(Convolution(last, out, 4, 2, padding=1, bias=False))
        wide, last, size = min(CHANNELS_MAX, 2 * wide), out, [side // 2 for side in size]
    if not layers:
        last = max(1, round(wide * width))
        layers += _block(Convolution(channels, last, 3, padding=1, bias=False))
    return nn.Sequential(*layers), (last, *size)


def _block(convolution: nn.Module) -> tuple[nn.Module, ...]:
    return convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()
