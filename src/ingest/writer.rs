//! Takes events in the order they are made and writes them in the order asked for.

use super::rule::{Log, Produced};
use super::sink::{Destination, Sink, WriteError};
use super::sort::Sorter;
use super::{IngestError, OnFailure, Options, Order, Summary};

/// The way from the rules to the destinations.
pub(super) struct Writer<'a> {
    options: &'a Options,
    stage: Stage,
}

enum Stage {
    Sorting(Sorter),
    Writing(Box<Sinks>),
}

impl<'a> Writer<'a> {
    /// A writer as `options` ask for. If events need not be sorted the destinations are opened at once.
    pub(super) fn new(options: &'a Options) -> Result<Self, IngestError> {
        let stage = match options.order {
            Order::ByTime { run_bytes } => Stage::Sorting(Sorter::new(run_bytes)),
            Order::AsRead => Stage::Writing(Box::new(Sinks::open(options)?)),
        };
        Ok(Self { options, stage })
    }

    /// Takes an event.
    pub(super) fn push(&mut self, event: Produced) -> Result<(), IngestError> {
        if event.log == Log::Reference && is_misplaced(self.options) {
            return Err(IngestError::MisplacedReference);
        }
        match &mut self.stage {
            Stage::Sorting(sorter) => sorter.push(event).map_err(IngestError::Sort),
            Stage::Writing(sinks) => sinks.write(&event),
        }
    }

    /// Writes what is left, unless rows failed and that forbids it.
    pub(super) fn finish(self, summary: &Summary) -> Result<(), IngestError> {
        let sorter = match self.stage {
            Stage::Writing(sinks) => return sinks.finish(),
            Stage::Sorting(sorter) => sorter,
        };
        if summary.rows_failed > 0 && self.options.on_failure == OnFailure::WriteNothing {
            return Ok(());
        }
        let mut sinks = Sinks::open(self.options)?;
        for event in sorter.finish().map_err(IngestError::Sort)? {
            sinks.write(&event.map_err(IngestError::Sort)?)?;
        }
        sinks.finish()
    }
}

fn is_misplaced(options: &Options) -> bool {
    options.reference_output.is_none() && matches!(options.output, Destination::Topic(_))
}

/// The open destinations.
struct Sinks {
    events: (Destination, Sink),
    reference: Option<(Destination, Sink)>,
}

impl Sinks {
    fn open(options: &Options) -> Result<Self, IngestError> {
        let open = |destination: &Destination| {
            let sink = Sink::open(destination, &options.broker);
            sink.map(|sink| (destination.clone(), sink)).map_err(output_error(destination))
        };
        let events = open(&options.output)?;
        Ok(Self { events, reference: options.reference_output.as_ref().map(open).transpose()? })
    }

    fn write(&mut self, event: &Produced) -> Result<(), IngestError> {
        let (destination, sink) = match (event.log, &mut self.reference) {
            (Log::Reference, Some(reference)) => reference,
            (Log::Reference, None) | (Log::Events, _) => &mut self.events,
        };
        sink.write(event).map_err(output_error(destination))
    }

    fn finish(self) -> Result<(), IngestError> {
        for (destination, sink) in [Some(self.events), self.reference].into_iter().flatten() {
            sink.finish().map_err(output_error(&destination))?;
        }
        Ok(())
    }
}

fn output_error(destination: &Destination) -> impl FnOnce(WriteError) -> IngestError {
    let destination = destination.clone();
    move |source| IngestError::Output { destination, source: Box::new(source) }
}
