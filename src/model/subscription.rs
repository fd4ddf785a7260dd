//! What is remembered of one subscription: the record a bill is judged against.

use serde::{Deserialize, Serialize};

use super::event::{NoticeKind, SubscriptionStarted};
use super::fact::{Fact, Stamp, keep_latest};
use super::squeeze::Tally;
use super::step::Step;
use super::{EventTime, Money, Text};

/// Notices of one kind remembered: the latest.
const NOTICES: usize = 2;

/// One subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Names it within the customer.
    pub id: Text,
    /// The latest event about it: of too many, the one of oldest goes.
    pub latest_event: EventTime,
    /// How it started, by the last writer.
    pub start: Fact<SubscriptionStarted>,
    /// The plan it is on, since the stamp's time, by the last writer.
    pub plan: Fact<Text>,
    /// What it costs a month, by the last writer.
    pub price: Fact<Money>,
    /// What it costs a month by its start or last renewal.
    pub in_term_price: Fact<Money>,
    /// End of the term in force.
    pub term_end: Option<EventTime>,
    /// When it was last billed, and how much a month, minor units.
    pub last_bill: Option<(EventTime, i64)>,
    /// When it was last used.
    pub last_usage: Option<EventTime>,
    /// The latest of each kind.
    notices: Vec<(NoticeKind, EventTime)>,
    /// The last informed decline of an offer: when, and of which plan.
    pub declined: Option<Fact<Text>>,
    /// When savings were last pointed out.
    pub advised_at: Option<EventTime>,
    /// The better plan last identified.
    pub better_plan: Option<Text>,
    /// The last request to cancel.
    pub request: Option<CancelRequest>,
    /// Decayed n, sum and sum of squares of the bills' totals.
    pub totals: Tally,
    /// The first paid bill after the trial has been judged.
    pub is_trial_judged: bool,
}

/// A request to cancel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Names it within the customer.
    pub id: Text,
    /// When it was made.
    pub requested_at: EventTime,
    /// Contacts about it.
    pub contacts: u32,
    /// Offers made to keep the customer.
    pub save_offers: u32,
    /// When it was completed.
    pub completed_at: Option<EventTime>,
    /// Obstruction has been found.
    pub is_obstructed: bool,
}

impl Subscription {
    /// The record a start opens. `monthly` is the price of a month.
    pub fn new(at: Stamp, started: SubscriptionStarted, monthly: Money) -> Self {
        Self {
            id: started.subscription_id.clone(),
            latest_event: at.time,
            plan: Fact::new(at.clone(), started.plan_id.clone()),
            price: Fact::new(at.clone(), monthly),
            in_term_price: Fact::new(at.clone(), monthly),
            term_end: started.term_end,
            start: Fact::new(at, started),
            last_bill: None,
            last_usage: None,
            notices: Vec::new(),
            declined: None,
            advised_at: None,
            better_plan: None,
            request: None,
            totals: Tally::default(),
            is_trial_judged: false,
        }
    }

    /// Takes in another start of the same subscription: the last writer wins, fact by fact. Whether it won the start itself.
    pub fn restart(&mut self, at: Stamp, started: SubscriptionStarted, monthly: Money) -> bool {
        self.plan.keep_latest(Fact::new(at.clone(), started.plan_id.clone()));
        self.price.keep_latest(Fact::new(at.clone(), monthly));
        self.in_term_price.keep_latest(Fact::new(at.clone(), monthly));
        let is_latest = self.start.at <= at;
        if is_latest {
            self.term_end = started.term_end;
        }
        self.start.keep_latest(Fact::new(at, started));
        is_latest
    }

    /// What the firm and the customer are to each other since.
    pub fn customer_since(&self) -> EventTime {
        self.start.value.customer_since
    }

    /// The customer's monthly charge: the last bill's, before the first bill the record's price.
    pub fn monthly_charge(&self) -> i64 {
        self.last_bill.map_or(self.price.value.minor, |(_, monthly)| monthly)
    }

    /// Not cancelled.
    pub fn is_active(&self) -> bool {
        self.request.as_ref().is_none_or(|request| request.completed_at.is_none())
    }

    /// When cancelling takes effect, if it was asked for.
    pub fn cancelled_from(&self) -> Option<EventTime> {
        self.request
            .as_ref()
            .map(|request| request.requested_at.plus(self.start.value.notice_period_ms))
    }

    /// Leaving would cost a fee at `time`.
    pub fn is_locked_in(&self, time: EventTime) -> bool {
        let has_fee = self.start.value.exit_fee.is_some_and(|fee| fee.minor > 0);
        self.is_active() && has_fee && self.term_end.is_some_and(|end| time < end)
    }

    /// Remembers a notice; a renewal notice that states no price is none.
    pub fn note_notice(&mut self, kind: NoticeKind, time: EventTime, states_price: bool) {
        if kind == NoticeKind::Renewal && !states_price {
            return;
        }
        self.notices.push((kind, time));
        let of_kind = |held: &&(NoticeKind, EventTime)| held.0 == kind;
        if self.notices.iter().filter(of_kind).count() > NOTICES {
            let oldest = self.notices.iter().filter(of_kind).min_by_key(|held| held.1).copied();
            let place = self.notices.iter().position(|held| Some(*held) == oldest);
            place.map(|place| self.notices.remove(place));
        }
    }

    /// Was a notice of one of `kinds` sent in [`from`, `to`]?
    pub fn was_noticed(&self, kinds: &[NoticeKind], from: EventTime, to: EventTime) -> bool {
        self.notices.iter().any(|(kind, time)| kinds.contains(kind) && from <= *time && *time <= to)
    }

    /// When the notices of `kind` were sent that are remembered: the latest two, in the order they arrived.
    pub fn notices_of(&self, kind: NoticeKind) -> impl Iterator<Item = EventTime> {
        self.notices.iter().filter(move |(held, _)| *held == kind).map(|(_, time)| *time)
    }

    /// Was the notice of a passive renewal at the step's time given in its window?
    pub fn was_renewal_noticed(&self, step: &Step<'_>) -> bool {
        let (from, to) = step.policy.notice.renewal(step.time);
        self.was_noticed(&[NoticeKind::Renewal], from, to)
    }

    /// Was a price rise at the step's time announced in its window?
    pub fn was_rise_noticed(&self, step: &Step<'_>) -> bool {
        let (from, to) = step.policy.notice.price_rise(step.time);
        self.was_noticed(&[NoticeKind::PriceChange], from, to)
    }

    /// Remembers an informed decline: the last writer wins.
    pub fn note_decline(&mut self, at: Stamp, plan_id: Text) {
        keep_latest(&mut self.declined, Fact::new(at, plan_id));
    }
}
