# Two commands matter: `make demo` and `make test`. Every target makes the environment it needs.
PYTHON ?= python3
VENV   := .venv
DEMO   := $(VENV)/demo/bin/python
DEV    := $(VENV)/dev/bin/python
FUZZ   := $(VENV)/fuzz/bin/python
PEERS  := $(VENV)/peers/bin/python
SECONDS ?= 60
ARGS   ?=
SOURCES := pyproject.toml README.md $(wildcard examples/*/*.toml) $(wildcard fedscreen/*.py fedscreen/*/*.py node/*.py node/*/*.py node/*/*/*.py \
	coordinator/*.py coordinator/*/*.py coordinator/*/*/*.py auditor/*.py auditor/*/*.py auditor/*/*/* pages/*.py pages/*/* paper/*.py paper/*/*.py results/*.py plan/*.py plan/ready/*.toml privacy/*.py \
	crypto/*.py protos/*.py fedscreen/locale/*/*/*.po)

.PHONY: demo test check model fuzz mutate bench bench-peers bench-plans audit replay-matrix kills store-kills roll-keys bench-load bench-verify pages zoo zoo-fuzz byzantine egress-bytes full-disk protos locale lock clean help \
	wheel wheelhouse windows-bundle

help:
	@echo "make demo    a county of real processes on this machine   (ARGS='--schools 12')"
	@echo "make test    the whole test suite with coverage"
	@echo "make check   style, types, import rules, generated code and lock"
	@echo "make model   every state of a round's agreement, and the real auditor beside it   (ARGS='--mutant no-checked')"
	@echo "make fuzz    every parser against hostile bytes         (SECONDS=60, together; ARGS='plan.toml')"
	@echo "make mutate  crypto/ and privacy/ with one small fault at a time: do their tests notice   (ARGS='--module xof')"
	@echo "make bench   benchmarks"
	@echo "make bench-peers    the same sums by other systems, side by side   (ARGS='--quick')"
	@echo "make bench-plans    weights and predictions against the optimum and simulated rounds   (ARGS='--json')"
	@echo "make audit   what the released numbers give away, and 30 faults that it must catch   (ARGS='--json')"
	@echo "make replay-matrix    a report made by one Python, replayed by others   (ARGS='--python PATH --python PATH')"
	@echo "make kills    a node killed at many durable steps: nothing lost, one charge, the same bytes   (ARGS='--points 200')"
	@echo "make store-kills    coordinators and their PostgreSQL killed under load   (ARGS='--reports 200 --kills 2 --restarts 2')"
	@echo "make roll-keys    every key of a county rolled over in the middle of a round, with real processes"
	@echo "make bench-load    a thousand schools report, five thousand stay connected   (ARGS='--postgres')"
	@echo "make bench-verify    a county's year and a province's round, verified   (ARGS='--standalone')"
	@echo "make pages    every page of the county's dashboard and of the auditor as pictures, in .venv/pages"
	@echo "make zoo    91 honest and 522 tampered bundles before both verifiers   (ARGS='--only NAME')"
	@echo "make zoo-fuzz    random edits of good bundles, signed anew; make egress-bytes: what a node's calls weigh on the line"
	@echo "make byzantine    a county that lies, a million steps over 2,000 seeds   (ARGS='--seed 7', ARGS='--mutants')"
	@echo "make full-disk    a disk that runs full at every page of every write of a node   (needs root)"
	@echo "make protos | locale | lock    regenerate what is generated"
	@echo "make wheel | wheelhouse    the wheel of this commit, built twice and compared; with all that a machine offline needs, a school's or an auditor's"
	@echo "make windows-bundle PYTHON_EMBED=python-3.13.5-embed-amd64.zip PYTHON_EMBED_SHA256=…    unpack and run on Windows"

demo: $(VENV)/demo.stamp
	$(VENV)/demo/bin/fedscreen demo $(ARGS)

# Coverage is measured where it is promised, by the tests of those rooms alone; tracing doubles the time of the rest.
PURE := crypto privacy plan protos results
test: $(VENV)/dev.stamp
ifeq ($(strip $(ARGS)),)
	$(DEV) -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=90 $(PURE:%=tests/%)
	$(DEV) -m pytest -n 2 --dist worksteal tests $(PURE:%=--ignore=tests/%)
else
	$(DEV) -m pytest -n 2 --dist worksteal $(ARGS)
endif

check: $(VENV)/dev.stamp
	$(DEV) -m ruff format --check .
	$(DEV) -m ruff check .
	$(DEV) -m mypy
	$(VENV)/dev/bin/lint-imports
	$(VENV)/dev/bin/buf lint
	$(DEV) tests/generated_is_current.py

fuzz: $(VENV)/fuzz/lock.stamp
	$(FUZZ) tests/fuzz/run.py --seconds $(SECONDS) $(ARGS)

mutate: $(VENV)/dev.stamp
	$(DEV) tests/mutation/run.py $(ARGS)

model: $(VENV)/dev.stamp
	$(DEV) tests/model/check.py $(ARGS)

bench: $(VENV)/dev.stamp
	$(DEV) bench/run.py $(ARGS)

bench-peers: $(VENV)/peers/lock.stamp
	$(PEERS) bench/peers.py $(ARGS)

bench-plans: $(VENV)/dev.stamp
	$(DEV) bench/workload.py $(ARGS)
	$(DEV) bench/explain.py $(ARGS)
	$(DEV) bench/coverage.py $(ARGS)

audit: $(VENV)/dev.stamp
	$(DEV) bench/audit.py $(ARGS)

replay-matrix: $(VENV)/dev.stamp
	$(DEV) tests/replay_matrix/run.py $(ARGS)

kills: $(VENV)/dev.stamp
	$(DEV) tests/kills/run.py $(ARGS)
	FEDSCREEN_CRASH_EVERY=1 $(DEV) -m pytest -q -n 2 tests/county/test_crashes.py tests/auditor/test_crashes.py tests/auditor/test_offline.py

store-kills: $(VENV)/dev.stamp
	$(DEV) tests/store_kills/run.py $(ARGS)

roll-keys: $(VENV)/dev.stamp
	PYTHONPATH=.:tests $(DEV) tests/roll_keys.py $(ARGS)

bench-load: $(VENV)/dev.stamp
	$(DEV) bench/load.py $(ARGS)

bench-verify: $(VENV)/dev.stamp
	$(DEV) bench/verify.py --province 10000 $(ARGS)

pages: $(VENV)/dev.stamp
	$(DEV) bench/dashboard_pages.py $(VENV)/pages $(ARGS)
	$(DEV) bench/auditor_pages.py $(VENV)/pages/auditor

egress-bytes: $(VENV)/dev.stamp
	$(DEV) tests/leaks/egress_bytes.py

zoo: $(VENV)/dev.stamp
	$(DEV) tests/bundle_zoo/run.py --standalone tools/verify_standalone.py $(ARGS)

zoo-fuzz: $(VENV)/dev.stamp
	$(DEV) tests/bundle_zoo/fuzz.py --standalone tools/verify_standalone.py $(ARGS)

byzantine: $(VENV)/dev.stamp
	$(DEV) tests/byzantine/run.py $(if $(ARGS),$(ARGS),--seeds 2000 --steps 1000000 --processes 2)

full-disk: $(VENV)/dev.stamp
	PYTHONPATH=.:tests $(DEV) tests/full_disk.py $$(mktemp -d)

protos: $(VENV)/dev.stamp
	$(DEV) -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. \
		--plugin=protoc-gen-mypy=$(VENV)/dev/bin/protoc-gen-mypy \
		--plugin=protoc-gen-mypy_grpc=$(VENV)/dev/bin/protoc-gen-mypy_grpc protos/fedscreen_v1.proto
	$(DEV) tests/generated_is_current.py --write-baseline

locale: $(VENV)/dev.stamp
	$(VENV)/dev/bin/pybabel -q extract -F fedscreen/locale/babel.cfg -k phrase -k N_ --no-location --no-wrap \
		--sort-output --omit-header -o fedscreen/locale/fedscreen.pot .
	$(VENV)/dev/bin/pybabel -q update -i fedscreen/locale/fedscreen.pot -d fedscreen/locale -D fedscreen \
		--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --no-wrap
	$(VENV)/dev/bin/pybabel -q compile -d fedscreen/locale -D fedscreen

lock: $(VENV)/dev.stamp
	$(DEV) tests/generated_is_current.py --write-locks

wheel: $(VENV)/dev.stamp
	$(DEV) tools/build_wheel.py --out dist --twice $(ARGS)

wheelhouse: wheel
	$(DEV) tools/wheelhouse.py --wheel "$$(ls -t dist/fedscreen-*.whl | head -n 1)" $(ARGS)

windows-bundle: wheel
	@test -n "$(PYTHON_EMBED)" && test -n "$(PYTHON_EMBED_SHA256)" || \
		{ echo "make windows-bundle PYTHON_EMBED=FILE PYTHON_EMBED_SHA256=HEX   (both from python.org)"; exit 2; }
	$(DEV) tools/windows_bundle.py --embed "$(PYTHON_EMBED)" --embed-sha256 "$(PYTHON_EMBED_SHA256)" \
		--wheel "$$(ls -t dist/fedscreen-*.whl | head -n 1)" $(ARGS)

clean:
	rm -rf $(VENV) demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage

# -- environments ------------------------------------------------------------------------------
$(VENV)/python.stamp: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fedscreen needs Python 3.11 or newer: make PYTHON=python3.11 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "this Python cannot make environments: apt install python3-venv"; exit 1; }
	@mkdir -p $(VENV) && touch $@

$(VENV)/demo/lock.stamp: requirements-demo.lock $(VENV)/python.stamp
	$(PYTHON) -m venv --clear $(VENV)/demo
	$(DEMO) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-demo.lock
	@touch $@

$(VENV)/demo.stamp: $(VENV)/demo/lock.stamp $(SOURCES)
	$(DEMO) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	@touch $@

$(VENV)/dev/lock.stamp: requirements-dev.lock $(VENV)/python.stamp
	$(PYTHON) -m venv --clear $(VENV)/dev
	$(DEV) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/dev.stamp: $(VENV)/dev/lock.stamp pyproject.toml
	$(DEV) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/fuzz/lock.stamp: requirements-fuzz.lock $(VENV)/python.stamp
	$(PYTHON) -m venv --clear $(VENV)/fuzz
	$(FUZZ) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-fuzz.lock
	@touch $@

$(VENV)/peers/lock.stamp: requirements-bench-peers.lock $(VENV)/python.stamp
	$(PYTHON) -m venv --clear $(VENV)/peers
	$(PEERS) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-bench-peers.lock
	@touch $@
