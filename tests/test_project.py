"""The house rules that a machine can check."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted((ROOT / "cladec_utils").glob("*.py"))
LOCK = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip()]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# A module imports only from those before it.
ORDER = [
    "errors", "specs", "config", "splits", "userdata", "planted", "sources", "data", "convolutions", "models",
    "layers", "training", "store", "recipes", "evaluation", "linear", "study", "subsets", "clusters", "grid",
    "evidence", "verdicts", "claims", "scorecard", "concepts", "concept_study", "concept_claims",
    "concept_words",
    "figures", "figures_concepts", "notebook", "explorer",
    "faithfulness", "attributions", "relevance", "saliency", "saliency_study", "saliency_results",
    "saliency_limits", "figures_saliency",
    "user_study_spec", "user_study_edits", "user_study_items", "user_study_orders", "user_study_settings",
    "user_study_content", "user_study_page", "user_study_rules", "user_study_schema", "user_study_documents",
    "user_study_exports", "user_study_forms", "user_study_package", "user_study_responses",
    "user_study_table", "user_study_analysis", "user_study_agreement", "user_study_simulation",
    "user_study_power", "user_study_figures", "user_study_results",
    "plans", "provenance", "side_by_side", "runner", "report", "user_study_cli", "cli", "__main__",
]  # fmt: skip


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
        "fpdf": "fpdf2",
        "dask_jobqueue": "dask-jobqueue",
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
    assert sorted([*ORDER, "__init__"]) == [p.stem for p in PACKAGE]
    for path in PACKAGE:
        if path.stem == "__init__":
            continue
        allowed = set(ORDER[: ORDER.index(path.stem)])
        used = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "cladec_utils":
                inside = node.module.split(".")[1:]
                used |= set(inside[:1]) or {alias.name for alias in node.names}
        assert used <= allowed, f"{path.stem} imports {used - allowed}"


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
        assert not re.search(r"pickle\.loads?|(?<!safetensors\.)torch\.load\(|allow_pickle=True", text), file
        assert not re.search(r"(?<![\w/.])/(work|root|home)/\w", text), file
        assert not re.search(r"pypi\.org/simple|pythonhosted|npmjs", text), file
