"""Execute the notebook series with papermill: parameters in, notebooks with outputs and a record out.

Several notebooks run at once, each in a process of its own (Dask's workers, as for trainings); those that
read what others have recorded come after them.
"""

import ast
import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import nbformat
import papermill
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets import default

from cladec_utils.app.provenance import contents_hash, recorded_hash, source_hash
from cladec_utils.engine import paths
from cladec_utils.engine.store import writing_to
from cladec_utils.errors import CladecError
from cladec_utils.study import profiles
from cladec_utils.study.folders import Folder

RUN = "run.json"
READS_RESULTS, READS_RESPONSES = "reads-results", "reads-responses"
"""Tags of cells that read what other notebooks recorded, or responses of people: these count for whether such
a notebook is current, and one with the first of them runs after the others."""
RECORDED, GIVEN, GENERATED = "recorded", "responses", "user_study"
"""What a notebook's record says of what its tagged cells read."""


class ThisPython(AsyncKernelManager):
    """Kernels of the Python that runs this, whatever else is called `python3` on the JUPYTER_PATH."""

    @default("kernel_spec_manager")
    def _no_other_place(self) -> KernelSpecManager:
        return KernelSpecManager(parent=self, kernel_dirs=[])


EXECUTE = {
    "kernel_name": NATIVE_KERNEL_NAME,
    "kernel_manager_class": ThisPython,
    "language": "python",
    "progress_bar": False,
    "start_timeout": 180,
    "request_save_on_cell_execute": False,
    "extra_arguments": ["--IPKernelApp.log_level=50"],
}


class NotebookError(CladecError):
    """A notebook that did not run to its end for a reason that is not the user's."""

    exit_code = 1


def run_notebook(
    path: Path,
    folder: Folder,
    choices: Mapping[str, object],
    force: bool = False,
    owner: int | None = None,
) -> bool:
    """Execute one notebook into a results folder unless it is current (see `is_current`); returns whether it
    was executed.

    The output appears only after success; what a failed run had is kept as `<name>.failed.ipynb`. `owner` is
    the process that tidies up if this one is ended, None if there is none. Raises CladecError naming
    notebook, cell and error.
    """
    if not force and is_current(path, folder, choices):
        return False
    notebook, output = nbformat.read(path, as_version=4), output_of(path, folder)
    record = output.with_name(RUN)
    stamp = _stamp(notebook, path, folder, choices)  # first: what changes meanwhile was not seen
    with writing_to(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        record.unlink(missing_ok=True)
        execute(path, output, _parameters(notebook, path, choices), _profile(folder, choices), owner)
    if GENERATED in stamp:  # the notebook itself writes this where it is missing or out of date
        stamp[GENERATED] = _stamp(notebook, path, folder, choices)[GENERATED]
    folder.write(f"{path.stem}/{RUN}", json.dumps(stamp))
    return True


def output_of(path: Path, folder: Folder) -> Path:
    """Where an executed notebook goes; its figures and the record of the run lie beside it."""
    return folder.path / path.stem / path.name


def is_current(path: Path, folder: Folder, choices: Mapping[str, object]) -> bool:
    """Whether a notebook's last successful run was with the present code, parameters and data, and if it
    reads what others recorded, or responses of people, with what these are now."""
    output = output_of(path, folder)
    record = _read_json(output.with_name(RUN))
    if not record or not output.is_file():
        return False
    return record == _stamp(nbformat.read(path, as_version=4), path, folder, choices)


def has_tag(notebook: NotebookNode, *tags: str) -> bool:
    """Whether a cell of the notebook has one of the tags."""
    return any(tag in cell.metadata.get("tags", []) for cell in notebook.cells for tag in tags)


def _parameters(notebook: NotebookNode, path: Path, choices: Mapping[str, object]) -> dict[str, object]:
    known = parameter_names(notebook, path)
    return {k: v for k, v in choices.items() if k in known and v is not None}


def _stamp(
    notebook: NotebookNode, path: Path, folder: Folder, choices: Mapping[str, object]
) -> dict[str, str]:
    parameters = _parameters(notebook, path, choices)
    made_from = {
        "made_from": folder.made_from,
        "profile": asdict(profiles.get_profile(_profile(folder, choices))),  # a user's file may have changed
        "parameters": parameters,
    }
    stamp = {
        "source_hash": source_hash(notebook, made_from),
        "code_hash": source_hash(notebook),
    }
    if has_tag(notebook, READS_RESULTS):
        stamp[RECORDED] = recorded_hash(folder.profile, parameters.get("folders"))
    if has_tag(notebook, READS_RESPONSES):
        stamp |= _user_study(parameters | {"profile": _profile(folder, choices)})
    return stamp


def _profile(folder: Folder, choices: Mapping[str, object]) -> str:
    """What the profile is found by again, which for a file of the user's is more than its name."""
    return str(choices.get("profile") or folder.profile)


def _user_study(choices: Mapping[str, object]) -> dict[str, str]:
    # What these import takes seconds, and most commands do without it.
    from cladec_utils.user_study.design import subjects  # noqa: PLC0415
    from cladec_utils.user_study.materials.folder import READ, folder_of  # noqa: PLC0415
    from cladec_utils.user_study.schema import RESPONSES  # noqa: PLC0415

    folder = folder_of(subjects(choices)[0])
    read = contents_hash(*(folder / name for name in READ))
    given = folder / RESPONSES  # which the notebook makes if it is not there
    return {GIVEN: contents_hash(*[given] * given.is_dir()), GENERATED: read}


def made_by_present_code(output: Path) -> bool:
    """Whether the executed notebook `output` was run with the code that it and the package have now."""
    source = paths.home() / "notebooks" / output.name
    notebook = nbformat.read(source if source.is_file() else output, as_version=4)
    record = _read_json(output.with_name(RUN))
    return isinstance(record, dict) and record.get("code_hash") == source_hash(notebook)


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


def execute(
    path: Path, output: Path, parameters: Mapping[str, object], profile: str, owner: int | None = None
) -> None:
    """Run `path` with papermill and move the result to `output` when it is whole; for `owner` see
    `run_notebook`."""
    partial = partial_of(output, owner or os.getpid())
    start = time.monotonic()
    try:
        with _environment(profiles.PROFILE_VARIABLE, profile):
            papermill.execute_notebook(
                _literally(path),
                _literally(partial),
                parameters=dict(parameters),
                cwd=str(path.parent),
                **EXECUTE,
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
    except RuntimeError as error:
        raise NotebookError(
            f"No process could be started to run {path.name} ({error}). Try `python -m ipykernel --version`; "
            "if it says nothing, install the kit's requirements again."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _literally(path: Path) -> str:
    """A path for papermill, which takes what stands in braces for the name of a parameter."""
    return str(path).replace("{", "{{").replace("}", "}}")


def partial_of(output: Path, owner: int) -> Path:
    """The name of an output that is not yet whole; `owner` is the process that tidies up."""
    return output.with_name(f".partial-{owner}-{output.name}")


def clear_abandoned(output: Path) -> None:
    """Remove what killed processes have left; that of a day ago belongs to nobody who is still at it."""
    for partial in output.parent.glob(f".partial-*-{output.name}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - partial.stat().st_mtime > 86400:
                partial.unlink()


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
