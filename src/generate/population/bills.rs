//! What stands on a bill and should not: a line nobody uses (S07), a shock (S14), use of long ago (S15).

use super::super::scene::{HOUR_MS, LINE};
use super::history::{Bill, History, Line, usage_line};
use crate::model::event::{Body, InvoiceLine, LineKind, NoticeKind, Party};
use crate::model::squeeze::SqueezeType::{S07, S14, S15};
use crate::model::{DAY_MS, EventTime};

/// Bills before one that can be a shock: fewer are not usual enough to tell.
const BILLS_BEFORE: usize = 6;

fn report(history: &mut History, at: EventTime, quantity: f64) {
    let usage = Body::UsageReported { subscription_id: LINE.into(), quantity };
    history.tell(at, "/network", usage);
}

/// The line is used an hour after each bill, in `from..to`.
pub(super) fn use_line(history: &mut History, from: EventTime, to: EventTime) {
    for at in hours_after_bills(history) {
        if from <= at && at < to {
            report(history, at, 3.5);
        }
    }
}

fn hours_after_bills(history: &History) -> Vec<EventTime> {
    history.bills.iter().map(|bill| bill.at.plus(HOUR_MS)).collect()
}

/// A line expected to be used, begun more than a year before the span.
fn line_to_use(history: &mut History) -> Line {
    let plain = history.plain_line();
    let day = history.day(history.from.plus_months(-40), history.from.plus_months(-14));
    let started = day.plus(2 * HOUR_MS);
    Line { is_usage_expected: true, started, customer_since: day, ..plain }
}

pub(super) fn plant_s07(history: &mut History) {
    let line = line_to_use(history);
    history.start(&line);
    let (from, until) = (history.from, history.until);
    match history.dice.below(3) {
        0 => {
            for at in hours_after_bills(history) {
                report(history, at, 0.0);
            }
            history.plant_on_bills(S07, "never used", "-", 2, |_| true);
        }
        1 => {
            let first_use = from.plus_days(-5);
            report(history, first_use, 2.0);
            let stopped_at = history.day(from.plus_months(2), until.plus_months(-16));
            use_line(history, from, stopped_at);
            let mut uses = hours_after_bills(history).into_iter();
            let last = uses.rfind(|at| *at < stopped_at).unwrap_or(first_use);
            let since = last.plus_days(365);
            history.plant_on_bills(S07, "not used any more", "-", 2, |bill| since <= bill.at);
        }
        _ => {
            let day = history.day(from.plus_months(10), until.plus_months(-2));
            let used_at = history.days_after(day, 0, 0);
            report(history, used_at, 1.0);
            use_line(history, used_at, until);
            let story = "never used until late";
            history.plant_on_bills(S07, story, "-", 2, |bill| bill.at < used_at);
        }
    }
}

pub(super) fn decoy_s07(history: &mut History) {
    let line = line_to_use(history);
    let from = history.from;
    let guard = match history.dice.below(3) {
        0 => {
            history.start(&line);
            every_ten_months(history, |history, at| report(history, at, 0.5));
            "used once in ten months"
        }
        1 => {
            history.start(&line);
            every_ten_months(history, |history, at| {
                history.notify(at, NoticeKind::Dormancy, false)
            });
            "told each year that it lies unused"
        }
        _ => {
            history.start(&Line { is_usage_expected: false, ..line });
            "bought to lie ready: no use was expected"
        }
    };
    history.decoy_on_bills(S07, guard, from);
}

fn every_ten_months(history: &mut History, happens: fn(&mut History, EventTime)) {
    let mut at = history.from.plus_days(-3);
    while at < history.until {
        happens(history, at);
        at = at.plus_days(history.dice.within(280, 350));
    }
}

/// The place of a bill of the active line with `before` bills before it.
fn a_bill(history: &mut History, before: usize) -> Option<usize> {
    let (from, to) = history.active;
    let can_be = |bill: &Bill| from <= bill.at && bill.at < to.plus_days(-70);
    let places: Vec<_> =
        (before..history.bills.len()).filter(|n| can_be(&history.bills[*n])).collect();
    (!places.is_empty()).then(|| history.dice.pick(&places))
}

fn is_monthly(history: &History) -> bool {
    history.bills.first().is_some_and(|bill| bill.months == 1)
}

/// Use that makes the bill more than thrice the usual one.
fn shock(history: &mut History, place: usize) -> i64 {
    let bill = &history.bills[place];
    let minor = 2 * bill.recurring + history.dice.within(3000, 9000);
    history.bills[place].extra = Some(usage_line(minor, bill.period_start));
    minor
}

fn alert(history: &mut History, at: EventTime) {
    history.notify(at, NoticeKind::UsageAlert, false);
}

pub(super) fn plant_s14(history: &mut History) {
    let Some(place) = a_bill(history, BILLS_BEFORE).filter(|_| is_monthly(history)) else { return };
    let minor = shock(history, place);
    let bill = history.bills[place].clone();
    let story = if history.dice.chance(300) {
        alert(history, bill.period_start.plus(-DAY_MS));
        "a shock, and the only warning was about the month before"
    } else {
        "a shock without a warning"
    };
    if history.plant(S14, story, Some(LINE), &bill.id(), bill.at, &bill.id()) {
        history.maybe_refund_last(bill.at, minor + bill.recurring);
    }
}

pub(super) fn decoy_s14(history: &mut History) {
    let is_monthly = is_monthly(history);
    let Some(place) = a_bill(history, BILLS_BEFORE) else { return };
    let guard = match history.dice.below(3) {
        _ if !is_monthly => {
            shock(history, place);
            "too few bills to know the usual one"
        }
        0 => {
            shock(history, place);
            alert(history, history.bills[place].period_start.plus(2 * HOUR_MS));
            "warned while the use ran up"
        }
        1 => {
            // Before the shock as much as after it: the spread is as wide as the jump.
            for (n, bill) in history.bills.iter_mut().enumerate() {
                let minor = if n % 2 == 1 { 2 * bill.recurring + 1000 } else { 0 };
                bill.extra = (minor > 0).then(|| usage_line(minor, bill.period_start));
            }
            "no more than every other month"
        }
        _ => {
            let bill = &mut history.bills[place];
            bill.extra = Some(usage_line(bill.recurring.min(1900) * 2 / 5, bill.period_start));
            "less than half above the usual"
        }
    };
    let at = history.bills[place].at;
    history.decoy(S14, guard, Some(LINE), at);
}

pub(super) fn plant_s15(history: &mut History) {
    let Some(place) = a_bill(history, 0) else { return };
    let bill = &mut history.bills[place];
    let months = i32::try_from(history.dice.within(13, 30)).expect("few months");
    let minor = history.dice.within(100, 800);
    bill.extra = Some(usage_line(minor, bill.period_start.plus_months(-months)));
    let bill = bill.clone();
    let story = "use of more than a year ago";
    if history.plant(S15, story, Some(LINE), &bill.id(), bill.at, &bill.id()) {
        history.maybe_refund_last(bill.at, minor);
    }
}

pub(super) fn decoy_s15(history: &mut History) {
    let Some(place) = a_bill(history, 0) else { return };
    let bill = &mut history.bills[place];
    let minor = history.dice.within(100, 800);
    let long_ago = usage_line(minor, bill.period_start.plus_months(-15));
    let (guard, extra) = match history.dice.below(3) {
        0 => ("the customer caused the delay", InvoiceLine { cause: Party::Customer, ..long_ago }),
        1 => ("use of less than a year ago", {
            let months = i32::try_from(history.dice.within(1, 11)).expect("few months");
            usage_line(minor, bill.period_start.plus_months(-months))
        }),
        _ => ("no use but a purchase", InvoiceLine { kind: LineKind::OneOff, ..long_ago }),
    };
    bill.extra = Some(extra);
    let at = bill.at;
    history.decoy(S15, guard, Some(LINE), at);
}
