"""How our notebooks are written: fresh outputs, fixed skeleton, short cells."""

import ast
import re
import shutil

import nbformat
import pytest

from cladec_utils.app import execute, provenance, series
from cladec_utils.engine import paths

FOLDER = paths.home() / "notebooks"
SERIES = series.series()
ALL = [*SERIES, *sorted((FOLDER / "solutions").glob("*.ipynb"))]


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


@pytest.mark.parametrize("path", ALL, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_outputs_are_those_of_the_code(path):
    assert execute.staleness(path) == "", f"run `make notebooks`: {path.name}"


@pytest.mark.parametrize("path", ALL, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_cells_are_short_and_clean(path):
    lengths = sorted(len(c.source.splitlines()) for c in code_cells(path))
    assert lengths[len(lengths) // 2] < 12 and lengths[-1] <= 30
    text = path.read_text()
    assert not re.search(r"/(home|root|work|tmp|Users)/|!pip|%pip", text)
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.ClassDef)
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 10
    if "NBVAL_CHECK_OUTPUT" in text:
        marked = [c for c in code_cells(path) if "NBVAL_CHECK_OUTPUT" in c.source]
        assert all(c.outputs for c in marked)


@pytest.mark.parametrize("path", SERIES, ids=lambda p: p.stem)
def test_the_skeleton_is_complete(path):
    notebook = nbformat.read(path, as_version=4)
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    order = [
        "# ",
        "*You will learn*",
        "*Run time*",
        "## Setup",
        "## What we found",
        "## Exercises",
        "## Where next",
    ]
    places = [prose.find(part) for part in order]
    assert -1 not in places and places == sorted(places)
    assert "**Predict" in prose and "How to read it" in prose
    assert (FOLDER / "solutions" / path.name).is_file()
    assert any("assert " in c.source for c in code_cells(path))
    assert any("What we found" in c.source for c in notebook.cells)


@pytest.mark.parametrize("path", SERIES, ids=lambda p: p.stem)
def test_parameters_are_one_cell_of_literals(path):
    tagged = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    for statement in ast.parse(tagged[0].source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)


@pytest.mark.parametrize("path", SERIES, ids=lambda p: p.stem)
def test_links_lead_somewhere(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for link in re.findall(r"\]\(([^)#]+)\)", cell.source) if cell.cell_type == "markdown" else []:
            assert link.startswith("http") or (path.parent / link).is_file(), link


def test_staleness_is_found(tmp_path):
    """The check above can fail: a changed cell, a cell run out of order, an error, a changed package."""
    path = tmp_path / SERIES[0].name
    shutil.copy(SERIES[0], path)

    def damaged(change):
        notebook = nbformat.read(SERIES[0], as_version=4)
        change([c for c in notebook.cells if c.cell_type == "code"])
        nbformat.write(notebook, path)
        return execute.staleness(path)

    assert damaged(lambda _: None) == ""
    assert "has changed" in damaged(lambda cells: cells[1].update(source=cells[1].source + "\n1"))
    assert "top to bottom" in damaged(lambda cells: cells[1].update(execution_count=9))
    assert "top to bottom" in damaged(lambda cells: cells[1].update(execution_count=None))
    error = nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])
    assert "error" in damaged(lambda cells: cells[1].outputs.append(error))


def test_comments_make_nothing_stale_but_code_does(tmp_path, monkeypatch):

    notebook = nbformat.read(SERIES[0], as_version=4)
    package = tmp_path / "package"
    shutil.copytree(paths.home() / "cladec_utils", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", package)
    before = provenance.source_hash(notebook)
    data = package / "data" / "datasets.py"
    data.write_text("# a comment\n" + data.read_text().replace("The images of a spec", "Images"))
    assert provenance.source_hash(notebook) == before
    data.write_text(data.read_text() + "\nMORE = 1\n")
    assert provenance.source_hash(notebook) != before


def test_erased_progress_bars_leave_nothing():
    stream = nbformat.v4.new_output("stream", name="stderr", text="bar: 10%\rbar: 90%\r          \r")
    assert execute._last_lines(stream) is None
    stream = nbformat.v4.new_output("stream", name="stdout", text="a\rb\nc\n")
    assert execute._last_lines(stream).text == "b\nc\n"
