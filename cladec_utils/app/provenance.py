"""What a notebook's outputs were made from: one hash of its code and of what it uses of the package.

What it uses is found without running it: the modules that its cells name, also through the package's lazy
names, all that these import in turn, and the files that lie beside them.
"""

import ast
import functools
import hashlib
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from cladec_utils.claims import effects, evidence
from cladec_utils.engine import code, paths

TOP = code.PACKAGE.name
LAZY = "_HOME"
"""The table of the package's lazy names; of it, only the names that a notebook uses count."""
NO_TRACE = frozenset({f"{TOP}.engine.clusters", f"{TOP}.engine.grid"})
"""They decide where and when a result is computed, which changes no bit of it; they are left out, and what
only they import as well."""


def source_hash(notebook: NotebookNode, extra: Mapping[str, object] | None = None) -> str:
    """sha256 (first 16 hex digits) over the code cells, what they use of the package, and `extra`.

    Modules count without comments, docstrings and layout, so polishing prose makes nothing stale, unless the
    notebook shows docstrings; files that are no modules count as they are.
    Cells that papermill injected do not count; pass the parameters as `extra`.
    """
    cells = [
        cell.source.strip()
        for cell in notebook.cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    digest = hashlib.sha256()
    for part in (*cells, *_used(_named(cells)), json.dumps(extra or {}, sort_keys=True)):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]


def contents_hash(*paths: Path) -> str:
    """sha256 (first 16 hex digits) over the names and contents of some files, and of all below folders among
    them but hidden ones. A missing one counts as such; the order of a CSV's rows does not count."""
    digest = hashlib.sha256()
    for top in paths:
        for path in sorted(p for p in top.rglob("*") if p.is_file()) if top.is_dir() else [top]:
            place = path.relative_to(top) if top.is_dir() else Path(path.name)
            if not any(part.startswith(".") for part in place.parts):
                content = path.read_bytes() if path.is_file() else b"missing"
                if path.suffix == ".csv":  # rows that are recorded again move to the end
                    content = b"".join(sorted(content.splitlines(keepends=True)))
                digest.update(f"{os.fsencode(place)!r} {_sha256(content)}\n".encode())
    return digest.hexdigest()[:16]


def recorded_hash(profile: str, these: Iterable[str] | None = None) -> str:
    """A hash of everything that notebooks recorded in the results folders that a scorecard reads (see
    `evidence.belonging`): all tables and figures; of the scorecard, which also depends on the stored figures
    that tables name; and of what it leaves out."""
    results, read = paths.results_dir(profile), evidence.belonging(profile, these)
    patterns = ("*.csv", "*.json", "*/metrics.json")
    tables = [p for name in read.read for pattern in patterns for p in sorted((results / name).glob(pattern))]
    names = "\n".join(p.relative_to(results).as_posix() for p in tables)
    card = effects.scorecard(profile, these).to_csv(index=False)
    return _sha256(f"{names}\n{contents_hash(*tables)}\n{card}\n{read.left_out}".encode())[:16]


@dataclass(frozen=True)
class _Named:
    """The modules that a notebook names, and of which it shows docstrings; None: of any that it uses."""

    modules: frozenset[str]
    shown: frozenset[str] | None


def _used(named: _Named) -> Iterator[str]:
    """Everything of the package that counts, in a fixed order."""
    if not named.modules:
        return
    yield _top()[0]
    modules = code.reached(named.modules, {TOP, *NO_TRACE})
    for module in modules:
        yield module
        yield code.normal_form(code.path_of(module), named.shown is None or module in named.shown)
    for path in _files_beside(modules):
        content = path.read_bytes()
        yield path.relative_to(code.PACKAGE).as_posix()
        # Comments count as little there as in a module.
        yield repr(tomllib.loads(content.decode("utf-8-sig"))) if path.suffix == ".toml" else _sha256(content)


def _files_beside(modules: Iterable[str]) -> list[Path]:
    """The files of the packages that some modules are in, down to other packages: settings, templates, pages.
    Any module of a package may read them."""

    def visit(folder: Path, inside: bool) -> Iterator[Path]:
        for path in folder.iterdir():
            if path.name.startswith((".", "__pycache__")):
                continue
            if path.is_dir():
                yield from () if (path / "__init__.py").is_file() else visit(path, True)
            elif inside or path.suffix != ".py":
                yield path

    folders = {code.path_of(module).parent for module in modules}
    return sorted(path for folder in folders for path in visit(folder, False))


def _named(cells: Iterable[str]) -> _Named:
    nodes = [node for cell in cells for node in _nodes(cell)]
    local: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                local[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            local |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    written = {_module_of(alias.name) for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    chains = {node: _chain(node, local) for node in nodes if isinstance(node, ast.Attribute)}
    named = written | {_module_of(name) for name in (*local.values(), *chains.values())}
    changed = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    unchanged = {name: place for name, place in local.items() if name not in changed}
    shown = {
        _module_of(_chain(node.value, unchanged))
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr == "__doc__"
    }
    # What is shown of something in a variable can come from anywhere.
    return _Named(frozenset(named - {""}), None if "" in shown else frozenset(shown))


def _nodes(cell: str) -> Iterator[ast.AST]:
    """A cell's syntax; what only IPython understands has none, and what cannot run imports nothing."""
    lines = ["" if line.startswith(("%", "!", "?")) else line for line in cell.splitlines()]
    try:
        yield from ast.walk(code.parsed("\n".join(lines)))
    except SyntaxError:
        return


def _chain(node: ast.AST, local: Mapping[str, str]) -> str:
    """`cu.images.rows` as `cladec_utils.images.rows`; empty for what begins with no imported name."""
    if isinstance(node, ast.Attribute):
        before = _chain(node.value, local)
        return before and f"{before}.{node.attr}"
    return local.get(node.id, "") if isinstance(node, ast.Name) else ""


def _module_of(name: str) -> str:
    """The module of the package that a dotted name is, or is defined in; empty if it is of something else."""
    top, *parts = name.split(".")
    if top != TOP:
        return ""
    _, table = _top()
    module = TOP
    if parts and parts[0] in table:
        # As the package's `__getattr__` does: what the place defines, or the module of that name in it.
        module = f"{TOP}.{table[parts[0]]}"
    for part in parts:
        if not code.is_ours(f"{module}.{part}"):
            break
        module = f"{module}.{part}"
    return module


def _top() -> tuple[str, dict[str, str]]:
    """The package's own `__init__` without its table, which names more than any notebook uses; the table."""
    return _apart(code.normal_form(code.path_of(TOP)))


@functools.cache
def _apart(source: str) -> tuple[str, dict[str, str]]:
    body = code.parsed(source).body
    table = next(ast.literal_eval(node.value) for node in body if _is_table(node))
    return ast.unparse([node for node in body if not _is_table(node)]), table


def _is_table(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(t, ast.Name) and t.id == LAZY for t in node.targets
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
