# Two commands do everything: `make study` and `make test`. Both install what is missing into .venv first.
PROFILE ?= quick
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready

.PHONY: study test lab notebooks format clean

study: $(READY)
	$(BIN)/cladec study --profile $(PROFILE) $(ARGS)

# One temporary store for all checks: they never see what a study left behind, and leave nothing behind.
# The notebooks run backwards: each finds nothing of what those before it in the series would have left.
test: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	store=$$(mktemp -d) && trap 'rm -rf "$$store"' EXIT && export CLADEC_ARTIFACTS="$$store/artifacts" && \
	CLADEC_RESULTS="$$store/nbval" CLADEC_PROFILE=smoke \
	    $(BIN)/pytest -q -x -p no:cacheprovider --nbval-lax --nbval-current-env \
	    $$(ls -r notebooks/*.ipynb) $$(ls -r notebooks/solutions/*.ipynb) && \
	CLADEC_RESULTS="$$store/results" $(BIN)/pytest -q tests

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
