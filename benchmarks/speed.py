"""How fast the kit trains, against the machine's own matrix-product rate and against the official procedure.

`python benchmarks/speed.py` writes `speed_steps.csv` (one training step of each network in several forms),
`speed_profile.csv` (where a step's time goes), `speed_evaluation.csv` (images per second by the size of the
batches that nothing is learned from), `speed_reference.csv` (images per second beside those of
`reference_loop.py`, and a sweep of seven alphas end to end) and `speed.png`. Run it on a quiet machine; with
a GPU everything is measured there, in bfloat16 as the kit trains. Official shapes at full width, batch 128.
FLOPs are those of the official shapes, forwards and backwards, whatever a faster form leaves out.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import matplotlib.pyplot as plt
import pandas as pd
import torch
from common import FOLDER, OFFICIAL_BATCH, matrix_rate, seconds, write
from reference_loop import CLASSES, SHAPE, classifier_epoch, decoder_epoch, plain
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from cladec_utils.data.datasets import data_spec, load
from cladec_utils.engine import device, grid, store
from cladec_utils.engine.device import best_device
from cladec_utils.engine.paths import workers
from cladec_utils.engine.spec import Spec
from cladec_utils.models import training
from cladec_utils.models.architectures import make_classifier
from cladec_utils.models.autoencoders import Autoencoder
from cladec_utils.models.decoder import Decoder
from cladec_utils.models.encoder import Encoder
from cladec_utils.models.training import TrainSpec
from cladec_utils.study.classifiers import ClassifierSpec
from cladec_utils.study.explainers import ClaDecSpec, RefAESpec

LAYER, IMAGES, SWEEP = "block8", 3840, (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0)
NETWORKS = ("classifier", "RefAE", "ClaDec alpha 0", "ClaDec alpha 0.1")
EVALUATION_BATCHES = (64, 128, 256, 512, 1024)
DEVICE = best_device()
GPU = DEVICE.type == "cuda"


@dataclass(frozen=True)
class Form:
    """How a training step is computed; as the kit does unless said otherwise."""

    own_convolutions: bool = True
    channels_last: bool = True
    fused: bool = True
    threads: int = 1
    bfloat16: bool = GPU
    compiled: bool = False


PLAIN = Form(own_convolutions=False, channels_last=False, fused=False, threads=workers(), bfloat16=False)
FORMS = {
    "as trained": Form(),
    "torch's convolutions": Form(own_convolutions=False),
    "channels first": Form(channels_last=False),
    "optimiser not fused": Form(fused=False),
    "torch.compile": Form(compiled=True),  # on a GPU with CUDA graphs
    **({"float32": Form(bfloat16=False)} if GPU else {"all threads": Form(threads=workers())}),
    "none of it": PLAIN,
}


def step(network: str, form: Form) -> Callable[[], None]:
    """One training step of a network in a form; sets torch's threads."""
    torch.set_num_threads(form.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if form.channels_last else torch.contiguous_format
    change = (lambda module: module) if form.own_convolutions else plain
    x = torch.rand(OFFICIAL_BATCH, *SHAPE).to(DEVICE, memory_format=layout)
    y = torch.randint(0, CLASSES, (OFFICIAL_BATCH,)).to(DEVICE)
    classifier = change(make_classifier("vgg", SHAPE, CLASSES)).to(DEVICE, memory_format=layout)
    encoder = Encoder(classifier, LAYER, SHAPE)
    decoder = change(Decoder(encoder.activation_shape, SHAPE)).to(DEVICE, memory_format=layout)
    if network == "classifier":
        trained, loss = classifier, lambda: functional.cross_entropy(classifier(x), y)
    elif network == "RefAE":
        trained = Autoencoder(encoder, decoder)
        loss = lambda: functional.mse_loss(trained(x).float(), x)  # noqa: E731
    else:
        trained, alpha = decoder, float(network.rsplit(" ", 1)[1])
        classifier.eval().requires_grad_(False)
        held = encoder(x)
        loss = lambda: _objective(decoder(held), x, y, classifier, alpha)  # noqa: E731
    if form.compiled:
        loss = torch.compile(loss, mode="reduce-overhead" if GPU else "default")
    optimiser = _optimiser(trained, network == "classifier", form.fused)

    def one() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=form.bfloat16):
            value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()

    return one


def _objective(decoded, x, y, classifier: nn.Module, alpha: float):
    value = (1 - alpha) * functional.mse_loss(decoded.float(), x)
    return value + alpha * functional.cross_entropy(classifier(decoded), y) if alpha else value


def _optimiser(trained: nn.Module, sgd: bool, fused: bool) -> torch.optim.Optimizer:
    weights = [p for p in trained.parameters() if p.requires_grad]
    if sgd:
        return torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=1e-4, fused=fused)
    return torch.optim.Adam(weights, 3e-4, weight_decay=1e-5, fused=fused)


def steps() -> pd.DataFrame:
    """Time, GFLOP/s and share of the matrix rate (same threads and type, measured beside it) per network and
    form."""
    rows = []
    for network in NETWORKS:
        official = step(network, PLAIN)
        with FlopCounterMode(display=False) as counter:
            official()
        work = counter.get_total_flops() / 1e9
        for name, form in FORMS.items():
            took = seconds(step(network, form))
            rate = matrix_rate(torch.bfloat16 if form.bfloat16 else torch.float32)
            rows.append({
                "network": network, "form": name, "threads": form.threads, "ms": 1000 * took,
                "GFLOP": work, "GFLOP/s": work / took, "matrix GFLOP/s": rate, "share": work / took / rate,
                "images/s": OFFICIAL_BATCH / took, "peak MB so far": _peak(),
            })  # fmt: skip
    return write("speed_steps", rows)


def _peak() -> float:
    if GPU:
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def profiles() -> pd.DataFrame:
    """The share of a step's time by kind of operation."""
    rows = []
    for network in NETWORKS:
        one = step(network, FORMS["as trained"])
        one()
        with profile(activities=[ProfilerActivity.CUDA if GPU else ProfilerActivity.CPU]) as found:
            for _ in range(3):
                one()
        events = found.key_averages()
        times = {e.key: e.self_device_time_total if GPU else e.self_cpu_time_total for e in events}
        total = sum(times.values())
        for key, spent in sorted(times.items(), key=lambda pair: -pair[1])[:8]:
            rows.append({"network": network, "operation": key, "share": spent / total})
    return write("speed_profile", rows)


@torch.no_grad()
def evaluation() -> pd.DataFrame:
    """Images per second of a classifier and of a decoder without gradients, by the size of the batches."""
    torch.set_num_threads(1)
    classifier = make_classifier("vgg", SHAPE, CLASSES).to(DEVICE, memory_format=torch.channels_last).eval()
    encoder = Encoder(classifier, LAYER, SHAPE)
    decoder = Decoder(encoder.activation_shape, SHAPE).to(DEVICE, memory_format=torch.channels_last).eval()
    x = torch.rand(2 * max(EVALUATION_BATCHES), *SHAPE).to(DEVICE, memory_format=torch.channels_last)
    held = encoder(x)
    rows = []
    for size in EVALUATION_BATCHES:
        row: dict[str, object] = {"batch": size, "the kit's": size == training.EVAL_BATCH}
        for name, network, inputs in (("classifier", classifier, x), ("decoder", decoder, held)):
            took = seconds(lambda: [network(b) for b in inputs.split(size)])  # noqa: B023
            row[f"{name} images/s"] = len(x) / took
        rows.append(row)
    return write("speed_evaluation", rows)


def _specs(seed: int) -> dict[str, Spec]:
    data = data_spec("fashion-mnist", IMAGES, 0, 640)
    sgd, adam = TrainSpec(1, "sgd", 0.1, 1e-4), TrainSpec(1, "adam", 3e-4, 1e-5)
    classifier = ClassifierSpec(data, "vgg", 1.0, sgd, 0)
    return {
        "classifier": ClassifierSpec(data, "vgg", 1.0, sgd, seed),
        "RefAE": RefAESpec(data, "vgg", 1.0, LAYER, adam, seed),
        "ClaDec alpha 0": ClaDecSpec(classifier, LAYER, adam, seed),
    }


def _train(spec: Spec) -> float:
    for need in spec.needs():
        store.get(need, progress=False)
    return IMAGES / store.record(spec, progress=False).seconds


def reference() -> pd.DataFrame:
    """Images per second of the official procedure and of the kit: one training, and one on each core (on a
    GPU one after another, as the kit does there)."""
    count = 1 if GPU else workers()
    split = load(data_spec("fashion-mnist", IMAGES, 0, 640, 32)).train
    grey, labels = split.images[:, 0, :28, :28].contiguous(), split.labels
    torch.set_num_threads(workers())
    theirs = {
        "classifier": IMAGES / classifier_epoch(grey, labels),
        "RefAE": IMAGES / decoder_epoch(grey, labels, LAYER, refae=True),
        "ClaDec alpha 0": IMAGES / decoder_epoch(grey, labels, LAYER, refae=False),
    }
    rows = []
    for network, rate in theirs.items():
        with ProcessPoolExecutor(count, get_context("spawn")) as pool:
            list(pool.map(_train, [_specs(100 + i)["classifier"] for i in range(count)]))  # warm up
            alone = pool.submit(_train, _specs(7)[network]).result()
            beside = sum(pool.map(_train, [_specs(8 + i)[network] for i in range(count)]))
        rows.append({
            "what": network, "reference": rate, "kit, one training": alone, "kit, one per core": beside,
            "unit": "images/s", "times as fast": beside / rate,
        })  # fmt: skip
    rows.append(sweep(7 * IMAGES / theirs["ClaDec alpha 0"]))
    return write("speed_reference", rows)


def sweep(reference_seconds: float) -> dict[str, object]:
    """Seven alphas from classifier in the store to decoders in the store, starting of workers included."""
    start = time.perf_counter()
    spec = _specs(50)["ClaDec alpha 0"]
    grid.compute([ClaDecSpec(spec.classifier, LAYER, spec.train, 50, alpha) for alpha in SWEEP], lines=True)
    took = time.perf_counter() - start
    return {
        "what": "sweep of seven alphas", "reference": reference_seconds, "kit, one training": float("nan"),
        "kit, one per core": took, "unit": "s", "times as fast": reference_seconds / took,
    }  # fmt: skip


def plot(table: pd.DataFrame, compared: pd.DataFrame) -> None:
    """Share of the matrix rate per network and form, and speed against the reference."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(2, 1), layout="constrained")
    table.pivot(index="network", columns="form", values="share").loc[list(NETWORKS), list(FORMS)].plot.bar(
        ax=left, rot=0, colormap="cividis"
    )
    left.axhline(0.6, color="0.4", linestyle=":")
    left.set(
        xlabel="", ylabel="share of the matrix-product rate", title="One training step, full width, batch 128"
    )
    left.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    right.barh(compared["what"], compared["times as fast"], color="#35608d")
    right.axvline(1, color="0.4", linestyle=":")
    right.set(xlabel="times as fast as the official procedure", title="End to end, one training per core")
    right.invert_yaxis()
    figure.savefig(FOLDER / "speed.png", dpi=110, metadata={"Software": None})


def main() -> None:
    """Measure everything with a store of its own."""
    device._keep_memory()  # what every training begins with
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CLADEC_ARTIFACTS"] = folder
        compared = reference()
        table = steps()
        profiles()
        evaluation()
    plot(table, compared)


if __name__ == "__main__":
    main()
