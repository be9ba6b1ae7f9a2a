"""`cladec study` killed at any moment and started again: nothing is repeated, nothing differs."""

import os
import random
import signal
import time
from pathlib import Path

import nbformat
import pytest
import small_study
from small_study import alive, artifacts, assert_none_alive, assert_same, finish, made, start, times

from cladec_utils import open_study
from cladec_utils.claims import evidence
from cladec_utils.engine import store
from cladec_utils.engine.spec import closure

pytestmark = pytest.mark.skipif(small_study.NEEDS_PROC, reason="needs /proc to find the processes of a study")
KILLS = 20


@pytest.fixture(autouse=True)
def interruptible():
    # A shell's background jobs ignore Ctrl-C and would hand that down to the study.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


def strike(process, folder, kind):
    """Send one kind of blow; returns whether the study must end by it."""
    if kind == "kill a worker":
        for victim in of_kind(folder, "spawn_main")[:1]:
            os.kill(victim, signal.SIGKILL)
        return False
    if kind == "kill the kernel":
        for victim in of_kind(folder, "ipykernel"):
            os.kill(victim, signal.SIGKILL)
        return False
    number = {"kill": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "terminate": signal.SIGTERM}[kind]
    process.send_signal(number)
    return True


def test_killed_at_twenty_random_moments(small_whole, tmp_path):
    """One study, struck again and again; each time it is started anew and goes on where it was."""
    moments = random.Random(20)
    kinds = ["kill", "kill a worker", "kill the kernel", "terminate", "Ctrl-C"] * (KILLS // 5)
    moments.shuffle(kinds)
    total = 0
    for kind in kinds:
        before = times(tmp_path)
        process = start(tmp_path)
        deadline = time.monotonic() + moments.uniform(1.0, 8.0)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        ended = process.poll() is None and strike(process, tmp_path, kind)
        if not ended and process.poll() is None:
            process.send_signal(signal.SIGKILL)  # go on from here, whatever the blow did
        printed = process.communicate(timeout=60)[0]
        if ended and kind in ("terminate", "Ctrl-C") and process.returncode == 130:
            assert "what was finished is kept" in printed
        assert_none_alive(tmp_path)
        after = times(tmp_path)
        assert all(after[name] == written for name, written in before.items()), kind
        total += made(printed)
    last = finish(tmp_path)
    # What was made is counted when its line is printed, which a blow may prevent by a moment.
    assert total + made(last) <= len(artifacts(small_whole))
    assert_same(tmp_path, small_whole)


@pytest.mark.parametrize("kind", ["terminate", "Ctrl-C"])
def test_a_stopped_study_says_what_is_kept(small_whole, tmp_path, kind):
    process = start(tmp_path)
    small_study.wait_for(process, tmp_path, 3)
    strike(process, tmp_path, kind)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and "what was finished is kept" in printed
    assert "Traceback" not in printed
    assert_none_alive(tmp_path)


def test_a_dead_worker_costs_one_task(small_whole, tmp_path):
    """Dask starts another worker; the study goes on and ends as if nothing had been."""
    process = start(tmp_path)
    small_study.wait_for(process, tmp_path, 2)
    os.kill(of_kind(tmp_path, "spawn_main")[0], signal.SIGKILL)
    printed = process.communicate()[0]
    assert process.returncode == 0, printed
    assert made(printed) == len(artifacts(small_whole))
    assert_same(tmp_path, small_whole)


def test_a_dead_kernel_gets_a_sentence(small_whole, tmp_path):
    """The notebook's output does not appear, the study says what happened, and the next run ends well."""
    small_study.copy_store(small_whole, tmp_path)
    process = start(tmp_path)
    while not of_kind(tmp_path, "ipykernel"):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    time.sleep(1)
    strike(process, tmp_path, "kill the kernel")
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 1 and "02_reconstructions.ipynb" in printed and "Traceback" not in printed
    assert not list(tmp_path.glob("results/*/*/*/02_reconstructions.ipynb"))
    assert made(finish(tmp_path)) == 0
    assert_same(tmp_path, small_whole)


@pytest.mark.parametrize("kind", ["kill", "terminate", "Ctrl-C"])
def test_notebooks_side_by_side_end_with_their_study(small_whole, tmp_path, kind):
    """Two kernels, each below a worker: none outlives the study, and no half-written output stays."""
    small_study.copy_store(small_whole, tmp_path)
    small_study.environment(tmp_path)
    for stem in ("03_waits", "04_waits"):
        notebook = nbformat.read(tmp_path / "notebooks" / "02_reconstructions.ipynb", as_version=4)
        notebook.cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
        notebook.cells.append(nbformat.v4.new_code_cell("import time\ntime.sleep(60)"))
        notebook.metadata["cladec"] = {"seconds": 60}  # so they begin
        nbformat.write(notebook, tmp_path / "notebooks" / f"{stem}.ipynb")
    process = start(tmp_path)
    while len(of_kind(tmp_path, "ipykernel")) < 2:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    time.sleep(2)
    strike(process, tmp_path, kind)
    printed = process.communicate(timeout=60)[0]
    assert "3 notebooks to run, 2 at a time" in printed
    if kind != "kill":
        assert process.returncode == 130 and "what was finished is kept" in printed
        assert "Traceback" not in printed
    assert_none_alive(tmp_path)
    left = [p.name for p in tmp_path.glob("results/**/*.ipynb")]
    assert left == [] if kind != "kill" else all(name.startswith(".partial") for name in left)


def test_two_studies_at_once_on_one_store(small_whole, tmp_path):
    first, second = start(tmp_path), start(tmp_path)
    printed = [process.communicate()[0] for process in (first, second)]
    assert first.returncode == second.returncode == 0, printed
    assert_same(tmp_path, small_whole)


def test_a_clock_that_jumps_changes_nothing(small_whole, tmp_path):
    """Artifacts of the future and of long ago are neither made again nor doubted."""
    small_study.copy_store(small_whole, tmp_path)
    for i, record in enumerate(artifacts(tmp_path).values()):
        os.utime(record, (4e9, 4e9) if i % 2 else (1, 1))
    assert made(finish(tmp_path)) == 0
    assert_same(tmp_path, small_whole)


def test_every_kind_of_artifact_is_repaired(small_whole, tmp_path):
    """A byte flipped in each kind: said in one sentence, made again with the same bits, others untouched."""
    small_study.copy_store(small_whole, tmp_path)
    kinds = {name.rsplit("-", 1)[0]: name for name in artifacts(tmp_path)}
    untouched = {n: t for n, t in times(tmp_path).items() if n not in kinds.values()}
    for name in kinds.values():
        file = tmp_path / "artifacts" / name / "tensors.safetensors"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLADEC_ARTIFACTS", str(tmp_path / "artifacts"))
        study = open_study("smoke", architecture="vgg", layers=["logits"], seeds=[0])
        for spec in store_specs(study):
            store.get(spec, progress=False)
    after = times(tmp_path)
    assert all(after[name] == written for name, written in untouched.items())
    assert len(list((tmp_path / "artifacts" / "damaged").iterdir())) == len(kinds)
    for name in kinds.values():
        tensors = ("artifacts", name, "tensors.safetensors")
        assert tmp_path.joinpath(*tensors).read_bytes() == small_whole.joinpath(*tensors).read_bytes()


def store_specs(study):

    return list(closure(evidence.plan(study).evaluations))
