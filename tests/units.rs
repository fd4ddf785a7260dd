//! The function-level golden vectors: every case of `vectors/units.json`, one test a section.
//!
//! Decimals to 1e-9, integers and texts exactly, but a mantissa may differ by 1. Scenarios are in `vectors.rs`.

#![expect(clippy::unwrap_used, reason = "a malformed vector should fail its test")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

static UNITS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("vectors/units.json")).expect("the vectors are JSON")
});

/// Makes one test of each section, which checks all its cases by the function of that name in `check`.
macro_rules! sections {
    ($($section:ident)+) => {
        const COVERED: &[&str] = &[$(stringify!($section)),+];

        $(#[test]
        fn $section() {
            let cases = cases(stringify!($section));
            assert!(!cases.is_empty(), "a section without cases shows nothing");
            for case in cases {
                check::$section(case);
            }
        })+
    };
}

sections! {
    accumulator amara apportion at_least band business_days consistency digamma duration fusion g_factor ids incomplete_beta
    lateness lmdi mantissa merge monthly months_billed opinion paulson pow2 reciprocity reserve severity shrunk sigma time weight
}

#[test]
fn no_section_is_forgotten() {
    let left_over: Vec<&String> =
        UNITS.keys().filter(|name| !COVERED.contains(&name.as_str())).collect();
    assert_eq!(left_over, Vec::<&String>::new());
}

/// The cases of a section, in order: what is no list is one case.
fn cases(section: &str) -> &'static [Value] {
    match &UNITS[section] {
        Value::Array(cases) => cases,
        case => std::slice::from_ref(case),
    }
}

mod check {
    use std::collections::{BTreeMap, BTreeSet};

    use goodfaith::engine::{Breach, Output, OutputBody};
    use goodfaith::model::event::{Attested, Cause};
    use goodfaith::model::squeeze::{self, SqueezeType};
    use goodfaith::model::*;
    use serde_json::Value;

    fn near(actual: f64, expected: &Value, case: &Value) {
        let expected =
            expected.as_f64().unwrap_or_else(|| panic!("{expected} is no number: {case}"));
        assert!((actual - expected).abs() <= 1e-9, "{actual} is not {expected}: {case}");
    }

    fn float(value: &Value) -> f64 {
        value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
    }

    fn int(value: &Value) -> i64 {
        value.as_i64().unwrap_or_else(|| panic!("{value} is no integer"))
    }

    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
    }

    /// A decimal of at most six places.
    fn micros(value: &Value) -> Micros {
        Micros::round(float(value))
    }

    fn six(value: &Value) -> [f64; 6] {
        std::array::from_fn(|d| float(&value[d]))
    }

    fn time_ms(value: &Value) -> EventTime {
        EventTime::from_millis(int(value))
    }

    fn instant(value: &Value) -> EventTime {
        EventTime::parse(text(value)).unwrap_or_else(|| panic!("{value} is no time"))
    }

    fn pounds(minor: &Value) -> Option<Money> {
        minor.as_i64().map(|minor| Money::new(minor, Currency::new("GBP").unwrap()))
    }

    fn policy_with_scale(scale: &Value) -> Policy {
        Policy::from_json(&format!(r#"{{"money": {{"currency_scale": {{"GBP": {scale}}}}}}}"#))
            .unwrap()
    }

    pub(super) fn shrunk(case: &Value) {
        let [r, s, parent] = ["r", "s", "parent"].map(|name| float(&case[name]));
        near(organisation::shrunk(r, s, parent, 20.0), &case["value"], case);
    }

    pub(super) fn consistency(case: &Value) {
        let groups = case["groups"].as_array().unwrap();
        let group = |group: &Value| {
            let (r, s) = (float(&group[0]), float(&group[1]));
            (r + s, r / (r + s))
        };
        let groups: Vec<(f64, f64)> = groups.iter().map(group).collect();
        let found = organisation::consistency(&groups).unwrap();
        near(found.mean, &case["mean"], case);
        near(found.q, &case["q"], case);
        near(found.tau2, &case["tau2"], case);
        near(found.icc, &case["icc"], case);
        near(found.consistency(), &case["consistency"], case);
    }

    pub(super) fn sigma(case: &Value) {
        let policy = policy_with_scale(&case["scale"]);
        near(weight::sigma(pounds(&case["minor"]), &policy), &case["sigma"], case);
    }

    pub(super) fn weight(case: &Value) {
        let policy = Policy::default();
        let eta = policy.eta(Attested::from_word(text(&case["attested_by"])).unwrap());
        let alpha = policy.alpha(Cause::from_word(text(&case["cause"])).unwrap());
        let severity = case["severity"]
            .as_u64()
            .map_or(1.0, |severity| policy.failure.weight(u8::try_from(severity).unwrap()));
        let modifiers = eta * alpha * severity;
        let (base, money) = (float(&case["base"]), pounds(&case["minor"]));
        near(weight::evidence_weight(base, money, &policy, modifiers), &case["w"], case);
    }

    pub(super) fn pow2(case: &Value) {
        let exponent = float(&case["numerator"]) / float(&case["denominator"]);
        let expected: f64 = text(&case["value"]).parse().unwrap();
        let actual = number::exp2(exponent);
        assert!((actual / expected - 1.0).abs() <= 2.0 * f64::EPSILON, "{actual}: {case}");
    }

    pub(super) fn mantissa(case: &Value) {
        let half_life_ms = int(&case["half_life_ms"]);
        let (epoch, mantissa) =
            decay::mantissa(float(&case["weight"]), time_ms(&case["time_ms"]), half_life_ms);
        assert_eq!(epoch, int(&case["epoch"]), "{case}");
        assert!((mantissa - i128::from(int(&case["mantissa"]))).abs() <= 1, "{mantissa}: {case}");
    }

    /// A sum as written: an epoch (null if nothing was added) and a whole number as text.
    fn sum(case: &Value) -> Accumulator {
        Accumulator::new(case["epoch"].as_i64().unwrap_or(0), text(&case["a"]).parse().unwrap())
    }

    pub(super) fn accumulator(case: &Value) {
        let half_life_ms = int(&case["half_life_ms"]);
        let mut accumulator = Accumulator::default();
        for add in case["adds"].as_array().unwrap() {
            let epoch = int(&add["time_ms"]).div_euclid(half_life_ms);
            accumulator.add_mantissa(epoch, int(&add["mantissa"]).into());
            assert_eq!(accumulator, sum(add), "{add}");
        }
        for read in case["reads"].as_array().unwrap() {
            near(accumulator.mass(time_ms(&read["time_ms"]), half_life_ms), &read["mass"], read);
        }
    }

    pub(super) fn merge(case: &Value) {
        let (mut left, mut right) = (sum(&case["left"]), sum(&case["right"]));
        let unmerged = left;
        left.merge(&right);
        right.merge(&unmerged);
        assert_eq!((left, right), (sum(&case["merged"]), sum(&case["merged"])), "{case}");
    }

    pub(super) fn opinion(case: &Value) {
        let opinion = Opinion::new(float(&case["r"]), float(&case["s"]), 0.5, 2.0);
        for (name, actual) in [
            ("b", opinion.belief()),
            ("d", opinion.disbelief()),
            ("u", opinion.uncertainty()),
            ("E", opinion.expected()),
            ("alpha", opinion.alpha()),
            ("beta", opinion.beta()),
            ("variance", opinion.variance()),
        ] {
            near(actual, &case[name], case);
        }
    }

    pub(super) fn paulson(case: &Value) {
        let [low, high] = interval::beta_interval(float(&case["alpha"]), float(&case["beta"]));
        near(low, &case["low"], case);
        near(high, &case["high"], case);
    }

    pub(super) fn incomplete_beta(case: &Value) {
        let (x, alpha, beta) = (float(&case["x"]), float(&case["alpha"]), float(&case["beta"]));
        near(interval::incomplete_beta(x, alpha, beta), &case["value"], case);
    }

    pub(super) fn digamma(case: &Value) {
        let x = float(&case["x"]);
        near(interval::digamma(x), &case["psi"], case);
        near(interval::trigamma(x), &case["psi1"], case);
    }

    pub(super) fn fusion(case: &Value) {
        let policy = Policy::default();
        let point =
            TrustPoint::new(EventTime::default(), six(&case["r"]), six(&case["s"]), &policy);
        let (mu, variance) = point.log_moments(&policy);
        near(mu, &case["mu"], case);
        near(variance.sqrt(), &case["sqrt_v"], case);
        fused(&point, case, &policy);
    }

    /// T and what is read from all dimensions together.
    fn fused(point: &TrustPoint, case: &Value, policy: &Policy) {
        let ([low, high], [things_right, right_thing, _]) =
            (point.interval(policy), point.triad(policy));
        near(point.score, &case["score"], case);
        near(low, &case["interval"][0], case);
        near(high, &case["interval"][1], case);
        near(point.uncertainty(policy), &case["uncertainty"], case);
        near(things_right, &case["things_right"], case);
        near(right_thing, &case["right_thing"], case);
    }

    pub(super) fn amara(case: &Value) {
        let policy = Policy::default();
        let mut state = TrustState::default();
        for evidence in case["evidence"].as_array().unwrap() {
            state.record(&evidence_of(evidence), &policy);
        }
        let point = state.at(instant(&case["read_at"]), &policy);
        fused(&point, case, &policy);
        for dimension in Dimension::ALL.iter().copied() {
            let expected = &case["dimensions"][dimension.as_str()];
            let opinion = point.opinion(dimension, &policy);
            let [low, high] = opinion.interval();
            near(point.positive[dimension as usize], &expected["r"], expected);
            near(point.negative[dimension as usize], &expected["s"], expected);
            near(opinion.expected(), &expected["E"], expected);
            near(opinion.uncertainty(), &expected["u"], expected);
            near(low, &expected["low"], expected);
            near(high, &expected["high"], expected);
            let sums = &case["accumulators"][dimension.as_str()];
            assert_eq!(state.accumulator(dimension, Sign::Positive), sum(&sums["positive"]));
            assert_eq!(state.accumulator(dimension, Sign::Negative), sum(&sums["negative"]));
        }
        amara_parts(&state, &point, case, &policy);
    }

    fn amara_parts(state: &TrustState, point: &TrustPoint, case: &Value, policy: &Policy) {
        let parts = state.parts(point, policy);
        let exact = case["parts_exact"].as_object().unwrap();
        assert!(parts.iter().map(|(class, _)| class.as_str()).eq(exact.keys()));
        for (class, points) in &parts {
            near(*points, &exact[class.as_str()], case);
        }
        let published: BTreeMap<&str, Micros> = point
            .reading(&parts, policy)
            .parts
            .into_iter()
            .map(|(class, points)| (class.as_str(), points))
            .collect();
        let expected = case["parts_published"].as_object().unwrap();
        assert!(published.into_iter().eq(expected.iter().map(|(k, v)| (k.as_str(), micros(v)))));
    }

    fn evidence_of(value: &Value) -> Evidence {
        Evidence {
            class: Class::from_word(text(&value["class"])).unwrap(),
            key: "k".into(),
            sign: if text(&value["sign"]) == "+" { Sign::Positive } else { Sign::Negative },
            weight: float(&value["weight"]),
            time: instant(&value["time"]),
        }
    }

    pub(super) fn lmdi(case: &Value) {
        let mean = explain::logarithmic_mean(float(&case["x"]), float(&case["y"]));
        near(mean, &case["logarithmic_mean"], case);
    }

    pub(super) fn g_factor(case: &Value) {
        let g = explain::g_factor(float(&case["expected"]), float(&case["base_rate"]));
        near(g, &case["g"], case);
    }

    pub(super) fn apportion(case: &Value) {
        let terms: Vec<f64> = case["terms"].as_array().unwrap().iter().map(float).collect();
        let expected: Vec<Micros> =
            case["published"].as_array().unwrap().iter().map(micros).collect();
        let mut published = vec![Micros::default(); terms.len()];
        explain::apportion(terms.into_iter().zip(&mut published), micros(&case["total"]));
        assert_eq!(published, expected, "{case}");
    }

    pub(super) fn band(case: &Value) {
        let current = case["current"].as_str().map(|word| Band::from_word(word).unwrap());
        let band = Band::next(
            current,
            micros(&case["score"]),
            micros(&case["mass"]),
            &Policy::default().bands,
        );
        assert_eq!(band.as_str(), text(&case["band"]), "{case}");
    }

    pub(super) fn reserve(case: &Value) {
        let (r, s) = (float(&case["alpha"]) - 1.0, float(&case["beta"]) - 1.0);
        let opinion = Opinion::new(r, s, 0.5, 2.0);
        let reserve = opinion.reserve(float(&case["theta"]), float(&case["delta"]));
        near(reserve, &case["reserve"], case);
    }

    pub(super) fn lateness(case: &Value) {
        let told = case["told"].as_bool().unwrap();
        let (horizon_ms, late_ms) = (int(&case["horizon_ms"]), int(&case["late_ms"]));
        near(
            lateness::lateness_share(horizon_ms, late_ms, told, &Policy::default().promise),
            &case["q"],
            case,
        );
    }

    pub(super) fn severity(case: &Value) {
        let severity = squeeze::severity(
            float(&case["excess_monthly"]),
            case["bill"].as_i64(),
            int(&case["accrued"]),
            float(&case["kappa"]),
            float(&case["v"]),
            float(&case["k"]),
            float(&case["scale"]),
            &Policy::default(),
        );
        near(severity.u, &case["u"], case);
        near(severity.value, &case["severity"], case);
        assert_eq!(severity.level.as_str(), text(&case["level"]), "{case}");
    }

    pub(super) fn monthly(case: &Value) {
        let period = Period::parse(text(&case["period"])).unwrap();
        assert_eq!(monthly_price(int(&case["minor"]), period, 0), int(&case["monthly"]), "{case}");
    }

    pub(super) fn months_billed(case: &Value) {
        let day = |value: &Value| EventTime::parse_date(text(value)).unwrap();
        let (numerator, denominator) =
            goodfaith::model::months_billed(day(&case["start"]), day(&case["end"]));
        assert_eq!(format!("{numerator}/{denominator}"), text(&case["months"]), "{case}");
    }

    pub(super) fn business_days(case: &Value) {
        let days = i32::try_from(int(&case["days"])).unwrap();
        let result = instant(&case["time"]).plus_business_days(days, &[]);
        assert_eq!(result.to_string(), text(&case["result"]), "{case}");
    }

    pub(super) fn at_least(case: &Value) {
        let (q, p) = (attributes(&case["q"]), attributes(&case["p"]));
        assert_eq!(goodfaith::model::at_least(&q, &p), case["result"].as_bool().unwrap(), "{case}");
    }

    fn attributes(value: &Value) -> BTreeMap<Text, Attribute> {
        let attribute = |(name, typed): (&String, &Value)| {
            (name.as_str().into(), attribute(text(&typed["kind"]), &typed["value"]))
        };
        value.as_object().unwrap().iter().map(attribute).collect()
    }

    fn attribute(kind: &str, value: &Value) -> Attribute {
        match kind {
            "max" => Attribute::Max(value.as_f64()),
            "min" => Attribute::Min(value.as_f64()),
            "ord" => Attribute::Ord(u16::try_from(int(value)).unwrap()),
            "set" => {
                let members = value.as_array().unwrap().iter();
                Attribute::Set(members.map(|member| text(member).into()).collect::<BTreeSet<_>>())
            }
            _ => panic!("{kind} is no kind of attribute"),
        }
    }

    pub(super) fn reciprocity(case: &Value) {
        let (purchases, tenure_ms) =
            (float(&case["purchases"]), int(&case["tenure_days"]) * DAY_MS);
        let policy = Policy::default().reciprocity;
        near(reciprocity::exposure_days(tenure_ms, &policy), &case["exposure"], case);
        near(reciprocity::rate_per_day(purchases, tenure_ms, &policy), &case["rate"], case);
        near(reciprocity::baseline(purchases, tenure_ms, &policy), &case["baseline"], case);
    }

    pub(super) fn time(case: &Value) {
        assert_eq!(instant(&case["text"]), time_ms(&case["ms"]), "{case}");
    }

    pub(super) fn duration(case: &Value) {
        assert_eq!(parse_duration_ms(text(&case["text"])), case["ms"].as_i64(), "{case}");
    }

    /// Three kinds of id share the section: of an evidence, of an output, and of a squeeze.
    pub(super) fn ids(case: &Value) {
        if let Some(expected) = case["evidence_id"].as_str() {
            let class = Class::from_word(text(&case["class"])).unwrap();
            assert_eq!(EvidenceId::new(class, text(&case["key"])).to_string(), expected);
        } else if let Some(expected) = case["dedup_key"].as_str() {
            let of_type = |squeeze: &&SqueezeType| squeeze.code() == text(&case["type"]);
            let squeeze = *SqueezeType::ALL.iter().find(of_type).unwrap();
            let subscription = Some(text(&case["subscription"])).filter(|id| *id != "-");
            let (customer, subject) = (text(&case["customer"]), text(&case["subject"]));
            assert_eq!(&*squeeze::dedup_key(squeeze, customer, subscription, subject), expected);
        } else {
            let breach = breach(case);
            assert_eq!(breach.kind(), text(&case["kind"]));
            assert_eq!(breach.id(), text(&case["id"]));
        }
    }

    /// A breach of the promise the case's key names: of its fields, only that one and the envelope enter the id.
    fn breach(case: &Value) -> Output {
        let time = instant(&case["time"]);
        let breach = Breach {
            promise_id: text(&case["key"]).into(),
            kind: "general".into(),
            made_at: time,
            due_at: time,
            outcome: PromiseOutcome::Broken,
            presumed: true,
            stake: None,
        };
        Output {
            customer: text(&case["customer"]).into(),
            time,
            sequence: text(&case["sequence"]).parse().unwrap(),
            causation_id: None,
            trace: None,
            body: OutputBody::Breach(Box::new(breach)),
        }
    }
}
