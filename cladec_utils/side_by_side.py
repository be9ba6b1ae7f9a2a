"""Several notebooks at once, each in a process of its own: Dask's workers here, as for trainings."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from dask.distributed import Future, KilledWorker, as_completed

from cladec_utils import clusters, config
from cladec_utils.errors import CladecError

MOST = 4
"""Notebooks at once, however many cores there are: each needs up to a gigabyte of memory."""

Result = TypeVar("Result")


def together(paths: Sequence[Path], run: Callable[[Path], Result]) -> Iterator[tuple[Path, Result]]:
    """`run` for every notebook of `paths`, begun in that order; yields notebooks as they are done.

    `run` raises CladecError for what goes wrong. The first error is raised when all others are done, so
    that no notebook is lost for another's mistake.
    """
    workers = min(config.workers(), MOST, len(paths))
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
