//! What a configuration says when it is wrong, and what it never says.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use goodfaith::config::{Config, ConfigError, LogFormat};
use goodfaith::engine::RollUps;
use goodfaith::kafka::Delivery;
use tempfile::TempDir;

const MINIMAL: &str = "[kafka]\nbootstrap_servers = \"127.0.0.1:9092\"\n";

/// A folder with a configuration in it, and what else it names.
struct Case {
    folder: TempDir,
    environment: BTreeMap<String, String>,
    flags: Vec<String>,
}

impl Case {
    fn new(config: &str) -> Self {
        let case = Self {
            folder: TempDir::new().expect("a folder"),
            environment: BTreeMap::new(),
            flags: vec![],
        };
        case.file("goodfaith.toml", config)
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).expect("a file");
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("goodfaith.toml")
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(Some(&self.path()), &self.environment, &self.flags)
    }

    fn loaded(&self) -> Config {
        self.load().expect("a valid configuration")
    }

    /// Why it is refused: the chain of causes, with the folder left out.
    fn refusal(&self) -> String {
        let error = self.load().expect_err("the configuration was accepted");
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

#[test]
fn the_least_configuration_names_the_brokers() {
    let config = Case::new(MINIMAL).loaded();
    assert_eq!(config.kafka.bootstrap_servers, "127.0.0.1:9092");
    assert_eq!(config.kafka.delivery, Delivery::ExactlyOnce);
    assert_eq!(config.kafka.commit_interval, Duration::from_millis(100));
    assert_eq!(config.kafka.idle_after, Some(Duration::from_secs(900)));
    assert_eq!(config.listen.to_string(), "127.0.0.1:9464");
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(!config.audit);
    assert_eq!(config.roll_ups, RollUps::Off);
    assert_eq!(
        Case::new("").refusal(),
        "goodfaith.toml: kafka.bootstrap_servers: is required, for example \"127.0.0.1:9092\""
    );
}

#[test]
fn no_file_is_needed() {
    let environment = [("GOODFAITH__KAFKA__BOOTSTRAP_SERVERS", "kafka:9092"), ("HOME", "/")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(
        Config::load(None, &environment, &[]).unwrap().kafka.bootstrap_servers,
        "kafka:9092"
    );
    assert_eq!(
        Config::load(None, &BTreeMap::new(), &[]).unwrap_err().to_string(),
        "GOODFAITH__KAFKA__BOOTSTRAP_SERVERS: kafka.bootstrap_servers: is required, for example \"127.0.0.1:9092\""
    );
}

#[test]
fn the_environment_overrides_the_file_and_a_flag_both() {
    let case = Case::new("[kafka]\nbootstrap_servers = \"file\"\nworkers = 2\npartitions = 3\n[log]\nfilter = \"warn\"")
        .variable("GOODFAITH__KAFKA__WORKERS", "4")
        .variable("GOODFAITH__KAFKA__PARTITIONS", "5")
        .variable("GOODFAITH__LOG__FORMAT", "json")
        .variable("GOODFAITH__KAFKA__GROUP_ID", "123")
        .flag("kafka.partitions=6")
        .flag("kafka.idle_after=never");
    let config = case.loaded();
    assert_eq!((config.kafka.workers, config.kafka.partitions), (4, 6));
    assert_eq!(config.kafka.group_id, "123");
    assert_eq!(config.kafka.idle_after, None);
    assert_eq!((config.log.format, config.log.filter.as_str()), (LogFormat::Json, "warn"));
}

#[test]
fn a_wrong_key_is_named_with_its_place_and_the_nearest_right_one() {
    let refusal = |config: &str| Case::new(config).refusal();
    let cases = [
        "[kafka]\nbootstrap_servers = \"x\"\nworker = 4",
        "[kafak]\nworkers = 4",
        "[kafka]\nzzz = 4",
        "[kafka]\ndelivery = \"exactly_once\"",
        "kafka.workers = \"four\"",
        "[kafka]\nworkers = 0\nbootstrap_servers = \"x\"",
        "[kafka]\nworkers = 1\nworkers = 2",
        "[kafka\nworkers = 1",
        "[kafka]\nbootstrap_servers = \"x\"\n\ncommit_interval = \"90 parsecs\"",
        "[kafka]\nbootstrap_servers = \"x\"\ncommit_interval = \"1h\"",
        "[kafka]\nbootstrap_servers = \"x\"\ntopic_prefix = \"good faith\"",
        "[kafka]\nbootstrap_servers = \"x\"\n[kafka.properties]\n\"group.id\" = \"mine\"",
        "[kafka]\nbootstrap_servers = \"x\"\n[kafka.properties]\n\"enable.auto.commit\" = \"mine\"",
        "[kafka]\nbootstrap_servers = \"x\"\n[kafka.properties]\n\"sasl.passwrod\" = \"mine\"",
        "[kafka]\nbootstrap_servers = \"x\"\n[kafka.properties]\n\"sasl.password\" = { fil = \"x\" }",
        "[kafka]\nbootstrap_servers = \"x\"\n[log]\nfilter = \"goodfaith=loud\"",
    ];
    insta::assert_snapshot!(cases.map(refusal).join("\n"), @r#"
        goodfaith.toml:3:1: kafka.worker: unknown key; did you mean `workers`?
        goodfaith.toml:1:2: kafak: unknown key; did you mean `kafka`?
        goodfaith.toml:2:1: kafka.zzz: unknown key; known here: bootstrap_servers, group_id, instance_id, group_protocol, topic_prefix, workers, delivery, commit_interval, encoding, create_topics, partitions, replication_factor, idle_after, ticks_without_traffic, properties
        goodfaith.toml:2:12: kafka.delivery: unknown value `exactly_once`; did you mean `exactly-once`?
        goodfaith.toml:1:17: kafka.workers: invalid type: string "four", expected a whole number
        goodfaith.toml:2:1: kafka.workers: 0 is out of range: from 1 to 256
        goodfaith.toml:3:1: duplicate key
        goodfaith.toml:1:7: unclosed table, expected `]`
        goodfaith.toml:4:1: kafka.commit_interval: `90 parsecs` is not a duration: a number and ms, s, m, h or d, as in "100ms" or "90d"
        goodfaith.toml:3:1: kafka.commit_interval: 1h is out of range: from 1ms to 5s
        goodfaith.toml:3:1: kafka.topic_prefix: must be 1 to 200 letters, digits, `.`, `_` or `-`
        goodfaith.toml:4:1: kafka.properties.group.id: has a key of its own: set kafka.group_id
        goodfaith.toml:4:1: kafka.properties.enable.auto.commit: is not for you to set: the service sets it itself
        goodfaith.toml:4:1: kafka.properties.sasl.passwrod: No such configuration property: "sasl.passwrod"
        goodfaith.toml:4:19: kafka.properties.sasl.password: expected a text, a number, true or false, { file = "…" } or { env = "…" }
        goodfaith.toml:4:1: log.filter: `goodfaith=loud`: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5; write for example "info" or "warn,goodfaith=debug"
    "#);
}

#[test]
fn a_wrong_override_names_its_variable_or_flag() {
    let cases = [
        Case::new(MINIMAL).variable("GOODFAITH__KAFKA__WORKER", "4"),
        Case::new(MINIMAL).variable("GOODFAITH__KAFKA__WORKERS", "many"),
        Case::new(MINIMAL).variable("GOODFAITH__KAFKA__WORKERS", "0"),
        Case::new(MINIMAL).variable("GOODFAITH__KAFKA", "x"),
        Case::new(MINIMAL).flag("http.listen=here"),
        Case::new(MINIMAL).flag("http.lisen=127.0.0.1:1"),
        Case::new(MINIMAL).flag("workers"),
    ];
    insta::assert_snapshot!(cases.map(|case| case.refusal()).join("\n"), @r#"
        GOODFAITH__KAFKA__WORKER: kafka.worker: unknown key; did you mean `workers`?
        GOODFAITH__KAFKA__WORKERS: kafka.workers: invalid type: string "many", expected a whole number
        GOODFAITH__KAFKA__WORKERS: kafka.workers: 0 is out of range: from 1 to 256
        GOODFAITH__KAFKA: kafka: invalid type: string "x", expected a table
        --set http.listen: http.listen: `here` is not an address and port, as in "127.0.0.1:9464"
        --set http.lisen: http.lisen: unknown key; did you mean `listen`?
        --set workers: is not of the form section.key=value
    "#);
}

#[test]
fn other_machines_are_let_in_only_on_purpose() {
    let open = |text: &str| Case::new(&format!("{MINIMAL}[http]\n{text}"));
    insta::assert_snapshot!(open("listen = \"0.0.0.0:9464\"").refusal(), @"goodfaith.toml:4:1: http.listen: 0.0.0.0:9464 can be reached from other machines, and whoever reaches it reads customers' scores: listen on 127.0.0.1, or set http.allow_remote = true");
    assert_eq!(open("listen = \"0.0.0.0:9464\"\nallow_remote = true").loaded().listen.port(), 9464);
    assert!(open("listen = \"[::1]:0\"").loaded().listen.ip().is_loopback());
}

#[test]
fn a_secret_is_read_from_where_it_is_kept() {
    let config = "[kafka.properties]\n\"sasl.password\" = { file = \"password\" }\n\"ssl.key.password\" = { env = \"KEY\" }\n\
                  \"queue.buffering.max.ms\" = 5\n\"enable.ssl.certificate.verification\" = true";
    let case =
        Case::new(&format!("{MINIMAL}{config}")).file("password", "pa55\n").variable("KEY", "k3y");
    let properties = case.loaded().kafka.properties;
    let property = |name: &str| properties[name].as_str();
    assert_eq!(property("sasl.password"), "pa55");
    assert_eq!(property("ssl.key.password"), "k3y");
    assert_eq!(property("queue.buffering.max.ms"), "5");
    assert_eq!(property("enable.ssl.certificate.verification"), "true");

    let missing = Case::new(&format!("{MINIMAL}{config}")).file("password", "pa55");
    assert_eq!(
        missing.refusal(),
        "goodfaith.toml:5:1: kafka.properties.ssl.key.password: the environment variable KEY is not set"
    );
}

#[test]
fn a_property_may_come_from_the_environment() {
    let case =
        Case::new(MINIMAL).variable("GOODFAITH__KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2");
    assert_eq!(case.loaded().kafka.properties["sasl.password"], "hunter2");
}

#[test]
fn no_secret_is_ever_shown() {
    let config = "[kafka.properties]\n\"sasl.password\" = \"hunter2\"\n\"ssl.key.pem\" = \"hunter2\"\n\"ssl.keystore.password\" = \"hunter2\"\n\
                  \"ssl.key.password\" = { file = \"password\" }\n\"client.rack\" = \"shown\"";
    let config = Case::new(&format!("{MINIMAL}{config}")).file("password", "hunter2").loaded();
    let told = [config.to_toml(), config.to_json(), format!("{config:?} {config:#?}")];
    for text in &told {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(told[0].contains("\"client.rack\" = \"shown\""), "{}", told[0]);
    assert!(told[0].contains("file = \"password\""), "{}", told[0]);
}

#[test]
fn what_is_printed_can_be_read_again() {
    let printed = Case::new(MINIMAL).loaded().to_toml();
    assert_eq!(Case::new(&printed).loaded().to_toml(), printed);
}

#[test]
fn a_policy_is_looked_for_beside_the_file_and_checked() {
    let config = format!("{MINIMAL}[policy]\nfile = \"policy.toml\"\n");
    let version = Case::new(&config)
        .file("policy.toml", "version = \"mine-2\"")
        .loaded()
        .policy
        .version
        .to_string();
    assert_eq!(version, "mine-2");
    let refusal = Case::new(&config).file("policy.toml", "base_rate = 1.5").refusal();
    insta::assert_snapshot!(refusal, @"goodfaith.toml:4:1: policy.file: cannot use policy.toml: line 1: base_rate: 1.5 is out of range: above 0 and below 1");
    assert!(
        Case::new(&config)
            .refusal()
            .starts_with("goodfaith.toml:4:1: policy.file: cannot use policy.toml: ")
    );
}

#[test]
fn the_sample_loads_and_names_every_setting() {
    let sample = include_str!("../../deploy/goodfaith.toml");
    let config = Case::new(sample).loaded();
    assert!(config.kafka.create_topics);
    for line in config.to_toml().lines().filter(|line| line.contains(" = ")) {
        let name = line.split(" = ").next().unwrap();
        assert!(sample.contains(&format!("{name} = ")), "the sample does not mention {name}");
    }
}

#[test]
fn the_sample_shows_the_defaults() {
    let sample = include_str!("../../deploy/goodfaith.toml");
    let defaults = Case::new(MINIMAL).loaded().to_toml();
    for line in
        defaults.lines().filter(|line| line.contains(" = ") && !line.starts_with("create_topics"))
    {
        assert!(sample.contains(line), "the sample shows another default than `{line}`");
    }
}

#[test]
fn snapshots_go_to_a_folder_every_five_minutes_unless_told_otherwise() {
    let shown = |case: Case| {
        let settings = case.loaded().snapshot?;
        Some((settings.location.to_string(), settings.interval))
    };
    let five_minutes = Duration::from_secs(300);
    assert_eq!(shown(Case::new(MINIMAL)), Some(("data/snapshots".to_owned(), five_minutes)));
    let case = Case::new(MINIMAL).flag("snapshot.url=s3://bucket/a").flag("snapshot.interval=1h");
    assert_eq!(shown(case), Some(("s3://bucket/a".to_owned(), Duration::from_secs(3_600))));
    assert_eq!(shown(Case::new(MINIMAL).flag("snapshot.enabled=false")), None);
}

#[test]
fn a_place_that_keeps_no_snapshots_is_refused() {
    for (setting, says) in [
        ("snapshot.url=https://example.com", "s3://bucket/folder"),
        ("snapshot.url=s3://me:hunter2@bucket/a", "s3://bucket/folder"),
        ("snapshot.interval=10ms", "from 1s to 1d"),
    ] {
        let refusal = Case::new(MINIMAL).flag(setting).refusal();
        assert!(refusal.contains(says) && refusal.contains("snapshot."), "{refusal}");
    }
}
