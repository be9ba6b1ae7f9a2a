"""How networks are trained under `quick` and `standard`: settings chosen by a rule, on validation images.

The rule, fixed before anything was run. All candidates get the **same CPU seconds** of one thread: those of
UPDATES updates of START, and as many updates of their own as fit into them, by the median of five alternated
ratios of what an update costs; so whatever costs more must be worth it. 12,000 training images of
Fashion-MNIST, the official shapes at quarter width, layer `block8`, three seeds; test images are never read.
Figures are on 2,000 validation images, in evaluation mode.

*Decoders.* One setting serves ClaDec and RefAE alike, so that neither is favoured. Three networks are
trained: RefAE and ClaDec at alpha 0 (validation MSE), ClaDec at alpha 0.9 (validation loss). A candidate's
score is the mean over the three of (its mean over seeds / the smallest such mean of any candidate in its
step): 1 is best in all three. A step goes through the values of one or two settings with all others as chosen
so far; the candidate with the smallest score wins, or of those within one per cent of it the first listed
(the simpler, or the lower rate). Steps: norm x learning rate; batch size x learning rate; warm-up; averaging.

*Classifiers.* Highest mean validation accuracy of `vgg`; among those within half a point, the first listed.

Run `python benchmarks/choose_settings.py`; the result is `choose_settings.csv` beside this file.
"""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from common import machine

from cladec_utils.data import datasets
from cladec_utils.data.datasets import data_spec
from cladec_utils.engine.paths import workers
from cladec_utils.models.autoencoders import ClaDec, RefAE
from cladec_utils.models.training import TrainSpec
from cladec_utils.study.classifiers import fit_network

LAYER, WIDTH, ALPHA, SEEDS = "block8", 0.25, 0.9, (0, 1, 2)
UPDATES = {"decoder": 752, "classifier": 750}
ALLOWED = 1.01
START = {
    "norm": "batch",
    "lr": 3e-3,
    "batch_size": 64,
    "warmup": 0.05,
    "schedule": "cosine",
    "averaging": 0.0,
}
NETWORKS = ("RefAE", "ClaDec", f"ClaDec alpha {ALPHA:g}")
STEPS = {
    "norm and rate": [
        *({"norm": "none", "lr": lr} for lr in (1e-3, 2e-3, 5e-3)),
        *({"norm": "batch", "lr": lr} for lr in (2e-3, 3e-3, 5e-3, 1e-2)),
    ],
    "batch and rate": [
        {},  # as chosen so far, batches of 64
        *({"batch_size": 128, "lr": lr} for lr in (3e-3, 5e-3, 1e-2)),
        *({"batch_size": 32, "lr": lr} for lr in (2e-3, 3e-3)),
    ],
    "warm-up": [{}, {"warmup": 0.0}, {"warmup": 0.15}],
    "averaging": [
        {},
        {"averaging": 0.99},
        {"averaging": 0.99, "schedule": "constant"},
    ],
}
CLASSIFIER = {"schedule": "step", "lr": 0.1, "batch_size": 128}
CLASSIFIERS = [
    {"schedule": schedule, "lr": lr, "batch_size": size}
    for schedule in ("step", "cosine")
    for size in (128, 64)
    for lr in (0.05, 0.1, 0.2)
]


@cache
def images(few: bool = False) -> datasets.Data:
    """12,000 training and 2,000 validation images; `few` to time updates on."""
    return datasets.load(data_spec("fashion-mnist", *((1000, 10) if few else (12000, 2000)), 10))


@cache
def classifier(seed: int) -> torch.nn.Module:
    """The classifier that ClaDec explains: eight epochs."""
    return fit_network("vgg", WIDTH, images(), TrainSpec(8, "sgd", 0.1, 1e-4, "cosine"), seed)[0]


def decode(setting: dict, network: str, seed: int, updates: int, few: bool = False) -> float:
    """Train one network for so many updates; its last validation figure."""
    options = {k: v for k, v in setting.items() if k != "norm"}
    training = TrainSpec(None, "adam", weight_decay=1e-5, updates=updates, **options)
    shared = {"width": WIDTH, "norm": setting["norm"]}
    explainer = (
        RefAE(classifier(seed), LAYER, **shared)
        if network == "RefAE"
        else ClaDec(classifier(seed), LAYER, alpha=ALPHA if "alpha" in network else 0.0, **shared)
    )
    data = images(few)
    explainer.fit(
        data.train.images, data.train.labels, training=training, seed=seed, threads=1, progress=False,
        validation=(data.val.images, data.val.labels),
    )  # fmt: skip
    return explainer.curves["val"][-1]


def classify(setting: dict, _network: str, seed: int, updates: int, few: bool = False) -> float:
    """Train a classifier for so many updates; its validation accuracy."""
    training = TrainSpec(None, "sgd", weight_decay=1e-4, updates=updates, **setting)
    return fit_network("vgg", WIDTH, images(few), training, seed)[1]["val"][-1]


def cost(job: tuple[dict, str, str]) -> float:
    """What an update costs in CPU seconds, as a multiple of an update of START (or CLASSIFIER): the median of
    five ratios of turns that alternate."""
    setting, network, kind = job
    torch.set_num_threads(1)
    train, start = (classify, CLASSIFIER) if kind == "classifier" else (decode, START)
    ratios = []
    for _ in range(5):
        took = []
        for candidate in (setting, start):
            spent = []
            for updates in (4, 16):  # their difference leaves out what a training costs anyway
                begin = time.process_time()
                train(candidate, network, 0, updates, few=True)
                spent.append(time.process_time() - begin)
            took.append(spent[1] - spent[0])
        ratios.append(took[0] / took[1])
    return statistics.median(ratios)


def trained(job: tuple[dict, str, int, int, str]) -> float:
    """The validation figure of one training."""
    setting, network, seed, updates, kind = job
    return (classify if kind == "classifier" else decode)(setting, network, seed, updates)


def step(
    pool: ProcessPoolExecutor, name: str, settings: list[dict], networks: tuple[str, ...], known: dict
) -> pd.DataFrame:
    """All candidates of one step, trained with every seed; `known` has what earlier steps have trained."""
    kind = "classifier" if networks == ("classifier",) else "decoder"
    pairs = [(s, n) for s in settings for n in networks if (str(s), n) not in known]
    each = list(pool.map(cost, [(*pair, kind) for pair in pairs]))
    jobs = [
        (s, n, seed, max(30, round(UPDATES[kind] / multiple)), kind)
        for (s, n), multiple in zip(pairs, each, strict=True)
        for seed in SEEDS
    ]
    for (s, n, seed, updates, _), value in zip(jobs, pool.map(trained, jobs), strict=True):
        known.setdefault((str(s), n), []).append({"seed": seed, "updates": updates, "validation": value})
    table = pd.DataFrame([
        {"step": name, "network": n, "candidate": i, **s, **row}
        for i, s in enumerate(settings) for n in networks for row in known[str(s), n]
    ])  # fmt: skip
    print(table.groupby(["candidate", "network"])["validation"].mean().unstack().round(5), flush=True)
    return table


def best_decoder(table: pd.DataFrame) -> int:
    """The number of the candidate that the rule takes."""
    means = table.groupby(["candidate", "network"])["validation"].mean().unstack()
    score = (means / means.min()).mean(axis=1)
    return int(score[score <= ALLOWED * score.min()].index[0])


def best_classifier(table: pd.DataFrame) -> int:
    """The number of the candidate that the rule takes."""
    means = table.groupby("candidate")["validation"].mean()
    return int(means[means >= means.max() - 0.005].index[0])


def main() -> None:
    """Go through the steps, print the choice and write the table after each."""
    tables, chosen, known = [], dict(START), {}
    with ProcessPoolExecutor(workers(), get_context("spawn")) as pool:
        for name, values in {**STEPS, "classifier": CLASSIFIERS}.items():
            decoders = name in STEPS
            settings = [chosen | value for value in values] if decoders else values
            table = step(pool, name, settings, NETWORKS if decoders else ("classifier",), known)
            number = (best_decoder if decoders else best_classifier)(table)
            tables.append(table.assign(chosen=table["candidate"] == number, machine=machine()))
            pd.concat(tables).to_csv(Path(__file__).with_suffix(".csv"), index=False)
            print(f"{name}: {settings[number]}", flush=True)
            chosen = settings[number] if decoders else chosen


if __name__ == "__main__":
    main()
