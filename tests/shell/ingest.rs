//! Rows of files to events, as an operator does it: small files with the quirks real ones have.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use goodfaith::files;
use goodfaith::ingest::{
    Broker, Destination, IngestError, Observer, OnFailure, Options, Order, Summary, ingest,
};
use tempfile::TempDir;

const MAPPING: &str = r#"
assumptions = ["Times are UTC."]

[input]
format = "csv"
null = ["", "?"]
when = "row.who != null"
key = "row.ticket"

[vars]
at = "parse_time(row.at, '%d/%m/%Y %H:%M', 'UTC')"

[defaults]
source = "'/tickets'"
subject = "row.who"
time = "at"

[[event]]
when = "prev == null"
type = "'contact.opened'"
id = "row.ticket + '-opened'"
data = { contact_id = "row.ticket", issue = "row.topic" }

[[event]]
when = "prev != null && row.state == 'done' && prev.state != 'done'"
type = "'contact.closed'"
id = "row.ticket + '-closed'"
data = { contact_id = "row.ticket", resolved = true, transfers = "int(row.moves)" }
"#;

const ROWS: &str = "\
ticket,who,state,at,topic,moves
t1,ada,new,2/1/2025 10:00,slow,0
t2,ben,new,1/1/2025 09:00,?,0
t3,?,new,1/1/2025 09:00,slow,0
t1,ada,done,3/1/2025 10:00,slow,2
t2,ben,new,1/1/2025 12:00,?,1
t2,ben,done,1/1/2025 11:00,?,1
";

/// Remembers what it was told.
#[derive(Default)]
struct Log {
    assumptions: Vec<String>,
    failures: Vec<String>,
}

impl Observer for Log {
    fn started(&mut self, _input: &Path, assumptions: &[String]) {
        self.assumptions = assumptions.to_vec();
    }
    fn read(&mut self, _bytes: u64, _total: Option<u64>) {}
    fn writing(&mut self) {}
    fn failed(&mut self, line: u64, reason: &str) {
        self.failures.push(format!("{line}: {reason}"));
    }
}

struct Bench {
    folder: TempDir,
    options: Options,
    log: Log,
}

impl Bench {
    fn new(mapping: &str, rows: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("mapping.toml"), mapping).unwrap();
        fs::write(path("rows"), rows).unwrap();
        let options = Options {
            mapping: path("mapping.toml"),
            set: Vec::new(),
            input: path("rows"),
            output: Destination::File(path("events.ndjson")),
            reference_output: None,
            broker: Broker::default(),
            order: Order::default(),
            on_failure: OnFailure::WriteNothing,
        };
        Self { folder, options, log: Log::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&mut self) -> Result<Summary, IngestError> {
        ingest(&self.options, &mut self.log)
    }

    fn error(&mut self) -> String {
        let error = self.run().unwrap_err().to_string();
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }

    fn lines(&self, name: &str) -> Vec<serde_json::Value> {
        let (mut input, mut line, mut lines) =
            (files::open(&self.path(name)).unwrap(), Vec::new(), Vec::new());
        while input.next_line(&mut line).unwrap() {
            lines.push(serde_json::from_slice(&line).unwrap());
        }
        lines
    }

    fn ids(&self) -> Vec<String> {
        let lines = self.lines("events.ndjson");
        lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn rows_become_events_in_the_order_they_happened() {
    let mut bench = Bench::new(MAPPING, ROWS);
    let summary = bench.run().unwrap();
    assert_eq!(bench.ids(), ["t2-opened", "t2-closed", "t1-opened", "t1-closed"]);
    assert_eq!((summary.rows, summary.rows_skipped, summary.rows_failed), (6, 1, 0));
    assert_eq!(summary.events["contact.opened"], 2);
    assert_eq!(bench.log.assumptions, ["Times are UTC."]);
    let lines = bench.lines("events.ndjson");
    // A missing value is a missing field.
    assert_eq!(lines[0]["data"], serde_json::json!({"contact_id": "t2"}));
    assert_eq!(
        lines[3],
        serde_json::json!({
            "specversion": "1.0", "id": "t1-closed", "source": "/tickets", "type": "io.goodfaith.contact.closed.v1",
            "subject": "ada", "time": "2025-01-03T10:00:00.000Z",
            "data": {"contact_id": "t1", "resolved": true, "transfers": 2},
        })
    );
}

#[test]
fn prev_is_the_row_before_of_the_same_key_in_file_order() {
    let mapping = r#"
[input]
format = "csv"
key = "row.k"
[[event]]
type = "'autopay.granted'"
id = "row.k + row.n + '<' + (prev == null ? '-' : prev.n)"
source = "'/x'"
subject = "row.k"
time = "'2025-01-01T00:00:00Z'"
"#;
    let mut bench = Bench::new(mapping, "k,n\na,1\nb,2\na,3\nb,4\nb,5\n");
    bench.run().unwrap();
    assert_eq!(bench.ids(), ["a1<-", "b2<-", "a3<1", "b4<2", "b5<4"]);

    bench = Bench::new(&mapping.replace("key = ", "keys_max = 1\nkey = "), "k,n\na,1\na,2\nb,3\n");
    assert!(matches!(bench.run(), Err(IngestError::TooManyKeys(1))));
}

#[test]
fn a_row_that_fails_is_told_by_line_and_reason_and_leaves_nothing_behind() {
    let rows = format!(
        "{ROWS}t4,eve,new,soon,slow,0\nt5,eve,new\nt2,ben,new,1/1/2025 13:00,slow,0\nt2,ben,done,1/1/2025 14:00,slow,many\n"
    );
    let mut bench = Bench::new(MAPPING, &rows);
    let summary = bench.run().unwrap();
    assert_eq!(summary.rows_failed, 3);
    assert_eq!(
        bench.log.failures,
        [
            "8: mapping line 11: vars.at: parse_time: the text is not of the format",
            "9: input: the row has more or fewer fields than the header",
            "11: mapping line 28: event[2].data.transfers: int: string parse error: invalid digit found in string",
        ]
    );
    assert!(!bench.path("events.ndjson").exists());

    bench.options.on_failure = OnFailure::WriteOthers;
    bench.run().unwrap();
    assert_eq!(bench.ids(), ["t2-opened", "t2-closed", "t1-opened", "t1-closed"]);
}

#[test]
fn an_event_that_no_reader_would_take_fails_its_row() {
    let mapping =
        MAPPING.replace("transfers = \"int(row.moves)\"", "transfers = \"int(row.moves) - 3\"");
    let mut bench = Bench::new(&mapping, ROWS);
    bench.run().unwrap();
    assert_eq!(
        bench.log.failures,
        [
            "5: mapping line 28: event[2].data.transfers: bad_data: transfers",
            "7: mapping line 28: event[2].data.transfers: bad_data: transfers"
        ]
    );
    // Readers would ignore it.
    let mut bench = Bench::new(&MAPPING.replace("issue =", "isue ="), ROWS);
    bench.run().unwrap();
    assert_eq!(
        bench.log.failures,
        ["2: mapping line 22: event[1].data.isue: contact.opened has no such field"]
    );
    let mut bench = Bench::new(&MAPPING.replace("contact.opened", "contact.opend"), ROWS);
    bench.run().unwrap();
    assert!(
        bench.log.failures[0].contains("unknown_type: io.goodfaith.contact.opend.v1"),
        "{:?}",
        bench.log.failures
    );
}

#[test]
fn what_is_misspelt_in_a_mapping_is_named_with_what_may_be_meant() {
    for (right, wrong, message) in [
        (
            "[defaults]",
            "[default]",
            "mapping.toml:13: default: no key `default`; did you mean `defaults`?",
        ),
        ("\nnull =", "\nnul =", "mapping.toml:6: input.nul: no key `nul`; did you mean `null`?"),
        (
            "subject =",
            "subjekt =",
            "mapping.toml:15: defaults.subjekt: no key `subjekt`; did you mean `subject`?",
        ),
        (
            "issue = \"row.topic\"",
            "issue = \"row.topik\"",
            "mapping.toml:22: event[1].data.issue: no column `topik`; did you mean `topic`?",
        ),
        (
            "'done' && prev",
            "'done' && prew",
            "mapping.toml:25: event[2].when: no name `prew`; did you mean `prev`?",
        ),
        (
            "int(row",
            "itn(row",
            "mapping.toml:28: event[2].data.transfers: no function `itn`; did you mean `int`?",
        ),
        (
            "\"csv\"",
            "\"cvs\"",
            "mapping.toml:5: input.format: no format `cvs`; did you mean `csv`?",
        ),
        ("type = \"'contact.closed'\"", "", "mapping.toml:24: event[2].type: is missing"),
        (
            "time = \"at\"",
            "time = 3",
            "mapping.toml:16: defaults.time: is integer, not a text with an expression",
        ),
        ("[vars]", "[vars", "mapping.toml:10: "),
    ] {
        let mapping = MAPPING.replacen(right, wrong, 1);
        let error = Bench::new(&mapping, ROWS).error();
        assert!(error.starts_with(message), "{error}");
    }
    let mut bench = Bench::new(MAPPING, ROWS);
    bench.options.set = vec![("att".to_owned(), "1".to_owned())];
    assert_eq!(bench.error(), "mapping.toml:1: vars: no variable `att`; did you mean `at`?");
}

#[test]
fn packed_rows_and_ndjson_rows_are_read_too() {
    let mut bench = Bench::new(MAPPING, "");
    bench.options.input = bench.path("rows.gz");
    let mut packed = files::create(&bench.options.input).unwrap();
    packed.write_all(ROWS.as_bytes()).unwrap();
    packed.finish().unwrap();
    bench.run().unwrap();
    assert_eq!(bench.ids().len(), 4);

    let rows = r#"
{"ticket": "t1", "who": "ada", "state": "new", "at": "2/1/2025 10:00", "moves": 0}

{"ticket": "t2", "who": "ada"
{"ticket": "t1", "who": "ada", "state": "done", "at": "2/1/2025 11:00", "moves": 7}"#;
    let mut bench = Bench::new(&MAPPING.replace("\"csv\"", "\"ndjson\""), rows);
    bench.options.on_failure = OnFailure::WriteOthers;
    bench.options.output = Destination::File(bench.path("events.ndjson.zst"));
    bench.run().unwrap();
    assert_eq!(bench.log.failures, ["4: input: the line is not a JSON object"]);
    let lines = bench.lines("events.ndjson.zst");
    assert_eq!((lines.len(), &lines[1]["data"]["transfers"]), (2, &7.into()));
}

/// Events of one time keep the order of their rows, however little memory there is.
#[test]
fn sorting_is_stable_and_its_memory_changes_nothing() {
    let mapping = r#"
[input]
format = "csv"
[[event]]
for_each = "lists.range(2)"
type = "'autopay.granted'"
id = "row.n + '/' + string(item)"
source = "'/x'"
subject = "'s'"
time = "'2025-01-0' + row.day + 'T00:00:00Z'"
"#;
    let rows: String = (0..500).map(|n| format!("{n},{}\n", n * 7 % 5 + 1)).collect();
    let mut bench = Bench::new(mapping, &format!("n,day\n{rows}"));
    bench.run().unwrap();
    let ids = bench.ids();
    let mut expected: Vec<_> = (0..500).map(|n| (n * 7 % 5, n)).collect();
    expected.sort_by_key(|(day, _)| *day);
    let expected: Vec<_> =
        expected.iter().flat_map(|(_, n)| [format!("{n}/0"), format!("{n}/1")]).collect();
    assert_eq!(ids, expected);

    bench.options.order = Order::ByTime { run_bytes: 1 };
    bench.run().unwrap();
    assert_eq!(bench.ids(), expected);

    bench.options.order = Order::AsRead;
    bench.run().unwrap();
    assert_eq!(bench.ids()[..4], ["0/0", "0/1", "1/0", "1/1"]);
}

const PLANS: &str = r#"
[input]
format = "csv"
[vars]
share = "100"
[defaults]
source = "'/plans'"
subject = "row.who"
[[event]]
type = "'subscription.started'"
id = "'started-' + row.who"
time = "'2025-02-01T00:00:00Z'"
[event.data]
subscription_id = "row.who"
plan_id = "row.plan"
price = { minor = "minor(row.price)", currency = "'GBP'" }
[[group]]
key = "row.plan"
when = "row.new == 'yes'"
value = "minor(row.price)"
min_count = 2
type = "'plan.published'"
id = "key"
time = "'2025-01-01T00:00:00Z'"
data = { plan_id = "key", price = "money(div_round(median * int(share), 100), 'GBP')", attributes = { rows = { kind = "'ord'", value = "count" } } }
"#;

const SUBSCRIBERS: &str = "\
who,plan,price,new
a,big,30.00,yes
b,big,20.00,yes
c,big,99.00,no
d,small,5,yes
e,big,25.01,yes
f,big,25.00,yes
";

#[test]
fn a_group_makes_one_event_of_many_rows() {
    let mut bench = Bench::new(PLANS, SUBSCRIBERS);
    bench.options.reference_output = Some(Destination::File(bench.path("plans.ndjson")));
    bench.options.set = vec![("share".to_owned(), "80".to_owned())];
    let summary = bench.run().unwrap();
    assert_eq!((summary.events["plan.published"], summary.events["subscription.started"]), (1, 6));
    assert_eq!(bench.lines("events.ndjson").len(), 6);
    let plans = bench.lines("plans.ndjson");
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0]["subject"], serde_json::Value::Null);
    // The median of 2000, 2500, 2501 and 3000 is 2500 (half to even), and 80% of it 2000.
    assert_eq!(
        plans[0]["data"],
        serde_json::json!({
            "plan_id": "big", "price": {"minor": 2000, "currency": "GBP"}, "attributes": {"rows": {"kind": "ord", "value": 4}}
        })
    );
}

#[test]
fn reference_events_are_not_put_among_the_events_of_a_topic() {
    let mut bench = Bench::new(PLANS, SUBSCRIBERS);
    bench.options.output = Destination::Topic("events".to_owned());
    bench.options.broker.bootstrap_servers = "127.0.0.1:1".to_owned();
    assert!(matches!(bench.run(), Err(IngestError::MisplacedReference)));
}

#[test]
fn a_header_that_cannot_be_told_apart_is_refused() {
    let mut bench = Bench::new(MAPPING, "");
    assert!(bench.error().contains("no usable header"), "empty");
    let mut bench = Bench::new(MAPPING, "ticket,who,ticket\n");
    assert!(bench.error().contains("column `ticket` comes twice"));
}

/// The mappings shipped, on a few rows of the shape their data have.
#[test]
fn the_examples_map_what_they_say() {
    let mapping = |name: &str| {
        fs::read_to_string(format!("{}/examples/{name}/mapping.toml", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
    };
    let header = "number,incident_state,active,reassignment_count,reopen_count,sys_mod_count,made_sla,caller_id,opened_at,\
                  sys_updated_at,contact_type,category,subcategory,priority";
    let rows = [
        "I1,New,true,0,0,0,true,C1,29/2/2016 01:16,29/2/2016 01:23,Phone,c,?,2 - High",
        "I1,Resolved,true,1,0,2,true,C1,29/2/2016 01:16,29/2/2016 08:53,Phone,c,?,2 - High",
        "I1,Resolved,true,1,0,3,true,C1,29/2/2016 01:16,29/2/2016 09:00,Phone,c,?,2 - High",
        "I1,Active,true,1,1,4,true,C1,29/2/2016 01:16,1/3/2016 09:00,Phone,c,?,2 - High",
        "I1,Resolved,true,3,1,5,true,C1,29/2/2016 01:16,2/3/2016 09:00,Phone,c,?,2 - High",
        "I1,Closed,false,3,1,6,false,C1,29/2/2016 01:16,7/3/2016 09:00,Phone,c,?,2 - High",
        "I2,New,true,0,0,0,true,?,29/2/2016 01:16,29/2/2016 01:23,Phone,c,s,2 - High",
    ];
    let mut bench =
        Bench::new(&mapping("it-incidents"), &format!("{header}\n{}\n", rows.join("\n")));
    let summary = bench.run().unwrap();
    assert_eq!(bench.log.failures, [""; 0]);
    assert_eq!((summary.rows, summary.rows_skipped), (7, 1));
    assert_eq!(
        bench.ids(),
        [
            "I1-failed",
            "I1-opened",
            "I1-promised",
            "I1-restored-2",
            "I1-resolved-2",
            "I1-reopened-4",
            "I1-restored-5",
            "I1-resolved-5",
            "I1-closed-6"
        ]
    );
    let lines = bench.lines("events.ndjson");
    assert_eq!(lines[0]["data"]["severity"], 3);
    assert_eq!(lines[2]["data"]["due_at"], "2016-03-08T01:16:00.000Z");
    assert_eq!(lines[7]["data"]["contact_id"], "I1/1");
    assert_eq!(lines[8]["data"]["verdict"], "broken");

    let header = "customerID,tenure,PhoneService,MultipleLines,InternetService,OnlineSecurity,OnlineBackup,DeviceProtection,\
                  TechSupport,StreamingTV,StreamingMovies,MonthlyCharges,TotalCharges,Churn";
    let none = "No internet service";
    let row = |id: &str, tenure: u32, charge: &str, total: &str, churn: &str| {
        format!(
            "{id},{tenure},Yes,No,No,{none},{none},{none},{none},{none},{none},{charge},{total},{churn}\n"
        )
    };
    let rows: String = [
        row("new", 0, "20.00", " ", "No"),
        row("young", 3, "21.00", "60", "No"),
        row("also", 12, "22.00", "264", "Yes"),
        // 36 earlier bills of 25.00 and a last one of 30.00.
        row("old", 37, "30.00", "930", "No"),
    ]
    .concat();
    let mut bench = Bench::new(&mapping("telco-churn"), &format!("{header}\n{rows}"));
    let summary = bench.run().unwrap();
    assert_eq!(bench.log.failures, [""; 0]);
    let count = |kind: &str| summary.events.get(kind).copied().unwrap_or_default();
    assert_eq!(count("invoice.issued"), 3 + 12 + 37);
    assert_eq!(
        (count("price.changed"), count("account.closed"), count("plan.published")),
        (1, 1, 2)
    );
    let lines = bench.lines("events.ndjson");
    let find = |id: &str| &lines.iter().find(|line| line["id"] == id).unwrap()["data"];
    assert_eq!(find("plan/Yes/No/No/-/-/-/-/-/-@today")["price"]["minor"], 2100);
    assert_eq!(find("old-bill-24")["total"]["minor"], 2500);
    assert_eq!(find("old-bill-25")["total"]["minor"], 3000);
    assert_eq!(find("old-bill-36")["period_end"], "2025-01-01");
}

/// The program's exit code, and what it says on stderr and stdout.
fn goodfaith(bench: &Bench, options: &[&str]) -> (Option<i32>, String, String) {
    let mut command = assert_cmd::Command::cargo_bin("goodfaith").unwrap();
    command
        .current_dir(bench.folder.path())
        .args(["ingest", "--mapping", "mapping.toml", "--in", "rows"])
        .args(options);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stderr), text(output.stdout))
}

#[test]
fn the_command_line_says_by_its_exit_code_how_it_went() {
    let bench = Bench::new(MAPPING, ROWS);
    let (code, stderr, stdout) = goodfaith(&bench, &["--out", "-"]);
    assert_eq!((code, stdout.lines().count()), (Some(0), 4), "{stderr}");
    assert!(stderr.contains("assumed: Times are UTC."), "{stderr}");

    let bench = Bench::new(MAPPING, &format!("{ROWS}t4,eve,new,soon,slow,0\n"));
    let (code, stderr, stdout) = goodfaith(&bench, &["--out", "events.ndjson", "--format", "json"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("line 8: mapping line 11: vars.at: parse_time"), "{stderr}");
    let summary: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&summary["rows"], &summary["rows_failed"]), (&7.into(), &1.into()));
    assert!(!bench.path("events.ndjson").exists());
    let (code, stderr, _) = goodfaith(&bench, &["--out", "events.ndjson", "--allow-errors"]);
    assert_eq!((code, bench.ids().len()), (Some(0), 4), "{stderr}");

    let bench = Bench::new(&MAPPING.replace("[vars]", "[var]"), ROWS);
    let (code, stderr, _) = goodfaith(&bench, &["--out", "events.ndjson"]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("mapping.toml:10: var: no key `var`; did you mean `vars`?"),
        "{stderr}"
    );
}
