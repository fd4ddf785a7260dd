//! The event contract as a table: every type, its fields, and for each field its kind and what an absent one means.
//!
//! Both forms, reading and writing, follow from the one table. Fields are named as in the model and in Protobuf; `as` gives the
//! name in JSON where that differs. What the model keeps in another shape than the wire (invoices, renewals, plans) is in
//! `shaped`.

use super::field::{
    BOOL, DATE, DURATION, Fault, Field, Fields, LATER, MONEY, PERIOD, POLICY, SIGNED_MONEY, TEXT,
    TIME, flat, int, later_within, number, optional, or, required, word,
};
// An event with a field named `optional` would hide the function of that name.
use super::field::optional as if_said;
use super::json::Json;
use super::proto;
use super::writer::Writer;
use crate::model::event::{
    Actor, Attested, Basis, Beneficiary, Body, Cause, ContactClosed, DetectedBy, InvoiceLine,
    Party, PriceReason, Scope, ServiceFailed, SubscriptionStarted,
};
use crate::model::{EventTime, Period, ReferenceChange};

/// What an event says, beside its envelope: read (`Said<Body, ReferenceChange>`) or to be written (of references).
#[derive(Debug, Clone, Copy)]
pub(super) enum Said<B, R> {
    Body(B),
    ReferenceChange(R),
    /// `clock.ticked`: all it says is its time.
    Tick,
}

/// What was read.
pub(super) type SaidOwned = Said<Body, ReferenceChange>;
/// What is to be written.
pub(super) type SaidRef<'a> = Said<&'a Body, &'a ReferenceChange>;

/// The name of a field in JSON.
macro_rules! name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $name:literal) => {
        $name
    };
}

/// The fields of a message as they stand in its bytes. The table names them in the order of their numbers, which count from 1.
macro_rules! raw_fields {
    ($bytes:expr, $($field:ident)*) => {
        $crate::wire::message::fields::<{ <[&str]>::len(&[$(stringify!($field)),*]) }>($bytes)?.into_iter()
    };
}

/// Declares the fields of a struct that has a message of its own.
macro_rules! fields {
    ($model:ident = $message:ident { $($field:ident $(as $name:literal)?: $spec:expr),+ $(,)? }) => {
        impl Fields for $model {
            type Proto = proto::$message;

            fn of_json(object: &Json<'_>, at: EventTime) -> Result<Self, Fault> {
                Ok(Self { $($field: Field::of_json(&$spec, object, name!($field $($name)?), at)?),+ })
            }

            fn of_proto(message: proto::$message, at: EventTime) -> Result<Self, Fault> {
                Ok(Self { $($field: Field::of_proto(&$spec, message.$field, name!($field $($name)?), at)?),+ })
            }

            fn of_raw(bytes: &[u8], at: EventTime) -> Option<Self> {
                let mut fields = raw_fields!(bytes, $($field)+);
                Some(Self { $($field: Field::of_raw(&$spec, fields.next()?, at)?),+ })
            }

            fn json(&self, at: EventTime, out: &mut Writer) {
                $(Field::json(&$spec, &self.$field, name!($field $($name)?), at, out);)+
            }

            fn proto(&self, at: EventTime) -> proto::$message {
                proto::$message { $($field: Field::proto(&$spec, &self.$field, at)),+ }
            }
        }
    };
}
pub(super) use {fields, name, raw_fields};

/// Declares every event type, by its name and the number of its body in Protobuf: those with their fields, then those whose fields have a struct.
macro_rules! events {
    (
        $($word:literal = $number:literal, $group:ident::$variant:ident {
            $($field:ident $(as $name:literal)?: $spec:expr),* $(,)?
        })+
        boxed
        $($boxed_word:literal = $boxed_number:literal, $boxed:ident)+
    ) => {
        /// The type of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum EventType { $($variant,)+ $($boxed,)+ ClockTicked }

        impl EventType {
            /// The type with this name, prefix and version included.
            pub(super) fn from_name(name: &str) -> Option<Self> {
                match name.strip_prefix("io.goodfaith.")?.strip_suffix(".v1")? {
                    $($word => Some(Self::$variant),)+
                    $($boxed_word => Some(Self::$boxed),)+
                    "clock.ticked" => Some(Self::ClockTicked),
                    _ => None,
                }
            }

            /// Its name, prefix and version included.
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("io.goodfaith.", $word, ".v1"),)+
                    $(Self::$boxed => concat!("io.goodfaith.", $boxed_word, ".v1"),)+
                    Self::ClockTicked => "io.goodfaith.clock.ticked.v1",
                }
            }

            /// The type of a Protobuf body.
            pub(super) const fn of_proto(body: &proto::event::Body) -> Self {
                match body {
                    $(proto::event::Body::$variant(_) => Self::$variant,)+
                    $(proto::event::Body::$boxed(_) => Self::$boxed,)+
                    proto::event::Body::ClockTicked(_) => Self::ClockTicked,
                }
            }

            /// The type of what is said.
            pub(super) const fn of(said: SaidRef<'_>) -> Self {
                match said {
                    $(Said::$group($group::$variant { .. }) => Self::$variant,)+
                    $(Said::Body(Body::$boxed(_)) => Self::$boxed,)+
                    Said::Tick => Self::ClockTicked,
                }
            }
        }

        /// Reads the data of an event of `kind` that happened at `at`.
        pub(super) fn of_json(kind: EventType, data: &Json<'_>, at: EventTime) -> Result<SaidOwned, Fault> {
            let said = match kind {
                $(EventType::$variant => Said::$group($group::$variant {
                    $($field: Field::of_json(&$spec, data, name!($field $($name)?), at)?),*
                }),)+
                $(EventType::$boxed => Said::Body(Body::$boxed(Fields::of_json(data, at)?)),)+
                EventType::ClockTicked => Said::Tick,
            };
            check(said)
        }

        /// Reads the body of an event that happened at `at`.
        pub(super) fn of_proto(body: proto::event::Body, at: EventTime) -> Result<SaidOwned, Fault> {
            let said = match body {
                $(proto::event::Body::$variant(proto::$variant { $($field),* }) => Said::$group($group::$variant {
                    $($field: Field::of_proto(&$spec, $field, name!($field $($name)?), at)?),*
                }),)+
                $(proto::event::Body::$boxed(message) => Said::Body(Body::$boxed(Fields::of_proto(message, at)?)),)+
                proto::event::Body::ClockTicked(_) => Said::Tick,
            };
            check(said)
        }

        /// Reads the body with this number of an event that happened at `at`, if it is of an ordinary form; if not, [`of_proto`] tells
        /// whether it is one.
        pub(super) fn of_raw(number: u32, body: &[u8], at: EventTime) -> Option<(EventType, SaidOwned)> {
            let (kind, said) = match number {
                $($number => {
                    #[allow(unused_mut, unused_variables)] // Some types have no fields.
                    let mut fields = raw_fields!(body, $($field)*);
                    let said = Said::$group($group::$variant { $($field: Field::of_raw(&$spec, fields.next()?, at)?),* });
                    (EventType::$variant, said)
                })+
                $($boxed_number => (EventType::$boxed, Said::Body(Body::$boxed(Fields::of_raw(body, at)?))),)+
                _ => return None,
            };
            Some((kind, check(said).ok()?))
        }

        /// Writes the data of an event that happened at `at`, member by member.
        pub(super) fn json(said: SaidRef<'_>, at: EventTime, out: &mut Writer) {
            match said {
                $(Said::$group($group::$variant { $($field),* }) => {
                    $(Field::json(&$spec, $field, name!($field $($name)?), at, out);)*
                })+
                $(Said::Body(Body::$boxed(fields)) => fields.json(at, out),)+
                Said::Tick => (),
            }
        }

        /// The body of an event that happened at `at`.
        pub(super) fn proto(said: SaidRef<'_>, at: EventTime) -> proto::event::Body {
            match said {
                $(Said::$group($group::$variant { $($field),* }) => proto::event::Body::$variant(proto::$variant {
                    $($field: Field::proto(&$spec, $field, at)),*
                }),)+
                $(Said::Body(Body::$boxed(fields)) => proto::event::Body::$boxed(fields.proto(at)),)+
                Said::Tick => proto::event::Body::ClockTicked(proto::ClockTicked {}),
            }
        }
    };
}

events! {
    "promise.made" = 20, Body::PromiseMade {
        promise_id: required(TEXT),
        kind: or(TEXT, |_| "general".into()),
        due_at: required(LATER),
        grace_ms as "grace": or(DURATION, |_| 0),
        stake: optional(MONEY),
        basis: or(word(), |_| Basis::Explicit),
        beneficiary: or(word(), |_| Beneficiary::Customer),
    }
    "promise.kept" = 21, Body::PromiseKept {
        promise_id: required(TEXT),
        attested_by: or(word(), |_| Attested::System),
    }
    "promise.broken" = 22, Body::PromiseBroken {
        promise_id: required(TEXT),
        attested_by: or(word(), |_| Attested::System),
        cause: or(word(), |_| Cause::Firm),
    }
    "promise.renegotiated" = 23, Body::PromiseRenegotiated {
        promise_id: required(TEXT),
        new_due_at: required(LATER),
        by: required(word()),
    }
    "promise.withdrawn" = 24, Body::PromiseWithdrawn { promise_id: required(TEXT) }
    "promise.verdict_given" = 25, Body::PromiseVerdictGiven {
        promise_id: required(TEXT),
        verdict: required(word()),
    }

    "order.placed" = 30, Body::OrderPlaced {
        order_id: required(TEXT),
        sku: optional(TEXT),
        price: optional(MONEY),
        deliver_by: optional(LATER),
        price_guarantee_until: optional(LATER),
    }
    "order.fulfilled" = 31, Body::OrderFulfilled {
        order_id: required(TEXT),
        complete: or(BOOL, |_| true),
        attested_by: or(word(), |_| Attested::System),
    }
    "quote.given" = 32, Body::QuoteGiven { quote_id: required(TEXT), total: required(MONEY) }
    "quote.accepted" = 33, Body::QuoteAccepted { quote_id: required(TEXT) }
    "quote.declined" = 34, Body::QuoteDeclined { quote_id: required(TEXT) }
    "purchase.completed" = 35, Body::PurchaseCompleted {
        order_id: required(TEXT),
        amount: optional(MONEY),
        voluntary: or(BOOL, |_| true),
        first_in_category: or(BOOL, |_| false),
    }

    "charge.posted" = 41, Body::ChargePosted {
        charge_id: required(TEXT),
        amount: required(MONEY),
        subscription_id: if_said(TEXT),
        service_start: if_said(DATE),
        quote_id: if_said(TEXT),
        optional: or(BOOL, |_| false),
    }
    "fee.charged" = 42, Body::FeeCharged {
        fee_id: required(TEXT),
        kind: required(word()),
        amount: required(MONEY),
        cause_id: optional(TEXT),
        subscription_id: optional(TEXT),
    }
    "fee.waived" = 43, Body::FeeWaived { fee_id: required(TEXT) }
    "payment.disputed" = 44, Body::PaymentDisputed { invoice_id: required(TEXT) }
    "autopay.granted" = 45, Body::AutopayGranted {}
    "autopay.withdrawn" = 46, Body::AutopayWithdrawn {}
    "billing.error_confirmed" = 47, Body::BillingErrorConfirmed {
        error_id: required(TEXT),
        amount: optional(MONEY),
        attested_by: or(word(), |_| Attested::System),
        cause: or(word(), |_| Cause::Firm),
    }
    "credit.granted" = 48, Body::CreditGranted {
        credit_id: required(TEXT),
        amount: required(MONEY),
        paid_for: or(BOOL, |_| true),
    }
    "credit.used" = 49, Body::CreditUsed { credit_id: required(TEXT), amount: required(MONEY) }
    "credit.expired" = 50, Body::CreditExpired { credit_id: required(TEXT) }
    "refund.agreed" = 51, Body::RefundAgreed {
        refund_id: required(TEXT),
        amount: required(MONEY),
        due_at: optional(LATER),
    }
    "refund.paid" = 52, Body::RefundPaid {
        refund_id: required(TEXT),
        amount: required(MONEY),
        attested_by: or(word(), |_| Attested::System),
    }
    "remedy.issued" = 53, Body::RemedyIssued {
        remedy_id: required(TEXT),
        kind: required(word()),
        amount: required(MONEY),
        about_id: optional(TEXT),
        unprompted: or(BOOL, |_| false),
        failure_confirmed: or(BOOL, |_| false),
    }

    "plan.changed" = 61, Body::PlanChanged {
        subscription_id: required(TEXT),
        plan_id: required(TEXT),
        price: required(MONEY),
        period: or(PERIOD, |_| Period::MONTH),
        initiated_by: required(word()),
    }
    "plan.terms_changed" = 62, Body::PlanTermsChanged {
        subscription_id: required(TEXT),
        loss_share: required(number(0.0, 1.0)),
        consent: or(BOOL, |_| false),
    }
    "price.changed" = 63, Body::PriceChanged {
        subscription_id: required(TEXT),
        price: required(MONEY),
        reason: or(word(), |_| PriceReason::Firm),
        in_schedule: or(BOOL, |_| false),
    }
    "renewal.completed" = 65, Body::RenewalCompleted {
        renewal: flat(),
        mode: required(word()),
        term_end: optional(TIME),
    }
    "notice.sent" = 66, Body::NoticeSent {
        kind: required(word()),
        subscription_id: optional(TEXT),
        about_id: optional(TEXT),
        states_price: or(BOOL, |_| false),
    }
    "cancel.requested" = 67, Body::CancelRequested {
        request_id: required(TEXT),
        subscription_id: required(TEXT),
    }
    "cancel.step_taken" = 68, Body::CancelStepTaken {
        request_id: required(TEXT),
        step: required(int(1, 1000)),
        save_offer: or(BOOL, |_| false),
    }
    "cancel.completed" = 69, Body::CancelCompleted {
        request_id: required(TEXT),
        attested_by: or(word(), |_| Attested::System),
    }
    "cancel.withdrawn" = 70, Body::CancelWithdrawn { request_id: required(TEXT) }
    "usage.reported" = 71, Body::UsageReported {
        subscription_id: required(TEXT),
        quantity: required(number(0.0, f64::MAX)),
    }
    "account.closed" = 72, Body::AccountClosed { voluntary: or(BOOL, |_| true) }

    "service.restored" = 81, Body::ServiceRestored {
        failure_id: required(TEXT),
        attested_by: or(word(), |_| Attested::System),
    }
    "service.delivered" = 82, Body::ServiceDelivered {
        reference as "ref": required(TEXT),
        right_first_time: or(BOOL, |_| true),
        attested_by: or(word(), |_| Attested::System),
    }
    "contact.opened" = 83, Body::ContactOpened {
        contact_id: required(TEXT),
        issue: optional(TEXT),
        about_id: optional(TEXT),
    }
    "complaint.raised" = 85, Body::ComplaintRaised {
        complaint_id: required(TEXT),
        about_id: optional(TEXT),
    }
    "complaint.resolved" = 86, Body::ComplaintResolved {
        complaint_id: required(TEXT),
        outcome: required(word()),
        apology: or(BOOL, |_| false),
        redress: or(BOOL, |_| false),
        misled: or(BOOL, |_| false),
        attested_by: or(word(), |_| Attested::System),
    }
    "escalation.opened" = 87, Body::EscalationOpened {
        escalation_id: required(TEXT),
        body: required(word()),
    }
    "escalation.decided" = 88, Body::EscalationDecided {
        escalation_id: required(TEXT),
        upheld: required(BOOL),
        misled: or(BOOL, |_| false),
    }
    "savings.advised" = 89, Body::SavingsAdvised {
        advice_id: required(TEXT),
        subscription_id: required(TEXT),
        plan_id: required(TEXT),
        saving_monthly: required(MONEY),
    }
    "offer.declined" = 90, Body::OfferDeclined {
        subscription_id: required(TEXT),
        plan_id: required(TEXT),
        informed: or(BOOL, |_| false),
    }
    "offer.accepted" = 91, Body::OfferAccepted { advice_id: required(TEXT) }
    "disclosure.made" = 92, Body::DisclosureMade {
        disclosure_id: required(TEXT),
        before_customer_contact: required(BOOL),
    }
    "support.adjusted" = 93, Body::SupportAdjusted { adjustment_id: required(TEXT) }

    "survey.answered" = 100, Body::SurveyAnswered {
        survey_id: required(TEXT),
        score: required(number(-1e6, 1e6)),
        score_min: required(number(-1e6, 1e6)),
        score_max: required(number(-1e6, 1e6)),
    }
    "consent.changed" = 101, Body::ConsentChanged { scope: required(word()), granted: required(BOOL) }
    "marketing.sent" = 102, Body::MarketingSent { message_id: required(TEXT) }
    "vulnerability.marked" = 103, Body::VulnerabilityMarked { driver: required(word()) }
    "vulnerability.cleared" = 104, Body::VulnerabilityCleared {}

    "retraction.requested" = 110, Body::RetractionRequested { evidence_id: required(TEXT) }
    "suppression.requested" = 111, Body::SuppressionRequested {
        dedup_key: required(TEXT),
        reason: required(TEXT),
        actor: required(TEXT),
        until: required(later_within(365)),
    }
    "erasure.requested" = 112, Body::ErasureRequested {}

    "plan.published" = 120, ReferenceChange::PlanPublished { plan_id: required(TEXT), version: flat() }
    "plan.withdrawn" = 121, ReferenceChange::PlanWithdrawn {
        plan_id: required(TEXT),
        effective_from: or(TIME, |at| at),
    }
    "price.listed" = 122, ReferenceChange::PriceListed {
        sku: required(TEXT),
        price: required(MONEY),
        effective_from: or(TIME, |at| at),
    }

    "policy.published" = 123, ReferenceChange::PolicyPublished { policy: POLICY }

    boxed
    "invoice.issued" = 40, InvoiceIssued
    "subscription.started" = 60, SubscriptionStarted
    "renewal.offered" = 64, RenewalOffered
    "service.failed" = 80, ServiceFailed
    "contact.closed" = 84, ContactClosed
}

fields!(SubscriptionStarted = SubscriptionStarted {
    subscription_id: required(TEXT),
    plan_id: required(TEXT),
    price: required(MONEY),
    period: or(PERIOD, |_| Period::MONTH),
    customer_since: or(DATE, |at| at),
    term_end: optional(TIME),
    exit_fee: optional(MONEY),
    notice_period_ms as "notice_period": or(DURATION, |_| 0),
    trial_end: optional(TIME),
    signup_steps: or(int(0, 100), |_| 0),
    segment: optional(TEXT),
    negotiated: or(BOOL, |_| false),
    usage_expected: or(BOOL, |_| false),
});

fields!(
    ServiceFailed = ServiceFailed {
        failure_id: required(TEXT),
        severity: required(int(1, 4)),
        subscription_id: optional(TEXT),
        detected_by: or(word(), |_| DetectedBy::Firm),
        scope: or(word(), |_| Scope::Partial),
        scheme_credit: optional(MONEY),
        attested_by: or(word(), |_| Attested::System),
        cause: or(word(), |_| Cause::Firm),
    }
);

fields!(ContactClosed = ContactClosed {
    contact_id: required(TEXT),
    issue: optional(TEXT),
    resolved: required(BOOL),
    transfers: or(int(0, 1000), |_| 0),
    waited_ms as "waited": optional(DURATION),
    wait_stated_ms as "wait_stated": optional(DURATION),
    attested_by: or(word(), |_| Attested::System),
});

fields!(
    InvoiceLine = InvoiceLine {
        kind: required(word()),
        amount: required(SIGNED_MONEY),
        service_end: optional(DATE),
        cause: or(word(), |_| Party::Firm),
    }
);

fields!(
    Actor = Actor {
        kind: optional(TEXT),
        id: optional(TEXT),
        team: optional(TEXT),
        department: optional(TEXT),
    }
);

impl EventType {
    /// True for a change of the catalogue or the policy.
    pub(super) const fn is_reference(self) -> bool {
        matches!(
            self,
            Self::PlanPublished | Self::PlanWithdrawn | Self::PriceListed | Self::PolicyPublished
        )
    }

    /// True where `actor` is a text of the event's own, so that who acted cannot be said for roll-ups.
    pub(super) const fn has_own_actor(self) -> bool {
        matches!(self, Self::SuppressionRequested)
    }

    /// True for what happened to one customer, who must be named.
    pub(super) const fn is_about_customer(self) -> bool {
        !self.is_reference() && !matches!(self, Self::ClockTicked)
    }
}

/// The rules between the fields of one event.
fn check(said: SaidOwned) -> Result<SaidOwned, Fault> {
    match &said {
        Said::Body(Body::OrderPlaced { price_guarantee_until: Some(_), sku: None, .. }) => {
            Err(Fault::of("sku"))
        }
        Said::Body(Body::OrderPlaced { price_guarantee_until: Some(_), price: None, .. }) => {
            Err(Fault::of("price"))
        }
        Said::Body(Body::SurveyAnswered { score_min, score_max, .. }) if score_min >= score_max => {
            Err(Fault::of("score_max"))
        }
        Said::Body(Body::SurveyAnswered { score, score_min, score_max, .. })
            if score < score_min || score_max < score =>
        {
            Err(Fault::of("score"))
        }
        _ => Ok(said),
    }
}
