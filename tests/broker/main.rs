//! What the service promises, shown on a real Apache Kafka: `make test-broker`, or `KAFKA_BOOTSTRAP=host:port cargo test --test broker --
//! --ignored`. The oracle is a single-threaded engine over the same logs; outputs are read under `read_committed`.
//!
//! Each test has topics and a group of its own and mostly waits, so several run at a time. Faults, which want a broker of their own, are
//! in `tests/faults`.

#![cfg(feature = "service")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the harness, which measures more")]
mod support;

mod operate;
mod s3;
mod service;
mod snapshots;
mod stops;
mod transactions;
