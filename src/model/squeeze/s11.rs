//! S11, vulnerability exploited: a squeeze goes on for two weeks against a customer known to be vulnerable.
//!
//! Rests on: FCA FG21/1.

use super::bill::Bill;
use super::{Finding, SqueezeSlot, SqueezeType};
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// Days a squeeze must have been open.
const OPEN_DAYS: i64 = 14;

/// One finding for each squeeze of the subscription open long enough and not yet a cause, in the order of their keys.
pub fn judge(
    step: &Step<'_>,
    subscription: &Subscription,
    bill: &Bill<'_>,
    slots: &[SqueezeSlot],
) -> Vec<Finding> {
    let is_known = |cause: &SqueezeSlot| {
        slots.iter().any(|slot| {
            slot.kind == SqueezeType::S11
                && slot.subject == cause.key
                && !slot.is_history(step.time)
        })
    };
    let mut causes: Vec<&SqueezeSlot> = slots
        .iter()
        .filter(|slot| {
            slot.kind != SqueezeType::S11
                && slot.is_open()
                && slot.subscription.as_deref() == Some(&*subscription.id)
                && slot.opened_at.plus_days(OPEN_DAYS) <= step.time
                && !is_known(slot)
        })
        .collect();
    causes.sort_by(|a, b| a.key.cmp(&b.key));
    let finding = |cause: &&SqueezeSlot| Finding {
        kind: SqueezeType::S11,
        subscription: Some(subscription.id.clone()),
        subject: cause.key.clone(),
        currency: cause.currency,
        excess_monthly: cause.excess_monthly,
        added: 0,
        bill: Some(bill.monthly),
        comparator: None,
        reference: cause.key.clone(),
        evidence_per_severity: 0.0,
        culpability_share: 1.0,
        baseline: None,
        accrued_by_cause: cause.accrued(),
    };
    causes.iter().map(finding).collect()
}
