//! S06, undelivered service charged: a total failure of the firm's, not paid for a month after it was mended.
//!
//! Rests on: Ofcom's automatic compensation; US DOT; EU261.

use super::{Finding, SqueezeType};
use crate::model::Money;
use crate::model::event::Scope;
use crate::model::failure::FailureSlot;
use crate::model::number::div_half_even;
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// A month of 146097/4800 days, in milliseconds.
const MONTH_MS: i128 = 2_629_746_000;

/// Holds if less than the share that settles it of what the outage is worth, or the scheme owes, has been paid.
pub fn judge(
    step: &Step<'_>,
    failure: &FailureSlot,
    subscription: Option<&Subscription>,
) -> Option<Finding> {
    let failed = &failure.failed.value;
    if failed.scope != Scope::Total || failure.is_customers_own() {
        return None;
    }
    let outage_ms = failure.restored_at?.since(failure.failed.at.time).max(0);
    let price = subscription.map(|held| held.price.value);
    let currency = price.or(failed.scheme_credit).map(|money| money.currency)?;
    let scheme = failed.scheme_credit.filter(|credit| credit.currency == currency);
    // X as a fraction with MONTH_MS below, so that no comparison rests on rounding.
    let worth = i128::from(price.map_or(0, |price| price.minor)) * i128::from(outage_ms);
    let owed = worth.max(i128::from(scheme.map_or(0, |credit| credit.minor)) * MONTH_MS);
    let remedied = failure.aftermath.remedied.of(Some(currency));
    let settled = i128::from(step.policy.s06.settled_share.millionths());
    let is_settled = i128::from(remedied) * MONTH_MS * 1_000_000 >= owed * settled;
    if is_settled
        || owed * 1_000_000 < step.scaled_micros(step.policy.s06.owed_minor, currency) * MONTH_MS
    {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a price below 2^53 times an outage of at most 230 years"
    )]
    let owed = div_half_even(owed, MONTH_MS) as i64;
    let missing = Money::new(owed - remedied, currency);
    let finding =
        Finding::one_off(SqueezeType::S06, failure.id.clone(), missing, failure.id.clone());
    Some(finding.on(subscription.map(|held| (held.id.clone(), held.monthly_charge()))))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, squeezes, with};

    /// Three days without a service of 30.00 a month: 2.96.
    const DOWN: &str = "
        2025-01-01 start net fibre 30.00
        2025-02-01 fail down total sub=net
        2025-02-04 restore down
        2025-03-06 tick";

    #[test]
    fn an_outage_not_paid_for_a_month_later_opens_it() {
        assert_snapshot!(squeezes(DOWN), @"2025-03-06 opened S06:net:down: 0.25 a month, 2.96 accrued, info");
        for (from, to) in [
            ("total sub=net", "sub=net"),
            ("total sub=net", "total sub=net cause=customer"),
            ("total sub=net", "total"),
            ("2025-02-04 restore down", ""),
            ("2025-03-06", "2025-03-05T23:59"),
        ] {
            assert_eq!(squeezes(&changed(DOWN, from, to)), "", "{to}");
        }
    }

    #[test]
    fn four_fifths_of_it_settle_the_matter() {
        let paid =
            |amount| squeezes(&with(DOWN, &format!("2025-02-05 remedy back {amount} about=down")));
        assert_eq!(paid("2.37"), "");
        assert_snapshot!(paid("2.36"), @"2025-03-06 opened S06:net:down: 0.05 a month, 0.60 accrued, info");
    }

    #[test]
    fn a_scheme_may_owe_more_and_needs_no_subscription() {
        let scheme = changed(DOWN, "total sub=net", "total sub=net scheme=8.00");
        assert_snapshot!(squeezes(&scheme), @"2025-03-06 opened S06:net:down: 0.67 a month, 8.00 accrued, info");
        let alone = changed(DOWN, "total sub=net", "total scheme=8.00");
        assert_snapshot!(squeezes(&alone), @"2025-03-06 opened S06:-:down: 0.67 a month, 8.00 accrued, info");
    }

    #[test]
    fn what_is_owed_is_not_rounded_up_to_what_counts() {
        let day = changed(DOWN, "2025-02-04 restore", "2025-02-02 restore");
        assert_eq!(squeezes(&changed(&day, "30.00", "30.43")), "", "0.99977 is below 1.00");
        assert_ne!(squeezes(&changed(&day, "30.00", "30.44")), "");
    }

    #[test]
    fn a_restoration_reported_again_is_not_judged_again() {
        assert_eq!(
            squeezes(&format!("{DOWN}\n2025-03-10 restore down\n2025-05-01 tick")),
            squeezes(DOWN)
        );
    }

    #[test]
    fn money_back_resolves_it_at_once() {
        let story = format!("{DOWN}\n2025-03-10 remedy back 2.96 about=down");
        assert!(squeezes(&story).ends_with(
            "\n2025-03-10 resolved S06:net:down: 0.25 a month, 0.00 accrued, info, refunded"
        ));
    }
}
