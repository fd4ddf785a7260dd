//! What a replay published, counted for people.

use std::collections::BTreeMap;
use std::fmt;

use crate::engine::{Action, Effect, OutputBody, Reason, SqueezeAlert, SqueezeChange};
use crate::model::PromiseOutcome;
use crate::model::squeeze::SqueezeType;

/// Outputs by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// `trust.score_changed`.
    pub score_changes: u64,
    /// `promise.breach_detected`.
    pub breaches: u64,
    /// `promise.breach_withdrawn`.
    pub breaches_withdrawn: u64,
    /// `squeeze.*` by type.
    pub squeezes: BTreeMap<SqueezeType, SqueezeTally>,
    /// Alerts of any other kind, by kind.
    pub other_alerts: BTreeMap<&'static str, u64>,
    /// Dead letters by reason.
    pub dead_letters: BTreeMap<Reason, u64>,
}

/// Alerts of one squeeze type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SqueezeTally {
    /// Opened or reopened.
    pub opened: u64,
    /// Grown.
    pub escalated: u64,
    /// The rule no longer holds.
    pub stopped: u64,
    /// Made good.
    pub resolved: u64,
}

impl Tally {
    /// Counts `effect`.
    pub fn count(&mut self, effect: &Effect) {
        let output = match &effect.action {
            Action::Publish(output) => output,
            Action::PublishPart(_) | Action::ForgetSqueeze(_) => return,
            Action::DeadLetter(rejection) => {
                *self.dead_letters.entry(rejection.reason).or_default() += 1;
                return;
            }
        };
        match &output.body {
            OutputBody::ScoreChanged(_) => self.score_changes += 1,
            OutputBody::Breach(breach) if breach.outcome == PromiseOutcome::Broken => {
                self.breaches += 1;
            }
            OutputBody::Breach(_) => self.breaches_withdrawn += 1,
            OutputBody::Squeeze(alert) => self.count_squeeze(alert),
            OutputBody::TrustDepleted { .. }
            | OutputBody::PerceptionGap { .. }
            | OutputBody::SavingsIdentified { .. } => {
                *self.other_alerts.entry(output.kind()).or_default() += 1;
            }
            // Restricted, audit, or counted by the summary: not for this overview.
            OutputBody::CustomerErased { .. }
            | OutputBody::LoyaltyChanged { .. }
            | OutputBody::ReciprocityObserved { .. }
            | OutputBody::EvidenceRecorded(_)
            | OutputBody::EvidenceRetracted(_) => {}
        }
    }

    fn count_squeeze(&mut self, alert: &SqueezeAlert) {
        let tally = self.squeezes.entry(alert.kind).or_default();
        match alert.change {
            SqueezeChange::Opened | SqueezeChange::Reopened => tally.opened += 1,
            SqueezeChange::Escalated => tally.escalated += 1,
            SqueezeChange::Stopped => tally.stopped += 1,
            SqueezeChange::Resolved => tally.resolved += 1,
            SqueezeChange::Suppressed => {}
        }
    }
}

impl fmt::Display for Tally {
    /// A table of several lines, without colour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<34}{:>9}", "score changes", self.score_changes)?;
        let breaches = format!("({} withdrawn)", self.breaches_withdrawn);
        writeln!(f, "  {:<34}{:>9}  {breaches}", "promise breaches", self.breaches)?;
        for (kind, count) in &self.other_alerts {
            writeln!(f, "  {kind:<34}{count:>9}")?;
        }
        if !self.squeezes.is_empty() {
            let columns = ["opened", "escalated", "stopped", "resolved"];
            let [opened, escalated, stopped, resolved] = columns;
            writeln!(
                f,
                "  {:<34}{opened:>9}{escalated:>11}{stopped:>9}{resolved:>10}",
                "squeezes"
            )?;
        }
        for (kind, tally) in &self.squeezes {
            let name = format!("{} {}", kind.code(), kind.name());
            let SqueezeTally { opened, escalated, stopped, resolved } = tally;
            writeln!(f, "    {name:<32}{opened:>9}{escalated:>11}{stopped:>9}{resolved:>10}")?;
        }
        let dead_letters: u64 = self.dead_letters.values().sum();
        writeln!(f, "  {:<34}{dead_letters:>9}", "dead letters")?;
        for (reason, count) in &self.dead_letters {
            writeln!(f, "    {:<32}{count:>9}", reason.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Rejection, SourcePosition};

    #[test]
    fn the_table_shows_what_was_counted() {
        let mut tally = Tally { score_changes: 1234, breaches: 5, ..Tally::default() };
        let stopped = SqueezeTally { opened: 3, escalated: 2, stopped: 1, resolved: 0 };
        tally.squeezes.insert(SqueezeType::S01, stopped);
        let rejection =
            Rejection { reason: Reason::BadData, detail: None, id: None, subject: None };
        let action = Action::DeadLetter(Box::new(rejection));
        tally.count(&Effect { source: SourcePosition::default(), action });
        insta::assert_snapshot!(tally.to_string(), @r"
        score changes                          1234
        promise breaches                          5  (0 withdrawn)
        squeezes                             opened  escalated  stopped  resolved
          S01 legacy_overpricing                  3          2        1         0
        dead letters                              1
          bad_data                                1
        ");
    }
}
