"""Saliency methods (Captum, zennit) and the trivial maps that they must beat.

One protocol for every map: a function `(subject, images, targets) -> (N, H, W)` that gives each pixel of
each image a number, higher for more relevant. Images are (N, C, H, W) floats in [0, 1], targets the
classes whose logit is explained. A map of your own is such a function; nothing has to be registered.
"""

import warnings
from collections.abc import Callable

import torch
from captum.attr import (
    GuidedBackprop,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
)
from torch import Tensor, nn
from torch.nn import functional

from cladec_utils.engine.device import best_device, reproducible
from cladec_utils.errors import CladecError
from cladec_utils.models.attribution import Map, Subject
from cladec_utils.models.encoder import activation_and_gradient, private
from cladec_utils.models.layers import Layer, find_layer, list_layers
from cladec_utils.models.layouts import probe_images
from cladec_utils.saliency.faithfulness import smooth

SMOOTHGRAD_SAMPLES, SMOOTHGRAD_NOISE = 10, 0.15
PATH_STEPS = 16
WINDOW, STRIDE = 6, 4
BLOB = 3.0
LEAST_SIDE = 4
BATCH = 64


def default_camera(classifier: nn.Module, image_shape: tuple[int, int, int]) -> str:
    """The layer for Grad-CAM: the last with at least 4 x 4 places that the logits' gradient reaches; empty if
    there is none."""
    wide = [layer for layer in list_layers(classifier, image_shape) if min(_places(layer)) >= LEAST_SIDE]
    for layer in reversed(wide):
        # Behind the last attention of a transformer only the class token matters.
        if not layer.layout.apart or _reached(classifier, layer, image_shape):
            return layer.name
    return ""


def _places(layer: Layer) -> tuple[int, int]:
    """Rows and columns of a layer; none for vectors."""
    return layer.layout.grid or (layer.shape[1:] if len(layer.shape) == 3 else (0, 0))


def _reached(classifier: nn.Module, layer: Layer, image_shape: tuple[int, int, int]) -> bool:
    network = private(classifier)
    images = probe_images(image_shape)[:2].to(best_device())
    slope = activation_and_gradient(network, layer.name, images)[1]
    return bool(layer.layout.as_map(layer.layout.channels_first(slope)).any())


def _batched(attribute: Callable[[nn.Module, Tensor, Tensor], Tensor], subject: Subject, *both: Tensor):
    """`attribute(network, images, targets)` of (n, C, H, W) batches, on a private copy of the classifier."""
    network = private(subject.classifier)
    device = best_device()
    parts = []
    with reproducible(subject.seed), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="captum")  # that it sets hooks and asks for gradients
        for images, targets in zip(*(t.split(BATCH) for t in both), strict=True):
            parts.append(attribute(network, images.to(device), targets.to(device)).detach().float().cpu())
    return torch.cat(parts)


# --- trivial maps: they never look at the classifier -----------------------------------------------


def random_pixels(subject: Subject, images: Tensor, _targets: Tensor) -> Tensor:
    """Independent uniform noise; range [0, 1]. Control."""
    random = torch.Generator().manual_seed(1 + subject.seed)
    return torch.rand((len(images), *images.shape[-2:]), generator=random)


def random_blobs(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Random pixels under a wide Gaussian: as smooth as maps are, and as ignorant; range [0, 1]. Control."""
    return smooth(random_pixels(subject, images, targets), BLOB)


def centre_prior(_subject: Subject, images: Tensor, _targets: Tensor) -> Tensor:
    """Minus the distance to the image's centre in pixels; 0 or less. Control: objects are in the middle."""
    height, width = images.shape[-2:]
    y = torch.arange(height).float() - (height - 1) / 2
    x = torch.arange(width).float() - (width - 1) / 2
    return -torch.hypot(y[:, None], x[None]).expand(len(images), -1, -1)


def sobel(_subject: Subject, images: Tensor, _targets: Tensor) -> Tensor:
    """Magnitude of the Sobel gradient of the grey image; 0 or more. Control: edges matter."""
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    grey = functional.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    slopes = functional.conv2d(grey, torch.stack([kernel, kernel.T]).unsqueeze(1))
    return slopes.square().sum(1).sqrt()


def intensity(_subject: Subject, images: Tensor, _targets: Tensor) -> Tensor:
    """The grey image itself; range [0, 1]. Control: bright pixels matter."""
    return images.mean(1)


# --- saliency methods --------------------------------------------------------------------------------


def gradient(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """|d logit / d x|, summed over channels; 0 or more. Simonyan et al. 2013."""
    return _batched(lambda n, x, y: Saliency(n).attribute(x, target=y).sum(1), subject, images, targets)


def smooth_gradient(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """|mean gradient over noisy copies| (10 samples, noise 0.15), summed over channels; 0 or more.
    SmoothGrad, Smilkov et al. 2017."""

    def attribute(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        tunnel = NoiseTunnel(Saliency(network))
        options = {"nt_samples": SMOOTHGRAD_SAMPLES, "stdevs": SMOOTHGRAD_NOISE, "abs": False}
        return tunnel.attribute(x, target=y, **options).abs().sum(1)

    return _batched(attribute, subject, images, targets)


def _integrated(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return IntegratedGradients(network).attribute(
        x, torch.zeros_like(x), target=y, n_steps=PATH_STEPS, internal_batch_size=4 * BATCH
    )


def integrated_gradients(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """x * mean gradient on the way from black to x (16 steps), summed over channels; signed.
    Sundararajan et al. 2017."""
    return _batched(lambda *a: _integrated(*a).sum(1), subject, images, targets)


def integrated_gradients_absolute(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Integrated gradients in absolute value, then summed over channels; 0 or more.
    Sundararajan et al. 2017."""
    return _batched(lambda *a: _integrated(*a).abs().sum(1), subject, images, targets)


def guided_backprop(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """|gradient with negative parts cut at every ReLU module|, summed over channels; 0 or more.
    Springenberg et al. 2014. A ReLU that is called as a function is not seen: without ReLU modules this
    is the plain gradient."""
    return _batched(
        lambda n, x, y: GuidedBackprop(n).attribute(x, target=y).abs().sum(1), subject, images, targets
    )


def grad_cam(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Channels of the layer `subject.camera`, weighted by their mean gradient, summed, cut at 0, enlarged
    bilinearly; 0 or more. Selvaraju et al. 2017. Raises CladecError for a layer without spatial extent."""
    shape = tuple(images.shape[1:])
    layer = find_layer(subject.classifier, subject.camera, shape)
    if max(_places(layer)) < 2:
        known = [found.name for found in list_layers(subject.classifier, shape) if max(_places(found)) > 1]
        wide = default_camera(subject.classifier, shape) or (known[-1] if known else "")
        raise CladecError(
            f"Grad-CAM needs a layer with spatial extent, but {layer.name!r} has the shape {layer.shape}; "
            + (f"name an earlier one, such as {wide!r}." if wide else "this classifier has none.")
        )

    def attribute(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        if layer.layout.order != "CHW":
            maps = (
                layer.layout.as_map(layer.layout.channels_first(t))
                for t in activation_and_gradient(network, layer.name, x, y)
            )
            activation, slope = maps
            coarse = (slope.mean((2, 3), keepdim=True) * activation).sum(1, keepdim=True).relu()
            return LayerAttribution.interpolate(coarse, tuple(x.shape[-2:]), "bilinear").sum(1)
        x = x.clone().requires_grad_()  # the weights are frozen, so something else must carry gradients
        cam = LayerGradCam(network, network.get_submodule(layer.name))
        coarse = cam.attribute(x, target=y, relu_attributions=True)
        return LayerAttribution.interpolate(coarse, tuple(x.shape[-2:]), "bilinear").sum(1)

    return _batched(attribute, subject, images, targets)


def occlusion(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """How much the logit falls when a black window (6 pixels, every 4) covers the pixel; signed.
    Zeiler and Fergus 2014."""

    def attribute(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            window, stride = (x.shape[1], WINDOW, WINDOW), (x.shape[1], STRIDE, STRIDE)
            found = Occlusion(network).attribute(
                x, window, stride, baselines=0, target=y, perturbations_per_eval=4
            )
        return found.sum(1)

    return _batched(attribute, subject, images, targets)


def layerwise_relevance(subject: Subject, images: Tensor, targets: Tensor) -> Tensor:
    """Layer-wise relevance propagation, rules epsilon (dense), gamma (convolution) and z-box (pixels), as
    Montavon et al. 2019 recommend, batch norm merged, sums of branches shared; signed, summed over channels.
    Bach et al. 2015. `relevance` says what is supported. Raises CladecError for a network that does anything
    else."""
    # It imports torchvision, which takes seconds, and those who only plan measurements do without.
    from cladec_utils.saliency.relevance import check, propagate  # noqa: PLC0415

    check(subject.classifier)

    return _batched(lambda n, x, y: propagate(n, x, y).sum(1), subject, images, targets)


CONTROLS: dict[str, Map] = {
    "random pixels": random_pixels,
    "random blobs": random_blobs,
    "centre prior": centre_prior,
    "Sobel": sobel,
    "intensity": intensity,
}
SALIENCY: dict[str, Map] = {
    "Saliency": gradient,
    "SmoothGrad": smooth_gradient,
    "IG": integrated_gradients,
    "|IG|": integrated_gradients_absolute,
    "GuidedBackprop": guided_backprop,
    "Grad-CAM": grad_cam,
    "Occlusion": occlusion,
    "LRP": layerwise_relevance,
}
