# Everything here needs python3 (3.11 or newer) and make, nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Looks for what readers of a screen cannot use; from npm, by make test-browser alone.
AXE    := 4.14.1

.PHONY: help demo play doctor test test-rooms test-acceptance fuzz test-browser test-cluster test-everywhere lint fmt ui bench lock clean
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ —/'

$(READY): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q assets hatif page pipelines rehearsal sync warehouse
	@touch $@

demo: $(READY)  ## the whole product against the built-in rehearsal server
	@$(BIN)/hatif demo

play: $(READY)  ## a made-up service that lives, and what to do with it
	@$(BIN)/hatif rehearse --play

doctor: $(READY)  ## are settings, credentials, clock and disk in order? The first step of a real sync
	@$(BIN)/hatif doctor

# A third process works while others wait for programs that they started.
WORKERS ?= 3

test: test-rooms test-acceptance  ## all tests but those that need servers or a browser

test-rooms: $(READY)  ## those of the rooms, with the branches that they take: [tool.coverage] in pyproject.toml
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal tests --ignore=tests/acceptance --cov --cov-report=term

test-acceptance: $(READY)  ## the whole product against the rehearsal server
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal tests/acceptance

fuzz: $(READY)  ## the fuzz tests with 5,000 values each, and bills after 200 increments
	@FUZZ_VALUES=5000 $(BIN)/pytest tests/warehouse/records/test_fuzz_streams.py \
		tests/warehouse/webhooks/test_fuzz_webhooks.py tests/warehouse/marts/test_fuzz_marts.py
	@BILL_INCREMENTS=200 $(BIN)/pytest --timeout=7200 tests/warehouse/marts/test_bills.py

test-browser: $(READY)  ## the page and the Dagster UI in a headless Chromium; takes minutes
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target .browser \
		--requirement requirements-browser.lock
	@test -e .browser/axe.min.js || { cd .browser && npm pack --silent axe-core@$(AXE) >/dev/null \
		&& tar -xzf axe-core-$(AXE).tgz --strip-components=1 package/axe.min.js; }
	@PYTHONPATH=.browser $(BIN)/pytest tests/browser --basetemp=.browser/runs

test-cluster: $(READY)  ## stores on servers: PostgreSQL and a bucket; takes minutes
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target .cluster \
		--requirement requirements-cluster.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target .readers \
		--requirement requirements-readers.lock
	@PYTHONPATH="$(CURDIR)/.cluster" $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/cluster

test-everywhere: $(READY)  ## the acceptance tests with a catalog on PostgreSQL and a lake in a bucket
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target .cluster \
		--requirement requirements-cluster.lock
	@PYTHONPATH="$(CURDIR)/.cluster" $(BIN)/pytest -n 2 --dist worksteal -p tests.cluster.everywhere tests/acceptance

lint: $(READY)  ## style, format, types and layering
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fmt: $(READY)  ## put files into shape
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

ui: export DAGSTER_HOME ?= $(CURDIR)/.dagster
ui: export VIRTUAL_ENV := $(CURDIR)/$(VENV)
ui: $(READY)  ## the Dagster UI on http://127.0.0.1:3000
	@mkdir -p "$$DAGSTER_HOME"
	@$(BIN)/python -m pipelines.ui
	@$(BIN)/dg dev --host 127.0.0.1 --port 3000

bench: $(READY)  ## measure what docs/benchmarks.md claims
	@$(BIN)/python -m benchmarks

lock: $(READY)  ## pin the newest versions that pyproject.toml allows
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
		--no-emit-index-url --no-annotate --group dev --extra ui pyproject.toml -o requirements.lock
	@{ echo "# What \`make test-cluster\` needs beside requirements.lock."; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-header \
		--no-emit-index-url --no-annotate --constraint requirements.lock --group cluster --group linters \
		--extra cluster --extra machines pyproject.toml | grep -vxFf requirements.lock; } > requirements-cluster.lock
	@{ echo "# What \`make test-cluster\` reads published files with: apart from all else."; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-header \
		--no-emit-index-url --no-annotate --group readers; } > requirements-readers.lock
	@{ echo "# What the image of deploy/Dockerfile has."; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header \
		--no-emit-index-url --no-annotate --generate-hashes --constraint requirements.lock \
		--constraint requirements-cluster.lock --group image --extra cluster --extra machines \
		pyproject.toml; } > deploy/requirements.lock

clean:  ## remove what the commands above made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .dagster .browser .cluster .readers .coverage* data
