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

#[cfg(test)]
mod tests {
    use crate::model::decay::ReadTimes;
    use crate::model::step::Step;
    use crate::model::story::{customer_after, evidence};
    use crate::model::{Catalogue, Micros, Policy, Text};

    /// Consider, rely and forgive right after a story.
    fn loyalty(story: &str) -> [f64; 3] {
        let customer = customer_after(story);
        let mut times = ReadTimes::new(customer.as_of);
        let [_, consider, rely, forgive] = customer.loyalty.read(&mut times, &Policy::default());
        [consider, rely, forgive].map(|component| Micros::round(component).to_f64())
    }

    /// What a component reads after one act of this weight, for or against.
    fn after(weight: f64) -> f64 {
        let (r, s) = (weight.max(0.0), (-weight).max(0.0));
        Micros::round((r + 1.0) / (r + s + 2.0)).to_f64()
    }

    fn perceived(story: &str) -> f64 {
        let customer = customer_after(story);
        let half_life_ms = Policy::default().perception.half_life_ms;
        let expected = customer.perceived.expected(customer.as_of, half_life_ms);
        Micros::round(expected).to_f64()
    }

    #[test]
    fn each_voluntary_act_moves_one_component_by_its_weight_and_never_trust() {
        for (act, consider, rely) in [
            ("accept-quote q", 0.5, 0.0),
            ("decline-quote q", -0.25, 0.0),
            ("purchase o", 0.5, 0.0),
            ("purchase o first", 1.0, 0.0),
            ("consent marketing off", -0.25, 0.0),
            ("consent marketing on", 0.0, 0.0),
            ("autopay on", 0.0, 1.0),
            ("autopay off", 0.0, -1.0),
            ("accept-offer a", 0.0, 0.5),
            ("consent data on", 0.0, 0.5),
            ("consent data off", 0.0, -0.5),
            ("dispute i", 0.0, -1.5),
            ("escalate e", 0.0, -2.0),
        ] {
            let story = format!("2025-01-01 {act}");
            assert_eq!(loyalty(&story), [after(consider), after(rely), 0.5], "{act}");
            assert!(!customer_after(&story).trust.has_ever_recorded(), "{act}");
        }
    }

    #[test]
    fn a_purchase_nobody_chose_or_told_twice_says_nothing_more() {
        assert_eq!(loyalty("2025-01-01 purchase o involuntary"), [0.5; 3]);
        let once = loyalty("2025-01-02 purchase o");
        assert_eq!(loyalty("2025-01-02 purchase o\n2025-01-02 purchase o"), once);
    }

    #[test]
    fn a_complaint_resolved_is_judged_by_its_outcome() {
        let judged = |words: &str| {
            let story = format!("2025-01-01 complain c\n2025-01-02 resolve c {words}");
            let all = evidence(&story, "");
            let own = all.lines().filter(|line| !line.contains("INT.KEPT"));
            own.map(|line| line.trim_start_matches("2025-01-02 ")).collect::<Vec<_>>().join(", ")
        };
        for (words, expected) in [
            ("upheld", "CAR.UPHELD c -0.5"),
            ("upheld by=agent", "CAR.UPHELD c -0.35"),
            ("upheld misled", "CAR.UPHELD c -0.5, TRA.MISLED c -3.0"),
            ("upheld apology redress", "CAR.UPHELD c -0.5, CAR.APOLOGY c +0.25"),
            ("upheld apology", "CAR.UPHELD c -0.5"),
            ("rejected misled", ""),
            ("rejected", ""),
            ("withdrawn", ""),
        ] {
            assert_eq!(judged(words), expected, "{words}");
        }
    }

    #[test]
    fn a_complaint_left_alone_for_56_days_breaks_its_promise() {
        let unanswered =
            |until: &str| evidence(&format!("2025-01-01 complain c\n{until} tick"), "CAR.");
        assert_eq!(unanswered("2025-02-25"), "");
        assert_eq!(unanswered("2025-02-26"), "2025-02-26 CAR.OVERDUE complaint/c -1.0");
    }

    #[test]
    fn only_a_body_that_upholds_it_finds_the_firm_misleading() {
        let found = |words: &str| evidence(&format!("2025-01-01 decide e {words}"), "");
        assert_eq!(found("upheld misled"), "2025-01-01 TRA.MISLED e -3.0");
        for quiet in ["upheld", "misled", ""] {
            assert_eq!(found(quiet.trim()), "", "{quiet}");
        }
    }

    #[test]
    fn a_message_breaches_consent_only_strictly_after_an_opt_out_in_force() {
        let breach = |story: &str| evidence(story, "INT.CONSENT_BREACH");
        let opt_out = "2025-01-02 consent marketing off";
        assert_eq!(
            breach(&format!("{opt_out}\n2025-01-03 market m")),
            "2025-01-03 INT.CONSENT_BREACH m -1.0"
        );
        for quiet in [
            "2025-01-03 market m".to_owned(),
            format!("{opt_out}\n2025-01-02 market m"),
            format!("{opt_out}\n2025-01-03 consent marketing on\n2025-01-04 market m"),
            format!("{opt_out}\n2025-01-01 market m"),
            "2025-01-02 consent data off\n2025-01-03 market m".to_owned(),
        ] {
            assert_eq!(breach(&quiet), "", "{quiet}");
        }
    }

    #[test]
    fn what_is_said_in_general_moves_perceived_trust_alone_and_once() {
        assert_eq!(perceived("2025-01-01 survey s score=10"), 0.666_667);
        assert_eq!(perceived("2025-01-01 survey s score=1 min=1 max=5"), 0.333_333);
        let twice = "2025-01-01 survey s score=10\n2025-01-01 survey s score=10";
        assert_eq!(perceived(twice), 0.666_667);
        assert_eq!(perceived("2025-01-01 complain c"), 0.333_333);
        assert!(!customer_after(twice).trust.has_ever_recorded());
    }

    #[test]
    fn a_complaint_taken_back_forgives_the_oldest_failure_by_half() {
        let story = "2025-01-01 fail down\n2025-01-02 complain c\n2025-01-02 resolve c withdrawn";
        assert_eq!(loyalty(story)[2], after(0.5));
        assert_eq!(loyalty("2025-01-02 complain c\n2025-01-02 resolve c withdrawn")[2], 0.5);
    }

    #[test]
    fn the_latest_word_on_vulnerability_counts_whenever_it_arrives() {
        let is_marked = |story: &str| {
            let customer = customer_after(story);
            let (policy, catalogue) = (Policy::default(), Catalogue::default());
            let as_of = customer.as_of;
            customer.is_vulnerable(&Step::new(&policy, &catalogue, as_of, as_of, Text::default()))
        };
        assert!(is_marked("2025-01-01 vulnerable"));
        assert!(!is_marked("2025-01-02 recovered\n2025-01-01 vulnerable"));
        assert!(is_marked("2025-01-01 recovered\n2025-01-02 vulnerable"));
        assert!(!is_marked("2025-01-01 vulnerable\n2026-01-01 market m"), "it lasts 365 days");
    }
}
