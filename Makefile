# make demo and make test do everything from a fresh Debian or Ubuntu machine; twice is as good as once.
VENV  := .venv
READY := $(VENV)/.ready
BIN   := $(VENV)/bin

.PHONY: help demo test check bench bench-relay bench-dataplane bench-failover bench-table bench-fleet bench-api bench-drills laws fuzz screenshot simulate format lock clean system browser

help:
	@echo "make demo        provision a mixed cluster of virtual routers, verify, change it, roll back"
	@echo "make test        every test; those that make network namespaces need root and skip without"
	@echo "make check       ruff and mypy --strict"
	@echo "make bench       measurements, each beside its limit or a peer in the same run"
	@echo "make bench-relay registrations a second, beside a relay in C and nginx"
	@echo "make bench-dataplane  packets a second, beside the kernel's own forwarding"
	@echo "make bench-failover  a member and a controller die: what subscribers notice"
	@echo "make bench-fleet 10,000 routers checked, beside Nornir and Netmiko that only read them"
	@echo "make bench-api   the relay with 1,000 listeners of the live view, and its page in Chromium"
	@echo "make bench-drills  each ready drill live 20 times and 1,000 times simulated; HACC_DRILLS=3: less"
	@echo "make bench-table memory of a binding, restart, standby, stalls"
	@echo "make laws        the laws again, with new random examples; HACC_HYPOTHESIS=deep: many of them"
	@echo "make fuzz        damaged and random octets into every parser, 5 minutes each"
	@echo "make simulate    clusters in trouble under a virtual clock, for an hour"
	@echo "make screenshot  the pictures of docs/check.md and docs/live-view.md"
	@echo "make format      let ruff rewrite the layout of the code"
	@echo "make lock        resolve the Python dependencies again into requirements.lock"
	@echo "make clean       remove the virtual environment and caches"

demo: $(READY) system
	$(BIN)/python -m lab.demo

test: $(READY) system browser
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) system
	$(BIN)/python -m bench

bench-relay: $(READY)
	@sh .ci/system-packages gcc libc6-dev nginx libnginx-mod-stream util-linux
	$(BIN)/python -m bench relay

bench-dataplane: $(READY)
	@sh .ci/system-packages gcc libc6-dev iproute2 nftables util-linux
	$(BIN)/python -m bench dataplane

bench-failover: $(READY) system
	$(BIN)/python -m bench failover

bench-drills: $(READY) system
	$(BIN)/python -m bench drills

bench-table: $(READY)
	$(BIN)/python -m bench table replica

bench-fleet: $(READY)
	$(BIN)/python -m bench fleet

bench-api: $(READY) browser
	@sh .ci/system-packages gcc libc6-dev util-linux
	$(BIN)/python -m bench api

screenshot: $(READY) system browser
	$(BIN)/python -m tests.commands.screenshot
	$(BIN)/python -m tests.hacc_agent.api.screenshot

simulate: $(READY)
	$(BIN)/python -m tests.simulation.campaign

laws: $(READY) system
	HACC_HYPOTHESIS=$${HACC_HYPOTHESIS:-search} $(BIN)/python -m pytest -m hypothesis

fuzz: $(READY)
	$(BIN)/python -m tests.hacc_agent.wire.fuzz
	$(BIN)/python -m tests.hacc_agent.fuzz

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY)
	$(BIN)/python -m uv pip compile --quiet --no-header --no-emit-index-url --generate-hashes \
	    --python-version 3.11 --extra dev pyproject.toml --output-file requirements.lock

system:
	@sh .ci/system-packages

browser:
	@sh .ci/system-packages chromium

$(READY): requirements.lock pyproject.toml
	@sh .ci/python-environment $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
