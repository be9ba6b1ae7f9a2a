"""The report: all executed notebooks as self-contained HTML with a front page, readable offline."""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode

from cladec_utils.app import execute
from cladec_utils.app.provenance import contents_hash
from cladec_utils.claims import scorecard
from cladec_utils.engine import code, paths
from cladec_utils.engine.store import locked, write_text, writing_to
from cladec_utils.errors import CladecError
from cladec_utils.study import folders

OTHER_CODE = "run with other code than the present one"
METRICS, MADE_FROM = "metrics.json", ".made_from"

TEMPLATES = Path(__file__).with_name("templates")


def build(profile: str, these: Sequence[str] | None = None) -> Path:
    """Build `results/<profile>/report/` from all notebooks executed under `profile`; returns index.html.

    `these` names results folders that the report is about instead; it is then built in the first of them.
    The last report stays until the new one is whole, and for good if it is what it was and would be made
    from the same.
    """
    whole = paths.results_dir(profile)
    results = whole / these[0] if these else whole
    runs, ignored = _runs(profile, these)
    if not runs:
        old = f" (of an earlier layout, and ignored: {', '.join(ignored)})" if ignored else ""
        raise CladecError(f"There are no executed notebooks in {results}{old}; run `cladec study` first.")
    report = results / "report"
    with locked(results, "report"), writing_to(results):
        for stale in results.glob(".partial-report-*"):  # of a killed process: we hold the lock
            shutil.rmtree(stale, ignore_errors=True)
        card, card_folder = scorecard.write(profile, these)
        made_from = _made_from(runs, card_folder)
        if _is_made_from(report, made_from):
            return report / "index.html"
        fresh, old = (results / f".partial-report-{part}-{os.getpid()}" for part in ("new", "old"))
        try:
            shown = scorecard.parts(card, scorecard.left_out(profile, these))
            _fill(fresh, profile, runs, shown)
            write_text(fresh / MADE_FROM, f"{made_from} {contents_hash(fresh)}")
            if report.exists():
                report.rename(old)
            fresh.rename(report)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return report / "index.html"


def _runs(profile: str, these: Sequence[str] | None) -> tuple[dict[str, list[Path]], list[str]]:
    """The executed notebooks by results folder, experiments last; and folders of an earlier layout."""
    found = folders.known(profile, f"*/{execute.RUN}")
    said = {name: choices["differs"] for name, choices in found.items() if choices is not None}
    names = sorted(said, key=lambda name: (bool(said[name]), name))
    card = folders.of_scorecard(profile, these).folder.name
    if these is not None:
        names = [name for name in names if name in (*these, folders.GENERAL, card)]
    runs = {}
    for name in names:
        records = sorted((paths.results_dir(profile) / name).glob(f"*/{execute.RUN}"))
        runs[name] = [record.with_name(f"{record.parent.name}.ipynb") for record in records]
    if card != folders.GENERAL:  # it has a scorecard of its own
        own = {path.stem for path in runs.get(card, [])}
        runs[folders.GENERAL] = [p for p in runs.get(folders.GENERAL, []) if p.stem not in own]
    return {name: paths for name, paths in runs.items() if paths}, sorted(set(found) - set(said))


def _made_from(runs: Mapping[str, Sequence[Path]], card: Path) -> str:
    """A hash of all that a report shows, the files in the scorecard's folder among it, and of what makes its
    pages: code, templates, packages."""
    shown: list[object] = [contents_hash(card, TEMPLATES, scorecard.TEMPLATES), code.code_hash(__name__)]
    shown.append(importlib.metadata.version("nbconvert"))
    for folder, notebooks in runs.items():
        for path in notebooks:
            files = (path.with_name(name) for name in (path.name, METRICS))
            shown += [folder, contents_hash(*files), execute.made_by_present_code(path)]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


def _is_made_from(report: Path, made_from: str) -> bool:
    """Whether a report was made from that, and no page of it has been changed, removed or added since."""
    said = report / MADE_FROM
    return said.is_file() and said.read_text("utf-8") == f"{made_from} {contents_hash(report)}"


def _fill(report: Path, profile: str, runs: dict[str, list[Path]], shown: Mapping[str, object]) -> None:
    studies = {
        study: [_converted(study, path, report, _pages(runs, study)) for path in notebooks]
        for study, notebooks in runs.items()
    }
    page = scorecard.render("report.html.j2", TEMPLATES, profile=profile, studies=studies, **shown)
    write_text(report / "index.html", page)


def _pages(runs: dict[str, list[Path]], study: str) -> dict[str, str]:
    """For a link to a notebook by its stem, the page of this study, else of the first that has one."""
    pages: dict[str, str] = {}
    for owner in [study, *runs]:
        for path in runs[owner]:
            pages.setdefault(path.stem, f"{owner}-{path.stem}.html")
    return pages


def _converted(study: str, path: Path, report: Path, pages: Mapping[str, str]) -> dict[str, object]:
    """Convert one notebook; returns what the front page says about it."""
    notebook = nbformat.read(path, as_version=4)
    page = f"{study}-{path.stem}.html"
    write_text(report / page, to_html(notebook, pages))
    title, question = title_and_question(notebook)
    return {
        "page": page,
        "title": title,
        "question": question,
        "mark": "" if execute.made_by_present_code(path) else OTHER_CODE,
        "figure": _first_figure(notebook),
        "metrics": _metrics(path),
    }


def to_html(notebook: NotebookNode, pages: Mapping[str, str]) -> str:
    """One notebook as a page that fetches nothing; links to other notebooks lead to their `pages`, and what
    has none, such as solutions, is named by where it lies."""
    from nbconvert import HTMLExporter  # noqa: PLC0415 - most reports are as they were

    exporter = HTMLExporter(
        template_name="lab", raw_template=(TEMPLATES / "notebook.html.j2").read_text("utf-8")
    )
    notebook.metadata["title"] = title_and_question(notebook)[0]
    page, _ = exporter.from_notebook_node(notebook)
    return _TO_NOTEBOOK.sub(lambda found: _led(found, pages), page)


_TO_NOTEBOOK = re.compile(r'<a href="([\w./-]*?)([\w-]+)\.ipynb(#[^"]*)?"[^>]*>(.*?)</a>', re.DOTALL)


def _led(link: re.Match[str], pages: Mapping[str, str]) -> str:
    folder, stem, place, text = link.groups()
    if not folder and stem in pages:
        return f'<a href="{quote(pages[stem])}{place or ""}">{text}</a>'
    named = f"<code>notebooks/{folder}{stem}.ipynb</code>"
    return named if text == f"{folder}{stem}" else f"{text} ({named})"


def title_and_question(notebook: NotebookNode) -> tuple[str, str]:
    """The first heading of a notebook and the first line of text below it."""
    lines = [line for line in notebook.cells[0].source.splitlines() if line.strip()]
    question = re.sub(r"[*_`]", "", lines[1]) if len(lines) > 1 else ""
    return lines[0].lstrip("# "), question


def _first_figure(notebook: NotebookNode) -> dict[str, str] | None:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                return {"source": output.data["image/png"].replace("\n", ""), "alt": alt}
    return None


def _metrics(path: Path) -> dict[str, float | None]:
    file = path.with_name(METRICS)
    return json.loads(file.read_text("utf-8"))["metrics"] if file.is_file() else {}
