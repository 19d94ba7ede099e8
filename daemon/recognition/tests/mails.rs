//! Are whole mails read rightly: bounces of many servers, complaints, and mail that is neither? They lie in `mails/`, each
//! written for this test; `index.jsonl` there says what each means.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::LazyLock};

use hikyaku_recognition::{
    bounce::{Finding, Findings, Kind, recognise},
    classify::rules::Rules,
};
use serde::Deserialize;

static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

/// What a mail should mean.
#[derive(Deserialize)]
struct Case {
    file: String,
    bounce: bool,
    expected: Vec<Expected>,
}

/// What it should mean for one recipient. What is absent is open.
#[derive(Deserialize)]
struct Expected {
    recipient: Option<String>,
    #[serde(default)]
    alt: Vec<String>,
    status: Option<String>,
    #[serde(default)]
    status_alt: Vec<String>,
    kind: Option<String>,
    action: Option<String>,
}

impl Expected {
    fn fits(&self, found: &Finding) -> bool {
        let recipient = found.recipient.as_deref();
        let status = found.status.map(|status| status.to_string());
        let action = found.action.map(|action| action.as_str());
        let is_named =
            self.recipient.as_deref() == recipient || self.alt.iter().any(|other| Some(&**other) == recipient);
        is_named
            && (self.status.is_none()
                || self.status == status
                || self.status_alt.iter().any(|s| status.as_ref() == Some(s)))
            && self.kind.as_deref().is_none_or(|kind| kind == found.kind.as_str())
            && (self.action.is_none() || self.action.as_deref() == action)
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/mails")
}

fn cases() -> Vec<(Case, Vec<u8>)> {
    let index = fs::read_to_string(folder().join("index.jsonl")).expect("the index");
    let case = |line: &str| {
        let case: Case = serde_json::from_str(line).expect(line);
        let mail = fs::read(folder().join(&case.file)).expect(&case.file);
        (case, mail)
    };
    index.lines().map(case).collect()
}

#[track_caller]
fn check(mistakes: &[String]) {
    assert!(mistakes.is_empty(), "{} mails:\n{}", mistakes.len(), mistakes.join("\n"));
}

fn mistake(case: &Case, found: &Findings) -> Option<String> {
    let got: Vec<&Finding> = found.to_act_on().collect();
    let is_right = got.len() == case.expected.len()
        && case.expected.iter().all(|one| got.iter().any(|found| one.fits(found)))
        && case.bounce != got.is_empty();
    (!is_right).then(|| format!("{}: {} {got:#?}", case.file, found.nature.as_str()))
}

#[test]
fn mails_mean_what_they_should() {
    let mistakes =
        cases().iter().filter_map(|(case, mail)| mistake(case, &recognise(&RULES, mail))).collect::<Vec<_>>();
    check(&mistakes);
}

#[test]
fn the_ends_of_lines_make_no_difference() {
    let differs = cases().into_iter().filter(|(_, mail)| {
        let lf = String::from_utf8_lossy(mail).replace("\r\n", "\n");
        let crlf = lf.replace('\n', "\r\n");
        recognise(&RULES, lf.as_bytes()) != recognise(&RULES, crlf.as_bytes())
    });
    check(&differs.map(|(case, _)| case.file).collect::<Vec<_>>());
}

#[test]
fn what_a_mail_passes_through_makes_no_difference() {
    // Gateways add header fields, rename the case of their names, and fold them anew.
    let changes: [fn(&str) -> String; 3] = [
        |mail| {
            format!(
                "Received: from a by b; Thu, 1 Oct 2026 10:00:00 +0900\nX-Spam-Score: 0.1\nDelivered-To: b@sender.example\n{mail}"
            )
        },
        |mail| mail.replacen("\nFrom: ", "\nFROM: ", 1).replacen("\nSubject: ", "\nsubject:", 1),
        |mail| mail.replacen("\nSubject: ", "\nSubject:\n ", 1).replacen("\nContent-Type: ", "\nContent-Type:\n\t", 1),
    ];
    let mistakes = cases().into_iter().flat_map(|(case, mail)| {
        let mail = String::from_utf8_lossy(&mail).into_owned();
        let is_utf8 = !mail.contains('\u{fffd}');
        let changed = changes.iter().filter(|_| is_utf8).map(|change| recognise(&RULES, change(&mail).as_bytes()));
        changed.filter_map(|found| mistake(&case, &found)).collect::<Vec<_>>()
    });
    check(&mistakes.collect::<Vec<_>>());
}

#[test]
fn no_cut_of_a_mail_is_too_odd() {
    for (case, mail) in cases() {
        for part in 1..6 {
            let cut = &mail[..mail.len() * part / 6];
            let found = recognise(&RULES, cut);
            let is_hard = found.to_act_on().any(|one| one.kind == Kind::Hard);
            assert!(case.bounce || !is_hard, "{} cut at {}: {found:#?}", case.file, cut.len());
        }
    }
}

#[test]
fn each_mail_stands_in_the_index_once() {
    let listed: Vec<String> = cases().into_iter().map(|(case, _)| case.file).collect();
    let entries = fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("an entry").file_name());
    let files: BTreeSet<String> =
        entries.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".eml")).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), files);
    assert_eq!(listed.len(), files.len());
}
