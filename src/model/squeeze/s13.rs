//! S13, fee stacking: one cause, several penalties.
//!
//! Rests on: the Consumer Duty's price and value outcome.

use super::{Finding, SqueezeType};
use crate::model::Text;
use crate::model::customer::Fee;
use crate::model::step::Step;

/// Holds for a penalty if `earlier` fees hold one for the same cause, not waived, from not long before.
pub fn judge<'a>(
    step: &Step<'_>,
    fee: &Fee,
    mut earlier: impl Iterator<Item = &'a Fee>,
    subscription: Option<(Text, i64)>,
) -> Option<Finding> {
    let cause = fee.cause_id.as_ref()?;
    let is_stacked = earlier.any(|held| {
        held.cause_id.as_ref() == Some(cause)
            && !held.is_waived
            && held.charged_at <= fee.charged_at
            && fee.charged_at <= held.charged_at.plus_days(step.policy.s13.within_days)
    });
    is_stacked.then(|| {
        Finding::one_off(SqueezeType::S13, cause.clone(), fee.amount, fee.id.clone())
            .on(subscription)
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes, with};

    /// Two penalties for one bounced payment, 35 days apart.
    const STACKED: &str = "
        2025-01-01 fee f1 12.00 cause=bounce
        2025-02-05 fee f2 12.00 cause=bounce";

    #[test]
    fn a_second_penalty_for_one_cause_opens_it() {
        assert_snapshot!(squeezes(STACKED), @"2025-02-05 opened S13:-:bounce: 1.00 a month, 12.00 accrued, info");
        let named = changed(STACKED, "cause=bounce", "cause=bounce sub=net");
        assert_snapshot!(squeezes(&named), @"2025-02-05 opened S13:net:bounce: 1.00 a month, 12.00 accrued, info");
    }

    #[test]
    fn it_is_quiet_for_other_causes_and_fees_and_after_35_days() {
        for (from, to) in [
            ("f2 12.00 cause=bounce", "f2 12.00 cause=late"),
            ("f2 12.00 cause=bounce", "f2 12.00"),
            ("f2 12.00 cause=bounce", "f2 12.00 cause=bounce admin"),
            ("f1 12.00 cause=bounce", "f1 12.00 cause=bounce admin"),
            ("f2 12.00", "f1 12.00"),
            ("2025-02-05", "2025-02-05T00:01"),
        ] {
            assert_eq!(squeezes(&changed(STACKED, from, to)), "", "{to}");
        }
        assert_eq!(squeezes(&with(STACKED, "2025-01-20 waive f1")), "");
    }

    #[test]
    fn waiving_the_fee_makes_it_good_and_waiving_an_earlier_one_does_not() {
        let waived = format!("{STACKED}\n2025-02-10 waive f2\n2025-02-11 waive f2");
        assert!(squeezes(&waived).ends_with(
            "\n2025-02-10 resolved S13:-:bounce: 1.00 a month, 0.00 accrued, info, refunded"
        ));
        assert_snapshot!(evidence(&waived, "FAI.REDRESS"), @"2025-02-10 FAI.REDRESS S13:-:bounce/waived/f2 +0.066208");
        assert_eq!(squeezes(&format!("{STACKED}\n2025-02-10 waive f1")), squeezes(STACKED));
    }
}
