# Needs GNU make 3.81 or newer, git and Python 3.11 or newer; everything else goes into .venv.
# A recipe never uses an absolute path of this checkout, so its folder may have spaces in its name.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# What a caller may set: make run NB=05_knee TASK=denoise PROFILE=smoke
PYTHON ?=
VENV ?= .venv
TORCH ?= cpu
TORCH_INDEX_URL ?= https://download.pytorch.org/whl/cpu
NB ?=
TASK ?= denoise
PROFILE ?= mini
ARGS ?=

# A misspelt variable would be ignored silently, and the run would be another one than meant.
ALLOWED := PYTHON VENV TORCH TORCH_INDEX_URL NB TASK PROFILE ARGS MAKE SHELL MAKEFLAGS MFLAGS
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $(v))),$(v)))
UNKNOWN := $(filter-out $(ALLOWED) -% MAKE%,$(GIVEN))
ifneq ($(strip $(UNKNOWN)),)
$(error unknown variable $(UNKNOWN): expected PYTHON, VENV, TORCH, TORCH_INDEX_URL, NB, TASK, PROFILE or ARGS)
endif

# What the site shows is fixed in _config.yml, so that a site of other results would be this one.
SHOWN := denoise mini
ifneq ($(filter book site,$(MAKECMDGOALS)),)
ifneq ($(strip $(TASK) $(PROFILE)),$(SHOWN))
$(error TASK=$(TASK) PROFILE=$(PROFILE), but the site shows TASK=denoise PROFILE=mini only; \
use "make run" or "make reproduce" for others)
endif
endif

PY := $(VENV)/bin/python
READY := $(VENV)/.ready
NOTEBOOKS := 01_profiling 02_erf 03_distillation 04_search 05_knee 06_finetune 07_results 11_landscape 12_samplers 13_tasks

.PHONY: help setup book site run list reproduce test bench lint format sync pins clean distclean

help: ## show this list
	@echo 'usage: make TARGET [NAME=value ...]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile
	@echo 'settings: TASK=$(TASK) PROFILE=$(PROFILE) TORCH=$(TORCH) PYTHON=$(PYTHON) VENV=$(VENV)'

setup: $(READY) ## make .venv and install the pinned versions (TORCH=default: the wheel with CUDA)

$(READY): pyproject.toml requirements/library.txt requirements/book.txt requirements/dev.txt
	@PYTHON='$(PYTHON)' VENV='$(VENV)' TORCH='$(TORCH)' TORCH_INDEX_URL='$(TORCH_INDEX_URL)' \
		sh requirements/setup.sh
	@touch '$@'

book: setup ## run all notebooks, then build the site
	@for nb in $(NOTEBOOKS); do \
		'$(PY)' -m ensrepro run $$nb --task '$(TASK)' --profile '$(PROFILE)' || exit $$?; \
	done
	@$(MAKE) --no-print-directory site

site: setup ## build the site from committed results, running nothing; prints its path
	@rm -rf _build
	@'$(VENV)/bin/jupyter-book' build -W -n --keep-going book/
	@test -f _build/html/index.html || { echo 'the site has no index.html' >&2; exit 1; }
	@echo "The site: $$(pwd)/_build/html/index.html"

run: setup ## run one notebook strictly: make run NB=04_search TASK=denoise ARGS="-p seed 1"
	@test -n '$(NB)' || { echo 'make run needs NB=name; "make list" prints the names' >&2; exit 2; }
	@'$(PY)' -m ensrepro run '$(NB)' --task '$(TASK)' --profile '$(PROFILE)' $(ARGS)

list: setup ## print the notebooks, tasks and profiles
	@'$(PY)' -m ensrepro list

reproduce: setup ## redo a task from nothing and report the differences from what is committed
	@'$(PY)' -m ensrepro reproduce --task '$(TASK)' --profile '$(PROFILE)' $(ARGS)

test: setup ## run every test (ARGS="-k search" for some of them)
	@'$(PY)' -m pytest $(ARGS)

bench: setup ## print speed and memory as ratios measured in one run
	@'$(PY)' benchmarks/scan.py $(ARGS)
	@'$(PY)' benchmarks/memory.py
	@'$(PY)' benchmarks/search.py
	@'$(PY)' benchmarks/export.py
	@'$(PY)' benchmarks/edge.py
	@'$(PY)' benchmarks/restoring.py
	@'$(PY)' benchmarks/precision.py

lint: setup ## check style and formatting
	@'$(PY)' -m ruff check .
	@'$(PY)' -m ruff format --check .

format: setup ## format the code and fix what can be fixed
	@'$(PY)' -m ruff check --fix .
	@'$(PY)' -m ruff format .

sync: setup ## bring notebooks and their text twins together; the newer one wins
	@'$(PY)' -m jupytext --quiet --sync --set-kernel python3 notebooks/text/*.py

pins: ## write requirements/*.txt from the versions that are installed now
	@'$(PY)' requirements/pin.py

clean: ## delete the built site and caches; results, weights and .venv stay
	@rm -rf _build book/notebooks book/tasks .pytest_cache .ruff_cache .hypothesis
	@find src tests notebooks benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || :

distclean: clean ## delete .venv too
	@rm -rf '$(VENV)'
