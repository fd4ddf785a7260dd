//! S16, undisclosed mid-term rise: dearer within the term, neither agreed at sale nor announced in time.
//!
//! Rests on: Ofcom's rules from 17 January 2025; EECC art. 105(4), unchecked.

use super::bill::{Answer, Excess, Question};
use super::{Finding, SqueezeSlot, SqueezeType};
use crate::model::Money;
use crate::model::event::PriceReason;
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// Holds for a rise from `before` to `after` by the firm's own choice, within the term, not in the schedule and not announced.
/// The rise is said; nothing is taken until a bill.
pub fn judge_rise(
    step: &Step<'_>,
    subscription: &Subscription,
    before: Money,
    after: Money,
    reason: PriceReason,
    in_schedule: bool,
) -> Option<Finding> {
    let is_in_term = subscription.term_end.is_some_and(|end| step.time < end);
    let is_rise = before.currency == after.currency && before.minor < after.minor;
    let is_open_choice = reason == PriceReason::Firm && !in_schedule;
    if !is_in_term || !is_rise || !is_open_choice || subscription.was_rise_noticed(step.time) {
        return None;
    }
    let rise = Money::new(after.minor - before.minor, after.currency);
    let subject = step.time.to_string().into();
    let finding = Finding::one_off(SqueezeType::S16, subject, rise, step.event_id.clone());
    Some(Finding {
        excess_monthly: rise.minor as f64,
        added: 0,
        evidence_per_severity: 0.0,
        baseline: Some(before.minor),
        ..finding.on(Some((subscription.id.clone(), subscription.monthly_charge())))
    })
}

/// Does the rise go on: is the bill still above the old price, within the term?
pub fn holds_for(slot: &SqueezeSlot, question: Question<'_>) -> bool {
    let is_in_term = question.subscription.term_end.is_some_and(|end| question.step.time < end);
    is_in_term && slot.baseline.is_some_and(|old| old < question.bill.monthly)
}

/// Holds while a rise found before is still billed: of several, the one from the least old price.
pub fn judge(question: Question<'_>) -> Answer {
    let Question { subscription, bill, slots, .. } = question;
    let is_going_on = |slot: &&SqueezeSlot| {
        slot.kind == SqueezeType::S16
            && slot.is_open()
            && slot.subscription.as_deref() == Some(&*subscription.id)
            && holds_for(slot, question)
    };
    let found =
        slots.iter().filter(is_going_on).min_by_key(|slot| (slot.baseline, slot.key.clone()));
    Answer::from_finding(found.and_then(|slot| {
        let old = slot.baseline?;
        let excess = Excess { monthly: 0, added: bill.recurring - bill.at(old) };
        let finding = bill.finding(SqueezeType::S16, subscription, &slot.subject, excess);
        Some(Finding { excess_monthly: slot.excess_monthly, ..finding })
    }))
}
