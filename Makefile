# make demo     sets everything up and shows the main job on real input
# make test     sets everything up and runs all the tests
# make check    the linters, the type checker and the documentation check
# make bench    all benchmarks (three quarters of an hour; nothing else should run)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check bench clean

demo: $(VENV)/demo
	$(BIN)/python examples/demo/run.py

test: $(VENV)/test debian-peers
	$(BIN)/python -m pytest

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/reference.py --check
	$(BIN)/python scripts/completion.py --check

bench: $(VENV)/test
	sh scripts/debian-peers.sh libzmq3-dev rsyslog rsyslog-czmq
	$(BIN)/python benchmarks/against_perl.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/compression.py
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement benchmarks/handlers/requirements.txt
	cd benchmarks && ../$(BIN)/python -m handlers
	cd benchmarks && ../$(BIN)/python -m speed

.PHONY: debian-peers
debian-peers:
	sh scripts/debian-peers.sh

$(VENV)/demo: scripts/venv.sh pyproject.toml
	sh scripts/venv.sh $(PYTHON) $(VENV) .
	touch $@

$(VENV)/test: scripts/venv.sh pyproject.toml
	sh scripts/venv.sh $(PYTHON) $(VENV) '.[test]'
	touch $@ $(VENV)/demo

$(VENV)/dev: scripts/venv.sh pyproject.toml
	sh scripts/venv.sh $(PYTHON) $(VENV) '.[dev]'
	touch $@ $(VENV)/test $(VENV)/demo

clean:
	rm -rf $(VENV)
