"""Equal forms of the decoders' transposed convolution (kernel 4, stride 2, padding 1), and their speed.

Forward and backward passes of batches of 128, one thread, channels last, for the shapes of the official
decoder at full and at quarter width. Every form is first held against torch's own in float64. Milliseconds
are medians of turns that alternate; `times` is torch's own time over the form's: above 1 the form is faster.

    python benchmarks/transposed.py                writes transposed.csv
"""

import statistics
import time
from collections.abc import Callable

import torch
from common import write
from torch import Tensor
from torch.nn import functional

BATCH, TURNS = 128, 9
SHAPES = [(256, 128, 2), (128, 64, 4), (64, 64, 8), (64, 1, 16)]
"""Channels in, channels out and side at full width."""
Form = Callable[[Tensor, Tensor], Tensor]


def of_torch(x: Tensor, weight: Tensor) -> Tensor:
    """What the decoders use but for the last layer."""
    return functional.conv_transpose2d(x, weight, stride=2, padding=1)


def _phase(weight: Tensor, a: int, b: int) -> Tensor:
    """The 2x2 part of the kernel that makes the output's rows of parity `a` and columns of parity `b`."""
    return weight[:, :, [3 - a, 1 - a]][:, :, :, [3 - b, 1 - b]].permute(1, 0, 2, 3)


def four_convolutions(x: Tensor, weight: Tensor) -> Tensor:
    """A 2x2 convolution per phase of the output."""
    count, _, side, _ = x.shape
    padded = functional.pad(x, (1, 1, 1, 1))
    rows = [
        torch.stack([
            functional.conv2d(
                padded[:, :, a : a + side + 1, b : b + side + 1], _phase(weight, a, b)
            ).permute(0, 2, 3, 1)
            for b in (0, 1)
        ], 3)
        for a in (0, 1)
    ]  # fmt: skip
    return torch.stack(rows, 2).reshape(count, 2 * side, 2 * side, -1).permute(0, 3, 1, 2)


def one_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """One 2x2 convolution for all phases, whose parts are then put together."""
    count, _, side, _ = x.shape
    kernel = torch.cat([_phase(weight, a, b) for a in (0, 1) for b in (0, 1)])
    found = functional.conv2d(x, kernel, padding=1).permute(0, 2, 3, 1)
    found = found.reshape(count, side + 1, side + 1, 2, 2, -1)
    rows = [torch.stack([found[:, a : a + side, b : b + side, a, b] for b in (0, 1)], 3) for a in (0, 1)]
    return torch.stack(rows, 2).reshape(count, 2 * side, 2 * side, -1).permute(0, 3, 1, 2)


def pixel_shuffle(x: Tensor, weight: Tensor) -> Tensor:
    """One 3x3 convolution with zeros in it, then a pixel shuffle."""
    kernel = weight.new_zeros(weight.shape[1], 2, 2, weight.shape[0], 3, 3)
    for a in (0, 1):
        for b in (0, 1):
            kernel[:, a, b, :, a : a + 2, b : b + 2] = _phase(weight, a, b)
    return functional.pixel_shuffle(functional.conv2d(x, kernel.flatten(0, 2), padding=1), 2)


def dense(x: Tensor, weight: Tensor) -> Tensor:
    """A matrix product with the whole layer as one matrix: for the smallest maps."""
    count, channels, side, _ = x.shape
    matrix = weight.new_zeros(side, side, channels, 2 * side + 2, 2 * side + 2, weight.shape[1])
    for i in range(side):
        for j in range(side):
            matrix[i, j, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] = weight.permute(0, 2, 3, 1)
    matrix = matrix[:, :, :, 1:-1, 1:-1].reshape(side * side * channels, -1)
    found = x.permute(0, 2, 3, 1).flatten(1) @ matrix
    return found.view(count, 2 * side, 2 * side, -1).permute(0, 3, 1, 2)


def product_and_fold(x: Tensor, weight: Tensor) -> Tensor:
    """A product with the kernel, its overlapping parts added: what the decoders use towards one channel."""
    parts = x.permute(0, 2, 3, 1).flatten(1, 2) @ weight.flatten(1)
    side = 2 * x.shape[2]
    return functional.fold(parts.transpose(1, 2), (side, side), 4, padding=1, stride=2)


FORMS = {
    f.__name__: f
    for f in (of_torch, product_and_fold, four_convolutions, one_convolution, pixel_shuffle, dense)
}


def _milliseconds(forms: dict[str, Form], channels: int, out: int, side: int) -> dict[str, float]:
    last = {"memory_format": torch.channels_last}
    x = torch.randn(BATCH, channels, side, side).contiguous(**last).requires_grad_()
    weight = torch.randn(channels, out, 4, 4).contiguous(**last).requires_grad_()
    slope = torch.randn(BATCH, out, 2 * side, 2 * side).contiguous(**last)
    took: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(TURNS + 1):
        for name, form in forms.items():
            begin = time.process_time()
            torch.autograd.grad(form(x, weight), (x, weight), slope)
            took[name].append(1000 * (time.process_time() - begin))
    return {name: statistics.median(values[1:]) for name, values in took.items()}


def main() -> None:
    """Check that all forms are equal, time them, write the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, weight = torch.randn(3, 5, 4, 4).double(), torch.randn(5, 6, 4, 4).double()
    assert all(torch.allclose(form(x, weight), of_torch(x, weight)) for form in FORMS.values())
    rows = []
    for width in (1.0, 0.25):
        for channels, out, side in SHAPES:
            shape = int(channels * width), max(1, int(out * width)), side
            forms = {name: form for name, form in FORMS.items() if name != "dense" or side <= 2}
            took = _milliseconds(forms, *shape)
            for name, each in took.items():
                facts = dict(zip(("channels", "out", "side"), shape, strict=True))
                rows.append(facts | {"form": name, "ms": each, "times": took["of_torch"] / each})
    write("transposed", rows)


if __name__ == "__main__":
    main()
