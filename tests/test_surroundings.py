"""What stands around the kit: other kernels, odd paths, terminals that lack letters."""

import html
import json
import os
import re
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from cladec_utils.app import execute, report
from cladec_utils.errors import CladecError


def notebook(folder, source="import sys\nprint(sys.executable, limit)"):
    """A notebook with one parameter in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [nbformat.v4.new_code_cell(text) for text in ("limit = 1", source)]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "00_odd.ipynb")
    return folder / "00_odd.ipynb"


def run(path, output):
    output.parent.mkdir(parents=True, exist_ok=True)
    execute.execute(path, output, {"limit": 2}, "smoke")
    return nbformat.read(output, as_version=4).cells[-1].outputs[0].text.strip()


# --- kernels -----------------------------------------------------------------------------------------

REST = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
OTHERS = {
    "that ends at once": [sys.executable, "-c", "raise SystemExit(3)"],
    "that is gone": ["/nowhere/python", *REST],
    "of another language": ["cat", "{connection_file}"],
    "without its packages": [
        sys.executable,
        "-I",
        "-S",
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
    ],
}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_kernel_called_python3_is_not_ours(tmp_path, monkeypatch, kind):
    spec = tmp_path / "share" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": OTHERS[kind], "display_name": "x", "language": "R"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    assert run(notebook(tmp_path / "in"), tmp_path / "out" / "00_odd.ipynb") == f"{sys.executable} 2"


def test_a_kernel_that_cannot_start_gets_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(execute.ThisPython, "format_kernel_cmd", lambda *_, **__: OTHERS["that ends at once"])
    with pytest.raises(
        CladecError, match=r"No process could be started to run 00_odd\.ipynb .*ipykernel --version"
    ):
        run(notebook(tmp_path / "in"), tmp_path / "out" / "00_odd.ipynb")
    assert not list((tmp_path / "out").iterdir())


# --- paths -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["{limit} {}", "a{b}c} {0} {unknown:99}", "it's {", "%s %25 [x] é#?"])
def test_any_folder_holds_notebooks_and_outputs(tmp_path, name):
    path, output = notebook(tmp_path / name), tmp_path / "results" / name / "00_odd.ipynb"
    assert run(path, output) == f"{sys.executable} 2"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({name, "results"})
    assert [p.name for p in output.parent.iterdir()] == ["00_odd.ipynb"]


@pytest.mark.parametrize(
    "study", ["a#b", "50%25", "why?", "a b&c", "<i>", '"q"', "é", "日本", "x;y=z+1", "a'b"]
)
def test_links_of_the_report_lead_to_its_pages(folders, monkeypatch, study):
    """Those of its front page and those from notebook to notebook."""
    path = notebook(folders / "results" / "smoke" / study / "00_odd")
    other = nbformat.v4.new_markdown_cell("# Title\n\nSee [00_odd](00_odd.ipynb).")
    nbformat.write(nbformat.v4.new_notebook(cells=[other]), path.with_name("01_other.ipynb"))
    runs = {study: [path, path.with_name("01_other.ipynb")]}
    monkeypatch.setattr(report, "_runs", lambda *_: (runs, []))
    monkeypatch.setattr(report.execute, "made_by_present_code", lambda _: True)
    monkeypatch.setattr(report, "title_and_question", lambda n: ("Title", "Question?"))
    index = report.build("smoke")
    pages = {p.name for p in index.parent.glob("*.html")} - {"index.html"}
    assert len(pages) == 2 and leads_to(index) == pages
    second = index.with_name(f"{study}-01_other.html")
    assert leads_to(second) == {f"{study}-00_odd.html", "index.html"}


def leads_to(page):
    """The names of the files beside a page that a browser would open for its links."""
    links = [html.unescape(link) for link in re.findall(r'<a [^>]*?href="([^"]*)"', page.read_text("utf-8"))]
    found = {unquote(urlsplit(link).path) for link in links if not link.startswith("#")}
    assert all((page.parent / name).is_file() for name in found), found
    return found


# --- terminals ---------------------------------------------------------------------------------------

SAYS = """
import os, subprocess, sys
from pathlib import Path
from cladec_utils.__main__ import say_anything
say_anything()
name = os.fsdecode(bytes.fromhex(sys.argv[1]))
print("set", name)
subprocess.run([sys.executable, "-c", "import sys; print('worker', sys.argv[1])", name], check=True)
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["Mäuse", "右の箱", "🦋", b"\xff\xfe"])
def test_any_name_can_be_printed_anywhere(monkeypatch, encoding, name):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    name = name if isinstance(name, bytes) else name.encode()
    done = subprocess.run([sys.executable, "-c", SAYS, name.hex()], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    first, second = done.stdout.splitlines()
    assert first.startswith(b"set ") and second.startswith(b"worker ")
    assert first.split()[1] == second.split()[1]


def test_a_command_prints_what_the_terminal_has_no_letters_for(tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "CLADEC_ARTIFACTS": str(tmp_path / "Mäuse")}
    command = [sys.executable, "-m", "cladec_utils", "artifacts"]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode("utf-8", "replace")
    assert b"M\\xe4use" in done.stdout
