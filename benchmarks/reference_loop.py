"""The official training procedure, in our own words and as it is known to us (PAPER.md [O]): the baseline.

A DataLoader with four workers that decodes and enlarges image by image, fp32, torch's default memory format
and threads, plain optimisers; the classifier with accuracy passes over training and test images after each
epoch; the decoder's loss always with alpha = 0.001, so that C runs forwards and backwards even for an alpha
this small, gradients of its frozen weights included; one network after the other. `speed.py` runs it.
"""

import time

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from cladec_utils.engine.device import best_device
from cladec_utils.models.architectures import make_classifier
from cladec_utils.models.convolutions import Convolution, TransposedConvolution
from cladec_utils.models.decoder import Decoder
from cladec_utils.models.encoder import Encoder

DEVICE = best_device()
ALPHA, LOADERS, BATCH = 0.001, 4, 128
SHAPE, CLASSES = (1, 32, 32), 10


class Images(Dataset):
    """Grey 28 x 28 images (N, 28, 28) uint8, turned into tensors one by one."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image = self.images[i].float().div(255)[None, None]
        return functional.interpolate(image, size=SHAPE[1:])[0], self.labels[i]


def loader(images: Tensor, labels: Tensor, shuffle: bool) -> DataLoader:
    """Batches made by four worker processes."""
    return DataLoader(Images(images, labels), BATCH, shuffle=shuffle, num_workers=LOADERS)


def plain(network: nn.Module) -> nn.Module:
    """The same network with torch's own convolutions."""
    for part in network.modules():
        if isinstance(part, Convolution):
            part.__class__ = nn.Conv2d
        elif isinstance(part, TransposedConvolution):
            part.__class__ = nn.ConvTranspose2d
    return network


def official_classifier() -> nn.Module:
    """The VGG-like classifier at full width."""
    return plain(make_classifier("vgg", SHAPE, CLASSES)).to(DEVICE)


def classifier_epoch(images: Tensor, labels: Tensor) -> float:
    """Seconds of one epoch: training, then accuracy on the training images and on a sixth as many."""
    network = official_classifier()
    optimiser = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    start = time.perf_counter()
    for x, y in loader(images, labels, shuffle=True):
        x, y = x.to(DEVICE), y.to(DEVICE)  # noqa: PLW2901
        loss = functional.cross_entropy(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
    network.eval()
    for part in (slice(None), slice(len(labels) // 6)):
        with torch.no_grad():
            for x, y in loader(images[part], labels[part], shuffle=False):
                (network(x.to(DEVICE)).argmax(1) == y.to(DEVICE)).sum().item()
    return time.perf_counter() - start


def decoder_epoch(images: Tensor, labels: Tensor, layer: str, refae: bool) -> float:
    """Seconds of one epoch of ClaDec or, with `refae`, of the encoder together with the decoder."""
    network = official_classifier()
    encoder = Encoder(official_classifier() if refae else network, layer, SHAPE)
    decoder = plain(Decoder(encoder.activation_shape, SHAPE)).to(DEVICE)
    weights = [*decoder.parameters(), *(encoder.parameters() if refae else ())]
    optimiser = torch.optim.Adam(weights, 3e-4, weight_decay=1e-5)
    network.eval()
    encoder.train(refae)
    start = time.perf_counter()
    for x, y in loader(images, labels, shuffle=True):
        x, y = x.to(DEVICE), y.to(DEVICE)  # noqa: PLW2901
        decoded = decoder(encoder(x))
        loss = (1 - ALPHA) * functional.mse_loss(decoded, x)
        if not refae:
            loss = loss + ALPHA * functional.cross_entropy(network(decoded), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
    return time.perf_counter() - start
