//! Outputs, dead letters and state as the lines of files.

use super::organisation::part_line;
use super::say;
use super::trace;
use super::writer::Writer;
use crate::engine::{
    Action, CustomerView, Effect, Explanation, Output, OutputBody, Rejection, Stream, explain,
};

/// Our name as a source of events.
pub(super) const SOURCE: &str = "/goodfaith";

/// Which file a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// `scores.ndjson`
    Scores,
    /// `alerts.ndjson`
    Alerts,
    /// `loyalty.ndjson`
    Loyalty,
    /// `evidence.ndjson`
    Evidence,
    /// `organisation.ndjson`
    Organisation,
    /// `dead_letters.ndjson`
    DeadLetters,
}

impl FileKind {
    /// Every kind, in the order of a replay's folder.
    pub const ALL: [Self; 6] = [
        Self::Scores,
        Self::Alerts,
        Self::Loyalty,
        Self::Evidence,
        Self::Organisation,
        Self::DeadLetters,
    ];

    /// The file's name without its ending.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Alerts => "alerts",
            Self::Loyalty => "loyalty",
            Self::Evidence => "evidence",
            Self::Organisation => "organisation",
            Self::DeadLetters => "dead_letters",
        }
    }

    const fn of(stream: Stream) -> Self {
        match stream {
            Stream::Scores => Self::Scores,
            Stream::Alerts => Self::Alerts,
            Stream::Loyalty => Self::Loyalty,
            Stream::Evidence => Self::Evidence,
        }
    }
}

/// The line an effect is in a file, without line feed, and which file; `None` if it is in none: files keep every word, not the last.
pub fn file_line(effect: &Effect) -> Option<(FileKind, String)> {
    let line = match &effect.action {
        Action::Publish(output) => {
            let mut out = Writer::default();
            structured(output, &output.id(), &mut out);
            (FileKind::of(output.stream()), out.into_string())
        }
        // A file is of one engine unless its writer says otherwise.
        Action::PublishPart(part) => (FileKind::Organisation, part_line(part, 0)),
        Action::DeadLetter(rejection) => {
            (FileKind::DeadLetters, dead_letter(effect.source.offset, rejection))
        }
        Action::ForgetSqueeze(_) => return None,
    };
    Some(line)
}

/// Writes an output, whose id is `id`, as one CloudEvent.
pub(super) fn structured(output: &Output, id: &str, out: &mut Writer) {
    let has_data = !matches!(output.body, OutputBody::CustomerErased { .. });
    out.object(|out| {
        out.name("specversion").text("1.0");
        out.name("id").text(id);
        out.name("source").text(SOURCE);
        out.name("type").text(&type_of(output));
        out.name("subject").text(&output.customer);
        out.name("time").time(output.time);
        if has_data {
            out.name("datacontenttype").text("application/json");
            out.name("sequence").text(&output.sequence.to_string());
        }
        if let Some(causation_id) = &output.causation_id {
            out.name("causationid").text(causation_id);
        }
        if let Some(trace) = &output.trace {
            trace::json(trace, out);
        }
        if has_data {
            out.name("data").object(|out| say::data(output, out));
        }
    });
}

/// Writes an output's `data` alone.
pub(super) fn data(output: &Output, out: &mut Writer) {
    out.object(|out| say::data(output, out));
}

/// The type of an output, prefix and version included.
pub(super) fn type_of(output: &Output) -> String {
    ["io.goodfaith.", output.kind(), ".v1"].concat()
}

fn dead_letter(line: i64, rejection: &Rejection) -> String {
    let mut out = Writer::default();
    out.object(|out| {
        out.name("line").int(line);
        out.name("reason").text(rejection.reason.as_str());
        out.name("detail").optional(rejection.detail.as_deref(), Writer::text);
        out.name("id").optional(rejection.id.as_deref(), Writer::text);
        out.name("subject").optional(rejection.subject.as_deref(), Writer::text);
    });
    out.into_string()
}

/// A customer's state as a line of `state.ndjson`, without line feed.
pub fn state_line(view: &CustomerView) -> String {
    customer_json(view, true)
}

/// A customer's state as one JSON object, without what is restricted, and its last member `explanation`: sentences.
pub fn explained_json(explanation: &Explanation) -> String {
    let mut out = Writer::default();
    out.object(|out| {
        say::state(&explanation.view, false, out);
        let sentences = explain(explanation);
        out.name("explanation").list(|out| sentences.iter().for_each(|text| out.text(text)));
    });
    out.into_string()
}

/// A customer's state as one JSON object. `restricted`: loyalty and reciprocity too, which patient customers would be squeezed by.
pub fn customer_json(view: &CustomerView, restricted: bool) -> String {
    let mut out = Writer::default();
    out.object(|out| say::state(view, restricted, out));
    out.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Reason, SourcePosition};
    use crate::model::EventTime;

    fn line(action: Action) -> (FileKind, String) {
        let source = SourcePosition { offset: 4, seq: 0, ordinal: 0 };
        file_line(&Effect { source, action }).unwrap()
    }

    #[test]
    fn a_dead_letter_is_named_by_its_line() {
        let rejection = Rejection {
            reason: Reason::BadEnvelope,
            detail: Some("subject".into()),
            id: Some("x\"1".to_owned()),
            subject: None,
        };
        let told = line(Action::DeadLetter(Box::new(rejection)));
        let expected =
            r#"{"line":4,"reason":"bad_envelope","detail":"subject","id":"x\"1","subject":null}"#;
        assert_eq!(told, (FileKind::DeadLetters, expected.to_owned()));
    }

    #[test]
    fn an_erasure_has_neither_data_nor_sequence() {
        let output = Output {
            customer: "ezra".into(),
            time: EventTime::parse("2025-01-04T00:00:00Z").unwrap(),
            sequence: 1,
            causation_id: Some("e4".into()),
            trace: None,
            body: OutputBody::CustomerErased { open_alerts: vec!["b721".into()] },
        };
        let expected = r#"{"specversion":"1.0","id":"cc1eebc7f54ec42e5c11405edb45e6bf","source":"/goodfaith","type":"io.goodfaith.customer.erased.v1","subject":"ezra","time":"2025-01-04T00:00:00.000Z","causationid":"e4"}"#;
        let told = line(Action::Publish(Box::new(output)));
        assert_eq!(told, (FileKind::Scores, expected.to_owned()));
    }
}
