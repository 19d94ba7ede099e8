//! Merge jobs by the command line.

use std::path::Path;

use crate::scene::Scene;

fn merge<'a>(list: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["job", "merge", "--account", "shop", "--subject", "For {{ name }}", "--text", "{{ code }}", "--csv"];
    [&words[..], &[list.to_str().unwrap()], more].concat()
}

#[test]
fn each_row_of_a_file_is_a_recipient() {
    let scene = Scene::new().with_shop();
    let list = scene.file("list.csv", "email,name,code,unused\na@example.jp,Taro,7,x\nb@example.jp,花子,8,x\n");
    assert_eq!(
        scene.good(&merge(&list, &["--label", "autumn"])),
        "accepted as job-1 (2 recipients, the first message has 300 bytes)\nwarning: it is late\n"
    );
    assert_eq!(
        scene.good(&merge(&list, &["--dry-run"])),
        "would be accepted (2 recipients, the first message has 300 bytes)\n"
    );
    assert_eq!(
        scene.json(&merge(&list, &[])),
        [serde_json::json!({
            "job_id": "job-2", "existing": false, "recipients": 2, "bad_rows": 0, "message_bytes": 300, "warnings": ["it is late"],
            "planned": null, "routed_account_id": null
        })]
    );
    assert_eq!(
        scene.good(&["job", "recipients", "job-1"]),
        "INDEX  RECIPIENT     STATE      SINCE  TRIES  REPLY\n\
         0      a@example.jp  SUBMITTED         1      250 Taro {\"code\": \"7\", \"name\": \"Taro\"}\n\
         1      b@example.jp  QUEUED            0      250 花子 {\"code\": \"8\", \"name\": \"花子\"}\n"
    );
}

#[test]
fn a_merge_job_shows_its_counts() {
    let scene = Scene::new().with_shop();
    let list = scene.file("list.csv", "address,name,code\na@example.jp,Taro,7\nb@example.jp,Jiro,8\n");
    scene.good(&merge(&list, &[]));
    assert_eq!(
        scene.good(&["job", "get", "job-1"]),
        "job            job-1\n\
         state          QUEUED\n\
         account        shop\n\
         subject        For {{ name }}\n\
         first message  300 bytes\n\
         accepted       2023-11-14T22:13:21.000Z by tester\n\
         recipients     2: 1 waiting, 1 submitted\n"
    );
    let job = &scene.json(&["job", "get", "job-1"])[0];
    assert_eq!((&job["merge"], &job["tally"]["waiting"]), (&true.into(), &1.into()));
    let list = scene.good(&["job", "list"]);
    assert!(list.contains("2: 1 waiting, 1 submitted"), "{list}");
}

#[test]
fn recipients_are_listed_by_their_state() {
    let scene = Scene::new().with_shop();
    let rows: String = (0..1_234).map(|n| format!("r{n}@example.jp,x,{n}\n")).collect();
    let list = scene.file("list.csv", &format!("address,name,code\n{rows}"));
    assert_eq!(scene.json(&merge(&list, &[]))[0]["recipients"], 1_234);
    assert_eq!(scene.json(&["job", "recipients", "job-1", "--state", "submitted,failed"]).len(), 1);
    let all = scene.json(&["job", "recipients", "job-1", "--limit", "0"]);
    assert_eq!((all.len(), &all[1_233]["address"]), (1_234, &"r1233@example.jp".into()));
    let few = scene.run(&["job", "recipients", "job-1", "--limit", "3"]);
    assert_eq!(few.out.lines().count(), 4);
    assert_eq!(few.err, "hikyaku: there are more than 3 recipients; --limit 0 shows all\n");
}

#[test]
fn bad_rows_are_told_before_anything_is_sent() {
    let scene = Scene::new();
    let list = scene.file("list.csv", "address,name,code\na@example.jp,Taro\nnobody,Jiro,8\n");
    let ended = scene.run(&merge(&list, &[]));
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    let words = format!(
        "hikyaku: 2 of 2 rows of {} are bad; nothing was sent\n  line 2: has 2 cells, the header has 3\n  \
         line 3: \"nobody\" has no @\n",
        list.display()
    );
    assert_eq!(ended.err, words);
    let headless = scene.file("headless.csv", "a@example.jp,Taro\n");
    let ended = scene.run(&merge(&headless, &[]));
    assert!(
        ended.err.ends_with("line 1: there is no address column; name the columns in the first row, or say with --address-column which it is\n"),
        "{ended:?}"
    );
}

#[test]
fn what_the_daemon_refuses_is_told_with_its_line() {
    let scene = Scene::new().with_shop();
    let rows: String = (0..700).map(|n| format!("r{n}@example.jp,\"x\ny\",{n}\n")).collect();
    let list = scene.file("list.csv", &format!("address,text,code\n{rows}unlucky@example.jp,x,1\n"));
    let ended = scene.run(&merge(&list, &[]));
    assert_eq!(ended.code, 1, "{ended:?}");
    let expected = format!("recipients[700].address: is unlucky (line 1402 of {})\n", list.display());
    assert!(ended.err.ends_with(&expected), "{ended:?}");
    assert_eq!(scene.run(&["job", "get", "job-1"]).code, 1);
    let other = merge(&list, &[]).iter().map(|word| if *word == "shop" { "none" } else { *word }).collect::<Vec<_>>();
    assert!(scene.run(&other).err.contains("job.account_id"));
}
