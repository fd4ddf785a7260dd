//! What happens to a customer from joining to leaving, and how often each story begins.

use super::agenda::Deed;
use super::offers::{LEGACY, PLANS, RELAUNCH_MONTHS, TODAY};
use super::scene::{Scene, midnight};
use super::{billing, promises, service, shop, voice};
use crate::model::EventTime;

/// How a story begins.
type Story = fn(&mut Scene<'_>);

/// How often each story begins, of 1000 moments. A customer has such a moment every 9 days on average.
pub(super) const STORIES: [(u64, Story); 16] = [
    (130, promises::callback),
    (60, promises::appointment),
    (110, promises::delivery),
    (215, service::question),
    (110, service::failure),
    (20, service::complaint),
    (120, shop::purchase),
    (40, shop::proactive_refund),
    (25, shop::preorder),
    (15, shop::quote),
    (40, billing::advice),
    (8, billing::cancellation),
    (65, voice::survey),
    (20, voice::consent),
    (15, voice::autopay),
    (7, voice::vulnerability),
];

/// A customer takes the seat: long ago on a legacy plan, or later on one of today's.
pub(super) fn join(scene: &mut Scene<'_>) {
    let is_legacy = scene.now < scene.from.plus_months(-RELAUNCH_MONTHS);
    let plan = scene.dice.pick(if is_legacy { &LEGACY } else { &TODAY });
    scene.customer.plan = plan;
    scene.customer.monthly_minor = PLANS[plan].monthly_minor;
    scene.customer.is_negotiated = is_legacy && scene.dice.chance(100);
    scene.customer.is_dormant = scene.dice.chance(20);
    let is_recent = scene.from.plus_months(-11) < scene.now;
    let has_term = is_recent && scene.dice.chance(300);
    billing::start(scene, has_term.then(|| midnight(scene.now).plus_months(12)));
    first_bill(scene);
    let first_day = scene.from.max(midnight(scene.now).plus_days(1));
    live_from(scene, first_day);
}

/// Bills begin with the month after joining, but not more than a month before the simulation does: the opening holds the last bill
/// of everybody who was there before, so that the first month already shows who pays too much twice running.
fn first_bill(scene: &mut Scene<'_>) {
    let earliest = midnight(scene.now.plus_days(1).max(scene.from.plus_months(-1)));
    let bill_day = i8::try_from(scene.dice.within(1, 28)).expect("a day of a month fits");
    let period_start = (0..31)
        .map(|days| earliest.plus_days(days))
        .find(|day| day.date().day() == bill_day)
        .expect("31 days in a row hold every day of the month up to 28");
    scene.customer.billed_to = period_start;
    let at = billing::billed_at(scene, period_start);
    scene.follow(at, Deed::Bill { period_start });
}

/// One story begins, and the next moment is set.
pub(super) fn live(scene: &mut Scene<'_>) {
    let story = scene.dice.weighted(&STORIES);
    story(scene);
    let today = midnight(scene.now);
    live_from(scene, today.plus_days(1));
}

fn live_from(scene: &mut Scene<'_>, day: EventTime) {
    let hours = scene.dice.within(8, 19);
    let days = scene.dice.within(0, 16);
    let minutes = scene.dice.within(0, 59);
    let at = day.plus_days(days).plus((hours * 60 + minutes) * super::scene::MINUTE_MS);
    scene.follow(at, Deed::Live);
}

/// Performs one deed of the customer on stage.
pub(super) fn perform(scene: &mut Scene<'_>, deed: Deed) {
    match deed {
        Deed::Join => join(scene),
        Deed::Bill { period_start } => billing::bill(scene, period_start),
        Deed::Live => live(scene),
        Deed::Switch => billing::switch(scene),
        Deed::OfferRenewal { term_end } => billing::offer_renewal(scene, term_end),
        Deed::Renew { term_end, monthly_minor, enbp_minor } => {
            billing::renew(scene, term_end, monthly_minor, enbp_minor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_the_stories_are_per_mille() {
        assert_eq!(STORIES.iter().map(|(share, _)| share).sum::<u64>(), 1000);
    }
}
