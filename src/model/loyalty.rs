//! Loyalty from voluntary behaviour: to consider, to rely, to forgive. Inertia is not loyalty. Dual-use, so it leaves through a
//! restricted output only, and never feeds the score.

use serde::{Deserialize, Serialize};

use super::customer::{Customer, FEW};
use super::decay::{Accumulator, ReadTimes};
use super::opinion::BetaPair;
use super::output::OutputBody;
use super::reciprocity::baseline;
use super::step::Step;
use super::timer::TimerKind;
use super::{EventTime, Micros, Policy, Text};

/// What a customer's behaviour says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Reciprocity {
    /// How many.
    pub trials: u64,
    /// Σ residual.
    pub residual: f64,
    /// Σ p₀(1−p₀).
    pub variance: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Trial {
    key: Text,
    opened_at: EventTime,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub fn gain(&mut self, step: &Step<'_>, component: Component, weight: f64) {
        self.is_observed = true;
        let half_life_ms = step.policy.loyalty.half_life_ms;
        self.component(component).add_positive(weight, step.time, half_life_ms);
    }

    /// Takes in a sign against it.
    pub fn lose(&mut self, step: &Step<'_>, component: Component, weight: f64) {
        self.is_observed = true;
        let half_life_ms = step.policy.loyalty.half_life_ms;
        self.component(component).add_negative(weight, step.time, half_life_ms);
    }

    /// L and its components, C, R and F, at the time of `times`: each in (0, 1); L is their geometric mean.
    pub fn read(&self, times: &mut ReadTimes, policy: &Policy) -> [f64; 4] {
        let half_life_ms = policy.loyalty.half_life_ms;
        let [c, r, f] = [&self.consider, &self.rely, &self.forgive]
            .map(|pair| pair.opinion(times, half_life_ms).expected());
        [libm::cbrt(c * r * f), c, r, f]
    }
}

impl Customer {
    /// Opens a trial of forgiveness: a failure, or a broken promise, of some weight.
    pub fn open_trial(&mut self, step: &Step<'_>, key: &Text, opened_at: EventTime) {
        if self.loyalty.trials.len() == FEW {
            self.overflows.trial += 1;
            return;
        }
        self.loyalty.trials.push(Trial { key: key.clone(), opened_at });
        self.timers.arm(TimerKind::Trial, key, opened_at.plus(step.policy.loyalty.trial_ms));
    }

    /// Ends the open trials whose time is not up at the step: forgiven or not.
    pub fn end_trials(&mut self, step: &Step<'_>, is_forgiven: bool) {
        let policy = &step.policy.loyalty;
        let is_within = |trial: &Trial| {
            trial.opened_at <= step.time && step.time <= trial.opened_at.plus(policy.trial_ms)
        };
        let (ended, open): (Vec<Trial>, Vec<Trial>) =
            std::mem::take(&mut self.loyalty.trials).into_iter().partition(is_within);
        self.loyalty.trials = open;
        for trial in ended {
            self.timers.disarm(TimerKind::Trial, &trial.key);
            if is_forgiven {
                self.loyalty.gain(step, Component::Forgive, policy.forgiven);
            } else {
                self.loyalty.lose(step, Component::Forgive, policy.unforgiven);
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
            self.loyalty.gain(step, Component::Forgive, step.policy.loyalty.complaint_withdrawn);
        }
    }

    /// A trial's time is up: whoever stays though free to go has half forgiven.
    pub fn expire_trial(&mut self, step: &Step<'_>, key: &str) {
        self.loyalty.trials.retain(|trial| *trial.key != *key);
        let has_active =
            self.subscriptions.iter().any(super::subscription::Subscription::is_active);
        if has_active && self.closed_at.is_none() && self.is_free(step.time) {
            self.loyalty.gain(step, Component::Forgive, step.policy.loyalty.stayed);
        }
    }

    /// A voluntary purchase: consideration, forgiveness, the return of gifts, and the customer's own rhythm.
    pub fn note_purchase(&mut self, step: &mut Step<'_>, is_first_in_category: bool) {
        self.return_gifts(step);
        self.end_trials(step, true);
        let policy = &step.policy.loyalty;
        let weight =
            if is_first_in_category { policy.purchase_new_category } else { policy.purchase };
        self.loyalty.gain(step, Component::Consider, weight);
        self.loyalty.purchase_rate.add(1.0, step.time, step.policy.reciprocity.half_life_ms);
        let (count, first, last) = self.loyalty.purchases.unwrap_or((0, step.time, step.time));
        let (count, first, last) =
            (count.saturating_add(1), first.min(step.time), last.max(step.time));
        self.loyalty.purchases = Some((count, first, last));
        if count >= policy.rhythm_purchases.max(2) {
            let pause = i64::from(policy.rhythm_pauses) * last.since(first) / i64::from(count - 1);
            self.timers.arm(TimerKind::Rhythm, "-", last.plus(pause));
        }
    }

    /// An unasked gift: will it be returned?
    pub fn open_gift(&mut self, step: &Step<'_>, remedy_id: &Text) {
        if self.loyalty.gifts.len() == FEW {
            self.overflows.trial += 1;
            return;
        }
        let policy = &step.policy.reciprocity;
        let purchases = self.loyalty.purchase_rate.mass(step.as_of, policy.half_life_ms);
        let baseline = baseline(purchases, step.as_of.since(self.first_seen), policy);
        self.loyalty.gifts.push(Gift {
            remedy_id: remedy_id.clone(),
            opened_at: step.time,
            baseline,
        });
        self.timers.arm(TimerKind::Reciprocity, remedy_id, step.time.plus(policy.window_ms));
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
        let window_ms = step.policy.reciprocity.window_ms;
        let is_within = |gift: &Gift| {
            gift.opened_at <= step.time && step.time <= gift.opened_at.plus(window_ms)
        };
        let (returned, open): (Vec<Gift>, Vec<Gift>) =
            std::mem::take(&mut self.loyalty.gifts).into_iter().partition(is_within);
        self.loyalty.gifts = open;
        for gift in returned {
            self.timers.disarm(TimerKind::Reciprocity, &gift.remedy_id);
            self.loyalty.gain(step, Component::Consider, 1.0 - gift.baseline);
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

#[cfg(test)]
mod tests {
    use crate::model::story::{customer_after, said};

    use super::{Customer, Policy, ReadTimes};

    /// C, R and F as the story leaves them: what speaks for and against each, undecayed since the last line's day.
    fn masses(story: &str) -> [(f64, f64); 3] {
        let Customer { loyalty, as_of, .. } = customer_after(story);
        let half_life_ms = Policy::default().loyalty.half_life_ms;
        let mut times = ReadTimes::new(as_of);
        [&loyalty.consider, &loyalty.rely, &loyalty.forgive].map(|pair| {
            let opinion = pair.opinion(&mut times, half_life_ms);
            let positive = opinion.alpha() - 1.0;
            let rounded = |mass: f64| (mass * 1000.0).round() / 1000.0;
            (rounded(positive), rounded(opinion.mass() - positive))
        })
    }

    #[test]
    fn a_purchase_within_90_days_forgives_and_leaving_or_going_to_court_does_not() {
        let forgive = |line: &str| {
            let story = format!(
                "2025-01-01 start sub basic 30.00\n2025-02-01 fail down\n2025-03-01 cancel sub out\n{line}"
            );
            masses(&story)[2]
        };
        for (line, expected) in [
            ("2025-05-02 purchase p", (1.0, 0.0)),
            ("2025-05-02 purchase p involuntary", (0.0, 0.0)),
            ("2025-03-02 cancelled out", (0.0, 1.0)),
            ("2025-03-02 close", (0.0, 1.0)),
            ("2025-03-02 close involuntary", (0.0, 0.0)),
            ("2025-03-02 dispute bill", (0.0, 1.0)),
            ("2025-03-02 escalate e", (0.0, 1.0)),
            ("2025-03-02 complain c\n2025-03-02 resolve c withdrawn", (0.5, 0.0)),
        ] {
            assert_eq!(forgive(line), expected, "{line}");
        }
    }

    #[test]
    fn whoever_stays_though_free_to_go_has_half_forgiven() {
        let forgive = |start: &str, line: &str| {
            masses(&format!(
                "2025-01-01 start sub basic 30.00 {start}\n2025-02-01 fail down\n{line}\n2025-05-02 tick"
            ))[2]
        };
        assert_eq!(forgive("", ""), (0.5, 0.0));
        assert_eq!(forgive("exit-fee=50.00 term=2025-05-02", ""), (0.5, 0.0));
        assert_eq!(forgive("exit-fee=0.00 term=2025-06-01", ""), (0.5, 0.0), "a fee of nothing");
        for (start, line) in [
            ("exit-fee=50.00 term=2025-06-01", ""),
            ("", "2025-03-03 close involuntary"),
            ("", "2025-04-01 cancel sub out"),
            ("", "2025-03-03 fail other severity=1 by=agent\n2025-03-04 close"),
        ] {
            assert_eq!(forgive(start, line).0, 0.0, "{start} {line}");
        }
    }

    #[test]
    fn only_a_grave_enough_failure_or_breach_waits_to_be_forgiven() {
        let waits = |line: &str| masses(&format!("{line}\n2025-01-10 purchase p"))[2].0;
        for (line, expected) in [
            ("2025-01-02 fail down severity=2", 1.0),
            ("2025-01-02 fail down severity=1", 0.0),
            ("2025-01-02 fail down severity=4 cause=customer", 0.0),
            ("2025-01-01 promise call due=2025-01-05\n2025-01-02 broken call", 1.0),
            ("2025-01-01 promise call due=2025-01-05\n2025-01-06 tick", 0.0),
            ("2025-01-01 promise call due=2025-01-05 stake=90.00\n2025-01-06 tick", 1.0),
        ] {
            assert_eq!(waits(line), expected, "{line}");
        }
    }

    #[test]
    fn a_fifth_trial_is_not_opened() {
        let story =
            (1..=5).fold(String::new(), |story, n| format!("{story}\n2025-01-0{n} fail f{n}"));
        let customer = customer_after(&format!("{story}\n2025-01-06 purchase p"));
        assert_eq!(customer.overflows.trial, 1);
        assert_eq!(masses(&format!("{story}\n2025-01-06 purchase p"))[2], (4.0, 0.0));
    }

    #[test]
    fn a_gift_is_returned_by_a_purchase_within_72_hours() {
        let gift = |line: &str| said(&format!("2025-01-01 remedy r 3.48 unprompted\n{line}"));
        assert_eq!(gift("2025-01-04 purchase p"), "2025-01-04 r returned");
        assert_eq!(
            gift("2025-01-04T00:01 purchase p\n2025-01-05 tick"),
            "2025-01-04T00:01 r not returned"
        );
        assert_eq!(
            gift("2025-01-02 purchase p involuntary\n2025-01-04 tick"),
            "2025-01-04 r not returned"
        );
        assert_eq!(said("2025-01-01 remedy r 3.48 unprompted induced\n2025-01-04 tick"), "");
        assert_eq!(said("2025-01-01 remedy r 3.48\n2025-01-04 tick"), "");
    }

    #[test]
    fn a_rhythm_of_three_purchases_is_missed_after_three_of_its_pauses() {
        let against = |line: &str| {
            masses(&format!(
                "2025-01-01 purchase a\n2025-01-11 purchase b\n2025-01-21 purchase c\n{line}"
            ))[0]
                .1
        };
        assert_eq!(against("2025-02-19T23:59 tick"), 0.0);
        assert_eq!(against("2025-02-20 tick"), 0.25);
        assert_eq!(against("2025-02-10 purchase d\n2025-02-20 tick"), 0.0);
        assert_eq!(
            masses("2025-01-01 purchase a\n2025-01-11 purchase b\n2026-01-01 tick")[0].1,
            0.0
        );
    }

    #[test]
    fn a_passive_renewal_speaks_for_the_firm_only_if_it_was_announced() {
        let consider = |words: &str| {
            masses(&format!("2025-01-01 start sub basic 30.00 term=2026-01-01\n2025-12-01 notice renewal priced sub=sub\n2026-01-01 renew sub r 360.00 {words}"))[0].0
        };
        assert_eq!((consider(""), consider("active")), (0.1, 1.0));
        let unsaid = masses("2025-01-01 start sub basic 30.00\n2026-01-01 renew sub r 360.00")[0];
        assert_eq!(unsaid, (0.0, 0.0));
    }
}
