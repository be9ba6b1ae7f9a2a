"""Images in, outputs out: pixels as networks take them, predictions in batches, batch norm's statistics."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from cladec_utils.engine.device import best_device, reproducible
from cladec_utils.models.modules import restore_layout
from cladec_utils.models.training import EVAL_BATCH, apply

NORM_IMAGES = 8192
"""Batch norm's statistics are measured on at most so many training images."""


def as_float(images: Tensor) -> Tensor:
    """uint8 pixels 0..255 -> float32 in [0, 1]; the only conversion there is."""
    return images.float().div_(255)


def to_device(module: nn.Module, device: torch.device | None = None) -> nn.Module:
    """The module on `device` (None: the best one), its weights laid out channels last, but for parts that
    need contiguous ones (see `modules.lay_out`)."""
    module = module.to(device or best_device(), memory_format=torch.channels_last)
    restore_layout(module)
    return module


def pixels(images: Tensor, device: torch.device | None = None) -> Tensor:
    """Images on whatever device, uint8 or float in [0, 1], to float32 as a network on `device` takes it."""
    images = images.to(device or best_device())
    taken = as_float(images) if images.dtype == torch.uint8 else images.float()
    return taken.contiguous(memory_format=torch.channels_last)


def resized(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Images (N, C, h, w), floats in [0, 1], brought to the (C, H, W) of others: bilinearly, without
    aliasing. Those that have it stay what they are."""
    size = tuple(shape[1:])
    if tuple(images.shape[2:]) == size:
        return images
    found = functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
    return found.clamp(0, 1)  # rounding may leave the range by a bit


def predict(network: nn.Module, images: Tensor) -> Tensor:
    """`network`'s output for (N, C, H, W) images, uint8 or float in [0, 1]; float32 on the CPU.

    Computed in batches, without gradients, and `reproducible`.
    """
    with reproducible(0):
        return apply(network.eval(), images, pixels).cpu()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit is their label's."""
    return (logits.argmax(1).cpu() == labels.cpu()).float().mean().item()


@torch.no_grad()
def measure_norms(
    run: Callable[[Tensor], object], modules: Iterable[nn.Module], batches: Iterable[Tensor]
) -> None:
    """Set the statistics of batch norms among `modules` to those of `batches`, which `run` is called with.

    In training they are a moving average, which a short training with a small momentum leaves near its
    initial values. All modules must be in evaluation mode, and are in the end.
    """
    norms = [
        module
        for module in modules
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    for batch in batches:
        if len(batch) > 1:  # of a single image batch norm cannot measure anything
            run(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def norm_batches(images: Tensor) -> tuple[Tensor, ...]:
    """The first NORM_IMAGES of training images (N, ...) in batches, for `measure_norms`."""
    return images[:NORM_IMAGES].split(EVAL_BATCH)
