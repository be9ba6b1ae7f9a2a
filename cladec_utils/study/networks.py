"""Networks as a study is opened with them: found by name, by text or as they are, checked against the images,
and their layers put in order."""

from torch import nn

from cladec_utils.data import datasets
from cladec_utils.data.datasets import Data, DataSpec, data_spec
from cladec_utils.errors import CladecError, note
from cladec_utils.models import loaders
from cladec_utils.models.architectures import (
    check_outputs,
    is_own,
    look_at_outputs,
    register,
    registered,
    sample_classifier,
)
from cladec_utils.models.layers import list_layers
from cladec_utils.models.loaders import is_loader
from cladec_utils.study.choices import check_classes, check_profile
from cladec_utils.study.profiles import get_profile


def look(
    profile: str | None = None,
    dataset: str | None = None,
    architecture: str | nn.Module | None = None,
    image_size: int | None = None,
) -> tuple[nn.Module, tuple[int, int, int]]:
    """A classifier, to look at its layers, and the (C, H, W) of the images; choices as of `open_study`."""
    name, chosen = dataset_name(dataset), get_profile(check_profile(profile))
    spec = data_spec(name, chosen.n_train, chosen.n_val, chosen.n_test, image_size)
    return network_for(architecture, spec, chosen.width, image_size)[1], datasets.load(spec).image_shape


def dataset_name(dataset: str | None) -> str:
    """The name or path of the data set that is meant; None is the embedded one."""
    unsaid = dataset is None or (isinstance(dataset, str) and not dataset)
    return "fashion-mnist" if unsaid else datasets.named(dataset)


def network_for(
    architecture: str | nn.Module | None,
    spec: DataSpec,
    width: float,
    image_size: int | None,
    classes: object = None,
) -> tuple[str, nn.Module]:
    """What a classifier is called (None: vgg), and a network of that architecture that takes the data;
    `classes` as of `open_study`."""
    architecture = "vgg" if architecture in (None, "") else architecture  # a module's truth is its length
    data, given = datasets.load(spec), isinstance(architecture, nn.Module) or is_loader(architecture)
    if classes is None and is_loader(architecture):
        classes = loaders.outputs(architecture)
    outputs = check_classes(classes, data.class_names, given)
    name = register(architecture, outputs, data.image_shape) if given else architecture
    if is_own(name):
        network = _own(name, spec, data, image_size)
        return look_at_outputs(name, data.train.images, data.train.labels), network
    return name, sample_classifier(name, data.image_shape, len(data.class_names), width)


def _own(architecture: str, spec: DataSpec, data: Data, image_size: int | None) -> nn.Module:
    """A classifier of the user's that takes the data; whether or not it does, what the kit made of the images
    is said."""
    enlarged = ""
    if image_size is None and (side := datasets.whole(spec).side) != spec.image_size:
        size = spec.image_size
        enlarged = (
            f"The images have {side}x{side} pixels; as the decoders need a multiple of 8, the kit enlarged "
            f"them to {size}x{size}. If the classifier was made for {side}x{side}, wrap it in a module that "
            f"first brings images back to that (torchvision.transforms.Resize({side}))"
        )
    classifier = registered(architecture)
    try:
        list_layers(classifier, data.image_shape)
    except CladecError as error:
        if enlarged:  # then it may be that alone, or it fails on images of their own size, too
            list_layers(classifier, (data.image_shape[0], side, side))
            raise CladecError(f"{enlarged}, as it fails: {error}") from error
        raise
    check_outputs(classifier, data.image_shape, len(data.class_names), data.relabelled)
    if enlarged:
        note(f"{enlarged}.")
    return classifier
