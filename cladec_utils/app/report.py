"""The report: all executed notebooks as self-contained HTML with a front page, readable offline."""

import html
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from string import Template

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from cladec_utils.app import execute
from cladec_utils.claims import scorecard
from cladec_utils.engine import paths
from cladec_utils.engine.store import locked, write_text, writing_to
from cladec_utils.errors import CladecError

OTHER_CODE = "run with other code than the present one"

# nbconvert's page without the scripts it would fetch from elsewhere, with alternative texts, and a way back.
NOTEBOOK_PAGE = """
{%- extends 'index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block body_header -%}
{{ super() }}
<nav style="padding: 1em; font-family: sans-serif">
<a href="index.html" style="color: #06c">All notebooks of this report</a>
</nav>
{%- endblock -%}
{%- block data_png scoped -%}
<div class="jp-RenderedImage jp-OutputArea-output">
<img src="data:image/png;base64,{{ output.data['image/png'] }}"
 alt="{{ output | get_metadata('alt', 'image/png') | default('figure without description', true) | e }}">
</div>
{%- endblock -%}
"""

FRONT_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ClaDec report: $profile profile</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
img { max-width: 100%; height: auto }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { border: 1px solid #bbb; padding: .3rem .6rem; text-align: left; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
</style>
</head>
<body>
<h1>ClaDec report: $profile profile</h1>
<p>A decoder trained on a layer's activations shows what a classifier keeps of an image (X_E);
a reference autoencoder of the same shape (X_R) shows what it could have kept.
Every figure and number below was computed by runs recorded under this profile; notebooks that were run with
other code than the present one are marked.</p>
$body
</body>
</html>
""")


def build(profile: str) -> Path:
    """Build `results/<profile>/report/` from all notebooks executed under `profile`; returns index.html.

    The last report stays until the new one is whole.
    """
    results = paths.results_dir(profile)
    runs: dict[str, list[Path]] = {}
    for record in sorted(results.glob("*/*/run.json")):
        runs.setdefault(record.parent.parent.name, []).append(record.with_name(f"{record.parent.name}.ipynb"))
    if not runs:
        raise CladecError(f"There are no executed notebooks in {results}; run `cladec study` first.")
    report = results / "report"
    with locked(results, "report"), writing_to(results):
        for stale in results.glob(".partial-report-*"):  # of a killed process: we hold the lock
            shutil.rmtree(stale, ignore_errors=True)
        fresh, old = (results / f".partial-report-{part}-{os.getpid()}" for part in ("new", "old"))
        try:
            _fill(fresh, profile, runs)
            if report.exists():
                report.rename(old)
            fresh.rename(report)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return report / "index.html"


def _fill(report: Path, profile: str, runs: dict[str, list[Path]]) -> None:
    body = []
    for study, notebooks in runs.items():
        body.append(f"<h2>{html.escape(study)}</h2>")
        body.append(_section(study, notebooks, report, _pages(runs, study)))
    card, _ = scorecard.write(profile)
    body.append(f"<h2>Scorecard of the claims</h2>\n{scorecard.fragment(card)}")
    page = FRONT_PAGE.substitute(profile=html.escape(profile), body="\n".join(body))
    write_text(report / "index.html", page)


def _pages(runs: dict[str, list[Path]], study: str) -> dict[str, str]:
    """For a link to a notebook by its stem, the page of this study, else of the first that has one."""
    pages: dict[str, str] = {}
    for owner in [study, *runs]:
        for path in runs[owner]:
            pages.setdefault(path.stem, f"{owner}-{path.stem}.html")
    return pages


def _section(study: str, notebooks: list[Path], report: Path, pages: dict[str, str]) -> str:
    """Convert one study's notebooks; returns its part of the front page: first figure and list."""
    rows, figure = [], ""
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        page = f"{study}-{path.stem}.html"
        write_text(report / page, to_html(notebook, pages))
        figure = figure or _first_figure(notebook)
        title, question = title_and_question(notebook)
        mark = "" if execute.made_by_present_code(path) else f"<br><em>{OTHER_CODE}</em>"
        rows.append(
            f'<tr><td><a href="{html.escape(page)}">{html.escape(title)}</a>{mark}</td>'
            f"<td>{html.escape(question)}</td><td>{_metrics(path)}</td></tr>"
        )
    head = "<tr><th>Notebook</th><th>Question</th><th>Recorded figures</th></tr>"
    return f"{figure}<table>{head}{''.join(rows)}</table>"


def to_html(notebook: NotebookNode, pages: Mapping[str, str]) -> str:
    """One notebook as a page that fetches nothing; links to other notebooks lead to their `pages`."""
    exporter = HTMLExporter(template_name="lab", raw_template=NOTEBOOK_PAGE)
    notebook.metadata["title"] = title_and_question(notebook)[0]
    page, _ = exporter.from_notebook_node(notebook)
    return re.sub(
        r'href="((?:\d\d|A\d)_\w+)\.ipynb', lambda m: f'href="{pages.get(m[1], m[1] + ".ipynb")}', page
    )


def title_and_question(notebook: NotebookNode) -> tuple[str, str]:
    """The first heading of a notebook and the first line of text below it."""
    lines = [line for line in notebook.cells[0].source.splitlines() if line.strip()]
    question = re.sub(r"[*_`]", "", lines[1]) if len(lines) > 1 else ""
    return lines[0].lstrip("# "), question


def _first_figure(notebook: NotebookNode) -> str:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                source = output.data["image/png"].replace("\n", "")
                return f'<img src="data:image/png;base64,{source}" alt="{html.escape(alt)}">'
    return ""


def _metrics(path: Path) -> str:
    file = path.with_name("metrics.json")
    metrics = json.loads(file.read_text("utf-8"))["metrics"] if file.is_file() else {}
    lines = [f"{html.escape(k)}: {'n/a' if v is None else format(v, '.4g')}" for k, v in metrics.items()]
    text = "<br>".join(lines)
    return text if len(lines) <= 6 else f"<details><summary>{len(lines)} figures</summary>{text}</details>"
