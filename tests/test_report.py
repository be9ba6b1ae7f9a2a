"""The report is whole or as it was, and says which notebooks other code has run."""

import json
import os
import shutil
import time

import nbformat
import pytest
from small_study import small_series

from cladec_utils import open_study
from cladec_utils.app import report, series
from cladec_utils.errors import CladecError
from cladec_utils.study.folders import GENERAL


@pytest.fixture
def ran(folders, monkeypatch):
    """Two notebooks of a series of our own, executed: the folder of results."""
    monkeypatch.setenv("CLADEC_HOME", str(folders / "home"))
    small_series(folders / "home", first="print(1)", second="print(2)")
    for path in series.series():
        notebook = nbformat.read(path, as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(f"# {path.stem}\n\nWhat does it show?"))
        nbformat.write(notebook, path)
    series.run_series(open_study("smoke"), {"profile": "smoke"})
    return folders / "results" / "smoke"


def test_notebooks_run_with_other_code_are_marked(ran):
    page = report.build("smoke")
    assert "computed by runs recorded under this profile" in page.read_text()
    assert report.OTHER_CODE not in page.read_text()
    path = series.series()[1]
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].source = "print(3)"
    nbformat.write(notebook, path)
    rows = report.build("smoke").read_text().split("<tr>")
    assert [report.OTHER_CODE in row for row in rows if "_first" in row or "_second" in row] == [False, True]


def test_the_front_page_shows_titles_and_figures_as_text(ran):
    path = next(ran.glob("*/*_first/run.json")).with_name("metrics.json")
    names = [f"a < {i}" for i in range(7)]
    path.write_text(json.dumps({"metrics": dict.fromkeys(names, 0.123456) | {"none": None}}))
    output = path.with_name(f"{path.parent.name}.ipynb")
    notebook = nbformat.read(output, as_version=4)
    notebook.cells[0].source = "# Is <b>1</b> & 'x' it?\n\nWhat & why?"
    pixel = {"image/png": "iVBORw0KGgo="}
    shown = nbformat.v4.new_output("display_data", pixel, metadata={"image/png": {"alt": 'a "figure"'}})
    notebook.cells.append(nbformat.v4.new_code_cell("1", outputs=[shown]))
    nbformat.write(notebook, output)
    page = report.build("smoke").read_text()
    assert "Is &lt;b&gt;1&lt;/b&gt; &amp; &#39;x&#39; it?</a>" in page and "What &amp; why?" in page
    assert 'src="data:image/png;base64,iVBORw0KGgo=" alt="a &#34;figure&#34;"' in page
    assert "8 figures</summary>" in page and "a &lt; 6: 0.1235<br>" in page and "none: n/a" in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[next](02_next.ipynb)", '<a href="a%20b-02_next.html">next</a>'),
        ("[next](02_next.ipynb#Why)", '<a href="a%20b-02_next.html#Why">next</a>'),
        ("[solutions/02_next](solutions/02_next.ipynb)", "<code>notebooks/solutions/02_next.ipynb</code>"),
        (
            "[*them*](solutions/02_next.ipynb)",
            "<em>them</em> (<code>notebooks/solutions/02_next.ipynb</code>)",
        ),
        ("[that one](05_not_run.ipynb)", "that one (<code>notebooks/05_not_run.ipynb</code>)"),
        ("[web](https://x.org/02_next.ipynb)", '<a href="https://x.org/02_next.ipynb">web</a>'),
    ],
)
def test_a_link_to_a_notebook_leads_to_its_page_or_names_it(text, shown):
    cells = [nbformat.v4.new_markdown_cell(f"# One\n\nSee {text}.")]
    page = report.to_html(nbformat.v4.new_notebook(cells=cells), {"02_next": "a b-02_next.html"})
    assert f"See {shown}." in page


def test_the_last_report_stays_until_the_new_one_is_whole(ran, monkeypatch):
    page = report.build("smoke")
    before = page.read_text()
    (ran / ".partial-report-new-1").mkdir()  # of a process that was killed

    def fail(*_arguments):
        raise CladecError("no scorecard today")

    with monkeypatch.context() as patch, pytest.raises(CladecError, match="no scorecard"):
        patch.setattr(report.scorecard, "write", fail)
        report.build("smoke")
    assert page.read_text() == before and not list(ran.glob(".partial*"))
    (page.parent / "of-a-study-that-is-gone.html").touch()
    assert report.build("smoke") == page and page.read_text() == before
    assert not list(ran.glob(".partial*")) and len(list(page.parent.glob("[!.]*"))) == 3


def test_a_report_is_made_again_only_if_something_of_it_changed(ran, monkeypatch):
    page = report.build("smoke")
    made = []
    to_html = report.to_html
    monkeypatch.setattr(report, "to_html", lambda *both: made.append(1) or to_html(*both))

    def pages_made():
        made.clear()
        report.build("smoke")
        return len(made)

    assert pages_made() == 0
    output = next(ran.glob("*/*_first/*_first.ipynb"))
    output.write_text(output.read_text().replace("What does it show?", "What now?"))
    assert pages_made() == 2 and "What now?" in page.read_text()
    output.with_name("metrics.json").write_text('{"metrics": {"a": 1}}')
    assert pages_made() == 2 and "a: 1" in page.read_text()
    next(page.parent.glob("*_second.html")).unlink()
    assert pages_made() == 2 and len(list(page.parent.glob("*_second.html"))) == 1
    page.write_text("changed by hand")
    assert pages_made() == 2 and "What now?" in page.read_text()
    shutil.rmtree(ran / "scorecard")
    assert pages_made() == 0 and (ran / "scorecard" / "scorecard.csv").is_file()


def test_a_series_clears_its_own_partial_outputs_and_very_old_ones(ran):
    folder = ran / GENERAL / series.series()[0].stem
    name = series.series()[0].name
    mine, of_another, abandoned = (folder / f".partial-{i}-{name}" for i in (os.getpid(), 1, 2))
    for partial in (mine, of_another, abandoned):
        partial.touch()
    os.utime(abandoned, (time.time() - 1e6,) * 2)
    series.run_series(open_study("smoke"), {"profile": "smoke"})
    assert [p.name for p in folder.glob(".partial*")] == [of_another.name]
