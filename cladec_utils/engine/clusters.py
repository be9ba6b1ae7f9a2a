"""Where a study is computed: a Dask cluster on this machine, a running one by its address, or SLURM.

Workers are processes with one thread each, as small convolutions waste threads and as two trainings in
one process would disturb each other's random numbers. On this machine there is one per core, or one per
GPU where there are several. docs/clusters.md says how to use more machines.
"""

import contextlib
import logging
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from cladec_utils.engine import paths as engine_paths
from cladec_utils.engine import slurm, store
from cladec_utils.engine.dasks import Client, CommClosedError, LocalCluster, Nanny, Scheduler, SpecCluster
from cladec_utils.engine.spec import RECIPE
from cladec_utils.errors import CladecError

NO_LIMIT = 0
"""Of memory: spilling would not help, as a task's data are torch tensors."""
PATIENCE = 15.0
"""Seconds to wait for a scheduler to answer."""


@dataclass(frozen=True)
class Place:
    """Where to compute: with the scheduler at this address, in so many SLURM jobs, or (neither) here."""

    scheduler: str = ""
    slurm: int = 0


@dataclass(frozen=True)
class Cluster:
    """A cluster in use: its client, where it is in words, and the name of a file in this process's store
    by which a worker finds out whether its store is the same one. `renew` replaces what has left."""

    client: Client
    where: str
    token: str
    renew: Callable[[Client], None] = lambda _client: None

    def size(self) -> int:
        """How many workers there are now."""
        return len(self.client.nthreads())

    def look_after(self) -> bool:
        """Replace workers that have left, where that is ours to do; returns whether there are any. Raises
        CommClosedError if the connection is lost."""
        if self.client.status != "running":
            raise CommClosedError(f"the client is {self.client.status}")
        with contextlib.suppress(OSError, TimeoutError):  # asked again soon
            self.renew(self.client)
            return self.size() > 0
        return True

    def shares_the_store(self) -> bool:
        """Whether all present workers read and write this process's store."""
        found = self.client.run(shares_the_store, self.token, on_error="ignore")  # one may leave just now
        return bool(found) and all(found.values())


@dataclass
class _Session:
    """A place that was chosen for all computations of a while, and its cluster once it is needed."""

    place: Place
    stack: contextlib.ExitStack
    cluster: Cluster | None = None


_session: _Session | None = None


@contextlib.contextmanager
def computing_at(place: Place) -> Iterator[None]:
    """Whatever `grid.compute` is asked for inside is computed there. The cluster is started when it is
    first needed and kept until the end."""
    global _session  # noqa: PLW0603
    with contextlib.ExitStack() as stack:
        before, _session = _session, _Session(place, stack)
        try:
            yield
        finally:
            _session = before


def elsewhere() -> bool:
    """Whether a cluster was named, so that even a single task belongs there."""
    return _session is not None and _session.place != Place()


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[Cluster]:
    """The cluster of the place that was chosen; else a new one on this machine, with so many `workers`.

    Raises CladecError if there is no scheduler at the address, if SLURM starts nothing, or if the workers
    do not fit: more than one thread each, or another version of this package.
    """
    if _session is None:
        with _connected(Place(), workers) as found:
            yield found
        return
    if _session.cluster is None:
        _session.cluster = _session.stack.enter_context(_connected(_session.place, engine_paths.workers()))
    yield _session.cluster


@contextlib.contextmanager
def _connected(place: Place, workers: int) -> Iterator[Cluster]:
    _silence_dask()
    renew = Cluster.renew
    with contextlib.ExitStack() as stack:
        if place.scheduler:
            where = f"the scheduler at {place.scheduler}"
            client = stack.enter_context(_client_of(place.scheduler))
        elif place.slurm:
            where = "SLURM"
            jobs = stack.enter_context(slurm.start(place.slurm))
            client = stack.enter_context(Client(jobs))
            slurm.wait(client)
            renew = slurm.Renewal(jobs, place.slurm).renew
        else:
            where = "this machine"
            client = stack.enter_context(Client(stack.enter_context(_local(workers))))
        _check_workers(client, where)
        yield Cluster(client, where, stack.enter_context(_token()), renew)


def _silence_dask() -> None:
    """Dask logs lost connections with tracebacks; what a user can do is said where they are caught."""
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _client_of(address: str) -> Client:
    try:
        return Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise CladecError(
            f"No Dask scheduler answers at {address!r}; start one with `dask scheduler`, name the address "
            "that it prints, such as tcp://10.0.0.1:8786, and see docs/clusters.md."
        ) from error


def _local(workers: int) -> SpecCluster:
    gpus = _gpus()
    if len(gpus) > 1:
        return _one_worker_per_gpu(gpus[:workers])
    return LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=slurm.ANY_PORT,
        silence_logs=logging.CRITICAL, memory_limit=NO_LIMIT,
    )  # fmt: skip


def _gpus() -> list[str]:
    """What CUDA calls the GPUs that this process may use."""
    # CUDA's own variable and no setting of ours, so it is not for config to know.
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = torch.cuda.device_count()
    return named[:count] if len(named) >= count else [str(i) for i in range(count)]


def _one_worker_per_gpu(gpus: Sequence[str]) -> SpecCluster:
    options = {"nthreads": 1, "memory_limit": NO_LIMIT, "silence_logs": logging.CRITICAL}
    return SpecCluster(
        workers={
            i: {"cls": Nanny, "options": {**options, "env": {"CUDA_VISIBLE_DEVICES": gpu}}}
            for i, gpu in enumerate(gpus)
        },
        scheduler={"cls": Scheduler, "options": {"dashboard_address": slurm.ANY_PORT, "host": "127.0.0.1"}},
        silence_logs=logging.CRITICAL,
    )


def _check_workers(client: Client, where: str) -> None:
    threads = client.nthreads()
    if not threads:
        raise CladecError(
            f"The cluster of {where} has no workers; start some with `dask worker ADDRESS --nthreads 1`."
        )
    wide = next((address for address, count in threads.items() if count > 1), None)
    if wide:
        raise CladecError(
            f"The worker {wide} has {threads[wide]} threads, and trainings in threads would not be "
            f"reproducible; start it with --nthreads 1 --nworkers {threads[wide]}."
        )
    try:
        recipes = client.run(recipe)
    except ModuleNotFoundError as error:
        raise CladecError(f"A worker of {where} cannot import this package ({error}); install it.") from error
    other = next((address for address, found in recipes.items() if found != RECIPE), None)
    if other:
        raise CladecError(
            f"The worker {other} has another version of this package (recipe {recipes[other]}, here "
            f"{RECIPE}); install the same one everywhere."
        )


@contextlib.contextmanager
def _token() -> Iterator[str]:
    folder, name = engine_paths.artifacts_dir(), f".sharing-{uuid.uuid4().hex}"
    with store.writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    try:
        yield name
    finally:
        (folder / name).unlink(missing_ok=True)


def recipe() -> int:
    """The version of the procedure that a worker follows."""
    return RECIPE


def shares_the_store(token: str) -> bool:
    """Whether the store of the process this runs in holds the file `token`."""
    return (engine_paths.artifacts_dir() / token).exists()
