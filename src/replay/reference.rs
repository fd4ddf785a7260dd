//! Reference files: read whole, before any event.

use std::io;
use std::sync::Arc;

use thiserror::Error;

use super::decoded;
use crate::engine::Reason;
use crate::files::Input;
use crate::model::{Catalogue, Event, Policy, ReferenceChange, Text};

/// Why a file is no catalogue. `line` counts lines, or messages, from 1, in that file.
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
    /// A line is an event, but no reference event.
    #[error(
        "line {line}: not a reference event; only plan.published, plan.withdrawn, price.listed and policy.published are"
    )]
    NotReference {
        /// The line.
        line: u64,
    },
}

/// Applies all of a reference file to `catalogue`, in the order of its lines; the last policy in it, if it holds one. All of the file
/// is visible from the start, so that policy would be in force from the start.
///
/// # Errors
/// If the file cannot be read, or a line is anything but a reference event or blank.
pub fn read_reference(
    file: &mut Input,
    catalogue: &mut Catalogue,
) -> Result<Option<Arc<Policy>>, ReferenceError> {
    let (mut record, mut line, mut policy) = (Vec::new(), 0, None);
    loop {
        line += 1;
        let is_record = file.next_record(&mut record);
        if !is_record.map_err(|source| ReferenceError::Read { line, source })? {
            return Ok(policy);
        }
        let Some(event) = decoded(&record, file.form()) else { continue };
        match event {
            Ok(Event::Reference(event)) => match &event.change {
                ReferenceChange::PolicyPublished { policy: last } => {
                    policy = Some(Arc::clone(last.policy()));
                }
                change => catalogue.apply(change),
            },
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
