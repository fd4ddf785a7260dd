//! `goodfaith policy schema`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::model::policy::policy_schema;

/// Writes the JSON Schema of a policy file.
pub(super) fn schema() -> anyhow::Result<ExitCode> {
    io::stdout().write_all(policy_schema().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
