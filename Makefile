# One command a task. `make help` lists them; `make test` is everything that CI runs.
#
# Node 26 comes from the npm package `node`, so any npm of Node 20 or later is enough to start. The Rust addon
# is built when its sources are newer than it. Nothing is installed outside the repository except, as root on
# Debian and Ubuntu, missing system packages (tools/setup.sh lists them).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/node_modules/.bin:$(HOME)/.cargo/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin

NODE := node_modules/.bin/node
CARGO := cargo
MODULES := node_modules/.package-lock.json
# Added to `docker build`.
DOCKER_BUILD_FLAGS ?=
export DOCKER_BUILD_FLAGS
ADDON := native/target/release/libzgate_native.so
ADDON_SOURCES := native/Cargo.toml native/Cargo.lock $(wildcard native/build.rs native/src/*.rs native/src/*/*.rs)
DELAY_PROXY := --manifest-path bench/delay-proxy/Cargo.toml
SINGLE_STEP := --manifest-path bench/single-step/Cargo.toml

# ── Set-up and build ──────────────────────────────────────────────────────────────────────────────────────

.PHONY: setup
setup: ## Install what is missing: system packages (as root), npm packages
	@tools/setup.sh
	@$(MAKE) $(MODULES)

$(MODULES): package-lock.json
	npm ci --no-audit --no-fund
	@tools/check-node.sh
	@touch $@

.PHONY: build
build: $(MODULES) $(ADDON) ## Build the Rust addon when its sources changed

$(ADDON): $(ADDON_SOURCES) | $(MODULES)
	npm run --silent build:native
	@touch $@

# ── Checks: `make check` is all of them ───────────────────────────────────────────────────────────────────

.PHONY: check
check: fmt-check lint types knip imports clippy ## Every static check

.PHONY: fmt
fmt: $(MODULES) ## Format TypeScript, JSON, YAML and Rust in place
	oxfmt .
	$(CARGO) fmt --manifest-path native/Cargo.toml
	$(CARGO) fmt $(DELAY_PROXY)
	$(CARGO) fmt $(SINGLE_STEP)

.PHONY: fmt-check
fmt-check: $(MODULES) ## Formatting, without changing anything
	oxfmt --check .
	$(CARGO) fmt --check --manifest-path native/Cargo.toml
	$(CARGO) fmt --check $(DELAY_PROXY)
	$(CARGO) fmt --check $(SINGLE_STEP)

.PHONY: lint
lint: $(MODULES) ## oxlint, warnings are errors
	oxlint --deny-warnings

.PHONY: types
types: $(MODULES) ## TypeScript, strict
	tsc --noEmit

.PHONY: knip
knip: $(MODULES) ## Unused files, exports and dependencies
	knip

.PHONY: imports
imports: $(MODULES) ## Imports point one way
	$(NODE) tools/check-imports.ts

.PHONY: clippy
clippy: ## clippy, warnings are errors
	$(CARGO) clippy --release --locked --all-targets --features test-program --manifest-path native/Cargo.toml -- -D warnings
	$(CARGO) clippy --release --locked --all-targets $(DELAY_PROXY) --target-dir bench/out/delay-proxy -- -D warnings
	$(CARGO) clippy --release --locked --all-targets $(SINGLE_STEP) --target-dir bench/out/single-step -- -D warnings

# ── Tests: `make test` is everything ──────────────────────────────────────────────────────────────────────

.PHONY: test
test: setup build ## Everything that CI runs, with a summary
	$(NODE) tools/test-all.ts

.PHONY: test-unit
test-unit: build ## Unit and property tests
	$(NODE) --test "{agent,relay,shared,cli,tools,docs}/**/*.test.ts" "e2e/{harness,fuzz}/**/*.test.ts" "bench/**/*.test.ts"

.PHONY: test-native
test-native: ## Tests in Rust: the addon, the benchmark's delay line
	$(CARGO) test --release --locked --features test-program --manifest-path native/Cargo.toml
	$(CARGO) test --release --locked $(DELAY_PROXY) --target-dir bench/out/delay-proxy

.PHONY: interop
interop: build ## HTTP/3 against aioquic, key exchange against quic-go, both ways
	$(NODE) e2e/interop/run.ts

.PHONY: e2e
e2e: e2e-netns ## End-to-end tests: network namespaces always, compose where an engine is there
	@if docker info >/dev/null 2>&1; then $(MAKE) e2e-compose; else echo "compose: skipped, no Docker engine answers here"; fi

.PHONY: e2e-netns
e2e-netns: build ## End-to-end tests in network namespaces (root)
	$(NODE) --test --test-concurrency=1 "e2e/netns/**/*.test.ts" "e2e/hostile/**/*.test.ts"

.PHONY: e2e-compose
e2e-compose: $(MODULES) ## End-to-end tests in containers (Docker engine)
	docker build --quiet $(DOCKER_BUILD_FLAGS) -t zgate .
	$(NODE) --test --test-concurrency=1 "e2e/compose/**/*.test.ts"

.PHONY: fuzz
fuzz: build ## Properties with fresh inputs and coverage guidance in turn, for FUZZ_SECONDS (3600)
	$(NODE) tools/fuzz.ts --seconds $(or $(FUZZ_SECONDS),3600)

# ── Trying it out ─────────────────────────────────────────────────────────────────────────────────────────

.PHONY: demo
demo: setup build ## The product in network namespaces (root); KEEP=1 stays up
	$(NODE) e2e/demo.ts

.PHONY: certs
certs: $(MODULES) ## A development CA, relay certificate and two client certificates in certs/
	tools/make-certs.sh

.PHONY: bench
bench: setup build ## Side by side with other VPNs, about ten minutes (root)
	$(NODE) bench/run.ts

.PHONY: bench-quick
bench-quick: setup build ## The same, about one minute
	$(NODE) bench/run.ts --quick

# ──────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: clean
clean: ## Remove what was built and measured; certificates stay
	rm -rf node_modules native/target native/fuzz/target .venv bench/out e2e/out

.PHONY: help
help: ## This list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|'
