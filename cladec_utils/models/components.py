"""Principal components: PCA of images, a reference beside RefAE, and codes of which only some are seen."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from cladec_utils.data.splits import checked_images
from cladec_utils.engine.device import reproducible
from cladec_utils.errors import CladecError
from cladec_utils.models.encoder import Encoder
from cladec_utils.models.given import checked_shape, whole_number
from cladec_utils.models.inference import pixels
from cladec_utils.models.training import apply


class PCA(nn.Module):
    """Principal components of the training images, as many as a code has numbers: the best linear autoencoder
    of that size (Eckart and Young 1936), exact and without training. A reference beside RefAE that costs
    next to nothing; reconstructions are clipped to [0, 1]."""

    kind: ClassVar[str] = "PCA"

    def __init__(self, components: int) -> None:
        super().__init__()
        self.components = whole_number("components", components)
        self.image_shape: tuple[int, int, int] | None = None

    @torch.no_grad()
    def fit(self, images: Tensor) -> "PCA":
        """Find the components of images (N, C, H, W), uint8 or float in [0, 1]; returns self. With more
        components than images or pixels there are, all of them are kept."""
        images = checked_images(images)
        self.image_shape = tuple(images.shape[1:])
        with reproducible(0):
            flat = pixels(images, torch.device("cpu")).flatten(1)
            self.restore(principal_components(flat, self.components), self.image_shape)
        return self

    def restore(self, tensors: dict[str, Tensor], image_shape: tuple[int, int, int]) -> None:
        """Take the `mean` (D,) and the `basis` (components, D) of images of that shape."""
        self.image_shape = image_shape
        for name in ("mean", "basis"):
            self.register_buffer(name, tensors[name])

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images to their reconstructions, floats in [0, 1]."""
        if self.image_shape is None:
            raise CladecError("This PCA has not been fitted yet; call `.fit(images)` first.")
        flat = pixels(checked_shape(images, self.image_shape, self.kind), self.mean.device).flatten(1)
        flat = flat - self.mean
        return (flat @ self.basis.T @ self.basis + self.mean).clamp(0, 1).view(-1, *self.image_shape)


def principal_components(rows: Tensor, count: int) -> dict[str, Tensor]:
    """The `mean` (D,) of rows (N, D) and the `basis` (count, D) of their leading principal components; fewer
    where there are fewer."""
    mean = rows.double().mean(0)
    flat = rows.double() - mean
    kept = min(count, *flat.shape)
    if flat.shape[1] <= len(flat):
        basis = torch.linalg.eigh(flat.T @ flat)[1].flip(1)[:, :kept].T
    else:  # the same directions from the smaller matrix of products of rows
        values, mixes = torch.linalg.eigh(flat @ flat.T)
        kept = min(kept, int((values > 1e-9 * values[-1]).sum()))
        basis = (mixes.flip(1)[:, :kept].T @ flat) / values.flip(0)[:kept, None].sqrt()
    return {"mean": mean.float(), "basis": basis.float()}


class Components(nn.Module):
    """An encoder of which only `count` principal components are seen: (N, C, H, W) images to (N, count).
    `measure` finds them, on training images."""

    def __init__(self, encoder: Encoder, count: int) -> None:
        super().__init__()
        numbers = torch.Size(encoder.activation_shape).numel()
        if not 1 <= count <= numbers:
            raise CladecError(
                f"components is {count}; {encoder.layer} has {numbers} numbers: 1 to {numbers}."
            )
        self.whole = encoder
        self.components = nn.Module()
        self.components.register_buffer("mean", torch.zeros(numbers))
        self.components.register_buffer("basis", torch.zeros(count, numbers))
        self.classifier, self.layer, self.neurons = encoder.classifier, encoder.layer, encoder.neurons
        self.activation_shape = (count,)

    @torch.no_grad()
    def measure(self, images: Tensor) -> None:
        """Find the components of the activations of images."""
        codes = apply(self.whole, images, lambda batch: pixels(batch, images.device)).flatten(1).cpu()
        found = principal_components(codes, len(self.components.basis))
        self.components.mean.copy_(found["mean"])
        self.components.basis[: len(found["basis"])].copy_(found["basis"])

    def forward(self, images: Tensor) -> Tensor:
        return (self.whole(images).flatten(1) - self.components.mean) @ self.components.basis.T
