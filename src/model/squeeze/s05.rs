//! S05, cancellation obstruction: leaving is made harder than joining.
//!
//! Rests on: FTC v. Amazon 2025; ROSCA; CA AB 2863; DE §312k BGB.

use super::{Finding, SqueezeType};
use crate::model::policy::S05;
use crate::model::subscription::{CancelRequest, Subscription};

/// Is `step` of the way out one too many?
pub fn is_step_too_many(policy: &S05, step: u16, signup_steps: u8) -> bool {
    u32::from(step) > policy.steps.max(policy.signup_factor * u32::from(signup_steps))
}

/// Has the customer been put off too often?
pub const fn was_put_off(policy: &S05, request: &CancelRequest) -> bool {
    request.contacts >= policy.contacts || request.save_offers >= policy.save_offers
}

/// The obstruction of the subscription's open request: said once a request, it takes nothing by itself.
pub fn finding(subscription: &Subscription, request: &CancelRequest) -> Finding {
    let price = subscription.price.value;
    let finding = Finding::one_off(SqueezeType::S05, request.id.clone(), price, request.id.clone());
    Finding {
        excess_monthly: price.minor as f64,
        added: 0,
        evidence_per_severity: 0.0,
        ..finding.on(Some((subscription.id.clone(), subscription.monthly_charge())))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, said, squeezes};

    /// Asked on a Monday, so due on Tuesday.
    const ASKED: &str = "
        2025-01-01 start sub basic 30.00 steps=2
        2025-03-03 cancel sub out";

    fn then(lines: &str) -> String {
        squeezes(&format!("{ASKED}\n{lines}"))
    }

    #[test]
    fn a_request_not_completed_in_time_is_obstructed() {
        assert_snapshot!(said(&format!("{ASKED}\n2025-03-04 tick")), @r"
        2025-03-04 breach cancellation/out broken, presumed
        2025-03-04 opened S05:sub:out: 30.00 a month, 0.00 accrued, critical
        ");
    }

    #[test]
    fn a_second_contact_or_offer_to_stay_obstructs_and_so_does_a_step_too_many() {
        let opened = "2025-03-03T11:00 opened S05:sub:out: 30.00 a month, 0.00 accrued, critical";
        for (once, twice) in [
            ("contact c about=out", "contact d about=out"),
            ("step out 1 save-offer", "step out 2 save-offer"),
            ("step out 4", "step out 5"),
        ] {
            assert_eq!(then(&format!("2025-03-03T10:00 {once}")), "", "{once}");
            assert_eq!(
                then(&format!("2025-03-03T10:00 {once}\n2025-03-03T11:00 {twice}")),
                opened,
                "{twice}"
            );
        }
        let easy_start = changed(ASKED, "steps=2", "steps=1");
        assert_eq!(squeezes(&format!("{easy_start}\n2025-03-03T10:00 step out 3")), "");
        assert_ne!(squeezes(&format!("{easy_start}\n2025-03-03T10:00 step out 4")), "");
    }

    #[test]
    fn it_is_said_once_a_request_and_ends_with_it() {
        for end in ["cancelled out", "stay out"] {
            let story = format!(
                "2025-03-03T11:00 step out 9\n2025-03-04 tick\n2025-03-05 {end}\n2025-03-06 step out 9"
            );
            assert_eq!(
                then(&story),
                "2025-03-03T11:00 opened S05:sub:out: 30.00 a month, 0.00 accrued, critical\n\
                 2025-03-05 stopped S05:sub:out: 30.00 a month, 0.00 accrued, critical\n\
                 2025-03-05 resolved S05:sub:out: 30.00 a month, 0.00 accrued, critical, nothing_owed",
                "{end}"
            );
        }
    }

    #[test]
    fn it_weighs_on_care_and_not_on_fairness() {
        let story = format!("{ASKED}\n2025-03-03T11:00 step out 9");
        assert_snapshot!(evidence(&story, ""), @"2025-03-03T11:00 CAR.OBSTRUCT out -1.0");
    }
}
