//! `goodfaith run` as a user starts it: what it checks, and the whole service against an embedded broker, ended by a signal.
#![cfg(all(feature = "service", unix))]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};

use assert_cmd::Command as Asserted;
use goodfaith::kafka::EmbeddedBroker;
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
