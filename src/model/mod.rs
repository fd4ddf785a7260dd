//! What is computed: trust as mathematics, and the rules of the domain. Pure: it reads no clock, no file and no environment, and
//! imports nothing of the engine, the wire or the shell.

pub mod account;
pub mod customer;
pub mod decay;
pub mod event;
pub mod explain;
pub mod fact;
pub mod failure;
pub mod held;
pub mod interval;
pub mod lateness;
pub mod loyalty;
pub mod nearest;
pub mod number;
pub mod organisation;
pub mod output;
pub mod promise;
pub mod reciprocity;
pub mod restore;
pub mod ring;
pub mod section;
pub mod squeeze;
pub mod step;
pub mod subscription;
pub mod timer;
pub mod weight;

mod activation;
mod band;
mod catalogue;
pub(crate) mod digest;
mod evidence;
mod money;
mod opinion;
pub mod policy;
mod reading;
mod rules;
#[cfg(test)]
mod story;
mod time;
mod trust;

pub use account::{Account, Accounts};
pub use activation::{BakedIn, PolicyDocument, WarmUp, Warming};
pub use band::Band;
pub use catalogue::{
    Attribute, BestPlan, Catalogue, PlanInForce, PlanVersion, at_least, monthly, monthly_price,
};
pub use decay::Accumulator;
pub use event::{CustomerEvent, Event, ReferenceChange, ReferenceEvent};
pub use evidence::{Class, Dimension, Evidence, EvidenceId, Sign};
pub use money::{Currency, Money, Period};
pub use number::{Micros, MicrosText};
pub use opinion::{BetaPair, Opinion};
pub use policy::{DimensionPolicy, Policy, PolicyError, Tolerance};
pub use promise::PromiseOutcome;
pub use reading::{DimensionReading, LoyaltyReading, TrustReading};
pub use time::{DAY_MS, EventTime, TimeText, months_billed, parse_duration_ms};
pub use trust::{DimensionSums, TrustPoint, TrustState};

/// A short text of an event, 1 to 128 characters, never changed.
pub type Text = smol_str::SmolStr;
