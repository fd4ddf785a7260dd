//! S08, credit breakage: the customer's money lapses unsaid, or stays with the firm after the account is closed.
//!
//! Rests on: Ofgem's final credit; Reg E 1005.20.

use super::{Finding, SqueezeType};
use crate::model::customer::Credit;
use crate::model::step::Step;

fn finding(step: &Step<'_>, credit: &Credit) -> Option<Finding> {
    let policy = &step.policy.s08;
    step.is_at_least(credit.balance.minor, policy.balance_minor, credit.balance.currency).then(
        || Finding {
            culpability_share: if credit.is_paid_for { 1.0 } else { policy.unpaid_share },
            ..Finding::one_off(
                SqueezeType::S08,
                credit.id.clone(),
                credit.balance,
                credit.id.clone(),
            )
        },
    )
}

/// Holds for a credit that expires with a balance and without a notice of late.
pub fn judge_expiry(step: &Step<'_>, credit: &Credit) -> Option<Finding> {
    let was_told = credit.noticed_at.is_some_and(|noticed| {
        noticed <= step.time && step.time <= noticed.plus_days(step.policy.s08.notice_days)
    });
    finding(step, credit).filter(|_| !was_told)
}

/// Holds for a credit paid for that is still there business days after the account was closed.
pub fn judge_closing(step: &Step<'_>, credit: &Credit) -> Option<Finding> {
    finding(step, credit).filter(|_| credit.is_paid_for)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes, with};

    const LAPSED: &str = "
        2025-01-01 credit card 20.00
        2025-06-01 expire card";

    /// Closed on a Monday: ten business days later it is Monday again.
    const CLOSED: &str = "
        2025-01-01 credit card 20.00
        2025-06-02 close
        2025-06-16 tick";

    #[test]
    fn a_balance_that_lapses_unsaid_opens_it() {
        assert_snapshot!(squeezes(LAPSED), @"2025-06-01 opened S08:-:card: 1.67 a month, 20.00 accrued, info");
        assert_snapshot!(evidence(LAPSED, "FAI"), @"2025-06-01 FAI.SQUEEZE S08:-:card/card -0.142756");
        let gift = changed(LAPSED, "20.00", "20.00 gift");
        assert_snapshot!(evidence(&gift, "FAI"), @"2025-06-01 FAI.SQUEEZE S08:-:card/card -0.074125");
    }

    #[test]
    fn what_is_left_must_be_five_pounds() {
        let used = |line| squeezes(&with(LAPSED, line));
        for quiet in [
            "2025-02-01 use card 15.01",
            "2025-02-01 remedy r 15.01 about=card",
            "2025-02-01 expire card",
        ] {
            let of_may = used(quiet);
            assert!(!of_may.contains("2025-06-01"), "{quiet}");
        }
        for loud in [
            "2025-02-01 use card 15.00",
            "2025-02-01 use card 20.00USD",
            "2025-02-01 use other 20.00",
        ] {
            assert_ne!(used(loud), "", "{loud}");
        }
    }

    #[test]
    fn a_notice_of_the_last_30_days_keeps_it_quiet() {
        let told = |words: &str| squeezes(&with(LAPSED, &format!("{words} about=card")));
        assert_eq!(told("2025-05-02 notice credit_expiry"), "");
        assert_ne!(told("2025-05-01 notice credit_expiry"), "");
        assert_ne!(told("2025-05-02 notice other"), "");
    }

    #[test]
    fn a_credit_paid_for_is_owed_ten_business_days_after_closing() {
        assert_snapshot!(squeezes(CLOSED), @"2025-06-16 opened S08:-:card: 1.67 a month, 20.00 accrued, info");
        for (from, to) in [
            ("20.00", "20.00 gift"),
            ("20.00", "4.99"),
            ("2025-06-16 tick", "2025-06-15T23:59 tick"),
        ] {
            assert_eq!(squeezes(&changed(CLOSED, from, to)), "", "{to}");
        }
        assert_eq!(squeezes(&with(CLOSED, "2025-06-10 remedy r 20.00 about=card")), "");
    }
}
