"""Convolutions with the weights and results of torch's own, computed faster where torch's are slow.

Late layers of the official shapes have maps of one or two pixels. There a 3x3 kernel mostly meets padding,
and a convolution is a dense layer: `Convolution` and `TransposedConvolution` compute it as one matrix
product. Elsewhere they are torch's own. `benchmarks/speed.py` measures what it brings.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

DENSE_SIDE = 2
"""Maps of at most this many pixels a side are computed by a matrix product."""


class Convolution(nn.Conv2d):
    """`nn.Conv2d`; same weights, same result up to rounding."""

    def forward(self, x: Tensor) -> Tensor:
        matrix = self._matrix(*x.shape[2:]) if max(x.shape[2:]) <= DENSE_SIDE else None
        if matrix is None:
            return super().forward(x)
        rows, columns = (self._outputs(side, axis) for axis, side in enumerate(x.shape[2:]))
        y = functional.linear(_pixels_last(x).flatten(1), matrix)
        y = y.view(len(x), rows, columns, self.out_channels).permute(0, 3, 1, 2)
        return y if self.bias is None else y + self.bias[:, None, None]

    def _outputs(self, side: int, axis: int) -> int:
        return (side + 2 * self.padding[axis] - self.kernel_size[axis]) // self.stride[axis] + 1

    def _matrix(self, height: int, width: int) -> Tensor | None:
        """The weights as a matrix (pixels x channels out, pixels x channels in); None unless every pixel
        of the map meets the kernel at every output."""
        rows, columns = self._taps(height, 0), self._taps(width, 1)
        if rows is None or columns is None:
            return None
        # In the order in which the weights lie in memory (channels last), and so do their gradients: in any
        # other, each step would sort them into it, an eighth of the time of RefAE's at full width.
        taps = _pixels_last(self.weight)
        parts = torch.stack([taps[:, r, c] for r in rows for c in columns])
        return parts.reshape(len(parts) * self.out_channels, -1)

    def _taps(self, side: int, axis: int) -> list[slice] | None:
        """For each output along an axis, the part of the kernel that lies on the map."""
        first = [self.padding[axis] - o * self.stride[axis] for o in range(self._outputs(side, axis))]
        inside = all(f >= 0 and f + side <= self.kernel_size[axis] for f in first)
        return [slice(f, f + side) for f in first] if inside else None


class TransposedConvolution(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` with kernel 4, stride 2 and padding 1, which doubles a map; same weights, same
    result up to rounding. Towards a single channel, where torch is slow on a CPU, the product with the
    kernel is taken first and its overlapping parts are added afterwards."""

    def __init__(self, channels_in: int, channels_out: int, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height == width == 1:
            centre = _pixels_last(self.weight)[:, 1:3, 1:3]  # the rest would fall outside
            y = x.flatten(1) @ centre.flatten(1)
            y = y.view(len(x), 2, 2, self.out_channels).permute(0, 3, 1, 2)
        elif self.out_channels == 1 and x.device.type == "cpu":
            parts = _pixels_last(x).flatten(1, 2) @ self.weight.flatten(1)
            y = functional.fold(parts.transpose(1, 2), (2 * height, 2 * width), 4, padding=1, stride=2)
        else:
            return super().forward(x)
        return y if self.bias is None else y + self.bias[:, None, None]


def _pixels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)
