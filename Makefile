# make demo    run on the astronaut's photo in a fresh runtime-only environment (no PyTorch)
# make test    install what the tests need and run them
# make lint    ruff and mypy
# make smoke   train every configuration for seconds
# make docs    build the documentation, strictly
# make bench   measure speed and accuracy into benchmarks/results
# make clean   remove the environments and everything that the targets made
#
# PYTHON, VENV (runtime), VENV_TEST (everything), OUT and RUNS (of smoke) may be set from outside.

works = $(shell for python in python3.11 python3.12 python3.13 python3.10 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
	&& echo $$python && break; done)
PYTHON ?= $(works)
VENV ?= .venv
VENV_TEST ?= .venv-test
OUT ?= out
RUNS ?= runs/smoke
PIP_QUIET = -m pip install -qq --disable-pip-version-check

# Tests and benchmarks that need photographs skip where there are none.
ifneq ($(wildcard ../shared/data),)
export FACERELIEF_DATA ?= $(abspath ../shared/data)
endif

.PHONY: demo test lint smoke docs bench clean

demo: $(VENV)/.installed
	$(VENV)/bin/facerelief normals examples/astronaut.jpg -o $(OUT)

test: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/python -m pytest

lint: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/ruff check .
	$(VENV_TEST)/bin/mypy

# Fitting heads to all photographs takes minutes; the tests fit some.
QUICK = options.truth=facemesh
HEADS = {"name":"renderings","options":{"folder":"runs/renderings/train","positions":true}}
PHOTOS = {"name":"photos","options":{"positions":true}}

smoke: $(VENV_TEST)/.installed
ifdef FACERELIEF_DATA
	rm -rf $(RUNS)
	for part in train val; do \
		$(VENV_TEST)/bin/facerelief synth -n 32 --seed $$(test $$part = train && echo 1 || echo 2) \
			--margin 1.2 --no-lifted -o runs/renderings/$$part || exit 1; done
	for config in configs/*.yaml; do \
		$(VENV_TEST)/bin/facerelief train $$config -o $(RUNS)/$$(basename $$config .yaml) \
			--max-time 10s --json $$(case $$config in \
			*prnet_research*) echo 'data.sources=[$(PHOTOS),$(HEADS)] start_from=null';; \
			*prnet*) echo 'data.sources=[$(HEADS)]';; \
			*_open*) echo data.sources.1.$(QUICK);; \
			*_mixed*|*_research*) echo data.sources.0.$(QUICK);; esac) || exit 1; done
else
	@echo "FACERELIEF_DATA is not set: nothing to train on"
endif

docs: $(VENV_TEST)/.installed
	NO_MKDOCS_2_WARNING=1 $(VENV_TEST)/bin/mkdocs build --quiet --strict

bench: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/python benchmarks/speed.py
ifdef FACERELIEF_DATA
	$(VENV_TEST)/bin/python benchmarks/accuracy.py $(if $(PEER_PYTHON),--peer-python $(PEER_PYTHON))
	$(VENV_TEST)/bin/python benchmarks/crop_accuracy.py
else
	@echo "FACERELIEF_DATA is not set: speed alone was measured"
endif

clean:
	rm -rf $(VENV) $(VENV_TEST) $(OUT) site build dist

define make_environment
@test -n "$(PYTHON)" || { echo "No Python 3.10 or newer found: install one, or make PYTHON=..."; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "$(PYTHON) cannot make virtual environments: install its venv module" \
	"(on Debian and Ubuntu: apt install $$(basename $(PYTHON))-venv)"; exit 1; }
$(PYTHON) -m venv $(1)
endef

# The stamp files make a repeated call quick.
$(VENV)/.installed: pyproject.toml
	$(call make_environment,$(VENV))
	$(VENV)/bin/python $(PIP_QUIET) -e .
	@touch $@

$(VENV_TEST)/.installed: pyproject.toml constraints.txt
	$(call make_environment,$(VENV_TEST))
	$(VENV_TEST)/bin/python $(PIP_QUIET) -c constraints.txt -e '.[train,synth,models,docs,dev]'
	@touch $@
