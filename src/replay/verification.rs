//! Verifying a replay as it goes: every score change by its sums, and all of them, or a sample drawn by seed, by adding their
//! evidence up anew.
//!
//! What is verified and how is the engine's business; here claims are counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use crate::engine::{Action, OutputBody};
use crate::engine::{Case, Check, Effect, Verifier};
use crate::model::{CustomerEvent, EventTime, Policy, Text};

/// Failures told one by one; the rest are counted.
const FAILURES_TOLD: usize = 20;

/// A verification in progress.
#[derive(Debug)]
pub struct Verification {
    policy: Arc<Policy>,
    verifier: Verifier,
    /// Only outputs about this customer count.
    only: Option<Text>,
    sample: Option<Sample>,
    report: VerificationReport,
}

/// Cases chosen so that each is as likely as any other, however many there are. Source: Vitter's algorithm R, 1985.
#[derive(Debug)]
struct Sample {
    size: usize,
    chance: Pcg64Mcg,
    seen: u64,
    chosen: Vec<(Text, EventTime, Case)>,
}

/// What was checked, and what did not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerificationReport {
    /// Score changes seen, each checked by its sums.
    pub changes: u64,
    /// Of those, the ones whose evidence was added up anew.
    pub recomputed: u64,
    /// Claims by kind.
    pub claims: BTreeMap<&'static str, ClaimTally>,
    /// The first failures: customer, time, claim and numbers.
    pub failures: Vec<String>,
    /// The claims of the last score change.
    pub last: Vec<Check>,
}

/// Claims of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClaimTally {
    /// Checked.
    pub checked: u64,
    /// Of those, did not hold.
    pub failed: u64,
}

impl Verification {
    /// A verification of all score changes made under `policy`, or of those of `only` one customer.
    pub fn new(policy: Arc<Policy>, only: Option<Text>) -> Self {
        let verifier = Verifier::new(Arc::clone(&policy));
        Self { policy, verifier, only, sample: None, report: VerificationReport::default() }
    }

    /// The same, but of all score changes only `size`, drawn by `seed`, are added up anew.
    #[must_use]
    pub fn with_sample(mut self, size: usize, seed: u64) -> Self {
        let chance = Pcg64Mcg::seed_from_u64(seed);
        self.sample = Some(Sample { size, chance, seen: 0, chosen: Vec::new() });
        self
    }

    /// Takes in an event, ahead of its effects.
    pub fn event(&mut self, event: &CustomerEvent) {
        if self.concerns(&event.customer) {
            self.verifier.event(event);
        }
    }

    /// Takes in an effect. The replay must audit: every evidence is needed.
    pub fn effect(&mut self, effect: &Effect) {
        let Action::Publish(output) = &effect.action else { return };
        if !self.concerns(&output.customer) {
            return;
        }
        let (customer, time) = (&output.customer, output.time);
        let is_change = matches!(output.body, OutputBody::ScoreChanged(_));
        let is_chosen = is_change && self.sample.as_mut().is_none_or(Sample::is_next_chosen);
        let case = if is_chosen { self.verifier.case(output) } else { None };
        let mut checks = self.verifier.output(output);
        self.report.changes += u64::from(is_change);
        if let Some(case) = case {
            match &mut self.sample {
                Some(sample) => sample.keep((customer.clone(), time, case)),
                None => {
                    checks.extend(case.check(&self.policy));
                    self.report.recomputed += 1;
                }
            }
        }
        self.report.count(customer, time, &checks);
        if is_change {
            self.report.last = checks;
        }
    }

    /// Adds the sample up, if there is one; what came of it all.
    pub fn finish(mut self) -> VerificationReport {
        for (customer, time, case) in self.sample.into_iter().flat_map(|sample| sample.chosen) {
            self.report.recomputed += 1;
            self.report.count(&customer, time, &case.check(&self.policy));
        }
        self.report
    }

    fn concerns(&self, customer: &str) -> bool {
        self.only.as_ref().is_none_or(|only| **only == *customer)
    }
}

impl Sample {
    /// Is the next case to be kept? It must be, then.
    fn is_next_chosen(&mut self) -> bool {
        self.seen += 1;
        self.chosen.len() < self.size || self.below(self.seen) < self.size as u64
    }

    /// Keeps a case, in the place of another if there are enough.
    fn keep(&mut self, case: (Text, EventTime, Case)) {
        if self.chosen.len() < self.size {
            self.chosen.push(case);
        } else if self.size > 0 {
            let place = self.below(self.size as u64);
            self.chosen[usize::try_from(place).expect("below a size")] = case;
        }
    }

    /// A number in `0..n`, n > 0. The bias, below n / 2⁶⁴, is left in.
    fn below(&mut self, n: u64) -> u64 {
        let wide = u128::from(self.chance.next_u64()) * u128::from(n);
        u64::try_from(wide >> 64).expect("a 128-bit product shifted by 64 fits")
    }
}

impl VerificationReport {
    /// Claims that did not hold.
    pub fn failed(&self) -> u64 {
        self.claims.values().map(|tally| tally.failed).sum()
    }

    fn count(&mut self, customer: &str, time: EventTime, checks: &[Check]) {
        for check in checks {
            let tally = self.claims.entry(check.claim.as_str()).or_default();
            tally.checked += 1;
            if !check.holds() {
                tally.failed += 1;
                if self.failures.len() < FAILURES_TOLD {
                    self.failures.push(format!("{customer} at {time}: {check}"));
                }
            }
        }
    }
}

impl fmt::Display for VerificationReport {
    /// A table of several lines, without colour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { changes, recomputed, claims, failures, .. } = self;
        writeln!(
            f,
            "{changes} score changes, {recomputed} of them added up anew from their evidence"
        )?;
        writeln!(f, "  {:<56}{:>12}{:>8}", "claim", "checked", "fail")?;
        for (claim, ClaimTally { checked, failed }) in claims {
            writeln!(f, "  {claim:<56}{checked:>12}{failed:>8}")?;
        }
        failures.iter().try_for_each(|failure| writeln!(f, "FAILS {failure}"))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::generate::{Disorder, Form, Records, Settings, Share};
    use crate::model::Event;
    use crate::replay::{Options, Replay, decoded};

    /// A generated run, its effects as `change` leaves them, verified.
    fn verified(sample: Option<usize>, mut change: impl FnMut(&mut Effect)) -> VerificationReport {
        let settings = Settings { customers: NonZeroU32::new(30).unwrap(), ..Settings::default() };
        let share = |text: &str| -> Share { text.parse().unwrap() };
        let disorder =
            Disorder { late: share("0.05"), duplicate: share("0.03"), poison: share("0.01") };
        let options = Options { audit: true, ..Options::default() };
        let mut replay = Replay::new(&options);
        let mut verification = Verification::new(Arc::clone(&options.policy), None);
        if let Some(size) = sample {
            verification = verification.with_sample(size, 7);
        }
        for record in Records::new(settings, disorder, Form::Json).take(6000) {
            let record = decoded(&record.value, crate::files::Form::Lines);
            if let Some(Ok(Event::Customer(event))) = &record {
                verification.event(event);
            }
            let mut sink = |effect: &Effect| {
                let mut effect = effect.clone();
                change(&mut effect);
                verification.effect(&effect);
                Ok(())
            };
            replay.decoded_line(record, &mut sink).unwrap();
        }
        verification.finish()
    }

    #[test]
    fn every_change_of_a_disorderly_run_holds_and_a_sample_is_as_large_as_asked() {
        let all = verified(None, |_| {});
        assert!(all.changes > 500 && all.recomputed == all.changes, "{all}");
        assert_eq!((all.failed(), &all.failures), (0, &Vec::new()), "{all}");
        let sampled = verified(Some(40), |_| {});
        assert_eq!((sampled.changes, sampled.recomputed, sampled.failed()), (all.changes, 40, 0));
        assert_eq!(sampled, verified(Some(40), |_| {}), "the same seed draws the same");
    }

    #[test]
    fn one_corrupted_record_of_all_is_found_and_named() {
        let mut left = 100;
        let report = verified(None, |effect| {
            if let Action::Publish(output) = &mut effect.action
                && let OutputBody::ScoreChanged(changed) = &mut output.body
            {
                left -= 1;
                if left == 0 {
                    changed.change.swap(2, 4);
                    changed.change.swap(3, 5);
                }
            }
        });
        assert!(report.failed() > 0, "{report}");
        assert!(
            report.failures.iter().all(|told| told.contains("what the step moved in")),
            "{report}"
        );
    }
}
