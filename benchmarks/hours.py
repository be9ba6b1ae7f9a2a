"""How many hours a profile takes, before it is started: an estimate per kind of artifact.

Every kind of training is begun, for FEW and for MANY updates and on SOME images, in one thread: their
difference is what an update costs, and the rest, in proportion to the images, what a training costs anyway.
What measures networks is made once with such short-trained ones. Nothing is kept. Seconds are those of the
processor, and there are more of them beside other work on the same cores.

    python benchmarks/hours.py standard            prints a table and writes hours_standard.csv
"""

import argparse
import dataclasses
import os
import tempfile
import time
from pathlib import Path
from unittest import mock

import pandas as pd
import torch
from common import machine

from cladec_utils.app import plan, series
from cladec_utils.claims import required
from cladec_utils.data.datasets import DataSpec
from cladec_utils.engine import store
from cladec_utils.engine.spec import Spec, closure
from cladec_utils.models.training import TrainSpec
from cladec_utils.study import neurons
from cladec_utils.study.study import Study

FEW, MANY = 4, 44
BEGIN = 8
"""Updates that what an artifact needs is trained for."""
SOME = 2000


def short(value: object, updates: int) -> object:
    """A spec with all trainings in it cut to so many updates, on SOME images."""
    if isinstance(value, DataSpec):
        return dataclasses.replace(value, n_train=min(SOME, value.n_train), n_val=min(SOME // 4, value.n_val))
    if isinstance(value, TrainSpec):
        return dataclasses.replace(value, epochs=None, updates=updates)
    if isinstance(value, tuple):
        return tuple(short(each, updates) for each in value)
    if not isinstance(value, Spec):
        return value
    fields = {f.name: short(getattr(value, f.name), updates) for f in dataclasses.fields(value) if f.init}
    return type(value)(**fields)


def group(spec: Spec) -> tuple[object, ...]:
    """What decides how long an artifact takes: all but seeds and which neurons."""
    of = getattr(spec, "subject", None) or spec
    network = getattr(of, "classifier", of)
    architecture = getattr(spec, "architecture", getattr(network, "architecture", ""))
    facts = [spec.kind, architecture, getattr(of, "layer", "")]
    facts += [getattr(of, "alpha", 0.0) > 0, getattr(spec, "n_train", None), getattr(spec, "control", None)]
    facts += [getattr(spec, "split", ""), type(getattr(spec, "subject", None)).__name__]
    facts += [bool(getattr(spec, name, None)) for name in ("judge", "fewer", "panel")]
    return (*facts, getattr(spec, "train", None), data_of(spec).dataset if data_of(spec) else "")


def data_of(spec: Spec) -> DataSpec | None:
    """The first data set that a spec is about."""
    found = [value for value in vars(spec).values() if isinstance(value, DataSpec)]
    return found[0] if found else next((d for s in spec.needs() if (d := data_of(s))), None)


def seconds(spec: Spec) -> float:
    """The seconds that one artifact takes."""
    for need in closure(list(short(spec, BEGIN).needs())):
        store.get(need, progress=False)
    train = getattr(spec, "train", None)
    if not isinstance(train, TrainSpec) or spec.kind in ("evaluation", "own-classifier", "randomised"):
        return timed(short(spec, BEGIN))
    n = getattr(spec, "n_train", None) or data_of(spec).n_train
    few, many = (timed(dataclasses.replace(short(spec, BEGIN), train=short(train, u))) for u in (FEW, MANY))
    each = max(0.0, many - few) / (MANY - FEW)
    return max(0.0, few - FEW * each) * max(1.0, n / SOME) + each * train.length(n)


def timed(spec: Spec) -> float:
    """The CPU seconds of making an artifact whose needs are there."""
    begin = time.process_time()
    spec.make(progress=False)
    return time.process_time() - begin


def everything(profile: str) -> list[Spec]:
    """All specs of `cladec study` with a profile; for the most important neurons, which a trained classifier
    names, the first ones stand."""

    def first(study: Study, layer: str, *_: object, **__: object) -> range:
        return range(neurons.count(study, layer))

    chosen = plan.combinations(None, None, {"profile": profile})
    with mock.patch.object(neurons, "ranked", first):
        specs = [spec for each in chosen for spec in required.plan(each.study, each.full).evaluations]
    for each in chosen:
        if each.full:
            specs += plan._for_notebooks(each, {path.stem for path in series.series()})
    return list(closure(specs))


def main() -> None:
    """Time one artifact of each group, print and write the sums."""
    parser = argparse.ArgumentParser()
    parser.add_argument("profile")
    profile = parser.parse_args().profile
    torch.set_num_threads(1)
    groups: dict[tuple[object, ...], list[Spec]] = {}
    for spec in everything(profile):
        groups.setdefault(group(spec), []).append(spec)
    print(f"{sum(map(len, groups.values()))} artifacts of {len(groups)} groups", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CLADEC_ARTIFACTS"] = folder
        for facts, specs in groups.items():
            each = seconds(specs[0])
            where = {"kind": facts[0], "architecture": facts[1], "layer": facts[2], "data": facts[-1]}
            rows.append(
                {**where, "example": specs[0].label(), "count": len(specs), "seconds": round(each, 1)}
            )
            rows[-1]["hours"] = round(each * len(specs) / 3600, 3)
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).assign(machine=machine())
    table.to_csv(Path(__file__).with_name(f"hours_{Path(profile).stem}.csv"), index=False)
    print(table.groupby("kind")[["count", "hours"]].sum(), f"\n{table['hours'].sum():.1f} hours of one core")


if __name__ == "__main__":
    main()
