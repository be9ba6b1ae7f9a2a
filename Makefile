# Two commands do everything: `make study` and `make test`. Both install what is missing into .venv first.
# `make test-all` also runs the checks that take long.
PROFILE ?= quick
PYTHON ?= python3
ARGS ?=
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(8, os.cpu_count()))')
BIN := .venv/bin
READY := .venv/.ready

.PHONY: study test test-all test-slow lab notebooks format clean
.PHONY: check-series check-notebooks check-tests check-backwards check-slow check-numeric
.NOTPARALLEL:

study: $(READY)
	$(BIN)/cladec study --profile $(PROFILE) $(ARGS)

# All checks but the slow tests, spread over the cores: 8 minutes on two of them.
test: $(READY)
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/lint-imports --no-cache
	$(IN_A_STORE) $(MAKE) STORE="$$store" check-series check-notebooks check-tests

# And then what is long by nature.
test-all: test test-slow

test-slow: $(READY)
	$(IN_A_STORE) $(MAKE) STORE="$$store" check-backwards check-slow check-numeric

# A temporary store: checks never see what a study left behind, and leave nothing behind.
IN_A_STORE = store=$$(mktemp -d) && trap 'rm -rf "$$store"' EXIT INT TERM &&
STORED = CLADEC_ARTIFACTS="$(STORE)/artifacts" CLADEC_RESULTS="$(STORE)/$@" OMP_NUM_THREADS=1
PYTEST = $(BIN)/pytest -q -x -p no:cacheprovider -n $(JOBS) --dist loadfile --no-loadscope-reorder
NBVAL = CLADEC_PROFILE=smoke CLADEC_WORKERS=1 $(PYTEST) --nbval-lax --nbval-current-env

# The series as `make study` runs it; what it leaves is what the next two find.
check-series:
	$(STORED) CLADEC_WORKERS=2 $(BIN)/cladec study --profile smoke

check-notebooks:
	$(STORED) $(NBVAL) notebooks/*.ipynb notebooks/solutions/*.ipynb

check-tests:
	$(STORED) CLADEC_SERIES="$(STORE)/check-series" $(PYTEST) tests

# The notebooks in reverse: each finds nothing of what those before it in the series would have left.
check-backwards:
	$(STORED) $(NBVAL) $$(ls -r notebooks/*.ipynb notebooks/solutions/*.ipynb)

check-slow:
	$(STORED) $(PYTEST) -m slow tests

# The instruction set decides on the kernels, and these on the last bits: a stand-in for other processors.
check-numeric:
	$(STORED) ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST) -m numeric tests
	$(STORED) ONEDNN_MAX_CPU_ISA=AVX512_CORE $(PYTEST) -m numeric tests

lab: $(READY)
	$(BIN)/jupyter lab --notebook-dir notebooks

# For maintainers: execute all notebooks under the quick profile and keep their outputs in notebooks/.
notebooks: $(READY)
	$(BIN)/cladec notebooks

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf artifacts results

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.12 ..."; exit 2; }
	@if command -v uv >/dev/null 2>&1; then \
	    uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
	    uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock && \
	    uv pip install --quiet --python $(BIN)/python --no-deps --editable .; \
	else \
	    $(PYTHON) -m venv .venv && \
	    $(BIN)/pip install --quiet -r requirements.lock && \
	    $(BIN)/pip install --quiet --no-deps --editable .; \
	fi
	@touch $@
