//! What each event and each timer means: the only place that reads an event and changes a customer.

mod billing;
mod contract;
mod ledger;
mod remedy;
mod service;
mod voice;

use super::customer::Customer;
use super::event::Body;
use super::step::Step;
use super::timer::{Timer, TimerKind};

impl Customer {
    /// Applies an accepted event; erasure is the engine's own business.
    pub fn apply(&mut self, step: &mut Step<'_>, body: &Body) {
        match body {
            Body::PromiseMade { .. }
            | Body::PromiseKept { .. }
            | Body::PromiseBroken { .. }
            | Body::PromiseRenegotiated { .. }
            | Body::PromiseWithdrawn { .. }
            | Body::PromiseVerdictGiven { .. }
            | Body::OrderPlaced { .. }
            | Body::OrderFulfilled { .. }
            | Body::RefundAgreed { .. }
            | Body::RefundPaid { .. } => self.apply_promise(step, body),

            Body::QuoteGiven { .. }
            | Body::InvoiceIssued(_)
            | Body::ChargePosted { .. }
            | Body::FeeCharged { .. }
            | Body::FeeWaived { .. }
            | Body::BillingErrorConfirmed { .. }
            | Body::CreditGranted { .. }
            | Body::CreditUsed { .. }
            | Body::CreditExpired { .. } => self.apply_billing(step, body),

            Body::SubscriptionStarted(_)
            | Body::PlanChanged { .. }
            | Body::PlanTermsChanged { .. }
            | Body::PriceChanged { .. }
            | Body::RenewalOffered(_)
            | Body::RenewalCompleted { .. }
            | Body::CancelRequested { .. }
            | Body::CancelStepTaken { .. }
            | Body::CancelCompleted { .. }
            | Body::CancelWithdrawn { .. }
            | Body::UsageReported { .. }
            | Body::AccountClosed { .. }
            | Body::SavingsAdvised { .. }
            | Body::OfferDeclined { .. } => self.apply_contract(step, body),

            Body::ServiceFailed(_)
            | Body::ServiceRestored { .. }
            | Body::ServiceDelivered { .. }
            | Body::ContactOpened { .. }
            | Body::ContactClosed(_)
            | Body::NoticeSent { .. }
            | Body::DisclosureMade { .. }
            | Body::SupportAdjusted { .. } => self.apply_service(step, body),

            Body::RemedyIssued { .. } => self.apply_remedy(step, body),

            Body::QuoteAccepted { .. }
            | Body::QuoteDeclined { .. }
            | Body::PurchaseCompleted { .. }
            | Body::PaymentDisputed { .. }
            | Body::AutopayGranted
            | Body::AutopayWithdrawn
            | Body::ComplaintRaised { .. }
            | Body::ComplaintResolved { .. }
            | Body::EscalationOpened { .. }
            | Body::EscalationDecided { .. }
            | Body::OfferAccepted { .. }
            | Body::SurveyAnswered { .. }
            | Body::ConsentChanged { .. }
            | Body::MarketingSent { .. }
            | Body::VulnerabilityMarked { .. }
            | Body::VulnerabilityCleared => self.apply_voice(step, body),

            Body::RetractionRequested { evidence_id } => {
                if let Some(id) = super::EvidenceId::parse(evidence_id) {
                    self.retract(step, id);
                }
            }
            Body::SuppressionRequested { dedup_key, reason, until, .. } => {
                self.suppress(step, dedup_key, reason, *until);
            }
            Body::ErasureRequested => {}
        }
    }

    /// Applies a timer that fired.
    pub fn fire(&mut self, step: &mut Step<'_>, timer: &Timer) {
        match timer.kind {
            TimerKind::Contact => self.confirm_resolution(step, &timer.key),
            TimerKind::Credit => self.settle_credits(step),
            TimerKind::Failure => self.judge_outage(step, &timer.key),
            TimerKind::Forget => {
                self.promises.retain(|slot| slot.id != timer.key);
                self.promises.shrink_to_fit();
            }
            TimerKind::Guarantee => self.settle_guarantee(step, &timer.key),
            TimerKind::Notice => self.judge_end_of_term(step, &timer.key),
            TimerKind::Promise => self.presume_breach(step, &timer.key),
            TimerKind::Reciprocity => self.expire_gift(step, &timer.key),
            TimerKind::Review => {}
            TimerKind::Rhythm => self.miss_rhythm(step),
            TimerKind::Trial => self.expire_trial(step, &timer.key),
            TimerKind::Window => self.open_gathered(step, &timer.key),
            TimerKind::Withheld => self.withhold_advice(step, &timer.key),
        }
    }
}
