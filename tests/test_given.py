"""What users give to `cu.ClaDec`, `cu.RefAE`, `cu.PCA` and `cu.evaluate`: each row is something given, and what
comes of it, a value or `Says` (refused with this sentence). The next report is one more row."""

import threading
import warnings

import numpy as np
import pytest
import torch
from conftest import SGD
from reports import Says, check, of_tables
from torch import nn

import cladec_utils as cu
from cladec_utils.engine import store
from cladec_utils.models import architectures, encoder, layers
from cladec_utils.models.attribution import Subject
from cladec_utils.saliency import methods
from cladec_utils.study import classifiers

# ruff: noqa: E501 - a row is a line
IMAGES = torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(24) % 3
FEW = {"updates": 2, "threads": 1, "progress": False}


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Without(nn.Module):
    """A network that is run without gradients."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        with torch.no_grad():
            return self.network(x)


class Keeps(nn.Sequential):
    """A network that keeps its last activation."""

    def forward(self, x):
        self.last = super().forward(x)
        return self.last


def network(first=None, head=None, inner=None):
    """Three classes of colour images; layer "1" is a convolution."""
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 6, 3, 2, 1), inner or nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(6 * 8 * 8, 3)
    return nn.Sequential(Call(first or (lambda x: (x - 0.5) / 0.2)), *parts, Call(head or (lambda x: x)))


class Viewed(nn.Module):
    """The network, with a `view` that fails on tensors laid out channels last."""

    def __init__(self, other=None):
        super().__init__()
        self.network = network() if other is None else other

    def forward(self, x):
        for part in self.network:
            x = x.view(len(x), -1) if isinstance(part, nn.Flatten) else part(x)
        return x


class Twice(nn.Module):
    """Of one layer that runs twice and one that does not run."""

    def __init__(self):
        super().__init__()
        self.same, self.idle, self.last = nn.Linear(768, 768), nn.Linear(2, 2), nn.Linear(768, 3)
        self.pair = Call(lambda x: (x, x))

    def forward(self, x):
        return self.last(self.pair(self.same(self.same(x.flatten(1))))[0])


class Aids(nn.Module):
    """As GoogLeNet: more than logits in training."""

    def __init__(self):
        super().__init__()
        self.network = network()

    def forward(self, x):
        return (self.network(x), x) if self.training else self.network(x)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 768))

    def forward(self, x):
        return nn.functional.linear(x.flatten(1), self.weight)


class Remembers(nn.Linear):
    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        pass


def decoder(end=torch.sigmoid, begin=lambda x: x):
    """A decoder of one's own of that layer."""
    draw = nn.ConvTranspose2d(6, 3, 4, 2, 1)
    return nn.Sequential(Call(begin), draw, Call(end))


def earliest(use, folder):
    """A module given to whatever is called first."""
    np.savez(
        folder / "set.npz", images=(IMAGES.permute(0, 2, 3, 1) * 255).byte().numpy(), labels=LABELS.numpy()
    )
    return {
        "list_layers": lambda c: layers.list_layers(c, (3, 16, 16)),
        "ClaDec": lambda c: cu.ClaDec(c, "network.1"),
        "RefAE": lambda c: cu.RefAE(c, "network.1"),
        "open_study": lambda c: cu.open_study("smoke", str(folder / "set.npz"), c, ["network.1"]),
    }[use]


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(network(), {nn.Linear})


def contiguous(use):
    """Whether a classifier that needs contiguous tensors is explained as the same one that does not."""
    one, other = use(Viewed(), "network.1"), use(network(), "1")
    return torch.allclose(one, other, atol=1e-5)


def judged(folder):
    """An evaluation classifier of an architecture that gives more than logits in training."""
    study = earliest("open_study", folder)(Aids())
    found = classifiers.fit_network(study.architecture, 1.0, study.data, SGD, 0)
    return found[1].keys()


def studied(folder, given):
    """What a study measures of a module, its RefAE and evaluation classifiers among it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLADEC_ARTIFACTS", str(folder / type(given.network).__name__))
        study = earliest("open_study", folder)(given)
        subjects = study.cladec("network.1", 0, 0.9), study.refae("network.1", 0)
        assert subjects[1].reference is None
        return [store.get(study.evaluation(subject, 0), False).metrics for subject in subjects]


def reloaded(folder, given):
    """Whether what was fitted to a wrapped module is that of the module, and is loaded with either."""
    mine, plain = fitted(given=given, layer="1", alpha=0.5), fitted(alpha=0.5)
    mine.save(folder / "x.safetensors")
    again = cu.ClaDec.load(folder / "x.safetensors", network())
    return weights(mine) == weights(plain) and torch.equal(again(IMAGES), mine(IMAGES))


def in_place(x):
    return x.sub_(0.5).div_(0.2)


def fitted(kind=cu.ClaDec, given=None, layer="1", images=IMAGES, labels=None, fit=None, **options):
    return kind(given or network(), layer, **options).fit(images, labels, **FEW | (fit or {}))


def weights(mine):
    return [t.numpy().tobytes() for t in mine.trained_tensors().values()]


def unchanged(use):
    """What `use` makes of a classifier that changes its images is that of one that does not, to the bit, and
    images of the user's stay."""
    mine = IMAGES.clone().to(memory_format=torch.channels_last)
    other = use(network(), mine.clone(memory_format=torch.preserve_format))
    return use(network(in_place), mine) == other and torch.equal(mine, IMAGES)


def mapped(name):
    def use(classifier, images):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return methods.SALIENCY[name](Subject(classifier, "1"), images[:4], LABELS[:4]).tolist()

    return use


def attributed(target, **options):
    """Whether the map of a target is that of one class per image."""
    mine = fitted(**options)
    found = mine.attribute(IMAGES, target)
    return [torch.equal(found, mine.attribute(IMAGES, torch.full((24,), c))) for c in range(3)].index(True)


def neurons(given):
    mine = fitted(neurons=given)
    return mine.neurons


def saved(folder, **options):
    mine = fitted(**options)
    mine.save(folder / "x.safetensors")
    again = type(mine).load(folder / "x.safetensors", network())
    return torch.equal(again(IMAGES), mine(IMAGES)) and again.neurons == mine.neurons


def same(**changed):
    """Whether a fit ends in the same weights as the plain one."""
    options = {"alpha": 0.5, "labels": LABELS}
    return weights(fitted(**options | changed)) == weights(fitted(**options))


def under(context):
    """Whether a fit inside the context ends as one outside."""
    options = {"given": network(), "alpha": 0.5, "labels": LABELS}
    with context():
        found = fitted(**options)
    return weights(found) == weights(fitted(**options))


def drawn(own):
    return tuple(fitted(decoder=own)(IMAGES).shape)


def decoded(begin):
    """What comes of a decoder of one's own that begins so."""
    mine = fitted(decoder=decoder(begin=begin), fit={"validation": (IMAGES, LABELS)})
    return weights(mine), mine.curves, mine.attribute(IMAGES).tolist()


def refitted(own, mine):
    own(IMAGES)
    return mine(own)


def drawn_from(images):
    """Whether images of another type of floats are taken, and drawn and judged as they are in single."""
    mine, single = fitted(cu.RefAE, images=images), images.float()
    return (
        weights(mine) == weights(fitted(cu.RefAE, images=single))
        and torch.equal(mine(images), mine(single))
        and torch.equal(fitted().attribute(images), fitted().attribute(single))
        and torch.equal(cu.PCA(3).fit(images)(images), cu.PCA(3).fit(single)(single))
        and cu.evaluate(mine, images) == cu.evaluate(mine, single)
    )


def loaded(folder, kind):
    """What was fitted to one architecture, given another that has no such layer."""
    fitted(kind, layer="1").save(folder / "x.safetensors")
    kind.load(folder / "x.safetensors", nn.Sequential(nn.Flatten()))


def at_home(folder, name):
    """What is in the user's home after an explainer was saved there and loaded from there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        path = name.format(f=folder.name)
        fitted().save(path)
        cu.ClaDec.load(path, network())
    return [found.name for found in folder.iterdir()]


def redecoded(folder):
    fitted(decoder=decoder()).save(folder / "x.safetensors")
    other = nn.Sequential(nn.ConvTranspose2d(6, 3, 4, 2, 1), nn.Sigmoid())
    cu.ClaDec.load(folder / "x.safetensors", network(), other)


# fmt: off
IN_PLACE = [
    (lambda f: unchanged(lambda c, x: weights(fitted(given=c, images=x))), True),
    (lambda f: unchanged(lambda c, x: weights(fitted(given=c, images=x, alpha=0.5))), True),
    (lambda f: unchanged(lambda c, x: weights(fitted(cu.RefAE, c, images=x))), True),
    (lambda f: unchanged(lambda c, x: fitted(given=c, images=x).attribute(x).tolist()), True),
    (lambda f: unchanged(lambda c, x: fitted(cu.RefAE, c, images=x)(x).tolist()), True),
    (lambda f: unchanged(lambda c, x: str(cu.evaluate(fitted(given=c, images=x), x))), True),
    (lambda f: unchanged(lambda c, x: str(cu.evaluate(cu.PCA(3).fit(x), x, c))), True),
    (lambda f: unchanged(lambda c, x: encoder.private(c)(x).tolist()), True),
    (lambda f: unchanged(lambda c, x: architectures.registered(architectures.register(c))(x).tolist()), True),
    *((lambda f, n=n: unchanged(mapped(n)), True) for n in methods.SALIENCY),
    (lambda f: len(encoder.private(encoder.private(network()))._forward_pre_hooks), 1),
    (lambda f: decoded(lambda x: x.mul_(2)) == decoded(lambda x: x * 2), True),
]

TARGETS = [
    *((lambda f, t=t: attributed(t), 1) for t in (1, np.int64(1), np.uint8(1), torch.tensor(1), [1] * 24, (1,) * 24, np.ones(24, np.int32), torch.ones(24, dtype=torch.uint8))),
    *((lambda f, t=t: attributed(t), Says("^target is .*one for each of the 24 images")) for t in (1.0, True, "1", torch.ones(24), [1] * 23, torch.ones(24, 1).long(), torch.ones(24).bool(), [None] * 24, object())),
    *((lambda f, t=t: attributed(t), Says(f"^Target {t} is out of range: the classifier gives 3 logits, numbered 0 to 2")) for t in (3, -1, 10**12)),
    (lambda f: attributed([0] * 23 + [3]), Says("^Target 3 is out of range")),
    (lambda f: fitted().attribute(IMAGES[..., :8]), Says("fitted to images of .3, 16, 16.; resize")),
    (lambda f: cu.PCA(3).fit(IMAGES)(IMAGES[..., :8]), Says("this PCA was fitted to images of .3, 16, 16.")),
    (lambda f: cu.evaluate(cu.PCA(3).fit(IMAGES), IMAGES[:, :1], network()), Says("The classifier does not take images of shape .1, 16, 16")),
]

OUTPUTS = [
    *((lambda f, head=head, use=use: use(network(head=head)), Says(f"^The classifier gives {words} for 2 images.*must give logits"))
      for head, words in ((lambda x: x[:, :1], r"\(2, 1\)"), (lambda x: x[:, 0], r"\(2,\)"), (lambda x: x[:, :, None, None], r"\(2, 3, 1, 1\)"), (lambda x: {"logits": x}, "dict"), (lambda x: (x,), "tuple"), (lambda x: x.argmax(1), r"torch.int64 \(2,\)"), (lambda x: x > 0, r"torch.bool \(2, 3\)"), (lambda x: x[:1], r"\(1, 3\)"))
      for use in (lambda c: fitted(given=c), lambda c: fitted(cu.RefAE, c), lambda c: cu.evaluate(cu.PCA(2).fit(IMAGES), IMAGES, c))),
    (lambda f: drawn(None), (24, 3, 16, 16)),
]

LABELLED = [
    *((lambda f, y=y: same(labels=y), True) for y in (LABELS.tolist(), LABELS.numpy(), LABELS.int(), LABELS.to(torch.uint8), list(LABELS))),
    *((lambda f, y=y, kind=kind: fitted(kind, labels=y), Says("^24 images need as many integer labels, but the labels are .*; None takes")) for kind in (cu.ClaDec, cu.RefAE) for y in (LABELS.bool(), LABELS.float(), LABELS[:3], LABELS[:, None], [0.5] * 24, "labels", list("abc") * 8, 1)),
    *((lambda f, y=y: fitted(labels=[0] * 23 + [y]), Says(f"^Label {y} is out of range: the classifier gives 3 logits, numbered 0 to 2")) for y in (3, -1, -100)),
    (lambda f: fitted(fit={"validation": (IMAGES, [5] * 24)}), Says("^Label 5 is out of range")),
]

NEURONS = [
    *((lambda f, n=n: neurons(n), (1, 4)) for n in ((1, 4), [1, 4], np.array([1, 4]), torch.tensor([1, 4]), [np.int64(1), np.uint8(4)], list(torch.tensor([1, 4])), range(1, 5, 3), iter([1, 4]))),
    *((lambda f, n=n: cu.RefAE(network(), "1", neurons=n), Says("^neurons is .*; it must be None or indices, such as .0, 3.")) for n in (torch.ones(6).bool(), [True, False], [1.0, 4.0], np.ones(2), "14", ["1"], 1, [[1, 4]], [None], object())),
    (lambda f: neurons([]), Says("is empty")),
    (lambda f: neurons([6]), Says("Neuron 6 is out of range")),
    *((lambda f, n=n: saved(f, neurons=n, fit={"seed": np.int64(3)}), True) for n in (np.array([1, 4]), torch.tensor([1, 4]), [np.int64(1)])),
    (lambda f: saved(f, components=np.int64(2), alpha=np.float32(0.5), width=np.float32(0.5)), True),
]

OPTIONS = [
    *((lambda f, v=v: fitted(fit={"updates": v}), Says("^updates is .*; it must be a whole number of at least 1[.]")) for v in (2.5, True, "2", 0, -1, [2], float("nan"), 2**70)),
    *((lambda f, v=v: fitted(fit={"threads": v}), Says("^threads is .*; it must be a whole number of at least 1[.]")) for v in (0, -1, 1.5, "1", True)),
    *((lambda f, v=v: fitted(fit={"seed": v}), Says("^seed is .*; it must be a whole number of at least 0[.]")) for v in (-1, 0.5, "0", None, True, 2**64)),
    *((lambda f, v=v: fitted(fit={"updates": None, "minutes": v}), Says("^minutes is .*; it must be a number above 0[.]")) for v in ("1", 0, -1, float("inf"), float("nan"), True, [1])),
    *((lambda f, v=v: cu.ClaDec(network(), "1", width=v), Says("^width is .*; it must be a number above 0[.]")) for v in (0, -1, float("nan"), float("inf"), "1", None, True)),
    *((lambda f, v=v: cu.ClaDec(network(), "1", components=v), Says("^components is .*; it must be a whole number of at least 1[.]")) for v in (0, 2.5, "2", True)),
    *((lambda f, v=v: cu.PCA(v), Says("^components is .*; it must be a whole number of at least 1[.]")) for v in (0, 2.5, "2", True, None)),
    (lambda f: cu.ClaDec(network(), "1", norm="layer"), Says("Unknown norm of a decoder 'layer'")),
    *((lambda f, v=v: fitted(fit={"validation": v}), Says("^validation is .*; it must be a pair of images and labels[.]")) for v in (1, "ab", (IMAGES,), (IMAGES, LABELS, LABELS))),
    (lambda f: fitted(fit={"validation": IMAGES}), Says("^validation is torch.float32 of shape .24, 3, 16, 16.; it must be a pair")),
    (lambda f: fitted(fit={"validation": (IMAGES[..., :8], LABELS)}), Says("fitted to images of .3, 16, 16.")),
    (lambda f: fitted(fit={"validation": (IMAGES, LABELS[:3])}), Says("24 images need as many")),
    (lambda f: "val" in fitted(fit={"validation": (IMAGES[:0], LABELS[:0])}).curves, False),
    (lambda f: "val" in fitted(fit={"validation": [IMAGES, LABELS.tolist()]}).curves, True),
    *((lambda f, v=v: fitted(fit={"device": v}), Says("^device is .*; here it can be None, 'cpu' or")) for v in ("gpu", "cuda:99", "meta", 1.5, "")),
    *((lambda f, v=v: same(fit=v), True) for v in ({"device": "cpu"}, {"device": torch.device("cpu")}, {"updates": np.int64(2), "seed": torch.tensor(0), "threads": np.int32(1)})),
    (lambda f: same(images=IMAGES.double()), True),
    (lambda f: drawn_from(IMAGES.double()), True),
    (lambda f: drawn_from(IMAGES.bfloat16()), True),
    (lambda f: drawn_from(IMAGES.half()), True),
    *((lambda f, c=c: under(c), True) for c in (torch.no_grad, torch.inference_mode)),
]

GRADIENTS = [
    (lambda f: fitted(given=Without(network()), layer="network.1", alpha=0.5), Says("^At alpha > 0 gradients of the logits must reach the image; take torch.no_grad")),
    (lambda f: fitted(given=network(head=lambda x: x.detach()), alpha=0.5), Says("^At alpha > 0 gradients")),
    (lambda f: fitted(given=Without(network()), layer="network.1").attribute(IMAGES), Says("^No gradient of the classifier's logits reaches 'network.1'; take")),
    (lambda f: fitted(given=network(head=lambda x: x.detach())).attribute(IMAGES, 0), Says("^No gradient of the classifier's logits reaches '1'; take")),
]

DECODERS = [
    (lambda f: drawn(decoder()), (24, 3, 16, 16)),
    (lambda f: drawn(decoder(lambda x: x)), Says("^The decoder draws pixels from -.*must be in .0, 1.: let it end in a sigmoid")),
    (lambda f: drawn(decoder(lambda x: x * torch.nan)), Says("^The decoder draws pixels from nan")),
    (lambda f: drawn(decoder(lambda x: x[:1].sigmoid())), Says("^The decoder draws 1 images for 2 activations")),
    (lambda f: drawn(decoder(lambda x: (x,))), Says("^The decoder gives a tuple; it must give a tensor")),
    (lambda f: drawn(decoder(lambda x: x > 0)), Says("^The decoder gives torch.bool")),
    (lambda f: drawn(decoder().half()), Says("^The decoder has weights of torch.float16; call its float")),
    (lambda f: drawn(decoder().double()), Says("^The decoder has weights of torch.float64")),
    (lambda f: drawn(decoder().requires_grad_(False)), Says("^The decoder has no weights that may be trained.*requires_grad_")),
    (lambda f: drawn(Call(lambda x: x[:, :3].sigmoid().repeat(1, 1, 2, 2))), Says("^The decoder has no weights that may be trained")),
    (lambda f: drawn(nn.Sequential), Says("^The decoder is the class Sequential; it must be a torch.nn.Module")),
    (lambda f: drawn(torch.sigmoid), Says("^The decoder is a builtin.*; it must be a torch.nn.Module")),
    (lambda f: drawn(nn.Sequential(nn.Conv2d(5, 3, 3), nn.Sigmoid())), Says("^The decoder does not take activations of shape .6, 8, 8.")),
    (lambda f: drawn(nn.Sequential(nn.utils.spectral_norm(nn.ConvTranspose2d(6, 3, 4, 2, 1)), nn.Sigmoid())), Says("^Fresh weights are needed, but '0' .ConvTranspose2d. has no reset_parameters.. that draws its weight_orig; add one")),
    (lambda f: drawn(nn.Sequential(nn.LazyConvTranspose2d(3, 4, 2, 1), nn.Sigmoid())), Says("^The decoder has lazy layers")),
]

COPIES = [
    (lambda f: refitted(Keeps(*network()), lambda c: cu.ClaDec(c, "1")), Says("^The classifier cannot be copied .RuntimeError: Only Tensors.*an activation of its last call .set it to None")),
    (lambda f: refitted(network(inner=nn.utils.weight_norm(nn.Conv2d(6, 6, 1))), lambda c: cu.RefAE(c, "1")), Says("^The classifier cannot be copied .*parametrizations.weight_norm")),
    (lambda f: cu.ClaDec(network(head=threading.Lock()), "1"), Says("^The classifier cannot be copied .TypeError: .*a lock or an open file")),
    (lambda f: cu.ClaDec(torch.jit.trace(nn.Sequential(nn.Flatten(), nn.Linear(768, 3)), IMAGES), "1"), Says("^The classifier is TorchScript.*give what it was made from")),
    (lambda f: cu.RefAE(nn.Sequential(nn.LazyConv2d(6, 3)), "0"), Says("^The classifier has lazy layers, still without weights; call it once on images")),
    (lambda f: cu.ClaDec(nn.Sequential, "0"), Says("^The classifier is the class Sequential")),
    (lambda f: cu.evaluate(cu.PCA(2).fit(IMAGES), IMAGES, network), Says("^The classifier is a function; it must be")),
    (lambda f: cu.RefAE("vgg", "1"), Says("^The classifier is a str; it must be a torch.nn.Module")),
]

MODULES = [
    *((lambda f, u=u, c=c: earliest(u, f)(c()), Says(f"^The classifier {words}"))
      for c, words in ((lambda: network().half(), "has weights of torch.float16; call its float"), (lambda: network().double(), "has weights of torch.float64; call its float"), (quantised, "is quantised .*give the float module"), (lambda: torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(768, 3))), "is TorchScript"), (lambda: nn.Sequential(nn.Flatten(), Remembers(768, 3)), "keeps extra state .get_extra_state of '1'"), (Functional, "has no modules inside.*nn.Sequential.*nn.Identity"))
      for u in ("list_layers", "ClaDec", "RefAE", "open_study")),
    *((lambda f, make=make: layers.list_layers(nn.Sequential(nn.Flatten(), make(nn.Linear(768, 3))), (3, 16, 16)), Says("^The classifier is TorchScript in part .'1'.")) for make in (torch.jit.script, lambda m: torch.jit.trace(m, torch.zeros(2, 768)))),
    *((lambda f, u=u, head=head, inner=inner: earliest(u, f)(network(head=head, inner=inner)), Says(f"^The classifier gives {words}"))
      for head, inner, words in ((lambda x: (x, x), nn.Tanh(), r"tuple for 2 images; .*model\(x\)\[0\]"), (lambda x: {"out": x}, nn.Sigmoid(), r"dict for 2 images; .*model\(x\)\['out'\]"))
      for u in ("list_layers", "open_study")),
    (lambda f: layers.list_layers(network(), (1, 16, 16)), Says("^The classifier does not take images of shape .1, 16, 16.: it was made for 3 channels, these have 1; give it images.expand")),
    (lambda f: layers.list_layers(nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten()), (3, 16, 16)), Says("made for 1 channel, these have 3; give it images.mean.1, keepdim=True., or wrap")),
    (lambda f: layers.list_layers(nn.Sequential(nn.Flatten(), nn.Linear(256, 3)), (3, 16, 16)), Says("made for 1 channel, these have 3")),
    (lambda f: cu.evaluate(cu.PCA(2).fit(IMAGES), IMAGES, Functional()).images, 24),
    *((lambda f, kind=kind: fitted(kind, Twice(), "same"), Says("^Layer 'same' .Linear. cannot be explained: it runs 2 times on each image")) for kind in (cu.ClaDec, cu.RefAE)),
    (lambda f: fitted(given=Twice(), layer="idle"), Says("^Layer 'idle' .Linear. cannot be explained: it does not run")),
    (lambda f: fitted(given=Twice(), layer="pair"), Says("^Layer 'pair' .Call. cannot be explained: it gives no tensor of floats")),
    *((lambda f, wrap=wrap: reloaded(f, wrap(network())), True) for wrap in (torch.compile, nn.DataParallel, lambda n: nn.DataParallel(torch.compile(n)))),
    *((lambda f, n=n: cu.ClaDec(torch.compile(Viewed()), n).layer, "network.1") for n in ("network.1", "_orig_mod.network.1")),
    (lambda f: cu.ClaDec(Viewed(torch.compile(network())), "network._orig_mod.1").layer, "network.1"),
    (lambda f: cu.ClaDec(nn.DataParallel(network()), "module.1").layer, "1"),
    (lambda f: [layer.name for layer in layers.list_layers(torch.compile(network()), (3, 16, 16))], ["0", "1", "2", "3", "4", "5"]),
    (lambda f: earliest("open_study", f)(torch.compile(Viewed())).layers, ("network.1",)),
    *((lambda f, use=use: contiguous(use), True) for use in (
        lambda c, n: fitted(given=c, layer=n, alpha=0.5)(IMAGES), lambda c, n: fitted(given=c, layer=n, alpha=0.5).attribute(IMAGES),
        lambda c, n: fitted(cu.RefAE, c, n, reference="own")(IMAGES), lambda c, n: torch.tensor(cu.evaluate(cu.PCA(2).fit(IMAGES), IMAGES, c).c_agrees),
        lambda c, n: methods.gradient(Subject(c, n), IMAGES, LABELS), lambda c, n: methods.grad_cam(Subject(c, n), IMAGES, LABELS))),
    (lambda f: drawn(decoder(begin=lambda x: x.view(len(x), -1).view(len(x), 6, 8, 8))), (24, 3, 16, 16)),
    (lambda f: studied(f, Viewed()) == studied(f, Viewed(torch.compile(network()))), True),
    (lambda f: fitted(cu.RefAE, Aids(), "network.1", reference="own").reference, "own"),
    (lambda f: "val" in judged(f), True),
]

FILES = [
    (lambda f: fitted().save(""), Says("^'[.]?' is a folder; name a file in it")),
    *((lambda f, name=name: at_home(f, name), ["x.safetensors"]) for name in ("~/x.safetensors", "~/../{f}/x.safetensors")),
    (lambda f: fitted().save(f), Says("is a folder; name a file in it, such as cladec.safetensors")),
    *((lambda f, kind=kind: loaded(f, kind), Says("was fitted to another classifier than the one given")) for kind in (cu.ClaDec, cu.RefAE)),
    (redecoded, Says("was fitted with another decoder; give that one")),
]
# fmt: on


@pytest.mark.parametrize(("given", "outcome"), of_tables(globals()))
def test_what_is_given(given, outcome, tmp_path):
    check(given, outcome, tmp_path)
