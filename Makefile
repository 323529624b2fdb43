# make demo    run on the astronaut's photo in a fresh runtime-only environment (no PyTorch)
# make test    install what the tests need and run them
# make lowest  test the runtime with the lowest versions that pyproject.toml promises
# make kills   stop normals, mesh, swap, synth and batch forty times each, anywhere
# make lint    ruff and mypy
# make smoke   train every configuration for seconds; every loss must fall
# make fuzz    broken pictures, odd calls and broken maps: what came of them, counted
# make docs    build the documentation, strictly
# make browser write the page that runs the network, into $(OUT)/browser, by npm
# make bench   measure speed and accuracy into benchmarks/results
# make clean   remove the environments and everything that the targets made
#
# PYTHON, VENV (runtime), VENV_TEST (everything), VENV_LOWEST, OUT and RUNS (of smoke) may be set
# from outside.

works = $(shell for python in python3.11 python3.12 python3.13 python3.10 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
	&& echo $$python && break; done)
PYTHON ?= $(works)
VENV ?= .venv
VENV_TEST ?= .venv-test
VENV_LOWEST ?= .venv-lowest
OUT ?= out
RUNS ?= runs/smoke
PIP_QUIET = -m pip install -qq --disable-pip-version-check

# Tests and benchmarks that need photographs skip where there are none.
ifneq ($(wildcard ../shared/data),)
export FACERELIEF_DATA ?= $(abspath ../shared/data)
endif

.PHONY: demo test lowest kills lint smoke fuzz docs browser bench clean

demo: $(VENV)/.installed
	$(VENV)/bin/facerelief all examples/astronaut.jpg -o $(OUT)

# Files are tested side by side, with a thread for NumPy each.
SIDE_BY_SIDE = -m pytest -n auto --maxprocesses 8 --dist loadfile

test: $(VENV_TEST)/.installed
	OMP_NUM_THREADS=1 $(VENV_TEST)/bin/python $(SIDE_BY_SIDE)

# What is left out needs the extras, or newer packages for the tests themselves.
lowest: $(VENV_LOWEST)/.installed
	OMP_NUM_THREADS=1 $(VENV_LOWEST)/bin/python $(SIDE_BY_SIDE) tests/apps \
		$(addprefix tests/geometry/test_,$(addsuffix .py,align integrate normals raster uv)) \
		$(addprefix tests/test_,$(addsuffix .py,cli cli_convert cli_inputs cli_outputs \
		correspondence decoders encode files images leaving mesh_files normal_png photo_files pictures runtime types))

kills: $(VENV_TEST)/.installed
	FACERELIEF_KILLS=40 $(VENV_TEST)/bin/python -m pytest tests/test_leaving.py tests/batch/test_batch_kills.py -k whenever

lint: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/ruff check .
	$(VENV_TEST)/bin/mypy

# Configurations name folders relative to where they are run. configs/smoke says what else makes
# each of them quick: fitting heads to all photographs takes minutes. Twenty batches are seen twice:
# the loss of the first twenty steps and that of the last are of the same pictures. So small ones are
# faster on one thread.
SMALL = data.size=64 data.batch=8 data.repeat=20 samples=320 validate_every=320

smoke: $(VENV_TEST)/.installed
ifdef FACERELIEF_DATA
	rm -rf $(RUNS)
	mkdir -p $(RUNS)/runs/renderings
	for part in train val; do \
		$(VENV_TEST)/bin/facerelief synth -n 32 --seed $$(test $$part = train && echo 1 || echo 2) \
			--margin 1.2 --no-lifted -o $(RUNS)/runs/renderings/$$part || exit 1; done
	ln -s train $(RUNS)/runs/renderings/wide
	ln -s train $(RUNS)/runs/renderings/more
	cd $(RUNS) && export OMP_NUM_THREADS=1 FACERELIEF_DATA=$(abspath $(FACERELIEF_DATA)) && \
	ls $(CURDIR)/configs/smoke/*.yaml | xargs -P $$(getconf _NPROCESSORS_ONLN || echo 1) -I CONFIG \
		$(abspath $(VENV_TEST))/bin/facerelief train CONFIG --max-time 3m --json $(SMALL)
	$(VENV_TEST)/bin/python tools/check_losses.py $(RUNS)/runs
else
	@echo "FACERELIEF_DATA is not set: nothing to train on"
endif

fuzz: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/python tests/fuzz/trial.py --count $(or $(COUNT),3000) --seed $(or $(SEED),1)

docs: $(VENV_TEST)/.installed
	NO_MKDOCS_2_WARNING=1 $(VENV_TEST)/bin/mkdocs build --quiet --strict

# The version that the package pins, kept in .cache.
browser: $(VENV)/.installed
	npm install --silent --no-audit --no-fund --prefix .cache/npm \
		onnxruntime-web@$$(sed -n 's/.*"version": "\(.*\)".*/\1/p' src/facerelief/apps/browser/onnxruntime_web.json)
	$(VENV)/bin/facerelief browser -o $(OUT)/browser --ort .cache/npm/node_modules/onnxruntime-web

bench: $(VENV_TEST)/.installed
	$(VENV_TEST)/bin/python benchmarks/speed.py
ifdef FACERELIEF_DATA
	$(VENV_TEST)/bin/python benchmarks/accuracy.py $(if $(PEER_PYTHON),--peer-python $(PEER_PYTHON))
	$(VENV_TEST)/bin/python benchmarks/crop_accuracy.py
else
	@echo "FACERELIEF_DATA is not set: speed alone was measured"
endif

clean:
	rm -rf $(VENV) $(VENV_TEST) $(VENV_LOWEST) $(OUT) site build dist

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
	$(VENV_TEST)/bin/python $(PIP_QUIET) -c constraints.txt -e '.[train,synth,models,heif,video,web,batch,ray,docs,dev]'
	@touch $@

$(VENV_LOWEST)/.installed: pyproject.toml lowest.txt
	$(call make_environment,$(VENV_LOWEST))
	$(VENV_LOWEST)/bin/python $(PIP_QUIET) -c lowest.txt -e . pytest pytest-xdist hypothesis onnx
	@touch $@
