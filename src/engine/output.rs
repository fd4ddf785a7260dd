//! What the engine publishes about a customer: one record of an output topic, before it becomes bytes.

use std::sync::Arc;

use crate::model::digest::hex_32;
use crate::model::event::{TraceContext, words};
use crate::model::output::OutputBody;
use crate::model::squeeze::SqueezeChange;
use crate::model::{EventTime, PromiseOutcome, Text};

words! {
    /// The output topics (files) an output can belong to. Each counts its outputs of a customer apart.
    Stream { /// Score changes, erasures.
        Scores = "scores", /// Squeezes, breaches, gaps, advice.
        Alerts = "alerts", /// Loyalty and reciprocity: restricted.
        Loyalty = "loyalty", /// Every evidence, for audit.
        Evidence = "evidence" }
}

/// One published fact about one customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Whom it is about: the record's key.
    pub customer: Text,
    /// The step's `as_of`.
    pub time: EventTime,
    /// The customer's outputs on this stream so far, this one included: from 1.
    pub sequence: u64,
    /// The id of the event that caused it; `None` when a timer did.
    pub causation_id: Option<Text>,
    /// The trace of that event, if it belongs to one.
    pub trace: Option<Arc<TraceContext>>,
    /// What is said.
    pub body: OutputBody,
}

impl Stream {
    /// The stream an output of `body` belongs to.
    pub const fn of(body: &OutputBody) -> Self {
        match body {
            OutputBody::ScoreChanged(_) | OutputBody::CustomerErased { .. } => Self::Scores,
            OutputBody::Squeeze(_)
            | OutputBody::Breach(_)
            | OutputBody::TrustDepleted { .. }
            | OutputBody::PerceptionGap { .. }
            | OutputBody::SavingsIdentified { .. } => Self::Alerts,
            OutputBody::LoyaltyChanged { .. } | OutputBody::ReciprocityObserved { .. } => {
                Self::Loyalty
            }
            OutputBody::EvidenceRecorded(_) | OutputBody::EvidenceRetracted(_) => Self::Evidence,
        }
    }
}

impl Output {
    /// The stream it belongs to.
    pub const fn stream(&self) -> Stream {
        Stream::of(&self.body)
    }

    /// The type without prefix and version, for instance `squeeze.opened`.
    pub const fn kind(&self) -> &'static str {
        match &self.body {
            OutputBody::ScoreChanged(_) => "trust.score_changed",
            OutputBody::CustomerErased { .. } => "customer.erased",
            OutputBody::Squeeze(alert) => match alert.change {
                SqueezeChange::Opened => "squeeze.opened",
                SqueezeChange::Escalated => "squeeze.escalated",
                SqueezeChange::Stopped => "squeeze.stopped",
                SqueezeChange::Resolved => "squeeze.resolved",
                SqueezeChange::Reopened => "squeeze.reopened",
                SqueezeChange::Suppressed => "squeeze.suppressed",
            },
            OutputBody::Breach(breach) => match breach.outcome {
                PromiseOutcome::Broken => "promise.breach_detected",
                _ => "promise.breach_withdrawn",
            },
            OutputBody::TrustDepleted { .. } => "trust.depleted",
            OutputBody::PerceptionGap { .. } => "perception.gap_detected",
            OutputBody::SavingsIdentified { .. } => "advice.savings_identified",
            OutputBody::LoyaltyChanged { .. } => "loyalty.changed",
            OutputBody::ReciprocityObserved { .. } => "reciprocity.observed",
            OutputBody::EvidenceRecorded(_) => "evidence.recorded",
            OutputBody::EvidenceRetracted(_) => "evidence.retracted",
        }
    }

    /// Appends the key that enters the id: what, within the customer and kind, this is about.
    fn push_key(&self, time: &str, text: &mut String) {
        match &self.body {
            OutputBody::ScoreChanged(_)
            | OutputBody::TrustDepleted { .. }
            | OutputBody::PerceptionGap { .. }
            | OutputBody::LoyaltyChanged { .. } => text.push_str(time),
            OutputBody::CustomerErased { .. } => text.push('-'),
            OutputBody::Squeeze(alert) => text.push_str(&alert.dedup_key),
            OutputBody::Breach(breach) => text.push_str(&breach.promise_id),
            OutputBody::SavingsIdentified { subscription_id, better_plan_id, .. } => {
                text.extend([subscription_id.as_str(), "/", better_plan_id]);
            }
            OutputBody::ReciprocityObserved { remedy_id, .. } => text.push_str(remedy_id),
            OutputBody::EvidenceRecorded(note) | OutputBody::EvidenceRetracted(note) => {
                text.push_str(&note.id.to_string());
            }
        }
    }

    /// The CloudEvents id: the first 32 hex digits of SHA-256 over customer, kind, key, time and sequence joined by line feeds,
    /// so that a re-emission is recognisable.
    pub fn id(&self) -> String {
        let mut text = String::with_capacity(160);
        let time = self.time.text();
        text.extend([&self.customer, "\n", self.kind(), "\n"]);
        self.push_key(time.as_str(), &mut text);
        text.extend(["\n", time.as_str(), "\n", &self.sequence.to_string()]);
        hex_32(&text)
    }
}
