"""Jobs of SLURM as a Dask cluster, by dask-jobqueue: what they ask for, and new ones for those that end."""

import contextlib
import re
import shlex
import shutil
import signal
import sys
from typing import Any

from cladec_utils.engine import paths as engine_paths
from cladec_utils.engine.dasks import Client, SpecCluster, dask
from cladec_utils.errors import CladecError

JOB = {"cores": 1, "processes": 1, "memory": "4GB", "walltime": "12:00:00"}
"""What a SLURM job asks for unless Dask's configuration says otherwise (`jobqueue.slurm`)."""
FORMERLY = {
    "job-script-prologue": "env-extra", "job-extra-directives": "job-extra", "worker-extra-args": "extra",
    "job-directives-skip": "header-skip",
}  # fmt: skip
"""Lists of the configuration, and what they were called before."""
EXAMPLES = {
    "job-script-prologue": "export A=1", "job-extra-directives": "--gres=gpu:1",
    "worker-extra-args": "--preload=x", "job-directives-skip": "--mem",
}  # fmt: skip
ANY_PORT = "127.0.0.1:0"
"""For Dask's dashboard: with a fixed port, two studies at once would warn about each other."""
PATIENCE = 600.0
"""Seconds to wait for SLURM to start the first job."""


def start(jobs: int) -> SpecCluster:
    """A cluster of so many jobs, submitted; raises CladecError if there is no SLURM, or it refuses."""
    if not shutil.which("sbatch"):
        raise CladecError("There is no SLURM here: no sbatch is on the path; log in where it is.")
    try:
        found = cluster_class()(**options())
        found.scale(jobs=jobs)
        found.sync(found._correct_state)  # scale only asks for it; here sbatch is run, or refuses
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:  # of whatever is configured
        raise CladecError(f"SLURM does not take the jobs ({error}); see docs/clusters.md.") from error
    return found


def options() -> dict[str, Any]:
    """What dask-jobqueue is told. The user's configuration has the last word, or is added to ours; what is
    not named here is read from it by dask-jobqueue itself."""
    asked = {name: _configured(name) or value for name, value in JOB.items()}
    asked |= {name: _whole(name, asked[name]) for name in ("cores", "processes")}
    if asked["cores"] != asked["processes"]:
        raise CladecError(
            f"Dask's configuration asks for {asked['processes']} processes on {asked['cores']} cores in a "
            "SLURM job; make jobqueue.slurm.processes equal to jobqueue.slurm.cores, as every worker has one "
            "thread."
        )
    paths = {"CLADEC_HOME": engine_paths.home(), "CLADEC_ARTIFACTS": engine_paths.artifacts_dir()}
    exports = [f"export {name}={shlex.quote(str(value))}" for name, value in paths.items()]
    lists = {name.replace("-", "_"): _texts(name, before) for name, before in FORMERLY.items()}
    mine = lists.pop("job_script_prologue")
    return {
        **asked,
        **{name: texts for name, texts in lists.items() if texts},
        "python": _configured("python") or shlex.quote(sys.executable),
        "job_script_prologue": [*exports, *mine],
        "log_directory": _configured("log-directory") or str(engine_paths.artifacts_dir() / ".slurm"),
        "scheduler_options": {"dashboard_address": ANY_PORT, **(_configured("scheduler-options") or {})},
    }


def _whole(name: str, value: object) -> int:
    """A number of cores or processes, which may be written as text."""
    if isinstance(value, bool) or not re.fullmatch("0*[1-9][0-9]*", str(value)):
        raise CladecError(
            f"Dask's configuration says {value!r} for jobqueue.slurm.{name}; it must be a whole "
            "number from 1 up."
        )
    return int(value)


def _texts(name: str, before: str) -> list[str]:
    """A list of the user's configuration, what its name of before says first. dask-jobqueue takes only one of
    the two, a text letter by letter, and of names with values the names."""
    found = []
    for asked in (before, name):
        value = _configured(asked) or []
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise CladecError(
                f"Dask's configuration says {value!r} for jobqueue.slurm.{asked}; it must be a text or a "
                f"list of texts, such as [{EXAMPLES[name]!r}]."
            )
        found += texts
    return found


def _configured(name: str) -> Any:
    """What the user's configuration of Dask says of SLURM jobs. dask-jobqueue adds its own to it once it is
    imported, half an hour of `walltime` say, which nobody asked for."""
    place = f"jobqueue.slurm.{name}"
    value, usual = (dask.config.get(place, None, c) for c in (dask.config.config, _merged_defaults()))
    return value if value != usual else dask.config.get(place, None, dask.config.collect())


def _merged_defaults() -> dict[str, Any]:
    return dask.config.merge(*dask.config.defaults)


class Renewal:
    """Keeps so many SLURM jobs: one whose workers have left, at its time limit say, is replaced. Dask's
    adaptive scaling would not: to it a job that has ended still counts as planned."""

    def __init__(self, cluster: SpecCluster, jobs: int) -> None:
        self.cluster, self.jobs, self.begun, self.absent = cluster, jobs, set(), set()

    def renew(self, client: Client) -> None:
        workers = [str(w["name"]) for w in client.scheduler_info(n_workers=-1)["workers"].values()]
        # The workers of a job called a-0 are a-0, or a-0-0, a-0-1, ...
        here = {job for job in self.cluster.worker_spec for w in workers if f"{w}-".startswith(f"{job}-")}
        self.begun |= here
        absent = self.begun - here
        lost, self.absent = absent & self.absent, absent  # twice, as a worker may only have been restarted
        self.begun -= lost
        with contextlib.suppress(RuntimeError):  # sbatch refuses now; another look will come
            if lost:
                self.cluster.sync(self.cluster.scale_down, lost)
                self.cluster.scale(jobs=self.jobs)
            self.cluster.sync(self.cluster._correct_state)  # those too short to be seen here


def cluster_class() -> type[SpecCluster]:
    """dask-jobqueue's class. Importing it takes Ctrl-C away from the process; here it is given back."""
    before = signal.getsignal(signal.SIGINT)
    from dask_jobqueue import SLURMCluster  # noqa: PLC0415

    signal.signal(signal.SIGINT, before)

    class Job(SLURMCluster.job_cls):
        """A job whose logs may lie at a path with spaces or quotes; `%` begins a pattern to SLURM."""

        def job_script(self) -> str:
            folder = f" {self.log_directory}/"
            quoted = f" {shlex.quote(str(self.log_directory)).replace('%', '%%')}/"
            return super().job_script().replace(folder, quoted)

    return type("Cluster", (SLURMCluster,), {"job_cls": Job})


def wait(client: Client) -> None:
    """Until the first job runs; raises CladecError if none does in PATIENCE."""
    print("waiting for SLURM to start the first job ...", flush=True)
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise CladecError(
            f"SLURM has started no job within {PATIENCE:.0f} s; `squeue` says why. "
            "What a job asks for is set in Dask's configuration, see docs/clusters.md."
        ) from error
