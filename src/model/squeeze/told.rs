//! A squeeze in words: what it took, what its rule asks and rests on, what it was judged on, and what its guards see now.
//!
//! It judges nothing: a guard may see today what came after the judgement, and a fact that has left the customer's memory is
//! not told.

use super::{SqueezeSlot, SqueezeState, SqueezeType};
use crate::model::customer::Customer;
use crate::model::event::NoticeKind;
use crate::model::subscription::Subscription;
use crate::model::{EventTime, Micros, Money};

/// `slot` of `customer` in sentences, never empty.
pub fn told(slot: &SqueezeSlot, customer: &Customer) -> Vec<String> {
    let (code, name) = (slot.kind.code(), slot.kind.name());
    if slot.state == SqueezeState::Pending {
        let so_far = format!(
            "A possible squeeze, {code} {name}, has been seen too seldom to be called one."
        );
        return vec![so_far];
    }
    let mut sentences = vec![
        standing(slot),
        format!("{code} asks: {} It rests on {}.", slot.kind.asks(), slot.kind.source()),
        judged_on(slot),
    ];
    let facts = guards(slot, customer);
    if !facts.is_empty() {
        sentences.push(format!("What its guards see: {}.", facts.join("; ")));
    }
    sentences
}

/// Which squeeze, how bad, and what it took.
fn standing(slot: &SqueezeSlot) -> String {
    let (code, name, state) = (slot.kind.code(), slot.kind.name(), slot.state);
    let of = if &*slot.subject == "-" { String::new() } else { format!(" of {}", slot.subject) };
    let on = slot.subscription.as_ref().map_or_else(String::new, |id| format!(" on {id}"));
    let [taken, back] = [slot.gross, slot.refunded].map(|minor| Money::new(minor, slot.currency));
    format!(
        "Squeeze {code} {name}{of}{on} is {state} since {} (generation {}, severity {}, {}): {taken} taken, {back} given back; \
         its key is {}.",
        slot.since,
        slot.generation,
        Micros::round(slot.severity.value),
        slot.level(),
        slot.key
    )
}

/// The records of the last evaluations, and the plan they were compared with.
fn judged_on(slot: &SqueezeSlot) -> String {
    let records = slot.references.join(", ");
    match &slot.comparator {
        Some(plan) => format!(
            "It was judged on {records}, against plan {} at {} a month, in the catalogue's version of {}.",
            plan.plan_id, plan.monthly, plan.effective_from
        ),
        None => format!("It was judged on {records}."),
    }
}

/// The facts that the guards of the slot's type read, as far as they are remembered.
fn guards(slot: &SqueezeSlot, customer: &Customer) -> Vec<String> {
    let Some(id) = &slot.subscription else { return customer_guards(slot, customer) };
    let Some(held) = customer.subscription(id) else {
        return vec![format!("{id} is no longer remembered")];
    };
    use NoticeKind::{Dormancy, EndOfTerm, PriceChange, Reminder, Renewal, UsageAlert};
    match slot.kind {
        SqueezeType::S01 => [long_standing(held), choices(held)].concat(),
        SqueezeType::S02 | SqueezeType::S12 => vec![notices(held, Renewal)],
        SqueezeType::S03 => vec![
            when("the term's end", held.term_end),
            notices(held, EndOfTerm),
            format!("{} a month within the term", held.in_term_price.value),
        ],
        SqueezeType::S04 => vec![when("cancelled from", held.cancelled_from())],
        SqueezeType::S05 => request(held),
        SqueezeType::S07 => vec![when("last used", held.last_usage), notices(held, Dormancy)],
        SqueezeType::S14 => vec![notices(held, UsageAlert)],
        SqueezeType::S16 => vec![
            baseline(slot, "before the rise"),
            when("the term's end", held.term_end),
            notices(held, PriceChange),
        ],
        SqueezeType::S17 => {
            vec![when("the trial's end", held.start.value.trial_end), notices(held, Reminder)]
        }
        SqueezeType::S19 => long_standing(held),
        SqueezeType::S20 => vec![baseline(slot, "is what the plan is still worth")],
        SqueezeType::S06
        | SqueezeType::S08
        | SqueezeType::S09
        | SqueezeType::S10
        | SqueezeType::S11
        | SqueezeType::S13
        | SqueezeType::S15
        | SqueezeType::S18 => customer_guards(slot, customer),
    }
}

/// The same for what is no part of a subscription.
fn customer_guards(slot: &SqueezeSlot, customer: &Customer) -> Vec<String> {
    let subject = &*slot.subject;
    let fact = match slot.kind {
        SqueezeType::S06 => {
            customer.failures.iter().find(|held| *held.id == *subject).map(|held| {
                let remedied =
                    Money::new(held.aftermath.remedied.of(Some(slot.currency)), slot.currency);
                let restored = when("restored", held.restored_at);
                format!("failed {}, {restored}, {remedied} remedied", held.failed.at.time)
            })
        }
        SqueezeType::S08 => customer.credits.iter().find(|held| *held.id == *subject).map(|held| {
            let notice = when("told that it expires", held.noticed_at);
            format!("{} left, {notice}", held.balance)
        }),
        SqueezeType::S09 => customer.quotes.iter().find(|held| *held.id == *subject).map(|held| {
            let charged = Money::new(held.charged, held.total.currency);
            format!("{} quoted, {charged} charged", held.total)
        }),
        SqueezeType::S11 => customer.vulnerability.as_ref().map(|marker| {
            let verb = if marker.value { "marked" } else { "cleared" };
            format!("vulnerability {verb} {}", marker.at.time)
        }),
        SqueezeType::S13 => {
            let fees = customer.fees.iter().filter(|fee| fee.cause_id.as_deref() == Some(subject));
            let fees: Vec<String> = fees
                .map(|fee| format!("{} {} of {}", fee.id, fee.amount, fee.charged_at))
                .collect();
            (!fees.is_empty()).then(|| format!("penalties {}", fees.join(", ")))
        }
        SqueezeType::S18 => {
            let promise = customer.promises.iter().find(|held| *held.id == *subject);
            promise.map(|held| {
                let due = held.made.as_ref().map(|made| made.value.due_at);
                format!("the refund is {}, {}", held.outcome, when("due", due))
            })
        }
        _ => None,
    };
    fact.into_iter().collect()
}

fn long_standing(held: &Subscription) -> Vec<String> {
    let price = if held.start.value.negotiated { "negotiated" } else { "not negotiated" };
    vec![
        format!("a customer since {}", held.customer_since()),
        format!("on plan {} since {}", held.plan.value, held.plan.at.time),
        format!("the price is {price}"),
    ]
}

/// What the customer was told and chose.
fn choices(held: &Subscription) -> Vec<String> {
    let declined = held.declined.as_ref().map_or_else(
        || "no informed decline".to_owned(),
        |decline| format!("declined plan {} on {}", decline.value, decline.at.time),
    );
    vec![declined, when("savings pointed out", held.advised_at)]
}

fn request(held: &Subscription) -> Vec<String> {
    let request = held.request.as_ref();
    request.map_or_else(Vec::new, |request| {
        vec![
            format!("asked to cancel {}", request.requested_at),
            format!(
                "{} contacts about it, {} offers to stay",
                request.contacts, request.save_offers
            ),
            when("completed", request.completed_at),
        ]
    })
}

fn baseline(slot: &SqueezeSlot, what: &str) -> String {
    let amount = slot.baseline.map(|minor| Money::new(minor, slot.currency).to_string());
    format!("{} a month {what}", amount.as_deref().unwrap_or("nothing"))
}

fn notices(held: &Subscription, kind: NoticeKind) -> String {
    let mut times: Vec<EventTime> = held.notices_of(kind).collect();
    times.sort_unstable();
    let times: Vec<String> = times.iter().map(EventTime::to_string).collect();
    if times.is_empty() {
        return format!("no {kind} notice");
    }
    format!("{kind} notices {}", times.join(", "))
}

/// `what` and when, or never.
fn when(what: &str, time: Option<EventTime>) -> String {
    time.map_or_else(|| format!("{what}: never"), |time| format!("{what}: {time}"))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::model::story::customer_after;

    /// All that is told of the squeezes a story ends with.
    fn words(story: &str) -> String {
        let customer = customer_after(story);
        let slots = customer.squeezes.iter();
        slots.flat_map(|slot| told(slot, &customer)).collect::<Vec<_>>().join("\n")
    }

    const LEGACY: &str = "
        2020-01-01 plan old 45.00 data=10
        2020-01-01 plan new 32.00 data=10
        2020-01-01 start sub old 45.00
        2025-01-01 bill sub 45.00";

    #[test]
    fn what_it_took_asks_rests_on_and_saw_is_told() {
        assert_snapshot!(words(&format!("{LEGACY}\n2025-02-01 bill sub 45.00")), @r"
        Squeeze S01 legacy_overpricing of old on sub is open since 2025-01-01T00:00:00.000Z (generation 1, severity 0.819207, critical): 26.00 GBP taken, 0.00 GBP given back; its key is 796c9473d58565b527231b9aafa71f42.
        S01 asks: is a long-standing customer billed more than an equal plan costs that the firm sells today? It rests on a telecom's legacy plans; CMA loyalty-penalty response 2018; Ofcom and EECC best-tariff duties; FCA Consumer Duty.
        It was judged on bill/2025-01-01T00:00:00.000Z, bill/2025-02-01T00:00:00.000Z, against plan new at 32.00 GBP a month, in the catalogue's version of 2020-01-01T00:00:00.000Z.
        What its guards see: a customer since 2020-01-01T00:00:00.000Z; on plan old since 2020-01-01T00:00:00.000Z; the price is not negotiated; no informed decline; savings pointed out: never.
        ");
    }

    #[test]
    fn what_is_pending_is_called_no_squeeze() {
        assert_snapshot!(words(LEGACY), @"A possible squeeze, S01 legacy_overpricing, has been seen too seldom to be called one.");
    }

    #[test]
    fn a_credit_and_a_refund_are_told_by_their_own_facts() {
        let story = "2025-01-01 credit card 20.00
            2025-01-02 expire card
            2025-01-03 refund-agreed r 5.00 due=2025-01-05
            2025-03-01 tick";
        let told = words(story);
        assert_snapshot!(told, @r"
        Squeeze S08 credit_breakage of card is open since 2025-01-02T00:00:00.000Z (generation 1, severity 0.142756, info): 20.00 GBP taken, 0.00 GBP given back; its key is 98295d07748a8cc74968500fac1e511c.
        S08 asks: did the customer's money lapse unsaid, or stay with the firm after the account was closed? It rests on Ofgem's final credit; Reg E 1005.20.
        It was judged on card.
        Squeeze S18 refund_withheld of refund/r is open since 2025-01-05T00:00:00.000Z (generation 1, severity 0.056126, info): 5.00 GBP taken, 0.00 GBP given back; its key is 0b1e92d9041f3ae5a32850f3a72e74e2.
        S18 asks: did an agreed refund not come? It rests on the promise ledger.
        It was judged on refund/r.
        ");
    }
}
