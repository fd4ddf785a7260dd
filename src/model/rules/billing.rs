//! Bills, charges, fees and credits: what was asked for, and whether it should have been.

use crate::model::customer::{Credit, Customer, Fee, Quote, keep_few};
use crate::model::event::{Body, FeeKind, Invoice};
use crate::model::output::OutputBody;
use crate::model::squeeze::{
    Answer, Bill, Question, RECURRING, SqueezeSlot, SqueezeType, s04, s08, s09, s11, s13, s14, s15,
    s16, s17, s20,
};
use crate::model::step::Step;
use crate::model::timer::TimerKind;
use crate::model::weight::{MAX_WEIGHT, evidence_weight};
use crate::model::{Class, EventTime, Money, Text};

/// The types a bill is judged for.
const BILLED: [SqueezeType; 11] = {
    use SqueezeType::{S01, S03, S04, S07, S11, S14, S15, S16, S17, S19, S20};
    [S01, S03, S04, S07, S11, S14, S15, S16, S17, S19, S20]
};

impl Customer {
    pub(super) fn apply_billing(&mut self, step: &mut Step<'_>, body: &Body) {
        match body {
            Body::InvoiceIssued(invoice) => {
                if self.is_first(step, "invoice", &invoice.invoice_id) {
                    self.accounts.bill(invoice.total);
                    self.judge_invoice(step, invoice);
                }
            }
            Body::ChargePosted {
                charge_id,
                amount,
                subscription_id,
                service_start,
                quote_id,
                optional,
            } => {
                if self.is_first(step, "charge", charge_id) {
                    self.accounts.bill(*amount);
                    let service_start = service_start.unwrap_or(step.time);
                    self.judge_charge(
                        step,
                        charge_id,
                        *amount,
                        subscription_id.as_ref(),
                        service_start,
                    );
                    if let Some(quote_id) = quote_id.as_ref().filter(|_| !optional) {
                        self.judge_quote(
                            step,
                            quote_id,
                            charge_id,
                            *amount,
                            subscription_id.as_ref(),
                        );
                    }
                }
            }
            Body::FeeCharged { fee_id, kind, amount, cause_id, subscription_id } => {
                if self.is_first(step, "fee", fee_id) {
                    self.accounts.bill(*amount);
                    if *kind == FeeKind::Penalty {
                        self.judge_penalty(
                            step,
                            fee_id,
                            *amount,
                            cause_id.as_ref(),
                            subscription_id.as_ref(),
                        );
                    }
                }
            }
            Body::FeeWaived { fee_id } => {
                if self.is_first(step, "waiver", fee_id) {
                    self.waive_fee(step, fee_id);
                }
            }
            Body::BillingErrorConfirmed { error_id, amount, attested_by, cause } => {
                let modifiers = step.policy.eta(*attested_by) * step.policy.alpha(*cause);
                let weight = evidence_weight(
                    step.policy.weights.bill_error,
                    *amount,
                    step.policy,
                    modifiers,
                );
                self.blame(step, Class::ComBillError, error_id, weight);
            }
            Body::QuoteGiven { quote_id, total } => self.note_quote(step, quote_id, *total),
            Body::CreditGranted { credit_id, amount, paid_for } => {
                self.note_credit(step, credit_id, *amount, *paid_for);
            }
            Body::CreditUsed { credit_id, amount } => self.reduce_credit(credit_id, *amount),
            Body::CreditExpired { credit_id } => {
                if let Some(index) = self.credits.iter().position(|credit| credit.id == *credit_id)
                {
                    let is_on = step.policy.looks_for(SqueezeType::S08, None);
                    let finding = s08::judge_expiry(step, &self.credits[index]);
                    self.credits.remove(index);
                    if let Some(finding) = finding.filter(|_| is_on) {
                        self.hold(step, finding);
                    }
                }
            }
            _ => unreachable!("dispatched by type"),
        }
    }

    /// Judges a bill in the model's order: back billing, bill shock, the recurring amount, harm, advice, and whether all was fair.
    fn judge_invoice(&mut self, step: &mut Step<'_>, invoice: &Invoice) {
        let Some(billed) = &invoice.subscription else { return };
        let id = &billed.subscription_id;
        let Some(subscription) = self.mention_subscription(step, id) else { return };
        let Some(bill) = Bill::new(step, subscription, invoice) else { return };
        if subscription.last_bill.is_none_or(|(billed_at, _)| billed_at <= step.time) {
            subscription.last_bill = Some((step.time, bill.monthly));
        }
        let one_offs =
            [s15::judge(step, subscription, &bill), s14::judge(step, subscription, &bill)];
        subscription.totals.add(invoice.total.minor, step.time, &step.policy.s14);
        let mut has_held = false;
        let is_on = |kind| step.policy.looks_for(kind, Some(&bill.plan_id));
        let is_all_on = BILLED.into_iter().all(is_on);
        let one_offs = one_offs.map(|found| found.filter(|finding| is_on(finding.kind)));
        for finding in one_offs.into_iter().flatten() {
            has_held = true;
            self.hold(step, finding);
        }
        has_held |= self.judge_recurring(step, id, &bill);
        if let Some(subscription) = self.subscriptions.iter_mut().find(|held| held.id == *id) {
            subscription.is_trial_judged |= s17::is_first_paid(subscription, &bill);
        }
        has_held |= self.judge_harm(step, id, &bill);
        self.advise(step, id, &bill);
        let is_squeezed = self.squeezes.iter().any(|slot| {
            slot.is_open()
                && slot.kind != SqueezeType::S11
                && slot.subscription.as_deref() == Some(&**id)
        });
        // What is not looked for cannot be called fair.
        if !has_held && !is_squeezed && bill.is_plan_known && is_all_on {
            let weight = (step.policy.weights.fair_bill * bill.months()).min(MAX_WEIGHT);
            let origin = step.belong_to_product_too(&bill.plan_id);
            self.credit(step, Class::FaiFairBill, &invoice.invoice_id, weight);
            step.origin = origin;
        }
    }

    /// Asks the rules for the recurring amount in turn; the first that holds takes it. Whether one did.
    fn judge_recurring(&mut self, step: &mut Step<'_>, id: &str, bill: &Bill<'_>) -> bool {
        for (kind, judge) in RECURRING {
            let Some(subscription) = self.subscription(id) else { return false };
            let question = Question { step, subscription, bill, slots: &self.squeezes };
            let is_on = step.policy.looks_for(kind, Some(&bill.plan_id));
            let answer = if is_on { judge(question) } else { Answer::Quiet };
            let stopped = self.stopped_by(question, kind, &answer);
            let is_taken = !matches!(answer, Answer::Quiet);
            let has_held = matches!(answer, Answer::Holds(_));
            if let Answer::Holds(finding) = answer {
                if kind == SqueezeType::S04 {
                    let amount = Money::new(bill.recurring, bill.currency);
                    self.blame_charge(step, &bill.invoice.invoice_id, amount);
                }
                self.hold(step, *finding);
            }
            self.stop_squeezes(step, kind, id, |slot| stopped.contains(&slot.key));
            if is_taken {
                return has_held;
            }
        }
        false
    }

    /// The slots of `kind` on the subscription for which the rule, as answered, no longer holds.
    fn stopped_by(&self, question: Question<'_>, kind: SqueezeType, answer: &Answer) -> Vec<Text> {
        if matches!(kind, SqueezeType::S04 | SqueezeType::S17) {
            return Vec::new();
        }
        let id = &question.subscription.id;
        let holds = |slot: &SqueezeSlot| match kind {
            SqueezeType::S16 => s16::holds_for(slot, question),
            SqueezeType::S20 => s20::holds_for(slot, question),
            _ => matches!(answer, Answer::Holds(finding) if finding.is_of(slot)),
        };
        self.squeezes
            .iter()
            .filter(|slot| {
                slot.kind == kind && slot.subscription.as_ref() == Some(id) && !holds(slot)
            })
            .map(|slot| slot.key.clone())
            .collect()
    }

    fn judge_harm(&mut self, step: &mut Step<'_>, id: &str, bill: &Bill<'_>) -> bool {
        if !self.is_vulnerable(step)
            || !step.policy.looks_for(SqueezeType::S11, Some(&bill.plan_id))
        {
            return false;
        }
        let Some(subscription) = self.subscription(id) else { return false };
        let findings = s11::judge(step, subscription, bill, &self.squeezes);
        let has_held = !findings.is_empty();
        for finding in findings {
            self.hold(step, finding);
        }
        has_held
    }

    /// A better plan exists: say so once for each plan found, and count the days it stays unsaid to the customer.
    fn advise(&mut self, step: &mut Step<'_>, id: &str, bill: &Bill<'_>) {
        let tolerance = step.policy.overpricing_tolerance();
        let better = bill.best_eq.as_ref().filter(|best| {
            step.reaches(bill.monthly - best.monthly.minor, tolerance, bill.monthly, bill.currency)
        });
        let Some(subscription) = self.subscriptions.iter_mut().find(|held| *held.id == *id) else {
            return;
        };
        let Some(better) = better else {
            subscription.better_plan = None;
            self.timers.disarm(TimerKind::Withheld, id);
            return;
        };
        if subscription.better_plan.as_ref() == Some(&better.plan_id) {
            return;
        }
        subscription.better_plan = Some(better.plan_id.clone());
        let due = step.time.plus_days(step.policy.advice.withheld_days);
        self.timers.arm(TimerKind::Withheld, id, due);
        let saving_monthly = Money::new(bill.monthly - better.monthly.minor, bill.currency);
        if let Some(organisation) = &mut step.organisation {
            organisation.note_saving_identified(step.origin, saving_monthly);
        }
        step.said.push(OutputBody::SavingsIdentified {
            subscription_id: id.into(),
            plan_id: bill.plan_id.clone(),
            better_plan_id: better.plan_id.clone(),
            saving_monthly,
        });
    }

    /// The saving is still unsaid, as long as the subscription is billed.
    pub(super) fn withhold_advice(&mut self, step: &mut Step<'_>, id: &str) {
        let Some((billed_at, _)) = self.subscription(id).and_then(|held| held.last_bill) else {
            return;
        };
        if billed_at.plus_days(step.policy.advice.withheld_days) < step.time {
            return;
        }
        let key = format!("{id}/{}", step.time);
        self.blame(step, Class::ProWithheld, &key, step.policy.weights.withheld);
        let due = step.time.plus_days(step.policy.advice.withheld_days);
        self.timers.arm(TimerKind::Withheld, id, due);
    }

    fn judge_charge(
        &mut self,
        step: &mut Step<'_>,
        charge_id: &Text,
        amount: Money,
        subscription_id: Option<&Text>,
        service_start: EventTime,
    ) {
        let Some(subscription) = subscription_id.and_then(|id| self.mention_subscription(step, id))
        else {
            return;
        };
        let is_on = step.policy.looks_for(SqueezeType::S04, Some(&subscription.plan.value));
        let found = s04::judge_charge(subscription, charge_id, amount, service_start);
        if let Some(finding) = found.filter(|_| is_on) {
            self.blame_charge(step, charge_id, amount);
            self.hold(step, finding);
        }
    }

    /// Charging after a cancellation breaks one's word, besides being a squeeze.
    fn blame_charge(&mut self, step: &mut Step<'_>, key: &str, amount: Money) {
        let weight = evidence_weight(
            step.policy.weights.charge_after_cancel,
            Some(amount),
            step.policy,
            1.0,
        );
        self.blame(step, Class::IntChargeAfterCancel, key, weight);
    }

    fn note_quote(&mut self, step: &Step<'_>, id: &Text, total: Money) {
        if self.quotes.iter().any(|quote| quote.id == *id) {
            return;
        }
        let quote = Quote { id: id.clone(), given_at: step.time, total, charged: 0, evaluated: 0 };
        keep_few(&mut self.quotes, quote, |quote| (quote.given_at, quote.id.clone()));
    }

    fn judge_quote(
        &mut self,
        step: &mut Step<'_>,
        quote_id: &Text,
        charge_id: &Text,
        amount: Money,
        subscription_id: Option<&Text>,
    ) {
        let on = subscription_id
            .and_then(|id| self.subscription(id))
            .map(|held| (held.id.clone(), held.monthly_charge()));
        let is_on = self.looks_for(step, SqueezeType::S09, subscription_id.map(|id| &**id));
        let is_it =
            |quote: &&mut Quote| quote.id == *quote_id && quote.total.currency == amount.currency;
        let Some(quote) = self.quotes.iter_mut().find(is_it) else { return };
        quote.charged = quote.charged.saturating_add(amount.minor);
        if quote.charged == quote.total.minor {
            self.credit(step, Class::TraBillMatch, quote_id, step.policy.weights.bill_match);
            return;
        }
        let Some(excess) = s09::excess(step, quote).filter(|_| is_on) else { return };
        let mut finding = s09::finding(quote, excess, charge_id).on(on);
        if finding.subscription.is_none() {
            finding.subscription = subscription_id.cloned();
        }
        quote.evaluated = excess;
        let excess = Money::new(excess, amount.currency);
        let weight =
            evidence_weight(step.policy.weights.hidden_fee, Some(excess), step.policy, 1.0);
        self.blame(step, Class::TraHiddenFee, quote_id, weight);
        self.hold(step, finding);
    }

    fn judge_penalty(
        &mut self,
        step: &mut Step<'_>,
        id: &Text,
        amount: Money,
        cause_id: Option<&Text>,
        subscription_id: Option<&Text>,
    ) {
        let known = subscription_id.and_then(|id| self.subscription(id));
        let on = known.map(|held| (held.id.clone(), held.monthly_charge()));
        let mut fee = Fee {
            id: id.clone(),
            cause_id: cause_id.cloned(),
            charged_at: step.time,
            amount,
            is_waived: false,
            squeeze_key: None,
        };
        let is_on = self.looks_for(step, SqueezeType::S13, subscription_id.map(|id| &**id));
        let finding = s13::judge(step, &fee, self.fees.iter(), on).filter(|_| is_on);
        let finding = finding.map(|mut finding| {
            finding.subscription = finding.subscription.or_else(|| subscription_id.cloned());
            finding
        });
        if let Some(finding) = finding {
            fee.squeeze_key = Some(finding.key(&self.id));
            self.hold(step, finding);
        }
        self.fees.push_back(fee);
        if self.fees.len() > crate::model::customer::FEW {
            self.fees.pop_front();
        }
    }

    fn waive_fee(&mut self, step: &mut Step<'_>, id: &Text) {
        let Some(fee) = self.fees.iter_mut().find(|fee| fee.id == *id) else { return };
        fee.is_waived = true;
        let (amount, key) = (fee.amount, fee.squeeze_key.clone());
        self.accounts.bill(Money::new(-amount.minor, amount.currency));
        if let Some(key) = key {
            self.redress(step, &key, amount, &format!("waived/{id}"), false);
        }
    }

    fn note_credit(&mut self, step: &Step<'_>, id: &Text, balance: Money, is_paid_for: bool) {
        if self.credits.iter().any(|credit| credit.id == *id) {
            return;
        }
        let credit = Credit {
            id: id.clone(),
            granted_at: step.time,
            balance,
            is_paid_for,
            noticed_at: None,
        };
        keep_few(&mut self.credits, credit, |credit| (credit.granted_at, credit.id.clone()));
    }

    /// Takes `amount` off a credit; whether there is such a credit.
    pub(super) fn reduce_credit(&mut self, id: &str, amount: Money) {
        let is_it =
            |credit: &&mut Credit| *credit.id == *id && credit.balance.currency == amount.currency;
        if let Some(credit) = self.credits.iter_mut().find(is_it) {
            credit.balance.minor = (credit.balance.minor - amount.minor).max(0);
        }
    }

    /// The account has been closed for long enough: what was paid for should have been paid out.
    pub(super) fn settle_credits(&mut self, step: &mut Step<'_>) {
        if !step.policy.looks_for(SqueezeType::S08, None) {
            return;
        }
        let findings: Vec<_> =
            self.credits.iter().filter_map(|credit| s08::judge_closing(step, credit)).collect();
        for finding in findings {
            self.hold(step, finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{customer_after, evidence, said};

    /// A better plan on sale from the start, and a bill that shows it.
    const DEAR: &str = "
        2020-01-01 plan old 45.00 data=10
        2020-01-01 plan new 32.00 data=10
        2024-12-01 start sub old 45.00
        2025-01-01 bill sub 45.00";

    #[test]
    fn a_saving_is_said_once_a_plan_and_again_for_another_or_after_it_was_gone() {
        let story = format!(
            "{DEAR}
             2025-02-01 bill sub 45.00
             2025-02-02 plan best 30.00 data=10
             2025-03-05 bill sub 45.00
             2025-04-05 bill sub 30.00
             2025-05-05 bill sub 45.00"
        );
        assert_snapshot!(said(&story), @r"
        2025-01-01 savings sub new 13.00
        2025-03-05 savings sub best 15.00
        2025-05-05 savings sub best 15.00
        ");
    }

    #[test]
    fn what_is_known_and_unsaid_counts_every_90_days_while_there_are_bills() {
        let withheld = |lines: &str| evidence(&format!("{DEAR}\n{lines}"), "PRO.WITHHELD");
        assert_snapshot!(withheld("2025-04-01..2025-06-01 bill sub 45.00\n2026-01-01 tick"), @r"
        2025-04-01 PRO.WITHHELD sub/2025-04-01 -0.5
        2025-06-30 PRO.WITHHELD sub/2025-06-30 -0.5
        ");
        for quiet in [
            "2025-02-01 advise a sub new 13.00\n2025-04-02 tick",
            "2025-02-01 bill sub 32.00\n2025-04-02 tick",
            "2025-02-01 change sub new 32.00\n2025-04-02 tick",
        ] {
            assert_eq!(withheld(quiet), "", "{quiet}");
        }
    }

    #[test]
    fn a_bill_that_arrives_late_is_not_the_last_bill() {
        let story = format!(
            "{DEAR}\n2025-06-01 bill sub 45.00\n2025-01-15 bill sub 40.00\n2025-06-30 tick"
        );
        assert!(evidence(&story, "PRO.WITHHELD").ends_with("2025-06-30 -0.5"));
        assert_eq!(customer_after(&story).subscriptions[0].monthly_charge(), 4500);
    }

    #[test]
    fn a_fair_bill_is_one_on_a_known_plan_without_any_squeeze() {
        let fair = |lines: &str| evidence(&format!("{DEAR}\n{lines}"), "FAI.FAIR_BILL");
        assert_eq!(fair("").lines().count(), 1, "not yet of long standing: no squeeze");
        assert!(fair("2025-02-01 bill sub 90.00 months=2").ends_with(" +0.5"));
        for unfair in [
            "2025-02-01 bill sub 45.00 plan=unknown",
            "2025-02-01 bill other 45.00",
            "2025-02-01 bill sub 45.00USD",
            "2025-02-01 bill sub 45.00 line=usage:5.00:2023-01-01",
            "2025-01-20 terms sub 0.10\n2025-02-01 bill sub 45.00",
            "2025-01-20 charge c 1.00 sub=sub quote=q\n2025-01-21 bill sub 45.00 id=bill/2025-01-01T00:00:00.000Z",
        ] {
            assert_eq!(fair(unfair), fair(""), "{unfair}");
        }
    }

    #[test]
    fn the_oldest_of_five_quotes_leaves_and_of_equals_the_first_by_id() {
        let quotes = |last: &str| {
            let story = format!(
                "2025-01-02 quote c 1.00\n2025-01-02 quote b 1.00\n2025-01-03 quote d 1.00\n2025-01-03 quote e 1.00\n{last}"
            );
            let held = customer_after(&story).quotes;
            held.iter().map(|quote| quote.id.to_string()).collect::<String>()
        };
        assert_eq!(quotes("2025-01-04 quote f 1.00"), "cdef");
        assert_eq!(quotes("2025-01-01 quote f 1.00"), "cbde");
    }
}
