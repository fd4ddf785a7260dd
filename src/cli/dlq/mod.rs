//! `goodfaith dlq`: what was set aside, why, and how it goes back. Nothing is ever deleted from the dead-letters topic.

mod list;
mod retry;
mod selection;
mod show;

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::UsageError;
use crate::kafka::{DeadLetters, LetterPlace, Span, StoredLetter};
use crate::model::EventTime;
use crate::wire::DeadLetter;

const NOTES: &str = "\
At night:
  goodfaith dlq list --since 1h --count --config goodfaith.toml
      What it is: how many, by reason, and whether a retry can help.
  goodfaith dlq list --since 1h --config goodfaith.toml
      Which records, newest last.
  goodfaith dlq show 3/17 --config goodfaith.toml
      One of them, in full.
  goodfaith dlq retry --reason unknown_type --config goodfaith.toml
      A plan; --execute sends them again.

A dead letter changed nothing and lost nothing: the record waits here for 14 days (retention.ms of
the topic). It stays there whatever is done with it.
Customers and contents are shown by `show` and by `list --keys` alone.";

/// Arguments of `dlq`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct DlqArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List dead letters, newest last, or count them by reason
    List(list::ListArgs),
    /// Show one dead letter in full: headers and original value
    Show(show::ShowArgs),
    /// Send dead letters back to where they came from: a plan, unless --execute is given
    Retry(retry::RetryArgs),
}

/// Does what was asked.
pub(super) fn run(args: &DlqArgs) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::List(args) => list::run(args),
        Verb::Show(args) => show::run(args),
        Verb::Retry(args) => retry::run(args),
    }
}

/// The spans that hold just `places`, in their order.
///
/// # Errors
/// If the topic holds nothing there any more, or not yet.
fn spans_of(letters: &DeadLetters, places: &[LetterPlace]) -> anyhow::Result<Vec<Span>> {
    let held = letters.spans(None)?;
    let mut places = places.to_vec();
    places.sort();
    places.dedup();
    let span = |LetterPlace { partition, offset }: LetterPlace| {
        let span = held.iter().find(|span| span.partition == partition);
        match span {
            Some(span) if span.start <= offset && offset < span.end => {
                Ok(Span { partition, start: offset, end: offset + 1 })
            }
            Some(span) => Err(not_there(
                letters,
                &format!(
                    "partition {partition} holds offsets {} to {}, and none at {offset}",
                    span.start,
                    span.end - 1
                ),
            )),
            None => Err(not_there(letters, &format!("there is no partition {partition}"))),
        }
    };
    places.into_iter().map(span).collect()
}

fn not_there(letters: &DeadLetters, why: &str) -> anyhow::Error {
    UsageError::new(anyhow!("{}: {why}", letters.topic())).into()
}

/// A time in milliseconds since the epoch as text; `-` if unknown.
fn time_text(time_ms: Option<i64>) -> String {
    time_ms.map_or_else(|| "-".to_owned(), |ms| EventTime::from_millis(ms).to_string())
}

/// What is told of a dead letter without naming anybody.
fn outline(stored: &StoredLetter<'_>) -> Value {
    let letter = stored.letter.as_ref();
    json!({
        "place": stored.place.to_string(),
        "partition": stored.place.partition,
        "offset": stored.place.offset,
        "arrived": stored.arrived_ms.map(|ms| EventTime::from_millis(ms).to_string()),
        "reason": letter.map(|letter| letter.reason.as_str()),
        "detail": letter.and_then(|letter| letter.detail),
        "source": letter.map(|DeadLetter { topic, partition, offset, .. }| {
            json!({ "topic": topic, "partition": partition, "offset": offset })
        }),
        "redrives": letter.map(|letter| letter.redrives),
        "truncated": letter.and_then(|letter| letter.truncated),
        "bytes": stored.record.value.map_or(0, <[u8]>::len),
    })
}

/// Bytes as a member of a JSON object: text under `name` if they are UTF-8, else hex under `<name>_hex`.
fn bytes_member(name: &str, bytes: Option<&[u8]>) -> (String, Value) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (name.to_owned(), Value::Null),
        Some((Ok(text), _)) => (name.to_owned(), text.into()),
        Some((Err(_), bytes)) => (format!("{name}_hex"), hex(bytes).into()),
    }
}

/// Bytes for a terminal: the text if it is one that moves no cursor, else hex.
fn printable(bytes: &[u8]) -> (Cow<'_, str>, &'static str) {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(is_plain) => (text.into(), "text"),
        _ => (hex(bytes).into(), "hex"),
    }
}

/// Text from a record on one line of a terminal.
fn one_line(text: &str, longest: usize) -> String {
    let plain: String = text
        .chars()
        .flat_map(|c| match c {
            c if c.is_control() => c.escape_default().collect::<Vec<_>>(),
            c => vec![c],
        })
        .collect();
    if plain.chars().count() <= longest {
        return plain;
    }
    plain.chars().take(longest - 1).chain(['…']).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How far reading has got, on a terminal.
struct Bar {
    bar: ProgressBar,
    passed: u64,
}

impl Bar {
    fn over(spans: &[Span]) -> Self {
        let is_shown = io::stderr().is_terminal();
        let total = spans.iter().map(Span::len).sum();
        let bar = if is_shown { ProgressBar::new(total) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} {eta} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, passed: 0 }
    }

    fn at(&self, span: Span, offset: i64) {
        self.bar.set_position(self.passed + u64::try_from(offset - span.start).unwrap_or(0));
    }

    fn pass(&mut self, span: Span) {
        self.passed += span.len();
        self.bar.set_position(self.passed);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_a_cursor_is_shown_as_hex() {
        assert_eq!(printable(b"{\"a\":\n1}"), ("{\"a\":\n1}".into(), "text"));
        assert_eq!(printable(b"\x1b[2J"), ("1b5b324a".into(), "hex"));
        assert_eq!(printable(b"\xff\0"), ("ff00".into(), "hex"));
    }

    #[test]
    fn a_detail_stays_on_its_line() {
        assert_eq!(one_line("amount", 10), "amount");
        assert_eq!(one_line("a\nb\u{1b}", 20), "a\\nb\\u{1b}");
        assert_eq!(one_line("weather.changed", 8), "weather…");
    }

    #[test]
    fn bytes_that_are_no_text_have_a_name_of_their_own_in_json() {
        assert_eq!(bytes_member("key", Some(b"ada")), ("key".to_owned(), "ada".into()));
        assert_eq!(bytes_member("key", Some(b"\xff")), ("key_hex".to_owned(), "ff".into()));
        assert_eq!(bytes_member("key", None), ("key".to_owned(), Value::Null));
    }
}
