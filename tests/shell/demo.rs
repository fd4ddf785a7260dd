//! `goodfaith demo` as a user starts it: the whole system in one process, to the end.

use assert_cmd::Command;

/// The number that stands before `what` in one of the lines.
fn number_before(what: &str, text: &str) -> f64 {
    let before = text.lines().rev().find_map(|line| line.split_once(what)).expect(what).0;
    before.rsplit(' ').next().expect("a word").parse().expect("a number")
}

#[test]
fn a_demo_of_some_events_tells_what_happens_and_sums_up() {
    let output = Command::new(env!("CARGO_BIN_EXE_goodfaith"))
        .args(["demo", "--events", "6000", "--seed", "3"])
        .output()
        .expect("the program runs");
    let [told, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{told}");
    assert!(told.contains("at-least-once"), "the demo says what it is not: {told}");
    for label in ["SQUEEZE", "PROMISE", "score", "refused", "/metrics", "goodfaith replay"] {
        assert!(told.contains(label), "nothing of {label} in {told}");
    }
    assert!(told.contains("\n6000 events up to 2025-01-"), "{told}");
    for what in [" customers scored", " score changes", " promises broken", " GBP overcharged"] {
        assert!(number_before(what, &told) > 0.0, "no{what}: {told}");
    }
    assert!(told.contains("least trust: c") && told.contains("most trust:  c"), "{told}");
}
