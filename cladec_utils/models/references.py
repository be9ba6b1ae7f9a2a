"""A network of the same architecture with fresh weights: drawing them, making sure that all were drawn, and
finding out whether they can be trained. What cannot be has a generic encoder (`generic`) as its reference."""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.nn.utils import parametrize

from cladec_utils.engine.device import random_kept
from cladec_utils.errors import CladecError

REFERENCES = ("own", "generic")
"""What RefAE's encoder may be: the classifier's architecture, or a convolutional network of our own."""
GENERIC = "RefAE (generic encoder)"
"""What a RefAE is called that has not the classifier's architecture."""
UNDRAWN = 3
"""So many parts at most are named that cannot be drawn."""
POWER_ITERATIONS = 15
"""Of a spectral norm with fresh weights, as torch makes of a new one."""


def reinitialise(module: nn.Module, strict: bool = True) -> list[CladecError]:
    """Draw all weights of `module` anew, in place, from torch's current seed, and make sure of it.

    Parts draw theirs with `reset_parameters`, those of INITIALISATIONS as their constructors do. Parts that
    hold buffers alone, such as the mean to subtract from images, keep them unless they have a
    `reset_parameters`; a batch norm that is frozen, its weights and statistics buffers, starts as the
    identity, and so do statistics called running_mean and running_var anywhere. Raises CladecError, and
    leaves the module of no use, if a weight is not drawn: its part has no such function, or one that
    misses it (torch.nn.utils.weight_norm, pruning), or a buffer is called a weight. Unless `strict`, weights
    that are not drawn are NaN afterwards, and what would have been raised is returned.
    """
    with torch.no_grad():
        for weight in module.parameters():
            if weight.is_floating_point() or weight.is_complex():
                weight.fill_(torch.nan)  # whatever is still there afterwards was not drawn
        parts = list(module.named_modules())
        for name, part in parts:
            _draw(module, name, part)
        for _, part in reversed(parts):  # as constructors do: the inner parts first
            for kind in type(part).__mro__:
                if own := INITIALISATIONS.get(f"{kind.__module__}.{kind.__qualname__}"):
                    own(part)
                    break
        missed = [
            _cannot(module, name, f"draws its {weight}")
            for name, part in parts
            for weight, tensor in part.named_parameters(recurse=False)
            if tensor.isnan().any()
        ]
    if missed and strict:
        raise missed[0]
    return missed


def _cannot(module: nn.Module, name: str, draws: str, error: Exception | None = None) -> CladecError:
    name = name.split(".parametrizations.", maxsplit=1)[0]
    part = module.get_submodule(name)
    has = "a reset_parameters() that fails" if error else "no reset_parameters() that"
    where = repr(name) if name else "the module itself"
    return CladecError(
        f"Fresh weights are needed, but {where} ({type(part).__name__}) has {has}"
        + (f": {type(error).__name__}: {error}" if error else f" {draws}; add one.")
    )


def _draw(module: nn.Module, name: str, part: nn.Module) -> None:
    weights, buffers = (list(x(recurse=False)) for x in (part.parameters, part.named_buffers))
    parametrised = parametrize.is_parametrized(part)
    if not callable(getattr(part, "reset_parameters", None)):
        _forget(module, name, dict(buffers))
    elif weights or buffers or parametrised:
        try:
            _draw_parametrised(part) if parametrised else part.reset_parameters()
        except Exception as error:  # whatever a part of the user's raises
            raise _cannot(module, name, "", error) from error


def _forget(module: nn.Module, name: str, buffers: dict[str, Tensor]) -> None:
    """What a frozen batch norm has learned is in its buffers."""
    fresh = {"running_mean": 0.0, "running_var": 1.0}
    if fresh.keys() <= buffers.keys():
        fresh |= {"weight": 1.0, "bias": 0.0}
    for key, tensor in buffers.items():
        if key in fresh:
            tensor.fill_(fresh[key])
        elif key in ("weight", "bias") and tensor.is_floating_point():
            raise _cannot(module, name, f"draws its {key}, a buffer")


def _draw_parametrised(part: nn.Module) -> None:
    """Of a part under torch.nn.utils.parametrizations: what the plain part would draw becomes its weights."""
    kind, names = type(part).__mro__[1], list(part.parametrizations)
    plain = object.__new__(kind)
    plain.__dict__ = dict(part.__dict__)
    plain._parameters = dict(part._parameters)
    for name in names:
        plain._parameters[name] = nn.Parameter(torch.empty_like(getattr(part, name)))
    plain.reset_parameters()
    for name in names:
        setattr(part, name, plain._parameters[name].data)
        for rule in part.parametrizations[name]:
            if hasattr(rule, "_power_method") and hasattr(
                rule, "_u"
            ):  # a spectral norm: its vectors are learned
                for vector in (rule._u, rule._v):
                    vector.copy_(nn.functional.normalize(torch.randn_like(vector), dim=0, eps=rule.eps))
                matrix = rule._reshape_weight_to_matrix(plain._parameters[name].data)
                rule._power_method(matrix, POWER_ITERATIONS)


def _constant(name: str, value: float) -> Callable[[nn.Module], None]:
    return lambda part: init.constant_(getattr(part, name), value)


def _normal(name: str, std: float, cut: bool = False) -> Callable[[nn.Module], None]:
    draw = init.trunc_normal_ if cut else init.normal_
    return lambda part: draw(getattr(part, name), std=std)


def _dense(kinds: tuple[type, ...], draw: Callable, bias: Callable) -> Callable[[nn.Module], None]:
    """All parts of those kinds."""

    def own(part: nn.Module) -> None:
        for each in part.modules():
            if isinstance(each, kinds) and not parametrize.is_parametrized(each):
                draw(each.weight)
                if each.bias is not None:
                    bias(each.bias)

    return own


def _small(weight: Tensor) -> None:
    init.trunc_normal_(weight, std=0.02)


_swin_block = _dense((nn.Linear,), init.xavier_uniform_, lambda b: init.normal_(b, std=1e-6))
_swin = _dense((nn.Linear,), _small, init.zeros_)


def _window_v1(part: nn.Module) -> None:
    if getattr(part, "relative_position_bias_table", None) is not None:
        _normal("relative_position_bias_table", 0.02, cut=True)(part)


def _window_v2(part: nn.Module) -> None:
    init.constant_(part.logit_scale, math.log(10))
    if part.qkv.bias is not None:
        part.qkv.bias.chunk(3)[1].zero_()


def _vision_transformer(part: nn.Module) -> None:
    init.zeros_(part.class_token)
    stem = getattr(part.conv_proj, "conv_last", part.conv_proj)
    if stem is part.conv_proj:
        init.trunc_normal_(stem.weight, std=math.sqrt(1 / stem.weight[0].numel()))
    else:
        init.normal_(stem.weight, std=math.sqrt(2 / stem.out_channels))
    for name in ("pre_logits", "head"):
        layer = getattr(part.heads, name, None)
        if isinstance(layer, nn.Linear):
            std = math.sqrt(1 / layer.in_features) if name == "pre_logits" else 0.0
            init.trunc_normal_(layer.weight, std=std) if std else init.zeros_(layer.weight)
            init.zeros_(layer.bias)
    if stem.bias is not None:
        init.zeros_(stem.bias)


TORCHVISION = "torchvision.models."
INITIALISATIONS: dict[str, Callable[[nn.Module], None]] = {
    "torch.nn.modules.activation.MultiheadAttention": lambda part: part._reset_parameters(),
    "torch.nn.modules.transformer.Transformer": lambda part: part._reset_parameters(),
    f"{TORCHVISION}convnext.CNBlock": _constant("layer_scale", 1e-6),
    f"{TORCHVISION}convnext.ConvNeXt": _dense((nn.Conv2d, nn.Linear), _small, init.zeros_),
    f"{TORCHVISION}swin_transformer.ShiftedWindowAttention": _window_v1,
    f"{TORCHVISION}swin_transformer.ShiftedWindowAttentionV2": _window_v2,
    f"{TORCHVISION}swin_transformer.SwinTransformerBlock": lambda part: _swin_block(part.mlp),
    f"{TORCHVISION}swin_transformer.SwinTransformer": _swin,
    f"{TORCHVISION}maxvit.RelativePositionalMultiHeadAttention": _window_v1,
    f"{TORCHVISION}vision_transformer.MLPBlock": _swin_block,
    f"{TORCHVISION}vision_transformer.Encoder": _normal("pos_embedding", 0.02),
    f"{TORCHVISION}vision_transformer.VisionTransformer": _vision_transformer,
}
"""How parts are drawn that hold weights without a `reset_parameters`, or are drawn otherwise by what they are
in: as in their constructors, by the place and name of their class, so that nothing is imported for them.
What else a network holds is drawn by its own parts before."""


def drawn(network: nn.Module) -> nn.Module:
    """A copy with fresh weights, ready to be trained as an encoder. Dropout is off: it regularises
    classification, here it would only blur. Weights that cannot be drawn are 0: `why_not` knows whether the
    layer depends on them."""
    fresh = _drawn(network)[0]
    with torch.no_grad():
        for weight in fresh.parameters():
            weight.nan_to_num_(0.0)
    return fresh


def _drawn(network: nn.Module) -> tuple[nn.Module, list[CladecError]]:
    """The same with weights that cannot be drawn left NaN, and why they cannot."""
    fresh = copy.deepcopy(network)
    missed = reinitialise(fresh, strict=False)
    for weight in fresh.parameters():
        weight.requires_grad_(weight.is_floating_point())
    for part in fresh.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd) or type(part).__name__ == "StochasticDepth":
            part.p = 0.0
        for name in ("dropout", "attention_dropout", "drop_prob"):  # attention and the like
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)
    return fresh, missed


def why_not(encoder: nn.Module, image_shape: tuple[int, int, int]) -> str:
    """Why RefAE cannot train the architecture of an `Encoder` from fresh weights; empty if it can.

    Two reasons: a weight cannot be drawn, or the activation depends on one that gets no gradient.
    """
    trial = copy.copy(encoder)
    trial._modules = dict(encoder._modules)
    with random_kept(), torch.inference_mode(False):
        torch.manual_seed(0)
        try:
            trial.classifier, undrawn = _drawn(encoder.classifier)
            images = torch.rand(2, *image_shape)
            if undrawn:
                with torch.no_grad():
                    if trial.eval()(images).isnan().any():  # the layer depends on what is left
                        return " ".join(dict.fromkeys(map(str, undrawn[:UNDRAWN])))
                trial.classifier = drawn(encoder.classifier)
            missed = _without_gradient(trial, images)
        except CladecError as error:
            return str(error)
        except Exception as error:  # whatever a network of the user's raises in training
            return f"The classifier's architecture cannot be trained: {type(error).__name__}: {error}"
    if not missed:
        return ""
    return (
        f"The classifier's forward cuts gradients, {missed!r} gets none, so its architecture cannot be "
        "trained; take torch.no_grad, detach or a reentrant checkpoint out of it."
    )


def _without_gradient(encoder: nn.Module, images: Tensor) -> str:
    """The name of a weight that gets no gradient though the activation depends on it, as it changes with it;
    empty if there is none. That it gets none alone says nothing: what runs behind the layer gets none either.
    """
    with torch.enable_grad():
        code = encoder.train()(images)
        if code.requires_grad:
            (code * torch.randn_like(code)).sum().backward()
    weights = dict(encoder.classifier.named_parameters())
    silent = {n: w for n, w in weights.items() if w.grad is None and w.requires_grad}
    if not silent or not _matters(encoder, images, list(silent.values())):
        return ""
    return next((n for n, w in silent.items() if _matters(encoder, images, [w])), next(iter(silent)))


@torch.no_grad()
def _matters(encoder: nn.Module, images: Tensor, weights: list[Tensor]) -> bool:
    """Whether the activation changes with these weights."""
    codes = []
    for _ in range(2):
        torch.manual_seed(0)  # a network may draw
        codes.append(encoder.eval()(images))
        for weight in weights:
            weight.add_(torch.randn_like(weight) * (weight.std(correction=0) + 0.1))
    return not torch.equal(*codes)
