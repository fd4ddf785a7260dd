//! The parts of an organisation, and short references to those an event names: a slot keeps four bytes instead of names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::model::Text;
use crate::model::event::{Actor, words};

words! {
    /// What kind of part of the organisation a unit is.
    UnitKind { /// All of it.
        Whole = "whole", /// Where it happened.
        Channel = "channel", /// Who acted.
        Agent = "agent", /// Whose team.
        Team = "team", /// Whose department.
        Department = "department", /// A partner or supplier.
        Partner = "partner", /// A plan.
        Product = "product" }
}

/// One part of the organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Unit {
    /// What kind of part.
    pub kind: UnitKind,
    /// Its name; `-` for the whole.
    pub name: Text,
}

impl Unit {
    /// The unit of this kind and name.
    pub fn new(kind: UnitKind, name: &str) -> Self {
        Self { kind, name: name.into() }
    }

    /// The whole organisation.
    pub fn whole() -> Self {
        Self::new(UnitKind::Whole, "-")
    }
}

impl fmt::Display for Unit {
    /// `agent/anna`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Where something belongs in the organisation: a reference into the engine's own table. The default names nobody.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Origin(u32);

/// Named units; one more goes to the unit `other` of its kind, and is counted.
const UNITS: usize = 4096;
/// Different combinations of units; one more is told apart by its kinds alone, and counted.
const ORIGINS: usize = 1 << 16;
/// Takes what has no room of its own.
const OTHER: &str = "other";

/// A unit of an origin, and the unit of the same origin it belongs to, by their places.
pub(super) type Membership = (u32, Option<u32>);

/// The units seen so far and the combinations they came in. Both only grow, until an abort takes the last ones back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Origins {
    // Invariant: not empty; the first is the whole.
    units: Vec<Unit>,
    places: BTreeMap<Unit, u32>,
    // Invariant: not empty; the first names nobody. Each lists the whole first.
    origins: Vec<Arc<[Membership]>>,
    /// By a hash of what the origin was made of. Its order never shows.
    index: BTreeMap<u64, u32>,
}

impl Default for Origins {
    fn default() -> Self {
        Self {
            units: vec![Unit::whole()],
            places: BTreeMap::from([(Unit::whole(), 0)]),
            origins: vec![Arc::from([(0, None)])],
            index: BTreeMap::new(),
        }
    }
}

impl Origins {
    /// Every unit, in the order of their places.
    pub(super) fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The units of an origin, the whole first.
    pub(super) fn of(&self, origin: Origin) -> Arc<[Membership]> {
        Arc::clone(&self.origins[origin.0 as usize])
    }

    /// How many units and origins there are.
    pub(super) const fn mark(&self) -> (usize, usize) {
        (self.units.len(), self.origins.len())
    }

    /// Forgets what came after `mark`.
    pub(super) fn truncate(&mut self, (units, origins): (usize, usize)) {
        for unit in self.units.drain(units..) {
            self.places.remove(&unit);
        }
        self.origins.truncate(origins);
        self.index.retain(|_, origin| (*origin as usize) < origins);
    }

    /// Where an event of this channel and actor belongs; and how many of its names had no room.
    pub(super) fn intern(&mut self, channel: Option<&str>, actor: Option<&Actor>) -> (Origin, u64) {
        let named = named(channel, actor);
        if named.is_empty() {
            (Origin::default(), 0)
        } else {
            self.look_up(Origin::default(), &named)
        }
    }

    /// `origin`, and the product besides; and how many names had no room.
    pub(super) fn with_product(&mut self, origin: Origin, plan: &str) -> (Origin, u64) {
        self.look_up(origin, &[(UnitKind::Product, plan)])
    }

    fn look_up(&mut self, base: Origin, named: &[(UnitKind, &str)]) -> (Origin, u64) {
        let key = key(base, named);
        if let Some(origin) = self.index.get(&key) {
            return (Origin(*origin), 0);
        }
        if self.origins.len() >= ORIGINS && named.iter().any(|(_, name)| *name != OTHER) {
            let others: Vec<_> = named.iter().map(|(kind, _)| (*kind, OTHER)).collect();
            let (origin, _) = self.look_up(Origin::default(), &others);
            return (origin, 1);
        }
        let mut without_room = 0;
        let mut places = Vec::with_capacity(named.len());
        for (kind, name) in named {
            let (place, is_other) = self.place(*kind, name);
            without_room += u64::from(is_other);
            places.push((*kind, place));
        }
        let parent = |kind| {
            let of =
                |kind| places.iter().find(|(other, _)| *other == kind).map(|(_, place)| *place);
            match kind {
                UnitKind::Agent => of(UnitKind::Team).or_else(|| of(UnitKind::Department)),
                UnitKind::Team => of(UnitKind::Department),
                _ => None,
            }
        };
        let added = places.iter().map(|(kind, place)| (*place, parent(*kind)));
        let members: Vec<Membership> = self.of(base).iter().copied().chain(added).collect();
        let origin = u32::try_from(self.origins.len()).expect("bounded far below 2^32");
        self.origins.push(members.into());
        self.index.insert(key, origin);
        (Origin(origin), without_room)
    }

    /// The place of a unit, made if there is room, and whether it is `other`'s because there was none.
    fn place(&mut self, kind: UnitKind, name: &str) -> (u32, bool) {
        let mut unit = Unit::new(kind, name);
        if let Some(place) = self.places.get(&unit) {
            return (*place, false);
        }
        let is_full = self.units.len() >= UNITS;
        if is_full {
            unit = Unit::new(kind, OTHER);
            if let Some(place) = self.places.get(&unit) {
                return (*place, true);
            }
        }
        let place = u32::try_from(self.units.len()).expect("bounded far below 2^32");
        self.places.insert(unit.clone(), place);
        self.units.push(unit);
        (place, is_full)
    }
}

/// What channel and actor name, a unit a kind at most.
fn named<'a>(channel: Option<&'a str>, actor: Option<&'a Actor>) -> Vec<(UnitKind, &'a str)> {
    let mut named: Vec<_> = channel.map(|name| (UnitKind::Channel, name)).into_iter().collect();
    if let Some(Actor { kind, id, team, department }) = actor {
        let is_partner = matches!(kind.as_deref(), Some("partner" | "supplier"));
        let own = if is_partner { UnitKind::Partner } else { UnitKind::Agent };
        let names = [(own, id), (UnitKind::Team, team), (UnitKind::Department, department)];
        named.extend(names.into_iter().filter_map(|(kind, name)| Some((kind, name.as_deref()?))));
    }
    named
}

fn key(base: Origin, named: &[(UnitKind, &str)]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&base.0.to_le_bytes());
    for (kind, name) in named {
        hash.update(kind.as_str().as_bytes());
        hash.update(&name.len().to_le_bytes());
        hash.update(name.as_bytes());
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(kind: &str, id: &str, team: &str) -> Actor {
        Actor {
            kind: Some(kind.into()),
            id: Some(id.into()),
            team: Some(team.into()),
            department: Some("care".into()),
        }
    }

    fn told(origins: &Origins, origin: Origin) -> String {
        let name = |place: u32| origins.units()[place as usize].to_string();
        let member = |(place, parent): &Membership| {
            parent
                .map_or_else(|| name(*place), |parent| format!("{}<{}", name(*place), name(parent)))
        };
        origins.of(origin).iter().map(member).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_actor_counts_for_its_id_team_and_department_and_a_partner_for_itself() {
        let mut origins = Origins::default();
        let (anna, _) = origins.intern(Some("phone"), Some(&actor("agent", "anna", "blue")));
        let all =
            "whole/- channel/phone agent/anna<team/blue team/blue<department/care department/care";
        assert_eq!(told(&origins, anna), all);
        let (partner, _) = origins.intern(None, Some(&actor("supplier", "acme", "blue")));
        assert_eq!(
            told(&origins, partner),
            "whole/- partner/acme team/blue<department/care department/care"
        );
        let (nobody, _) = origins.intern(None, None);
        assert_eq!((nobody, told(&origins, nobody)), (Origin::default(), "whole/-".to_owned()));
        let (billed, _) = origins.with_product(partner, "basic");
        assert!(told(&origins, billed).ends_with("department/care product/basic"));
    }

    #[test]
    fn one_combination_has_one_reference_and_an_abort_takes_new_ones_back() {
        let mut origins = Origins::default();
        let (phone, _) = origins.intern(Some("phone"), None);
        let mark = origins.mark();
        let (web, _) = origins.intern(Some("web"), None);
        assert_eq!(origins.intern(Some("phone"), None), (phone, 0));
        origins.truncate(mark);
        assert_eq!(origins.units().len(), 2);
        let (shop, _) = origins.intern(Some("shop"), None);
        assert_eq!((shop, told(&origins, shop)), (web, "whole/- channel/shop".to_owned()));
    }

    #[test]
    fn what_has_no_room_is_counted_with_the_others() {
        let mut origins = Origins::default();
        let mut without_room = 0;
        for n in 0..UNITS + 9 {
            without_room += origins.intern(Some(&format!("c{n}")), None).1;
        }
        assert_eq!((origins.units().len(), without_room), (UNITS + 1, 10));
        for n in 0..ORIGINS {
            origins.with_product(Origin::default(), &format!("p{n}"));
        }
        assert_eq!(origins.mark().1, ORIGINS + 1);
        let (late, without_room) = origins.intern(Some("late"), Some(&actor("agent", "x", "y")));
        assert_eq!(without_room, 1);
        assert!(told(&origins, late).starts_with("whole/- channel/other agent/other<team/other"));
    }
}
