"""The package's own code as data: in a normal form, what a module imports, and a hash of both.

Records say which code made an artifact. It is shown and decides nothing: an artifact is valid by its spec,
and a change of the procedure raises `spec.RECIPE`.
"""

import ast
import contextlib
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
NOT_IN_BITS = frozenset(
    f"{PACKAGE.name}.{name}"
    for name in ("errors", *(f"engine.{n}" for n in ("clusters", "code", "grid", "paths", "spec", "store")))
)
"""Modules that decide where and when an artifact is made and how it is called: no bit of it."""


def normal_form(path: Path, docstrings: bool = False) -> str:
    """A module's code without comments and layout, and unless they are wanted without `docstrings`."""
    return _normal_form(path, _state(path), docstrings)


def imported(module: str) -> frozenset[str]:
    """The modules of the package that `module`, one of it, names in its imports, inside functions as well,
    and the packages below the top that those are in."""
    path = path_of(module)
    return _imported(path, _state(path))


def reached(modules: Iterable[str], without: Iterable[str] = ()) -> list[str]:
    """`modules` of the package and all that they import, also in turn, sorted; not through `without`."""
    left = set(without)

    def visit(module: str) -> Iterator[str]:
        if module not in left:
            left.add(module)
            yield module
            for other in imported(module):
                yield from visit(other)

    return sorted(found for module in modules for found in visit(module))


@functools.cache
def code_hash(module: str) -> str:
    """sha256 (first 16 hex digits) over a module of the package and what it imports, but for what changes no
    bit of an artifact. Empty for a module that is not of the package."""
    if not is_ours(module):
        return ""
    digest = hashlib.sha256()
    for name in reached([module], NOT_IN_BITS):
        digest.update(f"{name}\0{normal_form(path_of(name))}\0".encode())
    return digest.hexdigest()[:16]


def parsed(source: str) -> ast.Module:
    """The syntax tree of Python source. Python 3.11's parser fails now and then where other threads are at
    work (github.com/python/cpython/issues/106905), so a second try, and a third, may be needed."""
    for _ in range(9):
        with contextlib.suppress(SystemError):
            return ast.parse(source)
    return ast.parse(source)


def path_of(module: str) -> Path:
    """Where a module of the package, or the `__init__` of one of its packages, lies."""
    plain = PACKAGE.parent.joinpath(*module.split("."))
    return plain / "__init__.py" if plain.is_dir() else plain.with_suffix(".py")


def is_ours(module: str) -> bool:
    """Whether that is a module of the package."""
    return module.partition(".")[0] == PACKAGE.name and path_of(module).is_file()


def _state(path: Path) -> tuple[int, int]:
    """What changes when a file does: a module is parsed once, and again if it was edited meanwhile."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@functools.cache
def _normal_form(path: Path, _state: tuple[int, int], docstrings: bool) -> str:
    tree = parsed(path.read_text("utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and not docstrings:
            kept = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
            node.body = kept or [ast.Pass()]
    return ast.unparse(tree)


@functools.cache
def _imported(path: Path, _state: tuple[int, int]) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(parsed(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    ours = {name for name in names if is_ours(name)}
    inside = {name.rsplit(".", depth)[0] for name in ours for depth in range(1, name.count("."))}
    return frozenset(ours | inside)
