"""How far pictures can be trusted: the share of pixel variance that they explain, in a sentence."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cladec_utils.data.splits import Split, checked_images, with_labels
from cladec_utils.errors import CladecError
from cladec_utils.models.autoencoders import ClaDec, RefAE
from cladec_utils.models.components import PCA
from cladec_utils.models.inference import as_float, predict, resized

HARDLY = 0.1
"""Below this share X_E is called hardly better than the mean image. Photos (ants and bees, 64 pixels) that a
decoder drew as grey squares had -12 % to 3 %; at 16 % first patches of light and dark showed."""

NOT_MEANINGFUL = "not meaningful: the smoke profile only tries whether all runs, it hardly trains"
PCA_IMAGES, PCA_PIXELS = 2000, 50_000_000
"""PCA is made from so many training images, and so many pixels in all, at most: seconds and 1 GB."""


@dataclass(frozen=True)
class Quality:
    """The shares of the pixels' variance about the mean image that reconstructions explain, 1 at most; None
    for what was not given. `colour` is the share that each image's mean colour explains, without any shape.
    `str()` is a sentence for people, with the warnings that apply."""

    images: int
    x_e: float
    x_r: float | None
    pca: float | None
    colour: float
    numbers: str = "as many numbers"
    """How many numbers PCA has, in words."""
    which: str = ""
    """Which images were measured, in words; empty: others than those of the training."""
    alpha: float = 0.0
    """That of the ClaDec: above 0 it was drawn for the classifier, too."""
    generic: bool = False
    """Whether X_R is of a RefAE with a generic encoder."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What keeps the pictures from being taken at their word, and no more: where there is no picture yet,
        or no reference, how good that is does not matter. Shares are compared as they are shown."""
        if self.alpha:
            return (
                f"X_E was drawn with alpha {self.alpha:g}, partly for the classifier: what the layer keeps "
                "of the image is seen at alpha 0, what the classifier makes of X_E by cu.evaluate",
            )
        if _percent(self.x_e) < _percent(HARDLY):
            return ("hardly better than the mean image: train longer",)
        found = []
        if _percent(self.x_e) <= _percent(self.colour):
            colour = f"each image's mean colour ({self.colour:.0%})"
            found.append(f"X_E is not above {colour}: read no shapes in it")
        if self.x_r is not None and _percent(self.x_r) < _percent(self.x_e):
            found.append("no reference: X_R is below X_E (train both longer, or take a later layer)")
        elif None not in (self.x_r, self.pca) and _percent(self.x_r) < _percent(self.pca):
            found.append("X_R is weaker than PCA: what it lacks could have been kept")
        return tuple(found)

    def __str__(self) -> str:
        first = f"X_E explains {_shown(self.x_e)} of the pixel variance{self.which and ' '}{self.which}"
        rest = {
            "X_R (generic encoder)" if self.generic else "X_R": self.x_r,
            f"PCA with {self.numbers}": self.pca,
        }
        others = [f"{name} {_shown(share)}" for name, share in rest.items() if share is not None]
        return ". ".join([", ".join([first, *others]), *(w[0].upper() + w[1:] for w in self.warnings)]) + "."


def quality(
    images: Split | Tensor,
    cladec: nn.Module,
    refae: nn.Module | None = None,
    pca: PCA | None = None,
    *,
    train: Split | Tensor | None = None,
) -> Quality:
    """How far to trust a fitted ClaDec's pictures, beside RefAE's and PCA's; `print` it.

    `images` (N, C, H, W), uint8 or float in [0, 1], or a split of them, should not be those of the training:
    `train`, from which the PCA with as many numbers as the code has is made unless `pca` is given. Where
    pictures are drawn at a lower resolution, all is measured at that. Raises CladecError for what are no such
    images, or fewer than two.
    """
    images = checked_images(with_labels(images)[0])
    if isinstance(cladec, RefAE) or isinstance(refae, ClaDec):
        raise CladecError("quality is asked for (images, cladec, refae), but these are in another order.")
    x_e = predict(cladec, images)
    x_r = None if refae is None else predict(refae, images)
    facts = {"alpha": getattr(cladec, "alpha", 0.0)}
    facts["generic"] = getattr(refae, "reference", None) == "generic"
    count = torch.Size(cladec.encoder.activation_shape).numel()
    if pca is None and train is not None:
        pca = _components(checked_images(with_labels(train)[0]), count, x_e)
    if pca is None:
        return measured(images, x_e, x_r, **facts)
    x = resized(_floats(images), pca.image_shape)
    return measured(images, x_e, x_r, predict(pca, x), numbers=in_words(pca, count), **facts)


def measured(
    x: Tensor,
    x_e: Tensor,
    x_r: Tensor | None = None,
    pca: Tensor | None = None,
    *,
    numbers: str = "as many numbers",
    which: str = "",
    alpha: float = 0.0,
    generic: bool = False,
) -> Quality:
    """The same of reconstructions of the images `x`, uint8 or float in [0, 1]. All are brought to the
    resolution of `x_e`."""
    kinds = {tuple(of.shape[:2]) for of in (x, x_e, x_r, pca) if of is not None}
    if len(kinds) > 1:
        raise CladecError(f"These are not the same images: (number, channels) are {sorted(kinds)}.")
    if len(x) < 2:
        raise CladecError("One image has no mean image to be compared with; give two or more.")
    shape = x_e.shape[1:]
    x = resized(_floats(x), shape)
    given = (None if of is None else resized(_floats(of), shape).to(x.device) for of in (x_e, x_r, pca))
    x_e, x_r, pca = (None if of is None else explained(x, of) for of in given)
    return Quality(len(x), x_e, x_r, pca, _colour(x), numbers, which, alpha, generic)


def explained(images: Tensor, drawn: Tensor) -> float:
    """The share of the variance of pixels (N, C, H, W) about the mean image that reconstructions explain: 0
    is as good as the mean image, 1 perfect.

    The variance is the unbiased one (divided by N - 1): the mean of a few images is nearer to them than that
    of all, so a decoder that draws the mean of all would else seem worse than nothing. Of images that are all
    the same there is none: 1 where they come back, else 0.
    """
    error = (images - drawn).square().sum().item()
    variance = (images - images.mean(0)).square().sum().item() * len(images) / max(1, len(images) - 1)
    return 1 - error / variance if variance else float(error == 0)


def _colour(images: Tensor) -> float:
    """The share of pixel variance that the mean image explains when it is given each image's mean colour."""
    off = images - images.mean(0)
    return (off.mean((2, 3)).square().mean() / off.square().mean().clamp_min(1e-12)).item()


def in_words(pca: PCA, count: int) -> str:
    """How many numbers a PCA has beside a code of `count`: fewer where the images had no more."""
    return "as many numbers" if len(pca.basis) == count else f"{len(pca.basis)} numbers"


def _components(train: Tensor, count: int, drawn: Tensor) -> PCA:
    """The PCA of some training images, spread over them, at the resolution of what was drawn."""
    pixels = drawn[0].numel()
    places = torch.linspace(0, len(train) - 1, min(len(train), PCA_IMAGES, PCA_PIXELS // pixels)).long()
    return PCA(count).fit(resized(_floats(train[places]), drawn.shape[1:]))


def _floats(images: Tensor) -> Tensor:
    return as_float(images) if images.dtype == torch.uint8 else images.detach().float()


def _percent(share: float) -> int:
    return round(100 * share)


def _shown(share: float) -> str:
    """A share in words: below 0 nothing is explained; how much less than nothing helps nobody."""
    return f"{share:.0%}" if _percent(share) > 0 else "nothing"
