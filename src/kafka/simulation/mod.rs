//! The service on a simulated Kafka: engine, transactions, group and logs in one thread and virtual time, everything from one seed.
//!
//! Workers crash, stand still and come back as zombies; requests arrive late or twice, answers are lost; partitions move; markers of
//! different topics arrive apart; the coordinator forgets an offset. When the worst is over, what readers see must be what one
//! engine makes of the same log and journal, byte for byte.
//!
//! It lives here and not in `tests/`, because it runs the decisions of the service itself ([`super::partition`],
//! [`super::restore`], [`super::steps`], [`super::failure`]), which nobody else may see. What librdkafka and the brokers do is a
//! model, as `KAFKA.md` and the sources have it: of those, only the tests on a real broker are proof.
//!
//! `GOODFAITH_SEEDS=100000 cargo test --lib simulation` lives as many worlds; `GOODFAITH_SEED=7` one, and tells what happened.

mod checker;
mod cluster;
mod group;
mod network;
mod producer;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use self::checker::{Anomaly, Kind};
use self::network::Strike;
use self::world::{Outcome, Plan, Safeguards, live};

/// Worlds a test run lives.
const SEEDS: u64 = 2000;
/// The world whose every request is struck.
const STRUCK: u64 = 4;

#[expect(clippy::disallowed_methods, reason = "how a test is told of its seeds")]
fn told(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_error| panic!("{name} is a number, not {text:?}")))
}

/// What the world of `seed` came to, a broken rule of our own among it.
fn outcome(seed: u64, plan: Plan) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| live(seed, plan))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        let anomalies = vec![Anomaly { kind: Kind::Panicked, text }];
        Outcome { anomalies, published: 0, requests: 0, trace: Vec::new() }
    })
}

/// Calls `each` with the numbers of `range`, on all cores, until it says that it is enough.
fn on_all_cores(range: Range<u64>, each: impl Fn(u64) -> ControlFlow<()> + Sync) {
    let next = AtomicU64::new(range.start);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if range.end <= number {
                        break;
                    }
                    if each(number).is_break() {
                        next.store(range.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

/// The anomalies of a world, what led to them, and how to see it again.
fn report(seed: u64, plan: Plan) -> String {
    let Outcome { anomalies, trace, .. } = outcome(seed, Plan { is_traced: true, ..plan });
    let told = anomalies.iter().map(|Anomaly { kind, text }| format!("{kind:?}: {text}"));
    let told: Vec<String> = told.take(20).collect();
    let begun = trace.len().saturating_sub(400);
    format!(
        "seed {seed}, {plan:?}\nwhat led to it:\n  {}\n{} anomalies\n  {}\n\
         again: GOODFAITH_SEED={seed} cargo test --lib simulation::a_seed_by_hand -- --nocapture",
        trace[begun..].join("\n  "),
        anomalies.len(),
        told.join("\n  "),
    )
}

/// Lives worlds, one for each number of `range`, and fails with the first of which anything is wrong; all outputs together.
fn all_come_right(range: Range<u64>, world: impl Fn(u64) -> (u64, Plan) + Sync) -> u64 {
    let (failed, published) = (Mutex::new(None), AtomicU64::new(0));
    on_all_cores(range, |number| {
        let (seed, plan) = world(number);
        let outcome = outcome(seed, plan);
        published.fetch_add(outcome.published as u64, Ordering::Relaxed);
        if outcome.anomalies.is_empty() {
            return ControlFlow::Continue(());
        }
        failed.lock().unwrap().get_or_insert((seed, plan));
        ControlFlow::Break(())
    });
    if let Some((seed, plan)) = failed.into_inner().unwrap() {
        panic!("{}", report(seed, plan));
    }
    published.into_inner()
}

#[test]
fn whatever_happens_readers_see_what_one_engine_makes_of_the_log() {
    let seeds = told("GOODFAITH_SEEDS").unwrap_or(SEEDS);
    let published = all_come_right(0..seeds, |seed| (seed, Plan::WORST));
    assert!(published > 10 * seeds, "{published} outputs in {seeds} worlds prove little");
}

#[test]
fn whichever_request_is_struck_all_comes_right() {
    let calm = Plan { is_calm: true, ..Plan::WORST };
    let requests = live(STRUCK, calm).requests;
    assert!((100..1000).contains(&requests), "{requests} requests: choose another world");
    let strikes = Strike::ALL.len() as u64;
    all_come_right(0..requests * strikes, |number| {
        let strike = Strike::ALL[usize::try_from(number % strikes).unwrap()];
        (STRUCK, Plan { strike: Some((1 + number / strikes, strike)), ..calm })
    });
}

#[test]
fn a_seed_by_hand() {
    let Some(seed) = told("GOODFAITH_SEED") else { return };
    println!("{}", report(seed, Plan::WORST));
    assert_eq!(outcome(seed, Plan::WORST).anomalies, []);
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..20 {
        // All but the lineages, which are random in production too.
        let lived = || live(seed, Plan { is_traced: true, ..Plan::WORST });
        let (first, second) = (lived(), lived());
        assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
        assert_eq!(first.published, second.published, "seed {seed}");
    }
}

/// Lives worlds without a safeguard until there is an anomaly of each kind `expected`.
fn without(safeguards: Safeguards, expected: &[Kind]) {
    let found: Mutex<BTreeMap<Kind, u64>> = Mutex::default();
    on_all_cores(0..SEEDS, |seed| {
        let outcome = outcome(seed, Plan::without(safeguards));
        let mut found = found.lock().unwrap();
        for anomaly in &outcome.anomalies {
            *found.entry(anomaly.kind).or_default() += 1;
        }
        let is_enough = expected.iter().all(|kind| found.contains_key(kind));
        if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let found = found.into_inner().unwrap();
    let missing: Vec<_> = expected.iter().filter(|kind| !found.contains_key(kind)).collect();
    assert!(missing.is_empty(), "no {missing:?} in {SEEDS} worlds, only {found:?}");
}

mod the_simulation_bites {
    use super::*;

    #[test]
    fn when_a_delayed_request_may_end_the_next_transaction() {
        without(Safeguards { taint: false, ..Safeguards::ALL }, &[Kind::Duplicate]);
    }

    #[test]
    fn when_an_unknown_outcome_is_taken_for_an_abort() {
        without(Safeguards { retirement: false, ..Safeguards::ALL }, &[Kind::Duplicate]);
    }

    #[test]
    fn when_marks_are_not_compared() {
        without(Safeguards { marks: false, ..Safeguards::ALL }, &[Kind::InconsistentOffsets]);
    }

    #[test]
    fn when_the_journal_is_read_until_it_ends() {
        without(
            Safeguards { journal_to_mark: false, ..Safeguards::ALL },
            &[Kind::InconsistentOffsets],
        );
    }

    #[test]
    fn when_what_was_aborted_is_not_undone() {
        without(Safeguards { undo: false, ..Safeguards::ALL }, &[Kind::LostWrite]);
    }

    #[test]
    fn when_the_group_listens_to_zombies() {
        without(Safeguards { generations: false, ..Safeguards::ALL }, &[Kind::Duplicate]);
    }

    #[test]
    fn when_a_transaction_may_go_without_offsets() {
        without(
            Safeguards { unchanged_offsets: false, ..Safeguards::ALL },
            &[Kind::InconsistentOffsets],
        );
    }
}
