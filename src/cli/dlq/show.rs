//! `goodfaith dlq show`: one dead letter, in full.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use serde_json::{Map, Value};

use super::{bytes_member, outline, printable, spans_of, time_text};
use crate::cli::deployment::DeploymentArgs;
use crate::cli::{Format, FormatArg};
use crate::kafka::{DeadLetters, Go, LetterPlace, StoredLetter};
use crate::wire::{Header, Prospect, REDRIVES_MAX};

const EXAMPLES: &str = "\
Examples:
  goodfaith dlq show 3/17 --config goodfaith.toml
  goodfaith dlq show 3/17 --raw --config goodfaith.toml > record.bin

It shows what the record holds about its customer. What is not text is shown in hex.";

/// Arguments of `dlq show`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {
    /// Which: PARTITION/OFFSET, as `dlq list` prints it
    #[arg(value_name = "PLACE")]
    place: LetterPlace,
    /// Write the original value to stdout, byte for byte, and nothing else
    #[arg(long, conflicts_with = "format")]
    raw: bool,
    #[command(flatten)]
    deployment: DeploymentArgs,
    #[command(flatten)]
    format: FormatArg,
}

/// Shows it.
pub(super) fn run(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let settings = args.deployment.load()?.kafka;
    let letters = DeadLetters::open(&settings)?;
    let mut shown = None;
    for span in spans_of(&letters, &[args.place])? {
        letters.read(span, |stored| {
            shown = Some(told(args, letters.topic(), stored));
            Ok(Go::Stop)
        })?;
    }
    let bytes = shown.ok_or_else(|| anyhow!("{}: no record at {}", letters.topic(), args.place))?;
    io::stdout().write_all(&bytes)?;
    Ok(ExitCode::SUCCESS)
}

fn told(args: &ShowArgs, topic: &str, stored: &StoredLetter<'_>) -> Vec<u8> {
    match (args.raw, args.format.format) {
        (true, _) => stored.record.value.unwrap_or_default().to_vec(),
        (false, Format::Json) => format!("{}\n", object(stored)).into_bytes(),
        (false, Format::Text) => text(topic, stored).into_bytes(),
    }
}

/// The record's own headers; all of them, if it is no dead letter of ours.
fn headers<'a>(stored: &'a StoredLetter<'a>) -> &'a [Header<'a>] {
    stored.letter.as_ref().map_or(stored.record.headers, |letter| letter.original)
}

fn object(stored: &StoredLetter<'_>) -> Value {
    let header = |(name, value): &Header<'_>| {
        let members = [("name".to_owned(), Value::from(*name)), bytes_member("value", *value)];
        Value::Object(Map::from_iter(members))
    };
    let mut object = outline(stored);
    let headers = headers(stored).iter().map(header).collect();
    let more = [
        bytes_member("key", stored.record.key),
        ("headers".to_owned(), Value::Array(headers)),
        bytes_member("value", stored.record.value),
    ];
    object.as_object_mut().into_iter().for_each(|object| object.extend(more.clone()));
    object
}

fn text(topic: &str, stored: &StoredLetter<'_>) -> String {
    let mut lines = vec![
        format!("place    {} on {topic}", stored.place),
        format!("arrived  {}", time_text(stored.arrived_ms)),
    ];
    match &stored.letter {
        None => lines.push("reason   none: it is no dead letter of goodfaith".to_owned()),
        Some(letter) => {
            let detail =
                letter.detail.map(|detail| format!(": {}", printable(detail.as_bytes()).0));
            let retry = match Prospect::of(letter.reason) {
                _ if letter.truncated.is_some() => "no: it is not whole".to_owned(),
                _ if REDRIVES_MAX <= letter.redrives => {
                    format!("no: it was sent again {} times, which is the most", letter.redrives)
                }
                Prospect::Once(text) => format!("worth it {text}"),
                Prospect::Never(text) => format!("refused again: {text}"),
            };
            lines.extend([
                format!("reason   {}{}", letter.reason, detail.unwrap_or_default()),
                format!("source   {}/{} on {}", letter.partition, letter.offset, letter.topic),
                format!("again    {} of at most {REDRIVES_MAX} times", letter.redrives),
                format!("retry    {retry}"),
            ]);
            let told =
                |sizes| format!("excerpt  of so many bytes: {sizes}; all of it is at the source");
            lines.extend(letter.truncated.map(told));
        }
    }
    let shown = |bytes: Option<&[u8]>| match bytes.map(printable) {
        None => "null".to_owned(),
        Some((text, "text")) => text.into_owned(),
        Some((hex, _)) => format!("hex {hex}"),
    };
    lines.push(format!("key      {}", shown(stored.record.key)));
    let header = |(name, value): &Header<'_>| {
        format!("header   {}: {}", printable(name.as_bytes()).0, shown(*value))
    };
    lines.extend(headers(stored).iter().map(header));
    match stored.record.value.map(|value| (printable(value), value.len())) {
        None => lines.push("value    null".to_owned()),
        Some(((value, kind), length)) => {
            lines.extend([format!("value    {length} bytes as {kind}:"), value.into_owned()]);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Reason;
    use crate::wire::{DeadLetter, RecordRef};

    #[test]
    fn a_dead_letter_is_told_in_full() {
        let headers: [Header<'_>; 2] = [("trace", Some(b"t1")), ("blob", Some(b"\xff"))];
        let stored = StoredLetter {
            place: LetterPlace { partition: 3, offset: 17 },
            arrived_ms: Some(0),
            record: RecordRef {
                key: Some(b"ada"),
                value: Some(b"{\"id\":1}"),
                headers: &[],
                timestamp_ms: None,
            },
            letter: Some(DeadLetter {
                reason: Reason::BadData,
                detail: Some("amount"),
                topic: "goodfaith.events.v1",
                partition: 3,
                offset: 41,
                truncated: Some("key=3 value=12000000 headers=0"),
                redrives: 1,
                original: &headers,
            }),
        };
        insta::assert_snapshot!(text("goodfaith.dead-letters.v1", &stored), @r#"
        place    3/17 on goodfaith.dead-letters.v1
        arrived  1970-01-01T00:00:00.000Z
        reason   bad_data: amount
        source   3/41 on goodfaith.events.v1
        again    1 of at most 3 times
        retry    no: it is not whole
        excerpt  of so many bytes: key=3 value=12000000 headers=0; all of it is at the source
        key      ada
        header   trace: t1
        header   blob: hex ff
        value    8 bytes as text:
        {"id":1}
        "#);
        let object = object(&stored);
        assert_eq!(object["headers"][1]["value_hex"], "ff");
        assert_eq!((&object["key"], &object["value"]), (&"ada".into(), &"{\"id\":1}".into()));
    }
}
