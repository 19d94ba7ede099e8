//! Are replies of real servers judged rightly? The rows are in `replies.txt`.

use std::{collections::HashSet, sync::LazyLock};

use hikyaku_recognition::classify::{
    evidence::{Evidence, Judgement},
    reason::Reason,
    rules::Rules,
};

static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

/// What a reply should mean: its kind, the reasons that are right, and its words.
struct Row {
    kind: &'static str,
    reasons: Vec<Reason>,
    words: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("replies.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(row).collect()
}

fn row(line: &'static str) -> Row {
    let (head, words) = line.split_once(" | ").expect(line);
    let (kind, reasons) = head.split_once(' ').expect(line);
    let reasons = reasons.split(',').map(|name| Reason::named(name).expect(line)).collect();
    Row { kind, reasons, words }
}

fn judge(words: &str) -> Judgement {
    RULES.judge(&Evidence { words, ..Evidence::default() })
}

#[track_caller]
fn check(mistakes: &[String], rows: usize) {
    assert!(mistakes.is_empty(), "{} of {rows} rows:\n{}", mistakes.len(), mistakes.join("\n"));
}

#[test]
fn replies_of_many_servers_mean_what_they_should() {
    let rows = rows();
    let mistakes = rows.iter().filter_map(|row| {
        let got = judge(row.words);
        let kind = if got.is_hard() { "hard" } else { "soft" };
        let right = kind == row.kind && row.reasons.contains(&got.reason);
        (!right).then(|| format!("{}: {kind} {} (rule {})", row.words, got.reason.as_str(), got.ruling.rule))
    });
    check(&mistakes.collect::<Vec<_>>(), rows.len());
}

#[test]
fn the_same_words_passed_on_mean_the_same() {
    let rows = rows();
    let wraps: [fn(&str) -> String; 3] = [
        |words| format!("host mx.inner.example[192.0.2.8] said: {words} (in reply to RCPT TO command)"),
        |words| format!("SMTP error from remote mail server after RCPT TO:<hanako@shop.example>: {words}"),
        |words| words.replace(' ', "\n  "),
    ];
    let is_reply = |row: &&Row| row.words.starts_with(['4', '5']) && !row.words.contains("(in reply to");
    let mistakes = rows.iter().filter(is_reply).flat_map(|row| {
        let plain = judge(row.words).is_hard();
        let wrong = wraps.iter().map(|wrap| wrap(row.words)).filter(move |words| judge(words).is_hard() != plain);
        wrong.map(|words| format!("{words}: {}", judge(&words).ruling.rule))
    });
    check(&mistakes.collect::<Vec<_>>(), rows.len());
}

#[test]
fn a_reply_of_class_4_is_never_hard() {
    let rows = rows();
    let passing = rows.iter().filter(|row| row.words.starts_with('5')).filter_map(|row| {
        let words = row.words.replace("550", "450").replace("5.1.", "4.1.").replace(" 5.", " 4.");
        let words = words.replacen('5', "4", 1);
        let is_passing = !words.contains(" 5") && !words.contains("-5");
        (is_passing && judge(&words).is_hard()).then_some(words)
    });
    check(&passing.collect::<Vec<_>>(), rows.len());
}

#[test]
fn no_reply_stands_twice() {
    let mut seen = HashSet::new();
    let twice: Vec<String> = rows().iter().filter(|row| !seen.insert(row.words)).map(|row| row.words.into()).collect();
    check(&twice, seen.len());
}
