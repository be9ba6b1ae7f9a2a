"""What LRP knows of tensor operations: a positive list.

LRP has rules for layers. An operation between them gets the rule of the layer that does the same, or only
moves values about and needs none; what is on no list here is refused, since the plain gradient, which
autograd would take instead, is another map than relevance.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.overrides import resolve_name
from zennit.core import Hook
from zennit.rules import Norm, Pass

STABILISER = 1e-6


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ACTIVATIONS = _words(  # those that zennit has as layers
    "celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid prelu relu relu6 rrelu "
    "selu sigmoid silu softplus softshrink softsign tanh tanhshrink threshold"
)
_FIXED_SUMS = _words(  # linear in the image, without a constant but the bias of `linear`: rule epsilon
    "mean sum linear avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d"
)
_MAXIMA = _words(  # the largest value takes all, which is the gradient; for zennit's layers, too
    "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"
)
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
_MOVES = _words(  # each value that comes out is one that went in, or a constant
    "view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze permute transpose swapaxes "
    "swapdims movedim moveaxis t T mT contiguous clone expand expand_as broadcast_to repeat tile "
    "repeat_interleave narrow select index_select __getitem__ chunk split unbind tensor_split flip roll cat "
    "concat concatenate stack hstack vstack pad pixel_shuffle pixel_unshuffle channel_shuffle to type_as "
    "float double half cpu cuda"
)
_QUESTIONS = _words(  # about a tensor, and not about its values
    "size dim ndimension numel nelement stride is_contiguous is_floating_point is_complex get_device "
    "element_size is_same_size __len__ shape ndim dtype device requires_grad grad_fn is_leaf is_cuda layout "
    "is_sparse is_quantized zeros_like ones_like new_zeros new_ones"
)
_ARGUMENTS = ("input", "self", "other")


class NoRuleError(Exception):
    """An operation that LRP has no rule for, in words."""


class _Ruled(nn.Module):
    """A function as a layer, so that a rule can be given to it. `in_place` says whether it changed its input,
    which is a copy here."""

    def __init__(self, function: Callable[[Tensor], Tensor], rule: Hook) -> None:
        super().__init__()
        self.function = function
        self.in_place = False
        rule.register(self)

    def forward(self, x: Tensor) -> Tensor:
        version = x._version
        y = self.function(x)
        self.in_place = x._version != version
        return y


def is_question(function: Callable) -> bool:
    """Whether it only asks a tensor for its shape, its place or its kind."""
    return _name(function) in _QUESTIONS


def in_words(function: Callable) -> str:
    """A torch function as people write it."""
    return (resolve_name(function) or getattr(function, "__name__", str(function))).removesuffix(".__get__")


def is_dense(function: Callable) -> bool:
    """Whether it is a dense layer called as a function."""
    return _name(function) == "linear"


def tensors(value: object) -> Iterator[Tensor]:
    """All tensors in nested arguments or results."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors(part)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


def apply(
    function: Callable, arguments: tuple, keywords: dict, picture: bool
) -> tuple[object, bool, Tensor | None]:
    """Call a torch function with its rule; some of the arguments depend on the image, as their
    `requires_grad` says. `picture` says that these are affine in single pixels.

    Returns the result; whether that is affine in single pixels, too, if they were; and the tensor that
    should have been changed in place, and was not. Raises NoRuleError.
    """
    name = _name(function)
    base = name.removesuffix("_") if not name.endswith("__") else name
    if "out" in keywords:
        raise NoRuleError(f"{in_words(function)} with out=")
    if name in _MOVES or name in _MAXIMA:
        return function(*arguments, **keywords), name in _MOVES, None
    if base in _ARITHMETIC:
        values = [*arguments, *(keywords[k] for k in _ARGUMENTS if k in keywords)]
        rest = {k: v for k, v in keywords.items() if k not in _ARGUMENTS}
        result = _calculate(function, _ARITHMETIC[base], values, rest, picture)
        return result, True, values[0] if base != name else None
    rule = Pass() if base in _ACTIVATIONS else Norm(STABILISER) if name in _FIXED_SUMS else None
    if rule is None and base not in _DROPOUTS:
        raise NoRuleError(in_words(function))
    rest = {k: v for k, v in keywords.items() if k != "input"}
    first, *others = [*arguments, *(keywords[k] for k in ("input",) if k in keywords)]
    if any(t.requires_grad for t in tensors((others, rest))):
        raise NoRuleError(f"{in_words(function)} with weights that depend on the image")
    if rule is None:
        result = function(first, *others, **rest)
        if not torch.equal(result, first):
            raise NoRuleError(f"{in_words(function)}, which is still active in evaluation")
        return result, True, None
    layer = _Ruled(lambda x: function(x, *others, **rest), rule)
    result = layer(first)
    return result, False, first if layer.in_place else None


def _name(function: Callable) -> str:
    """The last part of a torch function's name, empty for any other function."""
    home, _, name = (resolve_name(function) or "").removesuffix(".__get__").rpartition(".")
    return name if home in ("torch", "torch.Tensor", "torch.nn.functional") else ""


def _calculate(function: Callable, kind: str, values: list, rest: dict, picture: bool) -> Tensor:
    """Sums and differences of branches, and what is done with a constant."""
    alpha = rest.pop("alpha", 1)
    if kind == "neg":
        kind, values = "mul", [*values, -1]
    if rest or len(values) != 2:
        raise NoRuleError(f"{in_words(function)} with {', '.join(rest) or 'such arguments'}")
    images = [isinstance(v, Tensor) and v.requires_grad for v in values]
    if all(images):
        if kind not in ("add", "sub"):
            raise NoRuleError(f"{in_words(function)} of two values that both depend on the image")
        return _sum_of_branches(*values, alpha if kind == "add" else -alpha)
    image, constant = values if images[0] else reversed(values)
    if alpha != 1:
        raise NoRuleError(f"{in_words(function)} of a constant with alpha")
    if kind == "add" and not isinstance(constant, Tensor) and constant == 0:
        return image  # with which the builtin sum begins
    if kind == "from" or (kind == "sub" and not images[0]):
        return _with_constant(function, lambda x: constant - x, image, picture)
    if kind == "div" and not images[0]:
        raise NoRuleError(f"{in_words(function)} by a value that depends on the image")
    if kind in ("add", "sub"):
        sign = 1 if kind == "add" else -1
        return _with_constant(function, lambda x: x + sign * constant, image, picture)
    factor = (lambda x: x * constant) if kind == "mul" else (lambda x: x / constant)
    return _with_constant(function, factor, image, picture, Norm(STABILISER))


def _with_constant(
    function: Callable,
    calculate: Callable[[Tensor], Tensor],
    image: Tensor,
    picture: bool,
    rule: Hook | None = None,
) -> Tensor:
    """An affine map of the picture: relevance does not depend on the unit of pixels. Of other values only
    factors have a rule."""
    if not picture and rule is None:
        raise NoRuleError(f"{in_words(function)} of a constant (a bias belongs into the layer before it)")
    shape = calculate(image.detach()).shape
    return _Ruled(calculate, Pass() if picture else rule)(image.expand(shape))


def _sum_of_branches(a: Tensor, b: Tensor, factor: float) -> Tensor:
    """a + factor * b, which shares relevance, and does not double it."""
    if factor != 1:
        b = _Ruled(lambda x: x * factor, Norm(STABILISER))(b)
    return _Ruled(_sum, Norm(STABILISER))(torch.stack(torch.broadcast_tensors(a, b), dim=-1))


def _sum(x: Tensor) -> Tensor:
    return x.sum(-1)
