"""A study of specs that only sleep, as a process of its own: what the engine does when that is killed.

It knows no networks, so that a start takes hardly longer than importing torch and Dask.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import small_study
import torch

from cladec_utils.engine import clusters, grid
from cladec_utils.engine.spec import Made, Spec
from cladec_utils.errors import CladecError

COUNT = 15
NAP = "SLEEPERS_NAP"


@dataclass(frozen=True)
class Sleeper(Spec):
    """How long it sleeps is no part of the spec, as what comes of it is the same."""

    kind: ClassVar[str] = "sleeper"
    number: int
    after: tuple["Sleeper", ...] = ()

    def needs(self):
        return self.after

    def label(self):
        return f"sleeper {self.number}"

    def make(self, progress):
        time.sleep(float(os.environ.get(NAP, "0")))
        return Made({"x": torch.full((1000,), float(self.number))})


def plan(count=COUNT):
    """A tree: each but the first needs another, and several can sleep at once."""
    made = [Sleeper(0)]
    for i in range(1, count):
        made.append(Sleeper(i, (made[(i - 1) // 2],)))
    return made


def main():
    """Make the plan as `cladec study` would, here or at a scheduler; Ctrl-C and SIGTERM end it with 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with clusters.computing_at(clusters.Place(*sys.argv[1:])):
            grid.compute(plan(), lines=True)
    except CladecError as error:
        print(f"cladec: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def environment(**changes):
    """So that processes find this module, and naps are long enough to be struck in."""
    folders = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(folders), NAP: "0.4", **changes}


def start(folder, *arguments, **changes):
    """As `small_study.start`; `arguments` is the address of a scheduler, or nothing."""
    command = (sys.executable, "-c", "import sleepers; sleepers.main()")
    return small_study.start(folder, *arguments, command=command, **environment(**changes))


def finish(folder, *arguments, **changes):
    """Run the plan to its end; returns what was printed."""
    return small_study.printed_by(start(folder, *arguments, **changes))
