//! The laws of the score: whatever the evidence, its times and the policy, these hold.
//!
//! One module an invariant, under its number. Numbers to reproduce are in `units.rs`; here nothing is known but the law. A failure
//! prints the least case that shows it.

use std::ops::Range;

use goodfaith::model::number::exp2;
use goodfaith::model::{
    Class, DAY_MS, Dimension, EventTime, Evidence, Micros, Policy, Sign, TrustPoint, TrustState,
};
use proptest::prelude::*;
use proptest::{array, collection, sample};
use serde_json::json;

/// What doubles may leave of an identity that is exact in the real numbers.
const ROUNDING: f64 = 1e-12;

/// Evidence may come this long after what had come before it.
const LATE_HORIZON_DAYS: i64 = 400;

/// Days after the start by which every [`history`] has ended.
const HISTORY_END_DAYS: i64 = 24 * 90 + LATE_HORIZON_DAYS;

/// The late horizon that follows a history: evidence from these days may come in any order.
const RECENT: Range<i64> = HISTORY_END_DAYS..HISTORY_END_DAYS + LATE_HORIZON_DAYS;

fn config() -> ProptestConfig {
    // 256 cases of each, or as many as PROPTEST_CASES says. The least failing one is printed in full, so no file of seeds is kept.
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

fn start() -> EventTime {
    EventTime::from_millis(0).plus_days(20_000)
}

/// The default policy, or one of any weights, half-lives, diagnosticities and prior.
fn policy() -> impl Strategy<Value = Policy> {
    let dimension = (0.05..1.0, 10.0..730.0, 1.0..4.0);
    let any = (array::uniform6(dimension), 10..=90, 0.5..8.0).prop_map(
        |(dimensions, base_rate_percent, prior_weight)| {
            let mut stated = serde_json::Map::new();
            for (dimension, (weight, days, lambda)) in Dimension::ALL.iter().zip(dimensions) {
                let numbers = json!({"weight": weight, "half_life_days": days, "lambda": lambda});
                stated.insert(dimension.as_str().to_owned(), numbers);
            }
            let text = json!({
                "dimensions": stated,
                "base_rate": f64::from(base_rate_percent) / 100.0,
                "prior_weight": prior_weight,
            });
            Policy::from_json(&text.to_string()).expect("every number is in its range")
        },
    );
    prop_oneof![Just(Policy::default()), any]
}

prop_compose! {
    /// Evidence of any kind that counts from one of `days` after the start.
    fn evidence(days: Range<i64>)(
        class in sample::select(Class::ALL),
        sign in sample::select(&[Sign::Positive, Sign::Negative]),
        weight in 0.05..8.0,
        ms in days.start * DAY_MS..days.end * DAY_MS,
    ) -> Evidence {
        Evidence { class, key: "k".into(), sign, weight, time: start().plus(ms) }
    }
}

/// Up to some years of evidence in the order it came, none later than the late horizon allows.
fn history() -> impl Strategy<Value = Vec<Evidence>> {
    let arrival = (evidence(0..LATE_HORIZON_DAYS), 0..90 * DAY_MS);
    collection::vec(arrival, 0..24).prop_map(|arrivals| {
        let mut passed_ms = 0;
        let arrive = |(evidence, wait_ms): (Evidence, i64)| {
            passed_ms += wait_ms;
            Evidence { time: evidence.time.plus(passed_ms), ..evidence }
        };
        arrivals.into_iter().map(arrive).collect()
    })
}

/// Time without evidence, in milliseconds: a day to some years.
fn silence_ms() -> Range<i64> {
    DAY_MS..2_000 * DAY_MS
}

/// The latest time of any evidence.
fn clock(history: &[Evidence]) -> EventTime {
    history.iter().map(|evidence| evidence.time).max().unwrap_or_else(start)
}

fn recorded<'a>(evidence: impl IntoIterator<Item = &'a Evidence>, policy: &Policy) -> TrustState {
    let mut state = TrustState::default();
    for evidence in evidence {
        state.record(evidence, policy);
    }
    state
}

/// All that can be read of a state. Two states that read the same need not be equal.
fn read_out(
    state: &TrustState,
    time: EventTime,
    policy: &Policy,
) -> (TrustPoint, Vec<(Class, f64)>) {
    let point = state.at(time, policy);
    let parts = state.parts(&point, policy);
    (point, parts)
}

/// Add then retract ⇒ identical read-out; merge(a, b) = merge(b, a); replay = live.
mod i3 {
    use super::*;

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn what_was_added_and_retracted_does_not_show(
            policy in policy(),
            older in history(),
            before in collection::vec(evidence(RECENT), 0..6),
            mistaken in collection::vec(evidence(RECENT), 1..6),
            after in collection::vec(evidence(RECENT), 0..6),
            silence_ms in silence_ms(),
        ) {
            let right = recorded(older.iter().chain(&before).chain(&after), &policy);
            let all = older.iter().chain(&before).chain(&mistaken).chain(&after);
            let mut corrected = recorded(all, &policy);
            for evidence in &mistaken {
                corrected.retract(evidence, &policy);
            }
            let now = start().plus_days(RECENT.end);
            for time in [now, now.plus(silence_ms)] {
                prop_assert_eq!(
                    read_out(&corrected, time, &policy),
                    read_out(&right, time, &policy)
                );
            }
        }

        #[test]
        fn it_does_not_show_which_of_two_states_was_merged_into_the_other(
            policy in policy(),
            left in history(),
            right in history(),
            silence_ms in silence_ms(),
        ) {
            let now = clock(&left).max(clock(&right));
            let (left, right) = (recorded(&left, &policy), recorded(&right, &policy));
            let (mut left_first, mut right_first) = (left.clone(), right.clone());
            left_first.merge(&right);
            right_first.merge(&left);
            for time in [now, now.plus(silence_ms)] {
                prop_assert_eq!(
                    read_out(&left_first, time, &policy),
                    read_out(&right_first, time, &policy)
                );
            }
        }

        #[test]
        fn a_replay_in_two_shards_merged_reads_as_the_live_state(
            policy in policy(),
            evidence in collection::vec((evidence(RECENT), any::<bool>()), 0..24),
        ) {
            let shard = |first| {
                let of_shard = evidence.iter().filter(move |(_, is_first)| *is_first == first);
                recorded(of_shard.map(|(evidence, _)| evidence), &policy)
            };
            let live = recorded(evidence.iter().map(|(evidence, _)| evidence), &policy);
            let mut replayed = shard(true);
            replayed.merge(&shard(false));
            let now = start().plus_days(RECENT.end);
            prop_assert_eq!(read_out(&replayed, now, &policy), read_out(&live, now, &policy));
        }
    }
}

/// T, E_d ∈ (0, 1); positive evidence never lowers T, negative never raises it.
mod i4 {
    use super::*;

    /// The most mass a state has room for, λ left out: 2^48 evidences of the greatest weight.
    const HEADROOM: f64 = 8.0 * (1_u64 << 48) as f64;

    fn is_inside(point: &TrustPoint) -> bool {
        point.expected.iter().chain([&point.score]).all(|x| 0.0 < *x && *x < 1.0)
    }

    fn mass() -> impl Strategy<Value = f64> {
        prop_oneof![Just(0.0), Just(HEADROOM), (-72.0..51.0).prop_map(exp2)]
    }

    /// How far T, and E of each dimension, went the way the sign of `evidence` points when it was recorded at `now`.
    fn advance(
        history: &[Evidence],
        evidence: &Evidence,
        now: EventTime,
        policy: &Policy,
    ) -> (f64, [f64; 6]) {
        let mut state = recorded(history, policy);
        let before = state.at(now, policy);
        state.record(evidence, policy);
        let after = state.at(now, policy);
        let way = if evidence.sign == Sign::Positive { 1.0 } else { -1.0 };
        let expected = std::array::from_fn(|d| way * (after.expected[d] - before.expected[d]));
        (way * (after.score - before.score), expected)
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn trust_and_every_expectation_lie_between_0_and_1(
            policy in policy(),
            history in history(),
            silence_ms in silence_ms(),
        ) {
            let state = recorded(&history, &policy);
            let now = clock(&history);
            prop_assert!(is_inside(&state.at(now, &policy)));
            prop_assert!(is_inside(&state.at(now.plus(silence_ms), &policy)));
        }

        #[test]
        fn even_the_most_evidence_a_state_has_room_for_leaves_them_inside(
            positive in array::uniform6(mass()),
            unweighted in array::uniform6(mass()),
        ) {
            let policy = Policy::default();
            let negative = std::array::from_fn(|d| unweighted[d] * policy.dimensions[d].lambda);
            prop_assert!(is_inside(&TrustPoint::new(start(), positive, negative, &policy)));
        }

        #[test]
        fn evidence_of_now_moves_trust_its_own_way_through_its_own_dimension(
            policy in policy(),
            history in history(),
            evidence in evidence(0..1),
        ) {
            let now = clock(&history);
            let evidence = Evidence { time: now, ..evidence };
            let (score, expected) = advance(&history, &evidence, now, &policy);
            prop_assert!(0.0 < score, "{score}");
            for dimension in Dimension::ALL.iter().copied() {
                let moved = expected[dimension as usize];
                if dimension == evidence.class.dimension() {
                    prop_assert!(0.0 < moved, "{moved}");
                } else {
                    prop_assert_eq!(moved, 0.0);
                }
            }
        }

        #[test]
        fn evidence_however_old_never_moves_trust_the_other_way(
            policy in policy(),
            history in history(),
            evidence in evidence(0..1),
            late_ms in 0..LATE_HORIZON_DAYS * DAY_MS,
        ) {
            let now = clock(&history);
            let evidence = Evidence { time: now.plus(-late_ms), ..evidence };
            let (score, expected) = advance(&history, &evidence, now, &policy);
            prop_assert!(-ROUNDING <= score, "{score}");
            prop_assert!(expected.iter().all(|moved| -ROUNDING <= *moved), "{expected:?}");
        }
    }
}

/// Silence moves every E_d monotonically toward a, and u_d toward 1.
mod i5 {
    use super::*;

    /// Closer than this to where silence leads, a step may be too short for doubles to show.
    const ARRIVED: f64 = 1e-9;

    /// `to` lies between `from` and `end`, and nearer the end than `from` does.
    fn moves_toward(end: f64, from: f64, to: f64) -> bool {
        let is_between = from.min(end) - ROUNDING <= to && to <= from.max(end) + ROUNDING;
        let (before, after) = ((from - end).abs(), (to - end).abs());
        is_between && (after < before || before < ARRIVED)
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn silence_moves_every_expectation_toward_the_base_rate_and_uncertainty_toward_1(
            policy in policy(),
            history in history(),
            silences_ms in collection::vec(DAY_MS..400 * DAY_MS, 1..8),
        ) {
            let state = recorded(&history, &policy);
            let mut before = state.at(clock(&history), &policy);
            for silence_ms in silences_ms {
                let after = state.at(before.time.plus(silence_ms), &policy);
                for dimension in Dimension::ALL.iter().copied() {
                    let read = |point: &TrustPoint| point.opinion(dimension, &policy);
                    let (from, to) = (read(&before), read(&after));
                    prop_assert!(
                        moves_toward(policy.base_rate, from.expected(), to.expected()),
                        "{from:?} to {to:?}"
                    );
                    prop_assert!(
                        moves_toward(1.0, from.uncertainty(), to.uncertainty()),
                        "{from:?} to {to:?}"
                    );
                }
                before = after;
            }
        }

        #[test]
        fn in_the_end_silence_leaves_only_the_base_rate(
            policy in policy(),
            history in history(),
        ) {
            let state = recorded(&history, &policy);
            for dimension in Dimension::ALL.iter().copied() {
                let half_life_ms = policy.dimension(dimension).half_life_ms;
                let end = state.at(clock(&history).plus(64 * half_life_ms), &policy);
                let opinion = end.opinion(dimension, &policy);
                prop_assert!((opinion.expected() - policy.base_rate).abs() <= ROUNDING);
                prop_assert!(1.0 - opinion.uncertainty() <= ROUNDING);
            }
        }
    }
}

/// Σ contributions = T − T₀ and ΔT = Σ change, to 1e-12 before rounding and exactly after.
mod i6 {
    use goodfaith::model::explain::{self, change, logarithmic_mean};
    use goodfaith::model::number::ln;

    use super::*;

    fn apportion(terms: &[f64], total: Micros) -> Vec<Micros> {
        let mut published = vec![Micros::default(); terms.len()];
        explain::apportion(terms.iter().copied().zip(&mut published), total);
        published
    }

    fn total(published: &[Micros]) -> i64 {
        published.iter().map(|term| term.millionths()).sum()
    }

    /// The eight terms of a change, unrounded, by the formula they are published by.
    fn change_terms(
        previous: Micros,
        at_end_of_previous_step: f64,
        before: &TrustPoint,
        after: &TrustPoint,
        policy: &Policy,
    ) -> Vec<f64> {
        let mean = logarithmic_mean(after.score, before.score);
        let of_dimension = |d: usize| {
            mean * policy.dimensions[d].weight * ln(after.expected[d] / before.expected[d])
        };
        let (earlier, decay) =
            (at_end_of_previous_step - previous.to_f64(), before.score - at_end_of_previous_step);
        [earlier, decay].into_iter().chain((0..6).map(of_dimension)).collect()
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn contributions_add_up_to_trust_less_its_start(
            policy in policy(),
            history in history(),
            retracted in any::<sample::Index>(),
            silence_ms in silence_ms(),
        ) {
            let mut state = recorded(&history, &policy);
            if !history.is_empty() {
                state.retract(retracted.get(&history), &policy);
            }
            let now = clock(&history);
            for time in [now, now.plus(silence_ms)] {
                let (point, parts) = read_out(&state, time, &policy);
                let sum: f64 = parts.iter().map(|(_, points)| points).sum();
                let difference = sum - (point.score - policy.base_rate);
                prop_assert!(difference.abs() <= ROUNDING, "{difference}");

                let reading = point.reading(&parts, &policy);
                let published: Vec<Micros> =
                    reading.parts.iter().map(|(_, points)| *points).collect();
                let at_rest = Micros::round(policy.base_rate).millionths();
                prop_assert_eq!(total(&published), reading.score.millionths() - at_rest);
            }
        }

        #[test]
        fn a_change_adds_up_from_the_last_published_trust_to_this_one(
            policy in policy(),
            (history, published) in history().prop_flat_map(|history| {
                let published = 0..=history.len();
                (Just(history), published)
            }),
            retracted in any::<sample::Index>(),
            recorded_now in collection::vec(evidence(RECENT), 0..4),
        ) {
            // T was published when only the first of the history had come; the rest came in steps that published nothing.
            let first = &history[..published];
            let previous = Micros::round(recorded(first, &policy).at(clock(first), &policy).score);
            let mut state = recorded(&history, &policy);
            let at_end_of_previous_step = state.at(clock(&history), &policy).score;
            let now = start().plus_days(RECENT.end);
            let before = state.at(now, &policy);
            for evidence in &recorded_now {
                state.record(evidence, &policy);
            }
            if !history.is_empty() {
                state.retract(retracted.get(&history), &policy);
            }
            let after = state.at(now, &policy);

            let terms =
                change_terms(previous, at_end_of_previous_step, &before, &after, &policy);
            let difference = terms.iter().sum::<f64>() - (after.score - previous.to_f64());
            prop_assert!(difference.abs() <= ROUNDING, "{difference}");

            let moved = Micros::round(after.score).millionths() - previous.millionths();
            let change = change(previous, at_end_of_previous_step, &before, &after, &policy);
            prop_assert_eq!(total(&change), moved);
            prop_assert_eq!(change.to_vec(), apportion(&terms, Micros::new(moved)));
        }

        #[test]
        fn apportioned_terms_add_up_and_only_the_largest_strays_from_its_rounding(
            terms in collection::vec(-1.0..1.0, 1..46),
        ) {
            let sum = Micros::round(terms.iter().sum());
            let published = apportion(&terms, sum);
            prop_assert_eq!(total(&published), sum.millionths());

            let largest = terms.iter().map(|term: &f64| term.abs()).fold(0.0, f64::max);
            for (published, term) in published.iter().zip(&terms) {
                let strayed = published.millionths() - Micros::round(*term).millionths();
                // Each term, and the sum, rounds by half a millionth at most.
                let most = if term.abs() < largest { 0 } else { terms.len().div_ceil(2) };
                prop_assert!(strayed.unsigned_abs() as usize <= most, "{term} {published}");
            }
        }
    }
}

/// A failure of weight w with same-dimension credits c ≤ .75w lowers E_d whenever E_d > c/(c + λw).
mod i7 {
    use std::ops::RangeInclusive;

    use super::*;

    /// Failures, and what is credited for mending them in the same dimension.
    const MENDED: [(Class, Class); 4] = [
        (Class::ComFail, Class::ComCreditRemedy),
        (Class::IntBroken, Class::IntCreditRemedy),
        (Class::FaiSqueeze, Class::FaiRedress),
        (Class::CarUpheld, Class::CarApology),
    ];

    /// The most credit a failure of weight 1 can earn.
    const MOST_CREDIT: f64 = 0.75;

    /// Nearer the threshold than this, the rounding of masses decides.
    const UNDECIDED: f64 = 1e-6;

    fn evidence_of(class: Class, sign: Sign, weight: f64, time: EventTime) -> Evidence {
        Evidence { class, key: "k".into(), sign, weight, time }
    }

    /// A failure, and the credits for mending it in the same dimension.
    #[derive(Debug)]
    struct MendedFailure {
        failure: Class,
        credit: Class,
        /// w.
        weight: f64,
        /// c.
        credited: f64,
        /// How long after the failure the credits come.
        late_ms: i64,
    }

    prop_compose! {
        fn mended_failure(late_ms: RangeInclusive<i64>)(
            (failure, credit) in sample::select(&MENDED),
            weight in 0.05..8.0,
            credited_share in 0.0..=MOST_CREDIT,
            late_ms in late_ms,
        ) -> MendedFailure {
            MendedFailure { failure, credit, weight, credited: credited_share * weight, late_ms }
        }
    }

    impl MendedFailure {
        /// c/(c + λw), by what the two weigh when the credits come.
        fn threshold(&self, policy: &Policy) -> f64 {
            let dimension = policy.dimension(self.failure.dimension());
            let decay = exp2(-(self.late_ms as f64) / dimension.half_life_ms as f64);
            self.credited / (self.credited + dimension.lambda * self.weight * decay)
        }

        /// E of the dimension when the credits come: without the failure and with it, if it follows on `history`.
        fn expected(&self, history: &[Evidence], policy: &Policy) -> [f64; 2] {
            let failed_at = clock(history);
            let credited_at = failed_at.plus(self.late_ms);
            let failure = evidence_of(self.failure, Sign::Negative, self.weight, failed_at);
            let credit = evidence_of(self.credit, Sign::Positive, self.credited, credited_at);
            let without = recorded(history, policy);
            let with = recorded(history.iter().chain([&failure, &credit]), policy);
            let d = self.failure.dimension() as usize;
            [without, with].map(|state| state.at(credited_at, policy).expected[d])
        }

        /// It lowers E above the threshold, and only there.
        fn check(&self, history: &[Evidence], policy: &Policy) -> Result<(), TestCaseError> {
            let ([without, with], threshold) =
                (self.expected(history, policy), self.threshold(policy));
            prop_assume!(UNDECIDED < (without - threshold).abs());
            prop_assert_eq!(with < without, threshold < without, "{} to {}", without, with);
            Ok(())
        }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn a_mended_failure_lowers_expectation_above_the_threshold_and_only_there(
            policy in policy(),
            history in history(),
            mended in mended_failure(0..=0),
        ) {
            mended.check(&history, &policy)?;
        }

        #[test]
        fn credits_that_come_later_count_against_what_the_failure_still_weighs(
            policy in policy(),
            history in history(),
            mended in mended_failure(0..=7 * DAY_MS),
        ) {
            mended.check(&history, &policy)?;
        }
    }

    #[test]
    fn at_the_default_thresholds_the_most_credit_just_makes_up_for_a_failure() {
        let policy = Policy::default();
        let thresholds = [333_333, 272_727, 230_769].map(Micros::new);
        for ((failure, credit), threshold) in MENDED.into_iter().zip(thresholds) {
            let lambda = policy.dimension(failure.dimension()).lambda;
            // Mass against alone brings E = 1/(s + 2) down to the threshold.
            let weight = (1.0 + lambda / MOST_CREDIT - 2.0) / lambda;
            let history = [evidence_of(failure, Sign::Negative, weight, start())];
            let mended =
                MendedFailure { failure, credit, weight: 1.0, credited: MOST_CREDIT, late_ms: 0 };
            let [without, with] = mended.expected(&history, &policy);
            let published = [mended.threshold(&policy), without, with].map(Micros::round);
            assert_eq!(published, [threshold; 3], "{failure}");
        }
    }
}
