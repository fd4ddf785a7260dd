//! The promise ledger: explicit promises, the implicit ones that other events open and keep, and what follows when one is judged.

use crate::model::customer::{Customer, FEW, Guarantee};
use crate::model::event::{Attested, Basis, Beneficiary, Body};
use crate::model::loyalty::Component;
use crate::model::organisation::{Counted, InternalOutcome};
use crate::model::output::{Breach, OutputBody};
use crate::model::promise::{
    Admission, Judgement, Made, PromiseFact, PromiseSlot, Renegotiation, Template,
};
use crate::model::squeeze::{SqueezeSlot, SqueezeType, s10, s18};
use crate::model::step::Step;
use crate::model::timer::TimerKind;
use crate::model::weight::evidence_weight;
use crate::model::{Class, EventTime, Evidence, Micros, Money, PromiseOutcome, Sign, Text};

/// Promises remembered.
const SLOTS: usize = 16;

impl Customer {
    pub(super) fn apply_promise(&mut self, step: &mut Step<'_>, body: &Body) {
        match body {
            Body::PromiseMade { promise_id, kind, due_at, grace_ms, stake, basis, beneficiary } => {
                if *beneficiary == Beneficiary::Customer {
                    let made = Made {
                        kind: kind.clone(),
                        due_at: *due_at,
                        grace_ms: *grace_ms,
                        stake: *stake,
                        basis: *basis,
                        template: None,
                    };
                    self.note_promise(step, promise_id, PromiseFact::Made(made));
                } else {
                    self.note_internal_promise(step, promise_id, due_at.plus(*grace_ms));
                }
            }
            Body::PromiseKept { promise_id, attested_by } => {
                self.end_internal_promise(step, promise_id, InternalOutcome::Kept);
                self.note_promise(step, promise_id, PromiseFact::Kept(*attested_by));
            }
            Body::PromiseBroken { promise_id, attested_by, cause } => {
                self.end_internal_promise(step, promise_id, InternalOutcome::Broken);
                let admission = Admission { attested_by: *attested_by, cause: *cause };
                self.note_promise(step, promise_id, PromiseFact::Broken(admission));
            }
            Body::PromiseRenegotiated { promise_id, new_due_at, by } => {
                let renegotiation = Renegotiation { new_due_at: *new_due_at, by: *by };
                self.note_promise(step, promise_id, PromiseFact::Renegotiated(renegotiation));
            }
            Body::PromiseWithdrawn { promise_id } => {
                self.note_promise(step, promise_id, PromiseFact::Withdrawn)
            }
            Body::PromiseVerdictGiven { promise_id, verdict } => {
                self.note_promise(step, promise_id, PromiseFact::Verdict(*verdict));
            }
            Body::OrderPlaced { order_id, sku, price, deliver_by, price_guarantee_until } => {
                if let Some(due_at) = deliver_by {
                    self.open_template(step, Template::Delivery, order_id, *due_at, *price);
                }
                if let (Some(sku), Some(paid), Some(until)) = (sku, price, price_guarantee_until) {
                    self.open_guarantee(step, order_id, sku, *paid, *until);
                }
            }
            Body::OrderFulfilled { order_id, complete, attested_by } => {
                if *complete {
                    let (base, eta) =
                        (step.policy.weights.delivered, step.policy.eta(*attested_by));
                    let weight = evidence_weight(base, None, step.policy, eta);
                    self.credit(step, Class::ComDelivered, order_id, weight);
                    self.keep_template(step, Template::Delivery, order_id, *attested_by);
                }
            }
            Body::RefundAgreed { refund_id, amount, due_at } => {
                let due_at = due_at.unwrap_or_else(|| step.time.plus(step.policy.refund_ms));
                self.open_template(step, Template::Refund, refund_id, due_at, Some(*amount));
            }
            Body::RefundPaid { refund_id, attested_by, .. } => {
                self.keep_template(step, Template::Refund, refund_id, *attested_by);
            }
            _ => unreachable!("dispatched by type"),
        }
    }

    /// Opens the promise that another event makes.
    pub(super) fn open_template(
        &mut self,
        step: &mut Step<'_>,
        template: Template,
        about: &str,
        due_at: EventTime,
        stake: Option<Money>,
    ) {
        let basis = if template == Template::Delivery { Basis::Explicit } else { Basis::Guarantee };
        let kind = template.as_str().into();
        let made = Made { kind, due_at, grace_ms: 0, stake, basis, template: Some(template) };
        self.note_promise(step, &template.promise_id(about), PromiseFact::Made(made));
    }

    /// Keeps the promise that another event made, if there is one.
    pub(super) fn keep_template(
        &mut self,
        step: &mut Step<'_>,
        template: Template,
        about: &str,
        attested_by: Attested,
    ) {
        self.note_template(step, template, about, PromiseFact::Kept(attested_by));
    }

    /// Takes in a fact about the promise that another event made, if there is one.
    pub(super) fn note_template(
        &mut self,
        step: &mut Step<'_>,
        template: Template,
        about: &str,
        fact: PromiseFact,
    ) {
        let id = template.promise_id(about);
        if self.promises.iter().any(|slot| slot.id == id) {
            self.note_promise(step, &id, fact);
        }
    }

    /// Takes in a promise event; the first about a promise opens its slot.
    fn note_promise(&mut self, step: &mut Step<'_>, id: &Text, fact: PromiseFact) {
        let index = self.promises.iter().position(|slot| slot.id == *id).unwrap_or_else(|| {
            self.make_room_in_ledger(step);
            self.promises.push(PromiseSlot::new(id.clone()));
            self.promises.len() - 1
        });
        let slot = &mut self.promises[index];
        if slot.made.is_none() && matches!(fact, PromiseFact::Made(_)) {
            slot.origin = step.origin;
        }
        slot.merge(step.stamp(), fact);
        self.settle_promise(step, index);
    }

    /// Judges a promise anew, after a fact or its timer: evidence, breach, what hangs on it, and what is waited for next.
    pub(super) fn settle_promise(&mut self, step: &mut Step<'_>, index: usize) {
        let slot = &mut self.promises[index];
        let id = slot.id.clone();
        let Some(judgement) = slot.judge(step.policy) else {
            let forgotten_at = slot.forgotten_at(None, step.policy);
            self.timers.arm(TimerKind::Forget, &id, forgotten_at);
            return;
        };
        let before = std::mem::replace(&mut slot.outcome, judgement.outcome);
        let supported = std::mem::replace(&mut slot.evidence, judgement.evidence.clone());
        if judgement.outcome == PromiseOutcome::Open {
            self.timers.arm(TimerKind::Promise, &id, judgement.deadline);
            self.timers.disarm(TimerKind::Forget, &id);
        } else {
            let forgotten_at = slot.forgotten_at(Some(&judgement), step.policy);
            self.timers.disarm(TimerKind::Promise, &id);
            self.timers.arm(TimerKind::Forget, &id, forgotten_at);
        }
        let origin = std::mem::replace(&mut step.origin, self.promises[index].origin);
        self.replace_evidence(step, &supported, &judgement.evidence);
        step.origin = origin;
        self.count_promise(step, index, &judgement);
        self.try_forgiveness(step, &id, &supported, &judgement.evidence);
        match (before == PromiseOutcome::Broken, judgement.outcome == PromiseOutcome::Broken) {
            (false, true) => self.note_breach(step, index, &judgement),
            (true, false) => self.note_breach_withdrawn(step, index, &judgement),
            _ => {}
        }
    }

    /// The roll-ups count how a promise ended, where it was made; against its first due time, since that was the promise.
    fn count_promise(&mut self, step: &mut Step<'_>, index: usize, judgement: &Judgement) {
        let Some(organisation) = &mut step.organisation else { return };
        let slot = &mut self.promises[index];
        let Some(made) = &slot.made else { return };
        let due_at = made.value.due_at;
        let now = Counted::new(judgement.outcome, made.at.time, due_at, judgement.kept_at);
        if slot.counted != now {
            let before = std::mem::replace(&mut slot.counted, now);
            organisation.count_promise(slot.origin, before, now);
        }
    }

    /// A promise newly broken, and heavy enough, waits to be forgiven.
    fn try_forgiveness(
        &mut self,
        step: &Step<'_>,
        id: &Text,
        before: &[Evidence],
        after: &[Evidence],
    ) {
        let is_broken = |evidence: &&Evidence| evidence.class == Class::IntBroken;
        if before.iter().any(|evidence| is_broken(&evidence)) {
            return;
        }
        if let Some(broken) = after.iter().find(is_broken)
            && Micros::round(broken.weight) >= step.policy.loyalty.trial_weight
        {
            self.open_trial(step, id, broken.time);
        }
    }

    fn note_breach(&mut self, step: &mut Step<'_>, index: usize, judgement: &Judgement) {
        self.say_breach(step, index, judgement);
        let slot = &self.promises[index];
        let Some(made) = &slot.made else { return };
        match (made.value.template, made.value.stake) {
            (Some(Template::Refund), Some(stake))
                if step.policy.looks_for(SqueezeType::S18, None) =>
            {
                let finding = s18::finding(&slot.id, stake);
                self.hold(step, finding);
            }
            (Some(Template::Cancellation), _) => {
                let request = slot.id.strip_prefix("cancellation/").unwrap_or(&slot.id).to_owned();
                self.find_obstruction(step, &request);
            }
            _ => {}
        }
    }

    /// A promise thought broken was not: say so, and put right what was said of a refund.
    fn note_breach_withdrawn(&mut self, step: &mut Step<'_>, index: usize, judgement: &Judgement) {
        self.say_breach(step, index, judgement);
        let slot = &self.promises[index];
        let Some(made) = &slot.made else { return };
        let (Some(Template::Refund), Some(stake)) = (made.value.template, made.value.stake) else {
            return;
        };
        let id = slot.id.clone();
        let is_its = |held: &SqueezeSlot| held.is_about(SqueezeType::S18, None, &id);
        let Some(place) = self.squeezes.iter().position(is_its) else { return };
        if judgement.outcome == PromiseOutcome::Late {
            if !self.squeezes[place].is_liability() {
                return;
            }
            let paid_at =
                judgement.evidence.iter().find(|evidence| evidence.class == Class::IntLate);
            let paid_at = paid_at.map_or(step.time, |evidence| evidence.time);
            self.redress_slot(step, place, stake.minor, &format!("paid/{id}"), false, paid_at);
        } else {
            self.withdraw_squeeze(step, place, &id, stake.minor);
        }
    }

    fn say_breach(&self, step: &mut Step<'_>, index: usize, judgement: &Judgement) {
        let slot = &self.promises[index];
        let Some(made) = &slot.made else { return };
        step.said.push(OutputBody::Breach(Box::new(Breach {
            promise_id: slot.id.clone(),
            kind: made.value.kind.clone(),
            made_at: made.at.time,
            due_at: judgement.due,
            outcome: judgement.outcome,
            presumed: judgement.presumed,
            stake: made.value.stake,
        })));
    }

    /// Nothing was heard by the deadline.
    pub(super) fn presume_breach(&mut self, step: &mut Step<'_>, id: &str) {
        if let Some(index) = self.promises.iter().position(|slot| *slot.id == *id) {
            let slot = &mut self.promises[index];
            slot.fired_at = Some(slot.fired_at.map_or(step.time, |fired| fired.max(step.time)));
            self.settle_promise(step, index);
        }
    }

    /// In a full ledger, the closed promise that would be forgotten first goes; if none is closed, the lightest; ties by id.
    fn make_room_in_ledger(&mut self, step: &Step<'_>) {
        if self.promises.len() < SLOTS {
            return;
        }
        let forgotten_at = |slot: &PromiseSlot| {
            let is_closed = slot.outcome != PromiseOutcome::Open;
            is_closed.then(|| self.timers.deadline(TimerKind::Forget, &slot.id)).flatten()
        };
        let closed = self
            .promises
            .iter()
            .filter_map(|slot| forgotten_at(slot).map(|at| (at, slot.id.clone())))
            .min()
            .map(|(_, id)| id);
        let leaves = closed.or_else(|| {
            let weight = |slot: &PromiseSlot| Micros::round(slot.weight(step.policy));
            self.promises.iter().map(|slot| (weight(slot), slot.id.clone())).min().map(|(_, id)| id)
        });
        if let Some(id) = leaves {
            self.promises.retain(|slot| slot.id != id);
            self.timers.disarm(TimerKind::Promise, &id);
            self.timers.disarm(TimerKind::Forget, &id);
            self.overflows.ledger += 1;
        }
    }

    fn open_guarantee(
        &mut self,
        step: &Step<'_>,
        order_id: &Text,
        sku: &Text,
        paid: Money,
        until: EventTime,
    ) {
        self.loyalty.gain(step, Component::Rely, step.policy.loyalty.preorder);
        if self.guarantees.iter().any(|held| held.order_id == *order_id) {
            return;
        }
        if self.guarantees.len() == FEW {
            self.overflows.guarantee += 1;
            return;
        }
        self.guarantees.push(Guarantee {
            order_id: order_id.clone(),
            sku: sku.clone(),
            paid,
            placed_at: step.time,
            until,
            remedied: 0,
        });
        self.timers.arm(
            TimerKind::Guarantee,
            order_id,
            until.plus_days(step.policy.s10.settled_days),
        );
    }

    pub(super) fn settle_guarantee(&mut self, step: &mut Step<'_>, order_id: &str) {
        let Some(index) = self.guarantees.iter().position(|held| *held.order_id == *order_id)
        else {
            return;
        };
        let guarantee = self.guarantees.remove(index);
        match s10::settle(step, &guarantee) {
            s10::Settlement::NothingOwed => {}
            s10::Settlement::Honoured { difference } => {
                let weight = evidence_weight(
                    step.policy.weights.guarantee_honoured,
                    Some(difference),
                    step.policy,
                    1.0,
                );
                self.observe(
                    step,
                    Class::IntGuaranteeHonoured,
                    order_id,
                    Sign::Positive,
                    weight,
                    step.time,
                );
            }
            s10::Settlement::Breached { missing } => {
                let weight = evidence_weight(
                    step.policy.weights.guarantee_breached,
                    Some(missing),
                    step.policy,
                    1.0,
                );
                self.observe(
                    step,
                    Class::IntGuaranteeBreached,
                    order_id,
                    Sign::Negative,
                    weight,
                    step.time,
                );
                if step.policy.looks_for(SqueezeType::S10, None) {
                    self.hold(step, s10::finding(&guarantee, missing));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{customer_after, evidence};

    /// Outcome of each promise the story leaves, in the order of their making.
    fn outcomes(story: &str) -> String {
        let customer = customer_after(story);
        customer
            .promises
            .iter()
            .map(|slot| format!("{} {}", slot.id, slot.outcome))
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn other_events_open_keep_and_break_promises() {
        for (story, expected) in [
            ("2025-01-01 order o deliver=2025-01-05\n2025-01-05 fulfilled o", "delivery/o kept"),
            (
                "2025-01-01 order o deliver=2025-01-05\n2025-01-05 fulfilled o partly\n2025-01-06 tick",
                "delivery/o broken",
            ),
            ("2025-01-01 order o", ""),
            ("2025-01-03 fail f total\n2025-01-07 restore f", "repair/f kept"),
            ("2025-01-03 fail f total\n2025-01-07 tick", "repair/f broken"),
            ("2025-01-03 fail f", ""),
            ("2025-01-03 fail f total cause=customer", ""),
            ("2025-01-01 refund-agreed r 5.00\n2025-01-14 tick", "refund/r open"),
            ("2025-01-01 refund-agreed r 5.00\n2025-01-15 tick", "refund/r broken"),
            (
                "2025-01-01 refund-agreed r 5.00 due=2025-02-01\n2025-01-31 refund-paid r 5.00",
                "refund/r kept",
            ),
            ("2025-01-01 complain c\n2025-02-26 resolve c rejected", "complaint/c kept"),
            ("2025-01-01 complain c\n2025-02-26 tick", "complaint/c broken"),
            (
                "2025-01-01 start s basic 1.00\n2025-01-03 cancel s q\n2025-01-06 cancelled q",
                "cancellation/q kept",
            ),
            (
                "2025-01-01 start s basic 1.00\n2025-01-03 cancel s q\n2025-01-06 tick",
                "cancellation/q broken",
            ),
            (
                "2025-01-01 start s basic 1.00\n2025-01-03 cancel s q\n2025-01-04 stay q",
                "cancellation/q void",
            ),
            ("2025-01-03 cancel s q", ""),
            (
                "2025-01-05 fulfilled o\n2025-01-05 restore f\n2025-01-05 refund-paid r 1.00\n2025-01-05 resolve c upheld",
                "",
            ),
        ] {
            assert_eq!(outcomes(story), expected, "{story}");
        }
    }

    #[test]
    fn a_template_is_as_strong_as_a_guarantee_and_weighs_its_stake() {
        let story =
            "2025-01-01 order o price=30.00 deliver=2025-01-05\n2025-01-05 fulfilled o by=agent";
        assert_snapshot!(evidence(story, ""), @r"
        2025-01-05 COM.DELIVERED o +0.175
        2025-01-05 INT.KEPT delivery/o +1.4
        ");
    }

    #[test]
    fn an_overdue_complaint_is_a_lack_of_care_too() {
        assert_snapshot!(evidence("2025-01-01 complain c\n2025-02-26 tick", ""), @r"
        2025-02-26 INT.BROKEN complaint/c -0.8
        2025-02-26 CAR.OVERDUE complaint/c -1.0
        ");
    }

    #[test]
    fn a_full_ledger_lets_the_closed_go_first_and_then_the_lightest() {
        let seventeen = |line: &str| {
            let story = (10..26).fold(String::new(), |story, n| {
                format!("{story}\n2025-01-01 promise p{n} due=2025-02-01 stake={n}.00")
            });
            let customer =
                customer_after(&format!("{story}\n{line}\n2025-01-05 promise z due=2025-02-01"));
            assert_eq!((customer.promises.len(), customer.overflows.ledger), (16, 1));
            let held = |n: &i32| customer.promises.iter().any(|slot| *slot.id == *format!("p{n}"));
            (10..26).find(|n| !held(n)).map(|n| format!("p{n}"))
        };
        assert_eq!(seventeen("").as_deref(), Some("p10"));
        assert_eq!(seventeen("2025-01-03 kept p20\n2025-01-04 kept p12").as_deref(), Some("p20"));
        assert_eq!(seventeen("2025-01-03 kept p20\n2025-01-03 kept p12").as_deref(), Some("p12"));
    }
}
