"""Layer-wise relevance propagation (zennit), by what a network computes and not by how it is declared.

Rules belong to layers: batch norms are merged into the layer before them, the first convolution knows the
range of pixels, a sum shares relevance among its branches. Which layer is before which, and first, is seen
in a run of the network; zennit would take the order in which the modules were declared, and maps of one
function would differ with it. A network that cannot be rewritten gets a sentence and no map.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from zennit.canonizers import NamedMergeBatchNorm
from zennit.composites import EpsilonGammaBox, MixedComposite, NameMapComposite
from zennit.core import Hook
from zennit.rules import Norm, Pass, ZBox
from zennit.types import AvgPool, BatchNorm, Convolution, Linear

from cladec_utils.errors import CladecError

_NORMS = (
    nn.modules.batchnorm._NormBase,  # instance norms, too
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
)
_ADDITIONS = (torch.add, torch.Tensor.add, torch.Tensor.add_)  # +, += and the builtin sum, too
_RECTIFIERS = (functional.relu, torch.relu, torch.Tensor.relu)
_AVERAGES = (torch.mean, torch.Tensor.mean, functional.avg_pool2d, functional.adaptive_avg_pool2d)
STABILISER = 1e-6
CHANGE = 0.01
"""Share of the largest logit that the rewritten network may be off by: rounding, on a GPU in TF32."""


class Run:
    """What one run of `network`, a private copy, on a black and a white image like those of `x` says of its
    order: `pairs` ((layer,), batch norm) of names to be merged, the names in `first` of the convolutions that
    see the picture, and the least and the greatest value `box` that these see.

    Raises CladecError if relevance has no rule for what the network does.
    """

    def __init__(self, network: nn.Module, x: Tensor) -> None:
        self.names = {module: name for name, module in network.named_modules()}
        self.calls: dict[nn.Module, int] = {}
        self.made: dict[int, tuple[Tensor, int, nn.Module]] = {}  # kept, so that no id is used again
        self.before: dict[nn.Module, nn.Module | None] = {}
        self.seen: list[tuple[nn.Module, Tensor]] = []  # convolutions and what they saw, in order
        black_and_white = torch.stack([torch.zeros_like(x[0]), torch.ones_like(x[0])])
        with self._watched(), torch.no_grad():
            network(black_and_white)
        self._check(network)
        self.pairs = [((self.names[layer],), self.names[norm]) for norm, layer in self.before.items()]
        picture = self.seen[0][1] if self.seen else black_and_white
        self.first = tuple(self.names[layer] for layer, saw in self.seen if saw is picture)
        self.box = tuple(
            edge.expand(len(x), *edge.shape).contiguous() for edge in (picture.amin(0), picture.amax(0))
        )

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        handles = []
        for module in self.names:
            if isinstance(module, (Linear, BatchNorm, AvgPool)):
                handles.append(module.register_forward_hook(self._record))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _record(self, module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        self.calls[module] = self.calls.get(module, 0) + 1
        if isinstance(module, Convolution):
            self.seen.append((module, arguments[0]))
        if isinstance(module, Linear):
            self.made[id(output)] = (output, output._version, module)
        if isinstance(module, BatchNorm):
            # The very tensor that a layer gave, and nothing was done to it in place since.
            tensor, version, layer = self.made.get(id(arguments[0]), (None, -1, None))
            self.before[module] = layer if tensor is not None and version == tensor._version else None

    def _check(self, network: nn.Module) -> None:
        for module, count in self.calls.items():
            if count > 1:
                raise CladecError(
                    f"LRP keeps one input for each layer, but {self._say(module)} is used {count} times "
                    "for an image; make it as many layers with the same weights, or leave LRP out."
                )
        for module in network.modules():
            if isinstance(module, _NORMS) and not self._mergeable(module):
                raise CladecError(
                    f"LRP has no rule for {self._say(module)}: a batch norm can be merged where it comes "
                    "right after a convolution or a dense layer, other norms cannot (a DenseNet's come "
                    "before). Leave LRP out for this classifier."
                )

    def _mergeable(self, norm: nn.Module) -> bool:
        if norm not in self.calls and isinstance(norm, BatchNorm):
            return True  # never used
        return self.before.get(norm) is not None and norm.running_var is not None

    def _say(self, module: nn.Module) -> str:
        return f"{self.names[module]!r} ({type(module).__name__})"


class _Ruled(nn.Module):
    """A function as a layer, so that a rule can be given to it."""

    def __init__(self, function: Callable[..., Tensor], rule: Hook) -> None:
        super().__init__()
        self.function = function
        rule.register(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class _Functions(TorchFunctionMode):
    """Gives what is called as a function the rule of the layer that does the same; a sum of two branches
    shares relevance, and does not double it."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        if function in _ADDITIONS and len(arguments) == 2 and not keywords and _branches(*arguments):
            return _Ruled(_sum, Norm(stabilizer=STABILISER))(torch.stack(arguments, dim=-1))
        rule = Pass if function in _RECTIFIERS else Norm if function in _AVERAGES else None
        if rule is None or not arguments or not arguments[0].requires_grad:
            return function(*arguments, **keywords)
        layer = functools.partial(_on_first, function, arguments[1:], keywords)
        return _Ruled(layer, rule())(arguments[0])


def _sum(x: Tensor) -> Tensor:
    return x.sum(-1)


def _on_first(function: Callable[..., Tensor], rest: tuple, keywords: dict[str, object], x: Tensor) -> Tensor:
    return function(x, *rest, **keywords)


def _branches(a: object, b: object) -> bool:
    both = isinstance(a, Tensor) and isinstance(b, Tensor)
    return both and a.requires_grad and b.requires_grad and a.shape == b.shape


def _composite(run: Run) -> MixedComposite:
    low, high = run.box
    box = NameMapComposite([(run.first, ZBox(low=low, high=high, stabilizer=STABILISER))])
    rules = EpsilonGammaBox(low=low, high=high, stabilizer=STABILISER)
    rules.first_map.clear()  # it would go by the order of declaration
    return MixedComposite([box, rules], canonizers=[NamedMergeBatchNorm(run.pairs)])


def propagate(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    """Relevance of the pixels of `x` (N, C, H, W) for the logits of `targets` (N,): (N, C, H, W), signed.

    `network` is a frozen copy in evaluation mode. Raises CladecError if it cannot be rewritten with the same
    logits.
    """
    run = Run(network, x)
    _affine(network)
    with torch.no_grad():
        plain = network(x)
    x = x.clone().requires_grad_()
    with _composite(run).context(network) as modified:
        with _Functions():
            logits = modified(x)
        off = (logits - plain).abs().max().item()
        if not off <= CHANGE * plain.abs().max().item():
            raise CladecError(
                "LRP rewrites the classifier (batch norms merged into the layers before them), and this one "
                f"would give other logits then, by up to {off:.2g}; leave LRP out for it."
            )
        start = functional.one_hot(targets, logits.shape[1]).to(logits)
        (relevance,) = torch.autograd.grad(logits, x, start * logits.detach())
    return relevance


def _affine(network: nn.Module) -> None:
    """Give batch norms that only normalise the weight 1 and bias 0, which merging reads."""
    for norm in network.modules():
        if isinstance(norm, BatchNorm) and norm.weight is None and norm.running_var is not None:
            norm.weight = nn.Parameter(torch.ones_like(norm.running_var), requires_grad=False)
            norm.bias = nn.Parameter(torch.zeros_like(norm.running_var), requires_grad=False)
