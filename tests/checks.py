"""Which tests `make test` leaves out, that each of them names a fast one in its stead, and that this is said.

`@pytest.mark.slow(instead="tests/test_x.py::test_y")` marks what is long by nature; `--slow` runs it, too.
`@pytest.mark.numeric` marks comparisons of computed numbers, whose last bits differ between processors.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = pytest.StashKey[int]()
FIRST = ("test_series.py", "test_faults.py", "test_clusters.py", "test_user_study_page.py")
"""The files that take longest begin, so that no process is left alone with one of them."""


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests, too (only them: -m slow)")


def pytest_configure(config):
    config.stash[LEFT_OUT] = 0
    config.addinivalue_line("markers", "slow(instead): long by nature; `instead` names the fast test")
    config.addinivalue_line("markers", "numeric: compares numbers that processors round differently")


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: item.path.name not in FIRST)
    if config.option.slow or "slow" in (config.option.markexpr or "").split():
        return
    slow = [item for item in items if item.get_closest_marker("slow") and not fault_of(item)]
    if slow:
        config.hook.pytest_deselected(items=slow)
        config.stash[LEFT_OUT] = len(slow)
        items[:] = [item for item in items if item not in slow]


def pytest_runtest_setup(item):
    if fault := fault_of(item):  # such a test is not left out but an error
        pytest.fail(fault, pytrace=False)


def fault_of(item):
    """What is wrong with a mark: it names no test, or none that is there, or one that is slow itself."""
    mark = item.get_closest_marker("slow")
    if mark is None:
        return ""
    instead = mark.kwargs.get("instead", "")
    path, _, name = instead.partition("::")
    if not name:
        return 'a slow test names the fast one that stands in: slow(instead="tests/test_x.py::test_y")'
    if not (ROOT / path).is_file():
        return f"there is no file {path}, which {instead} names as its stand-in"
    tests = {n.name: n for n in ast.parse((ROOT / path).read_text()).body if isinstance(n, ast.FunctionDef)}
    if name not in tests:
        return f"there is no test {name} in {path}"
    if any(
        "mark.slow" in ast.unparse(d) and "param" not in ast.unparse(d) for d in tests[name].decorator_list
    ):
        return f"{instead} is slow itself"
    return ""


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # one of several processes: the first one hears of it
        session.config.workeroutput["left_out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    # All processes collect the same tests.
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter, config):
    if count := config.stash[LEFT_OUT]:
        terminalreporter.write_line(f"{count} slow tests left out; `make test-all` runs them (or --slow)")
