//! Stories for tests: what happened to one customer, a line an event, and what was said and recorded of it. Text goes in and
//! text comes out, so the tests of the rules do not depend on how the rules are written.
//!
//! A line is a date, a verb and its words; `name=value` states an option, a bare word past the first ones a yes. Of two dates
//! joined by `..` the line is repeated each month. An hour may follow the date (`2025-03-01T12:00`). Lines arrive in the order
//! written, timers fire in between as the engine fires them, and `tick` moves the clock alone. Whether a record is accepted, and
//! what of the score is published, is the engine's business, and not told here. The customer is `ada`; money is GBP unless a code
//! follows it; a squeeze is named by type, subscription and subject (`S01:sub:old`) instead of its key.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalogue::PlanVersion;
use super::customer::Customer;
use super::event::{
    Attested, Basis, Beneficiary, BilledSubscription, Body, Cause, ComplaintOutcome, ConsentScope,
    ContactClosed, DetectedBy, EscalationBody, FeeKind, Invoice, InvoiceLine, LineKind, NoticeKind,
    Party, PriceReason, RemedyKind, Renewal, RenewalMode, Scope, ServiceFailed,
    SubscriptionStarted, Verdict, VulnerabilityDriver,
};
use super::output::OutputBody;
use super::squeeze::{SqueezeAlert, SqueezeType, dedup_key};
use super::step::Step;
use super::{
    Attribute, Catalogue, Class, Currency, EventTime, Evidence, Micros, Money, Period, Policy,
    ReferenceChange, Text, parse_duration_ms,
};

/// A charge after cancellation: 12.00.
pub(in crate::model) const CHARGED: &str = "
    2025-01-01 start sub basic 30.00
    2025-03-10 cancel sub out
    2025-03-10T12:00 cancelled out
    2025-03-20 charge c1 12.00 sub=sub";

/// The one customer.
const CUSTOMER: &str = "ada";

/// What was said of squeezes, a line each: when, what changed, which, E_m, A, and how bad.
pub(super) fn squeezes(story: &str) -> String {
    Teller::default().tell(story).lines(|told| matches!(told, Told::Squeeze))
}

/// All that was said, a line each, in order.
pub(super) fn said(story: &str) -> String {
    Teller::default().tell(story).lines(|told| !matches!(told, Told::Evidence(_)))
}

/// The evidence recorded and taken back of the classes that begin with `class`, a line each: when, class, key, weight.
pub(super) fn evidence(story: &str, class: &str) -> String {
    let is_asked =
        |told: &Told| matches!(told, Told::Evidence(held) if held.as_str().starts_with(class));
    Teller::default().tell(story).lines(is_asked)
}

/// The customer as the story leaves them.
pub(super) fn customer_after(story: &str) -> Customer {
    Teller::default().tell(story).customer
}

/// The story with `line` where its date belongs.
pub(super) fn with(story: &str, line: &str) -> String {
    let date = |line: &str| line.trim_start().chars().take(10).collect::<String>();
    let mut lines: Vec<&str> = story.lines().collect();
    let place = lines.iter().position(|held| date(line) < date(held)).unwrap_or(lines.len());
    lines.insert(place, line);
    lines.join("\n")
}

/// The story with `to` for `from`.
pub(super) fn changed(story: &str, from: &str, to: &str) -> String {
    assert!(story.contains(from), "the story does not say `{from}`");
    story.replace(from, to)
}

/// What a line of output is about.
#[derive(Debug, Clone, Copy)]
enum Told {
    Squeeze,
    Other,
    Evidence(Class),
}

/// Lives a story through.
struct Teller {
    policy: Policy,
    catalogue: Catalogue,
    customer: Customer,
    told: Vec<(Told, String)>,
    /// Keys of squeezes, and what the story calls them.
    names: BTreeMap<Text, String>,
    events: usize,
}

impl Default for Teller {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            catalogue: Catalogue::default(),
            customer: Customer::new(CUSTOMER.into(), EventTime::default()),
            told: Vec::new(),
            names: BTreeMap::new(),
            events: 0,
        }
    }
}

impl Teller {
    fn tell(mut self, story: &str) -> Self {
        for text in story.lines().map(str::trim).filter(|text| !text.is_empty()) {
            let (when, rest) = text.split_once(' ').expect("a date and a verb");
            let (from, to) = when.split_once("..").unwrap_or((when, when));
            let (from, to) = (time(from), time(to));
            let months = (0..).map(|n| from.plus_months(n));
            for time in months.take_while(|time| *time <= to) {
                self.live(&Line { time, words: rest.split(' ').collect() });
            }
        }
        self
    }

    fn live(&mut self, line: &Line<'_>) {
        if let Some(change) = line.reference() {
            return self.catalogue.apply(&change);
        }
        let is_tick = line.words == ["tick"];
        self.fire_until(if is_tick { line.time } else { line.time.plus(-self.policy.grace_ms) });
        if is_tick {
            return;
        }
        if self.events == 0 {
            self.customer = Customer::new(CUSTOMER.into(), line.time);
        }
        self.events += 1;
        let (body, id) = (line.body(), format!("e{}", self.events));
        self.step(line.time, id.into(), line.says("induced"), |customer, step| {
            customer.apply(step, &body);
        });
    }

    fn fire_until(&mut self, watermark: EventTime) {
        while self.customer.timers.earliest().is_some_and(|due| due <= watermark) {
            let timer = self.customer.timers.pop().expect("the earliest timer");
            self.step(timer.deadline, Text::default(), false, |customer, step| {
                customer.fire(step, &timer);
            });
        }
    }

    fn step(
        &mut self,
        time: EventTime,
        event_id: Text,
        is_induced: bool,
        effect: impl FnOnce(&mut Customer, &mut Step<'_>),
    ) {
        let as_of = self.customer.as_of.max(time);
        self.customer.as_of = as_of;
        let mut step = Step::new(&self.policy, &self.catalogue, time, as_of, event_id);
        step.is_induced = is_induced;
        step.is_audited = true;
        effect(&mut self.customer, &mut step);
        let Step { said, recorded, retracted, .. } = step;
        for slot in &self.customer.squeezes {
            let of = slot.subscription.as_deref().unwrap_or("-");
            let name = format!("{}:{of}:{}", slot.kind.code(), slot.subject);
            self.names.insert(slot.key.clone(), self.readable(&name));
        }
        for (list, fate) in [(retracted, " taken back"), (recorded, "")] {
            for evidence in list {
                let line = self.readable(&format!("{}{fate}", written(&evidence)));
                self.told.push((Told::Evidence(evidence.class), line));
            }
        }
        for body in said {
            let kind =
                if matches!(body, OutputBody::Squeeze(_)) { Told::Squeeze } else { Told::Other };
            let line = format!("{} {}", as_of, spoken(&body));
            self.told.push((kind, self.readable(&line)));
        }
    }

    /// Squeezes by name, times as short as they can be told.
    fn readable(&self, text: &str) -> String {
        let named =
            self.names.iter().fold(text.to_owned(), |text, (key, name)| text.replace(&**key, name));
        named.replace("T00:00:00.000Z", "").replace(":00.000Z", "")
    }

    fn lines(&self, is_asked: impl Fn(&Told) -> bool) -> String {
        let lines = self.told.iter().filter(|(told, _)| is_asked(told));
        lines.map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// An evidence as a line: when, class, key, and weight with its sign.
pub(super) fn written(evidence: &Evidence) -> String {
    let Evidence { class, key, sign, weight, time } = evidence;
    format!("{time} {class} {key} {}{}", sign.as_str(), Micros::round(*weight))
}

fn amount(money: Money) -> String {
    let text = format!("{}.{:02}", money.minor / 100, money.minor % 100);
    if money.currency.as_str() == "GBP" { text } else { format!("{text} {}", money.currency) }
}

fn spoken(body: &OutputBody) -> String {
    match body {
        OutputBody::Squeeze(alert) => spoken_squeeze(alert),
        OutputBody::Breach(breach) => {
            let presumed = if breach.presumed { ", presumed" } else { "" };
            format!("breach {} {}{presumed}", breach.promise_id, breach.outcome)
        }
        OutputBody::SavingsIdentified {
            subscription_id, better_plan_id, saving_monthly, ..
        } => {
            format!("savings {subscription_id} {better_plan_id} {}", amount(*saving_monthly))
        }
        OutputBody::ReciprocityObserved { remedy_id, returned, .. } => {
            format!("{remedy_id} {}", if *returned { "returned" } else { "not returned" })
        }
        other => unreachable!("a rule does not say {other:?}"),
    }
}

fn spoken_squeeze(alert: &SqueezeAlert) -> String {
    let change = format!("{:?}", alert.change).to_lowercase();
    let (excess, accrued) = (amount(alert.excess_monthly), amount(alert.accrued));
    let reason = alert.reason.as_ref().map_or_else(String::new, |reason| format!(", {reason}"));
    format!(
        "{change} {}: {excess} a month, {accrued} accrued, {}{reason}",
        alert.dedup_key, alert.level
    )
}

/// A date, or a date and a time of day, UTC.
fn time(text: &str) -> EventTime {
    let rest = match text.len() {
        10 => "T00:00:00Z",
        16 => ":00Z",
        _ => "",
    };
    EventTime::parse(&format!("{text}{rest}")).unwrap_or_else(|| panic!("`{text}` is no time"))
}

/// `45.00`, or `45.00USD`.
fn money(text: &str) -> Money {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_uppercase());
    let code = text.strip_prefix(digits).filter(|code| !code.is_empty()).unwrap_or("GBP");
    let minor = digits.replace('.', "").parse().unwrap_or_else(|_| panic!("`{text}` is no money"));
    Money::new(minor, Currency::new(code).unwrap())
}

/// A line of a story.
struct Line<'a> {
    time: EventTime,
    words: Vec<&'a str>,
}

impl Line<'_> {
    /// The word at `place`; the verb is at 0.
    fn word(&self, place: usize) -> &str {
        self.words.get(place).unwrap_or_else(|| panic!("`{}` is too short", self.words.join(" ")))
    }

    fn text(&self, place: usize) -> Text {
        self.word(place).into()
    }

    fn says(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn text_of(&self, name: &str) -> Option<Text> {
        self.option(name).map(Into::into)
    }

    fn money_of(&self, name: &str) -> Option<Money> {
        self.option(name).map(money)
    }

    fn time_of(&self, name: &str) -> Option<EventTime> {
        self.option(name).map(time)
    }

    fn number_of<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        self.option(name).map_or(default, |text| {
            text.parse().unwrap_or_else(|_| panic!("`{text}` is no {name}"))
        })
    }

    fn duration_of(&self, name: &str) -> Option<i64> {
        self.option(name).map(|text| parse_duration_ms(text).unwrap())
    }

    /// What `about=` names; a squeeze by its name.
    fn about(&self) -> Option<Text> {
        self.option("about").map(squeeze_key)
    }

    fn by(&self) -> Attested {
        self.option("by").map_or(Attested::System, |word| Attested::from_word(word).unwrap())
    }

    fn cause(&self) -> Cause {
        self.option("cause").map_or(Cause::Firm, |word| Cause::from_word(word).unwrap())
    }

    fn party(&self, default: Party) -> Party {
        self.option("by").map_or(default, |word| Party::from_word(word).unwrap())
    }

    /// `plan`, `withdraw` and `list` change the catalogue.
    fn reference(&self) -> Option<ReferenceChange> {
        match self.word(0) {
            "plan" => Some(ReferenceChange::PlanPublished {
                plan_id: self.text(1),
                version: Arc::new(self.plan_version()),
            }),
            "withdraw" => Some(ReferenceChange::PlanWithdrawn {
                plan_id: self.text(1),
                effective_from: self.time,
            }),
            "list" => Some(ReferenceChange::PriceListed {
                sku: self.text(1),
                price: money(self.word(2)),
                effective_from: self.time,
            }),
            _ => None,
        }
    }

    /// `data=10` is the one attribute a plan has, `data=unlimited` the most of it.
    fn plan_version(&self) -> PlanVersion {
        let data = self.option("data").map(|text| match text {
            "unlimited" => Attribute::Max(None),
            text => Attribute::Max(Some(text.parse().unwrap())),
        });
        PlanVersion {
            price: money(self.word(2)),
            period: Period::MONTH,
            one_off: None,
            effective_from: self.time,
            on_sale_from: self.time_of("on-sale").unwrap_or(self.time),
            attributes: data.into_iter().map(|data| ("data".into(), data)).collect(),
            segments: self.option("segment").into_iter().map(Into::into).collect(),
            new_customers_only: self.says("new-customers-only"),
        }
    }

    fn body(&self) -> Body {
        self.promise_body()
            .or_else(|| self.money_body())
            .or_else(|| self.contract_body())
            .or_else(|| self.service_body())
            .or_else(|| self.voice_body())
            .unwrap_or_else(|| panic!("`{}` is no verb", self.word(0)))
    }

    fn voice_body(&self) -> Option<Body> {
        let id = || self.text(1);
        Some(match self.word(0) {
            "accept-quote" => Body::QuoteAccepted { quote_id: id() },
            "decline-quote" => Body::QuoteDeclined { quote_id: id() },
            "accept-offer" => Body::OfferAccepted { advice_id: id() },
            "autopay" if self.says("on") => Body::AutopayGranted,
            "autopay" => Body::AutopayWithdrawn,
            "survey" => Body::SurveyAnswered {
                survey_id: id(),
                score: self.number_of("score", 0.0),
                score_min: self.number_of("min", 0.0),
                score_max: self.number_of("max", 10.0),
            },
            "consent" => Body::ConsentChanged {
                scope: ConsentScope::from_word(self.word(1)).unwrap(),
                granted: self.says("on"),
            },
            "market" => Body::MarketingSent { message_id: id() },
            "decide" => Body::EscalationDecided {
                escalation_id: id(),
                upheld: self.says("upheld"),
                misled: self.says("misled"),
            },
            _ => return None,
        })
    }

    fn promise_body(&self) -> Option<Body> {
        let id = || self.text(1);
        Some(match self.word(0) {
            "promise" => Body::PromiseMade {
                promise_id: id(),
                kind: self.text_of("kind").unwrap_or_else(|| "general".into()),
                due_at: self.time_of("due").expect("due"),
                grace_ms: self.duration_of("grace").unwrap_or_default(),
                stake: self.money_of("stake"),
                basis: self
                    .option("basis")
                    .map_or(Basis::Explicit, |it| Basis::from_word(it).unwrap()),
                beneficiary: if self.says("internal") {
                    Beneficiary::Internal
                } else {
                    Beneficiary::Customer
                },
            },
            "kept" => Body::PromiseKept { promise_id: id(), attested_by: self.by() },
            "broken" => Body::PromiseBroken {
                promise_id: id(),
                attested_by: self.by(),
                cause: self.cause(),
            },
            "moved" => Body::PromiseRenegotiated {
                promise_id: id(),
                new_due_at: self.time_of("to").expect("to"),
                by: self.party(Party::Firm),
            },
            "withdrawn" => Body::PromiseWithdrawn { promise_id: id() },
            "verdict" => Body::PromiseVerdictGiven {
                promise_id: id(),
                verdict: Verdict::from_word(self.word(2)).unwrap(),
            },
            "order" => Body::OrderPlaced {
                order_id: id(),
                sku: self.text_of("sku"),
                price: self.money_of("price"),
                deliver_by: self.time_of("deliver"),
                price_guarantee_until: self.time_of("guaranteed"),
            },
            "fulfilled" => Body::OrderFulfilled {
                order_id: id(),
                complete: !self.says("partly"),
                attested_by: self.by(),
            },
            "refund-agreed" => Body::RefundAgreed {
                refund_id: id(),
                amount: money(self.word(2)),
                due_at: self.time_of("due"),
            },
            "refund-paid" => Body::RefundPaid {
                refund_id: id(),
                amount: money(self.word(2)),
                attested_by: self.by(),
            },
            _ => return None,
        })
    }

    fn money_body(&self) -> Option<Body> {
        let (id, amount) = (|| self.text(1), || money(self.word(2)));
        Some(match self.word(0) {
            "bill" => Body::InvoiceIssued(Box::new(self.invoice())),
            "charge" => Body::ChargePosted {
                charge_id: id(),
                amount: amount(),
                subscription_id: self.text_of("sub"),
                service_start: self.time_of("start"),
                quote_id: self.text_of("quote"),
                optional: self.says("optional"),
            },
            "fee" => Body::FeeCharged {
                fee_id: id(),
                kind: if self.says("admin") { FeeKind::Admin } else { FeeKind::Penalty },
                amount: amount(),
                cause_id: self.text_of("cause"),
                subscription_id: self.text_of("sub"),
            },
            "waive" => Body::FeeWaived { fee_id: id() },
            "dispute" => Body::PaymentDisputed { invoice_id: id() },
            "quote" => Body::QuoteGiven { quote_id: id(), total: amount() },
            "credit" => Body::CreditGranted {
                credit_id: id(),
                amount: amount(),
                paid_for: !self.says("gift"),
            },
            "use" => Body::CreditUsed { credit_id: id(), amount: amount() },
            "expire" => Body::CreditExpired { credit_id: id() },
            "remedy" => Body::RemedyIssued {
                remedy_id: id(),
                kind: self
                    .option("kind")
                    .map_or(RemedyKind::Refund, |it| RemedyKind::from_word(it).unwrap()),
                amount: amount(),
                about_id: self.about(),
                unprompted: self.says("unprompted"),
                failure_confirmed: self.says("confirmed"),
            },
            "purchase" => Body::PurchaseCompleted {
                order_id: id(),
                amount: None,
                voluntary: !self.says("involuntary"),
                first_in_category: self.says("first"),
            },
            _ => return None,
        })
    }

    /// A month from the day of the bill, unless `from`, `to` or `months` say otherwise; `line=usage:10.00:2024-01-01` adds a line.
    fn invoice(&self) -> Invoice {
        let total = money(self.word(2));
        let start = self.time_of("from").unwrap_or(self.time);
        let lines = self.words.iter().filter_map(|word| word.strip_prefix("line="));
        Invoice {
            invoice_id: self.text_of("id").unwrap_or_else(|| format!("bill/{}", self.time).into()),
            total,
            recurring_minor: self.money_of("recurring").unwrap_or(total).minor,
            subscription: Some(BilledSubscription {
                subscription_id: self.text(1),
                plan_id: self.text_of("plan"),
                period_start: start,
                period_end: self
                    .time_of("to")
                    .unwrap_or_else(|| start.plus_months(self.number_of("months", 1))),
            }),
            lines: lines.map(invoice_line).collect(),
        }
    }

    fn contract_body(&self) -> Option<Body> {
        let sub = || self.text(1);
        Some(match self.word(0) {
            "start" => Body::SubscriptionStarted(Box::new(self.subscription())),
            "change" => Body::PlanChanged {
                subscription_id: sub(),
                plan_id: self.text(2),
                price: money(self.word(3)),
                period: Period::MONTH,
                initiated_by: self.party(Party::Customer),
            },
            "terms" => Body::PlanTermsChanged {
                subscription_id: sub(),
                loss_share: self.word(2).parse().unwrap(),
                consent: self.says("consented"),
            },
            "price" => Body::PriceChanged {
                subscription_id: sub(),
                price: money(self.word(2)),
                reason: self
                    .option("reason")
                    .map_or(PriceReason::Firm, |it| PriceReason::from_word(it).unwrap()),
                in_schedule: self.says("scheduled"),
            },
            "offer" => Body::RenewalOffered(Box::new(self.renewal())),
            "renew" => Body::RenewalCompleted {
                renewal: Box::new(self.renewal()),
                mode: if self.says("active") { RenewalMode::Active } else { RenewalMode::Passive },
                term_end: self.time_of("term"),
            },
            "notice" => Body::NoticeSent {
                kind: NoticeKind::from_word(self.word(1)).unwrap(),
                subscription_id: self.text_of("sub"),
                about_id: self.about(),
                states_price: self.says("priced"),
            },
            "cancel" => Body::CancelRequested { subscription_id: sub(), request_id: self.text(2) },
            "step" => Body::CancelStepTaken {
                request_id: self.text(1),
                step: self.word(2).parse().unwrap(),
                save_offer: self.says("save-offer"),
            },
            "cancelled" => {
                Body::CancelCompleted { request_id: self.text(1), attested_by: self.by() }
            }
            "stay" => Body::CancelWithdrawn { request_id: self.text(1) },
            "usage" => Body::UsageReported {
                subscription_id: sub(),
                quantity: self.word(2).parse().unwrap(),
            },
            "close" => Body::AccountClosed { voluntary: !self.says("involuntary") },
            "advise" => Body::SavingsAdvised {
                advice_id: self.text(1),
                subscription_id: self.text(2),
                plan_id: self.text(3),
                saving_monthly: money(self.word(4)),
            },
            "decline" => Body::OfferDeclined {
                subscription_id: sub(),
                plan_id: self.text(2),
                informed: self.says("informed"),
            },
            _ => return None,
        })
    }

    fn subscription(&self) -> SubscriptionStarted {
        SubscriptionStarted {
            subscription_id: self.text(1),
            plan_id: self.text(2),
            price: money(self.word(3)),
            period: Period::MONTH,
            customer_since: self.time_of("since").unwrap_or(self.time),
            term_end: self.time_of("term"),
            exit_fee: self.money_of("exit-fee"),
            notice_period_ms: self.duration_of("notice").unwrap_or_default(),
            trial_end: self.time_of("trial"),
            signup_steps: self.number_of("steps", 0),
            segment: self.text_of("segment"),
            negotiated: self.says("negotiated"),
            usage_expected: self.says("usage-expected"),
        }
    }

    fn renewal(&self) -> Renewal {
        Renewal {
            subscription_id: self.text(1),
            renewal_id: self.text(2),
            price: money(self.word(3)),
            enbp_minor: self.money_of("enbp").map(|money| money.minor),
            term_months: self.number_of("months", 12),
        }
    }

    fn service_body(&self) -> Option<Body> {
        let id = || self.text(1);
        Some(match self.word(0) {
            "fail" => Body::ServiceFailed(Box::new(self.failure())),
            "restore" => Body::ServiceRestored { failure_id: id(), attested_by: self.by() },
            "contact" => Body::ContactOpened {
                contact_id: id(),
                issue: self.text_of("issue"),
                about_id: self.about(),
            },
            "closed" => Body::ContactClosed(Box::new(ContactClosed {
                contact_id: id(),
                issue: self.text_of("issue"),
                resolved: !self.says("unresolved"),
                transfers: self.number_of("transfers", 0),
                waited_ms: self.duration_of("waited"),
                wait_stated_ms: self.duration_of("stated"),
                attested_by: self.by(),
            })),
            "complain" => Body::ComplaintRaised { complaint_id: id(), about_id: self.about() },
            "resolve" => Body::ComplaintResolved {
                complaint_id: id(),
                outcome: ComplaintOutcome::from_word(self.word(2)).unwrap(),
                apology: self.says("apology"),
                redress: self.says("redress"),
                misled: self.says("misled"),
                attested_by: self.by(),
            },
            "escalate" => {
                Body::EscalationOpened { escalation_id: id(), body: EscalationBody::Ombudsman }
            }
            "vulnerable" => Body::VulnerabilityMarked { driver: VulnerabilityDriver::Health },
            "recovered" => Body::VulnerabilityCleared,
            "suppress" => Body::SuppressionRequested {
                dedup_key: squeeze_key(self.word(1)),
                reason: "known".into(),
                actor: "boss".into(),
                until: self.time_of("until").expect("until"),
            },
            _ => return None,
        })
    }

    fn failure(&self) -> ServiceFailed {
        ServiceFailed {
            failure_id: self.text(1),
            severity: self.number_of("severity", 2),
            subscription_id: self.text_of("sub"),
            detected_by: self
                .option("seen-by")
                .map_or(DetectedBy::Firm, |it| DetectedBy::from_word(it).unwrap()),
            scope: if self.says("total") { Scope::Total } else { Scope::Partial },
            scheme_credit: self.money_of("scheme"),
            attested_by: self.by(),
            cause: self.cause(),
        }
    }
}

/// Kind, amount and end of service, and whose fault, apart by colons.
fn invoice_line(text: &str) -> InvoiceLine {
    let parts: Vec<&str> = text.split(':').collect();
    InvoiceLine {
        kind: LineKind::from_word(parts[0]).unwrap(),
        amount: money(parts[1]),
        service_end: parts.get(2).map(|text| time(text)),
        cause: parts.get(3).map_or(Party::Firm, |word| Party::from_word(word).unwrap()),
    }
}

/// The key of the squeeze a story calls `S01:sub:old`; what names none is itself.
fn squeeze_key(name: &str) -> Text {
    let mut parts = name.splitn(3, ':');
    let (Some(code), Some(of), Some(subject)) = (parts.next(), parts.next(), parts.next()) else {
        return name.into();
    };
    let kind = SqueezeType::ALL.iter().find(|kind| kind.code() == code).expect("a type");
    let subject =
        EventTime::parse_date(subject).map_or_else(|| subject.to_owned(), |at| at.to_string());
    dedup_key(*kind, CUSTOMER, Some(of), &subject)
}
