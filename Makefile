# What a user types. Every target works from a clean clone, with nothing typed before it.

CARGO ?= cargo
KAFKA := deploy/kafka/kafka.sh
S3 := deploy/s3/s3.sh
# Property tests draw the same cases every time, so that the same code gives the same result; another seed draws others.
export PROPTEST_RNG_SEED ?= 1

.PHONY: help demo test test-core test-all test-broker test-s3 faults bench bench-snapshot bench-memory bench-core bench-counts lint docs

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

demo: ## A telecom in virtual time, scored as it happens: no broker, no configuration; Ctrl-C ends it
	$(CARGO) run --release -- demo

test: test-core test-all test-broker ## Everything: the core alone, all tests, then those against a real Apache Kafka

test-core: ## The core, without the service: no librdkafka, no tokio, no HTTP
	$(CARGO) test --no-default-features

test-all: ## Every test that needs no broker
	$(CARGO) test

# Each test has topics and a group of its own, and mostly waits: four at a time keep two cores busy.
BROKER_TESTS := $(CARGO) test --test broker -- --ignored --test-threads=4 --skip s3::
# Faults want a broker they may restart; who disturbs whom they know. Those that take hours are for `make faults`.
FAULT_TESTS := $(CARGO) test --test faults -- --ignored --test-threads=2 --skip long_plan

test-broker: ## The tests against a real Apache Kafka: $$KAFKA_BOOTSTRAP, or one started from its Maven artifacts
	@if [ -n "$$KAFKA_BOOTSTRAP" ]; then \
	  $(BROKER_TESTS); \
	elif command -v java >/dev/null && command -v mvn >/dev/null; then \
	  $(CARGO) test --test broker --test faults --no-run && \
	    $(KAFKA) with $(BROKER_TESTS) && $(KAFKA) with $(FAULT_TESTS); \
	else \
	  echo; \
	  echo "*** THE REAL-BROKER TESTS DID NOT RUN: no JDK and Maven here, and KAFKA_BOOTSTRAP is not set. ***"; \
	  echo "*** What was tested says nothing about exactly-once. Install a JDK (17 or later) and Maven.   ***"; \
	  [ -z "$$GOODFAITH_REQUIRE_BROKER" ]; \
	fi

test-s3: ## Snapshots in an object store that speaks S3, a real one started from its Maven artifacts beside a real Apache Kafka
	$(CARGO) test --test broker --no-run && $(KAFKA) with $(S3) with $(CARGO) test --test broker -- --ignored --test-threads=1 s3::

# Flags go in FAULTS; FAULTS=--help lists them.
faults: export GOODFAITH_FAULTS = $(FAULTS)
faults: ## Hours of faults on a real Apache Kafka, and control runs without a safeguard: docs/reliability.md
	$(CARGO) test --features faults --test faults --no-run
	$(KAFKA) with $(CARGO) test --features faults --test faults -- --ignored --exact long_plan --nocapture

# Flags go in BENCH; BENCH=--help lists them.
bench: ## goodfaith beside Kafka Streams, Flink and a raw drain on a real Apache Kafka: docs/performance.md
	$(CARGO) bench --profile dist --bench harness --no-run && \
	  KAFKA_PROPERTIES=group.initial.rebalance.delay.ms=3000 $(KAFKA) with $(CARGO) bench --profile dist --bench harness -- $(BENCH)

bench-snapshot: ## How long it takes to write and read the state of a million customers
	$(CARGO) bench --bench snapshot

bench-memory: ## How much memory a customer takes
	for kind in typical light; do \
	  MALLOC_CONF=dirty_decay_ms:0,muzzy_decay_ms:0 $(CARGO) bench --bench memory -- --kind $$kind || exit 1; \
	done

BENCH_CORE := $(CARGO) bench --manifest-path benches/core/Cargo.toml

bench-core: ## How long single steps of the core take: decoding, scoring, explaining, a bill, snapshots
	$(BENCH_CORE) --bench time

bench-counts: ## How many instructions they take, by callgrind: fails 5 % above what was last accepted
	@command -v valgrind >/dev/null || { echo "valgrind is needed"; exit 1; }
	@command -v gungraun-runner >/dev/null || $(CARGO) install --locked gungraun-runner --version 0.20.0
	$(BENCH_CORE) --bench counts

lint: ## Formatting and lints, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --no-default-features --all-targets -- -D warnings

docs: ## The documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
