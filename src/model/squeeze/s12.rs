//! S12, auto-renewal without notice: renewed in silence, and dearer.
//!
//! Rests on: notice windows of UK telecom and California; the FCA's opt-out.

use super::{Finding, SqueezeType, s02};
use crate::model::Money;
use crate::model::event::Renewal;
use crate::model::step::Step;
use crate::model::subscription::Subscription;

/// Holds for a passive renewal without notice in its window whose month costs more than before. `before` is the record's price.
pub fn judge(
    step: &Step<'_>,
    subscription: &Subscription,
    renewal: &Renewal,
    before: Money,
) -> Option<Finding> {
    let monthly = s02::monthly(renewal);
    let is_dearer = before.currency == renewal.price.currency && before.minor < monthly;
    if !is_dearer || subscription.was_renewal_noticed(step) {
        return None;
    }
    let rise = Money::new(monthly - before.minor, before.currency);
    let subject = renewal.renewal_id.clone();
    let finding = Finding::one_off(SqueezeType::S12, subject.clone(), rise, subject);
    Some(Finding {
        excess_monthly: rise.minor as f64,
        added: rise.minor * i64::from(renewal.term_months),
        ..finding.on(Some((subscription.id.clone(), monthly)))
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::model::story::{changed, squeezes, with};

    /// Renewed in silence at 5.00 a month more.
    const SILENT: &str = "
        2025-01-01 start home basic 25.00 term=2026-01-01
        2026-01-01 renew home r1 360.00";

    #[test]
    fn a_dearer_renewal_in_silence_takes_the_rise_of_the_whole_term() {
        assert_snapshot!(squeezes(SILENT), @"2026-01-01 opened S12:home:r1: 5.00 a month, 60.00 accrued, major");
        for (from, to) in [
            ("r1 360.00", "r1 360.00 active"),
            ("r1 360.00", "r1 300.00"),
            ("r1 360.00", "r1 360.00USD"),
        ] {
            assert_eq!(squeezes(&changed(SILENT, from, to)), "", "{to}");
        }
    }

    #[test]
    fn a_notice_that_states_the_price_in_its_window_keeps_it_quiet() {
        let told = |words: &str| squeezes(&with(SILENT, &format!("{words} sub=home")));
        for quiet in ["2025-11-17 notice renewal priced", "2025-12-22 notice renewal priced"] {
            assert_eq!(told(quiet), "", "{quiet}");
        }
        for loud in [
            "2025-11-16T23:59 notice renewal priced",
            "2025-12-22T00:01 notice renewal priced",
            "2025-12-01 notice renewal",
            "2025-12-01 notice end_of_term priced",
        ] {
            assert_ne!(told(loud), "", "{loud}");
        }
    }

    #[test]
    fn a_price_walk_goes_before_it() {
        let walked = squeezes(&changed(SILENT, "r1 360.00", "r1 360.00 enbp=300.00"));
        assert!(walked.contains("S02") && !walked.contains("S12"), "{walked}");
        assert_eq!(
            squeezes(&changed(SILENT, "r1 360.00", "r1 360.00 enbp=359.00")),
            squeezes(SILENT)
        );
    }
}
