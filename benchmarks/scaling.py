"""How the cost of a study grows: with workers, images, image size and the number of specs.

`python benchmarks/scaling.py` writes `scaling.csv` and `scaling.png`. Every row is a grid of trainings of
the quick profile's networks, from an empty store to a full one. "workers" rows count the trainings alone,
from the first that starts to the last that ends on workers that are already there, so that they show how
trainings scale; "start" is what a cluster takes to be ready, once per study. They are measured several times
in turn, so that a busy moment of the machine does not fall on one number of workers; compare medians.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
from common import FOLDER, write

from cladec_utils.data import datasets
from cladec_utils.data.datasets import data_spec
from cladec_utils.engine import clusters, grid, paths, progress
from cladec_utils.engine.clusters import Place, computing_at
from cladec_utils.engine.spec import Spec
from cladec_utils.study.classifiers import ClassifierSpec
from cladec_utils.study.explainers import ClaDecSpec, RefAESpec
from cladec_utils.study.profiles import get_profile

QUICK = get_profile("quick")
WORKER_TRAININGS = 32
"""For the rows of "workers"; with few, the wait for the last one counts too much. A study has more."""
TURNS = 5


def trainings(count: int, images: int = 1500, side: int = 32) -> list[Spec]:
    """As many decoders, ClaDec and RefAE in turn, as a quick study trains, of one classifier."""
    data = data_spec("fashion-mnist", images, 0, 500, side)
    classifier = ClassifierSpec(data, "vgg", QUICK.width, QUICK.classifier, 0)
    train = replace(QUICK.decoder, epochs=3)
    pairs = [
        (
            ClaDecSpec(classifier, "block4", train, seed),
            RefAESpec(data, "vgg", QUICK.width, "block4", train, seed),
        )
        for seed in range(-(-count // 2))
    ]
    return [spec for pair in pairs for spec in pair][:count]


def timed(plan: Sequence[Spec], workers: int) -> tuple[float, float]:
    """Seconds until workers are there, and from then until everything is made; the classifier is before."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"CLADEC_ARTIFACTS": folder, "CLADEC_WORKERS": str(workers)}
        grid.compute([need for spec in plan for need in spec.needs()])
        with computing_at(Place()):
            start = time.perf_counter()
            with clusters.cluster(workers) as cluster:
                cluster.client.run(_warm)  # torch is imported, the images are in memory
            ready = time.perf_counter()
            grid._compute_on(
                cluster, grid.missing(plan), progress.Progress(grid.missing(plan), False, workers)
            )
            return ready - start, time.perf_counter() - ready


def _warm() -> None:

    datasets.load(data_spec("fashion-mnist", 1500, 0, 500, 32))


def main() -> None:
    """Measure and plot."""
    rows = []
    counts = [n for n in (1, 2, 4, 8, 16) if n <= paths.workers()]
    for workers in counts * TURNS:
        started, took = timed(trainings(WORKER_TRAININGS), workers)
        rows.append({"varied": "workers", "value": workers, "seconds": took})
        rows.append({"varied": "start", "value": workers, "seconds": started})
    cores = paths.workers()
    for varied, values in {"specs": (4, 8, 16), "images": (750, 1500, 3000), "side": (16, 32, 64)}.items():
        for value in values:
            options = {} if varied == "specs" else {"side" if varied == "side" else "images": value}
            plan = trainings(value if varied == "specs" else 8, **options)
            rows.append({"varied": varied, "value": value, "seconds": timed(plan, cores)[1]})
    plot(write("scaling", rows))


def plot(table: pd.DataFrame) -> None:
    """Seconds over what is varied; a line through the medians."""
    names = ["workers", "specs", "images", "side"]
    figure, axes = plt.subplots(1, len(names), figsize=(11, 3), layout="constrained")
    for axis, name in zip(axes, names, strict=True):
        mine = table[table["varied"] == name]
        middle = mine.groupby("value")["seconds"].median()
        axis.plot(middle.index, middle, color="#35608d")
        axis.plot(mine["value"], mine["seconds"], "o", color="#35608d", alpha=0.6)
        axis.set_xticks(middle.index)
        axis.set(xlabel=name if name != "side" else "image side in pixels", ylabel="seconds", ylim=(0, None))
    figure.savefig(FOLDER / "scaling.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
