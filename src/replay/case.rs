//! Cases written beside the rules of a policy: a short history, and what must come of it. They run through the same engine as
//! everything else, and are no part of the policy.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use super::{Options, Replay};
use crate::engine::{Action, Effect, OutputBody};
use crate::model::nearest::hint;
use crate::model::policy::{Document, Node, NodeValue, Place, PolicyError, PolicyProblem};
use crate::model::{EventTime, Policy};

/// How far a score may be from the one expected, unless the case says.
const TOLERANCE: f64 = 0.005;
/// The keys of a case.
const KEYS: [&str; 10] = [
    "name",
    "events",
    "events_file",
    "reference",
    "reference_file",
    "until",
    "customer",
    "alerts",
    "score",
    "tolerance",
];
/// The keys of an expected alert.
const ALERT_KEYS: [&str; 3] = ["type", "subject", "state"];

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Where it begins.
    pub place: Place,
    /// What it shows.
    pub name: String,
    /// Reference events, then events.
    lines: Vec<Lines>,
    until: Option<EventTime>,
    /// Whose score; of all customers, where there is one only.
    customer: Option<String>,
    /// Every squeeze said, by its last word; `None`: not looked at.
    alerts: Option<Vec<(Place, Alert)>>,
    /// Score, and how far from it is near enough.
    score: Option<(Place, f64, f64)>,
}

/// Events of a case: where they stand, and their text.
#[derive(Debug, Clone, PartialEq)]
struct Lines {
    /// The file; empty for the policy's own.
    file: String,
    first_line: usize,
    text: String,
}

/// A squeeze, by type, subject and state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Alert {
    kind: String,
    /// `None`: any.
    subject: Option<String>,
    /// `None`: any.
    state: Option<String>,
}

/// Where a case fails, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The file; empty for the policy's own.
    pub file: String,
    /// The line.
    pub line: usize,
    /// Expected and found.
    pub problem: String,
}

/// The cases of a policy file, in order. Files they name are looked for in `folder`.
///
/// # Errors
/// If one is not written as it should be, or a file cannot be read.
pub fn read_cases(document: &Document, folder: &Path) -> Result<Vec<Case>, PolicyError> {
    let Some(node) = document.get("case") else { return Ok(Vec::new()) };
    let NodeValue::List(cases) = &node.value else {
        return Err(expected(node, "case", "a list of tables: [[case]]"));
    };
    cases.iter().map(|node| read_case(node, folder)).collect()
}

fn read_case(node: &Node, folder: &Path) -> Result<Case, PolicyError> {
    let table = table(node, "case", &KEYS)?;
    let get = |key: &str| table.get(key).map(|node| (format!("case.{key}"), node));
    let text_of = |key: &str| get(key).map(|(key, node)| text(node, &key)).transpose();
    let name = text_of("name")?.ok_or_else(|| expected(node, "case", "a name"))?.0;
    let mut lines = Vec::new();
    for (here, file) in [("reference", "reference_file"), ("events", "events_file")] {
        if let Some((text, first_line)) = text_of(here)? {
            lines.push(Lines { file: String::new(), first_line, text });
        }
        if let Some((key, node)) = get(file) {
            lines.push(read_file(&text(node, &key)?.0, folder, node, &key)?);
        }
    }
    let until = get("until").map(|(key, node)| {
        let (text, _) = text(node, &key)?;
        let time = EventTime::parse(&text).or_else(|| EventTime::parse_date(&text));
        time.ok_or_else(|| expected(node, &key, "a day or a time"))
    });
    let tolerance = get("tolerance").map(|(key, node)| number(node, &key)).transpose()?;
    let score = get("score").map(|(key, node)| Ok((node.place, number(node, &key)?)));
    Ok(Case {
        place: node.place,
        name,
        lines,
        until: until.transpose()?,
        customer: text_of("customer")?.map(|(text, _)| text),
        alerts: get("alerts").map(|(_, node)| read_alerts(node)).transpose()?,
        score: score
            .transpose()?
            .map(|(place, score)| (place, score, tolerance.unwrap_or(TOLERANCE))),
    })
}

fn read_file(name: &str, folder: &Path, node: &Node, key: &str) -> Result<Lines, PolicyError> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path)
        .map_err(|error| expected(node, key, &format!("a file: {}: {error}", path.display())))?;
    Ok(Lines { file: path.display().to_string(), first_line: 1, text })
}

fn read_alerts(node: &Node) -> Result<Vec<(Place, Alert)>, PolicyError> {
    let NodeValue::List(items) = &node.value else {
        return Err(expected(node, "case.alerts", "a list of { type, subject, state }"));
    };
    let alert = |node: &Node| {
        let table = table(node, "case.alerts", &ALERT_KEYS)?;
        let word = |key: &str| {
            let word = table.get(key).map(|node| text(node, &format!("case.alerts.{key}")));
            Ok(word.transpose()?.map(|(text, _)| text))
        };
        let kind =
            word("type")?.ok_or_else(|| expected(node, "case.alerts", "a type: S01 to S20"))?;
        Ok((node.place, Alert { kind, subject: word("subject")?, state: word("state")? }))
    };
    items.iter().map(alert).collect()
}

fn expected(node: &Node, key: &str, what: &str) -> PolicyError {
    let problem = PolicyProblem::Expected(what.to_owned());
    PolicyError { place: node.place, key: key.to_owned(), problem }
}

/// A table with no other keys than these.
fn table<'a>(
    node: &'a Node,
    key: &str,
    keys: &[&str],
) -> Result<&'a BTreeMap<String, Node>, PolicyError> {
    let NodeValue::Table(table) = &node.value else { return Err(expected(node, key, "a table")) };
    match table.iter().find(|(name, _)| !keys.contains(&name.as_str())) {
        None => Ok(table),
        Some((name, node)) => Err(PolicyError {
            place: node.place,
            key: format!("{key}.{name}"),
            problem: PolicyProblem::Unknown(hint(name, keys)),
        }),
    }
}

/// A text, and the line it begins in.
fn text(node: &Node, key: &str) -> Result<(String, usize), PolicyError> {
    match &node.value {
        NodeValue::Text { text, first_line } => Ok((text.clone(), *first_line)),
        _ => Err(expected(node, key, "a text")),
    }
}

fn number(node: &Node, key: &str) -> Result<f64, PolicyError> {
    match &node.value {
        NodeValue::Number(number) => Ok(*number),
        _ => Err(expected(node, key, "a number")),
    }
}

impl Case {
    /// Runs the case under `policy`: every mismatch, in the order of its lines; none if it passes.
    pub fn run(&self, policy: &Arc<Policy>) -> Vec<Mismatch> {
        let options = Options { policy: Arc::clone(policy), ..Options::default() };
        let mut outcome = Outcome::default();
        let mut replay = Replay::new(&options);
        for lines in &self.lines {
            for (text, line) in lines.text.lines().zip(lines.first_line..) {
                let mut sink = |effect: &Effect| {
                    outcome.take(effect, &lines.file, line);
                    io::Result::Ok(())
                };
                replay.line(text.as_bytes(), &mut sink).expect("the sink does not fail");
            }
        }
        let mut sink = |effect: &Effect| {
            outcome.take(effect, "", self.place.line);
            io::Result::Ok(())
        };
        replay.end(self.until, &mut sink).expect("the sink does not fail");
        let mut mismatches = outcome.refused;
        mismatches.extend(self.compare_alerts(outcome.squeezes.into_values().collect()));
        mismatches.extend(self.compare_score(&replay));
        mismatches
    }

    fn compare_alerts(&self, mut found: Vec<Alert>) -> Vec<Mismatch> {
        let Some(expected) = &self.alerts else { return Vec::new() };
        found.sort();
        let all = told(&found);
        let mut mismatches = Vec::new();
        for (place, alert) in expected {
            match found.iter().position(|found| alert.is_like(found)) {
                Some(index) => drop(found.remove(index)),
                None => mismatches.push(mismatch(*place, format!("expected {alert}; found {all}"))),
            }
        }
        if !found.is_empty() {
            let problem = format!("expected no other alerts; found {}", told(&found));
            mismatches.push(mismatch(self.place, problem));
        }
        mismatches
    }

    fn compare_score(&self, replay: &Replay) -> Option<Mismatch> {
        let (place, score, tolerance) = self.score?;
        let customers: Vec<_> = replay
            .customers()
            .filter(|view| self.customer.as_deref().is_none_or(|id| *id == *view.customer))
            .collect();
        let [view] = customers.as_slice() else {
            let problem = format!(
                "expected a score of one customer; found {} (name one: customer = \"…\")",
                customers.len()
            );
            return Some(mismatch(place, problem));
        };
        let found = view.trust.score.to_f64();
        // Published decimals have six places: half of the last is rounding.
        let is_near = (found - score).abs() <= tolerance + 5e-7;
        (!is_near).then(|| {
            mismatch(place, format!("expected a score of {score} ± {tolerance}; found {found}"))
        })
    }
}

fn mismatch(place: Place, problem: String) -> Mismatch {
    Mismatch { file: String::new(), line: place.line, problem }
}

fn told(alerts: &[Alert]) -> String {
    let alerts: Vec<String> = alerts.iter().map(Alert::to_string).collect();
    if alerts.is_empty() { "none".to_owned() } else { alerts.join(", ") }
}

impl Alert {
    fn is_like(&self, found: &Self) -> bool {
        self.kind == found.kind
            && (self.subject.is_none() || self.subject == found.subject)
            && (self.state.is_none() || self.state == found.state)
    }
}

impl std::fmt::Display for Alert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.kind)?;
        for (name, word) in [("subject", &self.subject), ("state", &self.state)] {
            if let Some(word) = word {
                write!(f, " {name} `{word}`")?;
            }
        }
        Ok(())
    }
}

/// What came of a case.
#[derive(Default)]
struct Outcome {
    refused: Vec<Mismatch>,
    /// By dedup key: the last word.
    squeezes: BTreeMap<String, Alert>,
}

impl Outcome {
    fn take(&mut self, effect: &Effect, file: &str, line: usize) {
        match &effect.action {
            Action::DeadLetter(rejection) => {
                let detail =
                    rejection.detail.as_deref().map_or_else(String::new, |d| format!(" {d}"));
                let problem = format!("expected an event; refused: {}{detail}", rejection.reason);
                self.refused.push(Mismatch { file: file.to_owned(), line, problem });
            }
            Action::Publish(output) => {
                if let OutputBody::Squeeze(alert) = &output.body {
                    let said = Alert {
                        kind: alert.kind.code().to_owned(),
                        subject: Some(alert.subject.to_string()),
                        state: Some(alert.state.as_str().to_owned()),
                    };
                    self.squeezes.insert(alert.dedup_key.to_string(), said);
                }
            }
            Action::PublishPart(_) | Action::ForgetSqueeze(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIVERED: &str = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"io.goodfaith.service.delivered.v1","subject":"ada","time":"2025-01-01T00:00:00Z","data":{"ref":"r"}}"#;

    fn mismatches(case: &str) -> Vec<String> {
        let document = Document::from_toml(case).unwrap();
        let cases = read_cases(&document, Path::new(".")).unwrap();
        let policy = Arc::new(Policy::from_document(&document).unwrap());
        let said = |mismatch: Mismatch| format!("{}: {}", mismatch.line, mismatch.problem);
        cases.iter().flat_map(|case| case.run(&policy)).map(said).collect()
    }

    #[test]
    fn a_case_that_holds_says_nothing() {
        let case = format!(
            "[[case]]\nname = 'one'\nevents = '''\n{DELIVERED}'''\nalerts = []\nscore = 0.511\ntolerance = 0.001"
        );
        assert_eq!(mismatches(&case), [""; 0]);
    }

    #[test]
    fn a_case_that_fails_says_where_what_was_expected_and_found() {
        let case = format!(
            "[[case]]\nname = 'one'\nscore = 0.9\nalerts = [\n{{ type = 'S01', subject = 'old' }}]\nevents = '''\n{DELIVERED}\nnonsense'''"
        );
        assert_eq!(
            mismatches(&case),
            [
                "8: expected an event; refused: not_json",
                "5: expected S01 subject `old`; found none",
                "3: expected a score of 0.9 ± 0.005; found 0.510648",
            ]
        );
    }

    #[test]
    fn a_case_is_checked_as_it_is_read() {
        for (case, problem) in [
            ("[[case]]", "line 1: case: expected a name"),
            ("[[case]]\nname = 1", "line 2: case.name: expected a text"),
            ("[[case]]\nnam = 'x'", "line 2: case.nam: unknown key; did you mean `name`?"),
            ("[[case]]\nname = 'x'\nuntil = 'now'", "line 3: case.until: expected a day or a time"),
            ("case = 1", "line 1: case: expected a list of tables: [[case]]"),
        ] {
            let document = Document::from_toml(case).unwrap();
            let refusal = read_cases(&document, Path::new(".")).unwrap_err();
            assert_eq!(refusal.to_string(), problem, "{case}");
        }
    }
}
