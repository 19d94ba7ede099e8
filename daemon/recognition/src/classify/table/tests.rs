//! Which tables of rules are refused, and with which words.

use crate::{classify::rules::Rules, verdict::Phase};

#[track_caller]
fn check_mistakes(text: &str, expected: &[&str]) {
    let mistakes = Rules::parse(text).expect_err(text);
    let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (shown, expected) in shown.iter().zip(expected) {
        assert!(shown.contains(expected), "{shown:?} should contain {expected:?}");
    }
}

const GENERAL: &str = "
[[rule]]
name = \"fine\"
codes = [\"2xx\", \"3xx\"]
verdict = \"accepted\"
why = \"RFC\"
[[rule]]
name = \"rest\"
codes = [\"4xx\", \"5xx\"]
verdict = \"retry-later\"
blame = \"provider\"
why = \"RFC\"
";

#[test]
fn all_mistakes_of_a_table_are_named_at_once() {
    check_mistakes("", &["has no [[rule]]"]);
    check_mistakes("[[rule", &["(table)"]);
    check_mistakes(&format!("surplus = 1\n{GENERAL}"), &["unknown key \"surplus\""]);
    let bad = "
[[rule]]
name = \"Bad name\"
phases = [\"rcpt\", \"nap\"]
codes = [\"55\", \"6xx\"]
enhanced = [\"5.7\"]
text = \"(\"
verdict = \"reject-recipient\"
wait_seconds = 0
why = \"\"
[[rule]]
name = \"b\"
verdict = \"explode\"
why = \"w\"
[[rule]]
verdict = \"accepted\"
why = \"w\"
";
    let expected = [
        "rule Bad name: name:",
        "why:",
        "unknown phase \"nap\"",
        "unknown reply code \"55\"",
        "unknown reply code \"6xx\"",
        "unknown enhanced code pattern \"5.7\"",
        "text:",
        "wait_seconds:",
        "blame:",
        "rule b: verdict: unknown verdict \"explode\"",
        "rule #3: missing field `name`",
    ];
    check_mistakes(bad, &expected);
}

#[test]
fn a_table_must_decide_everything_sensibly() {
    assert!(Rules::parse(GENERAL).is_ok());
    let twice = format!("{GENERAL}{}", GENERAL.replace("\"rest\"", "\"other\""));
    check_mistakes(&twice, &["rule fine: name: is used twice"]);
    let gap = GENERAL.replace("\"5xx\"", "\"55x\"");
    assert_eq!(Rules::parse(&gap).expect_err("a gap").len(), Phase::ALL.len());
    let early = GENERAL.replace("retry-later", "reject-message");
    check_mistakes(&early, &["makes no sense in phase resolve"]);
    let huge = format!(
        "[[rule]]\nname = \"x\"\ntext = '(\\w{{500}}){{500}}'\nverdict = \"retry-later\"\nblame = \"us\"\nwhy = \"w\"\n{GENERAL}"
    );
    check_mistakes(&huge, &["rule x: text:"]);
}
