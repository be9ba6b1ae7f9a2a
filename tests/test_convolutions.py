"""Our convolutions are torch's own, whatever the map's size: results, gradients, weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cladec_utils.models.convolutions import Convolution, TransposedConvolution

sides = st.tuples(st.integers(1, 5), st.integers(1, 5))
kernels = st.sampled_from([(1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1), (3, 1, 0), (5, 1, 2)])


def assert_equal(ours, theirs, x):
    theirs.load_state_dict(ours.state_dict())
    y, wanted = ours(x), theirs(x)
    # Tolerances are 30 times what was seen in 2,000 comparisons under AVX2 and AVX512_CORE.
    assert torch.allclose(y, wanted, atol=1e-5)
    upstream = torch.randn(wanted.shape)
    mine = torch.autograd.grad(y, [x, *ours.parameters()], upstream)
    others = torch.autograd.grad(wanted, [x, *theirs.parameters()], upstream)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(mine, others, strict=True))


@pytest.mark.numeric
@settings(deadline=None, max_examples=60)
@given(sides, kernels, st.booleans(), st.integers(1, 3))
def test_convolution(side, kernel, bias, channels):
    if min(side) + 2 * kernel[2] < kernel[0]:
        return
    torch.manual_seed(sum(side))
    ours, theirs = Convolution(channels, 4, *kernel, bias=bias), nn.Conv2d(channels, 4, *kernel, bias=bias)
    assert_equal(ours, theirs, torch.randn(3, channels, *side, requires_grad=True))


@pytest.mark.numeric
@settings(deadline=None, max_examples=40)
@given(sides, st.integers(1, 3), st.integers(1, 3))
def test_transposed_convolution(side, channels_in, channels_out):
    torch.manual_seed(sum(side))
    ours, theirs = (
        TransposedConvolution(channels_in, channels_out),
        nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1),
    )
    assert_equal(ours, theirs, torch.randn(3, channels_in, *side, requires_grad=True))


def test_small_maps_take_the_short_way(monkeypatch):
    """Where torch would spend its time on padding, it is not asked."""
    monkeypatch.setattr(nn.Conv2d, "forward", lambda *_: 1 / 0)
    monkeypatch.setattr(nn.ConvTranspose2d, "forward", lambda *_: 1 / 0)
    assert Convolution(2, 3, 3, 2, 1)(torch.zeros(1, 2, 2, 2)).shape == (1, 3, 1, 1)
    assert Convolution(2, 3, 3, 1, 1)(torch.zeros(1, 2, 2, 2)).shape == (1, 3, 2, 2)
    assert TransposedConvolution(2, 3)(torch.zeros(1, 2, 1, 1)).shape == (1, 3, 2, 2)
    assert TransposedConvolution(2, 1)(torch.zeros(1, 2, 4, 4)).shape == (1, 1, 8, 8)


def test_channels_last_in_channels_last_out():
    x = torch.zeros(4, 8, 2, 2).to(memory_format=torch.channels_last)
    for network in (Convolution(8, 6, 3, 1, 1), TransposedConvolution(8, 6)):
        assert network(x).is_contiguous(memory_format=torch.channels_last)
