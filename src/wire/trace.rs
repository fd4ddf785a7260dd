//! The W3C trace context of events and outputs: `traceparent` and `tracestate`, copied from cause to effect as they are. No span is
//! made, and nothing else is made of them; what breaks the standard's form is as good as absent.

use std::sync::Arc;

use super::record::{Header, RecordRef};
use super::writer::Writer;
use crate::model::event::TraceContext;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
/// What the standard asks everybody to carry on, in bytes.
const STATE_BYTES_MAX: usize = 512;
/// Version, trace, parent and flags in hex, by hyphens: all there is of version 00. Later ones may add to it, after another hyphen.
const PARENT_BYTES: usize = 55;
const PARENT_BYTES_MAX: usize = 256;

/// The context of these two attributes; a state without a parent is none.
pub(super) fn of(parent: Option<&str>, state: Option<&str>) -> Option<Arc<TraceContext>> {
    let parent = parent.filter(|parent| is_parent(parent.as_bytes()))?;
    let state = state.filter(|state| is_state(state.as_bytes()));
    Some(Arc::new(TraceContext { parent: parent.into(), state: state.map(Into::into) }))
}

/// The context in a record's own headers, which tell of the last hop; else in its event's extension attributes as headers.
pub(super) fn of_headers(record: &RecordRef<'_>) -> Option<Arc<TraceContext>> {
    let text = |name| std::str::from_utf8(record.header(name)?).ok();
    of(text(PARENT), text(STATE)).or_else(|| of(text("ce_traceparent"), text("ce_tracestate")))
}

/// Writes it as extension attributes of a CloudEvent. Source: CloudEvents, Distributed Tracing extension.
pub(super) fn json(trace: &TraceContext, out: &mut Writer) {
    out.name(PARENT).text(&trace.parent);
    if let Some(state) = &trace.state {
        out.name(STATE).text(state);
    }
}

/// As headers, where tracing tools look for it: none, one or two.
pub(super) fn headers(trace: Option<&TraceContext>) -> impl Iterator<Item = Header<'_>> {
    let parent = trace.map(|trace| (PARENT, Some(trace.parent.as_bytes())));
    let state = trace.and_then(|trace| Some((STATE, Some(trace.state.as_ref()?.as_bytes()))));
    parent.into_iter().chain(state)
}

/// Source: W3C Trace Context, section 3.2.
fn is_parent(text: &[u8]) -> bool {
    let Some((known, rest)) = text.split_at_checked(PARENT_BYTES) else { return false };
    let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &[u8]| is_hex(part) && part.iter().any(|byte| *byte != b'0');
    let (version, trace, parent, flags) =
        (&known[..2], &known[3..35], &known[36..52], &known[53..]);
    let is_apart = [known[2], known[35], known[52]] == *b"---";
    let is_whole = match version {
        b"00" => rest.is_empty(),
        _ => rest.first().is_none_or(|byte| *byte == b'-') && is_state(text),
    };
    let is_version = is_hex(version) && version != b"ff";
    let is_short = text.len() <= PARENT_BYTES_MAX;
    is_apart && is_version && is_id(trace) && is_id(parent) && is_hex(flags) && is_whole && is_short
}

/// Printable ASCII of a length that is carried on; its members are their systems' own.
fn is_state(text: &[u8]) -> bool {
    let is_printable = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    !text.is_empty() && text.len() <= STATE_BYTES_MAX && is_printable
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_of_the_standards_form_is_taken_and_any_other_is_none() {
        let parent = |text: &str| of(Some(text), None).is_some();
        assert!(parent(PLAIN) && parent(&PLAIN.replacen("00", "01", 1)));
        assert!(parent(&(PLAIN.replacen("00", "cc", 1) + "-more")));
        for (from, to) in [
            ("00-4b", "ff-4b"),
            ("00-4b", "0-4b"),
            ("4bf9", "4BF9"),
            ("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            ("00f067aa0ba902b7", "0000000000000000"),
            ("-01", "-0g"),
            ("-01", "-011"),
            ("-01", "-01-more"),
            ("-01", "\u{e9}1"),
            (PLAIN, ""),
        ] {
            assert!(!parent(&PLAIN.replacen(from, to, 1)), "{to} for {from}");
        }
        assert!(!parent(&(PLAIN.replacen("00", "cc", 1) + "more")));
    }

    #[test]
    fn a_state_needs_a_parent_and_a_length_that_is_carried_on() {
        let state =
            |parent, text: &str| of(parent, Some(text)).and_then(|trace| trace.state.clone());
        assert_eq!(state(Some(PLAIN), "congo=t61,rojo=1").as_deref(), Some("congo=t61,rojo=1"));
        assert_eq!(state(None, "congo=t61"), None);
        for text in ["", "a\n", "\u{e9}", &"a".repeat(513)] {
            assert_eq!(state(Some(PLAIN), text), None, "{text}");
        }
    }

    #[test]
    fn the_records_own_headers_come_before_the_events_attributes() {
        let other = PLAIN.replacen("4bf9", "5bf9", 1);
        let own = ("traceparent", Some(PLAIN.as_bytes()));
        let attribute = ("ce_traceparent", Some(other.as_bytes()));
        let found = |headers: &[Header<'_>]| {
            let record = RecordRef { key: None, value: None, headers, timestamp_ms: None };
            of_headers(&record).map(|trace| trace.parent.to_string())
        };
        assert_eq!(found(&[attribute, own]).as_deref(), Some(PLAIN));
        assert_eq!(found(&[attribute]), Some(other.clone()));
        assert_eq!(found(&[attribute, ("traceparent", Some(b"none"))]), Some(other.clone()));
        assert_eq!(found(&[("traceparent", None)]), None);
    }
}
