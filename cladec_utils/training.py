"""ONE training loop, `fit`, for classifiers, ClaDec decoders and reference autoencoders."""

import contextlib
import ctypes
import functools
import math
import platform
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from tqdm import tqdm

from cladec_utils.errors import CladecError
from cladec_utils.specs import TrainSpec

EVAL_BATCH = 256

Loss = Callable[[Tensor], Tensor]
Curves = dict[str, list[float]]


class NotFiniteError(CladecError):
    """A training whose loss became infinite or not a number."""


def best_device() -> torch.device:
    """The GPU if torch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """The best device in words, for records."""
    return torch.cuda.get_device_name() if best_device().type == "cuda" else platform.machine() + " CPU"


def apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, those that share memory (tied weights) each in its own, as safetensors asks."""
    apart: dict[str, Tensor] = {}
    known: set[int] = set()
    for name, tensor in tensors.items():
        found = tensor.detach().cpu().contiguous()
        where = found.untyped_storage().data_ptr()
        apart[name] = found.clone() if where in known else found
        known.add(where)
    return apart


@contextlib.contextmanager
def enough_memory(label: str) -> Iterator[None]:
    """Turn a GPU's lack of memory for the thing called `label` into a CladecError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CladecError(
            f"The GPU has too little free memory for {label}: train it with a smaller batch size, explain "
            "another layer, or compute on the CPU (CUDA_VISIBLE_DEVICES=-1)."
        ) from error


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed torch and, on a CPU, compute with one thread; put both back as they were at the end.

    The number of threads changes the order of floating-point sums, so it is fixed here and not by
    the caller: the same spec gives the same bits in a notebook and in a worker process.
    """
    threads = torch.get_num_threads()
    _keep_memory()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if best_device().type == "cpu":
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@functools.cache
def _keep_memory() -> None:
    """Let the C library keep the memory that large tensors give back. Fresh pages for every step cost up to
    half of a training's time, most of all in Dask's workers, which are told to return memory at once."""
    trim_threshold, mmap_threshold, kept = -1, -3, 1 << 28  # malloc.h; bytes
    with contextlib.suppress(OSError, AttributeError):  # no glibc: nothing to tell it
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(trim_threshold, kept)
        library.mallopt(mmap_threshold, kept)


def fit(
    model: nn.Module,
    loss: Loss,
    n: int,
    spec: TrainSpec,
    seed: int,
    validation: Callable[[], float] | None = None,
    label: str = "training",
    progress: bool = True,
) -> Curves:
    """Train `model` in place on the mean of `loss` over random batches of `n` examples.

    `loss(indices)` is called with a batch of indices (int64, on the model's device) and returns the
    batch's mean loss; the data stay where the closure holds them. `seed` alone decides the order of
    the examples, so two models fitted with the same seed see the same batches. Call it inside
    `reproducible`. Weights that need no gradient are left alone. On a GPU the forward pass runs in
    bfloat16 and the loop never waits for the device within an epoch.

    Returns the learning curves: `train` and, with `validation`, `val`, one value per epoch.
    Raises NotFiniteError at the end of the first epoch whose loss is not finite.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    device = weights[0].device
    optimiser, schedule = _optimiser(weights, spec)
    order = torch.Generator().manual_seed(seed)
    batches = len(_batches(n, spec.batch_size, order.clone_state(), device))
    curves: Curves = {"train": [], **({"val": []} if validation else {})}
    bar = tqdm(
        total=spec.epochs * batches, desc=label, unit="batch", leave=False, disable=not progress, delay=1
    )
    with bar:
        for epoch in range(spec.epochs):
            model.train()
            total = torch.zeros((), device=device)
            for indices in _batches(n, spec.batch_size, order, device):
                with _precision(device):
                    value = loss(indices)
                optimiser.zero_grad(set_to_none=True)
                value.backward()
                optimiser.step()
                total += value.detach() * len(indices)
                bar.update()
            schedule.step()
            curves["train"].append(_finite(total.item() / n, epoch, spec, label))
            if validation:
                model.eval()
                curves["val"].append(validation())
            bar.set_postfix(loss=f"{curves['train'][-1]:.4f}", refresh=False)
    model.eval()
    return curves


def _precision(device: torch.device) -> torch.autocast:
    """What the forward pass is computed in: bfloat16 on a GPU, float32 on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _batches(n: int, size: int, order: torch.Generator, device: torch.device) -> list[Tensor]:
    """A random partition of range(n), brought to the device at once, as the host waits for every transfer; a
    last batch of one is left out, as batch norm cannot take it."""
    indices = torch.randperm(n, generator=order).to(device)
    return [batch for batch in indices.split(size) if len(batch) > 1 or n == 1]


def _finite(value: float, epoch: int, spec: TrainSpec, label: str) -> float:
    if not math.isfinite(value):
        raise NotFiniteError(
            f"The loss of {label} became {value} in epoch {epoch + 1}; nothing was saved. "
            f"Train with a smaller learning rate than {spec.lr:g} (a tenth, say), "
            "or check the images and labels."
        )
    return value


def _optimiser(weights: list[nn.Parameter], spec: TrainSpec):
    if spec.optimiser == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(
            weights, spec.lr, momentum=0.9, weight_decay=spec.weight_decay, fused=True
        )
    else:
        optimiser = torch.optim.Adam(weights, spec.lr, weight_decay=spec.weight_decay, fused=True)
    factor = {
        "constant": lambda _epoch: 1.0,
        "cosine": lambda epoch: 0.5 * (1 + math.cos(math.pi * epoch / spec.epochs)),
        "step": lambda epoch: 0.1 ** (epoch // (spec.epochs // 3 + spec.epochs // 10 + 2)),
    }[spec.schedule]
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


@torch.no_grad()
def apply(model: Callable[[Tensor], Tensor], inputs: Tensor, prepare: Callable[[Tensor], Tensor]) -> Tensor:
    """`model(prepare(batch))` for all of `inputs`, in batches, without gradients; float32."""
    return torch.cat([model(prepare(batch)).float() for batch in inputs.split(EVAL_BATCH)])
