//! How much memory customers take, all in: resident bytes of a process that holds nothing else, by the allocator the service has. Run by
//! `make bench-memory`.
//!
//! The customers are one partition's, made by events a day apart as they would arrive: with what packing and unpacking again and again
//! leaves unused. It measures no work: two figures, what the engine counts and what the system counts. The allocator should give pages
//! back at once (`MALLOC_CONF`), as otherwise it does within some ten seconds: this ends sooner.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a harness fails by panicking, and tells what it measured"
)]

use std::fs;
use std::sync::Arc;

use clap::Parser;
use goodfaith::engine::{Input, PartitionEngine, Settings};
use goodfaith::model::{EventTime, Policy};
use goodfaith::wire::{self, Expect, RecordRef};

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Records between two commits.
const BATCH: i64 = 5_000;

/// Measures memory a customer.
#[derive(Debug, Parser)]
struct Args {
    /// Customers of each kind
    #[arg(long, default_value_t = 200_000)]
    customers: usize,
    /// Which kind
    #[arg(long)]
    kind: Kind,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// One subscription, 20 evidences, 2 open promises
    Typical,
    /// Five evidences
    Light,
}

/// Type and data of what happens to each, a day apart; `{n}` is the customer's number.
fn events(kind: Kind) -> Vec<(&'static str, String)> {
    let delivered = |count: usize| {
        (0..count).map(|k| ("service.delivered", format!(r#"{{"ref":"order-{{n}}-{k}"}}"#)))
    };
    let promised = |k: usize| {
        let data = format!(
            r#"{{"promise_id":"call-{{n}}-{k}","kind":"callback","due_at":"2027-01-01T00:00:00Z"}}"#
        );
        ("promise.made", data)
    };
    match kind {
        Kind::Light => delivered(5).collect(),
        Kind::Typical => {
            let started = r#"{"subscription_id":"line-{n}","plan_id":"basic-2024","price":{"minor":2500,"currency":"GBP"},"term_end":"2026-01-01T00:00:00Z"}"#;
            let mut events = vec![("subscription.started", started.to_owned())];
            events.extend(delivered(20));
            events.extend([promised(1), promised(2)]);
            events
        }
    }
}

/// A partition of `customers` to each of whom the events of `kind` happened.
fn filled(kind: Kind, customers: usize) -> PartitionEngine {
    let policy = Arc::new(Policy::default());
    let mut engine = PartitionEngine::new(Settings { policy, salt: [0; 16], audit: false });
    let start = EventTime::parse("2025-01-01T00:00:00Z").unwrap();
    let mut offset = 0;
    for (day, (kind, data)) in (0..).zip(events(kind)) {
        let time = start.plus_days(day);
        for n in 0..customers {
            let data = data.replace("{n}", &n.to_string());
            let text = format!(
                r#"{{"specversion":"1.0","id":"e-{offset}","source":"/crm","type":"io.goodfaith.{kind}.v1","subject":"customer-{n:08}","time":"{time}","data":{data}}}"#
            );
            let value = Some(text.as_bytes());
            let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
            let record = Ok(wire::decode(record, Expect::File).unwrap());
            engine.handle(Input::Record { offset, record }, &mut Vec::new());
            offset += 1;
            if offset % BATCH == 0 {
                engine.commit();
            }
        }
    }
    engine.commit();
    engine
}

/// What of this process is in memory.
fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn main() {
    let args = Args::parse();
    let before = resident_bytes();
    let engine = filled(args.kind, args.customers);
    let (held, resident) = (engine.store_bytes(), resident_bytes() - before);
    let [held, resident] = [held, resident].map(|bytes| bytes / args.customers);
    println!("{:?}: {held} bytes held a customer, {resident} resident", args.kind);
}
