"""What a user's module is recognised by: whatever changes its logits changes its name, or is noticed."""

import copy
import functools
import types

import pytest
import torch
from torch import nn

import cladec_utils as cu
from cladec_utils.engine import store
from cladec_utils.errors import CladecError
from cladec_utils.models import identity
from cladec_utils.models.encoder import private
from cladec_utils.models.identity import fingerprint

OUTSIDE = {"scale": 1.0}


def outside() -> float:
    """What nobody can see: it is asked for by a name that is made while it runs."""
    return globals()["".join(("OUT", "SIDE"))]["scale"]


def doubled(x):
    return 2 * x


class Own(nn.Module):
    """Everything that an output may depend on: weights, both kinds of buffers, attributes, functions."""

    offset = 0.0

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 6, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(384, 3)
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("std", torch.ones(3, 1, 1), persistent=False)
        self.gain, self.gains, self.table = 1.0, [1.0, 1.0], {"a": torch.ones(1), "b": (1, 2)}
        self.act = torch.relu
        self.hidden = [nn.Linear(3, 3)]  # in a list, which PyTorch does not see

    def forward(self, x):
        x = self.act(self.norm(self.conv((x - self.mean) / self.std)))
        x = self.head(x.flatten(1)) * self.gain * self.gains[0] * self.table["a"]
        return self.hidden[0](x + self.offset) * outside()


def change_weight(m):
    m.head.weight.data[0, 0] += 1e-6


def change_mean(m):
    m.mean += 0.1


def change_std(m):
    m.std *= 2


def change_list(m):
    m.gains[1] = 3.0


def change_table(m):
    m.table["a"] *= 2


def change_tuple(m):
    m.table["b"] = (1, 3)


def change_config(m):
    m.norm.eps = 1e-3


def change_padding(m):
    m.conv.padding_mode = "circular"


def change_hidden(m):
    m.hidden[0].bias.data += 1


def change_hook(m):
    m.head.register_forward_hook(lambda module, inputs, output: -output)


def change_forward(m):
    m.forward = types.MethodType(lambda self, x: x.flatten(1)[:, :3], m)


def change_function(m):
    m.act = doubled


def change_partial(m):
    m.act = functools.partial(torch.clamp, min=0.1)


def change_closure(m):
    low = 0.3
    m.act = lambda x: x.clamp(low)


def change_device_flag(m):
    m.gain = 2.0


CHANGES = [f for name, f in list(globals().items()) if name.startswith("change_")]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_each_change_gives_another_name(change):
    network, other = Own(), Own()
    assert fingerprint(network) == fingerprint(other)
    change(other)
    assert fingerprint(network) != fingerprint(other)


def test_two_closures_over_other_values_differ():
    def made(low):
        return lambda x: x.clamp(low)

    first, second, same = Own(), Own(), Own()
    first.act, second.act, same.act = made(0.1), made(0.2), made(0.1)
    assert fingerprint(first) == fingerprint(same) != fingerprint(second)


def class_of(source: str) -> type:
    """A class as a notebook's cell makes it: without a file, and so without source that Python finds."""
    space = {"nn": nn, "torch": torch, "__name__": "__main__"}
    exec(source, space)
    return space["Net"]


NET = """
FACTOR = 2.0

def helper(x):
    return x * FACTOR

class Net(nn.Module):
    offset = 0.0

    def forward(self, x):
        return helper(x.flatten(1)[:, :3]) + self.offset
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [("x * FACTOR", "x * FACTOR + 1"), ("FACTOR = 2.0", "FACTOR = 3.0"), ("offset = 0.0", "offset = 1.0")],
    ids=["a helper's code", "a constant beside the class", "a class attribute"],
)
def test_code_that_forward_uses_counts(before, after):
    assert fingerprint(class_of(NET)()) == fingerprint(class_of(NET)())
    assert fingerprint(class_of(NET)()) != fingerprint(class_of(NET.replace(before, after))())


def test_what_changes_no_output_gives_the_same_name():
    network = Own()
    name = fingerprint(network)
    assert fingerprint(copy.deepcopy(network)) == fingerprint(private(network)) == name
    assert fingerprint(network.eval().requires_grad_(False)) == name
    handle = network.register_forward_hook(lambda *_: None)
    handle.remove()
    assert fingerprint(network) == name


def test_without_weights_what_a_state_dict_brings_does_not_count():
    network, other = Own(), Own()
    change_weight(other), change_mean(other)
    assert fingerprint(network, weights=False) == fingerprint(other, weights=False)
    change_std(other)  # it is in no state_dict
    assert fingerprint(network, weights=False) != fingerprint(other, weights=False)


@pytest.mark.parametrize("kind", ["resnet18", "mobilenet_v3_small", "vit", "transformer"])
def test_networks_of_libraries_have_one_name(kind):
    import torchvision

    def made():
        torch.manual_seed(0)
        if kind == "transformer":
            return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), 1)
        if kind == "vit":
            return torchvision.models.VisionTransformer(32, 8, 1, 2, 8, 8, num_classes=3)
        return torchvision.models.get_model(kind, num_classes=3)

    assert fingerprint(made(), image_shape=(3, 32, 32)) == fingerprint(made(), image_shape=(3, 32, 32))


def test_what_a_module_keeps_of_images_does_not_count():
    class Keeping(Own):
        calls, seen, size = 0, None, None

        def forward(self, x):
            self.calls, self.seen, self.size = self.calls + 1, x.detach(), x.shape[-1]
            return super().forward(x)

    network, other = Keeping().eval(), Keeping().eval()
    name = fingerprint(network, image_shape=(3, 16, 16))
    for _ in range(3):
        network(torch.rand(2, 3, 16, 16))
    assert fingerprint(network, image_shape=(3, 16, 16)) == name
    assert identity.answers(other, (3, 16, 16)) is not None  # the very images that it is looked at with
    assert fingerprint(other, image_shape=(3, 16, 16)) == name
    other.gain = 2.0
    assert fingerprint(other, image_shape=(3, 16, 16)) != name
    assert network.calls == 3  # looked at in a copy


def test_one_that_does_not_take_the_images_has_a_name_all_the_same():
    assert len(fingerprint(Own(), image_shape=(1, 4, 4))) == 12


def test_a_list_that_holds_itself_and_a_module_that_knows_its_parent_end():
    network = Own()
    network.gains.append(network.gains)
    network.head.of = [network]
    assert len(fingerprint(network)) == 12


def test_results_are_not_served_where_the_logits_are_others(folders, npz, monkeypatch):
    """The last resort: what cannot be seen in a module is seen in its answers."""
    choices = ("smoke", str(npz()), Own(), ["conv"], [0])
    study = cu.open_study(*choices)
    store.get(study.cladec("conv", 0))
    monkeypatch.setitem(OUTSIDE, "scale", 1.0 + 1e-5)
    assert cu.open_study(*choices).architecture == study.architecture  # rounding
    monkeypatch.setitem(OUTSIDE, "scale", 1.1)
    with pytest.raises(CladecError, match="gives other logits than when results for it were stored"):
        cu.open_study(*choices)
    with pytest.raises(CladecError, match=r"off by .*remove the old results \(`cladec artifacts`\)"):
        cu.explainers.explainer(study.cladec("conv", 0))
    monkeypatch.setitem(OUTSIDE, "scale", 1.0)
    assert cu.explainers.explainer(study.cladec("conv", 0)).is_fitted


@pytest.mark.parametrize("change", ["attribute", "answers"])
def test_a_saved_explainer_refuses_such_a_classifier(tmp_path, monkeypatch, change):
    network, images = Own(), torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    cladec = cu.ClaDec(network, "conv", width=0.125).fit(images, updates=1, progress=False)
    cladec.save(tmp_path / "c.safetensors")
    assert torch.equal(cu.ClaDec.load(tmp_path / "c.safetensors", network)(images), cladec(images))
    if change == "attribute":
        network.gain = 2.0
    else:
        monkeypatch.setitem(OUTSIDE, "scale", 1.1)
    with pytest.raises(CladecError, match="fitted to another classifier than the one given"):
        cu.ClaDec.load(tmp_path / "c.safetensors", network)


def test_answers_that_are_drawn_are_drawn_alike():
    class Drawing(nn.Module):
        def forward(self, x):
            return nn.functional.dropout(x.flatten(1)[:, :3], 0.5)

    one, two = (identity.answers(Drawing(), (3, 8, 8)) for _ in range(2))
    assert identity.alike(one, two) and not identity.alike(one, two + 0.1)
    assert not identity.alike(one, two[:, :2])
