//! Health as Kubernetes asks for it: `/livez` (restart me if not), `/readyz` (send me traffic), `/startupz` (be patient). Alive while
//! restoring, ready only when every partition owned here is served. Without `?verbose` a pass says only `ok`; a failure always says why.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use super::Api;
use crate::live::{PartitionState, PartitionStatus, WorkerStatus};

/// A worker whose loop has not turned for this long hangs: its longest lawful wait, for a broker that ends a transaction, is a
/// quarter of it.
const STALLED_AFTER_MS: i64 = 60_000;

/// One thing looked at.
struct Check {
    name: String,
    /// What there is to say, or what is wrong.
    state: Result<String, String>,
}

/// `GET /livez`: every worker's loop turns.
pub(super) async fn livez(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    answer("livez", query.as_deref(), &worker_checks(&api))
}

/// `GET /readyz`: started, not stopping, a member of the group, and every partition owned here is served.
pub(super) async fn readyz(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    let mut checks = vec![started_check(&api), stopping_check(&api)];
    checks.extend(member_checks(&api));
    checks.extend(partition_checks(&api));
    answer("readyz", query.as_deref(), &checks)
}

/// `GET /startupz`: every worker has made its first poll.
pub(super) async fn startupz(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    answer("startupz", query.as_deref(), &[started_check(&api)])
}

fn worker_checks(api: &Api) -> Vec<Check> {
    let now = (api.now_ms)();
    let check = |(worker, status): (usize, WorkerStatus)| {
        let idle_ms = now.saturating_sub(status.turned_ms);
        let state = if idle_ms <= STALLED_AFTER_MS {
            Ok("turns".to_owned())
        } else {
            Err(format!("its loop has not turned for {} s", idle_ms / 1000))
        };
        Check { name: format!("worker {worker}"), state }
    };
    workers(api).map(check).collect()
}

/// A worker that has no answer of the group yet owns nothing, which is not the same as having nothing to own.
fn member_checks(api: &Api) -> Vec<Check> {
    let check = |(worker, status): (usize, WorkerStatus)| {
        let state = if status.is_member {
            Ok("has its share of the partitions".to_owned())
        } else {
            Err("waits for its share of the partitions".to_owned())
        };
        Check { name: format!("worker {worker}"), state }
    };
    workers(api).map(check).collect()
}

fn workers(api: &Api) -> impl Iterator<Item = (usize, WorkerStatus)> {
    let workers: BTreeMap<usize, WorkerStatus> =
        api.live.workers.iter().map(|worker| (*worker.key(), *worker.value())).collect();
    workers.into_iter()
}

fn started_check(api: &Api) -> Check {
    let is_started = api.live.is_started.load(Ordering::Relaxed);
    let state = if is_started {
        Ok("yes".to_owned())
    } else {
        Err("the workers have not polled yet".to_owned())
    };
    Check { name: "started".to_owned(), state }
}

fn stopping_check(api: &Api) -> Check {
    let is_stopping = api.is_stopping.load(Ordering::Relaxed);
    let state =
        if is_stopping { Err("the service is stopping".to_owned()) } else { Ok("yes".to_owned()) };
    Check { name: "staying".to_owned(), state }
}

fn partition_checks(api: &Api) -> Vec<Check> {
    let partitions: BTreeMap<i32, PartitionStatus> =
        api.live.partitions.iter().map(|entry| (*entry.key(), entry.value().clone())).collect();
    let check = |(partition, status): (i32, PartitionStatus)| {
        let state = match status.state {
            PartitionState::Running => {
                let held_back = match status.unstable_records {
                    0 => String::new(),
                    records => format!(
                        ": an open transaction of a producer of events holds {records} back (kafka-transactions.sh find-hanging)"
                    ),
                };
                Ok(format!("running, {} records behind{held_back}", status.lag_records))
            }
            PartitionState::Restoring => {
                let done = percent(status.restored_ratio);
                let remaining = status.restore_remaining.map_or_else(String::new, |remaining| {
                    format!(", {} s to go", remaining.as_secs())
                });
                Err(format!("restoring, {done} % done{remaining}"))
            }
            PartitionState::Stopped(reason) => Err(format!("stopped: {reason}")),
            PartitionState::Paused(reason) => Err(format!("paused: {reason}")),
            PartitionState::Refused(reason) => Err(format!("refused: {reason}")),
        };
        Check { name: format!("partition {partition}"), state }
    };
    partitions.into_iter().map(check).collect()
}

/// A share in whole percent, never 100 before it is whole.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 100")]
pub(super) fn percent(ratio: f64) -> u8 {
    (ratio.clamp(0.0, 1.0) * 100.0).floor() as u8
}

/// The answer in the words of the Kubernetes API server.
fn answer(endpoint: &str, query: Option<&str>, checks: &[Check]) -> (StatusCode, String) {
    let has_passed = checks.iter().all(|check| check.state.is_ok());
    let is_verbose = query.is_some_and(|query| {
        query.split('&').any(|part| matches!(part, "verbose" | "verbose=true" | "verbose=1"))
    });
    let status = if has_passed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = if has_passed && !is_verbose {
        "ok".to_owned()
    } else {
        told(endpoint, checks, has_passed)
    };
    (status, text)
}

/// Every check on a line of its own.
fn told(endpoint: &str, checks: &[Check], has_passed: bool) -> String {
    let mut text = String::new();
    for Check { name, state } in checks {
        let (sign, word) = match state {
            Ok(word) => ('+', word),
            Err(word) => ('-', word),
        };
        writeln!(text, "[{sign}]{name}: {word}").expect("a string takes all that is written");
    }
    let result = if has_passed { "passed" } else { "failed" };
    text + &format!("{endpoint} check {result}\n")
}
