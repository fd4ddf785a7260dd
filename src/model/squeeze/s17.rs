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

/// Holds for the first paid bill if no reminder was sent 14 to 3 business days before the trial's end.
pub fn judge(Question { step, subscription, bill, .. }: Question<'_>) -> Answer {
    let Some(trial_end) =
        subscription.start.value.trial_end.filter(|_| is_first_paid(subscription, bill))
    else {
        return Answer::Quiet;
    };
    let holidays = &step.policy.holidays;
    let (from, to) =
        (trial_end.plus_business_days(-14, holidays), trial_end.plus_business_days(-3, holidays));
    if subscription.was_noticed(&[NoticeKind::Reminder], from, to) {
        return Answer::Quiet;
    }
    let excess = Excess { monthly: bill.monthly, added: bill.recurring };
    let finding = bill.finding(SqueezeType::S17, subscription, "-", excess);
    Answer::Holds(Box::new(Finding { evidence_per_severity: 1.0, ..finding }))
}
