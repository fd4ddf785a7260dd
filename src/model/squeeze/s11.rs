//! S11, vulnerability exploited: a squeeze goes on for two weeks against a customer known to be vulnerable.
//!
//! Rests on: FCA FG21/1.

use super::bill::Bill;
use super::{Finding, SqueezeSlot, SqueezeType};
use crate::model::step::Step;
use crate::model::subscription::Subscription;

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
                && !slot.is_history(step.time, step.policy)
        })
    };
    let mut causes: Vec<&SqueezeSlot> = slots
        .iter()
        .filter(|slot| {
            slot.kind != SqueezeType::S11
                && slot.is_open()
                && slot.subscription.as_deref() == Some(&*subscription.id)
                && slot.opened_at.plus_days(step.policy.s11.open_days) <= step.time
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

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes};

    /// Known to be vulnerable, and charged more since the term ended.
    const HARM: &str = "
        2024-01-01 start sub basic 30.00 term=2025-01-01
        2025-01-01 vulnerable
        2025-01-01 bill sub 35.00
        2025-02-01 bill sub 35.00";

    #[test]
    fn a_squeeze_open_for_two_weeks_is_harm_said_after_it_and_once() {
        assert_snapshot!(squeezes(&format!("{HARM}\n2025-03-01 bill sub 35.00")), @r"
        2025-01-01 opened S03:sub:2025-01-01: 5.00 a month, 5.00 accrued, major
        2025-02-01 escalated S03:sub:2025-01-01: 5.00 a month, 10.00 accrued, major
        2025-02-01 opened S11:sub:S03:sub:2025-01-01: 5.00 a month, 0.00 accrued, critical
        ");
        assert_snapshot!(evidence(HARM, "CAR"), @"2025-02-01 CAR.VULNERABLE_HARM S11:sub:S03:sub:2025-01-01 -2.0");
        let two_weeks = changed(HARM, "2025-02-01 bill", "2025-01-15 bill");
        assert!(squeezes(&two_weeks).contains("2025-01-15 opened S11"));
    }

    #[test]
    fn it_is_quiet_without_a_marker_in_force_or_before_two_weeks() {
        for (from, to) in [
            ("2025-01-01 vulnerable", "2024-02-02 vulnerable"),
            ("2025-01-01 vulnerable", "2025-01-01 vulnerable\n2025-01-01 recovered"),
            ("2025-02-01 bill", "2025-01-14T23:59 bill"),
        ] {
            assert!(!squeezes(&changed(HARM, from, to)).contains("S11"), "{to}");
        }
        let a_year = changed(HARM, "2025-01-01 vulnerable", "2024-02-03 vulnerable");
        assert!(squeezes(&a_year).contains("opened S11"));
    }

    #[test]
    fn it_ends_with_its_cause() {
        let stopped = format!("{HARM}\n2025-03-01 bill sub 30.00");
        assert!(squeezes(&stopped).ends_with(
            "\n2025-03-01 stopped S03:sub:2025-01-01: 5.00 a month, 10.00 accrued, major\
             \n2025-03-01 resolved S11:sub:S03:sub:2025-01-01: 5.00 a month, 0.00 accrued, critical, cause_ended"
        ));
    }
}
