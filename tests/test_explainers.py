"""The modules that one fits and calls: `cu.ClaDec`, `cu.RefAE`, `cu.PCA`, and what goes with them."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ADAM
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import cladec_utils as cu
from cladec_utils.data import datasets
from cladec_utils.engine import paths, store
from cladec_utils.errors import CladecError
from cladec_utils.models import budgets, explainer, linear
from cladec_utils.models.explainer import Explainer
from cladec_utils.models.training import TrainSpec
from cladec_utils.study import classifiers
from cladec_utils.study.explainers import ClaDecSpec, RefAESpec, draw_of

FEW = {"updates": 3, "threads": 1, "progress": False}


@pytest.fixture
def images():
    return torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["ClaDec", "ClaDec alpha 0.3", "RefAE"])
def test_fitted_by_hand_with_one_thread_it_is_the_specs(folders, tiny_classifier, kind):
    data = datasets.load(tiny_classifier.data)
    network = classifiers.classifier(tiny_classifier)
    alpha = 0.3 if "alpha" in kind else 0.0
    if kind == "RefAE":
        spec = RefAESpec(tiny_classifier.data, "vgg", 0.125, "block4", ADAM, 5)
        mine = cu.RefAE(network, "block4", width=0.125)
    else:
        spec = ClaDecSpec(tiny_classifier, "block4", ADAM, 5, alpha)
        mine = cu.ClaDec(network, "block4", alpha=alpha, width=0.125)
    shared = {
        "training": ADAM,
        "seed": 5,
        "progress": False,
        "validation": (data.val.images, data.val.labels),
    }
    before = torch.get_rng_state()
    mine.fit(data.train.images, data.train.labels, threads=1, **shared)
    assert torch.equal(before, torch.get_rng_state())
    made = store.get(spec, progress=False)
    found = mine.trained_tensors()
    assert found.keys() == made.tensors.keys() and mine.curves == made.curves
    assert all(torch.equal(found[name], tensor) for name, tensor in made.tensors.items())
    again = mine.fit(data.train.images, data.train.labels, threads=1, **shared).trained_tensors()
    assert all(
        torch.equal(again[name], tensor) for name, tensor in made.tensors.items()
    )  # from fresh weights
    x = data.test.images[:4]
    assert torch.allclose(cu.reconstruct(spec, x), mine(x), atol=1e-5)


def test_a_classifier_is_left_as_it_was(own_classifier, images):
    own_classifier.train()
    kept = {name: tensor.clone() for name, tensor in own_classifier.state_dict().items()}
    for mine in (cu.ClaDec(own_classifier, "0", alpha=0.5), cu.RefAE(own_classifier, "0")):
        mine.fit(images, **FEW)
        assert not mine.training and not any(p.requires_grad for p in mine.parameters())
    assert own_classifier.training and own_classifier[1].inplace
    assert all(p.requires_grad for p in own_classifier.parameters())
    assert all(torch.equal(kept[name], t) for name, t in own_classifier.state_dict().items())


@pytest.mark.parametrize("kind", [cu.ClaDec, cu.RefAE])
def test_saved_and_loaded_it_draws_the_same(own_classifier, images, kind, tmp_path):
    options = {"alpha": 0.25} if kind is cu.ClaDec else {}
    mine = kind(own_classifier, "0", neurons=(1, 4), width=0.25, norm="none", **options).fit(images, **FEW)
    mine.save(tmp_path / "deep" / "mine.safetensors")
    again = kind.load(tmp_path / "deep" / "mine.safetensors", own_classifier)
    assert torch.equal(mine(images), again(images))
    assert again.neurons == (1, 4) and again.train_spec == mine.train_spec and again.curves == mine.curves
    assert getattr(again, "alpha", None) == getattr(mine, "alpha", None)
    other = nn.Sequential(*own_classifier[:-1], nn.Linear(6 * 8 * 8, 4))
    with pytest.raises(CladecError, match="another classifier"):
        kind.load(tmp_path / "deep" / "mine.safetensors", other)
    with pytest.raises(CladecError, match="load it with"):
        (cu.RefAE if kind is cu.ClaDec else cu.ClaDec).load(
            tmp_path / "deep" / "mine.safetensors", own_classifier
        )
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(CladecError, match="no explainer"):
        kind.load(tmp_path / "text.safetensors", own_classifier)


def test_a_decoder_of_ones_own(own_classifier, images, tmp_path):
    class Mine(nn.Module):
        def __init__(self, side=16):
            super().__init__()
            self.side, self.draw = side, nn.Linear(6 * 8 * 8, 3 * side * side)

        def forward(self, code):
            return self.draw(code.flatten(1)).sigmoid().view(-1, 3, self.side, self.side)

    mine = cu.ClaDec(own_classifier, "0", decoder=Mine()).fit(images, **FEW)
    mine.save(tmp_path / "own.safetensors")
    with pytest.raises(CladecError, match="decoder of your own"):
        cu.ClaDec.load(tmp_path / "own.safetensors", own_classifier)
    again = cu.ClaDec.load(tmp_path / "own.safetensors", own_classifier, decoder=Mine())
    assert torch.equal(mine(images), again(images))
    with pytest.raises(CladecError, match=r"draws \(3, 8, 8\) for images of \(3, 16, 16\)"):
        cu.ClaDec(own_classifier, "0", decoder=Mine(8)).fit(images, **FEW)


def test_the_budget_is_updates_or_minutes(own_classifier, images, monkeypatch):
    mine = cu.ClaDec(own_classifier, "0")
    assert mine.fit(images, **FEW).train_spec.updates == 3 and mine.curves["updates"] == [1, 2, 3]
    # Begun at 0; one update takes a second, and no five are timed; at 3 there are 27 of 30 seconds left, of
    # which measuring the norms of 24 images takes an eighth of one.
    ticks = iter((0.0, 2.0, 3.0, 3.0))
    monkeypatch.setattr(budgets.time, "perf_counter", lambda: next(ticks))
    timed = mine.fit(images, minutes=0.5, threads=1, progress=False)
    assert timed.train_spec.updates == 26 and timed.curves["updates"][-1] == 26
    with pytest.raises(CladecError, match="give one of them"):
        mine.fit(images, updates=3, minutes=1, progress=False)
    with pytest.raises(CladecError, match="minutes is -1"):
        mine.fit(images, minutes=-1, progress=False)


def test_without_a_budget_the_images_and_the_code_decide(own_classifier, images, capsys, monkeypatch):
    assert [budgets.usual(n, 128, 3072) for n in (203, 12_000, 60_000)] == [620, 1800, 6000]
    assert budgets.usual(12_000, 3072, 3072) == 900
    monkeypatch.setattr(budgets, "LEAST", 6)
    fitted = cu.ClaDec(own_classifier, "0", width=0.1).fit(images, progress=True)
    assert fitted.train_spec.updates == 8  # 6 + 24 / 10
    said = "ClaDec of 0: 8 updates of 24 images of 24; codes of 384 numbers, a decoder of"
    assert said in (out := capsys.readouterr().out) and "updates= or minutes= sets another length" in out
    fitted.fit(images, updates=2, progress=True)
    assert "sets another" not in capsys.readouterr().out


def test_attributions_are_as_large_as_the_image(own_classifier, images):
    mine = cu.ClaDec(own_classifier, "0").fit(images, **FEW)
    heat = mine.attribute(images, target=own_classifier.eval()(images).argmax(1))
    assert heat.shape == (24, 1, 16, 16) and heat.min() >= 0 and heat.max() <= 1
    assert torch.equal(heat, mine.attribute(images))
    assert not torch.equal(mine.attribute(images, 0), mine.attribute(images, 1))


@pytest.mark.parametrize("labels", [torch.arange(3), torch.rand(24), torch.zeros(24, 1).long()])
def test_labels_that_cannot_serve_get_a_sentence(own_classifier, images, labels):
    with pytest.raises(CladecError, match="24 images need as many integer labels"):
        cu.ClaDec(own_classifier, "0", alpha=0.5).fit(images, labels, **FEW)


def test_an_interrupted_fit_leaves_nothing_that_draws(own_classifier, images, monkeypatch):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    mine = cu.ClaDec(own_classifier, "0").fit(images, **FEW)
    monkeypatch.setattr(explainer, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mine.fit(images, **FEW)
    with pytest.raises(CladecError, match="not been fitted"):
        mine(images)


BAD = {
    "an array": (lambda x: x.numpy(), "they are a ndarray"),
    "channels last": (lambda x: x.permute(0, 2, 3, 1), r"use `permute\(0, 3, 1, 2\)`"),
    "one image": (lambda x: x[0], r"their shape is \(3, 16, 16\)"),
    "none": (lambda x: x[:0], "their shape is"),
    "0 to 255": (lambda x: x * 255, "divide by 255"),
    "normalised": (lambda x: x - 0.5, "undo the normalisation"),
    "not finite": (lambda x: x.clone().fill_(torch.nan), "something that is no number"),
    "int64": (lambda x: (x * 255).long(), "are torch.int64 from .*; divide by 255"),
    "uint8 of 0 and 1": (lambda x: (x > 0.5).to(torch.uint8), "largest uint8 value is 1"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_are_no_images_gets_a_sentence(own_classifier, images, bad):
    change, sentence = BAD[bad]
    mine = cu.ClaDec(own_classifier, "0")
    with pytest.raises(CladecError, match=sentence):
        mine.fit(change(images), **FEW)
    with pytest.raises(CladecError, match="not been fitted"):
        mine(images)
    mine.fit(images, **FEW)
    with pytest.raises(CladecError, match=sentence):
        mine(change(images))
    with pytest.raises(CladecError, match=r"fitted to images of \(3, 16, 16\)"):
        mine(torch.rand(2, 3, 8, 8))


def test_layers_and_options_are_checked_at_once(own_classifier):
    with pytest.raises(CladecError, match="Did you mean"):
        cu.ClaDec(own_classifier, "11")
    with pytest.raises(CladecError, match="none of the classifier's"):
        cu.RefAE(own_classifier, nn.ReLU())
    assert cu.RefAE(own_classifier, own_classifier[2]).layer == "2"
    with pytest.raises(CladecError, match="alpha is 2"):
        cu.ClaDec(own_classifier, "0", alpha=2)


@pytest.mark.numeric
@settings(deadline=None, max_examples=10)
@given(st.integers(1, 40), st.sampled_from([(1, 8, 8), (3, 4, 4)]), st.sampled_from([12, 90]))
def test_pca_is_the_best_linear_autoencoder(components, shape, count):
    images = torch.rand(count, *shape, generator=torch.Generator().manual_seed(components))
    images = 0.25 + images / 2  # nothing to clip
    found = cu.PCA(components).fit(images)(images)
    flat = images.flatten(1).double().numpy()
    k = min(components, *flat.shape)
    assert np.allclose(found.flatten(1), linear.refae(flat, k).reconstruct(flat), atol=1e-4)


@pytest.mark.numeric
def test_a_decoder_of_principal_components_sees_nothing_else(own_classifier, images, tmp_path):
    cladec = cu.ClaDec(own_classifier, "2", components=3).fit(images, **FEW)
    encoder = cladec.encoder
    codes = encoder.whole(images).flatten(1).numpy()
    wanted = (codes - codes.mean(0)) @ np.linalg.svd(codes - codes.mean(0), full_matrices=False)[2][:3].T
    found = encoder(images).numpy()
    assert found.shape == (24, 3) and np.allclose(np.abs(found), np.abs(wanted), atol=1e-4)  # signs are free
    cladec.save(tmp_path / "c.safetensors")
    again = cu.ClaDec.load(tmp_path / "c.safetensors", own_classifier)
    assert torch.equal(again(images), cladec(images)) and again.components == 3
    with pytest.raises(CladecError, match="no map is read"):
        cladec.attribute(images)
    with pytest.raises(CladecError, match="components is 385; 2 has 384 numbers: 1 to 384"):
        cu.ClaDec(own_classifier, "2", components=385).fit(images, **FEW)


def test_further_attempts_are_other_draws_and_nothing_else(folders, tiny_classifier):
    spec = ClaDecSpec(tiny_classifier, "block4", ADAM, 5)
    again = replace(spec, attempt=1)
    assert replace(spec, attempt=None).hash == spec.hash != again.hash and "attempt 2" in again.label()
    assert draw_of(again) not in range(1_000_000)
    one, other = (store.get(s, progress=False).tensors for s in (spec, again))
    assert any(not torch.equal(one[name], other[name]) for name in one)
    x = datasets.load(tiny_classifier.data).test.images[:4]
    assert not torch.equal(cu.reconstruct(spec, x), cu.reconstruct(again, x))
    parts = replace(spec, components=4)
    assert cu.reconstruct(parts, x).shape == x.shape


def test_figures_of_a_fitted_explainer(own_classifier, images):
    mine = cu.ClaDec(own_classifier, "0").fit(images, **FEW)
    found, drawn = cu.evaluate(mine, images), mine(images)
    mse, variance = (drawn - images).square().mean(), images.var(0).mean()
    assert found.mse == pytest.approx(mse.item(), rel=1e-4)
    assert found.explained == pytest.approx(1 - (mse / variance).item(), rel=1e-3)
    assert 0 <= found.c_agrees <= 1 and "ClaDec of 0: MSE" in str(found)
    whole = cu.PCA(24).fit(images)
    assert cu.evaluate(whole, images, own_classifier.train()).mse < 1e-6 and own_classifier.training
    with pytest.raises(CladecError, match="classifier="):
        cu.evaluate(whole, images)


@pytest.mark.parametrize("source", ["tensor", "pair", "dataset", "pictures"])
def test_images_from_anywhere(images, source):
    labels = torch.arange(24) % 3
    pictures = [(Image.fromarray((x * 255).byte().permute(1, 2, 0).numpy()), 1) for x in images]

    class Pictures(torch.utils.data.Dataset):
        def __len__(self):
            return 24

        def __getitem__(self, i):
            return pictures[i]

    given = {
        "tensor": images, "pair": (images, labels), "pictures": Pictures(),
        "dataset": torch.utils.data.TensorDataset(images, labels),
    }[source]  # fmt: skip
    train, test = cu.load_images(given, size=8 if source == "pictures" else None)
    assert (len(train), len(test)) == (
        (20, 4) if source in ("tensor", "pictures") else (21, 3)
    ) and train.images.dtype == torch.uint8
    assert train.images.shape[1:] == ((3, 8, 8) if source == "pictures" else (3, 16, 16))
    assert not {x.numpy().tobytes() for x in train.images} & {x.numpy().tobytes() for x in test.images}


BAD_SOURCES = {
    "a number": (lambda x: 17, "no source of images"),
    "0 and 1": (lambda x: (x > 0.5).to(torch.uint8), "largest uint8 value is 1"),
    "int16": (lambda x: (x * 4095).short(), "are torch.int16 from .*; divide by 4[0-9]{3}"),
    "not finite": (lambda x: x.clone().fill_(torch.nan), "something that is no number"),
    "few labels": (lambda x: (x, torch.zeros(5).long()), "24 images need as many integer labels"),
    "negative labels": (lambda x: (x, torch.full((24,), -1)), "from 0 up"),
    "few images": (lambda x: x[:4], "There are 4 images"),
}


@pytest.mark.parametrize("bad", BAD_SOURCES)
def test_a_source_that_cannot_serve_gets_a_sentence(images, bad):
    change, sentence = BAD_SOURCES[bad]
    with pytest.raises(CladecError, match=sentence):
        cu.load_images(change(images))


def test_images_that_are_not_square_are_kept_or_refused(images):
    wide = images[..., :12]
    assert cu.load_images(wide)[0].images.shape[1:] == (3, 16, 12)
    with pytest.raises(CladecError, match="16x12 pixels are not square"):
        cu.load_images(wide, size=8)


def test_halves_of_a_data_set_share_validation_images_and_no_others():
    first = datasets.data_spec("fashion-mnist", 300, 100, 50)
    second = replace(first, skip=300)
    (a, val, test), (b, same, again) = (datasets.chosen_images(spec) for spec in (first, second))
    assert torch.equal(val, same) and torch.equal(test, again) and first.hash != second.hash
    assert len(b) == 300 and not set(a.tolist()) & {*b.tolist(), *val.tolist()}
    assert not set(b.tolist()) & set(val.tolist())


def test_the_readmes_ten_lines(photos, monkeypatch, tmp_path, capsys):
    """Run as written, but with few updates, on an architecture of torchvision and a folder of images."""
    from torchvision.models import resnet18

    text = (paths.home() / "README.md").read_text()
    block = next(b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "cu.show_triplets" in b)
    monkeypatch.chdir(tmp_path)
    few = replace(budgets.TRAINING, updates=2, batch_size=4)
    monkeypatch.setitem(Explainer.fit.__kwdefaults__, "training", few)
    torch.manual_seed(0)
    exec(block, {"model": resnet18(weights=None).eval()})
    assert "ClaDec of layer2: MSE" in capsys.readouterr().out
    assert (tmp_path / "layer2.safetensors").is_file() and isinstance(few, TrainSpec)
