"""Layer-wise relevance follows what a network computes; what it cannot follow gets a sentence."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from cladec_utils.errors import CladecError
from cladec_utils.models.attribution import Subject
from cladec_utils.saliency.methods import layerwise_relevance

LAYERS = ("conv1", "bn1", "conv2", "bn2", "side", "norm", "head")


def parts():
    """Weights for LAYERS; batch norms as far from the identity as after training."""
    torch.manual_seed(3)
    made = {
        "conv1": nn.Conv2d(3, 6, 3, padding=1),
        "bn1": nn.BatchNorm2d(6),
        "conv2": nn.Conv2d(6, 6, 3, padding=1, bias=False),
        "bn2": nn.BatchNorm2d(6),
        "side": nn.Conv2d(6, 6, 1),
        "norm": nn.BatchNorm1d(6),
        "head": nn.Linear(6, 4),
    }
    for layer in made.values():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            for tensor in (layer.weight, layer.running_var):
                nn.init.uniform_(tensor, 0.3, 2.0)
            for tensor in (layer.bias, layer.running_mean):
                nn.init.normal_(tensor)
    return made


class Net(nn.Module):
    """One function; only how it is written differs."""

    def __init__(self, order=LAYERS, relu=None):
        super().__init__()
        made = parts()
        self.relu = relu or nn.ReLU()
        for name in order:
            self.add_module(name, made[name])

    def forward(self, x):
        h = self.relu(self.bn1(self.conv1(x)))
        h = self.relu(self.bn2(self.conv2(h)) + self.side(h))
        return self.head(h.mean((2, 3)))


class AddsByFunction(Net):
    def forward(self, x):
        h = functional.relu(self.bn1(self.conv1(x)))
        h = functional.relu(torch.add(self.side(h), self.bn2(self.conv2(h))))
        return self.head(h.mean((2, 3)))


class AddsInPlace(Net):
    def forward(self, x):
        h = functional.relu(self.bn1(self.conv1(x)))
        total = self.bn2(self.conv2(h))
        total += self.side(h)
        return self.head(functional.relu(total).mean((2, 3)))


class Standardises(Net):
    """Brings pixels to another range first, as many published networks do."""

    def __init__(self):
        super().__init__()
        weight = self.conv1.weight.data
        self.conv1.padding = (0, 0)
        self.conv1.bias.data += 0.5 * weight.sum((1, 2, 3))
        weight *= 0.25

    def forward(self, x):
        return super().forward(functional.pad((x - 0.5) / 0.25, (1, 1, 1, 1), value=-2.0))


X = torch.rand(5, 3, 12, 12, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([0, 1, 2, 3, 0])


def lrp(network):
    return layerwise_relevance(Subject(network.eval()), X, Y)


@pytest.mark.numeric
@pytest.mark.parametrize(
    "network",
    [
        Net(("conv1", "conv2", "bn1", "bn2", "side", "norm", "head")),
        Net(("bn2", "conv2", "bn1", "conv1", "head", "norm", "side")),
        Net(("conv2", "bn1", "conv1", "bn2", "side", "norm", "head")),
        Net(relu=functional.relu),
        AddsByFunction(),
        AddsInPlace(),
        Standardises(),
    ],
    ids=["convolutions first", "backwards", "norms swapped", "relu", "add", "+=", "standardised"],
)
def test_one_function_has_one_map_however_it_is_declared(network):
    wanted, found = lrp(Net()), lrp(network)
    assert torch.allclose(network(X), Net().eval()(X), atol=1e-4)
    if isinstance(network, Standardises):  # a plain gradient before the first layer: another unit
        found = found / 4
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-4 * wanted.abs().max().item())
    assert wanted.abs().max() > 0


@pytest.mark.numeric
def test_relevance_is_shared_by_the_branches_of_a_sum():
    """A network without biases keeps the amount: what the pixels get is the logit."""
    network = Net()
    for layer in network.modules():
        if getattr(layer, "bias", None) is not None:
            nn.init.zeros_(layer.bias)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.running_mean)
    found = lrp(network)
    twice = network(X).gather(1, Y[:, None])[:, 0]
    assert torch.allclose(found.sum((1, 2)), twice, rtol=0.01)


def test_a_norm_without_weights_is_merged_too():
    plain, weighted = Net(), Net()
    plain.bn1.weight = plain.bn1.bias = None
    nn.init.ones_(weighted.bn1.weight), nn.init.zeros_(weighted.bn1.bias)
    assert torch.equal(lrp(plain), lrp(weighted))


class NormFirst(Net):
    def forward(self, x):
        h = self.conv2(functional.relu(self.bn1(functional.pad(x, (0, 0, 0, 0, 0, 3)))))
        return self.head(h.mean((2, 3)))


class ReluBefore(Net):
    def forward(self, x):
        return self.head(self.bn1(functional.relu_(self.conv1(x))).mean((2, 3)))


class AlsoUsed(Net):
    """The layer's output is used beside its norm, which the merging would change."""

    def forward(self, x):
        h = self.conv1(x)
        return self.head((self.bn1(h) * h.sigmoid()).mean((2, 3)))


class Twice(Net):
    def forward(self, x):
        h = self.conv1(x)
        return self.head(self.conv2(self.conv2(h)).mean((2, 3)))


class OtherNorm(Net):
    def __init__(self, norm):
        super().__init__()
        self.other = norm

    def forward(self, x):
        return self.head(self.other(self.conv1(x)).mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (NormFirst(), r"no rule for 'bn1' \(BatchNorm2d\).*a DenseNet's come before.*Leave LRP out"),
        (ReluBefore(), r"no rule for 'bn1'"),
        (OtherNorm(nn.GroupNorm(2, 6)), r"no rule for 'other' \(GroupNorm\)"),
        (OtherNorm(nn.InstanceNorm2d(6)), r"no rule for 'other' \(InstanceNorm2d\)"),
        (OtherNorm(nn.BatchNorm2d(6, track_running_stats=False)), r"no rule for 'other' \(BatchNorm2d\)"),
        (AlsoUsed(), r"would give other logits then, by up to [\d.]+; leave LRP out"),
        (Twice(), r"'conv2' \(Conv2d\) is used 2 times"),
    ],
)
def test_what_cannot_be_rewritten_gets_a_sentence(network, says):
    with pytest.raises(CladecError, match=says):
        lrp(network)


def test_a_densenet_gets_a_sentence():
    models = pytest.importorskip("torchvision.models")
    with pytest.raises(CladecError, match=r"no rule for 'features\.denseblock1\.denselayer1\.norm1'"):
        layerwise_relevance(
            Subject(models.densenet121(num_classes=4).eval()), torch.rand(1, 3, 64, 64), Y[:1]
        )
