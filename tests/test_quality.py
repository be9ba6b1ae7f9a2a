"""How far pictures can be trusted: shares that are known by construction, and where and how they are said."""

import sys
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image
from torch import nn

import cladec_utils as cu
from cladec_utils import notebook
from cladec_utils.engine import progress
from cladec_utils.errors import CladecError
from cladec_utils.models.inference import resized
from cladec_utils.plots import images as plots_images
from cladec_utils.study.quality import explained, measured

RANDOM = torch.Generator().manual_seed(0)
NO_REFERENCE = "No reference: X_R is below X_E (train both longer, or take a later layer)"
X = 0.4 + 0.2 * torch.rand(40, 3, 16, 16, generator=RANDOM)
MEAN = X.mean(0)
BETWEEN = 39 / 40  # of the variance about these images' own mean to that about the mean of all


def towards(share, x=X):
    """Reconstructions that leave `1 - share` of the variance about the images' own mean."""
    return x + (x.mean(0) - x) * (1 - share) ** 0.5


class Draws(nn.Module):
    """An explainer of a code of so many numbers that draws what a function says."""

    def __init__(self, function, numbers=4):
        super().__init__()
        self.function, self.encoder = function, SimpleNamespace(activation_shape=(numbers, 1, 1))

    def forward(self, x):
        return self.function(x)


def test_the_share_of_variance_that_is_explained():
    assert explained(X, X) == 1
    assert explained(X, towards(0.75)) == pytest.approx(1 - 0.25 * BETWEEN, rel=1e-4)
    two = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)  # their variance is 1/2, about their mean 1/4
    assert explained(two, torch.full_like(two, 0.5)) == 0.5
    assert explained(two, 1 - two) == -1
    same = torch.ones(3, 1, 2, 2)
    assert explained(same, same) == 1 and explained(same, 0 * same) == 0


def test_the_mean_image_of_all_explains_nothing_of_a_few():
    few = 0.5 + 0.1 * torch.randn(500, 8, 1, 8, 8, generator=RANDOM)
    found = torch.tensor([explained(x, torch.full_like(x, 0.5)) for x in few])
    assert abs(found.mean()) < 0.01 and found.mean() > -1 / 8  # the latter with the mean of the few


def test_a_sentence_for_people():
    assert str(measured(X, towards(0.7), towards(0.9), towards(0.8))) == (
        "X_E explains 71% of the pixel variance, X_R 90%, PCA with as many numbers 80%."
    )
    assert str(measured(X, towards(0.5))) == "X_E explains 51% of the pixel variance."
    assert str(measured(X[:8], X[:8], which="of these 8 images")) == (
        "X_E explains 100% of the pixel variance of these 8 images."
    )
    with pytest.raises(CladecError, match="One image has no mean image"):
        measured(X[:1], X[:1])
    with pytest.raises(CladecError, match=r"not the same images: .* .\(39, 3\), \(40, 3\)"):
        measured(X, X[1:])


COLOURED = X + 0.1 * torch.rand(40, 1, 1, 1, generator=RANDOM)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.71, 0.88, 0.8), ()),
        ((0.71, 0.6, None), (NO_REFERENCE,)),
        ((0.712, 0.708, None), ()),  # shown alike
        ((0.5, 0.7, 0.9), ("X_R is weaker than PCA: what it lacks could have been kept",)),
        ((0.5, None, 0.9), ()),  # that the layer keeps less is no fault
        ((0.05, None, None), ("Hardly better than the mean image: train longer",)),
        ((0.7, 0.6, 0.9), (NO_REFERENCE,)),  # how good it is does not matter then
        ((0.05, 0.01, 0.9), ("Hardly better than the mean image: train longer",)),
        ((-0.3, 0.2, 0.1), ("Hardly better than the mean image: train longer",)),
    ],
)
def test_warnings_where_they_apply(shares, said):
    found = measured(X, *(None if share is None else towards(share) for share in shares))
    begun = str(found).split(". ")[1:]
    assert [sentence.rstrip(".") for sentence in begun] == list(said)
    assert ("explains nothing of" in str(found)) == (shares[0] < 0)


def test_brightness_alone_is_no_shape():
    tinted = COLOURED.mean((2, 3), keepdim=True) - COLOURED.mean() + COLOURED.mean(0)
    found = measured(COLOURED, tinted)
    assert 0.1 < found.colour < 0.5 and found.x_e == pytest.approx(1 - (1 - found.colour) * BETWEEN, rel=1e-3)
    worse = measured(COLOURED, COLOURED.mean(0) + 0.6 * (tinted - COLOURED.mean(0)))
    assert worse.x_e > 0.1
    assert str(worse).endswith(f"each image's mean colour ({found.colour:.0%}): read no shapes in it.")


def test_pictures_of_a_lower_resolution_are_compared_at_theirs():
    small = resized(X, (3, 8, 8))
    assert measured(X, small, X).x_e == measured(X, small, X).x_r == 1
    assert measured((255 * X).round().byte(), small).x_e > 0.99
    found = cu.quality(X, Draws(lambda x: resized(x, (3, 8, 8))), train=X)
    assert found.x_e == 1 and found.pca < 1 and "PCA with as many numbers" in str(found)
    given = cu.quality(X, Draws(lambda x: resized(x, (3, 8, 8))), pca=cu.PCA(39).fit(X))
    assert given.pca > 0.99 and "PCA with 39 numbers" in str(given)


def test_pca_is_made_from_training_images_with_the_codes_size():
    parts = torch.rand(3, 3 * 16 * 16, generator=RANDOM) / 9
    x = (0.3 + torch.rand(60, 3, generator=RANDOM) @ parts).view(60, 3, 16, 16)
    three, two = (cu.quality(x[:20], Draws(lambda x: x, n), train=x[20:]) for n in (3, 2))
    assert three.pca == pytest.approx(1, abs=1e-4) and two.pca < 0.99
    assert "PCA with 4 numbers" in str(cu.quality(X, Draws(lambda x: x, 900), train=X[:5]))


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A working folder of a script, which shows its first figures."""
    monkeypatch.chdir(tmp_path)
    plt.close("all")  # those that other tests in this process have left
    monkeypatch.setattr(notebook, "_written", type(notebook._written)())
    return tmp_path


def test_a_script_writes_pictures_and_says_where(script, capsys):
    for _ in range(2):
        cu.show_triplets(X[:8], X[:8], X[:8])
    cu.show_triplets(X[:8], X[:8], X[:8], out=script / "mine.svg")
    cu.show_triplets(X[:1], X[:1], X[:1], out="one.png")
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "wrote triplets.png", "wrote triplets-2.png", f"wrote {script / 'mine.svg'}", "wrote one.png"
    ]  # fmt: skip
    assert not said.err and Image.open("triplets.png").size[0] > 800 and not plt.get_fignums()
    there = {"mine.svg", "one.png", "triplets-2.png", "triplets.png"}
    assert {file.name for file in script.iterdir()} == there
    with pytest.raises(CladecError, match=r"x.doc cannot be written .*end its name in .png"):
        cu.show_triplets(X[:8], X[:8], X[:8], out="x.doc")
    assert {file.name for file in script.iterdir()} == there and not plt.get_fignums()


def test_a_window_is_used_where_there_is_one(script, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "TkAgg")
    monkeypatch.setattr(plt, "show", lambda: opened.append(plt.get_fignums()))
    cu.show_triplets(X[:8], X[:8], X[:8])
    assert len(opened) == 1 and opened[0] and not plt.get_fignums()
    assert not capsys.readouterr().out and not list(script.iterdir())


def test_a_notebook_gets_the_picture_and_its_sentence(script, monkeypatch):
    given = []
    monkeypatch.setattr(notebook, "display", lambda data, **options: given.append((data, options)))
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    cu.show_triplets(X[:8], X[:8], towards(0.5)[:8])
    ((data, options),) = given
    alt = options["metadata"]["image/png"]["alt"]
    assert data["text/plain"] == alt and "X_E explains" in alt
    assert alt.endswith("of the pixel variance of these 8 images, X_R 100%.")
    assert not list(script.iterdir())


def test_what_is_said_stands_below_the_rows():
    figure = plots_images.image_rows({"X": X[:3]}, below="a: " + "word " * 40 + "\nb: short")
    lines = figure.get_supxlabel().splitlines()
    assert lines[0].startswith("a: ") and lines[-1] == "b: short" and 72 < max(map(len, lines)) <= 125
    figure.canvas.draw()
    assert figure.get_supxlabel().splitlines() == lines  # nothing of it is cut
    (text,) = (t for t in figure.texts if t.get_text().endswith("b: short"))
    assert text.get_window_extent().y1 < min(axis.get_window_extent().y0 for axis in figure.axes)
    plain = plots_images.image_rows({"X": X[:3]})
    assert plain.get_supxlabel() == "" and plain.get_figheight() < figure.get_figheight()
    plt.close("all")


@pytest.mark.parametrize(
    ("terminal", "kernel", "shown"), [(False, False, 0), (True, False, 1), (False, True, 1)]
)
def test_bars_are_for_those_who_watch(monkeypatch, terminal, kernel, shown):
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: terminal, write=len, flush=list))
    shell = SimpleNamespace(**{"kernel": object()} if kernel else {})  # IPython in a terminal has none
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert progress.in_notebook() == kernel
    assert progress.progress_bar(True, range(3)).disable == (not shown)
    assert progress.progress_bar(False, range(3)).disable


def test_all_is_measured_at_the_lower_resolution(own_classifier):
    """White images stay in [0, 1] when they are shrunk: bilinear weights need not sum to one exactly."""
    images = torch.ones(12, 3, 40, 40, dtype=torch.uint8) * 255
    images[::2, :, 10:30, 5:20] = torch.randint(0, 256, (6, 3, 20, 15), dtype=torch.uint8)
    net = nn.Sequential(nn.AdaptiveAvgPool2d(16), own_classifier).eval()
    fitted = cu.ClaDec(net, "1.0", width=0.1, reconstruct_at=24).fit(images, updates=2, progress=False)
    found = cu.quality(images, fitted, train=images)
    assert found.pca > 0.9 and found.x_e < found.pca


def test_a_drawing_for_the_classifier_is_not_judged_as_one_of_the_image(own_classifier):
    fitted = cu.ClaDec(own_classifier, "0", alpha=0.1, width=0.1).fit(X, updates=1, progress=False)
    said = str(cu.quality(X, fitted))
    assert "X_E was drawn with alpha 0.1, partly for the classifier" in said and "train longer" not in said


def test_pairs_and_the_order_of_what_is_given(own_classifier):
    cladec = cu.ClaDec(own_classifier, "0", width=0.1).fit(X, updates=1, progress=False)
    refae = cu.RefAE(own_classifier, "0", width=0.1).fit(X, updates=1, progress=False)
    labels = torch.zeros(len(X), dtype=torch.long)
    assert str(cu.quality((X, labels), cladec, refae, train=(X, labels))) == str(
        cu.quality(X, cladec, refae, train=X)
    )
    assert cu.evaluate(cladec, (X, labels)).c_correct is not None
    with pytest.raises(CladecError, match=r"\(images, cladec, refae\), but these are in another order"):
        cu.quality(X, refae, cladec)
    with pytest.raises(CladecError, match=r"they are a ndarray; use torch.from_numpy"):
        cu.quality(X.numpy(), cladec)
