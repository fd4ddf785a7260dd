//! What would restore a score: whatever can still be mended is mended in a copy of the customer, by the rules themselves, and T is
//! read from the copy.
//!
//! It promises nothing, since other events move T too, and it changes nothing. It looks at what the firm can do about its own
//! conduct, never at how much more the customer would bear.

use std::fmt;

use super::customer::Customer;
use super::event::{Attested, Body, NoticeKind, RemedyKind};
use super::squeeze::SqueezeType;
use super::step::Step;
use super::{Catalogue, EventTime, Micros, Money, Policy, PromiseOutcome, Text};

/// One thing the firm can still do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mending {
    /// Give back what a squeeze took.
    GiveBack {
        /// The squeeze.
        kind: SqueezeType,
        /// Its dedup key, which the remedy names.
        key: Text,
        /// All that is still owed.
        amount: Money,
        /// It would go on all the same.
        goes_on: bool,
    },
    /// Keep a broken promise late.
    Keep(Text),
    /// Pay what was at stake in a broken promise, or the credit of a failure.
    CleanUp(Text, Money),
    /// Tell the customer about a broken promise, or a failure.
    Tell(Text),
    /// All of the others at once.
    All,
}

/// What one mending would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// What is done.
    pub mending: Mending,
    /// T right after it, in (0, 1).
    pub score: Micros,
}

/// All that would lift the T of `customer`, were it done at `at`, which is no earlier than the customer's `as_of`: the most
/// telling first, then by name; at last all together, if there are several. Empty if nothing would.
pub fn restorations(
    customer: &Customer,
    at: EventTime,
    policy: &Policy,
    catalogue: &Catalogue,
) -> Vec<Restoration> {
    let score_after = |mendings: &[Mending]| {
        let mut copy = customer.clone();
        let mut step = Step::new(policy, catalogue, at, at, Text::default());
        for (place, mending) in mendings.iter().enumerate() {
            copy.apply(&mut step, &mending.body(place));
        }
        Micros::round(copy.trust.at(at, policy).score)
    };
    let now = Micros::round(customer.trust.at(at, policy).score);
    let mut found: Vec<Restoration> = mendings(customer)
        .into_iter()
        .map(|mending| Restoration { score: score_after(std::slice::from_ref(&mending)), mending })
        .filter(|restoration| now < restoration.score)
        .collect();
    found.sort_by(|a, b| {
        b.score.cmp(&a.score).then_with(|| a.mending.to_string().cmp(&b.mending.to_string()))
    });
    if found.len() > 1 {
        let all: Vec<Mending> = found.iter().map(|one| one.mending.clone()).collect();
        found.push(Restoration { mending: Mending::All, score: score_after(&all) });
    }
    found
}

/// What there is to mend, whether or not it helps.
fn mendings(customer: &Customer) -> Vec<Mending> {
    let squeezes =
        customer.squeezes.iter().filter(|slot| slot.is_liability() && slot.accrued() > 0);
    let give_back = squeezes.map(|slot| Mending::GiveBack {
        kind: slot.kind,
        key: slot.key.clone(),
        amount: Money::new(slot.accrued(), slot.currency),
        goes_on: slot.is_open() && slot.kind.must_stop_first(),
    });
    let broken = customer.promises.iter().filter(|slot| slot.outcome == PromiseOutcome::Broken);
    let promises = broken.flat_map(|slot| {
        let stake = slot.made.as_ref().and_then(|made| made.value.stake);
        let clean_up = stake.map(|stake| Mending::CleanUp(slot.id.clone(), stake));
        [Mending::Keep(slot.id.clone()), Mending::Tell(slot.id.clone())].into_iter().chain(clean_up)
    });
    let failures = customer.failures.iter().flat_map(|slot| {
        let credit = slot.failed.value.scheme_credit;
        let clean_up = credit.map(|credit| Mending::CleanUp(slot.id.clone(), credit));
        std::iter::once(Mending::Tell(slot.id.clone())).chain(clean_up)
    });
    give_back.chain(promises).chain(failures).collect()
}

impl Mending {
    /// The event that would say it was done. `place` tells it from others done at once: no event's own id begins so.
    fn body(&self, place: usize) -> Body {
        let remedy = |about: &Text, amount: Money| Body::RemedyIssued {
            remedy_id: format!("\n{place}").into(),
            kind: RemedyKind::Refund,
            amount,
            about_id: Some(about.clone()),
            unprompted: false,
            failure_confirmed: false,
        };
        match self {
            Self::GiveBack { key, amount, .. } => remedy(key, *amount),
            Self::CleanUp(about, amount) => remedy(about, *amount),
            Self::Keep(promise_id) => {
                Body::PromiseKept { promise_id: promise_id.clone(), attested_by: Attested::System }
            }
            Self::Tell(about) => Body::NoticeSent {
                kind: NoticeKind::Other,
                subscription_id: None,
                about_id: Some(about.clone()),
                states_price: false,
            },
            Self::All => unreachable!("all are done one by one"),
        }
    }
}

impl fmt::Display for Mending {
    /// In words, as the beginning of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GiveBack { kind, key, amount, .. } => {
                write!(
                    f,
                    "Giving back {amount} for squeeze {} {} ({key})",
                    kind.code(),
                    kind.name()
                )
            }
            Self::Keep(promise) => write!(f, "Keeping promise {promise} after all"),
            Self::CleanUp(about, amount) => write!(f, "Paying {amount} for {about}"),
            Self::Tell(about) => write!(f, "Telling the customer about {about} before being asked"),
            Self::All => f.write_str("All of these together"),
        }
    }
}

impl fmt::Display for Restoration {
    /// One sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} would bring the score to {}", self.mending, self.score)?;
        if matches!(self.mending, Mending::GiveBack { goes_on: true, .. }) {
            return f.write_str(", though it goes on until it is stopped.");
        }
        f.write_str(".")
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::model::story::{CHARGED, customer_after};

    /// What would restore the score at the end of a story, a sentence a line.
    fn told(story: &str) -> String {
        told_days_after(story, 0)
    }

    fn told_days_after(story: &str, days: i64) -> String {
        let customer = customer_after(story);
        let (policy, catalogue) = (Policy::default(), Catalogue::default());
        let at = customer.as_of.plus_days(days);
        let found = restorations(&customer, at, &policy, &catalogue);
        found.iter().map(Restoration::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn giving_back_what_was_taken_is_worth_what_the_rules_say() {
        assert_snapshot!(told(CHARGED), @"Giving back 12.00 GBP for squeeze S04 charge_after_cancellation (aa59939e4e9ecaa7e0fc6fc01d548f48) would bring the score to 0.41144.");
        let customer = customer_after(CHARGED);
        let policy = Policy::default();
        let foretold = restorations(&customer, customer.as_of, &policy, &Catalogue::default());
        let done = customer_after(&format!("{CHARGED}\n2025-03-20 remedy r 12.00 about=out"));
        let score = Micros::round(done.trust.at(done.as_of, &policy).score);
        assert_eq!(foretold[0].score, score);
    }

    #[test]
    fn a_broken_promise_can_be_told_paid_for_or_kept_late() {
        let broken = "2025-01-01 promise call due=2025-01-05 stake=30.00\n2025-01-06 tick";
        assert_snapshot!(told_days_after(broken, 1), @r"
        Keeping promise call after all would bring the score to 0.472871.
        Paying 30.00 GBP for call would bring the score to 0.440167.
        Telling the customer about call before being asked would bring the score to 0.420562.
        All of these together would bring the score to 0.472871.
        ");
    }

    #[test]
    fn what_is_long_past_is_restored_by_nothing_but_time() {
        let broken = "2025-01-01 promise call due=2025-01-05\n2025-01-06 tick";
        assert_eq!(told_days_after(broken, 90), "");
        assert_eq!(told("2025-01-01 promise call due=2025-01-05\n2025-01-02 kept call"), "");
    }

    #[test]
    fn what_goes_on_is_said_to() {
        let legacy = "
            2020-01-01 plan old 45.00 data=10
            2020-01-01 plan new 32.00 data=10
            2020-01-01 start sub old 45.00
            2025-01-01..2025-02-01 bill sub 45.00";
        assert!(told(legacy).ends_with("though it goes on until it is stopped."));
    }
}
