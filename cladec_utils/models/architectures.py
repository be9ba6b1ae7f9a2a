"""Classifiers: `vgg`, `resnet`, and those of the user's."""

import copy
import functools
import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cladec_utils.engine.device import random_kept
from cladec_utils.errors import CladecError, choose
from cladec_utils.models.convolutions import Convolution
from cladec_utils.models.modules import check_output, copied, lay_out
from cladec_utils.models.outputs import note_chance, recognise, select, selected
from cladec_utils.models.references import reinitialise

VGG_CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512)
VGG_STRIDES = (2, 2, 1, 2, 1, 2, 1, 2)
RESNET_CHANNELS = (32, 64, 128, 256, 512)


def scaled(channels: int, width: float) -> int:
    """Number of channels at a width multiplier, at least 1."""
    return max(1, round(channels * width))


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv = Convolution(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016, basic block)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Convolution(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu1 = nn.ReLU()
        self.conv2 = Convolution(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.relu2 = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(h)) + self.shortcut(x))


def vgg(channels: int, classes: int, width: float = 1.0) -> nn.Sequential:
    """The official VGG-like classifier (PAPER.md [O]): eight blocks, dropout 0.5, a linear layer.

    Takes (N, channels, H, W) in [0, 1], H and W multiples of 8; gives (N, classes) logits. A 32-pixel
    image leaves `block8` as one pixel; larger ones are averaged in `pool`.
    """
    net = nn.Sequential()
    last = channels
    for i, (out, stride) in enumerate(zip(VGG_CHANNELS, VGG_STRIDES, strict=True), 1):
        net.add_module(f"block{i}", ConvBlock(last, scaled(out, width), stride))
        last = scaled(out, width)
    return _with_head(net, last, classes, dropout=0.5)


def resnet(channels: int, classes: int, width: float = 1.0) -> nn.Sequential:
    """A ResNet-10-like classifier with the cost and size of `vgg`: a stem and five residual stages.

    Same input, output and meaning of `width` as `vgg`; a 32-pixel image leaves `stage5` as one pixel.
    """
    net = nn.Sequential()
    last = scaled(RESNET_CHANNELS[0], width)
    net.add_module("stem", ConvBlock(channels, last, stride=2))
    for i, out in enumerate(RESNET_CHANNELS, 1):
        net.add_module(f"stage{i}", ResidualBlock(last, scaled(out, width), 1 if i == 1 else 2))
        last = scaled(out, width)
    return _with_head(net, last, classes, dropout=0.0)


def _with_head(net: nn.Sequential, features: int, classes: int, dropout: float) -> nn.Sequential:
    net.add_module("pool", nn.AdaptiveAvgPool2d(1))
    net.add_module("flatten", nn.Flatten())
    if dropout:
        net.add_module("dropout", nn.Dropout(dropout))
    net.add_module("logits", nn.Linear(features, classes))
    return net


ARCHITECTURES = {"vgg": vgg, "resnet": resnet}
OWN = "own:"
LONGEST = 12
"""Letters of a name that say which outputs are given; a checksum where they are too many."""
_REGISTERED: dict[str, nn.Module] = {}


def fingerprint(module: nn.Module, weights: bool = True) -> str:
    """12 hex digits of a sha256 over a module's parts in words and, with `weights`, all of its state."""
    digest = hashlib.sha256(repr(module).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        if weights:  # as bytes, because NumPy has no bfloat16
            content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(content.numpy().tobytes())
    return digest.hexdigest()[:12]


def register(classifier: nn.Module, classes: Sequence[int] | None = None) -> str:
    """Make a trained module of the user's known to this process under a name made from its weights and from
    the outputs `classes` that it gives (None: all)."""
    mine = copied(classifier, "classifier").cpu()
    architecture = f"{OWN}{type(mine).__name__}:{fingerprint(mine)}"
    select(mine, classes)
    if chosen := selected(mine):
        text = "+".join(map(str, chosen))
        short = text if len(text) <= LONGEST else hashlib.sha256(text.encode()).hexdigest()[:LONGEST]
        architecture += f":{short}"
    _REGISTERED.setdefault(architecture, mine)  # what was recognised of it stays known
    return architecture


def outputs_given(architecture: str) -> tuple[int, ...] | None:
    """The outputs that a module registered with `classes` gives; None: all of them."""
    mine = _REGISTERED.get(architecture)
    return None if mine is None else selected(mine)


def look_at_outputs(architecture: str, images: Tensor, labels: Tensor) -> None:
    """See what a registered module gives for a data set's images and labels, and say what the user should
    know (see `outputs`)."""
    recognise(_REGISTERED[architecture], images)
    note_chance(_REGISTERED[architecture], images, labels)


def registered(architecture: str) -> nn.Module:
    """A copy of the module registered as `architecture`, weights included."""
    return copy.deepcopy(_REGISTERED[architecture])


def is_own(architecture: str) -> bool:
    """Whether an architecture is a module of the user's, which no other process knows."""
    return architecture.startswith(OWN)


@functools.cache
def is_drawable(architecture: str) -> bool:
    """Whether an architecture can be had with fresh weights: one of the user's need not be. A study of it has
    no controls, and its evaluation classifiers are of the kit's own architecture."""
    if not is_own(architecture):
        return True
    try:
        with random_kept():
            reinitialise(registered(architecture))
    except CladecError:
        return False
    return True


def make_classifier(
    architecture: str, image_shape: tuple[int, int, int], classes: int, width: float = 1.0
) -> nn.Module:
    """Build a classifier with random weights from torch's current seed.

    `image_shape` is (C, H, W). Raises CladecError for an unknown architecture, a width that is not
    positive, fewer than two classes, or an image side that is not a multiple of 8.
    """
    if architecture in _REGISTERED:
        own = registered(architecture)
        reinitialise(own)
        for weight in own.parameters():
            weight.requires_grad_(weight.is_floating_point())  # it may have come frozen
        lay_out(own, torch.zeros(2, *image_shape))
        return own
    choose(architecture, ARCHITECTURES, "architecture")
    channels, height, width_px = image_shape
    if height % 8 or width_px % 8 or min(height, width_px) < 8:
        raise CladecError(
            f"Images of {height}x{width_px} pixels do not fit: both sides must be multiples of 8. "
            "Resize them with image_size (--image-size)."
        )
    if not width > 0:
        raise CladecError(f"The width multiplier is {width}; it must be above 0 (1 is the official size).")
    if classes < 2:
        raise CladecError(f"A classifier needs at least 2 classes, but the data set has {classes}.")
    return ARCHITECTURES[architecture](channels, classes, width)


def sample_classifier(
    architecture: str, image_shape: tuple[int, int, int], classes: int, width: float = 1.0
) -> nn.Module:
    """As `make_classifier`, for a network whose weights do not matter: to look at its layers, or to fill it.
    The caller's random numbers go on as if nothing had been drawn."""
    with random_kept():
        return make_classifier(architecture, image_shape, classes, width)


def check_outputs(
    classifier: nn.Module, image_shape: tuple[int, int, int], classes: int, relabelled: bool = False
) -> int:
    """The number of logits of `classifier`. Raises CladecError unless they are (N, at least `classes`)
    floats: as many as classes where they were `relabelled`, since its logits may be numbered as the labels
    were before."""
    first = next(classifier.parameters(), torch.zeros(()))
    with torch.no_grad(), random_kept():
        logits = classifier.eval()(torch.zeros(2, *image_shape, device=first.device))
    check_output(logits)
    real = logits.is_floating_point()
    good = real and logits.dim() == 2 and len(logits) == 2
    if not good or logits.shape[1] < classes:
        shape = tuple(logits.shape) if real else f"{logits.dtype} {tuple(logits.shape)}"
        raise CladecError(
            f"The classifier gives {shape} for 2 images of {classes} classes; it must give logits (2, "
            f"{classes}) or more: wrap it in a module that does, or choose the data it was trained on."
        )
    if relabelled and logits.shape[1] != classes:
        raise CladecError(
            f"The classifier gives {logits.shape[1]} logits, but the data have {classes} classes, numbered "
            "anew as their labels did not run from 0 up: give the data class_names for all logits."
        )
    return logits.shape[1]
