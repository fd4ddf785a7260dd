//! goodfaith scores firms, not customers: interaction events in, trust scores and squeeze alerts out.
//!
//! The core ([`model`], [`engine`], [`wire`]) is pure and deterministic and builds without the default feature `service`. The shell
//! around it does all that touches the world and decides nothing about trust.

pub mod engine;
pub mod model;
pub mod wire;

#[cfg(feature = "service")]
pub mod app;
#[cfg(feature = "service")]
pub mod cli;
#[cfg(feature = "service")]
pub mod config;
#[cfg(feature = "service")]
pub mod demo;
#[cfg(feature = "service")]
pub mod files;
#[cfg(feature = "service")]
pub mod generate;
#[cfg(feature = "service")]
pub mod http;
#[cfg(feature = "service")]
pub mod ingest;
#[cfg(feature = "service")]
pub mod kafka;
#[cfg(feature = "service")]
pub mod live;
#[cfg(feature = "service")]
pub mod replay;
#[cfg(feature = "service")]
pub mod snapshot;
#[cfg(feature = "service")]
pub mod telemetry;
