"""Compute all missing artifacts of a plan: on the workers of a Dask cluster, or in this process.

No engine of our own: Dask orders the tasks, spreads them and repeats those of a worker that died.
Each task looks in the store first and writes atomically, so a study can be stopped anywhere. Where workers
have another store, artifacts travel with the tasks, and each is verified when it arrives.
"""

import contextlib
import multiprocessing
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError

import torch

from cladec_utils.engine import clusters, paths, store
from cladec_utils.engine.clusters import Cluster
from cladec_utils.engine.dasks import CommClosedError, Future, KilledWorker, as_completed
from cladec_utils.engine.progress import Progress, span
from cladec_utils.engine.spec import Spec, closure
from cladec_utils.engine.store import Parcel
from cladec_utils.errors import CladecError

LOOK = 10.0
"""Seconds between looks at a cluster's workers."""
WITHOUT_WORKERS = 1800.0
"""Seconds to wait for workers to come when all have gone."""
CLUSTER_WORTH = 4
"""Below this many missing artifacts, starting worker processes takes longer than it saves."""

Result = tuple[float, Parcel | None]
"""What a task brings back: its seconds of work and, from a worker with a store of its own, its artifact."""


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

    Progress: one line per task where `lines` (command line), else a bar (notebooks). They are made on the
    cluster that `clusters.computing_at` names, else on this machine by `paths.workers()` processes.
    Classifiers of the user's, and what is made like them, exist in this process only and are computed in it,
    and so is everything on a single GPU, which processes would only share. Raises CladecError if a task does,
    if it ends its worker again and again, if the scheduler goes away or if all workers do for long; what was
    finished is kept.
    """
    todo = missing(plan)
    if lines:
        print(
            f"{len(todo)} artifacts to make" if todo else "nothing to train: all artifacts are in the store"
        )
    if not todo:
        return []
    count = min(paths.workers(), len(todo))
    own = not all(spec.portable for spec in closure(todo))
    alone = torch.cuda.device_count() == 1 or count < 2 or len(todo) < CLUSTER_WORTH
    if own or (alone and not clusters.elsewhere()):
        _compute_here(todo, Progress(todo, lines, 1))
    else:
        with contextlib.ExitStack() as stack:
            cluster = _begin_cluster(stack, count)
            todo = _to_make_on(cluster, todo)
            _compute_on(cluster, todo, Progress(todo, lines, cluster.size()))
    return todo


def _begin_cluster(stack: contextlib.ExitStack, count: int) -> Cluster:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A worker about to be, which Python lets run the user's script again: its parent says what is wrong.
        raise SystemExit(1)
    try:
        return stack.enter_context(clusters.cluster(count))
    except RuntimeError as error:
        raise CladecError(
            f"Worker processes could not be started ({error}); a script of yours, which they begin by "
            'running again, must do its work below `if __name__ == "__main__":`; else set CLADEC_WORKERS=1.'
        ) from None


def _compute_here(todo: list[Spec], progress: Progress) -> None:
    with progress:
        for spec in todo:
            progress.done(spec, store.get(spec, progress=not progress.lines).seconds)


def _to_make_on(cluster: Cluster, todo: list[Spec]) -> list[Spec]:
    """Workers with a store of their own are sent all that a task needs: what of it is damaged or lost is made
    anew as well."""
    return todo if cluster.shares_the_store() else [s for s in closure(todo) if not store.find(s)]


def _compute_on(cluster: Cluster, todo: list[Spec], progress: Progress) -> None:
    futures = _submit(cluster, todo)
    spec_of = {future.key: spec for spec, future in futures.items()}
    waiting = as_completed(list(futures.values()))
    del futures  # so that Dask forgets a result that nobody needs any more
    watch = _Watch(cluster)
    with progress:
        try:
            for future in watch.arriving(waiting):
                spec = spec_of[future.key]
                seconds, parcel = watch.result(future)
                if parcel is not None:
                    store.accept(spec, parcel)
                progress.done(spec, seconds)
        except KilledWorker as error:
            raise CladecError(
                f"{spec.label()} has ended every worker that tried it; perhaps it needs more memory, or more "
                "time than a job may take: ask for more, what was finished is kept."
            ) from error
        except (CancelledError, CommClosedError, TimeoutError) as error:
            raise CladecError(
                f"The connection to {cluster.where} was lost; {progress.count} of {progress.total} artifacts "
                "are finished and kept, run the same again to go on."
            ) from error


class _Watch:
    """Looks after a cluster while its tasks are waited for: lost jobs are replaced; that there are no workers
    is said, and raised as CladecError in the end."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.said = cluster, False
        self.looked, self.seen = float("-inf"), time.monotonic()

    def look(self) -> None:
        now = time.monotonic()
        if now - self.looked < LOOK:
            return
        self.looked = now
        if self.cluster.look_after():
            self.seen, self.said = now, False
        elif now - self.seen > WITHOUT_WORKERS:
            raise CladecError(
                f"There have been no workers at {self.cluster.where} for {span(now - self.seen)}; start "
                "some (on SLURM `squeue` says why none start) and run the same again, what was finished is "
                "kept."
            )
        elif not self.said:
            self.said = True
            print(f"no workers at {self.cluster.where} now; waiting for some ...", flush=True)

    def arriving(self, waiting: as_completed) -> Iterator[Future]:
        """The futures of `waiting` as they are done."""
        while not waiting.is_empty():
            if waiting.has_ready():
                yield next(waiting)
            else:
                time.sleep(0.05)
                self.look()

    def result(self, future: Future) -> Result:
        """A finished task's result. It may be lost with its worker, and is then made again: that can take."""
        while True:
            try:
                return future.result(timeout=1.0)
            except TimeoutError:
                if future.status == "error":  # the task's own
                    raise
                self.look()


def _submit(cluster: Cluster, todo: list[Spec]) -> dict[Spec, Future]:
    """Hand all tasks to the scheduler, each with what it needs as its dependencies."""
    client, shared = cluster.client, cluster.shares_the_store()
    futures: dict[Spec, Future] = {}
    delivered: dict[Spec, Future] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # an artifact is some megabytes
        for spec in todo:
            needs = spec.needs() if shared else [need for need in closure([spec]) if need != spec]
            for need in needs:
                if not shared and need not in futures and need not in delivered:
                    # A task, not scattered data: what a dead worker held is then delivered again.
                    content = (0.0, store.pack(need))
                    delivered[need] = client.submit(_deliver, content, key=f"deliver-{need.name}")
            made = [(need, futures.get(need) or delivered.get(need)) for need in needs]
            brought = [pair for pair in made if pair[1] is not None]
            futures[spec] = client.submit(_task, spec, brought, cluster.token, key=spec.name, pure=True)
    return futures


def _deliver(content: Result) -> Result:
    """Run on a worker: hold an artifact that exists already for the tasks that need it."""
    return content


def _task(spec: Spec, needs: list[tuple[Spec, Result]], token: str) -> Result:
    """Run on a worker: make one artifact. It comes back with the result unless the store is shared."""
    shared = clusters.shares_the_store(token)
    if not shared:
        for need, (_, parcel) in needs:
            if parcel is not None:
                store.accept(need, parcel)
    seconds = store.get(spec, progress=False).seconds
    return seconds, None if shared else store.pack(spec)
