//! S03, end-of-term penalty: the term is over, nobody said so, and the price stayed above what is now to be had.
//!
//! Rests on: Ofcom's end-of-contract notices.

use super::bill::{Answer, Excess, Question};
use super::{Finding, SqueezeType};
use crate::model::Tolerance;
use crate::model::event::NoticeKind;

/// A month's excess that counts: £1, or 3 % of the bill.
const TOLERANCE: Tolerance = Tolerance { minor: 100.0, share: 0.03 };

/// Holds after the end of a term without notice of it, if the bill stands above the lesser of the in-term price and the best
/// equal plan.
pub fn judge(Question { step, subscription, bill, .. }: Question<'_>) -> Answer {
    let Some(term_end) = subscription.term_end.filter(|end| *end <= step.time) else {
        return Answer::Quiet;
    };
    let (from, to) = (term_end.plus_days(-40), term_end.plus_days(-10));
    if subscription.was_noticed(&[NoticeKind::EndOfTerm], from, to) {
        return Answer::Quiet;
    }
    let in_term = subscription.in_term_price.value.minor;
    let better = bill.best_eq.as_ref().filter(|best| best.monthly.minor < in_term);
    let cost = better.map_or(in_term, |best| best.monthly.minor);
    if !step.reaches(bill.monthly - cost, TOLERANCE, bill.monthly, bill.currency) {
        return Answer::Quiet;
    }
    let subject = term_end.to_string();
    let excess = Excess { monthly: bill.monthly - cost, added: bill.recurring - bill.at(cost) };
    Answer::Holds(Box::new(better.map_or_else(
        || bill.finding(SqueezeType::S03, subscription, &subject, excess),
        |best| Finding { ..bill.finding_against(SqueezeType::S03, subscription, &subject, best) },
    )))
}
