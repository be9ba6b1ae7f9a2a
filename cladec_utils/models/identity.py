"""What a user's module is recognised by: all that its outputs depend on, as far as it can be seen, and its
answers to fixed images for the rest.

Code counts by what it says, not by where it lies: a class is the same in a notebook, in a file and in another
process. What belongs to Python, PyTorch or torchvision counts by its name: what another version of these
changed shows in the answers.
"""

import ast
import copy
import dataclasses
import enum
import functools
import hashlib
import inspect
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cladec_utils.engine.code import parsed
from cladec_utils.engine.device import random_kept

ANSWERED = 4
"""Images that answers are given to."""
TOLERANCE = 1e-3
"""How far answers may be off, as a share of the largest: processors and numbers of threads differ less."""
BY_NAME = frozenset({*sys.stdlib_module_names, "torch", "torchvision", "numpy", "cladec_utils"})
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
NO_ATTRIBUTES = frozenset(vars(nn.Module())) | {
    "inplace", "_compiled_call_impl", "_is_torch_compile",
}  # fmt: skip
"""What modules hold that is looked at in another way, or changes no output of a network that is only used."""
OF_NO_CLASS = {"__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__qualname__"} | {
    "__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl", "__match_args__",
}  # fmt: skip


def fingerprint(
    module: nn.Module, weights: bool = True, image_shape: tuple[int, int, int] | None = None
) -> str:
    """12 hex digits of a sha256 over the code of a module's classes, its attributes, functions and hooks and,
    with `weights`, its parameters and all buffers. Without, what is in its `state_dict` counts by shape. With
    the (C, H, W) of images it does not count what the module keeps of them: activations, numbers of calls."""
    module, passing = (module, {}) if image_shape is None else _used(module, image_shape)
    kept = () if weights else module.state_dict(keep_vars=True).values()
    digest = hashlib.sha256()
    for word in _Words(kept, passing).of(module):
        digest.update(b"%d " % len(word))
        digest.update(word)
    return digest.hexdigest()[:12]


def answers(module: nn.Module, image_shape: tuple[int, int, int]) -> Tensor:
    """The logits (ANSWERED, K) of a classifier, in evaluation mode, for fixed random images (C, H, W)."""
    return _run(module, image_shape, 0).float().cpu()


def _run(module: nn.Module, image_shape: tuple[int, int, int], seed: int) -> Tensor:
    images = torch.rand(ANSWERED, *image_shape, generator=torch.Generator().manual_seed(seed))
    device = next(module.parameters(), torch.zeros(())).device
    with torch.no_grad(), random_kept():
        torch.manual_seed(seed)  # it may draw
        return module.eval()(images.to(device))


def _used(module: nn.Module, image_shape: tuple[int, int, int]) -> tuple[nn.Module, dict[int, set[str]]]:
    """A copy that has seen images, as what is made at the first call counts, and by the number of each part
    the attributes that other images change, which do not."""
    used = copy.deepcopy(module)
    try:
        _run(used, image_shape, 0)
        before = [_attributes(part) for part in used.modules()]
        _run(used, image_shape, 1)
    except Exception:  # whatever one raises that does not take such images, which is said elsewhere
        return module, {}
    passing = {}
    for part, old in zip(used.modules(), before, strict=True):
        new = _attributes(part)
        passing[id(part)] = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return used, passing


def _attributes(part: nn.Module) -> dict[str, list[bytes]]:
    return {k: list(_Words(()).of(v)) for k, v in vars(part).items() if k not in NO_ATTRIBUTES}


def alike(mine: Tensor, theirs: Tensor) -> bool:
    """Whether two `answers` may be those of the same network."""
    room = TOLERANCE * theirs.abs().max().item()
    return mine.shape == theirs.shape and torch.allclose(mine, theirs, TOLERANCE, room, equal_nan=True)


class _Words:
    """A value in words that are the same in every process. `kept` are tensors that count by shape alone,
    `passing` attributes of modules, by their number, that do not count."""

    def __init__(self, kept: Iterable[object], passing: Mapping[int, set[str]] | None = None) -> None:
        self.passing = passing or {}
        self.kept = {id(tensor): tensor for tensor in kept}
        self.known: dict[int, object] = {}  # held, so that no other thing gets the number

    def of(self, thing: Any) -> Iterator[bytes]:
        if thing is None or isinstance(thing, bool | int | float | complex | str | bytes | torch.dtype):
            yield f"{type(thing).__name__} {thing!r}".encode("utf-8", "surrogateescape")
        elif isinstance(thing, Tensor):
            yield from self._tensor(thing)
        elif isinstance(thing, np.ndarray | np.generic):
            yield f"array {thing.dtype} {thing.shape}".encode()
            yield b"" if thing.dtype.hasobject else np.ascontiguousarray(thing).tobytes()
        elif isinstance(thing, tuple):
            yield b"tuple %d" % len(thing)
            yield from self.all(thing)
        elif id(thing) in self.known:
            yield b"again"
        else:
            self.known[id(thing)] = thing
            yield type(thing).__name__.encode()
            yield from self._new(thing)

    def all(self, things: Iterable[object]) -> Iterator[bytes]:
        for thing in things:
            yield from self.of(thing)

    def _tensor(self, tensor: Tensor) -> Iterator[bytes]:
        yield f"tensor {tensor.dtype} {tuple(tensor.shape)}".encode()
        if id(tensor) not in self.kept and not tensor.is_meta and not tensor.is_quantized:
            content = tensor.detach().cpu().contiguous().reshape(-1)
            yield content.view(torch.uint8).numpy().tobytes()  # as bytes, because NumPy has no bfloat16

    def _new(self, thing: Any) -> Iterator[bytes]:
        if isinstance(thing, Mapping):
            yield from self.all(sorted(thing.items(), key=lambda pair: str(pair[0])))
        elif isinstance(thing, list):
            yield from self.all(thing)
        elif isinstance(thing, set | frozenset):
            yield from self.all(sorted(map(str, thing)))
        else:
            yield from self._code_or_object(thing)

    def _code_or_object(self, thing: Any) -> Iterator[bytes]:
        if isinstance(thing, nn.Module):
            yield from self._module(thing)
        elif isinstance(thing, functools.partial):
            yield from self.all((thing.func, thing.args, thing.keywords))
        elif isinstance(thing, types.MethodType | staticmethod | classmethod):
            yield from self.of(thing.__func__)
        elif isinstance(thing, property):
            yield from self.of(thing.fget)
        elif _known_by_name(thing) or isinstance(thing, enum.Enum | types.ModuleType):
            yield _name(thing).encode()
        elif isinstance(thing, type):
            yield from self._class(thing)
        elif isinstance(thing, types.FunctionType):
            yield from self._function(thing)
        else:
            yield from self.all((type(thing), getattr(thing, "__dict__", None)))

    def _module(self, module: nn.Module) -> Iterator[bytes]:
        yield from self.of(type(module))
        left = NO_ATTRIBUTES | self.passing.get(id(module), set())
        yield from self.of({k: v for k, v in vars(module).items() if k not in left})
        hooks = [hook for kind in HOOKS for hook in vars(module).get(kind, {}).values()]
        yield from self.all(hook for hook in hooks if not _known_by_name(hook))
        for parts in (module._parameters, module._buffers, module._modules):
            yield from self.all(pair for pair in parts.items() if pair[1] is not None)

    def _class(self, kind: type) -> Iterator[bytes]:
        yield kind.__qualname__.rpartition(".")[2].encode()
        yield from self.all(kind.__bases__)
        yield from self.of({k: v for k, v in vars(kind).items() if k not in OF_NO_CLASS})

    def _function(self, function: types.FunctionType) -> Iterator[bytes]:
        yield _said(function.__code__).encode()
        yield from self.all((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                yield from self.of(cell.cell_contents)
            except ValueError:  # still empty
                yield b"empty"
        if not _installed(function.__code__):  # registries of packages grow with every import
            names = _named(function.__code__) & function.__globals__.keys()
            yield from self.of({name: function.__globals__[name] for name in names})


def _known_by_name(thing: Any) -> bool:
    """Whether a class, a function or another thing belongs to Python or PyTorch: its name says all."""
    if isinstance(thing, types.FunctionType):  # a decorator's may be called as what it stands for
        name = thing.__globals__.get("__name__", "")
        return name.partition(".")[0] in BY_NAME and name != "__main__" and not thing.__closure__
    kind = thing if isinstance(thing, type) else type(thing)
    if dataclasses.is_dataclass(kind) or isinstance(thing, types.SimpleNamespace):
        return False
    return kind.__module__.partition(".")[0] in BY_NAME


def _name(thing: Any) -> str:
    if isinstance(thing, enum.Enum):
        return f"{type(thing).__qualname__}.{thing.name}"
    called = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    return called if isinstance(called, str) else type(thing).__qualname__


def _said(code: types.CodeType) -> str:
    """A function's code without comments and layout; a lambda's, or where there is no source, compiled."""
    try:
        if code.co_name != "<lambda>":
            return ast.unparse(parsed(textwrap.dedent(inspect.getsource(code))))
    except (OSError, TypeError, SyntaxError, ValueError):
        pass
    return f"{code.co_code.hex()} {[_constant(c) for c in code.co_consts]} {code.co_names}"


def _constant(value: object) -> str:
    if isinstance(value, types.CodeType):
        return _said(value)
    return str(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _named(code: types.CodeType) -> set[str]:
    """The names that a function and those in it use, of globals and of attributes."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*map(_named, inner))


def _installed(code: types.CodeType) -> bool:
    return any(folder in code.co_filename for folder in ("site-packages", "dist-packages"))
