//! Remedies: what they make good, and when they are a gift.

use crate::model::Class;
use crate::model::customer::Customer;
use crate::model::event::{Body, RemedyKind};
use crate::model::step::Step;
use crate::model::weight::evidence_weight;

impl Customer {
    /// A remedy is a fact of the failure, the promise and the squeeze it is about, reduces that credit, and counts toward that
    /// guarantee. Having matched none of these, it is a gift if nobody asked for it; so it is, unasked, for a guarantee.
    pub(super) fn apply_remedy(&mut self, step: &mut Step<'_>, body: &Body) {
        let Body::RemedyIssued { remedy_id, kind, amount, about_id, unprompted, failure_confirmed } =
            body
        else {
            unreachable!("dispatched by type")
        };
        if !self.is_first(step, "remedy", remedy_id) {
            return;
        }
        let account = self.accounts.of(amount.currency);
        account.remedies = account.remedies.saturating_add(amount.minor);
        let about = about_id.as_deref();
        let mut has_matched = false;
        if let Some(about) = about {
            if let Some(index) = self.failures.iter().position(|slot| *slot.id == *about) {
                has_matched = true;
                let slot = &mut self.failures[index];
                if let (None, Some(organisation)) = (slot.aftermath.remedy, &mut step.organisation)
                {
                    let latency_ms = step.time.since(slot.failed.at.time);
                    organisation.count_remedy(slot.origin, latency_ms);
                }
                slot.aftermath.note_remedy(step.time, *amount);
                self.decide_ratio(step, index, true);
                self.settle_failure(step, index);
            }
            if let Some(index) = self.promises.iter().position(|slot| *slot.id == *about) {
                has_matched = true;
                self.promises[index].aftermath.note_remedy(step.time, *amount);
                self.settle_promise(step, index);
            }
            has_matched |= self.redress(step, about, *amount, remedy_id, *unprompted);
            if self.credits.iter().any(|credit| *credit.id == *about) {
                has_matched = true;
                self.reduce_credit(about, *amount);
            }
        }
        let guarantee = self.guarantees.iter_mut().find(|held| Some(&*held.order_id) == about);
        let is_for_guarantee = guarantee.is_some();
        if let Some(guarantee) = guarantee.filter(|held| held.paid.currency == amount.currency) {
            guarantee.remedied = guarantee.remedied.saturating_add(amount.minor);
        }
        let is_gift = if is_for_guarantee {
            *unprompted
        } else {
            !has_matched && *unprompted && !failure_confirmed
        };
        if is_gift {
            let account = self.accounts.of(amount.currency);
            account.generosity = account.generosity.saturating_add(amount.minor);
            let weight =
                evidence_weight(step.policy.weights.unprompted, Some(*amount), step.policy, 1.0);
            if self.credit(step, Class::ProUnprompted, remedy_id, weight) && !step.is_induced {
                self.open_gift(step, remedy_id);
            }
        }
        if *kind == RemedyKind::Goodwill && !has_matched && !is_for_guarantee {
            let weight =
                evidence_weight(step.policy.weights.goodwill, Some(*amount), step.policy, 1.0);
            self.credit(step, Class::CarGoodwill, remedy_id, weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::story::{customer_after, evidence};

    const BOOK: &str = "2025-01-01 credit card 20.00
        2025-01-01 promise call due=2025-01-05
        2025-01-02 fail down
        2025-01-02 list book 20.00
        2025-01-02 order pre sku=book price=20.00 guaranteed=2025-01-30";

    fn given(words: &str) -> String {
        let all = evidence(&format!("{BOOK}\n2025-01-03 remedy r 3.48 {words}"), "");
        let own = |line: &&str| line.contains("PRO.UNPROMPTED") || line.contains("CAR.GOODWILL");
        all.lines()
            .filter(own)
            .filter_map(|line| line.split(' ').nth(1))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn what_matches_nothing_is_a_gift_if_nobody_asked_and_nothing_failed() {
        for (words, expected) in [
            ("unprompted", "PRO.UNPROMPTED"),
            ("unprompted kind=goodwill", "PRO.UNPROMPTED CAR.GOODWILL"),
            ("unprompted confirmed", ""),
            ("unprompted confirmed kind=goodwill", "CAR.GOODWILL"),
            ("kind=goodwill", "CAR.GOODWILL"),
            ("kind=credit", ""),
            ("unprompted about=unknown", "PRO.UNPROMPTED"),
        ] {
            assert_eq!(given(words), expected, "{words}");
        }
    }

    #[test]
    fn what_is_about_something_owed_is_no_gift_but_for_a_guarantee_paid_unasked() {
        for about in ["down", "call", "card"] {
            assert_eq!(given(&format!("unprompted kind=goodwill about={about}")), "", "{about}");
        }
        assert_eq!(given("unprompted about=pre"), "PRO.UNPROMPTED");
        assert_eq!(given("about=pre"), "");
    }

    #[test]
    fn a_remedy_counts_once_and_as_generosity_only_if_a_gift() {
        let story = format!(
            "{BOOK}\n2025-01-03 remedy r 3.48 unprompted\n2025-01-04 remedy r 3.48 unprompted\n2025-01-05 remedy s 1.00 about=down"
        );
        let accounts = customer_after(&story).accounts;
        let account = accounts.iter().next().unwrap().1;
        assert_eq!((account.remedies, account.generosity), (448, 348));
    }
}
