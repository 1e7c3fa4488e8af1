# Glidepath: what people and CI run. `make demo` shows it at work; `make test` passes the tests.

include tests/cluster/cluster.mk

.PHONY: bench demo fuzz gates lint-code reintroduced scale soak test test-all test-build test-fast test-long

demo: ## Play a good and a bad release on this machine, without a cluster
	@echo "building glidepath (the first time takes about 5 minutes on 2 cores) ..."
	@cargo build --bin glidepath
	@cargo run --quiet --bin glidepath -- demo

test: ## All tests, on the real components too; says what each part took
	@tests/timed lint-code test-build test-fast test-cluster

test-all: export GLIDEPATH_ALL_SHELLS = 1
test-all: test reintroduced test-meshes test-long ## What takes longer than CI has, before an issue is called done

test-build: # all that the tests run but the library's own, at once: compiled one after the other, they leave processors idle
	cargo build --profile test --test it --test cluster --example cluster

# The library's own tests run for seconds, whatever they are built with; built without an optimiser, they are ready sooner.
test-fast: ## The tests that need no servers
	cargo test --profile dev --lib
	cargo test --test it

lint-code: ## Formatting, lints, and dependencies by cargo-deny where it is installed
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check; else \
		echo "cargo deny check was skipped: cargo-deny is not installed. tests/it/dependencies.rs checks the same but advisories"; fi

fuzz: ## Run a fuzz target with cargo-fuzz and a nightly toolchain: make fuzz TARGET=step SECONDS=600
	cp Cargo.lock fuzz/Cargo.lock
	mkdir -p fuzz/corpus/$(TARGET) fuzz/seeds/$(TARGET)
	cargo +nightly fuzz run $(TARGET) fuzz/corpus/$(TARGET) fuzz/seeds/$(TARGET) -- -max_total_time=$(or $(SECONDS),600)

soak: ## A million random histories of the engine, 20,000 of the simulated cluster, 100,000 on the faulty API server (hours)
	GLIDEPATH_HISTORIES=$(or $(HISTORIES),1000000) GLIDEPATH_CLUSTER_HISTORIES=$(or $(CLUSTER_HISTORIES),20000) \
		GLIDEPATH_FAULTY_HISTORIES=$(or $(FAULTY_HISTORIES),100000) \
		cargo test --test it -- --nocapture every_history_keeps whatever_happens whatever_fails_writes

reintroduced: ## Old faults put back one by one in a copy: within how many random histories is each found?
	tests/it/faulty/reintroduced/measure

# Tests are built with optimization 2; the release profile is for size.
GATES := $(or $(CARGO_TARGET_DIR),target)/gates.txt
gates: ## How often the judges err and how fast they are, at full sizes, in a table of accepted and achieved
	@mkdir -p $(dir $(GATES)); GLIDEPATH_GATES=full cargo test --test it gates:: -- --nocapture >$(GATES); status=$$?; \
		printf '| gate | what | accepted | achieved |\n| --- | --- | --- | --- |\n'; grep -oE '[|] G[0-9]+ [|].*[|]$$' $(GATES) | sort -V; \
		test $$status -eq 0 || grep -E 'panicked|is over|is under' $(GATES); exit $$status

bench: ## What a watch event, a decision, a plan and a record cost, and how fast the simulator is
	cargo bench --bench costs
	cargo bench --bench simulate

test-long: cluster-check ## On the test cluster: 200 faults of two controllers, 20 bad and 50 good releases, 20,000 finished runs, 1,000 in progress (60 minutes and a release build)
	GLIDEPATH_PAUSES=$(or $(PAUSES),200) $(MAKE) test-cluster TESTS=two_leaders
	GLIDEPATH_TRIALS=$(or $(TRIALS),10) $(MAKE) test-cluster TESTS=detection
	cargo build --release --bin glidepath
	GLIDEPATH_RECORDS=$(or $(RECORDS),20000) GLIDEPATH_MEASURED=$(abspath $(or $(CARGO_TARGET_DIR),target)/release/glidepath) \
		$(MAKE) test-cluster TESTS=many_records
	GLIDEPATH_MEASURED=$(abspath $(or $(CARGO_TARGET_DIR),target)/release/glidepath) \
		$(MAKE) test-cluster TESTS='many_analyses --ignored'

scale: cluster-check ## A fleet, idle and updated at once, next to docs/performance.json: make scale SCALE="--rollouts 1000 --mesh"
	cargo build --release --bin glidepath
	$(CLUSTER) scale --controller $(or $(CARGO_TARGET_DIR),target)/release/glidepath $(SCALE)
