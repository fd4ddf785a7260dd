//! Stories of promises: callbacks, appointments, deliveries.

use super::offers::{ARTICLES, list_price, pounds};
use super::scene::{HOUR_MS, Scene};
use crate::model::event::{
    Attested, Basis, Beneficiary, Body, Cause, NoticeKind, Party, RemedyKind, Verdict,
};
use crate::model::{DAY_MS, EventTime, Text};

/// What becomes of a promise.
#[derive(Debug, Clone, Copy)]
enum End {
    Kept,
    Late,
    LateButTold,
    /// Nobody says anything: broken by absence.
    Silent,
    /// The firm says so, and makes up for it.
    Owned,
    MovedByFirm,
    MovedByCustomer,
    Withdrawn,
    /// The firm claims it was kept, the customer that it was not.
    Contradicted,
}

const ENDS: [(u64, End); 9] = [
    (740, End::Kept),
    (60, End::Late),
    (40, End::LateButTold),
    (60, End::Silent),
    (30, End::Owned),
    (25, End::MovedByFirm),
    (15, End::MovedByCustomer),
    (10, End::Withdrawn),
    (20, End::Contradicted),
];

/// "We will call you back", within two days.
pub(super) fn callback(scene: &mut Scene<'_>) {
    let due_at = scene.after(2 * HOUR_MS, 48 * HOUR_MS);
    let promise_id = scene.name("call");
    make(scene, promise_id, "callback", due_at);
}

/// "An engineer will come", within ten days.
pub(super) fn appointment(scene: &mut Scene<'_>) {
    let due_at = scene.in_days(3, 10);
    let promise_id = scene.name("visit");
    make(scene, promise_id, "appointment", due_at);
}

fn make(scene: &mut Scene<'_>, promise_id: Text, kind: &str, due_at: EventTime) {
    let made = Body::PromiseMade {
        promise_id: promise_id.clone(),
        kind: kind.into(),
        due_at,
        grace_ms: 0,
        stake: None,
        basis: Basis::Explicit,
        beneficiary: Beneficiary::Customer,
    };
    scene.tell_of_agent(scene.now, "phone", made);
    let end = scene.dice.weighted(&ENDS);
    conclude(scene, promise_id, due_at, end);
}

fn conclude(scene: &mut Scene<'_>, promise_id: Text, due_at: EventTime, end: End) {
    let horizon = due_at.since(scene.now);
    let in_time = scene.after(horizon / 5, horizon - horizon / 20);
    let late = due_at.plus(scene.dice.within(HOUR_MS, 24 * HOUR_MS));
    let kept = Body::PromiseKept { promise_id: promise_id.clone(), attested_by: Attested::Agent };
    match end {
        End::Silent => {}
        End::Kept => scene.tell_of_agent(in_time, "phone", kept),
        End::Late => scene.tell_of_agent(late, "phone", kept),
        End::LateButTold => {
            scene.tell(in_time, "/crm", notice(NoticeKind::Delay, Some(promise_id)));
            scene.tell_of_agent(late, "phone", kept);
        }
        End::Owned => {
            let broken = Body::PromiseBroken {
                promise_id: promise_id.clone(),
                attested_by: Attested::System,
                cause: Cause::Firm,
            };
            scene.tell(late, "/crm", broken);
            let remedy = remedy(scene, RemedyKind::Credit, 500, Some(promise_id));
            scene.tell(late.plus(HOUR_MS), "/billing", remedy);
        }
        End::MovedByFirm => moved(scene, promise_id, due_at, in_time, Party::Firm),
        End::MovedByCustomer => moved(scene, promise_id, due_at, in_time, Party::Customer),
        End::Withdrawn => scene.tell(in_time, "/crm", Body::PromiseWithdrawn { promise_id }),
        End::Contradicted => {
            scene.tell_of_agent(in_time, "phone", kept);
            let verdict = Body::PromiseVerdictGiven { promise_id, verdict: Verdict::Broken };
            scene.tell(late, "/survey", verdict);
        }
    }
}

fn moved(
    scene: &mut Scene<'_>,
    promise_id: Text,
    due_at: EventTime,
    moved_at: EventTime,
    by: Party,
) {
    let new_due_at = due_at.plus(2 * DAY_MS);
    let moved = Body::PromiseRenegotiated { promise_id: promise_id.clone(), new_due_at, by };
    scene.tell(moved_at, "/crm", moved);
    let kept = Body::PromiseKept { promise_id, attested_by: Attested::System };
    scene.tell(new_due_at.plus(-HOUR_MS), "/crm", kept);
}

/// Something is bought, to be delivered by a day: in time, late, or never and refunded.
pub(super) fn delivery(scene: &mut Scene<'_>) {
    let order_id = scene.name("order");
    let article = scene.dice.pick(&ARTICLES);
    let price = pounds(list_price(article, scene.from, scene.now));
    let deliver_by = scene.in_days(2, 6);
    let placed = Body::OrderPlaced {
        order_id: order_id.clone(),
        sku: Some(article.0.into()),
        price: Some(price),
        deliver_by: Some(deliver_by),
        price_guarantee_until: None,
    };
    scene.tell(scene.now, "/shop", placed);
    let purchase = Body::PurchaseCompleted {
        order_id: order_id.clone(),
        amount: Some(price),
        voluntary: true,
        first_in_category: scene.dice.chance(100),
    };
    scene.tell(scene.now, "/shop", purchase);
    match scene.dice.weighted(&[(820, End::Kept), (130, End::Late), (50, End::Silent)]) {
        End::Silent => undelivered(scene, price.minor, deliver_by),
        end => {
            let is_late = matches!(end, End::Late);
            let (lo, hi) = if is_late { (HOUR_MS, 3 * DAY_MS) } else { (-DAY_MS, 0) };
            let at = deliver_by.plus(scene.dice.within(lo, hi));
            let fulfilled =
                Body::OrderFulfilled { order_id, complete: true, attested_by: Attested::System };
            scene.tell(at, "/shop", fulfilled);
        }
    }
}

/// A refund is agreed a week later, and nearly always paid in time.
fn undelivered(scene: &mut Scene<'_>, minor: i64, deliver_by: EventTime) {
    let refund_id = scene.name("refund");
    let agreed_at = deliver_by.plus_days(7);
    let agreed =
        Body::RefundAgreed { refund_id: refund_id.clone(), amount: pounds(minor), due_at: None };
    scene.tell(agreed_at, "/billing", agreed);
    let days = if scene.dice.chance(800) { (1, 13) } else { (15, 40) };
    let paid_at = agreed_at.plus_days(scene.dice.within(days.0, days.1));
    let paid = Body::RefundPaid { refund_id, amount: pounds(minor), attested_by: Attested::System };
    scene.tell(paid_at, "/billing", paid);
}

/// A notice of `kind` about a promise or failure.
pub(super) const fn notice(kind: NoticeKind, about_id: Option<Text>) -> Body {
    Body::NoticeSent { kind, subscription_id: None, about_id, states_price: false }
}

/// Money back about something, because of it.
pub(super) fn remedy(
    scene: &mut Scene<'_>,
    kind: RemedyKind,
    minor: i64,
    about_id: Option<Text>,
) -> Body {
    Body::RemedyIssued {
        remedy_id: scene.name("remedy"),
        kind,
        amount: pounds(minor),
        about_id,
        unprompted: false,
        failure_confirmed: true,
    }
}
