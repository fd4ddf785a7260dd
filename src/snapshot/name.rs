//! Names of objects: they sort by what they are of, so that the newest is known without reading any.

use std::fmt;
use std::str::FromStr;

use crate::wire::{SnapshotPoint, Step, StepId};

/// What the objects of one step, and the manifest written after it, are called: `<offset>-<seq>-<step>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotName {
    /// The next offset to handle.
    pub offset_next: i64,
    /// The last journal record applied.
    pub seq: u64,
    /// The step.
    pub step: StepId,
}

/// What a step's objects end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Part,
}

const MANIFEST: &str = "manifest";

impl SnapshotName {
    pub(super) const fn of(step: &Step) -> Self {
        Self { offset_next: step.offset_next, seq: step.seq, step: step.id }
    }

    pub(super) fn manifest(&self) -> String {
        format!("{self}.{MANIFEST}")
    }

    pub(super) fn part(&self, number: usize) -> String {
        format!("{self}.{number:05}")
    }

    /// The step an object belongs to, and what it is of it; `None` for a name that is none of ours.
    pub(super) fn of_object(name: &str) -> Option<(Self, Kind)> {
        let (step, end) = name.split_once('.')?;
        let is_number = !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
        let kind = match end {
            MANIFEST => Kind::Manifest,
            _ if is_number => Kind::Part,
            _ => return None,
        };
        Some((step.parse().ok()?, kind))
    }

    /// Where it stands in a partition's history.
    pub const fn place(&self) -> (i64, u64) {
        (self.offset_next, self.seq)
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset_next, seq, step } = self;
        write!(f, "{offset_next:020}-{seq:020}-{:032x}", u128::from_be_bytes(*step))
    }
}

impl FromStr for SnapshotName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let read = || {
            let mut parts = text.split('-');
            let offset_next = parts.next()?.parse().ok()?;
            let seq = parts.next()?.parse().ok()?;
            let step = u128::from_str_radix(parts.next()?, 16).ok()?.to_be_bytes();
            let name = Self { offset_next, seq, step };
            // One name a step: what reads alike but is written otherwise is none of ours.
            (parts.next().is_none() && name.to_string() == text).then_some(name)
        };
        read().ok_or(())
    }
}

/// The folder of a partition's history.
pub(super) fn folder(lineage: [u8; 16], partition: i32) -> String {
    format!("{:032x}/{partition:05}", u128::from_be_bytes(lineage))
}

/// The same, of the point a snapshot is of.
pub(super) fn folder_of(point: &SnapshotPoint) -> String {
    folder(point.genesis.lineage, point.partition)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_of_another_kind_is_none_of_ours() {
        let name = SnapshotName { offset_next: 7, seq: 1, step: [0xab; 16] };
        assert_eq!(
            name.part(3),
            "00000000000000000007-00000000000000000001-abababababababababababababababab.00003"
        );
        assert_eq!(SnapshotName::of_object(&name.manifest()), Some((name, Kind::Manifest)));
        for other in
            ["", "README.md", "7-1-ab.manifest", &format!("{name}"), &format!("{name}.tmp")]
        {
            assert_eq!(SnapshotName::of_object(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn names_sort_as_what_they_name(a: (u32, u32), b: (u32, u32), step: [u8; 16]) {
            let name = |(offset, seq): (u32, u32)| SnapshotName { offset_next: offset.into(), seq: seq.into(), step };
            let (a, b) = (name(a), name(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
            prop_assert_eq!(SnapshotName::of_object(&a.part(0)), Some((a, Kind::Part)));
        }
    }
}
