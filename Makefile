# Every target works alone from a fresh clone: the environment is built in .venv when it is missing
# or older than pyproject.toml or constraints.txt. Another Python: make test PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# More arguments for pytest, e.g. make test ARGS="-k tiles"
ARGS ?=
# One process a core; the tests of a file share what its fixtures made.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test quick check bench gallery screenshots web

help: ## show this list
	@grep -E '^[a-z]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: .venv/.installed ## draw one portrait at 256, 1024 and 4096 pixels, beside enlargements
	@echo "==> Drawing the demonstration pictures"
	@$(BIN)/creps demo

test: .venv/.installed ## run all tests
	@echo "==> Running the tests"
	@$(PYTEST) $(ARGS)

quick: .venv/.installed ## run all but the slow tests: a minute or two
	@echo "==> Running the quick tests"
	@$(PYTEST) -m "not slow" $(ARGS)

check: .venv/.installed ## lint, formatting, types and the examples in docstrings
	@echo "==> Linting"
	@$(BIN)/ruff check .
	@echo "==> Checking the formatting"
	@$(BIN)/ruff format --check .
	@echo "==> Checking the types"
	@$(BIN)/mypy
	@echo "==> Running the examples in docstrings"
	@$(BIN)/python -m pytest --doctest-modules src reproduce faults

bench: .venv/.installed ## measure rendering: time, memory and GFLOP/s, one JSON line a size
	@echo "==> Measuring rendering (some minutes)"
	@$(BIN)/python benchmarks/render.py

gallery: .venv/.installed ## make the pictures of docs/gallery.md again, by the commands on that page
	@echo "==> Making the pictures of the gallery (about a minute)"
	@$(BIN)/python docs/gallery.py

screenshots: .venv/.installed ## take the pictures of the viewer again; needs Chromium and its driver
	@$(BIN)/python docs/screenshots.py

# The page's own files are served as they are; only OpenSeadragon comes from npm, as web/package-lock.json has it, and
# only the kernel is compiled. web/made.sha256 says of which sources, for tests that run without Node.
web: ## take OpenSeadragon from npm again, compile the kernel and check the page's code; needs Node
	@echo "==> Taking the pinned packages from npm"
	@cd web && npm ci --no-audit --no-fund --silent
	@echo "==> Copying OpenSeadragon into the package"
	@cp web/node_modules/openseadragon/build/openseadragon/openseadragon.min.js src/creps/serving/static/vendor/
	@cp web/node_modules/openseadragon/LICENSE.txt src/creps/serving/static/vendor/openseadragon-LICENSE.txt
	@echo "==> Compiling the kernel"
	@cd web && npx asc kernel.ts -o ../src/creps/serving/static/js/live/kernel.wasm --enable simd -O3 --noAssert --runtime stub --importMemory
	@echo "==> Noting what was made of what"
	@cd web && node sums.mjs > made.sha256
	@echo "==> Checking types and formatting"
	@cd web && npx tsc -p . && npx prettier --config .prettierrc.json --check --log-level warn '../src/creps/serving/static/**/*.{js,css,html}' '!../src/creps/serving/static/vendor/**' kernel.ts sums.mjs

# The stamp is written last, so an interrupted installation is taken up again by the next call.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("creps needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@echo "==> 1/3 Making a virtual environment in .venv ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv .venv
	@echo "==> 2/3 Installing PyTorch (a large package: from half a minute to some minutes)"
	@$(PIP) torch
	@echo "==> 3/3 Installing creps, its extras and the development tools (about a minute)"
	@$(PIP) -e '.[all,dev]'
	@touch $@
