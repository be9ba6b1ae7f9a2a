"""Names of classes and data sets are text, in figures, in Markdown and on pages; groups may be empty."""

import html
import io
import re
import warnings

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import font_manager
from matplotlib.figure import Figure
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from cladec_utils.app.execute import execute
from cladec_utils.claims.wording import literal
from cladec_utils.engine import paths
from cladec_utils.errors import CladecNote
from cladec_utils.plots import charts, images, text
from cladec_utils.plots.text import PlainFigure

ODD = [
    "$a_$", "$$", "$5 to $10", r"$\frac$", r"\$5", "a_b^c", "<b>bold</b>", "<script>alert(1)</script>",
    "*x* **y**", "_i_", "a _b_ c", "a__b__", "# head", "1. one", "- item",
    "[a](b)", "![a](b)", "`code`", "``", "a | b", "&amp; &",
    "http://x.org", "Ελλάδα", "x\ty", "T-shirt/top", "Ankle boot", "0", "10", "", " ", "a\nb",
]  # fmt: skip


def drawn(figure):
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba()).copy()
    plt.close(figure)
    return pixels


# --- figures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["$a_$", "$$", "$5 to $10", r"$\frac$", r"\$5 or $6$", "$"])
def test_a_figure_shows_a_dollar_where_there_is_one(name):
    """As title, label, legend and tick: what matplotlib shows of an escaped one."""
    x = torch.zeros(2, 1, 4, 4)
    table = pd.DataFrame({"x": [0, 1], "y": [0.0, 1.0], "of": name})

    def figures(title):
        figure, (axis,) = charts.panels([title], 3.0)
        charts.lines(axis, table.assign(of=title), ("x", "y", "of"))
        axis.set_yticks([0, 1], [title, title])
        charts.key(axis)
        probabilities = dict.fromkeys(["X"], torch.tensor([0.2, 0.8]))
        yield figure
        yield images.image_rows({title: x}, [title, title])
        yield images.triplet_with_probabilities({"X": x[:1]}, probabilities, [title, "b"], title)

    with pytest.MonkeyPatch.context() as patch:
        shown = [drawn(figure) for figure in figures(name)]
        patch.setattr(images, "PlainFigure", Figure)
        patch.setattr(charts, "PlainFigure", Figure)
        wanted = [drawn(figure) for figure in figures(re.sub(r"\\?\$", escaped, name))]
    assert all(np.array_equal(a, b) for a, b in zip(shown, wanted, strict=True))


def escaped(found):
    """How matplotlib is told to draw what stands there: a backslash before a dollar is one of the name's."""
    return r"\$" if found[0] == "$" else "\\\\$"


def test_other_figures_are_as_matplotlib_draws_them():
    def figure(kind):
        shown, axis = plt.subplots(figsize=(4, 3), FigureClass=kind, layout="constrained")
        axis.plot([0.001, 1, 1000], [1e-9, 2, 3], label="T-shirt/top")
        axis.set(xscale="log", yscale="symlog", title="Ankle boot", xlabel="alpha")
        axis.legend()
        return shown

    assert np.array_equal(drawn(figure(PlainFigure)), drawn(figure(Figure)))


@pytest.fixture
def fonts(monkeypatch):
    """Pretend that a family has some letters: a function (family, letters); without it no other font does."""
    known = {}
    first = font_manager.findfont("DejaVu Sans")
    plain = frozenset(map(ord, map(chr, range(32, 127))))
    faces = {f.fname: f.name for f in font_manager.fontManager.ttflist}
    monkeypatch.setattr(text, "_letters", lambda path: plain if path == first else known.get(faces[path], ()))
    monkeypatch.setattr(text, "_told", set())
    text._family_with.cache_clear()
    yield lambda family, letters: known.update({family: frozenset(map(ord, letters))})
    text._family_with.cache_clear()


@pytest.mark.parametrize("name", ["右の箱", "Ελλάδα", "🦋", "ไทย", "é"])
def test_letters_that_no_font_has_are_numbers_and_one_note_says_so(fonts, name):
    shown = images.image_rows({"X": torch.zeros(1, 1, 4, 4)}, [name])
    ticks = images.triplet_with_probabilities(
        {"X": torch.zeros(1, 1, 4, 4)}, {"X": torch.tensor([0.2, 0.8])}, [name, "b"], "b"
    )
    with pytest.warns(CladecNote, match=r"No installed font has .* Install a font that has them") as said:
        drawn(shown), drawn(ticks)
    numbers = "".join(f"[{ord(c):X}]" for c in name)
    assert shown.axes[0].get_title() == numbers and len(said) == 1
    assert [t.get_text() for t in ticks.axes[1].get_yticklabels()] == [numbers, "b"]


@pytest.mark.parametrize("name", ["右の箱", "Ελλάδα", "a é"])
def test_letters_that_the_font_lacks_are_taken_from_another(fonts, name):
    fonts("STIXGeneral", name)
    shown = images.image_rows({"X": torch.zeros(1, 1, 4, 4)}, [name])
    with warnings.catch_warnings():
        warnings.simplefilter("error", CladecNote)
        warnings.filterwarnings("ignore", "Glyph")  # it does not really have them
        drawn(shown)
    assert shown.axes[0].get_title() == name
    assert shown.axes[0].title.get_fontfamily()[-1] == "STIXGeneral"


@pytest.mark.parametrize(
    ("letters", "wanted"),
    [("右かカ한", "CJK"), ("ཀ", "nearly all scripts"), ("右ཀ", "nearly"), ("\ue000", "nearly")],
)
def test_only_for_its_scripts_is_a_font_named(fonts, letters, wanted):
    with pytest.warns(CladecNote, match=wanted):
        drawn(images.image_rows({"X": torch.zeros(1, 1, 4, 4)}, [letters]))


INVISIBLE = [
    ("\ufeffab", "ab"), ("a\u200b\u200db\u200e", "ab"), ("a\x00\x1bb", "ab"), ("a\tb", "a b"),
    ("a\rb", "a b"), ("a\u2028b", "a b"), ("a\r\nb\nc", "a\nb\nc"), ("a\xa0b", "a\xa0b"),
    ("n" * 72, "n" * 72), ("n" * 260 + "m" * 40, "n" * 49 + "..." + "m" * 20),
    ("a\n" + "n" * 73, "a\n" + "n" * 49 + "..." + "n" * 20),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wanted"), INVISIBLE)
def test_what_shows_nothing_is_left_out_in_every_format(name, wanted):
    """As title and tick, without a warning of matplotlib's."""
    shown = images.triplet_with_probabilities(
        {"X": torch.zeros(1, 1, 4, 4)}, {"X": torch.tensor([0.2, 0.8])}, [name, "b"], name
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("png", "pdf", "svg"):
            shown.savefig(io.BytesIO(), format=kind)
    plt.close(shown)
    assert shown.get_suptitle() == shown.axes[1].get_yticklabels()[0].get_text() == wanted


def test_a_letter_that_a_font_of_this_machine_has_is_found():
    assert text._family_with("a") and text._family_with("λ") and not text._family_with("\U0010fffd")


# --- Markdown ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ODD, "a_b"])
def test_a_name_in_markdown_is_shown_as_it_is(name):
    """In a sentence, in bold type, in a list and in a table, as the report's pages render it."""
    said = literal(name)
    source = f"{said} in front, **{said}** in bold, {said}.\n\n- {said}\n\n| a |\n|---|\n| {said} |\n"
    body = markdown2html_mistune(source)
    wanted = " ".join(name.split())
    found = html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"</(p|li|td|th)>", "\n", body)))
    lines = [" ".join(line.split()) for line in found.splitlines() if line.strip()]
    assert f"{wanted} in front, {wanted} in bold, {wanted}.".split() == lines[0].split()
    assert not re.search(r"<(script|b|img|h1|ol|a)\b", body)
    assert body.count("<li>") == 1 and body.count("<td>") == 1
    if "$" in name:
        assert body.count("<code>") == 5  # where no formula is looked for


@pytest.mark.parametrize(
    "name", ["T-shirt/top", "Ankle boot", "0", "fashion-mnist", "block4", "a_b", "own:Net:12ab"]
)
def test_a_harmless_name_stays_in_the_type_of_the_text(name):
    assert literal(name) == name


def test_tables_of_notebooks_show_names_as_they_are():
    from cladec_utils import notebook  # noqa: F401

    shown = pd.DataFrame({"class": ODD})._repr_html_()
    assert "tex2jax_ignore" in shown and "<script>" not in shown and "&lt;script&gt;" in shown


# --- empty groups -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [["X"], ["X", "X_R"], ["X", "X_R", "X_E"]])
def test_a_figure_of_no_images_says_so(rows):
    shown = images.image_rows({name: torch.zeros(0, 3, 8, 8) for name in rows}, [])
    assert [t.get_text() for t in shown.texts] == [f"There is no such image (rows: {', '.join(rows)})."]
    drawn(shown)


@pytest.mark.slow(instead="tests/test_names.py::test_a_figure_of_no_images_says_so")
@pytest.mark.parametrize("tested", [1, 3])
def test_notebooks_go_on_without_a_group(folders, npz, tested):
    """With one test image there is none that is wrong, or none that is right; with three, the first and the
    last class have none. Class names are what they should not be."""
    names = np.array(["$a_$", "<script>x</script>", "$1 to $2", "*b*", "_"])
    path = npz(labels=np.arange(60) % 5, class_names=names)
    profile = folders / "few.toml"
    profile.write_text(f'base = "smoke"\nn_test = {tested}\n')
    said = {}
    for stem in ("01_training", "02_reconstructions", "04_neuron_subsets"):
        notebook = paths.home() / "notebooks" / f"{stem}.ipynb"
        execute(notebook, folders / notebook.name, {"profile": str(profile), "dataset": str(path)}, "smoke")
        made = nbformat.read(folders / notebook.name, as_version=4)
        outputs = [o for c in made.cells for o in c.get("outputs", [])]
        said[stem] = "\n".join(o.get("text") or o.data.get("text/markdown", "") for o in outputs)
    assert tested > 1 or "nothing to show" in said["02_reconstructions"]
    assert "without test images, so not compared: " in said["04_neuron_subsets"]
    assert "Most frequent mistake" in said["01_training"] and "<script>" not in said["01_training"]
