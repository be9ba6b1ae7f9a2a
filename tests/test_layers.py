import pytest
import torch
from torch import nn

import cladec_utils as cu
from cladec_utils.errors import CladecError
from cladec_utils.models.architectures import make_classifier
from cladec_utils.models.encoder import Encoder
from cladec_utils.models.layers import find_layer, list_layers

SHAPE = (1, 32, 32)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return make_classifier("vgg", SHAPE, 10, 0.25).eval()


def test_layers_are_listed_in_order_with_their_shapes(network):
    shapes = {layer.name: layer.shape for layer in list_layers(network, SHAPE)}
    assert shapes["block1"] == (8, 16, 16) and shapes["block4"] == (32, 4, 4)
    assert shapes["block8.relu"] == (128, 1, 1) and shapes["logits"] == (10,)
    assert list(shapes)[-1] == "logits" and next(iter(shapes)) == "block1.conv"


def test_listing_leaves_the_classifier_as_it_was(network):
    network.train()
    network.block2.eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    list_layers(network, SHAPE)
    assert network.training and network.block1.training and not network.block2.bn.training
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert not any(m._forward_hooks for m in network.modules())


def test_a_module_that_runs_twice_is_not_offered():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.last(self.shared(self.shared(x.flatten(1))))

    assert [layer.name for layer in list_layers(Twice(), (1, 2, 2))] == ["last"]


def test_unknown_layer_gets_the_nearest_name_and_the_list(network):
    with pytest.raises(CladecError, match=r"Unknown layer 'blok4'. Did you mean 'block4'\?.*logits"):
        find_layer(network, "blok4", SHAPE)


@pytest.mark.parametrize(
    ("neurons", "sentence"),
    [
        ((0, 32), "Neuron 32 is out of range: layer 'block4' has 32 neurons, numbered 0 to 31"),
        ((-1,), "Neuron -1 is out of range"),
        ((1, 1), "names an index twice"),
        ((), "is empty"),
    ],
)
def test_bad_subsets_get_a_sentence(network, neurons, sentence):
    with pytest.raises(CladecError, match=sentence):
        Encoder(network, "block4", SHAPE, neurons)


def test_encoder_gives_the_layer_and_its_subsets(network):
    images = torch.rand(3, *SHAPE)
    wanted = network[:4](images)
    assert torch.equal(Encoder(network, "block4", SHAPE)(images), wanted)
    subset = Encoder(network, "block4", SHAPE, (5, 2))
    assert subset.activation_shape == (2, 4, 4)
    assert torch.equal(subset(images), wanted[:, [5, 2]])
    assert torch.equal(Encoder(network, "logits", SHAPE)(images), network(images))


def test_encoder_stops_at_the_layer_and_leaves_no_hook(network):
    ran = []
    network.block5.register_forward_hook(lambda *_: ran.append(1))
    encoder = Encoder(network, "block4", SHAPE)
    ran.clear()
    encoder(torch.rand(2, *SHAPE))
    assert not ran and not network.block4._forward_hooks


def test_in_place_relu_behind_the_layer_changes_nothing(own_classifier):
    images = torch.rand(2, 3, 16, 16)
    activations = Encoder(own_classifier, "0", (3, 16, 16))(images)
    assert (activations < 0).any()


def test_wrong_image_shape_gets_a_sentence(own_classifier):
    with pytest.raises(CladecError, match=r"does not take images of shape \(1, 16, 16\)"):
        list_layers(own_classifier, (1, 16, 16))


class Raises(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error, self.last = error, nn.Linear(4, 2)

    def forward(self, x):
        raise self.error


@pytest.mark.parametrize("error", [AssertionError, ValueError, TypeError, IndexError, RuntimeError])
def test_whatever_a_module_raises_becomes_a_sentence(error):
    with pytest.raises(CladecError, match=rf"does not take images of shape .*{error.__name__}: odd"):
        list_layers(Raises(error("odd")), SHAPE)


def test_a_bfloat16_module_gets_a_sentence(npz, own_classifier):
    with pytest.raises(CladecError, match=r"^The classifier has weights of torch.bfloat16; call its float"):
        cu.open_study("smoke", str(npz()), own_classifier.to(torch.bfloat16), layers=["1"])
