"""Layer-wise relevance propagation (zennit's rules), by what a network computes and not by how it is written.

Every call of a torch function in a run of the network is held against a positive list; modules are no more
than such calls, so a layer and its functional form have one map. Supported are

- convolutions (transposed, too) by the rule gamma, dense layers by epsilon, however often they are used;
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
import inspect
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

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

_LAYERS = {functional.linear: "linear"} | {
    getattr(functional, f"{kind}{d}d"): kind for kind in ("conv", "conv_transpose") for d in (1, 2, 3)
}
_NORMS = tuple(
    getattr(functional, f"{kind}_norm")
    for kind in ("batch", "group", "instance", "layer", "local_response", "rms")
)
_PRECISE = {torch.float32, torch.float64}
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
        if self.kind == "conv_transpose":  # of the shape (channels in, channels out of a group, ...)
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

    def function(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return call.function(x, weight, bias, *call.arguments[3:], **rest)

    source = _Source(kind, function, image, weight, bias, call.known[image].box)
    return Done(source.run(), [Value(source=source)])


def _apply_norm(call: Call) -> Done:
    """A batch norm, as a part of the layer before it."""
    image, _ = call.alone()
    source, given = call.known[image].source, {}
    if call.function is functional.batch_norm:
        bound = inspect.signature(functional.batch_norm).bind(*call.arguments, **call.keywords)
        bound.apply_defaults()
        given = bound.arguments
    mean, variance = given.get("running_mean"), given.get("running_var")
    merges = source is not None and (source.kind != "linear" or image.ndim == 2)  # channels come second
    if not merges or mean is None or variance is None or given["training"]:
        raise NoRuleError(
            "a batch norm can be merged where it comes right after a convolution or a dense layer and has "
            "running statistics, other norms cannot (a DenseNet's come before)"
        )
    one, zero, eps = torch.ones_like(mean), torch.zeros_like(mean), given["eps"]
    weight, bias = (
        d if given[name] is None else given[name] for name, d in (("weight", one), ("bias", zero))
    )
    merged = source.scaled(mean, weight / (variance + eps) ** 0.5, bias).run()

    def normalise(x: Tensor) -> Tensor:  # what is left of it
        return functional.batch_norm(x, zero, one, one, zero, False, 0.0, eps)

    return Done(Ruled(normalise, Pass())(merged), [Value()])


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
        if not call.images():  # of weights; a network may have some that nobody froze
            with torch.no_grad() if list(tensors(arguments)) else contextlib.nullcontext():
                return function(*call.arguments, **call.keywords)
        if not torch.is_grad_enabled():
            self._refuse(
                f"calls {call.in_words} without gradients (no_grad, or an autograd function of your own)"
            )
        try:
            return self._kept(self._apply(call))
        except NoRuleError as error:
            self._refuse(f"calls {call.in_words}{': ' if error.args else ''}{error}")

    def _apply(self, call: Call) -> Done:
        if call.function is _convolve:
            return _apply_layer(call, "conv")
        if call.function in _LAYERS:
            return _apply_layer(call, _LAYERS[call.function])
        return _apply_norm(call) if call.function in _NORMS else operate(call)

    def now(self, tensor: Tensor) -> Tensor:
        """The tensor, or what it would be had operations in place been done in place."""
        if tensor in self.instead:
            return self.now(self.instead[tensor])
        if self._place(tensor) in self.spoilt:
            self._refuse("works in place on a tensor that is used by another name or view, too")
        if tensor.requires_grad and not tensor.is_leaf and tensor not in self.known:
            self._refuse("calls what it cannot look into (torch.jit, an autograd function of your own)")
        return tensor

    def _place(self, tensor: Tensor) -> int:
        try:
            return tensor.untyped_storage().data_ptr()
        except NotImplementedError:
            return self._refuse("computes with tensors that have no memory of their own (torch.func, sparse)")

    def _kept(self, done: Done) -> object:
        for tensor, value in zip(tensors(done.result), done.values, strict=True):
            if tensor.dtype not in _PRECISE:
                self._refuse(f"computes in {tensor.dtype}, neither in single nor in double precision")
            self.known[tensor] = value
        if done.changed is not None and done.changed is not done.result:
            self.instead[done.changed] = done.result
            self.spoilt[self._place(done.changed)] = done.changed
        return done.result

    def result(self, logits: object) -> Tensor:
        """What the network gave, if that depends on the image by what was seen."""
        if not isinstance(logits, Tensor) or self.now(logits) not in self.known:
            self._refuse("gives no tensor of logits that depends on the image")
        return self.now(logits)

    def _refuse(self, what: str) -> NoReturn:
        module = self.inside[-1] if self.inside else self.network
        name = repr(self.names[module]) if module is not self.network else "the classifier"
        raise CladecError(
            f"LRP has no rule for {name} ({type(module).__name__}), which {what}. Leave LRP out for "
            "this classifier, or write it with what has a rule: convolutions, dense layers, batch norms "
            "right after them, activations, average and max pools, sums."
        )


def propagate(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    """Relevance of the pixels of `x` (N, C, H, W) for the logits of `targets` (N,): (N, C, H, W), signed.

    `network` is a frozen copy in evaluation mode, and passed `check`. Raises CladecError for an
    operation that has no rule.
    """
    if {weight.dtype for weight in network.parameters()} == {torch.float64}:
        x = x.double()
    with torch.no_grad():
        plain = network(x.clone())  # it may work in place
    x = x.clone().requires_grad_()
    watch = _Watch(network, x)
    with watch.running():
        logits = network(x)
    logits = watch.result(logits)
    off = (logits - plain).abs().max().item()
    if not off <= CHANGE * plain.abs().max().item():
        raise CladecError(
            f"LRP runs the classifier by its rules, and this one gave other logits then, by up to {off:.2g} "
            "(does it draw random numbers?); leave LRP out for it."
        )
    start = functional.one_hot(targets, logits.shape[1]).to(logits)
    (relevance,) = torch.autograd.grad(logits, x, start * logits.detach())
    return relevance


def check(network: nn.Module) -> None:
    """Raises CladecError for a network that LRP cannot look into or that is not precise enough."""
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod"):
            raise CladecError(
                f"LRP cannot look into {repr(name) if name else 'the classifier'}, which is compiled "
                f"({type(module).__name__}); give what it was compiled from, or leave LRP out."
            )
    for kind in {weight.dtype for weight in network.parameters() if weight.is_floating_point()} - _PRECISE:
        raise CladecError(
            f"LRP takes weights in single or double precision, but this classifier has {kind}; call its "
            "float(), or leave LRP out."
        )
