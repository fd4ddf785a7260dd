//! S06, undelivered service charged: a total failure of the firm's, not paid for a month after it was mended.
//!
//! Rests on: Ofcom's automatic compensation; US DOT; EU261.

use super::{Finding, SqueezeType};
use crate::model::event::Scope;
use crate::model::failure::FailureSlot;
use crate::model::step::Step;
use crate::model::subscription::Subscription;
use crate::model::{DAY_MS, Money};

/// Days in a month: 146097/4800.
const MONTH_DAYS: f64 = 30.436_875;
/// Owed from this many minor units.
const LEAST: f64 = 100.0;
/// Share of it that settles the matter, in percent.
const SETTLED_PERCENT: i128 = 80;

/// Holds if less than 80 % of what the outage is worth, or the scheme owes, has been paid.
pub fn judge(
    step: &Step<'_>,
    failure: &FailureSlot,
    subscription: Option<&Subscription>,
) -> Option<Finding> {
    let failed = &failure.failed.value;
    if failed.scope != Scope::Total || failure.is_customers_own() {
        return None;
    }
    let outage_days =
        failure.restored_at?.since(failure.failed.at.time).max(0) as f64 / DAY_MS as f64;
    let price = subscription.map(|held| held.price.value);
    let currency = price.or(failed.scheme_credit).map(|money| money.currency)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a price below 2^53 times a share of a few years"
    )]
    let worth = price.map_or(0, |price| {
        (price.minor as f64 * outage_days / MONTH_DAYS).round_ties_even() as i64
    });
    let scheme = failed
        .scheme_credit
        .filter(|credit| credit.currency == currency)
        .map_or(0, |credit| credit.minor);
    let owed = worth.max(scheme);
    let remedied = failure.aftermath.remedied.of(Some(currency));
    let is_settled = i128::from(remedied) * 100 >= i128::from(owed) * SETTLED_PERCENT;
    if is_settled || !step.is_at_least(owed, LEAST, currency) {
        return None;
    }
    let missing = Money::new(owed - remedied, currency);
    let finding =
        Finding::one_off(SqueezeType::S06, failure.id.clone(), missing, failure.id.clone());
    Some(finding.on(subscription.map(|held| (held.id.clone(), held.monthly_charge()))))
}
