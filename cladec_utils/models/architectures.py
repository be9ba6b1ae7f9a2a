"""Classifiers: `vgg`, `resnet`, and those of the user's."""

import copy
import functools
import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cladec_utils.engine.device import random_kept
from cladec_utils.errors import CladecError, choose
from cladec_utils.models import loaders
from cladec_utils.models.convolutions import Convolution
from cladec_utils.models.identity import fingerprint
from cladec_utils.models.modules import check_output, copied, lay_out
from cladec_utils.models.outputs import note_chance, recognise, recognised, remember, select, selected
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


class OwnName(str):
    """The name of a module of the user's, made from all that it is (see `identity`), with what other
    processes need: the `loader`'s text (see `loaders`), empty for one that only this process has; the
    `image_shape` that it was shown; the `classes` selected of its outputs, and what was `recognised` in them
    (see `outputs`)."""

    __slots__ = ("classes", "image_shape", "loader", "recognised")

    def __new__(
        cls,
        name: str,
        loader: str,
        image_shape: tuple[int, int, int] | None,
        classes: tuple[int, ...] | None = None,
        recognised: str | None = None,
    ) -> "OwnName":
        made = super().__new__(cls, name)
        made.loader, made.image_shape, made.classes, made.recognised = (
            loader,
            image_shape,
            classes,
            recognised,
        )
        return made

    def __reduce__(self) -> tuple:
        return OwnName, (str(self), self.loader, self.image_shape, self.classes, self.recognised)


def register(
    classifier: nn.Module | str,
    classes: Sequence[int] | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> OwnName:
    """Make a trained module of the user's, or what a loader's text gives, known to this process under a name
    made from all that it is, but for what it keeps of images (C, H, W), and from the outputs `classes` that
    it gives (None: all)."""
    text = loaders.absolute(classifier) if isinstance(classifier, str) else ""
    mine = copied(loaders.load(text) if text else classifier, "classifier").cpu()
    architecture = f"{OWN}{type(mine).__name__}:{fingerprint(mine, image_shape=image_shape)}"
    if chosen := selected(select(mine, classes)):
        words = "+".join(map(str, chosen))
        short = words if len(words) <= LONGEST else hashlib.sha256(words.encode()).hexdigest()[:LONGEST]
        architecture += f":{short}"
    _REGISTERED.setdefault(architecture, mine)  # what was recognised of it stays known
    return OwnName(architecture, text, image_shape, chosen)


def outputs_given(architecture: str) -> tuple[int, ...] | None:
    """The outputs that a module registered with `classes` gives; None: all of them."""
    mine = _REGISTERED.get(architecture)
    return None if mine is None else selected(mine)


def look_at_outputs(architecture: str, images: Tensor, labels: Tensor) -> OwnName:
    """See what a registered module gives for a data set's images and labels, and say what the user should
    know (see `outputs`). Returns the name with what was recognised."""
    recognise(_REGISTERED[architecture], images)
    note_chance(_REGISTERED[architecture], images, labels)
    text, shape, classes = (getattr(architecture, name, "") for name in ("loader", "image_shape", "classes"))
    return OwnName(architecture, text, shape or None, classes or None, recognised(_REGISTERED[architecture]))


def registered(architecture: str) -> nn.Module:
    """A copy of the module registered as `architecture`, weights included; a process that does not have it
    yet loads it, if it came as text. Raises CladecError if it cannot, or gets another one."""
    if architecture not in _REGISTERED:
        text = getattr(architecture, "loader", "")
        if not text:
            raise CladecError(
                f"This process has no classifier {architecture}; open its study here, or if it must be known "
                "elsewhere, name it by a loader, such as architecture='mymodule:load'."
            )
        found = register(text, architecture.classes, architecture.image_shape)
        if found != architecture:
            raise CladecError(
                f"{text} gives another classifier here ({found}) than where the study was opened "
                f"({architecture}): its weights, code or attributes differ. Let it read weights from a file, "
                "draw nothing, and keep no time or path of a process."
            )
        remember(_REGISTERED[architecture], architecture.recognised)
    return copy.deepcopy(_REGISTERED[architecture])


def is_own(architecture: str) -> bool:
    """Whether an architecture is a module of the user's."""
    return architecture.startswith(OWN)


def is_portable(architecture: str) -> bool:
    """Whether other processes can make or load such a network: not a module of this process alone."""
    return not is_own(architecture) or bool(getattr(architecture, "loader", ""))


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
    if is_own(architecture):
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
    if is_own(architecture):  # it need not be one that can be drawn anew
        return registered(architecture)
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
