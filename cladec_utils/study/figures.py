"""What a fitted explainer's reconstructions are worth, in figures: `cu.evaluate`."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from cladec_utils.data.splits import Split, checked_images, with_labels
from cladec_utils.errors import CladecError, note
from cladec_utils.models import autoencoders
from cladec_utils.models.components import PCA
from cladec_utils.models.encoder import private
from cladec_utils.models.inference import as_float, predict, resized
from cladec_utils.models.layers import check_classifier
from cladec_utils.models.outputs import note_chance, select
from cladec_utils.study.evaluation import image_mse, image_ssim
from cladec_utils.study.quality import explained as share_explained


@dataclass(frozen=True)
class Figures:
    """What an explainer's reconstructions of some images are worth (see METRICS): means over them."""

    what: str
    images: int
    mse: float
    ssim: float
    c_agrees: float
    explained: float
    """Share of the pixels' variance about the mean image that the reconstructions explain."""
    c_correct: float | None = None
    """Share of reconstructions that the classifier decides as they are labelled; None without labels."""
    c_correct_originals: float | None = None

    def __str__(self) -> str:
        sentence = (
            f"{self.what}: MSE {self.mse:.4f}, SSIM {self.ssim:.3f}, {self.explained:.0%} of pixel variance; "
            f"the classifier decides as on the originals for {self.c_agrees:.1%} of {self.images} images"
        )
        if self.c_correct is None:
            return sentence
        originals = f"of the originals for {self.c_correct_originals:.1%}"
        return f"{sentence}, as they are labelled for {self.c_correct:.1%} ({originals})"


def evaluate(
    explainer: autoencoders.Explainer | PCA,
    images: Split | Tensor,
    classifier: nn.Module | None = None,
    classes: Sequence[int] | None = None,
) -> Figures:
    """How close a fitted explainer's reconstructions are, and what its classifier makes of them.

    `images` (N, C, H, W), uint8 or float in [0, 1], or a split of them, should not be those that it was
    fitted to. `classifier` None takes the explainer's own; a PCA has none, so it must be given. `classes` are
    its outputs that the labels 0, 1, ... mean (None: those of the explainer). Where the explainer draws at a
    lower resolution, the images are compared at that, and the classifier sees what was drawn enlarged.
    """
    images, labels = with_labels(images)
    images = checked_images(images)
    explained = getattr(explainer, "classifier", None) if classifier is None else classifier
    if explained is None:
        raise CladecError("A PCA belongs to no classifier; give it as `classifier=`.")
    network = select(private(explained), classes)  # the user's stays where and as it is
    outputs = check_classifier(network, tuple(images.shape[1:]))
    drawn = predict(explainer, images)
    original = images.float() if images.is_floating_point() else as_float(images)
    seen, decided = (
        predict(network, shown).argmax(1) for shown in (resized(drawn, images.shape[1:]), images)
    )
    original = resized(original, drawn.shape[1:])
    right: tuple[float | None, ...] = (None, None)
    if labels is not None and int(labels.max()) >= outputs:
        note(
            f"The classifier gives {outputs} outputs, but there are labels up to {int(labels.max())}; "
            "accuracy is left out."
        )
    elif labels is not None:
        note_chance(network, images, labels)
        right = tuple((found == labels).float().mean().item() for found in (seen, decided))
    return Figures(
        what=explainer.kind + (f" of {explainer.layer}" if hasattr(explainer, "layer") else ""),
        images=len(images),
        mse=image_mse(drawn, original).mean().item(),
        ssim=image_ssim(drawn, original).mean().item(),
        c_agrees=(seen == decided).float().mean().item(),
        explained=share_explained(original, drawn),
        c_correct=right[0],
        c_correct_originals=right[1],
    )
