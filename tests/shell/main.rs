//! The program as a user meets it, without a broker or with the embedded one: its verbs, files, settings and endpoints, and what the
//! generated histories show. One binary, because linking the whole service takes longer than most of its tests.

#![cfg(feature = "service")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod config;
mod demo;
mod dual_use;
mod generate;
mod http;
mod ingest;
mod organisation;
mod planted;
mod policy;
mod policy_publish;
mod replay;
#[cfg(unix)]
mod run;
mod snapshot;
