//! Which deployment a verb is about: the configuration that `goodfaith run` has.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::{UsageError, run};
use crate::config::Config;

/// Arguments of every verb that works on the topics of a deployment.
#[derive(Debug, Args)]
pub(super) struct DeploymentArgs {
    /// The configuration of the deployment, the one `goodfaith run` has
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting over file and environment; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl DeploymentArgs {
    /// The settings, read and checked.
    ///
    /// # Errors
    /// If there are none, not even in the environment, or one is wrong.
    pub(super) fn load(&self) -> anyhow::Result<Config> {
        let environment = run::environment();
        let is_named = self.config.is_some() || !self.set.is_empty();
        if !is_named && !Config::is_in(&environment) {
            let told =
                anyhow!("which deployment? --config goodfaith.toml, the one its service runs with");
            return Err(UsageError::new(told).into());
        }
        let config = Config::load(self.config.as_deref(), &environment, &self.set);
        Ok(config.map_err(UsageError::new)?)
    }
}
