//! The group: who owns which partition in which generation, and what is committed.
//!
//! It rebalances as the cooperative protocol does: a partition moves to its next owner only after the one before has given it back
//! or is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{Offset, Refused};
use crate::generate::dice::Dice;

/// A member as it knows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) generation: i32,
}

/// What a poll tells a member.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) generation: i32,
    pub(super) revoked: Vec<i32>,
    pub(super) assigned: Vec<i32>,
}

/// An offset, and where it lies in the log of offsets: of two the later one counts, whenever their transactions end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    at: u64,
    offset: Offset,
}

/// The group and its offsets.
pub(super) struct Group {
    partitions: i32,
    generation: i32,
    next_id: u64,
    /// What each member holds.
    members: BTreeMap<u64, BTreeSet<i32>>,
    /// Who is to own what.
    target: BTreeMap<i32, u64>,
    committed: BTreeMap<i32, Stored>,
    /// By producer: offsets whose transaction has not ended.
    pending: BTreeMap<usize, BTreeMap<i32, Stored>>,
    /// Offsets stored so far.
    stored: u64,
    /// KIP-447: offsets are taken only from a member of the present generation.
    checks_generations: bool,
    /// Offsets that moved back.
    pub(super) moved_back: Vec<String>,
}

impl Group {
    pub(super) fn new(partitions: i32, checks_generations: bool) -> Self {
        Self {
            partitions,
            generation: 0,
            next_id: 0,
            members: BTreeMap::new(),
            target: BTreeMap::new(),
            committed: BTreeMap::new(),
            pending: BTreeMap::new(),
            stored: 0,
            checks_generations,
            moved_back: Vec::new(),
        }
    }

    /// A new member's id.
    pub(super) fn join(&mut self, dice: &mut Dice) -> u64 {
        self.next_id += 1;
        self.members.insert(self.next_id, BTreeSet::new());
        self.rebalance(dice);
        self.next_id
    }

    /// The member is gone, whether it knows or not.
    pub(super) fn evict(&mut self, member: u64, dice: &mut Dice) {
        if self.members.remove(&member).is_some() {
            self.rebalance(dice);
        }
    }

    /// Begins another generation, in which the partitions may go to others.
    pub(super) fn rebalance(&mut self, dice: &mut Dice) {
        self.generation += 1;
        let members: Vec<u64> = self.members.keys().copied().collect();
        self.target.clear();
        if !members.is_empty() {
            self.target = (0..self.partitions).map(|p| (p, dice.pick(&members))).collect();
        }
    }

    /// What a member is told next; `None` if it is none.
    pub(super) fn poll(&mut self, member: u64) -> Option<Told> {
        let held = self.members.get(&member)?;
        let is_target = |partition: &i32| self.target.get(partition) == Some(&member);
        let revoked: Vec<i32> = held.iter().copied().filter(|p| !is_target(p)).collect();
        let is_free = |partition: &i32| !self.members.values().any(|held| held.contains(partition));
        let free = (0..self.partitions).filter(|p| is_target(p) && is_free(p));
        let assigned: Vec<i32> = if revoked.is_empty() { free.collect() } else { Vec::new() };
        self.members.entry(member).or_default().extend(&assigned);
        Some(Told { generation: self.generation, revoked, assigned })
    }

    /// A member has let go of partitions.
    pub(super) fn give_back(&mut self, member: u64, partitions: &[i32]) {
        if let Some(held) = self.members.get_mut(&member) {
            held.retain(|partition| !partitions.contains(partition));
        }
    }

    pub(super) fn check(&self, member: Member) -> Result<(), Refused> {
        if !self.checks_generations {
            return Ok(());
        }
        if !self.members.contains_key(&member.id) {
            return Err(Refused::NoMember);
        }
        if member.generation == self.generation { Ok(()) } else { Err(Refused::Generation) }
    }

    pub(super) fn has_pending(&self, producer: usize) -> bool {
        self.pending.contains_key(&producer)
    }

    pub(super) fn pend(&mut self, producer: usize, offsets: &BTreeMap<i32, Offset>) {
        self.stored += 1;
        let at = self.stored;
        let stored = |(partition, offset): (&i32, &Offset)| {
            (*partition, Stored { at, offset: offset.clone() })
        };
        self.pending.entry(producer).or_default().extend(offsets.iter().map(stored));
    }

    /// A transaction's marker has come.
    pub(super) fn resolve(&mut self, producer: usize, is_commit: bool) {
        let pending = self.pending.remove(&producer).unwrap_or_default();
        for (partition, stored) in pending.into_iter().filter(|_| is_commit) {
            match self.committed.get(&partition) {
                Some(before) if stored.at < before.at => continue,
                Some(before) if stored.offset.0 < before.offset.0 => {
                    let text = format!("partition {partition}: {before:?} to {stored:?}");
                    self.moved_back.push(text);
                }
                _ => {}
            }
            self.committed.insert(partition, stored);
        }
    }

    /// What is committed of `partition`, if that is certain: UNSTABLE_OFFSET_COMMIT is an `Err`.
    pub(super) fn committed(&self, partition: i32) -> Result<Option<&Offset>, ()> {
        let is_unstable = self.pending.values().any(|offsets| offsets.contains_key(&partition));
        if is_unstable {
            Err(())
        } else {
            Ok(self.committed.get(&partition).map(|stored| &stored.offset))
        }
    }
}
