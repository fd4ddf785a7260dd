//! Stories of the shop: purchases, small gifts and what follows them, pre-orders with a price guarantee, quotes.

use super::offers::{ARTICLES, list_price, lowest_price, pounds};
use super::promises::remedy;
use super::scene::{HOUR_MS, LINE, Scene};
use crate::model::event::{Attested, Body, RemedyKind};
use crate::model::{EventTime, Text};

/// Something small is bought at once.
pub(super) fn purchase(scene: &mut Scene<'_>) {
    purchase_at(scene, scene.now);
}

fn purchase_at(scene: &mut Scene<'_>, at: EventTime) {
    let bought = Body::PurchaseCompleted {
        order_id: scene.name("order"),
        amount: Some(pounds(scene.dice.within(500, 4000))),
        voluntary: true,
        first_in_category: scene.dice.chance(150),
    };
    scene.tell(at, "/shop", bought);
}

/// £3.48 comes back for a failure that may have happened; two of three then buy within a day or so.
pub(super) fn proactive_refund(scene: &mut Scene<'_>) {
    let gift = Body::RemedyIssued {
        remedy_id: scene.name("gift"),
        kind: RemedyKind::Goodwill,
        amount: pounds(348),
        about_id: None,
        unprompted: true,
        failure_confirmed: false,
    };
    scene.tell(scene.now, "/billing", gift);
    if scene.dice.chance(650) {
        let at = scene.after(6 * HOUR_MS, 30 * HOUR_MS);
        purchase_at(scene, at);
    }
}

/// An article is ordered ahead, its price guaranteed for 30 days. If it falls meanwhile, the difference is due.
pub(super) fn preorder(scene: &mut Scene<'_>) {
    let order_id = scene.name("preorder");
    let article = scene.dice.pick(&ARTICLES);
    let paid = list_price(article, scene.from, scene.now);
    let until = scene.now.plus_days(30);
    let placed = Body::OrderPlaced {
        order_id: order_id.clone(),
        sku: Some(article.0.into()),
        price: Some(pounds(paid)),
        deliver_by: None,
        price_guarantee_until: Some(until),
    };
    scene.tell(scene.now, "/shop", placed);
    let fulfilled = Body::OrderFulfilled {
        order_id: order_id.clone(),
        complete: true,
        attested_by: Attested::System,
    };
    scene.tell(until.plus(-HOUR_MS), "/shop", fulfilled);
    let difference = paid - lowest_price(article, scene.from, scene.now, until);
    if difference > 0 {
        pay_difference(scene, order_id, until, difference);
    }
}

/// Six in ten are paid unasked within the days allowed, one in five later because they asked, the others never.
fn pay_difference(scene: &mut Scene<'_>, order_id: Text, until: EventTime, difference: i64) {
    let (is_unprompted, days) = match scene.dice.below(10) {
        0..6 => (true, (1, 5)),
        6..8 => (false, (10, 30)),
        _ => return,
    };
    let mut refund = remedy(scene, RemedyKind::Refund, difference, Some(order_id));
    if let Body::RemedyIssued { unprompted, .. } = &mut refund {
        *unprompted = is_unprompted;
    }
    let refunded_at = until.plus_days(scene.dice.within(days.0, days.1));
    scene.tell(refunded_at, "/billing", refund);
}

/// An extra is quoted; accepted quotes are charged as quoted, but for one in ten.
pub(super) fn quote(scene: &mut Scene<'_>) {
    let quote_id = scene.name("quote");
    let total = scene.dice.within(1000, 8000);
    let given = Body::QuoteGiven { quote_id: quote_id.clone(), total: pounds(total) };
    scene.tell(scene.now, "/shop", given);
    let answered_at = scene.in_days(1, 5);
    if scene.dice.chance(400) {
        return scene.tell(answered_at, "/shop", Body::QuoteDeclined { quote_id });
    }
    scene.tell(answered_at, "/shop", Body::QuoteAccepted { quote_id: quote_id.clone() });
    let hidden = if scene.dice.chance(100) { scene.dice.within(100, 900) } else { 0 };
    let charge = Body::ChargePosted {
        charge_id: scene.name("charge"),
        amount: pounds(total + hidden),
        subscription_id: Some(LINE.into()),
        service_start: None,
        quote_id: Some(quote_id),
        optional: false,
    };
    scene.tell(answered_at.plus(HOUR_MS), "/billing", charge);
}
