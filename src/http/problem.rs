//! What can go wrong with a request, told as RFC 9457 problem details. No detail repeats a customer's id.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use thiserror::Error;

/// One kind of failure.
#[derive(Debug, Error)]
pub(super) enum Problem {
    /// No endpoint has this path.
    #[error(
        "there is nothing here: see /livez, /readyz, /startupz, /metrics, /v1/policy and /v1/customers/{{id}}"
    )]
    NoSuchPath,
    /// Anything but GET and HEAD.
    #[error("this endpoint only reads: GET or HEAD")]
    OnlyReads,
    /// The path's id is no customer id.
    #[error("a customer id is UTF-8 of 1 to 128 characters, percent-encoded")]
    BadId,
    /// The owning worker has never heard of the customer, or has erased it.
    #[error("no event of this customer is known")]
    UnknownCustomer,
    /// The partition count is not known yet.
    #[error("the service has not found its topics yet")]
    NotStarted,
    /// Another instance owns the customer's partition.
    #[error("partition {0} belongs to another instance")]
    NotOwnedHere(i32),
    /// The partition's state is being rebuilt.
    #[error("partition {partition} is being restored: {percent} % done")]
    Restoring {
        /// Which.
        partition: i32,
        /// Of the log read back, 0 to 100.
        percent: u8,
    },
    /// The partition cannot be served.
    #[error("partition {partition} is not served: {reason}")]
    Refused {
        /// Which.
        partition: i32,
        /// Why, and what to do.
        reason: String,
    },
    /// More questions than can be answered at once.
    #[error("too many questions at once")]
    Busy,
    /// The worker did not answer in time, or the partition moved meanwhile.
    #[error("partition {0} did not answer in time")]
    NoAnswer(i32),
}

/// The body of an answer that is a problem.
#[derive(Debug, Serialize)]
struct Details<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
}

impl Problem {
    /// Status, the name that tells it apart, and the seconds after which to try again.
    const fn facts(&self) -> (StatusCode, &'static str, Option<&'static str>) {
        match self {
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no-such-path", None),
            Self::OnlyReads => (StatusCode::METHOD_NOT_ALLOWED, "only-reads", None),
            Self::BadId => (StatusCode::BAD_REQUEST, "bad-customer-id", None),
            Self::UnknownCustomer => (StatusCode::NOT_FOUND, "unknown-customer", None),
            Self::NotStarted => (StatusCode::SERVICE_UNAVAILABLE, "not-started", Some("1")),
            Self::NotOwnedHere(_) => (StatusCode::MISDIRECTED_REQUEST, "not-owned-here", None),
            Self::Restoring { .. } => (StatusCode::SERVICE_UNAVAILABLE, "restoring", Some("5")),
            Self::Refused { .. } => (StatusCode::SERVICE_UNAVAILABLE, "partition-refused", None),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", Some("1")),
            Self::NoAnswer(_) => (StatusCode::SERVICE_UNAVAILABLE, "no-answer", Some("1")),
        }
    }

    /// The partition it is about.
    const fn partition(&self) -> Option<i32> {
        match self {
            Self::NotOwnedHere(partition)
            | Self::NoAnswer(partition)
            | Self::Restoring { partition, .. }
            | Self::Refused { partition, .. } => Some(*partition),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, retry_after) = self.facts();
        let details = Details {
            r#type: format!("urn:goodfaith:problem:{name}"),
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: self.to_string(),
            partition: self.partition(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        (status, headers, Json(details)).into_response()
    }
}
