//! A squeeze from the first evaluation that holds to the last penny given back: what is said when, and what it weighs.

use super::{
    Comparator, SqueezeAlert, SqueezeChange, SqueezeSlot, SqueezeState, SqueezeType, dedup_key,
    severity,
};
use crate::model::customer::Customer;
use crate::model::output::OutputBody;
use crate::model::step::Step;
use crate::model::timer::TimerKind;
use crate::model::weight::MAX_WEIGHT;
use crate::model::{Class, Currency, EventTime, EvidenceId, Micros, Money, Sign, Text};

/// Squeeze slots of a customer.
const SLOTS: usize = 12;

/// A rule that holds: what a detector found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The type.
    pub kind: SqueezeType,
    /// The subscription it belongs to.
    pub subscription: Option<Text>,
    /// What within the customer and subscription; `-` if nothing.
    pub subject: Text,
    /// Of all its amounts.
    pub currency: Currency,
    /// E_m, minor units.
    pub excess_monthly: f64,
    /// What this evaluation adds to what was taken, minor units, at least 0.
    pub added: i64,
    /// The monthly charge severity is relative to.
    pub bill: Option<i64>,
    /// The plan compared with, and since when it is on sale.
    pub comparator: Option<(Comparator, EventTime)>,
    /// The id of what was judged.
    pub reference: Text,
    /// FAI.SQUEEZE weighs severity times this; 0: no evidence.
    pub evidence_per_severity: f64,
    /// Scales the type's culpability.
    pub culpability_share: f64,
    /// What later bills are compared with.
    pub baseline: Option<i64>,
    /// What another squeeze, the cause of this one, has accrued: it counts for severity only, minor units.
    pub accrued_by_cause: i64,
}

impl Finding {
    /// A one-off amount: a twelfth of it a month, all of it taken at once.
    pub fn one_off(kind: SqueezeType, subject: Text, amount: Money, reference: Text) -> Self {
        Self {
            kind,
            subscription: None,
            subject,
            currency: amount.currency,
            excess_monthly: amount.minor as f64 / 12.0,
            added: amount.minor.max(0),
            bill: None,
            comparator: None,
            reference,
            evidence_per_severity: 1.0,
            culpability_share: 1.0,
            baseline: None,
            accrued_by_cause: 0,
        }
    }

    /// The same, on a subscription whose monthly charge is `bill`.
    #[must_use]
    pub fn on(mut self, subscription: Option<(Text, i64)>) -> Self {
        if let Some((id, bill)) = subscription {
            self.subscription = Some(id);
            self.bill = Some(bill);
        }
        self
    }

    /// Names the squeeze it is of, for `customer`.
    pub fn key(&self, customer: &str) -> Text {
        dedup_key(self.kind, customer, self.subscription.as_deref(), &self.subject)
    }

    /// Is it of the squeeze in `slot`, of the same customer?
    pub fn is_of(&self, slot: &SqueezeSlot) -> bool {
        slot.is_about(self.kind, self.subscription.as_deref(), &self.subject)
    }
}

impl SqueezeType {
    /// It must stop before it can be resolved: giving the past back does not end what goes on.
    pub const fn must_stop_first(self) -> bool {
        matches!(
            self,
            Self::S01
                | Self::S02
                | Self::S03
                | Self::S05
                | Self::S07
                | Self::S11
                | Self::S16
                | Self::S19
                | Self::S20
        )
    }

    /// What is pending is evaluated again: by the bills, for S02 by the renewals, to come. All else is found once, and S16 and S20, which a
    /// change of price or terms opens, are asked of bills only while they are open.
    const fn is_evaluated_again(self) -> bool {
        matches!(self, Self::S01 | Self::S02 | Self::S03 | Self::S04 | Self::S07 | Self::S19)
    }

    /// What the one evaluation of such a type weighs, by its severity.
    const fn evidence_once(self) -> f64 {
        if matches!(self, Self::S05 | Self::S11 | Self::S16 | Self::S20) { 0.0 } else { 1.0 }
    }
}

impl Customer {
    /// A rule holds: its slot opens, grows or comes back, and what it weighs is recorded. Nothing, if the slot is of another
    /// currency, or is over and the rule still gathers.
    pub fn hold(&mut self, step: &mut Step<'_>, finding: Finding) {
        let mut place = self.squeezes.iter().position(|slot| finding.is_of(slot));
        if let Some(index) =
            place.take_if(|index| self.squeezes[*index].is_history(step.time, step.policy))
        {
            self.forget_squeeze(step, index);
        }
        let index = place.unwrap_or_else(|| self.open_slot(step, &finding));
        let slot = &self.squeezes[index];
        let is_over = matches!(slot.state, SqueezeState::Stopped | SqueezeState::Resolved);
        let is_held_back = is_over && step.warming.holds_back(finding.kind);
        if slot.currency != finding.currency || is_held_back {
            return;
        }
        let is_vulnerable = self.is_vulnerable(step);
        let slot = &mut self.squeezes[index];
        let was_liability = slot.is_liability();
        let change = slot.evaluate(step, &finding, is_vulnerable);
        step.alerts_opened += i64::from(slot.is_liability()) - i64::from(was_liability);
        if slot.state == SqueezeState::Pending {
            self.wait_for_window(step, finding.kind);
        } else {
            self.count_squeeze(step, index, change, finding.added, finding.evidence_per_severity);
        }
    }

    /// Says what changed by an evaluation of a squeeze that is said, and what it weighs and took.
    fn count_squeeze(
        &mut self,
        step: &mut Step<'_>,
        index: usize,
        change: Option<SqueezeChange>,
        added: i64,
        evidence_per_severity: f64,
    ) {
        let slot = &self.squeezes[index];
        let bad_profit = if change == Some(SqueezeChange::Opened) { slot.gross } else { added };
        let account = self.accounts.of(slot.currency);
        account.bad_profit = account.bad_profit.saturating_add(bad_profit);
        self.say_squeeze(step, index, change, None);
        self.weigh_squeeze(step, index, evidence_per_severity);
        if change == Some(SqueezeChange::Opened) {
            self.weigh_opening(step, index);
        }
    }

    /// Records that what opened harms the vulnerable, or keeps a customer who wants to leave.
    fn weigh_opening(&mut self, step: &mut Step<'_>, index: usize) {
        let slot = &self.squeezes[index];
        let weights = &step.policy.weights;
        let (class, key, weight) = match slot.kind {
            SqueezeType::S05 => (Class::CarObstruct, &slot.subject, weights.obstruct),
            SqueezeType::S11 => (Class::CarVulnerableHarm, &slot.key, weights.vulnerable_harm),
            _ => return,
        };
        let key = key.clone();
        self.blame(step, class, &key, weight);
    }

    /// What a rule that gathers found, and will not find again, opens when its window is filled: one timer a rule.
    fn wait_for_window(&mut self, step: &Step<'_>, kind: SqueezeType) {
        if let Some(until) = step.warming.until(kind)
            && !kind.is_evaluated_again()
        {
            self.timers.arm(TimerKind::Window, kind.code(), until);
        }
    }

    /// The window of the rule `code` is filled: what it found meanwhile opens, in the order of the keys. Nothing, if it gathers anew, is off
    /// by now, or all was given back before anybody was told.
    pub fn open_gathered(&mut self, step: &mut Step<'_>, code: &str) {
        let waits = |slot: &SqueezeSlot| {
            slot.kind.code() == code
                && slot.state == SqueezeState::Pending
                && slot.held >= step.policy.detector(slot.kind).evaluations
        };
        let mut keys: Vec<(Text, SqueezeType)> = self
            .squeezes
            .iter()
            .filter(|slot| waits(slot))
            .map(|slot| (slot.key.clone(), slot.kind))
            .collect();
        keys.sort_unstable();
        for (key, kind) in keys {
            if step.warming.holds_back(kind) {
                return self.wait_for_window(step, kind);
            }
            self.open_waiting(step, &key);
        }
    }

    fn open_waiting(&mut self, step: &mut Step<'_>, key: &str) {
        let Some(index) = self.squeezes.iter().position(|slot| *slot.key == *key) else { return };
        let slot = &self.squeezes[index];
        let plan = self.plan_of(slot.subscription.as_deref());
        let is_looked_for = step.policy.looks_for(slot.kind, plan.as_deref());
        if !is_looked_for || slot.is_refunded(step.policy) {
            self.squeezes.remove(index);
            return;
        }
        let slot = &mut self.squeezes[index];
        slot.open(step.time);
        step.alerts_opened += 1;
        let evidence = slot.kind.evidence_once();
        self.count_squeeze(step, index, Some(SqueezeChange::Opened), 0, evidence);
    }

    /// Records what the last evaluation of a squeeze that is said weighs.
    fn weigh_squeeze(&mut self, step: &mut Step<'_>, index: usize, evidence_per_severity: f64) {
        let slot = &self.squeezes[index];
        let weight = (step.policy.weights.squeeze * slot.severity.value * evidence_per_severity)
            .min(MAX_WEIGHT);
        let Some(reference) = slot.references.last().filter(|_| weight > 0.0) else { return };
        let key = format!("{}/{reference}", slot.key);
        let plan = self.plan_of(slot.subscription.as_deref());
        let origin = step.belong_to_product(plan.as_deref());
        if self.observe(step, Class::FaiSqueeze, &key, Sign::Negative, weight, step.time) {
            self.squeezes[index].evidence_weight += weight;
        }
        step.origin = origin;
    }

    /// Makes room for a new slot, and makes it; its place.
    fn open_slot(&mut self, step: &mut Step<'_>, finding: &Finding) -> usize {
        if self.squeezes.len() == SLOTS {
            let rank = |slot: &SqueezeSlot| (slot.state != SqueezeState::Resolved, slot.accrued());
            let leaves = (0..SLOTS).min_by(|a, b| {
                let (a, b) = (&self.squeezes[*a], &self.squeezes[*b]);
                rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key))
            });
            if let Some(index) = leaves {
                self.forget_squeeze(step, index);
            }
            self.overflows.squeeze += 1;
        }
        let slot = SqueezeSlot {
            key: finding.key(&self.id),
            kind: finding.kind,
            subscription: finding.subscription.clone(),
            subject: finding.subject.clone(),
            currency: finding.currency,
            state: SqueezeState::Pending,
            generation: 1,
            held: 0,
            gross: 0,
            refunded: 0,
            excess_monthly: 0.0,
            severity: severity(0.0, None, 0, 0.0, 1.0, 1.0, 1.0, step.policy),
            alerted: None,
            since: step.time,
            opened_at: step.time,
            resolved_at: None,
            comparator: None,
            references: Vec::new(),
            evidence_weight: 0.0,
            baseline: None,
            was_complained_of: false,
            muted_until: None,
        };
        self.squeezes.push(slot);
        self.squeezes.len() - 1
    }

    /// Empties a slot. Its last word must not stand for ever, if that was not its end.
    fn forget_squeeze(&mut self, step: &mut Step<'_>, index: usize) {
        let slot = self.squeezes.remove(index);
        step.alerts_opened -= i64::from(slot.is_liability());
        if slot.may_be_told_open() {
            step.forgotten.push(slot.key);
        }
    }

    /// Says what changed, unless the slot is muted; a muted alert counts as said.
    fn say_squeeze(
        &mut self,
        step: &mut Step<'_>,
        index: usize,
        change: Option<SqueezeChange>,
        reason: Option<&str>,
    ) {
        let Some(change) = change else { return };
        let slot = &mut self.squeezes[index];
        if change != SqueezeChange::Suppressed {
            slot.alerted = Some((slot.level(), slot.accrued()));
            if slot.is_muted(step.as_of) {
                return;
            }
        }
        let alert = slot.alert(change, reason, step);
        step.said.push(OutputBody::Squeeze(Box::new(alert)));
    }

    /// The rule of every slot of `kind` on `subscription` that `concerns` names no longer holds.
    pub fn stop_squeezes(
        &mut self,
        step: &mut Step<'_>,
        kind: SqueezeType,
        subscription: &str,
        concerns: impl Fn(&SqueezeSlot) -> bool,
    ) {
        let is_meant = |slot: &SqueezeSlot| {
            slot.kind == kind
                && slot.subscription.as_deref() == Some(subscription)
                && concerns(slot)
        };
        if !self.squeezes.iter().any(is_meant) {
            return;
        }
        self.squeezes.retain(|slot| !(slot.state == SqueezeState::Pending && is_meant(slot)));
        let mut keys: Vec<Text> = self
            .squeezes
            .iter()
            .filter(|slot| slot.is_open() && is_meant(slot))
            .map(|slot| slot.key.clone())
            .collect();
        keys.sort_unstable();
        for key in keys {
            self.stop_squeeze(step, &key);
        }
    }

    fn stop_squeeze(&mut self, step: &mut Step<'_>, key: &str) {
        let Some(index) = self.squeezes.iter().position(|slot| *slot.key == *key) else { return };
        self.squeezes[index].state = SqueezeState::Stopped;
        self.say_squeeze(step, index, Some(SqueezeChange::Stopped), None);
        let slot = &self.squeezes[index];
        if slot.gross == 0 {
            self.resolve_squeeze(step, index, "nothing_owed");
        } else if slot.is_refunded(step.policy) {
            self.resolve_squeeze(step, index, "refunded");
        } else {
            self.end_harm_of(step, key);
        }
    }

    /// A squeeze is made good, and with it the harm it did to a vulnerable customer ends.
    pub(super) fn resolve_squeeze(&mut self, step: &mut Step<'_>, index: usize, reason: &str) {
        let slot = &mut self.squeezes[index];
        step.alerts_opened -= i64::from(slot.is_liability());
        slot.state = SqueezeState::Resolved;
        slot.resolved_at = Some(step.time);
        let key = slot.key.clone();
        self.say_squeeze(step, index, Some(SqueezeChange::Resolved), Some(reason));
        self.end_harm_of(step, &key);
    }

    /// Resolves the S11 that `cause` was the cause of; one that was not said yet is dropped.
    fn end_harm_of(&mut self, step: &mut Step<'_>, cause: &str) {
        let is_its_harm =
            |slot: &SqueezeSlot| slot.kind == SqueezeType::S11 && *slot.subject == *cause;
        self.squeezes.retain(|slot| !(slot.state == SqueezeState::Pending && is_its_harm(slot)));
        let is_open_harm = |slot: &SqueezeSlot| slot.is_open() && is_its_harm(slot);
        if let Some(index) = self.squeezes.iter().position(is_open_harm) {
            self.resolve_squeeze(step, index, "cause_ended");
        }
    }

    /// Money back for the squeeze that `about` names by key or subject: the first by key that is not resolved. Whether there
    /// was one.
    pub fn redress(
        &mut self,
        step: &mut Step<'_>,
        about: &str,
        amount: Money,
        reference: &str,
        is_unprompted: bool,
    ) -> bool {
        let Some(index) = self.unresolved_squeeze(about, Some(amount.currency)) else {
            return false;
        };
        self.redress_slot(step, index, amount.minor, reference, is_unprompted, step.time);
        true
    }

    /// The first slot by key that is not resolved and has `about` as key or subject.
    pub fn unresolved_squeeze(&self, about: &str, currency: Option<Currency>) -> Option<usize> {
        let is_meant = |slot: &SqueezeSlot| {
            slot.state != SqueezeState::Resolved
                && (*slot.key == *about || *slot.subject == *about)
                && currency.is_none_or(|currency| slot.currency == currency)
        };
        (0..self.squeezes.len())
            .filter(|index| is_meant(&self.squeezes[*index]))
            .min_by(|a, b| self.squeezes[*a].key.cmp(&self.squeezes[*b].key))
    }

    /// Money back for one slot, counted from `time`.
    pub(in crate::model) fn redress_slot(
        &mut self,
        step: &mut Step<'_>,
        index: usize,
        minor: i64,
        reference: &str,
        is_unprompted: bool,
        time: EventTime,
    ) {
        let slot = &mut self.squeezes[index];
        let before = slot.share_refunded();
        slot.refunded = slot.refunded.saturating_add(minor);
        let growth = slot.share_refunded() - before;
        let had_to_complain = slot.was_complained_of && !is_unprompted;
        let policy = step.policy;
        let after_complaint =
            if had_to_complain { policy.severity.redress_after_complaint } else { 1.0 };
        let weight = policy.weights.redress * growth * slot.evidence_weight * after_complaint;
        let key = format!("{}/{reference}", slot.key);
        let may_resolve = if slot.kind.must_stop_first() {
            slot.state == SqueezeState::Stopped
        } else {
            slot.is_open() || slot.state == SqueezeState::Stopped
        };
        let is_resolved = may_resolve && slot.is_refunded(step.policy);
        let plan = self.squeezes[index].subscription.clone();
        let plan = self.plan_of(plan.as_deref());
        let origin = step.belong_to_product(plan.as_deref());
        self.observe(step, Class::FaiRedress, &key, Sign::Positive, weight.min(MAX_WEIGHT), time);
        step.origin = origin;
        if is_resolved {
            self.resolve_squeeze(step, index, "refunded");
        }
    }

    /// Mutes a squeeze until `until`, and says so.
    pub fn suppress(&mut self, step: &mut Step<'_>, key: &str, reason: &str, until: EventTime) {
        if let Some(index) = self.squeezes.iter().position(|slot| *slot.key == *key) {
            self.say_squeeze(step, index, Some(SqueezeChange::Suppressed), Some(reason));
            self.squeezes[index].muted_until = Some(until);
        }
    }

    /// Takes a squeeze back that turns out not to have been one: its evidence, its money and its alert, even if it was made
    /// good meanwhile.
    pub(in crate::model) fn withdraw_squeeze(
        &mut self,
        step: &mut Step<'_>,
        index: usize,
        reference: &str,
        minor: i64,
    ) {
        let slot = &mut self.squeezes[index];
        if slot.state == SqueezeState::Pending {
            // Held back while its rule gathered: nothing was said, weighed or counted.
            self.squeezes.remove(index);
            return;
        }
        slot.gross = slot.gross.saturating_sub(minor).max(0);
        let (currency, id) = (
            slot.currency,
            EvidenceId::new(Class::FaiSqueeze, &format!("{}/{reference}", slot.key)),
        );
        self.retract(step, id);
        let account = self.accounts.of(currency);
        account.bad_profit = account.bad_profit.saturating_sub(minor);
        if self.squeezes[index].is_liability() {
            self.resolve_squeeze(step, index, "withdrawn");
        }
    }
}

impl SqueezeSlot {
    /// Takes in an evaluation that holds; what changed, if it is to be said.
    fn evaluate(
        &mut self,
        step: &Step<'_>,
        finding: &Finding,
        is_vulnerable: bool,
    ) -> Option<SqueezeChange> {
        if self.state == SqueezeState::Resolved {
            (self.gross, self.refunded, self.evidence_weight) = (0, 0, 0.0);
        }
        self.gross = self.gross.saturating_add(finding.added.max(0));
        self.excess_monthly = finding.excess_monthly;
        self.comparator = finding.comparator.as_ref().map(|(comparator, _)| comparator.clone());
        if finding.baseline.is_some() {
            self.baseline = finding.baseline;
        }
        self.note_reference(finding.reference.clone());
        let policy = step.policy;
        let detector = policy.detector(finding.kind);
        let long_on_sale = step.time.plus_days(-policy.catalogue.long_on_sale_days);
        let is_long_on_sale = finding
            .comparator
            .as_ref()
            .is_some_and(|(_, on_sale_from)| *on_sale_from < long_on_sale);
        self.severity = severity(
            finding.excess_monthly,
            finding.bill.filter(|bill| *bill > 0),
            self.accrued().saturating_add(finding.accrued_by_cause),
            detector.culpability * finding.culpability_share,
            if is_vulnerable { policy.vulnerability.severity_factor } else { 1.0 },
            if is_long_on_sale { policy.catalogue.long_on_sale_factor } else { 1.0 },
            policy.scale(finding.currency),
            policy,
        );
        match self.state {
            SqueezeState::Pending => {
                self.held += 1;
                let is_too_early = self.held < detector.evaluations;
                if is_too_early || step.warming.holds_back(self.kind) {
                    return None;
                }
                self.open(step.time);
                Some(SqueezeChange::Opened)
            }
            SqueezeState::Open | SqueezeState::Escalated => {
                let has_grown = self.has_grown();
                if has_grown {
                    self.state = SqueezeState::Escalated;
                }
                has_grown.then_some(SqueezeChange::Escalated)
            }
            SqueezeState::Stopped | SqueezeState::Resolved => {
                self.generation += 1;
                self.open(step.time);
                Some(SqueezeChange::Reopened)
            }
        }
    }

    const fn open(&mut self, time: EventTime) {
        (self.state, self.opened_at) = (SqueezeState::Open, time);
    }

    /// The alert that says `change`.
    fn alert(&self, change: SqueezeChange, reason: Option<&str>, step: &Step<'_>) -> SqueezeAlert {
        let money = |minor| Money::new(minor, self.currency);
        let severity = &self.severity;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a monthly excess is far below 2^63 minor units"
        )]
        let excess_monthly = self.excess_monthly.round_ties_even() as i64;
        SqueezeAlert {
            change,
            dedup_key: self.key.clone(),
            kind: self.kind,
            generation: self.generation,
            state: self.state,
            level: severity.level,
            severity: Micros::round(severity.value),
            subscription_id: self.subscription.clone(),
            subject: self.subject.clone(),
            excess_monthly: money(excess_monthly),
            accrued: money(self.accrued()),
            refunded: money(self.refunded),
            since: self.since,
            opened_at: self.opened_at,
            factors: [severity.u, severity.kappa, severity.v, severity.k].map(Micros::round),
            comparator: self.comparator.clone(),
            evidence: self.references.clone(),
            reason: reason.map(Into::into),
            policy: step.policy.version.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{CHARGED, changed, customer_after, evidence, squeezes};

    /// A plan sold cheaper from the start, to a customer of long standing.
    const LEGACY: &str = "
        2020-01-01 plan old 45.00 data=10
        2020-01-01 plan new 32.00 data=10
        2020-01-01 start sub old 45.00
        2025-01-01..2025-02-01 bill sub 45.00";

    #[test]
    fn pending_money_becomes_bad_profit_when_it_opens() {
        let bad_profit = |story: &str| {
            let accounts = customer_after(story).accounts;
            accounts.iter().map(|(_, account)| account.bad_profit).sum::<i64>()
        };
        assert_eq!(bad_profit(&changed(LEGACY, "..2025-02-01", "..2025-01-01")), 0);
        assert_eq!(bad_profit(LEGACY), 2600);
        assert_eq!(bad_profit(&format!("{LEGACY}\n2025-03-01 bill sub 45.00")), 3900);
    }

    #[test]
    fn a_suppression_says_so_and_mutes_what_follows_while_money_and_evidence_go_on() {
        let story = format!(
            "{LEGACY}
             2025-02-02 suppress S01:sub:old until=2025-04-01
             2025-03-01..2025-05-01 bill sub 45.00
             2025-06-01 bill sub 32.00"
        );
        assert_snapshot!(squeezes(&story), @r"
        2025-02-01 opened S01:sub:old: 13.00 a month, 26.00 accrued, critical
        2025-02-02 suppressed S01:sub:old: 13.00 a month, 26.00 accrued, critical, known
        2025-04-01 escalated S01:sub:old: 13.00 a month, 52.00 accrued, critical
        2025-06-01 stopped S01:sub:old: 13.00 a month, 65.00 accrued, critical
        ");
        assert_eq!(evidence(&story, "FAI.SQUEEZE").lines().count(), 4);
    }

    #[test]
    fn a_muted_alert_counts_as_said() {
        let story = format!(
            "{LEGACY}
             2025-02-02 suppress S01:sub:old until=2025-04-02
             2025-03-01..2025-07-01 bill sub 45.00"
        );
        assert_snapshot!(squeezes(&story), @r"
        2025-02-01 opened S01:sub:old: 13.00 a month, 26.00 accrued, critical
        2025-02-02 suppressed S01:sub:old: 13.00 a month, 26.00 accrued, critical, known
        ");
        let doubled_again = format!("{story}\n2025-08-01 bill sub 45.00");
        assert!(squeezes(&doubled_again).ends_with(
            "2025-08-01 escalated S01:sub:old: 13.00 a month, 104.00 accrued, critical"
        ));
    }

    #[test]
    fn within_90_days_of_its_end_it_is_reopened_and_later_it_is_new() {
        let again = |date: &str| {
            let story = format!(
                "{CHARGED}\n2025-03-21 remedy r 12.00 about=out\n{date} charge c2 12.00 sub=sub"
            );
            squeezes(&story).lines().last().unwrap().to_owned()
        };
        assert_snapshot!(again("2025-06-19"), @"2025-06-19 reopened S04:sub:out: 1.00 a month, 12.00 accrued, minor");
        assert_snapshot!(again("2025-06-19T00:01"), @"2025-06-19T00:01 opened S04:sub:out: 1.00 a month, 12.00 accrued, minor");
        let reopened = customer_after(&format!(
            "{CHARGED}\n2025-03-21 remedy r 12.00 about=out\n2025-04-01 charge c2 12.00 sub=sub"
        ));
        assert_eq!((reopened.squeezes[0].generation, reopened.squeezes[0].gross), (2, 1200));
    }

    #[test]
    fn another_currency_under_one_key_is_ignored() {
        let story = format!(
            "{CHARGED}\n2025-03-21 charge c2 99.00USD sub=sub\n2025-03-22 remedy r 12.00USD about=out"
        );
        assert_eq!(squeezes(&story), squeezes(CHARGED));
        assert_eq!(customer_after(&story).squeezes[0].accrued(), 1200);
    }

    #[test]
    fn redress_is_a_share_of_what_the_squeeze_weighed_and_half_of_it_after_a_complaint() {
        let redress = |lines: &str| evidence(&format!("{CHARGED}\n{lines}"), "FAI.REDRESS");
        assert_snapshot!(evidence(CHARGED, "FAI.SQUEEZE"), @"2025-03-20 FAI.SQUEEZE S04:sub:out/c1 -0.287426");
        assert_snapshot!(redress("2025-03-21 remedy a 6.00 about=out\n2025-03-22 remedy b 18.00 about=out"), @r"
        2025-03-21 FAI.REDRESS S04:sub:out/a +0.107785
        2025-03-22 FAI.REDRESS S04:sub:out/b +0.107785
        ");
        let complained =
            "2025-03-21 complain c about=S04:sub:out\n2025-03-22 remedy r 12.00 about=out";
        assert_snapshot!(redress(complained), @"2025-03-22 FAI.REDRESS S04:sub:out/r +0.107785");
        assert_snapshot!(redress(&format!("{complained} unprompted")), @"2025-03-22 FAI.REDRESS S04:sub:out/r +0.21557");
    }

    #[test]
    fn in_a_full_memory_a_resolved_squeeze_goes_first_then_the_least() {
        let thirteen = |before_last: &str| {
            let charges = (1..=12).fold(String::new(), |story, n| {
                format!("{story}\n2025-01-01 credit c{n} {}.00\n2025-01-02 expire c{n}", 20 - n)
            });
            let story =
                format!("{charges}\n{before_last}\n2025-01-04 credit z 50.00\n2025-01-05 expire z");
            let customer = customer_after(&story);
            assert_eq!((customer.squeezes.len(), customer.overflows.squeeze), (12, 1));
            let subjects: Vec<_> =
                customer.squeezes.iter().map(|slot| slot.subject.to_string()).collect();
            (1..=12)
                .map(|n| format!("c{n}"))
                .filter(|id| !subjects.contains(id))
                .collect::<String>()
        };
        assert_eq!(thirteen(""), "c12");
        assert_eq!(thirteen("2025-01-03 remedy r 19.00 about=c1"), "c1");
    }
}
