//! History through the engine: records of files in, effects out, with one engine a partition as over Kafka.
//!
//! It reads no clock, knows no Kafka and decides nothing about trust. Where lines come from and where effects go is the caller's
//! business; [`Folder`] is where the command line puts them.

mod case;
mod folder;
mod reference;
mod summary;
mod tally;
mod verification;

use std::collections::BTreeSet;
use std::io;
use std::iter;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::engine::{
    Action, Counters, CustomerView, Effect, Explanation, Input, OrganisationPart, OutputBody,
    PartitionEngine, Rejection, RollUps, Settings,
};
use crate::files::Form;
use crate::model::{Catalogue, Event, EventTime, Policy, Text};
use crate::wire::{self, Expect, RecordRef};

pub use case::{Case, Mismatch, read_cases};
pub use folder::{Existing, Folder, FolderError};
pub use reference::{ReferenceError, read_reference};
pub use summary::Summary;
pub use tally::{SqueezeTally, Tally};
pub use verification::{ClaimTally, Verification, VerificationReport};

/// What a replay runs with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// The reference data visible from the start.
    pub catalogue: Arc<Catalogue>,
    /// Engines, each with the customers whose key falls on its partition.
    pub partitions: NonZeroU32,
    /// Publish every evidence too.
    pub audit: bool,
    /// What becomes of roll-ups over the organisation.
    pub roll_ups: RollUps,
}

impl Default for Options {
    /// One partition, the default policy, no reference data, no audit, no roll-ups.
    fn default() -> Self {
        Self {
            policy: Arc::new(Policy::default()),
            catalogue: Arc::new(Catalogue::default()),
            partitions: NonZeroU32::MIN,
            audit: false,
            roll_ups: RollUps::Off,
        }
    }
}

/// Takes each effect, in order. An error of its own ends the replay.
pub type Sink<'a> = dyn FnMut(&Effect) -> io::Result<()> + 'a;

/// Customers unpacked at a time, in all: half a gigabyte at most, for speed.
const AWAKE: u32 = 1 << 16;

/// A replay in progress.
#[derive(Debug)]
pub struct Replay {
    // Invariant: not empty; by partition.
    engines: Vec<PartitionEngine>,
    line_number: i64,
    /// Records every engine was given, though they are one record each.
    shared_records: u64,
    erased: BTreeSet<Text>,
    effects: Vec<Effect>,
}

impl Replay {
    /// A replay that has seen nothing but the reference data.
    pub fn new(options: &Options) -> Self {
        // The salt hides erased customers in snapshots, and no output depends on it: here there are none.
        let settings =
            Settings { policy: Arc::clone(&options.policy), salt: [0; 16], audit: options.audit };
        let engines = (0..options.partitions.get())
            .map(|_| PartitionEngine::new(settings.clone()).with_roll_ups(options.roll_ups))
            .map(|engine| engine.with_awake((AWAKE / options.partitions) as usize).without_undo());
        let mut replay = Self {
            engines: engines.collect(),
            line_number: 0,
            shared_records: 0,
            erased: BTreeSet::new(),
            effects: Vec::new(),
        };
        for engine in &mut replay.engines {
            let catalogue = Arc::clone(&options.catalogue);
            let reference = Input::Reference { seq: engine.seq(), offset_next: 0, catalogue };
            engine.handle(reference, &mut replay.effects);
        }
        debug_assert!(replay.effects.is_empty(), "reference data alone concerns nobody");
        replay
    }

    /// Takes the next line of the events, blank ones too, without its line end. Lines are numbered from 1, over all files.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) -> io::Result<()> {
        self.decoded_line(decoded(line, Form::Lines), sink)
    }

    /// As [`Self::line`], of a line or message that [`decoded`] has read.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn decoded_line(
        &mut self,
        record: Option<Result<Event, Rejection>>,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        self.line_number += 1;
        let Some(record) = record else { return Ok(()) };
        self.record(record);
        self.perform(sink)
    }

    /// Ends the files: fires what is due at `until`, or where it is `None` at each partition's own watermark.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn end(&mut self, until: Option<EventTime>, sink: &mut Sink<'_>) -> io::Result<()> {
        for engine in &mut self.engines {
            let Some(time) = until.or_else(|| engine.watermark()) else { continue };
            engine.handle(Input::Tick { seq: engine.seq(), time }, &mut self.effects);
        }
        self.perform(sink)
    }

    /// Lines or messages taken so far, blank ones too.
    pub const fn line_number(&self) -> i64 {
        self.line_number
    }

    /// What was counted, and how far event time has come.
    pub fn summary(&self) -> Summary {
        let mut counters = Counters::default();
        for engine in &self.engines {
            let counted = engine.counters();
            counters.records += counted.records;
            counters.accepted += counted.accepted;
            counters.duplicates += counted.duplicates;
            counters.dead_letters += counted.dead_letters;
            counters.timers_fired += counted.timers_fired;
            counters.late += counted.late;
        }
        let counted_again = self.shared_records * (self.engines.len() as u64 - 1);
        counters.records -= counted_again;
        counters.accepted -= counted_again;
        let watermark = self.engines.iter().filter_map(PartitionEngine::watermark).max();
        Summary { watermark, counters, erased: self.erased.iter().cloned().collect() }
    }

    /// Customers held.
    pub fn customer_count(&self) -> usize {
        self.engines.iter().map(PartitionEngine::customer_count).sum()
    }

    /// One customer with all that explains it; `None` if nothing is known of it.
    pub fn explain(&self, customer: &str) -> Option<Explanation> {
        self.engines[self.partition_of(customer)].explain(customer)
    }

    /// Every customer, in the order of their ids over all partitions; read one at a time, since a view outweighs the state it shows.
    pub fn customers(&self) -> impl Iterator<Item = CustomerView> {
        let mut partitions: Vec<_> =
            self.engines.iter().map(|engine| engine.customers().peekable()).collect();
        iter::from_fn(move || {
            let ids = partitions.iter_mut().enumerate().filter_map(|(partition, customers)| {
                Some((customers.peek()?.customer.clone(), partition))
            });
            let (_, first) = ids.min()?;
            partitions[first].next()
        })
    }

    /// Each partition's part of every unit of the organisation, by partition, kind and name.
    pub fn organisation(&self) -> impl Iterator<Item = (u32, OrganisationPart)> {
        let numbered = (0..).zip(&self.engines);
        numbered.flat_map(|(partition, engine)| {
            engine.organisation().into_iter().map(move |part| (partition, part))
        })
    }

    /// Gives a record to the engines it concerns: a customer's to one, the catalogue and the clock to all. A record that cannot be
    /// read belongs to nobody, so the first partition counts it.
    fn record(&mut self, record: Result<Event, Rejection>) {
        let partition = match &record {
            Ok(Event::Customer(event)) => self.partition_of(&event.customer),
            // All score by the same policy, so one says for all that it stays.
            Ok(Event::Reference(event)) if self.engines[0].refusal_of(event).is_some() => 0,
            Ok(Event::Reference(_) | Event::Tick(_)) => return self.share(&record),
            Err(_) => 0,
        };
        let input = Input::Record { offset: self.line_number, record };
        self.engines[partition].handle(input, &mut self.effects);
    }

    fn partition_of(&self, customer: &str) -> usize {
        let count = u32::try_from(self.engines.len()).expect("as many as a u32 said");
        // One partition needs no hash.
        if count == 1 { 0 } else { wire::partition_of(customer.as_bytes(), count) as usize }
    }

    fn share(&mut self, record: &Result<Event, Rejection>) {
        self.shared_records += 1;
        for engine in &mut self.engines {
            let input = Input::Record { offset: self.line_number, record: record.clone() };
            engine.handle(input, &mut self.effects);
        }
    }

    fn perform(&mut self, sink: &mut Sink<'_>) -> io::Result<()> {
        for effect in self.effects.drain(..) {
            if let Action::Publish(output) = &effect.action
                && matches!(output.body, OutputBody::CustomerErased { .. })
            {
                self.erased.insert(output.customer.clone());
            }
            sink(&effect)?;
        }
        Ok(())
    }
}

/// What a record of a file of this form says, or why it says nothing; `None` if it is a blank line.
pub fn decoded(record: &[u8], form: Form) -> Option<Result<Event, Rejection>> {
    let expect = match form {
        Form::Lines if record.trim_ascii().is_empty() => return None,
        Form::Lines => Expect::File,
        Form::Messages => Expect::Message,
    };
    let record = RecordRef { key: None, value: Some(record), headers: &[], timestamp_ms: None };
    Some(wire::decode(record, expect))
}

/// Replays all of `lines` to their end.
///
/// # Errors
/// Those of `sink`.
pub fn run<'a>(
    options: &Options,
    lines: impl IntoIterator<Item = &'a [u8]>,
    until: Option<EventTime>,
    sink: &mut Sink<'_>,
) -> io::Result<Replay> {
    let mut replay = Replay::new(options);
    for line in lines {
        replay.line(line, sink)?;
    }
    replay.end(until, sink)?;
    Ok(replay)
}
