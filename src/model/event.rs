//! What a record says once decoded and checked: the input vocabulary of the model.
//!
//! Holding an [`Event`] means every rule of the contract on its own fields has been checked; nothing here checks again. How the
//! bytes looked is the business of `wire`, what follows from an event that of `engine`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{EventTime, Money, Period, PlanVersion, PolicyDocument, Text};

/// One decoded record.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something that happened to one customer.
    Customer(Box<CustomerEvent>),
    /// A change of the catalogue or of the policy, visible to every record after it.
    Reference(ReferenceEvent),
    /// `clock.ticked`: advances the watermark to this time.
    Tick(EventTime),
}

/// Something that happened to one customer, with its envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerEvent {
    /// The customer: the record's key.
    pub customer: Text,
    /// Identifies the event together with `source`.
    pub id: Text,
    /// The system that reports it.
    pub source: Text,
    /// When it happened, by its producer.
    pub time: EventTime,
    /// The id of the output of ours this event reacts to.
    pub causation_id: Option<Text>,
    /// The trace it belongs to: copied to what it causes, and read by no rule.
    pub trace: Option<Arc<TraceContext>>,
    /// Where it happened (phone, shop, web); for roll-ups.
    pub channel: Option<Text>,
    /// Who acted; for roll-ups.
    pub actor: Option<Actor>,
    /// What happened.
    pub body: Body,
}

/// Where an event stands in a distributed trace. Source: W3C Trace Context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// `traceparent`: version, trace, parent and flags.
    pub parent: Text,
    /// `tracestate`: what the systems it passed through add; 1 to 512 characters.
    pub state: Option<Text>,
}

/// Who acted, for roll-ups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actor {
    /// For instance `agent`, `partner` or `supplier`.
    pub kind: Option<Text>,
    /// The actor's own id.
    pub id: Option<Text>,
    /// Its team.
    pub team: Option<Text>,
    /// Its department.
    pub department: Option<Text>,
}

/// A change of the catalogue or of the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceEvent {
    /// Identifies the event together with `source`.
    pub id: Text,
    /// The system that reports it.
    pub source: Text,
    /// When it was published.
    pub time: EventTime,
    /// What changed.
    pub change: ReferenceChange,
}

/// What a reference event changes.
#[derive(Debug, Clone, PartialEq)]
pub enum ReferenceChange {
    /// `plan.published`: a new version of a plan.
    PlanPublished {
        /// The plan.
        plan_id: Text,
        /// The version.
        version: Arc<PlanVersion>,
    },
    /// `plan.withdrawn`: the plan is not on sale from then on.
    PlanWithdrawn {
        /// The plan.
        plan_id: Text,
        /// From when.
        effective_from: EventTime,
    },
    /// `price.listed`: the list price of an article.
    PriceListed {
        /// The article.
        sku: Text,
        /// Its price.
        price: Money,
        /// From when.
        effective_from: EventTime,
    },
    /// `policy.published`: the parameters to score with from its activation on.
    PolicyPublished {
        /// The policy, as stated.
        policy: Arc<PolicyDocument>,
    },
}

/// Declares an enum whose variants have fixed names on the wire, in one place.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value a word on the wire stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}
pub(crate) use words;

words! {
    /// Who says so: the reliability of a source (η).
    Attested { /// A system of record.
        System = "system", /// The customer.
        Customer = "customer", /// A person of the firm about their own work.
        Agent = "agent" }
}
words! {
    /// Whose doing (α).
    Cause { /// The firm's.
        Firm = "firm", /// A supplier of the firm's.
        Supplier = "supplier", /// Nobody's.
        ForceMajeure = "force_majeure", /// The customer's own.
        Customer = "customer" }
}
words! {
    /// How strong a promise is.
    Basis { /// A guarantee, SLA or statute.
        Guarantee = "guarantee", /// Said to this customer.
        Explicit = "explicit", /// Said to everybody.
        Published = "published", /// Never said, but expected.
        Implied = "implied" }
}
words! {
    /// Whom a promise was made to.
    Beneficiary { /// The customer.
        Customer = "customer", /// The firm itself: for roll-ups only.
        Internal = "internal" }
}
words! {
    /// Which side acted.
    Party { /// The customer.
        Customer = "customer", /// The firm.
        Firm = "firm" }
}
words! {
    /// The customer's word on a promise.
    Verdict { /// It was kept.
        Kept = "kept", /// It was late.
        Late = "late", /// It was broken.
        Broken = "broken" }
}
words! {
    /// What an invoice line charges for.
    LineKind { /// The subscription itself.
        Recurring = "recurring", /// Use.
        Usage = "usage", /// A fee.
        Fee = "fee", /// Money back.
        Credit = "credit", /// A single purchase.
        OneOff = "one_off" }
}
words! {
    /// What a fee is for.
    FeeKind { /// A penalty.
        Penalty = "penalty", /// Administration.
        Admin = "admin" }
}
words! {
    /// How money or goodwill came back.
    RemedyKind { /// Money.
        Refund = "refund", /// Money off later.
        Credit = "credit", /// A gift.
        Goodwill = "goodwill" }
}
words! {
    /// Why a price changed.
    PriceReason { /// The firm's own choice.
        Firm = "firm", /// Tax.
        Tax = "tax", /// A regulator.
        Regulated = "regulated" }
}
words! {
    /// How a term was renewed.
    RenewalMode { /// The customer chose.
        Active = "active", /// Nobody objected.
        Passive = "passive" }
}
words! {
    /// What a notice tells.
    NoticeKind { /// A term ends.
        EndOfTerm = "end_of_term", /// A term will renew.
        Renewal = "renewal", /// A price will change.
        PriceChange = "price_change", /// A reminder, for instance of a trial's end.
        Reminder = "reminder", /// Use is running high.
        UsageAlert = "usage_alert", /// A subscription lies unused.
        Dormancy = "dormancy", /// A credit will expire.
        CreditExpiry = "credit_expiry", /// Service is down.
        Outage = "outage", /// Something will be late.
        Delay = "delay", /// Anything else.
        Other = "other" }
}
words! {
    /// Who noticed a failure first.
    DetectedBy { /// The firm.
        Firm = "firm", /// The customer.
        Customer = "customer" }
}
words! {
    /// How much of the service failed.
    Scope { /// All of it.
        Total = "total", /// Some of it.
        Partial = "partial" }
}
words! {
    /// How a complaint ended.
    ComplaintOutcome { /// In the customer's favour.
        Upheld = "upheld", /// In the firm's favour.
        Rejected = "rejected", /// The customer took it back.
        Withdrawn = "withdrawn" }
}
words! {
    /// Whom a customer went to.
    EscalationBody { /// An ombudsman.
        Ombudsman = "ombudsman", /// A regulator.
        Regulator = "regulator", /// A court.
        Court = "court" }
}
words! {
    /// What a consent is for.
    ConsentScope { /// Use of data.
        Data = "data", /// Marketing.
        Marketing = "marketing" }
}
words! {
    /// Why a customer is vulnerable: the driver only, never a detail.
    VulnerabilityDriver { /// Health.
        Health = "health", /// Something that happened in life.
        LifeEvent = "life_event", /// Little to fall back on.
        Resilience = "resilience", /// Little knowledge or confidence.
        Capability = "capability" }
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceLine {
    /// What it charges for.
    pub kind: LineKind,
    /// How much, in minor units of the invoice line's currency; may be negative.
    pub amount: Money,
    /// When the service charged for ended.
    pub service_end: Option<EventTime>,
    /// Who caused a late bill; only firm or customer.
    pub cause: Party,
}

/// `invoice.issued`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Natural key.
    pub invoice_id: Text,
    /// All that is asked.
    pub total: Money,
    /// What the subscription itself costs, in minor units of `total`'s currency.
    pub recurring_minor: i64,
    /// The subscription and the period billed, if it is for one.
    pub subscription: Option<BilledSubscription>,
    /// At most 200, in the order given.
    pub lines: Vec<InvoiceLine>,
}

/// What an invoice says of the subscription it bills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledSubscription {
    /// The subscription.
    pub subscription_id: Text,
    /// The plan billed; the record's where absent.
    pub plan_id: Option<Text>,
    /// First day of the period, midnight UTC.
    pub period_start: EventTime,
    /// The day after the last, midnight UTC; after `period_start`.
    pub period_end: EventTime,
}

/// `subscription.started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionStarted {
    /// The subscription.
    pub subscription_id: Text,
    /// Its plan.
    pub plan_id: Text,
    /// What a `period` costs.
    pub price: Money,
    /// How long the price buys.
    pub period: Period,
    /// Since when the person is a customer.
    pub customer_since: EventTime,
    /// End of the minimum term.
    pub term_end: Option<EventTime>,
    /// What leaving early costs.
    pub exit_fee: Option<Money>,
    /// Notice to give, in milliseconds.
    pub notice_period_ms: i64,
    /// End of the trial.
    pub trial_end: Option<EventTime>,
    /// Steps it took to sign up, 0 to 100.
    pub signup_steps: u8,
    /// The market segment.
    pub segment: Option<Text>,
    /// The price was negotiated.
    pub negotiated: bool,
    /// Use is expected: without any, it is dormant.
    pub usage_expected: bool,
}

/// `renewal.offered` and `renewal.completed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The subscription.
    pub subscription_id: Text,
    /// Natural key.
    pub renewal_id: Text,
    /// Price of the whole term.
    pub price: Money,
    /// Equivalent new-business price, in minor units of `price`'s currency.
    pub enbp_minor: Option<i64>,
    /// Length of the term in months, 1 to 60.
    pub term_months: u8,
}

/// `service.failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceFailed {
    /// Natural key.
    pub failure_id: Text,
    /// 1 (slight) to 4 (grave).
    pub severity: u8,
    /// The subscription that failed.
    pub subscription_id: Option<Text>,
    /// Who noticed first.
    pub detected_by: DetectedBy,
    /// How much of it failed.
    pub scope: Scope,
    /// What a compensation scheme owes for it.
    pub scheme_credit: Option<Money>,
    /// Who says so.
    pub attested_by: Attested,
    /// Whose doing.
    pub cause: Cause,
}

/// `contact.closed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactClosed {
    /// Natural key.
    pub contact_id: Text,
    /// What it was about, in the firm's own words.
    pub issue: Option<Text>,
    /// It was resolved.
    pub resolved: bool,
    /// How often the customer was passed on, 0 to 1000.
    pub transfers: u16,
    /// How long the customer waited, in milliseconds.
    pub waited_ms: Option<i64>,
    /// How long the customer was told to wait, in milliseconds.
    pub wait_stated_ms: Option<i64>,
    /// Who says so.
    pub attested_by: Attested,
}

/// What happened to a customer: one variant an event type, named as on the wire, `_` for `.`.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "fields are named as in the event contract, where each is described"
)]
pub enum Body {
    PromiseMade {
        promise_id: Text,
        kind: Text,
        due_at: EventTime,
        grace_ms: i64,
        stake: Option<Money>,
        basis: Basis,
        beneficiary: Beneficiary,
    },
    PromiseKept {
        promise_id: Text,
        attested_by: Attested,
    },
    PromiseBroken {
        promise_id: Text,
        attested_by: Attested,
        cause: Cause,
    },
    PromiseRenegotiated {
        promise_id: Text,
        new_due_at: EventTime,
        by: Party,
    },
    PromiseWithdrawn {
        promise_id: Text,
    },
    PromiseVerdictGiven {
        promise_id: Text,
        verdict: Verdict,
    },

    OrderPlaced {
        order_id: Text,
        sku: Option<Text>,
        price: Option<Money>,
        deliver_by: Option<EventTime>,
        price_guarantee_until: Option<EventTime>,
    },
    OrderFulfilled {
        order_id: Text,
        complete: bool,
        attested_by: Attested,
    },
    QuoteGiven {
        quote_id: Text,
        total: Money,
    },
    QuoteAccepted {
        quote_id: Text,
    },
    QuoteDeclined {
        quote_id: Text,
    },
    PurchaseCompleted {
        order_id: Text,
        amount: Option<Money>,
        voluntary: bool,
        first_in_category: bool,
    },

    InvoiceIssued(Box<Invoice>),
    ChargePosted {
        charge_id: Text,
        amount: Money,
        subscription_id: Option<Text>,
        service_start: Option<EventTime>,
        quote_id: Option<Text>,
        optional: bool,
    },
    FeeCharged {
        fee_id: Text,
        kind: FeeKind,
        amount: Money,
        cause_id: Option<Text>,
        subscription_id: Option<Text>,
    },
    FeeWaived {
        fee_id: Text,
    },
    PaymentDisputed {
        invoice_id: Text,
    },
    AutopayGranted,
    AutopayWithdrawn,
    BillingErrorConfirmed {
        error_id: Text,
        amount: Option<Money>,
        attested_by: Attested,
        cause: Cause,
    },
    CreditGranted {
        credit_id: Text,
        amount: Money,
        paid_for: bool,
    },
    CreditUsed {
        credit_id: Text,
        amount: Money,
    },
    CreditExpired {
        credit_id: Text,
    },
    RefundAgreed {
        refund_id: Text,
        amount: Money,
        due_at: Option<EventTime>,
    },
    RefundPaid {
        refund_id: Text,
        amount: Money,
        attested_by: Attested,
    },
    RemedyIssued {
        remedy_id: Text,
        kind: RemedyKind,
        amount: Money,
        about_id: Option<Text>,
        unprompted: bool,
        failure_confirmed: bool,
    },

    SubscriptionStarted(Box<SubscriptionStarted>),
    PlanChanged {
        subscription_id: Text,
        plan_id: Text,
        price: Money,
        period: Period,
        initiated_by: Party,
    },
    PlanTermsChanged {
        subscription_id: Text,
        loss_share: f64,
        consent: bool,
    },
    PriceChanged {
        subscription_id: Text,
        price: Money,
        reason: PriceReason,
        in_schedule: bool,
    },
    RenewalOffered(Box<Renewal>),
    RenewalCompleted {
        renewal: Box<Renewal>,
        mode: RenewalMode,
        term_end: Option<EventTime>,
    },
    NoticeSent {
        kind: NoticeKind,
        subscription_id: Option<Text>,
        about_id: Option<Text>,
        states_price: bool,
    },
    CancelRequested {
        request_id: Text,
        subscription_id: Text,
    },
    CancelStepTaken {
        request_id: Text,
        step: u16,
        save_offer: bool,
    },
    CancelCompleted {
        request_id: Text,
        attested_by: Attested,
    },
    CancelWithdrawn {
        request_id: Text,
    },
    UsageReported {
        subscription_id: Text,
        quantity: f64,
    },
    AccountClosed {
        voluntary: bool,
    },

    ServiceFailed(Box<ServiceFailed>),
    ServiceRestored {
        failure_id: Text,
        attested_by: Attested,
    },
    ServiceDelivered {
        reference: Text,
        right_first_time: bool,
        attested_by: Attested,
    },
    ContactOpened {
        contact_id: Text,
        issue: Option<Text>,
        about_id: Option<Text>,
    },
    ContactClosed(Box<ContactClosed>),
    ComplaintRaised {
        complaint_id: Text,
        about_id: Option<Text>,
    },
    ComplaintResolved {
        complaint_id: Text,
        outcome: ComplaintOutcome,
        apology: bool,
        redress: bool,
        misled: bool,
        attested_by: Attested,
    },
    EscalationOpened {
        escalation_id: Text,
        body: EscalationBody,
    },
    EscalationDecided {
        escalation_id: Text,
        upheld: bool,
        misled: bool,
    },
    SavingsAdvised {
        advice_id: Text,
        subscription_id: Text,
        plan_id: Text,
        saving_monthly: Money,
    },
    OfferDeclined {
        subscription_id: Text,
        plan_id: Text,
        informed: bool,
    },
    OfferAccepted {
        advice_id: Text,
    },
    DisclosureMade {
        disclosure_id: Text,
        before_customer_contact: bool,
    },
    SupportAdjusted {
        adjustment_id: Text,
    },

    SurveyAnswered {
        survey_id: Text,
        score: f64,
        score_min: f64,
        score_max: f64,
    },
    ConsentChanged {
        scope: ConsentScope,
        granted: bool,
    },
    MarketingSent {
        message_id: Text,
    },
    VulnerabilityMarked {
        driver: VulnerabilityDriver,
    },
    VulnerabilityCleared,

    RetractionRequested {
        evidence_id: Text,
    },
    SuppressionRequested {
        dedup_key: Text,
        reason: Text,
        actor: Text,
        until: EventTime,
    },
    ErasureRequested,
}
