//! What changes while a contract runs: renewals (S02, S12), rises (S16), the end of a trial (S17), less for the money (S20).

use super::super::offers::pounds;
use super::super::scene::{HOUR_MS, LINE};
use super::history::{History, Line};
use super::market::BESIDE;
use super::pricing::{line_with_term, move_to};
use crate::model::event::{Attested, Body, NoticeKind, Party, PriceReason, Renewal, RenewalMode};
use crate::model::squeeze::SqueezeType::{S02, S12, S16, S17, S20};
use crate::model::{EventTime, Text};

/// How a term is renewed for a year.
struct Renewed {
    monthly: i64,
    /// What a new customer would be asked for the year.
    enbp: Option<i64>,
    mode: RenewalMode,
    /// Days before the end at which it is offered.
    is_offered: bool,
    /// Days before the end at which a notice with the price is sent.
    notice_days: Option<i64>,
}

impl Renewed {
    /// As before, by the customer's choice.
    const fn quietly(monthly: i64) -> Self {
        let mode = RenewalMode::Active;
        Self { monthly, enbp: None, mode, is_offered: false, notice_days: Some(20) }
    }
}

/// Renews the term that ends at `end`; the renewal's id.
fn renew(history: &mut History, end: EventTime, renewed: &Renewed) -> Text {
    let renewal_id: Text = format!("renewal-{}", end.date()).into();
    let renewal = Renewal {
        subscription_id: LINE.into(),
        renewal_id: renewal_id.clone(),
        price: pounds(renewed.monthly * 12),
        enbp_minor: renewed.enbp,
        term_months: 12,
    };
    if let Some(days) = renewed.notice_days {
        history.notify(end.plus_days(-days), NoticeKind::Renewal, true);
    }
    if renewed.is_offered {
        let offered = Body::RenewalOffered(Box::new(renewal.clone()));
        history.tell(end.plus_days(-20), "/billing", offered);
    }
    let completed = Body::RenewalCompleted {
        renewal: Box::new(renewal),
        mode: renewed.mode,
        term_end: Some(end.plus_months(12)),
    };
    history.tell(end, "/billing", completed);
    history.reprice(end, renewed.monthly);
    renewal_id
}

/// Renews quietly each year after `end`, to the end of the span.
fn renew_quietly_after(history: &mut History, end: EventTime, monthly: i64) {
    let mut next = end.plus_months(12);
    while next < history.until {
        renew(history, next, &Renewed::quietly(monthly));
        next = next.plus_months(12);
    }
}

fn any_mode(history: &mut History) -> RenewalMode {
    history.dice.pick(&[RenewalMode::Active, RenewalMode::Passive])
}

pub(super) fn plant_s02(history: &mut History) {
    let (line, end) = line_with_term(history);
    history.start(&line);
    let monthly = line.monthly * history.dice.within(105, 122) / 100;
    let walked = Renewed {
        monthly,
        enbp: Some(line.monthly * 12),
        mode: any_mode(history),
        is_offered: history.dice.chance(700),
        notice_days: history.dice.pick(&[None, Some(20)]),
    };
    let renewal_id = renew(history, end, &walked);
    let since = if walked.is_offered { end.plus_days(-20) } else { end };
    let story = "renewed above what a new customer would be asked";
    let is_planted = history.plant(S02, story, Some(LINE), "-", since, &renewal_id);
    let next = end.plus_months(12);
    if is_planted && next < history.until {
        // As dear as for a new customer now: that ends it.
        let enbp = Some(monthly * 12);
        renew(history, next, &Renewed { enbp, ..Renewed::quietly(monthly) });
        history.end_last(next);
        renew_quietly_after(history, next, monthly);
    }
}

pub(super) fn decoy_s02(history: &mut History) {
    let (line, end) = line_with_term(history);
    history.start(&line);
    let monthly = line.monthly * 110 / 100;
    let quietly = Renewed { is_offered: true, ..Renewed::quietly(monthly) };
    let (guard, renewed) = match history.dice.below(3) {
        0 => {
            let enbp = Some(monthly * 12 - history.dice.within(60, 100));
            ("within the tolerance of the new-business price", Renewed { enbp, ..quietly })
        }
        1 => {
            let (enbp, mode) = (Some(monthly * 12), RenewalMode::Passive);
            ("as dear for new customers", Renewed { enbp, mode, ..quietly })
        }
        _ => ("no new-business price known", quietly),
    };
    renew(history, end, &renewed);
    history.decoy(S02, guard, Some(LINE), end.plus_days(-20));
    renew_quietly_after(history, end, monthly);
}

pub(super) fn plant_s12(history: &mut History) {
    let (line, end) = line_with_term(history);
    history.start(&line);
    let monthly = line.monthly * history.dice.within(103, 120) / 100;
    let (story, notice_days) = history.dice.pick(&[
        ("renewed dearer without a word", None),
        ("renewed dearer, told too late", Some(5)),
        ("renewed dearer, told too early", Some(60)),
        ("renewed dearer, the price not told", None),
    ]);
    if story.ends_with("price not told") {
        history.notify(end.plus_days(-20), NoticeKind::Renewal, false);
    }
    let enbp = history.dice.pick(&[None, Some(monthly * 12)]);
    let mode = RenewalMode::Passive;
    let renewed = Renewed { monthly, enbp, mode, is_offered: false, notice_days };
    let renewal_id = renew(history, end, &renewed);
    if history.plant(S12, story, Some(LINE), &renewal_id, end, &renewal_id) {
        history.maybe_refund_last(end, (monthly - line.monthly) * 12);
    }
    renew_quietly_after(history, end, monthly);
}

pub(super) fn decoy_s12(history: &mut History) {
    let (line, end) = line_with_term(history);
    history.start(&line);
    let dearer = line.monthly * 112 / 100;
    let passive = Renewed { mode: RenewalMode::Passive, ..Renewed::quietly(dearer) };
    let (guard, renewed) = match history.dice.below(3) {
        0 => ("told in time, with the price", {
            let notice_days = Some(history.dice.within(11, 44));
            Renewed { notice_days, ..passive }
        }),
        1 => ("renewed by the customer's own choice", {
            Renewed { notice_days: None, ..Renewed::quietly(dearer) }
        }),
        _ => ("renewed in silence at the same price", {
            Renewed { monthly: line.monthly, notice_days: None, ..passive }
        }),
    };
    renew(history, end, &renewed);
    history.decoy(S12, guard, Some(LINE), end);
    renew_quietly_after(history, end, renewed.monthly);
}

/// A rise of `line` at `at`; the event's id. Whoever pays it is told of the term's end in time.
fn rise(
    history: &mut History,
    line: &Line,
    at: EventTime,
    reason: PriceReason,
    in_schedule: bool,
) -> Text {
    if let Some(end) = line.term_end {
        history.notify(end.plus_days(-25), NoticeKind::EndOfTerm, false);
    }
    let monthly = line.monthly * history.dice.within(104, 118) / 100;
    let price = pounds(monthly);
    let subscription_id = LINE.into();
    let changed = Body::PriceChanged { subscription_id, price, reason, in_schedule };
    let id = history.tell(at, "/billing", changed);
    history.reprice(at, monthly);
    id
}

/// A line with a term of two years, and a time within it.
fn line_in_term(history: &mut History) -> (Line, EventTime) {
    let day = history.day(history.from.plus_months(-8), history.from.plus_months(1));
    let plain = history.plain_line();
    let term_end = day.plus_months(24);
    let line = Line {
        started: day.plus(2 * HOUR_MS),
        customer_since: day,
        term_end: Some(term_end),
        billed_from: plain.billed_from.max(day),
        ..plain
    };
    let lo = history.from.max(day).plus_months(5);
    let risen = history.day(lo, term_end.min(history.until).plus_months(-2));
    (line, history.days_after(risen, 0, 0))
}

pub(super) fn plant_s16(history: &mut History) {
    let (line, at) = line_in_term(history);
    history.start(&line);
    let story = match history.dice.below(3) {
        0 => "dearer within the term without a word",
        1 => {
            history.notify(at.plus_days(-20), NoticeKind::PriceChange, false);
            "dearer within the term, told too late"
        }
        _ => {
            history.notify(at.plus_days(-130), NoticeKind::PriceChange, false);
            "dearer within the term, told too early"
        }
    };
    let event_id = rise(history, &line, at, PriceReason::Firm, false);
    let is_planted = history.plant(S16, story, Some(LINE), &at.to_string(), at, &event_id);
    let over = line.term_end.and_then(|end| history.first_bill(end)).map(|bill| bill.at);
    if let Some(over) = over.filter(|_| is_planted) {
        history.end_last(over);
    }
}

pub(super) fn decoy_s16(history: &mut History) {
    let (line, at) = line_in_term(history);
    let guard = match history.dice.below(5) {
        0 => {
            history.start(&line);
            rise(history, &line, at, PriceReason::Tax, false);
            "a tax rose"
        }
        1 => {
            history.start(&line);
            rise(history, &line, at, PriceReason::Regulated, false);
            "a regulator set the price"
        }
        2 => {
            history.start(&line);
            rise(history, &line, at, PriceReason::Firm, true);
            "in the schedule disclosed at sale"
        }
        3 => {
            history.start(&line);
            let days = history.dice.within(31, 119);
            history.notify(at.plus_days(-days), NoticeKind::PriceChange, false);
            rise(history, &line, at, PriceReason::Firm, false);
            "told in time"
        }
        _ => {
            let line = Line { term_end: None, ..line };
            history.start(&line);
            rise(history, &line, at, PriceReason::Firm, false);
            "no term to keep to"
        }
    };
    history.decoy(S16, guard, Some(LINE), at);
}

/// A line that begins with a free month; billed from the day the trial ends.
fn line_with_trial(history: &mut History) -> (Line, EventTime) {
    let (lo, hi) = (history.from.plus_months(2), history.until.plus_months(-4));
    let billed_from = history.day(lo, hi);
    let trial_end = billed_from.plus(10 * HOUR_MS);
    let day = billed_from.plus_days(-33);
    let line = history.young_line(day, day);
    let started = day.plus(2 * HOUR_MS);
    let trial = Some(trial_end);
    (Line { started, customer_since: day, trial_end: trial, billed_from, ..line }, trial_end)
}

pub(super) fn plant_s17(history: &mut History) {
    let (line, trial_end) = line_with_trial(history);
    history.start(&line);
    let (story, business_days) = history.dice.pick(&[
        ("the trial ended without a reminder", None),
        ("reminded of the trial's end too late", Some(-1)),
        ("reminded of the trial's end too early", Some(-18)),
    ]);
    if let Some(days) = business_days {
        history.notify(trial_end.plus_business_days(days, &[]), NoticeKind::Reminder, false);
    }
    let Some(bill) = history.first_bill(trial_end.plus(-10 * HOUR_MS)).cloned() else { return };
    if history.plant(S17, story, Some(LINE), "-", bill.at, &bill.id()) {
        history.maybe_refund_last(bill.at, bill.recurring);
    }
}

pub(super) fn decoy_s17(history: &mut History) {
    let (line, trial_end) = line_with_trial(history);
    history.start(&line);
    if history.dice.chance(700) {
        let days = i32::try_from(history.dice.within(4, 13)).expect("few days");
        history.notify(trial_end.plus_business_days(-days, &[]), NoticeKind::Reminder, false);
        return history.decoy_on_bills(S17, "reminded in time", line.billed_from);
    }
    let requested_at = trial_end.plus_days(-4);
    let request_id = history.name("cancel");
    let requested =
        Body::CancelRequested { request_id: request_id.clone(), subscription_id: LINE.into() };
    history.tell(requested_at, "/crm", requested);
    let completed = Body::CancelCompleted { request_id, attested_by: Attested::System };
    history.tell(requested_at.plus(2 * HOUR_MS), "/billing", completed);
    history.bills.clear();
    history.active = (history.from, history.from);
    history.decoy(S17, "left before anything was charged", Some(LINE), trial_end);
}

/// The firm gives less at the same price from `at` on; the event's id.
fn erode(history: &mut History, at: EventTime, percent: i64, consent: bool) -> Text {
    let loss_share = percent as f64 / 100.0;
    let changed = Body::PlanTermsChanged { subscription_id: LINE.into(), loss_share, consent };
    history.tell(at, "/billing", changed)
}

pub(super) fn plant_s20(history: &mut History) {
    let line = history.plain_line();
    history.start(&line);
    let day = history.day(history.from.plus_months(2), history.until.plus_months(-2));
    let at = history.days_after(day, 0, 0);
    let percent = history.dice.within(5, 40);
    let event_id = erode(history, at, percent, false);
    let story = "less for the same price, without consent";
    let is_planted = history.plant(S20, story, Some(LINE), line.plan, at, &event_id);
    if is_planted && history.dice.chance(300) {
        let day = history.day(at.plus_days(20), history.until);
        let moved_at = history.days_after(day, 0, 0);
        move_to(history, moved_at, BESIDE, Party::Customer);
        if let Some(over) = history.first_bill(moved_at).map(|bill| bill.at) {
            history.end_last(over);
        }
    }
}

pub(super) fn decoy_s20(history: &mut History) {
    let line = history.plain_line();
    history.start(&line);
    let day = history.day(history.from.plus_months(2), history.until.plus_months(-2));
    let at = history.days_after(day, 0, 0);
    let guard = if history.dice.chance(500) {
        erode(history, at, 20, true);
        "the customer consented"
    } else {
        let percent = history.dice.within(1, 4);
        erode(history, at, percent, false);
        "less than 5 % lost"
    };
    history.decoy(S20, guard, Some(LINE), at);
}
