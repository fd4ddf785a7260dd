//! The types generated from `proto/`.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]

include!(concat!(env!("OUT_DIR"), "/goodfaith.v1.rs"));
