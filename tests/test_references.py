"""What RefAE is made of: fresh weights of the classifier's architecture, or a generic encoder."""

import copy
import math
import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
import torch
from conftest import ADAM
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

import cladec_utils as cu
from cladec_utils.app import commands
from cladec_utils.claims import evidence, required
from cladec_utils.engine import store
from cladec_utils.engine.spec import closure
from cladec_utils.errors import CladecError, CladecNote
from cladec_utils.models import architectures, encoder
from cladec_utils.models.generic import GenericEncoder
from cladec_utils.models.hints import hint, stages
from cladec_utils.models.references import GENERIC, drawn, reinitialise, why_not
from cladec_utils.saliency import experiment
from cladec_utils.study import evaluation
from cladec_utils.study.classifiers import ControlSpec, OwnClassifierSpec, RandomisedSpec, classifier

SHAPE = (3, 16, 16)
IMAGES = torch.rand(24, *SHAPE, generator=torch.Generator().manual_seed(0))
FEW = {"updates": 2, "threads": 1, "progress": False}
MARK = 7.0
"""No weight is drawn as this."""


class Tokens(nn.Module):
    """A patch transformer; the places of its tokens are drawn by nobody."""

    def __init__(self):
        super().__init__()
        self.cut, self.place = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.zeros(16, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.block(self.cut(x).flatten(2).transpose(1, 2) + self.place).mean(1))


class Resets(Tokens):
    def reset_parameters(self):
        nn.init.normal_(self.place)


class FrozenBatchNorm2d(nn.Module):
    """As torchvision's: what it has learned lies in buffers."""

    def __init__(self, channels):
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.full((channels,), MARK))

    def forward(self, x):
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        return (x - self.running_mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]


def network(*parts):
    """Colour images through 8 channels of 8 x 8 to three classes; the parts are named 1, 2, ..."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), *parts, nn.Flatten(), nn.Linear(512, 3)).eval()


def marked(module):
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(MARK)
    return module


def fitted(given, layer="1", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CladecNote)
        return cu.RefAE(given, layer, width=0.25, **options).fit(IMAGES, **FEW)


def test_nothing_is_drawn_but_by_the_parts_in_their_order():
    """So the bits of what was trained before this was made sure of stay."""
    mine = architectures.make_classifier("resnet", (1, 32, 32), 10, 0.125)
    other = copy.deepcopy(mine)
    torch.manual_seed(3)
    reinitialise(mine)
    state = torch.get_rng_state()
    torch.manual_seed(3)
    for part in other.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), other.parameters(), strict=True))


def test_weights_under_parametrizations_are_drawn_anew():
    normed = parametrizations.weight_norm(nn.Conv2d(8, 8, 3, padding=1))
    spectral = parametrizations.spectral_norm(nn.Conv2d(8, 8, 3, padding=1))
    given = network(marked(normed), spectral)
    with torch.no_grad():
        spectral.parametrizations.weight.original.fill_(MARK)
    fresh = drawn(given)
    for part in fresh[1:3]:
        plain, bound = part.weight.detach(), 1 / math.sqrt(8 * 9)
        assert (plain != MARK).all() and plain.std() > 0
        assert part.bias.abs().max() <= bound
    assert fresh[1].weight.abs().max() <= 1.001 * bound
    assert fresh[1].weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
    largest = torch.linalg.matrix_norm(fresh[2].weight.detach().flatten(1), 2)
    assert largest.item() == pytest.approx(1, rel=0.1)
    assert fitted(given, "2").reference == "own"


@pytest.mark.parametrize("name", ["pruned", "spectral", "held"])
def test_what_keeps_its_weights_is_no_reference(name):
    part = nn.Conv2d(8, 8, 1)
    if name == "pruned":
        prune.random_unstructured(part, "weight", 0.5)
    elif name == "spectral":
        nn.utils.spectral_norm(part)
    else:
        del part.weight
        part.register_buffer("weight", torch.ones(8, 8, 1, 1))
        part.reset_parameters = None
    with torch.no_grad():
        given = network(part)
        given(IMAGES)
    with pytest.raises(CladecError, match=r"'1' .Conv2d. has no reset_parameters\(\) that draws its"):
        reinitialise(copy.deepcopy(given))
    with pytest.raises(CladecError, match=r"draws its .*Or take reference='generic'"):
        cu.RefAE(given, "2", reference="own").fit(IMAGES, **FEW)
    with pytest.warns(CladecNote, match=r"^RefAE of '2' has a generic encoder: fresh weights"):
        assert cu.RefAE(given, "2", width=0.25).fit(IMAGES, **FEW).reference == "generic"


def test_frozen_batch_norms_and_statistics_start_as_the_identity():
    other = nn.Module()
    for name in ("running_mean", "mean"):
        other.register_buffer(name, torch.full((3,), MARK))
    given = nn.Sequential(FrozenBatchNorm2d(8), other)
    reinitialise(given)
    wanted = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}
    assert {n: t.unique().tolist() for n, t in given[0].named_buffers()} == {
        n: [v] for n, v in wanted.items()
    }
    assert (other.running_mean == 0).all() and (other.mean == MARK).all()


def test_attention_is_drawn_as_when_it_is_made():
    mine = marked(Resets())
    reinitialise(mine)
    attention = mine.block.self_attn
    assert not any((weight == MARK).any() for weight in mine.parameters())
    assert not attention.out_proj.bias.any() and not attention.in_proj_bias.any()
    assert attention.in_proj_weight.abs().max() <= math.sqrt(6 / (8 + 24))


def test_torchvisions_are_drawn_as_when_they_are_made():
    """Constants are the same; what is random has nearly the same spread."""
    from torchvision.models import convnext, swin_transformer, vision_transformer

    block = convnext.CNBlockConfig
    made = {
        "convnext": lambda: convnext.ConvNeXt([block(16, 32, 1), block(32, None, 1)], num_classes=32),
        "vit": lambda: vision_transformer.VisionTransformer(32, 8, 1, 4, 32, 64, num_classes=32),
        **{
            f"swin{v or ''}": lambda v=v: swin_transformer.SwinTransformer(
                [4, 4], 32, [2, 2], [2, 4], [4, 4], num_classes=32,
                block=getattr(swin_transformer, f"SwinTransformerBlock{v}"),
                downsample_layer=getattr(swin_transformer, f"PatchMerging{v}"),
            )
            for v in ("", "V2")
        },
    }  # fmt: skip
    for name, make in made.items():
        torch.manual_seed(0)
        new, mine = make(), marked(make())
        reinitialise(mine)
        for (where, theirs), weight in zip(new.named_parameters(), mine.parameters(), strict=True):
            if theirs.unique().numel() == 1:
                assert torch.equal(weight, theirs), (name, where)
            elif theirs.numel() >= 64:
                assert weight.std().item() == pytest.approx(theirs.std().item(), rel=0.35), (name, where)


class Cuts(nn.Module):
    """A network of two convolutions of which the first is run so."""

    def __init__(self, run):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.beside, self.head, self.run = nn.Conv2d(3, 8, 3, 2, 1), nn.Linear(512, 3), run

    def forward(self, x):
        return self.head(self.second(self.run(self, x)).flatten(1))


def without(net, x):
    with torch.no_grad():
        return net.first(x)


RUNS = {
    "no_grad": (without, "first.weight"),
    "detach": (lambda net, x: net.first(x).detach(), "first.weight"),
    "checkpoint": (lambda net, x: checkpoint(net.first, x, use_reentrant=True), "first.weight"),
    "a branch": (lambda net, x: net.first(x) + net.beside(x).detach(), "beside.weight"),
    "in training": (lambda net, x: net.first(x).detach() if net.training else net.first(x), "first.weight"),
    "inference": (torch.inference_mode()(lambda net, x: net.first(x)), "Inference tensors"),
    "none": (lambda net, x: net.first(x), ""),
    "checkpoint of today": (lambda net, x: checkpoint(net.first, x, use_reentrant=False), ""),
    "unused": (lambda net, x: net.beside(x) * 0 + net.first(x), ""),
    "dropped": (lambda net, x: (without(net, x), net.beside(x))[1], ""),
    "rounded": (lambda net, x: net.first((x * 255).to(torch.uint8).float()), ""),
    "noise": (lambda net, x: net.first(x) + torch.randn(len(x), 8, 8, 8), ""),
}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("run", RUNS)
def test_a_forward_that_cuts_gradients_is_found_and_no_other(run):
    forward, weight = RUNS[run]
    given = Cuts(forward).eval()
    kept, state = copy.deepcopy(given.state_dict()), torch.get_rng_state()
    reason = why_not(encoder.Encoder(given, "second", SHAPE), SHAPE)
    assert (weight in reason) if weight else not reason
    assert all(torch.equal(kept[n], t) for n, t in given.state_dict().items()) and not given.training
    assert torch.equal(torch.get_rng_state(), state)
    mine = fitted(given, "second")
    assert mine.reference == ("generic" if weight else "own")
    if weight:
        with pytest.raises(CladecError, match="Or take reference='generic'"):
            cu.RefAE(given, "second", reference="own").fit(IMAGES, **FEW)


def test_a_layer_behind_no_weights_is_no_forward_that_cuts_gradients():
    given = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(48, 3))
    assert fitted(given, "0", reference="own").reference == "own"


def count(encoder):
    return sum(weight.numel() for weight in encoder.parameters())


MAPS = [(8, 8, 8), (6, 16, 16), (5, 3, 7), (40, 1, 1)]
VECTORS, TOKENS = [(9,), (3000,)], [(8, 6), (8, 7), (8, 29), (8, 5), (4, 300), (8, 16)]
LARGE = [(2048, 7, 7), (64, 112, 112), (1000,), (4096,), (25088,), (150528,), (768, 197), (3072, 50)]


@pytest.mark.parametrize("shape", [*MAPS, *VECTORS, *TOKENS])
def test_a_generic_encoder_gives_codes_of_the_shape(shape):
    torch.manual_seed(0)
    encoder = GenericEncoder(shape, (3, 16, 24), 0.1)
    codes = encoder(torch.rand(2, 3, 16, 24))
    assert codes.shape == (2, *shape)
    codes.sum().backward()
    assert all(weight.grad is not None for weight in encoder.parameters())
    first, other = encoder.eval()(torch.rand(2, 3, 16, 24)).flatten(1)
    assert (first != other).float().mean() > 0.9


@pytest.mark.parametrize("shape", LARGE)
def test_a_generic_encoder_never_has_50_million_weights(shape):
    with torch.device("meta"):
        encoder = GenericEncoder(shape, (3, 224, 224))
        assert encoder(torch.zeros(2, 3, 224, 224)).shape == (2, *shape)
    assert count(encoder) < 50_000_000


def test_a_generic_reference_learns_is_saved_and_says_what_it_is(tmp_path):
    given = network(nn.ReLU())
    mine = cu.RefAE(given, "1", reference="generic", neurons=(1, 4), width=0.25).fit(IMAGES, **FEW)
    assert mine.encoder(IMAGES).shape == (24, 2, 8, 8) and mine.kind == "RefAE (generic encoder)"
    mine.save(tmp_path / "x.safetensors")
    again = cu.RefAE.load(tmp_path / "x.safetensors", given)
    assert torch.equal(again(IMAGES), mine(IMAGES))
    assert (again.reference, again.kind) == ("generic", GENERIC)
    assert str(cu.evaluate(again, IMAGES)).startswith("RefAE (generic encoder) of 1: MSE")
    longer = cu.RefAE(given, "1", reference="generic", width=0.25).fit(IMAGES, **FEW | {"updates": 60})
    assert cu.evaluate(longer, IMAGES).mse < 0.9 * cu.evaluate(mine, IMAGES).mse
    cladec = cu.ClaDec(given, "1", neurons=(1, 4), width=0.25).fit(IMAGES, **FEW)
    assert "X_R (generic encoder)" in str(cu.quality(IMAGES, cladec, mine))
    with pytest.raises(CladecError, match="Unknown reference 'mine'"):
        cu.RefAE(given, "1", reference="mine")


def test_its_own_architecture_is_the_reference_where_nothing_else_is_asked(tmp_path):
    given = network(nn.ReLU())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mine, asked = (
            cu.RefAE(given, "1", reference=r, width=0.25).fit(IMAGES, **FEW) for r in (None, "own")
        )
    assert (mine.reference, mine.kind) == ("own", "RefAE")
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), asked.parameters(), strict=True))


def test_dropout_is_off_wherever_it_is():
    fresh = drawn(Resets())
    assert fresh.block.self_attn.dropout == fresh.block.dropout.p == 0


@pytest.fixture
def study(npz, folders):
    torch.manual_seed(0)
    return cu.open_study("smoke", str(npz()), Tokens(), ["cut", "block"], seeds=[0])


def test_in_a_study_the_spec_says_it(study):
    with pytest.warns(
        CladecNote, match=r"'block' has a generic encoder: .*the module itself .Tokens. has no"
    ):
        spec = study.refae("block", 0)
    assert spec.reference == "generic" and "RefAE (generic encoder)" in spec.label()
    own = replace(spec, reference=None)
    assert own.hash == replace(spec, reference="own").hash != spec.hash and "reference" not in own.to_json()
    assert cu.open_study("smoke").refae("block4", 0).reference is None
    small = replace(spec, train=ADAM, reference="generic")
    x = study.data.test.images[:4]
    assert cu.reconstruct(small, x).shape == x.shape and store.exists(small)
    assert any(name.startswith("encoder.shrink") for name in store.get(small).tensors)


def test_tables_and_figures_say_it(study, monkeypatch):
    monkeypatch.setattr("cladec_utils.engine.grid.compute", lambda *_, **__: [])
    monkeypatch.setattr("cladec_utils.notebook.decode", lambda _s, o, i: o.data.test.images[i].float() / 255)
    figure = commands.triplets(study, 3)
    plt.close(figure)
    said = {text.get_text() for axis in figure.axes for text in (axis.yaxis.label, *axis.texts)}
    assert any("X_R block (generic encoder)" in text.replace("\n", " ") for text in said)
    specs = [study.evaluation(s, 0, "none") for s in (study.refae("block", 0), study.cladec("block", 0))]
    metrics = {spec: {"mse": 0.25 * (i + 1)} for i, spec in enumerate(specs)}
    monkeypatch.setattr(store, "record", lambda spec: store.Record(spec, metrics[spec], {}, 0.0))
    monkeypatch.setattr(store, "exists", lambda _: False)
    table = evaluation.tidy(specs)
    assert table["method"].tolist() == [GENERIC, "ClaDec"]
    row = evidence.compare(table, "mse").iloc[0]
    assert (row["ClaDec"], row["RefAE"], row["reference"]) == (0.5, 0.25, "generic")


def test_what_cannot_be_drawn_has_no_randomised_control(study):
    spec = RandomisedSpec(study.classifier(0), "cut", 5)
    with pytest.raises(
        CladecError, match=r"the module itself .Tokens. has no reset_parameters|draws its place"
    ):
        store.get(study.control("random weights", 0), progress=False)
    drawn_from, kept = store.get(spec, progress=False).tensors, classifier(study.classifier(0)).state_dict()
    same = {name for name, tensor in kept.items() if torch.equal(drawn_from[name], tensor)}
    # What began before the layer stays; norms start as they end here, where nothing was trained.
    assert "place" in same and not {"cut.weight", "block.self_attn.in_proj_weight", "head.weight"} & same
    assert isinstance(study.classifier(0), OwnClassifierSpec)


def test_a_study_leaves_out_what_needs_fresh_weights(study):
    found = list(closure([each.subject for each in required.plan(study).evaluations if each.subject]))
    assert found and not any(isinstance(spec, ControlSpec | RandomisedSpec) for spec in found)
    assert study.evaluation(None, 0).judge.architecture == "vgg"
    (spec, *_) = experiment.plan(study)
    assert spec.ignorant is None and "evidence, random weights" not in spec.maps and "evidence" in spec.maps


def test_hints_name_an_early_a_middle_and_a_late_layer():
    parts = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()) for _ in range(7)]
    given = network(*parts)
    assert stages(given, SHAPE) == ["2", "4", "7"]
    assert hint(given, SHAPE).endswith("RefAE: possible with the classifier's architecture.")
    said = hint(Tokens(), SHAPE)
    assert "generic encoder alone. Fresh weights" in said and "'cut'" in said


def test_without_a_choice_of_layers_the_hint_is_in_the_sentence(npz):
    with pytest.raises(CladecError, match=r"^Name the layers to explain. Begin with .*RefAE: pos.*has: 0, "):
        cu.open_study("smoke", str(npz()), network(nn.ReLU()))


class After(nn.Module):
    """A weight without a reset_parameters behind the layer, and none before it."""

    def __init__(self):
        super().__init__()
        self.first, self.scale, self.last = (
            nn.Conv2d(3, 4, 3, 2, 1),
            nn.Parameter(torch.ones(4)),
            nn.Linear(4, 2),
        )

    def forward(self, x):
        return self.last(self.first(x).relu().mean((2, 3)) * self.scale)


def test_what_runs_behind_the_layer_need_not_be_drawn():
    images = torch.rand(6, *SHAPE)
    fitted = cu.RefAE(After().eval(), "first", width=0.1).fit(images, updates=1, progress=False)
    assert fitted.reference == "own"
    with pytest.warns(CladecNote, match=r"no reset_parameters\(\) that draws its scale"):
        assert cu.RefAE(After().eval(), "last", width=0.1).fit(images, updates=1).reference == "generic"
