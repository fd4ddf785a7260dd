//! What customers say, allow and do of their own will: perceived trust, loyalty, complaints, consent.

use crate::model::Class;
use crate::model::customer::Customer;
use crate::model::event::{Body, ComplaintOutcome, ConsentScope};
use crate::model::fact::{Fact, keep_latest};
use crate::model::loyalty::Component;
use crate::model::promise::Template;
use crate::model::step::Step;

impl Customer {
    pub(super) fn apply_voice(&mut self, step: &mut Step<'_>, body: &Body) {
        let (loyalty, weights) = (&step.policy.loyalty, &step.policy.weights);
        match body {
            Body::QuoteAccepted { .. } => {
                self.loyalty.gain(step, Component::Consider, loyalty.quote_accepted)
            }
            Body::QuoteDeclined { .. } => {
                self.loyalty.lose(step, Component::Consider, loyalty.quote_declined)
            }
            Body::PurchaseCompleted { order_id, voluntary, first_in_category, .. } => {
                if self.is_first(step, "purchase", order_id) && *voluntary {
                    self.note_purchase(step, *first_in_category);
                }
            }
            Body::PaymentDisputed { .. } => {
                self.loyalty.lose(step, Component::Rely, loyalty.disputed);
                self.end_trials(step, false);
            }
            Body::AutopayGranted => {
                self.loyalty.gain(step, Component::Rely, loyalty.autopay_granted)
            }
            Body::AutopayWithdrawn => {
                self.loyalty.lose(step, Component::Rely, loyalty.autopay_withdrawn)
            }
            Body::OfferAccepted { .. } => {
                self.loyalty.gain(step, Component::Rely, loyalty.offer_accepted)
            }
            Body::ComplaintRaised { complaint_id, about_id } => {
                self.raise_complaint(step, complaint_id, about_id.as_deref());
            }
            Body::ComplaintResolved {
                complaint_id,
                outcome,
                apology,
                redress,
                misled,
                attested_by,
            } => {
                self.keep_template(step, Template::Complaint, complaint_id, *attested_by);
                let eta = step.policy.eta(*attested_by);
                let is_upheld = *outcome == ComplaintOutcome::Upheld;
                if is_upheld {
                    self.blame(step, Class::CarUpheld, complaint_id, weights.upheld * eta);
                }
                if *apology && *redress {
                    self.credit(step, Class::CarApology, complaint_id, weights.apology * eta);
                }
                if is_upheld && *misled {
                    self.blame(step, Class::TraMisled, complaint_id, weights.misled * eta);
                }
                if *outcome == ComplaintOutcome::Withdrawn {
                    self.forgive_oldest(step);
                }
            }
            Body::EscalationOpened { .. } => {
                self.loyalty.lose(step, Component::Rely, loyalty.escalated);
                self.end_trials(step, false);
            }
            Body::EscalationDecided { escalation_id, upheld, misled } => {
                if *upheld && *misled {
                    self.blame(step, Class::TraMisled, escalation_id, weights.misled);
                }
            }
            Body::SurveyAnswered { survey_id, score, score_min, score_max } => {
                if self.is_first(step, "survey", survey_id) {
                    let x = (score - score_min) / (score_max - score_min);
                    let half_life_ms = step.policy.perception.half_life_ms;
                    self.perceived.add_positive(x, step.time, half_life_ms);
                    self.perceived.add_negative(1.0 - x, step.time, half_life_ms);
                }
            }
            Body::ConsentChanged { scope, granted } => self.change_consent(step, *scope, *granted),
            Body::MarketingSent { message_id } => {
                let opt_out = self.marketing_consent.as_ref().filter(|consent| !consent.value);
                if opt_out.is_some_and(|consent| consent.at.time < step.time) {
                    self.blame(step, Class::IntConsentBreach, message_id, weights.consent_breach);
                }
            }
            Body::VulnerabilityMarked { .. } => {
                keep_latest(&mut self.vulnerability, Fact::new(step.stamp(), true));
            }
            Body::VulnerabilityCleared => {
                keep_latest(&mut self.vulnerability, Fact::new(step.stamp(), false));
            }
            _ => unreachable!("dispatched by type"),
        }
    }

    /// A complaint lowers what the customer thinks of the firm, must be resolved in time, and names what it is about.
    fn raise_complaint(&mut self, step: &mut Step<'_>, complaint_id: &str, about: Option<&str>) {
        self.perceived.add_negative(1.0, step.time, step.policy.perception.half_life_ms);
        if let Some(about) = about {
            self.note_contact_about(step, about);
            if let Some(index) = self.unresolved_squeeze(about, None) {
                self.squeezes[index].was_complained_of = true;
            }
        }
        let due_at = step.time.plus(step.policy.complaint_ms);
        self.open_template(step, Template::Complaint, complaint_id, due_at, None);
    }

    fn change_consent(&mut self, step: &Step<'_>, scope: ConsentScope, granted: bool) {
        let weights = &step.policy.loyalty;
        match (scope, granted) {
            (ConsentScope::Data, true) => {
                self.loyalty.gain(step, Component::Rely, weights.data_granted)
            }
            (ConsentScope::Data, false) => {
                self.loyalty.lose(step, Component::Rely, weights.data_withdrawn)
            }
            (ConsentScope::Marketing, true) => {}
            (ConsentScope::Marketing, false) => {
                self.loyalty.lose(step, Component::Consider, weights.marketing_withdrawn)
            }
        }
        self.note_consent(step, scope, granted);
    }
}
