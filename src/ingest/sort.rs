//! Sorting by event time with bounded memory: sorted runs in temporary files, merged when all are known.
//!
//! Stable: events of one time keep the order in which they came. The crates that do this are not kept up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use super::rule::{Log, Produced};
use crate::model::EventTime;

/// Bytes of events held in memory before they are written out as a run.
pub(super) const RUN_BYTES: usize = 64 << 20;

/// How many files are open at once in a merge. More runs than that are merged in several passes.
const FAN_IN: usize = 64;

/// Room of the buffer of each run being merged, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Takes events in any order and gives them back by time.
#[derive(Debug)]
pub(super) struct Sorter {
    run: Vec<Produced>,
    run_bytes: usize,
    run_bytes_max: usize,
    /// Runs on disk; those of a level are merges of `FAN_IN` of the level below, and came before them.
    levels: Vec<Vec<File>>,
}

type Source = Box<dyn Iterator<Item = io::Result<Produced>>>;

impl Sorter {
    pub(super) const fn new(run_bytes_max: usize) -> Self {
        Self { run: Vec::new(), run_bytes: 0, run_bytes_max, levels: Vec::new() }
    }

    /// Adds an event.
    ///
    /// # Errors
    ///
    /// When a run cannot be written, for instance for want of room in the folder for temporary files.
    pub(super) fn push(&mut self, event: Produced) -> io::Result<()> {
        self.run_bytes += size_of::<Produced>() + event.key.len() + event.value.len();
        self.run.push(event);
        if self.run_bytes < self.run_bytes_max {
            return Ok(());
        }
        let run = self.take_run();
        let run = written(run.into_iter().map(Ok))?;
        self.add(0, run)
    }

    /// The events by time, those of one time in the order in which they came.
    ///
    /// # Errors
    ///
    /// When a run cannot be read again.
    pub(super) fn finish(mut self) -> io::Result<impl Iterator<Item = io::Result<Produced>>> {
        let last = self.take_run();
        let files = self.levels.into_iter().rev().flatten();
        let mut sources = files.map(read).collect::<io::Result<Vec<Source>>>()?;
        sources.push(Box::new(last.into_iter().map(Ok)));
        Merge::new(sources)
    }

    fn take_run(&mut self) -> Vec<Produced> {
        self.run_bytes = 0;
        let mut run = std::mem::take(&mut self.run);
        run.sort_by_key(|event| event.time);
        run
    }

    fn add(&mut self, level: usize, run: File) -> io::Result<()> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        let runs = self.levels.get_mut(level).expect("levels grow one at a time");
        runs.push(run);
        if runs.len() < FAN_IN {
            return Ok(());
        }
        let runs = std::mem::take(runs).into_iter().map(read).collect::<io::Result<_>>()?;
        let merged = written(Merge::new(runs)?)?;
        self.add(level + 1, merged)
    }
}

/// Sources by time; of one time, the earlier source first.
struct Merge {
    sources: Vec<Source>,
    heads: Vec<Option<Produced>>,
    order: BinaryHeap<Reverse<(EventTime, usize)>>,
}

impl Merge {
    fn new(sources: Vec<Source>) -> io::Result<Self> {
        let heads = sources.iter().map(|_| None).collect();
        let mut merge = Self { sources, heads, order: BinaryHeap::new() };
        (0..merge.sources.len()).try_for_each(|index| merge.refill(index))?;
        Ok(merge)
    }

    fn refill(&mut self, index: usize) -> io::Result<()> {
        let next = self.sources.get_mut(index).and_then(Iterator::next).transpose()?;
        self.order.extend(next.as_ref().map(|event| Reverse((event.time, index))));
        if let Some(head) = self.heads.get_mut(index) {
            *head = next;
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = io::Result<Produced>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, index)) = self.order.pop()?;
        let head = self.heads.get_mut(index).and_then(Option::take)?;
        Some(self.refill(index).map(|()| head))
    }
}

/// A temporary file, gone when closed, that holds `events`.
fn written(events: impl Iterator<Item = io::Result<Produced>>) -> io::Result<File> {
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile()?);
    for event in events {
        let event = event?;
        file.write_all(&event.time.as_millis().to_le_bytes())?;
        file.write_all(&[u8::from(event.log == Log::Reference)])?;
        for part in [event.key.as_bytes(), event.value.as_slice()] {
            file.write_all(&(part.len() as u64).to_le_bytes())?;
            file.write_all(part)?;
        }
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)
}

fn read(mut file: File) -> io::Result<Source> {
    file.rewind()?;
    let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
    Ok(Box::new(std::iter::from_fn(move || read_event(&mut file).transpose())))
}

fn read_event(file: &mut impl Read) -> io::Result<Option<Produced>> {
    let mut word = [0; 8];
    match file.read_exact(&mut word) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let time = EventTime::from_millis(i64::from_le_bytes(word));
    let mut log = [0];
    file.read_exact(&mut log)?;
    let log = if log == [1] { Log::Reference } else { Log::Events };
    let key = String::from_utf8(read_part(file)?).map_err(io::Error::other)?;
    Ok(Some(Produced { time, log, key, value: read_part(file)? }))
}

fn read_part(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut part = Vec::new();
    file.take(length).read_to_end(&mut part)?;
    if part.len() as u64 == length { Ok(part) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(time: i64, number: usize) -> Produced {
        let log = if number.is_multiple_of(3) { Log::Reference } else { Log::Events };
        let (key, value) = (format!("key {number}"), format!("value {number}").into_bytes());
        Produced { time: EventTime::from_millis(time), log, key, value }
    }

    fn sorted(times: &[i64], run_bytes_max: usize) -> Vec<Produced> {
        let mut sorter = Sorter::new(run_bytes_max);
        for (number, time) in times.iter().enumerate() {
            sorter.push(event(*time, number)).unwrap();
        }
        sorter.finish().unwrap().map(Result::unwrap).collect()
    }

    fn sorted_in_memory(times: &[i64]) -> Vec<Produced> {
        let mut events: Vec<_> =
            times.iter().enumerate().map(|(number, time)| event(*time, number)).collect();
        events.sort_by_key(|event| event.time);
        events
    }

    proptest! {
        #[test]
        fn the_size_of_a_run_changes_nothing(times in prop::collection::vec(0_i64..20, 0..300), run in 1_usize..2000) {
            prop_assert_eq!(sorted(&times, run), sorted_in_memory(&times));
        }
    }

    #[test]
    fn more_runs_than_files_may_be_open_are_merged_in_passes() {
        // A run an event: 64 of them make one of the next level, twice.
        let times: Vec<_> = (0..5000).map(|n| n * 7919 % 101).collect();
        assert_eq!(sorted(&times, 1), sorted_in_memory(&times));
    }
}
