//! Squeezes: the customer is worse off with no trade-off in return. One file a type, and what they share.

mod kind;
mod severity;
mod slot;

pub use kind::{SqueezeType, dedup_key};
pub use severity::{Level, Severity, severity};
pub use slot::SqueezeState;
