# Parallel Python. Needs Rust (cargo, rustfmt, clippy), Python 3.11 or later, and make.
# Everything else is installed by these targets, into this directory.
#
#   make demo      build, and run real work on all cores beside the plain loop
#   make test      build, and run every check there is
#   make help      the other targets
#
#   make test PYTHON=python3.13     another interpreter; each has its own .venv

PYTHON ?= python3

# Python is named by version, so that environments of several can live side by side.
PYTHON_VERSION := $(shell $(PYTHON) -c "import sys; print('%d.%d' % sys.version_info[:2])")
ifeq ($(PYTHON_VERSION),)
  $(error "$(PYTHON)" does not run. Name a Python 3.11 or later: make PYTHON=python3.13)
endif

VENV := .venv-$(PYTHON_VERSION)
ifeq ($(OS),Windows_NT)
  BIN := $(CURDIR)/$(VENV)/Scripts
  EXE := .exe
else
  BIN := $(CURDIR)/$(VENV)/bin
  EXE :=
endif
VENV_PYTHON := $(BIN)/python$(EXE)

# One interpreter for all of cargo's runs: a change of it rebuilds pyo3.
export PYO3_PYTHON := $(VENV_PYTHON)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
unexport CONDA_PREFIX
unexport PYTHONHOME

CARGO ?= cargo
# The crates whose tests run without a Python; pp-python is tested from Python.
RUST_CRATES := --workspace --exclude pp-python
PYTEST_ARGS ?=

# The benchmarks have environments of their own. The classic pp has its own besides, since
# its import name is ours; benches/suite/environments.py finds it by this name.
BENCH_VENV := .venv-bench-$(PYTHON_VERSION)
CLASSIC_VENV := .venv-bench-classic-$(PYTHON_VERSION)
BENCH_PYTHON := $(subst $(VENV),$(BENCH_VENV),$(VENV_PYTHON))
CLASSIC_PYTHON := $(subst $(VENV),$(CLASSIC_VENV),$(VENV_PYTHON))
BENCH_ARGS ?=

# Fuzzing: which targets, for how long each, and what of libFuzzer's other options.
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(CURDIR)/.tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz$(EXE)
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
# An input that takes so long, or asks for so much memory at once, is a finding.
FUZZ_ARGS ?= -timeout=10 -malloc_limit_mb=256 -len_control=20 -print_funcs=0 -verbosity=0 -print_final_stats=1

rwildcard = $(foreach entry,$(wildcard $(1)/*),$(call rwildcard,$(entry),$(2)) $(filter $(2),$(entry)))
RUST_SOURCES := Cargo.toml Cargo.lock $(call rwildcard,crates,%.rs %.toml)

# The environments share the extension in the source tree: without it, none is built.
ifeq ($(wildcard python/pp/_core*.so python/pp/_core*.pyd),)
.PHONY: $(VENV)/.built
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint rust-lint py-lint rust-test types docs-check py-test build wheel bench bench-quick fuzz-quick soak scale quality format clean distclean

help:
	@echo "make demo         build, and run the demo: real work on all cores beside the plain loop"
	@echo "make test         every check: lint, rust-test, types, docs-check, py-test"
	@echo "  make lint         rustfmt, clippy, ruff"
	@echo "  make rust-test    cargo nextest and doctests"
	@echo "  make types        mypy, and the stub against the binary"
	@echo "  make docs-check   rustdoc, public names against docs/api.md, versions"
	@echo "  make py-test      pytest; PYTEST_ARGS='-k name' narrows it"
	@echo "make build        the extension, in release mode, into $(VENV)"
	@echo "make wheel        an abi3 wheel, into dist/"
	@echo "make bench        this project beside its peers, in 40 minutes, into docs/benchmarks/"
	@echo "make bench-quick  beside the standard library only, in two minutes, on the terminal"
	@echo "make fuzz-quick   each fuzz target for a minute; FUZZ_SECONDS and FUZZ_TARGETS change that"
	@echo "make soak         clusters under virtual time, with all kinds of faults, from many seeds"
	@echo "make scale        10,000 nodes and 10 million jobs under virtual time, into docs/scheduling"
	@echo "make quality      decisions beside those of others, under virtual time, into docs/scheduling"
	@echo "make format       rustfmt and ruff, in place"
	@echo "make clean        removes what was built; distclean also the environments"
	@echo ""
	@echo "PYTHON=$(PYTHON) (now $(PYTHON_VERSION)) chooses the interpreter."

demo: build
	"$(VENV_PYTHON)" demo

# In this order: what is quick to fail comes first, and pytest has the last word.
test: lint rust-test types docs-check py-test
	@echo "make test: all checks passed on Python $(PYTHON_VERSION)."

lint: rust-lint py-lint

rust-lint: $(VENV)/.made
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

py-lint: $(VENV)/.dev-installed
	"$(BIN)/ruff$(EXE)" check .
	"$(BIN)/ruff$(EXE)" format --check .

rust-test: $(VENV)/.made
	"$(VENV_PYTHON)" tools/rust_tests.py $(RUST_CRATES)
	$(CARGO) test --locked --doc $(RUST_CRATES)

types: build $(VENV)/.dev-installed
	"$(VENV_PYTHON)" -m mypy
	"$(VENV_PYTHON)" -m mypy.stubtest pp._core --mypy-config-file pyproject.toml

docs-check: build
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps $(RUST_CRATES)
	"$(VENV_PYTHON)" tools/check_public_names.py
	"$(VENV_PYTHON)" tools/check_versions.py

py-test: build $(VENV)/.dev-installed
	"$(VENV_PYTHON)" -m pytest $(PYTEST_ARGS)

build: $(VENV)/.built

wheel: $(VENV)/.build-installed
	"$(BIN)/maturin$(EXE)" build --release --locked --out dist

bench: build $(BENCH_VENV)/.installed $(CLASSIC_VENV)/.installed
	"$(BENCH_PYTHON)" -m benches.suite --out docs/benchmarks $(BENCH_ARGS)

bench-quick: build $(VENV)/.dev-installed
	"$(VENV_PYTHON)" -m benches.suite --quick $(BENCH_ARGS)

# What the fuzz targets are built with is unstable, but the same in every compiler of a version.
fuzz-quick: $(CARGO_FUZZ)
	RUSTC_BOOTSTRAP=1 "$(CARGO_FUZZ)" build
	set -e; for target in $(FUZZ_TARGETS); do \
	  echo "fuzzing $$target for $(FUZZ_SECONDS) s"; \
	  RUSTC_BOOTSTRAP=1 "$(CARGO_FUZZ)" run "$$target" -- -max_total_time=$(FUZZ_SECONDS) $(FUZZ_ARGS); \
	done
	@echo "make fuzz-quick: nothing was found."

# From seed SOAK_SEED on: so many small clusters, then large ones for so many events.
SOAK_SEED ?= 100000
SOAK_SMALL ?= 20000
SOAK_EVENTS ?= 2000000

soak: $(VENV)/.made
	$(CARGO) run --locked --release --package pp-sim --example soak -- $(SOAK_SEED) $(SOAK_SMALL) $(SOAK_EVENTS)

scale: $(BENCH_VENV)/.installed
	$(CARGO) run --locked --release --package pp-sim --example scale -- docs/scheduling/scale.csv
	"$(BENCH_PYTHON)" -m benches.scale docs/scheduling/scale.csv docs/scheduling/scale.svg

quality: $(BENCH_VENV)/.installed
	$(CARGO) run --locked --release --package pp-sim --example quality -- docs/scheduling/quality.csv
	"$(BENCH_PYTHON)" -m benches.quality docs/scheduling/quality.csv docs/scheduling/quality.svg

format: $(VENV)/.dev-installed
	$(CARGO) fmt --all
	"$(BIN)/ruff$(EXE)" check --fix .
	"$(BIN)/ruff$(EXE)" format .

clean:
	$(CARGO) clean
	$(PYTHON) tools/clean.py

distclean: clean
	$(PYTHON) tools/clean.py --environments

# The environment, in steps: the demo needs only the first three.

$(VENV)/.made:
	$(PYTHON) -c "import sys; sys.exit('Parallel Python needs Python 3.11 or later.' if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv --clear "$(VENV)"
	@"$(VENV_PYTHON)" -c "open('$@', 'w').close()"

$(VENV)/.build-installed: requirements/build.txt $(VENV)/.made
	"$(VENV_PYTHON)" -m pip install --quiet --disable-pip-version-check -r requirements/build.txt
	@"$(VENV_PYTHON)" -c "open('$@', 'w').close()"

$(VENV)/.built: $(RUST_SOURCES) pyproject.toml $(VENV)/.build-installed
	"$(BIN)/maturin$(EXE)" develop --release --locked
	@"$(VENV_PYTHON)" -c "open('$@', 'w').close()"

$(VENV)/.dev-installed: requirements/dev.txt requirements/build.txt $(VENV)/.made
	"$(VENV_PYTHON)" -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@"$(VENV_PYTHON)" -c "open('$@', 'w').close()"

$(BENCH_VENV)/.installed: requirements/bench.txt
	$(PYTHON) -m venv --clear "$(BENCH_VENV)"
	"$(BENCH_PYTHON)" -m pip install --quiet --disable-pip-version-check -r requirements/bench.txt
	@"$(BENCH_PYTHON)" -c "open('$@', 'w').close()"

$(CLASSIC_VENV)/.installed: requirements/bench-classic.txt requirements/bench.txt
	$(PYTHON) -m venv --clear "$(CLASSIC_VENV)"
	"$(CLASSIC_PYTHON)" -m pip install --quiet --disable-pip-version-check -r requirements/bench-classic.txt
	@"$(CLASSIC_PYTHON)" -c "open('$@', 'w').close()"

$(CARGO_FUZZ):
	$(CARGO) install --quiet --locked --root .tools/cargo-fuzz-$(CARGO_FUZZ_VERSION) --version $(CARGO_FUZZ_VERSION) cargo-fuzz
