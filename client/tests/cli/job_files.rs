//! Jobs from files and whole messages by the command line.

use crate::scene::Scene;

const JOB: &str = "
account = 'shop'
from = 'shop@example.jp'
to = ['Taro <taro@example.jp>', 'Hanako <hanako@example.jp>']
subject = 'of the file'
text_file = 'body.txt'
headers = {X-Order = '7'}
in_reply_to = '1@example.jp'
references = ['0@example.jp', '1@example.jp']
auto_submitted = 'replied'
priority = 'low'
labels = ['a', 'b']
send_at = 2026-12-01T09:00:00+09:00
approval_required = true
[list_unsubscribe]
url = 'https://example.jp/leave'
one_click = true
[[attachments]]
path = 'body.txt'
name = '本文.txt'
content_id = 'body'
";

const MESSAGE: &str = "\
Reply-To: desk@example.jp\r
To: Taro <taro@example.jp>\r
To: Hanako <hanako@example.jp>\r
Subject: of the file\r
X-Order: 7\r
In-Reply-To: 1@example.jp [\"0@example.jp\", \"1@example.jp\"]\r
List-Unsubscribe: https://example.jp/leave  true\r
Kind: 2 3 [\"a\", \"b\"]\r
Terms: false true Some(1796083200)\r
File: 本文.txt text/plain body 6 0\r
\r
本文\r
\r
";

#[test]
fn a_file_says_all_and_options_say_it_better() {
    let scene = Scene::new().with_shop();
    scene.file("body.txt", "本文");
    let file = scene.file("job.toml", JOB).display().to_string();
    assert_eq!(scene.good(&["job", "preview", "--file", &file, "--reply-to", "desk@example.jp"]), MESSAGE);
    let changed = [
        ["--to", "jiro@example.jp"],
        ["--subject", "of the option"],
        ["--text", "shorter"],
        ["--label", "c"],
        ["--priority", "high"],
        ["--header", "X-Other: 8"],
        ["--in-reply-to", "2@example.jp"],
        ["--reference", "2@example.jp"],
        ["--auto-submitted", "generated"],
        ["--list-unsubscribe-mailto", "leave@example.jp"],
    ]
    .concat();
    let shown = scene.good(&[&["job", "preview", "-f", &file, "--hold"][..], &changed].concat());
    for line in [
        "To: jiro@example.jp\r\nSubject: of the option\r\nX-Other: 8\r\n",
        "In-Reply-To: 2@example.jp [\"2@example.jp\"]",
        "List-Unsubscribe:  leave@example.jp false",
        "Kind: 1 1 [\"c\"]",
        "Terms: true true",
        "\r\n\r\nshorter\r\n",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert_eq!(scene.good(&["job", "submit", "-f", &file]), "accepted as job-1 (400 bytes)\nwarning: it is late\n");
    assert_eq!(scene.json(&["job", "list"])[0]["labels"], serde_json::json!(["a", "b"]));
    let waiting = scene.run(&["job", "submit", "-f", &file, "--wait"]);
    assert_eq!(waiting.code, 2, "{waiting:?}");
}

#[test]
fn a_file_may_be_json_and_come_from_stdin() {
    let scene = Scene::new().with_shop();
    let json = "{\"account\": \"shop\", \"to\": [\"a@example.jp\"], \"subject\": \"j\", \"text\": \"x\"}";
    for text in [json, "account = 'shop'\nto = ['a@example.jp']\nsubject = 'j'\ntext = 'x'\n"] {
        let ended = scene.run_with_stdin(&["--json", "job", "submit", "--file", "-"], text);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(scene.json(&["job", "list"])[1]["subject"], "j");
}

#[test]
fn mistakes_in_a_file_are_told_with_key_and_line() {
    let scene = Scene::new();
    for (name, text) in [
        ("job.toml", "account = 'shop'\nsubjct = 'x'\nhold = 'yes'\n"),
        ("job.json", "{\"account\": \"shop\",\n \"subjct\": \"x\",\n \"hold\": \"yes\"}"),
    ] {
        let file = scene.file(name, text).display().to_string();
        let ended = scene.run(&["job", "submit", "--file", &file]);
        assert_eq!(ended.code, 1);
        assert!(ended.err.starts_with("hikyaku: 2 mistakes; nothing was submitted\n"), "{ended:?}");
        assert!(
            ended.err.contains(&format!("{file}:2: subjct: is not a setting; here may stand account, from")),
            "{ended:?}"
        );
        assert!(ended.err.contains(&format!("{file}:3: hold: must be true or false")), "{ended:?}");
    }
}

#[test]
fn what_no_job_can_lack_is_asked_for() {
    let scene = Scene::new();
    for (words, expected) in [
        (&["--to", "a@b", "--text", "x"][..], "which account"),
        (&["--account", "shop", "--text", "x"], "who gets it"),
        (&["--account", "shop", "--to", "a@b"], "what does it say"),
        (&["--file", "-", "--text-file", "-"], "only one of"),
        (&["--account", "shop", "-t", "--text", "x"], "--recipients-from-headers reads a raw message"),
    ] {
        let ended = scene.run(&[&["job", "submit"], words].concat());
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains(expected), "{expected} in {ended:?}");
    }
}

#[test]
fn a_whole_message_may_name_its_recipients() {
    let scene = Scene::new().with_shop();
    let message =
        "From: shop@example.jp\nTo: Taro <taro@example.jp>,\n hanako@example.jp\nBcc: log@example.jp\n\nhello\n";
    let words = ["job", "preview", "--raw", "-", "-t", "--account", "shop"];
    let shown = scene.run_with_stdin(&words, message);
    assert_eq!((shown.code, shown.out.as_str()), (0, message));
    assert!(shown.err.contains(" to taro@example.jp, hanako@example.jp, log@example.jp\n"), "{shown:?}");
    let routed = scene.run_with_stdin(&["job", "submit", "--raw", "-", "-t", "--to", "extra@example.jp"], message);
    assert_eq!(routed.code, 0, "{routed:?}");
    let wrong = scene.run_with_stdin(&words, "To: nobody\n\n");
    assert_eq!((wrong.code, wrong.err.as_str()), (2, "hikyaku: the message's To: \"nobody\" has no @\n"));
}
