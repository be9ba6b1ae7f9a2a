import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cladec_utils.errors import CladecError
from cladec_utils.models import architectures
from cladec_utils.models.architectures import ARCHITECTURES, make_classifier, reinitialise
from cladec_utils.models.decoder import Decoder

sides = st.integers(1, 5).map(lambda n: 8 * n)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(ARCHITECTURES)), st.integers(1, 4), sides, sides, st.integers(2, 5))
def test_classifiers_take_any_multiple_of_8(architecture, channels, height, width, classes):
    network = make_classifier(architecture, (channels, height, width), classes, 0.125).eval()
    assert network(torch.rand(2, channels, height, width)).shape == (2, classes)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple), st.integers(1, 4), sides, sides)
def test_decoder_fits_any_activation_to_any_image(activation, channels, height, width):
    decoder = Decoder(activation, (channels, height, width), 0.05)
    images = decoder(torch.randn(2, *activation))
    assert images.shape == (2, channels, height, width)
    assert images.min() >= 0 and images.max() <= 1


@pytest.mark.parametrize(
    ("activation", "channels"),
    [
        ((10,), [512, 256, 128, 64, 64, 1]),
        ((512, 1, 1), [512, 256, 128, 64, 64, 1]),
        ((256, 2, 2), [512, 256, 128, 64, 1]),
        ((128, 4, 4), [256, 128, 64, 1]),
        ((64, 8, 8), [128, 64, 1]),
        ((32, 16, 16), [64, 1]),
        ((3, 32, 32), [64, 1]),
    ],
)
def test_decoder_has_the_official_shape(activation, channels):
    """Channels halve down to 64; kernel 4, stride 2, padding 1 in every doubling (PAPER.md [O])."""
    decoder = Decoder(activation, (1, 32, 32))
    ups = [m for m in decoder.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [decoder.first_channels, *(m.out_channels for m in ups)][: len(channels)] == (
        channels if ups else channels[:1]
    )
    assert all(m.kernel_size == (4, 4) and m.stride == (2, 2) and m.padding == (1, 1) for m in ups)


def test_a_subset_gets_a_decoder_of_the_same_capacity():
    whole, subset = Decoder((128, 4, 4), (1, 32, 32)), Decoder((3, 4, 4), (1, 32, 32))
    assert [p.shape for p in list(whole.parameters())[2:]] == [p.shape for p in list(subset.parameters())[2:]]


def test_vgg_has_the_official_shape():
    network = make_classifier("vgg", (1, 32, 32), 10)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [32, 64, 128, 128, 256, 256, 512, 512]
    assert [m.stride[0] for m in convolutions] == [2, 2, 1, 2, 1, 2, 1, 2]
    assert network.dropout.p == 0.5 and network.logits.in_features == 512


def test_architectures_are_of_comparable_size():
    sizes = [
        sum(p.numel() for p in make_classifier(a, (1, 32, 32), 10).parameters())
        for a in sorted(ARCHITECTURES)
    ]
    assert max(sizes) < 1.2 * min(sizes)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("vgh", (1, 32, 32), 10), "Unknown architecture 'vgh'. Did you mean 'vgg'"),
        (("vgg", (1, 30, 32), 10), "multiples of 8"),
        (("vgg", (1, 32, 32), 1), "at least 2 classes"),
        (("vgg", (1, 32, 32), 10, 0), "width multiplier is 0"),
    ],
)
def test_bad_choices_get_a_sentence(arguments, sentence):
    with pytest.raises(CladecError, match=sentence):
        make_classifier(*arguments)


def test_reinitialise_draws_all_weights_anew():
    network = make_classifier("resnet", (1, 32, 32), 10, 0.125)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network.train()(torch.rand(4, 1, 32, 32))
    reinitialise(network)
    after = network.state_dict()
    assert all((after[k] == 0).all() for k in after if k.endswith("running_mean"))
    assert not any(torch.equal(before[k], after[k]) for k in after if k.endswith("conv1.weight"))


def test_reinitialise_needs_reset_parameters():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(CladecError, match=r"'1' \(Odd\) has no reset_parameters"):
        reinitialise(nn.Sequential(nn.Linear(3, 3), Odd()))


def test_parts_with_buffers_alone_need_no_reset_parameters():
    """The mean to subtract from images stays; a batch norm without weights forgets its statistics."""

    class Normalise(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.tensor(0.5))

    network = nn.Sequential(Normalise(), nn.BatchNorm1d(3, affine=False), nn.Linear(3, 3))
    network[1].running_mean.fill_(7)
    before = network[2].weight.clone()
    reinitialise(network)
    assert network[0].mean == 0.5 and (network[1].running_mean == 0).all()
    assert not torch.equal(network[2].weight, before)


def test_a_registered_name_tells_weights_apart_whatever_their_type():
    torch.manual_seed(0)
    names = {architectures.register(nn.Linear(2, 2).to(kind)) for kind in (torch.float32, torch.bfloat16) * 2}
    assert len(names) == 4 and all(map(architectures.is_own, names)) and not architectures.is_own("vgg")


def test_a_frozen_module_is_drawn_anew_ready_to_be_trained():
    name = architectures.register(nn.Sequential(nn.Linear(4, 2)).eval().requires_grad_(False))
    assert all(p.requires_grad for p in make_classifier(name, (1, 2, 2), 2).parameters())
    assert not any(p.requires_grad for p in architectures.registered(name).parameters())
