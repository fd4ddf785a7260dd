//! Prices above what is to be had: legacy plans (S01), the end of a term (S03), plans for newcomers only (S19).

use super::super::offers::{LEGACY, PLANS, TODAY, pounds};
use super::super::scene::{HOUR_MS, LINE};
use super::history::{History, Line};
use super::market::{
    CLASSIC_FIBRE, CLASSIC_TV, CLASSIC_XL, CLASSIC_XS, Plan, SOLO, STUDENTS, fibre_on_sale,
};
use crate::model::event::{Body, NoticeKind, Party, PriceReason, Renewal, RenewalMode};
use crate::model::squeeze::SqueezeType::{S01, S03, S19};
use crate::model::{DAY_MS, EventTime, Period};

/// Indices in [`PLANS`] of today's plans that newcomers get for less, and of the largest.
const FLEX_M: usize = TODAY[1];
const FLEX_L: usize = TODAY[2];

/// The firm or the customer moves the line to `plan` at `at`, and it is billed so from then on.
pub(super) fn move_to(history: &mut History, at: EventTime, (plan, monthly): Plan, by: Party) {
    let changed = Body::PlanChanged {
        subscription_id: LINE.into(),
        plan_id: plan.into(),
        price: pounds(monthly),
        period: Period::MONTH,
        initiated_by: by,
    };
    history.tell(at, "/billing", changed);
    history.reprice(at, monthly);
}

fn plan_of(index: usize) -> Plan {
    (PLANS[index].id, PLANS[index].monthly_minor)
}

/// A legacy plan and its cheaper equal of today.
fn legacy(history: &mut History) -> (Plan, Plan) {
    let old = history.dice.pick(&LEGACY);
    (plan_of(old), plan_of(PLANS[old].equal.expect("a legacy plan has an equal")))
}

/// A plan that compares with nothing and costs not much less: moving from it is no bill shock.
fn near((_, monthly): Plan) -> Plan {
    SOLO.into_iter().find(|solo| monthly * 3 <= solo.1 * 4).unwrap_or(SOLO[2])
}

/// A line begun `lo` to `hi` months before the span, on `plan`.
fn old_line(history: &mut History, (plan, monthly): Plan, lo: i32, hi: i32) -> Line {
    let day = history.day(history.from.plus_months(-lo), history.from.plus_months(-hi));
    let plain = history.plain_line();
    let started = day.plus(2 * HOUR_MS);
    Line { plan, monthly, started, customer_since: day, ..plain }
}

pub(super) fn plant_s01(history: &mut History) {
    match history.dice.below(7) {
        0..2 => held_for_years(history),
        2 => three_years_in_mid_span(history),
        3 => moved_a_year_ago(history),
        4 => decline_lapsed(history),
        5 => new_equal(history),
        _ => student(history),
    }
}

/// Three times in ten the customer is moved to the better plan in the end.
fn held_for_years(history: &mut History) {
    let (old, better) = legacy(history);
    let line = old_line(history, old, 90, 38);
    history.start(&line);
    let mut moved_at = history.until;
    if history.dice.chance(300) {
        let day = history.day(history.from.plus_months(5), history.until);
        moved_at = history.days_after(day, 0, 0);
        let by = history.dice.pick(&[Party::Firm, Party::Customer]);
        move_to(history, moved_at, better, by);
    }
    history.plant_on_bills(S01, "on a legacy plan for years", old.0, 2, |bill| bill.at < moved_at);
    gap_after_moving(history, better, moved_at);
}

/// Long-standing customers moved to the plan that newcomers get for less meet the next squeeze there.
fn gap_after_moving(history: &mut History, (plan, _): Plan, moved_at: EventTime) {
    if plan == plan_of(FLEX_M).0 {
        let story = "moved to a plan that newcomers get for less";
        history.plant_on_bills(S19, story, plan, 3, |bill| moved_at <= bill.at);
    }
}

fn three_years_in_mid_span(history: &mut History) {
    let (old, _) = legacy(history);
    let line = old_line(history, old, 34, 14);
    history.start(&line);
    let since = line.customer_since.plus_months(36);
    history
        .plant_on_bills(S01, "three years a customer by then", old.0, 2, |bill| since <= bill.at);
}

fn moved_a_year_ago(history: &mut History) {
    let (old, _) = legacy(history);
    let line = old_line(history, near(old), 90, 38);
    history.start(&line);
    let day = history.day(history.from.plus_days(10), history.until.plus_months(-14));
    let moved_at = history.days_after(day, 0, 0);
    move_to(history, moved_at, old, Party::Customer);
    let since = moved_at.plus_months(12);
    history
        .plant_on_bills(S01, "a year on a legacy plan by then", old.0, 2, |bill| since <= bill.at);
}

fn decline_lapsed(history: &mut History) {
    let (old, better) = legacy(history);
    let line = old_line(history, old, 90, 38);
    history.start(&line);
    let day = history.day(history.from.plus_days(-300), history.from.plus_days(-3));
    let declined_at = history.days_after(day, 0, 0);
    decline(history, declined_at, better.0);
    let since = declined_at.plus_days(365);
    history.plant_on_bills(S01, "the informed decline is more than a year ago", old.0, 2, |bill| {
        since < bill.at
    });
}

fn new_equal(history: &mut History) {
    let line = old_line(history, CLASSIC_FIBRE, 90, 38);
    history.start(&line);
    let since = fibre_on_sale(history.from).plus_days(30);
    history.plant_on_bills(S01, "an equal plan came on sale", CLASSIC_FIBRE.0, 2, |bill| {
        since <= bill.at
    });
}

fn student(history: &mut History) {
    let large = plan_of(FLEX_L);
    let line = old_line(history, large, 24, 14);
    let customer_since = line.customer_since.plus_months(-30);
    history.start(&Line { segment: Some(STUDENTS), customer_since, ..line });
    history.plant_on_bills(S01, "the segment has an equal plan", large.0, 2, |_| true);
}

fn decline(history: &mut History, at: EventTime, plan: &str) {
    let declined =
        Body::OfferDeclined { subscription_id: LINE.into(), plan_id: plan.into(), informed: true };
    history.tell(at, "/crm", declined);
}

pub(super) fn decoy_s01(history: &mut History) {
    let (old, better) = legacy(history);
    let from = history.from;
    let guard = match history.dice.below(9) {
        0 => {
            let line = old_line(history, old, 90, 38);
            history.start(&Line { is_negotiated: true, ..line });
            "negotiated price"
        }
        1 => {
            let line = old_line(history, old, 90, 38);
            history.start(&line);
            let mut at = from.plus_days(-200);
            while at < history.until {
                decline(history, at, better.0);
                at = at.plus_days(history.dice.within(200, 360));
            }
            "informed decline, renewed each year"
        }
        2 => {
            let line = old_line(history, old, 90, 38);
            history.start(&line);
            advised_in_time(history, better);
            "advised, and moved within 45 days"
        }
        3 => {
            let line = old_line(history, CLASSIC_TV, 90, 38);
            history.start(&line);
            "trade-off: no cheaper plan has the perk"
        }
        4 => {
            let line = old_line(history, plan_of(FLEX_L), 24, 14);
            let customer_since = line.customer_since.plus_months(-30);
            history.start(&Line { customer_since, ..line });
            "the cheaper equal is for another segment"
        }
        5 => {
            let line = old_line(history, CLASSIC_XS, 90, 38);
            history.start(&line);
            "less than a pound too dear"
        }
        6 => {
            let line = old_line(history, CLASSIC_XL, 90, 38);
            history.start(&line);
            "less than 3 % too dear"
        }
        7 => {
            let earliest = from.max(history.until.plus_months(-35));
            let line = history.young_line(earliest, earliest.plus_days(120));
            history.start(&Line { plan: old.0, monthly: old.1, ..line });
            "not yet three years a customer"
        }
        _ => {
            let line = old_line(history, near(old), 90, 38);
            history.start(&line);
            let earliest = history.until.plus_months(-11);
            let day = history.day(earliest, earliest.plus_days(90));
            let moved_at = history.days_after(day, 0, 0);
            move_to(history, moved_at, old, Party::Customer);
            return history.decoy_on_bills(S01, "not yet a year on the plan", moved_at);
        }
    };
    history.decoy_on_bills(S01, guard, from);
}

/// A day before the first bill the customer is told of the better plan, and moves a few weeks later.
fn advised_in_time(history: &mut History, better: Plan) {
    let Some(first) = history.first_bill(history.from).map(|bill| bill.at) else { return };
    let advised = Body::SavingsAdvised {
        advice_id: history.name("advice"),
        subscription_id: LINE.into(),
        plan_id: better.0.into(),
        saving_monthly: pounds(700),
    };
    history.tell(first.plus(-DAY_MS), "/crm", advised);
    let moved_at = first.plus_days(34);
    move_to(history, moved_at, better, Party::Customer);
    gap_after_moving(history, better, moved_at);
}

/// A line with a term of a year that ends on a day within the span.
pub(super) fn line_with_term(history: &mut History) -> (Line, EventTime) {
    let term_end = history.day(history.from.plus_months(2), history.until.plus_months(-5));
    let plain = history.plain_line();
    let day = term_end.plus_months(-12);
    let started = day.plus(2 * HOUR_MS);
    let billed_from = plain.billed_from.max(day);
    let line =
        Line { started, customer_since: day, term_end: Some(term_end), billed_from, ..plain };
    (line, term_end)
}

/// `share` percent more from `at` on.
fn raise(history: &mut History, at: EventTime, monthly: i64) {
    let changed = Body::PriceChanged {
        subscription_id: LINE.into(),
        price: pounds(monthly),
        reason: PriceReason::Firm,
        in_schedule: false,
    };
    history.tell(at, "/billing", changed);
    history.reprice(at, monthly);
}

pub(super) fn plant_s03(history: &mut History) {
    let (line, term_end) = line_with_term(history);
    let subject = term_end.to_string();
    let variant = history.dice.below(4);
    if variant == 0 {
        let medium = plan_of(LEGACY[1]);
        history.start(&Line { plan: medium.0, monthly: medium.1, ..line });
        let story = "the term ended unsaid, and an equal plan is cheaper";
        return history.plant_on_bills(S03, story, &subject, 1, |bill| term_end <= bill.at);
    }
    history.start(&line);
    let story = match variant {
        1 => "the term ended unsaid, and the price rose",
        2 => {
            history.notify(term_end.plus_days(-5), NoticeKind::EndOfTerm, false);
            "the term's end was told too late, and the price rose"
        }
        _ => {
            history.notify(term_end.plus_days(-55), NoticeKind::EndOfTerm, false);
            "the term's end was told too early, and the price rose"
        }
    };
    let raised_at = term_end.plus(HOUR_MS);
    let percent = history.dice.within(112, 130);
    raise(history, raised_at, line.monthly * percent / 100);
    history.plant_on_bills(S03, story, &subject, 1, |bill| raised_at <= bill.at);
}

pub(super) fn decoy_s03(history: &mut History) {
    let (line, term_end) = line_with_term(history);
    history.start(&line);
    let raised_at = term_end.plus(HOUR_MS);
    let guard = match history.dice.below(4) {
        0 => {
            let days = history.dice.within(11, 39);
            history.notify(term_end.plus_days(-days), NoticeKind::EndOfTerm, false);
            raise(history, raised_at, line.monthly * 120 / 100);
            "the term's end was told in time"
        }
        1 => "the price of the term went on",
        2 => {
            raise(history, raised_at, line.monthly + 90);
            "less than a pound more after the term"
        }
        _ => {
            let monthly = line.monthly * 115 / 100;
            let renewal = Renewal {
                subscription_id: LINE.into(),
                renewal_id: format!("renewal-{}", term_end.date()).into(),
                price: pounds(monthly * 24),
                enbp_minor: None,
                term_months: 24,
            };
            let completed = Body::RenewalCompleted {
                renewal: Box::new(renewal),
                mode: RenewalMode::Active,
                term_end: Some(term_end.plus_months(24)),
            };
            history.tell(raised_at, "/billing", completed);
            history.reprice(raised_at, monthly);
            "renewed by the customer at the new price"
        }
    };
    history.decoy_on_bills(S03, guard, raised_at);
}

pub(super) fn plant_s19(history: &mut History) {
    let medium = plan_of(FLEX_M);
    let line = match history.dice.below(3) {
        0 => old_line(history, medium, 29, 25),
        1 => old_line(history, medium, 20, 6),
        _ => {
            let line = old_line(history, medium, 20, 2);
            Line { customer_since: line.customer_since.plus_months(-40), ..line }
        }
    };
    history.start(&line);
    let since = line.customer_since.plus_months(24);
    let story = "new customers get the same for less";
    history.plant_on_bills(S19, story, medium.0, 3, |bill| since <= bill.at);
}

pub(super) fn decoy_s19(history: &mut History) {
    let (medium, large) = (plan_of(FLEX_M), plan_of(FLEX_L));
    let guard = match history.dice.below(3) {
        0 => {
            let line = old_line(history, medium, 29, 25);
            history.start(&Line { is_negotiated: true, ..line });
            "negotiated price"
        }
        1 => {
            let earliest = history.from.max(history.until.plus_months(-23));
            let line = history.young_line(earliest, earliest.plus_days(120));
            history.start(&Line { plan: medium.0, monthly: medium.1, ..line });
            "not yet two years a customer"
        }
        _ => {
            let line = old_line(history, large, 29, 25);
            history.start(&line);
            "less than 5 % above the newcomers' plan"
        }
    };
    history.decoy_on_bills(S19, guard, history.from);
}
