//! One service failure: its facts, and the evidence they support, a pure function of them.

use super::event::{Cause, DetectedBy, ServiceFailed};
use super::fact::{Fact, Stamp, keep_earliest};
use super::promise::Aftermath;
use super::weight::evidence_weight;
use super::{Class, EventTime, Evidence, Policy, Sign, Text};

/// w by severity 1 to 4, before η and α.
const SEVERITY_WEIGHTS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];

/// All that is known of one failure.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureSlot {
    /// Names it within the customer.
    pub id: Text,
    /// The earliest report of it.
    pub failed: Fact<ServiceFailed>,
    /// When service was first restored.
    pub restored_at: Option<EventTime>,
    /// What customer and firm said and did about it.
    pub aftermath: Aftermath,
    /// The proactive ratio has counted it.
    pub is_ratio_decided: bool,
    /// What it supports now.
    pub evidence: Vec<Evidence>,
}

impl FailureSlot {
    /// The slot a first report opens.
    pub fn new(at: Stamp, failed: ServiceFailed) -> Self {
        Self {
            id: failed.failure_id.clone(),
            failed: Fact::new(at, failed),
            restored_at: None,
            aftermath: Aftermath::default(),
            is_ratio_decided: false,
            evidence: Vec::new(),
        }
    }

    /// Takes in another report of the same failure: the earliest by (time, id) counts.
    pub fn merge(&mut self, at: Stamp, failed: ServiceFailed) {
        let mut earliest = Some(self.failed.clone());
        keep_earliest(&mut earliest, Fact::new(at, failed));
        self.failed = earliest.expect("the earliest of two facts is one of them");
    }

    /// w of the failure itself.
    pub fn weight(&self, policy: &Policy) -> f64 {
        let failed = &self.failed.value;
        let base = SEVERITY_WEIGHTS[usize::from(failed.severity.clamp(1, 4)) - 1];
        evidence_weight(
            base,
            None,
            policy,
            policy.eta(failed.attested_by) * policy.alpha(failed.cause),
        )
    }

    /// The customer's doing: nothing is owed for it.
    pub fn is_customers_own(&self) -> bool {
        self.failed.value.cause == Cause::Customer
    }

    /// What the facts support: the failure, the credits for telling and mending, and silence about what the firm knew.
    pub fn support(&self, policy: &Policy) -> Vec<Evidence> {
        let (w, failed_at) = (self.weight(policy), self.failed.at.time);
        let mut evidence = Vec::new();
        if w <= 0.0 {
            return evidence;
        }
        let against = |class, weight, time| Evidence {
            class,
            key: self.id.clone(),
            sign: Sign::Negative,
            weight,
            time,
        };
        evidence.push(against(Class::ComFail, w, failed_at));
        let classes = [Class::ComCreditNotice, Class::ComCreditRemedy];
        self.aftermath.credits(w, failed_at, &self.id, classes, &mut evidence);
        if let Some(contact) = self.aftermath.contact
            && self.failed.value.detected_by == DetectedBy::Firm
            && [self.aftermath.notice, self.aftermath.remedy]
                .into_iter()
                .flatten()
                .all(|told| contact < told)
        {
            evidence.push(against(Class::ProSilent, 0.75, contact));
        }
        evidence
    }
}
