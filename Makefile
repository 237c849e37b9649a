# What people do with the project, one target each. `make` alone lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

TWIN_HOME ?= $(CURDIR)/.twin

.DEFAULT_GOAL := help
.PHONY: help demo dev test proof coverage lint fmu lock bench soak clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: $(VENV)/.installed ## install into .venv and run the main job: a plant, its calibration, a summary
	@$(BIN)/twin --home "$(TWIN_HOME)" demo

dev: $(VENV)/.installed ## the Dagster UI on the same home, at http://127.0.0.1:3000
	@mkdir -p "$(TWIN_HOME)/dagster"
	@TWIN_HOME="$(TWIN_HOME)" $(BIN)/python -c "import os, twin_assets.home as h; h.home_from(os.environ).prepare()"
	TWIN_HOME="$(TWIN_HOME)" DAGSTER_HOME="$(TWIN_HOME)/dagster" $(BIN)/dagster dev -w workspace.yaml

test: $(VENV)/.developer ## install what the tests need and run them
	$(BIN)/python -m pytest -q -n 2 -m "not slow"

proof: $(VENV)/.developer ## the slower proofs: real processes killed, the UI started
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m slow

coverage: $(VENV)/.developer ## both, with the coverage of what is there (fails below 90 %)
	@rm -f .coverage .coverage.*
	PYTEST_ADDOPTS="--cov --cov-append --cov-report=" $(MAKE) test proof
	$(BIN)/coverage report --fail-under=90

lint: $(VENV)/.developer ## ruff (all rules) and mypy (strict)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.developer ## print the numbers
	$(BIN)/python benchmarks/demo_numbers.py
	$(BIN)/python benchmarks/demo_honesty.py --seeds 20
	$(BIN)/python benchmarks/honesty.py
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/replay.py
	$(BIN)/python benchmarks/fleet.py
	$(BIN)/python benchmarks/historian.py
	$(BIN)/python benchmarks/sitewise.py
	$(BIN)/python benchmarks/overhead.py

soak: $(VENV)/.developer ## 2,000 live ticks into a local SiteWise with faults, the twin killed 20 times (15 minutes)
	$(BIN)/python benchmarks/soak.py

fmu: $(VENV)/.developer ## rebuild the demonstration twin's FMU for all platforms
	$(BIN)/python twins/web_line/model/build.py

lock: $(VENV)/.developer ## pin the dependencies anew
	$(PIP) uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
	    --no-annotate --no-header --no-emit-index-url --quiet --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	    --no-annotate --no-header --no-emit-index-url --quiet --upgrade -c requirements.lock -o requirements-dev.lock

clean: ## remove the environment; the home (.twin) stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .coverage*

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("%s is Python %d.%d; 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.11 …" % (sys.executable, *v))'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV) (once, about a minute) …"
	@$(PIP) -r requirements.lock
	@$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/.developer: requirements-dev.lock $(VENV)/.installed
	@$(PIP) -r requirements-dev.lock
	@touch $@
