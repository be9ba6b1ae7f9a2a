"""What the engine says of the machine and of the package's own code."""

import os

import dask.system
import pytest

from cladec_utils.engine import code, paths


@pytest.mark.parametrize(("quota", "wanted"), [(250_000, 3), (50_000, 1), (None, 8)])
def test_workers_keep_to_the_limit_of_a_container(monkeypatch, quota, wanted):
    monkeypatch.delenv("CLADEC_WORKERS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    monkeypatch.setattr(dask.system, "psutil", None)
    monkeypatch.setattr(dask.system, "LINUX", True)
    monkeypatch.setattr(dask.system, "_try_extract_cgroup_cpu_quota", lambda: (quota, quota and 100_000))
    assert paths.workers() == wanted
    monkeypatch.setenv("CLADEC_WORKERS", "5")
    assert paths.workers() == 5


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of three modules, `mine.a` of which imports `mine.sub.b`."""
    root = tmp_path / "mine"
    (root / "sub").mkdir(parents=True)
    for name, text in {
        "__init__.py": "", "sub/__init__.py": "", "c.py": "C = 1\n", "sub/b.py": "import os\nB = 1\n",
        "a.py": "def f():\n    from mine.sub import b\n    return b.B\n",
    }.items():  # fmt: skip
        (root / name).write_text(text)
    monkeypatch.setattr(code, "PACKAGE", root)
    yield root
    code.code_hash.cache_clear()


def code_hash(module):
    code.code_hash.cache_clear()
    return code.code_hash(module)


def test_the_code_of_a_module_is_its_own_and_what_it_imports(package):
    assert [m for m in code.reached(["mine.a"]) if m != "mine"] == ["mine.a", "mine.sub", "mine.sub.b"]
    assert code.reached(["mine.a"], ["mine.sub.b"]) == ["mine.a", "mine.sub"]
    before = code_hash("mine.a")
    (package / "c.py").write_text("C = 2\n")
    (package / "sub/b.py").write_text('"""What b is."""\nimport os  # for nothing\n\nB = (1)\n')
    assert code_hash("mine.a") == before and len(before) == 16
    (package / "sub/b.py").write_text("import os\nB = 2\n")
    assert code_hash("mine.a") != before
    assert code_hash("json") == code_hash("mine.none") == ""


def test_what_only_decides_where_a_result_is_made_is_no_part_of_its_code():
    found = code.reached(["cladec_utils.study.explainers"], code.NOT_IN_BITS)
    names = {name.removeprefix("cladec_utils.") for name in found}
    assert {"models.training", "data.splits", "engine.device"} <= names
    assert not names & {"engine.grid", "engine.store", "plots.charts", "errors"}
