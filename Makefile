# `make test` and `make lint` are what `.ci/run` runs. Both install the tools they miss; set OFFLINE=1 to forbid that.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-workspace loom lint fmt-check clippy doc deny bench demo soak fuzz

CARGO ?= cargo
OFFLINE ?=
FUZZ_SECONDS ?= 60

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Builds and starts the chat example on 127.0.0.1:9501.
	$(CARGO) run --release -p ostler --example chat

test: test-workspace loom ## Runs every test: unit, property, process, documentation and loom.

# nextest gives each test its own process and keeps the tests of real servers apart (.config/nextest.toml). Without it
# `cargo test` runs the same tests, one at a time for the same reason.
test-workspace: ## Runs the tests of all crates, without the loom models.
	@if ! $(CARGO) nextest --version >/dev/null 2>&1 && [ -z "$(OFFLINE)" ]; then \
		echo "make: cargo-nextest is missing, installing it"; \
		$(CARGO) install cargo-nextest --locked || echo "make: cargo-nextest cannot be had"; \
	fi
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		set -x; $(CARGO) nextest run --workspace; $(CARGO) test --workspace --doc; \
	else \
		echo "make: no cargo-nextest, running plain cargo test"; \
		set -x; $(CARGO) test --workspace --all-targets -- --test-threads=1; $(CARGO) test --workspace --doc; \
	fi

# A target directory of its own: the flag would otherwise rebuild everything at each change between loom and not loom.
loom: ## Checks the lane protocol's models under every interleaving.
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom $(CARGO) test -p ostler-shm --release --test 'loom_*'

lint: fmt-check clippy doc deny ## Formatting, clippy, documentation, licences and dependencies.

fmt-check:
	$(CARGO) fmt --all -- --check

clippy:
	$(CARGO) clippy --workspace --all-targets -- -D warnings

doc: ## Builds the documentation; a warning is an error.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

# The list of advisories comes over the network: without it the rest is still checked, and the output says so.
deny:
	@if ! $(CARGO) deny --version >/dev/null 2>&1 && [ -z "$(OFFLINE)" ]; then \
		echo "make: cargo-deny is missing, installing it"; \
		$(CARGO) install cargo-deny --locked || true; \
	fi
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		set -x; $(CARGO) deny check bans licenses sources; set +x; \
		if [ -z "$(OFFLINE)" ] && timeout 120 $(CARGO) deny fetch db >/dev/null 2>&1; then \
			set -x; $(CARGO) deny --offline check advisories; \
		else \
			echo "make: NOT CHECKED: advisories (their database cannot be fetched)"; \
		fi; \
	else \
		echo "make: NOT CHECKED: licences and dependencies (cargo-deny cannot be had)"; \
	fi

bench: ## Measures Ostler against its baselines and prints the table.
	$(CARGO) build --release --examples -p ostler -p ostler-bench
	$(CARGO) run --release -p ostler-bench -- table

demo: ## Shows crashes and reloads that no client notices, in half a minute.
	$(CARGO) build --release --examples -p ostler
	$(CARGO) run --release -p ostler-bench -- demo

soak: ## Runs servers under load and faults for ten minutes and checks what was promised.
	$(CARGO) build --release --examples -p ostler
	$(CARGO) run --release -p ostler-bench -- soak

# Needs a nightly compiler and cargo-fuzz; FUZZ_SECONDS is the time for each target.
fuzz: ## Fuzzes every target of fuzz/ for FUZZ_SECONDS each.
	@if ! $(CARGO) fuzz --version >/dev/null 2>&1; then \
		echo "make: cargo-fuzz is missing: cargo install cargo-fuzz --locked"; exit 1; \
	fi
	@for target in $$($(CARGO) +nightly fuzz list); do \
		echo "make: fuzzing $$target for $(FUZZ_SECONDS) s"; \
		$(CARGO) +nightly fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS); \
	done
