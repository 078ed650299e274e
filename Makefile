# Two environments, filled only from exactly pinned files and only again when those files change.
# Another interpreter: make PYTHON=python3.12 app
PYTHON ?= python3
PIP_FLAGS := --quiet --disable-pip-version-check
RUN := .venv/bin/python
TRAIN := .venv-train/bin/python
RUN_READY := .venv/.filled
TRAIN_READY := .venv-train/.filled
PYTHAE_READY := .venv-pythae/.filled
RUN_TESTS_READY := .venv/.filled-tests
TRAIN_TESTS_READY := .venv-train/.filled-tests

.PHONY: help app test zoo bench pythae clean
.DEFAULT_GOAL := help

help:
	@echo "make app     the Gradio app on http://127.0.0.1:7860, from the weights in zoo/models"
	@echo "make test    style, import contracts, tests/runtime and tests/training"
	@echo "make zoo     the levels of zoo/models that are not committed, made from their safetensors"
	@echo "make bench   latency and bytes of every committed model, one thread, into zoo/results and the README"
	@echo "make pythae  the environment whose pythae is timed by: python -m mvae reproduce speed"
	@echo "make clean   remove environments and caches (data, runs and zoo stay)"

app: $(RUN_READY)
	$(RUN) app.py

test: $(RUN_TESTS_READY) $(TRAIN_TESTS_READY)
	sh tests/need_chromium.sh
	.venv/bin/ruff check .
	.venv/bin/lint-imports
	@status=0; $(RUN) -m pytest tests/runtime || status=1; $(TRAIN) -m pytest tests/training || status=1; exit $$status

zoo: $(TRAIN_READY)
	$(TRAIN) -m export --zoo zoo/models

bench: $(RUN_READY)
	$(RUN) -m mvae bench --threads 1 --out zoo/results
	$(RUN) -m mvae.evaluate.results

pythae: $(PYTHAE_READY)

clean:
	rm -rf .venv .venv-train .venv-pythae .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './data/*' -not -path './runs/*' -prune -exec rm -rf {} +

$(RUN_READY): requirements.txt
	$(call fill,.venv,requirements.txt)

$(TRAIN_READY): requirements-train.txt
	$(call fill,.venv-train,requirements-train.txt)

$(PYTHAE_READY): requirements-pythae.txt
	$(call fill,.venv-pythae,requirements-pythae.txt)

$(RUN_TESTS_READY): $(RUN_READY) requirements-test.txt
	$(call fill,.venv,requirements-test.txt)

$(TRAIN_TESTS_READY): $(TRAIN_READY) requirements-test.txt
	$(call fill,.venv-train,requirements-test.txt)

# $(call fill,ENVIRONMENT,PINNED FILE): the environment if it is missing, then the packages, then the stamp (the target).
define fill
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
@echo "filling $(1) from $(2)"
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
@$(1)/bin/python -m pip install $(PIP_FLAGS) -r $(2)
@touch $@
endef
