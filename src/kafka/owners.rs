//! Whether the group has given every partition to somebody. What a worker does about it is not decided here.
//!
//! A static member that is killed between the halves of a cooperative rebalance, and started again at once, gets back what it has been
//! left with, without a rebalance (KIP-345). So the second half never comes: what it was asked to give up is nobody's, in a group that
//! is stable, until any other rebalance. It can come about only while a static member begins, so only then it looks.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::groups::GroupInfo;

/// Pause between two looks: the first half of a rebalance is over by then.
const INTERVAL: Duration = Duration::from_secs(3);
/// The same if nobody answers, or the group is in a rebalance: every broker is asked, and one that is away is waited for.
const PATIENT_INTERVAL: Duration = Duration::from_secs(15);
/// How long the brokers may take to answer.
const QUESTION: Duration = Duration::from_millis(500);

/// What a static member that begins knows of the partitions without an owner.
pub(super) struct OwnersWatch {
    due_at: Instant,
    /// Those of the last look.
    unowned: BTreeSet<i32>,
}

/// What a look at the group says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owners {
    /// Look again later.
    Unclear,
    /// Every partition has one.
    All,
    /// So many partitions have none, and had none at the last look.
    Missing(usize),
}

impl OwnersWatch {
    /// Nothing is known yet.
    pub(super) const fn new(now: Instant) -> Self {
        Self { due_at: now, unowned: BTreeSet::new() }
    }

    /// It is time for a look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due_at <= now
    }

    /// Looks, on behalf of a member of `group`, who has each of `partitions` of `topic`.
    pub(super) fn look<C: ConsumerContext>(
        &mut self,
        member: &BaseConsumer<C>,
        group: &str,
        topic: &str,
        partitions: i32,
        now: Instant,
    ) -> Owners {
        let found = member.fetch_group_list(Some(group), QUESTION).ok();
        let groups = found.iter().flat_map(|list| list.groups());
        let owned = groups.filter(|found| found.name() == group).find_map(|g| owned(g, topic));
        self.note(owned.map(|owned| (0..partitions).filter(|p| !owned.contains(p)).collect()), now)
    }

    /// Takes in which partitions have no owner; `None` if that cannot be said.
    fn note(&mut self, unowned: Option<BTreeSet<i32>>, now: Instant) -> Owners {
        let before = std::mem::take(&mut self.unowned);
        let Some(unowned) = unowned else {
            self.due_at = now + PATIENT_INTERVAL;
            return Owners::Unclear;
        };
        self.due_at = now + INTERVAL;
        self.unowned = unowned;
        match self.unowned.len() {
            0 => Owners::All,
            missing if self.unowned == before => Owners::Missing(missing),
            _ => Owners::Unclear,
        }
    }
}

/// The partitions of `topic` that members of the group have; `None` while it is in a rebalance, or an assignment cannot be read.
fn owned(group: &GroupInfo, topic: &str) -> Option<BTreeSet<i32>> {
    let mut owned = BTreeSet::new();
    for member in group.members() {
        owned.extend(assigned(member.assignment()?, topic)?);
    }
    (group.state() == "Stable").then_some(owned)
}

/// The partitions of `topic` in an assignment; `None` if it is none. Source: Kafka, `ConsumerProtocolAssignment`, of any version: a
/// version, then for each topic its name and partitions, then what is of no concern here.
fn assigned(bytes: &[u8], topic: &str) -> Option<Vec<i32>> {
    let mut rest = bytes.get(2..)?;
    let mut partitions = Vec::new();
    for _ in 0..number(&mut rest)? {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let (name, behind) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
        rest = behind;
        for _ in 0..number(&mut rest)? {
            let partition = number(&mut rest)?;
            if name == topic.as_bytes() {
                partitions.push(partition);
            }
        }
    }
    Some(partitions)
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    /// An assignment of version 1, with user data.
    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let count = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
        let mut bytes = [&[0, 1][..], &count(topics.len())].concat();
        for (name, partitions) in topics {
            bytes.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend(count(partitions.len()));
            bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
        }
        [bytes, count(3).to_vec(), b"own".to_vec()].concat()
    }

    #[test]
    fn an_assignment_is_read_and_no_part_of_one() {
        let bytes = assignment(&[("other", &[7]), ("events", &[0, 2])]);
        assert_eq!(assigned(&bytes, "events"), Some(vec![0, 2]));
        assert_eq!(assigned(&bytes, "none"), Some(vec![]));
        assert_eq!(assigned(&assignment(&[]), "events"), Some(vec![]));
        let whole = bytes.len() - 7;
        for end in 0..whole {
            assert_eq!(assigned(&bytes[..end], "events"), None, "{end} of {whole} bytes");
        }
    }

    #[test]
    fn partitions_are_without_owner_if_two_looks_say_so() {
        let now = clock::now();
        let mut watch = OwnersWatch::new(now);
        let mut look = |unowned: Option<&[i32]>| {
            watch.note(unowned.map(|unowned| unowned.iter().copied().collect()), now)
        };
        assert_eq!(look(None), Owners::Unclear);
        assert_eq!(look(None), Owners::Unclear);
        assert_eq!(look(Some(&[1, 2])), Owners::Unclear);
        assert_eq!(look(Some(&[2])), Owners::Unclear);
        assert_eq!(look(None), Owners::Unclear);
        assert_eq!(look(Some(&[2])), Owners::Unclear);
        assert_eq!(look(Some(&[2])), Owners::Missing(1));
        assert_eq!(look(Some(&[])), Owners::All);
        assert!(!watch.is_due(now) && watch.is_due(now + INTERVAL));
    }
}
