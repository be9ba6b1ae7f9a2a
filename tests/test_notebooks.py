"""How our notebooks are written: fresh outputs, fixed skeleton, short cells."""

import ast
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from cladec_utils.app import execute, provenance, series
from cladec_utils.engine import code, paths

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


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package, whose code is hashed in place of ours."""
    copy = tmp_path / "cladec_utils"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    return copy


NOTEBOOKS = {path.stem[:2]: nbformat.read(path, as_version=4) for path in SERIES}


def hashes():
    return {name: provenance.source_hash(notebook) for name, notebook in NOTEBOOKS.items()}


def changed(package, file, before="", after=""):
    """The notebooks that an edit of the package makes stale."""
    first, path = hashes(), package / file
    text = path.read_text() if path.is_file() else ""
    assert before in text
    path.write_text(text.replace(before, after, 1) if before else text + after)
    return {name for name, value in hashes().items() if value != first[name]}


def test_an_edit_makes_stale_what_uses_the_module(package):
    assert changed(package, "plots/charts.py", after="MORE = 1\n") >= {"01", "02", "03"}
    assert changed(package, "saliency/plots.py", after="MORE = 1\n") == {"06"}
    assert changed(package, "user_study/analysis/simulation.py", after="MORE = 1\n") <= {"07", "08"}
    assert changed(package, "errors.py", after="MORE = 1\n") == set(NOTEBOOKS)
    assert changed(package, "claims/__init__.py", after="MORE = 1\n") >= {
        "02",
        "05",
        "09",
    }  # a package itself


def test_where_and_when_results_are_computed_makes_nothing_stale(package):
    for module in ("engine/grid.py", "engine/clusters.py", "app/series.py", "__main__.py"):
        assert changed(package, module, after="MORE = 1\n") == set()


def test_files_count_for_what_uses_their_package(package):
    page = "user_study/materials/page/questionnaire.css"
    assert changed(package, page, after="\nbody { color: red }\n") == {"07", "08"}
    assert changed(package, "user_study/materials/page/collector.py", after="\n# read as it is") == {
        "07",
        "08",
    }
    everyone = {path.stem[:2] for path in SERIES if "study" in used(path)}
    assert {"02", "07"} <= everyone
    assert changed(package, "study/own.toml", after="epochs = 3\n") == everyone
    assert changed(package, "study/own.toml", after="# a comment\n") == set()
    assert changed(package, "study/own.toml", "3", "4") == everyone
    assert changed(package, "study/.swap", after="of an editor") == set()


def used(path):
    """The folders of the package whose modules a notebook uses."""
    named = provenance._named([c.source for c in code_cells(path)]).modules
    return {name.split(".")[1] for name in code.reached(named, {"cladec_utils", *provenance.NO_TRACE})}


def test_comments_make_nothing_stale_nor_do_docstrings_that_are_not_shown(package):
    assert changed(package, "data/datasets.py", after="# a comment\n") == set()
    # 06 shows docstrings of functions that it has in a variable: those may be of any module that it uses.
    assert changed(package, "data/datasets.py", "The images of a spec", "Images") == {"06"}
    assert changed(package, "user_study/rules.py", '"""', '"""Changed. ') == {"08"}  # shows this docstring
    assert changed(package, "claims/verdicts.py", '"""', '"""Changed. ') >= {"09"}  # by a lazy name
    assert "06" in changed(
        package, "saliency/methods.py", '"""', '"""Changed. '
    )  # of functions in a variable


def modules_of(*cells):
    return provenance._named(cells).modules


def test_names_are_resolved_without_running_them(package):
    name = "cladec_utils"
    lazy = modules_of("import cladec_utils as cu", "study = cu.open_study()\ncu.images.image_rows")
    assert lazy == {name, f"{name}.study.study", f"{name}.plots.images"}
    assert modules_of("from cladec_utils import open_study, charts as c") == {
        f"{name}.study.study",
        f"{name}.plots.charts",
    }
    whole = modules_of("import cladec_utils.saliency.maps\ncladec_utils.data.splits.rank_in_class()")
    assert whole == {name, *(f"{name}.{part}" for part in ("saliency.maps", "data", "data.splits"))}
    inside = "%matplotlib inline\ndef f():\n    from cladec_utils.models import linear"
    assert modules_of(inside) == {f"{name}.models.linear"}
    assert modules_of("import torch", "from os import path", "not python") == set()


def test_a_new_lazy_name_makes_nothing_stale_but_another_place_does(package):
    assert changed(package, "__init__.py", '"probes": "study"', '"new": "study", "probes": "study"') == set()
    (package / "study" / "images.py").write_text("OTHER = 1\n")
    users = {path.stem[:2] for path in SERIES if "cu.images" in path.read_text()}
    assert users and changed(package, "__init__.py", '"images": "plots"', '"images": "study"') == users


@pytest.mark.parametrize("stem", ["06_saliency", "07_user_study_materials"])
def test_all_that_a_notebook_imports_counts(stem):
    """What Python itself loads for a notebook's imports is among what was found without running it."""
    cells = [c.source for c in code_cells(FOLDER / f"{stem}.ipynb")]
    nodes = [node for cell in cells for node in ast.parse(cell).body]
    imports = [ast.unparse(n) for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    lazily = sorted({name for cell in cells for name in re.findall(r"\bcu\.\w+", cell)})
    listing = "print(*(n for n in sys.modules if n.partition('.')[0] == 'cladec_utils'))"
    script = "\n".join(["import sys", *imports, *lazily, listing])
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found = {*code.reached(provenance._named(cells).modules), "cladec_utils"}
    assert len(found) > 30 and set(loaded.stdout.split()) <= found


def test_erased_progress_bars_leave_nothing():
    stream = nbformat.v4.new_output("stream", name="stderr", text="bar: 10%\rbar: 90%\r          \r")
    assert execute._last_lines(stream) is None
    stream = nbformat.v4.new_output("stream", name="stdout", text="a\rb\nc\n")
    assert execute._last_lines(stream).text == "b\nc\n"
