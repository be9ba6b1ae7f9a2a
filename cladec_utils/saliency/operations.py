"""The operations that LRP has a rule for: a positive list, by what is computed and not by who calls it.

A layer is the call of a torch function with weights; a module is no more than such a call. What only moves
values about needs no rule. What is on no list here is refused (`NoRuleError`): autograd would take the
plain gradient instead, which is another map than relevance.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import resolve_name
from torch.utils._pytree import tree_leaves, tree_map_only
from zennit.core import BasicHook, Hook
from zennit.rules import Norm, Pass

STABILISER = 1e-6


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_MOVES = _words(  # each value that comes out is one that went in, or a constant
    "view reshape flatten unflatten ravel squeeze unsqueeze permute transpose swapaxes "
    "swapdims movedim moveaxis t T mT contiguous clone expand broadcast_to repeat tile positive "
    "repeat_interleave narrow select index_select __getitem__ chunk split unbind tensor_split flip roll cat "
    "concat concatenate stack hstack vstack pad pixel_shuffle pixel_unshuffle channel_shuffle to "
    "float double cpu cuda"
)
_COPIES = _words("clone contiguous positive")  # a norm may follow a layer's copy
_MAXIMA = _words(  # the largest value takes all, which is the gradient
    "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
)
_ACTIVATIONS = _words(  # those that zennit has as layers, and Mish; clamp is Hardtanh
    "celu clamp clamp_max clamp_min clip elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu "
    "logsigmoid mish prelu relu relu6 rrelu selu sigmoid silu softplus softshrink softsign tanh tanhshrink "
    "threshold"
)
_MONOTONE = _words("clamp clamp_max clamp_min clip hardtanh relu relu6 sigmoid tanh")
_AVERAGES = _words(  # weighted sums of values, without a constant
    "mean sum avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "interpolate"
)
_WITHIN = _words("nearest nearest-exact area linear bilinear trilinear")  # modes of interpolate
_DROPOUTS = _words(
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout"
)
_ARITHMETIC = {name: name for name in ("add", "sub", "mul", "div", "neg")} | {
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "true_divide": "div",
    "negative": "neg",
    "__rsub__": "from",
}
_QUESTIONS = _words(  # about a tensor, and not about its values
    "size dim ndimension numel nelement stride is_contiguous is_floating_point is_complex get_device "
    "element_size is_same_size __len__ shape ndim dtype device requires_grad grad_fn is_leaf is_cuda layout "
    "is_sparse is_quantized is_nested zeros_like ones_like new_zeros new_ones"
)


class NoRuleError(Exception):
    """An operation that LRP has no rule for; the argument says why, if that is more than its name."""


class Ruled(nn.Module):
    """A function of one tensor as a layer, so that a rule can be given to it. `in_place` says whether it
    changed its input, which is a copy here."""

    def __init__(self, function: Callable[..., Tensor], rule: Hook) -> None:
        super().__init__()
        self.function = function
        self.in_place = False
        rule.register(self)

    def forward(self, x: Tensor) -> Tensor:
        version = x._version
        y = self.function(x)
        self.in_place = x._version != version
        return y


@dataclass(frozen=True)
class Value:
    """What is known of a tensor that depends on the image: the least and the greatest values that it can have
    as long as it is pixels in another form (None after the first layer), and the layer that it comes from."""

    box: tuple[Tensor, Tensor] | None = None
    source: object = None


class Done(NamedTuple):
    """The result of a call; for each of its tensors what is known; the tensor that it should have changed in
    place, and did not."""

    result: object
    values: list[Value]
    changed: Tensor | None = None


@dataclass
class Call:
    """A call of a torch function; `known` has the tensors that depend on the image."""

    function: Callable
    arguments: tuple
    keywords: dict
    known: Mapping[Tensor, Value]
    name: str = field(init=False)
    in_place: bool = field(init=False)

    def __post_init__(self) -> None:
        home, _, name = (resolve_name(self.function) or "").removesuffix(".__get__").rpartition(".")
        self.name = name if home in ("torch", "torch.Tensor", "torch.nn.functional") else ""
        self.in_place = name.endswith("_") and not name.endswith("__")
        self.name = self.name.removesuffix("_") if self.in_place else self.name

    @property
    def in_words(self) -> str:
        """The function as people write it."""
        name = resolve_name(self.function) or getattr(self.function, "__name__", str(self.function))
        return name.removesuffix(".__get__")

    def images(self, *inside: object) -> list[Tensor]:
        """The tensors (in these arguments) that depend on the image."""
        return [t for t in tensors(inside or (self.arguments, self.keywords)) if t in self.known]

    def alone(self) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The first argument, and the call as a function of it. NoRuleError if another depends on the image,
        too."""
        others, keywords = list(self.arguments), dict(self.keywords)
        image = others.pop(0) if others else keywords.pop("input", None)
        if not self.images(image) or self.images(others, keywords):
            raise NoRuleError("its other arguments depend on the image")
        return image, lambda x: self.function(x, *others, **keywords)

    def boxes(self, results: int = 1) -> list[tuple[Tensor, Tensor] | None]:
        """The range of each result, if all that depends on the image is pixels: of a function that falls or
        rises with all of them."""
        images = self.images()
        if any(self.known[t].box is None for t in images):
            return [None] * results
        edges = []
        for end in (0, 1):
            arguments, keywords = tree_map_only(
                Tensor,
                lambda t, end=end: self.known[t].box[end].clone() if t in self.known else t,
                (self.arguments, self.keywords),
            )
            edges.append(list(tensors(self.function(*arguments, **keywords))))
        return [(torch.minimum(a, b), torch.maximum(a, b)) for a, b in zip(*edges, strict=True)]


def tensors(value: object) -> Iterator[Tensor]:
    """All tensors in nested arguments or results."""
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def is_question(call: Call) -> bool:
    """Whether it only asks a tensor for its shape, its place or its kind."""
    return call.name in _QUESTIONS and not call.in_place


def operate(call: Call) -> Done:
    """Call a function without weights so that relevance finds its way back. Raises NoRuleError."""
    if call.keywords.get("out") is not None:
        raise NoRuleError("it has out=")
    for names, handle in _HANDLERS:
        if call.name in names:
            return handle(call)
    raise NoRuleError


def _move(call: Call) -> Done:
    if call.in_place:
        raise NoRuleError("in place")
    result = call.function(*call.arguments, **call.keywords)
    source = call.known[call.images()[0]].source if call.name in _COPIES else None
    count = len(list(tensors(result)))
    return Done(result, [Value(box, source) for box in call.boxes(count)])


def _drop(call: Call) -> Done:
    image, function = call.alone()
    if not torch.equal(function(image.detach().clone()), image):
        raise NoRuleError("it is still active in evaluation")
    return Done(image, [call.known[image]])


def _activate(call: Call) -> Done:
    image, function = call.alone()
    if call.known[image].box and call.name not in _MONOTONE:
        raise NoRuleError("before the first layer only activations that keep the order of values have a rule")
    (box,) = call.boxes()
    layer = Ruled(function, Pass())
    result = layer(image)
    return Done(result, [Value(box)], image if layer.in_place else None)


def _average(call: Call) -> Done:
    image, function = call.alone()
    modes = {v for v in tree_leaves((call.arguments, call.keywords)) if isinstance(v, str)}
    if call.known[image].box and modes - _WITHIN:
        raise NoRuleError(f"before the first layer, mode {modes.pop()!r} takes values out of their range")
    (box,) = call.boxes()
    return Done(Ruled(function, _share(call.known[image].box))(image), [Value(box)])


def _share(box: tuple[Tensor, Tensor] | None) -> Hook:
    """Relevance in proportion to what each value gives to a sum; a pixel gives what it is above its least
    value, which is never negative and the same in every unit."""
    return Norm(STABILISER) if box is None else BasicHook(input_modifiers=[lambda x: x - box[0]])


def _calculate(call: Call) -> Done:
    """Sums and differences of branches, and what is done with a constant."""
    kind, rest = _ARITHMETIC[call.name], dict(call.keywords)
    values = [*call.arguments, *(rest.pop(name) for name in ("input", "other") if name in rest)]
    alpha = rest.pop("alpha", 1)
    if kind == "neg":
        kind, values = "mul", [*values, -1]
    if rest or len(values) != 2 or call.images(alpha):
        raise NoRuleError(f"with {', '.join(rest) or 'such arguments'}")
    changed = values[0] if call.in_place else None
    if len(call.images(*values)) == 2:
        if kind not in ("add", "sub"):
            raise NoRuleError("both values depend on the image")
        result, value = _branches(call, *values, alpha if kind == "add" else -alpha)
    else:
        result, value = _with_constant(call, kind, *values, alpha)
    return Done(result, [value], changed)


def _with_constant(call: Call, kind: str, a: object, b: object, alpha: float) -> tuple[Tensor, Value]:
    image, constant = (a, b) if call.images(a) else (b, a)
    value = call.known[image]
    if kind == "add" and not isinstance(constant, Tensor) and constant == 0:
        return image, value  # with which the builtin sum begins
    if kind == "div" and image is b:
        raise NoRuleError("it divides by what depends on the image")
    if kind in ("add", "sub", "from") and value.box is None:
        raise NoRuleError("a constant is added (a bias belongs into the layer before it)")
    calculate = {
        "add": lambda x: a + alpha * x if image is b else x + alpha * b,
        "sub": lambda x: a - alpha * x if image is b else x - alpha * b,
        "from": lambda x: constant - alpha * x,
        "mul": lambda x: x * constant,
        "div": lambda x: x / constant,
    }[kind]
    spread = image.expand(calculate(image.detach()).shape)
    if value.box is None:  # a factor of 0 takes no part, any other changes nothing
        rule = Pass() if torch.as_tensor(constant).all() else Norm(STABILISER)
        return Ruled(calculate, rule)(spread), Value()
    low, high = (calculate(edge) for edge in value.box)
    box = torch.minimum(low, high), torch.maximum(low, high)
    return Ruled(calculate, Pass())(spread), Value(box)  # pixels in another unit


def _branches(call: Call, a: Tensor, b: Tensor, factor: float) -> tuple[Tensor, Value]:
    """a + factor * b, which shares relevance, and does not double it."""
    value = call.known[b]
    if factor != 1:
        scaled = Call(torch.mul, (b, factor), {}, call.known)
        b, value = _with_constant(scaled, "mul", b, factor, 1)
    result = torch.stack(torch.broadcast_tensors(a, b), dim=-1)
    boxes = call.known[a].box, value.box
    if None in boxes:
        return Ruled(_sum, Norm(STABILISER))(result), Value()
    edges = [torch.stack(torch.broadcast_tensors(*ends), dim=-1) for ends in zip(*boxes, strict=True)]
    return Ruled(_sum, _share(edges))(result), Value((_sum(edges[0]), _sum(edges[1])))


def _sum(x: Tensor) -> Tensor:
    return x.sum(-1)


_HANDLERS = (
    (_MOVES | _MAXIMA, _move),
    (_DROPOUTS, _drop),
    (_ACTIVATIONS, _activate),
    (_AVERAGES, _average),
    (_ARITHMETIC, _calculate),
)
