//! Subscriptions: starting, changing, renewing, leaving.

use crate::model::customer::{Customer, FEW};
use crate::model::event::{
    Attested, Body, Cause, NoticeKind, Party, PriceReason, Renewal, RenewalMode,
    SubscriptionStarted,
};
use crate::model::fact::Fact;
use crate::model::loyalty::Component;
use crate::model::promise::{Admission, PromiseFact, Template};
use crate::model::squeeze::{SqueezeType, s02, s05, s12, s16, s20};
use crate::model::step::Step;
use crate::model::subscription::{CancelRequest, Subscription};
use crate::model::timer::TimerKind;
use crate::model::weight::evidence_weight;
use crate::model::{Class, EventTime, Money, Period, Text, at_least, monthly_price};

fn month_of(price: Money, period: Period) -> Money {
    Money::new(monthly_price(price.minor, period, 0), price.currency)
}

impl Customer {
    pub(super) fn apply_contract(&mut self, step: &mut Step<'_>, body: &Body) {
        match body {
            Body::SubscriptionStarted(started) => self.start_subscription(step, started),
            Body::PlanChanged { subscription_id, plan_id, price, period, initiated_by } => {
                self.change_plan(
                    step,
                    subscription_id,
                    plan_id,
                    month_of(*price, *period),
                    *initiated_by,
                );
            }
            Body::PlanTermsChanged { subscription_id, loss_share, consent } => {
                let held = self.mention_subscription(step, subscription_id);
                let held = held.filter(|held| is_on(step, SqueezeType::S20, held));
                if let Some(finding) =
                    held.and_then(|held| s20::judge_terms(step, held, *loss_share, *consent))
                {
                    self.hold(step, finding);
                }
            }
            Body::PriceChanged { subscription_id, price, reason, in_schedule } => {
                let Some(held) = self.mention_subscription(step, subscription_id) else { return };
                let before = held.price.value;
                let found = s16::judge_rise(step, held, before, *price, *reason, *in_schedule)
                    .filter(|_| is_on(step, SqueezeType::S16, held));
                let was_noticed = held.was_rise_noticed(step);
                held.price.keep_latest(Fact::new(step.stamp(), *price));
                if before.currency == price.currency {
                    let key = format!("{subscription_id}/{}", step.event_id);
                    if price.minor < before.minor {
                        self.credit(
                            step,
                            Class::FaiPassThrough,
                            &key,
                            step.policy.weights.pass_through,
                        );
                    } else if before.minor < price.minor && *reason == PriceReason::Firm {
                        self.judge_duty(step, &format!("price_change/{key}"), was_noticed);
                    }
                }
                if let Some(finding) = found {
                    self.hold(step, finding);
                }
            }
            Body::RenewalOffered(renewal) => {
                if self.mention_subscription(step, &renewal.subscription_id).is_some() {
                    self.judge_renewal_price(step, renewal, false);
                }
            }
            Body::RenewalCompleted { renewal, mode, term_end } => {
                if self.is_first(step, "renewal", &renewal.renewal_id) {
                    self.complete_renewal(step, renewal, *mode, *term_end);
                }
            }
            Body::CancelRequested { request_id, subscription_id } => {
                self.request_cancellation(step, request_id, subscription_id);
            }
            Body::CancelStepTaken { request_id, step: number, save_offer } => {
                self.take_cancel_step(step, request_id, *number, *save_offer);
            }
            Body::CancelCompleted { request_id, attested_by } => {
                self.keep_template(step, Template::Cancellation, request_id, *attested_by);
                self.end_request(step, request_id, true);
            }
            Body::CancelWithdrawn { request_id } => {
                self.void_cancellation(step, request_id);
                self.end_request(step, request_id, false);
            }
            Body::UsageReported { subscription_id, quantity } => {
                if let Some(held) = self.mention_subscription(step, subscription_id)
                    && *quantity > 0.0
                {
                    held.last_usage =
                        Some(held.last_usage.map_or(step.time, |last| last.max(step.time)));
                }
            }
            Body::AccountClosed { voluntary } => self.close_account(step, *voluntary),
            Body::SavingsAdvised { advice_id, subscription_id, saving_monthly, .. } => {
                let annual =
                    Money::new(saving_monthly.minor.saturating_mul(12), saving_monthly.currency);
                let weight =
                    evidence_weight(step.policy.weights.advised, Some(annual), step.policy, 1.0);
                if self.credit(step, Class::ProAdvised, advice_id, weight)
                    && let Some(organisation) = &mut step.organisation
                {
                    organisation.note_saving_advised(step.origin, *saving_monthly);
                }
                if let Some(held) = self.mention_subscription(step, subscription_id) {
                    held.advised_at =
                        Some(held.advised_at.map_or(step.time, |told| told.max(step.time)));
                    self.timers.disarm(TimerKind::Withheld, subscription_id);
                }
            }
            Body::OfferDeclined { subscription_id, plan_id, informed } => {
                if let Some(held) = self.mention_subscription(step, subscription_id)
                    && *informed
                {
                    held.note_decline(step.stamp(), plan_id.clone());
                }
            }
            _ => unreachable!("dispatched by type"),
        }
    }

    fn start_subscription(&mut self, step: &Step<'_>, started: &SubscriptionStarted) {
        let monthly = month_of(started.price, started.period);
        let id = &started.subscription_id;
        let is_latest = if let Some(held) = self.mention_subscription(step, id) {
            held.restart(step.stamp(), started.clone(), monthly)
        } else {
            self.make_room_for_subscription();
            self.subscriptions.push(Subscription::new(step.stamp(), started.clone(), monthly));
            true
        };
        if is_latest {
            self.await_end_of_term(step, id, started.term_end);
        }
    }

    fn make_room_for_subscription(&mut self) {
        if self.subscriptions.len() < FEW {
            return;
        }
        let oldest = self
            .subscriptions
            .iter()
            .min_by(|a, b| (a.latest_event, &a.id).cmp(&(b.latest_event, &b.id)));
        if let Some(id) = oldest.map(|held| held.id.clone()) {
            self.subscriptions.retain(|held| held.id != id);
            self.timers.disarm(TimerKind::Notice, &id);
            self.timers.disarm(TimerKind::Withheld, &id);
            self.overflows.subscription += 1;
        }
    }

    /// A term set before it may be announced must be announced in time.
    fn await_end_of_term(&mut self, step: &Step<'_>, id: &str, term_end: Option<EventTime>) {
        let window = term_end.map(|end| step.policy.notice.end_of_term(end));
        match window.filter(|(from, _)| step.time < *from) {
            Some((_, to)) => self.timers.arm(TimerKind::Notice, id, to),
            None => self.timers.disarm(TimerKind::Notice, id),
        }
    }

    pub(super) fn judge_end_of_term(&mut self, step: &mut Step<'_>, id: &str) {
        let Some((held, end)) = self.subscription(id).and_then(|held| Some((held, held.term_end?)))
        else {
            return;
        };
        let kinds = [NoticeKind::EndOfTerm, NoticeKind::Renewal];
        let (from, to) = step.policy.notice.end_of_term(end);
        let was_told = held.was_noticed(&kinds, from, to);
        self.judge_duty(step, &format!("term/{id}/{end}"), was_told);
    }

    /// Judges a duty to tell, once.
    fn judge_duty(&mut self, step: &mut Step<'_>, key: &str, was_told: bool) {
        if self.has_judged(key) {
            return;
        }
        if was_told {
            self.credit(step, Class::TraNoticeOk, key, step.policy.weights.notice_ok);
        } else {
            self.blame(step, Class::TraNoticeMissed, key, step.policy.weights.notice_missed);
        }
    }

    fn change_plan(
        &mut self,
        step: &mut Step<'_>,
        id: &Text,
        plan_id: &Text,
        monthly: Money,
        by: Party,
    ) {
        let Some(held) = self.mention_subscription(step, id) else { return };
        let (old_plan, old_price) = (held.plan.value.clone(), held.price.value);
        held.plan.keep_latest(Fact::new(step.stamp(), plan_id.clone()));
        held.price.keep_latest(Fact::new(step.stamp(), monthly));
        held.better_plan = None;
        self.timers.disarm(TimerKind::Withheld, id);
        let is_cheaper = old_price.currency == monthly.currency && monthly.minor < old_price.minor;
        if by == Party::Firm
            && old_plan != *plan_id
            && is_cheaper
            && is_as_good(step, plan_id, &old_plan)
        {
            let annual =
                Money::new((old_price.minor - monthly.minor).saturating_mul(12), monthly.currency);
            let weight =
                evidence_weight(step.policy.weights.migrated, Some(annual), step.policy, 1.0);
            self.credit(step, Class::FaiMigrated, &format!("{id}/{}", step.event_id), weight);
        }
    }

    /// Judges the price of a renewal; whether it was walked up.
    fn judge_renewal_price(
        &mut self,
        step: &mut Step<'_>,
        renewal: &Renewal,
        is_completed: bool,
    ) -> bool {
        let id = &renewal.subscription_id;
        let Some(held) = self.subscription(id) else { return false };
        let found = s02::judge(step, held, renewal, is_completed)
            .filter(|_| is_on(step, SqueezeType::S02, held));
        let has_held = found.is_some();
        match found {
            Some(finding) => self.hold(step, finding),
            None if renewal.enbp_minor.is_some() => {
                self.stop_squeezes(step, SqueezeType::S02, id, |_| true)
            }
            None => {}
        }
        has_held
    }

    fn complete_renewal(
        &mut self,
        step: &mut Step<'_>,
        renewal: &Renewal,
        mode: RenewalMode,
        term_end: Option<EventTime>,
    ) {
        let id = &renewal.subscription_id;
        let Some(held) = self.mention_subscription(step, id) else { return };
        let (before, old_end, was_told) =
            (held.price.value, held.term_end, held.was_renewal_noticed(step));
        if mode == RenewalMode::Passive {
            let of_term =
                old_end.map_or_else(|| renewal.renewal_id.to_string(), |end| end.to_string());
            self.judge_duty(step, &format!("term/{id}/{of_term}"), was_told);
        }
        let was_walked = self.judge_renewal_price(step, renewal, true);
        if mode == RenewalMode::Passive && !was_walked {
            let held = self.subscription(id).filter(|held| is_on(step, SqueezeType::S12, held));
            let found = held.and_then(|held| s12::judge(step, held, renewal, before));
            if let Some(finding) = found {
                self.hold(step, finding);
            }
        }
        let weights = &step.policy.loyalty;
        match (mode, was_told) {
            (RenewalMode::Active, _) => {
                self.loyalty.gain(step, Component::Consider, weights.renewed)
            }
            (RenewalMode::Passive, true) => {
                self.loyalty.gain(step, Component::Consider, weights.renewed_passively)
            }
            (RenewalMode::Passive, false) => {}
        }
        self.start_term(step, renewal, term_end);
    }

    /// The renewed term begins: its price and its end.
    fn start_term(&mut self, step: &Step<'_>, renewal: &Renewal, term_end: Option<EventTime>) {
        let id = &renewal.subscription_id;
        let price = Money::new(s02::monthly(renewal), renewal.price.currency);
        let Some(held) = self.mention_subscription(step, id) else { return };
        held.price.keep_latest(Fact::new(step.stamp(), price));
        held.in_term_price.keep_latest(Fact::new(step.stamp(), price));
        held.term_end = term_end;
        self.await_end_of_term(step, id, term_end);
    }

    fn request_cancellation(
        &mut self,
        step: &mut Step<'_>,
        request_id: &Text,
        subscription_id: &Text,
    ) {
        let Some(held) = self.mention_subscription(step, subscription_id) else { return };
        if held.request.as_ref().is_some_and(|request| request.id == *request_id) {
            return;
        }
        held.request = Some(CancelRequest {
            id: request_id.clone(),
            requested_at: step.time,
            contacts: 0,
            save_offers: 0,
            completed_at: None,
            is_obstructed: false,
        });
        let days = step.policy.promise.cancellation_business_days;
        let due_at = step.time.plus_business_days(days, &step.policy.holidays);
        self.open_template(step, Template::Cancellation, request_id, due_at, None);
    }

    fn open_request(&mut self, id: &str) -> Option<&mut CancelRequest> {
        let requests = self.subscriptions.iter_mut().filter_map(|held| held.request.as_mut());
        requests.into_iter().find(|request| *request.id == *id && request.completed_at.is_none())
    }

    fn take_cancel_step(
        &mut self,
        step: &mut Step<'_>,
        id: &Text,
        number: u16,
        is_save_offer: bool,
    ) {
        let signup_steps = self
            .subscriptions
            .iter()
            .find(|held| held.request.as_ref().is_some_and(|request| request.id == *id))
            .map_or(0, |held| held.start.value.signup_steps);
        let policy = &step.policy.s05;
        let Some(request) = self.open_request(id) else { return };
        request.save_offers += u32::from(is_save_offer);
        if s05::is_step_too_many(policy, number, signup_steps) || s05::was_put_off(policy, request)
        {
            self.find_obstruction(step, id);
        }
    }

    /// A contact about an open request: the second one obstructs.
    pub(super) fn note_request_contact(&mut self, step: &mut Step<'_>, about: &str) {
        let Some(request) = self.open_request(about) else { return };
        request.contacts += 1;
        if s05::was_put_off(&step.policy.s05, request) {
            self.find_obstruction(step, about);
        }
    }

    /// An open request is obstructed; said once a request.
    pub(super) fn find_obstruction(&mut self, step: &mut Step<'_>, request_id: &str) {
        let Some(request) = self.open_request(request_id) else { return };
        if std::mem::replace(&mut request.is_obstructed, true) {
            return;
        }
        let found = self.subscriptions.iter().find_map(|held| {
            let request = held.request.as_ref().filter(|request| *request.id == *request_id)?;
            is_on(step, SqueezeType::S05, held).then(|| s05::finding(held, request))
        });
        if let Some(finding) = found {
            self.hold(step, finding);
        }
    }

    /// A request ends, by leaving or by staying.
    fn end_request(&mut self, step: &mut Step<'_>, id: &Text, is_completed: bool) {
        let time = step.time;
        let held = self.subscriptions.iter_mut().find(|held| {
            held.request
                .as_ref()
                .is_some_and(|request| request.id == *id && request.completed_at.is_none())
        });
        let Some(held) = held else { return };
        held.latest_event = held.latest_event.max(time);
        let subscription = held.id.clone();
        if is_completed {
            if let Some(request) = held.request.as_mut() {
                request.completed_at = Some(time);
            }
            self.loyalty.lose(step, Component::Consider, step.policy.loyalty.left);
            self.end_trials(step, false);
        } else {
            held.request = None;
        }
        self.stop_squeezes(step, SqueezeType::S05, &subscription, |slot| slot.subject == *id);
    }

    /// The customer stays: nothing was owed.
    fn void_cancellation(&mut self, step: &mut Step<'_>, request_id: &str) {
        let admission = Admission { attested_by: Attested::System, cause: Cause::Customer };
        self.note_template(
            step,
            Template::Cancellation,
            request_id,
            PromiseFact::Broken(admission),
        );
    }

    fn close_account(&mut self, step: &mut Step<'_>, is_voluntary: bool) {
        self.closed_at = Some(step.time);
        let days = step.policy.s08.closed_business_days;
        let due_at = step.time.plus_business_days(days, &step.policy.holidays);
        self.timers.arm(TimerKind::Credit, "-", due_at);
        if is_voluntary && self.subscriptions.iter().all(Subscription::is_active) {
            self.loyalty.lose(step, Component::Consider, step.policy.loyalty.left);
            self.end_trials(step, false);
        }
    }

    pub(super) fn miss_rhythm(&mut self, step: &Step<'_>) {
        self.loyalty.lose(step, Component::Consider, step.policy.loyalty.rhythm_missed);
    }
}

/// Is `squeeze` looked for on the plan of `subscription`?
fn is_on(step: &Step<'_>, squeeze: SqueezeType, subscription: &Subscription) -> bool {
    step.policy.looks_for(squeeze, Some(&subscription.plan.value))
}

/// Does `plan` offer all that `other` does, by the catalogue?
fn is_as_good(step: &Step<'_>, plan: &str, other: &str) -> bool {
    let plan = step.catalogue.plan(plan, step.time);
    plan.zip(step.catalogue.plan(other, step.time))
        .is_some_and(|(plan, other)| at_least(&plan.version.attributes, &other.version.attributes))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::evidence;

    const TERM: &str = "2025-01-01 start sub basic 30.00 term=2025-06-10";

    fn told(lines: &str) -> String {
        evidence(&format!("{TERM}\n{lines}"), "TRA")
    }

    #[test]
    fn the_end_of_a_term_is_announced_in_its_window_or_missed() {
        let ok = "2025-05-31 TRA.NOTICE_OK term/sub/2025-06-10 +1.0";
        let missed = "2025-05-31 TRA.NOTICE_MISSED term/sub/2025-06-10 -1.5";
        for (lines, expected) in [
            ("2025-05-01 notice end_of_term sub=sub\n2025-05-31 tick", ok),
            ("2025-05-31 notice end_of_term sub=sub\n2025-05-31 tick", ok),
            ("2025-05-01 notice renewal priced sub=sub\n2025-05-31 tick", ok),
            ("2025-05-01 notice renewal sub=sub\n2025-05-31 tick", missed),
            ("2025-04-30 notice end_of_term sub=sub\n2025-05-31 tick", missed),
            ("2025-05-31 tick", missed),
        ] {
            assert_eq!(told(lines), expected, "{lines}");
        }
        assert_eq!(
            evidence("2025-05-01 start sub basic 30.00 term=2025-06-10\n2025-06-01 tick", ""),
            "",
            "40 days"
        );
    }

    #[test]
    fn a_passive_renewal_judges_the_same_duty_once() {
        let renewed = "2025-05-31 tick\n2025-06-10 renew sub r 360.00";
        assert_eq!(told(renewed), told("2025-05-31 tick"));
        let unset =
            evidence("2025-01-01 start sub basic 30.00\n2025-06-10 renew sub r 360.00", "TRA");
        assert_eq!(unset, "2025-06-10 TRA.NOTICE_MISSED term/sub/r -1.5");
    }

    #[test]
    fn a_rise_by_the_firm_is_announced_30_days_before_and_a_cut_is_passed_on() {
        assert_eq!(
            told("2025-03-01 price sub 31.00"),
            "2025-03-01 TRA.NOTICE_MISSED price_change/sub/e2 -1.5"
        );
        assert_eq!(
            told("2025-01-30 notice price_change sub=sub\n2025-03-01 price sub 31.00"),
            "2025-03-01 TRA.NOTICE_OK price_change/sub/e3 +1.0"
        );
        for quiet in ["price sub 31.00 reason=tax", "price sub 30.00", "price sub 31.00USD"] {
            assert_eq!(told(&format!("2025-03-01 {quiet}")), "", "{quiet}");
        }
        let cut = evidence(&format!("{TERM}\n2025-03-01 price sub 29.00"), "FAI");
        assert_eq!(cut, "2025-03-01 FAI.PASS_THROUGH sub/e2 +1.0");
    }

    #[test]
    fn the_firm_earns_by_moving_the_customer_to_as_good_a_plan_for_less() {
        let moved = |words: &str| {
            evidence(
                &format!(
                    "2020-01-01 plan basic 30.00 data=10\n2020-01-01 plan more 25.00 data=20\n2020-01-01 plan less 25.00 data=5
                     {TERM}\n2025-03-01 change sub {words}"
                ),
                "FAI",
            )
        };
        assert_snapshot!(moved("more 27.50 by=firm"), @"2025-03-01 FAI.MIGRATED sub/e2 +4.0");
        for quiet in [
            "more 27.50",
            "less 25.00 by=firm",
            "more 30.00 by=firm",
            "basic 25.00 by=firm",
            "unknown 25.00 by=firm",
        ] {
            assert_eq!(moved(quiet), "", "{quiet}");
        }
    }
}
