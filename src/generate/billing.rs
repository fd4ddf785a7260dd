//! Stories of money owed month by month: joining, bills, better plans told or kept quiet, renewals, and bills after the end.

use super::agenda::Deed;
use super::offers::{PLANS, pounds};
use super::promises::remedy;
use super::scene::{HOUR_MS, LINE, Scene, midnight};
use crate::model::Text;
use crate::model::event::{
    Attested, BilledSubscription, Body, Invoice, InvoiceLine, LineKind, NoticeKind, Party,
    RemedyKind, Renewal, RenewalMode, SubscriptionStarted,
};
use crate::model::{DAY_MS, EventTime, Period};

/// The line begins; with `term_end`, for a minimum term.
pub(super) fn start(scene: &mut Scene<'_>, term_end: Option<EventTime>) {
    let customer = &*scene.customer;
    let started = SubscriptionStarted {
        subscription_id: LINE.into(),
        plan_id: PLANS[customer.plan].id.into(),
        price: pounds(customer.monthly_minor),
        period: Period::MONTH,
        customer_since: midnight(scene.now),
        term_end,
        exit_fee: term_end.map(|_| pounds(5000)),
        notice_period_ms: 0,
        trial_end: None,
        signup_steps: 3,
        segment: None,
        negotiated: customer.is_negotiated,
        usage_expected: true,
    };
    scene.tell(scene.now, "/billing", Body::SubscriptionStarted(Box::new(started)));
    if let Some(term_end) = term_end {
        scene.follow(term_end.plus_days(-30), Deed::OfferRenewal { term_end });
    }
}

/// One month is billed in advance, a quarter of the time with extra use.
pub(super) fn bill(scene: &mut Scene<'_>, period_start: EventTime) {
    let extra_minor = if scene.dice.chance(250) { scene.dice.within(50, 900) } else { 0 };
    let invoice = invoice(scene.customer.monthly_minor, extra_minor, period_start);
    scene.tell(scene.now, "/billing", Body::InvoiceIssued(Box::new(invoice)));
    if !scene.customer.is_dormant {
        let gigabytes = scene.dice.within(1, 60) as f64;
        let usage = Body::UsageReported { subscription_id: LINE.into(), quantity: gigabytes };
        scene.tell(scene.now.plus(HOUR_MS), "/network", usage);
    }
    scene.customer.overcharged_minor += scene.customer.saving_minor();
    scene.customer.billed_to = period_start.plus_months(1);
    let next = scene.customer.billed_to;
    let at = billed_at(scene, next);
    scene.follow(at, Deed::Bill { period_start: next });
}

/// When the month from `period_start` on is billed.
pub(super) fn billed_at(scene: &mut Scene<'_>, period_start: EventTime) -> EventTime {
    // Before the hours in which stories begin, so that none sees a day half billed.
    period_start.plus(scene.dice.within(5 * HOUR_MS, 7 * HOUR_MS))
}

fn invoice(monthly_minor: i64, extra_minor: i64, period_start: EventTime) -> Invoice {
    let line = |kind, minor, service_end| InvoiceLine {
        kind,
        amount: pounds(minor),
        service_end,
        cause: Party::Firm,
    };
    let lines = if extra_minor == 0 {
        Vec::new()
    } else {
        vec![
            line(LineKind::Recurring, monthly_minor, None),
            line(LineKind::Usage, extra_minor, Some(period_start)),
        ]
    };
    Invoice {
        invoice_id: format!("inv-{}", period_start.date()).into(),
        total: pounds(monthly_minor + extra_minor),
        recurring_minor: monthly_minor,
        subscription: Some(BilledSubscription {
            subscription_id: LINE.into(),
            plan_id: None,
            period_start,
            period_end: period_start.plus_months(1),
        }),
        lines,
    }
}

/// The firm tells a holder of a legacy plan of the better one; anybody else, that use runs high.
pub(super) fn advice(scene: &mut Scene<'_>) {
    let Some(better) = scene.customer.better_plan() else { return usage_alert(scene) };
    let advice_id = scene.name("advice");
    let advised = Body::SavingsAdvised {
        advice_id: advice_id.clone(),
        subscription_id: LINE.into(),
        plan_id: PLANS[better].id.into(),
        saving_monthly: pounds(scene.customer.saving_minor()),
    };
    scene.tell(scene.now, "/crm", advised);
    let answered_at = scene.in_days(1, 9);
    if scene.dice.chance(700) {
        scene.tell(answered_at, "/crm", Body::OfferAccepted { advice_id });
        scene.follow(answered_at, Deed::Switch);
    } else {
        let declined = Body::OfferDeclined {
            subscription_id: LINE.into(),
            plan_id: PLANS[better].id.into(),
            informed: true,
        };
        scene.tell(answered_at, "/crm", declined);
    }
}

fn usage_alert(scene: &mut Scene<'_>) {
    let alert = Body::NoticeSent {
        kind: NoticeKind::UsageAlert,
        subscription_id: Some(LINE.into()),
        about_id: None,
        states_price: false,
    };
    scene.tell(scene.now, "/network", alert);
}

/// The customer moves to the better plan, and half the time the firm gives back what the old one cost too much.
pub(super) fn switch(scene: &mut Scene<'_>) {
    let Some(better) = scene.customer.better_plan() else { return };
    let old = PLANS[scene.customer.plan].id;
    scene.customer.plan = better;
    scene.customer.monthly_minor = PLANS[better].monthly_minor;
    let changed = Body::PlanChanged {
        subscription_id: LINE.into(),
        plan_id: PLANS[better].id.into(),
        price: pounds(PLANS[better].monthly_minor),
        period: Period::MONTH,
        initiated_by: scene.dice.pick(&[Party::Customer, Party::Firm]),
    };
    scene.tell(scene.now, "/billing", changed);
    let overcharged_minor = std::mem::take(&mut scene.customer.overcharged_minor);
    if scene.dice.chance(500) && overcharged_minor > 0 {
        // The next bill, at the new price, has stopped the squeeze by then.
        let refund = remedy(scene, RemedyKind::Refund, overcharged_minor, Some(old.into()));
        let refunded_at = scene.in_days(35, 45);
        scene.tell(refunded_at, "/billing", refund);
    }
}

/// Thirty days before the end of a term: a notice, mostly, and an offer, sometimes dearer than a newcomer's.
pub(super) fn offer_renewal(scene: &mut Scene<'_>, term_end: EventTime) {
    if scene.dice.chance(800) {
        let notice = Body::NoticeSent {
            kind: NoticeKind::Renewal,
            subscription_id: Some(LINE.into()),
            about_id: None,
            states_price: scene.dice.chance(900),
        };
        scene.tell(scene.now, "/crm", notice);
    }
    let enbp_minor = PLANS[scene.customer.plan].monthly_minor;
    let walk_minor = if scene.dice.chance(300) { enbp_minor * 12 / 100 } else { 0 };
    let monthly_minor = scene.customer.monthly_minor + walk_minor;
    let offer = renewal(monthly_minor, enbp_minor, term_end);
    scene.tell(term_end.plus_days(-20), "/billing", Body::RenewalOffered(Box::new(offer)));
    scene.follow(term_end, Deed::Renew { term_end, monthly_minor, enbp_minor });
}

/// The term ends and is renewed for a year.
pub(super) fn renew(
    scene: &mut Scene<'_>,
    term_end: EventTime,
    monthly_minor: i64,
    enbp_minor: i64,
) {
    scene.customer.monthly_minor = monthly_minor;
    let next_end = term_end.plus_months(12);
    let completed = Body::RenewalCompleted {
        renewal: Box::new(renewal(monthly_minor, enbp_minor, term_end)),
        mode: scene.dice.weighted(&[(700, RenewalMode::Passive), (300, RenewalMode::Active)]),
        term_end: Some(next_end),
    };
    scene.tell(scene.now, "/billing", completed);
    scene.follow(next_end.plus_days(-30), Deed::OfferRenewal { term_end: next_end });
}

fn renewal(monthly_minor: i64, enbp_minor: i64, term_end: EventTime) -> Renewal {
    Renewal {
        subscription_id: LINE.into(),
        renewal_id: format!("renewal-{}", term_end.date()).into(),
        price: pounds(monthly_minor * 12),
        enbp_minor: Some(enbp_minor * 12),
        term_months: 12,
    }
}

/// The customer cancels and goes; one in three is billed all the same.
pub(super) fn cancellation(scene: &mut Scene<'_>) {
    let request_id = scene.name("cancel");
    let requested =
        Body::CancelRequested { request_id: request_id.clone(), subscription_id: LINE.into() };
    scene.tell(scene.now, "/crm", requested);
    if scene.dice.chance(250) {
        hindrance(scene, &request_id);
    }
    if scene.dice.chance(900) {
        let is_late = scene.dice.chance(150);
        let (lo, hi) = if is_late { (3 * DAY_MS, 6 * DAY_MS) } else { (HOUR_MS, 20 * HOUR_MS) };
        let at = scene.after(lo, hi);
        let attested_by = Attested::System;
        let completed = Body::CancelCompleted { request_id: request_id.clone(), attested_by };
        scene.tell(at, "/billing", completed);
    }
    if scene.dice.chance(330) {
        charge_after_cancellation(scene, request_id);
    }
    farewell(scene);
}

/// Steps and offers in the way of the one who wants to go.
fn hindrance(scene: &mut Scene<'_>, request_id: &str) {
    for step in 1..=scene.dice.pick(&[2, 4, 8_u16]) {
        let taken = Body::CancelStepTaken {
            request_id: request_id.into(),
            step,
            save_offer: step.is_multiple_of(2),
        };
        scene.tell(scene.now.plus(i64::from(step) * 60_000), "/crm", taken);
    }
}

/// One to three months are billed that nobody asked for, or a charge is posted; half of it comes back.
fn charge_after_cancellation(scene: &mut Scene<'_>, request_id: Text) {
    let (monthly_minor, mut period_start) =
        (scene.customer.monthly_minor, scene.customer.billed_to);
    let mut taken_minor = 0;
    if scene.dice.chance(250) {
        let charge = Body::ChargePosted {
            charge_id: scene.name("charge"),
            amount: pounds(monthly_minor),
            subscription_id: Some(LINE.into()),
            service_start: None,
            quote_id: None,
            optional: false,
        };
        let charged_at = scene.in_days(2, 12);
        scene.tell(charged_at, "/billing", charge);
        taken_minor += monthly_minor;
    } else {
        for _ in 0..scene.dice.within(1, 3) {
            let at = billed_at(scene, period_start);
            let invoice = invoice(monthly_minor, 0, period_start);
            scene.tell(at, "/billing", Body::InvoiceIssued(Box::new(invoice)));
            period_start = period_start.plus_months(1);
            taken_minor += monthly_minor;
        }
    }
    if scene.dice.chance(500) {
        let refund = remedy(scene, RemedyKind::Refund, taken_minor, Some(request_id));
        let refunded_at = period_start.plus_days(scene.dice.within(15, 30));
        scene.tell(refunded_at, "/billing", refund);
    }
}

/// The account closes, somebody else takes the seat, and a few ask to be forgotten once all is over.
fn farewell(scene: &mut Scene<'_>) {
    let closed_at = scene.in_days(130, 140);
    scene.tell(closed_at, "/crm", Body::AccountClosed { voluntary: true });
    if scene.dice.chance(100) {
        let erased_at = scene.in_days(200, 230);
        scene.tell(erased_at, "/crm", Body::ErasureRequested);
    }
    let taken_at = scene.in_days(1, 40);
    scene.hand_over(taken_at);
}
