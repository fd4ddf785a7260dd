//! One customer's history in the making: what is told, what is billed, and what was planted by that.
//!
//! Stories change the line's bills before they are told; whatever would happen after the end is left out, planted or not.

use super::super::agenda::{Agenda, Item, Telling};
use super::super::dice::Dice;
use super::super::offers::pounds;
use super::super::scene::{Customer, HOUR_MS, LINE, Scene, midnight};
use super::market::SOLO;
use super::planted::{Decoy, Planted, PlantedSqueeze};
use crate::model::event::{
    BilledSubscription, Body, Invoice, InvoiceLine, LineKind, NoticeKind, Party, RemedyKind,
    SubscriptionStarted,
};
use crate::model::squeeze::{SqueezeType, dedup_key};
use crate::model::{CustomerEvent, DAY_MS, EventTime, Period, Text};

/// Days before the line's end within which no other story begins: none is cut short by it.
const LONGEST_STORY_DAYS: i64 = 110;

/// A customer's one subscription, as it starts.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) plan: &'static str,
    pub(super) monthly: i64,
    pub(super) started: EventTime,
    pub(super) customer_since: EventTime,
    pub(super) term_end: Option<EventTime>,
    pub(super) trial_end: Option<EventTime>,
    pub(super) notice_days: i64,
    pub(super) signup_steps: u8,
    pub(super) segment: Option<&'static str>,
    pub(super) is_negotiated: bool,
    pub(super) is_usage_expected: bool,
    /// Months a bill covers.
    pub(super) months: i32,
    /// First day billed within the span.
    pub(super) billed_from: EventTime,
}

/// A bill of the line, until it is told.
#[derive(Debug, Clone)]
pub(super) struct Bill {
    pub(super) at: EventTime,
    pub(super) period_start: EventTime,
    pub(super) period_end: EventTime,
    pub(super) months: i32,
    pub(super) recurring: i64,
    /// Use, or what else stands on it besides the subscription.
    pub(super) extra: Option<InvoiceLine>,
}

impl Bill {
    pub(super) fn id(&self) -> Text {
        format!("inv-{}", self.period_start.date()).into()
    }
}

/// An event in the making.
#[derive(Debug)]
struct Told {
    at: EventTime,
    id: Text,
    telling: Telling,
}

/// See the module.
#[derive(Debug)]
pub(super) struct History {
    pub(super) dice: Dice,
    pub(super) from: EventTime,
    pub(super) until: EventTime,
    pub(super) bills: Vec<Bill>,
    pub(super) planted: Vec<Planted>,
    /// While nothing ends the line: other stories keep to it.
    pub(super) active: (EventTime, EventTime),
    customer: Customer,
    told: Vec<Told>,
}

impl History {
    pub(super) fn new(customer: Customer, dice: Dice, from: EventTime, until: EventTime) -> Self {
        Self {
            dice,
            from,
            until,
            bills: Vec::new(),
            planted: Vec::new(),
            active: (from, until),
            customer,
            told: Vec::new(),
        }
    }

    // Chance.

    /// A midnight from `lo` to `hi`, of a day that every month has.
    pub(super) fn day(&mut self, lo: EventTime, hi: EventTime) -> EventTime {
        let day = midnight(lo.plus(self.dice.within(0, hi.since(lo).max(0))));
        if day.date().day() <= 28 { day } else { day.plus_days(-3) }
    }

    /// A time of business `lo` to `hi` days after the day of `time`.
    pub(super) fn days_after(&mut self, time: EventTime, lo: i64, hi: i64) -> EventTime {
        let day = midnight(time).plus_days(self.dice.within(lo, hi));
        day.plus(self.dice.within(8 * HOUR_MS, 20 * HOUR_MS))
    }

    /// A time of business at which a story that is not about the line's end may begin; `None` if the line is too short for one.
    pub(super) fn moment(&mut self) -> Option<EventTime> {
        let (lo, hi) = (self.active.0.plus_days(1), self.active.1.plus_days(-LONGEST_STORY_DAYS));
        (lo < hi).then(|| {
            let day = self.day(lo.plus_days(4), hi);
            self.days_after(day, 0, 0)
        })
    }

    /// A name unique within the customer, for instance `quote-3`.
    pub(super) fn name(&mut self, kind: &str) -> Text {
        self.customer.named += 1;
        format!("{kind}-{}", self.customer.named).into()
    }

    // Telling.

    /// The system `source` reports `body` at `at`; the event's id.
    pub(super) fn tell(&mut self, at: EventTime, source: &'static str, body: Body) -> Text {
        let customer = self.customer.id.clone();
        self.push(at, Telling { customer, source, channel: None, actor: None, body })
    }

    fn push(&mut self, at: EventTime, telling: Telling) -> Text {
        let id: Text = format!("{}-{}", self.customer.id, self.told.len() + 1).into();
        self.told.push(Told { at, id: id.clone(), telling });
        id
    }

    /// A notice of `kind` about the line.
    pub(super) fn notify(&mut self, at: EventTime, kind: NoticeKind, states_price: bool) {
        let subscription_id = Some(LINE.into());
        let about_id = None;
        self.tell(at, "/crm", Body::NoticeSent { kind, subscription_id, about_id, states_price });
    }

    /// `minor` pence come back about `about`.
    pub(super) fn remedy(&mut self, at: EventTime, about: &str, minor: i64) {
        let remedy = Body::RemedyIssued {
            remedy_id: self.name("remedy"),
            kind: RemedyKind::Refund,
            amount: pounds(minor),
            about_id: Some(about.into()),
            unprompted: false,
            failure_confirmed: true,
        };
        self.tell(at, "/billing", remedy);
    }

    /// Lets a story of the simulated telecom happen to the customer at `at`.
    pub(super) fn let_happen(&mut self, at: EventTime, story: super::Moment) {
        let mut agenda = Agenda::default();
        story(&mut Scene {
            now: at,
            from: self.from,
            seat: 0,
            customer: &mut self.customer,
            dice: &mut self.dice,
            agenda: &mut agenda,
        });
        while let Some((time, item)) = agenda.pop() {
            if let Item::Tell(telling) = item {
                self.push(time, *telling);
            }
        }
    }

    // The line.

    /// A line on a plan that compares with nothing, begun long before the span.
    pub(super) fn plain_line(&mut self) -> Line {
        let (plan, monthly) = self.dice.pick(&SOLO);
        let day = self.day(self.from.plus_months(-80), self.from.plus_months(-2));
        let billed_from = self.day(self.from.plus_days(3), self.from.plus_days(30));
        self.line(plan, monthly, day, billed_from)
    }

    /// A line begun within the span, on a plan that compares with nothing.
    pub(super) fn young_line(&mut self, lo: EventTime, hi: EventTime) -> Line {
        let (plan, monthly) = self.dice.pick(&SOLO);
        let day = self.day(lo, hi);
        self.line(plan, monthly, day, day.max(self.from))
    }

    fn line(
        &mut self,
        plan: &'static str,
        monthly: i64,
        day: EventTime,
        billed_from: EventTime,
    ) -> Line {
        Line {
            plan,
            monthly,
            started: day.plus(self.dice.within(HOUR_MS, 4 * HOUR_MS)),
            customer_since: day,
            term_end: None,
            trial_end: None,
            notice_days: 0,
            signup_steps: 3,
            segment: None,
            is_negotiated: false,
            is_usage_expected: false,
            months: self.dice.weighted(&[(3, 1), (2, 3)]),
            billed_from,
        }
    }

    /// The line starts, and is billed in advance to the end of the span.
    pub(super) fn start(&mut self, line: &Line) {
        let started = SubscriptionStarted {
            subscription_id: LINE.into(),
            plan_id: line.plan.into(),
            price: pounds(line.monthly),
            period: Period::MONTH,
            customer_since: line.customer_since,
            term_end: line.term_end,
            exit_fee: None,
            notice_period_ms: line.notice_days * DAY_MS,
            trial_end: line.trial_end,
            signup_steps: line.signup_steps,
            segment: line.segment.map(Into::into),
            negotiated: line.is_negotiated,
            usage_expected: line.is_usage_expected,
        };
        self.tell(line.started, "/billing", Body::SubscriptionStarted(Box::new(started)));
        self.active.0 = self.from.max(line.started);
        // Sent some days into the period; always as many, so that bills come a period apart.
        let delay = self.dice.within(6 * HOUR_MS, 9 * DAY_MS);
        let period = |n: i32| line.billed_from.plus_months(n * line.months);
        let bills = (0..).map(|n| Bill {
            at: period(n).plus(delay),
            period_start: period(n),
            period_end: period(n + 1),
            months: line.months,
            recurring: line.monthly * i64::from(line.months),
            extra: None,
        });
        self.bills = bills.take_while(|bill| bill.at < self.until).collect();
        for bill in &mut self.bills {
            if self.dice.chance(200) {
                let minor = self.dice.within(50, 400);
                bill.extra = Some(usage_line(minor, bill.period_start));
            }
        }
    }

    /// From `at` on, a month is billed at `monthly`.
    pub(super) fn reprice(&mut self, at: EventTime, monthly: i64) {
        for bill in self.bills.iter_mut().filter(|bill| bill.at >= at) {
            bill.recurring = monthly * i64::from(bill.months);
        }
    }

    /// The first bill sent at `at` or later.
    pub(super) fn first_bill(&self, at: EventTime) -> Option<&Bill> {
        self.bills.iter().find(|bill| at <= bill.at)
    }

    // Planting.

    /// The squeeze holds on every bill for which `holds`, one after the other, and is said at the `needed`th. Planted only if
    /// there are as many.
    pub(super) fn plant_on_bills(
        &mut self,
        kind: SqueezeType,
        story: &str,
        subject: &str,
        needed: usize,
        holds: impl Fn(&Bill) -> bool,
    ) {
        let held: Vec<&Bill> = self.bills.iter().filter(|bill| holds(bill)).collect();
        if held.len() < needed {
            return;
        }
        let last = held[held.len() - 1].at;
        let squeeze = PlantedSqueeze {
            evidence: held[..needed].iter().map(|bill| bill.id()).collect(),
            opens: held[needed - 1].at,
            ended: self.bills.iter().map(|bill| bill.at).find(|at| last < *at),
            ..self.squeeze(kind, story, Some(LINE), subject, held[0].at)
        };
        self.planted.push(Planted::Squeeze(squeeze));
    }

    /// The squeeze holds at `at`, and is said at once; whether that is within the span.
    pub(super) fn plant(
        &mut self,
        kind: SqueezeType,
        story: &str,
        subscription: Option<&str>,
        subject: &str,
        at: EventTime,
        evidence: &str,
    ) -> bool {
        let squeeze = PlantedSqueeze {
            evidence: vec![evidence.into()],
            ..self.squeeze(kind, story, subscription, subject, at)
        };
        if at < self.until {
            self.planted.push(Planted::Squeeze(squeeze));
        }
        at < self.until
    }

    fn squeeze(
        &self,
        kind: SqueezeType,
        story: &str,
        subscription: Option<&str>,
        subject: &str,
        at: EventTime,
    ) -> PlantedSqueeze {
        PlantedSqueeze {
            customer: (*self.customer.id).into(),
            kind,
            subscription_id: subscription.map(Into::into),
            subject: subject.into(),
            dedup_key: dedup_key(kind, &self.customer.id, subscription, subject),
            since: at,
            opens: at,
            story: story.into(),
            evidence: Vec::new(),
            ended: None,
        }
    }

    /// The squeeze planted last ends at `at`.
    pub(super) fn end_last(&mut self, at: EventTime) {
        if let Some(Planted::Squeeze(squeeze)) = self.planted.last_mut() {
            squeeze.ended = Some(at);
        }
    }

    /// Three times in ten, the squeeze planted last is made good by `minor` pence or more, some time after `after`.
    pub(super) fn maybe_refund_last(&mut self, after: EventTime, minor: i64) {
        if !self.dice.chance(300) {
            return;
        }
        let at = self.days_after(after, 3, 60);
        if let Some(Planted::Squeeze(squeeze)) = self.planted.last() {
            let key = squeeze.dedup_key.clone();
            self.remedy(at, &key, minor);
            self.end_last(at);
        }
    }

    /// Something that looks like `kind` from `at` on is excepted by `guard`.
    pub(super) fn decoy(
        &mut self,
        kind: SqueezeType,
        guard: &str,
        subscription: Option<&str>,
        at: EventTime,
    ) {
        if at < self.until {
            self.planted.push(Planted::Decoy(Decoy {
                customer: (*self.customer.id).into(),
                kind,
                subscription_id: subscription.map(Into::into),
                since: at,
                guard: guard.into(),
            }));
        }
    }

    /// A decoy that begins with the first bill sent at `at` or later.
    pub(super) fn decoy_on_bills(&mut self, kind: SqueezeType, guard: &str, at: EventTime) {
        if let Some(at) = self.first_bill(at).map(|bill| bill.at) {
            self.decoy(kind, guard, Some(LINE), at);
        }
    }

    /// The customer's events before the end, by time, and what was planted.
    pub(super) fn finish(mut self) -> (Vec<CustomerEvent>, Vec<Planted>) {
        for bill in std::mem::take(&mut self.bills) {
            self.tell(bill.at, "/billing", Body::InvoiceIssued(Box::new(invoice(&bill))));
        }
        let until = self.until;
        self.told.retain(|told| told.at < until);
        self.told.sort_by_key(|told| told.at);
        let event = |Told { at, id, telling }| CustomerEvent {
            customer: telling.customer,
            id,
            source: telling.source.into(),
            time: at,
            causation_id: None,
            trace: None,
            channel: telling.channel.map(Into::into),
            actor: telling.actor,
            body: telling.body,
        };
        (self.told.into_iter().map(event).collect(), self.planted)
    }
}

/// A line of use, billed by the firm's doing.
pub(super) fn usage_line(minor: i64, service_end: EventTime) -> InvoiceLine {
    InvoiceLine {
        kind: LineKind::Usage,
        amount: pounds(minor),
        service_end: Some(service_end),
        cause: Party::Firm,
    }
}

fn invoice(bill: &Bill) -> Invoice {
    let extra = bill.extra.clone();
    let recurring = InvoiceLine {
        kind: LineKind::Recurring,
        amount: pounds(bill.recurring),
        service_end: None,
        cause: Party::Firm,
    };
    let lines: Vec<_> = extra.map_or_else(Vec::new, |extra| vec![recurring, extra]);
    let extra_minor: i64 = lines.iter().skip(1).map(|line| line.amount.minor).sum();
    Invoice {
        invoice_id: bill.id(),
        total: pounds(bill.recurring + extra_minor),
        recurring_minor: bill.recurring,
        subscription: Some(BilledSubscription {
            subscription_id: LINE.into(),
            plan_id: None,
            period_start: bill.period_start,
            period_end: bill.period_end,
        }),
        lines,
    }
}
