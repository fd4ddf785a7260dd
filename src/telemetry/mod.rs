//! What the service tells of itself: each fact becomes a line of log and a number at once, in one place, so that the two cannot
//! disagree. No customer, no payload and no setting's value appears in either.

mod metrics;
mod service;
mod snapshot;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::metrics::{counter, gauge, histogram};
use anstream::{AutoStream, ColorChoice};
use tracing::{debug, error, info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

pub use self::metrics::Metrics;
use self::metrics::name;
pub use self::service::ServiceFact;
use crate::config::{LogFormat, LogSettings};
use crate::engine::{Counters, Reason};
use crate::kafka::{Fact, Observer, Settlement, Tally};

/// Dead letters of one batch that are logged one by one; the dead letter itself says everything.
const MAX_TOLD: usize = 10;

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("log.filter cannot be read")]
    Filter(#[from] ParseError),
    /// Something logs already.
    #[error("logging was started twice")]
    Started(#[from] TryInitError),
}

/// Sends log lines to stderr from now on, with colour only on a terminal.
///
/// # Errors
/// If the filter is wrong, or the process logs already.
pub fn start_logging(settings: &LogSettings) -> Result<(), LogError> {
    let is_plain = AutoStream::choice(&io::stderr()) == ColorChoice::Never;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(&settings.filter)?)
        .with_ansi(!is_plain)
        .with_writer(io::stderr);
    match settings.format {
        LogFormat::Text => subscriber.finish().try_init()?,
        LogFormat::Json => subscriber.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

/// What is logged. rdkafka calls every end of a partition an error; what is one, librdkafka says itself, under its own name. Whoever
/// wants both names `rdkafka::client` in the filter.
fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::try_new(directives)?;
    if directives.contains("rdkafka::client") {
        return Ok(filter);
    }
    Ok(filter.add_directive("rdkafka::client=off".parse()?))
}

/// Logs and counts what the workers tell.
#[derive(Debug)]
pub struct Telemetry {
    /// The events topic.
    topic: String,
    /// Milliseconds since the epoch.
    now_ms: fn() -> i64,
    owned: Mutex<BTreeMap<i32, Measured>>,
}

/// How a partition stood when last heard of.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    /// `None` until its first measurement after a restore: what happened before this process is not its doing.
    counters: Option<Counters>,
    customers: usize,
    store_bytes: usize,
}

impl Telemetry {
    /// Logs and counts for the events topic of `prefix`.
    pub fn new(prefix: &str, now_ms: fn() -> i64) -> Self {
        Self { topic: format!("{prefix}.events.v1"), now_ms, owned: Mutex::default() }
    }

    fn committed(&self, tally: &Tally) {
        debug!(worker = tally.worker, records = tally.records, "Batch committed.");
        counter!(name::EVENTS, "topic" => self.topic.clone()).increment(tally.records);
        histogram!(name::HANDLE_DURATION).record(tally.handling);
        histogram!(name::PUBLISH_DURATION).record(tally.committing);
        for ((kind, squeeze), n) in &tally.outputs {
            metrics::count_outputs(kind, *squeeze, *n);
        }
        dead_lettered(&tally.dead_letters);
        if let Some(cause_ms) = tally.oldest_cause_ms {
            let age_ms = (self.now_ms)().saturating_sub(cause_ms);
            let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
            histogram!(name::END_TO_END).record(age);
        }
    }

    fn measured(&self, partition: i32, counters: Counters, customers: usize, store_bytes: usize) {
        let mut owned = self.owned();
        let last = owned.entry(partition).or_default();
        if let Some(before) = last.counters {
            let since = |now: u64, before: u64| now.saturating_sub(before);
            counter!(name::DUPLICATES).increment(since(counters.duplicates, before.duplicates));
            counter!(name::LATE_RECORDS).increment(since(counters.late, before.late));
        }
        *last = Measured { counters: Some(counters), customers, store_bytes };
        publish_sizes(&owned);
    }

    fn restored(&self, partition: i32, is_new: bool) {
        let counters = is_new.then(Counters::default);
        self.owned().insert(partition, Measured { counters, ..Measured::default() });
    }

    fn revoked(&self, partition: i32) {
        let mut owned = self.owned();
        owned.remove(&partition);
        publish_sizes(&owned);
    }

    /// A worker that panicked cannot have left it half-written: every change is one insertion or removal.
    fn owned(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, Measured>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sizes over all partitions owned here.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn publish_sizes(owned: &BTreeMap<i32, Measured>) {
    let sum = |size: fn(&Measured) -> usize| owned.values().map(size).sum::<usize>() as f64;
    gauge!(name::CUSTOMERS).set(sum(|measured| measured.customers));
    gauge!(name::STORE_BYTES).set(sum(|measured| measured.store_bytes));
    let alerts = |measured: &Measured| measured.counters.map_or(0, |counters| counters.alerts_open);
    gauge!(name::ALERTS_OPEN).set(owned.values().map(alerts).sum::<u64>() as f64);
}

impl Observer for Telemetry {
    fn observe(&self, fact: Fact<'_>) {
        match fact {
            Fact::WorkerStarted { worker } => info!(worker, "Worker started."),
            Fact::WorkerStopped { worker } => info!(worker, "Worker stopped."),
            Fact::Rebalanced { worker, assigned, revoked, is_lost } => {
                info!(worker, assigned, revoked, is_lost, "Group rebalanced.");
                counter!(name::REBALANCES).increment(1);
            }
            Fact::OwnersMissing { worker, partitions } => {
                warn!(
                    worker,
                    partitions, "Partitions have no owner; the group is left and joined again."
                );
                counter!(name::OWNERS_MISSING).increment(1);
            }
            Fact::PartitionAssigned { partition } => info!(partition, "Partition assigned."),
            Fact::PartitionRestored { partition, records, elapsed, is_new } => {
                info!(partition, records, ?elapsed, is_new, "Partition restored.");
                self.restored(partition, is_new);
            }
            Fact::PartitionRefused { partition, reason } => {
                error!(
                    partition,
                    reason, "Partition refused: it is not served until someone acts."
                );
            }
            Fact::PartitionStopped { partition, reason } => {
                error!(
                    partition,
                    reason, "Partition stopped: no record is handled until it is resumed."
                );
            }
            Fact::PartitionPaused { partition, reason } => {
                error!(
                    partition,
                    reason, "Partition paused: no record is handled until there is room."
                );
            }
            Fact::PartitionResumed { partition } => info!(partition, "Partition goes on."),
            Fact::PartitionRevoked { partition } => {
                info!(partition, "Partition revoked.");
                self.revoked(partition);
            }
            Fact::Committed(tally) => self.committed(tally),
            Fact::PartitionMeasured { partition, counters, customers, store_bytes, .. } => {
                self.measured(partition, counters, customers, store_bytes);
            }
            Fact::TransactionAborted { worker, reason } => {
                warn!(worker, reason, "Transaction aborted; its events are handled again.");
                counter!(name::TRANSACTIONS_ABORTED).increment(1);
            }
            Fact::ProducerRetired { worker, reason } => {
                warn!(
                    worker,
                    reason, "Producer retired; the broker is asked what became of its transaction."
                );
                counter!(name::PRODUCERS_RETIRED).increment(1);
            }
            Fact::ProducerTainted { worker, request, reason } => {
                warn!(
                    worker,
                    request,
                    reason,
                    "Producer replaced: a request of its last transaction had no answer and may arrive late."
                );
                counter!(name::PRODUCERS_RETIRED).increment(1);
            }
            Fact::TransactionSettled { partition, settlement } => settled(partition, settlement),
            Fact::OffsetsNotCommitted { worker, reason } => {
                warn!(worker, reason, "Offsets not committed; outputs may appear again.");
            }
            Fact::ReferenceRead { offset_next, changes } => {
                info!(offset_next, changes, "Reference log read.")
            }
            Fact::ReferenceRefused { offset, reason } => {
                warn!(offset, %reason, "Reference record passed over.");
            }
            Fact::OperationRequested { offset, operation } => {
                info!(offset, ?operation, "Operator's request read.");
            }
            Fact::Drained { worker, elapsed } => {
                debug!(worker, ?elapsed, "What was under way has ended.");
                histogram!(name::DRAIN_DURATION).record(elapsed);
            }
            Fact::Snapshot(fact) => snapshot::observe(&fact),
            Fact::PolicyActivated { partition, version, fingerprint } => {
                let hash = format!("{fingerprint:016x}");
                info!(partition, version, hash, "Policy in force.");
            }
            Fact::PolicyRefused { version, fingerprint, reason } => {
                let hash = format!("{fingerprint:016x}");
                error!(version, hash, reason, "Policy refused: the one in force stays.");
                counter!(name::POLICY_REJECTIONS).increment(1);
            }
        }
    }
}

/// Counts all, and logs the first of a batch: a producer gone wrong must not drown everything else.
fn dead_lettered(records: &[(i32, i64, Reason)]) {
    for (partition, offset, reason) in records.iter().take(MAX_TOLD) {
        warn!(partition, offset, %reason, "Record dead-lettered.");
    }
    let untold = records.len().saturating_sub(MAX_TOLD);
    if untold > 0 {
        warn!(untold, "More records dead-lettered in the same batch.");
    }
    for (_partition, _offset, reason) in records {
        counter!(name::DEAD_LETTERS, "reason" => reason.as_str()).increment(1);
    }
}

fn settled(partition: i32, settlement: Settlement) {
    match settlement {
        Settlement::Kept => info!(partition, "Transaction was committed: the state stands."),
        Settlement::Undone => {
            info!(partition, "Transaction was not committed: the state is put back.")
        }
        Settlement::Dropped => {
            warn!(partition, "Partition stands elsewhere: its state is restored.")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::metrics::tests::counted;
    use super::*;
    use crate::model::squeeze::SqueezeType;

    const NOW_MS: i64 = 10_000;

    fn telemetry() -> Telemetry {
        Telemetry::new("goodfaith", || NOW_MS)
    }

    fn tally() -> Tally {
        Tally {
            worker: 1,
            records: 40,
            outputs: BTreeMap::from([
                (("trust.score_changed", None), 3),
                (("squeeze.opened", Some(SqueezeType::S01)), 2),
            ]),
            dead_letters: vec![(0, 7, Reason::BadData)],
            oldest_cause_ms: Some(NOW_MS - 250),
            handling: Duration::from_millis(2),
            committing: Duration::from_millis(30),
        }
    }

    fn measured(duplicates: u64, customers: usize) -> Fact<'static> {
        let counters = Counters { duplicates, ..Counters::default() };
        Fact::PartitionMeasured {
            partition: 3,
            counters,
            customers,
            store_bytes: 100,
            lag_records: 0,
            watermark: None,
        }
    }

    /// What is logged while `act` runs.
    fn logged(act: impl FnOnce()) -> String {
        let lines = Arc::new(Lines::default());
        let subscriber = tracing_subscriber::fmt()
            .with_writer(Arc::clone(&lines))
            .without_time()
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let text = lines.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[derive(Debug, Default)]
    struct Lines(Mutex<Vec<u8>>);

    impl io::Write for &Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_commit_counts_what_it_holds() {
        let observe = || telemetry().observe(Fact::Committed(&tally()));
        for (series, value) in [
            ("goodfaith_events_total{", "topic=\"goodfaith.events.v1\"} 40"),
            ("goodfaith_score_changes_total", " 3"),
            ("goodfaith_alerts_total{rule=\"S01\",state=\"opened\"}", " 2"),
            ("goodfaith_dead_letters_total{reason=\"bad_data\"}", " 1"),
            ("goodfaith_end_to_end_seconds_sum", " 0.25"),
            ("goodfaith_handle_duration_seconds_sum", " 0.002"),
            ("goodfaith_publish_duration_seconds_sum", " 0.03"),
        ] {
            assert_eq!(counted(series, observe), format!("{}{value}", series), "{series}");
        }
    }

    #[test]
    fn dead_letters_are_logged_with_their_place_and_never_flood() {
        let one = logged(|| telemetry().observe(Fact::Committed(&tally())));
        insta::assert_snapshot!(one.trim(), @"WARN goodfaith::telemetry: Record dead-lettered. partition=0 offset=7 reason=bad_data");
        let dead_letters = (0..1000).map(|offset| (0, offset, Reason::NotJson)).collect();
        let many =
            logged(|| telemetry().observe(Fact::Committed(&Tally { dead_letters, ..tally() })));
        assert_eq!(many.lines().count(), MAX_TOLD + 1);
        assert!(many.contains("untold=990"), "{many}");
    }

    #[test]
    fn duplicates_of_earlier_processes_are_not_counted_again() {
        let after = |is_new: bool| {
            counted("goodfaith_duplicates_total", || {
                let telemetry = telemetry();
                telemetry.observe(Fact::PartitionRestored {
                    partition: 3,
                    records: 9,
                    elapsed: Duration::ZERO,
                    is_new,
                });
                telemetry.observe(measured(5, 2));
                telemetry.observe(measured(7, 2));
            })
        };
        assert_eq!(after(false), "goodfaith_duplicates_total 2");
        assert_eq!(after(true), "goodfaith_duplicates_total 7");
    }

    #[test]
    fn sizes_are_of_the_partitions_owned() {
        let customers = |facts: &[Fact<'_>]| {
            counted("goodfaith_customers", || {
                let telemetry = telemetry();
                for fact in facts {
                    telemetry.observe(fact.clone());
                }
            })
        };
        assert_eq!(customers(&[measured(0, 2), measured(0, 5)]), "goodfaith_customers 5");
        assert_eq!(
            customers(&[measured(0, 2), Fact::PartitionRevoked { partition: 3 }]),
            "goodfaith_customers 0"
        );
    }
}
