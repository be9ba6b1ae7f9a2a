"""ONE training loop, `fit`, for classifiers, ClaDec decoders and reference autoencoders."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from cladec_utils.engine.spec import Spec
from cladec_utils.errors import CladecError, choose


@dataclass(frozen=True)
class TrainSpec(Spec):
    """How a network is trained: `optimiser` is `sgd` (momentum 0.9) or `adam`; `schedule` is
    `constant`, `cosine`, or `step`, the official x0.1 every epochs // 3 + epochs // 10 + 2 epochs."""

    kind: ClassVar[str] = "train"
    epochs: int
    optimiser: str
    lr: float
    weight_decay: float
    schedule: str = "constant"
    batch_size: int = 128

    def __post_init__(self) -> None:
        choose(self.optimiser, ("sgd", "adam"), "optimiser")
        choose(self.schedule, ("constant", "cosine", "step"), "learning-rate schedule")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise CladecError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise CladecError(f"weight_decay is {self.weight_decay}; it must be a number from 0 up.")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise CladecError(f"lr: the learning rate is {self.lr}; it must be a number above 0.")


EVAL_BATCH = 256

Loss = Callable[[Tensor], Tensor]
Curves = dict[str, list[float]]


class NotFiniteError(CladecError):
    """A training whose loss became infinite or not a number."""


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
