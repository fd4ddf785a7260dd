//! Money taken or kept once: outages (S06), credits (S08), quotes (S09), price guarantees (S10), fees (S13), refunds (S18).

use super::super::offers::{ARTICLES, Article, list_price, lowest_price, pounds};
use super::super::scene::{HOUR_MS, LINE};
use super::history::History;
use crate::model::event::{
    Attested, Body, Cause, DetectedBy, FeeKind, NoticeKind, Party, Scope, ServiceFailed,
};
use crate::model::squeeze::SqueezeType::{S06, S08, S09, S10, S13, S18};
use crate::model::{DAY_MS, EventTime, Text};

/// An outage of the line.
struct Outage {
    scope: Scope,
    cause: Cause,
    hours: i64,
    /// What the industry's scheme owes for it: more than the days without service are worth.
    scheme: Option<i64>,
}

/// The line fails and comes back; its id, and when it should have been made up for.
fn fail(history: &mut History, failed_at: EventTime, outage: &Outage) -> (Text, EventTime) {
    let failure_id = history.name("fault");
    let failed = ServiceFailed {
        failure_id: failure_id.clone(),
        severity: 3,
        subscription_id: Some(LINE.into()),
        detected_by: DetectedBy::Firm,
        scope: outage.scope,
        scheme_credit: outage.scheme.map(pounds),
        attested_by: Attested::System,
        cause: outage.cause,
    };
    history.tell(failed_at, "/network", Body::ServiceFailed(Box::new(failed)));
    let restored_at = failed_at.plus(outage.hours * HOUR_MS);
    let restored =
        Body::ServiceRestored { failure_id: failure_id.clone(), attested_by: Attested::System };
    history.tell(restored_at, "/network", restored);
    (failure_id, restored_at.plus_days(30))
}

/// Two days without service, and £6 to £30 owed for it.
fn total_outage(history: &mut History, cause: Cause) -> (Outage, i64) {
    let owed = history.dice.within(600, 3000);
    (Outage { scope: Scope::Total, cause, hours: 48, scheme: Some(owed) }, owed)
}

pub(super) fn plant_s06(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let cause = history.dice.pick(&[Cause::Firm, Cause::Supplier, Cause::ForceMajeure]);
    let (outage, owed) = total_outage(history, cause);
    let (story, outage) = match history.dice.below(3) {
        0 => {
            let hours = history.dice.within(240, 480);
            ("days without service, nothing paid", Outage { hours, scheme: None, ..outage })
        }
        1 => ("the scheme's credit not paid", outage),
        _ => ("less paid than the scheme's credit", outage),
    };
    let (failure_id, due) = fail(history, at, &outage);
    if story.starts_with("less") {
        history.remedy(due.plus_days(-20), &failure_id, owed * 3 / 4);
    }
    if history.plant(S06, story, Some(LINE), &failure_id, due, &failure_id) {
        history.maybe_refund_last(due, 10_000);
    }
}

pub(super) fn decoy_s06(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let (outage, owed) = total_outage(history, Cause::Firm);
    let (guard, paid, outage) = match history.dice.below(4) {
        0 => {
            ("made up for within the month", history.dice.within(owed * 81 / 100 + 1, owed), outage)
        }
        1 => ("the customer's own doing", 0, Outage { cause: Cause::Customer, ..outage }),
        2 => ("service went on in part", 0, Outage { scope: Scope::Partial, ..outage }),
        _ => ("worth less than a pound", 0, Outage { hours: 8, scheme: None, ..outage }),
    };
    let (failure_id, due) = fail(history, at, &outage);
    if paid > 0 {
        let paid_at = due.plus_days(-history.dice.within(1, 28));
        history.remedy(paid_at, &failure_id, paid);
    }
    history.decoy(S06, guard, Some(LINE), due);
}

/// A credit that expires with `left` pence; its id and when. `noticed_days`: told so many days before.
fn expire(
    history: &mut History,
    granted_at: EventTime,
    left: i64,
    noticed_days: Option<i64>,
) -> (Text, EventTime) {
    let credit_id = history.name("credit");
    let used = history.dice.within(100, 900);
    let paid_for = history.dice.chance(600);
    let granted =
        Body::CreditGranted { credit_id: credit_id.clone(), amount: pounds(left + used), paid_for };
    history.tell(granted_at, "/billing", granted);
    let spent = Body::CreditUsed { credit_id: credit_id.clone(), amount: pounds(used) };
    history.tell(granted_at.plus_days(10), "/billing", spent);
    let expired_at = history.days_after(granted_at, 60, 100);
    if let Some(days) = noticed_days {
        let notice = Body::NoticeSent {
            kind: NoticeKind::CreditExpiry,
            subscription_id: None,
            about_id: Some(credit_id.clone()),
            states_price: false,
        };
        history.tell(expired_at.plus_days(-days), "/crm", notice);
    }
    history.tell(expired_at, "/billing", Body::CreditExpired { credit_id: credit_id.clone() });
    (credit_id, expired_at)
}

pub(super) fn plant_s08(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let left = history.dice.within(500, 4000);
    let (story, noticed_days) =
        history.dice.pick(&[("expired unsaid", None), ("expired, told too early", Some(35))]);
    let (credit_id, expired_at) = expire(history, at, left, noticed_days);
    if history.plant(S08, story, None, &credit_id, expired_at, &credit_id) {
        history.maybe_refund_last(expired_at, left);
    }
}

pub(super) fn decoy_s08(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let (guard, expired_at) = if history.dice.chance(500) {
        let days = history.dice.within(1, 29);
        ("told that it expires", expire(history, at, 2500, Some(days)).1)
    } else {
        let left = history.dice.within(0, 499);
        ("less than five pounds left", expire(history, at, left, None).1)
    };
    history.decoy(S08, guard, None, expired_at);
}

/// A quote, accepted, and its charges one hour apart: minor units, and whether the customer chose it as an extra.
struct Quoted {
    quote_id: Text,
    subscription: Option<&'static str>,
    last_charge: (Text, EventTime),
}

fn quote(history: &mut History, at: EventTime, total: i64, charges: &[(i64, bool)]) -> Quoted {
    let quote_id = history.name("quote");
    let given = Body::QuoteGiven { quote_id: quote_id.clone(), total: pounds(total) };
    history.tell(at, "/shop", given);
    history.tell(at.plus(HOUR_MS), "/shop", Body::QuoteAccepted { quote_id: quote_id.clone() });
    let subscription = history.dice.pick(&[None, Some(LINE)]);
    let mut last_charge = (quote_id.clone(), at);
    for (n, (minor, optional)) in charges.iter().enumerate() {
        let charge_id = history.name("charge");
        let charged_at = at.plus((2 + i64::try_from(n).expect("few charges")) * HOUR_MS);
        let charge = Body::ChargePosted {
            charge_id: charge_id.clone(),
            amount: pounds(*minor),
            subscription_id: subscription.map(Into::into),
            service_start: None,
            quote_id: Some(quote_id.clone()),
            optional: *optional,
        };
        history.tell(charged_at, "/billing", charge);
        last_charge = (charge_id, charged_at);
    }
    Quoted { quote_id, subscription, last_charge }
}

pub(super) fn plant_s09(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let (total, hidden) = (history.dice.within(1000, 8000), history.dice.within(100, 900));
    let (story, charges) = if history.dice.chance(500) {
        ("charged more than quoted", vec![(total + hidden, false)])
    } else {
        (
            "a second charge beyond the quote",
            vec![(total * 3 / 5, false), (total - total * 3 / 5 + hidden, false)],
        )
    };
    let quoted = quote(history, at, total, &charges);
    let (charge_id, charged_at) = quoted.last_charge;
    if history.plant(S09, story, quoted.subscription, &quoted.quote_id, charged_at, &charge_id) {
        history.maybe_refund_last(charged_at, hidden);
    }
}

pub(super) fn decoy_s09(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let total = history.dice.within(1000, 8000);
    let (guard, charges) = match history.dice.below(3) {
        0 => ("the customer chose an extra", vec![(total, false), (900, true)]),
        1 => ("within the tolerance", vec![(total + history.dice.within(1, 50), false)]),
        _ => ("charged as quoted", vec![(total / 2, false), (total - total / 2, false)]),
    };
    let quoted = quote(history, at, total, &charges);
    history.decoy(S09, guard, quoted.subscription, quoted.last_charge.1);
}

/// A pre-order with its price guaranteed for 30 days.
struct Preorder {
    article: Article,
    at: EventTime,
    until: EventTime,
    paid: i64,
    lowest: i64,
}

/// A pre-order of which `fits` is true, if one is found soon.
fn preorder(
    history: &mut History,
    fits: impl Fn(&Preorder, EventTime) -> bool,
) -> Option<Preorder> {
    for _ in 0..20 {
        let at = history.moment()?;
        let (article, from, until) = (history.dice.pick(&ARTICLES), history.from, at.plus_days(30));
        let paid = list_price(article, from, at);
        let lowest = lowest_price(article, from, at, until);
        let order = Preorder { article, at, until, paid, lowest };
        if fits(&order, from) {
            return Some(order);
        }
    }
    None
}

impl Preorder {
    fn place(&self, history: &mut History) -> Text {
        let order_id = history.name("preorder");
        let placed = Body::OrderPlaced {
            order_id: order_id.clone(),
            sku: Some(self.article.0.into()),
            price: Some(pounds(self.paid)),
            deliver_by: None,
            price_guarantee_until: Some(self.until),
        };
        history.tell(self.at, "/shop", placed);
        order_id
    }
}

pub(super) fn plant_s10(history: &mut History) {
    let Some(order) = preorder(history, |order, _| order.lowest < order.paid) else { return };
    let order_id = order.place(history);
    let judged_at = order.until.plus_days(7);
    let missing = order.paid - order.lowest;
    let story = if history.dice.chance(700) {
        "the difference was not paid"
    } else {
        history.remedy(order.until.plus_days(3), &order_id, missing / 2);
        "half of the difference was paid"
    };
    if history.plant(S10, story, None, &order_id, judged_at, &order_id) {
        history.maybe_refund_last(judged_at, missing);
    }
}

pub(super) fn decoy_s10(history: &mut History) {
    let variant = history.dice.below(3);
    let order = preorder(history, |order, from| match variant {
        0 => order.lowest < order.paid,
        1 => order.lowest == order.paid,
        _ => {
            let later = list_price(order.article, from, order.until.plus_days(5));
            order.lowest == order.paid && later < order.paid
        }
    });
    let Some(order) = order else { return };
    let order_id = order.place(history);
    let guard = match variant {
        0 => {
            history.remedy(order.until.plus_days(2), &order_id, order.paid - order.lowest);
            "the difference was paid"
        }
        1 => "the price did not fall",
        _ => "the price fell after the guarantee",
    };
    history.decoy(S10, guard, None, order.until.plus_days(7));
}

/// A fee.
fn fee(
    history: &mut History,
    at: EventTime,
    kind: FeeKind,
    cause: Option<&str>,
    subscription: Option<&'static str>,
) -> Text {
    let fee_id = history.name("fee");
    let charged = Body::FeeCharged {
        fee_id: fee_id.clone(),
        kind,
        amount: pounds(700),
        cause_id: cause.map(Into::into),
        subscription_id: subscription.map(Into::into),
    };
    history.tell(at, "/billing", charged);
    fee_id
}

pub(super) fn plant_s13(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let (cause, on) = (history.name("late"), history.dice.pick(&[None, Some(LINE)]));
    fee(history, at, FeeKind::Penalty, Some(&cause), on);
    let again_at = at.plus_days(history.dice.within(1, 34));
    let fee_id = fee(history, again_at, FeeKind::Penalty, Some(&cause), on);
    if history.plant(S13, "a second penalty for one cause", on, &cause, again_at, &fee_id)
        && history.dice.chance(300)
    {
        let waived_at = history.days_after(again_at, 2, 40);
        history.tell(waived_at, "/billing", Body::FeeWaived { fee_id });
        history.end_last(waived_at);
    }
}

pub(super) fn decoy_s13(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let cause = history.name("late");
    let first = fee(history, at, FeeKind::Penalty, Some(&cause), Some(LINE));
    let soon = at.plus_days(history.dice.within(3, 34));
    let (guard, again_at, kind, again) = match history.dice.below(5) {
        0 => {
            history.tell(at.plus_days(1), "/billing", Body::FeeWaived { fee_id: first });
            ("the first was waived", soon, FeeKind::Penalty, Some(cause))
        }
        1 => {
            let later = at.plus_days(history.dice.within(36, 70));
            ("more than 35 days apart", later, FeeKind::Penalty, Some(cause))
        }
        2 => ("another cause", soon, FeeKind::Penalty, Some(history.name("late"))),
        3 => ("for administration", soon, FeeKind::Admin, Some(cause)),
        _ => ("no cause known", soon, FeeKind::Penalty, None),
    };
    fee(history, again_at, kind, again.as_deref(), Some(LINE));
    history.decoy(S13, guard, Some(LINE), again_at);
}

/// A refund of `minor` pence is agreed; its id and when it is due.
fn agree(history: &mut History, at: EventTime, minor: i64) -> (Text, EventTime) {
    let refund_id = history.name("refund");
    // Nothing said of a day means two weeks.
    let said_days = history.dice.pick(&[None, Some(7), Some(21)]);
    let due_at = said_days.map(|days| at.plus_days(days));
    let agreed = Body::RefundAgreed { refund_id: refund_id.clone(), amount: pounds(minor), due_at };
    history.tell(at, "/billing", agreed);
    (refund_id, at.plus_days(said_days.unwrap_or(14)))
}

fn pay(history: &mut History, at: EventTime, refund_id: Text, minor: i64) {
    let amount = pounds(minor);
    let paid = Body::RefundPaid { refund_id, amount, attested_by: Attested::System };
    history.tell(at, "/billing", paid);
}

pub(super) fn plant_s18(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let minor = history.dice.within(300, 20_000);
    let (refund_id, due) = agree(history, at, minor);
    let promise_id = format!("refund/{refund_id}");
    history.plant(S18, "an agreed refund did not come", None, &promise_id, due, &promise_id);
    if history.dice.chance(500) {
        let paid_at = due.plus(history.dice.within(DAY_MS, 40 * DAY_MS));
        pay(history, paid_at, refund_id, minor);
    }
}

pub(super) fn decoy_s18(history: &mut History) {
    let Some(at) = history.moment() else { return };
    let minor = history.dice.within(300, 20_000);
    let (refund_id, due) = agree(history, at, minor);
    let guard = if history.dice.chance(600) {
        let paid_at = due.plus(-history.dice.within(HOUR_MS, 6 * DAY_MS));
        pay(history, paid_at, refund_id, minor);
        "paid in time"
    } else {
        let new_due_at = due.plus_days(10);
        let promise_id = format!("refund/{refund_id}").into();
        let moved = Body::PromiseRenegotiated { promise_id, new_due_at, by: Party::Customer };
        history.tell(due.plus_days(-2), "/crm", moved);
        pay(history, new_due_at.plus(-HOUR_MS), refund_id, minor);
        "the customer agreed to a later day"
    };
    history.decoy(S18, guard, None, due);
}
