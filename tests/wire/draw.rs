//! Draws events of every type from a list of numbers, so that a failing case shrinks by its numbers shrinking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use goodfaith::model::event::{
    Actor, Attested, Basis, Beneficiary, BilledSubscription, Body, Cause, ComplaintOutcome,
    ConsentScope, ContactClosed, DetectedBy, EscalationBody, FeeKind, Invoice, InvoiceLine,
    LineKind, NoticeKind, Party, PriceReason, RemedyKind, Renewal, RenewalMode, Scope,
    ServiceFailed, SubscriptionStarted, TraceContext, Verdict, VulnerabilityDriver,
};
use goodfaith::model::{
    Attribute, Currency, CustomerEvent, DAY_MS, Event, EventTime, Money, Period, PlanVersion,
    PolicyDocument, ReferenceChange, ReferenceEvent, Text,
};

/// Numbers to draw values from; 0 once they are used up.
pub(crate) struct Draw {
    numbers: std::vec::IntoIter<u64>,
    /// Now and then a value that breaks a rule of its field.
    is_careless: bool,
    /// When the event drawn happens.
    at: EventTime,
}

/// One event of every type, with the numbers of `numbers`; careless ones may break the contract.
pub(crate) fn events(numbers: Vec<u64>, is_careless: bool) -> Vec<Event> {
    let mut draw = Draw { numbers: numbers.into_iter(), is_careless, at: EventTime::default() };
    (0..).map_while(|kind| draw.event(kind)).collect()
}

impl Draw {
    fn event(&mut self, kind: usize) -> Option<Event> {
        // A suppression needs a year to lie in.
        self.at = EventTime::from_millis(self.up_to(EventTime::END.plus_days(-366).as_millis()));
        if let Some(body) = self.body(kind) {
            return Some(Event::Customer(Box::new(self.customer(body))));
        }
        match kind - BODIES {
            0 => Some(self.reference(|draw| ReferenceChange::PlanPublished {
                plan_id: draw.text(),
                version: Arc::new(draw.plan()),
            })),
            1 => Some(self.reference(|draw| ReferenceChange::PlanWithdrawn {
                plan_id: draw.text(),
                effective_from: draw.time(),
            })),
            2 => Some(self.reference(|draw| ReferenceChange::PriceListed {
                sku: draw.text(),
                price: draw.money(),
                effective_from: draw.time(),
            })),
            3 => Some(self.reference(|draw| ReferenceChange::PolicyPublished {
                policy: Arc::new(draw.policy()),
            })),
            4 => Some(Event::Tick(self.at)),
            _ => None,
        }
    }

    fn customer(&mut self, body: Body) -> CustomerEvent {
        let has_own_actor = matches!(body, Body::SuppressionRequested { .. });
        CustomerEvent {
            customer: self.text(),
            id: self.text(),
            source: self.text(),
            time: self.at,
            causation_id: self.maybe(Self::sound_text),
            trace: self.maybe(Self::trace).map(Arc::new),
            channel: self.maybe(Self::text),
            actor: self.maybe(Self::actor).filter(|_| !has_own_actor),
            body,
        }
    }

    fn reference(&mut self, change: impl FnOnce(&mut Self) -> ReferenceChange) -> Event {
        let (id, source) = (self.text(), self.text());
        Event::Reference(ReferenceEvent { id, source, time: self.at, change: change(self) })
    }

    fn policy(&mut self) -> PolicyDocument {
        let text = format!(
            r#"{{"version":"p{}","base_rate":{},"holidays":["2025-12-25"],"squeeze":{{"S01":2}}}}"#,
            self.up_to(99),
            (1 + self.up_to(97)) as f64 / 100.0
        );
        PolicyDocument::from_json(&text).unwrap()
    }

    fn next(&mut self) -> u64 {
        self.numbers.next().unwrap_or_default()
    }

    fn up_to(&mut self, max: i64) -> i64 {
        let end = u64::try_from(max).unwrap() + 1;
        i64::try_from(self.next() % end).unwrap()
    }

    fn errs(&mut self) -> bool {
        self.is_careless && self.next() % 16 == 15
    }

    fn bool(&mut self) -> bool {
        self.next() % 2 == 1
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = usize::try_from(self.next()).unwrap() % all.len();
        all[at]
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| draw(self))
    }

    fn sound_text(&mut self) -> Text {
        const CHARS: [char; 12] =
            ['a', 'Z', '0', '/', '"', '\\', '\n', '\0', '\u{2028}', 'é', '𝄞', '\u{10ffff}'];
        let length = 1 + self.up_to(127) % if self.bool() { 128 } else { 8 };
        let (first, step) = (self.up_to(11), self.up_to(11));
        (0..length)
            .map(|i| CHARS[usize::try_from((first + i * step) % 12).unwrap()])
            .collect::<String>()
            .into()
    }

    fn text(&mut self) -> Text {
        match self.errs() {
            true => if self.bool() { String::new() } else { "é".repeat(129) }.into(),
            false => self.sound_text(),
        }
    }

    fn money(&mut self) -> Money {
        let currency = Currency::new(self.one_of(&["GBP", "EUR", "ZZZ"])).unwrap();
        self.money_in(currency)
    }

    fn money_in(&mut self, currency: Currency) -> Money {
        let minor =
            if self.errs() { self.one_of(&[-1, 1 << 53]) } else { self.up_to((1 << 53) - 1) };
        Money::new(minor, currency)
    }

    fn time(&mut self) -> EventTime {
        match self.errs() {
            true => EventTime::from_millis(self.one_of(&[-1, EventTime::END.as_millis()])),
            false => EventTime::from_millis(self.up_to(EventTime::END.as_millis() - 1)),
        }
    }

    /// After the event's time, by at most `days`.
    fn later(&mut self, days: i64) -> EventTime {
        let room = EventTime::END.since(self.at).min(days * DAY_MS + 1) - 1;
        if self.errs() { self.at } else { self.at.plus(1 + self.up_to(room - 1)) }
    }

    fn date(&mut self) -> EventTime {
        EventTime::default().plus_days(self.up_to(EventTime::END.as_millis() / DAY_MS - 1))
    }

    fn duration(&mut self) -> i64 {
        if self.errs() { 3661 * DAY_MS } else { self.up_to(3660 * 86_400) * 1000 }
    }

    fn period(&mut self) -> Period {
        let smallest = if self.errs() { 0 } else { 1 };
        let n = smallest + u32::try_from(self.up_to(999_999_998)).unwrap();
        self.one_of(&[Period::Months, Period::Years, Period::Days])(n)
    }

    /// From `min` to `max`, or one beyond.
    fn int(&mut self, min: i64, max: i64) -> i64 {
        if self.errs() { max + 1 } else { min + self.up_to(max - min) }
    }

    fn number(&mut self, min: f64, max: f64) -> f64 {
        if self.errs() {
            return -1e7;
        }
        let any = f64::from_bits(self.next());
        if any.is_finite() && min <= any && any <= max {
            any
        } else {
            self.one_of(&[min, max, min.midpoint(max)])
        }
    }

    fn attested(&mut self) -> Attested {
        self.one_of(Attested::ALL)
    }

    fn trace(&mut self) -> TraceContext {
        let (trace, parent) = (self.up_to(i64::MAX - 1) + 1, self.up_to(i64::MAX - 1) + 1);
        let state = || "congo=t61,rojo=\"1\"".into();
        TraceContext {
            parent: format!("00-{trace:032x}-{parent:016x}-0{}", self.up_to(1)).into(),
            state: self.bool().then(state),
        }
    }

    fn actor(&mut self) -> Actor {
        Actor {
            kind: self.maybe(Self::text),
            id: self.maybe(Self::text),
            team: self.maybe(Self::text),
            department: self.maybe(Self::text),
        }
    }

    fn line(&mut self) -> InvoiceLine {
        let money = self.money();
        InvoiceLine {
            kind: self.one_of(LineKind::ALL),
            amount: Money { minor: money.minor * self.one_of(&[1, -1]), ..money },
            service_end: self.maybe(Self::date),
            cause: self.one_of(Party::ALL),
        }
    }

    fn billed(&mut self) -> BilledSubscription {
        let (start, end) = (self.date(), self.date());
        let is_apart = start != end && !self.errs();
        BilledSubscription {
            subscription_id: self.text(),
            plan_id: self.maybe(Self::text),
            period_start: if is_apart { start.min(end) } else { EventTime::default() },
            period_end: if is_apart { start.max(end) } else { EventTime::default().plus_days(1) },
        }
    }

    fn invoice(&mut self) -> Invoice {
        let total = self.money();
        Invoice {
            invoice_id: self.text(),
            total,
            recurring_minor: self.money_in(total.currency).minor,
            subscription: self.maybe(Self::billed),
            lines: (0..self.up_to(3)).map(|_| self.line()).collect(),
        }
    }

    fn renewal(&mut self) -> Renewal {
        let price = self.money();
        Renewal {
            subscription_id: self.text(),
            renewal_id: self.text(),
            price,
            enbp_minor: self.maybe(|draw| draw.money_in(price.currency).minor),
            term_months: u8::try_from(self.int(1, 60)).unwrap(),
        }
    }

    fn subscription(&mut self) -> SubscriptionStarted {
        SubscriptionStarted {
            subscription_id: self.text(),
            plan_id: self.text(),
            price: self.money(),
            period: self.period(),
            customer_since: if self.bool() { self.at } else { self.date() },
            term_end: self.maybe(Self::time),
            exit_fee: self.maybe(Self::money),
            notice_period_ms: self.duration(),
            trial_end: self.maybe(Self::time),
            signup_steps: u8::try_from(self.int(0, 100)).unwrap(),
            segment: self.maybe(Self::text),
            negotiated: self.bool(),
            usage_expected: self.bool(),
        }
    }

    fn attribute(&mut self) -> Attribute {
        match self.up_to(3) {
            0 => Attribute::Max(self.maybe(|draw| draw.number(0.0, f64::MAX))),
            1 => Attribute::Min(self.maybe(|draw| draw.number(0.0, f64::MAX))),
            2 => Attribute::Set(self.texts()),
            _ => Attribute::Ord(u16::try_from(self.int(0, 1000)).unwrap()),
        }
    }

    fn texts(&mut self) -> BTreeSet<Text> {
        (0..self.up_to(3)).map(|_| self.text()).collect()
    }

    fn attributes(&mut self) -> BTreeMap<Text, Attribute> {
        let count = self.one_of(&[0, 1, 2, 32]);
        (0..count).map(|_| (self.text(), self.attribute())).collect()
    }

    fn plan(&mut self) -> PlanVersion {
        let effective_from = if self.bool() { self.at } else { self.time() };
        PlanVersion {
            price: self.money(),
            period: self.period(),
            one_off: self.maybe(Self::money),
            effective_from,
            on_sale_from: if self.bool() { effective_from } else { self.time() },
            attributes: self.attributes(),
            segments: self.texts(),
            new_customers_only: self.bool(),
        }
    }

    fn order(&mut self) -> Body {
        let price_guarantee_until = self.maybe(|draw| draw.later(100_000));
        let is_needed = price_guarantee_until.is_some() && !self.errs();
        Body::OrderPlaced {
            order_id: self.text(),
            sku: if is_needed { Some(self.text()) } else { self.maybe(Self::text) },
            price: if is_needed { Some(self.money()) } else { self.maybe(Self::money) },
            deliver_by: self.maybe(|draw| draw.later(100_000)),
            price_guarantee_until,
        }
    }

    fn survey(&mut self) -> Body {
        let mut scores = [self.number(-1e6, 1e6), self.number(-1e6, 1e6), self.number(-1e6, 1e6)];
        if !self.is_careless {
            scores.sort_by(f64::total_cmp);
            if scores[0] >= scores[2] {
                scores = [-1e6, 0.5, 1e6];
            }
        }
        let [score_min, score, score_max] = scores;
        Body::SurveyAnswered { survey_id: self.text(), score, score_min, score_max }
    }

    fn body(&mut self, kind: usize) -> Option<Body> {
        let draw = BODY.get(kind)?;
        Some(draw(self))
    }
}

/// How many event types are about a customer.
const BODIES: usize = BODY.len();

/// One a type about a customer, in the order of the contract.
const BODY: [fn(&mut Draw) -> Body; 61] = [
    |d| Body::PromiseMade {
        promise_id: d.text(),
        kind: d.text(),
        due_at: d.later(100_000),
        grace_ms: d.duration(),
        stake: d.maybe(Draw::money),
        basis: d.one_of(Basis::ALL),
        beneficiary: d.one_of(Beneficiary::ALL),
    },
    |d| Body::PromiseKept { promise_id: d.text(), attested_by: d.attested() },
    |d| Body::PromiseBroken {
        promise_id: d.text(),
        attested_by: d.attested(),
        cause: d.one_of(Cause::ALL),
    },
    |d| Body::PromiseRenegotiated {
        promise_id: d.text(),
        new_due_at: d.later(100_000),
        by: d.one_of(Party::ALL),
    },
    |d| Body::PromiseWithdrawn { promise_id: d.text() },
    |d| Body::PromiseVerdictGiven { promise_id: d.text(), verdict: d.one_of(Verdict::ALL) },
    Draw::order,
    |d| Body::OrderFulfilled { order_id: d.text(), complete: d.bool(), attested_by: d.attested() },
    |d| Body::QuoteGiven { quote_id: d.text(), total: d.money() },
    |d| Body::QuoteAccepted { quote_id: d.text() },
    |d| Body::QuoteDeclined { quote_id: d.text() },
    |d| Body::PurchaseCompleted {
        order_id: d.text(),
        amount: d.maybe(Draw::money),
        voluntary: d.bool(),
        first_in_category: d.bool(),
    },
    |d| Body::InvoiceIssued(Box::new(d.invoice())),
    |d| Body::ChargePosted {
        charge_id: d.text(),
        amount: d.money(),
        subscription_id: d.maybe(Draw::text),
        service_start: d.maybe(Draw::date),
        quote_id: d.maybe(Draw::text),
        optional: d.bool(),
    },
    |d| Body::FeeCharged {
        fee_id: d.text(),
        kind: d.one_of(FeeKind::ALL),
        amount: d.money(),
        cause_id: d.maybe(Draw::text),
        subscription_id: d.maybe(Draw::text),
    },
    |d| Body::FeeWaived { fee_id: d.text() },
    |d| Body::PaymentDisputed { invoice_id: d.text() },
    |_| Body::AutopayGranted,
    |_| Body::AutopayWithdrawn,
    |d| Body::BillingErrorConfirmed {
        error_id: d.text(),
        amount: d.maybe(Draw::money),
        attested_by: d.attested(),
        cause: d.one_of(Cause::ALL),
    },
    |d| Body::CreditGranted { credit_id: d.text(), amount: d.money(), paid_for: d.bool() },
    |d| Body::CreditUsed { credit_id: d.text(), amount: d.money() },
    |d| Body::CreditExpired { credit_id: d.text() },
    |d| Body::RefundAgreed {
        refund_id: d.text(),
        amount: d.money(),
        due_at: d.maybe(|d| d.later(100_000)),
    },
    |d| Body::RefundPaid { refund_id: d.text(), amount: d.money(), attested_by: d.attested() },
    |d| Body::RemedyIssued {
        remedy_id: d.text(),
        kind: d.one_of(RemedyKind::ALL),
        amount: d.money(),
        about_id: d.maybe(Draw::text),
        unprompted: d.bool(),
        failure_confirmed: d.bool(),
    },
    |d| Body::SubscriptionStarted(Box::new(d.subscription())),
    |d| Body::PlanChanged {
        subscription_id: d.text(),
        plan_id: d.text(),
        price: d.money(),
        period: d.period(),
        initiated_by: d.one_of(Party::ALL),
    },
    |d| Body::PlanTermsChanged {
        subscription_id: d.text(),
        loss_share: d.number(0.0, 1.0),
        consent: d.bool(),
    },
    |d| Body::PriceChanged {
        subscription_id: d.text(),
        price: d.money(),
        reason: d.one_of(PriceReason::ALL),
        in_schedule: d.bool(),
    },
    |d| Body::RenewalOffered(Box::new(d.renewal())),
    |d| Body::RenewalCompleted {
        renewal: Box::new(d.renewal()),
        mode: d.one_of(RenewalMode::ALL),
        term_end: d.maybe(Draw::time),
    },
    |d| Body::NoticeSent {
        kind: d.one_of(NoticeKind::ALL),
        subscription_id: d.maybe(Draw::text),
        about_id: d.maybe(Draw::text),
        states_price: d.bool(),
    },
    |d| Body::CancelRequested { request_id: d.text(), subscription_id: d.text() },
    |d| Body::CancelStepTaken {
        request_id: d.text(),
        step: u16::try_from(d.int(1, 1000)).unwrap(),
        save_offer: d.bool(),
    },
    |d| Body::CancelCompleted { request_id: d.text(), attested_by: d.attested() },
    |d| Body::CancelWithdrawn { request_id: d.text() },
    |d| Body::UsageReported { subscription_id: d.text(), quantity: d.number(0.0, f64::MAX) },
    |d| Body::AccountClosed { voluntary: d.bool() },
    |d| {
        Body::ServiceFailed(Box::new(ServiceFailed {
            failure_id: d.text(),
            severity: u8::try_from(d.int(1, 4)).unwrap(),
            subscription_id: d.maybe(Draw::text),
            detected_by: d.one_of(DetectedBy::ALL),
            scope: d.one_of(Scope::ALL),
            scheme_credit: d.maybe(Draw::money),
            attested_by: d.attested(),
            cause: d.one_of(Cause::ALL),
        }))
    },
    |d| Body::ServiceRestored { failure_id: d.text(), attested_by: d.attested() },
    |d| Body::ServiceDelivered {
        reference: d.text(),
        right_first_time: d.bool(),
        attested_by: d.attested(),
    },
    |d| Body::ContactOpened {
        contact_id: d.text(),
        issue: d.maybe(Draw::text),
        about_id: d.maybe(Draw::text),
    },
    |d| {
        Body::ContactClosed(Box::new(ContactClosed {
            contact_id: d.text(),
            issue: d.maybe(Draw::text),
            resolved: d.bool(),
            transfers: u16::try_from(d.int(0, 1000)).unwrap(),
            waited_ms: d.maybe(Draw::duration),
            wait_stated_ms: d.maybe(Draw::duration),
            attested_by: d.attested(),
        }))
    },
    |d| Body::ComplaintRaised { complaint_id: d.text(), about_id: d.maybe(Draw::text) },
    |d| Body::ComplaintResolved {
        complaint_id: d.text(),
        outcome: d.one_of(ComplaintOutcome::ALL),
        apology: d.bool(),
        redress: d.bool(),
        misled: d.bool(),
        attested_by: d.attested(),
    },
    |d| Body::EscalationOpened { escalation_id: d.text(), body: d.one_of(EscalationBody::ALL) },
    |d| Body::EscalationDecided { escalation_id: d.text(), upheld: d.bool(), misled: d.bool() },
    |d| Body::SavingsAdvised {
        advice_id: d.text(),
        subscription_id: d.text(),
        plan_id: d.text(),
        saving_monthly: d.money(),
    },
    |d| Body::OfferDeclined { subscription_id: d.text(), plan_id: d.text(), informed: d.bool() },
    |d| Body::OfferAccepted { advice_id: d.text() },
    |d| Body::DisclosureMade { disclosure_id: d.text(), before_customer_contact: d.bool() },
    |d| Body::SupportAdjusted { adjustment_id: d.text() },
    Draw::survey,
    |d| Body::ConsentChanged { scope: d.one_of(ConsentScope::ALL), granted: d.bool() },
    |d| Body::MarketingSent { message_id: d.text() },
    |d| Body::VulnerabilityMarked { driver: d.one_of(VulnerabilityDriver::ALL) },
    |_| Body::VulnerabilityCleared,
    |d| Body::RetractionRequested { evidence_id: d.text() },
    |d| Body::SuppressionRequested {
        dedup_key: d.text(),
        reason: d.text(),
        actor: d.text(),
        until: d.later(365),
    },
    |_| Body::ErasureRequested,
];
