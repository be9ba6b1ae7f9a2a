"""Compute all missing artifacts of a plan: on a Dask cluster of single-threaded workers, or in this process.

No engine of our own: Dask orders the tasks, spreads them and repeats those of a worker that died.
Each task looks in the store first and writes atomically, so a study can be stopped anywhere.
"""

import logging
import time
from collections.abc import Iterable, Sequence

import dask
from dask.distributed import Client, LocalCluster, as_completed
from tqdm import tqdm

from cladec_utils import config, store
from cladec_utils.specs import OwnClassifierSpec, Spec
from cladec_utils.training import best_device

CLUSTER_WORTH = 4
"""Below this many missing artifacts, starting worker processes takes longer than it saves."""

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    # Dask's default returns memory to the system after every step, which made training 1.6 times slower.
    "MALLOC_TRIM_THRESHOLD_": 1 << 28,
    "MALLOC_MMAP_THRESHOLD_": 1 << 28,
}


def missing(plan: Iterable[Spec]) -> list[Spec]:
    """The specs of `plan`, and what they need, that have no artifact; needs come first, each once.

    What a missing spec needs is listed only if it is missing too.
    """
    found: dict[Spec, None] = {}

    def visit(spec: Spec) -> None:
        if spec not in found and not store.exists(spec):
            for need in spec.needs():
                visit(need)
            found[spec] = None

    for spec in plan:
        visit(spec)
    return list(found)


def compute(plan: Sequence[Spec], lines: bool = False) -> list[Spec]:
    """Make every missing artifact of `plan`; returns the specs that were made.

    Progress: one line per task where `lines` (command line), else a bar (notebooks). The number of
    worker processes is `config.workers()`. Classifiers of the user's exist in this process only and
    are computed in it, and so is everything on a GPU, which processes would only share. Raises
    CladecError if a task does.
    """
    todo = missing(plan)
    if lines:
        print(
            f"{len(todo)} artifacts to make" if todo else "nothing to train: all artifacts are in the store"
        )
    if not todo:
        return []
    count = min(config.workers(), len(todo))
    here = any(isinstance(spec, OwnClassifierSpec) for spec in todo) or best_device().type == "cuda"
    progress = _Progress(len(todo), lines)
    if here or count < 2 or len(todo) < CLUSTER_WORTH:
        _compute_here(todo, progress)
    else:
        _compute_on_cluster(todo, count, progress)
    return todo


def _compute_here(todo: list[Spec], progress: "_Progress") -> None:
    with progress:
        for spec in todo:
            progress.done(spec, store.get(spec, progress=not progress.lines).seconds)


def _compute_on_cluster(todo: list[Spec], count: int, progress: "_Progress") -> None:
    dask.config.set({"distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT})
    cluster = LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
        memory_limit=0,  # spilling would not help: a task's data are torch tensors
    )
    with cluster, Client(cluster) as client, progress:
        futures = {}
        for spec in todo:
            needs = [futures[need] for need in spec.needs() if need in futures]
            futures[spec] = client.submit(_task, spec, needs, key=spec.name, pure=True)
        spec_of = {future.key: spec for spec, future in futures.items()}
        for future in as_completed(list(futures.values())):
            progress.done(spec_of[future.key], future.result())


def _task(spec: Spec, _needs: list[float]) -> float:
    """Run on a worker: make one artifact. Its size stays in the store; only the seconds come back."""
    return store.get(spec, progress=False).seconds


class _Progress:
    """One line per finished task, or a bar, with what remains."""

    def __init__(self, total: int, lines: bool) -> None:
        self.total = total
        self.lines = lines
        self.count = 0
        self.start = time.monotonic()
        self.bar = tqdm(total=total, desc="computing", unit="task", disable=lines, leave=False)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_error: object) -> None:
        self.bar.close()

    def done(self, spec: Spec, seconds: float) -> None:
        self.count += 1
        self.bar.set_postfix_str(spec.label(), refresh=False)
        self.bar.update()
        if self.lines:
            left = (time.monotonic() - self.start) / self.count * (self.total - self.count)
            rest = f", about {_span(left)} left" if self.count >= 3 else ""
            print(f"[{self.count}/{self.total}] {spec.label()} ({seconds:.1f} s){rest}", flush=True)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
