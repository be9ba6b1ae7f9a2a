"""The whole series with papermill into a temporary folder, as `cladec study` runs it."""

import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from small_study import small_series, times

from cladec_utils import open_study
from cladec_utils.app import execute, plan, series
from cladec_utils.app.cli import main
from cladec_utils.claims import evidence, required
from cladec_utils.engine import store
from cladec_utils.engine.spec import closure
from cladec_utils.errors import CladecError
from cladec_utils.study.folders import Folder
from cladec_utils.user_study.design import subjects
from cladec_utils.user_study.materials.folder import folder_of

CIFAR = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10_12k.npz"
NAMES = [p.stem for p in series.series()]


@pytest.fixture
def study(smoke, monkeypatch):
    """The study of that run, in its own store and results."""
    monkeypatch.setenv("CLADEC_ARTIFACTS", str(smoke / "artifacts"))
    monkeypatch.setenv("CLADEC_RESULTS", str(smoke / "results"))
    monkeypatch.setenv("CLADEC_WORKERS", "2")
    return open_study("smoke")


def metrics(folder, notebook):
    """What a notebook recorded that was run for one study only."""
    [file] = folder.glob(f"results/smoke/*/{notebook}/metrics.json")
    return json.loads(file.read_text())["metrics"]


def output(study, path, **choices):
    """Where a notebook of the smoke study is executed to."""
    return execute.output_of(path, plan.folder_of(path, study, {"profile": "smoke", **choices}))


def test_every_notebook_ran_and_recorded(smoke, study):
    for path in series.series():
        name, folder = path.stem, output(study, path).parent
        executed = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        code = [c for c in executed.cells if c.cell_type == "code"]
        assert all(c.execution_count for c in code) and metrics(smoke, name)
        assert not list(folder.glob(".partial*"))


def test_recorded_metrics_are_those_of_the_store(smoke, study):
    """The numbers notebooks record, computed again here from the stored evaluations."""
    measured = [spec for spec in required.reconstructions(study) if spec.subject is not None]

    def of(subjects):
        return [store.get(spec).metrics for spec in measured if spec.subject in subjects]

    cladec = of([study.cladec("logits", s) for s in study.seeds])
    refae = of([study.refae("logits", s) for s in study.seeds])
    found = metrics(smoke, "02_reconstructions")
    mean = sum(m["mse"] for m in cladec) / len(cladec)
    assert found["c2_mse_ClaDec_logits"] == pytest.approx(mean)
    difference = sum(a["judge_correct"] - b["judge_correct"] for a, b in zip(cladec, refae, strict=True))
    assert found["c1_accuracy_difference_logits"] == pytest.approx(difference / len(cladec))
    accuracy = [store.get(study.evaluation(None, s, "both")).metrics["c_correct"] for s in study.seeds]
    assert metrics(smoke, "01_training")["classifier_accuracy"] == pytest.approx(
        sum(accuracy) / len(accuracy)
    )
    assert 0 < metrics(smoke, "00_start_here")["mse_refae"] < 0.3


def test_results_are_tidy(smoke, study):
    table = pd.read_csv(smoke / "results" / "smoke" / study.folder.name / "reconstructions.csv")
    assert list(table.columns[:11]) == [
        "dataset", "architecture", "width", "method", "layer", "neurons", "alpha", "updates", "attempt",
        "seed", "n_test",
    ]  # fmt: skip
    assert not table.duplicated(["method", "layer", "alpha", "attempt", "seed", "metric"]).any()
    assert table["value"].notna().all() and set(table["seed"]) == {0, 1}


def test_progress_is_one_line_per_task_and_notebook(smoke, study, capsys):
    """A second study trains nothing, runs nothing again, and says so."""
    before = {p: p.stat().st_mtime_ns for p in (smoke / "artifacts").glob("*/*")}
    assert main(["study", "--profile", "smoke"]) == 0
    shown = capsys.readouterr().out
    assert "nothing to train" in shown and "artifacts to make" not in shown
    unchanged = [name for name in NAMES if name != "09_scorecard"]
    assert f"unchanged since their last run: {', '.join(unchanged)}\n" in shown
    assert "unchanged since their last run: 09_scorecard\n" in shown  # looked at when the others are done
    assert not re.findall(r"^\[\d+/\d+\] (\w+): \d", shown, re.MULTILINE)
    assert {p: p.stat().st_mtime_ns for p in (smoke / "artifacts").glob("*/*")} == before


def test_every_kind_of_artifact_is_repaired(smoke, study, tmp_path, monkeypatch, capsys):
    """A byte flipped in one of each kind: it is made again here, bit for bit as a worker process made it, and
    others are not touched."""
    kinds = {spec.kind: spec for spec in closure(required.plan(study).evaluations)}
    for spec in closure(list(kinds.values())):
        shutil.copytree(smoke / "artifacts" / spec.name, tmp_path / "artifacts" / spec.name)
    monkeypatch.setenv("CLADEC_ARTIFACTS", str(tmp_path / "artifacts"))
    before = times(tmp_path)
    for spec in kinds.values():
        file = tmp_path / "artifacts" / spec.name / store.TENSORS
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    for spec in kinds.values():
        store.get(spec, progress=False)
    assert len(kinds) >= 5 and capsys.readouterr().err.count("is damaged") == len(kinds)
    after, damaged = times(tmp_path), {spec.name for spec in kinds.values()}
    assert {name for name in after if after[name] != before[name]} == damaged
    for name in damaged:
        mine, theirs = (f / "artifacts" / name / store.TENSORS for f in (tmp_path, smoke))
        assert mine.read_bytes() == theirs.read_bytes(), name


def test_the_scorecard_has_both_architectures_and_the_controls(smoke):
    card = pd.read_csv(smoke / "results" / "smoke" / "scorecard" / "scorecard.csv", keep_default_na=False)
    recorded = card[card["verdict"].ne("needs participants")].groupby("claim")["architecture"].agg(set)
    for claim in ("C1", "C1 frozen", "C1 independent", "C1 against PCA", "C2", "C2 against PCA", "C4", "C6"):
        assert recorded[claim] == {"vgg", "resnet"}, claim
    for claim in ("C3", "C3 frozen", "C3 loss"):  # of the architecture that was asked for
        assert recorded[claim] == {"vgg"}, claim
    [both] = recorded["C6 interaction"]
    assert {"vgg", "resnet"} == set(both.split(" - "))
    quarter = "most important quarter, vs"
    assert {
        "all",
        f"{quarter} random",
        f"{quarter} principal components",
        f"{quarter} random weights",
    } <= set(card.loc[card["claim"] == "C4", "neurons"])
    assert "all, other images" in set(card.loc[card["claim"] == "C1", "neurons"])
    assert set(card.loc[card["claim"] == "control", "neurons"]) == {
        "all controls",
        "other labels",
        "random weights",
        "shuffled labels",
    }
    for claim in ("C5", "C5 judgements"):
        assert card.loc[card["claim"] == claim, "verdict"].tolist() == ["needs participants"]
    front = (smoke / "results" / "smoke" / "report" / "index.html").read_text()
    assert "Scorecard of the claims" in front and front.count("needs participants") >= 1


class Links(HTMLParser):
    """Everything a page would fetch, and its images without alternative text."""

    def __init__(self):
        super().__init__()
        self.fetched, self.links, self.without_alt = [], [], 0

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag in ("script", "img", "iframe", "link", "source") and (
            attributes.get("src") or attributes.get("href")
        ):
            self.fetched.append(attributes.get("src") or attributes.get("href"))
        if tag == "a":
            self.links.append(attributes.get("href", ""))
        if tag == "img" and len(attributes.get("alt") or "") < 10:
            self.without_alt += 1


def test_the_report_fetches_nothing_and_describes_its_figures(smoke, study):
    report = smoke / "results" / "smoke" / "report"
    pages = sorted(report.glob("*.html"))
    assert len(pages) == len(NAMES) + 1
    for page in pages:
        text = page.read_text()
        found = Links()
        found.feed(text)
        assert found.fetched and all(f.startswith("data:") for f in found.fetched), page.name
        assert not re.search(r"import\(['\"]http|url\(['\"]?http|@import", text)
        assert found.without_alt == 0
        local = [link for link in found.links if not link.startswith(("#", "http"))]
        assert local and all((report / link.split("#")[0]).is_file() for link in local)


@pytest.mark.slow(instead="tests/test_series.py::test_what_people_answer_runs_the_analysis_again")
def test_a_changed_parameter_runs_the_notebook_again(smoke, study, capsys):
    path, folder = series.series()[0], study.folder
    assert not execute.run_notebook(path, folder, {"profile": "smoke"} | {"alpha": 0.0})
    assert execute.run_notebook(path, folder, {"profile": "smoke", "alpha": 0.0, "seeds": [0, 1]})


def test_what_people_answer_runs_the_analysis_again(smoke, study):
    """08 is current until a response, a setting or the study itself changes; hidden files are nothing."""
    path = next(p for p in series.series() if p.stem == "08_user_study_analysis")
    choices = {"profile": "smoke", "alpha": 0.0}
    asked = folder_of(subjects(choices)[0])

    def current():
        return execute.is_current(path, study.folder, choices)

    assert current()
    for file in ("responses/p1.json", "responses/lab/p2.json", "settings.json", "study.json"):
        kept = (asked / file).read_bytes() if (asked / file).is_file() else None
        store.write_text(asked / file, "{}")
        assert not current(), file
        (asked / file).unlink()
        if kept:
            assert not current(), file
            (asked / file).write_bytes(kept)
        assert current(), file
    store.write_text(asked / "responses" / ".hidden", "")
    assert current()
    (asked / "responses" / ".hidden").unlink()


def test_what_is_recorded_runs_the_scorecard_again(smoke, study):
    """The order of recorded rows is nothing, a row is something, and so are the figures that it names."""
    path = next(p for p in series.series() if p.stem == "09_scorecard")
    choices = {"profile": "smoke", "alpha": 0.0}

    def current():
        return execute.is_current(path, plan.folder_of(path, study, choices), choices)

    assert current()
    table = study.folder.path / "reconstructions.csv"
    head, *rows = table.read_text().splitlines(keepends=True)
    table.write_text("".join([head, *reversed(rows)]))
    assert current()
    table.write_text("".join([head, *rows[1:]]))
    assert not current()
    table.write_text("".join([head, *rows]))
    assert current()
    subject = study.cladec("logits", 0)
    [evaluation] = [spec for spec in required.reconstructions(study) if spec.subject == subject]
    stored = smoke / "artifacts" / evaluation.name
    stored.rename(stored.with_name("away"))
    assert not current()
    stored.with_name("away").rename(stored)
    assert current()


def broken(tmp_path, source):
    cells = [nbformat.v4.new_code_cell("profile = None", metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell("print('so far')"), nbformat.v4.new_code_cell(source)]
    path = tmp_path / "00_broken.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_failing_notebook_is_named_and_its_output_kept(smoke, study, tmp_path):
    path, folder = broken(tmp_path, "1 / 0"), Folder("smoke", "out", {})
    with pytest.raises(execute.NotebookError, match=r"00_broken.ipynb stopped in cell 3: ZeroDivisionError"):
        execute.run_notebook(path, folder, {})
    [failed] = (folder.path / "00_broken").iterdir()
    assert failed.name == "00_broken.failed.ipynb" and "so far" in failed.read_text()


def test_a_mistake_of_the_user_shows_no_traceback(smoke, study, tmp_path):
    path = broken(tmp_path, "import cladec_utils as cu\ncu.open_study('smoke', layers=['blok4'])")
    folder = Folder("smoke", "out_of_a_mistake", {})
    with pytest.raises(CladecError, match="Did you mean 'block4'") as caught:
        execute.run_notebook(path, folder, {})
    assert not isinstance(caught.value, execute.NotebookError)
    kept = nbformat.read(folder.path / "00_broken" / "00_broken.failed.ipynb", as_version=4)
    error = next(o for o in kept.cells[-1].outputs if o.output_type == "error")
    assert len(error.traceback) == 1 and error.traceback[0].startswith("CladecError: Unknown layer 'blok4'")


def sees(*names):
    """Source that looks for files in the results, and writes down when it ran."""
    return (
        "import os, pathlib, time\nfolder = pathlib.Path(os.environ['CLADEC_RESULTS'])\n"
        f"assert all((folder / name).is_file() for name in {names!r})\n"
    )


def leaves(name):
    return sees() + f"time.sleep(1)\n(folder / '{name}').write_text(str(os.getppid()))"


@pytest.mark.slow(instead="tests/test_series.py::test_every_notebook_ran_and_recorded")
def test_notebooks_run_side_by_side_and_readers_after_them(folders, monkeypatch, capsys):
    monkeypatch.setenv("CLADEC_HOME", str(folders / "home"))
    monkeypatch.setenv("CLADEC_WORKERS", "2")
    (folders / "results").mkdir()
    small_series(folders / "home", reads=sees("one", "two"), first=leaves("one"), second=leaves("two"))
    study = open_study("smoke")
    outputs = series.run_series(study, {"profile": "smoke"})
    assert [p.stem for p in outputs] == ["00_reads", "01_first", "02_second"]
    assert all(p.is_file() for p in outputs)
    shown = capsys.readouterr().out
    assert "2 notebooks to run, 2 at a time" in shown and "[3/3] 00_reads" in shown
    processes = {(folders / "results" / name).read_text() for name in ("one", "two")}
    assert len(processes) == 2 and str(os.getpid()) not in processes
    series.run_series(study, {"profile": "smoke"})
    again = capsys.readouterr().out
    assert "unchanged since their last run: 01_first, 02_second\n" in again
    assert "unchanged since their last run: 00_reads\n" in again and "at a time" not in again
    study.folder.write(evidence.TABLE, ",".join(evidence.COLUMNS) + "\n")
    series.run_series(study, {"profile": "smoke"})
    assert "[3/3] 00_reads" in capsys.readouterr().out


@pytest.mark.slow(instead="tests/test_series.py::test_a_failing_notebook_is_named_and_its_output_kept")
def test_a_failing_notebook_does_not_stop_its_neighbours(folders, monkeypatch, capsys):
    monkeypatch.setenv("CLADEC_HOME", str(folders / "home"))
    monkeypatch.setenv("CLADEC_WORKERS", "2")
    (folders / "results").mkdir()
    small_series(folders / "home", bad="1 / 0", good=leaves("one"), late=leaves("two"), reads=leaves("three"))
    with pytest.raises(execute.NotebookError, match=r"00_bad.ipynb stopped in cell 3: ZeroDivisionError"):
        series.run_series(open_study("smoke"), {"profile": "smoke"})
    assert "00_bad: failed; the others go on" in capsys.readouterr().out
    left = {p.name for p in (folders / "results").iterdir()}
    assert {"one", "two"} <= left and "three" not in left
    assert not list((folders / "results").rglob(".partial*"))


@pytest.mark.slow(instead="tests/test_notebooks.py::test_an_edit_makes_stale_what_uses_the_module")
def test_committed_outputs_are_made_anew_where_they_are_stale(folders, monkeypatch, capsys):
    monkeypatch.setenv("CLADEC_HOME", str(folders / "home"))
    small_series(folders / "home", reads="1", first="2", second="3")
    notebooks = folders / "home" / "notebooks"

    def executed(everything=False):
        return [p.stem for p in series.write_outputs(notebooks, everything)]

    first = executed()
    assert sorted(first) == ["00_reads", "01_first", "02_second"] and first[-1] == "00_reads"
    assert executed() == []
    assert "0 of 3 notebooks executed" in capsys.readouterr().out
    path = notebooks / "01_first.ipynb"
    path.write_text(path.read_text().replace('"2"', '"2 + 2"'))
    assert executed() == ["01_first", "00_reads"]  # what this one reads may be new
    assert sorted(executed(everything=True)) == ["00_reads", "01_first", "02_second"]


@pytest.mark.slow(instead="tests/test_cli.py::test_own_classifier_is_explained_end_to_end")
@pytest.mark.skipif(
    not CIFAR.is_file(), reason="the CIFAR-10 subset ../shared/data/cifar10_12k.npz is not here"
)
def test_the_colour_path(folders, monkeypatch):
    """01 and 02 on real colour images from a user's .npz."""
    monkeypatch.setenv("CLADEC_WORKERS", "2")
    choices = {"profile": "smoke", "dataset": str(CIFAR)}
    study = open_study(**choices)
    assert study.data.image_shape == (3, 32, 32)
    for path in series.series():
        if path.stem in ("01_training", "02_reconstructions"):
            assert execute.run_notebook(path, study.folder, choices)
            assert metrics(folders, path.stem)
