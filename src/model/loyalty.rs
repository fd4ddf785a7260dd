//! Loyalty from voluntary behaviour: to consider, to rely, to forgive. Inertia is not loyalty. Dual-use, so it leaves through a
//! restricted output only, and never feeds the score.

use super::customer::{Customer, FEW};
use super::decay::Accumulator;
use super::opinion::BetaPair;
use super::output::OutputBody;
use super::reciprocity::baseline;
use super::step::Step;
use super::timer::TimerKind;
use super::{DAY_MS, EventTime, Micros, Text};

/// Half-life of the three components.
const HALF_LIFE_MS: i64 = 365 * DAY_MS;
/// Half-life of the rate of purchases.
const PURCHASE_HALF_LIFE_MS: i64 = 90 * DAY_MS;
/// How long a failure waits to be forgiven.
const TRIAL_MS: i64 = 90 * DAY_MS;
/// How long a gift waits to be returned.
const RECIPROCITY_MS: i64 = 3 * DAY_MS;
/// Purchases that make a rhythm.
const RHYTHM: u32 = 3;

/// What a customer's behaviour says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loyalty {
    /// C: willing to come back.
    pub consider: BetaPair,
    /// R: willing to depend on the firm.
    pub rely: BetaPair,
    /// F: willing to forgive.
    pub forgive: BetaPair,
    /// A loyalty evidence was ever taken in.
    pub is_observed: bool,
    /// L as last published.
    pub published: Option<Micros>,
    /// Failures waiting to be forgiven, oldest first, at most 4.
    trials: Vec<Trial>,
    /// Gifts waiting to be returned, oldest first, at most 4.
    gifts: Vec<Gift>,
    /// What came of the gifts.
    pub reciprocity: Reciprocity,
    /// Voluntary purchases: how many, the first and the last.
    purchases: Option<(u32, EventTime, EventTime)>,
    /// Voluntary purchases, decayed.
    purchase_rate: Accumulator,
}

/// Sums over all trials that ended.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reciprocity {
    /// How many.
    pub trials: u64,
    /// Σ residual.
    pub residual: f64,
    /// Σ p₀(1−p₀).
    pub variance: f64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Trial {
    key: Text,
    opened_at: EventTime,
}

#[derive(Debug, Clone, PartialEq)]
struct Gift {
    remedy_id: Text,
    opened_at: EventTime,
    baseline: f64,
}

/// Which component a signal speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// C.
    Consider,
    /// R.
    Rely,
    /// F.
    Forgive,
}

impl Loyalty {
    fn component(&mut self, component: Component) -> &mut BetaPair {
        match component {
            Component::Consider => &mut self.consider,
            Component::Rely => &mut self.rely,
            Component::Forgive => &mut self.forgive,
        }
    }

    /// Takes in a sign of loyalty.
    pub fn gain(&mut self, component: Component, weight: f64, time: EventTime) {
        self.is_observed = true;
        self.component(component).add_positive(weight, time, HALF_LIFE_MS);
    }

    /// Takes in a sign against it.
    pub fn lose(&mut self, component: Component, weight: f64, time: EventTime) {
        self.is_observed = true;
        self.component(component).add_negative(weight, time, HALF_LIFE_MS);
    }

    /// L and its components, C, R and F, at `at`: each in (0, 1); L is their geometric mean.
    pub fn read(&self, at: EventTime) -> [f64; 4] {
        let [c, r, f] =
            [&self.consider, &self.rely, &self.forgive].map(|pair| pair.expected(at, HALF_LIFE_MS));
        [libm::cbrt(c * r * f), c, r, f]
    }
}

impl Customer {
    /// Opens a trial of forgiveness: a failure, or a broken promise, of some weight.
    pub fn open_trial(&mut self, key: &Text, opened_at: EventTime) {
        if self.loyalty.trials.len() == FEW {
            self.overflows.trial += 1;
            return;
        }
        self.loyalty.trials.push(Trial { key: key.clone(), opened_at });
        self.timers.arm(TimerKind::Trial, key, opened_at.plus(TRIAL_MS));
    }

    /// Ends the open trials that began within 90 days before the step: forgiven or not.
    pub fn end_trials(&mut self, step: &Step<'_>, is_forgiven: bool) {
        let is_within = |trial: &Trial| {
            trial.opened_at <= step.time && step.time <= trial.opened_at.plus(TRIAL_MS)
        };
        let (ended, open): (Vec<Trial>, Vec<Trial>) =
            std::mem::take(&mut self.loyalty.trials).into_iter().partition(is_within);
        self.loyalty.trials = open;
        for trial in ended {
            self.timers.disarm(TimerKind::Trial, &trial.key);
            if is_forgiven {
                self.loyalty.gain(Component::Forgive, 1.0, step.time);
            } else {
                self.loyalty.lose(Component::Forgive, 1.0, step.time);
            }
        }
    }

    /// A complaint was withdrawn: the oldest trial is half forgiven.
    pub fn forgive_oldest(&mut self, step: &Step<'_>) {
        let oldest =
            self.loyalty.trials.iter().enumerate().min_by_key(|(_, trial)| trial.opened_at);
        if let Some(index) = oldest.map(|(index, _)| index) {
            let trial = self.loyalty.trials.remove(index);
            self.timers.disarm(TimerKind::Trial, &trial.key);
            self.loyalty.gain(Component::Forgive, 0.5, step.time);
        }
    }

    /// A trial's time is up: whoever stays though free to go has half forgiven.
    pub fn expire_trial(&mut self, step: &Step<'_>, key: &str) {
        self.loyalty.trials.retain(|trial| *trial.key != *key);
        let has_active =
            self.subscriptions.iter().any(super::subscription::Subscription::is_active);
        if has_active && self.closed_at.is_none() && self.is_free(step.time) {
            self.loyalty.gain(Component::Forgive, 0.5, step.time);
        }
    }

    /// A voluntary purchase: consideration, forgiveness, the return of gifts, and the customer's own rhythm.
    pub fn note_purchase(&mut self, step: &mut Step<'_>, is_first_in_category: bool) {
        self.return_gifts(step);
        self.end_trials(step, true);
        self.loyalty.gain(
            Component::Consider,
            if is_first_in_category { 1.0 } else { 0.5 },
            step.time,
        );
        self.loyalty.purchase_rate.add(1.0, step.time, PURCHASE_HALF_LIFE_MS);
        let (count, first, last) = self.loyalty.purchases.unwrap_or((0, step.time, step.time));
        let (count, first, last) =
            (count.saturating_add(1), first.min(step.time), last.max(step.time));
        self.loyalty.purchases = Some((count, first, last));
        if count >= RHYTHM {
            let pause = 3 * last.since(first) / i64::from(count - 1);
            self.timers.arm(TimerKind::Rhythm, "-", last.plus(pause));
        }
    }

    /// An unasked gift: will it be returned?
    pub fn open_gift(&mut self, step: &Step<'_>, remedy_id: &Text) {
        if self.loyalty.gifts.len() == FEW {
            self.overflows.trial += 1;
            return;
        }
        let purchases = self.loyalty.purchase_rate.mass(step.as_of, PURCHASE_HALF_LIFE_MS);
        let baseline = baseline(purchases, step.as_of.since(self.first_seen));
        self.loyalty.gifts.push(Gift {
            remedy_id: remedy_id.clone(),
            opened_at: step.time,
            baseline,
        });
        self.timers.arm(TimerKind::Reciprocity, remedy_id, step.time.plus(RECIPROCITY_MS));
    }

    /// A gift's time is up, unreturned.
    pub fn expire_gift(&mut self, step: &mut Step<'_>, remedy_id: &str) {
        if let Some(index) =
            self.loyalty.gifts.iter().position(|gift| *gift.remedy_id == *remedy_id)
        {
            let gift = self.loyalty.gifts.remove(index);
            self.end_gift(step, gift, false);
        }
    }

    fn return_gifts(&mut self, step: &mut Step<'_>) {
        let is_within = |gift: &Gift| {
            gift.opened_at <= step.time && step.time <= gift.opened_at.plus(RECIPROCITY_MS)
        };
        let (returned, open): (Vec<Gift>, Vec<Gift>) =
            std::mem::take(&mut self.loyalty.gifts).into_iter().partition(is_within);
        self.loyalty.gifts = open;
        for gift in returned {
            self.timers.disarm(TimerKind::Reciprocity, &gift.remedy_id);
            self.loyalty.gain(Component::Consider, 1.0 - gift.baseline, step.time);
            self.end_gift(step, gift, true);
        }
    }

    fn end_gift(&mut self, step: &mut Step<'_>, gift: Gift, returned: bool) {
        let residual = f64::from(u8::from(returned)) - gift.baseline;
        self.loyalty.reciprocity.trials += 1;
        self.loyalty.reciprocity.residual += residual;
        self.loyalty.reciprocity.variance += gift.baseline * (1.0 - gift.baseline);
        step.said.push(OutputBody::ReciprocityObserved {
            remedy_id: gift.remedy_id,
            opened_at: gift.opened_at,
            returned,
            baseline: Micros::round(gift.baseline),
            residual: Micros::round(residual),
        });
    }
}
