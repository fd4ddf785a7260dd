//! One promise: its facts, merged whatever order they come in, and what became of it: a pure function of them.

use serde::{Deserialize, Serialize};

use super::event::{Attested, Basis, Cause, Party, Verdict, words};
use super::fact::{Fact, Stamp, Sums, keep_earliest, keep_latest};
use super::lateness::lateness_share;
use super::organisation::{Counted, Origin};
use super::policy::Promises;
use super::weight::evidence_weight;
use super::{Class, EventTime, Evidence, Money, Policy, Sign, Text};

words! {
    /// What became of a promise.
    PromiseOutcome { /// Nothing yet.
        Open = "open", /// Kept.
        Kept = "kept", /// Kept late.
        Late = "late", /// Broken.
        Broken = "broken", /// Taken back in time.
        Withdrawn = "withdrawn", /// The customer's own doing.
        Void = "void" }
}

words! {
    /// A promise nobody has to say: opened and kept by other events.
    Template { /// An order arrives in time.
        Delivery = "delivery", /// A total failure is mended.
        Repair = "repair", /// An agreed refund is paid.
        Refund = "refund", /// A complaint is resolved.
        Complaint = "complaint", /// A cancellation is completed.
        Cancellation = "cancellation" }
}

impl Template {
    /// The promise's id within the customer: `delivery/` and the order, for instance.
    pub fn promise_id(self, about: &str) -> Text {
        format!("{self}/{about}").into()
    }
}

/// What was promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Decides its importance.
    pub kind: Text,
    /// When it was due at first.
    pub due_at: EventTime,
    /// How long after that still counts, in milliseconds.
    pub grace_ms: i64,
    /// What is at stake.
    pub stake: Option<Money>,
    /// How strong it is.
    pub basis: Basis,
    /// The template it was opened by.
    pub template: Option<Template>,
}

/// A move of the due time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renegotiation {
    /// The due time agreed.
    pub new_due_at: EventTime,
    /// Who asked for it.
    pub by: Party,
}

/// How a promise was broken, in the firm's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Who says so.
    pub attested_by: Attested,
    /// Whose doing.
    pub cause: Cause,
}

/// A fact about one promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromiseFact {
    /// It was made.
    Made(Made),
    /// It was kept.
    Kept(Attested),
    /// It was broken.
    Broken(Admission),
    /// Its due time was moved.
    Renegotiated(Renegotiation),
    /// It was taken back.
    Withdrawn,
    /// The customer judged it.
    Verdict(Verdict),
}

/// Renegotiations remembered: the earliest by (time, id).
const RENEGOTIATIONS: usize = 4;

/// All that is known of one promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromiseSlot {
    /// Names it within the customer.
    pub id: Text,
    /// What was promised; a slot may wait for it.
    pub made: Option<Fact<Made>>,
    kept: Option<Fact<Attested>>,
    broken: Option<Fact<Admission>>,
    withdrawn: Option<Fact<()>>,
    verdict: Option<Fact<Verdict>>,
    /// By (time, id), at most [`RENEGOTIATIONS`].
    renegotiations: Vec<Fact<Renegotiation>>,
    /// What customer and firm said and did about it.
    pub aftermath: Aftermath,
    /// The latest deadline its breach timer fired at.
    pub fired_at: Option<EventTime>,
    /// The latest of its promise events.
    latest_fact: EventTime,
    /// What it supports now.
    pub evidence: Vec<Evidence>,
    /// What was last said of it.
    pub outcome: PromiseOutcome,
    /// Where the event belongs that first said it was made.
    pub origin: Origin,
    /// How the roll-ups count it.
    pub counted: Option<Counted>,
}

/// What was said and done about a promise or failure: the earliest of each by time, and the money.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Aftermath {
    /// First notice about it.
    pub notice: Option<EventTime>,
    /// First remedy for it.
    pub remedy: Option<EventTime>,
    /// First contact or complaint of the customer about it.
    pub contact: Option<EventTime>,
    /// All that was paid for it.
    pub remedied: Sums,
}

impl Aftermath {
    /// Takes in a notice.
    pub fn note_notice(&mut self, time: EventTime) {
        self.notice = Some(self.notice.map_or(time, |held| held.min(time)));
    }

    /// Takes in a remedy.
    pub fn note_remedy(&mut self, time: EventTime, amount: Money) {
        self.remedy = Some(self.remedy.map_or(time, |held| held.min(time)));
        self.remedied.add(amount);
    }

    /// Takes in a contact or complaint.
    pub fn note_contact(&mut self, time: EventTime) {
        self.contact = Some(self.contact.map_or(time, |held| held.min(time)));
    }

    /// The credits for a failure of weight `w` at `t`: telling and mending soon mitigate, but never equal keeping.
    ///
    /// Source: Erhard, Jensen, Zaffron, *Integrity: A Positive Model* (2009), on honouring one's word.
    pub(super) fn credits(
        &self,
        w: f64,
        t: EventTime,
        key: &Text,
        classes: [Class; 2],
        policy: &Policy,
        into: &mut Vec<Evidence>,
    ) {
        let policy = &policy.promise;
        let by = t.plus(policy.credit_window_ms);
        let credit = |class, weight, time| Evidence {
            class,
            key: key.clone(),
            sign: Sign::Positive,
            weight,
            time,
        };
        if let Some(notice) = self.notice
            && notice <= by
            && self.contact.is_none_or(|contact| notice <= contact)
        {
            into.push(credit(classes[0], policy.notice_credit * w, t.max(notice)));
        }
        if let Some(remedy) = self.remedy
            && remedy <= by
        {
            let was_asked = self.contact.is_some_and(|contact| contact < remedy);
            let share = if was_asked { policy.remedy_credit_asked } else { policy.remedy_credit };
            into.push(credit(classes[1], share * w, t.max(remedy)));
        }
    }
}

/// What the facts amount to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What became of it.
    pub outcome: PromiseOutcome,
    /// The due time in force.
    pub due: EventTime,
    /// Due time and grace: D.
    pub deadline: EventTime,
    /// Broken by absence alone.
    pub presumed: bool,
    /// When it was kept, in time or late, if that is known.
    pub kept_at: Option<EventTime>,
    /// What it supports.
    pub evidence: Vec<Evidence>,
}

/// How a promise ended, before it is weighed.
enum Ending {
    Kept { at: EventTime, eta: f64 },
    Late { at: EventTime, eta: f64, late_ms: Option<i64> },
    Broken { at: EventTime, eta: f64, alpha: f64, presumed: bool },
    Withdrawn { at: EventTime },
    Void,
    Open,
}

impl PromiseSlot {
    /// A slot without facts.
    pub fn new(id: Text) -> Self {
        Self {
            id,
            made: None,
            kept: None,
            broken: None,
            withdrawn: None,
            verdict: None,
            renegotiations: Vec::new(),
            aftermath: Aftermath::default(),
            fired_at: None,
            latest_fact: EventTime::default(),
            evidence: Vec::new(),
            outcome: PromiseOutcome::Open,
            origin: Origin::default(),
            counted: None,
        }
    }

    /// Takes in a promise event.
    pub fn merge(&mut self, at: Stamp, fact: PromiseFact) {
        self.latest_fact = self.latest_fact.max(at.time);
        match fact {
            PromiseFact::Made(made) => keep_earliest(&mut self.made, Fact::new(at, made)),
            PromiseFact::Kept(attested_by) => {
                keep_earliest(&mut self.kept, Fact::new(at, attested_by))
            }
            PromiseFact::Broken(admission) => {
                keep_earliest(&mut self.broken, Fact::new(at, admission))
            }
            PromiseFact::Withdrawn => keep_earliest(&mut self.withdrawn, Fact::new(at, ())),
            PromiseFact::Verdict(verdict) => keep_latest(&mut self.verdict, Fact::new(at, verdict)),
            PromiseFact::Renegotiated(move_) => {
                let place = self.renegotiations.partition_point(|held| held.at < at);
                self.renegotiations.insert(place, Fact::new(at, move_));
                self.renegotiations.truncate(RENEGOTIATIONS);
            }
        }
    }

    /// When the slot is forgotten, unless it is open and made.
    pub fn forgotten_at(&self, judgement: Option<&Judgement>, policy: &Policy) -> EventTime {
        let broken_at =
            judgement.filter(|j| j.outcome == PromiseOutcome::Broken).map(|j| j.deadline);
        self.latest_fact.max(broken_at.unwrap_or(self.latest_fact)).plus(policy.promise.forget_ms)
    }

    /// w without η: strength · importance · σ(stake); 0 before it is made.
    pub fn weight(&self, policy: &Policy) -> f64 {
        self.made.as_ref().map_or(0.0, |made| weight(&made.value, policy, 1.0))
    }

    /// What the facts amount to; `None` before it is made.
    pub fn judge(&self, policy: &Policy) -> Option<Judgement> {
        let made = self.made.as_ref()?;
        let mut evidence = Vec::new();
        let due = self.due_in_force(made, policy, &mut evidence);
        let deadline = due.plus(made.value.grace_ms);
        let mut judgement = Judgement {
            outcome: PromiseOutcome::Open,
            due,
            deadline,
            presumed: false,
            kept_at: None,
            evidence,
        };
        let ending = self.ending(deadline, policy);
        self.weigh(made, &ending, policy, &mut judgement);
        Some(judgement)
    }

    /// The due time after every renegotiation made in time; each by the firm is evidence.
    fn due_in_force(
        &self,
        made: &Fact<Made>,
        policy: &Policy,
        evidence: &mut Vec<Evidence>,
    ) -> EventTime {
        let (mut due, mut by_firm) = (made.value.due_at, 0_u32);
        for moved in &self.renegotiations {
            if moved.at.time > due.plus(made.value.grace_ms) {
                continue;
            }
            due = moved.value.new_due_at;
            if moved.value.by == Party::Firm {
                by_firm += 1;
                let Promises { renegotiation, renegotiation_max, .. } = policy.promise;
                let share = (renegotiation * f64::from(by_firm)).min(renegotiation_max);
                let weight = share * weight(&made.value, policy, 1.0);
                let key = format!("{}/{by_firm}", self.id).into();
                let (class, time) = (Class::IntReneg, moved.at.time);
                if weight > 0.0 {
                    evidence.push(Evidence { class, key, sign: Sign::Negative, weight, time });
                }
            }
        }
        due
    }

    /// The first rule of the ledger that holds.
    fn ending(&self, deadline: EventTime, policy: &Policy) -> Ending {
        let kept_at = self.kept.as_ref().map(|kept| kept.at.time);
        if let Some(verdict) = &self.verdict {
            let said_at = verdict.at.time;
            return match verdict.value {
                Verdict::Kept => {
                    let at = kept_at
                        .filter(|kept| *kept <= deadline)
                        .unwrap_or_else(|| said_at.min(deadline));
                    Ending::Kept { at, eta: 1.0 }
                }
                Verdict::Late => match kept_at.filter(|kept| *kept > deadline) {
                    Some(at) => Ending::Late { at, eta: 1.0, late_ms: Some(at.since(deadline)) },
                    None => Ending::Late { at: said_at, eta: 1.0, late_ms: None },
                },
                Verdict::Broken => {
                    let broken_at = self.broken.as_ref().map_or(said_at, |broken| broken.at.time);
                    let at = deadline.min(said_at).min(broken_at);
                    Ending::Broken { at, eta: 1.0, alpha: 1.0, presumed: false }
                }
            };
        }
        if self.broken.as_ref().is_some_and(|broken| broken.value.cause == Cause::Customer) {
            return Ending::Void;
        }
        if let Some(kept) = &self.kept {
            let (at, eta) = (kept.at.time, policy.eta(kept.value));
            return if at <= deadline {
                Ending::Kept { at, eta }
            } else {
                Ending::Late { at, eta, late_ms: Some(at.since(deadline)) }
            };
        }
        if let Some(withdrawn) =
            self.withdrawn.as_ref().filter(|withdrawn| withdrawn.at.time <= deadline)
        {
            return Ending::Withdrawn { at: withdrawn.at.time };
        }
        if let Some(broken) = &self.broken {
            let (eta, alpha) =
                (policy.eta(broken.value.attested_by), policy.alpha(broken.value.cause));
            return Ending::Broken {
                at: deadline.min(broken.at.time),
                eta,
                alpha,
                presumed: false,
            };
        }
        if self.fired_at.is_some_and(|fired| fired >= deadline) {
            return Ending::Broken {
                at: deadline,
                eta: policy.attestation.presumed,
                alpha: 1.0,
                presumed: true,
            };
        }
        Ending::Open
    }

    /// Turns an ending into outcome and evidence.
    fn weigh(
        &self,
        made: &Fact<Made>,
        ending: &Ending,
        policy: &Policy,
        judgement: &mut Judgement,
    ) {
        let weight = |modifiers| weight(&made.value, policy, modifiers);
        let mut support = |class, sign, weight: f64, time| {
            if weight > 0.0 {
                judgement.evidence.push(Evidence {
                    class,
                    key: self.id.clone(),
                    sign,
                    weight,
                    time,
                });
            }
        };
        judgement.outcome = match *ending {
            Ending::Open => PromiseOutcome::Open,
            Ending::Void => PromiseOutcome::Void,
            Ending::Kept { at, eta } => {
                support(Class::IntKept, Sign::Positive, weight(eta), at);
                judgement.kept_at = Some(at);
                PromiseOutcome::Kept
            }
            Ending::Late { at, eta, late_ms } => {
                let was_told =
                    self.aftermath.notice.is_some_and(|notice| notice <= judgement.deadline);
                let horizon_ms = judgement.due.since(made.at.time);
                let rules = &policy.promise;
                let q = late_ms.map_or(rules.late_unknown, |late_ms| {
                    lateness_share(horizon_ms, late_ms, was_told, rules)
                });
                let w = weight(eta);
                support(Class::IntLate, Sign::Positive, w * q, at);
                support(Class::IntLate, Sign::Negative, w * (1.0 - q), at);
                judgement.kept_at = Some(at);
                PromiseOutcome::Late
            }
            Ending::Withdrawn { at } => {
                let stake = made.value.stake;
                let remedied = self.aftermath.remedied.of(stake.map(|stake| stake.currency));
                let is_mended = remedied > 0 && stake.is_none_or(|stake| remedied >= stake.minor);
                let w = weight(1.0);
                if is_mended {
                    support(
                        Class::IntWithdrawn,
                        Sign::Positive,
                        policy.promise.withdrawn_mended * w,
                        at,
                    );
                }
                support(Class::IntWithdrawn, Sign::Negative, policy.promise.withdrawn * w, at);
                PromiseOutcome::Withdrawn
            }
            Ending::Broken { at, eta, alpha, presumed } => {
                let w = weight(eta * alpha);
                support(Class::IntBroken, Sign::Negative, w, at);
                if made.value.template == Some(Template::Complaint) {
                    support(Class::CarOverdue, Sign::Negative, policy.weights.overdue, at);
                }
                if w > 0.0 {
                    let classes = [Class::IntCreditNotice, Class::IntCreditRemedy];
                    let into = &mut judgement.evidence;
                    self.aftermath.credits(w, at, &self.id, classes, policy, into);
                }
                judgement.presumed = presumed;
                PromiseOutcome::Broken
            }
        };
    }
}

fn weight(made: &Made, policy: &Policy, modifiers: f64) -> f64 {
    let base = policy.strength(made.basis) * policy.importance(&made.kind);
    evidence_weight(base, made.stake, policy, modifiers)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::Policy;
    use crate::model::story::{customer_after, said, written};

    const DUE: &str = "2025-01-01 promise call due=2025-01-05 grace=P1D";

    /// What `facts` make of a promise made on the 1st, due on the 5th, with grace until the 6th: outcome, then evidence.
    fn judged(facts: &str) -> String {
        let customer = customer_after(&format!("{DUE}\n{facts}"));
        let slot = customer.promises.iter().find(|slot| *slot.id == *"call").expect("a slot");
        let evidence = slot.evidence.iter().map(written).collect::<Vec<_>>().join("; ");
        format!("{}: {evidence}", slot.outcome).replace("T00:00:00.000Z", "").replace(" call", "")
    }

    fn assert_all(cases: &[(&str, &str)]) {
        for (facts, expected) in cases {
            assert_eq!(judged(facts), *expected, "{facts}");
        }
    }

    #[test]
    fn a_promise_is_kept_until_the_end_of_its_grace_and_then_late() {
        assert_all(&[
            ("2025-01-02 kept call", "kept: 2025-01-02 INT.KEPT +1.0"),
            ("2025-01-06 kept call", "kept: 2025-01-06 INT.KEPT +1.0"),
            ("2025-01-02 kept call by=agent", "kept: 2025-01-02 INT.KEPT +0.7"),
            ("2025-01-07 kept call", "late: 2025-01-07 INT.LATE +0.5; 2025-01-07 INT.LATE -0.5"),
            (
                "2025-01-06 notice delay about=call\n2025-01-08 kept call",
                "late: 2025-01-08 INT.LATE +0.5; 2025-01-08 INT.LATE -0.5",
            ),
            (
                "2025-01-06T12:00 notice delay about=call\n2025-01-08 kept call",
                "late: 2025-01-08 INT.LATE +0.25; 2025-01-08 INT.LATE -0.75",
            ),
        ]);
    }

    #[test]
    fn the_customers_verdict_goes_before_all_the_firm_says() {
        assert_all(&[
            (
                "2025-01-04 kept call by=agent\n2025-01-09 verdict call kept",
                "kept: 2025-01-04 INT.KEPT +1.0",
            ),
            (
                "2025-01-07 kept call\n2025-01-09 verdict call kept",
                "kept: 2025-01-06 INT.KEPT +1.0",
            ),
            ("2025-01-03 verdict call kept", "kept: 2025-01-03 INT.KEPT +1.0"),
            (
                "2025-01-03 broken call\n2025-01-04 verdict call kept",
                "kept: 2025-01-04 INT.KEPT +1.0",
            ),
            (
                "2025-01-07 kept call by=agent\n2025-01-09 verdict call late",
                "late: 2025-01-07 INT.LATE +0.5; 2025-01-07 INT.LATE -0.5",
            ),
            (
                "2025-01-04 kept call\n2025-01-09 verdict call late",
                "late: 2025-01-09 INT.LATE +0.5; 2025-01-09 INT.LATE -0.5",
            ),
            (
                "2025-01-04 kept call\n2025-01-09 verdict call broken",
                "broken: 2025-01-06 INT.BROKEN -1.0",
            ),
            (
                "2025-01-03 broken call by=agent cause=force_majeure\n2025-01-04 verdict call broken",
                "broken: 2025-01-03 INT.BROKEN -1.0",
            ),
            (
                "2025-01-03 broken call cause=customer\n2025-01-04 verdict call broken",
                "broken: 2025-01-03 INT.BROKEN -1.0",
            ),
            (
                "2025-01-03 verdict call broken\n2025-01-04 verdict call kept",
                "kept: 2025-01-04 INT.KEPT +1.0",
            ),
        ]);
    }

    #[test]
    fn without_a_verdict_the_firms_own_words_decide_in_the_order_of_the_ledger() {
        assert_all(&[
            ("2025-01-04 kept call\n2025-01-05 broken call cause=customer", "void: "),
            ("2025-01-03 withdrawn call\n2025-01-04 broken call cause=customer", "void: "),
            (
                "2025-01-02 withdrawn call\n2025-01-03 broken call\n2025-01-04 kept call",
                "kept: 2025-01-04 INT.KEPT +1.0",
            ),
            (
                "2025-01-02 broken call\n2025-01-06 withdrawn call",
                "withdrawn: 2025-01-06 INT.WITHDRAWN -0.5",
            ),
            (
                "2025-01-07 withdrawn call\n2025-01-07 broken call by=agent cause=supplier",
                "broken: 2025-01-06 INT.BROKEN -0.7",
            ),
            ("2025-01-03 broken call cause=force_majeure", "broken: 2025-01-03 INT.BROKEN -0.25"),
            ("2025-01-06 tick", "broken: 2025-01-06 INT.BROKEN -0.8"),
            ("2025-01-05T23:59 tick", "open: "),
        ]);
    }

    #[test]
    fn a_due_time_moves_if_it_is_moved_in_time_and_the_firm_pays_more_for_each_move() {
        assert_all(&[
            (
                "2025-01-06 moved call to=2025-01-10\n2025-01-11 kept call",
                "kept: 2025-01-06 INT.RENEG/1 -0.25; 2025-01-11 INT.KEPT +1.0",
            ),
            (
                "2025-01-06 moved call to=2025-01-10 by=customer\n2025-01-11 kept call",
                "kept: 2025-01-11 INT.KEPT +1.0",
            ),
            (
                "2025-01-06T00:01 moved call to=2025-01-10\n2025-01-07 kept call",
                "late: 2025-01-07 INT.LATE +0.5; 2025-01-07 INT.LATE -0.5",
            ),
            (
                "2025-01-02 moved call to=2025-01-03\n2025-01-03 moved call to=2025-01-09 by=customer
                 2025-01-10 moved call to=2025-01-12",
                "open: 2025-01-02 INT.RENEG/1 -0.25; 2025-01-10 INT.RENEG/2 -0.5",
            ),
            (
                "2025-01-02 moved call to=2025-01-03\n2025-01-04 moved call to=2025-01-05
                 2025-01-05 moved call to=2025-01-06\n2025-01-06 moved call to=2025-01-07
                 2025-01-07 moved call to=2025-01-08\n2025-01-07T12:00 kept call",
                "kept: 2025-01-02 INT.RENEG/1 -0.25; 2025-01-04 INT.RENEG/2 -0.5; \
                 2025-01-05 INT.RENEG/3 -0.75; 2025-01-06 INT.RENEG/4 -1.0; \
                 2025-01-07T12:00:00.000Z INT.KEPT +1.0",
            ),
        ]);
    }

    #[test]
    fn a_move_that_arrives_late_takes_a_presumed_breach_back() {
        let story =
            format!("{DUE}\n2025-01-07 tick\n2025-01-05 moved call to=2025-01-20\n2025-01-21 tick");
        assert_snapshot!(said(&story), @r"
        2025-01-06 breach call broken, presumed
        2025-01-06 breach call open
        2025-01-21 breach call broken, presumed
        ");
    }

    #[test]
    fn telling_and_mending_within_a_week_mitigate_a_broken_promise() {
        let broken = |then: &str| judged(&format!("2025-01-03 broken call\n{then}"));
        let without = "broken: 2025-01-03 INT.BROKEN -1.0";
        for (then, credits) in [
            ("2025-01-02 notice delay about=call", "; 2025-01-03 INT.CREDIT_NOTICE +0.25"),
            ("2025-01-10 notice delay about=call", "; 2025-01-10 INT.CREDIT_NOTICE +0.25"),
            ("2025-01-10T00:01 notice delay about=call", ""),
            ("2025-01-04 contact c about=call\n2025-01-05 notice delay about=call", ""),
            ("2025-01-10 remedy r 5.00 about=call", "; 2025-01-10 INT.CREDIT_REMEDY +0.5"),
            ("2025-01-10T00:01 remedy r 5.00 about=call", ""),
            (
                "2025-01-04 complain c about=call\n2025-01-05 remedy r 5.00 about=call",
                "; 2025-01-05 INT.CREDIT_REMEDY +0.25",
            ),
        ] {
            assert_eq!(broken(then), format!("{without}{credits}"), "{then}");
        }
    }

    #[test]
    fn a_withdrawal_is_cleaned_up_by_the_whole_stake_in_its_currency() {
        let withdrawn = |then: &str| {
            let story = format!(
                "2025-01-01 promise call due=2025-01-05 stake=30.00\n2025-01-02 withdrawn call\n{then}"
            );
            let customer = customer_after(&story);
            customer.promises[0].evidence.iter().map(written).collect::<Vec<_>>().join("\n")
        };
        let mended =
            withdrawn("2025-01-03 remedy a 20.00 about=call\n2025-01-04 remedy b 10.00 about=call");
        assert_snapshot!(mended, @r"
        2025-01-02T00:00:00.000Z INT.WITHDRAWN call +0.5
        2025-01-02T00:00:00.000Z INT.WITHDRAWN call -1.0
        ");
        for then in
            ["2025-01-03 remedy a 29.99 about=call", "2025-01-03 remedy a 30.00USD about=call"]
        {
            assert_eq!(
                withdrawn(then),
                "2025-01-02T00:00:00.000Z INT.WITHDRAWN call -1.0",
                "{then}"
            );
        }
    }

    #[test]
    fn strength_importance_and_stake_weigh() {
        let weight = |words: &str| {
            let story =
                format!("2025-01-01 promise call due=2025-01-05 {words}\n2025-01-02 kept call");
            customer_after(&story).promises[0].evidence[0].weight
        };
        for (words, expected) in [
            ("basis=guarantee", 1.0),
            ("basis=published", 0.75),
            ("basis=implied", 0.5),
            ("kind=callback", 0.5),
            ("kind=unheard-of", 1.0),
            ("stake=90.00", 3.0),
            ("stake=900.00 kind=safety", 8.0),
        ] {
            assert_eq!(weight(words), expected, "{words}");
        }
    }

    #[test]
    fn a_promise_the_policy_gives_no_weight_supports_nothing() {
        let policy = Policy::from_toml("[importance]\ngeneral = 0.0").unwrap();
        for facts in ["2025-01-02 moved call to=2025-01-09", "2025-01-03 broken call"] {
            let customer = customer_after(&format!("{DUE}\n{facts}"));
            assert_eq!(customer.promises[0].judge(&policy).unwrap().evidence, [], "{facts}");
        }
    }

    #[test]
    fn a_promise_to_oneself_opens_no_slot() {
        let story = "2025-01-01 promise tidy due=2025-01-05 internal\n2025-01-06 tick";
        assert!(customer_after(story).promises.is_empty());
    }

    #[test]
    fn a_closed_promise_is_forgotten_30_days_after_its_last_event_and_its_deadline() {
        let is_held = |story: &str| !customer_after(story).promises.is_empty();
        for (facts, last, gone) in [
            ("2025-01-02 kept call", "2025-01-31T23:59", "2025-02-01"),
            ("2025-01-02 broken call", "2025-02-04T23:59", "2025-02-05"),
            ("2025-01-06 tick", "2025-02-04T23:59", "2025-02-05"),
            (
                "2025-01-02 kept call\n2025-01-20 verdict call kept",
                "2025-02-18T23:59",
                "2025-02-19",
            ),
        ] {
            assert!(is_held(&format!("{DUE}\n{facts}\n{last} tick")), "{facts}");
            assert!(!is_held(&format!("{DUE}\n{facts}\n{gone} tick")), "{facts}");
        }
        let waits = "2025-01-02 kept call";
        assert!(is_held(&format!("{waits}\n2025-01-31T23:59 tick")));
        assert!(!is_held(&format!("{waits}\n2025-02-01 tick")));
    }
}
