//! What is remembered of one squeeze, and how it opens, grows, stops and is made good.

use serde::{Deserialize, Serialize};

use super::{Comparator, Level, Severity, SqueezeType};
use crate::model::event::words;
use crate::model::{Currency, EventTime, Policy, Text};

words! {
    /// Where a squeeze stands.
    SqueezeState { /// Held, but not often enough to say so.
        Pending = "pending", /// Said.
        Open = "open", /// It grew.
        Escalated = "escalated", /// Its rule no longer holds.
        Stopped = "stopped", /// Made good.
        Resolved = "resolved" }
}

/// References of the last evaluations an alert carries.
const REFERENCES: usize = 8;

/// One squeeze of one customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SqueezeSlot {
    /// See [`dedup_key`](super::dedup_key).
    pub key: Text,
    /// The type.
    pub kind: SqueezeType,
    /// The subscription it belongs to.
    pub subscription: Option<Text>,
    /// What within the customer and subscription.
    pub subject: Text,
    /// Of all its amounts.
    pub currency: Currency,
    /// Where it stands.
    pub state: SqueezeState,
    /// From 1, one more at each reopening.
    pub generation: u32,
    /// Evaluations that held while pending.
    pub held: u32,
    /// What was taken in this generation since it was last made good, minor units.
    pub gross: i64,
    /// What was given back, minor units.
    pub refunded: i64,
    /// E_m of the last evaluation, minor units.
    pub excess_monthly: f64,
    /// Of the last evaluation.
    pub severity: Severity,
    /// Level and A of the last alert, muted or not.
    pub alerted: Option<(Level, i64)>,
    /// First evaluation that held.
    pub since: EventTime,
    /// Opening of this generation.
    pub opened_at: EventTime,
    /// When it was last resolved.
    pub resolved_at: Option<EventTime>,
    /// The plan it was last compared with.
    pub comparator: Option<Comparator>,
    /// References of the last evaluations, oldest first.
    pub references: Vec<Text>,
    /// Undecayed weight of its FAI.SQUEEZE evidence: what redress is a share of.
    pub evidence_weight: f64,
    /// What later bills are compared with, where the rule needs it (S16: the old price; S20: what the plan is still worth).
    pub baseline: Option<i64>,
    /// A complaint named it.
    pub was_complained_of: bool,
    /// No alerts until then.
    pub muted_until: Option<EventTime>,
}

impl SqueezeSlot {
    /// Is this the slot of what [`dedup_key`](super::dedup_key) names by these, for the same customer? As comparing the keys, but
    /// without a digest for each question.
    pub fn is_about(&self, kind: SqueezeType, subscription: Option<&str>, subject: &str) -> bool {
        let held = named(self.subscription.as_deref(), &self.subject);
        self.kind == kind && held.eq(named(subscription, subject))
    }

    /// A − taken less refunded, not below 0, minor units.
    pub fn accrued(&self) -> i64 {
        self.gross.saturating_sub(self.refunded).max(0)
    }

    /// Share of what was taken that was given back, 0 to 1.
    pub fn share_refunded(&self) -> f64 {
        if self.gross <= 0 { 0.0 } else { (self.refunded as f64 / self.gross as f64).min(1.0) }
    }

    /// So much was given back that it is made good.
    pub fn is_refunded(&self, policy: &Policy) -> bool {
        let share = i128::from(policy.severity.refunded.millionths());
        self.gross > 0 && i128::from(self.refunded) * 1_000_000 >= i128::from(self.gross) * share
    }

    /// Said and not yet over.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, SqueezeState::Open | SqueezeState::Escalated)
    }

    /// Money may still be owed for it.
    pub const fn is_liability(&self) -> bool {
        matches!(self.state, SqueezeState::Open | SqueezeState::Escalated | SqueezeState::Stopped)
    }

    /// It was resolved so long before `time` that another one is new.
    pub fn is_history(&self, time: EventTime, policy: &Policy) -> bool {
        self.state == SqueezeState::Resolved
            && self
                .resolved_at
                .is_none_or(|resolved| time > resolved.plus_days(policy.severity.reopened_days))
    }

    /// The level of its severity.
    pub const fn level(&self) -> Level {
        self.severity.level
    }

    /// No alert is to be published at `time`.
    pub fn is_muted(&self, time: EventTime) -> bool {
        self.muted_until.is_some_and(|until| time < until)
    }

    /// Has it grown enough since the last alert to say so again? The level rose, or A doubled.
    pub fn has_grown(&self) -> bool {
        self.alerted.is_none_or(|(level, accrued)| {
            self.level() > level || (accrued > 0 && self.accrued() >= accrued.saturating_mul(2))
        })
    }

    /// Remembers the reference of an evaluation.
    pub fn note_reference(&mut self, reference: Text) {
        if self.references.len() == REFERENCES {
            self.references.remove(0);
        }
        self.references.push(reference);
    }
}

/// What a dedup key is made of behind type and customer: one text, so that an id with a line feed in it names what it names there.
fn named<'a>(subscription: Option<&'a str>, subject: &'a str) -> impl Iterator<Item = u8> + 'a {
    [subscription.unwrap_or("-"), "\n", subject].into_iter().flat_map(str::bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::squeeze::dedup_key;

    #[test]
    fn two_questions_are_about_one_slot_where_their_dedup_keys_are_one() {
        let texts = ["-", "a", "b", "a\nb", "b\na", "a\n", "\n"];
        let subscriptions = || std::iter::once(None).chain(texts.map(Some));
        let questions: Vec<_> = subscriptions()
            .flat_map(|subscription| texts.map(|subject| (subscription, subject)))
            .collect();
        let key =
            |(subscription, subject)| dedup_key(SqueezeType::S01, "ada", subscription, subject);
        for held in &questions {
            for asked in &questions {
                let is_one = named(held.0, held.1).eq(named(asked.0, asked.1));
                assert_eq!(is_one, key(*held) == key(*asked), "{held:?} {asked:?}");
            }
        }
        let keys: BTreeSet<_> = questions.iter().copied().map(key).collect();
        assert!(keys.len() < questions.len(), "some share a key");
    }
}
