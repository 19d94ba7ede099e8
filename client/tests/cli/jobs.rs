//! Jobs by the command line.

use std::io::{BufRead as _, BufReader};

use crate::scene::Scene;

const SUBMIT: [&str; 10] =
    ["job", "submit", "--account", "shop", "--to", "taro@example.jp", "--text", "hello", "--subject", "mail {n}"];

fn submit<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SUBMIT[..], more].concat()
}

#[test]
fn a_mail_is_accepted_once_for_each_key() {
    let scene = Scene::new().with_shop();
    let page = scene.file("page.html", "<p>hello</p>");
    let more = ["--html-file", page.to_str().unwrap(), "--attach", page.to_str().unwrap(), "--header", "X-Order: 7"];
    assert_eq!(scene.good(&submit(&more)), "accepted as job-1 (400 bytes)\nwarning: it is late\n");
    assert_eq!(
        scene.json(&submit(&["--idempotency-key", "k"])),
        [serde_json::json!({
            "index": null, "job_id": "job-2", "existing": false, "warnings": ["it is late"], "message_bytes": 400,
            "planned": null, "routed_account_id": null
        })]
    );
    assert_eq!(scene.good(&submit(&["--idempotency-key", "k"])), "accepted before as job-2 (0 bytes)\n");
    assert_eq!(scene.good(&submit(&["--dry-run"])), "would be accepted (400 bytes)\n");
}

#[test]
fn a_refused_mail_names_each_mistake() {
    let scene = Scene::new();
    let words = ["job", "submit", "--account", "none", "--to", "a@b", "--to", "nobody", "--text", "x"];
    let ended = scene.run(&words);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert_eq!(
        ended.err,
        "hikyaku: the job is refused\n  job.account_id: there is no such account\n  \
         job.to[1].address: \"nobody\" has no @\n"
    );
    let ended = scene.run(&[&["--json"], &words[..]].concat());
    let error: serde_json::Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!(error["error"]["code"], "INVALID_ARGUMENT");
    assert_eq!(error["error"]["violations"][1]["field"], "job.to[1].address");
}

#[test]
fn a_waiting_submitter_sees_the_reply_but_its_terminal_does_not_obey_it() {
    let scene = Scene::new().with_shop();
    let out = scene.good(&submit(&["--wait", "--label", "orders"]));
    let expected = "\
accepted as job-1 (400 bytes)
warning: it is late
job       job-1
state     SUBMITTED
account   shop
subject   mail 1
message   <1@example.jp> (400 bytes)
labels    orders
accepted  2023-11-14T22:13:21.000Z by tester
attempts  1

RECIPIENT        FIELD  STATE      SINCE                     REPLY
taro@example.jp  TO     SUBMITTED  2023-11-14T22:13:22.000Z  250-2.0.0 Ok
                                                             250 2.0.0 queued \\u{1b}[31mas\\u{9b}2J 7

attempt 1  2023-11-14T22:13:21.000Z to 2023-11-14T22:13:22.000Z
  taro@example.jp
    ACCEPTED at end-of-data, blame NOBODY
    250-2.0.0 Ok
    250 2.0.0 queued \\u{1b}[31mas\\u{9b}2J 7
";
    assert_eq!(out, expected.replace("mail 1", "mail {n}"));
    let job = &scene.json(&["job", "get", "job-1"])[0];
    assert_eq!(job["recipients"][0]["finding"]["text"], "250-2.0.0 Ok\n250 2.0.0 queued \u{1b}[31mas\u{9b}2J 7");
}

#[test]
fn many_mails_go_through_one_stream() {
    let scene = Scene::new().with_shop();
    let ended = scene.run(&submit(&["--repeat", "300"]));
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.starts_with("299 accepted, 1 refused in "), "{ended:?}");
    assert_eq!(ended.err, "hikyaku: mail 13: the job is refused\n  job.mail.subject: it is unlucky\n");

    let lines = scene.json(&submit(&["--repeat", "5", "--idempotency-key", "load", "--label", "x"]));
    assert_eq!(lines.len(), 5);
    assert_eq!((&lines[4]["index"], &lines[4]["existing"]), (&4.into(), &false.into()));
}

#[test]
fn raw_messages_come_from_stdin() {
    let scene = Scene::new().with_shop();
    let words = ["--json", "job", "submit", "--account", "shop", "--to", "a@example.jp", "--raw", "-"];
    assert_eq!(scene.run_with_stdin(&words, "Subject: x\n\nhello\n").code, 0);
    assert_eq!(scene.json(&["job", "list"])[0]["subject"], "raw of 18 bytes");
    assert_eq!(scene.run(&[&words[..], &["--subject", "x"]].concat()).code, 2);
}

#[test]
fn lists_are_read_page_after_page() {
    let scene = Scene::new().with_shop();
    for _ in 0..5 {
        scene.good(&submit(&[]));
    }
    assert_eq!(scene.json(&["job", "list", "--state", "submitted,failed", "--from", "-2h"]).len(), 5);
    let ended = scene.run(&["job", "list", "--limit", "3"]);
    assert_eq!(
        ended.out,
        "JOB    ACCOUNT  STATE      ACCEPTED                  DUE  TRIES  RECIPIENTS       SUBJECT\n\
         job-1  shop     SUBMITTED  2023-11-14T22:13:21.000Z       1      taro@example.jp  mail {n}\n\
         job-2  shop     SUBMITTED  2023-11-14T22:13:21.000Z       1      taro@example.jp  mail {n}\n\
         job-3  shop     SUBMITTED  2023-11-14T22:13:21.000Z       1      taro@example.jp  mail {n}\n"
    );
    assert_eq!(ended.err, "hikyaku: there are more than 3 jobs; --limit 0 shows all\n");
}

#[test]
fn steering_many_jobs_needs_a_yes() {
    let scene = Scene::new().with_shop();
    for _ in 0..3 {
        scene.good(&submit(&[]));
    }
    let ended = scene.run(&["job", "cancel", "--account", "shop"]);
    assert_eq!(ended.code, 2);
    assert_eq!(
        ended.err,
        "hikyaku: this would cancel 1 of 3 matching jobs; add --yes to do it, or --dry-run to count only\n"
    );
    assert_eq!(scene.good(&["job", "cancel", "--account", "shop", "--yes"]), "3 matched, 1 cancelled, 2 refused\n");
    assert_eq!(
        scene.good(&["job", "hold", "--account", "shop", "--dry-run"]),
        "3 matched, 1 would be held, 2 refused\n"
    );
    let one = scene.run(&["--json", "job", "retry", "job-1"]);
    assert_eq!(one.code, 1, "{one:?}");
    assert_eq!(one.out, "{\"dry_run\":false,\"matched\":1,\"changed\":0,\"refused\":1}\n");
    assert_eq!(scene.run(&["job", "release"]).code, 2);
    assert_eq!(scene.run(&["job", "release", "job-1", "--account", "shop"]).code, 2);
}

#[test]
fn a_watch_shows_events_as_they_happen() {
    let scene = Scene::new().with_shop();
    let mut child = scene.command(&["job", "watch", "--account", "shop"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The watch begins at some time; mails are submitted until it has heard of one.
    let line = std::thread::scope(|scope| {
        let first = scope.spawn(|| lines.next().unwrap().unwrap());
        while !first.is_finished() {
            scene.good(&submit(&[]));
        }
        first.join().unwrap()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("2023-11-14T22:13:22.000Z  shop  job-"), "{line}");
    assert!(line.ends_with("  SUBMITTED  attempt 1: 1 submitted, 0 deferred, 0 failed, 0 in doubt"), "{line}");
}
