"""Several notebooks at once, each in a process of its own: Dask's workers here, as for trainings."""

import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import nbformat

from cladec_utils.app.execute import (
    READS_RESULTS,
    clear_abandoned,
    execute,
    has_tag,
    is_current,
    output_of,
    partial_of,
    run_notebook,
    staleness,
)
from cladec_utils.app.plan import folder_of
from cladec_utils.app.provenance import source_hash
from cladec_utils.engine import clusters
from cladec_utils.engine import paths as engine_paths
from cladec_utils.engine.dasks import Future, KilledWorker, as_completed
from cladec_utils.errors import CladecError
from cladec_utils.study.folders import Folder
from cladec_utils.study.study import Study

MOST = 4
"""Notebooks at once, however many cores there are: each needs up to a gigabyte of memory."""

Result = TypeVar("Result")


def together(paths: Sequence[Path], run: Callable[[Path], Result]) -> Iterator[tuple[Path, Result]]:
    """`run` for every notebook of `paths`, begun in that order; yields notebooks as they are done.

    `run` raises CladecError for what goes wrong. The first error is raised when all others are done, so
    that no notebook is lost for another's mistake.
    """
    workers = min(engine_paths.workers(), MOST, len(paths))
    if workers < 2:
        yield from ((path, run(path)) for path in paths)
        return
    print(f"{len(paths)} notebooks to run, {workers} at a time", flush=True)
    failed: CladecError | None = None
    waiting, path_of = iter(paths), {}
    with clusters.cluster(workers) as cluster:

        def begin(count: int) -> list[Future]:
            begun = {cluster.client.submit(run, p, pure=False): p for p in itertools.islice(waiting, count)}
            path_of.update(begun)
            return list(begun)

        running = as_completed(begin(workers))
        for future in running:
            running.update(begin(1))
            path, error = path_of[future], future.exception()
            if error is None:
                yield path, future.result()
                continue
            print(f"{path.stem}: failed; the others go on", flush=True)
            failed = failed or (_killed(path) if isinstance(error, KilledWorker) else error)
    if failed:
        raise failed


def _killed(path: Path) -> CladecError:
    return CladecError(
        f"{path.name} has ended every process that ran it; perhaps it needs more memory. Run the same again "
        "with CLADEC_WORKERS=1."
    )


def series(folder: Path | None = None) -> list[Path]:
    """The notebooks in reading order: 00_*.ipynb, 01_*.ipynb, ..., then the appendices A1_*.ipynb."""
    notebooks = sorted((folder or engine_paths.home() / "notebooks").glob("[0-9A]*_*.ipynb"))
    if not notebooks:
        raise CladecError(
            f"There are no notebooks in {engine_paths.home() / 'notebooks'}; "
            "run from a checkout, or set CLADEC_HOME."
        )
    return notebooks


def run_series(
    study: Study,
    choices: Mapping[str, object],
    force: bool = False,
    readers: bool = True,
    notebooks: Sequence[Path] | None = None,
) -> list[Path]:
    """Execute the series, or some `notebooks` of it, for `study`, one line of progress each; returns the
    executed notebooks.

    `choices` are the parameters to inject where a notebook has them; `readers` are notebooks that read what
    others have recorded. A notebook whose code, parameters and data are those of its last successful run is
    not executed again unless `force`.
    """
    wanted = [path for path in notebooks or series() if readers or not _reads(path)]
    folders = {path: folder_of(path, study, choices) for path in wanted}
    outputs = {path: output_of(path, folder) for path, folder in folders.items()}
    run = functools.partial(_run_timed, folders, choices, os.getpid())
    count = 0
    for output in outputs.values():
        clear_abandoned(output)
    try:
        for paths in _phases(list(outputs)):
            # Now, not before: what a notebook reads may have been recorded in the phase before.
            now = [path for path in outputs if path in paths and not force]
            done = [path for path in now if is_current(path, folders[path], choices)]
            if done:
                print("unchanged since their last run:", ", ".join(path.stem for path in done), flush=True)
            count += len(done)
            for path, seconds in together([path for path in paths if path not in done], run):
                count += 1
                print(f"[{count}/{len(outputs)}] {path.stem}: {seconds:.1f} s", flush=True)
    finally:  # an interruption ends processes that had no time to tidy up
        for output in outputs.values():
            partial_of(output, os.getpid()).unlink(missing_ok=True)
    return list(outputs.values())


def _run_timed(
    folders: Mapping[Path, Folder], choices: Mapping[str, object], owner: int, path: Path
) -> float:
    start = time.monotonic()
    run_notebook(path, folders[path], choices, force=True, owner=owner)
    return time.monotonic() - start


def _reads(path: Path) -> bool:
    return has_tag(nbformat.read(path, as_version=4), READS_RESULTS)


def _phases(paths: Sequence[Path]) -> list[list[Path]]:
    """What may run at once, then one by one those that read what others recorded.

    Those that took longest when their outputs were last made begin, so that none is left running alone."""
    notebooks = {path: nbformat.read(path, as_version=4) for path in paths}
    readers = [path for path in paths if _reads(path)]
    seconds = {path: nb.metadata.get("cladec", {}).get("seconds", 0) for path, nb in notebooks.items()}
    others = sorted((path for path in paths if path not in readers), key=lambda path: -seconds[path])
    return [others, *([path] for path in readers)]


def write_outputs(folder: Path, everything: bool = False) -> list[Path]:
    """Execute the notebooks below `folder`, solutions too, as quick profile; keep the outputs in place.

    Those whose outputs are not of the present code (see `staleness`, which reads the hash that is kept in
    each), and what reads what they record; or `everything`. Returns those that were executed.
    """
    found = [*series(folder), *sorted((folder / "solutions").glob("*.ipynb"))]
    others, *readers = _phases(found)
    done: list[Path] = []
    for paths in (others, *readers):
        whole = everything or (paths in readers and done)
        for path, seconds in together([p for p in paths if whole or staleness(p)], _execute_in_place):
            print(f"{path.relative_to(folder)}: {seconds:.1f} s", flush=True)
            done.append(path)
    print(
        f"{len(done)} of {len(found)} notebooks executed; the outputs of the others are those of their code"
    )
    return done


def _execute_in_place(path: Path) -> float:
    output = path.with_name(f".partial-executed-{path.name}")
    execute(path, output, {}, "quick")
    notebook = nbformat.read(output, as_version=4)
    notebook.metadata["cladec"] |= {"source_hash": source_hash(notebook), "profile": "quick"}
    nbformat.write(notebook, output)
    os.replace(output, path)
    return notebook.metadata["cladec"]["seconds"]
