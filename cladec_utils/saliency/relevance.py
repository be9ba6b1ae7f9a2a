"""Layer-wise relevance propagation (zennit's rules), by what a network computes and not by how it is written.

Every call of a torch function in a run of the network is held against a positive list; modules are no more
than such calls, so a layer and its functional form have one map. Supported are

- convolutions (transposed, too) by the rule gamma, dense layers by the rule epsilon, also used more than once;
- batch norms right after them, which are merged into them: relevance is that of the merged layer;
- convolutions that see pixels by the z-box rule. Pixels may be moved about, scaled and shifted by constants,
  averaged, added, resized and cut at bounds first: their range is known all the way;
- activations, which pass relevance on; maxima of windows, whose largest value takes all;
- averages, sums and differences of branches and factors, which share relevance among what they add up;
- what moves values about (views, padding, concatenation); dropout in evaluation.

Anything else that touches a value which depends on the image is refused in a sentence: products of two such
values (attention, gates), powers, other norms, a constant added after a layer, comparisons, `detach`,
compiled code, half precision. Autograd would go on with the plain gradient, which is another map.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode, handle_torch_function
from torch.utils._pytree import tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary
from zennit.rules import Epsilon, Gamma, Pass, ZBox

from cladec_utils.errors import CladecError
from cladec_utils.models.convolutions import Convolution
from cladec_utils.saliency.operations import (
    STABILISER,
    Call,
    Done,
    NoRuleError,
    Ruled,
    Value,
    is_question,
    operate,
    tensors,
)

_LAYERS = {
    function: function.__name__
    for function in (
        functional.linear,
        functional.conv1d,
        functional.conv2d,
        functional.conv3d,
        functional.conv_transpose1d,
        functional.conv_transpose2d,
        functional.conv_transpose3d,
    )
}
_NORMS = (
    functional.batch_norm,
    functional.group_norm,
    functional.instance_norm,
    functional.layer_norm,
    functional.local_response_norm,
    functional.rms_norm,
)
CHANGE = 0.01
"""Share of the largest logit that the rewritten network may be off by: rounding, on a GPU in TF32."""


class _Layer(nn.Module):
    """`function(input, weight, bias)` as a module, so that a rule can be given to it."""

    def __init__(self, function: Callable[..., Tensor], weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight, self.bias)


class _Source(NamedTuple):
    """The call of a layer, which a batch norm can be merged into; `box` is the range of what it sees, if that
    is pixels."""

    kind: str
    function: Callable[..., Tensor]
    image: Tensor
    weight: Tensor
    bias: Tensor | None
    box: tuple[Tensor, Tensor] | None

    def run(self) -> Tensor:
        """The layer's output, from which relevance goes back by the layer's rule."""
        layer = _Layer(self.function, self.weight, self.bias)
        if self.kind == "linear":
            rule = Epsilon(STABILISER)
        elif self.box is None:
            rule = Gamma(stabilizer=STABILISER)
        else:
            rule = ZBox(*self.box, stabilizer=STABILISER)
        rule.register(layer)
        return layer(self.image)

    def scaled(self, mean: Tensor, scale: Tensor, shift: Tensor) -> "_Source":
        """The layer that gives (output - mean) * scale + shift, all by channel."""
        bias = torch.zeros_like(scale) if self.bias is None else self.bias
        by_channel = scale[:, None]
        if "transpose" in self.kind:  # of the shape (channels in, channels out of a group, ...)
            groups = len(scale) // self.weight.shape[1]
            by_channel = scale.view(groups, 1, -1).expand(-1, len(self.weight) // groups, -1).flatten(0, 1)
        by_channel = by_channel.view(*by_channel.shape, *(1,) * (self.weight.ndim - 2))
        return self._replace(weight=self.weight * by_channel, bias=(bias - mean) * scale + shift)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, module: Convolution) -> Tensor:
    """The kit's own convolution as a function: one layer, however it is computed."""
    module = copy.copy(module)
    module._parameters = {"weight": weight, "bias": bias}
    return type(module).forward(module, x)


def _apply_layer(call: Call, kind: str) -> Done:
    rest, names = dict(call.keywords), ("input", "weight", "bias")
    given = dict(zip(names, call.arguments, strict=False))
    given |= {name: rest.pop(name) for name in names if name in rest}
    image, weight, bias = (given.get(name) for name in names)
    if not call.images(image) or call.images(weight, bias):
        raise NoRuleError("its weights depend on the image")
    others = call.arguments[3:]

    def function(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return call.function(x, weight, bias, *others, **rest)

    source = _Source(kind, function, image, weight, bias, call.known[image].box)
    return Done(source.run(), [Value(source=source)])


def _apply_norm(call: Call) -> Done:
    """A batch norm, as a part of the layer before it."""
    image, norm = call.alone()
    source = call.known[image].source
    given = _norm_arguments(*call.arguments, **call.keywords) if call.function is _NORMS[0] else None
    if source is None or given is None:
        raise NoRuleError(
            "a batch norm can be merged where it comes right after a convolution or a dense layer and has "
            "running statistics, other norms cannot (a DenseNet's come before)"
        )
    mean, variance, weight, bias, eps = given
    one, zero = torch.ones_like(mean), torch.zeros_like(mean)
    scale = (one if weight is None else weight) / (variance + eps) ** 0.5
    merged = source.scaled(mean, scale, zero if bias is None else bias).run()

    def normalise(x: Tensor) -> Tensor:  # what is left of it
        return functional.batch_norm(x, zero, one, one, zero, False, 0.0, eps)

    return Done(Ruled(normalise, Pass())(merged), [Value()])


def _norm_arguments(
    _input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple | None:
    """Of `functional.batch_norm`, what is used in evaluation; None if it uses the batch's own statistics."""
    fixed = running_mean is not None and running_var is not None and not training
    return (running_mean, running_var, weight, bias, eps) if fixed else None


class _Watch(TorchFunctionMode):
    """Sees each call of a torch function in a run of `network` on pixels `x` in [0, 1], and gives it its rule
    or raises CladecError."""

    def __init__(self, network: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.network = network
        self.names = {module: name for name, module in network.named_modules()}
        self.inside: list[nn.Module] = []
        self.known = WeakTensorKeyDictionary({x: Value((torch.zeros_like(x), torch.ones_like(x)))})
        self.instead = WeakTensorKeyDictionary()  # of what was changed in place, its new value
        self.spoilt: dict[int, Tensor] = {}  # by memory, kept so that no place is used again

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The run of the network belongs in here."""
        handles, own = [], []
        for module in self.names:
            handles.append(module.register_forward_pre_hook(self._enter))
            handles.append(module.register_forward_hook(self._leave))
            if type(module) is Convolution:
                own.append(module)
                module.forward = lambda x, m=module: handle_torch_function(
                    _convolve, (x,), x, m.weight, m.bias, m
                )
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()
            for module in own:
                del module.forward

    def _enter(self, module: nn.Module, _arguments: tuple) -> None:
        self.inside.append(module)

    def _leave(self, _module: nn.Module, _arguments: tuple, _output: object) -> None:
        self.inside.pop()

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        call = Call(function, arguments, keywords or {}, self.known)
        if is_question(call):
            return function(*call.arguments, **call.keywords)
        call.arguments, call.keywords = tree_map_only(Tensor, self.now, (call.arguments, call.keywords))
        if not call.images():
            return function(*call.arguments, **call.keywords)
        try:
            return self._kept(self._apply(call))
        except NoRuleError as error:
            self._refuse(f"{call.in_words}{': ' if error.args else ''}{error}")

    def _apply(self, call: Call) -> Done:
        if call.function is _convolve:
            return _apply_layer(call, "conv2d")
        if call.function in _LAYERS:
            return _apply_layer(call, _LAYERS[call.function])
        return _apply_norm(call) if call.function in _NORMS else operate(call)

    def now(self, tensor: Tensor) -> Tensor:
        """The tensor, or what it would be had operations in place been done in place."""
        if tensor in self.instead:
            return self.now(self.instead[tensor])
        if tensor.untyped_storage().data_ptr() in self.spoilt:
            self._refuse("an operation in place on a tensor that is used by another name or view, too")
        if tensor.requires_grad and tensor not in self.known:
            self._refuse("compiled code (torch.jit) or an autograd function of your own")
        return tensor

    def _kept(self, done: Done) -> object:
        for tensor, value in zip(tensors(done.result), done.values, strict=True):
            if not tensor.requires_grad:
                self._refuse("no_grad, which cuts the image off")
            if tensor.dtype not in (torch.float32, torch.float64):
                self._refuse(f"{tensor.dtype}: it takes single and double precision")
            self.known[tensor] = value
        if done.changed is not None:
            self.instead[done.changed] = done.result
            self.spoilt[done.changed.untyped_storage().data_ptr()] = done.changed
        return done.result

    def _refuse(self, what: str) -> None:
        module = self.inside[-1] if self.inside else self.network
        where = (
            f"{self.names[module]!r} ({type(module).__name__})" if self.inside[1:] else type(module).__name__
        )
        raise CladecError(
            f"LRP has no rule for {where}, which calls {what}. Leave LRP out for this classifier, or write it "
            "with what has a rule: convolutions, dense layers, batch norms after them, activations, windows' "
            "averages and maxima, sums."
        )


def propagate(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    """Relevance of the pixels of `x` (N, C, H, W) for the logits of `targets` (N,): (N, C, H, W), signed.

    `network` is a frozen copy in evaluation mode. Raises CladecError for an operation that has no rule.
    """
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod"):
            raise CladecError(
                f"LRP cannot look into compiled code ({name or 'the network'!r} is a {type(module).__name__}); "
                "give it the module from before torch.jit or torch.compile, or leave LRP out."
            )
    if any(weight.dtype == torch.float64 for weight in network.parameters()):
        x = x.double()
    with torch.no_grad():
        plain = network(x)
    x = x.clone().requires_grad_()
    watch = _Watch(network, x)
    with watch.running():
        logits = network(x)
    logits = watch.now(logits)
    off = (logits - plain).abs().max().item()
    if not off <= CHANGE * plain.abs().max().item():
        raise CladecError(
            f"LRP runs the classifier by its rules, and this one gave other logits then, by up to {off:.2g} "
            "(does it draw random numbers?); leave LRP out for it."
        )
    start = functional.one_hot(targets, logits.shape[1]).to(logits)
    (relevance,) = torch.autograd.grad(logits, x, start * logits.detach())
    return relevance
