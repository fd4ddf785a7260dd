//! What can be said of a customer: the bodies of the outputs, before they become bytes.

use super::squeeze::SqueezeAlert;
use super::{
    Band, Class, Dimension, EventTime, EvidenceId, LoyaltyReading, Micros, Money, PromiseOutcome,
    Sign, Text, TrustReading,
};

/// What an output says.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputBody {
    /// `trust.score_changed`
    ScoreChanged(Box<ScoreChanged>),
    /// `customer.erased`: a tombstone wherever the last word on the customer is kept.
    CustomerErased {
        /// Dedup keys of the squeezes said and not resolved, and of those whose end may not have been said, in the order of the slots.
        open_alerts: Vec<Text>,
    },
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
