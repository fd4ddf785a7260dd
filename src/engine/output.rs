//! What the engine publishes about a customer: one record of an output topic, before it becomes bytes.

use std::sync::Arc;

use crate::model::digest::hex_32;
use crate::model::event::words;
use crate::model::squeeze::{Level, SqueezeState, SqueezeType};
use crate::model::{
    Band, Class, Dimension, EventTime, EvidenceId, LoyaltyReading, Micros, Money, PromiseOutcome,
    Sign, Text, TrustReading,
};

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
    pub customer: Arc<str>,
    /// The step's `as_of`.
    pub time: EventTime,
    /// The customer's outputs on this stream so far, this one included: from 1.
    pub sequence: u64,
    /// The id of the event that caused it; `None` when a timer did.
    pub causation_id: Option<Text>,
    /// What is said.
    pub body: OutputBody,
}

/// What an output says.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputBody {
    /// `trust.score_changed`
    ScoreChanged(Box<ScoreChanged>),
    /// `customer.erased`: a tombstone.
    CustomerErased,
    /// `squeeze.opened` and its kin.
    Squeeze(Box<SqueezeAlert>),
    /// `promise.breach_detected` (`outcome` is broken) or `promise.breach_withdrawn` (anything else).
    Breach(Box<Breach>),
    /// `trust.depleted`
    TrustDepleted {
        /// T.
        score: Micros,
        /// P(E < .35), in order, of the dimensions where it is at least .90; not empty.
        probability_below: Vec<(Dimension, Micros)>,
    },
    /// `perception.gap_detected`
    PerceptionGap {
        /// The customer trusts more (`over`) or less than conduct warrants.
        is_over: bool,
        /// P.
        perceived: Micros,
        /// T.
        score: Micros,
        /// P − T.
        overhang: Micros,
    },
    /// `advice.savings_identified`
    SavingsIdentified {
        /// The subscription.
        subscription_id: Text,
        /// Its plan.
        plan_id: Text,
        /// The plan that would serve as well for less.
        better_plan_id: Text,
        /// What it would save a month.
        saving_monthly: Money,
    },
    /// `loyalty.changed`
    LoyaltyChanged {
        /// L before, as last published.
        previous: Option<Micros>,
        /// L and its components.
        loyalty: LoyaltyReading,
    },
    /// `reciprocity.observed`
    ReciprocityObserved {
        /// The gift.
        remedy_id: Text,
        /// When it was given.
        opened_at: EventTime,
        /// The customer bought within 72 hours.
        returned: bool,
        /// p₀: how likely that was anyway.
        baseline: Micros,
        /// y − p₀.
        residual: Micros,
    },
    /// `evidence.recorded`
    EvidenceRecorded(Box<EvidenceNote>),
    /// `evidence.retracted`
    EvidenceRetracted(Box<EvidenceNote>),
}

/// `trust.score_changed`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreChanged {
    /// The score and all that explains it.
    pub reading: TrustReading,
    /// T as last published.
    pub previous: Option<Micros>,
    /// The band now.
    pub band: Band,
    /// The band as last published.
    pub previous_band: Option<Band>,
    /// Eight numbers that sum to score − previous (0.5 if none): earlier, decay, then the dimensions in order.
    pub change: [Micros; 8],
    /// The policy's version.
    pub policy: Text,
}

/// What happened to a squeeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqueezeChange {
    /// It opened.
    Opened,
    /// It grew.
    Escalated,
    /// Its rule no longer holds.
    Stopped,
    /// It is made good.
    Resolved,
    /// It came back.
    Reopened,
    /// Somebody muted it.
    Suppressed,
}

/// `squeeze.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct SqueezeAlert {
    /// Which of the `squeeze.*` kinds.
    pub change: SqueezeChange,
    /// 32 hex digits.
    pub dedup_key: Text,
    /// The type.
    pub kind: SqueezeType,
    /// From 1, one more at each reopening.
    pub generation: u32,
    /// The slot's state now.
    pub state: SqueezeState,
    /// Of `severity`.
    pub level: Level,
    /// In [0, 1).
    pub severity: Micros,
    /// `None` where the type has none.
    pub subscription_id: Option<Text>,
    /// What within the customer and subscription; `-` if nothing.
    pub subject: Text,
    /// E_m.
    pub excess_monthly: Money,
    /// A: taken less refunded, not below 0.
    pub accrued: Money,
    /// Given back.
    pub refunded: Money,
    /// First evaluation that held.
    pub since: EventTime,
    /// Opening of this generation.
    pub opened_at: EventTime,
    /// u, κ, v, k.
    pub factors: [Micros; 4],
    /// The plan it was compared with.
    pub comparator: Option<Comparator>,
    /// References of the last evaluations, at most 8, oldest first.
    pub evidence: Vec<Text>,
    /// Why, of resolved and suppressed.
    pub reason: Option<Text>,
    /// The policy's version.
    pub policy: Text,
}

/// The plan a squeeze was compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparator {
    /// The plan.
    pub plan_id: Text,
    /// What it costs a month.
    pub monthly: Money,
    /// The version.
    pub effective_from: EventTime,
}

/// `promise.breach_detected` and `promise.breach_withdrawn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The promise.
    pub promise_id: Text,
    /// Its kind.
    pub kind: Text,
    /// When it was made.
    pub made_at: EventTime,
    /// The due time in force.
    pub due_at: EventTime,
    /// What became of it.
    pub outcome: PromiseOutcome,
    /// Presumed by a timer.
    pub presumed: bool,
    /// What was at stake.
    pub stake: Option<Money>,
}

/// `evidence.recorded` and `evidence.retracted`.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceNote {
    /// Names it.
    pub id: EvidenceId,
    /// What kind of act.
    pub class: Class,
    /// The thing judged.
    pub key: Text,
    /// For or against.
    pub sign: Sign,
    /// w before λ.
    pub weight: Micros,
    /// When the act counts from.
    pub time: EventTime,
}

impl Output {
    /// The stream it belongs to.
    pub const fn stream(&self) -> Stream {
        match self.body {
            OutputBody::ScoreChanged(_) | OutputBody::CustomerErased => Stream::Scores,
            OutputBody::Squeeze(_)
            | OutputBody::Breach(_)
            | OutputBody::TrustDepleted { .. }
            | OutputBody::PerceptionGap { .. }
            | OutputBody::SavingsIdentified { .. } => Stream::Alerts,
            OutputBody::LoyaltyChanged { .. } | OutputBody::ReciprocityObserved { .. } => {
                Stream::Loyalty
            }
            OutputBody::EvidenceRecorded(_) | OutputBody::EvidenceRetracted(_) => Stream::Evidence,
        }
    }

    /// The type without prefix and version, for instance `squeeze.opened`.
    pub const fn kind(&self) -> &'static str {
        match &self.body {
            OutputBody::ScoreChanged(_) => "trust.score_changed",
            OutputBody::CustomerErased => "customer.erased",
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

    /// The key that enters the id: what, within the customer and kind, this is about.
    fn key(&self) -> String {
        match &self.body {
            OutputBody::ScoreChanged(_)
            | OutputBody::TrustDepleted { .. }
            | OutputBody::PerceptionGap { .. }
            | OutputBody::LoyaltyChanged { .. } => self.time.to_string(),
            OutputBody::CustomerErased => "-".to_owned(),
            OutputBody::Squeeze(alert) => alert.dedup_key.to_string(),
            OutputBody::Breach(breach) => breach.promise_id.to_string(),
            OutputBody::SavingsIdentified { subscription_id, better_plan_id, .. } => {
                format!("{subscription_id}/{better_plan_id}")
            }
            OutputBody::ReciprocityObserved { remedy_id, .. } => remedy_id.to_string(),
            OutputBody::EvidenceRecorded(note) | OutputBody::EvidenceRetracted(note) => {
                note.id.to_string()
            }
        }
    }

    /// The CloudEvents id: the first 32 hex digits of SHA-256 over customer, kind, key, time and sequence joined by line feeds,
    /// so that a re-emission is recognisable.
    pub fn id(&self) -> String {
        let text = format!(
            "{}\n{}\n{}\n{}\n{}",
            self.customer,
            self.kind(),
            self.key(),
            self.time,
            self.sequence
        );
        hex_32(&text)
    }
}
