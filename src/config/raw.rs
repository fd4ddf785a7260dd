//! The configuration as written: one field a key, with its default. What it means and whether it is right is decided where the
//! checked form is made. Written out again it shows no secret.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use crate::kafka::DeadLetterLimit;

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) kafka: RawKafka,
    pub(super) snapshot: RawSnapshot,
    pub(super) http: RawHttp,
    pub(super) policy: RawPolicy,
    pub(super) audit: RawAudit,
    pub(super) organisation: RawOrganisation,
    pub(super) stops: RawStops,
    pub(super) limits: RawLimits,
    pub(super) log: RawLog,
}

/// `[kafka]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawKafka {
    pub(super) bootstrap_servers: Option<String>,
    pub(super) group_id: String,
    pub(super) instance_id: Option<String>,
    pub(super) group_protocol: RawGroupProtocol,
    pub(super) topic_prefix: String,
    pub(super) workers: usize,
    pub(super) delivery: RawDelivery,
    pub(super) commit_interval: String,
    pub(super) encoding: RawEncoding,
    pub(super) create_topics: bool,
    pub(super) partitions: i32,
    pub(super) replication_factor: Option<i32>,
    pub(super) idle_after: String,
    pub(super) ticks_without_traffic: bool,
    pub(super) properties: RawProperties,
}

impl Default for RawKafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: None,
            group_id: "goodfaith".to_owned(),
            instance_id: None,
            group_protocol: RawGroupProtocol::default(),
            topic_prefix: "goodfaith".to_owned(),
            workers: 1,
            delivery: RawDelivery::default(),
            commit_interval: "100ms".to_owned(),
            encoding: RawEncoding::default(),
            create_topics: false,
            partitions: 8,
            replication_factor: None,
            idle_after: "15m".to_owned(),
            ticks_without_traffic: false,
            properties: RawProperties::default(),
        }
    }
}

/// `kafka.group_protocol`
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawGroupProtocol {
    #[default]
    Classic,
    Consumer,
}

/// `kafka.delivery`
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawDelivery {
    #[default]
    ExactlyOnce,
    AtLeastOnce,
}

/// `kafka.encoding`
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawEncoding {
    #[default]
    Protobuf,
    Json,
    StructuredJson,
}

/// `[snapshot]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSnapshot {
    pub(super) enabled: bool,
    pub(super) url: String,
    pub(super) interval: String,
}

impl Default for RawSnapshot {
    fn default() -> Self {
        Self { enabled: true, url: "data/snapshots".to_owned(), interval: "5m".to_owned() }
    }
}

/// `[http]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHttp {
    pub(super) listen: String,
    pub(super) allow_remote: bool,
}

impl Default for RawHttp {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9464".to_owned(), allow_remote: false }
    }
}

/// `[policy]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPolicy {
    pub(super) file: Option<PathBuf>,
}

/// `[audit]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAudit {
    pub(super) evidence: bool,
}

/// `[organisation]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawOrganisation {
    pub(super) publish: bool,
}

/// `[stops]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawStops {
    pub(super) dead_letter_share: f64,
    pub(super) dead_letter_window: u64,
}

impl Default for RawStops {
    fn default() -> Self {
        let DeadLetterLimit { share, window } = DeadLetterLimit::default();
        Self { dead_letter_share: share, dead_letter_window: window }
    }
}

/// `[limits]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) state_bytes: Option<String>,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) format: RawLogFormat,
    pub(super) filter: String,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { format: RawLogFormat::default(), filter: "info".to_owned() }
    }
}

/// `log.format`
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawLogFormat {
    #[default]
    Text,
    Json,
}

/// `[kafka.properties]`: librdkafka's own names. Neither `Debug` nor what is written out again shows a secret.
#[derive(Clone, Default, Deserialize)]
pub(super) struct RawProperties(pub(super) BTreeMap<String, RawProperty>);

/// What may be said of one property.
#[derive(Clone, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "expected a text, a number, true or false, { file = \"…\" } or { env = \"…\" }"
)]
pub(super) enum RawProperty {
    Text(String),
    Number(i64),
    Flag(bool),
    Secret(SecretSource),
}

/// Where a secret is kept.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SecretSource {
    File(PathBuf),
    Env(String),
}

impl RawProperty {
    /// The value itself, read from where it is kept; a relative file is looked for in `folder`.
    pub(super) fn resolve(
        &self,
        folder: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Number(number) => Ok(number.to_string()),
            Self::Flag(flag) => Ok(flag.to_string()),
            Self::Secret(SecretSource::File(file)) => read_secret(&folder.join(file)),
            Self::Secret(SecretSource::Env(name)) => environment
                .get(name)
                .cloned()
                .ok_or_else(|| format!("the environment variable {name} is not set")),
        }
    }
}

/// A file's text without the line end that editors add.
fn read_secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the secret {}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A property's name says whether its value may be shown.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "key", "token", "jaas"].iter().any(|word| name.contains(word))
}

impl RawProperties {
    /// The properties with what must not be shown replaced. Where a secret is kept is no secret.
    fn masked(&self) -> BTreeMap<&str, RawProperty> {
        let mask = |(name, value): (&String, &RawProperty)| match value {
            RawProperty::Secret(_) => value.clone(),
            _ if is_secret(name) => RawProperty::Text("***".to_owned()),
            _ => value.clone(),
        };
        self.0.iter().map(|entry| (entry.0.as_str(), mask(entry))).collect()
    }
}

impl Serialize for RawProperties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.masked().serialize(serializer)
    }
}

impl fmt::Debug for RawProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_name() {
        for name in
            ["sasl.password", "ssl.key.pem", "client.secret", "access.TOKEN", "sasl.jaas.config"]
        {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("sasl.username"));
    }
}
