//! What happens to those who leave: charged all the same (S04), held back (S05), their money kept (S08).

use super::super::offers::pounds;
use super::super::scene::{HOUR_MS, LINE, MINUTE_MS};
use super::history::{History, Line};
use crate::model::event::{Attested, Body};
use crate::model::squeeze::SqueezeType::{S04, S05, S08};
use crate::model::{DAY_MS, EventTime, Text};

/// A line, and a request to cancel it made in mid-span.
struct Leaving {
    line: Line,
    request_id: Text,
    requested_at: EventTime,
}

fn leave(history: &mut History, notice_days: i64) -> Leaving {
    let plain = history.plain_line();
    let steps = u8::try_from(history.dice.within(1, 4)).expect("few steps");
    let line = Line { notice_days, signup_steps: steps, ..plain };
    history.start(&line);
    let day = history.day(history.from.plus_months(5), history.until.plus_months(-5));
    let requested_at = history.days_after(day, 0, 0);
    let request_id = history.name("cancel");
    let requested =
        Body::CancelRequested { request_id: request_id.clone(), subscription_id: LINE.into() };
    history.tell(requested_at, "/crm", requested);
    history.active.1 = requested_at.plus(-DAY_MS);
    Leaving { line, request_id, requested_at }
}

impl Leaving {
    /// When the cancellation takes effect.
    fn effect(&self) -> EventTime {
        self.requested_at.plus_days(self.line.notice_days)
    }

    fn complete(&self, history: &mut History, at: EventTime) {
        let request_id = self.request_id.clone();
        let attested_by = Attested::System;
        history.tell(at, "/billing", Body::CancelCompleted { request_id, attested_by });
    }

    fn complete_at_once(&self, history: &mut History) {
        self.complete(history, self.requested_at.plus(3 * HOUR_MS));
    }

    /// Bills for `count` more periods after the effect, and no others.
    fn bill_on(&self, history: &mut History, mut count: usize) {
        let effect = self.effect();
        history.bills.retain(|bill| {
            let is_after = effect <= bill.period_start;
            let is_kept = !is_after || count > 0;
            count -= usize::from(is_after && is_kept);
            is_kept
        });
    }

    fn charge(
        &self,
        history: &mut History,
        at: EventTime,
        service_start: Option<EventTime>,
    ) -> Text {
        let charge_id = history.name("charge");
        let charge = Body::ChargePosted {
            charge_id: charge_id.clone(),
            amount: pounds(self.line.monthly),
            subscription_id: Some(LINE.into()),
            service_start,
            quote_id: None,
            optional: false,
        };
        history.tell(at, "/billing", charge);
        charge_id
    }

    fn take_steps(&self, history: &mut History, count: u16, is_save_offer: fn(u16) -> bool) {
        for step in 1..=count {
            let request_id = self.request_id.clone();
            let save_offer = is_save_offer(step);
            let taken = Body::CancelStepTaken { request_id, step, save_offer };
            history.tell(self.step_at(step), "/crm", taken);
        }
    }

    fn step_at(&self, step: u16) -> EventTime {
        self.requested_at.plus(i64::from(step) * MINUTE_MS)
    }

    fn contact(&self, history: &mut History, at: EventTime) {
        let opened = Body::ContactOpened {
            contact_id: history.name("contact"),
            issue: None,
            about_id: Some(self.request_id.clone()),
        };
        history.tell(at, "/crm", opened);
    }

    /// Steps that do not yet hinder.
    fn steps_allowed(&self) -> u16 {
        (2 * u16::from(self.line.signup_steps)).max(3)
    }
}

pub(super) fn plant_s04(history: &mut History) {
    let notice_days = history.dice.pick(&[0, 0, 30]);
    let leaving = leave(history, notice_days);
    leaving.complete_at_once(history);
    if history.dice.chance(300) {
        leaving.bill_on(history, 0);
        let at = history.days_after(leaving.effect(), 2, 20);
        let charge_id = leaving.charge(history, at, None);
        let story = "a charge for after the cancellation";
        if history.plant(S04, story, Some(LINE), &leaving.request_id, at, &charge_id) {
            history.maybe_refund_last(at, leaving.line.monthly);
        }
        return;
    }
    let count = history.dice.within(1, 3);
    leaving.bill_on(history, usize::try_from(count).expect("a few"));
    let effect = leaving.effect();
    let story = "billed on after the cancellation";
    let before = history.planted.len();
    history.plant_on_bills(S04, story, &leaving.request_id, 1, |bill| effect <= bill.period_start);
    let Some(last) = history.bills.last().map(|bill| bill.at) else { return };
    if before < history.planted.len() {
        history.maybe_refund_last(last, count * 3 * leaving.line.monthly);
    }
}

pub(super) fn decoy_s04(history: &mut History) {
    let guard = match history.dice.below(4) {
        0 => {
            let leaving = leave(history, 30);
            leaving.complete_at_once(history);
            leaving.bill_on(history, 0);
            let day = leaving.effect();
            history.decoy(S04, "billed to the end of the notice period", Some(LINE), day);
            return;
        }
        1 => {
            let leaving = leave(history, 0);
            leaving.complete_at_once(history);
            leaving.bill_on(history, 1);
            let effect = leaving.effect();
            for bill in history.bills.iter_mut().filter(|bill| effect <= bill.period_start) {
                (bill.recurring, bill.extra) = (0, None);
            }
            return history.decoy_on_bills(S04, "a last bill of nothing", effect);
        }
        2 => {
            let leaving = leave(history, 0);
            leaving.complete_at_once(history);
            leaving.bill_on(history, 0);
            let at = history.days_after(leaving.effect(), 3, 20);
            let service_start = leaving.requested_at.plus_days(-history.dice.within(2, 40));
            leaving.charge(history, at, Some(service_start));
            "a charge for service from before"
        }
        _ => {
            let leaving = leave(history, 0);
            let request_id = leaving.request_id.clone();
            let at = leaving.requested_at.plus(2 * HOUR_MS);
            history.tell(at, "/crm", Body::CancelWithdrawn { request_id });
            "the customer stayed"
        }
    };
    let at = history.active.1.plus_days(2);
    history.decoy(S04, guard, Some(LINE), at);
}

pub(super) fn plant_s05(history: &mut History) {
    let leaving = leave(history, 0);
    leaving.bill_on(history, 0);
    let start = leaving.requested_at;
    let (story, at, done_at) = match history.dice.below(4) {
        0 => {
            let due = start.plus_business_days(1, &[]);
            let done_at = due.plus(history.dice.within(2 * HOUR_MS, 9 * DAY_MS));
            ("not done by the next business day", due, done_at)
        }
        1 => {
            let again_at = start.plus(2 * HOUR_MS);
            leaving.contact(history, start.plus(HOUR_MS));
            leaving.contact(history, again_at);
            ("had to ask twice", again_at, start.plus(5 * HOUR_MS))
        }
        2 => {
            let steps = leaving.steps_allowed() + 1;
            leaving.take_steps(history, steps, |_| false);
            ("more steps than it took to join", leaving.step_at(steps), start.plus(5 * HOUR_MS))
        }
        _ => {
            leaving.take_steps(history, 3, |step| step >= 2);
            ("offered to stay twice", leaving.step_at(3), start.plus(5 * HOUR_MS))
        }
    };
    leaving.complete(history, done_at);
    let id = &leaving.request_id;
    if history.plant(S05, story, Some(LINE), id, at, id) {
        history.end_last(done_at);
    }
}

pub(super) fn decoy_s05(history: &mut History) {
    let leaving = leave(history, 0);
    let start = leaving.requested_at;
    let done_at = start.plus(5 * HOUR_MS);
    let guard = match history.dice.below(4) {
        0 => {
            leaving.take_steps(history, leaving.steps_allowed(), |_| false);
            "no more steps than it took to join, twice over"
        }
        1 => {
            leaving.take_steps(history, 2, |step| step == 2);
            "one offer to stay"
        }
        2 => {
            leaving.contact(history, start.plus(HOUR_MS));
            "asked once"
        }
        _ => {
            let request_id = leaving.request_id.clone();
            history.tell(start.plus(8 * HOUR_MS), "/crm", Body::CancelWithdrawn { request_id });
            return history.decoy(S05, "the customer stayed", Some(LINE), start);
        }
    };
    leaving.bill_on(history, 0);
    leaving.complete(history, done_at);
    history.decoy(S05, guard, Some(LINE), start);
}

/// Leaves with a credit, and closes the account the day after; the credit's id and balance, and when it should have been paid out.
fn close_with_credit(history: &mut History, paid_for: bool) -> (Text, i64, EventTime) {
    let leaving = leave(history, 0);
    leaving.complete_at_once(history);
    leaving.bill_on(history, 0);
    let (credit_id, minor) = (history.name("credit"), history.dice.within(500, 5000));
    let granted =
        Body::CreditGranted { credit_id: credit_id.clone(), amount: pounds(minor), paid_for };
    history.tell(leaving.requested_at.plus_days(-30), "/billing", granted);
    let closed_at = leaving.requested_at.plus_days(1);
    history.tell(closed_at, "/crm", Body::AccountClosed { voluntary: true });
    (credit_id, minor, closed_at.plus_business_days(10, &[]))
}

pub(super) fn plant_s08(history: &mut History) {
    let (credit_id, minor, due) = close_with_credit(history, true);
    let story = "kept after the account was closed";
    if history.plant(S08, story, None, &credit_id, due, &credit_id) {
        history.maybe_refund_last(due, minor);
    }
}

pub(super) fn decoy_s08(history: &mut History) {
    let is_paid_out = history.dice.chance(500);
    let (credit_id, minor, due) = close_with_credit(history, is_paid_out);
    let guard = if is_paid_out {
        let paid_at = due.plus(-history.dice.within(DAY_MS, 9 * DAY_MS));
        history.remedy(paid_at, &credit_id, minor);
        "paid out in time"
    } else {
        "a gift, not the customer's own money"
    };
    history.decoy(S08, guard, None, due);
}
