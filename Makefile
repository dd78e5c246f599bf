# `make demo` and `make test` are all that a newcomer needs: each sets up what it uses, once.
# Another Python: make PYTHON=python3.13 demo

PYTHON ?= $(shell sh tools/find_python.sh)
VENV := .venv
RUN := $(VENV)/bin/python
OUT ?= out

.PHONY: help demo test test-all lint bench package blender setup clean

help:
	@echo "make demo      build the demo scene, render it, make a page of pictures"
	@echo "make test      all tests that this machine can run"
	@echo "make test-all  the long torture runs as well"
	@echo "make lint      ruff and mypy"
	@echo "make bench     measure against the baselines"
	@echo "make package   the extension's zips and a repository index, in dist/"
	@echo "make blender   prepare a real Blender with its window for the interface tests"
	@echo "make clean     remove what these made"

setup:
	@test -n "$(PYTHON)" || { echo "setup: no Python 3.11 (Blender 4.5 LTS) or Python 3.13 (Blender 5.2 LTS) found: install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) tools/setup_env.py

demo: setup
	@$(RUN) -m animerun_addon demo $(OUT)/demo

test: setup
	@$(RUN) tools/run_tests.py

test-all: setup
	@$(RUN) tools/run_tests.py --all

lint: setup
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

bench: setup
	@$(RUN) bench/run_all.py

package: setup
	@$(RUN) tools/package.py

blender: setup
	@$(RUN) tools/real_blender.py

clean:
	rm -rf .venv .venv-* out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
