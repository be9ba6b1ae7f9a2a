"""Encoder and decoder as one network, and what training and reading one needs: pixels, activations, norms."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cladec_utils.data.datasets import Data
from cladec_utils.engine.device import best_device, reproducible
from cladec_utils.models.decoder import Decoder
from cladec_utils.models.layers import Encoder
from cladec_utils.models.training import EVAL_BATCH, apply


def as_float(images: Tensor) -> Tensor:
    """uint8 pixels 0..255 -> float32 in [0, 1]; the only conversion there is."""
    return images.float().div_(255)


CACHED_ACTIVATIONS = {"cpu": 1 << 30, "cuda": 16 << 30}
"""Bytes of activations kept in memory while a decoder is trained, on a GPU a third of what is free at most;
above it they are computed anew."""


class Autoencoder(nn.Module):
    """Encoder, then decoder: (N, C, H, W) images in [0, 1] to their reconstructions, same shape and range."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


def to_device(module: nn.Module) -> nn.Module:
    """The module on the best device, its weights laid out channels last."""
    return module.to(best_device(), memory_format=torch.channels_last)


def pixels(images: Tensor) -> Tensor:
    """Images on whatever device, uint8 or float in [0, 1], to what a network takes."""
    images = images.to(best_device())
    pixels = as_float(images) if images.dtype == torch.uint8 else images
    return pixels.contiguous(memory_format=torch.channels_last)


def predict(network: nn.Module, images: Tensor) -> Tensor:
    """`network`'s output for (N, C, H, W) images, uint8 or float in [0, 1]; float32 on the CPU.

    Computed in batches, without gradients, and `reproducible`.
    """
    with reproducible(0):
        return apply(network.eval(), images, pixels).cpu()


@torch.no_grad()
def measure_norms(network: nn.Module, modules: list[nn.Module], images: Tensor) -> None:
    """Set the statistics of the batch norms among `modules` to those of the training images; other
    batch norms keep theirs. The network ends in evaluation mode."""
    network.eval()
    for norm in modules:
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
            norm.train()
    for batch in images.split(EVAL_BATCH):
        if len(batch) > 1:  # of a single image batch norm cannot measure anything
            network(pixels(batch))
    network.eval()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit is their label's."""
    return (logits.argmax(1).cpu() == labels.cpu()).float().mean().item()


def stored_activations(encoder: Encoder, images: Tensor) -> Callable[[Tensor], Tensor]:
    """A function from indices to activations: of stored ones where they fit in memory."""
    bytes_each = 4 * torch.Size(encoder.activation_shape).numel()
    if bytes_each * len(images) > _room(images.device):
        return lambda i: encoder(pixels(images[i])).detach()
    stored = apply(encoder, images, pixels)
    return lambda i: stored[i]


def _room(device: torch.device) -> int:
    most = CACHED_ACTIVATIONS[device.type]
    return min(most, torch.cuda.mem_get_info(device)[0] // 3) if device.type == "cuda" else most


def validation(
    decode: Callable[[], Tensor], data: Data, objective: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Callable[[], float] | None:
    """A function that measures what is trained for, `objective(decoded, x, labels)`, on validation images;
    `decode` gives them as the network draws them now. None where there are no validation images."""
    if not len(data.val):
        return None
    x, labels = pixels(data.val.images), data.val.labels.to(best_device())

    @torch.no_grad()
    def value() -> float:
        return objective(decode(), x, labels).item()

    return value
