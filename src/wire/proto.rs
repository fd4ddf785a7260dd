//! The messages of `proto/goodfaith/v1`, generated at build time, and the well-known types they use.
//!
//! What a field may hold is not checked here: `field` does that.

#![allow(
    missing_docs,
    unreachable_pub,
    unnameable_types,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]

include!(concat!(env!("OUT_DIR"), "/goodfaith.v1.rs"));
