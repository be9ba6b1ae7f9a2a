"""How the quick profile's learning rates and schedules were chosen: on validation images, never test images.

Rule: with epochs and width fixed by the time budget, take the classifier's schedule with the highest
validation accuracy. One learning rate serves all decoders, so that neither RefAE, ClaDec nor any alpha is
favoured: for each rate, take the validation MSE averaged over ClaDec at alpha 0 and RefAE, and the
validation loss of ClaDec at alpha 0.9, both averaged over a middle layer and the logits, each relative to
the best rate's; choose the rate whose worse one of the two is smallest.

Run `python benchmarks/choose_settings.py`; the result is `choose_settings.csv` beside this file.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from cladec_utils import store
from cladec_utils.config import workers
from cladec_utils.data import data_spec
from cladec_utils.specs import ClaDecSpec, ClassifierSpec, RefAESpec, Spec, TrainSpec

WIDTH, SEED, CLASSIFIER_EPOCHS, DECODER_EPOCHS = 0.25, 0, 10, 8
ALPHA = 0.9
RATES = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 4e-2)


def candidates() -> list[tuple[dict, Spec]]:
    """Each candidate setting with the spec that tries it."""
    data = data_spec("fashion-mnist", n_train=6000, n_val=1000, n_test=1000)
    jobs = []
    for architecture in ("vgg", "resnet"):
        for schedule in ("step", "cosine"):
            train = TrainSpec(CLASSIFIER_EPOCHS, "sgd", 0.1, 1e-4, schedule)
            row = {"network": f"classifier {architecture}", "layer": "", "setting": schedule}
            jobs.append((row, ClassifierSpec(data, architecture, WIDTH, train, SEED)))
    classifier = jobs[0][1]
    for rate in RATES:
        train = TrainSpec(DECODER_EPOCHS, "adam", rate, 1e-5, "cosine")
        for layer in ("block4", "logits"):
            row = {"layer": layer, "setting": f"{rate:g}"}
            jobs.append(({"network": "ClaDec", **row}, ClaDecSpec(classifier, layer, train, SEED)))
            refae = RefAESpec(data, "vgg", WIDTH, layer, train, SEED)
            jobs.append(({"network": "RefAE", **row}, refae))
            faithful = ClaDecSpec(classifier, layer, train, SEED, ALPHA)
            jobs.append(({"network": f"ClaDec alpha {ALPHA}", **row}, faithful))
    return jobs


def validate(job: tuple[dict, Spec]) -> dict:
    """Train one candidate and read its last validation figure (accuracy or MSE)."""
    row, spec = job
    return {**row, "validation": store.get(spec, progress=False).curves["val"][-1]}


def main() -> None:
    """Try all candidates, print the choice and write the table."""
    with ProcessPoolExecutor(workers(), get_context("spawn")) as pool:
        table = pd.DataFrame(pool.map(validate, candidates()))
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))
    faithful = table["network"].str.contains("alpha")
    decoders = table["layer"] != ""
    accuracy, mse, loss = (_means(table[t]) for t in (~decoders, decoders & ~faithful, faithful))
    worse = pd.concat([mse / mse.min(), loss / loss.min()], axis=1).max(axis=1)
    print(f"\nschedule by mean accuracy: {accuracy.idxmax()}", accuracy.to_string(), sep="\n")
    print(f"\ndecoders' learning rate by worse ratio: {worse.idxmin()}", worse.to_string(), sep="\n")


def _means(table: pd.DataFrame) -> pd.Series:
    return table.groupby("setting", sort=False)["validation"].mean()


if __name__ == "__main__":
    main()
