//! `goodfaith policy`: what is done with policy files, one file a verb.

mod publish;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Arguments of `policy`.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    verb: PolicyVerb,
}

#[derive(Debug, Subcommand)]
enum PolicyVerb {
    /// Put a policy in force while events flow
    Publish(publish::PublishArgs),
}

/// Does what is asked of a policy.
pub(super) fn policy(args: &PolicyArgs) -> anyhow::Result<ExitCode> {
    match &args.verb {
        PolicyVerb::Publish(args) => publish::publish(args),
    }
}
