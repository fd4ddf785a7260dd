//! S20, allowance erosion: less for the same price, without consent.
//!
//! Rests on: DMCCA, UCPD, unchecked.

use super::bill::{Answer, Excess, Question};
use super::{Finding, SqueezeSlot, SqueezeType};
use crate::model::Money;
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// Share of the value lost that counts.
const LOSS_SHARE: f64 = 0.05;

/// Holds for a loss of 5 % of the value or more without consent. The loss is said; nothing is taken until a bill.
pub fn judge_terms(
    step: &Step<'_>,
    subscription: &Subscription,
    loss_share: f64,
    has_consented: bool,
) -> Option<Finding> {
    if loss_share < LOSS_SHARE || has_consented {
        return None;
    }
    let price = subscription.price.value;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share of at most 1 of a price below 2^53"
    )]
    let loss = (price.minor as f64 * loss_share).round_ties_even() as i64;
    let subject = subscription.plan.value.clone();
    let finding = Finding::one_off(
        SqueezeType::S20,
        subject,
        Money::new(loss, price.currency),
        step.event_id.clone(),
    );
    Some(Finding {
        excess_monthly: loss as f64,
        added: 0,
        evidence_per_severity: 0.0,
        baseline: Some(price.minor - loss),
        ..finding.on(Some((subscription.id.clone(), subscription.monthly_charge())))
    })
}

/// Does the erosion go on: is the same plan still billed above what it is worth?
pub fn holds_for(slot: &SqueezeSlot, question: Question<'_>) -> bool {
    *slot.subject == *question.bill.plan_id
        && slot.baseline.is_some_and(|worth| worth < question.bill.monthly)
}

/// Holds while an erosion found before is still billed.
pub fn judge(question: Question<'_>) -> Answer {
    let Question { subscription, bill, slots, .. } = question;
    let is_going_on = |slot: &&SqueezeSlot| {
        slot.kind == SqueezeType::S20
            && slot.is_open()
            && slot.subscription.as_deref() == Some(&*subscription.id)
            && holds_for(slot, question)
    };
    let found =
        slots.iter().filter(is_going_on).min_by_key(|slot| (slot.baseline, slot.key.clone()));
    Answer::from_finding(found.and_then(|slot| {
        let worth = slot.baseline?;
        let excess = Excess { monthly: 0, added: bill.recurring - bill.at(worth) };
        let finding = bill.finding(SqueezeType::S20, subscription, &slot.subject, excess);
        Some(Finding { excess_monthly: slot.excess_monthly, ..finding })
    }))
}
