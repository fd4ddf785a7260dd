//! Which engine may go on with a partition's state. State made by one engine and a log handled again by another give neither's outputs: so
//! a new engine begins only where nothing is left to be handled again, says so in the journal before all else, and an older one never
//! follows it.

use super::partition::{Journalled, Position};
use super::restore::Refusal;
use crate::wire::Decision;

/// The state a restore begins with: a snapshot, or the empty one of the genesis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    /// The next offset to handle.
    pub(super) offset_next: i64,
    /// The last journal record it holds.
    pub(super) seq: u64,
    /// The engine in force there.
    pub(super) engine: u32,
}

/// Whether the engine `program` may go on from `base`, with the `rest` of the journal, to where the partition was committed.
///
/// # Errors
/// If it is older than the last engine in force, or would have to handle again what another engine has handled.
pub(super) fn examine<'j>(
    base: &Base,
    rest: impl Iterator<Item = &'j Journalled> + Clone,
    committed: Option<Position>,
    program: u32,
) -> Result<(), Refusal> {
    let tail = || rest.clone().filter(|entry| entry.record.seq > base.seq);
    let mut reign = (base.engine, None);
    for entry in tail() {
        if let Decision::Engine { engine, version } = &entry.record.decision {
            reign = (*engine, Some((entry, version)));
        }
    }
    let (found, begun) = reign;
    if program < found {
        let version = begun.map(|(_, version)| version.to_string());
        return Err(Refusal::OlderEngine { found, program, version });
    }
    // The end of what another engine has handled since the base: where this one began, or else all of it.
    let handled = |end: i64, seq: u64| {
        base.offset_next < end
            || tail().any(|entry| entry.record.seq < seq && entry.record.decision.reaches_engine())
    };
    let is_open = match begun.filter(|_| found == program) {
        Some((entry, _)) => handled(entry.record.at, entry.record.seq),
        None if found == program => false,
        None => handled(committed.map_or(base.offset_next, |at| at.offset_next), u64::MAX),
    };
    if is_open { Err(Refusal::NotDrained { found, program }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventTime;
    use crate::wire::{Chain, CommitMark, JournalRecord, StopCause};

    const START: Base = Base { offset_next: 10, seq: 0, engine: 1 };

    fn entry(seq: u64, at: i64, decision: Decision) -> Journalled {
        Journalled { record: JournalRecord { seq, at, decision }, chain: Chain::default() }
    }

    fn tick(seq: u64, at: i64) -> Journalled {
        entry(seq, at, Decision::Tick { time: EventTime::from_millis(at) })
    }

    fn engine(seq: u64, at: i64, engine: u32) -> Journalled {
        entry(seq, at, Decision::Engine { engine, version: "0.2.0".into() })
    }

    fn at(offset_next: i64) -> Option<Position> {
        let mark = CommitMark { lineage: [0; 16], seq: 0, hash: 0, reference_offset_next: 0 };
        Some(Position { offset_next, mark })
    }

    /// In words, whether `program` may go on.
    fn told(base: Base, rest: &[Journalled], committed: i64, program: u32) -> &'static str {
        match examine(&base, rest.iter(), at(committed), program) {
            Ok(()) => "goes on",
            Err(Refusal::OlderEngine { .. }) => "is too old",
            Err(Refusal::NotDrained { .. }) => "wants a drain",
            Err(_) => "is refused otherwise",
        }
    }

    #[test]
    fn the_same_engine_handles_any_tail_again() {
        assert_eq!(told(START, &[tick(1, 20), tick(2, 30)], 30, 1), "goes on");
    }

    #[test]
    fn a_newer_engine_begins_only_on_an_empty_tail() {
        assert_eq!(told(START, &[], 10, 2), "goes on", "a history without a record");
        assert_eq!(told(START, &[], 11, 2), "wants a drain");
        assert_eq!(told(START, &[tick(1, 10)], 10, 2), "wants a drain", "a decision is a tail too");
        let drained = Base { offset_next: 30, seq: 1, engine: 1 };
        assert_eq!(told(drained, &[tick(1, 20)], 30, 2), "goes on");
        let cause = StopCause::DeadLetters { count: 3, window: 10 };
        let stop = entry(2, 30, Decision::Stop { cause });
        assert_eq!(told(drained, &[stop], 30, 2), "goes on", "the engine never hears of a stop");
    }

    #[test]
    fn an_older_engine_never_follows_a_newer_one() {
        let rest = [tick(1, 20), engine(2, 30, 2), tick(3, 40)];
        let drained = Base { offset_next: 30, seq: 1, engine: 1 };
        assert_eq!(told(drained, &rest, 50, 1), "is too old");
        assert_eq!(told(drained, &rest, 50, 2), "goes on");
        let taken = Base { offset_next: 50, seq: 3, engine: 2 };
        assert_eq!(told(taken, &rest, 60, 2), "goes on", "a snapshot of its own");
        assert_eq!(told(taken, &rest, 60, 1), "is too old");
    }

    #[test]
    fn a_base_from_before_the_drain_is_no_base_for_the_new_engine() {
        let rest = [tick(1, 20), engine(2, 30, 2), tick(3, 40)];
        assert_eq!(told(START, &rest, 50, 2), "wants a drain");
        let early = Base { offset_next: 25, seq: 1, engine: 1 };
        assert_eq!(told(early, &rest, 50, 2), "wants a drain");
    }
}
