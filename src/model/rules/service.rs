//! Service: failures, contacts, notices, and what is done right.

use crate::model::customer::{Customer, ResolvedContact, keep_few};
use crate::model::event::{Body, Cause, ContactClosed, NoticeKind, Scope, ServiceFailed};
use crate::model::failure::FailureSlot;
use crate::model::loyalty::Component;
use crate::model::promise::Template;
use crate::model::squeeze::{SqueezeType, s06};
use crate::model::step::Step;
use crate::model::timer::TimerKind;
use crate::model::weight::evidence_weight;
use crate::model::{Class, EventTime, PromiseOutcome, Text};

/// Failures remembered.
const SLOTS: usize = 8;

/// What is said or done about a failure or promise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Notice,
    Contact,
}

impl Customer {
    pub(super) fn apply_service(&mut self, step: &mut Step<'_>, body: &Body) {
        let eta = |attested_by| step.policy.eta(attested_by);
        match body {
            Body::ServiceFailed(failed) => self.note_failure(step, failed),
            Body::ServiceRestored { failure_id, attested_by } => {
                if let Some(slot) = self.failures.iter_mut().find(|slot| slot.id == *failure_id) {
                    // A later report of the same restoration is judged no second time.
                    if slot.restored_at.is_none_or(|restored| step.time < restored) {
                        slot.restored_at = Some(step.time);
                        let due = step.time.plus_days(step.policy.s06.after_days);
                        self.timers.arm(TimerKind::Failure, failure_id, due);
                    }
                }
                self.keep_template(step, Template::Repair, failure_id, *attested_by);
            }
            Body::ServiceDelivered { reference, right_first_time, attested_by } => {
                if *right_first_time {
                    let weight = evidence_weight(
                        step.policy.weights.delivered,
                        None,
                        step.policy,
                        eta(*attested_by),
                    );
                    self.credit(step, Class::ComDelivered, reference, weight);
                }
            }
            Body::ContactOpened { contact_id, issue, about_id } => {
                self.note_repeat(step, contact_id, issue.as_ref());
                if let Some(about) = about_id {
                    self.doubt_promise(step, about);
                    self.note_about(step, about, About::Contact);
                    self.note_request_contact(step, about);
                }
            }
            Body::ContactClosed(closed) => self.close_contact(step, closed),
            Body::NoticeSent { kind, subscription_id, about_id, states_price } => {
                self.note_notice(
                    step,
                    *kind,
                    subscription_id.as_ref(),
                    about_id.as_ref(),
                    *states_price,
                );
            }
            Body::DisclosureMade { disclosure_id, before_customer_contact } => {
                if *before_customer_contact {
                    self.credit(
                        step,
                        Class::TraSelfDisclosed,
                        disclosure_id,
                        step.policy.weights.self_disclosed,
                    );
                }
            }
            Body::SupportAdjusted { adjustment_id } => {
                if self.is_vulnerable(step) {
                    self.credit(
                        step,
                        Class::CarAccommodated,
                        adjustment_id,
                        step.policy.weights.accommodated,
                    );
                }
            }
            _ => unreachable!("dispatched by type"),
        }
    }

    fn note_failure(&mut self, step: &mut Step<'_>, failed: &ServiceFailed) {
        let id = &failed.failure_id;
        let index = if let Some(index) = self.failures.iter().position(|slot| slot.id == *id) {
            self.failures[index].merge(step.stamp(), failed.clone());
            index
        } else {
            self.make_room_for_failure();
            let mut slot = FailureSlot::new(step.stamp(), failed.clone());
            slot.origin = step.origin;
            self.failures.push(slot);
            self.failures.len() - 1
        };
        let was_recorded = !self.failures[index].evidence.is_empty();
        self.settle_failure(step, index);
        let slot = &self.failures[index];
        let (severity, failed_at) = (slot.failed.value.severity, slot.failed.at.time);
        if !was_recorded
            && !slot.evidence.is_empty()
            && u32::from(severity) >= step.policy.loyalty.trial_severity
        {
            self.open_trial(step, id, failed_at);
        }
        if failed.scope == Scope::Total && failed.cause != Cause::Customer {
            let days = step.policy.promise.repair_business_days;
            let due_at = step.time.plus_business_days(days, &step.policy.holidays);
            self.open_template(step, Template::Repair, id, due_at, None);
        }
    }

    fn make_room_for_failure(&mut self) {
        if self.failures.len() < SLOTS {
            return;
        }
        let oldest = self
            .failures
            .iter()
            .min_by(|a, b| (a.failed.at.time, &a.id).cmp(&(b.failed.at.time, &b.id)));
        if let Some(id) = oldest.map(|slot| slot.id.clone()) {
            self.failures.retain(|slot| slot.id != id);
            self.timers.disarm(TimerKind::Failure, &id);
        }
    }

    /// Replaces what a failure supported by what its facts support now.
    pub(super) fn settle_failure(&mut self, step: &mut Step<'_>, index: usize) {
        let slot = &mut self.failures[index];
        let supports = slot.support(step.policy);
        let supported = std::mem::replace(&mut slot.evidence, supports.clone());
        let origin = std::mem::replace(&mut step.origin, slot.origin);
        self.replace_evidence(step, &supported, &supports);
        step.origin = origin;
    }

    /// The first word about a failure decides whether the firm or the customer came first.
    pub(super) fn decide_ratio(&mut self, step: &Step<'_>, index: usize, is_proactive: bool) {
        let slot = &mut self.failures[index];
        if std::mem::replace(&mut slot.is_ratio_decided, true) {
            return;
        }
        let half_life_ms = step.policy.proactive.half_life_ms;
        if is_proactive {
            self.proactive.add_positive(1.0, step.time, half_life_ms);
        } else {
            self.proactive.add_negative(1.0, step.time, half_life_ms);
        }
    }

    /// A contact or complaint of the customer's about a failure or promise.
    pub(super) fn note_contact_about(&mut self, step: &mut Step<'_>, about: &str) {
        self.note_about(step, about, About::Contact);
    }

    fn note_about(&mut self, step: &mut Step<'_>, about: &str, what: About) {
        if let Some(index) = self.failures.iter().position(|slot| *slot.id == *about) {
            let aftermath = &mut self.failures[index].aftermath;
            match what {
                About::Notice => aftermath.note_notice(step.time),
                About::Contact => aftermath.note_contact(step.time),
            }
            self.decide_ratio(step, index, what == About::Notice);
            self.settle_failure(step, index);
        }
        if let Some(index) = self.promises.iter().position(|slot| *slot.id == *about) {
            let aftermath = &mut self.promises[index].aftermath;
            match what {
                About::Notice => aftermath.note_notice(step.time),
                About::Contact => aftermath.note_contact(step.time),
            }
            self.settle_promise(step, index);
        }
    }

    /// A contact about a promise that is not due yet: the customer does not rely on it.
    fn doubt_promise(&mut self, step: &Step<'_>, about: &str) {
        let slot = self
            .promises
            .iter()
            .find(|slot| *slot.id == *about && slot.outcome == PromiseOutcome::Open);
        let due = slot.and_then(|slot| slot.judge(step.policy)).map(|judgement| judgement.due);
        if due.is_some_and(|due| step.time < due) {
            self.loyalty.lose(step, Component::Rely, step.policy.loyalty.doubted);
        }
    }

    fn note_repeat(&mut self, step: &mut Step<'_>, contact_id: &Text, issue: Option<&Text>) {
        let Some(issue) = issue else { return };
        let resolved = self.contacts.iter().find(|held| held.has_issue && held.issue == *issue);
        let Some(closed_at) = resolved.map(|held| held.closed_at) else { return };
        if closed_at <= step.time
            && step.time <= closed_at.plus_days(step.policy.contact.repeat_days)
        {
            self.timers.disarm(TimerKind::Contact, issue);
            self.blame(step, Class::ComRepeat, contact_id, step.policy.weights.repeat);
        }
    }

    fn close_contact(&mut self, step: &mut Step<'_>, closed: &ContactClosed) {
        let (policy, eta) = (step.policy, step.policy.eta(closed.attested_by));
        let passed_on = f64::from(closed.transfers.saturating_sub(1));
        if u32::from(closed.transfers) >= policy.contact.transfers {
            let base = (policy.weights.transfer * passed_on).min(policy.contact.transfer_max);
            self.blame(step, Class::ComTransfer, &closed.contact_id, base * eta);
        }
        if let (Some(waited), Some(stated)) = (closed.waited_ms, closed.wait_stated_ms)
            && i128::from(waited) * 1_000_000
                > i128::from(stated) * i128::from(policy.contact.wait_factor.millionths())
        {
            self.blame(step, Class::CarWait, &closed.contact_id, policy.weights.wait * eta);
        }
        if closed.resolved {
            self.note_resolution(step, closed);
        }
    }

    /// Remembers a resolved contact, one an issue; a week on without another, it was resolved at the first contact.
    fn note_resolution(&mut self, step: &Step<'_>, closed: &ContactClosed) {
        let issue = closed.issue.as_ref().unwrap_or(&closed.contact_id).clone();
        self.contacts.retain(|held| held.issue != issue);
        let due = step.time.plus_days(step.policy.contact.repeat_days);
        self.timers.arm(TimerKind::Contact, &issue, due);
        let resolved = ResolvedContact {
            issue,
            has_issue: closed.issue.is_some(),
            contact_id: closed.contact_id.clone(),
            closed_at: step.time,
            attested_by: closed.attested_by,
        };
        let age = |held: &ResolvedContact| (held.closed_at, held.issue.clone());
        if let Some(oldest) = keep_few(&mut self.contacts, resolved, age) {
            self.timers.disarm(TimerKind::Contact, &oldest.issue);
        }
    }

    pub(super) fn confirm_resolution(&mut self, step: &mut Step<'_>, issue: &str) {
        let Some(held) = self.contacts.iter().find(|held| *held.issue == *issue) else { return };
        let (contact_id, eta) = (held.contact_id.clone(), step.policy.eta(held.attested_by));
        self.credit(step, Class::ComFcr, &contact_id, step.policy.weights.first_contact * eta);
    }

    fn note_notice(
        &mut self,
        step: &mut Step<'_>,
        kind: NoticeKind,
        subscription_id: Option<&Text>,
        about_id: Option<&Text>,
        states_price: bool,
    ) {
        if let Some(id) = subscription_id
            && let Some(held) = self.mention_subscription(step, id)
        {
            held.note_notice(kind, step.time, states_price);
            if kind == NoticeKind::UsageAlert {
                let key = format!("{id}/{}", month_of(step.time));
                self.credit(step, Class::ProWarned, &key, step.policy.weights.warned);
            }
        }
        if let Some(about) = about_id {
            self.note_about(step, about, About::Notice);
            let credit = self.credits.iter_mut().find(|credit| credit.id == *about);
            if let Some(credit) = credit.filter(|_| kind == NoticeKind::CreditExpiry) {
                credit.noticed_at =
                    Some(credit.noticed_at.map_or(step.time, |held| held.max(step.time)));
            }
        }
    }

    /// A month after service came back: was the outage paid for?
    pub(super) fn judge_outage(&mut self, step: &mut Step<'_>, failure_id: &str) {
        let Some(failure) = self.failures.iter().find(|slot| *slot.id == *failure_id) else {
            return;
        };
        let subscription =
            failure.failed.value.subscription_id.as_deref().and_then(|id| self.subscription(id));
        if !self.looks_for(step, SqueezeType::S06, subscription.map(|held| &*held.id)) {
            return;
        }
        if let Some(finding) = s06::judge(step, failure, subscription) {
            self.hold(step, finding);
        }
    }
}

/// `YYYY-MM` of a time, UTC.
fn month_of(time: EventTime) -> String {
    let day = time.date();
    format!("{:04}-{:02}", day.year(), day.month())
}

#[cfg(test)]
mod tests {
    use crate::model::Policy;
    use crate::model::story::{customer_after, evidence};

    #[test]
    fn a_week_without_another_contact_confirms_the_first() {
        let of =
            |lines: &str| evidence(&format!("2025-01-01 closed c1 issue=slow\n{lines}"), "COM");
        assert_eq!(of("2025-01-08 tick"), "2025-01-08 COM.FCR c1 +0.5");
        assert_eq!(
            of("2025-01-08 contact c2 issue=slow\n2025-01-09 tick"),
            "2025-01-08 COM.REPEAT c2 -0.5"
        );
        assert_eq!(
            of("2025-01-03 contact c2 issue=other\n2025-01-08 tick"),
            "2025-01-08 COM.FCR c1 +0.5"
        );
        assert_eq!(of("2025-01-08T00:06 contact c2 issue=slow"), "2025-01-08 COM.FCR c1 +0.5");
        assert_eq!(evidence("2025-01-01 closed c1 issue=slow unresolved\n2025-01-08 tick", ""), "");
        assert_eq!(
            evidence("2025-01-01 closed c1 by=agent\n2025-01-08 tick", ""),
            "2025-01-08 COM.FCR c1 +0.35"
        );
    }

    #[test]
    fn of_five_resolved_contacts_the_oldest_is_forgotten_even_if_it_came_last() {
        let four =
            "2025-01-02 closed a\n2025-01-02 closed b\n2025-01-02 closed c\n2025-01-02 closed d";
        let confirmed = |fifth: &str| {
            let all = evidence(&format!("{four}\n{fifth}\n2025-01-20 tick"), "COM.FCR");
            all.lines().filter_map(|line| line.split(' ').nth(2)).collect::<String>()
        };
        assert_eq!(confirmed("2025-01-03 closed e"), "bcde");
        assert_eq!(confirmed("2025-01-01 closed e"), "abcd");
    }

    #[test]
    fn being_passed_on_or_kept_waiting_counts_beyond_a_measure() {
        let closed = |words: &str| evidence(&format!("2025-01-01 closed c unresolved {words}"), "");
        for (words, expected) in [
            ("transfers=1", ""),
            ("transfers=2", "2025-01-01 COM.TRANSFER c -0.25"),
            ("transfers=9", "2025-01-01 COM.TRANSFER c -1.0"),
            ("waited=PT20M stated=PT10M", ""),
            ("waited=PT21M stated=PT10M", "2025-01-01 CAR.WAIT c -0.25"),
            ("waited=PT21M", ""),
        ] {
            assert_eq!(closed(words), expected, "{words}");
        }
    }

    #[test]
    fn the_first_word_about_a_failure_decides_who_came_first() {
        let ratio = |lines: &str| {
            let customer = customer_after(&format!("2025-01-01 fail f\n{lines}"));
            customer.proactive.expected(customer.as_of, Policy::default().proactive.half_life_ms)
        };
        assert!(ratio("2025-01-01 notice outage about=f\n2025-01-01 contact c about=f") > 0.5);
        assert!(ratio("2025-01-01 remedy r 1.00 about=f") > 0.5);
        assert!(ratio("2025-01-01 contact c about=f\n2025-01-01 notice outage about=f") < 0.5);
        assert!(ratio("2025-01-01 complain c about=f") < 0.5);
    }
}
