"""The same study elsewhere: on a Dask cluster over TCP whose machines share no disk, and on SLURM."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import warnings
from threading import Timer

import dask
import pytest
import sleepers
import small_study
import yaml
from sleepers import Sleeper
from small_study import artifacts, assert_same, made, times

from cladec_utils.engine import clusters, grid, store
from cladec_utils.engine import slurm as slurm_jobs
from cladec_utils.engine.clusters import Place, computing_at
from cladec_utils.engine.spec import RECIPE
from cladec_utils.errors import CladecError

NEED = Sleeper(0)


class Tcp:
    """A Dask scheduler and workers as processes of their own, on the loopback."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.address = ""

    def run(self, part, *arguments, **environment):
        log = (self.folder / f"{part}-{len(self.processes)}.log").open("w")
        command = [sys.executable, "-c", f"from distributed.cli.dask_{part} import main; main()", *arguments]
        variables = os.environ | {"OMP_NUM_THREADS": "1"} | sleepers.environment(**environment)
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def scheduler(self, port=0):
        process = self.run("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        log = self.folder / f"scheduler-{len(self.processes) - 1}.log"
        while not (found := re.search(r"Scheduler at: +(tcp://\S+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        self.address = found[1]
        return process

    def worker(self, *arguments, **environment):
        """A worker that the scheduler knows."""
        options = ["--no-nanny", "--no-dashboard", "--local-directory", str(self.folder / "scratch")]
        threads = arguments or ("--nthreads", "1")
        process = self.run("worker", self.address, *threads, *options, **environment)
        log = self.folder / f"worker-{len(self.processes) - 1}.log"
        while "Registered to" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        return process

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def tcp(tmp_path):
    folder = tmp_path / "dask"
    folder.mkdir()
    cluster = Tcp(folder)
    yield cluster
    cluster.close()


def own_store(tmp_path, i):
    return {"CLADEC_ARTIFACTS": str(tmp_path / f"machine{i}" / "artifacts")}


def test_workers_without_a_common_disk_and_one_that_dies(tmp_path, tcp):
    """Artifacts come back through the scheduler, needs are delivered, a dead worker changes nothing."""
    tcp.scheduler()
    workers = [tcp.worker(**own_store(tmp_path, i)) for i in (1, 2)]
    mine = tmp_path / "mine"
    process = sleepers.start(mine, tcp.address)
    small_study.wait_for(process, mine, 4)
    workers[0].send_signal(signal.SIGKILL)
    printed = process.communicate()[0]
    assert process.returncode == 0, printed
    assert made(printed) == len(artifacts(mine)) == sleepers.COUNT
    # The surviving machine was given what it needed and made the rest.
    assert artifacts(tmp_path / "machine2").keys() <= artifacts(mine).keys()
    assert len(artifacts(tmp_path / "machine2")) > 4
    assert not list((mine / "artifacts").glob(".sharing-*"))


@pytest.mark.slow(instead="tests/test_clusters.py::test_workers_without_a_common_disk_and_one_that_dies")
def test_the_study_over_tcp(small_whole, tmp_path, tcp):
    """A real one: the results are the same bits and tables."""
    tcp.scheduler()
    for i in (1, 2):
        tcp.worker(**own_store(tmp_path, i))
    printed = small_study.finish(tmp_path / "mine", "--scheduler", tcp.address)
    assert made(printed) == len(artifacts(small_whole))
    assert_same(tmp_path / "mine", small_whole)


@pytest.mark.slow(instead="tests/test_clusters.py::test_workers_without_a_common_disk_and_one_that_dies")
def test_a_scheduler_that_goes_away_loses_only_the_task_in_hand(tmp_path, tcp):
    scheduler = tcp.scheduler()
    tcp.worker(**own_store(tmp_path, 1))
    mine = tmp_path / "mine"
    process = sleepers.start(mine, tcp.address)
    small_study.wait_for(process, mine, 5)
    scheduler.send_signal(signal.SIGKILL)
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 2 and "Traceback" not in printed
    assert re.search(r"The connection to the scheduler at tcp://\S+ was lost; \d+ of \d+ artifacts", printed)
    before = times(mine)
    tcp.scheduler()
    tcp.worker(**own_store(tmp_path, 1))
    again = sleepers.finish(mine, tcp.address)
    assert made(again) <= sleepers.COUNT - len(before)
    assert all(times(mine)[name] == written for name, written in before.items())
    assert len(artifacts(mine)) == sleepers.COUNT


def test_a_cluster_that_cannot_be_used_gets_a_sentence(folders, tcp, monkeypatch):
    monkeypatch.setattr(clusters, "PATIENCE", 1.0)

    def refused(address, sentence):
        with pytest.raises(CladecError, match=sentence), computing_at(Place(address)):
            grid.compute([NEED])
        assert not store.exists(NEED)

    refused("tcp://127.0.0.1:9", "No Dask scheduler answers at 'tcp://127.0.0.1:9'; start one with")
    refused("nonsense://here", "No Dask scheduler answers at 'nonsense://here'")
    tcp.scheduler()
    refused(tcp.address, "has no workers; start some with `dask worker ADDRESS --nthreads 1`")
    tcp.worker("--nthreads", "3")
    refused(tcp.address, "has 3 threads.*start it with --nthreads 1 --nworkers 3")


def test_another_version_is_refused(folders, monkeypatch):
    monkeypatch.setattr(clusters, "RECIPE", -1)
    monkeypatch.setattr(grid, "CLUSTER_WORTH", 0)
    monkeypatch.setenv("CLADEC_WORKERS", "2")
    with pytest.raises(CladecError, match=rf"another version of this package \(recipe {RECIPE}, here -1\)"):
        grid.compute([Sleeper(1), Sleeper(2)])


def test_what_arrives_damaged_is_not_kept(folders):
    store.get(NEED, progress=False)
    parcel = store.pack(NEED)
    whole = {name: bytes(content) for name, content in parcel.items()}
    shutil.rmtree(folders / "artifacts")
    for name in parcel:
        broken = {**whole, name: whole[name][:-9] + b"x" + whole[name][-8:]}
        with pytest.raises(CladecError, match="arrived damaged"):
            store.accept(NEED, broken)
        assert not store.exists(NEED) and not list((folders / "artifacts").glob(".partial*"))
    store.accept(NEED, whole)
    assert store.pack(NEED) == whole
    store.accept(NEED, {name: b"" for name in whole})  # there is one already
    assert store.pack(NEED) == whole


@pytest.mark.parametrize(
    ("visible", "count", "ours"),
    [
        (None, 2, ["0", "1"]),
        ("5, 7", 2, ["5", "7"]),
        ("GPU-ab,GPU-cd,GPU-ef", 3, ["GPU-ab", "GPU-cd", "GPU-ef"]),
        ("5", 0, []),
    ],
)
def test_the_gpus_that_are_ours(monkeypatch, visible, count, ours):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    assert clusters._gpus() == ours


def test_one_worker_per_gpu(monkeypatch):
    """Each worker sees one GPU of those that are ours; without any here, that is what they are told."""
    from dask.distributed import Client

    monkeypatch.setattr(clusters, "_gpus", lambda: ["5", "GPU-ab", "7"])
    with clusters._local(2) as cluster, Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        seen = client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
        assert sorted(seen.values()) == ["5", "GPU-ab"] and set(client.nthreads().values()) == {1}


def test_all_workers_leaving_is_said_and_then_raised(folders, tcp, monkeypatch, capsys):
    monkeypatch.setattr(grid, "LOOK", 0.2)
    monkeypatch.setattr(grid, "WITHOUT_WORKERS", 2.0)
    tcp.scheduler()
    worker = tcp.worker()

    def submit_and_lose_the_worker(cluster, todo):
        Timer(1, worker.kill).start()
        return {spec: cluster.client.submit(time.sleep, 600, key=spec.name) for spec in todo}

    monkeypatch.setattr(grid, "_submit", submit_and_lose_the_worker)
    with (
        pytest.raises(CladecError, match=r"no workers at the scheduler at tcp://\S+ for \d+ s; start some"),
        computing_at(Place(tcp.address)),
    ):
        grid.compute([NEED])
    assert capsys.readouterr().out.count("waiting for some ...") == 1


def test_a_damaged_need_is_made_anew_by_workers_with_another_store(folders, tcp, tmp_path):
    """It is neither sent nor does it stop the run: it is set aside, and a worker makes it again."""
    store.get(NEED, progress=False)
    sound = store.pack(NEED)[store.TENSORS]
    path = folders / "artifacts" / NEED.name / store.TENSORS
    path.write_bytes(sound[:-1] + b"x")
    tcp.scheduler()
    tcp.worker(**own_store(tmp_path, 1))
    needing = Sleeper(1, (NEED,))
    with computing_at(Place(tcp.address)):
        assert grid.compute([needing]) == [NEED, needing]
    assert path.read_bytes() == sound and store.find(needing)
    assert len(list((folders / "artifacts" / "damaged").iterdir())) == 1


class Jobs:
    """What a renewal asks of a SLURM cluster and of its client."""

    def __init__(self, *names):
        self.worker_spec = dict.fromkeys(names)
        self.here, self.asked = [], []

    def scheduler_info(self, n_workers):
        return {"workers": {f"tcp://{name}": {"name": name} for name in self.here}}

    def sync(self, function, *arguments):
        return function(*arguments)

    def scale_down(self, lost):
        self.asked.append(lost)

    def scale(self, jobs):
        self.asked.append(jobs)

    def _correct_state(self):
        raise RuntimeError("sbatch refuses for now")


def test_a_job_whose_workers_have_left_is_replaced():
    """Not one that waits in the queue, nor one of which a worker is left, nor at the first look."""
    jobs = Jobs("job-1", "job-2", "job-10")
    renewal = slurm_jobs.Renewal(jobs, 3)
    for here in (["job-1", "job-10-0", "job-10-1"], ["job-10-1"], ["job-1", "job-10-1"], ["job-10-1"]):
        jobs.here = here
        renewal.renew(jobs)
        assert jobs.asked == []
    renewal.renew(jobs)
    assert jobs.asked == [{"job-1"}, 3]
    renewal.renew(jobs)
    assert len(jobs.asked) == 2


# --- SLURM ---------------------------------------------------------------------------------------


@pytest.fixture
def script_of(folders, monkeypatch):
    """The job script with a user's jobqueue.yaml, and the environment in which it would start its worker."""

    usual = list(dask.config.paths)

    def script_of(folder, configured):
        monkeypatch.setenv("CLADEC_ARTIFACTS", str(folder / "artifacts"))
        (folder / "jobqueue.yaml").write_text(yaml.safe_dump({"jobqueue": {"slurm": configured}}))
        dask.config.paths[:] = [str(folder)]
        job = slurm_jobs.cluster_class().job_cls  # dask-jobqueue's own defaults are there from here on
        dask.config.refresh()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # names of before
            options = slurm_jobs.options()
            scheduler = options.pop("scheduler_options")
            script = job("tcp://10.0.0.1:1", name="job-1", **options).job_script()
        *head, worker = script.rstrip("\n").splitlines()
        run = ["bash", "-c", "\n".join([*head, "env"])]
        printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
        said = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
        return head, worker, said, scheduler

    yield script_of
    dask.config.paths[:] = usual
    dask.config.refresh()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("env-extra", ["export SITE=here"], "export SITE=here"),
        ("env_extra", ["module load cuda", "export SITE=here"], "module load cuda"),
        ("job-script-prologue", ["export SITE=here"], "export SITE=here"),
        ("job-script-prologue", "export SITE=here", "export SITE=here"),
        ("job-extra", ["--gres=gpu:1"], "#SBATCH --gres=gpu:1"),
        ("job-extra-directives", ["--gres=gpu:1"], "#SBATCH --gres=gpu:1"),
        ("walltime", "03:00:00", "#SBATCH -t 03:00:00"),
        ("walltime", "00:30:00", "#SBATCH -t 00:30:00"),
        ("memory", "7GiB", "#SBATCH --mem=7G"),
        ("queue", "long", "#SBATCH -p long"),
        ("account", "mine", "#SBATCH -A mine"),
        ("log-directory", "LOGS", "#SBATCH -o LOGS/dask-worker-%J.out"),
        ("shebang", "#!/bin/sh -l", "#!/bin/sh -l"),
        ("extra", ["--preload", "x"], "--preload x"),
        ("worker-extra-args", ["--preload", "x"], "--preload x"),
        ("python", "/usr/bin/nice python", "/usr/bin/nice python -m"),
        ("interface", "lo", "--interface lo"),
    ],
)
def test_what_a_user_configures_reaches_the_job(folders, script_of, name, value, line):
    value, line = (str(folders / "logs") if v == "LOGS" else v for v in (value, line))
    head, worker, said, _ = script_of(folders, {name: value})
    line = line.replace("LOGS", str(folders / "logs"))
    assert line in head or line in worker
    assert said["CLADEC_ARTIFACTS"] == str(folders / "artifacts")
    if name not in ("walltime",):
        assert "#SBATCH -t 12:00:00" in head  # ours, and not dask-jobqueue's half hour
    if name not in ("memory",):
        assert "#SBATCH --mem=4G" in head


@pytest.mark.parametrize(
    ("configured", "lines"),
    [
        (
            {"env-extra": ["export A=1"], "job-script-prologue": ["export B=$A"]},
            ["export A=1", "export B=$A"],
        ),
        ({"env_extra": "export A=1", "job_script_prologue": "export B=2"}, ["export A=1", "export B=2"]),
        ({"env-extra": ["export A=1"], "job-script-prologue": []}, ["export A=1"]),
        ({"env-extra": "export A=1\nexport B=2"}, ["export A=1", "export B=2"]),
        ({"job-extra": "--gres=gpu:1"}, ["#SBATCH --gres=gpu:1"]),
        ({"job-extra-directives": "--gres=gpu:1"}, ["#SBATCH --gres=gpu:1"]),
        ({"job-extra": ["--a=1"], "job-extra-directives": ["--b=1"]}, ["#SBATCH --a=1", "#SBATCH --b=1"]),
        (
            {"cores": "4", "processes": "4", "memory": "8GB"},
            ["#SBATCH --cpus-per-task=4", "#SBATCH --mem=8G"],
        ),
    ],
)
def test_names_of_before_and_texts_are_read_as_they_are_meant(folders, script_of, configured, lines):
    head, *_ = script_of(folders, configured)
    assert [line for line in head if line in lines] == lines
    short = {line for line in head if line.startswith("#SBATCH") and len(line) < len("#SBATCH -x 1")}
    assert not short, "a text was split into its letters"


@pytest.mark.parametrize("configured", [{"extra": "--preload x"}, {"worker-extra-args": "--preload x"}])
def test_what_workers_are_told_may_be_a_text(folders, script_of, configured):
    assert "--preload x" in script_of(folders, configured)[1]


def test_directives_that_are_left_out_may_be_a_text(folders, script_of):
    head, *_ = script_of(folders, {"header-skip": "--mem"})
    assert "#SBATCH -n 1" in head and not [line for line in head if "--mem" in line]


@pytest.mark.parametrize(
    ("configured", "sentence"),
    [
        (
            {"env-extra": {"A": 1}},
            "says {'A': 1} for jobqueue.slurm.env-extra; it must be a text or a list of",
        ),
        ({"env-extra": [{"A": 1}]}, r"says \[{'A': 1}\] for jobqueue.slurm.env-extra.*such as .'export A=1'"),
        ({"job-script-prologue": [1, 2]}, r"says \[1, 2\] for jobqueue.slurm.job-script-prologue"),
        ({"job-extra": {"--gres": "gpu:1"}}, "for jobqueue.slurm.job-extra; .*such as .'--gres=gpu:1'"),
        ({"extra": 3}, "says 3 for jobqueue.slurm.extra"),
        ({"cores": "four"}, "says 'four' for jobqueue.slurm.cores; it must be a whole number from 1 up"),
        ({"cores": 1.5}, "says 1.5 for jobqueue.slurm.cores"),
        ({"processes": -1}, "says -1 for jobqueue.slurm.processes"),
        ({"processes": [1]}, r"says \[1\] for jobqueue.slurm.processes"),
        ({"cores": "2"}, "asks for 1 processes on 2 cores"),
    ],
)
def test_a_configuration_of_the_wrong_kind_gets_a_sentence(folders, script_of, configured, sentence):
    with pytest.raises(CladecError, match=sentence):
        script_of(folders, configured)


TABBED = b"jobqueue:\n\tslurm:\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TABBED, "cannot start any token"),
        ("jobqueue:\n  slurm:\n    cores: 1\n".encode("utf-16"), "can't decode byte"),
        (b"- 1\n", "must have a dict as the top level"),
        (b"a: [1\n", "expected"),
        (b"a: \xff\n", "can't decode byte"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(tmp_path, content, words):
    """By every command that computes, as Dask reads it when it is imported."""
    (tmp_path / "jobqueue.yaml").write_bytes(content)
    command = [sys.executable, "-m", "cladec_utils", "explain", "--profile", "smoke"]
    if content != TABBED:  # of the others only the import, as a whole command takes seconds
        command = [sys.executable, "-c", "import cladec_utils.engine.dasks"]
    variables = os.environ | {"DASK_CONFIG": str(tmp_path), "CLADEC_ARTIFACTS": str(tmp_path / "artifacts")}
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    said = found.stderr.strip().splitlines()[-1]
    assert found.returncode == (2 if content == TABBED else 1) and found.stdout == ""
    assert content != TABBED or found.stderr.strip() == said
    start = re.escape(f": Dask's configuration {tmp_path}/jobqueue.yaml cannot be read (")
    assert re.search(f"{start}.*{words}.*save it as UTF-8, spaces and no tabs", said)


def test_options_of_the_scheduler_are_added_to_ours(folders, script_of):
    for configured, wanted in (
        ({}, {"dashboard_address": slurm_jobs.ANY_PORT}),
        ({"port": 8786}, {"dashboard_address": slurm_jobs.ANY_PORT, "port": 8786}),
        ({"dashboard_address": ":8787"}, {"dashboard_address": ":8787"}),
    ):
        assert script_of(folders, {"scheduler-options": configured})[3] == wanted


@pytest.mark.parametrize(
    "name", ["a b", "it's", 'say "so"', "$HOME", "a;b&c", "100%", "back\\slash", "`id`", "é"]
)
def test_any_path_of_a_store_is_the_same_in_a_job(folders, script_of, monkeypatch, name):
    """Without changes in the shell, which the job script goes through, or in SLURM's lines."""
    (folders / name).mkdir()
    monkeypatch.setattr(sys, "executable", str(folders / name / "python"))
    head, worker, said, _ = script_of(folders / name, {})
    assert said["CLADEC_ARTIFACTS"] == str(folders / name / "artifacts")
    assert shlex.split(worker)[:2] == [sys.executable, "-m"]
    [log] = [line for line in head if line.startswith("#SBATCH -o")]
    [path] = shlex.split(log.removeprefix("#SBATCH -o "))
    assert path.replace("%%", "%") == f"{folders / name}/artifacts/.slurm/dask-worker-%J.out"


SLURM = """
ClusterName=test
SlurmctldHost=localhost
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
NodeName=localhost CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=test Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A real SLURM with this machine as its only node, in a folder of its own."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("sbatch", "slurmctld", "slurmd", "munged"))):
        pytest.skip("needs root and Debian's slurm-wlm and munge")
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    text = SLURM.format(folder=folder, cores=os.cpu_count(), memory=memory // 2)
    (folder / "slurm.conf").write_text(text)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    munge = [f"--{part}-file={folder}/munge.{part}" for part in ("key", "pid", "log", "seed")]
    commands = [
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge],
        ["slurmctld", "-D", "-f", str(folder / "slurm.conf")],
        ["slurmd", "-D", "-f", str(folder / "slurm.conf"), "-N", "localhost"],
    ]
    running = []
    for command in commands:
        log = (folder / f"{command[0]}.out").open("w")
        running.append(subprocess.Popen(command, stdout=log, stderr=log))
        time.sleep(1)
    deadline = time.monotonic() + 60
    while "idle" not in subprocess.run(["sinfo", "-h"], capture_output=True, text=True, check=False).stdout:
        logs = "\n".join(f.read_text()[-500:] for f in folder.glob("*.log"))
        assert time.monotonic() < deadline, logs
        time.sleep(0.5)
    yield folder
    subprocess.run(["scancel", "--user=root"], check=False)
    time.sleep(1)
    for process in reversed(running):
        process.terminate()
        process.wait()


@pytest.mark.slow(instead="tests/test_clusters.py::test_a_job_whose_workers_have_left_is_replaced")
def test_the_study_on_slurm(small_whole, tmp_path, slurm):
    """Two jobs; one is killed in the middle, as a pre-emption would, then both end: others replace them. The
    results are the same bits."""
    mine = tmp_path / "it's mine"
    config = {"DASK_JOBQUEUE__SLURM__MEMORY": "2GB", "DASK_JOBQUEUE__SLURM__INTERFACE": "lo"}
    config["DASK_JOBQUEUE__SLURM__ENV_EXTRA"] = f"['touch {tmp_path}/old-name']"
    process = small_study.start(mine, "--slurm", "2", **config)
    small_study.wait_for(process, mine, 4)
    jobs = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True, check=True).stdout
    assert len(jobs.split()) == 2
    subprocess.run(["scancel", "--signal=KILL", "--full", jobs.split()[0]], check=True)
    small_study.wait_for(process, mine, 6)
    subprocess.run(["scancel", *jobs.split()], check=True)  # as at their time limit; others take their place
    printed = process.communicate()[0]
    assert process.returncode == 0, printed
    assert "waiting for SLURM" in printed and made(printed) == len(artifacts(small_whole))
    assert_same(mine, small_whole)
    assert (tmp_path / "old-name").exists() and list(mine.glob("artifacts/.slurm/dask-worker-*.err"))


def test_slurm_that_is_not_there_gets_a_sentence(folders, monkeypatch):
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    with pytest.raises(CladecError, match="There is no SLURM here: no sbatch"), computing_at(Place(slurm=1)):
        grid.compute([NEED])
