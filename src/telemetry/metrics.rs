//! The metrics: their names, what they mean, and how they are written as Prometheus text. Every label comes from a small fixed set,
//! so the number of series depends on nothing that arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use metrics::{
    SetRecorderError, counter, describe_counter, describe_gauge, describe_histogram, gauge,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::engine::{ENGINE, Reason};
use crate::live::{Live, PartitionState, PartitionStatus};
use crate::model::squeeze::SqueezeType;

/// What each is called.
pub(super) mod name {
    pub(in super::super) const EVENTS: &str = "goodfaith_events_total";
    pub(in super::super) const DEAD_LETTERS: &str = "goodfaith_dead_letters_total";
    pub(in super::super) const DUPLICATES: &str = "goodfaith_duplicates_total";
    pub(in super::super) const LATE_RECORDS: &str = "goodfaith_late_records_total";
    pub(in super::super) const HANDLE_DURATION: &str = "goodfaith_handle_duration_seconds";
    pub(in super::super) const PUBLISH_DURATION: &str = "goodfaith_publish_duration_seconds";
    pub(in super::super) const END_TO_END: &str = "goodfaith_end_to_end_seconds";
    pub(in super::super) const CUSTOMERS: &str = "goodfaith_customers";
    pub(in super::super) const STORE_BYTES: &str = "goodfaith_store_bytes";
    pub(in super::super) const ALERTS_OPEN: &str = "goodfaith_alerts_open";
    pub(in super::super) const DRAIN_DURATION: &str = "goodfaith_drain_duration_seconds";
    pub(in super::super) const STORE_LIMIT_BYTES: &str = "goodfaith_store_limit_bytes";
    pub(in super::super) const SCORE_CHANGES: &str = "goodfaith_score_changes_total";
    pub(in super::super) const ALERTS: &str = "goodfaith_alerts_total";
    pub(in super::super) const REBALANCES: &str = "goodfaith_rebalances_total";
    pub(in super::super) const OWNERS_MISSING: &str = "goodfaith_owners_missing_total";
    pub(in super::super) const TRANSACTIONS_ABORTED: &str = "goodfaith_transactions_aborted_total";
    pub(in super::super) const PRODUCERS_RETIRED: &str = "goodfaith_producers_retired_total";
    pub(in super::super) const POLICY_REJECTIONS: &str = "goodfaith_policy_rejections_total";
    pub(in super::super) const SNAPSHOTS: &str = "goodfaith_snapshots_total";
    pub(in super::super) const SNAPSHOT_FAILURES: &str = "goodfaith_snapshot_failures_total";
    pub(in super::super) const SNAPSHOTS_PASSED_OVER: &str =
        "goodfaith_snapshots_passed_over_total";
    pub(in super::super) const SNAPSHOT_BYTES: &str = "goodfaith_snapshot_bytes_total";
    pub(in super::super) const SNAPSHOT_DURATION: &str = "goodfaith_snapshot_duration_seconds";
    pub(in super::super) const SNAPSHOT_BYTES_READ: &str = "goodfaith_snapshot_bytes_read_total";
    pub(in super::super) const SNAPSHOT_LOAD_DURATION: &str =
        "goodfaith_snapshot_load_duration_seconds";
    pub(super) const WARMING: &str = "goodfaith_detectors_warming";
    pub(super) const POLICY_INFO: &str = "goodfaith_policy_info";
    pub(super) const BUILD_INFO: &str = "goodfaith_build_info";
    pub(super) const LAG_RECORDS: &str = "goodfaith_lag_records";
    pub(super) const UNSTABLE_RECORDS: &str = "goodfaith_lag_unstable_records";
    pub(super) const UPSTREAM_SILENT: &str = "goodfaith_upstream_silent";
    pub(super) const EVENT_LAG: &str = "goodfaith_event_lag_seconds";
    pub(super) const RESTORE_RATIO: &str = "goodfaith_restore_ratio";
    pub(super) const RESTORE_REMAINING: &str = "goodfaith_restore_remaining_seconds";
    pub(super) const PARTITION_STATE: &str = "goodfaith_partition_state";
}

/// Upper bounds in seconds: from a small batch handled to a broker that makes us wait.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const COUNTERS: [(&str, &str); 16] = [
    (name::EVENTS, "Records of the events topic handled and committed."),
    (name::DEAD_LETTERS, "Records set aside, by reason."),
    (name::DUPLICATES, "Events seen before."),
    (name::LATE_RECORDS, "Events accepted of a customer of whom something later was known."),
    (name::SCORE_CHANGES, "Score changes published."),
    (
        name::ALERTS,
        "Alerts published, by rule (a squeeze type, or what else it is about) and by what is said.",
    ),
    (name::REBALANCES, "Moves of partitions to or from a worker."),
    (
        name::OWNERS_MISSING,
        "Times the group had left partitions without an owner, so that a static member left and joined again.",
    ),
    (name::TRANSACTIONS_ABORTED, "Transactions undone; their events are handled again."),
    (name::PRODUCERS_RETIRED, "Producers replaced because nobody knew how a transaction ended."),
    (name::POLICY_REJECTIONS, "Policies published that could not come into force in flight."),
    (name::SNAPSHOTS, "Snapshots written: all of a partition's state, or what changed of it."),
    (name::SNAPSHOT_FAILURES, "Snapshots that could not be written."),
    (name::SNAPSHOTS_PASSED_OVER, "Snapshots that could not be used."),
    (name::SNAPSHOT_BYTES, "Bytes of snapshots written."),
    (name::SNAPSHOT_BYTES_READ, "Bytes of snapshots that partitions came back from."),
];

const HISTOGRAMS: [(&str, &str); 6] = [
    (name::HANDLE_DURATION, "Time to decode, handle and encode a batch."),
    (name::PUBLISH_DURATION, "Time from asking for a commit to its answer."),
    (
        name::END_TO_END,
        "Age of the oldest record that caused an output when that output was committed.",
    ),
    (
        name::DRAIN_DURATION,
        "Time to end what is under way when partitions, or the worker that has them, go.",
    ),
    (name::SNAPSHOT_DURATION, "Time to write a snapshot."),
    (
        name::SNAPSHOT_LOAD_DURATION,
        "Time to read a partition's snapshot, those passed over among it.",
    ),
];

const GAUGES: [(&str, &str); 5] = [
    (name::CUSTOMERS, "Customers held. None is ever evicted, so nothing counts evictions."),
    (name::STORE_BYTES, "Estimated size of all customers held."),
    (name::STORE_LIMIT_BYTES, "limits.state_bytes, at which partitions pause; 0: no limit."),
    (name::ALERTS_OPEN, "Squeezes said to have opened and not to be resolved."),
    (name::BUILD_INFO, "1 for this program."),
];

const PARTITION_GAUGES: [(&str, &str); 6] = [
    (name::LAG_RECORDS, "Records behind the end of the log."),
    (
        name::UNSTABLE_RECORDS,
        "Of these, records that an open transaction of a producer of events holds back.",
    ),
    (name::EVENT_LAG, "Age of the last record handled; 0 once there are no more."),
    (name::RESTORE_RATIO, "Share of the history read back, 0 to 1."),
    (
        name::RESTORE_REMAINING,
        "Seconds until the history is read back, at the pace so far; NaN while there is no telling.",
    ),
    (name::PARTITION_STATE, "1 for the state a partition is in."),
];

/// What can be said of a squeeze.
const SQUEEZE_STATES: [&str; 6] =
    ["opened", "escalated", "stopped", "resolved", "reopened", "suppressed"];
/// The other alerts, as rule and state.
const OTHER_ALERTS: [(&str, &str); 5] = [
    ("promise", "breach_detected"),
    ("promise", "breach_withdrawn"),
    ("trust", "depleted"),
    ("perception", "gap_detected"),
    ("advice", "savings_identified"),
];

/// All that was counted in this process.
#[derive(Debug, Clone)]
pub struct Metrics {
    counted: PrometheusHandle,
}

impl Metrics {
    /// Counts from now on whatever this process does.
    ///
    /// # Errors
    /// If the process counts already.
    pub fn start() -> Result<Self, SetRecorderError<PrometheusRecorder>> {
        let recorder = recorder();
        let counted = recorder.handle();
        metrics::set_global_recorder(recorder)?;
        describe();
        Ok(Self { counted })
    }

    /// Everything in Prometheus text: what was counted, and how the partitions of `live` stand now.
    pub fn render(&self, live: &Live) -> String {
        self.counted.render() + &partitions(live) + &policies(live) + &upstream(live)
    }

    /// Folds what histograms have gathered into their buckets. Unless somebody does so every few seconds, they grow.
    pub fn tidy(&self) {
        self.counted.run_upkeep();
    }
}

fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new().set_buckets(&BUCKETS).expect("there are buckets").build_recorder()
}

/// Says what each metric means, and starts every series at zero, so that its first event shows as an increase.
fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(name, help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(name, help);
    }
    for (name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    for name in [
        name::DUPLICATES,
        name::LATE_RECORDS,
        name::SCORE_CHANGES,
        name::REBALANCES,
        name::OWNERS_MISSING,
        name::TRANSACTIONS_ABORTED,
        name::PRODUCERS_RETIRED,
        name::POLICY_REJECTIONS,
        name::SNAPSHOT_FAILURES,
        name::SNAPSHOTS_PASSED_OVER,
        name::SNAPSHOT_BYTES,
        name::SNAPSHOT_BYTES_READ,
    ] {
        counter!(name).absolute(0);
    }
    for kind in ["base", "delta"] {
        counter!(name::SNAPSHOTS, "kind" => kind).absolute(0);
    }
    for reason in Reason::ALL {
        counter!(name::DEAD_LETTERS, "reason" => reason.as_str()).absolute(0);
    }
    let squeezes = SqueezeType::ALL
        .iter()
        .flat_map(|squeeze| SQUEEZE_STATES.map(|state| (squeeze.code(), state)));
    for (rule, state) in squeezes.chain(OTHER_ALERTS) {
        counter!(name::ALERTS, "rule" => rule, "state" => state).absolute(0);
    }
    gauge!(name::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION"), "engine" => ENGINE.to_string()).set(1.0);
}

/// Counts `n` outputs of a `kind`, for instance `squeeze.opened`. What is neither score nor alert is not counted.
pub(super) fn count_outputs(kind: &'static str, squeeze: Option<SqueezeType>, n: u64) {
    let Some((about, state)) = kind.split_once('.') else { return };
    match (about, state) {
        ("trust", "score_changed") => counter!(name::SCORE_CHANGES).increment(n),
        ("squeeze" | "promise" | "trust" | "perception" | "advice", _) => {
            let rule = squeeze.map_or(about, SqueezeType::code);
            counter!(name::ALERTS, "rule" => rule, "state" => state).increment(n);
        }
        _ => {}
    }
}

/// One series of a partition: its metric, its further label, and its value.
type Series = (&'static str, &'static str, fn(&PartitionStatus) -> f64);

const PARTITION_SERIES: [Series; 10] = [
    (name::LAG_RECORDS, "", |status| lag(status.lag_records)),
    (name::UNSTABLE_RECORDS, "", |status| lag(status.unstable_records)),
    (name::EVENT_LAG, "", |status| status.event_lag.as_secs_f64()),
    (name::RESTORE_RATIO, "", |status| status.restored_ratio),
    (name::RESTORE_REMAINING, "", |status| {
        status.restore_remaining.map_or(f64::NAN, |remaining| remaining.as_secs_f64())
    }),
    (name::PARTITION_STATE, ",state=\"restoring\"", |status| {
        f64::from(status.state == PartitionState::Restoring)
    }),
    (name::PARTITION_STATE, ",state=\"running\"", |status| {
        f64::from(status.state == PartitionState::Running)
    }),
    (name::PARTITION_STATE, ",state=\"stopped\"", |status| {
        f64::from(matches!(status.state, PartitionState::Stopped(_)))
    }),
    (name::PARTITION_STATE, ",state=\"paused\"", |status| {
        f64::from(matches!(status.state, PartitionState::Paused(_)))
    }),
    (name::PARTITION_STATE, ",state=\"refused\"", |status| {
        f64::from(matches!(status.state, PartitionState::Refused(_)))
    }),
];

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
const fn lag(records: i64) -> f64 {
    records as f64
}

/// How the partitions owned here stand. Written as asked for rather than counted, so that a partition that left leaves no series.
fn partitions(live: &Live) -> String {
    let owned: BTreeMap<i32, PartitionStatus> =
        live.partitions.iter().map(|entry| (*entry.key(), entry.value().clone())).collect();
    let mut text = String::new();
    for (name, help) in PARTITION_GAUGES {
        write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n").expect(FITS);
        for (partition, status) in &owned {
            for (_name, label, value) in PARTITION_SERIES.iter().filter(|series| series.0 == name) {
                writeln!(text, "{name}{{partition=\"{partition}\"{label}}} {}", value(status))
                    .expect(FITS);
            }
        }
        text.push('\n');
    }
    text
}

/// Whether upstream is silent.
fn upstream(live: &Live) -> String {
    let (name, is_silent) =
        (name::UPSTREAM_SILENT, live.is_upstream_silent.load(Ordering::Relaxed));
    let help =
        "1 while no partition has had traffic for kafka.idle_after, so that clocks stand still.";
    format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {}\n\n", u8::from(is_silent))
}

/// The policies in force on the partitions owned here, and on how many of them each rule gathers. More than one policy: an activation is
/// under way.
fn policies(live: &Live) -> String {
    let (mut in_force, mut warming) = (BTreeSet::new(), BTreeMap::new());
    for status in live.partitions.iter().filter_map(|entry| entry.value().policy.clone()) {
        for (kind, _) in status.warming.iter() {
            *warming.entry(kind).or_insert(0_usize) += 1;
        }
        in_force.insert((status.policy.version.clone(), status.fingerprint));
    }
    let mut text = String::new();
    let head = |text: &mut String, name: &str, help: &str| {
        write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n").expect(FITS);
    };
    head(&mut text, name::POLICY_INFO, "1 for a policy in force on some partition.");
    for (version, hash) in in_force {
        let (name, version) = (name::POLICY_INFO, label(&version));
        writeln!(text, "{name}{{version=\"{version}\",hash=\"{hash:016x}\"}} 1").expect(FITS);
    }
    text.push('\n');
    head(&mut text, name::WARMING, "Partitions on which a rule may not open a squeeze yet.");
    for kind in SqueezeType::ALL {
        let (name, count) = (name::WARMING, warming.get(kind).copied().unwrap_or(0));
        writeln!(text, "{name}{{rule=\"{}\"}} {count}", kind.code()).expect(FITS);
    }
    text.push('\n');
    text
}

/// A text as the value of a label.
fn label(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

const FITS: &str = "a string takes all that is written";

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::*;
    use crate::live::PolicyStatus;
    use crate::model::{EventTime, Policy, Warming};

    /// The lines of what is counted while `act` runs that begin with `prefix`.
    pub(in super::super) fn counted(prefix: &str, act: impl FnOnce()) -> String {
        let recorder = recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            act();
        });
        let text = recorder.handle().render();
        text.lines().filter(|line| line.starts_with(prefix)).collect::<Vec<_>>().join("\n")
    }

    fn with_state(state: PartitionState) -> PartitionStatus {
        let mut status = PartitionStatus::restoring(sync_channel(0).0);
        status.advance(0.25, Duration::from_secs(2));
        PartitionStatus { state, lag_records: 12, event_lag: Duration::from_millis(1500), ..status }
    }

    #[test]
    fn partitions_are_told_as_they_stand_now() {
        let live = Live::default();
        live.partitions.insert(10, with_state(PartitionState::Refused("retention.ms".to_owned())));
        live.partitions.insert(9, with_state(PartitionState::Restoring));
        insta::assert_snapshot!(partitions(&live), @r#"
        # HELP goodfaith_lag_records Records behind the end of the log.
        # TYPE goodfaith_lag_records gauge
        goodfaith_lag_records{partition="9"} 12
        goodfaith_lag_records{partition="10"} 12

        # HELP goodfaith_lag_unstable_records Of these, records that an open transaction of a producer of events holds back.
        # TYPE goodfaith_lag_unstable_records gauge
        goodfaith_lag_unstable_records{partition="9"} 0
        goodfaith_lag_unstable_records{partition="10"} 0

        # HELP goodfaith_event_lag_seconds Age of the last record handled; 0 once there are no more.
        # TYPE goodfaith_event_lag_seconds gauge
        goodfaith_event_lag_seconds{partition="9"} 1.5
        goodfaith_event_lag_seconds{partition="10"} 1.5

        # HELP goodfaith_restore_ratio Share of the history read back, 0 to 1.
        # TYPE goodfaith_restore_ratio gauge
        goodfaith_restore_ratio{partition="9"} 0.25
        goodfaith_restore_ratio{partition="10"} 0.25

        # HELP goodfaith_restore_remaining_seconds Seconds until the history is read back, at the pace so far; NaN while there is no telling.
        # TYPE goodfaith_restore_remaining_seconds gauge
        goodfaith_restore_remaining_seconds{partition="9"} 6
        goodfaith_restore_remaining_seconds{partition="10"} 6

        # HELP goodfaith_partition_state 1 for the state a partition is in.
        # TYPE goodfaith_partition_state gauge
        goodfaith_partition_state{partition="9",state="restoring"} 1
        goodfaith_partition_state{partition="9",state="running"} 0
        goodfaith_partition_state{partition="9",state="stopped"} 0
        goodfaith_partition_state{partition="9",state="paused"} 0
        goodfaith_partition_state{partition="9",state="refused"} 0
        goodfaith_partition_state{partition="10",state="restoring"} 0
        goodfaith_partition_state{partition="10",state="running"} 0
        goodfaith_partition_state{partition="10",state="stopped"} 0
        goodfaith_partition_state{partition="10",state="paused"} 0
        goodfaith_partition_state{partition="10",state="refused"} 1
        "#);
        live.partitions.clear();
        assert!(!partitions(&live).contains("partition=\""), "what left leaves no series");
    }

    #[test]
    fn policies_are_told_as_they_are_in_force_now() {
        let live = Live::default();
        let keen = "version = 'b'\noverpricing_tolerance.minor = 1";
        for (partition, toml) in [(0, "version = 'a\"'"), (1, keen), (2, "version = 'a\"'")] {
            let policy = Arc::new(Policy::from_toml(toml).unwrap());
            let mut warming = Warming::default();
            warming.begin(&Policy::default(), &policy, EventTime::default());
            let mut status = with_state(PartitionState::Running);
            status.policy = Some(PolicyStatus { policy, fingerprint: 0xfeed, warming });
            live.partitions.insert(partition, status);
        }
        let text = policies(&live);
        let told: Vec<&str> = text.lines().filter(|line| !line.ends_with(" 0")).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        # HELP goodfaith_policy_info 1 for a policy in force on some partition.
        # TYPE goodfaith_policy_info gauge
        goodfaith_policy_info{version="a\"",hash="000000000000feed"} 1
        goodfaith_policy_info{version="b",hash="000000000000feed"} 1

        # HELP goodfaith_detectors_warming Partitions on which a rule may not open a squeeze yet.
        # TYPE goodfaith_detectors_warming gauge
        goodfaith_detectors_warming{rule="S01"} 1
        "#);
    }

    #[test]
    fn every_series_starts_at_zero() {
        let text = counted("goodfaith_", || {});
        assert_eq!(text.matches("goodfaith_alerts_total{").count(), 20 * 6 + 5);
        assert_eq!(text.matches("goodfaith_dead_letters_total{").count(), Reason::ALL.len());
        assert!(text.contains("goodfaith_score_changes_total 0"), "{text}");
    }

    #[test]
    fn an_alert_counts_under_its_rule() {
        let series = |text: String| {
            text.lines().filter(|line| !line.ends_with(" 0")).collect::<Vec<_>>().join("\n")
        };
        let alerts = counted("goodfaith_alerts_total{", || {
            count_outputs("squeeze.opened", Some(SqueezeType::S04), 2);
            count_outputs("promise.breach_detected", None, 3);
            count_outputs("trust.depleted", None, 1);
            count_outputs("evidence.recorded", None, 9);
            count_outputs("loyalty.changed", None, 9);
        });
        let mut lines: Vec<String> = series(alerts).lines().map(str::to_owned).collect();
        lines.sort();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        goodfaith_alerts_total{rule="S04",state="opened"} 2
        goodfaith_alerts_total{rule="promise",state="breach_detected"} 3
        goodfaith_alerts_total{rule="trust",state="depleted"} 1
        "#);
    }

    #[test]
    fn all_kinds_of_output_add_no_series() {
        let known = counted("goodfaith_", || {}).lines().count();
        let after = counted("goodfaith_", || {
            for squeeze in SqueezeType::ALL {
                for state in [
                    "squeeze.opened",
                    "squeeze.escalated",
                    "squeeze.stopped",
                    "squeeze.resolved",
                    "squeeze.reopened",
                    "squeeze.suppressed",
                ] {
                    count_outputs(state, Some(*squeeze), 1);
                }
            }
            for kind in [
                "promise.breach_detected",
                "promise.breach_withdrawn",
                "trust.depleted",
                "perception.gap_detected",
                "advice.savings_identified",
                "trust.score_changed",
            ] {
                count_outputs(kind, None, 1);
            }
        });
        assert_eq!(after.lines().count(), known);
    }
}
