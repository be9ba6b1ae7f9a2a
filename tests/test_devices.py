"""What the training loop does on a GPU, as far as a CPU can show it: waits, bfloat16, layouts, memory."""

import itertools
from dataclasses import replace

import pytest
import torch
from conftest import ADAM
from torch.utils._python_dispatch import TorchDispatchMode

from cladec_utils.data.datasets import data_spec
from cladec_utils.engine import store
from cladec_utils.errors import CladecError
from cladec_utils.models import autoencoders, training
from cladec_utils.models.architectures import make_classifier
from cladec_utils.models.decoder import Decoder
from cladec_utils.models.training import TrainSpec
from cladec_utils.study.explainers import ClaDecSpec, RefAESpec


class Waits(TorchDispatchMode):
    """Counts the operations whose result the host of a GPU would wait for."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal")
    count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += function.overloadpacket.__name__ in self.WAITING
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("alpha", [None, 0.0, 0.5])
def test_training_waits_for_the_device_at_its_points_alone(folders, tiny_classifier, alpha):
    store.get(tiny_classifier, progress=False)
    counts = {}
    for size in (2, 4):  # 48 and 24 updates
        train = replace(ADAM, batch_size=size)
        if alpha is None:
            spec = RefAESpec(tiny_classifier.data, "vgg", 0.125, "block4", train, 0)
        else:
            spec = ClaDecSpec(tiny_classifier, "block4", train, 0, alpha)
        with Waits() as waits:
            store.get(spec, progress=False)
        counts[size] = waits.count
    assert counts[2] == counts[4] > 0


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["classifier", "RefAE", "ClaDec"])
def test_bfloat16_as_on_a_gpu_ends_where_float32_does(folders, tiny_classifier, kind, monkeypatch):
    """On the CPU, where torch computes bfloat16 too: the losses survive it, and nothing becomes infinite."""
    data = data_spec("fashion-mnist", n_train=400, n_val=100, n_test=32)
    classifier = replace(tiny_classifier, data=data, train=replace(tiny_classifier.train, epochs=6))
    store.get(classifier, progress=False)
    spec = {
        "classifier": replace(classifier, seed=1),
        "RefAE": RefAESpec(data, "vgg", 0.125, "block4", replace(ADAM, epochs=4), 0),
        "ClaDec": ClaDecSpec(classifier, "block4", replace(ADAM, epochs=4), 0, 0.1),
    }[kind]
    exact = store.get(spec, progress=False).curves
    bfloat16 = lambda device: torch.autocast(device.type, torch.bfloat16)  # noqa: E731
    monkeypatch.setattr(training, "_precision", bfloat16)
    monkeypatch.setenv("CLADEC_ARTIFACTS", str(folders / "bfloat16"))
    rounded = store.get(spec, progress=False).curves
    assert rounded["train"] != exact["train"]
    # Trainings go apart, however little is rounded. Over four seeds under AVX2 and AVX512_CORE the ends were
    # at most .18 of the fall apart (classifier; decoders .06): one that bfloat16 stops would be 1 apart.
    fallen = exact["train"][0] - exact["train"][-1]
    assert abs(rounded["train"][-1] - exact["train"][-1]) < 0.35 * fallen


PLAIN = {
    "sgd": lambda weights: torch.optim.SGD(weights, 1e-2, momentum=0.9, weight_decay=1e-4, foreach=False),
    "adam": lambda weights: torch.optim.Adam(weights, 1e-2, weight_decay=1e-4, foreach=False),
}


@pytest.mark.numeric
@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("shape", ["vgg", "resnet", (16, 8, 8), (64, 1, 1), (10,)], ids=str)
def test_the_fused_optimiser_moves_weights_as_the_plain_one_does(shape, name):
    """It reads a gradient as laid out like its weight, and our layouts are several."""
    fused = TrainSpec(1, name, 1e-2, 1e-4, "constant")
    ends = []
    for make in (lambda weights: training._optimiser(weights, fused, 3, 3)[0], PLAIN[name]):
        torch.manual_seed(0)
        if isinstance(shape, str):
            network, x = make_classifier(shape, (1, 32, 32), 10, 0.25), torch.rand(16, 1, 32, 32)
        else:
            network, x = Decoder(shape, (1, 32, 32), 0.25), torch.rand(16, *shape)
        network = network.double().to(memory_format=torch.channels_last)
        optimiser = make(list(network.parameters()))
        for _ in range(3):
            optimiser.zero_grad(set_to_none=True)
            torch.manual_seed(1)  # the same dropout
            network(x.double()).square().mean().backward()
            optimiser.step()
        ends.append(list(network.parameters()))
    assert all(torch.allclose(a, b, rtol=0, atol=1e-9) for a, b in zip(*ends, strict=True))


def test_an_epochs_batches_come_to_the_device_together():
    spec = TrainSpec(2, "sgd", 0.1, 0.0, batch_size=4)
    endless = training._batches(10, spec, torch.Generator().manual_seed(0), torch.device("meta"))
    batches = list(itertools.islice(endless, 3))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert all(batch.device.type == "meta" and batch._base is batches[0]._base for batch in batches)


def test_activations_are_kept_in_a_third_of_a_gpus_free_memory(monkeypatch):
    for free, kept in ((3 << 30, 1 << 30), (90 << 30, 16 << 30)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device, free=free: (free, 80 << 30))
        assert autoencoders._room(torch.device("cuda")) == kept
    assert autoencoders._room(torch.device("cpu")) == autoencoders.CACHED_ACTIVATIONS["cpu"]


def test_a_gpu_with_too_little_memory_gets_a_sentence(folders, tiny_classifier, monkeypatch):
    def fail(*_arguments):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(type(tiny_classifier), "make", fail)
    with pytest.raises(CladecError, match=r"too little free memory for classifier vgg seed 0: .*batch size"):
        store.get(tiny_classifier, progress=False)
