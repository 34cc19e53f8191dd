# make demo   set up, record the embedded workload on the real renderer, analyse it, say where the report is
# make test   set up, run all checks and tests
# make setup  the virtual environment in .venv and a software Vulkan driver where the machine has no Vulkan
# make unilab UniLab with pinned versions in .venv-unilab, with the assets of ../shared where they are (minutes)
# make docs   regenerate the docs that come from code, and the example report from its committed recording
# make hopper UniLab's G1 eval in all modes at 1, 4 and 16 environments, under Nsight Systems and py-spy: one report (10 min)
# make nsys   install Nsight Systems from Debian's non-free packages (changes the package sources: never done unasked)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?= --repeat 3

.PHONY: setup demo test lint docs unilab hopper nsys bench clean

setup: $(VENV)/.done vulkan

$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools wheel -c constraints.txt
	$(BIN)/python -m pip install --quiet --no-build-isolation -c constraints.txt --editable '.[dev]'
	touch $@

.PHONY: vulkan
vulkan:
	@sh tools/setup_vulkan.sh

demo: setup
	@name="demo-$$(date -u +%Y%m%d-%H%M%S)"; \
	$(BIN)/python -m tools.run_record --name "$$name" $(DEMO_ARGS); status=$$?; \
	if [ -e "traces/$$name/experiment.json" ]; then $(BIN)/python -m tools.analyze "traces/$$name" || status=$$?; fi; \
	exit $$status

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

docs: setup
	$(BIN)/python -m tools.make_docs

bench: setup
	$(BIN)/python -m benchmarks.recorder
	$(BIN)/python -m benchmarks.instrument
	$(BIN)/python -m benchmarks.analysis
	$(BIN)/python -m benchmarks.pipeline --millions 1 10
	$(BIN)/python -m benchmarks.truth --evidence clocks,threads

unilab:
	@PYTHON="$(PYTHON)" sh tools/setup_unilab.sh

hopper: setup unilab
	@sh tools/hopper.sh

nsys:
	@sh tools/setup_nsys.sh

clean:
	rm -rf $(VENV) .venv-unilab build .pytest_cache .mypy_cache .ruff_cache .hypothesis
