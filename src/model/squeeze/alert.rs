//! What is said of a squeeze. No field of it tells how loyal or patient the customer is.

use serde::{Deserialize, Serialize};

use super::{Level, SqueezeState, SqueezeType};
use crate::model::{EventTime, Micros, Money, Text};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparator {
    /// The plan.
    pub plan_id: Text,
    /// What it costs a month.
    pub monthly: Money,
    /// The version.
    pub effective_from: EventTime,
}
