# Every target sets up what it needs. PYTHON picks the interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/python -m uv
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
export LITELLM_LOCAL_MODEL_COST_MAP ?= True

.PHONY: setup setup-dev setup-bench demo test soak check bench docs lock clean
.DEFAULT_GOAL := setup

$(BIN)/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"

.venv/.runtime: $(BIN)/python requirements.lock pyproject.toml
	@echo "Installing the locked packages into .venv (a minute or two)"
	@$(UV) pip install --quiet --require-hashes --compile-bytecode -r requirements.lock
	@$(UV) pip install --quiet --no-deps --editable .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "Installing the locked development packages into .venv"
	@$(UV) pip install --quiet --require-hashes --compile-bytecode -r requirements-dev.lock
	@touch $@

.venv/.bench: .venv/.dev requirements-bench.lock
	@echo "Installing the locked packages that benchmarks measure beside ours into .venv"
	@$(UV) pip install --quiet --require-hashes --compile-bytecode -r requirements-bench.lock
	@touch $@

setup: .venv/.runtime

setup-dev: .venv/.dev

setup-bench: .venv/.bench

demo: setup
	$(BIN)/agentrag demo

test: setup-dev
	$(BIN)/python -m pytest -m "not soak"

soak: setup-dev
	$(BIN)/python -m pytest -m soak

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.check_docs

bench: setup-bench
	$(BIN)/python -m benchmarks

docs: setup-dev
	$(BIN)/python -m tools.build_docs
	$(BIN)/zensical build --clean --strict

lock: $(BIN)/python
	$(UV) pip compile pyproject.toml $(LOCK) -o requirements.lock
	$(UV) pip compile pyproject.toml --group dev $(LOCK) -o requirements-dev.lock
	$(UV) pip compile pyproject.toml --group bench $(LOCK) --constraints requirements-dev.lock -o requirements-bench.lock

clean:
	rm -rf .venv site build *.egg-info .mypy_cache .ruff_cache .pytest_cache
