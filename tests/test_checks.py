"""What `make test` leaves out, and that it says so."""

from pathlib import Path

import pytest

STAND_IN = "tests/test_checks.py::test_slow_tests_are_left_out_and_counted"
TESTS = f"""
import pytest

@pytest.mark.slow(instead="{STAND_IN}")
@pytest.mark.parametrize("i", range(3))
def test_long(i):
    pass

def test_short():
    pass
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run tests with the plugin alone; returns what pytest says."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def run(text, *arguments):
        pytester.makepyfile(text)
        start = pytester.runpytest_subprocess if "-n" in arguments else pytester.runpytest_inprocess
        return start("-p", "checks", "-p", "no:cacheprovider", *arguments)

    return run


@pytest.mark.parametrize("spread", [(), ("-n", "1")])
def test_slow_tests_are_left_out_and_counted(run, spread):
    found = run(TESTS, *spread)
    found.assert_outcomes(passed=1, deselected=0 if spread else 3)
    found.stdout.fnmatch_lines("3 slow tests left out; `make test-all` runs them (or --slow)")


@pytest.mark.parametrize(("option", "passed"), [(("--slow",), 4), (("-m", "slow"), 3)])
def test_slow_tests_run_when_asked_for(run, option, passed):
    found = run(TESTS, *option)
    found.assert_outcomes(passed=passed, deselected=4 - passed)
    found.stdout.no_fnmatch_line("*left out*")


@pytest.mark.parametrize(
    ("instead", "fault", "spread"),
    [
        ("", "names the fast one that stands in", ()),
        ("tests/test_nothing.py::test_x", "there is no file tests/test_nothing.py", ()),
        ("tests/test_checks.py::test_x", "there is no test test_x in tests/test_checks.py", ()),
        ("tests/test_clusters.py::test_the_study_on_slurm", "is slow itself", ()),
        ("", "names the fast one that stands in", ("-n", "1")),
    ],
)
def test_a_stand_in_must_be_there_and_fast(run, instead, fault, spread):
    found = run(TESTS.replace(STAND_IN, instead), *spread)
    found.assert_outcomes(passed=1, errors=3)
    found.stdout.fnmatch_lines(f"*{fault}*")
