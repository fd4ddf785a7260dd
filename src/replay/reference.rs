//! Catalogue files: read whole, before any event.

use std::io;

use thiserror::Error;

use crate::engine::Reason;
use crate::files::Input;
use crate::model::{Catalogue, Event, Text};
use crate::wire::{self, Expect, RecordRef};

/// Why a file is no catalogue. `line` counts from 1, in that file.
#[derive(Debug, Error)]
pub enum ReferenceError {
    /// It cannot be read.
    #[error("line {line}")]
    Read {
        /// The line that could not be read to its end.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line is no event.
    #[error("line {line}: {reason}{}", detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
    Refused {
        /// The line.
        line: u64,
        /// What is wrong with it.
        reason: Reason,
        /// The field or attribute at fault.
        detail: Option<Text>,
    },
    /// A line is an event, but changes no catalogue.
    #[error(
        "line {line}: not a reference event; only plan.published, plan.withdrawn and price.listed are"
    )]
    NotReference {
        /// The line.
        line: u64,
    },
}

/// Applies all of a catalogue file to `catalogue`, in the order of its lines.
///
/// # Errors
/// If the file cannot be read, or a line is anything but a reference event or blank.
pub fn read_reference(file: &mut Input, catalogue: &mut Catalogue) -> Result<(), ReferenceError> {
    let (mut text, mut line) = (Vec::new(), 0);
    loop {
        line += 1;
        let is_line = file.next_line(&mut text);
        if !is_line.map_err(|source| ReferenceError::Read { line, source })? {
            return Ok(());
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let record = RecordRef { key: None, value: Some(&text), headers: &[], timestamp_ms: None };
        match wire::decode(record, Expect::File) {
            Ok(Event::Reference(event)) => catalogue.apply(&event.change),
            Ok(Event::Customer(_) | Event::Tick(_)) => {
                return Err(ReferenceError::NotReference { line });
            }
            Err(refused) => {
                let (reason, detail) = (refused.reason, refused.detail);
                return Err(ReferenceError::Refused { line, reason, detail });
            }
        }
    }
}
