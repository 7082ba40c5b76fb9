# Every command of the house. `make help` lists them; README.md needs two: `make demo` and `make test`.
# The environment lives in .venv and is built with the exact versions of constraints.txt.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

VENV ?= .venv
PY := $(VENV)/bin/python
# A Python that is new enough; any of these names may be it.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python3.14,\
	$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
CARGO ?= cargo
MANIFEST := rustsim/Cargo.toml
# maturin is called by name during the editable build.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

RUST_SOURCES := $(shell find rustsim/src -name '*.rs') $(MANIFEST) rustsim/Cargo.lock rustsim.pyi
PACKAGES_STAMP := $(VENV)/.stamp-packages
MODULE_STAMP := $(VENV)/.stamp-module
RUNS_DIR ?= runs

# What pyproject.toml asks for, without building the project itself: that is the next step.
define LIST_REQUIREMENTS
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print(*project["dependencies"], *project["optional-dependencies"]["dev"], sep="\n")
endef
export LIST_REQUIREMENTS

.PHONY: help setup demo test lint format stubtest rust-test pytest test-slow test-browser packaging-test docs-check \
	corruptions properties fuzz peer-check paired-variance bench bench-peers performance-page bench-data bench-memory bench-sweep clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environment ---------------------------------------------------------------------------------

setup: $(MODULE_STAMP) ## create .venv, install everything, build the Rust module (again when its sources change)

$(PACKAGES_STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; say PYTHON=/path/to/python3" >&2; exit 1; }
	@command -v $(CARGO) >/dev/null || { echo "A Rust toolchain (cargo) is needed; see https://rustup.rs" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing packages (about 1.8 GB, a minute or two) ..."
	@$(PY) -c "$$LIST_REQUIREMENTS" > $(VENV)/requirements.txt
	@$(PY) -m pip install --quiet --constraint constraints.txt --requirement $(VENV)/requirements.txt
	@touch $@

$(MODULE_STAMP): $(PACKAGES_STAMP) $(RUST_SOURCES)
	@echo "Building the Rust module ..."
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# --- what a user runs ----------------------------------------------------------------------------

demo: setup ## set up, run experiments/quickstart.yaml, print the ranked table and how to open MLflow
	$(PY) -m sweep launch experiments/quickstart.yaml --runs-dir $(RUNS_DIR)

# --- checks --------------------------------------------------------------------------------------

test: setup lint stubtest rust-test docs-check pytest ## set up and run every check that a change must pass

lint: setup ## ruff, mypy (strict), rustfmt, clippy (pedantic), with and without the binding
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(CARGO) fmt --manifest-path $(MANIFEST) --check
	$(CARGO) clippy --quiet --locked --manifest-path $(MANIFEST) --all-targets -- -D warnings
	$(CARGO) clippy --quiet --locked --manifest-path $(MANIFEST) --all-targets --features python -- -D warnings

format: setup ## rewrite sources in the house format
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix --quiet . || true
	$(CARGO) fmt --manifest-path $(MANIFEST)

stubtest: setup ## rustsim.pyi against the compiled module
	$(PY) -m mypy.stubtest rustsim --allowlist tests/stubtest_allow.txt

rust-test: ## the core alone, with Python absent
	$(CARGO) test --quiet --locked --manifest-path $(MANIFEST)

pytest: setup ## every Python test that is not marked slow, bench, cluster or browser
	$(PY) -m pytest -q

test-slow: setup ## tests of minutes: slow and cluster
	$(PY) -m pytest -q -m 'slow or cluster'

test-browser: setup ## pages of MLflow in a headless Chromium; pictures in build/screenshots
	$(PY) -m pytest -q -m browser

packaging-test: setup ## wheel and sdist, installed and used from another directory
	$(PY) -m pytest -q tests/packaging

docs-check: setup ## links and commands named in the documents; Rust documentation without warnings
	$(PY) -m pytest -q tests/test_docs.py
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' $(CARGO) doc --quiet --locked --no-deps --document-private-items --manifest-path $(MANIFEST)

# --- measurements --------------------------------------------------------------------------------

corruptions: setup ## ten thousand seeded damages of every source format; writes build/corruptions.json
	SWEEP_DAMAGES=150 $(PY) -m pytest -q --timeout 1800 tests/faults/test_corruptions.py

SEEDS ?= 0..1000000
properties: ## a million random sequences under every queue model (SEEDS=first..last repeats or resumes; minutes)
	RUSTSIM_SEEDS=$(SEEDS) $(CARGO) test --release --locked --manifest-path $(MANIFEST) --test sequences -- --nocapture

FUZZ_SECONDS ?= 600
fuzz: ## coverage-guided inputs for the tape reader, then for commands, ten minutes each (FUZZ_SECONDS=600)
	@command -v cargo-fuzz >/dev/null && rustup run nightly rustc --version >/dev/null || \
		{ echo "cargo-fuzz and a nightly toolchain are needed: cargo install cargo-fuzz; rustup toolchain install nightly" >&2; exit 1; }
	cd rustsim && for target in tape_reader commands; do $(CARGO) +nightly fuzz run --sanitizer none $$target -- \
		-max_total_time=$(FUZZ_SECONDS) -max_len=3000 -print_final_stats=1; done

peer-check: setup ## order by order beside hftbacktest on the same feeds (HBT_PYTHON names its Python); writes docs/peers.md
	$(PY) -m benches.peer_check --write

paired-variance: setup ## how much keyed streams reduce the variance of a paired difference; writes docs/statistics.md
	$(PY) -m benches.paired_variance --write

bench: setup ## replays beside hftbacktest, FastMM and NautilusTrader, one table, ten minutes; writes build/bench.json
	$(PY) -m benches.replay_bench

bench-peers: setup ## install hftbacktest, FastMM and NautilusTrader, each into an environment below build/
	$(PY) -m benches.peers

performance-page: setup ## the table of `make bench`, kept in benches/results and written to docs/performance.md
	$(PY) -m benches.replay_bench --out benches/results/replay.json
	$(PY) -m benches.performance_page

bench-data: setup ## speed and size of imports, format by format; writes build/bench-data.json
	$(PY) -m benches.data_bench

bench-memory: setup ## memory of a worker; writes build/bench-memory.json
	$(PY) -m benches.memory_bench

bench-sweep: setup ## efficiency of the outer loop; writes build/bench-sweep.json
	$(PY) -m benches.sweep_bench

clean: ## remove the environment, build products and caches (runs/ stays)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis rustsim/target
	find sweep strategies tests benches -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
