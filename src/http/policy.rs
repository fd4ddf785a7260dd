//! `GET /v1/policy`: which policy is in force where, so that whoever published one sees when it is active everywhere, and which rules
//! gather before they may open a squeeze. It reads what the workers last showed, and asks nobody.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use crate::live::{PolicyStatus, RefusedPolicy};
use crate::model::WarmUp;
use crate::model::squeeze::SqueezeType;

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Policies {
    /// The policy in force on every partition of this instance; null while they differ, or before the first is restored.
    active: Option<Named>,
    /// Every partition of this instance, in order.
    partitions: Vec<OnPartition>,
    /// Every squeeze type, in order.
    detectors: Vec<Detector>,
    /// The last policy that could not come into force; null if all could.
    refused: Option<Refused>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Named {
    version: String,
    hash: String,
}

#[derive(Debug, Serialize)]
struct OnPartition {
    partition: i32,
    /// Null until it is restored.
    policy: Option<Named>,
    warming: Vec<Detector>,
}

/// A rule: live, off, or warming from one watermark to another. Of several partitions, those of the last to be done.
#[derive(Debug, Serialize)]
struct Detector {
    r#type: &'static str,
    name: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

#[derive(Debug, Serialize)]
struct Refused {
    #[serde(flatten)]
    policy: Named,
    reason: String,
}

impl Named {
    fn new(version: &str, fingerprint: u64) -> Self {
        Self { version: version.to_owned(), hash: format!("{fingerprint:016x}") }
    }
}

impl Detector {
    fn new(kind: SqueezeType, is_off: bool, warm_up: Option<WarmUp>) -> Self {
        Self {
            r#type: kind.code(),
            name: kind.name(),
            state: match warm_up {
                Some(_) => "warming",
                None if is_off => "off",
                None => "live",
            },
            since: warm_up.map(|warm_up| warm_up.since.to_string()),
            until: warm_up.map(|warm_up| warm_up.until.to_string()),
        }
    }
}

/// Answers with what is in force.
pub(super) async fn policy(State(api): State<Api>) -> Json<Policies> {
    let shown: BTreeMap<i32, Option<PolicyStatus>> =
        api.live.partitions.iter().map(|entry| (*entry.key(), entry.policy.clone())).collect();
    let refused = |RefusedPolicy { version, fingerprint, reason }| Refused {
        policy: Named::new(&version, fingerprint),
        reason,
    };
    Json(Policies {
        active: active(&shown),
        detectors: detectors(&shown),
        partitions: shown.into_iter().map(|(partition, policy)| of(partition, policy)).collect(),
        refused: api.live.refused_policy().map(refused),
    })
}

fn named(policy: &PolicyStatus) -> Named {
    Named::new(&policy.policy.version, policy.fingerprint)
}

fn active(shown: &BTreeMap<i32, Option<PolicyStatus>>) -> Option<Named> {
    let mut policies = shown.values().map(|policy| policy.as_ref().map(named));
    let first = policies.next()??;
    policies.all(|policy| policy.as_ref() == Some(&first)).then_some(first)
}

fn of(partition: i32, policy: Option<PolicyStatus>) -> OnPartition {
    let warming = policy.iter().flat_map(|policy| policy.warming.iter());
    let warming =
        warming.map(|(kind, warm_up)| Detector::new(kind, false, Some(warm_up))).collect();
    OnPartition { partition, policy: policy.as_ref().map(named), warming }
}

fn detectors(shown: &BTreeMap<i32, Option<PolicyStatus>>) -> Vec<Detector> {
    let mut last: BTreeMap<SqueezeType, WarmUp> = BTreeMap::new();
    for (kind, warm_up) in shown.values().flatten().flat_map(|policy| policy.warming.iter()) {
        let held = last.entry(kind).or_insert(warm_up);
        if held.until < warm_up.until {
            *held = warm_up;
        }
    }
    let is_off = |kind: SqueezeType| {
        let mut policies = shown.values().flatten().peekable();
        policies.peek().is_some()
            && policies.all(|shown| !shown.policy.detector(kind).switch.is_enabled)
    };
    let detector =
        |kind: &SqueezeType| Detector::new(*kind, is_off(*kind), last.get(kind).copied());
    SqueezeType::ALL.iter().map(detector).collect()
}
