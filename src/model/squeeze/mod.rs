//! Squeezes: the customer is worse off with no trade-off in return. One file a type, each a pure function of the record, the
//! event and the reference data; what they share is how a bill is read, how a slot lives, and how severe it is.

mod alert;
pub mod bill;
mod kind;
mod lifecycle;
mod severity;
mod slot;
mod told;
mod window;

pub mod s01;
pub mod s02;
pub mod s03;
pub mod s04;
pub mod s05;
pub mod s06;
pub mod s07;
pub mod s08;
pub mod s09;
pub mod s10;
pub mod s11;
pub mod s12;
pub mod s13;
pub mod s14;
pub mod s15;
pub mod s16;
pub mod s17;
pub mod s18;
pub mod s19;
pub mod s20;

pub use alert::{Comparator, SqueezeAlert, SqueezeChange};
pub use bill::{Answer, Bill, Excess, Question};
pub use kind::{Basis, SqueezeType, dedup_key};
pub use lifecycle::Finding;
pub use s14::Tally;
pub use severity::{Level, Severity, severity};
pub use slot::{SqueezeSlot, SqueezeState};
pub use told::told;

/// A rule for the recurring amount of a bill.
type Rule = fn(Question<'_>) -> Answer;

/// The rules for the recurring amount, in the order they are asked: the first that holds takes it.
pub(super) const RECURRING: [(SqueezeType, Rule); 8] = [
    (SqueezeType::S04, s04::judge),
    (SqueezeType::S17, s17::judge),
    (SqueezeType::S07, s07::judge),
    (SqueezeType::S16, s16::judge),
    (SqueezeType::S20, s20::judge),
    (SqueezeType::S03, s03::judge),
    (SqueezeType::S01, s01::judge),
    (SqueezeType::S19, s19::judge),
];
