"""What a notebook's outputs were made from: one hash of its code and of the package's code."""

import ast
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from nbformat import NotebookNode

PACKAGE = Path(__file__).resolve().parents[1]
NOT_IN_OUTPUTS = {
    *(
        "__main__",
        "cli",
        "plans",
        "provenance",
        "report",
        "runner",
        "side_by_side",
        "user_study_cli",
    ),  # run them
    *("clusters", "grid"),  # they decide where and when a result is computed, which changes no bit of it
}
"""Modules that leave no trace in a notebook's outputs."""


def source_hash(notebook: NotebookNode, extra: Mapping[str, object] | None = None) -> str:
    """sha256 (first 16 hex digits) over the code cells, the package's code and `extra`.

    The package counts without comments, docstrings and layout, so polishing prose makes nothing stale;
    the questionnaire's page counts as it is.
    Cells that papermill injected do not count; pass the parameters as `extra`.
    """
    digest = hashlib.sha256()
    for cell in notebook.cells:
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", []):
            digest.update(cell.source.strip().encode() + b"\0")
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.stem not in NOT_IN_OUTPUTS:
            digest.update(path.stem.encode() + _code(path).encode() + b"\0")
    for path in sorted(PACKAGE.glob("study/profile_files/*.toml")):
        digest.update(path.name.encode() + repr(tomllib.loads(path.read_text("utf-8"))).encode() + b"\0")
    pages = PACKAGE.glob("user_study/materials/page/**/*")
    for path in sorted(p for p in pages if p.is_file() and p.suffix != ".pyc"):
        digest.update(path.name.encode() + path.read_bytes() + b"\0")
    digest.update(json.dumps(extra or {}, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _code(path: Path) -> str:
    """A module's code in a normal form, without comments and docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
            node.body = kept or [ast.Pass()]
    return ast.unparse(tree)
