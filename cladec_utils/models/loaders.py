"""A user's classifier as text, `mymodule:load`: who knows the text can load it, in whatever process.

The part before the colon is a module that can be imported from the working directory, or the path of a .py
file; the part behind it is a function in it, without arguments, that gives the trained module. Of a module
with more outputs than the data have classes `mymodule:load[310+309]` says which are those of the classes.
"""

import contextlib
import functools
import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from torch import nn

from cladec_utils.errors import CladecError, did_you_mean

EXAMPLE = "such as mymodule:load or path/to/file.py:load"


def is_loader(architecture: object) -> bool:
    """Whether that is the text of a loader, and no name of an architecture."""
    return isinstance(architecture, str) and ":" in architecture and not architecture.startswith("own:")


def outputs(text: str) -> tuple[int, ...] | None:
    """The outputs that a loader's text names for the classes of the data; None if it names none. Raises
    CladecError for brackets with anything but numbers."""
    inside = re.search(r"\[(.*)\]\s*$", text)
    if inside is None:
        return None
    numbers = inside.group(1).split("+")
    if not all(number.strip().isdecimal() for number in numbers):
        raise CladecError(
            f"{text!r} has {inside.group(1)!r} in brackets; there belong numbers of the classifier's "
            "outputs, one for each class of the data, such as mymodule:load[310+309]."
        )
    return tuple(map(int, numbers))


def absolute(text: str) -> str:
    """A loader's text as processes in other folders understand it. Raises CladecError if there is no such
    module."""
    place, function = _parts(text)
    chosen = outputs(text)
    function += "" if chosen is None else f"[{'+'.join(map(str, chosen))}]"
    path = Path(place).expanduser()
    if path.suffix != ".py":
        path = Path.cwd().joinpath(*place.split(".")).with_suffix(".py")
    if not path.is_file() and not place.endswith(".py"):
        found = _spec(place, text)
        if found.origin is None or not found.origin.endswith(".py"):
            raise CladecError(f"{text}: {place} is no module of Python's source; {_give()}")
        if _importable_everywhere(place, found.origin):
            return text
        path = Path(found.origin)
    if not path.is_file():
        near = (
            did_you_mean(path.name, [p.name for p in path.parent.glob("*.py")])
            if path.parent.is_dir()
            else ""
        )
        raise CladecError(f"There is no file {path.absolute()} to load a classifier from.{near}")
    return f"{path.resolve()}:{function}"


@functools.cache
def load(text: str) -> nn.Module:
    """What the function of a loader's text returns, called once in a process. Raises CladecError, with what
    is wrong, unless that is a torch module."""
    text = absolute(text)
    return _load(text)


@functools.cache
def _load(text: str) -> nn.Module:
    place, name = _parts(text)
    with _said(f"{place} cannot be imported"):
        module = _import(place)
    function = _function(module, name, text)
    with _said(f"{text} cannot load the classifier"):
        found = function()
    if not isinstance(found, nn.Module):
        given = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        way = {
            "dict": " If it is a state_dict, make its network, call load_state_dict and return the network.",
            "OrderedDict": " Make its network, call load_state_dict and return the network.",
            "NoneType": " Let it end with `return` and the network.",
        }.get(type(found).__name__, "")
        raise CladecError(f"{text} returns {given}; it must return a trained torch.nn.Module.{way}")
    return found


def _parts(text: str) -> tuple[str, str]:
    place, _, function = re.sub(r"\[.*\]\s*$", "", text).rpartition(":")
    if not place.strip() or not function.strip():
        raise CladecError(f"{text!r} does not name a module and a function of it, {EXAMPLE}.")
    return place.strip(), function.strip()


def _give() -> str:
    return "give a module that can be imported from the working directory, or the path of a .py file."


def _spec(name: str, text: str) -> importlib.machinery.ModuleSpec:
    with _working_directory_first():
        importlib.invalidate_caches()
        try:
            found = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            found = None
        except (Exception, SystemExit) as error:  # a package around it, which is imported for that
            raise CladecError(f"{text}: {name} cannot be imported; {_of(error)}.") from error
    if found is None:
        near = did_you_mean(name, [path.stem for path in Path.cwd().glob("*.py")])
        raise CladecError(
            f"{text}: there is no module {name!r} in {Path.cwd()} or installed.{near} {_give().capitalize()}"
        )
    return found


@contextlib.contextmanager
def _working_directory_first() -> Iterator[None]:
    before = list(sys.path)
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path[:] = before


def _importable_everywhere(name: str, origin: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names or any(
        folder in Path(origin).parts for folder in ("site-packages", "dist-packages")
    )


def _import(place: str) -> ModuleType:
    """A module by its name or its file, whose folder comes first where it imports others, as for a script."""
    path = Path(place)
    if path.suffix != ".py":
        return importlib.import_module(place)
    root, parts = path.parent, [path.stem] if path.stem != "__init__" else []
    while (root / "__init__.py").is_file():  # of a package, which its relative imports need
        parts.insert(0, root.name)
        root = root.parent
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    name = ".".join(parts)
    if len(parts) > 1 or path.stem == "__init__":
        return importlib.import_module(name)
    known = sys.modules.get(name)
    if known is not None and Path(getattr(known, "__file__", None) or "").resolve() == path:
        return known
    if known is not None or name in sys.stdlib_module_names:  # another one of that name
        name = f"classifier_in_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _function(module: ModuleType, name: str, text: str):
    found = getattr(module, name, None)
    if not callable(found):
        mine = [
            n for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__
        ]
        there = f"it has {', '.join(mine)}" if mine else "it has no function"
        what = "has no function" if found is None else f"has, but not as a function ({type(found).__name__}),"
        raise CladecError(f"{text}: the module {what} {name!r};{did_you_mean(name, mine)} {there}.")
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError) as error:
        raise CladecError(
            f"{text} is called without arguments, but {name} needs some ({error}); write a function around "
            "it."
        ) from None
    return found


@contextlib.contextmanager
def _said(what: str) -> Iterator[None]:
    """Whatever a user's code raises becomes one sentence that begins so; what the kit says goes through."""
    try:
        yield
    except CladecError:
        raise
    except (Exception, SystemExit) as error:
        raise CladecError(f"{what}: {_of(error)}.") from error


def _of(error: BaseException) -> str:
    """An error in words, and where in the user's code it was raised."""
    text = str(error).strip().splitlines()
    message = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    where = [f for f in traceback.extract_tb(error.__traceback__) if _of_user(f.filename)]
    return f"{message} ({Path(where[-1].filename).name}, line {where[-1].lineno})" if where else message


def _of_user(file: str) -> bool:
    return file.endswith(".py") and not any(
        part in file
        for part in ("site-packages", "dist-packages", "importlib", f"{os.sep}cladec_utils{os.sep}")
    )
