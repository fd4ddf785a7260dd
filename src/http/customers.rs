//! `GET /v1/customers/{id}`: one customer's state and what explains it, asked of the worker that owns it and answered between two of
//! its batches. Loyalty, reciprocity and reserve are left out: they are not for everyone who may read a score.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

use super::health::percent;
use super::{Api, Problem};
use crate::engine::Explanation;
use crate::live::{Live, PartitionState, Query};
use crate::wire;

/// How long the owning worker may take: some of its longest batches.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Characters of the longest customer id.
const MAX_ID_CHARS: usize = 128;

/// Answers with the customer, 304 if the caller has it already, or a problem.
pub(super) async fn customer(
    State(api): State<Api>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|_rejection| Problem::BadId)?;
    if !(1..=MAX_ID_CHARS).contains(&id.chars().count()) {
        return Err(Problem::BadId);
    }
    let partition = partition_of(&api.live, &id)?;
    let inbox = inbox_of(&api.live, partition)?;
    let _place = api.queries.try_acquire().map_err(|_full| Problem::Busy)?;
    let explanation = ask(&inbox, partition, &id).await?.ok_or(Problem::UnknownCustomer)?;
    Ok(answer(&explanation, headers.get(header::IF_NONE_MATCH)))
}

/// The partition the customer's events go to.
fn partition_of(live: &Live, id: &str) -> Result<i32, Problem> {
    let count = u32::try_from(live.partition_count.load(Ordering::Relaxed)).unwrap_or(0);
    if count == 0 {
        return Err(Problem::NotStarted);
    }
    i32::try_from(wire::partition_of(id.as_bytes(), count)).map_err(|_beyond| Problem::NotStarted)
}

/// Where questions to the partition go, if it is served here. The guard of the map is gone when this returns.
fn inbox_of(live: &Live, partition: i32) -> Result<SyncSender<Query>, Problem> {
    let status = live.partitions.get(&partition).ok_or(Problem::NotOwnedHere(partition))?;
    match &status.state {
        // Held up, its state is here all the same. A restore that is paused drops the question, which the asker sees.
        PartitionState::Running | PartitionState::Stopped(_) | PartitionState::Paused(_) => {
            Ok(status.inbox.clone())
        }
        PartitionState::Restoring => {
            Err(Problem::Restoring { partition, percent: percent(status.restored_ratio) })
        }
        PartitionState::Refused(reason) => {
            Err(Problem::Refused { partition, reason: reason.clone() })
        }
    }
}

/// The worker's answer. An inbox that is full is not waited for: the queue is bounded, and the caller can come back.
async fn ask(
    inbox: &SyncSender<Query>,
    partition: i32,
    id: &str,
) -> Result<Option<Explanation>, Problem> {
    let (reply, answer) = oneshot::channel();
    inbox.try_send(Query { partition, customer: id.into(), reply }).map_err(
        |error| match error {
            TrySendError::Full(_query) => Problem::Busy,
            TrySendError::Disconnected(_query) => Problem::NoAnswer(partition),
        },
    )?;
    match timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(view)) => Ok(view),
        Ok(Err(_)) | Err(_) => Err(Problem::NoAnswer(partition)),
    }
}

/// The customer as JSON, under a tag that changes with any byte of it.
fn answer(explanation: &Explanation, known: Option<&HeaderValue>) -> Response {
    let json = wire::explained_json(explanation);
    let tag = format!("\"{:016x}\"", xxh3_64(json.as_bytes()));
    let is_known =
        known.and_then(|known| known.to_str().ok()).is_some_and(|known| matches_tag(known, &tag));
    let headers = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "private, no-cache")];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// A list of tags names this one; as `If-None-Match` compares, a weak tag is as good.
fn matches_tag(known: &str, tag: &str) -> bool {
    known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        for known in ["\"a\"", "\"x\", \"a\"", "W/\"a\"", "*"] {
            assert!(matches_tag(known, "\"a\""), "{known}");
        }
        for known in ["", "\"b\"", "a"] {
            assert!(!matches_tag(known, "\"a\""), "{known}");
        }
    }
}
