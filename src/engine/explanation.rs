//! A customer's state in words: why the score is what it is, how it moved, on what grounds, and what would restore it. The command
//! line, HTTP and whoever reads a change record get the same sentences from here. They leave out what is restricted (loyalty,
//! reciprocity, reserve), because whoever may read a score may read its reasons.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::publish::Moved;
use super::view::{CustomerView, MoneyView};
use crate::model::output::ScoreChanged;
use crate::model::restore::{Restoration, restorations};
use crate::model::squeeze::told;
use crate::model::{
    Band, Catalogue, Class, Currency, Dimension, EventTime, Micros, Money, Policy, PromiseOutcome,
    Text, TrustReading,
};

/// How many kinds of evidence are told one by one; the rest are told together.
const PARTS_TOLD: usize = 5;

/// One customer, and all that its explanation takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The state.
    pub view: CustomerView,
    /// What explains it beyond that.
    pub grounds: Grounds,
}

/// What explains a state beyond what a read-out of it holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grounds {
    /// How the score moved when it was last published.
    pub moved: Option<Moved>,
    /// The version of the policy in force; empty if none was read.
    pub policy: Text,
    /// Each squeeze remembered, in words, by dedup key.
    pub squeezes: Vec<String>,
    /// What would lift the score, the most telling first.
    pub restorations: Vec<Restoration>,
}

/// The grounds of `entry` read at `at`.
pub(super) fn grounds(
    entry: &Entry,
    at: EventTime,
    policy: &Policy,
    catalogue: &Catalogue,
) -> Grounds {
    let customer = &entry.customer;
    let mut slots: Vec<_> = customer.squeezes.iter().collect();
    slots.sort_by(|a, b| a.key.cmp(&b.key));
    Grounds {
        moved: entry.publication.moved,
        policy: policy.version.clone(),
        squeezes: slots.into_iter().flat_map(|slot| told(slot, customer)).collect(),
        restorations: restorations(customer, at, policy, catalogue),
    }
}

/// Why a customer's state is as it is: sentences, the most telling first, never empty.
///
/// Points have all six places they are published with, so the parts told sum to the score's distance from its start, and the
/// terms of a change to the change.
pub fn explain(explanation: &Explanation) -> Vec<String> {
    let Explanation { view, grounds } = explanation;
    let mut sentences = standing(view.band, &view.trust);
    sentences.extend(parts(&view.trust));
    if let (Some(moved), Some(published)) = (&grounds.moved, view.last_published) {
        sentences.push(change(moved, published, Some(view.trust.score)));
    }
    sentences.extend(promises(&view.promises));
    sentences.extend(grounds.squeezes.iter().cloned());
    sentences.extend(view.money.iter().map(|(currency, money)| money_moved(*currency, money)));
    sentences.extend(restoration(&view.trust, &grounds.restorations));
    sentences.extend(overflows(&view.counters));
    if !grounds.policy.is_empty() {
        sentences.push(format!("All under policy {}.", grounds.policy));
    }
    sentences
}

/// What the record `changed`, published at `time`, says of how the score moved and why it is what it is: the sentences of
/// [`explain`] that are about the change and the parts, from the record alone.
pub fn explain_change(time: EventTime, changed: &ScoreChanged) -> Vec<String> {
    let (reading, moved) = (&changed.reading, Moved::new(time, &changed.change));
    parts(reading).into_iter().chain([change(&moved, reading.score, None)]).collect()
}

/// Where the score stands, and how sure that is.
fn standing(band: Option<Band>, trust: &TrustReading) -> Vec<String> {
    if trust.parts.is_empty() {
        let start = "Nothing judged is known of this customer: the score is where everyone starts, neither good nor bad.";
        return vec![start.to_owned()];
    }
    let band = band.map_or("not published yet", Band::as_str);
    let [low, high] = trust.interval.map(points);
    let (score, uncertainty) = (trust.score, points(trust.uncertainty));
    vec![
        format!(
            "Trust in the firm stands at {score} ({band}), with 90 % confidence between {low} and {high}."
        ),
        format!(
            "The evidence weighs as much as {} fresh observations; uncertainty is {uncertainty}, where 1 knows nothing.",
            points(trust.evidence_mass)
        ),
    ]
}

/// What lifts and what lowers the score, the heaviest first.
fn parts(trust: &TrustReading) -> Vec<String> {
    let mut by_weight = trust.parts.clone();
    by_weight.sort_by_key(|(class, part)| (-part.millionths().abs(), *class));
    let (told, rest) = by_weight.split_at(by_weight.len().min(PARTS_TOLD));
    let mut sentences: Vec<String> = told
        .iter()
        .map(|(class, part)| {
            format!("{} ({class}) {} it by {}.", words(*class), verb(*part), size(*part))
        })
        .collect();
    if !rest.is_empty() {
        let sum = Micros::new(rest.iter().map(|(_class, part)| part.millionths()).sum());
        sentences.push(format!(
            "All other kinds of evidence together {} it by {}.",
            verb(sum),
            size(sum)
        ));
    }
    sentences
}

/// How the promises remembered ended.
fn promises(promises: &BTreeMap<Text, PromiseOutcome>) -> Option<String> {
    let mut by_outcome = BTreeMap::<PromiseOutcome, usize>::new();
    for outcome in promises.values() {
        *by_outcome.entry(*outcome).or_default() += 1;
    }
    let counts: Vec<String> =
        by_outcome.iter().map(|(outcome, n)| format!("{n} {outcome}")).collect();
    (!counts.is_empty()).then(|| format!("Promises remembered: {}.", counts.join(", ")))
}

/// How the score moved when it was last published, as `score`; and since, if it is `now` another.
fn change(moved: &Moved, score: Micros, now: Option<Micros>) -> String {
    let terms = moved.change.map(|term| Micros::new(term.into()));
    let by = Micros::new(terms.iter().map(|term| term.millionths()).sum());
    let named = |(place, term): (usize, &Micros)| {
        let name = match place {
            0 => "earlier steps too small to publish",
            1 => "fading with time",
            _ => Dimension::ALL[place - 2].as_str(),
        };
        (*term != Micros::default()).then(|| format!("{name} {}", signed(*term)))
    };
    let told: Vec<String> = terms.iter().enumerate().filter_map(named).collect();
    let told = if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) };
    let since = now.filter(|now| *now != score).map_or_else(String::new, |now| {
        format!(" Since then it has moved by {}.", signed(less(now, score)))
    });
    let (at, from) = (moved.at, less(score, by));
    format!("It was last published at {at} as {score}, {} from {from}{told}.{since}", signed(by))
}

/// What would restore the score.
fn restoration(trust: &TrustReading, restorations: &[Restoration]) -> Vec<String> {
    let is_lowered = trust.parts.iter().any(|(_, part)| part.millionths() < 0);
    if restorations.is_empty() && is_lowered {
        return vec![
            "Nothing still open would restore the score: only good conduct and time will."
                .to_owned(),
        ];
    }
    restorations.iter().map(Restoration::to_string).collect()
}

fn money_moved(currency: Currency, money: &MoneyView) -> String {
    let told = |minor| Money::new(minor, currency);
    format!(
        "{} billed, of which {} are bad profit; {} given back, {} given freely, {} still owed in redress.",
        told(money.billed),
        told(money.bad_profit),
        told(money.remedies),
        told(money.generosity),
        told(money.redress_liability)
    )
}

/// What was too much to remember.
fn overflows(counters: &BTreeMap<&'static str, u64>) -> Option<String> {
    let counts: Vec<String> = counters.iter().map(|(name, n)| format!("{name} {n}")).collect();
    (!counts.is_empty())
        .then(|| format!("More was open at once than is remembered: {}.", counts.join(", ")))
}

/// A number to three places, where no sum rests on it.
fn points(number: Micros) -> String {
    format!("{:.3}", number.to_f64())
}

/// `a` − `b`.
const fn less(a: Micros, b: Micros) -> Micros {
    Micros::new(a.millionths() - b.millionths())
}

/// A number with its sign, all places.
fn signed(number: Micros) -> String {
    format!("{}{number}", if number.millionths() < 0 { "" } else { "+" })
}

/// How far a part moves the score, without its sign.
const fn size(part: Micros) -> Micros {
    Micros::new(part.millionths().abs())
}

/// What evidence does to the score.
const fn verb(part: Micros) -> &'static str {
    if part.millionths() < 0 { "lower" } else { "lift" }
}

/// What a class counts, in the plural.
const fn words(class: Class) -> &'static str {
    match class {
        Class::CarAccommodated => "Adjustments made for a vulnerable customer",
        Class::CarApology => "Apologies with redress",
        Class::CarGoodwill => "Goodwill gestures",
        Class::CarObstruct => "Obstructed cancellations",
        Class::CarOverdue => "Complaints left unanswered",
        Class::CarUpheld => "Complaints upheld",
        Class::CarVulnerableHarm => "Squeezes of a vulnerable customer",
        Class::CarWait => "Waits far longer than stated",
        Class::ComBillError => "Billing errors",
        Class::ComCreditNotice => "Failures told of early",
        Class::ComCreditRemedy => "Failures made good early",
        Class::ComDelivered => "Deliveries made right",
        Class::ComFail => "Service failures",
        Class::ComFcr => "Matters resolved at the first contact",
        Class::ComRepeat => "Contacts that had to be repeated",
        Class::ComTransfer => "Contacts passed from hand to hand",
        Class::FaiFairBill => "Bills with nothing wrong on them",
        Class::FaiMigrated => "Moves to a cheaper, equal plan",
        Class::FaiPassThrough => "Price cuts passed on",
        Class::FaiRedress => "Squeezes paid back",
        Class::FaiSqueeze => "Squeezes",
        Class::IntBroken => "Promises broken",
        Class::IntChargeAfterCancel => "Charges after cancelling",
        Class::IntConsentBreach => "Marketing messages after an opt-out",
        Class::IntCreditNotice => "Broken promises told of early",
        Class::IntCreditRemedy => "Broken promises made good early",
        Class::IntGuaranteeBreached => "Price guarantees not honoured",
        Class::IntGuaranteeHonoured => "Price guarantees honoured",
        Class::IntKept => "Promises kept",
        Class::IntLate => "Promises kept late",
        Class::IntReneg => "Promises moved by the firm",
        Class::IntWithdrawn => "Promises taken back in time",
        Class::ProAdvised => "Savings pointed out",
        Class::ProSilent => "Failures known and unsaid",
        Class::ProUnprompted => "Gifts nobody asked for",
        Class::ProWarned => "Warnings before the bill",
        Class::ProWithheld => "Savings known and unsaid",
        Class::TraBillMatch => "Bills that match their quote",
        Class::TraHiddenFee => "Fees the quote did not name",
        Class::TraMisled => "Findings of having misled",
        Class::TraNoticeMissed => "Due notices missed",
        Class::TraNoticeOk => "Due notices given in time",
        Class::TraSelfDisclosed => "Faults disclosed before being asked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Action, Effect, Input, OutputBody, PartitionEngine, Settings};
    use crate::engine::{DimensionReading, LoyaltyReading, ReciprocityView};
    use crate::model::EventTime;
    use crate::wire::{self, Expect, RecordRef};

    fn stranger() -> CustomerView {
        let half = Micros::new(500_000);
        let dimension = DimensionReading {
            expected: half,
            positive: Micros::default(),
            negative: Micros::default(),
            uncertainty: half,
            interval: [half; 2],
        };
        CustomerView {
            customer: "ada".into(),
            as_of: EventTime::from_millis(0),
            clock: EventTime::from_millis(0),
            band: None,
            last_published: None,
            trust: TrustReading {
                score: half,
                interval: [Micros::new(217_000), Micros::new(732_500)],
                uncertainty: Micros::new(1_000_000),
                evidence_mass: Micros::default(),
                triad: [half; 3],
                dimensions: [dimension; 6],
                parts: vec![],
            },
            loyalty: LoyaltyReading { loyalty: half, consider: half, rely: half, forgive: half },
            perceived: half,
            proactive_ratio: half,
            reciprocity: ReciprocityView { trials: 7, residual: half, variance: half },
            promises: BTreeMap::new(),
            squeezes: BTreeMap::new(),
            money: BTreeMap::new(),
            counters: BTreeMap::new(),
            reserve: Micros::new(77_000_000),
        }
    }

    /// What is told of a view alone.
    fn told(view: &CustomerView) -> Vec<String> {
        explain(&Explanation { view: view.clone(), grounds: Grounds::default() })
    }

    /// A customer whose parts are these, in points.
    fn scored(parts: &[(Class, f64)]) -> CustomerView {
        let mut view = stranger();
        view.trust.parts =
            parts.iter().map(|(class, part)| (*class, Micros::round(*part))).collect();
        view
    }

    #[test]
    fn a_stranger_is_neither_good_nor_bad() {
        insta::assert_snapshot!(told(&stranger()).join("\n"), @"Nothing judged is known of this customer: the score is where everyone starts, neither good nor bad.");
    }

    #[test]
    fn the_heaviest_part_comes_first_whatever_its_sign() {
        let mut view = scored(&[
            (Class::ComDelivered, 0.006_538),
            (Class::FaiSqueeze, -0.070_459),
            (Class::IntKept, 0.048_533),
        ]);
        view.band = Some(Band::Strained);
        view.trust.score = Micros::new(484_612);
        view.trust.uncertainty = Micros::new(732_806);
        view.trust.evidence_mass = Micros::new(3_246_987);
        insta::assert_snapshot!(told(&view).join("\n"), @r"
        Trust in the firm stands at 0.484612 (strained), with 90 % confidence between 0.217 and 0.733.
        The evidence weighs as much as 3.247 fresh observations; uncertainty is 0.733, where 1 knows nothing.
        Squeezes (FAI.SQUEEZE) lower it by 0.070459.
        Promises kept (INT.KEPT) lift it by 0.048533.
        Deliveries made right (COM.DELIVERED) lift it by 0.006538.
        Nothing still open would restore the score: only good conduct and time will.
        ");
    }

    #[test]
    fn many_parts_are_told_as_the_heaviest_and_the_rest() {
        let classes = &Class::ALL[..8];
        let parts: Vec<_> =
            classes.iter().zip(1_i32..).map(|(class, n)| (*class, f64::from(n) / 1000.0)).collect();
        let told = told(&scored(&parts));
        assert_eq!(
            told.iter().filter(|sentence| sentence.contains(" it by ")).count(),
            PARTS_TOLD + 1
        );
        assert_eq!(told.last().unwrap(), "All other kinds of evidence together lift it by 0.006.");
    }

    #[test]
    fn promises_and_money_are_told() {
        let mut view = scored(&[(Class::FaiSqueeze, -0.07)]);
        view.promises =
            [("a", PromiseOutcome::Kept), ("b", PromiseOutcome::Open), ("c", PromiseOutcome::Kept)]
                .map(|(id, outcome)| (id.into(), outcome))
                .into();
        let money = MoneyView {
            billed: 9000,
            bad_profit: 2600,
            remedies: 0,
            generosity: 348,
            good_profit: 6400,
            redress_liability: 2600,
        };
        view.money = [(Currency::new("GBP").unwrap(), money)].into();
        view.counters = [("ledger_overflow", 3)].into();
        insta::assert_snapshot!(told(&view)[3..].join("\n"), @r"
        Promises remembered: 1 open, 2 kept.
        90.00 GBP billed, of which 26.00 GBP are bad profit; 0.00 GBP given back, 3.48 GBP given freely, 26.00 GBP still owed in redress.
        Nothing still open would restore the score: only good conduct and time will.
        More was open at once than is remembered: ledger_overflow 3.
        ");
    }

    #[test]
    fn what_is_restricted_changes_no_word() {
        let mut view = scored(&[(Class::IntKept, 0.1)]);
        let before = told(&view);
        view.loyalty.loyalty = Micros::new(990_000);
        view.reciprocity.trials = 40;
        view.reserve = Micros::default();
        assert_eq!(told(&view), before);
    }

    /// Every score change of the golden scenarios, with what the engine explains right after it.
    fn changes(mut each: impl FnMut(EventTime, &ScoreChanged, &[String])) {
        for name in ["amara", "legacy_redress", "breach_withdrawn", "good_firm"] {
            let path = format!("{}/tests/vectors/{name}.events.ndjson", env!("CARGO_MANIFEST_DIR"));
            let events = std::fs::read(path).unwrap();
            let settings =
                Settings { policy: Policy::default().into(), salt: [0; 16], audit: false };
            let mut engine = PartitionEngine::new(settings);
            for (line, offset) in events.split(|byte| *byte == b'\n').zip(1..) {
                let value = (!line.is_empty()).then_some(line);
                let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
                let mut effects: Vec<Effect> = Vec::new();
                let record = wire::decode(record, Expect::File);
                engine.handle(Input::Record { offset, record }, &mut effects);
                // Of several changes the state has the last.
                let published = effects.iter().rev().find_map(|effect| match &effect.action {
                    Action::Publish(output) => match &output.body {
                        OutputBody::ScoreChanged(changed) => Some((output, changed)),
                        _ => None,
                    },
                    Action::DeadLetter(_) | Action::ForgetSqueeze(_) | Action::PublishPart(_) => {
                        None
                    }
                });
                if let Some((output, changed)) = published {
                    let explanation = engine.explain(&output.customer).unwrap();
                    each(output.time, changed, &explain(&explanation));
                }
            }
        }
    }

    #[test]
    fn a_change_record_tells_the_same_as_the_state_it_left() {
        let mut count = 0;
        changes(|time, changed, told| {
            let mut sentences = explain_change(time, changed);
            let moved = sentences.pop().unwrap();
            assert!(told.iter().any(|sentence| sentence.starts_with(&moved)), "{moved}\n{told:#?}");
            // Read later than the record's time, the parts have faded.
            if !told.iter().any(|sentence| sentence.contains("Since then")) {
                assert!(
                    sentences.iter().all(|one| told.contains(one)),
                    "{sentences:#?}\n{told:#?}"
                );
                count += 1;
            }
        });
        assert!(count >= 10, "{count}");
    }

    #[test]
    fn the_terms_told_sum_to_the_change_told() {
        let number = |text: &str| {
            let text = text.trim_end_matches(['.', ',']);
            Micros::round(text.parse().unwrap_or_else(|_| panic!("{text}"))).millionths()
        };
        changes(|time, changed, _told| {
            let told = explain_change(time, changed).pop().unwrap();
            let (said, terms) = told.split_once(": ").unwrap_or((&told, ""));
            let by = said.split(" as ").nth(1).and_then(|rest| rest.split(' ').nth(1)).unwrap();
            let terms = terms.split(", ").filter_map(|term| term.rsplit(' ').next());
            let sum: i64 = terms.filter(|term| !term.is_empty()).map(number).sum();
            assert_eq!(sum, number(by), "{told}");
        });
    }
}
