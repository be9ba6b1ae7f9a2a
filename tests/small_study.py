"""A small `cladec study` as a process of its own, for tests that kill it, spread it or compare it."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from cladec_utils.engine import paths

COMMAND = (
    *(sys.executable, "-m", "cladec_utils", "study", "--profile", "smoke"),
    *("--architecture", "vgg", "--layers", "logits", "--seeds", "0"),
)
NEEDS_PROC = not os.path.isdir("/proc/self")


def environment(folder, **changes):
    """A home with one notebook unless it has some, and a store and results of its own."""
    if not (folder / "notebooks").is_dir():
        (folder / "notebooks").mkdir(parents=True)
        shutil.copy(paths.home() / "notebooks" / "02_reconstructions.ipynb", folder / "notebooks")
    return os.environ | {
        "CLADEC_HOME": str(folder),
        "CLADEC_ARTIFACTS": str(folder / "artifacts"),
        "CLADEC_RESULTS": str(folder / "results"),
        "CLADEC_WORKERS": "2",
        **changes,
    }


def start(folder, *arguments, command=COMMAND, **changes):
    """The study as a process whose output, both streams, is piped."""
    return subprocess.Popen(
        [*command, *arguments],
        env=environment(folder, **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(folder, *arguments, **changes):
    """Run the study to its end; returns what it printed."""
    return printed_by(start(folder, *arguments, **changes))


def printed_by(process):
    """What a process that ends well prints."""
    printed = process.communicate()[0]
    assert process.returncode == 0, printed
    return printed


def small_series(folder, **sources):
    """A home with one notebook per source; the name of one that reads results begins with `reads`."""
    import nbformat  # here, as what is started imports this module, too

    from cladec_utils.app.execute import READS_RESULTS

    (folder / "notebooks").mkdir(parents=True)
    for i, (stem, source) in enumerate(sources.items()):
        cells = [nbformat.v4.new_code_cell("profile = None", metadata={"tags": ["parameters"]})]
        tags = [READS_RESULTS] if stem.startswith("reads") else []
        cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, folder / "notebooks" / f"{i:02}_{stem}.ipynb")


def copy_store(whole, folder):
    """Let the study in `folder` start with every artifact of a finished one."""
    shutil.copytree(whole / "artifacts", folder / "artifacts")


def artifacts(folder):
    """name -> record, of all finished artifacts."""
    return {p.parent.name: p for p in folder.glob("artifacts/*-*/record.json") if "damaged" not in p.parts}


def times(folder):
    """name -> when each finished artifact was written."""
    return {name: record.stat().st_mtime_ns for name, record in artifacts(folder).items()}


def made(printed):
    """How many artifacts a study says it has made."""
    return len(re.findall(r"^\[\d+/\d+\] .* \(\d+\.\d s\)", printed, re.MULTILINE))


def wait_for(process, folder, count):
    """Until the study has finished that many artifacts."""
    while len(artifacts(folder)) < count:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)


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


def assert_none_alive(folder):
    deadline = time.monotonic() + 20
    while alive(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive(folder), "the killed study left processes behind"


def assert_same(folder, whole):
    """The same artifacts and, where there are any, the same tables, bit for bit."""
    mine, theirs = artifacts(folder), artifacts(whole)
    assert mine.keys() == theirs.keys()
    for name, record in mine.items():
        tensors = record.with_name("tensors.safetensors")
        assert tensors.read_bytes() == theirs[name].with_name("tensors.safetensors").read_bytes()
    tables, others = (sorted(f.glob("results/smoke/*/reconstructions.csv")) for f in (folder, whole))
    assert [t.parent.name for t in tables] == [t.parent.name for t in others]
    assert all(t.read_bytes() == o.read_bytes() for t, o in zip(tables, others, strict=True))
