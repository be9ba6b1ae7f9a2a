"""Modules of users': taken out of wrappers, checked, copied, and given tensors laid out as they need."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cladec_utils.engine.device import random_kept
from cladec_utils.errors import CladecError

NO_LAYERS = (
    "The classifier has no modules inside, so no layer has a name: what is to be explained must be an "
    "nn.Module of it (self.features = nn.Sequential(...)), or pass through one (self.here = nn.Identity())."
)
COMPILED = "_orig_mod"
"""Under which name torch.compile holds what it was given."""


def plain(module: nn.Module) -> nn.Module:
    """The module without torch.compile and DataParallel around it; a copy if parts of it are compiled, as
    compiled parts do not show what happens inside."""
    while (inner := _inside(module)) is not module:
        module = inner
    if not isinstance(module, nn.Module) or not any(map(_is_compiled, module.modules())):
        return module
    mine = _deep_copied(module, "classifier")  # a copy is not compiled as a whole, but its parts may be
    for part in list(mine.modules()):
        for name, child in part._modules.items():
            part._modules[name] = child if child is None else plain(child)
    return mine


def _inside(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return module.module
    return module._modules[COMPILED] if _is_wrapped(module) else module


def _is_wrapped(module: object) -> bool:
    return isinstance(module, nn.Module) and COMPILED in module._modules


def _is_compiled(module: nn.Module) -> bool:
    return _is_wrapped(module) or module._compiled_call_impl is not None


def plain_name(name: str, modules: Mapping[str, nn.Module]) -> str:
    """The name of a module in `modules`, also if it is given as it was inside of what `plain` takes away."""
    names = (str(name), str(name).replace(f"{COMPILED}.", ""))
    return next((n for each in names for n in (each, each.removeprefix("module.")) if n in modules), name)


def checked_module(module: object, what: str) -> nn.Module:
    """The module, called `what` in sentences, if it can be looked into, copied and stored."""
    if not isinstance(module, nn.Module):
        given = f"the class {module.__name__}" if isinstance(module, type) else f"a {type(module).__name__}"
        raise CladecError(f"The {what} is {given}; it must be a torch.nn.Module, so make one and give that.")
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            where = f" in part ({name!r})" if name else ""
            raise CladecError(
                f"The {what} is TorchScript{where}, into whose layers nobody can look; give what it was "
                "made from."
            )
        if any(of in type(part).__module__ for of in (".nn.quantized", ".nn.intrinsic.quantized")):
            raise CladecError(
                f"The {what} is quantised ({name or 'it'!r} is a {type(part).__module__}."
                f"{type(part).__name__}), and gradients and weights are needed; give the float module it was "
                "made from."
            )
    tensors = (*module.parameters(), *module.buffers())
    if any(is_lazy(tensor) for tensor in tensors):
        raise CladecError(f"The {what} has lazy layers, still without weights; call it once on images.")
    for name, part in module.named_modules():
        if type(part).get_extra_state is nn.Module.get_extra_state:
            continue
        if not isinstance(part.get_extra_state(), Tensor):
            raise CladecError(
                f"The {what} keeps extra state (get_extra_state of {name or type(part).__name__!r}) that is "
                "no tensor and cannot be stored with its weights; make it a buffer or a tensor."
            )
    return module


def other_precision(module: nn.Module, what: str, alone: bool = False) -> CladecError | None:
    """What to say of a module with weights of another precision than float32, or with such `alone`."""
    kinds = {p.dtype for p in module.parameters() if p.is_floating_point()}
    others = sorted(map(str, kinds - {torch.float32}))
    if not others or (alone and torch.float32 in kinds):
        return None
    return CladecError(f"The {what} has weights of {others[0]}; call its float().")


class _Apart:
    """A hook that gives a module copies of its inputs, as it may change what it is given, in place.
    They are `contiguous` where it needs that, else laid out as they come."""

    def __init__(self) -> None:
        self.contiguous = False
        self.fine: set[tuple[int, ...]] = set()

    def __call__(self, _module: nn.Module, arguments: tuple) -> tuple:
        layout = torch.contiguous_format if self.contiguous else torch.preserve_format
        return tuple(a.clone(memory_format=layout) if isinstance(a, Tensor) else a for a in arguments)


def _apart(module: nn.Module) -> _Apart | None:
    return next((hook for hook in module._forward_pre_hooks.values() if isinstance(hook, _Apart)), None)


def copied(module: object, what: str) -> nn.Module:
    """A copy of a user's module, called `what` in sentences, that cannot change what it is given: it works on
    copies, as a module may normalise its input in place. Of others the bits stay."""
    mine = _deep_copied(checked_module(plain(module), what), what)
    if _apart(mine) is None:
        mine.register_forward_pre_hook(_Apart(), prepend=True)
    return mine


def _deep_copied(module: nn.Module, what: str) -> nn.Module:
    try:
        with torch.inference_mode(False):
            return copy.deepcopy(module)
    except Exception as error:  # whatever its parts raise
        raise CladecError(
            f"The {what} cannot be copied ({type(error).__name__}: {error}). Take out what it keeps beside "
            "its weights: an activation of its last call (set it to None), a lock or an open file, weights "
            "of torch.nn.utils.weight_norm (use torch.nn.utils.parametrizations.weight_norm)."
        ) from error


def lay_out(module: nn.Module, inputs: Tensor) -> None:
    """Find out whether a copy of a user's module takes `inputs` and has its weights channels last, as the kit
    lays them out. If it fails so (it calls `view`, say), but not otherwise, it gets contiguous ones from now
    on. The kit's own networks are left alone."""
    hook, shape = _apart(module), tuple(inputs.shape[1:])
    if hook is None or hook.contiguous or shape in hook.fine:
        return
    if not _takes(module, inputs, torch.channels_last) and _takes(module, inputs, torch.contiguous_format):
        hook.contiguous = True
        restore_layout(module)
    else:
        hook.fine.add(shape)


def restore_layout(module: nn.Module) -> None:
    """Lay out the weights of those parts contiguously that need it (see `lay_out`)."""
    for part in module.modules():
        if (hook := _apart(part)) is not None and hook.contiguous:
            part.to(memory_format=torch.contiguous_format)


def _takes(module: nn.Module, inputs: Tensor, layout: torch.memory_format) -> bool:
    first = next(module.parameters(), inputs)
    trial = copy.deepcopy(module).eval().to(memory_format=layout)
    inputs = inputs.to(first.device, memory_format=layout if inputs.dim() == 4 else torch.preserve_format)
    try:
        with torch.no_grad(), random_kept():
            trial(inputs)
    except Exception:  # whatever its parts raise
        return False
    return True


def check_output(output: object) -> None:
    """Raises CladecError for what is no tensor."""
    if isinstance(output, Tensor):
        return
    how = ".logits" if hasattr(output, "logits") else "[0]"
    if isinstance(output, Mapping):
        how = f"[{next(iter(output), 'logits')!r}]"
    raise CladecError(
        f"The classifier gives {type(output).__name__} for 2 images; it must give logits (2, classes), a "
        f"tensor: wrap it in a module whose forward returns them, such as model(x){how}."
    )


def first_output(output: object) -> object:
    """The logits of a classifier that is being trained: GoogLeNet and its like then give others beside."""
    return output[0] if isinstance(output, tuple) else output


def not_taken(classifier: nn.Module, image_shape: tuple[int, int, int], error: Exception) -> CladecError:
    """What to say of a classifier that fails on images of that shape: that its weights are of another
    precision, or that these have too many or too few channels, if that is it."""
    if found := other_precision(classifier, "classifier"):
        return found
    channels, *size = image_shape
    for other in (c for c in (3, 1) if c != channels):  # one may do where three do, as it is repeated
        if _takes(classifier, torch.zeros(2, other, *size), torch.contiguous_format):
            grey = "images.expand(-1, 3, -1, -1)" if channels == 1 else "images[:, :3]"
            grey = "images.mean(1, keepdim=True)" if other == 1 else grey
            return CladecError(
                f"The classifier does not take images of shape {image_shape}: it was made for {other} "
                f"channel{'s' * (other > 1)}, these have {channels}; give it {grey}, or wrap it in a module "
                "that does this first."
            )
    return CladecError(
        f"The classifier does not take images of shape {image_shape} (channels, height, width), float32, "
        f"in batches: {type(error).__name__}: {error}"
    )


def not_offered(name: str, module: nn.Module, calls: list) -> CladecError:
    """What to say of a module that cannot be explained though the classifier has it; `calls` are those of one
    pass."""
    why = "it gives no tensor of floats with one row per image; take one that it consists of, or that follows"
    if len(calls) != 1:
        why = f"it runs {len(calls)} times on each image" if calls else "it does not run on these images"
        why += "; take a layer that runs once, such as one around or after it"
    return CladecError(f"Layer {name!r} ({type(module).__name__}) cannot be explained: {why}.")
