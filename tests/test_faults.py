"""`cladec study` killed in the middle and started again: nothing is repeated, nothing differs."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cladec_utils import config

COMMAND = [
    *(sys.executable, "-m", "cladec_utils.cli", "study", "--profile", "smoke"),
    *("--architecture", "vgg", "--layers", "logits", "--seeds", "0"),
]


def environment(folder):
    """A home with one notebook, and a store and results of its own."""
    (folder / "notebooks").mkdir(exist_ok=True)
    shutil.copy(config.home() / "notebooks" / "02_reconstructions.ipynb", folder / "notebooks")
    return os.environ | {
        "CLADEC_HOME": str(folder),
        "CLADEC_ARTIFACTS": str(folder / "artifacts"),
        "CLADEC_RESULTS": str(folder / "results"),
        "CLADEC_WORKERS": "2",
    }


def artifacts(folder):
    return {p.parent.name: p for p in folder.glob("artifacts/*-*/record.json") if "damaged" not in p.parts}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(COMMAND, env=environment(folder), check=True, capture_output=True)
    return folder


def alive(folder):
    """Processes that were started for this folder and are still there."""
    found = []
    for process in os.listdir("/proc"):
        if process.isdecimal():
            try:
                content = Path(f"/proc/{process}/environ").read_bytes()
            except OSError:
                continue
            if str(folder / "artifacts").encode() in content:
                found.append(int(process))
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc to find the processes of a study")
@pytest.mark.parametrize(("after", "number"), [(2, signal.SIGKILL), (9, signal.SIGKILL), (15, signal.SIGINT)])
def test_killed_and_resumed(undisturbed, tmp_path, after, number):
    # A shell's background jobs ignore Ctrl-C and would hand that down to the study.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        COMMAND,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while len(artifacts(tmp_path)) < after:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    process.send_signal(number)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert number != signal.SIGINT or "what was finished is kept" in printed
    deadline = time.monotonic() + 20
    while alive(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive(tmp_path), "the killed study left processes behind"

    finished = {n: p.stat().st_mtime_ns for n, p in artifacts(tmp_path).items()}
    resumed = subprocess.run(COMMAND, env=environment(tmp_path), check=True, capture_output=True, text=True)
    whole = artifacts(undisturbed)
    made = re.findall(r"^\[\d+/\d+\] .* \(\d+\.\d s\)", resumed.stdout, re.MULTILINE)
    assert len(made) == len(whole) - len(finished)
    assert all(artifacts(tmp_path)[n].stat().st_mtime_ns == t for n, t in finished.items())
    assert artifacts(tmp_path).keys() == whole.keys()
    for name, record in artifacts(tmp_path).items():
        tensors = record.with_name("tensors.safetensors")
        assert tensors.read_bytes() == whole[name].with_name("tensors.safetensors").read_bytes()
    tables = [
        f / "results" / "smoke" / "fashion-mnist-vgg" / "reconstructions.csv" for f in (tmp_path, undisturbed)
    ]
    assert tables[0].read_bytes() == tables[1].read_bytes()
