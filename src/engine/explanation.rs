//! A customer's state in words: why the score is what it is. It adds no fact to the view and leaves out what is restricted
//! (loyalty, reciprocity, reserve), because whoever may read a score may read its reasons.

use std::collections::BTreeMap;

use super::view::{CustomerView, MoneyView, SqueezeView};
use crate::model::squeeze::SqueezeState;
use crate::model::{Band, Class, Currency, Micros, PromiseOutcome, Text, TrustReading};

/// How many kinds of evidence are told one by one; the rest are told together.
const PARTS_TOLD: usize = 5;

/// Why `view` reads as it does: sentences, the most telling first, never empty.
///
/// Amounts of money are in minor units. Points are rounded to three places; the view has them exactly.
pub fn explain(view: &CustomerView) -> Vec<String> {
    let mut sentences = standing(view.band, &view.trust);
    sentences.extend(parts(&view.trust.parts));
    sentences.extend(promises(&view.promises));
    sentences.extend(view.squeezes.values().map(squeeze));
    sentences.extend(view.money.iter().map(|(currency, money)| money_moved(*currency, money)));
    sentences.extend(overflows(&view.counters));
    sentences
}

/// Where the score stands, and how sure that is.
fn standing(band: Option<Band>, trust: &TrustReading) -> Vec<String> {
    if trust.parts.is_empty() {
        let start = "Nothing judged is known of this customer: the score is where everyone starts, neither good nor bad.";
        return vec![start.to_owned()];
    }
    let band = band.map_or("not published yet", Band::as_str);
    let [low, high] = trust.interval.map(points);
    let [score, uncertainty] = [trust.score, trust.uncertainty].map(points);
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
fn parts(parts: &[(Class, Micros)]) -> Vec<String> {
    let mut by_weight = parts.to_vec();
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

fn squeeze(squeeze: &SqueezeView) -> String {
    let (code, name) = (squeeze.kind.code(), squeeze.kind.name());
    if squeeze.state == SqueezeState::Pending {
        return format!(
            "A possible squeeze, {code} {name}, has been seen too seldom to be called one."
        );
    }
    format!(
        "Squeeze {code} {name} is {} (generation {}, severity {}): {} minor units taken, {} given back.",
        squeeze.state,
        squeeze.generation,
        points(squeeze.severity),
        squeeze.gross,
        squeeze.refunded
    )
}

fn money_moved(currency: Currency, money: &MoneyView) -> String {
    format!(
        "{currency}, in minor units: {} billed, of which {} are bad profit; {} given back, {} given freely, {} still owed in redress.",
        money.billed, money.bad_profit, money.remedies, money.generosity, money.redress_liability
    )
}

/// What was too much to remember.
fn overflows(counters: &BTreeMap<&'static str, u64>) -> Option<String> {
    let counts: Vec<String> = counters.iter().map(|(name, n)| format!("{name} {n}")).collect();
    (!counts.is_empty())
        .then(|| format!("More was open at once than is remembered: {}.", counts.join(", ")))
}

/// A number to three places.
fn points(number: Micros) -> String {
    format!("{:.3}", number.to_f64())
}

/// How far a part moves the score, without its sign.
fn size(part: Micros) -> String {
    points(Micros::new(part.millionths().abs()))
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
    use crate::engine::{DimensionReading, LoyaltyReading, ReciprocityView};
    use crate::model::EventTime;
    use crate::model::squeeze::SqueezeType;

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

    /// A customer whose parts are these, in points.
    fn scored(parts: &[(Class, f64)]) -> CustomerView {
        let mut view = stranger();
        view.trust.parts =
            parts.iter().map(|(class, part)| (*class, Micros::round(*part))).collect();
        view
    }

    #[test]
    fn a_stranger_is_neither_good_nor_bad() {
        insta::assert_snapshot!(explain(&stranger()).join("\n"), @"Nothing judged is known of this customer: the score is where everyone starts, neither good nor bad.");
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
        insta::assert_snapshot!(explain(&view).join("\n"), @r"
        Trust in the firm stands at 0.485 (strained), with 90 % confidence between 0.217 and 0.733.
        The evidence weighs as much as 3.247 fresh observations; uncertainty is 0.733, where 1 knows nothing.
        Squeezes (FAI.SQUEEZE) lower it by 0.070.
        Promises kept (INT.KEPT) lift it by 0.049.
        Deliveries made right (COM.DELIVERED) lift it by 0.007.
        ");
    }

    #[test]
    fn many_parts_are_told_as_the_heaviest_and_the_rest() {
        let classes = &Class::ALL[..8];
        let parts: Vec<_> =
            classes.iter().zip(1_i32..).map(|(class, n)| (*class, f64::from(n) / 1000.0)).collect();
        let told = explain(&scored(&parts));
        assert_eq!(
            told.iter().filter(|sentence| sentence.contains(" it by ")).count(),
            PARTS_TOLD + 1
        );
        assert_eq!(told.last().unwrap(), "All other kinds of evidence together lift it by 0.006.");
    }

    #[test]
    fn promises_squeezes_and_money_are_told() {
        let mut view = scored(&[(Class::FaiSqueeze, -0.07)]);
        view.promises =
            [("a", PromiseOutcome::Kept), ("b", PromiseOutcome::Open), ("c", PromiseOutcome::Kept)]
                .map(|(id, outcome)| (id.into(), outcome))
                .into();
        let open = SqueezeView {
            kind: SqueezeType::S01,
            state: SqueezeState::Open,
            generation: 1,
            gross: 2600,
            refunded: 0,
            severity: Micros::new(819_207),
        };
        view.squeezes = [
            ("1".into(), open),
            (
                "2".into(),
                SqueezeView { kind: SqueezeType::S04, state: SqueezeState::Pending, ..open },
            ),
        ]
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
        insta::assert_snapshot!(explain(&view)[3..].join("\n"), @r"
        Promises remembered: 1 open, 2 kept.
        Squeeze S01 legacy_overpricing is open (generation 1, severity 0.819): 2600 minor units taken, 0 given back.
        A possible squeeze, S04 charge_after_cancellation, has been seen too seldom to be called one.
        GBP, in minor units: 9000 billed, of which 2600 are bad profit; 0 given back, 348 given freely, 2600 still owed in redress.
        More was open at once than is remembered: ledger_overflow 3.
        ");
    }

    #[test]
    fn what_is_restricted_changes_no_word() {
        let mut view = scored(&[(Class::IntKept, 0.1)]);
        let before = explain(&view);
        view.loyalty.loyalty = Micros::new(990_000);
        view.reciprocity.trials = 40;
        view.reserve = Micros::default();
        assert_eq!(explain(&view), before);
    }
}
