//! Vulnerable customers (S11): what follows for them from another squeeze of the line that is open for two weeks.

use super::super::scene::{HOUR_MS, LINE};
use super::history::History;
use super::planted::{Planted, PlantedSqueeze};
use crate::model::EventTime;
use crate::model::event::{Body, VulnerabilityDriver};
use crate::model::squeeze::SqueezeType::S11;

/// Customers of 1000 that are marked vulnerable at some time.
const VULNERABLE: u64 = 150;
/// Days a marker is active.
const MARKER_DAYS: i64 = 365;
/// Days another squeeze must have been open.
const OPEN_DAYS: i64 = 14;

/// Perhaps the customer turns out to be vulnerable, and perhaps recovers; plants what follows from the squeezes planted so far.
pub(super) fn perhaps_vulnerable(history: &mut History) {
    if !history.dice.chance(VULNERABLE) {
        return;
    }
    let day = history.day(history.from.plus_days(5), history.until.plus_months(-6));
    let marked_at = history.days_after(day, 0, 0);
    let driver = history.dice.pick(VulnerabilityDriver::ALL);
    history.tell(marked_at, "/crm", Body::VulnerabilityMarked { driver });
    let mut cleared_at = marked_at.plus_days(MARKER_DAYS);
    if history.dice.chance(330) {
        cleared_at = marked_at.plus_days(history.dice.within(60, 200)).plus(HOUR_MS);
        history.tell(cleared_at, "/crm", Body::VulnerabilityCleared);
    }
    follow(history, marked_at, cleared_at);
}

/// A bill between the two times shows every squeeze of the line that has been open for two weeks and is not over.
fn follow(history: &mut History, marked_at: EventTime, cleared_at: EventTime) {
    let causes: Vec<PlantedSqueeze> = history
        .planted
        .iter()
        .filter_map(|planted| match planted {
            Planted::Squeeze(squeeze) if squeeze.subscription_id.is_some() => Some(squeeze.clone()),
            _ => None,
        })
        .collect();
    let bills: Vec<EventTime> = history.bills.iter().map(|bill| bill.at).collect();
    for cause in causes {
        let shows = |at: &&EventTime| {
            marked_at <= **at
                && **at < cleared_at
                && cause.opens.plus_days(OPEN_DAYS) <= **at
                && cause.ended.is_none_or(|ended| **at < ended)
        };
        let key = &cause.dedup_key;
        match bills.iter().find(shows) {
            Some(at) => {
                history.plant(S11, &cause.story, Some(LINE), key, *at, key);
            }
            None => {
                let guard = "no bill while both the marker and another squeeze stood";
                history.decoy(S11, guard, Some(LINE), marked_at);
            }
        }
    }
}
