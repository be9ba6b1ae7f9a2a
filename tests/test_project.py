"""The house rules that a machine can check."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted(p for p in (ROOT / "cladec_utils").rglob("*.py") if p.name != "collector.py")  # a script
LOCK = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip()]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name(requirement):
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def test_the_lock_pins_everything_the_project_names():
    pins = {}
    for pin in LOCK:
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), f"{pin} is not pinned"
        pins.setdefault(name(pin), []).append(str(pin.specifier)[2:])
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    for requirement in map(Requirement, wanted):
        versions = pins.get(name(requirement), [])
        assert versions, f"{requirement} is not in requirements.lock"
        assert all(requirement.specifier.contains(v) for v in versions)


def test_the_lock_names_versions_only():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text and "--" not in text and not (ROOT / "uv.lock").exists()


def test_the_conda_environment_is_that_of_the_lock():
    text = (ROOT / "environment.yml").read_text()
    python = PROJECT["requires-python"]
    assert f"- python{python}" in text
    assert "- -r requirements.lock" in text and "- -e ." in text
    others = re.findall(r"^ +- (?!python|pip:?$|-r|-e|conda-forge)(\S+)", text, re.MULTILINE)
    assert others == [], f"{others} would escape the lock"


def test_everything_imported_is_declared():
    declared = {name(Requirement(r)) for r in PROJECT["dependencies"]}
    alias = {
        "PIL": "pillow",
        "IPython": "ipykernel",
        "pytorch_msssim": "pytorch-msssim",
        "dask": "dask",
        "dask_jobqueue": "dask-jobqueue",
        "jupyter_client": "jupyter-client",
    }
    import sys

    for path in PACKAGE:
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module]
            for module in modules:
                top = module.split(".")[0]
                if top not in sys.stdlib_module_names and top != "cladec_utils":
                    assert alias.get(top, top) in declared, f"{path.name} imports {top}"


@pytest.mark.parametrize("path", PACKAGE, ids=lambda p: p.stem)
def test_modules_and_functions_are_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 310
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            length = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
            assert length <= 42, f"{path.name}: {node.name} has {length} lines"


def test_imports_go_in_one_direction():
    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True) == 0, "see the contract"


def test_public_functions_are_documented_and_typed():
    for path in PACKAGE:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                arguments = [*node.args.args, *node.args.kwonlyargs]
                assert all(a.annotation for a in arguments) and node.returns, f"{path.name}: {node.name}"


def test_nothing_is_unpickled_and_no_machine_is_named():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    files = [ROOT / f for f in listed.stdout.splitlines() if not f.startswith(("data/", "tests/"))]
    if not files:
        pytest.skip("not a git checkout")
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text("utf-8", errors="replace")
        assert not re.search(
            r"pickle\.loads?|(?<!safetensors\.)torch\.load\((?![^)\n]*weights_only=True)|allow_pickle=True",
            text,
        ), file
        assert not re.search(r"(?<![\w/.])/(work|root|home)/\w", text), file
        assert not re.search(r"pypi\.org/simple|pythonhosted|npmjs", text), file
