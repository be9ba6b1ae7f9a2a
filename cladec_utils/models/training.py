"""ONE training loop, `fit`, for classifiers, ClaDec decoders, reference autoencoders and probes."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cladec_utils.engine.progress import progress_bar
from cladec_utils.engine.spec import Spec
from cladec_utils.errors import CladecError, choose

EVAL_BATCH = 256
POINTS = 12
"""Points of a learning curve, evenly spaced over the updates."""

Curves = dict[str, list[float]]
Loss = Callable[[Tensor], Tensor]


class NotFiniteError(CladecError):
    """A training whose loss became infinite or undefined."""


@dataclass(frozen=True)
class TrainSpec(Spec):
    """How a network is trained, and for how long: `epochs` over its examples, or so many `updates` of its
    weights; one of the two is None.

    `optimiser` is `sgd` (momentum 0.9) or `adam`. The learning rate `lr` rises linearly over the share
    `warmup` of the updates; then `schedule` has the word: `constant`, `cosine` (to 0), or `step`, the
    official x0.1 every epochs // 3 + epochs // 10 + 2 epochs. With `averaging` above 0 the weights in the
    end are their exponential moving average with that decay per update.
    """

    kind: ClassVar[str] = "train"
    epochs: int | None
    optimiser: str
    lr: float
    weight_decay: float
    schedule: str = "constant"
    batch_size: int = 128
    updates: int | None = None
    warmup: float = 0.0
    averaging: float = 0.0

    def __post_init__(self) -> None:
        choose(self.optimiser, ("sgd", "adam"), "optimiser")
        choose(self.schedule, ("constant", "cosine", "step"), "learning-rate schedule")
        if (self.epochs is None) == (self.updates is None):
            raise CladecError(
                f"epochs is {self.epochs} and updates is {self.updates}; give one of them, the other is None."
            )
        for name in ("epochs", "updates", "batch_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise CladecError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise CladecError(f"weight_decay is {self.weight_decay}; it must be a number from 0 up.")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise CladecError(f"lr: the learning rate is {self.lr}; it must be a number above 0.")
        for name in ("warmup", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise CladecError(f"{name} is {getattr(self, name)}; it must be from 0 to below 1.")

    def per_epoch(self, n: int) -> int:
        """Updates in one pass over `n` examples; a last batch of one is left out, as batch norm cannot
        take it."""
        whole, rest = divmod(n, self.batch_size)
        return max(1, whole + (rest > 1))

    def length(self, n: int) -> int:
        """Updates in all, with `n` examples."""
        return self.updates or self.epochs * self.per_epoch(n)

    def scaled(self, share: float) -> "TrainSpec":
        """The same training with `share` of its budget, at least one epoch or update."""
        if self.updates is not None:
            return replace(self, updates=max(1, round(self.updates * share)))
        return replace(self, epochs=max(1, round(self.epochs * share)))


def fit(  # noqa: PLR0913
    model: nn.Module,
    loss: Loss,
    n: int,
    spec: TrainSpec,
    seed: int,
    *,
    validation: Callable[[], float] | None = None,
    settle: Callable[[], None] = lambda: None,
    label: str = "training",
    progress: bool = True,
) -> Curves:
    """Train `model` in place on the mean of `loss` over random batches of `n` examples.

    `loss(indices)` is called with a batch of indices (int64, on the model's device) and returns the
    batch's mean loss; the data stay where the closure holds them. `seed` alone decides the order of
    the examples, so two models fitted with the same seed see the same batches. Call it inside
    `reproducible`. Weights that need no gradient are left alone. On a GPU the forward pass runs in
    bfloat16 and the loop waits for the device at the curve's points only. `settle` is called once all weights
    are final (to measure what batch norm needs); the model ends in evaluation mode.

    Returns the learning curves at POINTS numbers of `updates`: `train`, the mean loss since the point
    before, and, with `validation`, `val`; the last of them is of the settled model.
    Raises NotFiniteError at the first point where the loss is not finite.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    total, device = spec.length(n), weights[0].device
    optimiser, schedule = _optimiser(weights, spec, total, spec.per_epoch(n))
    average = (
        AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(spec.averaging)) if spec.averaging else None
    )
    points = sorted({math.ceil(total * i / POINTS) for i in range(1, POINTS + 1)})
    curves: Curves = {"updates": [], "train": [], **({"val": []} if validation else {})}
    batches = _batches(n, spec, torch.Generator().manual_seed(seed), device)
    with progress_bar(progress, total=total, desc=label, unit="update", delay=1) as bar:
        for point, before in zip(points, [0, *points], strict=False):
            model.train()
            mean = _updates(point - before, batches, loss, optimiser, schedule, model, average, bar)
            curves["updates"].append(point)
            curves["train"].append(_finite(mean, point, spec, label))
            model.eval()
            if point == total:
                _take(model, average)
                settle()
                model.eval()
            if validation:
                curves["val"].append(validation())
            bar.set_postfix(loss=f"{mean:.4f}", refresh=False)
    return curves


def _updates(count: int, batches, loss: Loss, optimiser, schedule, model, average, bar) -> float:
    """So many updates; the mean loss over their examples."""
    total, examples = 0.0, 0
    for _ in range(count):
        indices = next(batches)
        with _precision(indices.device):
            value = loss(indices)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        schedule.step()
        if average is not None:
            average.update_parameters(model)
        total = total + value.detach() * len(indices)
        examples += len(indices)
        bar.update()
    return float(total) / examples


@torch.no_grad()
def _take(model: nn.Module, average: AveragedModel | None) -> None:
    """Give the model its averaged weights, where they were averaged."""
    if average is not None:
        for weight, mean in zip(model.parameters(), average.module.parameters(), strict=True):
            weight.copy_(mean)


def _precision(device: torch.device) -> torch.autocast:
    """What the forward pass is computed in: bfloat16 on a GPU, float32 on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _batches(n: int, spec: TrainSpec, order: torch.Generator, device: torch.device):
    """Batches of random partitions of range(n), one partition after another; each is brought to the device at
    once, as the host waits for every transfer."""
    while True:
        indices = torch.randperm(n, generator=order).to(device)
        yield from indices.split(spec.batch_size)[: spec.per_epoch(n)]


def _finite(value: float, updates: int, spec: TrainSpec, label: str) -> float:
    if not math.isfinite(value):
        raise NotFiniteError(
            f"The loss of {label} became {value} within {updates} updates; nothing was saved. "
            f"Train with a smaller learning rate than {spec.lr:g} (a tenth, say), "
            "or check the images and labels."
        )
    return value


def _optimiser(weights: list[nn.Parameter], spec: TrainSpec, total: int, per_epoch: int):
    if spec.optimiser == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(
            weights, spec.lr, momentum=0.9, weight_decay=spec.weight_decay, fused=True
        )
    else:
        optimiser = torch.optim.Adam(weights, spec.lr, weight_decay=spec.weight_decay, fused=True)
    rising = round(spec.warmup * total)
    epochs = math.ceil(total / per_epoch)

    def factor(update: int) -> float:
        if update < rising:
            return (update + 1) / rising
        if spec.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (update - rising) / max(1, total - rising)))
        return (
            0.1 ** (update // per_epoch // (epochs // 3 + epochs // 10 + 2))
            if spec.schedule == "step"
            else 1.0
        )

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


@torch.no_grad()
def apply(model: Callable[[Tensor], Tensor], inputs: Tensor, prepare: Callable[[Tensor], Tensor]) -> Tensor:
    """`model(prepare(batch))` for all of `inputs`, in batches, without gradients; float32."""
    return torch.cat([model(prepare(batch)).float() for batch in inputs.split(EVAL_BATCH)])
