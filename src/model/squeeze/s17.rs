//! S17, trial trap: the first paid bill after a trial that nobody reminded of.
//!
//! Rests on: DMCCA s.258; Singapore's CPFT opt-out regulations.

use super::bill::{Answer, Bill, Excess, Question};
use super::{Finding, SqueezeType};
use crate::model::event::NoticeKind;
use crate::model::subscription::Subscription;
use crate::model::{DAY_MS, EventTime};

/// Is this the first paid bill whose period starts on or after the day the trial ended?
pub fn is_first_paid(subscription: &Subscription, bill: &Bill<'_>) -> bool {
    let day_of =
        |time: EventTime| EventTime::from_millis(time.as_millis().div_euclid(DAY_MS) * DAY_MS);
    !subscription.is_trial_judged
        && bill.recurring > 0
        && subscription.start.value.trial_end.is_some_and(|end| day_of(end) <= bill.period_start)
}

/// Holds for the first paid bill if no reminder was sent in its window before the trial's end.
pub fn judge(Question { step, subscription, bill, .. }: Question<'_>) -> Answer {
    let Some(trial_end) =
        subscription.start.value.trial_end.filter(|_| is_first_paid(subscription, bill))
    else {
        return Answer::Quiet;
    };
    let (policy, holidays) = (&step.policy.s17, &step.policy.holidays);
    let from = trial_end.plus_business_days(-policy.reminder_from_business_days, holidays);
    let to = trial_end.plus_business_days(-policy.reminder_business_days, holidays);
    if subscription.was_noticed(&[NoticeKind::Reminder], from, to) {
        return Answer::Quiet;
    }
    let excess = Excess { monthly: bill.monthly, added: bill.recurring };
    let finding = bill.finding(SqueezeType::S17, subscription, "-", excess);
    Answer::Holds(Box::new(Finding { evidence_per_severity: 1.0, ..finding }))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, evidence, squeezes, with};

    /// The trial ends on a Monday; 14 and 3 business days before it are 14 and 29 January.
    const TRIAL: &str = "
        2025-01-01 start sub basic 10.00 trial=2025-02-03T12:00
        2025-02-03 bill sub 10.00
        2025-03-03 bill sub 10.00";

    const OPENED: &str = "2025-02-03 opened S17:sub:-: 10.00 a month, 10.00 accrued, critical";

    #[test]
    fn the_first_paid_bill_alone_opens_it() {
        assert_eq!(squeezes(TRIAL), OPENED);
        let free_first =
            changed(TRIAL, "2025-02-03 bill sub 10.00", "2025-02-03 bill sub 10.00 recurring=0.00");
        assert!(squeezes(&free_first).starts_with("2025-03-03 opened"));
        let in_trial = changed(
            TRIAL,
            "2025-02-03 bill sub 10.00",
            "2025-02-03 bill sub 10.00 from=2025-02-02",
        );
        assert!(squeezes(&in_trial).starts_with("2025-03-03 opened"));
        assert_eq!(squeezes(&changed(TRIAL, " trial=2025-02-03T12:00", "")), "");
    }

    #[test]
    fn a_reminder_in_its_window_keeps_it_quiet() {
        let told = |words: &str| squeezes(&with(TRIAL, &format!("{words} sub=sub")));
        for quiet in ["2025-01-14T12:00 notice reminder", "2025-01-29T12:00 notice reminder"] {
            assert_eq!(told(quiet), "", "{quiet}");
        }
        for loud in [
            "2025-01-14T11:59 notice reminder",
            "2025-01-29T12:01 notice reminder",
            "2025-01-20 notice other",
        ] {
            assert_eq!(told(loud), OPENED, "{loud}");
        }
    }

    #[test]
    fn it_weighs_once_however_many_months_are_billed_and_money_back_resolves_it() {
        let year =
            changed(TRIAL, "2025-02-03 bill sub 10.00", "2025-02-03 bill sub 10.00 months=12");
        assert_snapshot!(evidence(&year, "FAI"), @"2025-02-03 FAI.SQUEEZE S17:sub:-/bill/2025-02-03 -0.972153");
        let mended = with(TRIAL, "2025-02-10 remedy r 10.00 about=S17:sub:-");
        assert!(squeezes(&mended).ends_with(
            "\n2025-02-10 resolved S17:sub:-: 10.00 a month, 0.00 accrued, critical, refunded"
        ));
    }
}
