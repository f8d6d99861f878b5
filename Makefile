# BoonArt. `make demo` shows it, `make test` proves it, `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV ?= .venv
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell \
	$(p) -c 'import sys; print("$(p)" if sys.version_info >= (3, 11) else "")' 2>/dev/null)))
PORT ?= 8000
BIN := $(VENV)/bin
CHROMIUM ?= /usr/bin/chromium
# Bytes of disk that the environment and the demo need together.
NEEDED_GIB := 9

.PHONY: help demo serve test lint typecheck unit integration e2e compose-smoke sample bench proto format clean check-machine browser screenshots

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

check-machine:
	@test -n "$(PYTHON)" || { echo "BoonArt needs Python 3.11 or newer and finds none: install it, or run 'make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)'."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (Debian: apt-get install python3-venv)."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import shutil, sys; free = shutil.disk_usage(".").free / 2**30; sys.exit(0 if free >= $(NEEDED_GIB) else f"BoonArt needs $(NEEDED_GIB) GiB of free disk for its environment and finds {free:.1f}: free some, or set VENV to a folder on another disk.")'

# One environment for all; made again when the project's dependencies change.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory check-machine
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing BoonArt and what it needs into $(VENV) (a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all]' 2> $(VENV)/install.log \
		|| { tail -n 5 $(VENV)/install.log; echo "The installation failed; the whole log is in $(VENV)/install.log."; exit 1; }
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]' 2> $(VENV)/install.log \
		|| { tail -n 5 $(VENV)/install.log; echo "The installation failed; the whole log is in $(VENV)/install.log."; exit 1; }
	@touch $@

demo: check-machine $(VENV)/.installed ## build the sample gallery, ingest it, serve page and API on 127.0.0.1:8000
	@$(BIN)/boonart demo --port $(PORT)

serve: $(VENV)/.installed ## serve the collections that are there
	@$(BIN)/boonart serve --port $(PORT)

browser:
	@test -x $(CHROMIUM) || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing Debian's Chromium for the browser tests ..."; \
			apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
		else echo "No Chromium at $(CHROMIUM): the browser tests will be skipped (Debian: apt-get install chromium)."; fi; }

test: check-machine $(VENV)/.installed-dev browser lint typecheck ## all checks and all tests
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup

lint: $(VENV)/.installed-dev ## ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet .

typecheck: $(VENV)/.installed-dev ## mypy, strict
	@$(BIN)/mypy
	@mkdir -p build/typed && ln -sfn ../../services build/typed/boonart_services && ln -sfn ../../ingest build/typed/boonart_ingest
	@MYPYPATH=src:build/typed $(BIN)/mypy -p boonart_services -p boonart_ingest # under the names they are installed by

unit: $(VENV)/.installed-dev ## the tests that need milliseconds
	@$(BIN)/python -m pytest -q -n 2 tests/unit

integration: $(VENV)/.installed-dev ## the tests with real engines
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup tests/integration

e2e: $(VENV)/.installed-dev browser ## the tests with whole processes and a real browser
	@$(BIN)/python -m pytest -q tests/e2e

compose-smoke: $(VENV)/.installed ## the compose stack on a machine with a Docker engine: build, start, search, kill, restart
	@$(BIN)/python tests/e2e/compose_smoke.py

bench: $(VENV)/.installed ## speed of queries and of ingest, as ratios within one run
	@$(BIN)/boonart bench query && $(BIN)/boonart bench ingest

sample: $(VENV)/.installed ## paint the committed sample gallery again
	@$(BIN)/boonart sample --output src/boonart/sample/gallery

screenshots: $(VENV)/.installed-dev browser ## take the pictures of the page in docs/images
	@$(BIN)/python docs/tools/screenshots.py

proto: $(VENV)/.installed-dev ## generate the gRPC code from proto/ again
	@$(BIN)/python proto/generate.py

format: $(VENV)/.installed-dev ## put the code in its usual form
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

clean: ## remove the environment and the demo's data
	rm -rf $(VENV) .boonart build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
