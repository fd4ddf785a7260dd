//! Integrity as a system: what the evidence says of the organisation behind it, by channel, agent, team, department, partner and
//! product. It scores no customer and changes no score; it only adds up what was judged, and for whom.
//!
//! Everything kept here is a sum that merges: the partials of any partitioning of the customers add up to the same result. Who is
//! told what of it, and how it travels, is decided elsewhere.

mod ledger;
mod promises;
mod reading;
mod roll_up;
mod sketch;
mod standing;
mod unit;

pub use ledger::{Organisation, merged};
pub use promises::{Counted, InternalOutcome, PromiseTally};
pub use reading::{
    Consistency, IndexReading, Report, Told, UnitReading, Value, Verdict, consistency,
    effective_size, shrunk,
};
pub use roll_up::{RollUp, Savings, Sums};
pub use sketch::Sketch;
pub use standing::{Standing, Standings};
pub use unit::{Origin, Unit, UnitKind};
