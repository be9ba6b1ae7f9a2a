"""Is it faster to train the decoders of a sweep together than one after another?

`python benchmarks/many_decoders.py` trains K decoders of the same layer, alike but for their initial weights,
for some steps: one after another, and stacked with `torch.func.vmap` over their parameters, on a GPU in
bfloat16 if there is one. It checks that the stacked ones end where the single ones do (in float32), and
writes `many_decoders.csv`. Stacking is worth its code only where it wins; see the table.
"""

import torch
from common import OFFICIAL_BATCH, seconds, write
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from cladec_utils import training
from cladec_utils.config import workers
from cladec_utils.models import Decoder

LAYERS = {"block4": (128, 8, 8), "block8": (512, 1, 1)}
SHAPE, STEPS, RATE = (1, 32, 32), 3, 1e-3
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def decoders(shape: tuple[int, int, int], count: int, width: float) -> list[nn.Module]:
    """Decoders with the weights of seeds 0, 1, ..."""
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(Decoder((round(shape[0] * width), *shape[1:]), SHAPE, width).to(DEVICE))
    return made


def one_after_another(networks: list[nn.Module], held: Tensor, x: Tensor) -> list[dict[str, Tensor]]:
    """Some steps of Adam for each."""
    for network in networks:
        optimiser = torch.optim.Adam(network.parameters(), RATE, fused=True)
        for _ in range(STEPS):
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda"):
                loss = functional.mse_loss(network(held).float(), x)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    return [{k: v.detach() for k, v in network.named_parameters()} for network in networks]


def together(networks: list[nn.Module], held: Tensor, x: Tensor) -> list[dict[str, Tensor]]:
    """The same for all at once: one graph over stacked weights."""
    weights, _ = stack_module_state(networks)
    base = networks[0]

    def loss(mine: dict[str, Tensor]) -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda"):
            return functional.mse_loss(functional_call(base, mine, (held,)).float(), x)

    weights = {name: value.detach().requires_grad_() for name, value in weights.items()}
    optimiser = torch.optim.Adam(weights.values(), RATE, fused=True)
    slopes = vmap(grad(loss))
    for _ in range(STEPS):
        found = slopes({name: value.detach() for name, value in weights.items()})
        for name, value in weights.items():
            value.grad = found[name]
        optimiser.step()
    return [{name: value[i].detach() for name, value in weights.items()} for i in range(len(networks))]


def main() -> None:
    """Measure for several K, layers and widths."""
    torch.set_num_threads(workers())
    training._keep_memory()  # what every training begins with
    rows = []
    x = torch.rand(OFFICIAL_BATCH, *SHAPE, device=DEVICE)
    for layer, shape in LAYERS.items():
        for width in (0.25, 1.0):
            held = torch.rand(OFFICIAL_BATCH, round(shape[0] * width), *shape[1:], device=DEVICE)
            for count in (2, 4, 8):
                singles = one_after_another(decoders(shape, count, width), held, x)
                stacked = together(decoders(shape, count, width), held, x)
                apart = max(
                    float((a[k] - b[k]).abs().max()) for a, b in zip(singles, stacked, strict=True) for k in a
                )
                networks = decoders(shape, count, width)
                after = seconds(lambda: one_after_another(networks, held, x), 3)  # noqa: B023
                at_once = seconds(lambda: together(networks, held, x), 3)  # noqa: B023
                rows.append({
                    "device": DEVICE.type, "layer": layer, "width": width, "K": count,
                    "one after another s": after, "together s": at_once, "times as fast": after / at_once,
                    "largest difference of a weight": apart,
                })  # fmt: skip
    write("many_decoders", rows)


if __name__ == "__main__":
    main()
