//! `goodfaith run` as a user starts it: what it checks, and the whole service against an embedded broker, ended by a signal.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use assert_cmd::Command as Asserted;
use goodfaith::config::Config;
use goodfaith::kafka::{EmbeddedBroker, TailRecord, TopicTail, TopicWriter};
use serde_json::Value;
use tempfile::TempDir;

fn goodfaith() -> Asserted {
    Asserted::new(env!("CARGO_BIN_EXE_goodfaith"))
}

/// What a command said, and its exit code.
fn outcome(command: &mut Asserted) -> (i32, String, String) {
    let output = command.output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_check_prints_the_settings_in_force_and_no_secret() {
    let (code, stdout, stderr) = outcome(
        goodfaith()
            .args([
                "run",
                "--check",
                "--set",
                "kafka.bootstrap_servers=a:1",
                "--set",
                "kafka.properties.sasl.password=hunter2",
            ])
            .env("GOODFAITH__KAFKA__WORKERS", "3"),
    );
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(
        stdout.contains("workers = 3") && stdout.contains("bootstrap_servers = \"a:1\""),
        "{stdout}"
    );
    assert!(!stdout.contains("hunter2"), "{stdout}");
    let (_, json, _) = outcome(goodfaith().args([
        "run",
        "--check",
        "--format",
        "json",
        "--set",
        "kafka.bootstrap_servers=a:1",
    ]));
    let settings: Value = serde_json::from_str(&json).expect("one JSON object");
    assert_eq!(settings["kafka"]["bootstrap_servers"], "a:1");
}

#[test]
fn a_wrong_configuration_ends_with_2_and_names_the_line() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("goodfaith.toml");
    fs::write(&file, "[kafka]\nbootstrap_server = \"a:1\"\n").expect("a file");
    let (code, stdout, stderr) = outcome(goodfaith().args(["run", "--config"]).arg(&file));
    assert_eq!((code, stdout.as_str()), (2, ""));
    let expected = format!(
        "error: {}:2:1: kafka.bootstrap_server: unknown key; did you mean `bootstrap_servers`?\n",
        file.display()
    );
    assert_eq!(stderr, expected);
    let (code, _, stderr) = outcome(goodfaith().args(["run", "--config", "no-such-file.toml"]));
    assert_eq!(code, 2);
    assert!(
        stderr.starts_with("error: cannot read the configuration no-such-file.toml\n  because "),
        "{stderr}"
    );
}

#[test]
fn a_taken_port_ends_with_1_and_names_the_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let (code, _, stderr) = outcome(goodfaith().args([
        "run",
        "--set",
        "kafka.bootstrap_servers=127.0.0.1:1",
        "--set",
        &format!("http.listen={address}"),
    ]));
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with(&format!(
            "error: cannot listen on {address}: free it, or set http.listen"
        )),
        "{stderr}"
    );
}

/// The service as a process of its own, its log read as it comes.
struct Running {
    child: Child,
    log: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Running {
    fn start(broker: &EmbeddedBroker) -> Self {
        let servers = broker.bootstrap_servers();
        let mut command = Command::new(env!("CARGO_BIN_EXE_goodfaith"));
        command.arg("run").stderr(Stdio::piped()).stdout(Stdio::null());
        for setting in [
            &format!("kafka.bootstrap_servers={servers}"),
            "kafka.delivery=at-least-once",
            "snapshot.enabled=false",
            "http.listen=127.0.0.1:0",
            "log.format=json",
        ] {
            command.args(["--set", setting]);
        }
        let mut child = command.spawn().expect("the program starts");
        let log = BufReader::new(child.stderr.take().expect("its log")).lines();
        Self { child, log }
    }

    /// The next line of the log that says `message`.
    fn line(&mut self, message: &str) -> Value {
        for line in &mut self.log {
            let line: Value = serde_json::from_str(&line.expect("a line")).expect("a line of JSON");
            if line["message"] == message {
                return line;
            }
        }
        panic!("the service ended without `{message}`");
    }

    fn stop(&mut self, signal: &str) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
        self.line("Service stopping; what is under way is committed.");
        self.line("Service stopped.");
        self.child.wait().expect("it ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("HTTP answers");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn the_service_starts_answers_and_stops_on_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let broker = EmbeddedBroker::start("goodfaith", 2).expect("a broker");
        let mut service = Running::start(&broker);
        let address =
            service.line("Service starting.")["http"].as_str().expect("an address").to_owned();
        service.line("Partition restored.");
        service.line("Partition restored.");
        let [startup, alive] = ["/startupz", "/livez"].map(|path| get(&address, path));
        assert!(
            startup.starts_with("HTTP/1.1 200") && alive.starts_with("HTTP/1.1 200"),
            "{startup}\n{alive}"
        );
        let unknown = get(&address, "/v1/customers/nobody");
        assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
        assert!(unknown.contains("unknown-customer"), "{unknown}");
        assert!(get(&address, "/metrics").contains("goodfaith_build_info{"));
        assert_eq!(service.stop(signal).code(), Some(0));
    }
}

/// What the service reads before anything happens to `amara`: the catalogue, and her story.
fn feed(broker: &EmbeddedBroker) {
    let story = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/amara.events.ndjson");
    let story = fs::read_to_string(story).expect("the golden scenario");
    let servers = broker.bootstrap_servers();
    let write = |topic: &str, is_meant: &dyn Fn(&Value) -> bool| {
        let writer = TopicWriter::create(&servers, topic, &[]).expect("a writer");
        for line in story.lines() {
            let event: Value = serde_json::from_str(line).expect("JSON");
            if is_meant(&event) {
                let key = event["subject"].as_str().unwrap_or_default();
                writer.send(key, line.as_bytes(), None).expect("a record");
            }
        }
        writer.finish().expect("all written");
    };
    write("goodfaith.reference.v1", &|event| event["subject"].is_null());
    write("goodfaith.events.v1", &|event| event["subject"].is_string());
}

/// The records of `topics` until one `is_last`.
fn records_until(
    broker: &EmbeddedBroker,
    topics: &[&str],
    is_last: impl Fn(&TailRecord) -> bool,
) -> Vec<TailRecord> {
    let servers = format!("kafka.bootstrap_servers={}", broker.bootstrap_servers());
    let config = Config::load(None, &BTreeMap::new(), &[servers]).expect("settings");
    let mut tail = TopicTail::open(&config.kafka, topics).expect("topics");
    let mut records = Vec::new();
    loop {
        let record = tail.next(Duration::from_secs(60)).expect("the broker answers");
        let record = record.expect("a record within a minute");
        let is_last = is_last(&record);
        records.push(record);
        if is_last {
            return records;
        }
    }
}

#[test]
fn an_erased_customer_is_gone_and_the_receipt_says_where_the_tombstone_is() {
    let broker = EmbeddedBroker::start("goodfaith", 2).expect("a broker");
    feed(&broker);
    let mut service = Running::start(&broker);
    let address = service.line("Service starting.")["http"].as_str().expect("one").to_owned();
    records_until(&broker, &["open-alerts"], |record| record.value.is_some());

    let servers = format!("kafka.bootstrap_servers={}", broker.bootstrap_servers());
    let url = format!("http://{address}");
    let explain = ["explain", "amara", "--url", &url];
    let (code, told, stderr) = outcome(goodfaith().args(explain));
    assert_eq!(code, 0, "{stderr}");
    assert!(told.contains("Squeeze S01 legacy_overpricing"), "{told}");
    let mut past = explain.to_vec();
    past.extend(["--at", "2025-01-01"]);
    let (code, _, stderr) = outcome(goodfaith().args(past));
    assert_eq!(code, 2);
    assert!(
        stderr.contains("leave out --url, and give the events as files by --events"),
        "{stderr}"
    );

    let erase = ["erase", "amara", "--set", &servers, "--wait", "--format", "json"];
    let (code, receipt, stderr) = outcome(goodfaith().args(erase));
    assert_eq!(code, 0, "{stderr}");
    let receipt: Value = serde_json::from_str(&receipt).expect("one JSON object");
    assert_eq!(receipt["done"]["topic"], "goodfaith.scores.v1");
    assert_eq!(receipt["topic"], "goodfaith.events.v1");
    assert_eq!(receipt["gone_by_age"][0]["days"], 90);
    let (code, _, stderr) = outcome(goodfaith().args(explain));
    assert_eq!(code, 1, "{stderr}");

    // Every last word on her is taken back: her own, and that of each open squeeze.
    for (topic, key) in
        [("loyalty", Some("amara")), ("scores", Some("amara")), ("open-alerts", None)]
    {
        let is_gone = |record: &TailRecord| record.value.is_none();
        let records = records_until(&broker, &[topic], is_gone);
        let last = records.last().and_then(|record| record.key.clone()).expect("a key");
        let key = key.map(|key| key.as_bytes().to_vec());
        let expected = key.unwrap_or_else(|| records[0].key.clone().expect("a key"));
        assert_eq!(last, expected, "{topic}");
    }
    let (code, _, stderr) = outcome(goodfaith().args([
        "erase",
        "amara",
        "--set",
        &servers,
        "--wait",
        "--time",
        "2025-01-01",
    ]));
    assert_eq!(code, 1);
    assert!(stderr.contains("the request was refused: erased"), "{stderr}");
    service.stop("-TERM");
}
