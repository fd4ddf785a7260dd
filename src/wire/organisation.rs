//! Parts of an organisation's roll-ups as lines of JSON, written and read: what the verb `organisation` adds up again.
//!
//! Masses travel as whole numbers, not as decimals, so that parts add up exactly; an integer beyond 2^53 is a text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::lines::SOURCE;
use crate::engine::OrganisationPart;
use crate::model::digest::hex_32;
use crate::model::organisation::{
    PromiseTally, RollUp, Savings, Sketch, Standings, Sums, Unit, UnitKind,
};
use crate::model::{Accumulator, Class, Currency, EventTime};

const TYPE: &str = "io.goodfaith.organisation.rolled_up.v1";

/// Why a line is no part.
#[derive(Debug, Error)]
pub enum PartError {
    /// It is no JSON, or a field is missing or of the wrong type; the message names it.
    #[error("no part of an organisation's roll-ups: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A field holds what it cannot hold.
    #[error("`{0}` holds what it cannot hold")]
    Field(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Line {
    specversion: String,
    id: String,
    source: String,
    r#type: String,
    subject: String,
    time: String,
    datacontenttype: String,
    data: Data,
}

#[derive(Serialize, Deserialize)]
struct Data {
    dimension: String,
    unit: String,
    partition: u32,
    policy: String,
    half_lives_ms: [i64; 6],
    /// Class to R, S and V, each epoch and units.
    sums: BTreeMap<String, [(i64, String); 3]>,
    customers: Vec<(u16, u8)>,
    promises: Promises,
    remedies: Vec<i64>,
    savings: BTreeMap<String, Saved>,
    parent: Option<Parent>,
    standings: Option<[Group; 2]>,
    without_room: u64,
}

#[derive(Serialize, Deserialize)]
struct Promises {
    kept: i64,
    late: i64,
    broken: i64,
    withdrawn: i64,
    internal_kept: i64,
    internal_broken: i64,
    used: Vec<i64>,
    used_micros: i64,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    identified: i64,
    advised: i64,
}

#[derive(Serialize, Deserialize)]
struct Parent {
    dimension: String,
    unit: String,
    since: String,
}

#[derive(Serialize, Deserialize)]
struct Group {
    customers: i64,
    score_micros: i64,
    histogram: Vec<i64>,
    depleted: i64,
    strong: i64,
    told_honestly: i64,
    overhung: i64,
    squeezed: i64,
    squeezed_hard: i64,
    exposed: BTreeMap<String, i64>,
}

/// A part as one CloudEvent on one line, without line feed.
pub fn part_line(part: &OrganisationPart, partition: u32) -> String {
    let time = part.as_of.to_string();
    let line = Line {
        specversion: "1.0".to_owned(),
        id: hex_32(&format!("{}\norganisation.rolled_up\n{partition}\n{time}", part.unit)),
        source: SOURCE.to_owned(),
        r#type: TYPE.to_owned(),
        subject: part.unit.to_string(),
        time,
        datacontenttype: "application/json".to_owned(),
        data: data(part, partition),
    };
    serde_json::to_string(&line).expect("maps have texts as names")
}

/// Reads a line of [`part_line`]: the partition and its part.
///
/// # Errors
/// If it is no such line.
pub fn read_part(line: &[u8]) -> Result<(u32, OrganisationPart), PartError> {
    let Line { r#type, time, data, .. } = serde_json::from_slice(line)?;
    if r#type != TYPE {
        return Err(PartError::Field("type"));
    }
    Ok((
        data.partition,
        OrganisationPart {
            unit: unit(&data.dimension, &data.unit)?,
            as_of: EventTime::parse(&time).ok_or(PartError::Field("time"))?,
            half_lives_ms: checked_half_lives(data.half_lives_ms)?,
            policy: data.policy.as_str().into(),
            roll_up: roll_up(data)?,
        },
    ))
}

fn data(part: &OrganisationPart, partition: u32) -> Data {
    let OrganisationPart { unit, policy, half_lives_ms, roll_up, .. } = part;
    let sum = |sum: &Accumulator| (sum.epoch(), sum.units().to_string());
    let sums = |sums: &Sums| [sum(&sums.positive), sum(&sums.negative), sum(&sums.squares)];
    let saved =
        |savings: &Savings| Saved { identified: savings.identified, advised: savings.advised };
    let parent = roll_up.parent.as_ref().map(|(since, parent)| Parent {
        dimension: parent.kind.to_string(),
        unit: parent.name.to_string(),
        since: since.to_string(),
    });
    Data {
        dimension: unit.kind.to_string(),
        unit: unit.name.to_string(),
        partition,
        policy: policy.to_string(),
        half_lives_ms: *half_lives_ms,
        sums: roll_up.sums.iter().map(|(class, of)| (class.to_string(), sums(of))).collect(),
        customers: roll_up.customers.registers().to_vec(),
        promises: promises(&roll_up.promises),
        remedies: roll_up.remedies.to_vec(),
        savings: roll_up.savings.iter().map(|(of, held)| (of.to_string(), saved(held))).collect(),
        parent,
        standings: roll_up.standings.as_deref().map(|groups| groups.each_ref().map(group)),
        without_room: roll_up.without_room,
    }
}

fn promises(tally: &PromiseTally) -> Promises {
    Promises {
        kept: tally.kept,
        late: tally.late,
        broken: tally.broken,
        withdrawn: tally.withdrawn,
        internal_kept: tally.internal_kept,
        internal_broken: tally.internal_broken,
        used: tally.used.to_vec(),
        used_micros: tally.used_micros,
    }
}

fn group(standings: &Standings) -> Group {
    Group {
        customers: standings.customers,
        score_micros: standings.score_micros,
        histogram: standings.histogram.to_vec(),
        depleted: standings.depleted,
        strong: standings.strong,
        told_honestly: standings.told_honestly,
        overhung: standings.overhung,
        squeezed: standings.squeezed,
        squeezed_hard: standings.squeezed_hard,
        exposed: standings.exposed.iter().map(|(of, minor)| (of.to_string(), *minor)).collect(),
    }
}

fn unit(kind: &str, name: &str) -> Result<Unit, PartError> {
    let kind = UnitKind::from_word(kind).ok_or(PartError::Field("dimension"))?;
    Ok(Unit::new(kind, name))
}

/// Half-lives as a policy may have them: at least 10 days.
fn checked_half_lives(half_lives_ms: [i64; 6]) -> Result<[i64; 6], PartError> {
    let is_ok = half_lives_ms.iter().all(|half_life| 10 * crate::model::DAY_MS <= *half_life);
    is_ok.then_some(half_lives_ms).ok_or(PartError::Field("half_lives_ms"))
}

fn currency(code: &str) -> Result<Currency, PartError> {
    Currency::new(code).ok_or(PartError::Field("currency"))
}

fn counts<const N: usize>(counts: Vec<i64>, name: &'static str) -> Result<[i64; N], PartError> {
    counts.try_into().map_err(|_| PartError::Field(name))
}

fn roll_up(data: Data) -> Result<RollUp, PartError> {
    let sum = |(epoch, units): &(i64, String)| {
        let units = units.parse().map_err(|_| PartError::Field("sums"))?;
        Ok::<_, PartError>(Accumulator::new(*epoch, units))
    };
    let mut roll_up = RollUp {
        customers: Sketch::from_registers(data.customers).ok_or(PartError::Field("customers"))?,
        remedies: counts(data.remedies, "remedies")?,
        promises: PromiseTally {
            kept: data.promises.kept,
            late: data.promises.late,
            broken: data.promises.broken,
            withdrawn: data.promises.withdrawn,
            internal_kept: data.promises.internal_kept,
            internal_broken: data.promises.internal_broken,
            used: counts(data.promises.used, "used")?,
            used_micros: data.promises.used_micros,
        },
        without_room: data.without_room,
        ..RollUp::default()
    };
    for (class, [positive, negative, squares]) in &data.sums {
        let class = Class::from_word(class).ok_or(PartError::Field("sums"))?;
        let (positive, negative, squares) = (sum(positive)?, sum(negative)?, sum(squares)?);
        roll_up.sums.insert(class, Sums { positive, negative, squares });
    }
    for (code, Saved { identified, advised }) in data.savings {
        roll_up.savings.insert(currency(&code)?, Savings { identified, advised });
    }
    if let Some(parent) = data.parent {
        let since = EventTime::parse(&parent.since).ok_or(PartError::Field("parent"))?;
        roll_up.parent = Some((since, unit(&parent.dimension, &parent.unit)?));
    }
    if let Some([unmarked, marked]) = data.standings {
        roll_up.standings = Some(Box::new([standings(unmarked)?, standings(marked)?]));
    }
    Ok(roll_up)
}

fn standings(group: Group) -> Result<Standings, PartError> {
    let exposed = group.exposed.into_iter().map(|(code, minor)| Ok((currency(&code)?, minor)));
    Ok(Standings {
        customers: group.customers,
        score_micros: group.score_micros,
        histogram: counts(group.histogram, "histogram")?,
        depleted: group.depleted,
        strong: group.strong,
        told_honestly: group.told_honestly,
        overhung: group.overhung,
        squeezed: group.squeezed,
        squeezed_hard: group.squeezed_hard,
        exposed: exposed.collect::<Result<_, PartError>>()?,
    })
}
