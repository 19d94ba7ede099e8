//! What holds mail, and when it goes, by the command line.

use crate::scene::Scene;

const SUBMIT: [&str; 8] = ["job", "submit", "--from", "shop@example.jp", "--to", "a@example.jp", "--text", "x"];

#[test]
fn a_routed_job_tells_its_account_and_its_time() {
    let scene = Scene::new().with_shop();
    assert_eq!(
        scene.good(&SUBMIT),
        "accepted as job-1 (400 bytes)\nrouted to shop\nplanned 2023-11-14T22:13:25.000Z to 2023-11-14T22:13:29.000Z\n\
         warning: it is late\n"
    );
    let job = &scene.json(&SUBMIT)[0];
    assert_eq!(
        (&job["routed_account_id"], &job["planned"]["last_at"]),
        (&"shop".into(), &"2023-11-14T22:13:29.000Z".into())
    );
    assert_eq!(scene.run(&["job", "submit", "--to", "a@example.jp", "--text", "x"]).code, 2);
}

#[test]
fn what_holds_a_job_is_told_in_order() {
    let scene = Scene::new().with_shop();
    scene.good(&SUBMIT);
    assert_eq!(
        scene.good(&["job", "explain", "job-1"]),
        "job-1 is QUEUED\n1. ACCOUNT: the account is paused\\u{7}\n   resume it\n\
         2. QUOTA: 7 of 7 messages in 10s are used\n   until 2023-11-14T22:13:23.000Z\n\
         planned 2023-11-14T22:13:25.000Z\n"
    );
    assert_eq!(scene.json(&["job", "explain", "job-1"])[0]["hindrances"][1]["cause"], "QUOTA");
    assert_eq!(scene.run(&["job", "explain", "job-9"]).code, 1);
}

#[test]
fn an_estimate_names_its_bound() {
    let scene = Scene::new().with_shop();
    assert_eq!(
        scene.good(&["account", "estimate", "shop", "--messages", "1000", "--priority", "bulk"]),
        "account      shop\nestimate of  1000 messages submitted now\nfirst sent   2023-11-14T22:13:25.000Z\n\
         last sent    2023-11-14T22:13:29.000Z\nqueued       3 messages\nrate         2.50/s\n\
         bound by     the quota 7/10s\n"
    );
    assert_eq!(scene.json(&["account", "estimate", "shop"])[0]["planned"], serde_json::Value::Null);
}

#[test]
fn reported_mail_counts() {
    let scene = Scene::new();
    scene.good(&["account", "create", "shop", "--from", "a@b", "--host", "h", "--quota", "recipients:500/day"]);
    assert_eq!(
        scene.good(&["account", "report-usage", "shop", "--messages", "10", "--at", "-1h"]),
        "QUOTA              OBSERVED  USED  LEFT  RESETS\n\
         recipients:500/1d  450       11    489   2023-11-14T22:14:20.000Z\n"
    );
    let usage = &scene.json(&["account", "usage", "shop"])[0]["quotas"][0];
    assert_eq!((&usage["configured"], &usage["observed"], &usage["used"]), (&500.into(), &450.into(), &11.into()));
    assert_eq!(scene.run(&["account", "report-usage", "shop"]).code, 2);
}
