"""Edit one concept of an image by a given amount: the interventions behind truth A.

An edit has a strength; the strength is chosen per image by bisection so that the root mean square
change of the pixels is the same for all concepts. Where an edit cannot change an image that much (a grey
garment has no colour to turn), the strongest edit is taken and the amount it reached is reported.

The object is what differs from the median colour of the image's border. That is right for objects on a
plain ground (garments, planted concepts) and only a rough guess for photographs.
"""

from collections.abc import Callable

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

TARGET_RMS = 0.1
"""Root mean square change per pixel and channel, pixels in [0, 1], that every edit aims at."""
STEPS = 30
STRIPE = 2  # pixels: width of the added stripes
GROWTH = 4  # pixels: the most an outline is moved
OBJECT_CONTRAST = 0.08


def object_mask(images: Tensor) -> Tensor:
    """Where the object is: (N, C, H, W) floats in [0, 1] -> (N, 1, H, W) of 0 and 1, holes filled."""
    differs = (images - _ground(images)).abs().amax(1) > OBJECT_CONTRAST
    filled = [ndimage.binary_fill_holes(ndimage.binary_closing(m.numpy(), border_value=0)) for m in differs]
    masks = torch.stack([torch.from_numpy(m) for m in filled]) | differs
    return masks[:, None].float()


def _ground(images: Tensor) -> Tensor:
    border = torch.cat([images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]], -1)
    return border.median(-1).values[..., None, None]


def _darken(x: Tensor, mask: Tensor, s: Tensor) -> Tensor:
    return x * (1 - s * mask)


def _turn_colour(x: Tensor, mask: Tensor, s: Tensor) -> Tensor:
    return x + s * mask * (x.roll(1, dims=1) - x)


def _stripe(x: Tensor, mask: Tensor, s: Tensor) -> Tensor:
    rows = torch.arange(x.shape[-2]) // STRIPE % 2 * 2.0 - 1
    return x + s * mask * rows[:, None]


def _grow(x: Tensor, mask: Tensor, s: Tensor) -> Tensor:
    """Move the outline outwards by s * GROWTH pixels, continuing the object's colours."""
    kernel = torch.ones(1, 1, 3, 3)
    result, grown = x, mask
    for step in range(GROWTH):
        near = functional.conv2d(grown, kernel, padding=1)
        channels = [
            functional.conv2d(result[:, c : c + 1] * grown, kernel, padding=1) for c in range(x.shape[1])
        ]
        new = (near > 0).float() * (1 - grown)
        share = (s * GROWTH - step).clamp(0, 1)
        drawn = result + new * (torch.cat(channels, 1) / near.clamp(min=1) - result)
        result = torch.where(new * share > 0, result + share * (drawn - result), result)
        grown = torch.maximum(grown, new * (share == 1).float())
    return result


def _change_ground(x: Tensor, mask: Tensor, s: Tensor) -> Tensor:
    towards = 1 - 2 * (_ground(x).mean(1, keepdim=True) > 0.5).float()
    return x + s * (1 - mask) * towards


def _fade(upper: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Fade the upper or lower two fifths of the object into the ground."""

    def edit(x: Tensor, mask: Tensor, s: Tensor) -> Tensor:
        rows = mask.amax(3, keepdim=True)
        height = rows.sum(2, keepdim=True)
        place = rows.cumsum(2) / height.clamp(min=1)
        part = (place <= 0.4) if upper else (place > 0.6)
        return x + s * mask * part.float() * (_ground(x) - x)

    return edit


EDITS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "colour": _turn_colour,
    "brightness": _darken,
    "texture": _stripe,
    "shape": _grow,
    "background": _change_ground,
    "upper part": _fade(upper=True),
    "lower part": _fade(upper=False),
}
"""Per concept (images, object mask, strength in [0, 1]) -> edited images, before clipping."""

DESCRIPTIONS = {
    "colour": "the object's colour channels are rotated",
    "brightness": "the object is darkened",
    "texture": f"stripes of {STRIPE} pixels are added to the object",
    "shape": f"the outline is moved outwards by up to {GROWTH} pixels",
    "background": "the ground is made lighter (darker where it is light)",
    "upper part": "the upper two fifths of the object are faded out",
    "lower part": "the lower two fifths of the object are faded out",
}


def edit(images: Tensor, concept: str, target: float = TARGET_RMS) -> tuple[Tensor, Tensor]:
    """Edit one concept (a key of EDITS): (N, C, H, W) floats in [0, 1] -> edited images, and (N,) the
    root mean square change reached, at most `target` up to rounding."""
    mask, apply = object_mask(images), EDITS[concept]
    low, high = torch.zeros(len(images)), torch.ones(len(images))

    def change(strength: Tensor) -> tuple[Tensor, Tensor]:
        edited = apply(images, mask, strength[:, None, None, None]).clamp(0, 1)
        return edited, (edited - images).square().flatten(1).mean(1).sqrt()

    for _ in range(STEPS):  # the change grows with the strength, so bisection finds the target
        middle = (low + high) / 2
        over = change(middle)[1] > target
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    strongest, most = change(torch.ones(len(images)))
    matched, reached = change(low)
    weak = most <= target
    return torch.where(weak[:, None, None, None], strongest, matched), torch.where(weak, most, reached)
