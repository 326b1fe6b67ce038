# make run    the whole study: environment, results/, reports/report.html
# make check  the quick ones, in under two minutes: lint, format, types, import contracts, unit tests (CONTRIBUTING.md)
# make test   every check
# make docs   the documentation site, in site/
# make verify compute a tenth of the results again and compare them byte for byte; ARGS='--fraction 0.2 --seed 1'
# make publish  the finished default study's report and figures into docs/, for the site and README (CONTRIBUTING.md)
# make provenance  reports/provenance.zip, Snakemake's own report (`make run` ends with it)
# make faults interrupt a small study 100 times and compare (half an hour to an hour; docs/faults.md); ARGS='--seed 2'
# make benchmarks  against peers and limits, in an environment of their own (benchmarks/README.md); ARGS='gradients --quick'
# make lock   new pinned versions
# Options: CORES=4, VENV=somewhere, PYTHON=python3.12, ARGS='--configfile mine.yaml' (handed to Snakemake),
#   CONFIG='seed=7' (single values of the configuration)

CORES ?= all
VENV ?= .venv
ARGS ?=
CONFIG ?=
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo "$$python"; break; }; done)

export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PATH := $(abspath $(VENV))/bin:$(PATH)
# or each of the many processes of a run, and of the tests, would compile the sources again
unexport PYTHONDONTWRITEBYTECODE
INSTALL = $(VENV)/bin/python -m pip install -qq --constraint requirements.lock
# e.g. one that a tool without pip has made
HAS_PIP = $(VENV)/bin/python -m pip --version >/dev/null 2>&1 || \
	{ echo "The environment $(VENV) has no pip that works: delete it (rm -r $(VENV)), then the same command again."; exit 1; }
SNAKEMAKE = snakemake --cores $(CORES) $(ARGS) --config $(CONFIG)
# begun first, or one worker would still be at them when the others have ended
LONGEST = tests/faults/ tests/cluster/ tests/workflow/
# JAX starts threads in its process, and other tests fork theirs
ALONE = tests/mjx/
PROVENANCE = snakemake --report reports/provenance.zip --quiet all $(ARGS) --config $(CONFIG)

PUBLISHED = verdict_map headline

.PHONY: run lint check test docs faults verify publish provenance benchmarks lock clean-results
.DEFAULT_GOAL := run

# After failed jobs a second pass reports on what exists; a study that cannot start (a wrong config) has none.
run: $(VENV)/.installed
	@$(SNAKEMAKE) && status=0 || status=$$?; \
	if [ $$status -eq 0 ]; then \
		scorepath answer && \
		{ test ! -e reports/report.html || test reports/provenance.zip -nt reports/report.html || $(PROVENANCE); } \
		|| status=$$?; \
	elif $(SNAKEMAKE) --dry-run --quiet all >/dev/null 2>&1; then \
		echo "Some jobs failed; reporting on what exists."; \
		$(SNAKEMAKE) partial=true && scorepath answer || true; \
	fi; \
	exit $$status

lint: $(VENV)/.installed-test
	ruff check
	ruff format --check
	snakefmt --check Snakefile workflow
	mypy
	lint-imports

check: lint
	python -m pytest -n auto --dist worksteal tests/unit

test: lint
	snakemake --lint
	mkdocs build --strict
	python -m pytest -n auto --dist worksteal --durations 30 $(LONGEST) $(filter-out $(LONGEST) $(ALONE),$(wildcard tests/*/))
	python -m pytest -n auto --dist worksteal --durations 10 $(ALONE)
	python -m benchmarks.regression

docs: $(VENV)/.installed-test
	@mkdocs build --strict # with --quiet it would overlook its warnings
	@echo "The site: site/index.html"

faults: $(VENV)/.installed-test
	@python -m tests.faults.harness --interruptions 100 --seed 1 $(ARGS)

benchmarks: $(VENV)/.installed
	@python benchmarks/run.py $(ARGS)

verify: $(VENV)/.installed
	@scorepath verify --cores $(CORES) $(ARGS)

publish:
	@grep -q "This is the study of config.yaml" reports/report.html 2>/dev/null || \
		{ echo "There is no finished default study to publish: make run."; exit 1; }
	cp reports/report.html docs/report.html
	cp $(PUBLISHED:%=results/figures/%.svg) docs/figures/

provenance: $(VENV)/.installed
	@$(PROVENANCE)

clean-results:
	find results reports -mindepth 1 -not -path results/README.md -not -path reports/README.md -delete

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Scorepath needs Python 3.11 or newer with its venv module, and found none."; \
		echo "On Debian and Ubuntu: apt-get install python3-venv. Elsewhere: make PYTHON=/path/to/python3"; \
		exit 1; \
	fi
	@echo "Creating the Python environment $(VENV)"
	@"$(PYTHON)" -m venv $(VENV)

# The stamps stand for finished installations, so that set-up happens once.
$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing pinned dependencies into $(VENV) (once; torch is large, so this takes minutes)"
	@$(HAS_PIP)
	@$(INSTALL) --editable '.[gymnasium,mujoco]'
	@touch $@

$(VENV)/.installed-test: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing pinned dependencies and test tools into $(VENV) (once; torch is large, so this takes minutes)"
	@$(HAS_PIP)
	@$(INSTALL) --editable '.[gymnasium,mujoco,mjx,test,cluster,docs]'
	@touch $@ $(VENV)/.installed

lock:
	rm -rf .venv-lock
	"$(PYTHON)" -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --editable '.[gymnasium,mujoco,mjx,test,cluster,docs]'
	{ grep '^#' requirements.lock; .venv-lock/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } \
		> requirements.lock.new
	mv requirements.lock.new requirements.lock
	{ sed '/- pip:/q' workflow/envs/scorepath.yaml; grep -v '^#' requirements.lock | sed 's/^/      - /'; } \
		> scorepath.yaml.new
	mv scorepath.yaml.new workflow/envs/scorepath.yaml
	rm -rf .venv-lock
