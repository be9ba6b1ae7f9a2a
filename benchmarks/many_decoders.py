"""Is it faster to train the decoders of a sweep together than one after another?

`python benchmarks/many_decoders.py` trains K decoders of the same layer, alike but for their initial weights,
for some steps: one after another, stacked with `torch.func.vmap` over their parameters, and in processes side
by side (one thread each on a CPU, one GPU between them on a GPU, there in bfloat16). It checks that the
stacked ones end where the single ones do, in float64, where rounding cannot be mistaken for a difference, and
writes `many_decoders.csv`. Stacking is worth its code only where it wins; see the table.
"""

import functools
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from common import OFFICIAL_BATCH, seconds, write
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from cladec_utils.engine import device
from cladec_utils.engine.paths import workers
from cladec_utils.models.decoder import Decoder

LAYERS = {"block4": (128, 8, 8), "block8": (512, 1, 1)}
WIDTHS, COUNTS = (0.25, 1.0), (2, 4, 8)
SHAPE, STEPS, RATE = (1, 32, 32), 5, 1e-3
DEVICE = device.best_device()
GPU = DEVICE.type == "cuda"

Sweep = tuple[str, float, Sequence[int], torch.dtype]
"""Layer, width, seeds of the decoders, type of the numbers."""
Weights = dict[str, Tensor]


@functools.cache
def _batch(layer: str, width: float, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """Activations and the images that they are decoded to."""
    source = torch.Generator().manual_seed(0)
    channels, *size = LAYERS[layer]
    held = torch.rand(OFFICIAL_BATCH, round(channels * width), *size, generator=source)
    return held.to(DEVICE, kind), torch.rand(OFFICIAL_BATCH, *SHAPE, generator=source).to(DEVICE, kind)


def _decoders(sweep: Sweep) -> list[nn.Module]:
    layer, width, seeds, kind = sweep
    channels, *size = LAYERS[layer]
    made = []
    for seed in seeds:
        torch.manual_seed(seed)
        made.append(Decoder((round(channels * width), *size), SHAPE, width).to(DEVICE, kind))
    return made


def _autocast(kind: torch.dtype) -> torch.autocast:
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=GPU and kind == torch.float32)


def one_after_another(sweep: Sweep) -> list[Weights]:
    """Some steps of Adam for each."""
    held, x = _batch(sweep[0], sweep[1], sweep[3])
    networks = _decoders(sweep)
    for network in networks:
        optimiser = torch.optim.Adam(network.parameters(), RATE, fused=True)
        for _ in range(STEPS):
            with _autocast(sweep[3]):
                loss = functional.mse_loss(network(held).to(x.dtype), x)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    return [{k: v.detach() for k, v in network.named_parameters()} for network in networks]


def together(sweep: Sweep) -> list[Weights]:
    """The same for all at once: one graph over stacked weights."""
    held, x = _batch(sweep[0], sweep[1], sweep[3])
    networks = _decoders(sweep)
    weights, _ = stack_module_state(networks)
    base = networks[0]

    def loss(mine: Weights) -> Tensor:
        with _autocast(sweep[3]):
            return functional.mse_loss(functional_call(base, mine, (held,)).to(x.dtype), x)

    weights = {name: value.detach().requires_grad_() for name, value in weights.items()}
    optimiser = torch.optim.Adam(weights.values(), RATE, fused=True)
    slopes = vmap(grad(loss))
    for _ in range(STEPS):
        found = slopes({name: value.detach() for name, value in weights.items()})
        for name, value in weights.items():
            value.grad = found[name].contiguous()  # the fused optimiser takes it as laid out like the weight
        optimiser.step()
    return [{name: value[i].detach() for name, value in weights.items()} for i in range(len(networks))]


def _in_a_process(sweep: Sweep) -> None:
    torch.set_num_threads(1)
    device._keep_memory()
    one_after_another(sweep)
    if GPU:
        torch.cuda.synchronize()


def side_by_side(pool: ProcessPoolExecutor, sweep: Sweep) -> None:
    """Each in one of the pool's processes."""
    layer, width, seeds, kind = sweep
    list(pool.map(_in_a_process, [(layer, width, [seed], kind) for seed in seeds]))


def apart(layer: str, width: float) -> float:
    """The largest difference of a weight between decoders trained alone and stacked, in float64."""
    sweep = (layer, width, range(2), torch.float64)
    pairs = zip(one_after_another(sweep), together(sweep), strict=True)
    return max(float((a[name] - b[name]).abs().max()) for a, b in pairs for name in a)


def main() -> None:
    """Measure for several K, layers and widths."""
    torch.set_num_threads(workers())
    device._keep_memory()  # what every training begins with
    rows = []
    with ProcessPoolExecutor(min(max(COUNTS), workers()), get_context("spawn")) as pool:
        for layer, width in [(layer, width) for layer in LAYERS for width in WIDTHS]:
            difference = apart(layer, width)
            for count in COUNTS:
                sweep = (layer, width, range(count), torch.float32)
                after = seconds(lambda: one_after_another(sweep), 3)  # noqa: B023
                stacked = seconds(lambda: together(sweep), 3)  # noqa: B023
                beside = seconds(lambda: side_by_side(pool, sweep), 3)  # noqa: B023
                rows.append({
                    "device": DEVICE.type, "layer": layer, "width": width, "K": count,
                    "one after another s": after, "together s": stacked, "in processes s": beside,
                    "together: times as fast": after / stacked,
                    "in processes: times as fast": after / beside,
                    "together: largest difference of a weight (float64)": difference,
                })  # fmt: skip
    write("many_decoders", rows)


if __name__ == "__main__":
    main()
