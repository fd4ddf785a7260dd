//! What one step over a customer sees, and what follows from it.

use super::fact::Stamp;
use super::organisation::{Organisation, Origin};
use super::output::OutputBody;
use super::{Catalogue, Currency, EventTime, Evidence, Policy, Text, Tolerance, Warming};

/// One step: an applied event or a fired timer of one customer.
#[derive(Debug)]
pub struct Step<'a> {
    /// The parameters in force.
    pub policy: &'a Policy,
    /// The reference data seen.
    pub catalogue: &'a Catalogue,
    /// The rules that may not open a squeeze yet.
    pub warming: &'a Warming,
    /// The event's time, or the timer's deadline.
    pub time: EventTime,
    /// The later of that and the customer's `as_of` before: what decays is read here.
    pub as_of: EventTime,
    /// The event's id; empty for a timer.
    pub event_id: Text,
    /// The event reacts to an output of ours.
    pub is_induced: bool,
    /// Where the event belongs, or the one that armed the timer: direct evidence counts there.
    pub origin: Origin,
    /// The roll-ups, if any are kept: lent for the step.
    pub organisation: Option<Box<Organisation>>,
    /// What evidence it takes back and records is asked for.
    pub is_audited: bool,
    /// Evidence taken back, if that is asked for.
    pub retracted: Vec<Evidence>,
    /// Evidence recorded, if that is asked for.
    pub recorded: Vec<Evidence>,
    /// What is to be said, in the order the rules apply.
    pub said: Vec<OutputBody>,
    /// Dedup keys of squeezes of which no more will be known, though whoever follows them may take them for open.
    pub forgotten: Vec<Text>,
    /// The event's natural key was known already.
    pub is_duplicate: bool,
    /// Squeezes for which money may be owed since, less those for which none may be any more.
    pub alerts_opened: i64,
}

impl<'a> Step<'a> {
    /// A step at `time` of a customer read at `as_of`, without effects so far.
    pub fn new(
        policy: &'a Policy,
        catalogue: &'a Catalogue,
        time: EventTime,
        as_of: EventTime,
        event_id: Text,
    ) -> Self {
        Self {
            policy,
            catalogue,
            warming: Warming::NONE,
            time,
            as_of,
            event_id,
            is_induced: false,
            origin: Origin::default(),
            organisation: None,
            is_audited: false,
            retracted: Vec::new(),
            recorded: Vec::new(),
            said: Vec::new(),
            forgotten: Vec::new(),
            is_duplicate: false,
            alerts_opened: 0,
        }
    }

    /// When the event happened, and its id.
    pub fn stamp(&self) -> Stamp {
        Stamp { time: self.time, id: self.event_id.clone() }
    }

    /// From now on evidence counts for the product of `plan` instead of where the event belongs; where it did.
    pub fn belong_to_product(&mut self, plan: Option<&str>) -> Origin {
        let origin = match (&mut self.organisation, plan) {
            (Some(organisation), Some(plan)) => organisation.with_product(Origin::default(), plan),
            _ => Origin::default(),
        };
        std::mem::replace(&mut self.origin, origin)
    }

    /// From now on evidence counts for the product of `plan` too; where it did so far.
    pub fn belong_to_product_too(&mut self, plan: &str) -> Origin {
        let before = self.origin;
        if let Some(organisation) = &mut self.organisation {
            self.origin = organisation.with_product(before, plan);
        }
        before
    }

    /// Minor units scaled to `currency`, in millionths of a minor unit.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "thresholds are far below 2^127 millionths"
    )]
    pub fn scaled_micros(&self, minor: f64, currency: Currency) -> i128 {
        (minor * self.policy.scale(currency) * 1e6).round_ties_even() as i128
    }

    /// Is `amount` at least `minor` units, scaled to `currency`?
    pub fn is_at_least(&self, amount: i64, minor: f64, currency: Currency) -> bool {
        i128::from(amount) * 1_000_000 >= self.scaled_micros(minor, currency)
    }

    /// The larger of the tolerance's amount and its share of `of`, in millionths of a minor unit: exact, so that a threshold on
    /// money never rests on rounding.
    #[expect(clippy::cast_possible_truncation, reason = "a share is at most 1")]
    pub fn threshold_micros(&self, tolerance: Tolerance, of: i64, currency: Currency) -> i128 {
        let share_millionths = (tolerance.share * 1e6).round_ties_even() as i128;
        self.scaled_micros(tolerance.minor, currency).max(share_millionths * i128::from(of))
    }

    /// Does `excess` reach the threshold?
    pub fn reaches(&self, excess: i64, tolerance: Tolerance, of: i64, currency: Currency) -> bool {
        i128::from(excess) * 1_000_000 >= self.threshold_micros(tolerance, of, currency)
    }

    /// Does `excess` go beyond the threshold?
    pub fn exceeds(&self, excess: i64, tolerance: Tolerance, of: i64, currency: Currency) -> bool {
        i128::from(excess) * 1_000_000 > self.threshold_micros(tolerance, of, currency)
    }
}
