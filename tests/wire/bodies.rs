//! What must hold of every decoder, whatever bytes it is given: it does not panic, and what it accepts can be said again.
//!
//! One function a decoder; it says whether the bytes were sound. The fuzz targets in `fuzz/` run them by coverage, `mutants` by chance on stable Rust.

use goodfaith::engine::{PartitionEngine, Reason};
use goodfaith::model::{Event, Policy, PolicyDocument};
use goodfaith::wire::{
    self, Chain, CommitMark, Expect, Header, JournalRecord, Manifest, Part, PartWriter, RecordRef,
};

/// A line of a file.
pub(crate) fn event_json(bytes: &[u8]) -> bool {
    let decoded = decode(Some(bytes), &[], None, Expect::File);
    decoded.is_ok_and(|event| comes_back(&event))
}

/// A record of the events topic without headers: structured JSON, a bare event, or one in registry framing.
pub(crate) fn event_value(bytes: &[u8]) -> bool {
    event_record(Some(bytes), &[])
}

/// The same, framed as Confluent's serializers do.
pub(crate) fn registry_framing(bytes: &[u8]) -> bool {
    event_record(Some(&[b"\0\0\0\0\x2a", bytes].concat()), &[])
}

/// CloudEvents binary mode: lines `name: value` are headers, what follows a blank line is the value.
pub(crate) fn event_binary_mode(bytes: &[u8]) -> bool {
    let (head, value) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&bytes[..end], Some(&bytes[end + 2..])),
        None => (bytes, None),
    };
    let mut headers: Vec<Header<'_>> = Vec::new();
    for line in head.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(colon) => (&line[..colon], Some(line[colon + 1..].trim_ascii_start())),
            None => (line, None),
        };
        // The client leaves out a header whose name is not UTF-8.
        headers.extend(std::str::from_utf8(name).map(|name| (name, value)));
    }
    event_record(value, &headers)
}

/// A record of the reference topic.
pub(crate) fn reference(bytes: &[u8]) -> bool {
    decode(Some(bytes), &[], None, Expect::ReferenceTopic).is_ok_and(|event| {
        assert!(matches!(event, Event::Reference(_)), "{event:?}");
        comes_back(&event)
    })
}

/// A record of the journal.
pub(crate) fn journal(bytes: &[u8]) -> bool {
    let Ok(record) = JournalRecord::decode(bytes) else { return false };
    assert_eq!(JournalRecord::decode(&record.encode()).as_ref(), Ok(&record));
    assert_eq!(Chain::default().read(bytes).is_ok(), record.seq == 0);
    true
}

/// The metadata of a committed offset.
pub(crate) fn commit_mark(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let read = text.parse::<CommitMark>();
    match &read {
        Ok(mark) => assert_eq!(mark.to_string().parse(), Ok(*mark)),
        Err(error) => assert!(error.to_string().contains(text)),
    }
    read.is_ok()
}

/// A policy, as TOML and as JSON.
pub(crate) fn policy(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let published = PolicyDocument::from_json(text).map(|read| Policy::clone(read.policy()));
    let read = [Policy::from_toml(text), published];
    for read in &read {
        match read {
            Ok(policy) => assert_eq!(policy.can_replace(policy), Ok(())),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    read.iter().any(Result::is_ok)
}

/// A line of the organisation topic.
pub(crate) fn organisation_part(bytes: &[u8]) -> bool {
    let Ok((partition, part)) = wire::read_part(bytes) else { return false };
    let line = wire::part_line(&part, partition);
    assert_eq!(wire::read_part(line.as_bytes()).unwrap(), (partition, part));
    true
}

/// The manifest of a snapshot.
pub(crate) fn snapshot_manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = Manifest::decode(bytes) else { return false };
    assert_eq!(Manifest::decode(&manifest.encode()).as_ref(), Ok(&manifest));
    true
}

/// A part of a snapshot.
pub(crate) fn snapshot_part(bytes: &[u8]) -> bool {
    let Ok(part) = Part::decode(bytes) else { return false };
    let mut writer = PartWriter::new(&part.header);
    writer.engine(&part.engine);
    part.customers.iter().for_each(|(id, packed)| writer.customer(id, packed.as_deref()));
    assert_eq!(Part::decode(&writer.finish()).as_ref(), Ok(&part));
    true
}

/// A customer as a snapshot holds it.
pub(crate) fn packed_customer(bytes: &[u8]) -> bool {
    PartitionEngine::check_customer(&"ada".into(), bytes).is_ok()
}

fn event_record(value: Option<&[u8]>, headers: &[Header<'_>]) -> bool {
    let mut is_sound = false;
    for place in [Expect::EventsTopic, Expect::ReferenceTopic] {
        let decoded = match decode(value, headers, None, place) {
            // A customer's event lies under the customer's key, which the refusal names.
            Err(rejection) if rejection.reason == Reason::KeyMismatch => {
                decode(value, headers, rejection.subject.as_deref(), place)
            }
            decoded => decoded,
        };
        match decoded {
            Ok(event) => is_sound |= comes_back(&event),
            Err(rejection) => assert_ne!(rejection.reason, Reason::KeyMismatch),
        }
    }
    is_sound
}

/// An event accepted once is accepted again, in both forms, and says the same.
fn comes_back(event: &Event) -> bool {
    let (key, place) = match event {
        Event::Customer(event) => (Some(&*event.customer), Expect::EventsTopic),
        Event::Tick(_) => (None, Expect::EventsTopic),
        Event::Reference(_) => (None, Expect::ReferenceTopic),
    };
    for value in [wire::encode_event_json(event).into_bytes(), wire::encode_event_proto(event)] {
        assert_eq!(decode(Some(&value), &[], key, place).as_ref(), Ok(event));
    }
    true
}

fn decode(
    value: Option<&[u8]>,
    headers: &[Header<'_>],
    key: Option<&str>,
    place: Expect,
) -> Result<Event, goodfaith::engine::Rejection> {
    let key = key.map(str::as_bytes);
    wire::decode(RecordRef { key, value, headers, timestamp_ms: None }, place)
}
