//! One service failure: its facts, and the evidence they support, a pure function of them.

use serde::{Deserialize, Serialize};

use super::event::{Cause, DetectedBy, ServiceFailed};
use super::fact::{Fact, Stamp, keep_earliest};
use super::organisation::Origin;
use super::promise::Aftermath;
use super::weight::evidence_weight;
use super::{Class, EventTime, Evidence, Policy, Sign, Text};

/// All that is known of one failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Where the event belongs that first reported it.
    pub origin: Origin,
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
            origin: Origin::default(),
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
        evidence_weight(
            policy.failure.weight(failed.severity),
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
        self.aftermath.credits(w, failed_at, &self.id, classes, policy, &mut evidence);
        if let Some(contact) = self.aftermath.contact
            && self.failed.value.detected_by == DetectedBy::Firm
            && [self.aftermath.notice, self.aftermath.remedy]
                .into_iter()
                .flatten()
                .all(|told| contact < told)
        {
            evidence.push(against(Class::ProSilent, policy.weights.silent, contact));
        }
        evidence
    }
}

#[cfg(test)]
mod tests {
    use crate::model::story::{customer_after, evidence, written};

    const DOWN: &str = "2025-01-02 fail down";

    /// What `facts` make of a failure on the 2nd: class, day and weight of each evidence.
    fn supports(facts: &str) -> String {
        let customer = customer_after(&format!("{DOWN}\n{facts}"));
        customer.failures[0]
            .evidence
            .iter()
            .map(written)
            .collect::<Vec<_>>()
            .join("; ")
            .replace("T00:00:00.000Z", "")
            .replace(" down", "")
    }

    #[test]
    fn telling_and_mending_within_a_week_mitigate() {
        for (facts, credits) in [
            ("", ""),
            ("2025-01-09 notice outage about=down", "; 2025-01-09 COM.CREDIT_NOTICE +0.25"),
            ("2025-01-09T00:01 notice outage about=down", ""),
            ("2025-01-09 remedy r 1.00 about=down", "; 2025-01-09 COM.CREDIT_REMEDY +0.5"),
            (
                "2025-01-03 notice outage about=down\n2025-01-04 contact c about=down\n2025-01-05 remedy r 1.00 about=down",
                "; 2025-01-03 COM.CREDIT_NOTICE +0.25; 2025-01-05 COM.CREDIT_REMEDY +0.25",
            ),
        ] {
            assert_eq!(supports(facts), format!("2025-01-02 COM.FAIL -1.0{credits}"), "{facts}");
        }
    }

    #[test]
    fn silence_about_what_the_firm_knew_counts_once_the_customer_has_to_ask() {
        let silent = "2025-01-02 COM.FAIL -1.0; 2025-01-04 PRO.SILENT -0.75";
        assert_eq!(supports("2025-01-04 contact c about=down"), silent);
        assert_eq!(supports("2025-01-04 complain c about=down"), silent);
        assert_eq!(
            supports("2025-01-04 contact c about=down\n2025-01-05 notice outage about=down"),
            silent
        );
        let told = "2025-01-04 notice outage about=down\n2025-01-04 contact c about=down";
        assert!(!supports(told).contains("PRO.SILENT"));
        let seen = customer_after(
            "2025-01-02 fail down seen-by=customer\n2025-01-04 contact c about=down",
        );
        assert_eq!(seen.failures[0].evidence.len(), 1);
    }

    #[test]
    fn severity_source_and_cause_weigh_and_the_customers_own_doing_is_no_failure() {
        for (words, expected) in [
            ("severity=1", "2025-01-01 COM.FAIL -0.5"),
            ("severity=4", "2025-01-01 COM.FAIL -4.0"),
            ("by=agent severity=3", "2025-01-01 COM.FAIL -1.4"),
            ("cause=supplier", "2025-01-01 COM.FAIL -1.0"),
            ("cause=force_majeure", "2025-01-01 COM.FAIL -0.25"),
        ] {
            let story = format!("2025-01-03 fail down\n2025-01-01 fail down {words}");
            let evidence = customer_after(&story).failures.remove(0).evidence;
            let line = evidence.iter().map(written).collect::<String>();
            assert_eq!(
                line.replace("T00:00:00.000Z", "").replace(" down", ""),
                expected,
                "{words}"
            );
        }
        assert_eq!(
            evidence("2025-01-02 fail down cause=customer\n2025-01-03 contact c about=down", ""),
            ""
        );
    }
}
