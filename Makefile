# Every target sets up what it needs in $(VENV) and finds it done the next time. `make` alone lists the targets.

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
UV_VERSION := 0.13.9
PYTEST_ARGS ?=
# Tests wait for processes and brokers half of the time, so that more of them run at once than a small machine has cores.
# Each worker has a broker of its own; one named by DRIFTLINE_TEST_KAFKA would be shared, and some tests list all it has.
TEST_WORKERS ?= $(if $(DRIFTLINE_TEST_KAFKA),0,3)
TORCH_PIP_ARGS ?=
LOCK_ARGS ?=

# What has been installed is marked by a file named after the content that asked for it, so that neither a checkout
# nor a `touch` installs anything again, and going back to an older lock file does.
DONE := $(VENV)/.done
fingerprint = $(shell cat $(1) 2>/dev/null | cksum | tr ' ' '-')
RUNTIME := $(DONE)/runtime-$(call fingerprint,requirements/runtime.txt)
PACKAGE := $(DONE)/package-$(call fingerprint,pyproject.toml)
TOOLS := $(DONE)/tools-$(call fingerprint,requirements/test.txt)
TORCH := $(DONE)/torch-$(call fingerprint,pyproject.toml requirements/test.txt)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check format bench gpu chaos drifting soak healthy broker image manifests screenshots prometheus dashboards lock clean distclean browser kafka

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(RUNTIME) $(PACKAGE) ## replay a real stream and a fleet of 200 with labelled faults, and write the reports
	@$(BIN)/driftline demo

test: $(RUNTIME) $(PACKAGE) $(TOOLS) $(TORCH) browser kafka prometheus check ## everything that a change must pass: check, then all tests
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(PYTEST_ARGS)

check: $(RUNTIME) $(PACKAGE) $(TOOLS) $(TORCH) ## format, lint, types and imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(TOOLS) ## format, and fix what can be fixed without thought
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(RUNTIME) $(PACKAGE) $(TOOLS) $(TORCH) kafka ## measure speed and detection beside peers (BENCH="engine decoding service ablation segments calibration fields joint training poisoned metrics structures latency prior swap")
	$(BIN)/python -m tests.benchmarks $(BENCH)

gpu: $(RUNTIME) $(PACKAGE) $(TOOLS) $(TORCH) ## test and measure training on the CUDA device of this machine
	DRIFTLINE_REQUIRE=cuda $(BIN)/python -m pytest -m cuda $(PYTEST_ARGS)
	$(BIN)/python -m tests.benchmarks training prior

KILLS ?= 20
SEED ?= 1
BROKER_PORT ?= 9092
DRIFTING_ARGS ?=

broker: $(RUNTIME) ## run an Apache Kafka broker on loopback until Ctrl-C (BROKER_PORT=9092)
	@$(BIN)/python -m tests.kafka_broker --port $(BROKER_PORT)

chaos: $(RUNTIME) $(PACKAGE) $(TOOLS) kafka prometheus ## kill members of the service at random and in swaps, and compare what is seen (KILLS=20 SEED=1)
	@$(BIN)/python -m tests.chaos --kills $(KILLS) --seed $(SEED)

drifting: $(RUNTIME) $(PACKAGE) $(TOOLS) $(TORCH) kafka ## serve a fleet that changes for good, and see it learned (DRIFTING_ARGS="--keys 80 --rise 4")
	@$(BIN)/python -m tests.drifting $(DRIFTING_ARGS)

soak: $(RUNTIME) $(PACKAGE) $(TOOLS) ## serve two million records through fifty rebalances, and watch the memory
	@$(BIN)/python -m tests.soak

MINUTES ?= 60
healthy: $(RUNTIME) $(PACKAGE) $(TOOLS) $(TORCH) kafka prometheus ## run a default installation under a real Prometheus, and see that no alert is raised (MINUTES=60)
	@$(BIN)/python -m tests.healthy --minutes $(MINUTES)

# The engine for containers, and what `build` and `run` are given besides, where a machine asks for it.
ENGINE ?= $(notdir $(firstword $(shell command -v docker podman 2>/dev/null)))
ENGINE_BUILD_ARGS ?=
ENGINE_ARGS ?=
IMAGE ?= driftline:$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

image: $(RUNTIME) $(PACKAGE) $(TOOLS) kafka ## build the image that serves, and try it as it is run in production (ENGINE=podman)
	@test -n "$(ENGINE)" || { echo "found no engine for containers; expected docker or podman on PATH, or ENGINE=..." >&2; exit 1; }
	BUILDAH_FORMAT=docker $(ENGINE) build $(ENGINE_BUILD_ARGS) -f deploy/Dockerfile --target serving -t $(IMAGE) .
	DRIFTLINE_IMAGE=$(IMAGE) DRIFTLINE_ENGINE=$(ENGINE) DRIFTLINE_ENGINE_ARGS="$(ENGINE_ARGS)" DRIFTLINE_REQUIRE=image,kafka \
		$(BIN)/python -m pytest tests/deploy/test_image.py $(PYTEST_ARGS)

manifests: $(RUNTIME) $(PACKAGE) $(TOOLS) ## write the rules of Prometheus anew for its operator on Kubernetes
	@$(BIN)/python -m tests.deploy.rendering

screenshots: $(RUNTIME) $(PACKAGE) $(TOOLS) browser kafka ## make the screenshots of the live page anew (docs/images)
	@$(BIN)/python -m tests.screenshots

lock: | $(BIN)/python ## write the lock files anew (LOCK_ARGS=--upgrade takes newer versions)
	$(BIN)/python -m venv .make/lock
	.make/lock/bin/python -m pip --disable-pip-version-check install -q uv==$(UV_VERSION)
	$(call compile,requirements/runtime.txt,--group build)
	$(call compile,requirements/test.txt,--group build --group test --constraints requirements/runtime.txt)
compile = UV_CUSTOM_COMPILE_COMMAND="make lock" .make/lock/bin/uv pip compile -q $(LOCK_ARGS) --universal \
	--python-version 3.11 --fork-strategy fewest --generate-hashes $(2) --output-file $(1) pyproject.toml

clean: ## remove caches and build products; the virtual environment and the compiled kernels (~/.cache/driftline) stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .make build dist
	find detectors pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environment as well
	rm -rf $(VENV)

browser: $(RUNTIME) $(TOOLS)
	@$(BIN)/python -m tests.capabilities browser || sh scripts/install-chromium.sh

kafka: $(RUNTIME)
	@$(BIN)/python -m tests.kafka_broker --fetch || echo "The tests that need a broker will be skipped."

prometheus: $(RUNTIME)
	@$(BIN)/python -m tests.capabilities prometheus || sh scripts/fetch-prometheus.sh prometheus
	@$(BIN)/python -m tests.capabilities alertmanager || sh scripts/fetch-prometheus.sh prometheus-alertmanager

dashboards: $(RUNTIME) $(PACKAGE) $(TOOLS) ## write the dashboards of deploy/grafana and the tables of docs/metrics.md anew
	@$(BIN)/python -m deploy.dashboards
	@$(BIN)/python -m pipeline.catalogue.tables

$(BIN)/python:
	@python=$$(PYTHON="$(PYTHON)" sh scripts/find-python.sh) && echo "Making $(VENV) with $$python" \
		&& { "$$python" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }; }

$(RUNTIME): | $(BIN)/python
	@PYTHON=$(BIN)/python sh scripts/find-python.sh "remove it with make distclean" >/dev/null
	@echo "Installing the locked packages for running ..."
	@$(PIP) install -q --require-hashes -r requirements/runtime.txt
	@mkdir -p $(DONE) && rm -f $(DONE)/runtime-* && touch $@

$(PACKAGE): | $(RUNTIME)
	@$(PIP) install -q --no-deps --no-build-isolation --editable .
	@rm -f $(DONE)/package-* && touch $@

$(TOOLS): | $(RUNTIME)
	@echo "Installing the locked packages for testing ..."
	@$(PIP) install -q --require-hashes -r requirements/test.txt
	@rm -f $(DONE)/tools-* && touch $@

# torch stays out of the lock files (docs/decisions/0001-lock-files-and-torch.md); the constraints keep it from moving
# any locked version.
$(TORCH): | $(TOOLS)
	@echo "Installing torch (several GB with CUDA; README.md tells how to take the CPU build) ..."
	@$(PIP) freeze -q --exclude-editable > $(DONE)/constraints.txt
	@$(PIP) install -q --no-build-isolation --constraint $(DONE)/constraints.txt $(TORCH_PIP_ARGS) --editable '.[train]'
	@rm -f $(DONE)/torch-* && touch $@
