# Glidepath: what people and CI run. `make demo` shows it at work; `make test` passes the tests.

include tests/cluster/cluster.mk

.PHONY: demo test test-fast lint-code

demo: ## Play a good and a bad release on this machine, without a cluster
	@echo "building glidepath (the first time takes about 5 minutes on 2 cores) ..."
	@cargo build --bin glidepath
	@cargo run --quiet --bin glidepath -- demo

test: lint-code test-fast test-cluster ## All tests, on the real components too

test-fast: ## The tests that need no servers
	cargo test --lib --bins --test it

lint-code: ## Formatting and lints
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
