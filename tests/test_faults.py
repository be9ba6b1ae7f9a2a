"""Studies killed at any moment and started again: nothing is repeated, nothing differs.

What is struck here are mostly specs that sleep (see `sleepers`): real processes, signals and stores.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import sleepers
import small_study
from small_study import alive, artifacts, assert_none_alive, assert_same, made, times

from cladec_utils.engine import grid, store

pytestmark = pytest.mark.skipif(small_study.NEEDS_PROC, reason="needs /proc to find the processes of a study")
KILLS = 20


@pytest.fixture(autouse=True)
def interruptible():
    # A shell's background jobs ignore Ctrl-C and would hand that down to the study.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def slept(folders, tmp_path_factory, monkeypatch):
    """The folder of sleepers that nobody disturbed, made in this process."""
    folder = tmp_path_factory.mktemp("slept")
    monkeypatch.setenv("CLADEC_ARTIFACTS", str(folder / "artifacts"))
    grid.compute(sleepers.plan(), lines=True)
    return folder


def of_kind(folder, word):
    """Living processes of a study whose command line has a word in it."""
    found = []
    for process in alive(folder):
        try:
            if word in Path(f"/proc/{process}/cmdline").read_text():
                found.append(process)
        except OSError:
            continue
    return found


SIGNALS = {"kill": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "terminate": signal.SIGTERM}


def strike(process, folder, kind):
    """Send one kind of blow; returns whether the study must end by it."""
    if kind == "kill a worker":
        for victim in of_kind(folder, "spawn_main")[:1]:
            os.kill(victim, signal.SIGKILL)
    elif kind == "kill the kernel":
        for victim in of_kind(folder, "ipykernel"):
            os.kill(victim, signal.SIGKILL)
    else:
        process.send_signal(SIGNALS[kind])
    return kind in SIGNALS


def test_struck_by_a_signal_and_a_dead_worker_nothing_is_made_twice(slept, tmp_path):
    """One run, started twice: it goes on where it was struck. A dead worker costs its task only: Dask starts
    another, and the run ends as if nothing had been."""
    total = 0
    for kind in ("terminate", "kill a worker"):
        before = times(tmp_path)
        process = sleepers.start(tmp_path)
        small_study.wait_for(process, tmp_path, len(before) + 2)
        ends = strike(process, tmp_path, kind)
        printed = process.communicate(timeout=120)[0]
        wanted = {"kill a worker": 0}.get(kind, 130)
        assert process.returncode == wanted and "Traceback" not in printed, printed
        assert_none_alive(tmp_path)
        after = times(tmp_path)
        assert all(after[name] == written for name, written in before.items()), kind
        assert (len(after) < sleepers.COUNT) == ends
        total += made(printed)
    # What was made is counted when its line is printed, which a blow may prevent by a moment.
    assert total <= sleepers.COUNT
    assert_same(tmp_path, slept)


@pytest.mark.slow(
    instead="tests/test_faults.py::test_struck_by_a_signal_and_a_dead_worker_nothing_is_made_twice"
)
def test_killed_at_twenty_random_moments(slept, tmp_path):
    """From before the first import to after the end, whatever the blow."""
    moments = random.Random(20)
    kinds = ["kill", "kill a worker", "terminate", "Ctrl-C"] * (KILLS // 4)
    moments.shuffle(kinds)
    total = 0
    for kind in kinds:
        before = times(tmp_path)
        process = sleepers.start(tmp_path, SLEEPERS_NAP="1")
        deadline = time.monotonic() + moments.uniform(0.5, 8.0)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        ended = process.poll() is None and strike(process, tmp_path, kind)
        if not ended and process.poll() is None:
            process.send_signal(signal.SIGKILL)  # go on from here, whatever the blow did
        printed = process.communicate(timeout=60)[0]
        assert_none_alive(tmp_path)
        after = times(tmp_path)
        assert all(after[name] == written for name, written in before.items()), kind
        total += made(printed)
    assert total + made(sleepers.finish(tmp_path)) <= sleepers.COUNT
    assert_same(tmp_path, slept)


@pytest.mark.slow(
    instead="tests/test_faults.py::test_struck_by_a_signal_and_a_dead_worker_nothing_is_made_twice"
)
def test_a_real_study_struck_once_by_every_blow(small_whole, tmp_path):
    """What is killed in the middle of trainings and of a notebook ends in the same bits and tables."""
    total = 0
    for kind in ("kill", "terminate", "Ctrl-C", "kill a worker"):
        before = times(tmp_path)
        process = small_study.start(tmp_path)
        small_study.wait_for(process, tmp_path, len(before) + 2)
        if not strike(process, tmp_path, kind):
            break
        printed = process.communicate(timeout=120)[0]
        if kind != "kill":
            assert process.returncode == 130 and "what was finished is kept" in printed
            assert "Traceback" not in printed
        assert_none_alive(tmp_path)
        after = times(tmp_path)
        assert all(after[name] == written for name, written in before.items()), kind
        total += made(printed)
    # The last one goes on to the notebooks, and there the kernel dies: that gets a sentence.
    while not of_kind(tmp_path, "ipykernel"):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    time.sleep(1)
    strike(process, tmp_path, "kill the kernel")
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 1 and "02_reconstructions.ipynb" in printed and "Traceback" not in printed
    assert not list(tmp_path.glob("results/*/*/*/02_reconstructions.ipynb"))
    assert_none_alive(tmp_path)
    assert total + made(printed) <= len(artifacts(small_whole)) == len(artifacts(tmp_path))
    assert made(small_study.finish(tmp_path)) == 0
    assert_same(tmp_path, small_whole)


WAITS = "import time\ntime.sleep(60)"
SERIES = """
import signal
from cladec_utils import open_study
from cladec_utils.app import series
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    series.run_series(open_study("smoke"), {"profile": "smoke"})
except KeyboardInterrupt:
    raise SystemExit(130)
"""


@pytest.mark.parametrize(
    "kind",
    [
        "kill",
        pytest.param(
            "terminate",
            marks=pytest.mark.slow(
                instead="tests/test_faults.py::test_notebooks_side_by_side_end_with_their_study"
            ),
        ),
    ],
)
def test_notebooks_side_by_side_end_with_their_study(tmp_path, kind):
    """Two kernels, each below a worker: none outlives the study, and no half-written output stays."""
    small_study.small_series(tmp_path, first=WAITS, second=WAITS)
    process = small_study.start(tmp_path, command=(sys.executable, "-c", SERIES))
    while len(of_kind(tmp_path, "ipykernel")) < 2:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    time.sleep(2)
    strike(process, tmp_path, kind)
    printed = process.communicate(timeout=60)[0]
    assert "2 notebooks to run, 2 at a time" in printed
    assert process.returncode == (130 if kind == "terminate" else -signal.SIGKILL), printed
    assert_none_alive(tmp_path)
    left = [p.name for p in tmp_path.glob("results/**/*.ipynb")]
    assert left == [] if kind != "kill" else all(name.startswith(".partial") for name in left)


@pytest.mark.slow(
    instead="tests/test_faults.py::test_struck_by_a_signal_and_a_dead_worker_nothing_is_made_twice"
)
def test_two_runs_at_once_on_one_store(slept, tmp_path):
    """Each artifact is made by one of them."""
    runs = [sleepers.start(tmp_path), sleepers.start(tmp_path)]
    printed = [process.communicate()[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], printed
    assert_same(tmp_path, slept)


def test_a_clock_that_jumps_changes_nothing(slept):
    """Artifacts of the future and of long ago are neither made again nor doubted."""
    for i, record in enumerate(artifacts(slept).values()):
        os.utime(record, (4e9, 4e9) if i % 2 else (1, 1))
    before = times(slept)
    assert len(before) == sleepers.COUNT and grid.compute(sleepers.plan()) == []
    assert all(not store.get(spec).fresh for spec in sleepers.plan()) and times(slept) == before
