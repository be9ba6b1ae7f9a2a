"""Execute the notebook series with papermill: parameters in, notebooks with outputs and a record out."""

import ast
import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from cladec_utils import config
from cladec_utils.errors import CladecError
from cladec_utils.notebook import GENERAL, describe
from cladec_utils.provenance import source_hash
from cladec_utils.store import write_text, writing_to
from cladec_utils.study import Study

RUN = "run.json"
READS_RESULTS = "reads-results"
"""The tag of a cell that reads what other notebooks recorded: such a notebook is never up to date."""
EXECUTE = {
    "kernel_name": "python3",
    "progress_bar": False,
    "start_timeout": 180,
    "request_save_on_cell_execute": False,
    "extra_arguments": ["--IPKernelApp.log_level=50"],
}


class NotebookError(CladecError):
    """A notebook that did not run to its end for a reason that is not the user's."""


def series(folder: Path | None = None) -> list[Path]:
    """The notebooks in reading order: 00_*.ipynb, 01_*.ipynb, ..., then the appendices A1_*.ipynb."""
    notebooks = sorted((folder or config.home() / "notebooks").glob("[0-9A]*_*.ipynb"))
    if not notebooks:
        raise CladecError(
            f"There are no notebooks in {config.home() / 'notebooks'}; "
            "run from a checkout, or set CLADEC_HOME."
        )
    return notebooks


def output_folder(study: Study, notebook: Path) -> Path:
    """Where an executed notebook, its metrics and its record go: in the study's folder, or in the
    general one if the notebook has no parameter `dataset` and so belongs to no study."""
    names = parameter_names(nbformat.read(notebook, as_version=4), notebook)
    folder = study.name if "dataset" in names else GENERAL
    return config.results_dir(study.profile.name) / folder / notebook.stem


def run_series(study: Study, choices: Mapping[str, object], force: bool = False) -> list[Path]:
    """Execute the series for `study`, one line of progress each; returns the executed notebooks.

    `choices` are the parameters to inject where a notebook has them. A notebook whose code,
    parameters and data are those of its last successful run is not executed again unless `force`.
    """
    notebooks = series()
    outputs = []
    for i, path in enumerate(notebooks, 1):
        print(f"[{i}/{len(notebooks)}] {path.stem} ... ", end="", flush=True)
        start = time.monotonic()
        output = output_folder(study, path) / path.name
        ran = run_notebook(path, output, study, choices, force)
        print(f"{time.monotonic() - start:.1f} s" if ran else "unchanged since its last run", flush=True)
        outputs.append(output)
    return outputs


def run_notebook(
    path: Path, output: Path, study: Study, choices: Mapping[str, object], force: bool = False
) -> bool:
    """Execute one notebook unless its record is current; returns whether it was executed.

    One with a cell tagged READS_RESULTS always is.

    The output appears only after success; what a failed run had is kept as `<name>.failed.ipynb`.
    Raises CladecError naming notebook, cell and error.
    """
    notebook = nbformat.read(path, as_version=4)
    known = parameter_names(notebook, path)
    parameters = {k: v for k, v in choices.items() if k in known and v is not None}
    made_from = {"study": describe(study), "data": study.data_spec.hash}
    stamp = {"source_hash": source_hash(notebook, made_from | {"parameters": parameters})}
    record = output.with_name(RUN)
    always = any(READS_RESULTS in cell.metadata.get("tags", []) for cell in notebook.cells)
    if not force and not always and output.is_file() and _read_json(record) == stamp:
        return False
    with writing_to(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        record.unlink(missing_ok=True)
        execute(path, output, parameters, study.profile.name)
    write_text(record, json.dumps(stamp))
    return True


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def parameter_names(notebook: NotebookNode, path: Path) -> set[str]:
    """The names set in the cell tagged `parameters`; raises NotebookError if there is no such cell."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            statements = ast.parse(cell.source).body
            return {s.targets[0].id for s in statements if isinstance(s, ast.Assign)}
    raise NotebookError(f"{path.name} has no cell tagged 'parameters'.")


def execute(path: Path, output: Path, parameters: Mapping[str, object], profile: str) -> None:
    """Run `path` with papermill and move the result to `output` when it is whole."""
    partial = output.with_name(f".partial-{output.name}")
    start = time.monotonic()
    try:
        with _environment(config.PROFILE_VARIABLE, profile):
            papermill.execute_notebook(
                str(path), str(partial), parameters=dict(parameters), cwd=str(path.parent), **EXECUTE
            )
        clean(partial, time.monotonic() - start)
        os.replace(partial, output)
    except PapermillExecutionError as error:
        failed = output.with_name(f"{output.stem}.failed.ipynb")
        os.replace(partial, failed)
        kind = CladecError if error.ename in ("CladecError", "NotFiniteError") else NotebookError
        raise kind(
            f"{path.name} stopped in cell {error.exec_count}: {error.ename}: {error.evalue} "
            f"(outputs up to there: {failed})"
        ) from error
    except DeadKernelError as error:
        raise NotebookError(
            f"The process that ran {path.name} died, perhaps for want of memory; run the same again to go on."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def clean(path: Path, seconds: float) -> None:
    """Remove what execution leaves behind: papermill's bookkeeping, erased progress bars, cell times."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("papermill", None)
    notebook.metadata["cladec"] = {"seconds": round(seconds, 1)}
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [kept for kept in map(_last_lines, cell.outputs) if kept is not None]
    nbformat.write(notebook, path)


def _last_lines(output: NotebookNode) -> NotebookNode | None:
    """Of a stream, what a terminal would show in the end: each line from its last carriage return."""
    if output.output_type != "stream":
        return output
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in output.text.split("\n")]
    output.text = "\n".join(lines)
    return output if output.text.strip() else None


def write_outputs(folder: Path) -> list[Path]:
    """Execute all notebooks below `folder`, solutions too, as quick profile; keep the outputs in place.

    The hash of the code they were made from is kept in each notebook's metadata (see `staleness`).
    """
    done = []
    for path in [*series(folder), *sorted((folder / "solutions").glob("*.ipynb"))]:
        print(f"{path.relative_to(folder)} ... ", end="", flush=True)
        start = time.monotonic()
        output = path.with_name(f".partial-executed-{path.name}")
        execute(path, output, {}, "quick")
        notebook = nbformat.read(output, as_version=4)
        notebook.metadata["cladec"] |= {"source_hash": source_hash(notebook), "profile": "quick"}
        nbformat.write(notebook, output)
        os.replace(output, path)
        print(f"{time.monotonic() - start:.1f} s", flush=True)
        done.append(path)
    return done


def staleness(path: Path) -> str:
    """Why a committed notebook's outputs are not those of its code, or an empty string if they are."""
    notebook = nbformat.read(path, as_version=4)
    code = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    counts = [c.execution_count for c in code]
    if counts != list(range(1, len(code) + 1)):
        return f"not executed top to bottom (execution counts {counts})"
    if any(o.output_type == "error" for c in code for o in c.outputs):
        return "it holds an error"
    if notebook.metadata.get("cladec", {}).get("source_hash") != source_hash(notebook):
        return "its code or the package's code has changed since it was executed"
    return ""
