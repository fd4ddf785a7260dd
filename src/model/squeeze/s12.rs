//! S12, auto-renewal without notice: renewed in silence, and dearer.
//!
//! Rests on: notice windows of UK telecom and California; the FCA's opt-out.

use super::{Finding, SqueezeType, s02};
use crate::model::Money;
use crate::model::event::Renewal;
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// Holds for a passive renewal without notice in its window whose month costs more than before. `before` is the record's price.
pub fn judge(
    step: &Step<'_>,
    subscription: &Subscription,
    renewal: &Renewal,
    before: Money,
) -> Option<Finding> {
    let monthly = s02::monthly(renewal);
    let is_dearer = before.currency == renewal.price.currency && before.minor < monthly;
    if !is_dearer || subscription.was_renewal_noticed(step.time) {
        return None;
    }
    let rise = Money::new(monthly - before.minor, before.currency);
    let subject = renewal.renewal_id.clone();
    let finding = Finding::one_off(SqueezeType::S12, subject.clone(), rise, subject);
    Some(Finding {
        excess_monthly: rise.minor as f64,
        added: rise.minor * i64::from(renewal.term_months),
        ..finding.on(Some((subscription.id.clone(), monthly)))
    })
}
