# Every target works as the first command on a bare clone: it builds .venv from uv.lock first,
# with nothing but Python >= 3.11 and pip installed.

BIN := .venv/bin
READY := .venv/.ready
CHECKS := lint format types layers dead-code dependencies notebooks environment-drift
PYTEST := $(BIN)/python -m pytest -rs
say = @printf '\033[1m== %s\033[0m\n' "$(1)"

.DEFAULT_GOAL := help
.PHONY: help venv demo train test check bench soak environment map clean pytest $(CHECKS)

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(READY) ## build or refresh .venv from uv.lock

$(READY): uv.lock pyproject.toml .ci/bootstrap
	@PYTHON='$(PYTHON)' .ci/bootstrap

demo: $(READY) ## one drill from end to end in the embedded lab: verdict and report
	@$(BIN)/loomtriage drill es_down

train: $(READY) ## a blind round on a recorded run: five minutes, no lab
	@$(BIN)/loomtriage train --offline

test: check pytest ## everything CI runs: the checks and all tests except the soak

check: $(CHECKS) ## the fast, static part of the tests

bench: $(READY) ## every benchmark; each prints its ratio last
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; PYTHONPATH=. $(BIN)/python "$$file"; done

soak: $(READY) ## the long runs
	@$(PYTEST) -m soak --timeout 7200

environment: $(READY) ## write environment.yml from pyproject.toml
	@.ci/environment

map: $(READY) ## write the module list of docs/map.md
	@$(BIN)/python .ci/map

clean: ## remove the environment and what tools left behind
	rm -rf .venv .bootstrap .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

# A file is never torn apart. Lab tests mostly wait, so three workers fill two cores.
pytest: $(READY)
	$(call say,pytest)
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder --durations=12

lint: $(READY)
	$(call say,ruff check)
	@$(BIN)/ruff check .

format: $(READY)
	$(call say,ruff format)
	@$(BIN)/ruff format --check .

types: $(READY)
	$(call say,mypy --strict)
	@$(BIN)/python -m mypy

layers: $(READY)
	$(call say,import-linter)
	@$(BIN)/lint-imports --no-logo

dead-code: $(READY)
	$(call say,vulture)
	@$(BIN)/python -m vulture

dependencies: $(READY)
	$(call say,deptry)
	@$(BIN)/python -m deptry . --no-ansi

notebooks: $(READY)
	$(call say,nbstripout --verify)
	@find notebooks -name '*.ipynb' -exec $(BIN)/python -m nbstripout --keep-id --verify {} +

environment-drift: $(READY)
	$(call say,environment.yml)
	@.ci/environment --check
